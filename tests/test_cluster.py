"""`grader autograde --dask` on a real cluster: a scheduler and workers, each a process that can't see the course."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
import tiny_course
from commands import command, environment, has_ended
from nbgrader.api import Gradebook
from typer.testing import CliRunner

import grader.cluster
from grader.autograde import Autograder
from grader.cli import app
from grader.cluster import Cluster, ClusterError, Parcel
from grader.course import load_course
from grader.gradebook import Layout
from grader.sandbox import Sandbox, SandboxError

distributed = pytest.importorskip("distributed")

slow = [pytest.mark.slow, pytest.mark.xdist_group("cluster"), pytest.mark.timeout(600)]

STUDENTS = 16
REPOSITORY = Path(grader.__file__).parents[1]


def write_class(root: Path) -> Path:
    """A class in which the right, the wrong, the late, the unreadable and the hostile have handed in."""
    tiny_course.write(root, course=tiny_course.COURSE + "late:\n  penalty_per_day: 0.1\n")
    kinds: list[dict[str, str]] = [
        {},
        {"centered": "def centered(x):\n    return x - x.mean()"},
        {"largest": "import os\nos._exit(1)"},
        {"softmax": "def softmax(z):\n    raise ValueError('\\x1b[31m<script>')"},
    ]
    for number in range(1, STUDENTS + 1):
        folder = root / "submitted" / f"student{number:02}" / "tiny"
        folder.mkdir(parents=True)
        cells = tiny_course.cells(f"# student {number}", **kinds[number % len(kinds)])
        nbformat.write(tiny_course.notebook(*cells), folder / "tiny.ipynb")
        if number % 5 == 0:
            (folder / "timestamp.txt").write_text("2027-03-28 12:00:00 UTC")
    (root / "submitted" / "student07" / "tiny" / "tiny.ipynb").write_text("no notebook")
    return root


def written(root: Path) -> dict[str, Any]:
    """All that a run leaves: every file of the three steps, and what the gradebook holds of each submission."""
    files = {
        str(path.relative_to(root)): path.read_bytes()
        for step in ("reports", "autograded", "feedback")
        for path in sorted((root / step).rglob("*"))
        if path.is_file()
    }
    course = load_course(root)
    with Gradebook(course.gradebook_url, course.id) as gradebook:
        rows = {
            submission.student_id: (
                submission.score,
                submission.late_submission_penalty,
                submission.timestamp,
                sorted(
                    (grade.name, grade.auto_score, grade.extra_credit, grade.needs_manual_grade)
                    for notebook in submission.notebooks
                    for grade in notebook.grades
                ),
                sorted(
                    (comment.name, comment.auto_comment) for one in submission.notebooks for comment in one.comments
                ),
            )
            for submission in gradebook.assignment_submissions("tiny")
        }
    return {**files, "gradebook": rows}


@pytest.fixture(scope="module")
def ungraded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_class(tmp_path_factory.mktemp("ungraded"))


@pytest.fixture(scope="module")
def local(ungraded: Path, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The class graded on one core of this machine."""
    root = tmp_path_factory.mktemp("local") / "course"
    shutil.copytree(ungraded, root)
    with Autograder(load_course(root), "tiny", sandbox) as autograder:
        assert len(list(autograder.grade(autograder.waiting(), 1))) == STUDENTS
    return root


@pytest.fixture
def course(ungraded: Path, local: Path, tmp_path: Path) -> Path:
    """The class, not yet graded; what the reference gives is known."""
    root = tmp_path / "course"
    shutil.copytree(ungraded, root)
    shutil.copytree(local / "build" / "cache", root / "build" / "cache")
    return root


# Starts a program that can read and write these folders only: it sees no course, as on another machine.
APART = """
import os, sys
from landlockpy import AccessNet, Ruleset
folders, program = sys.argv[1].split(":"), sys.argv[2:]
with Ruleset(handled_net=AccessNet(0)) as ruleset:
    for folder in filter(os.path.exists, folders):
        ruleset.allow_path(folder, ruleset.handled_fs)
    ruleset.restrict()
os.execv(program[0], program)
"""
PRELOAD = ("--preload", "grader.cluster")
SHARED = ["/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/dev", "/opt", "/run"]


