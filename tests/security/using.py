"""Attacks that use things up, or do not end."""

from attack import Attack

ENDLESS = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
AWAY = "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"


def uses(
    name: str, what: str, cell: str, ends: str = "", answers: dict[str, str] | None = None, earns: float = 40
) -> Attack:
    return Attack(name, what, (cell,), answers or {}, earns=earns, ends=ends)


MEMORY = [
    uses("takes memory at once", "A terabyte of bytes.", "hoard = bytearray(2**40)", "raised"),
    uses(
        "takes memory by torch",
        "In parts, each written to.",
        """
        import torch
        hoard = []
        while True:
            hoard.append(torch.ones(2**22))
        """,
    ),
    uses(
        "takes memory by a map",
        "Anonymous pages, each written to.",
        """
        import mmap
        hoard = []
        while True:
            hoard.append(mmap.mmap(-1, 2**24))
            hoard[-1][:] = b'x' * 2**24
        """,
    ),
    uses(
        "takes memory in small parts",
        "A million strings and more.",
        """
        hoard = []
        while True:
            hoard.append(str(len(hoard)) * 9)
        """,
    ),
    uses(
        "takes memory in a file without a name",
        "memfd_create: no limit counts it.",
        """
        hoard = []
        while True:
            hoard.append(os.memfd_create('x'))
            os.write(hoard[-1], bytes(2**22))
        """,
        "raised",
    ),
    uses(
        "raises its limits first",
        "Root may, unless it has lost its capabilities.",
        """
        resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
        hoard = bytearray(2**31)
        """,
        "raised",
    ),
    uses(
        "fills pipes and sockets",
        "Memory of the kernel's.",
        """
        hoard = []
        try:
            while True:
                hoard += os.pipe()
                os.set_blocking(hoard[-1], False)
                import fcntl
                fcntl.fcntl(hoard[-1], 1031, 2**20)
                os.write(hoard[-1], bytes(2**20))
        except OSError:
            pass
        """,
    ),
    uses(
        "makes a pipe of a gigabyte",
        "Root may, unless it has lost its capabilities.",
        """
        import fcntl
        read, write = os.pipe()
        fcntl.fcntl(write, 1031, 2**30)
        """,
        "raised",
    ),
    uses(
        "recurses",
        "Without end.",
        """
        def down():
            return down()
        down()
        """,
        "raised",
    ),
    uses(
        "recurses below Python",
        "Until the stack is used up.",
        """
        sys.setrecursionlimit(10**9)
        x = []
        for _ in range(10**6):
            x = [x]
        repr(x)
        """,
    ),
    uses("writes beyond memory", "To address zero.", "ctypes.memset(0, 0, 1)", "killed"),
]

DISK = [
    uses(
        "writes one large file",
        "Without end.",
        """
        with open('large', 'wb') as file:
            while True:
                file.write(bytes(2**20))
        """,
        "raised",
    ),
    uses(
        "writes many large files",
        "Each as large as is allowed.",
        """
        for i in range(10**6):
            with open(f'{i}', 'wb') as file:
                file.write(bytes(2**22))
        """,
        "killed",
    ),
    uses(
        "writes many small files",
        "Each takes a place in the file system.",
        """
        for i in range(10**9):
            open(f'{i}', 'w').close()
        """,
        "killed",
    ),
    uses(
        "hides files deep",
        "Where a path is too long to look.",
        """
        for i in range(40):
            os.mkdir('d' * 200)
            os.chdir('d' * 200)
        for i in range(10**9):
            open(f'{i}', 'wb').write(bytes(2**22))
        """,
        "killed",
    ),
    uses(
        "allocates without writing",
        "fallocate takes the room at once.",
        """
        for i in range(10**6):
            os.posix_fallocate(os.open(f'{i}', os.O_CREAT | os.O_RDWR), 0, 2**22)
        """,
        "",
    ),
    uses(
        "keeps deleted files open",
        "They have no name any more, and take their room still.",
        """
        hoard = []
        for i in range(100):
            hoard.append(open('x', 'wb', buffering=0))
            os.unlink('x')
            hoard[-1].write(bytes(2**22))
        time.sleep(600)
        """,
        "killed",
    ),
    uses(
        "keeps deleted files mapped",
        "A page of each is enough, and no file is open.",
        """
        import mmap
        hoard = []
        for i in range(100):
            with open('x', 'wb+', buffering=0) as file:
                os.unlink('x')
                file.write(bytes(2**22))
                hoard.append(mmap.mmap(file.fileno(), 4096))
                os.close(os.dup(file.fileno()))
        import gc
        libc.close_range(20, 120, 0)  # mmap keeps a copy of the descriptor
        time.sleep(600)
        """,
        "killed",
    ),
    uses(
        "keeps files in a letter to itself",
        "What is on its way between two sockets is open nowhere.",
        """
        here, there = socket.socketpair()
        with open('x', 'wb') as file:
            socket.send_fds(here, [b'x'], [file.fileno()])
        """,
        "refused",
    ),
    uses(
        "opens files in a thread of its own",
        "One that shares no open file with the others: nobody looks there.",
        """
        import mmap
        stack = mmap.mmap(-1, 65536)
        top = ctypes.addressof(ctypes.c_char.from_buffer(stack)) + 60000
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(bytes.fromhex('b8380000000f05c3'))
        entry = ctypes.addressof(ctypes.c_char.from_buffer(code))
        start = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long, ctypes.c_void_p)(entry)
        assert start(0x50F00 & ~0x400, top) != -1, '[Errno 1]'
        """,
        "refused",
    ),
    uses(
        "lets nobody look at its files",
        "PR_SET_DUMPABLE: an ordinary user's grader could no longer see them.",
        """
        if libc.prctl(4, 0, 0, 0, 0):
            raise PermissionError
        """,
        "refused",
    ),
]

