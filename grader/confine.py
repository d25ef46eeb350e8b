"""Holds a student's process in: no privileges, Landlock, seccomp and resource limits, applied by itself to itself.

Called in the forked child before the first byte of student code. None of it needs root, and none can be undone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import stat
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from grader import seccomp

MEBIBYTE = 2**20

_READABLE = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/usr/share/fonts",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")

_PDEATHSIG, _CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS, _AMBIENT, _SECCOMP = 1, 24, 28, 38, 47, 22
_FIRST_UID = 0x70000000  # to 0x7FFFFFFF: given to nobody else
_TASKS = 256
_STACK = 8 * MEBIBYTE


class ConfinementError(RuntimeError):
    """A protection can't be enforced here: the message says which, and how to mend it."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds are of computing, by all threads together; sizes in MiB and KiB."""

    cell_seconds: float
    check_seconds: float
    submission_seconds: float
    memory_mb: int
    output_kb: int
    file_mb: int


def patience(seconds: float) -> float:
    """How long on the clock somebody may wait who may compute for `seconds`."""
    return 4 * seconds + 2


def waits(took: float, computed: float) -> bool:
    """Whether what took so many seconds on the clock waited most of them, rather than found the machine busy."""
    return computed < took / 50


@cache
def readable_paths() -> list[Path]:
    """What a student's process may read: Python, its libraries, fonts, and a few facts about the machine."""
    python = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    found = {Path(path).resolve() for path in (*python, *_READABLE) if os.path.exists(path)}
    return sorted(path for path in found if not any(other != path and path.is_relative_to(other) for other in found))


def prepare() -> None:
    """Find out once, in the process that all are forked from, what each of them needs."""
    readable_paths()
    if sys.platform == "linux":
        open_to_all()
        # Without it there is no confined process; `sandbox: off` works still.
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            import landlockpy

            landlockpy.abi_version()  # its first call looks for the C library, in a process of its own
            seccomp.prepared()


@cache
def open_to_all() -> bool:
    """Whether every user of this machine may read what a submission has to: only then it can have a uid of its own."""
    libraries = tuple(f"{path}/" for path in readable_paths())
    modules = {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}
    files = {*readable_paths(), *(Path(file) for file in modules if file.startswith(libraries))}
    folders = {folder for file in files for folder in file.parents}
    return all(_open_to_all(folder, stat.S_IXOTH) for folder in folders) and all(
        _open_to_all(file, stat.S_IROTH) for file in files
    )


def _open_to_all(path: Path, mode: int) -> bool:
    try:
        return bool(path.stat().st_mode & mode)
    except OSError:
        return True  # what is not there needs no permission


def confine(scratch: Path, limits: Limits) -> None:
    """Hold this process in, for good: it reads Python's libraries, writes `scratch`, and talks on open channels only.

    Raises ConfinementError if any part fails; the caller must then exit.
    """
    try:
        _set_rlimits(limits)
        _drop_privileges(scratch)
        _apply_landlock(scratch)
        _apply_seccomp()
    except ConfinementError:
        raise
    except Exception as error:
        raise ConfinementError(
            f"the sandbox can't be enforced ({type(error).__name__}: {error}). Run: grader doctor"
        ) from error


def only_descriptors(*kept: int) -> None:
    """Close every open file but those kept; standard input, output and error lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    # Linux closes a range at once, up to the largest number there is; elsewhere each is tried.
    last = 2**31 - 1 if sys.platform == "linux" else 2**16
    for before, after in pairwise((2, *sorted(kept), last)):
        os.closerange(before + 1, after)


def _set_rlimits(limits: Limits) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    address_space = pages * resource.getpagesize() + limits.memory_mb * MEBIBYTE
    seconds = int(limits.submission_seconds) + 60  # the grader stops it before, unless that has ended
    for kind, limit in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_STACK, _STACK),  # the same depth for everybody, whatever the grader's shell allows
        (resource.RLIMIT_FSIZE, limits.file_mb * MEBIBYTE),
        (resource.RLIMIT_CORE, 1),  # not 0: a program that collects crashes would be started nevertheless
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CPU, seconds),
    ):
        most = resource.getrlimit(kind)[1]
        limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (limit, limit))
    # Python ignores SIGXFSZ already: writing past the limit raises OSError, and costs that cell only.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _apply_landlock(scratch: Path) -> None:
    from landlockpy import AccessFS, Ruleset, Scope

    read = AccessFS.READ_FILE | AccessFS.READ_DIR | AccessFS.EXECUTE  # EXECUTE: shared libraries map as such
    with Ruleset(scoped=Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET) as ruleset:
        for path in readable_paths():
            ruleset.allow_path(path, read if path.is_dir() else AccessFS.READ_FILE)
        for device in _DEVICES:
            ruleset.allow_path(device, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
        special = AccessFS.MAKE_CHAR | AccessFS.MAKE_BLOCK | AccessFS.MAKE_SOCK | AccessFS.EXECUTE
        ruleset.allow_path(scratch, ruleset.handled_fs & ~special)
        ruleset.restrict()


def _drop_privileges(scratch: Path) -> None:
    """Give up every capability for good, and root's uid where the libraries can be read without it."""
    if sys.platform != "linux":
        raise ConfinementError(f"{sys.platform} has no capabilities to drop")
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        libc.prctl(_AMBIENT, 4, 0, 0, 0)
        capability = 0
        while libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) == 0:
            capability += 1
        libc.prctl(_SECUREBITS, 0xEF, 0, 0, 0)  # uid 0 means nothing any more, and that is locked
        if open_to_all() and all(_open_to_all(folder, stat.S_IXOTH) for folder in scratch.parents):
            _become(_FIRST_UID + os.getpid(), scratch)
            libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # another uid forgets it
    # Version 3 of the header; effective, permitted and inheritable, each in two parts.
    header, capabilities = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, capabilities) or libc.capget(header, capabilities) or any(capabilities):
        raise ConfinementError("the capabilities of root can't be dropped. Run: grader doctor")


def _become(uid: int, scratch: Path) -> None:
    """Become a user that nobody else is, with `scratch` as its own. Stay who we are in a container that has none."""
    with contextlib.suppress(OSError):
        os.chown(scratch, uid, uid)
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            resource.setrlimit(resource.RLIMIT_NPROC, (_TASKS, _TASKS))
            os.setresuid(uid, uid, uid)
        except OSError:
            os.chown(scratch, os.getuid(), -1)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def _apply_seccomp() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    program = seccomp.program_for(os.getpid())
    seccomp_filter = _Filter(len(program) // 8, program)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SECCOMP, 2, ctypes.byref(seccomp_filter), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not take the filter of system calls")
