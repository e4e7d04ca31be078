"""The project's load generator, `tokenfall bench`, run for one figure."""

import json
import subprocess
from pathlib import Path

from processes import Running

BULK = "bulk-0"


class Generator:
    """The binary that makes load."""

    def __init__(self, binary: Path):
        self.binary = binary

    def run(self, server: Running, chunks: int | None, *arguments: object, watch: tuple[Running, ...] = ()) -> dict:
        """The report on one load. `chunks` is how many each stream has to have; a stream that lacks one ends the bench."""
        pids = [word for each in (server, *watch) for word in ("--pid", each.pid)]
        command = [self.binary, "bench", f"{server.url}/v1", "--json", "--stamps", *pids, *arguments]
        result = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)
        if result.returncode != 0:
            told = f"{result.stdout}\n{result.stderr}".strip()
            raise SystemExit(f"a load did not come whole: {' '.join(map(str, command))}\n{told}")
        report = json.loads(result.stdout)
        streams = report["streams"]["completed"]
        if report["sentinels"] != streams:
            raise SystemExit(f"{streams} streams, but {report['sentinels']} times [DONE]: {command}")
        if chunks is not None and report["chunks"] != streams * chunks:
            raise SystemExit(f"{report['chunks']} chunks of {streams} × {chunks}: {command}")
        return report

    def chat(self, server: Running, rate: int | str, chunks: int, *arguments: object) -> dict:
        """Asks the bare upstream, directly or through who is measured, for so many chunks a second.

        At 0 they come as fast as they can be written; with `BULK` many of them in each write.
        """
        model = rate if rate == BULK else f"rate-{rate}"
        asked = ("--model", model, "--max-tokens", chunks)
        return self.run(server, chunks, *asked, *arguments)


def cpu(report: dict) -> float:
    """Microseconds on a processor for each chunk."""
    return report["processes"][0]["cpu_us_per_chunk"]
