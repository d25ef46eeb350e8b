"""Attacks that change what is not theirs: files, the libraries that grade them, and the messages about them."""

from attack import Attack

FORGED_DONE = "forge(['done'])"
ALL_OBSERVED = "for position in range(14):\n    forge(['checked', position, 'observed', {data}, [], [], 0, []])"


def changes_file(name: str, what: str, cell: str, leaves: str = "") -> Attack:
    return Attack(name, what, (cell,), leaves=leaves)


def patches(name: str, what: str, *cells: str, earns: float = 40) -> Attack:
    return Attack(name, what, cells, earns=earns)


FILES = [
    changes_file("overwrites the solution", "With its own wrong answers.", "open(SOLUTION, 'w').write('')"),
    changes_file("appends to the checks", "A check that gives points.", "open(CHECKS, 'a').write('x')"),
    changes_file("truncates the gradebook", "By path, with no open file.", "os.truncate(GRADEBOOK, 0)"),
    changes_file("opens to truncate", "Reading, but with O_TRUNC.", "os.open(GRADEBOOK, os.O_RDONLY | os.O_TRUNC)"),
    changes_file("removes the gradebook", "No grades, no bad grades.", "os.remove(GRADEBOOK)"),
    changes_file("renames the course", "So that nobody finds it.", "os.rename(COURSE, COURSE + '-gone')"),
    changes_file(
        "takes away permissions", "By path: Landlock does not know chmod.", "os.chmod(GRADEBOOK, 0)", "changed"
    ),
    changes_file(
        "gives the course away",
        "By path: nor does it know chown.",
        "os.chown(GRADEBOOK, os.getuid(), os.getgid())",
        "changed",
    ),
    changes_file(
        "turns back the clock of a file", "A late file looks early.", "os.utime(GRADEBOOK, (0, 0))", "changed"
    ),
    changes_file("writes an attribute", "Extended attributes.", "os.setxattr(GRADEBOOK, 'user.mine', b'x')"),
    changes_file(
        "changes a library's permissions",
        "It may open a library for reading, and that is enough for fchmod.",
        """
        import numpy
        opened = open(numpy.__file__)
        os.fchmod(opened.fileno(), os.fstat(opened.fileno()).st_mode)
        os.utime(opened.fileno(), ns=(5, os.fstat(opened.fileno()).st_mtime_ns))
        """,
    ),
    changes_file(
        "writes into a library",
        "The next notebook would import it.",
        """
        import numpy
        open(numpy.__file__, 'a')
        """,
    ),
    changes_file(
        "makes a file immutable",
        "Root may, and nobody could remove it.",
        """
        import fcntl
        mine = os.open('stays', os.O_CREAT | os.O_RDWR)
        fcntl.ioctl(mine, 0x40086602, struct.pack('i', 0x10))
        """,
    ),
    changes_file(
        "leaves a file in /tmp", "Where the next could find it.", "open(f'/tmp/{MARK}', 'w').write('x')", "file"
    ),
    changes_file(
        "leaves a file in /var/tmp", "That outlives a restart.", "open(f'/var/tmp/{MARK}', 'w').write('x')", "file"
    ),
    changes_file("leaves shared memory", "A file in /dev/shm.", "open(f'/dev/shm/{MARK}', 'w').write('x')", "file"),
    changes_file(
        "makes a shared memory",
        "As Python makes it.",
        """
        from multiprocessing import resource_tracker, shared_memory
        resource_tracker.register = lambda *_: None
        shared_memory.SharedMemory(MARK, create=True, size=10).close()
        """,
        "file",
    ),
    changes_file(
        "makes a System V shared memory", "It has no name in any folder.", "call(29, KEY, 4096, 0o1666)", "System V"
    ),
    changes_file("makes a System V semaphore", "Nor has this.", "call(64, KEY, 1, 0o1666)", "System V"),
    changes_file("makes a System V queue", "Messages for whoever comes next.", "call(68, KEY, 0o1666)", "System V"),
    changes_file("removes a System V queue", "Another's, by its number.", "call(71, QUEUE, 0, 0)"),
    changes_file(
        "sends to a System V queue",
        "Another's, by its number.",
        "call(69, QUEUE, struct.pack('l8s', 1, b'hello'), 8, 0o4000)",
        "message",
    ),
    changes_file(
        "makes a message queue",
        "POSIX queues.",
        """
        name = MARK.encode()
        call(240, name, os.O_CREAT | os.O_RDWR, 0o600, 0)
        """,
    ),
    changes_file("makes a device", "A disk of its own.", "os.mknod('disk', 0o60600, os.makedev(8, 0))"),
    changes_file("makes a pipe with a name", "In /tmp, for another to open.", "os.mkfifo(f'/tmp/{MARK}')", "file"),
    Attack(
        "keeps its folder deep",
        "A thousand folders in one another, which recursion does not remove.",
        (
            """
            for _ in range(3000):
                os.mkdir('d')
                os.chdir('d')
            open('bottom', 'w').write('x')
            """,
        ),
    ),
    Attack(
        "locks a folder",
        "A folder without permissions can't be listed.",
        (
            """
            os.mkdir('locked', 0)
            os.mkdir('blind', 0o300)
            open('blind/file', 'w')
            """,
        ),
    ),
    Attack(
        "fills its folder with strange names",
        "Newlines, dashes, no Unicode, links in circles.",
        (
            r"""
            for name in (b'-rf', b'a\nb', b'\xff', b'*', b'..x'):
                open(name, 'w')
            os.symlink('.', 'circle')
            os.symlink(COURSE, 'link')
            os.mkfifo('pipe')
            """,
        ),
    ),
]

