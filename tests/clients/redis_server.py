"""A real redis-server for several nodes. `TOKENFALL_TEST_REDIS` names another binary, such as Valkey's."""

import contextlib
import os
import subprocess

from ports import free_port, wait_until_open

BINARY = os.environ.get("TOKENFALL_TEST_REDIS", "redis-server")


@contextlib.contextmanager
def running():
    """Yields the URL of a server that keeps nothing on disk."""
    port = free_port()
    flags = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([BINARY, *flags], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_until_open(port, process)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
