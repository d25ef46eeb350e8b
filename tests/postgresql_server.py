"""A PostgreSQL server of the tests' own: in a temporary folder, on loopback only, gone when they end."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

PASSWORD = "the-graders-secret"


class Server:
    """A running server. Its databases belong to `grader`, an account without any other right."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._made = 0
        self.ask(f"CREATE ROLE grader LOGIN PASSWORD '{PASSWORD}'")

    def ask(self, statement: str, database: str = "postgres") -> None:
        """Do something with all the rights that there are."""
        url = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self._port}/{database}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)

    def url(self, database: str, *, account: str = f"grader:{PASSWORD}") -> str:
        return f"postgresql://{account}@127.0.0.1:{self._port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._made += 1
        self.ask(f"CREATE DATABASE course{self._made} OWNER grader")
        return self.url(f"course{self._made}")


def programs() -> Path | None:
    """Where initdb and pg_ctl are: on Debian, not on PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(debian, key=lambda path: float(path.parent.name), default=None)


@contextmanager
def running() -> Iterator[Server]:
    """Starts it, or skips the tests that need one."""
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server on this machine: scripts/postgresql installs one")
    folder, user = Path(tempfile.mkdtemp(prefix="grader-postgresql-")), {}
    if os.geteuid() == 0:  # it refuses to run as root
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("no user postgres, as whom root could run the server")
        os.chown(folder, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def call(program: str, *arguments: str) -> None:
        # Its output goes to a file: the server would hold a pipe open.
        with (folder.parent / f"{folder.name}.log").open("ab") as log:
            subprocess.run(
                [found / program, "-D", folder / "data", *arguments],
                cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **user,
            )  # fmt: skip

    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    try:
        call("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C", "-N")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = {"listen_addresses": "127.0.0.1", "fsync": "off", "shared_buffers": "16MB"}
        told = " ".join(f"-c {name}={value}" for name, value in options.items())
        call("pg_ctl", "-w", "-o", f"-p {port} -k {folder} {told}", "start")
        try:
            yield Server(port)
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)
