"""Starts a real llama.cpp server over a tiny random model."""

import contextlib
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from binary import REPOSITORY, clean_environment, wait_for_line


@dataclass
class ModelServer:
    """A running model server."""

    base_url: str
    process: subprocess.Popen
    is_killed: bool = False

    @property
    def port(self) -> str:
        return self.base_url.rsplit(":", 1)[1].removesuffix("/v1")

    def kill(self) -> None:
        """Ends it without a word."""
        self.is_killed = True
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def model_server(directory: Path, port: str = "0"):
    stdout, stderr = directory / "stdout", directory / "stderr"
    with stdout.open("wb") as out, stderr.open("wb") as err:
        command = [REPOSITORY / ".venvs/tools/bin/python", REPOSITORY / "tests/tiny_llama.py", "--port", port]
        process = subprocess.Popen(command, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
    try:
        server = ModelServer(wait_for_line(process, rb"(http://127\.0\.0\.1:\d+/v1)", stdout, stderr), process)
        yield server
        if not server.is_killed:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    finally:
        process.kill()
        process.wait()