OUTPUT = [
    uses(
        "floods its output",
        "Below Python and above.",
        """
        os.write(1, b'x' * 10**7)
        os.write(2, b'x' * 10**7)
        print('x' * 10**8)
        """,
    ),
    uses(
        "floods the error output",
        "A line at a time.",
        """
        for _ in range(10**5):
            print('x' * 1000, file=sys.stderr)
        """,
    ),
    uses(
        "floods the display",
        "A thousand objects.",
        """
        for _ in range(10**5):
            display('x' * 1000)
        """,
    ),
    uses("raises a long message", "A hundred million letters.", "raise ValueError('x' * 10**8)", "raised"),
    uses(
        "raises from a long line",
        "The line stands in each entry of the traceback.",
        "down = lambda n: (down(n - 1) if n else 1 / 0" + " + 0" * 30_000 + ")\ndown(30)",
    ),
    uses(
        "shows a picture that is none",
        "And markup in its place.",
        """
        from IPython.display import publish_display_data
        markup = '<script>1</script>'
        publish_display_data({'image/png': markup, 'text/html': markup, 'application/javascript': '1'})
        """,
    ),
    uses(
        "shows itself in a hostile way",
        "Its representation raises, hangs about and recurses.",
        """
        class Shown:
            def __repr__(self):
                raise SystemExit
            def _repr_html_(self):
                raise KeyboardInterrupt
        Shown()
        """,
    ),
]

THREADS = [
    uses(
        "starts threads without end",
        "Ten thousand, with small stacks.",
        """
        threading.stack_size(32768)
        while True:
            threading.Thread(target=time.sleep, args=[600], daemon=True).start()
        """,
    ),
    uses(
        "starts threads below Python",
        "clone with CLONE_THREAD, which is allowed: on one stack, hardly any memory.",
        """
        import mmap
        stack = mmap.mmap(-1, 65536)
        top = ctypes.addressof(ctypes.c_char.from_buffer(stack)) + 60000
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(bytes.fromhex('b8380000000f0585c07401c3b8220000000f05ebf7'))
        entry = ctypes.addressof(ctypes.c_char.from_buffer(code))
        start = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long, ctypes.c_void_p)(entry)
        while True:
            start(0x50F00, top)
        """,
    ),
    uses(
        "leaves a thread behind",
        "It goes on while the checks run, and after.",
        """
        def go_on():
            while True:
                globals().update(softmax=lambda z: z, largest=lambda x: -1)
                time.sleep(0.001)
        threading.Thread(target=go_on, daemon=True).start()
        """,
    ),
    uses(
        "leaves a thread that may not end",
        "Not a daemon: Python would wait for it.",
        "threading.Thread(target=time.sleep, args=[600]).start()",
    ),
    uses(
        "starts a pool of processes",
        "As multiprocessing does.",
        """
        import multiprocessing
        multiprocessing.Pool(4)
        """,
        "raised",
    ),
    uses(
        "loads data with workers",
        "As torch does: workers are processes.",
        """
        import torch
        list(torch.utils.data.DataLoader([1, 2, 3], num_workers=2))
        """,
        "raised",
    ),
]

