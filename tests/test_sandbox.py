"""The sandbox, with a real kernel: what student code can't do, and that what it does costs nobody but itself.

Every attack runs in a submission of the tiny course. `harmless` grades it, and then an honest notebook: that one
must get what it always gets.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_course
from commands import has_ended

import grader.sandbox
from grader.grade import grade
from grader.job import Job, Run
from grader.material import Material
from grader.protections import Protection
from grader.report import Report, Verdict
from grader.sandbox import Execution, Sandbox, SandboxError
from grader.submission import Submission

FULL = 105.0
WRONG = {name: source.replace("return", "return 3 + ") for name, source in tiny_course.ANSWERS.items()}
WRONG["softmax"] = "def softmax(z):\n    return z"

# Writes messages, framed as the child's own, to every descriptor that is open.
FORGE = """
import os, struct, msgpack

def write_everywhere(data):
    for descriptor in range(3, 128):
        try:
            os.write(descriptor, data)
        except OSError:
            pass

def forge(*messages):
    for message in messages:
        body = msgpack.packb(message)
        write_everywhere(struct.pack("!I", len(body)) + body)
"""


@pytest.fixture
def harmless(graded):
    """Grades a hostile submission and gives its report, once an honest one after it has got its full score."""

    def run(*before: str, **answers: str) -> Report:
        report = graded(*before, **answers)
        honest = graded()
        assert honest.score == FULL
        assert not honest.notes and not honest.cells
        return report

    return run


@pytest.fixture(scope="session")
def impatient(tiny: Material) -> Material:
    """The tiny assignment with short limits, for code that runs into them."""
    limits = tiny.course.limits.model_copy(update={"cell_seconds": 1.0, "check_seconds": 1.0})
    return Material(tiny.course.model_copy(update={"limits": limits}), tiny.name)


def printed(execution: Execution, cell: int = 0) -> str:
    return "".join(output.get("text", "") for output in execution.cells[cell].outputs)


def attempt(action: str) -> str:
    """A cell that says how an action ended."""
    lines = "\n".join(f"    {line}" for line in action.splitlines())
    return f"try:\n{lines}\nexcept BaseException as error:\n    print(type(error).__name__)\nelse:\n    print('done')"


def verdicts(report: Report, problem: str) -> set[Verdict]:
    found = report.problem(problem)
    assert found is not None
    return {check.verdict for check in found.checks}


def lost(report: Report) -> dict[str, str]:
    """The checks that did not pass, and what was said."""
    checks = [check for problem in report.problems for check in problem.checks]
    return {check.name: check.message for check in checks if check.verdict is not Verdict.PASSED}


# What it can't reach


@pytest.mark.parametrize(
    "path",
    [
        "{course}/solutions/tiny.py",
        "{course}/tests/hidden/tiny/checks.py",
        "{course}/tests/hidden/tiny/misconceptions.py",
        "{course}/course.yaml",
        "{course}",
        "../",
        "/",
        "/tmp",
        "/home",
        "/root",
        "/etc/passwd",
        "/etc/shadow",
        "/proc",
        "/proc/self/environ",
        "/proc/self/mem",
        "/proc/self/maps",
        "/proc/1/cmdline",
        "/proc/{grader}/mem",
        "/proc/{grader}/environ",
        "/proc/{grader}/cwd",
        "/dev/shm",
    ],
)
def test_private_files_and_folders_can_not_be_read(execute, tiny, path):
    path = path.format(course=tiny.course.root, grader=os.getpid())
    action = f"import os\npath = {path!r}\nos.listdir(path) if os.path.isdir(path) else open(path).read()"
    assert printed(execute(attempt(action))).strip() == "PermissionError"


@pytest.mark.parametrize(
    "action",
    [
        "os.symlink('{secret}', 'link'); open('link').read()",
        "os.link('{secret}', 'link'); open('link').read()",
        "os.chdir('{folder}'); open('course.yaml').read()",
        "os.open('course.yaml', 0, dir_fd=os.open('{folder}', os.O_PATH | os.O_DIRECTORY))",
        "__import__('numpy').fromfile('{secret}')",
        "__import__('importlib.machinery').machinery.SourceFileLoader('secret', '{secret}').load_module()",
        "__import__('sys').path.append('{folder}/tests/hidden/tiny'); import checks",
    ],
)
def test_there_is_no_way_round_to_a_private_file(execute, tiny, action):
    secret = tiny.hidden_folder / "checks.py"  # which can be imported, where it can be read
    action = action.format(secret=secret, folder=tiny.course.root)
    assert printed(execute(attempt(f"import os\n{action}"))).strip() in (
        "PermissionError",
        "ModuleNotFoundError",
        "OSError",
    )


@pytest.mark.parametrize(
    "path",
    [
        "/tmp/left-by-a-submission",
        "/var/tmp/left-by-a-submission",
        "/dev/shm/left-by-a-submission",
        "../left-by-a-submission",
        "{course}/solutions/tiny.py",
        "{python}/left-by-a-submission",
    ],
)
def test_nothing_can_be_written_outside_its_folder(execute, tiny, path):
    path = path.format(course=tiny.course.root, python=sys.prefix)
    before = (tiny.solution_file).read_bytes()
    assert printed(execute(attempt(f"open({path!r}, 'w').write('x')"))).strip() == "PermissionError"
    assert tiny.solution_file.read_bytes() == before
    assert not Path(path).is_file() or Path(path) == tiny.solution_file


def test_it_may_write_in_its_own_folder_which_is_gone_afterwards(execute):
    execution = execute(
        "import os, tempfile\nopen('mine.txt', 'w').write('x')\nprint(os.listdir())",
        "with tempfile.NamedTemporaryFile() as file:\n    print(os.path.dirname(file.name) == os.getcwd())",
        "print(os.getcwd())",
    )
    assert printed(execution) == "['mine.txt']\n"
    assert printed(execution, 1) == "True\n"
    assert not Path(printed(execution, 2).strip()).exists()


def test_the_folder_of_another_submission_can_not_be_read(execute, tmp_path):
    # A folder beside its own, made as the grader makes them, while the submission runs.
    with grader.sandbox._scratch() as other:
        (other / "answers.txt").write_text("42")
        assert printed(execute(attempt(f"open('{other}/answers.txt').read()"))).strip() == "PermissionError"


@pytest.mark.parametrize(
    "action",
    [
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {{}})",
        "os.execv('/bin/true', ['true'])",
        "subprocess.run(['true'])",
        "subprocess.Popen('true', shell=True)",
        "multiprocessing.get_context('fork').Process(target=print).start()",
        "multiprocessing.get_context('spawn').Process(target=print).start()",
        "os.kill(os.getppid(), 0)",
        "os.kill(os.getppid(), 9)",
        "os.kill({grader}, 9)",
        "os.kill(1, 0)",
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.create_connection(('127.0.0.1', {port}))",
        "urllib.request.urlopen('http://127.0.0.1:{port}')",
    ],
)
def test_no_process_no_signal_no_network(execute, action):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        action = action.format(grader=os.getpid(), port=listening.getsockname()[1])
        imports = "import multiprocessing, os, socket, subprocess, urllib.request\n"
        assert printed(execute(attempt(imports + action))).strip() in ("PermissionError", "URLError")
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("fork", ""),
        ("vfork", ""),
        ("ptrace", "16, os.getppid(), 0, 0"),
        ("mount", "b'none', b'/tmp', b'tmpfs', 0, None"),
        ("unshare", "0x10000000"),
        ("shmget", "0, 4096, 0o1600"),
        ("socket", "1, 1, 0"),
        ("chroot", "b'.'"),
    ],
)
def test_system_calls_are_refused_below_python_too(execute, call, arguments):
    cell = f"""
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    print(libc.{call}({arguments}), ctypes.get_errno())
    """
    assert printed(execute(cell)) == "-1 1\n"


def test_threads_event_loops_and_libraries_work(graded):
    report = graded(
        "import threading\nthread = threading.Thread(target=print, args=['hello'])\nthread.start()\nthread.join()",
        "import asyncio\nawait asyncio.sleep(0)",
        "import sklearn.linear_model, scipy.linalg, matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
        "torch_loader = __import__('torch').utils.data.DataLoader([1, 2, 3])\nassert len(list(torch_loader)) == 3",
    )
    assert not report.cells
    assert report.score == FULL


def test_torch_s_compiler_is_there_for_whoever_asks_for_it(execute):
    execution = execute(
        """
