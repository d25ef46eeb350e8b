"""What a student's process uses, looked at from outside: time, memory, threads, and files, hidden ones included."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
import time
from pathlib import Path

from grader.confine import MEBIBYTE, Limits

THREADS = 256
FILES = 10_000
# All its files together, in largest files.
DISK = 8


class Watch:
    """Looks at one process, whose files are in `scratch`. It starts before any student code runs."""

    def __init__(self, pid: int, scratch: Path, limits: Limits) -> None:
        self._pid = pid
        self._scratch = scratch
        self._memory = 1.25 * limits.memory_mb * MEBIBYTE  # a little more than it may have: its own limit comes first
        self._file = limits.file_mb * MEBIBYTE
        self._base, _ = _usage(pid)

    def excess(self) -> str:
        """What the process uses too much of: "memory", "threads", "disk", or "" for nothing."""
        resident, threads = _usage(self._pid)
        if resident - self._base > self._memory:
            return "memory"
        if threads > THREADS:
            return "threads"
        room = DISK * self._file
        return "disk" if _overfull(self._scratch, room - self._hidden()) else ""

    def _hidden(self) -> int:
        """Bytes on disk in files that have no name any more, but are open or mapped.

        Where the kernel lets nobody look (root in a container that lacks CAP_SYS_PTRACE), none are seen.
        """
        found: dict[tuple[int, int], int] = {}
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(f"/proc/{self._pid}/fd"):
                with contextlib.suppress(OSError):
                    facts = os.stat(descriptor.path)
                    if stat.S_ISREG(facts.st_mode) and not facts.st_nlink:
                        found[facts.st_dev, facts.st_ino] = facts.st_blocks * 512
            for line in Path(f"/proc/{self._pid}/maps").read_text(errors="replace").splitlines():
                fields = line.split(None, 5)
                if line.endswith(" (deleted)") and fields[5].startswith(f"{self._scratch}/"):
                    major, _, minor = fields[3].partition(":")
                    # A mapped file's size can't be seen: it may be as large as a file can be.
                    found.setdefault((os.makedev(int(major, 16), int(minor, 16)), int(fields[4])), self._file)
        return sum(found.values())


def computed(pid: int) -> float:
    """Seconds that all threads of a process have computed, the kernel's work for it included.

    0 where the system does not tell: only the clock limits it there.
    """
    try:
        # What clock_getcpuclockid(3) gives: Python offers the clocks of threads only.
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def _usage(pid: int) -> tuple[int, int]:
    """Resident memory of a process in bytes, and its threads; 0 when it has ended."""
    try:
        facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(facts[21]) * resource.getpagesize(), int(facts[17])
    except (OSError, IndexError, ValueError):
        return 0, 0


def _overfull(folder: Path, room: int) -> bool:
    """Whether a folder holds more than `room` bytes or too many files, or hides what it holds."""
    waiting, count = [str(folder)], 0
    while waiting and room >= 0:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    with contextlib.suppress(FileNotFoundError):
                        room -= entry.stat(follow_symlinks=False).st_blocks * 512
                    if room < 0 or count > FILES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue  # it was removed just now
        except OSError:
            return True  # too deep for a path, or without permission to look
    return room < 0
