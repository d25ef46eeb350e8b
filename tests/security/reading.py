"""Attacks that look for what they must not know."""

from attack import Attack

FIND_IN_FRAMES = """
def look():
    frame = sys._getframe()
    while frame is not None:
        take({**frame.f_globals, **frame.f_locals})
        frame = frame.f_back
"""

FIND_IN_OBJECTS = """
gc.unfreeze()
seen, waiting = set(), gc.get_objects()
while waiting:
    thing = waiting.pop()
    if type(thing) in (str, bytes):
        take(thing) if len(thing) < 10**6 else None
    elif id(thing) not in seen and len(seen) < 400_000:
        seen.add(id(thing))
        if type(thing) in (dict, list, tuple, set, frozenset):
            waiting += [item for item in gc.get_referents(thing) if type(item) in (str, bytes, dict, list, tuple)]
        elif hasattr(thing, "__dict__"):
            waiting += [item for item in vars(thing).values() if type(item) in (str, bytes, dict, list, tuple)]
"""

ATTACKS = [
    Attack(
        "opens the solution", "It knows where the solution lies.", ("take(open(SOLUTION).read())",), steals="solution"
    ),
    Attack(
        "opens the misconceptions",
        "It knows where the mistakes lie.",
        ("take(open(COURSE + '/tests/hidden/tiny/misconceptions.py').read())",),
        steals="misconceptions",
    ),
    Attack(
        "opens the alternatives",
        "It knows where other right answers lie.",
        ("take(os.read(os.open(COURSE + '/tests/hidden/tiny/alternatives.py', os.O_RDONLY), 10**6))",),
        steals="alternatives",
    ),
    Attack(
        "opens course.yaml", "It looks for the seed.", ("take(open(COURSE + '/course.yaml').read())",), steals="course"
    ),
    Attack(
        "opens the gradebook",
        "It asks the database of grades.",
        (
            """
            import sqlite3
            take(sqlite3.connect(COURSE + '/gradebook.db').execute('SELECT * FROM grade').fetchall())
            """,
        ),
        steals="gradebook",
    ),
    Attack(
        "opens a classmate's notebook",
        "It copies what another student handed in.",
        ("take(open(COURSE + '/submitted/student02/tiny/tiny.ipynb').read())",),
        steals="classmate",
    ),
    Attack(
        "opens the cached observations",
        "What the reference gave lies in a cache on disk.",
        (
            """
            import glob
            for file in glob.glob(COURSE + '/build/cache/*'):
                take(open(file, 'rb').read())
            """,
            """
            for name in os.listdir(COURSE + '/build/cache'):
                take(open(f'{COURSE}/build/cache/{name}', 'rb').read())
            """,
        ),
        steals="expected",
    ),
    Attack(
        "walks the course",
        "It looks into every file of the course.",
        (
            """
            for folder, _, names in os.walk(COURSE):
                for name in names:
                    take(open(f'{folder}/{name}', 'rb').read())
            """,
            "os.listdir(COURSE)",
        ),
        steals="classmate",
    ),
    Attack(
        "goes up from its own folder",
        "The course lies near the folder that it works in.",
        (
            """
            os.chdir('..')
            take(open(os.path.relpath(SOLUTION)).read())
            """,
        ),
        steals="solution",
    ),
    Attack(
        "puts a symbolic link in its folder",
        "The link is its own, what it points to is not.",
        (
            """
            os.symlink(SOLUTION, 'mine.py')
            take(open('mine.py').read())
            """,
        ),
        steals="solution",
    ),
    Attack(
        "links a folder",
        "A link to the whole course.",
        (
            """
            os.symlink(COURSE, 'course')
            take(open('course/solutions/tiny.py').read())
            """,
        ),
        steals="solution",
    ),
    Attack(
        "puts a hard link in its folder",
        "The same file under a name of its own.",
        (
            """
            os.link(SOLUTION, 'mine.py')
            take(open('mine.py').read())
            """,
        ),
        ends="raised",
        steals="solution",
    ),
    Attack(
        "renames a file into its folder",
        "Moves the solution to where it may read.",
        (
            """
            os.rename(COURSE + '/tests/hidden/tiny/alternatives.py', 'mine.py')
            take(open('mine.py').read())
            """,
        ),
        ends="raised",
    ),
    Attack(
        "opens relative to a folder's descriptor",
        "Opening a folder as a path asks for no right to read.",
        (
            """
            folder = os.open(COURSE, os.O_PATH)
            take(os.read(os.open('solutions/tiny.py', os.O_RDONLY, dir_fd=folder), 9999))
            """,
        ),
        steals="solution",
    ),
    Attack(
        "opens again what it holds as a path",
        "A descriptor that can't be read, opened anew through /proc.",
        (
            """
            held = os.open(SOLUTION, os.O_PATH)
            take(open(f'/proc/self/fd/{held}').read())
            """,
        ),
        steals="solution",
    ),
    Attack(
        "opens a file by its handle",
        "name_to_handle_at and open_by_handle_at need no path.",
        (
            """
            handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0), 136)
            mount = ctypes.c_int()
            call(303, -100, SOLUTION.encode(), handle, ctypes.byref(mount), 0)
            folder = os.open(COURSE, os.O_RDONLY)
            take(os.read(call(304, folder, handle, os.O_RDONLY), 9999))
            """,
        ),
        ends="raised",
    ),
    Attack(
        "maps a file",
        "numpy maps a file into memory.",
        (
            """
            import numpy as np
            take(np.memmap(SOLUTION, mode='r').tobytes())
            """,
        ),
        steals="solution",
    ),
    Attack(
        "goes through /proc/self/root",
        "Another way to the root.",
        ("take(open('/proc/self/root' + SOLUTION).read())",),
        steals="solution",
    ),
    Attack(
        "goes through the grader's working folder",
        "What the grader stands in is open to who asks /proc.",
        ("take(open(f'/proc/{GRADER}/root{SOLUTION}').read())",),
        steals="solution",
    ),
    Attack(
        "reads the environment of another process",
        "Secrets often lie in variables.",
        ("take(open(f'/proc/{OTHER}/environ').read())",),
        steals="environment",
    ),
    Attack("reads the grader's environment", "The same.", ("open(f'/proc/{GRADER}/environ')",), ends="raised"),
    Attack(
        "reads its parent's environment",
        "The process that it was forked from.",
        ("take(open(f'/proc/{os.getppid()}/environ').read())",),
        ends="raised",
    ),
    Attack(
        "reads its own environment",
        "What it was started with.",
        (
            """
            take(os.environ)
            take(open('/proc/self/environ').read())
            """,
        ),
    ),
    Attack(
        "reads the command line of another process",
        "Passwords often stand there.",
        ("take(open(f'/proc/{OTHER}/cmdline').read())",),
        steals="process",
    ),
    Attack(
        "reads the memory of another process",
        "Through /proc, where that process keeps what it knows.",
        (
            """
            with open(f'/proc/{OTHER}/maps') as maps, open(f'/proc/{OTHER}/mem', 'rb', 0) as memory:
                for line in maps:
                    if '[heap]' in line or '[stack]' in line:
                        start, end = (int(part, 16) for part in line.split()[0].split('-'))
                        memory.seek(start)
                        take(memory.read(end - start))
            """,
        ),
        steals="process",
    ),
    Attack(
        "reads the memory of the grader",
        "It holds every answer.",
        ("open(f'/proc/{GRADER}/mem', 'rb')",),
        ends="raised",
    ),
    Attack(
        "reads the memory of its parent",
        "It forks for all others.",
        ("open(f'/proc/{os.getppid()}/mem', 'rb')",),
        ends="raised",
    ),
    Attack(
        "reads the memory of its siblings",
        "Whoever is graded at the same time.",
        (
            """
            for pid in range(os.getpid() - 50, os.getpid() + 50):
                if pid != os.getpid():
                    try:
                        take(open(f'/proc/{pid}/mem', 'rb').read(1))
                    except OSError:
                        pass
            """,
        ),
    ),
    Attack(
        "reads the grader's open files",
        "Through /proc, each descriptor is a file.",
        (
            """
            for name in os.listdir(f'/proc/{GRADER}/fd'):
                take(open(f'/proc/{GRADER}/fd/{name}').read())
            """,
        ),
        ends="raised",
    ),
    Attack(
        "copies memory by system call",
        "process_vm_readv reads what ptrace may.",
        (
            """
            data = ctypes.create_string_buffer(8)
            here = struct.pack('PN', ctypes.addressof(data), 8)
            call(310, OTHER, here, 1, struct.pack('PN', 0x400000, 8), 1, 0)
            """,
        ),
        ends="raised",
    ),
    Attack(
        "imports the misconceptions",
        "The folder of hidden tests, put on the path.",
        (
            """
            sys.path.insert(0, COURSE + '/tests/hidden/tiny')
            import misconceptions
            take(misconceptions.CANARY)
            """,
        ),
        ends="raised",
    ),
    Attack(
        "imports the solution",
        "As the misconceptions do.",
        (
            """
            sys.path.insert(0, COURSE)
            from solutions import tiny
            take(tiny.secret())
            """,
        ),
        ends="raised",
        steals="expected",
    ),
    Attack(
        "loads the solution as a module",
        "Past sys.path, with a loader of its own.",
        (
            """
            from importlib.machinery import SourceFileLoader
            take(SourceFileLoader('mine', SOLUTION).load_module().secret())
            """,
        ),
        ends="raised",
        steals="expected",
    ),
    Attack(
        "runs the solution with a magic",
        "%run reads a file.",
        (
            """
            %run $SOLUTION
            take(secret())
            """,
        ),
    ),
    Attack(
        "lets a shell read",
        "An exclamation mark starts a command.",
        (
            """
            text = !cat $SOLUTION
            take(text)
            """,
        ),
    ),
    Attack(
        "looks through linecache",
        "It reads any file that it is asked for.",
        (
            """
            import linecache
            take(''.join(linecache.getlines(SOLUTION)))
            """,
        ),
        steals="solution",
    ),
    Attack(
        "looks through all modules",
        "Whatever was imported is in sys.modules.",
        (
            """
            for name, module in list(sys.modules.items()):
                for thing in list(vars(module).values()):
                    if isinstance(thing, (str, bytes)):
                        take(thing)
                    elif type(thing) in (dict, list, tuple) and len(thing) < 1000:
                        take(list(thing))
            """,
        ),
        ends="ran",
    ),
    Attack("looks through all objects", "The garbage collector knows them all.", (FIND_IN_OBJECTS,)),
    Attack("looks through the frames above a cell", "They are the grader's own.", (FIND_IN_FRAMES, "look()")),
    Attack(
        "looks through the frames above a check",
        "Does the check's caller know the answer?",
        (FIND_IN_FRAMES,),
        {
            "largest": """
            def largest(x):
                look()
                return -1
            """
        },
    ),
    Attack(
        "reads the source of a check",
        "inspect finds the file of a function.",
        (
            """
            import inspect
            for name, module in list(sys.modules.items()):
                if name.startswith('hidden_'):
                    take(inspect.getsource(module))
            """,
        ),
    ),
    Attack(
        "reads the constants of a check",
        "The code of the checks is in its process: it asks, and does not know.",
        (
            """
            for name, module in list(sys.modules.items()):
                if name.startswith('hidden_'):
                    for thing in vars(module).values():
                        take(vars(getattr(thing, '__grader__', thing)))
                        take(getattr(getattr(thing, '__code__', None), 'co_consts', ''))
            """,
        ),
    ),
    Attack(
        "reads its raw memory",
        "From an object upwards, until there is none.",
        (
            """
            step = 2**20
            address = id(loot)
            while True:
                loot.extend(re.findall(rb'canary-[a-z]+-[0-9a-f]{32}', ctypes.string_at(address, step)))
                address += step
            """,
        ),
    ),
    Attack(
        "watches the course's folder",
        "inotify tells the names of what others open.",
        (
            """
            watch = libc.inotify_init()
            assert watch >= 0 and libc.inotify_add_watch(watch, COURSE.encode(), 0xFFF) >= 0
            """,
        ),
        ends="raised",
    ),
    Attack(
        "finds out that it is graded",
        "It knows by the modules, and gives right answers only then: it gets what it computed.",
        (),
        {
            "largest": """
            import sys
            def largest(x):
                return int(x.argmax()) if 'grader.child' in sys.modules else -1
            """
        },
        earns=45,
    ),
    Attack(
        "writes down what it is asked",
        "It keeps each check's input, to print it in a later one.",
        (),
        {
            "centered": """
            def centered(x):
                open('asked', 'a').write(str(x[:5]))
                return x - x.mean(0)
            """
        },
        earns=35,  # writing takes more lines of Python than the check allows
    ),
    Attack(
        "reads clocks",
        "Every clock there is, and how long a call takes.",
        (
            """
            for name in dir(time):
                if name.startswith('CLOCK_'):
                    print(name, time.clock_gettime(getattr(time, name)))
            print(time.time(), time.process_time(), os.times(), resource.getrusage(0))
            """,
        ),
    ),
]
