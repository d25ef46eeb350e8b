"""What holds a student's process in: no privileges, Landlock, seccomp and resource limits, applied by itself to itself.

Called in the forked child before the first byte of student code. None of it needs root, and none can be undone.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import signal
import stat
import struct
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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

# Refused whatever the arguments.
_DENIED = (
    # processes, and what reaches into others
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp "
    "pidfd_open pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo migrate_pages move_pages "
    "setpriority ioprio_set sched_setaffinity sched_setscheduler sched_setparam sched_setattr "
    # the network: a pair of sockets of its own needs none of these
    "socket connect bind listen accept accept4 "
    # memory and messages that outlive a process or that no limit counts
    "shmget shmat shmctl msgget msgsnd msgrcv msgctl semget semop semtimedop semctl mq_open mq_unlink "
    "memfd_create memfd_secret "
    # files: ways round a path, and attributes, which Landlock does not know
    "name_to_handle_at open_by_handle_at fanotify_init inotify_init inotify_init1 quotactl quotactl_fd "
    "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr mount umount2 mount_setattr move_mount "
    "open_tree fsopen fsmount fspick pivot_root chroot swapon swapoff "
    # the kernel and the machine
    "unshare setns keyctl add_key request_key bpf io_uring_setup io_uring_enter io_uring_register perf_event_open "
    "userfaultfd init_module finit_module delete_module kexec_load kexec_file_load reboot acct settimeofday "
    "clock_settime clock_adjtime adjtimex sethostname setdomainname syslog iopl ioperm modify_ldt vhangup"
).split()
# A file's mode, owner and times stay as they are, and nobody is told: shutil.copy sets them, and would fail.
_WITHOUT_EFFECT = (
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat"
).split()
# Calls that came after this was written, the same numbers on every architecture: programs take it for an old kernel.
_UNKNOWN = range(453, 512)

_CLONE_THREAD = 0x00010000
_AF_UNIX = 1
_SOCKETS_BUT_STREAMS = (2, 3, 5)  # SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET: the first two may write to any address
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_SET_FLAGS, _SET_ATTRIBUTES, _SET_VERITY = 0x40086602, 0x401C5820, 0x40806685
_INT = 0xFFFFFFFF  # the kernel reads that much of an argument that is an int
_OWN_PID = 0x5EAF00D5  # stands for the number of the process in the prepared filter: no process has it

_PDEATHSIG, _CAPBSET_DROP, _SECUREBITS, _NO_NEW_PRIVS, _AMBIENT, _SECCOMP = 1, 24, 28, 38, 47, 22
_FIRST_UID = 0x70000000  # to 0x7FFFFFFF: given to nobody else
_TASKS = 256


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
    return [_privileges(), _landlock(), _seccomp(), *_rlimits()]


def _privileges() -> Protection:
    name = "no privileges (capabilities, root)"
    if sys.platform != "linux":
        return Protection(name, False, f"{sys.platform} has no capabilities", "Grade on Linux.")
    if os.geteuid():
        return Protection(name, True, "an ordinary user's process, and every capability is dropped")
    if open_to_all():
        return Protection(name, True, "every capability is dropped, and each submission runs as a user of its own")
    return Protection(
        name, True, "every capability is dropped; still root's files, as Python lies where only root may read it"
    )


def _landlock() -> Protection:
    name = "Landlock (files, network, signals)"
    if sys.platform != "linux":
        return Protection(name, False, f"{sys.platform} has no Landlock", "Grade on Linux 6.2 or newer.")
    try:
        import landlockpy
    except ImportError:
        return Protection(name, False, "landlockpy is not installed", "pip install landlockpy")
    version = landlockpy.abi_version()
    if version < 3:  # before, it does not know of truncation: a library could be emptied
        return Protection(
            name,
            False,
            f"the kernel offers Landlock ABI {version}, and 3 is needed"
            if version
            else "the kernel does not offer Landlock",
            "Use Linux 6.2 or newer, with landlock in the lsm= boot option (cat /sys/kernel/security/lsm).",
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


def prepare() -> None:
    """Find out once, in the process that all are forked from, what each of them needs."""
    readable_paths()
    if sys.platform == "linux":
        open_to_all()
        # Without it there is no confined process; `sandbox: off` works still.
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            import landlockpy

            landlockpy.abi_version()  # its first call looks for the C library, in a process of its own
            seccomp_program()


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
        (resource.RLIMIT_CORE, 1),  # not 0: a program that collects crashes would be started nevertheless
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
    program = seccomp_program().replace(struct.pack("=I", _OWN_PID), struct.pack("=I", os.getpid()))
    seccomp_filter = _Filter(len(program) // 8, program)
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SECCOMP, 2, ctypes.byref(seccomp_filter), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel does not take the filter of system calls")


@cache
def seccomp_program() -> bytes:
    """The filter of system calls as the kernel takes it. Made once: making it takes longer than loading it."""
    import pyseccomp as seccomp

    rules = seccomp.SyscallFilter(defaction=seccomp.ALLOW)
    # A call of another architecture (32 bits, x32) has no business here.
    rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)

    def deny(call: str | int, *arguments: Any, error: int = errno.EPERM) -> None:
        # An architecture without this call can't be attacked through it.
        number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, call) if isinstance(call, str) else call
        if number >= 0:
            rules.add_rule(seccomp.ERRNO(error), number, *arguments)

    for call in _DENIED:
        deny(call)
    for call in _WITHOUT_EFFECT:
        deny(call, error=0)
    for number in _UNKNOWN:
        deny(number, error=errno.ENOSYS)
    # New threads yes, new processes no. clone3 hides its flags from filters: glibc falls back to clone.
    deny("clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, 0))
    deny("clone3", error=errno.ENOSYS)
    # Event loops need a pair of their own sockets; nothing else may talk.
    deny("socketpair", seccomp.Arg(0, seccomp.NE, _AF_UNIX))
    for kind in _SOCKETS_BUT_STREAMS:
        deny("socketpair", seccomp.Arg(1, seccomp.MASKED_EQ, 0xF, kind))
    # It may signal itself, and set its own limits. Older kernels' Landlock does not stop it from doing more.
    deny("kill", seccomp.Arg(0, seccomp.NE, _OWN_PID))
    deny("tgkill", seccomp.Arg(0, seccomp.NE, _OWN_PID))
    deny("prlimit64", seccomp.Arg(0, seccomp.NE, 0))
    for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX):
        deny("fcntl", seccomp.Arg(1, seccomp.MASKED_EQ, _INT, command))
    for request in (_FIOSETOWN, _SIOCSPGRP, _SET_FLAGS, _SET_ATTRIBUTES, _SET_VERITY):
        deny("ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, _INT, request))
    # It ends with the process that it was forked from.
    deny("prctl", seccomp.Arg(0, seccomp.MASKED_EQ, _INT, _PDEATHSIG))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