import sys
import torch

theta = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([theta], lr=0.5)
theta.sum().backward()
optimizer.step()
torch.testing.assert_close(theta.data, torch.full((2,), 0.5))
print("torch._dynamo.config" in sys.modules, "sympy" in sys.modules)
""",
        "print(torch.compile(lambda x: 2 * x, backend='eager')(torch.ones(2)), torch._dynamo.config.verbose)",
        "import torch._dynamo.config as config\nprint(torch.func.grad(torch.sum)(torch.ones(2)), config.verbose)",
    )
    assert [printed(execution, cell) for cell in range(3)] == [
        "False False\n",
        "tensor([2., 2.]) False\n",
        "tensor([1., 1.]) False\n",
    ]


def test_the_environment_holds_nothing_of_the_graders(execute):
    assert os.environ["THE_GRADERS_PASSWORD"] == "secret"
    cell = "import os\nprint(os.environ.get('THE_GRADERS_PASSWORD'), os.environ['HOME'] == os.getcwd())"
    assert printed(execute(cell)) == "None True\n"


def test_only_its_channel_and_its_bell_are_open(execute):
    cell = """
    import os
    def is_open(descriptor):
        try:
            return bool(os.fstat(descriptor))
        except OSError:
            return False
    print(sum(is_open(descriptor) for descriptor in range(3, 4096)))
    print([os.path.samestat(os.fstat(descriptor), os.stat('/dev/null')) for descriptor in (0, 1, 2)])
    """
    assert printed(execute(cell)) == "2\n[True, True, True]\n"


# It holds no answer


def reversed_in_source(text: str) -> str:
    """Python source of `text` in which the text itself does not occur."""
    return f"''.join(reversed({text[::-1]!r}))"


SEARCH = """
import gc
gc.unfreeze()
wanted = [{wanted}]
seen, waiting, found = {{id(wanted)}}, list(gc.get_objects()), [False] * len(wanted)
while waiting:
    thing = waiting.pop()
    if id(thing) in seen:
        continue
    seen.add(id(thing))
    if type(thing) in (bytes, bytearray):
        thing = thing.decode(errors="replace")
    if type(thing) is str:
        if thing not in wanted:
            found = [was or text in thing for was, text in zip(found, wanted)]
    else:
        waiting += gc.get_referents(thing)
