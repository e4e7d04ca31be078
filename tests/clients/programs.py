"""Other programs, run to their end."""

import subprocess
from pathlib import Path

from binary import REPOSITORY, clean_environment


def run(*command: str | Path, cwd: Path = REPOSITORY, given: str = "", within: float = 120, **environment: str) -> str:
    """What a program prints; it has to end well within so many seconds. Its environment names nothing of ours."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment() | environment,
        input=given,
        capture_output=True,
        encoding="utf-8",
        timeout=within,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout
