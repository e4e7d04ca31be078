"""The official SDKs, four of them, behind one interface: calls go to a probe, answers come back as data."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from binary import REPOSITORY
from programs import run

PROBES = Path(__file__).parent / "probes"


def run_probe(*command: str) -> str:
    """What a program among the probes says; it has to end well."""
    return run(*command, cwd=PROBES)


@dataclass
class Answer:
    """What one call gave: chunks or a completion, and the error that ended it, if one did."""

    chunks: list[dict]
    completion: dict | None
    error: dict | None

    def choices(self) -> dict[int, dict]:
        """Text and finish reason by index, of the chunks or of the completion."""
        if self.completion is not None:
            return {
                choice["index"]: {"text": choice["message"]["content"], "finish_reason": choice["finish_reason"]}
                for choice in self.completion["choices"]
            }
        found: dict[int, dict] = {}
        for chunk in self.chunks:
            for choice in chunk["choices"]:
                so_far = found.setdefault(choice["index"], {"text": "", "finish_reason": None})
                assert so_far["finish_reason"] is None, f"after its finish, choice {choice['index']} goes on: {chunk}"
                so_far["text"] += choice["delta"].get("content") or ""
                so_far["finish_reason"] = choice["finish_reason"]
        return found

    def text(self) -> str:
        return self.choices()[0]["text"]


@dataclass
class Sdk:
    """One SDK in one version."""

    name: str
    command: list[str] = field(repr=False)

    def ask(self, base_url: str, *calls: dict, api_key: str = "sk-none") -> list[Answer]:
        """Makes the calls in order with one client. An exception that is no `APIError` fails the test here."""
        said = run_probe(*self.command, base_url, api_key, json.dumps(calls))
        return [Answer(**answer) for answer in json.loads(said)]


SDKS = [
    Sdk("python-3", [str(REPOSITORY / ".venvs/openai3/bin/python"), "openai_python.py"]),
    Sdk("python-1", [str(REPOSITORY / ".venvs/openai1/bin/python"), "openai_python.py"]),
    Sdk("node-latest", ["node", "openai_node.mjs", "openai-latest"]),
    Sdk("node-4", ["node", "openai_node.mjs", "openai-v4"]),
]
