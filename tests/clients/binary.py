"""Starts the binary as anyone would, and stops it as an orchestrator would.

`serve` waits for the banner to learn the port, and at the end insists on a clean exit after SIGTERM.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
BINARY = Path(os.environ.get("TOKENFALL_BIN", REPOSITORY / "target/release/tokenfall"))

# Seconds for what takes less than one, on a machine that has no time for it.
STARTS_WITHIN = STOPS_WITHIN = 60.0


@dataclass
class Server:
    """A running `tokenfall serve`."""

    url: str
    process: subprocess.Popen
    stderr: Path
    is_killed: bool = False

    @property
    def base_url(self) -> str:
        """What an SDK is given."""
        return f"{self.url}/v1"

    def kill(self) -> None:
        """Ends it without a word, as a machine does that loses power."""
        self.is_killed = True
        self.process.kill()
        self.process.wait()

    def log_tail(self, lines: int = 60) -> str:
        return "\n".join(self.stderr.read_text(errors="replace").splitlines()[-lines:])


@contextlib.contextmanager
def serve(directory: Path, *flags: str, config: str | None = None, env: dict[str, str] | None = None):
    """Yields a `Server` on a free port; `config` is TOML, `env` is on top of a short drain."""
    if config is not None:
        (directory / "tokenfall.toml").write_text(config)
        flags = ("--config", str(directory / "tokenfall.toml"), *flags)
    stdout, stderr = directory / "stdout", directory / "stderr"
    with stdout.open("wb") as out, stderr.open("wb") as err:
        process = subprocess.Popen(
            [BINARY, "serve", "--port", "0", *flags],
            cwd=directory,
            env=clean_environment() | {"TOKENFALL__SERVER__DRAIN": "1s"} | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    try:
        url = wait_for_line(process, rb"(http://127\.0\.0\.1:\d+)/v1", stdout, stderr)
        server = Server(url, process, stderr)
        yield server
        if server.is_killed:
            return
        assert process.poll() is None, f"the server died:\n{server.log_tail()}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPS_WITHIN) == 0, f"SIGTERM has to end in a clean exit:\n{server.log_tail()}"
        assert b"panicked" not in stderr.read_bytes(), server.log_tail()
    finally:
        process.kill()
        process.wait()


def wait_for_line(process: subprocess.Popen, pattern: bytes, stdout: Path, stderr: Path) -> str:
    """The first group of `pattern`, as soon as the process has printed it to the file that is its stdout."""
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline:
        if found := re.search(pattern, stdout.read_bytes()):
            return found.group(1).decode()
        assert process.poll() is None, f"exit code {process.returncode}:\n{stderr.read_text(errors='replace')}"
        time.sleep(0.01)  # between two looks, not instead of one
    raise TimeoutError(f"no {pattern!r} within {STARTS_WITHIN} s, but {stdout.read_bytes()!r}")


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours and without proxies that could stand before 127.0.0.1."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TOKENFALL_", "OPENAI_")) and not name.lower().endswith("_proxy")
    }