TIME = [
    uses("loops, and swallows the interrupt", "Every exception there is.", ENDLESS, "timed out"),
    uses(
        "loops below Python in a sum",
        "One call that takes for ever.",
        """
        import itertools
        sum(itertools.repeat(1, 10**12))
        """,
        "timed out",
    ),
    uses(
        "loops below Python in torch",
        "One operation that takes for ever.",
        """
        import torch
        torch.linalg.eigvals(torch.rand(3000, 3000))
        """,
        "timed out",
    ),
    uses("loops in a pattern", "A regular expression that tries everything.", "re.match('(a+)+$', 'a' * 60 + 'b')"),
    uses("loops in a power", "An integer of a billion digits.", "pow(7, 10**10)"),
    uses(
        "loops in an import",
        "A module of its own.",
        """
        open('slow.py', 'w').write('while True: pass')
        import slow
        """,
        "timed out",
    ),
    uses("sleeps", "With every signal blocked.", AWAY + "time.sleep(10**6)", "timed out"),
    uses(
        "ignores every signal",
        "And loops.",
        """
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        while True:
            pass
        """,
        "timed out",
    ),
    uses("stops itself", "It neither ends nor goes on.", "os.kill(os.getpid(), signal.SIGSTOP)", "timed out"),
    uses(
        "waits for ever for a lock",
        "Its own.",
        """
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
        """,
        "timed out",
    ),
    uses("asks for input", "Nobody is there.", "input()", "raised"),
    Attack(
        "waits in its representation",
        "After the cell's own code has ended.",
        (
            """
            class Shown:
                def __repr__(self):
                    while True:
                        pass
            Shown()
            """,
        ),
    ),
    Attack(
        "waits while it is described",
        "An exception whose message takes for ever.",
        (
            """
            class Slow(Exception):
                def __str__(self):
                    while True:
                        pass
            raise Slow
            """,
        ),
    ),
    Attack(
        "waits when it is collected",
        "In __del__.",
        (
            """
            class Last:
                def __del__(self):
                    time.sleep(10**6)
            last = Last()
            del last
            """,
        ),
    ),
]

LEAVING = [
    uses("ends the process", "At once.", "os._exit(0)", "killed"),
    Attack(
        "ends the process in a check",
        "With a good exit code.",
        (),
        {
            "softmax": """
            def softmax(z):
                import os
                os._exit(0)
            """
        },
    ),
    Attack(
        "leaves Python in a check",
        "As if all was done.",
        (),
        {
            "softmax": """
            def softmax(z):
                raise SystemExit(0)
            """
        },
    ),
    uses(
        "interrupts itself",
        "As Ctrl-C does.",
        """
        signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt
        """,
        "",
    ),
    Attack(
        "raises what no one catches",
        "A class below BaseException that lies about itself.",
        (),
        {
            "softmax": """
            class Worst(BaseException):
                def __init__(self): pass
                def __str__(self): raise Worst
                @property
                def __traceback__(self): raise Worst
                __class__ = int
            def softmax(z):
                raise Worst
            """
        },
    ),
    Attack(
        "raises what it raises itself",
        "A message that raises, and a name that is a terminal's command.",
        (),
        {
            "softmax": r"""
            def softmax(z):
                raise type('\x1b[2J' * 99, (BaseException,), {'__str__': lambda self: 1 / 0})
            """
        },
    ),
    uses(
        "does it at the end",
        "Functions that run when Python ends.",
        r"""
        import atexit
        atexit.register(lambda: forge(['checked', 13, 'observed', b'\xc3', [], [], 0, []]))
        atexit.register(time.sleep, 10**6)
        threading._register_atexit(time.sleep, 10**6)
        """,
        "ran",
    ),
    uses(
        "does it when it is collected",
        "Objects that act when the process ends.",
        """
        class Last:
            def __del__(self):
                forge(['done'])
        sys.last = Last()
        sys.last.self = sys.last
        """,
        "ran",
    ),
    uses(
        "traces everything",
        "A trace function sees each frame of the grader's own code, and keeps calls from ending.",
        """
        def trace(frame, event, argument):
            if event == 'exception':
                frame.f_trace = None
            return trace
        sys.settrace(trace)
        threading.settrace(trace)
        sys.setprofile(lambda *_: None)
        """,
    ),
    uses(
        "dumps its traceback later",
        "faulthandler ends the process from a thread of its own.",
        """
        import faulthandler
        faulthandler.dump_traceback_later(0.05, exit=True, file=open('trace', 'w'))
        time.sleep(0.5)
        """,
        "killed",
    ),
    uses(
        "sets handlers",
        "For every signal: forging.",
        """
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, lambda *_: forge(['done']))
        """,
        "ran",
    ),
    uses(
        "hooks every exception",
        "And the audit, and the import.",
        """
        sys.excepthook = sys.unraisablehook = lambda *_: os._exit(0)
        sys.meta_path.clear()
        sys.path_hooks.clear()
        """,
        "ran",
    ),
    uses("aborts", "With a core to dump.", "os.abort()", "killed"),
    uses(
        "survives its parent",
        "It would not be killed with it.",
        """
        libc.prctl(1, 0)
        assert libc.prctl(1, 0) == 0
        """,
        "raised",
    ),
]

ATTACKS = [*MEMORY, *DISK, *OUTPUT, *THREADS, *TIME, *LEAVING]
