"""JupyterLab for the tests, as people start it."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import command, environment


@dataclass(frozen=True)
class Lab:
    """A server process, which starts in the background, and the file that has what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def address(self) -> str:
        """Where to open it, with its token, once it is there: it says so a moment before."""
        while True:
            if said := re.search(r"http://(127\.0\.0\.1):(\d+)/lab\?token=\w+", self.log.read_text()):
                with suppress(ConnectionRefusedError), socket.create_connection((said[1], int(said[2]))):
                    return said[0]
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"JupyterLab ended with {self.process.wait(0.1)}:\n{self.log.read_text()}")


@contextmanager
def jupyterlab(home: Path, folder: Path) -> Iterator[Lab]:
    """`jupyter lab`, in a folder of a person who has this home."""
    settings = home / ".jupyter" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    quiet = '{"fetchNews": "false", "checkForUpdates": false}'  # else it would ask other hosts
    (settings / "notification.jupyterlab-settings").write_text(quiet)
    places = {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_DATA_DIR": str(home / ".data"),
        "JUPYTER_RUNTIME_DIR": str(home / ".runtime"),
        "IPYTHONDIR": str(home / ".ipython"),
    }
    typed = command("jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0")
    log = home / ".jupyterlab.log"
    with (
        log.open("w") as said,
        subprocess.Popen(typed, cwd=folder, env=environment(**places), stdout=said, stderr=said) as server,
    ):
        try:
            yield Lab(server, log)
        finally:
            server.terminate()
