"""What holds a submission in, and whether this machine can enforce it. `grader doctor` prints it; grading asks it."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from grader.confine import open_to_all

_LINUX = "Grade on Linux 6.2 or newer. On another system, a virtual machine or a container with Linux will do."


@dataclass(frozen=True)
class Protection:
    """Something that a submission is held to, and whether this machine enforces it: how, or why not and the remedy."""

    name: str
    enforced: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Mechanism:
    """A feature of the kernel that protections rest on."""

    available: bool
    detail: str
    remedy: str = ""


def protections() -> list[Protection]:
    """Every protection, found out without restricting this process."""
    found = {name: look() for name, look in _MECHANISMS.items()}
    return [_protection(name, [found[need] for need in needs]) for name, needs in _PROTECTIONS.items()]


def _protection(name: str, mechanisms: list[Mechanism]) -> Protection:
    missing = [mechanism for mechanism in mechanisms if not mechanism.available]
    told = missing or mechanisms
    return Protection(
        name,
        not missing,
        "; ".join(mechanism.detail for mechanism in told),
        " ".join(dict.fromkeys(mechanism.remedy for mechanism in missing)),
    )


def _capabilities() -> Mechanism:
    if sys.platform != "linux":
        return Mechanism(False, f"{sys.platform} has no capabilities", _LINUX)
    if os.geteuid():
        return Mechanism(True, "an ordinary user's process, and every capability is dropped")
    if open_to_all():
        return Mechanism(True, "every capability is dropped, and each submission runs as a user of its own")
    return Mechanism(
        True, "every capability is dropped; still root's files, as Python lies where only root may read it"
    )


def _landlock() -> Mechanism:
    if sys.platform != "linux":
        return Mechanism(False, f"{sys.platform} has no Landlock", _LINUX)
    try:
        import landlockpy
    except ImportError:
        return Mechanism(False, "landlockpy is not installed", "pip install landlockpy")
    version = landlockpy.abi_version()
    if version >= 3:  # before, it does not know of truncation: a library could be emptied
        return Mechanism(True, f"Landlock ABI {version}")
    return Mechanism(
        False,
        f"the kernel offers Landlock ABI {version}, and 3 is needed"
        if version
        else "the kernel does not offer Landlock",
        "Use Linux 6.2 or newer, with landlock in the lsm= boot option (cat /sys/kernel/security/lsm).",
    )


def _seccomp() -> Mechanism:
    if sys.platform != "linux":
        return Mechanism(False, f"{sys.platform} has no seccomp", _LINUX)
    try:
        import pyseccomp  # noqa: F401
    except (ImportError, OSError, RuntimeError) as error:
        return Mechanism(False, str(error), "apt-get install libseccomp2, then pip install pyseccomp")
    if ctypes.CDLL(None).prctl(21, 0, 0, 0, 0) < 0:  # PR_GET_SECCOMP
        return Mechanism(False, "the kernel has no seccomp", "Use a kernel with CONFIG_SECCOMP_FILTER.")
    return Mechanism(True, "seccomp")


def _limits() -> Mechanism:
    if hasattr(resource, "RLIMIT_AS"):
        return Mechanism(True, "resource limits")
    return Mechanism(False, f"{sys.platform} has no limit for a process's memory", _LINUX)


def _watch() -> Mechanism:
    if os.path.exists(f"/proc/{os.getpid()}/stat"):
        return Mechanism(True, "a watch from outside")
    return Mechanism(False, "there is no /proc to watch a process through", "Mount /proc: mount -t proc proc /proc")


def _parent() -> Mechanism:
    if sys.platform == "linux":
        return Mechanism(True, "the kernel ends it with the process that it comes from")
    return Mechanism(False, f"{sys.platform} leaves processes behind when the grader is killed", _LINUX)


_MECHANISMS: Mapping[str, Callable[[], Mechanism]] = {
    "capabilities": _capabilities,
    "landlock": _landlock,
    "seccomp": _seccomp,
    "limits": _limits,
    "watch": _watch,
    "parent": _parent,
}
_PROTECTIONS: Mapping[str, tuple[str, ...]] = {
    "has no privileges": ("capabilities",),
    "reads Python and its libraries only": ("landlock",),
    "writes in its own folder only": ("landlock",),
    "reaches no network": ("seccomp",),
    "starts no process or program": ("seccomp",),
    "reads and signals no other process": ("seccomp",),
    "leaves no shared memory, queue or semaphore": ("seccomp", "landlock"),
    "mounts nothing, and calls nothing that changes the machine": ("seccomp",),
    "has bounded memory": ("limits", "watch"),
    "has bounded time": ("limits",),
    "has bounded files, threads and open files": ("limits", "watch"),
    "ends with the grader": ("parent",),
}
