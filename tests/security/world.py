"""What surrounds an attack: a course full of secrets, and everything that an attack could touch, watched."""

import contextlib
import os
import resource
import secrets
import select
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from ctypes import CDLL, c_int
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tiny_course
from attack import KNOWN

from grader.material import Material
from grader.sandbox import Execution, Sandbox

PLACES = "solution expected misconceptions alternatives course gradebook classmate environment process".split()
LIMITS = (
    ("cell_seconds: 5", "cell_seconds: 1"),
    ("check_seconds: 5", "check_seconds: 1"),
    ("memory_mb: 512", "memory_mb: 400"),
)
PUBLIC = ("/tmp", "/var/tmp", "/dev/shm")

# Holds a secret in its arguments, its environment and its memory, and waits.
OTHER = """
import ctypes, sys
held = [sys.argv[1] + str(i) for i in range(9999)]
ctypes.CDLL(None).prctl(0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER: where Yama guards it, it asks for no guard
print("ready", flush=True)
sys.stdin.read()
"""

SECRET_PROBLEM = '''
# {solution}
# %% problem="secret"
def secret() -> str:
    """What only the reference knows."""
    ### BEGIN SOLUTION
    return "{expected}"
    ### END SOLUTION


# %% tests="secret"
assert secret()
'''
SECRET_CHECK = '''

@check("secret", points=100, compare=exact(), hint="There is none.")
def what_nobody_knows(student, rng):
    """Only the reference's answer is right."""
    return student.secret()
'''


class RecordingSandbox(Sandbox):
    """Keeps what came back from each process, as it came."""

    def __init__(self, *, confined: bool = True) -> None:
        super().__init__(confined=confined)
        self.executions: list[Execution] = []

    def run(self, *arguments: Any, **named: Any) -> Execution:
        self.executions.append(super().run(*arguments, **named))
        return self.executions[-1]