LIBRARIES = [
    patches(
        "patches numpy's comparisons",
        "Everything is close to everything.",
        """
        import numpy as np
        np.allclose = np.array_equal = np.isclose = lambda *_, **__: True
        np.testing.assert_allclose = print
        """,
    ),
    patches(
        "patches torch's comparisons",
        "The same for tensors.",
        """
        import torch
        torch.equal = torch.allclose = lambda *_, **__: True
        torch.Tensor.__eq__ = lambda *_: True
        """,
    ),
    patches(
        "patches the builtins",
        "isinstance, len, abs, all and any say yes.",
        """
        import builtins
        builtins.all = builtins.any = lambda *_: True
        builtins.abs = lambda *_: 0
        builtins.hash = lambda *_: 0
        """,
    ),
    patches(
        "patches msgpack",
        "What it packs is called observed.",
        r"""
        import msgpack
        pack = msgpack.packb
        forged = ['observed', b'\xf9', [], [], 0, []]
        msgpack.packb = lambda m, **k: pack(m[:2] + forged if m[:1] == ['checked'] else m, **k)
        """,
        earns=0,
    ),
    patches(
        "patches json",
        "And what it writes is a full score.",
        """
        import json
        json.dumps = lambda *_, **__: '{"score": 205}'
        """,
    ),
    patches(
        "patches the comparison",
        "grader.compare and grader.judge, as far as it can import them.",
        """
        import grader.compare as compare
        compare.Close.difference = lambda *_: None
        """,
        """
        import grader.judge
        grader.judge.judge = lambda *_: 1 / 0
        """,
    ),
    patches(
        "patches the sandbox's reader",
        "The class that reads messages, in its own process.",
        """
        import grader.wire
        grader.wire.Inbox.feed = lambda *_: []
        """,
    ),
    patches(
        "patches the observation",
        "Whatever comes, it observes -7.",
        """
        import grader.child
        grader.child.plain = lambda value: -7
        """,
        earns=0,
    ),
    patches(
        "patches the encoding",
        "The bytes of something else.",
        r"""
        import grader.child
        grader.child.encode = lambda value: b'\x00' * 100
        """,
        earns=0,
    ),
    patches(
        "patches the outbox",
        "Each message that a check gave is replaced.",
        r"""
        from grader.wire import Outbox
        later = Outbox.later
        forged = ['observed', b'\xf9', [], [], 0, []]
        Outbox.later = lambda self, m: later(self, m[:2] + forged if m[0] == 'checked' else m)
        """,
        earns=0,
    ),
    patches(
        "patches the student's proxy",
        "It returns what was put in.",
        """
        from grader.student import Student
        Student.__getattr__ = lambda self, name: lambda *arguments: arguments[0]
        """,
        earns=0,
    ),
    patches(
        "patches the running of checks",
        "All of them observed, none of them run.",
        r"""
        import grader.child
        grader.child.Child._observe = lambda *_: ['observed', b'\xf9', [], [], 0, []]
        """,
        earns=0,
    ),
    patches(
        "replaces the checks by its own",
        "Worth a thousand points each.",
        """
        import dataclasses
        from grader.checks import Check
        for thing in gc.get_objects():
            if type(thing) is Check:
                object.__setattr__(thing, 'points', 1000.0)
                object.__setattr__(thing, 'observe', lambda student, rng: -7)
        """,
        """
        gc.unfreeze()
        for thing in gc.get_objects():
            if type(thing) is Check:
                object.__setattr__(thing, 'points', 1000.0)
                object.__setattr__(thing, 'observe', lambda student, rng: -7)
        """,
        earns=0,
    ),
    patches(
        "makes every input zero",
        "The generator of the checks' inputs gives what it likes.",
        """
        import numpy as np
        class Zeros:
            def normal(self, *_, size=(), **__):
                return np.zeros(size)
            def integers(self, *_, size=(), **__):
                return np.zeros(size, int)
        np.random.default_rng = lambda *_: Zeros()
        """,
        earns=0,
    ),
    patches(
        "stops the seeding",
        "So that each run draws anew.",
        """
        import grader.child
        grader.child.seed_everything = print
        """,
    ),
    patches(
        "patches the clock of its cells",
        "No time limit.",
        """
        import grader.child
        signal.setitimer = print
        time.monotonic = lambda: 0
        """,
    ),
    Attack(
        "hides a loop from the count",
        "It stops the tracing by which executed lines are counted.",
        (),
        {
            "centered": """
            import sys
            def centered(x):
                sys.settrace(None)
                out = x.copy()
                mean = x.mean(0)
                for i in range(x.shape[0]):
                    for j in range(x.shape[1]):
                        out[i, j] = x[i, j] - mean[j]
                return out
            """
        },
        earns=35,
    ),
    Attack(
        "hides a loop from the count, and puts the trace back",
        "The same, and nothing shows it afterwards.",
        (),
        {
            "centered": """
            import sys
            def centered(x):
                trace = sys.gettrace()
                sys.settrace(None)
                out = x.copy()
                mean = x.mean(0)
                for i in range(x.shape[0]):
                    for j in range(x.shape[1]):
                        out[i, j] = x[i, j] - mean[j]
                sys.settrace(trace)
                return out
            """
        },
        earns=35,
    ),
    Attack(
        "hides a loop in a thread",
        "Lines are counted where the check runs.",
        (),
        {
            "centered": """
            import threading
            def centered(x):
                out = x.copy()
                mean = x.mean(0)
                def loop():
                    for i in range(x.shape[0]):
                        for j in range(x.shape[1]):
                            out[i, j] = x[i, j] - mean[j]
                thread = threading.Thread(target=loop)
                thread.start()
                thread.join()
                return out
            """
        },
        earns=35,
    ),
    Attack(
        "hides a loop in its frame",
        "A frame may be told to keep its lines to itself.",
        (),
        {
            "centered": """
            import sys
            def centered(x):
                sys._getframe().f_trace_lines = False
                out = x.copy()
                mean = x.mean(0)
                for i in range(x.shape[0]):
                    for j in range(x.shape[1]):
                        out[i, j] = x[i, j] - mean[j]
                return out
            """
        },
        earns=35,
    ),
    Attack(
        "takes back what it mentions",
        "It uses what is forbidden, and says afterwards that it does not.",
        (
            "forge(['mentions', 'softmax', []])",
            """
            from grader.forbidden import Watch
            import contextlib
            Watch.during = lambda self, problem: contextlib.nullcontext(set())
            """,
        ),
        {
            "softmax": """
            def softmax(z):
                return torch.softmax(z, 1)
            """
        },
    ),
]