class Network:
    """A scheduler, and workers by name: each with a home, a temporary folder and a working folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._scheduler = self._start("scheduler", ["--port", "0", "--scheduler-file", "here.json", *PRELOAD], {})
        while True:
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                self.address = json.loads((folder / "scheduler" / "here.json").read_text())["address"]
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the scheduler ended with {self._scheduler.wait(0.1)}")

    def home(self, name: str) -> Path:
        home = self._folder / name
        home.mkdir(exist_ok=True)
        return home

    def _start(self, name: str, options: list[str], changes: Mapping[str, str]) -> subprocess.Popen[bytes]:
        home = self.home(name)
        # A task is given up at the first worker that it takes along: here no worker has to end four times for that.
        surroundings = {"HOME": str(home), "TMPDIR": str(home), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
        visible = [*SHARED, sys.prefix, sys.base_prefix, str(REPOSITORY), str(home)]
        role = "scheduler" if name == "scheduler" else "worker"
        with open(home / "log", "wb") as log:
            return subprocess.Popen(
                [
                    *[sys.executable, "-c", APART, ":".join(visible)],
                    *command("dask", role, "--host", "127.0.0.1", "--no-dashboard", *options),
                ],
                cwd=home,
                env=environment(**surroundings, **changes),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start(self, name: str, *options: str, **changes: str) -> None:
        """Start a worker, and wait until the scheduler knows it."""
        options = (self.address, "--nthreads", "1", "--name", name, *options)
        self._workers[name] = self._start(name, list(options), changes)
        with self.client() as client:
            while name not in self.pids(client):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._workers[name].wait(0.1)
                    pytest.fail((self.home(name) / "log").read_text())

    def client(self) -> Any:
        return distributed.Client(self.address, set_as_default=False)

    def pids(self, client: Any) -> dict[str, int]:
        """The process of each worker that is there: of itself, not of the nanny that looks after it."""
        workers = client.run_on_scheduler(lambda dask_scheduler: {w.name: a for a, w in dask_scheduler.workers.items()})
        alive = client.run(os.getpid, on_error="ignore")
        return {name: alive[address] for name, address in workers.items() if address in alive}

    def kill(self, name: str) -> None:
        with self.client() as client:
            os.kill(self.pids(client)[name], signal.SIGKILL)

    def end(self, *names: str) -> None:
        """End workers, all unless named, as an administrator would."""
        ended = {name: self._workers.pop(name) for name in names or tuple(self._workers)}
        for process in ended.values():
            process.terminate()
        for process in ended.values():
            process.wait()

    def kill_scheduler(self) -> None:
        self._scheduler.kill()
        self._scheduler.wait()

    def close(self) -> None:
        for process in (*self._workers.values(), self._scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def left(self, name: str) -> list[Path]:
        """What lies of a course's hidden tests in the home of a worker."""
        return list(self.home(name).rglob("hidden/tiny/*"))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with contextlib.closing(Network(tmp_path_factory.mktemp("network"))) as made:
        yield made


def grade(root: Path, address: str, sandbox: Sandbox, **meanwhile: Callable[[], None]) -> tuple[Autograder, list[str]]:
    """Grade on the cluster. `after3=...` is called when three submissions are done with."""
    told: list[str] = []
    with (
        Cluster(address, told.append) as cluster,
        Autograder(load_course(root), "tiny", sandbox) as autograder,
    ):
        for number, _ in enumerate(autograder.grade(autograder.waiting(), 1, cluster), start=1):
            meanwhile.get(f"after{number}", lambda: None)()
    return autograder, told


