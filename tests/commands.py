"""The commands that instructors and students type, run as they would be: a process of its own, in a folder."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

_PROGRAMS = Path(sys.executable).parent


def command(program: str, *arguments: str | Path) -> list[str]:
    return [str(_PROGRAMS / program), *map(str, arguments)]


def environment(**changes: str) -> dict[str, str]:
    """This process's, with the programs on PATH as in an activated environment."""
    return {**os.environ, "PATH": os.pathsep.join([str(_PROGRAMS), os.environ.get("PATH", "")]), **changes}


def run(
    folder: Path, program: str, *arguments: str | Path, code: int = 0, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, with changes to the environment. It must end with `code`."""
    done = subprocess.run(
        command(program, *arguments), cwd=folder, env=environment(**changes), capture_output=True, text=True
    )
    assert done.returncode == code, f"{program} {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done


def has_ended(pid: int) -> bool:
    """Whether a process that was told to end is gone: that takes the kernel a moment, which this waits for."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(descriptor) as process:
        return bool(select.select([process], [], [], 60)[0])
