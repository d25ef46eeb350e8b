"""`grader autograde --dask`: submissions are marked by the workers of a Dask cluster.

They share no folder with the course. Its material goes to each worker once, as an archive, and lives there as long as
the run that needs it: when the client is done, or gone, Dask drops it, and with it go the folder that it was unpacked
into and the sandbox. What is marked is a function of the archive and the submission, so Dask may mark it anywhere, and
again where a worker was lost.
"""

from __future__ import annotations

import hashlib
import io
import queue
import socket
import tempfile
import threading
import time
import uuid
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.checks import AuthorError
from grader.course import FILE, load_course
from grader.gradebook import Layout
from grader.marking import Handed, Marked, Marker
from grader.material import Material, surroundings
from grader.sandbox import Sandbox, SandboxError
from grader.workers import Failed, marked

if TYPE_CHECKING:
    from distributed import Client, Future

# Submissions on their way, for each thread of the cluster: one is marked, and the next are at hand.
_AHEAD = 3
_ANSWER = 8  # seconds in which a scheduler has to answer
_LOOK = 2.0  # so often is looked for workers
_PATIENCE = 300.0  # seconds without any worker

# What marking needs to know of course.yaml. Not the gradebook's URL, which may hold a password.
_FACTS = {"id", "title", "timezone", "seed", "feedback", "sandbox", "late", "limits", "assignments"}

_WRITTEN = "What came back has been written: run it again for the rest."
_SAME = f"The scheduler and all workers need the same grader, Python and Dask as this machine. {_WRITTEN}"


class ClusterError(Exception):
    """The cluster can't be used: the message says why and what to do."""


@dataclass(frozen=True)
class Parcel:
    """An assignment's material as it travels: an archive with its sha256, and with what else a score depends on."""

    assignment: str
    archive: bytes
    sha256: str
    layout: Layout
    surroundings: dict[str, str]

    @classmethod
    def of(cls, material: Material, layout: Layout) -> Parcel:
        """Pack what marking needs. The same material gives the same bytes."""
        course = material.course.model_copy(update={"assignments": (material.assignment,)})
        root = course.root
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr(zipfile.ZipInfo(FILE), course.model_dump_json(include=_FACTS))  # JSON is YAML
            for file in material.files:
                entry = zipfile.ZipInfo(file.relative_to(root).as_posix())
                archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
        data = buffer.getvalue()
        return cls(material.name, data, hashlib.sha256(data).hexdigest(), layout, surroundings())

    def unpack(self, folder: Path) -> Material:
        """The same material, in another folder. Raises ClusterError if it has changed on its way."""
        if hashlib.sha256(self.archive).hexdigest() != self.sha256:
            raise ClusterError(f"the material of {self.assignment} was changed on its way")
        with zipfile.ZipFile(io.BytesIO(self.archive)) as archive:
            archive.extractall(folder)  # leaves out what would lead out of the folder
        return Material(load_course(folder), self.assignment)


class Bench:
    """Where a worker marks: the material in a private folder, and a sandbox. Set up when first needed.

    It travels as its parcel. The folder and the sandbox go when it does: when Dask drops it, or the worker ends.
    """

    def __init__(self, parcel: Parcel) -> None:
        self._parcel = parcel
        self._marker: Marker | None = None
        self._one_at_a_time = threading.Lock()  # a marker is for one thread; a worker may have several
        self._held = ExitStack()
        weakref.finalize(self, self._held.close)

    def __reduce__(self) -> tuple[type[Bench], tuple[Parcel]]:
        return Bench, (self._parcel,)

    def mark(self, handed: Handed, folder: str) -> Marked | Failed:
        """Mark one submission. What is unpacked lies below `folder`."""
        with self._one_at_a_time:
            if self._marker is None:
                with ExitStack() as held:
                    self._marker = self._set_up(folder, held)
                    self._held.enter_context(held.pop_all())
            return marked(self._marker, handed)

    def _set_up(self, folder: str, held: ExitStack) -> Marker:
        parcel = self._parcel
        if told := _differs(surroundings(), parcel.surroundings):
            raise ClusterError(told)
        try:
            private = tempfile.TemporaryDirectory(prefix=f"grader-{parcel.sha256[:16]}-", dir=folder)  # mode 0700
            material = parcel.unpack(Path(held.enter_context(private)))
        except OSError as error:
            raise ClusterError(f"the material can't be unpacked: {error}. Make room there, or end it") from None
        root, confined = material.course.root, material.course.sandbox == "on"
        ready = next((one for one in _READY if one.confined == confined), None)
        sandbox = held.enter_context(ready.shared(root) if ready else Sandbox((root,), confined=confined))
        sandbox.start()
        return Marker(material, parcel.layout, sandbox)


# The sandbox of a worker that was started with `--preload grader.cluster`.
_READY: list[Sandbox] = []


def dask_setup(server: Any) -> None:
    """Dask calls it where this module is preloaded, before work comes: no run waits for a worker's fork server then.

    A scheduler reads all tasks that it hands on: it needs what is imported above, and no fork server.
    """
    from distributed import Worker

    if not isinstance(server, Worker):
        return
    sandbox = Sandbox()
    with suppress(SandboxError):  # told by the run that needs it
        sandbox.start(wait=True)
        _READY.append(sandbox)


def dask_teardown(_: Any) -> None:
    """Dask calls it when such a process ends."""
    while _READY:
        _READY.pop().close()


