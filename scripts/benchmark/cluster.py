"""A Dask cluster on this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.classes import PROGRAMS


@contextmanager
def local_cluster(folder: Path, workers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A Dask cluster of worker processes with one thread each: its address and processes. Its log is in `folder`."""
    from distributed import Client

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder / "scheduler.json"
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> None:
        with (folder / "log.txt").open("a") as log:
            command = [PROGRAMS / "dask", *arguments, "--scheduler-file", file]
            started.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))

    try:
        own = ("--no-dashboard", "--host", "127.0.0.1", "--preload", "grader.cluster")
        start("scheduler", "--port", "0", *own)
        start("worker", "--nworkers", str(workers), "--nthreads", "1", *own)
        with Client(scheduler_file=str(file), timeout="60s") as client:
            client.wait_for_workers(workers, timeout=60)
            address = client.scheduler.address
        yield address, tuple(process.pid for process in started)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(30)