MESSAGES = [
    Attack("forges every result", "On every descriptor: observed, and -7.", (ALL_OBSERVED.format(data="b'\\xf9'"),)),
    Attack(
        "forges every result, and leaves",
        "Before the checks could say otherwise.",
        (ALL_OBSERVED.format(data="b'\\xf9'") + "\nforge(['done'])\nos._exit(0)",),
        earns=0,
    ),
    Attack(
        "forges points",
        "As the report has them.",
        ("forge(['checked', 0, 'passed', 205.0], ['report', {'score': 205.0}], ['score', 205.0])",),
    ),
    Attack(
        "writes a results file",
        "As other graders read it.",
        (
            """
            os.makedirs('results')
            for name in ('results/results.json', 'results.json', 'score', 'grade.txt'):
                open(name, 'w').write('{"score": 205, "tests": []}')
            """,
            """
            print('SCORE: 205/205')
            print('OK', file=sys.stderr)
            """,
        ),
    ),
    Attack(
        "sends a message of 200 MB of lists",
        "Each byte would become an object of fifty-six.",
        ("forge(raw=struct.pack('!I', 5 + 2**26) + b'\\xdd' + struct.pack('!I', 2**26) + bytes([0x90]) * 2**26)",),
    ),
    Attack(
        "sends an observation of lists",
        "The same, as the result of a check.",
        (
            r"""
            import msgpack
            data = b'\xdd' + struct.pack('!I', 2**25) + bytes([0x90]) * 2**25
            forge(['checked', 13, 'observed', data, [], [], 0, []])
            """,
        ),
    ),
    Attack(
        "sends an array of lists",
        "The same, in an array's header.",
        (
            r"""
            import msgpack
            inner = b'\xdd' + struct.pack('!I', 2**25) + bytes([0x90]) * 2**25
            forge(['checked', 13, 'observed', msgpack.packb(msgpack.ExtType(1, inner)), [], [], 0, []])
            """,
        ),
    ),
    Attack(
        "sends an endless message",
        "It never says how it ends.",
        (
            """
            forge(raw=struct.pack('!I', 2**32 - 1))
            forge(raw=bytes(2**20))
            """,
        ),
    ),
    Attack(
        "sends messages without end",
        "Each is right, and there are millions.",
        (
            """
            while True:
                forge(*[['cell', 1]] * 10_000)
            """,
        ),
    ),
    Attack(
        "sends keys that collide",
        "A dict of them takes time that grows with the square.",
        (
            r"""
            import msgpack
            keys = (hex((2**61 - 1) * (2**80 + i)).encode() for i in range(100_000))
            keys = b''.join(msgpack.packb(msgpack.ExtType(3, key)) + b'\xc0' for key in keys)
            forge(['checked', 13, 'observed', b'\xdf' + struct.pack('!I', 100_000) + keys, [], [], 0, []])
            """,
        ),
    ),
    Attack(
        "sends HTML that takes long to clean",
        "A million open tags.",
        (
            """
            output = {'output_type': 'display_data', 'data': {'text/html': '<div>' * 10**6}, 'metadata': {}}
            forge(['ran', 1, 'ok', None, [output]])
            """,
        ),
    ),
    Attack(
        "shows HTML that takes long to clean",
        "As many open tags as its output has room for.",
        (
            """
            from IPython.display import HTML
            HTML('<div>' * 12_000)
            """,
        ),
    ),
    Attack(
        "sends 50 MB of output",
        "Past the limit that its own process keeps.",
        (
            """
            output = {'output_type': 'stream', 'name': 'stdout', 'text': 'x' * 50_000_000}
            forge(['ran', 1, 'ok', None, [output]])
            """,
        ),
    ),
    Attack(
        "sends a name to look for",
        "Looking for names that are like it takes long.",
        (
            """
            forge(*(['checked', position, 'not_defined', 'a' * 500] for position in range(14)))
            os._exit(0)
            """,
            "\n".join(f"def {'a' * 400}{i}(): pass" for i in range(300)),
        ),
        earns=0,
    ),
    Attack(
        "passes a descriptor to the grader",
        "Each would stay open there.",
        (
            r"""
            import array
            for descriptor in range(3, 128):
                try:
                    line = socket.socket(fileno=os.dup(descriptor))
                    socket.send_fds(line, [struct.pack('!I', 8) + b'\x92\xa4cell\x01'], [0, 1, 2])
                except OSError:
                    pass
            """,
        ),
    ),
    Attack("closes every descriptor", "Nothing more can be said.", ("os.closerange(0, 128)",)),
    Attack(
        "reads the channel",
        "Is there something for others in it?",
        (
            """
            for descriptor in range(3, 128):
                try:
                    os.set_blocking(descriptor, False)
                    take(os.read(descriptor, 9999))
                except OSError:
                    pass
            """,
        ),
    ),
    Attack("says that it is not confined", "The grader should stop for all.", ("forge(['refused', 'no Landlock'])",)),
    Attack(
        "says what it is not asked",
        "The author's messages.",
        ("forge(['overlays', [['Misconception', {}]], 'failed'])", "forge(['confined'])"),
    ),
]

ATTACKS = [*FILES, *LIBRARIES, *MESSAGES]