def said(root: Path, *arguments: str, code: int) -> str:
    result = CliRunner().invoke(app, ["autograde", "tiny", "--course", str(root), *arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


class TestOnACluster:
    """In this order: the workers of one test are the next one's."""

    pytestmark = slow

    def test_a_worker_with_another_grader_refuses(self, course: Path, network: Network) -> None:
        copy = network.home("stale") / "library" / "grader"
        shutil.copytree(REPOSITORY / "grader", copy)
        with open(copy / "compare.py", "a") as file:
            file.write("# as it will be next year\n")
        network.start("stale", "--no-nanny", PYTHONPATH=str(copy.parent))

        text = said(course, "--dask", network.address, code=2)

        assert "Worker tcp://127.0.0.1:" in text and ": it could give other scores: the grader is " in text
        assert "Install the same there, or end that worker" in text
        assert "Python is" not in text
        assert not (course / "reports").exists()

    def test_a_worker_without_the_grader_is_told(self, course: Path, network: Network) -> None:
        network.end()
        library = network.home("empty") / "library"
        (library / "grader").mkdir(parents=True)
        (library / "grader" / "__init__.py").write_text("")
        network.start("empty", "--no-nanny", PYTHONPATH=str(library))

        text = said(course, "--dask", network.address, code=2)

        assert "it has another grader or none (" in text and "No module named 'grader." in text
        assert "Install the same there, or end that worker" in text

    def test_a_worker_that_can_not_confine_refuses(self, course: Path, network: Network) -> None:
        network.end()
        preload = network.home("open") / "preload.py"
        preload.write_text("import landlockpy\nlandlockpy.abi_version = lambda: 0\n")
        network.start("open", "--no-nanny", "--preload", str(preload), *PRELOAD)

        text = said(course, "--dask", network.address, code=3)

        assert f"on {socket.gethostname()}: This machine can't confine student code." in text
        assert "the kernel does not offer Landlock" in text and text.endswith("Run: grader doctor")
        assert not (course / "reports").exists()

    def test_a_worker_that_preloads_the_grader_keeps_its_fork_server_until_it_ends(
        self, course: Path, local: Path, sandbox: Sandbox, network: Network
    ) -> None:
        network.end()
        network.start("ready", "--no-nanny", *PRELOAD)
        used = set()
        for _ in range(2):
            grade(course, network.address, sandbox)
            assert written(course) == written(local)
            shutil.rmtree(course / "build" / "receipts")
            with network.client() as client:
                ((server, *_),) = client.run(lambda: grader.cluster._READY[0].servers).values()
                assert client.run_on_scheduler(lambda: grader.cluster._READY) == []
            used.add(server)
        assert len(used) == 1
        network.end()
        assert has_ended(used.pop())

    def test_a_submission_that_ends_its_workers_costs_only_itself(
        self, course: Path, local: Path, sandbox: Sandbox, network: Network
    ) -> None:
        network.end()
        preload = network.home("fragile") / "preload.py"
        preload.write_text(
            "import os\n"
            "from grader.marking import Marker\n"
            "def mark(self, one, whole=getattr(Marker, 'whole', Marker.mark)):\n"
            "    return os._exit(9) if one.student == 'student14' else whole(self, one)\n"
            "Marker.whole = getattr(Marker, 'whole', Marker.mark)\n"
            "Marker.mark = mark\n"
        )
        network.start("fragile", "--preload", str(preload))

        autograder, _ = grade(course, network.address, sandbox)

        assert autograder.outcome.failed == ["student14: grading it ended every worker that graded it"]
        assert len(autograder.outcome.graded) == STUDENTS - 1
        expected = written(local)
        del expected["gradebook"]["student14"]
        assert written(course) == {path: data for path, data in expected.items() if "student14" not in path}
        network.end("fragile")
        assert network.left("fragile") == []

    def test_workers_that_see_no_course_are_killed_and_join_and_leave_what_one_core_leaves(
        self, course: Path, local: Path, sandbox: Sandbox, network: Network
    ) -> None:
        network.end()
        network.start("cared for", *PRELOAD)  # by a nanny, as usual
        network.start("alone", "--no-nanny")
        with network.client() as client:
            seen = client.run(open, str(course / "course.yaml"), on_error="return")
            assert [type(error) for error in seen.values()] == [PermissionError, PermissionError]

        autograder, told = grade(
            course,
            network.address,
            sandbox,
            after3=lambda: network.kill("alone"),
            after5=lambda: network.start("joined", "--no-nanny"),
            after8=lambda: network.kill("cared for"),  # its nanny starts another
        )

        assert written(course) == written(local)
        assert len(autograder.outcome.graded) == STUDENTS
        assert autograder.outcome.failed == told == []

    def test_nothing_of_the_course_stays_on_the_workers(self, network: Network) -> None:
        until(lambda: network.left("joined") == network.left("cared for") == [])
        with network.client() as client:
            assert client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks)) == []

    def test_when_no_worker_is_left_the_run_ends_and_the_next_takes_it_up(
        self, course: Path, local: Path, sandbox: Sandbox, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network.end("cared for")
        monkeypatch.setattr(grader.cluster, "_PATIENCE", 1.0)
        with pytest.raises(ClusterError, match=r"no worker for 1 s\. Start workers\. What came back has been written"):
            grade(course, network.address, sandbox, after3=lambda: network.kill("joined"))
        came_back = len(list((course / "reports" / "tiny").iterdir()))
        assert 3 <= came_back < STUDENTS

        monkeypatch.undo()
        told: list[str] = []

        def tell(message: str) -> None:
            told.append(message)
            network.start("late", "--no-nanny")

        with Cluster(network.address, tell) as cluster, Autograder(load_course(course), "tiny", sandbox) as autograder:
            waiting = autograder.waiting()
            assert sorted(autograder.grade(waiting, 1, cluster)) == waiting
        assert told == ["The cluster has no worker now: waiting up to 300 s for one."]
        assert len(waiting) == STUDENTS - came_back
        assert written(course) == written(local)
        kept = [{file.name for file in (root / "build" / "usage" / "tiny").iterdir()} for root in (course, local)]
        assert kept[0] == kept[1] and kept[0], "what was measured there has come back"

    def test_when_the_scheduler_ends_what_came_back_is_kept(
        self, course: Path, sandbox: Sandbox, network: Network
    ) -> None:
        with pytest.raises(ClusterError, match=r"does not answer any more\. What came back has been written"):
            grade(course, network.address, sandbox, after3=network.kill_scheduler)
        assert 3 <= len(list((course / "reports" / "tiny").iterdir())) < STUDENTS


def until(true: Callable[[], bool]) -> None:
    """Wait for something that another process does; the test's time limit ends it."""
    while not true():
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(["sleep", "1"], timeout=0.1)


# Without a cluster


def test_an_address_where_nobody_listens_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grader.cluster, "_ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    text = said(tiny_course.write(tmp_path), "--dask", address, code=2)
    assert f"No Dask scheduler answers at {address}" in text
    assert "Is it running, and is the address right?" in text


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    text = said(tiny_course.write(tmp_path), "--dask", "carrier-pigeon://coop", code=2)
    assert "No Dask scheduler answers at carrier-pigeon://coop" in text


def test_an_encrypted_address_needs_a_certificate(tmp_path: Path) -> None:
    text = said(tiny_course.write(tmp_path), "--dask", "tls://127.0.0.1:8786", code=2)
    assert "tls://127.0.0.1:8786 asks for a certificate: set yours as docs/cluster.md shows." in text


def test_without_dask_it_is_said_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    text = said(tiny_course.write(tmp_path), "--dask", "tcp://127.0.0.1:8786", code=2)
    assert "Grading on a cluster needs Dask: pip install 'distributed>=2024.8'" in text


def test_jobs_of_this_machine_and_a_cluster_are_not_asked_for_at_once(tmp_path: Path) -> None:
    text = said(tiny_course.write(tmp_path), "--dask", "tcp://127.0.0.1:8786", "--jobs", "2", code=2)
    assert "--jobs is for this machine and --dask for a cluster" in text


NO_LAYOUT = Layout("tiny", (), None)


def test_a_parcel_holds_what_marking_needs_and_no_password(tmp_path: Path) -> None:
    secret = "gradebook: postgresql://teacher:hunter2@db/grades\n"
    other = "  - {name: secret_exam, title: An exam, lectures: [2], due: 2027-06-01 12:00}\n"
    root = tiny_course.write(tmp_path / "course", course=tiny_course.COURSE + other + secret)
    (root / "tests" / "hidden" / "tiny" / "__pycache__").mkdir()
    (root / "tests" / "hidden" / "tiny" / "__pycache__" / "checks.pyc").write_bytes(b"")
    material = tiny_course.material(root)

    parcel = Parcel.of(material, NO_LAYOUT)

    with zipfile.ZipFile(io.BytesIO(parcel.archive)) as archive:
        hidden = [f"tests/hidden/tiny/{name}.py" for name in ("alternatives", "checks", "misconceptions")]
        assert archive.namelist() == ["course.yaml", "solutions/tiny.py", *hidden]
        facts = archive.read("course.yaml").decode()
    assert "hunter2" not in facts and "secret_exam" not in facts
    there = parcel.unpack(tmp_path / "there")
    assert there.digest == material.digest
    assert there.assignment == material.assignment
    assert there.seed("a check") == material.seed("a check")
    assert there.course.late == material.course.late and there.course.limits == material.course.limits
    assert Parcel.of(material, NO_LAYOUT) == parcel, "the same material makes the same archive"


def test_a_parcel_that_was_changed_on_its_way_is_not_unpacked(tiny: Any, tmp_path: Path) -> None:
    parcel = Parcel.of(tiny, NO_LAYOUT)
    with pytest.raises(ClusterError, match="changed on its way"):
        replace(parcel, archive=parcel.archive[:-1] + b"x").unpack(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_parcel_s_files_stay_in_its_folder(tiny: Any, tmp_path: Path) -> None:
    parcel = Parcel.of(tiny, NO_LAYOUT)
    buffer = io.BytesIO(parcel.archive)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("../outside", "x")
        archive.writestr("/tmp/../outside", "x")
    data = buffer.getvalue()
    replace(parcel, archive=data, sha256=hashlib.sha256(data).hexdigest()).unpack(tmp_path / "in" / "here")
    assert not (tmp_path / "in" / "outside").exists() and not (tmp_path / "outside").exists()


def test_a_worker_that_came_later_with_another_library_refuses(tiny: Any, tmp_path: Path) -> None:
    parcel = Parcel.of(tiny, NO_LAYOUT)
    bench = grader.cluster.Bench(replace(parcel, surroundings={**parcel.surroundings, "numpy": "1.0"}))
    with pytest.raises(ClusterError, match=r"numpy is [\d.]+ there and 1\.0 here\. Install the same there"):
        bench.mark(None, str(tmp_path))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_fault_names_the_worker_and_its_machine(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Worker:
        address, local_directory = "tcp://10.0.0.7:4711", "/nowhere"

    monkeypatch.setattr(distributed, "get_worker", Worker)
    bench = grader.cluster.Bench(Parcel.of(tiny, NO_LAYOUT))
    with pytest.raises(ClusterError, match=r"Worker tcp://10\.0\.0\.7:4711 on .*: the material can't be unpacked"):
        grader.cluster._mark(bench, None)  # type: ignore[arg-type]
    monkeypatch.setattr(bench, "mark", lambda *_: (_ for _ in ()).throw(SandboxError("no")))
    with pytest.raises(SandboxError, match=r"^Worker tcp://10\.0\.0\.7:4711 on .*: no$"):
        grader.cluster._mark(bench, None)  # type: ignore[arg-type]
