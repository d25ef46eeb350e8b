"""What a machine can enforce, and what happens where it can't: macOS, kernels without Landlock or seccomp, old ones."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import landlockpy
import pytest
import tiny_course

import grader.child
import grader.protections
from grader.checks import HiddenTests
from grader.confine import ConfinementError
from grader.job import Job
from grader.material import Material
from grader.protections import Protection, protections
from grader.sandbox import Sandbox, SandboxError
from grader.wire import pack, receive

Patch = pytest.MonkeyPatch


def on_macos(patch: Patch) -> None:
    patch.setattr(grader.protections.sys, "platform", "darwin")


def without_landlock(patch: Patch) -> None:
    patch.setattr(landlockpy, "abi_version", lambda: 0)


def with_an_old_landlock(patch: Patch) -> None:
    patch.setattr(landlockpy, "abi_version", lambda: 2)


def without_landlockpy(patch: Patch) -> None:
    patch.setitem(sys.modules, "landlockpy", None)


def without_libseccomp(patch: Patch) -> None:
    patch.setitem(sys.modules, "pyseccomp", None)


def without_proc(patch: Patch) -> None:
    patch.setattr(grader.protections.os.path, "exists", lambda path: False)


def without_memory_limits(patch: Patch) -> None:
    patch.delattr(grader.protections.resource, "RLIMIT_AS")


FILES = {"reads Python and its libraries only", "writes in its own folder only"}
SHARED = "leaves no shared memory, queue or semaphore"
CALLS = {
    "reaches no network",
    "starts no process or program",
    "reads and signals no other process",
    "mounts nothing, and calls nothing that changes the machine",
    SHARED,
}
BOUNDS = {"has bounded memory", "has bounded files, threads and open files"}
MACHINES: list[tuple[Callable[[Patch], None], set[str], str, str]] = [
    (without_landlock, {*FILES, SHARED}, "the kernel does not offer Landlock", "Use Linux 6.2 or newer"),
    (with_an_old_landlock, {*FILES, SHARED}, "offers Landlock ABI 2, and 3 is needed", "Use Linux 6.2 or newer"),
    (without_landlockpy, {*FILES, SHARED}, "landlockpy is not installed", "pip install landlockpy"),
    (without_libseccomp, CALLS, "import of pyseccomp halted", "apt-get install libseccomp2"),
    (without_proc, BOUNDS, "there is no /proc", "mount -t proc"),
    (without_memory_limits, {*BOUNDS, "has bounded time"}, "no limit for a process's memory", "Grade on Linux"),
]


def missing() -> dict[str, Protection]:
    return {one.name: one for one in protections() if not one.enforced}


def test_this_machine_enforces_everything() -> None:
    assert missing() == {}


@pytest.mark.parametrize(("lacking", "names", "why", "remedy"), MACHINES, ids=[one[0].__name__ for one in MACHINES])
def test_what_is_missing_is_named_with_its_reason_and_remedy_and_nothing_is_graded(
    monkeypatch: Patch, tiny: Material, lacking: Callable[[Patch], None], names: set[str], why: str, remedy: str
) -> None:
    with monkeypatch.context() as patch:
        lacking(patch)
        found = missing()
        with pytest.raises(SandboxError) as refused:
            Sandbox().start()
    assert found.keys() == names
    assert all(why in one.detail and remedy in one.remedy for one in found.values())
    assert why in str(refused.value) and remedy in str(refused.value)
    assert str(refused.value).count(why) == 1, "said once, whatever rests on it"


def test_on_macos_nothing_is_enforced_but_limits_and_nothing_is_graded(monkeypatch: Patch) -> None:
    with monkeypatch.context() as patch:
        on_macos(patch)
        found = missing()
        with pytest.raises(SandboxError, match=r"Grade on Linux 6\.2 or newer"):
            Sandbox().start()
    assert {*FILES, *CALLS, "has no privileges", "ends with the grader"} == found.keys()


def test_sandbox_off_grades_where_nothing_can_be_enforced(tmp_path: Path, monkeypatch: Patch) -> None:
    """The machine looks like macOS to the grader, which has to be told off in so many words."""
    from grader.grade import UNCONFINED, grade

    root = tiny_course.write(tmp_path, course=tiny_course.COURSE + "sandbox: off\n")
    material = tiny_course.material(root)
    monkeypatch.setattr(grader.protections.sys, "platform", "darwin")
    with Sandbox(confined=material.course.sandbox == "on") as sandbox:
        report = grade(tiny_course.submission(), material, sandbox)
    assert report.score == 105
    assert report.notes == (UNCONFINED,)


def test_a_process_that_can_not_be_confined_runs_no_student_code(tmp_path: Path, monkeypatch: Patch) -> None:
    """The kernel may refuse what it has promised."""
    ran = []

    def refuses(*_: object) -> None:
        raise ConfinementError("the kernel has changed its mind")

    monkeypatch.setattr(grader.child, "confine", refuses)
    monkeypatch.setattr(grader.child, "only_descriptors", lambda *kept: None)
    monkeypatch.setattr(grader.child.sys, "path", list(sys.path))
    monkeypatch.setattr(grader.child.os, "environ", dict(os.environ))
    monkeypatch.setattr(grader.child.Child, "_run_cells", lambda *_: ran.append("cells"))
    monkeypatch.chdir(tmp_path)
    ours, theirs = socket.socketpair()
    bell, _ = socket.socketpair()
    with ours, theirs, bell:
        job = Job(("1 / 0",), (), tiny_course.material(tiny_course.write(tmp_path)).limits, scratch=str(tmp_path))
        ours.sendall(pack(job.message()))
        grader.child.Child(HiddenTests(tmp_path, {}), {}, None, None).run(theirs, bell)  # type: ignore[arg-type]
        assert receive(ours) == ["refused", "the kernel has changed its mind"]
    assert ran == []


OLD_KERNEL = """
import landlockpy, landlockpy._syscall, landlockpy.ruleset, os, socket, sys
from pathlib import Path
landlockpy._syscall.abi_version = landlockpy.abi_version = lambda: 3
from grader.confine import Limits, confine, prepare
prepare()
import tempfile
scratch = Path(tempfile.mkdtemp())
os.chdir(scratch)
pid = os.fork()
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
confine(scratch, Limits(9, 9, 9, 2048, 9, 9))
refused = 0
for attempt in (
    lambda: os.kill(os.getppid(), 0),
    lambda: socket.create_connection(("127.0.0.1", int(sys.argv[1]))),
    lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[2]),
    lambda: os.truncate(sys.argv[3], 0),
    lambda: open(sys.argv[3]).read(),
):
    try:
        attempt()
    except OSError:
        refused += 1
open("mine", "w").write("my own folder is mine")
os._exit(0 if refused == 5 else refused + 10)
"""


def test_what_an_older_kernel_s_landlock_lacks_is_refused_by_seccomp(tmp_path: Path) -> None:
    """ABI 3, of Linux 6.2, knows nothing of the network, signals and abstract sockets."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        name = f"\0grader-test-{os.getpid()}"
        abstract.bind(name)
        abstract.listen()
        arguments = [str(tcp.getsockname()[1]), "@", str(secret)]
        code = textwrap.dedent(OLD_KERNEL).replace("sys.argv[2]", repr(name))
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert secret.read_text() == "secret"
