"""The clients that streams are read with: official SDKs, LangChain and the Vercel AI SDK, behind one interface."""

import itertools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from binary import REPOSITORY
from programs import run
from sdk import PROBES

VENVS = REPOSITORY / ".venvs"


@dataclass
class Read:
    """What a client made of one stream. What it has no place for is empty."""

    role: str | None
    text: str
    reasoning: str
    refusal: str
    calls: list[list[str]]
    finish: str | None
    error: dict | None


@dataclass
class Reader:
    """One client in one version."""

    name: str
    command: list[str] = field(repr=False)

    def read(self, base_url: str, cases: list[dict]) -> list[Read]:
        """Asks in order, in one process. A case is `{"request", "headers", "retries", "timeout"}`."""
        # Half a minute where nothing else runs.
        said = run(*self.command, base_url, cwd=PROBES.parent, given=json.dumps(cases), within=500)
        return [Read(**read) for read in json.loads(said)]


def _python(env: str, probe: str) -> list[str]:
    return [str(VENVS / env / "bin/python"), f"probes/{probe}"]


COLUMNS = {
    "Python SDK": {"Python SDK 3": "3.x", "Python SDK 1": "1.x"},
    "Node SDK": {"Node SDK 7": "7.x", "Node SDK 4": "4.x"},
    "LangChain": {"LangChain": ""},
    "AI SDK": {"AI SDK": "`openai-compatible`", "AI SDK, openai": "`openai`"},
}


def heading(first: str) -> str:
    return f"| {' | '.join([first, *COLUMNS])} |"


def row(name: str, said: dict[str, str]) -> str:
    """A row of the tables in docs/ci.md, of what is to be said of each reader: once where two of a column agree."""
    cells = []
    for readers in COLUMNS.values():
        words = {said[reader] for reader in readers}
        cells += words if len(words) == 1 else ["; ".join(f"{short}: {said[reader]}" for reader, short in readers.items())]
    return f"| {' | '.join([name, *cells])} |"


def hold(heading: str, rows: list[str]) -> None:
    """Holds the rows below this heading of docs/ci.md to these; `UPDATE_DOCS=1` writes them anew instead."""
    document = REPOSITORY / "docs/ci.md"
    lines = document.read_text().splitlines()
    assert heading in lines, f"{document} has no table {heading}"
    start = lines.index(heading) + 2
    known = list(itertools.takewhile(lambda line: line.startswith("|"), lines[start:]))
    if os.environ.get("UPDATE_DOCS"):
        lines[start : start + len(known)] = known = rows
        document.write_text("\n".join(lines) + "\n")
    assert known == rows, "\n".join(["docs/ci.md should have:", *rows])


def read_all(base_url: str, cases_of, at_once: int = 3) -> dict[str, list[Read]]:
    """What each reader makes of `cases_of(reader)`, `at_once` readers at a time."""
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        read = pool.map(lambda reader: reader.read(base_url, cases_of(reader)), READERS)
        return dict(zip([reader.name for reader in READERS], read))


READERS = [
    Reader("Python SDK 3", _python("openai3", "read_python.py")),
    Reader("Python SDK 1", _python("openai1", "read_python.py")),
    Reader("Node SDK 7", ["node", "probes/read_node.mjs", "openai-latest"]),
    Reader("Node SDK 4", ["node", "probes/read_node.mjs", "openai-v4"]),
    Reader("LangChain", _python("langchain", "read_langchain.py")),
    Reader("AI SDK", ["node", "ai-sdk/read.mjs", "openai-compatible"]),
    Reader("AI SDK, openai", ["node", "ai-sdk/read.mjs", "openai"]),
]
