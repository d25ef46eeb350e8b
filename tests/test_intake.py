"""What students hand in is taken in as plain files, or left out with a sentence. Real archives, links, pipes."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import grader.intake
from grader.intake import IntakeError, collect, plain_files, read_plain, student_fault, take


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    """A submission with a notebook, a file in a folder, and everything in it that is no plain file."""
    outside = tmp_path / "gradebook.db"
    outside.write_text("everybody's scores")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "theirs.ipynb").write_text("theirs")
    folder = tmp_path / "submission"
    (folder / "data").mkdir(parents=True)
    (folder / "mine.ipynb").write_text("mine")
    (folder / "data" / "x.csv").write_text("1,2")
    (folder / "feedback.html").symlink_to(outside)
    (folder / "endless").symlink_to("/dev/zero")
    (folder / "nowhere").symlink_to("nowhere")
    (folder / "elsewhere").symlink_to(tmp_path / "others")
    os.mkfifo(folder / "pipe")
    (folder / "a\nb\x1b[31m").write_text("a name that speaks to a terminal")
    return folder


LEFT_OUT = [
    "'a b[31m' has a name with control characters: left out",
    "'elsewhere' is a link, and no file: left out",
    "'endless' is a link, and no file: left out",
    "'feedback.html' is a link, and no file: left out",
    "'nowhere' is a link, and no file: left out",
    "'pipe' is a pipe, and no file: left out",
]


def below(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


# Folders


def test_only_plain_files_are_found_and_each_other_thing_is_named(submission: Path) -> None:
    files, left_out = plain_files(submission)
    assert files == [submission / "data" / "x.csv", submission / "mine.ipynb"]
    assert left_out == LEFT_OUT


def test_only_plain_files_are_copied(submission: Path, tmp_path: Path) -> None:
    assert take(submission, tmp_path / "copy") == LEFT_OUT
    assert below(tmp_path / "copy") == {"mine.ipynb": "mine", "data/x.csv": "1,2"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_not_read(tmp_path: Path) -> None:
    os.mknod(tmp_path / "zeros", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    with pytest.raises(IntakeError, match="is a device, and no file"):
        read_plain(tmp_path / "zeros")


@pytest.mark.parametrize("name", ["feedback.html", "endless", "nowhere", "pipe", "data"])
def test_what_is_no_plain_file_is_not_read(submission: Path, name: str) -> None:
    with pytest.raises(IntakeError, match=r"is a (link|pipe|folder), and no file"):
        read_plain(submission / name)


def test_a_file_that_is_missing_is_an_ordinary_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "missing")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as large:
        large.truncate(grader.intake.LARGEST + 1)
    with pytest.raises(IntakeError, match="is larger than 100 MB"):
        read_plain(tmp_path / "large")


def test_files_are_bounded_together_in_size_number_and_depth(tmp_path: Path) -> None:
    for number in range(3):
        with open(tmp_path / f"large{number}", "wb") as large:
            large.truncate(grader.intake.LARGEST - number)
    files, left_out = plain_files(tmp_path)
    assert [file.name for file in files] == ["large0", "large1"]
    assert left_out == ["'large2' would make more than 200 MB of all files together: left out"]

    many = tmp_path / "many"
    many.mkdir()
    for number in range(1100):
        (many / f"{number:04}").touch()
    files, left_out = plain_files(many)
    assert (len(files), len(left_out)) == (1000, 100)

    deep = tmp_path / "deep"
    (deep / "/".join("d" * 30)).mkdir(parents=True)
    assert plain_files(deep)[1] == [f"'{'/'.join('d' * 21)}' lies more than 20 folders deep: left out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_its_owner_has_closed_costs_only_itself(submission: Path) -> None:
    (submission / "data").chmod(0)
    files, left_out = plain_files(submission)
    (submission / "data").chmod(0o755)
    assert files == [submission / "mine.ipynb"]
    assert "'data' can't be read (Permission denied): left out" in left_out


# Downloads


def zipped(path: Path, files: dict[str, bytes], **members: zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for content, info in members.items():
            archive.writestr(info, content)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, **files: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content.encode()))
        for info in members:
            archive.addfile(info)
    return path


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_an_archive_is_unpacked_into_a_folder_of_its_own_name(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"b.ipynb": b"b"}).read_bytes()
    archive = zipped(tmp_path / "all.zip", {"a.ipynb": b"a", "student01/work.zip": inner, "empty/": b""})
    assert collect(archive, tmp_path / "out") == []
    assert below(tmp_path / "out") == {"all/a.ipynb": "a", "all/student01/work/b.ipynb": "b"}


def test_a_tar_archive_is_unpacked(tmp_path: Path) -> None:
    assert collect(tarred(tmp_path / "work.tar.gz", a="1", b="2"), tmp_path / "out") == []
    assert below(tmp_path / "out") == {"work/a": "1", "work/b": "2"}


def test_a_file_that_is_no_archive_is_copied(submission: Path, tmp_path: Path) -> None:
    assert collect(submission / "mine.ipynb", tmp_path / "out") == []
    assert collect(submission / "feedback.html", tmp_path / "out") == [
        "'feedback.html' is a link, and no file: left out"
    ]
    assert below(tmp_path / "out") == {"mine.ipynb": "mine"}


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "..\\out.txt", "C:/../../out.txt", "a//b", "./a", "a/./b"],
)
def test_paths_that_lead_out_are_left_out(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "evil.zip", {name: b"out", "good.txt": b"good"})
    told = collect(archive, tmp_path / "deep" / "out")
    assert len(told) == 1 and "has a path that leads out: left out" in told[0]
    assert below(tmp_path / "deep") == {"out/evil/good.txt": "good"}


def test_links_and_devices_in_archives_are_left_out(tmp_path: Path) -> None:
    symlink = zipfile.ZipInfo("link")
    symlink.external_attr = (stat.S_IFLNK | 0o777) << 16
    told = collect(zipped(tmp_path / "links.zip", {"good": b"good"}, **{"/etc/passwd": symlink}), tmp_path / "out")
    assert told == ["'links.zip: link' is a link, and no file: left out"]

    archive = tarred(
        tmp_path / "links.tgz",
        link("soft", "/etc/passwd"),
        link("hard", "good", tarfile.LNKTYPE),
        link("zeros", "", tarfile.CHRTYPE),
        link("pipe", "", tarfile.FIFOTYPE),
        good="good",
    )
    told = collect(archive, tmp_path / "out2")
    assert [line.partition("' ")[0].partition(": ")[2] for line in told] == ["soft", "hard", "zeros", "pipe"]
    assert below(tmp_path / "out2") == {"links/good": "good"}


def test_a_name_that_speaks_to_a_terminal_is_left_out_and_told_without_it(tmp_path: Path) -> None:
    told = collect(zipped(tmp_path / "evil.zip", {"a\x1b]0;owned\x07\n": b""}), tmp_path / "out")
    assert told == ["'evil.zip: a]0;owned ' has a name with control characters: left out"]


def test_a_member_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        archive.writestr("a", "first")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", "second")
    assert collect(tmp_path / "twice.zip", tmp_path / "out") == ["'twice.zip: a' it is in the archive twice: left out"]
    assert below(tmp_path / "out") == {"twice/a": "first"}


def test_a_member_that_swells_beyond_what_a_file_may_have_is_left_out(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "bomb.zip", {"zeros": bytes(grader.intake.LARGEST + 1), "good": b"good"})
    assert archive.stat().st_size < 2**20
    assert collect(archive, tmp_path / "out") == ["'bomb.zip: zeros' is larger than 100 MB: left out"]
    assert below(tmp_path / "out") == {"bomb/good": "good"}


def lying_about_its_size(tmp_path: Path) -> Path:
    """The central directory says one byte."""
    archive = zipped(tmp_path / "bomb.zip", {"zeros": bytes(3 * 2**20)})
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (1).to_bytes(4, "little")
    archive.write_bytes(data)
    return archive


def overlapping(tmp_path: Path) -> Path:
    """Every entry of the central directory names the same compressed bytes."""
    archive = zipped(tmp_path / "bomb.zip", {"zeros00": bytes(2**20)})
    data = archive.read_bytes()
    start, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"zeros00", f"zeros{n:02}".encode()) for n in range(40))
    tail = bytearray(data[end:])
    tail[8:12] = (40).to_bytes(2, "little") * 2
    tail[12:16] = len(entries).to_bytes(4, "little")
    archive.write_bytes(data[:start] + entries + bytes(tail))
    return archive


def nested(tmp_path: Path) -> Path:
    inner = zipped(tmp_path / "inner.zip", {f"{n}": bytes(2**20) for n in range(8)}).read_bytes()
    return zipped(tmp_path / "bomb.zip", {f"{n}.zip": inner for n in range(8)})


@pytest.mark.parametrize("bomb", [lying_about_its_size, overlapping, nested])
def test_a_bomb_never_writes_more_than_an_archive_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[Path], Path]
) -> None:
    archive = bomb(tmp_path)
    monkeypatch.setattr(grader.intake, "_ALWAYS", 2**21)
    monkeypatch.setattr(grader.intake, "_SWELLS", 1)
    told = collect(archive, tmp_path / "out")
    assert told
    assert sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file()) <= 2**21


def test_a_tar_archive_of_an_endless_header_is_not_read_to_its_end(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 2**32
    with gzip.open(tmp_path / "bomb.tar.gz", "wb") as file:
        file.write(info.tobuf() + bytes(2**20))
    told = collect(tmp_path / "bomb.tar.gz", tmp_path / "out")
    assert told == ["'bomb.tar.gz' holds more than the 200 MB that a tar archive may: send a zip: left out"]


def test_an_archive_of_too_many_files_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader.intake, "_MEMBERS", 10)
    told = collect(zipped(tmp_path / "many.zip", {str(n): b"" for n in range(21)}), tmp_path / "out")
    assert told == ["'many.zip' holds more than 10 files: left out"]


def test_a_locked_archive_says_so(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "locked.zip", {"a": b"secret"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    told = collect(archive, tmp_path / "out")
    assert len(told) == 1 and "password required" in told[0]


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive", gzip.compress(b"no tar", mtime=0), zlib.compress(b"x")])
def test_what_is_no_archive_says_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    assert collect(tmp_path / "x.zip", tmp_path / "out") == ["'x.zip' is no zip or tar archive: left out"]


@given(place=st.integers(0, 400), value=st.integers(0, 255), tar=st.booleans())
@settings(deadline=None, max_examples=200)
def test_no_broken_archive_breaks_the_rest(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, tar: bool
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    archive = tarred(folder / "x.tar.gz", a="1") if tar else zipped(folder / "x.zip", {"a": b"1", "d/b": b"2" * 99})
    data = bytearray(archive.read_bytes())
    data[place % len(data)] = value
    archive.write_bytes(data)
    collect(archive, folder / "out")
    assert all(
        path.is_relative_to(folder / "out") for path in folder.rglob("*") if path not in (archive, folder / "out")
    )


# Names


@pytest.mark.parametrize(
    "name", ["student01", "4711", "Jane Doe", "O'Brien", "müller, jörg", "李", "a.b+c@uni.example", "x", "R2-D2 (late)"]
)
def test_people_have_many_kinds_of_names(name: str) -> None:
    assert student_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/b", "a\\b", "*", "student[0-9]", "{0}", "$(reboot)", "`id`", "a;b", "a|b", "a&b"),
        *("-rf", ".hidden", " a", "a ", "a\nb", "a\x1b[31m", "a\u202eb", "\ud800", "x" * 101, "<script>", 'a"b'),
    ],
)
def test_a_name_that_could_be_a_path_a_pattern_or_a_command_is_none(name: str) -> None:
    told = student_fault(name)
    assert "is no name for a student" in told
    assert told.isprintable()
