"""What a student's process uses, looked at from outside: time, memory, threads, and files, hidden ones included.

All of it is the kernel's word: nothing that the process says or writes is in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from pathlib import Path

from grader.confine import MEBIBYTE, Limits
from grader.report import Usage

THREADS = 256
FILES = 10_000
# All its files together, in largest files.
DISK = 8
_FACTS = re.compile(r"^(VmPeak|VmSize|VmRSS|Threads):\s*(\d+)", re.MULTILINE)


class Watch:
    """Looks at one process, whose files are in `scratch`. It starts before any student code runs."""

    def __init__(self, pid: int, scratch: Path, limits: Limits) -> None:
        self._pid = pid
        self._scratch = scratch
        self._memory = 1.25 * limits.memory_mb * MEBIBYTE  # a little more than it may have: its own limit comes first
        self._file = limits.file_mb * MEBIBYTE
        self._base = self._last = _facts(pid)

    def excess(self) -> str:
        """What the process uses too much of: "memory", "threads", "disk", or "" for nothing."""
        facts = self._look()
        if facts.get("VmRSS", 0) - self._base.get("VmRSS", 0) > self._memory / 1024:
            return "memory"
        if facts.get("Threads", 0) > THREADS:
            return "threads"
        room = DISK * self._file
        return "disk" if _overfull(self._scratch, room - self._hidden()) else ""

    def usage(self) -> Usage:
        """What the process has used. Of one that ended itself, the memory is what it had when it was last looked at."""
        self._look()
        # Of address space, as its limit: what is resident is less, or more where it writes to what the server shares.
        asked = self._last.get("VmPeak", 0) - self._base.get("VmSize", 0)
        return Usage(seconds=round(computed(self._pid), 3), memory_mb=round(max(0, asked) / 1024, 1))

    def _look(self) -> dict[str, int]:
        facts = _facts(self._pid)
        if "VmPeak" in facts:  # an ended process has no memory any more
            self._last = facts
        return facts

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


def _facts(pid: int) -> dict[str, int]:
    """Memory of a process in KiB, and its threads: see proc_pid_status(5). Fewer of them when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return {}
    # Its name comes first, which the process may choose; the kernel escapes a newline in it.
    return {name: int(number) for name, number in _FACTS.findall(status)}


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
