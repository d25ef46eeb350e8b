"""What holds a student's process in: Landlock, seccomp and resource limits, applied by the process to itself.

Called in the forked child before the first byte of student code. None of it needs root, and none can be undone.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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

_DENIED = (
    "execve execveat fork vfork socket ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp mount umount2 "
    "move_mount open_tree fsopen fsmount fspick mount_setattr pivot_root chroot unshare setns keyctl add_key "
    "request_key bpf io_uring_setup io_uring_enter io_uring_register perf_event_open userfaultfd init_module "
    "finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl settimeofday "
    "clock_settime sethostname setdomainname shmget shmat shmctl msgget semget mq_open"
).split()

_CLONE_THREAD = 0x00010000
_AF_UNIX = 1


class ConfinementError(RuntimeError):
    """A protection can't be enforced here: the message says which, and how to mend it."""


@dataclass(frozen=True)
class Protection:
    """One thing that holds a submission in, and whether this machine enforces it."""

    name: str
    enforced: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Limits:
    """What one submission may use. Seconds are wall-clock; sizes in MiB and KiB."""

    cell_seconds: float
    check_seconds: float
    submission_seconds: float
    memory_mb: int
    output_kb: int
    file_mb: int


def protections() -> list[Protection]:
    """What this machine can enforce, found out without restricting this process."""
    return [_landlock(), _seccomp(), *_rlimits()]


def _landlock() -> Protection:
    name = "Landlock (files, network, signals)"
    if sys.platform != "linux":
        return Protection(name, False, f"{sys.platform} has no Landlock", "Grade on Linux 5.13 or newer.")
    try:
        import landlockpy
    except ImportError:
        return Protection(name, False, "landlockpy is not installed", "pip install landlockpy")
    version = landlockpy.abi_version()
    if version < 1:
        return Protection(
            name,
            False,
            "the kernel does not offer Landlock",
            "Use Linux 5.13 or newer, with landlock in the lsm= boot option (cat /sys/kernel/security/lsm).",
        )
    return Protection(name, True, f"ABI {version}")


def _seccomp() -> Protection:
    name = "seccomp (network, processes, kernel interfaces)"
    if sys.platform != "linux":
        return Protection(name, False, f"{sys.platform} has no seccomp", "Grade on Linux.")
    try:
        import pyseccomp  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return Protection(name, False, str(error), "apt-get install libseccomp2, then pip install pyseccomp")
    return Protection(name, True, "system calls are filtered")


def _rlimits() -> list[Protection]:
    enforced = hasattr(resource, "RLIMIT_AS")
    return [Protection("memory, file size and process limits", enforced, "resource limits of the kernel")]


@cache
def readable_paths() -> list[Path]:
    """What a student's process may read: Python, its libraries, fonts, and a few facts about the machine."""
    python = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    found = {Path(path).resolve() for path in (*python, *_READABLE) if os.path.exists(path)}
    return sorted(path for path in found if not any(other != path and path.is_relative_to(other) for other in found))


def confine(scratch: Path, limits: Limits) -> None:
    """Hold this process in, for good: it reads Python's libraries, writes `scratch`, and talks on open channels only.

    Raises ConfinementError if any part fails; the caller must then exit.
    """
    _set_rlimits(limits)
    try:
        _apply_landlock(scratch)
        _apply_seccomp()
    except ConfinementError:
        raise
    except Exception as error:
        raise ConfinementError(
            f"the sandbox can't be enforced ({type(error).__name__}: {error}). Run: grader doctor"
        ) from error


def only_descriptors(channel: int) -> None:
    """Close every open file but `channel`; standard input, output and error lead nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.closerange(3, channel)
    os.closerange(channel + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _set_rlimits(limits: Limits) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    address_space = pages * resource.getpagesize() + limits.memory_mb * MEBIBYTE
    seconds = int(limits.submission_seconds) + 60
    for kind, limit in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_FSIZE, limits.file_mb * MEBIBYTE),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 128),
        (resource.RLIMIT_CPU, seconds),
    ):
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


def _apply_seccomp() -> None:
    import errno

    import pyseccomp as seccomp

    refuse = seccomp.ERRNO(errno.EPERM)
    rules = seccomp.SyscallFilter(defaction=seccomp.ALLOW)
    for call in _DENIED:
        # A kernel or architecture without this call can't be attacked through it.
        if seccomp.resolve_syscall(seccomp.Arch.NATIVE, call) >= 0:
            rules.add_rule(refuse, call)
    # New threads yes, new processes no. clone3 hides its flags from filters: glibc falls back to clone.
    rules.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, 0))
    rules.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    # Event loops need a pair of their own sockets; nothing else may talk.
    rules.add_rule(refuse, "socketpair", seccomp.Arg(0, seccomp.NE, _AF_UNIX))
    rules.load()