def _differs(there: dict[str, str] | Exception, here: dict[str, str]) -> str:
    """Why a worker can't be trusted to give the same scores, or nothing."""
    if isinstance(there, Exception):
        told = f"it has another grader or none ({there})"
    elif differs := [name for name in here if here[name] != there.get(name)]:
        parts = (f"{name} is {there.get(name)} there and {here[name]} here" for name in differs)
        told = f"it could give other scores: {', '.join(parts)}"
    else:
        return ""
    return f"{told}. Install the same there, or end that worker. {_WRITTEN}"


def _mark(bench: Bench, handed: Handed) -> Marked | Failed:
    """What a worker does. Its faults say whose they are."""
    from distributed import get_worker

    worker = get_worker()
    try:
        return bench.mark(handed, worker.local_directory)
    except (ClusterError, SandboxError) as error:
        raise type(error)(f"Worker {worker.address} on {socket.gethostname()}: {error}") from None


class Cluster:
    """An existing Dask cluster whose workers mark submissions. A context manager; leaves nothing on the cluster.

    address: the scheduler's. Dask's own configuration (TLS certificates, time limits) applies.
    tell:    is called with a sentence when it has to wait.
    Raises ClusterError if nobody answers.
    """

    def __init__(self, address: str, tell: Callable[[str], None]) -> None:
        self._address, self._tell = address, tell
        self._done: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._numbers = count()
        self._name = uuid.uuid4().hex
        self._bench: Future | None = None
        self._threads = 0
        self._looked = 0.0
        self._seen = time.monotonic()
        self._told = False

    def __enter__(self) -> Cluster:
        try:
            import distributed
        except ImportError:
            raise ClusterError("Grading on a cluster needs Dask: pip install 'distributed>=2024.8'") from None
        if self._address.startswith("tls://") and not distributed.Security().get_tls_config_for_role("client")["cert"]:
            raise ClusterError(f"{self._address} asks for a certificate: set yours as docs/cluster.md shows.")
        try:
            self._client: Client = distributed.Client(
                self._address, timeout=_ANSWER, set_as_default=False, name="grader"
            )
        except Exception as error:  # from a name that does not exist to a certificate that does not fit
            raise ClusterError(
                f"No Dask scheduler answers at {self._address} ({type(error).__name__}: {error}). "
                "Is it running, and is the address right? docs/cluster.md shows how to start one."
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._bench = None
        self._client.close()

    def send(self, material: Material, layout: Layout) -> None:
        """Give the cluster what marking needs. It stays a task: a worker that is lost with it loses nothing.

        Raises ClusterError, and sends nothing, if a worker has another grader. One that comes later says so itself.
        """
        for address, there in self._client.run(surroundings, on_error="return").items():
            if told := _differs(there, surroundings()):
                raise ClusterError(f"Worker {address}: {told}")
        self._bench = self._submit("material", Bench, Parcel.of(material, layout))

    def run(self, submissions: Iterable[Handed]) -> Iterator[Marked | Failed]:
        """Mark them all, in any order. A submission that ends the workers that mark it, also alone, is given up."""
        from distributed import KilledWorker

        waiting = iter(submissions)
        away: dict[Future, Handed] = {}
        suspects: list[Handed] = []
        alone = False
        while True:
            self._look()
            starting = list(islice(waiting, max(0, _AHEAD * max(1, self._threads) - len(away))))
            if not starting and not away:
                if not suspects:
                    return
                # It was there each time when a worker was lost, but so may others have been.
                starting, alone = [suspects.pop()], True
            for one in starting:
                future = self._submit("mark", _mark, self._bench, one)
                away[future] = one
                future.add_done_callback(self._done.put)
            future = self._next()
            try:
                result = self._result(future)
            except KilledWorker:
                one = away.pop(future)
                if self._bench is None or self._bench.status == "error":
                    raise ClusterError(f"Workers end when they are given the course's material. {_SAME}") from None
                if alone:
                    yield Failed(one.student, "grading it ended every worker that graded it")
                else:
                    suspects.append(one)
                continue
            if result is not None:
                del away[future]
                yield result

    def _submit(self, what: str, function: Callable[..., Any], *arguments: Any) -> Future:
        import dask

        # A large notebook is no mistake that Dask has to warn of.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):
            key = (f"grader-{what}-{self._name}", next(self._numbers))
            return self._client.submit(function, *arguments, key=key)

    def _next(self) -> Future:
        """The next submission that is done with."""
        while True:
            try:
                return self._done.get(timeout=_LOOK)
            except queue.Empty:
                self._look()

    def _result(self, future: Future) -> Marked | Failed | None:
        """What became of it; None if that was lost with its worker: then it is marked again."""
        from distributed import KilledWorker

        try:
            return future.result(timeout=_LOOK)
        except TimeoutError:
            future.add_done_callback(self._done.put)
            return None
        except (KilledWorker, ClusterError, SandboxError, AuthorError):
            raise
        except Exception as error:
            if future.cancelled():
                raise self._lost() from None
            raise ClusterError(
                f"A worker could not take its work ({type(error).__name__}: {error}). {_SAME}"
            ) from error

    def _look(self) -> None:
        """Now and then, see how many threads there are. Raises ClusterError when there have been none for too long."""
        now = time.monotonic()
        if now < self._looked + _LOOK:
            return
        self._looked = now
        try:
            self._threads = sum(self._client.nthreads().values())
        except Exception:
            raise self._lost() from None
        if self._threads:
            self._seen, self._told = now, False
        elif now > self._seen + _PATIENCE:
            raise ClusterError(f"The cluster has had no worker for {_PATIENCE:g} s. Start workers. {_WRITTEN}")
        elif not self._told:
            self._tell(f"The cluster has no worker now: waiting up to {_PATIENCE:g} s for one.")
            self._told = True

    def _lost(self) -> ClusterError:
        return ClusterError(f"The scheduler at {self._address} does not answer any more. {_WRITTEN}")
