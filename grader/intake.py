"""Takes in what students hand in: plain files only, of bounded size and number, under plain names.

A download or a submission may hold links to other people's files, pipes and devices that never end, paths that lead
out of it, and archives that swell. What is not plain is left out, and a sentence says so; the rest is taken.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import re
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from grader.outputs import safe_text

LARGEST = 100 * 2**20
"""Bytes of one file."""
_FILES, _TOTAL, _DEPTH = 1000, 2 * LARGEST, 20  # of one submission
_MEMBERS = 50_000  # of a download: a large class, with all that each handed in
_SWELLS, _ALWAYS = 100, 2**30  # an archive may hold this many times its own size, and this much in any case
_TAR = 2 * LARGEST  # passing over a file in a tar archive means unpacking it: there the bound for all has to be low
_ARCHIVE = re.compile(r"(.+?)\.(zip|tar|tar\.gz|tgz|gz)", re.IGNORECASE)
_ZIP_ENTRY = b"PK\x01\x02"
_LONGEST_NAME = 200
# What names of people and their numbers are made of. No wildcard, no quote of a shell, no separator.
_STUDENT = re.compile(r"\w[\w .,@+'()~#=-]{0,98}[\w)]|\w")


class IntakeError(ValueError):
    """Something that can't be taken in: the message says what it is."""


def read_plain(path: Path, largest: int = LARGEST) -> bytes:
    """The bytes of a plain file. Raises IntakeError for a link, a pipe, a device or too large a file; else OSError."""
    with _opened(str(path)) as file:
        _size(file, largest)
        return file.read()


def plain_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The plain files below a folder, in order, and a sentence about each thing that is none."""
    found, left_out = [], []
    for place, taken in _below(folder):
        if isinstance(taken, str):
            left_out.append(_sentence(place, taken))
        else:
            found.append(folder / place)
    return sorted(found), left_out


def handed_in_notebook(folder: Path, assignment: str) -> Path:
    """The notebook in a submission's folder: a lone one under another name is taken for it. Raises IntakeError."""
    path = folder / f"{assignment}.ipynb"
    others = sorted(folder.glob("*.ipynb"))
    if path in others:
        return path
    if len(others) != 1:
        found = f"holds {len(others)} notebooks, and none is named" if others else "holds no notebook"
        raise IntakeError(f"{folder} {found} {path.name}")
    return others[0]


def take(folder: Path, into: Path) -> list[str]:
    """Copy the plain files below `folder`, which its owner may change meanwhile. Returns what was left out."""
    left_out = []
    for place, taken in _below(folder):
        if isinstance(taken, str):
            left_out.append(_sentence(place, taken))
            continue
        (into / place).parent.mkdir(parents=True, exist_ok=True)
        with open(into / place, "xb") as copy:
            shutil.copyfileobj(taken, copy)
    return left_out


def student_fault(name: str) -> str:
    """Why `name` can't be a student's in folders, patterns and tables, or "" if it can."""
    if _STUDENT.fullmatch(name):
        return ""
    return (
        f"{_shown(name)} is no name for a student: letters, digits, spaces and .,@+'()~#=- will do, "
        "at most 100 of them, a letter or digit first"
    )