class World:
    """A course whose every corner holds a canary, listening sockets, another process, and what they were like."""

    def __init__(self) -> None:
        self.mark = f"left-by-an-attack-{secrets.token_hex(8)}"
        self.key = secrets.randbelow(2**30) + 1
        self.canaries = {place: f"canary-{place}-{secrets.token_hex(16)}" for place in PLACES}
        # Everybody may enter: a submission that is confined by permissions alone would get in.
        self.folder = Path(tempfile.mkdtemp(prefix="grader-attacks-"))
        self.folder.chmod(0o755)
        self.course = self.folder / "course"
        self._write_course()
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self._sockets = self._listen()
        self._queue = CDLL(None).msgget(c_int(self.key + 1), c_int(0o1666))
        self._other = self._start_other()
        self.material: Material = tiny_course.material(self.course)
        self._sandboxes: list[Sandbox] = []
        self._before: dict[str, Any] = {}

    def _write_course(self) -> None:
        canaries = self.canaries
        course = tiny_course.COURSE
        for old, new in LIMITS:
            course = tiny_course.replaced(course, old, new)
        tiny_course.write(
            self.course,
            course=f"# {canaries['course']}\n{course}",
            solution=tiny_course.SOLUTION + SECRET_PROBLEM.format(**canaries),
            checks=tiny_course.CHECKS + SECRET_CHECK,
            misconceptions=f"{tiny_course.MISCONCEPTIONS}\n\nCANARY = '{canaries['misconceptions']}'\n",
            alternatives=f"{tiny_course.ALTERNATIVES}\n\nCANARY = '{canaries['alternatives']}'\n",
        )
        classmate = self.course / "submitted" / "student02" / "tiny" / "tiny.ipynb"
        classmate.parent.mkdir(parents=True)
        classmate.write_text(canaries["classmate"])
        with contextlib.closing(sqlite3.connect(self.course / "gradebook.db")) as gradebook, gradebook:
            gradebook.execute("CREATE TABLE grade (student, remark)")
            gradebook.execute("INSERT INTO grade VALUES ('student02', ?)", [canaries["gradebook"]])

    def _listen(self) -> dict[str, socket.socket]:
        def bound(family: int, kind: int, address: Any) -> socket.socket:
            made = socket.socket(family, kind)
            made.bind(address)
            if kind == socket.SOCK_STREAM:
                made.listen()
            return made

        return {
            "TCP": bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "UDP": bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "UNIX": bound(socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "stream")),
            "UNIX_DATAGRAMS": bound(socket.AF_UNIX, socket.SOCK_DGRAM, str(self.folder / "datagrams")),
            "ABSTRACT": bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.mark}-abstract"),
        }

    def _start_other(self) -> subprocess.Popen[bytes]:
        other = subprocess.Popen(
            [sys.executable, "-S", "-c", OTHER, self.canaries["process"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"TOKEN": self.canaries["environment"]},
        )
        assert other.stdout is not None
        other.stdout.readline()
        return other

    @property
    def known(self) -> str:
        """The cell in which an attacker learns where everything is."""
        facts: Mapping[str, Any] = {
            "COURSE": str(self.course),
            "SOLUTION": str(self.course / "solutions" / "tiny.py"),
            "CHECKS": str(self.course / "tests" / "hidden" / "tiny" / "checks.py"),
            "GRADEBOOK": str(self.course / "gradebook.db"),
            "GRADER": os.getpid(),
            "OTHER": self._other.pid,
            "MARK": self.mark,
            "KEY": self.key,
            "QUEUE": self._queue,
            **{
                name: made.getsockname()[1] if made.family == socket.AF_INET else made.getsockname()
                for name, made in self._sockets.items()
            },
        }
        return KNOWN + "\n".join(f"{name} = {value!r}" for name, value in facts.items())

    @contextlib.contextmanager
    def sandbox(self, *, confined: bool = True) -> Iterator[RecordingSandbox]:
        """A sandbox whose folders lie in this world."""
        was = os.environ.get("TMPDIR")
        os.environ["TMPDIR"], tempfile.tempdir = str(self.scratch), None
        try:
            with RecordingSandbox(confined=confined) as started:
                started.start()
                self._sandboxes.append(started)
                self.material.references(started)
                self.material.overlays(started)
                # Where another sandbox has made those already, this one's process for the assignment is yet to come.
                nothing = replace(self.material.job(()), runs=())
                started.run(nothing, self.material.tests.path, self.material.imports)
                self.settle()
                yield started
                self._sandboxes.remove(started)
        finally:
            os.environ.pop("TMPDIR")
            if was is not None:
                os.environ["TMPDIR"] = was
            tempfile.tempdir = None

    def changes(self) -> list[str]:
        """What is not as it was."""
        now = self._state()
        return [f"{name}: {was} -> {now[name]}" for name, was in self._before.items() if now[name] != was]

    def settle(self) -> None:
        """What is now is how it should stay."""
        self._before = self._state()

    def mend(self) -> None:
        """Undo what an attack did that nothing held back."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        for file in self._marked():
            Path(file).unlink()
        libc = CDLL(None)
        for get, control in ((libc.shmget, libc.shmctl), (libc.msgget, libc.msgctl)):
            control(get(c_int(self.key), *([c_int(0)] * (2 if get is libc.shmget else 1))), c_int(0), None)
        libc.semctl(libc.semget(c_int(self.key), c_int(0), c_int(0)), c_int(0), c_int(0))
        libc.msgctl(c_int(self._queue), c_int(0), None)
        self._queue = libc.msgget(c_int(self.key + 1), c_int(0o1666))
        self._stop_other()
        self._other = self._start_other()
        for made in self._sockets.values():
            if select.select([made], [], [], 0)[0]:
                if made.type == socket.SOCK_STREAM:
                    made.accept()[0].close()
                else:
                    made.recv(99)
        self.settle()

    def close(self) -> None:
        self._stop_other()
        for made in self._sockets.values():
            made.close()
        CDLL(None).msgctl(c_int(self._queue), c_int(0), None)
        shutil.rmtree(self.folder)

    def _stop_other(self) -> None:
        assert self._other.stdin is not None and self._other.stdout is not None
        self._other.kill()
        self._other.wait()
        self._other.stdin.close()
        self._other.stdout.close()

    def _state(self) -> dict[str, Any]:
        library = np.__file__
        assert library is not None
        servers = [server for sandbox in self._sandboxes for server in sandbox.servers]
        return {
            "files of the course": {str(file): _attributes(file) for file in sorted(self.course.rglob("*"))},
            "a library": _attributes(Path(library)),
            "files that stayed": self._marked(),
            "folders that stayed": sorted(path.name for path in self.scratch.iterdir()),
            "System V": self._system_v(),
            "processes": self._processes(),
            "another process": self._other.poll() if self._other.poll() is not None else _settings(self._other.pid),
            "the grader": _settings(os.getpid()),
            "the process that all are forked from": [_settings(server) for server in servers],
            "open files of the grader": len(os.listdir("/proc/self/fd")),
            "traffic": [name for name, made in self._sockets.items() if select.select([made], [], [], 0)[0]],
            "the machine's name": socket.gethostname(),
        }

    def _marked(self) -> list[str]:
        folders = [*PUBLIC, str(self.folder), str(self.course), os.getcwd(), sys.prefix]
        return [f"{folder}/{name}" for folder in folders for name in os.listdir(folder) if self.mark in name]

    def _system_v(self) -> list[list[str]]:
        found = []
        for kind in ("shm", "sem", "msg"):
            with contextlib.suppress(FileNotFoundError):
                lines = [line.split() for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()]
                found += [line[:5] for line in lines if line[0] in (str(self.key), str(self.key + 1))]
        return found

    def _processes(self) -> list[int]:
        """Processes that were forked or started in a sandbox. One that is just ending is waited for."""
        servers = {server for sandbox in self._sandboxes for server in sandbox.servers}
        while True:
            stayed, ended = [], 0
            for pid in {int(folder.name) for folder in Path("/proc").glob("[0-9]*")} - servers:
                with contextlib.suppress(OSError):
                    environment = Path(f"/proc/{pid}/environ").read_bytes()
                    if str(self.scratch).encode() in environment or self.mark.encode() in environment:
                        with open(os.pidfd_open(pid)) as process:
                            if select.select([process], [], [], 1)[0]:
                                ended += 1
                            else:
                                stayed.append(pid)
            if not ended:  # else it may have started another one meanwhile
                return sorted(stayed)


def _attributes(file: Path) -> tuple[int, ...]:
    found = file.lstat()
    return found.st_mode, found.st_uid, found.st_gid, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _settings(pid: int) -> list[Any]:
    limits = [resource.prlimit(pid, getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")]
    return [*limits, os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid), os.sched_getscheduler(pid)]