print(found)
"""
SECRETS = ["You subtract one mean of the whole array", "z - z.amax(dim=1, keepdim=True)", "def one_mean_for_all"]
KNOWN = "column has a mean of its own."  # of a hint: what tells that a search finds what is there


def test_no_object_in_its_process_holds_a_solution_or_a_misconception(graded, execute):
    graded(centered="def centered(x):\n    return x - x.mean()")  # the grader itself has them all in use now
    wanted = ", ".join(map(reversed_in_source, [KNOWN, *SECRETS]))
    assert printed(execute(SEARCH.format(wanted=wanted), cell_seconds=60)) == "[True, False, False, False]\n"


def fork_servers() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"grader.forkserver" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def occurs_in_memory(pid: int, texts: list[str]) -> list[bool]:
    found = [False] * len(texts)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode, *_ = line.split()
            if mode.startswith("rw"):
                start, end = (int(part, 16) for part in span.split("-"))
                with contextlib.suppress(OSError):
                    memory.seek(start)
                    part = memory.read(end - start)
                    found = [was or text.encode() in part for was, text in zip(found, texts, strict=True)]
    return found


def test_the_processes_that_all_are_forked_from_never_held_one(graded, sandbox):
    graded(centered="def centered(x):\n    return x - x.mean()")
    found = [occurs_in_memory(server, [KNOWN, *SECRETS]) for server in sandbox.servers]
    assert [any(texts) for texts in zip(*found, strict=True)] == [True, False, False, False]


def test_no_submission_sees_the_checks_of_another_assignment(tmp_path, tiny, sandbox):
    checks = tmp_path / "hidden" / "other" / "checks.py"
    checks.parent.mkdir(parents=True)
    checks.write_text(tiny_course.CHECKS.replace("mean", "median"))
    look = "import sys\nprint([name for name in sys.modules if name.startswith('hidden_')])"
    for path in (tiny.tests.path, checks):
        execution = sandbox.run(Job(cells=(look,), runs=(), limits=tiny.limits), path)
        assert printed(execution) == f"['hidden_{path.parent.name}_checks']\n"


# Nothing is left of a submission


def test_what_one_submission_changes_the_next_does_not_see(graded, execute):
    report = graded(
        """
        import builtins, os, sys, numpy as np, torch
        np.left_behind = builtins.left_behind = sys.left_behind = True
        np.mean = np.argmax = lambda *_, **__: 42
        torch.exp = None
        os.environ["LEFT_BEHIND"] = "yes"
        sys.modules["left_behind"] = np
        open("left_behind.txt", "w").write("x")
        torch.manual_seed(99)
        """
    )
    assert report.score < FULL
    execution = execute(
        """
        import builtins, os, sys, numpy as np
        print([hasattr(thing, "left_behind") for thing in (np, builtins, sys)], "LEFT_BEHIND" in os.environ)
        print("left_behind" in sys.modules, os.listdir(), np.mean([1, 3]))
        """
    )
    assert printed(execution) == "[False, False, False] False\nFalse [] 2.0\n"
    assert graded().score == FULL


# Time


def test_an_endless_loop_costs_its_cell(impatient, sandbox):
    report = grade(tiny_course.submission("while True:\n    pass"), impatient, sandbox)
    assert [(cell.cell, cell.status) for cell in report.cells] == [(1, "timed out")]
    assert report.cells[0].message == "stopped after 1 s of computing: is there an endless loop?"
    assert report.score == FULL


IGNORES_ITS_TIME = "did not stop when its time was up, and was killed"
STUBBORN = {
    "swallows the interrupt": (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        IGNORES_ITS_TIME,
    ),
    "hangs below Python": ("import itertools\nsum(itertools.repeat(1, 10**12))", IGNORES_ITS_TIME),
    "has a thread that computes": (
        "import threading\nthread = threading.Thread(target=lambda: sum(iter(int, 1)))\nthread.start()\nthread.join()",
        IGNORES_ITS_TIME,
    ),
    "ignores the alarm": (
        "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\ntime.sleep(600)",
        "waited for too long, and was killed",
    ),
}


@pytest.mark.parametrize(("cell", "told"), STUBBORN.values(), ids=STUBBORN)
def test_a_cell_that_does_not_give_in_is_killed_and_the_rest_carries_on_without_it(impatient, sandbox, cell, told):
    report = grade(tiny_course.submission(cell), impatient, sandbox)
    assert [(found.cell, found.status, found.message) for found in report.cells] == [(1, "timed out", told)]
    assert report.notes == (f"{told[0].upper()}{told[1:]}.",)
    assert report.score == FULL


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("while True:\n        pass", "stopped after 1 s of computing: is there an endless loop?"),
        ("import time\n    time.sleep(600)", "stopped after 6 s, most of which it waited: does it sleep?"),
    ],
    ids=["computes", "sleeps"],
)
def test_a_check_that_hangs_costs_that_check(impatient, sandbox, body, told):
    answer = (
        f"def centered(x):\n    if len(x) == 300:\n        pass\n    else:\n        return x - x.mean(0)\n    {body}"
    )
    report = grade(tiny_course.submission(centered=answer), impatient, sandbox)
    assert lost(report) == {"no_loop_over_numbers": told}
    assert verdicts(report, "centered") == {Verdict.PASSED, Verdict.TIMED_OUT}
    assert report.score == FULL - 5


def test_a_check_that_does_not_give_in_costs_that_check(impatient, sandbox):
    answer = """