def collect(download: Path, into: Path) -> list[str]:
    """Copy a plain file into a folder; an archive, and the archives in it, each into a folder of its own name there.

    Returns a sentence for each thing that was left out. Whatever an archive claims, no more is written than it may
    hold, all of it in `into`, and nothing but plain files.
    """
    into.mkdir(parents=True, exist_ok=True)
    if not _ARCHIVE.fullmatch(download.name):
        try:
            (into / download.name).write_bytes(read_plain(download))
        except (IntakeError, OSError) as error:
            return [_sentence(download.name, _reason(error))]
        return []
    room = max(_ALWAYS, _SWELLS * download.lstat().st_size)
    return _Extraction(min(room, shutil.disk_usage(into).free // 2)).unpack(download, _own_folder(into / download.name))


def _own_folder(archive: Path) -> Path:
    name = _ARCHIVE.fullmatch(archive.name)
    return archive.with_name(name[1] if name else archive.name)


class _Extraction:
    """One download as it is unpacked, and what is left of its room."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._members = _MEMBERS

    def unpack(self, archive: Path, into: Path, inner: bool = False) -> list[str]:
        left_out: list[str] = []
        try:
            with _opened(str(archive)) as file:
                for name, content in _zip_members(file) if zipfile.is_zipfile(file) else _tar_members(file):
                    self._members -= 1
                    if self._members < 0:
                        raise IntakeError(f"holds more than {_MEMBERS:,} files")
                    if told := self._unpack_one(name, content, into):
                        left_out.append(_sentence(f"{archive.name}: {name}", told))
        except Exception as error:  # whatever hostile bytes make the libraries do
            left_out.append(_sentence(archive.name, _reason(error)))
        if not inner:
            for found in [path for path in sorted(into.rglob("*")) if path.is_file() and _ARCHIVE.fullmatch(path.name)]:
                left_out += self.unpack(found, _own_folder(found), inner=True)
                found.unlink()
        return left_out

    def _unpack_one(self, name: str, content: Any, into: Path) -> str:
        """Write one member. Returns why it was left out, or "". Raises IntakeError if there is no going on."""
        if isinstance(content, str):
            return content
        pieces = name.replace("\\", "/").split("/")
        if fault := next(filter(None, map(_piece_fault, pieces)), ""):
            return fault
        target = into.joinpath(*pieces)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with content() as source, open(target, "xb") as copy:
                written = 0
                while data := source.read(2**16):
                    written += len(data)
                    self._room -= len(data)
                    if written > LARGEST:
                        raise IntakeError(_too_large(LARGEST))
                    if self._room < 0:
                        raise _Full("holds far more than an archive of its size should")
                    copy.write(data)
        except FileExistsError:
            return "it is in the archive twice"
        except _Full:
            target.unlink(missing_ok=True)
            raise
        except Exception as error:  # a wrong checksum, a password, an unknown method, and what else there may be
            target.unlink(missing_ok=True)
            return _reason(error)
        return ""


class _Full(IntakeError):
    """There is no room for any more."""


def _zip_members(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """(name, how to open it or why it can't be taken) of each file."""
    file.seek(0)
    if sum(block.count(_ZIP_ENTRY) for block in iter(lambda: file.read(2**20), b"")) > 2 * _MEMBERS:
        raise IntakeError(f"holds more than {_MEMBERS:,} files")  # each takes a hundred times its bytes in memory
    archive = zipfile.ZipFile(file)
    for member in archive.infolist():
        if member.is_dir():
            continue
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            yield member.filename, _kind(kind)
        elif member.file_size > LARGEST:
            yield member.filename, _too_large(LARGEST)
        else:
            yield member.filename, lambda member=member: archive.open(member)


def _tar_members(file: IO[bytes]) -> Iterator[tuple[str, Any]]:
    """The same of a tar archive, which may be compressed with gzip."""
    file.seek(0)
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    content: Any = _Counted(gzip.GzipFile(fileobj=file) if zipped else file, _TAR)
    try:
        archive = tarfile.TarFile(fileobj=content)
    except tarfile.ReadError:
        raise IntakeError("is no zip or tar archive") from None
    for member in archive:
        if member.isdir():
            continue
        if not member.isreg():
            yield member.name, _kind(stat.S_IFLNK if member.issym() or member.islnk() else 0)
        else:
            yield member.name, lambda member=member: archive.extractfile(member)


class _Counted:
    """A file of which no more than `room` bytes are read or passed over."""

    def __init__(self, file: Any, room: int) -> None:
        self._file = file
        self._room = room

    def read(self, size: int = -1) -> bytes:
        self._must_be_within(self._file.tell() + size if size >= 0 else self._room + 1)
        return bytes(self._file.read(size))

    def seek(self, place: int) -> int:
        self._must_be_within(place)
        return int(self._file.seek(place))

    def _must_be_within(self, place: int) -> None:
        if place > self._room:
            raise IntakeError(f"holds more than the {self._room // 2**20} MB that a tar archive may: send a zip")

    def tell(self) -> int:
        return int(self._file.tell())


def _below(folder: Path) -> Iterator[tuple[str, IO[bytes] | str]]:
    """Everything below a folder but folders: an open plain file, or why it is none. No link is followed on the way."""
    room, count = _TOTAL, 0
    waiting = [("", os.open(folder, os.O_RDONLY | os.O_DIRECTORY))]
    try:
        while waiting:
            place, descriptor = waiting.pop()
            try:
                for name in sorted(os.listdir(descriptor)):
                    inside = f"{place}{name}"
                    try:
                        if fault := _piece_fault(name):
                            raise IntakeError(fault)
                        if stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                            if inside.count("/") >= _DEPTH:
                                raise IntakeError(f"lies more than {_DEPTH} folders deep")
                            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                            waiting.append((f"{inside}/", os.open(name, flags, dir_fd=descriptor)))
                            continue
                        count += 1
                        if count > _FILES:
                            raise IntakeError(f"comes after {_FILES:,} others")
                        with _opened(name, descriptor) as file:
                            size = _size(file, LARGEST)
                            if size > room:
                                raise IntakeError(f"would make more than {_TOTAL // 2**20} MB of all files together")
                            room -= size
                            yield inside, file
                    except (IntakeError, OSError) as error:  # of what it is, or of who may read it
                        yield inside, _reason(error)
            finally:
                os.close(descriptor)
    finally:
        for _, descriptor in waiting:
            os.close(descriptor)


@contextlib.contextmanager
def _opened(path: str, folder: int | None = None) -> Iterator[IO[bytes]]:
    """Open a plain file; IntakeError if it is none. A pipe that nobody writes to does not hold anybody up."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise IntakeError(_kind(stat.S_IFLNK)) from None
        raise
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        raise IntakeError(_kind(kind))
    with open(descriptor, "rb") as file:
        yield file


def _size(file: IO[bytes], largest: int) -> int:
    """The size of an open file. Raises IntakeError if it is too large."""
    size = os.fstat(file.fileno()).st_size
    if size > largest:
        raise IntakeError(_too_large(largest))
    return size


def _kind(mode: int) -> str:
    names = {stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return f"is {names.get(stat.S_IFMT(mode), 'a device')}, and no file"


def _too_large(largest: int) -> str:
    return f"is larger than {largest / 2**20:.0f} MB"


def _piece_fault(piece: str) -> str:
    """Why a part of a path can't be used as it is."""
    if piece in ("", ".", ".."):
        return "has a path that leads out"
    if not piece.isprintable() or "/" in piece:
        return "has a name with control characters"
    return "has too long a name" if len(piece.encode(errors="replace")) > _LONGEST_NAME else ""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"can't be read ({error.strerror or type(error).__name__})"
    told = str(error).strip() or type(error).__name__
    return told if isinstance(error, IntakeError) else f"can't be unpacked ({told})"


def _shown(name: str) -> str:
    text = safe_text(name.encode(errors="replace").decode()).replace("\n", " ").replace("\t", " ")
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _sentence(place: str, told: str) -> str:
    return f"{_shown(place)} {told}: left out"
