"""A program on a terminal of its own: what it shows there, and what somebody types and presses."""

import contextlib
import os
import pty
import select
import subprocess
import termios
import time

CTRL_C, CTRL_D = b"\x03", b"\x04"
PATIENCE = 60.0


class Terminal:
    """The terminal's other end."""

    def __init__(self, process: subprocess.Popen, end: int):
        self.process, self._end, self.shown = process, end, b""

    def type(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def wait_for(self, what: bytes, count: int = 1) -> bytes:
        """All that has been shown, once `what` is among it so often."""
        deadline = time.monotonic() + PATIENCE
        while self.shown.count(what) < count:
            assert self._read(deadline - time.monotonic()), f"no {what!r} in {self.shown!r}"
        return self.shown

    def code(self) -> int:
        """The exit code, once all has been shown."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, within: float) -> bytes:
        if within <= 0 or not select.select([self._end], [], [], within)[0]:
            return b""
        try:
            read = os.read(self._end, 65536)
        except OSError:  # nobody has the other end open
            return b""
        self.shown += read
        return read


@contextlib.contextmanager
def terminal(command: list, env: dict[str, str]):
    """Runs a command whose standard input, output and error are one terminal, which does not echo."""
    ours, theirs = pty.openpty()
    modes = termios.tcgetattr(theirs)
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    # The terminal is the session's, so that Ctrl-C comes as a signal.
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
