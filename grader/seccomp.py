"""The filter of system calls: what the kernel refuses to a student's process, whatever it asks with."""

from __future__ import annotations

import errno
import struct
import tempfile
from functools import cache
from typing import Any

# Refused whatever the arguments.
_DENIED = (
    # processes, and what reaches into others
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp "
    "pidfd_open pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo migrate_pages move_pages "
    "setpriority ioprio_set sched_setaffinity sched_setscheduler sched_setparam sched_setattr "
    # the network: a pair of sockets of its own needs none of these; a message may carry an open file, out of sight
    "socket connect bind listen accept accept4 sendmsg sendmmsg "
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

_CLONE_THREAD, _CLONE_FILES = 0x00010000, 0x00000400
_AF_UNIX = 1
_SOCKETS_BUT_STREAMS = (2, 3, 5)  # SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET: the first two may write to any address
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX = 8, 10, 15
_FIOSETOWN, _SIOCSPGRP = 0x8901, 0x8902
_SET_FLAGS, _SET_ATTRIBUTES, _SET_VERITY = 0x40086602, 0x401C5820, 0x40806685
_INT = 0xFFFFFFFF  # the kernel reads that much of an argument that is an int
_OWN_PID = 0x5EAF00D5  # stands for the number of the process in the prepared filter: no process has it
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


def program_for(pid: int) -> bytes:
    """The filter for one process, as the kernel takes it: instructions of 8 bytes."""
    return prepared().replace(struct.pack("=I", _OWN_PID), struct.pack("=I", pid))


@cache
def prepared() -> bytes:
    """The filter, with the number of no process in place of its own. Made once: that takes longer than loading it."""
    import pyseccomp

    rules = pyseccomp.SyscallFilter(defaction=pyseccomp.ALLOW)
    # A call of another architecture (32 bits, x32) has no business here.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)

    def deny(call: str | int, *arguments: Any, error: int = errno.EPERM) -> None:
        # An architecture without this call can't be attacked through it.
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, call) if isinstance(call, str) else call
        if number >= 0:
            rules.add_rule(pyseccomp.ERRNO(error), number, *arguments)

    for call in _DENIED:
        deny(call)
    for call in _WITHOUT_EFFECT:
        deny(call, error=0)
    for number in _UNKNOWN:
        deny(number, error=errno.ENOSYS)
    # New threads yes, new processes no; and a thread with open files of its own could hide what they hold. clone3
    # hides its flags from filters: glibc falls back to clone.
    for flag in (_CLONE_THREAD, _CLONE_FILES):
        deny("clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, 0))
    deny("clone3", error=errno.ENOSYS)
    # Event loops need a pair of their own sockets; nothing else may talk.
    deny("socketpair", pyseccomp.Arg(0, pyseccomp.NE, _AF_UNIX))
    for kind in _SOCKETS_BUT_STREAMS:
        deny("socketpair", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xF, kind))
    # It may signal itself, and set its own limits. Older kernels' Landlock does not stop it from doing more.
    deny("kill", pyseccomp.Arg(0, pyseccomp.NE, _OWN_PID))
    deny("tgkill", pyseccomp.Arg(0, pyseccomp.NE, _OWN_PID))
    deny("prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    for command in (_F_SETOWN, _F_SETSIG, _F_SETOWN_EX):
        deny("fcntl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _INT, command))
    for request in (_FIOSETOWN, _SIOCSPGRP, _SET_FLAGS, _SET_ATTRIBUTES, _SET_VERITY):
        deny("ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _INT, request))
    # It ends with the process that it was forked from, and whoever watches it may look at its open files.
    for option in (_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE):
        deny("prctl", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _INT, option))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()