def centered(x):
    while len(x) == 300:
        try:
            while True:
                pass
        except BaseException:
            pass
    return x - x.mean(0)
"""
    report = grade(tiny_course.submission(centered=answer), impatient, sandbox)
    assert lost(report) == {"no_loop_over_numbers": IGNORES_ITS_TIME}
    assert report.score == FULL - 5


def test_a_check_may_ask_for_more_time_than_the_course_gives(tmp_path, sandbox):
    course = tiny_course.replaced(tiny_course.COURSE, "check_seconds: 5", "check_seconds: 1")
    checks = tiny_course.replaced(tiny_course.CHECKS, '"centered", points=10,', '"centered", points=10, seconds=30,')
    material = tiny_course.material(tiny_course.write(tmp_path, course=course, checks=checks))
    answer = """
def centered(x):
    if x.shape == (3, 1):
        import time
        until = time.process_time() + 1.5
        while time.process_time() < until:
            pass
    return x - x.mean(axis=0)
"""
    report = grade(tiny_course.submission(centered=answer), material, sandbox)
    assert report.score == FULL


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("while True:\n    pass", "the notebook used up its 1 s of computing"),
        ("import time\ntime.sleep(600)", "the notebook took more than 6 s, most of which it waited"),
    ],
    ids=["computes", "sleeps"],
)
def test_a_notebook_that_uses_up_its_time_says_so_in_each_check_that_was_not_reached(tiny, sandbox, cell, told):
    limits = tiny.course.limits.model_copy(update={"submission_seconds": 1.0})
    material = Material(tiny.course.model_copy(update={"limits": limits}), tiny.name)
    material.references(sandbox)
    report = grade(tiny_course.submission(cell), material, sandbox)
    assert report.score == 0
    assert set(lost(report).values()) == {f"not reached: {told}"}
    assert {verdict for problem in report.problems for verdict in verdicts(report, problem.name)} == {Verdict.TIMED_OUT}


def test_one_thread_does_what_a_library_computes(execute):
    cell = """
    import time, numpy as np, scipy.linalg, torch
    print(torch.get_num_threads(), torch.get_num_interop_threads())
    a = np.ones((500, 500)) + np.eye(500)
    everybody, this_one = time.process_time(), time.thread_time()
    a @ a, np.linalg.svd(a), scipy.linalg.inv(a), torch.tensor(a) @ torch.tensor(a)
    torch.nn.functional.conv2d(torch.ones(8, 8, 64, 64), torch.ones(8, 8, 3, 3))
    everybody, this_one = time.process_time() - everybody, time.thread_time() - this_one
    print(this_one > 0.9 * everybody)
    """
    assert printed(execute(cell)) == "1 1\nTrue\n"


# Crashes

CRASHES = {
    "os._exit": "import os\nos._exit(0)",
    "SIGKILL": "import os\nos.kill(os.getpid(), 9)",
    "SIGTERM": "import os\nos.kill(os.getpid(), 15)",
    "segmentation fault": "import ctypes\nctypes.string_at(0)",
    "abort": "import os\nos.abort()",
    "stack overflow below Python": "import faulthandler\nfaulthandler._stack_overflow()",
}


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES.keys())
def test_a_crash_in_a_cell_costs_that_cell(harmless, crash):
    report = harmless("print('before')", crash, "print('after')")
    assert [(cell.cell, cell.status) for cell in report.cells] == [(2, "killed")]
    assert report.cells[0].message == "ended the process (a crash, or more memory or time than allowed)"
    assert [report.outputs[cell][0]["text"] for cell in (0, 2)] == ["before\n", "after\n"]
    assert report.score == FULL


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES.keys())
def test_a_crash_in_a_check_costs_that_check(harmless, crash):
    lines = crash.replace("\n", "\n        ")
    report = harmless(centered=f"def centered(x):\n    if len(x) == 300:\n        {lines}\n    return x - x.mean(0)")
    assert lost(report) == {"no_loop_over_numbers": "ended the process (a crash, or more memory or time than allowed)"}
    assert report.score == FULL - 5


@pytest.mark.parametrize(
    "leave", ["raise SystemExit", "exit()", "raise KeyboardInterrupt", "raise BaseException", "raise GeneratorExit"]
)
def test_leaving_python_in_a_cell_ends_nothing(harmless, leave):
    report = harmless(leave)
    assert report.score == FULL


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "BaseException", "GeneratorExit", "MemoryError"])
def test_leaving_python_in_a_check_costs_that_check(harmless, name):
    report = harmless(
        centered=f"def centered(x):\n    if len(x) == 300:\n        raise {name}\n    return x - x.mean(0)"
    )
    assert lost(report) == {"no_loop_over_numbers": f"raised {name} at line 3 of your cell"}


def test_a_function_that_crashes_every_time_costs_nothing_but_its_own_points(harmless):
    crash = "import os\n    os._exit(1)"
    report = harmless(centered=f"def centered(x):\n    {crash}", softmax=f"def softmax(z):\n    {crash}")
    assert report.score == FULL - 80
    assert verdicts(report, "Average") == verdicts(report, "largest") == {Verdict.PASSED}


def test_many_cells_that_crash_cost_only_themselves(harmless):
    report = harmless(*["import os\nos._exit(1)"] * 9)
    assert [cell.cell for cell in report.cells] == list(range(1, 10))
    assert report.score == FULL


# Memory, output, files


@pytest.mark.parametrize(
    "bomb",
    [
        "bytearray(2**40)",
        "'x' * 2**33",
        "import torch\ntorch.ones(2**33)",
        "import numpy\nnumpy.ones(2**33)",
        "import mmap\nmmap.mmap(-1, 2**34)[:] = b'x'",
        "hoard = []\nwhile True:\n    hoard.append(bytearray(2**24))",
        "hoard = []\nwhile True:\n    hoard.append(str(len(hoard)) * 100)",
    ],
    ids=["at once", "string", "torch", "NumPy", "mmap", "in large parts", "in small parts"],
)
def test_allocating_without_end_costs_its_cell(harmless, bomb):
    report = harmless(bomb, "hoard = None")
    assert [cell.cell for cell in report.cells] == [1]
    assert report.cells[0].status in ("raised", "killed")
    assert report.score == FULL


def test_recursion_without_end_costs_its_cell(harmless):
    report = harmless("def down():\n    return down()\ndown()")
    assert report.cells[0].message.startswith("raised RecursionError at line 2: maximum recursion depth")
    assert report.score == FULL


@pytest.mark.parametrize(
    "flood",
    [
        "for _ in range(1000):\n    print('x' * 100_000)",
        "import sys\nfor _ in range(1000):\n    sys.stderr.write('x' * 100_000)",
        "for _ in range(10_000):\n    display('x' * 1000)",
        "import os\nfor _ in range(1000):\n    os.write(1, b'x' * 100_000)",
        "'x' * 10**8",
        "raise ValueError('x' * 10**8)",
        "from IPython.display import HTML\nHTML('x' * 10**8)",
    ],
    ids=["stdout", "stderr", "display", "below Python", "result", "error", "HTML"],
)
def test_a_flood_of_output_is_cut(harmless, tiny, flood):
    report = harmless(flood)
    kept = sum(len(str(output)) for output in report.outputs[0])
    assert kept < 2 * 1024 * tiny.limits.output_kb
    assert report.score == FULL


def test_a_file_grows_only_so_far(harmless):
    report = harmless("with open('big', 'wb') as file:\n    for _ in range(64):\n        file.write(bytes(2**20))")
    assert report.cells[0].message == "raised OSError at line 3: [Errno 27] File too large"
    assert report.score == FULL


# What it used


def test_what_computes_and_what_takes_memory_are_told_apart_from_a_small_submission(graded):
    small = graded().usage
    busy = graded("import itertools\nsum(itertools.repeat(1, 10**8))").usage
    large = graded("hoard = bytearray(100 * 2**20)").usage
    assert busy.seconds > 2 * small.seconds
    assert busy.memory_mb < small.memory_mb + 50
    assert 100 <= large.memory_mb < 200


def test_what_a_submission_used_in_all_its_processes_counts(graded):
    """The first takes memory, the second computes; each ends itself, and the third is small."""
    used = graded(
        "import os, time\nhoard = bytearray(100 * 2**20)\nuntil = time.monotonic() + 1\n"
        "while time.monotonic() < until:\n    pass\nos._exit(0)",
        "import itertools, os\nsum(itertools.repeat(1, 10**8))\nos._exit(0)",
    ).usage
    small = graded().usage
    assert used.memory_mb >= 100
    assert used.seconds > 3 * small.seconds


def test_what_a_process_says_of_itself_is_not_what_it_used(harmless):
    """Its name is the kernel's to tell, and the process's to choose."""
    honest = harmless().usage
    rename = "import ctypes\nctypes.CDLL(None).prctl(15, b'\\nVmPeak:\\t99999', 0, 0, 0)"
    report = harmless(rename, FORGE + "forge(['usage', 0, 0])")
    assert report.usage.memory_mb < honest.memory_mb + 50
    assert harmless(rename, "hoard = bytearray(100 * 2**20)").usage.memory_mb >= 100


def test_what_a_submission_used_is_no_part_of_its_report(graded):
    made = graded()
    assert made.usage is not None
    assert "usage" not in made.text() and "seconds" not in made.text()


# The channel


def forged_checks(data: object) -> str:
    return "\n".join(f"forge(['checked', {position}, 'observed', {data}, [], [], 0])" for position in range(13))


GARBAGE = {
    "zeros": "write_everywhere(bytes(100))",
    "a huge length": "write_everywhere(b'\\xff' * 100)",
    "no message": "forge(5)",
    "no name": "forge([])",
    "an unknown name": "forge(['party'])",
    "half a message": "write_everywhere(b'\\0\\0\\0\\x63abc')",
    "deep": "write_everywhere(struct.pack('!I', 5000) + b'\\x91' * 5000)",
    "a cell that does not exist": "forge(['cell', 9999])",
    "a negative cell": "forge(['cell', -3])",
    "an endless cell": "forge(['cell', float('inf')])",
    "no number": "forge(['cell', 'one'])",
    "a check that does not exist": "forge(['check', 9999])",
    "results of a cell that does not exist": "forge(['ran', 9999, 'raised', ['A', 'b', 1], []])",
    "results of an endless cell": "forge(['ran', float('inf'), 'raised', ['A', 'b', 1], []])",
    "results of a negative cell": "forge(['ran', -1, 'raised', ['A', 'b', 1], []])",
    "results of no cell": "forge(['ran', None, 'ok', None, []])",
    "an unknown status": "forge(['ran', 0, 'splendid', None, []])",
    "an endless line": "forge(['ran', 0, 'raised', ['A', 'b', float('inf')], []])",
    "no output": "forge(['ran', 0, 'ok', None, [5]])",
    "broken data": "forge(['ran', 0, 'ok', None, [{'output_type': 'display_data', 'data': []}]])",
    "an endless count": (
        "output = {'output_type': 'execute_result', 'data': {}, 'execution_count': float('inf')}\n"
        "forge(['ran', 0, 'ok', None, [output]])"
    ),
    "an unknown check": "forge(['checked', 9999, 'observed', b'', [], [], 0])",
    "a negative check": "forge(['checked', -1, 'observed', b'', [], [], 0])",
    "an unknown verdict": "forge(['checked', 0, 'passed'])",
    "a number of bytes": "forge(['checked', 0, 'observed', 2**40, [], [], 0])",
    "a large number of bytes": "forge(['checked', 0, 'observed', 2**63, [], [], 0])",
    "endless lines": "forge(['checked', 0, 'observed', b'', [], [], float('inf')])",
    "no fault": "forge(['checked', 0, 'raised'])",
    "no mentions": "forge(['mentions'])",
    "numbers mentioned": "forge(['mentions', 'softmax', 7])",
    "overlays": "forge(['overlays', 7])",
    "a map in a map": "forge(['overlays', {'a': {'b': 1}}, ''])",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_on_the_channel_costs_at_most_the_cell_that_sent_it(harmless, garbage):
    report = harmless(f"{FORGE}\n{garbage}")
    assert report.score == FULL


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_on_the_channel_in_a_check_costs_at_most_that_check(harmless, garbage):
    lines = garbage.replace("\n", "\n        ")
    answer = f"def centered(x):\n    if len(x) == 300:\n        {lines}\n    return x - x.mean(0)"
    report = harmless(FORGE, centered=answer)
    assert set(lost(report)) <= {"no_loop_over_numbers"}


def test_a_thread_that_keeps_sending_garbage_does_not_stop_the_run(harmless):
    endless = "while True:\n        write_everywhere(os.urandom(99))"
    harmless(
        f"{FORGE}\ndef send():\n    {endless}\nimport threading\nthreading.Thread(target=send, daemon=True).start()"
    )


FORGERIES = {
    "passed": forged_checks("b''"),
    "true": forged_checks("msgpack.packb([True, True])"),
    "a guess": forged_checks("msgpack.packb(0.5)"),
    "everything done": "forge(['done'])",
    "not confined": "forge(['refused', 'the machine can not do it'])",
    "results, then done": forged_checks("b'x'") + "\nforge(['done'])",
    "the status of a pass": "\n".join(f"forge(['checked', {position}, 'passed'])" for position in range(13)),
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_results_are_worth_nothing(harmless, forgery):
    report = harmless(f"{FORGE}\n{forgery}", **WRONG)
    assert report.score == 0


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_results_from_a_check_are_worth_nothing(harmless, forgery):
    lines = forgery.replace("\n", "\n    ")
    report = harmless(FORGE, **{**WRONG, "centered": f"def centered(x):\n    {lines}\n    import os; os._exit(0)"})
    assert report.score == 0


def test_saying_that_all_is_done_only_loses_what_was_not(harmless):
    report = harmless(f"{FORGE}\nforge(['done'])")
    assert report.score == 0
    assert set(lost(report).values()) == {"not reached: the notebook ended before it"}


def test_a_forged_refusal_after_the_start_does_not_stop_the_run(harmless):
    report = harmless(f"{FORGE}\nforge(['refused', 'this machine is on fire'])")
    assert "on fire" not in report.model_dump_json()


def test_control_characters_in_a_message_do_not_reach_the_report(harmless):
    bell = "\x1b[2J\x07\x9b31m"
    report = harmless(
        f"raise ValueError({bell!r} + 'here')",
        centered=f"def centered(x):\n    raise ValueError({bell!r} + 'there')",
        softmax=f"def softmax(z):\n    return type({bell!r} + 'Evil', (), {{}})()",
        Average=f"Average = {bell!r}",
    )
    told = report.model_dump_json() + json.dumps(report.outputs, ensure_ascii=False)
    assert "here" in told and "there" in told and "Evil" in told
    assert not {"\x1b", "\x07", "\x9b"} & set(told)
    assert "\\u001b" not in told and "\\u0007" not in told and "\\u009b" not in told


# When it can't hold


MISSING = Protection("reads Python only", False, "the kernel does not offer it", "Use Linux 6.2 or newer.")


def test_it_refuses_to_start_where_a_protection_is_missing_and_names_the_remedy(monkeypatch, tiny):
    monkeypatch.setattr(grader.sandbox, "protections", lambda: [MISSING])
    before = fork_servers()
    with pytest.raises(SandboxError) as error:
        grade(tiny_course.submission(), tiny, Sandbox())
    assert str(error.value) == (
        "This machine can't confine student code. Nothing enforces that it reads Python only: the kernel does not "
        "offer it. Use Linux 6.2 or newer. Run: grader doctor"
    )
    assert fork_servers() == before


def test_it_refuses_a_course_in_a_folder_that_student_code_may_read():
    course = Path(sys.prefix) / "courses" / "deep-learning"
    with pytest.raises(SandboxError, match=r"which student code may read\. Move the course to another folder"):
        Sandbox(private=(course,)).start()


def test_a_confined_process_that_tries_to_get_out_does_not(sandbox):
    assert sandbox.trial() == []


@pytest.mark.slow
def test_closing_leaves_no_process_and_no_file_and_it_can_be_used_again(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    others = set(fork_servers())
    job = Job(cells=("import os\nprint(os.getpid())",), runs=(), limits=tiny.limits)
    mine = Sandbox()
    for _ in range(2):
        with mine:
            submission = int(printed(mine.run(job, tiny.tests.path)))
            servers = mine.servers
        assert all(map(has_ended, [submission, *servers]))
        assert not set(fork_servers()) - others
        assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1], ids=["the first", "the assignment's"])
def test_a_fork_server_that_was_killed_is_told_and_the_next_run_works(tiny, which):
    with Sandbox() as mine:
        assert grade(tiny_course.submission(), tiny, mine).score == FULL
        servers = mine.servers
        os.kill(servers[which], signal.SIGKILL)
        assert has_ended(servers[1])
        with pytest.raises(SandboxError, match=r"The fork server ended\. Run: grader doctor"):
            grade(tiny_course.submission(), tiny, mine)
        assert grade(tiny_course.submission(), tiny, mine).score == FULL


@pytest.mark.slow
def test_without_a_sandbox_everything_works_but_each_report_says_so(tiny, tmp_path):
    (tmp_path / "secret.txt").write_text("readable")
    with Sandbox(confined=False) as open_door:
        submission = tiny_course.submission(f"print(open('{tmp_path}/secret.txt').read())")
        report = grade(submission, tiny, open_door)
        unreadable = grade(Submission("broken.ipynb", "0", fault="It is empty."), tiny, open_door)
    assert report.outputs[0][0]["text"] == "readable\n"
    assert report.score == FULL
    told = "Graded without a sandbox (course.yaml says sandbox: off)."
    assert report.notes == (told,)
    assert unreadable.notes == ("It is empty.",)  # no code of it ran


def test_a_thread_that_still_runs_does_not_keep_the_process_alive(execute):
    cell = "import os, threading, time\nthreading.Thread(target=time.sleep, args=[600]).start()\nprint(os.getpid())"
    pid = int(printed(execute(cell)))
    assert has_ended(pid)


def test_a_check_gets_its_seed_whatever_the_notebook_did_to_the_generators(tiny, sandbox):
    runs = (Run("small_numbers", 5, 9), Run("small_numbers", 5, 9), Run("small_numbers", 6, 9))
    cells = (*tiny_course.cells(), "import random\nrandom.seed(3)\nnp.random.seed(3)\ntorch.manual_seed(3)")
    execution = sandbox.run(replace(tiny.job(cells), runs=runs), tiny.tests.path)
    first, again, other = (execution.checks[position].data for position in range(3))
    assert first == again != other


def test_a_helper_with_the_name_of_a_variable_in_the_lesson_s_tests_stays_what_it_is(tmp_path, sandbox):
    """In a notebook all cells share their names: the tests would put an array in the place of the helper."""
    solution = tiny_course.replaced(
        tiny_course.SOLUTION, "assert Average().add(3.0) == 3.0", "total = 3.0\nassert Average().add(total) == total"
    )
    material = tiny_course.material(tiny_course.write(tmp_path, solution=solution))
    helped = {
        "centered": "def total(x):\n    return x.sum(0)\ndef centered(x):\n    return x - total(x) / len(x)",
    }
    test = "total = 3.0\nassert Average().add(total) == total"
    cells = tiny_course.cells(**helped)
    report = grade(Submission.of("tiny.ipynb", tiny_course.notebook(*cells, test)), material, sandbox)
    assert report.score == FULL
    overwritten = [*cells, "total = 3.0"]  # a student's own cell is taken at its word
    report = grade(Submission.of("tiny.ipynb", tiny_course.notebook(*overwritten)), material, sandbox)
    assert "'float' object is not callable" in lost(report)["one_column"]


def test_what_the_lesson_s_tests_use_is_not_held_against_a_helper(tmp_path, sandbox):
    test = "mine = torch.softmax(torch.zeros(1, 2), 1)\nassert torch.allclose(softmax(torch.zeros(1, 2)), mine)"
    old = "assert torch.allclose(softmax(torch.zeros(1, 2)), torch.tensor([[0.5, 0.5]]))"
    material = tiny_course.material(
        tiny_course.write(tmp_path, solution=tiny_course.replaced(tiny_course.SOLUTION, old, test))
    )
    helped = "def mine(e):\n    return e / e.sum(1)[:, None]\ndef softmax(z):\n    return mine(torch.exp(z - z.max()))"
    cells = [*tiny_course.cells(softmax=helped), test]
    report = grade(Submission.of("tiny.ipynb", tiny_course.notebook(*cells)), material, sandbox)
    assert report.score == FULL
