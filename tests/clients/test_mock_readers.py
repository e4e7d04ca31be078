"""Real clients read every kind of reply the same, whatever server the mock looks like and however it writes.

The table in docs/ci.md of what clients read is held to what is seen here.
"""

import itertools
import json
from urllib.request import Request, urlopen

import pytest
import yaml

from binary import REPOSITORY
from readers import READERS, Read, heading, hold, read_all, row

KINDS = [
    "greeting", "non-ascii", "reasoning", "refusal", "tool-call", "parallel-calls", "structured-output", "tool-result",
]  # fmt: skip
DIALECTS = ["openai", "azure", "vllm", "llama.cpp", "ollama", "openrouter", "deepseek"]
WIRES = [
    "event", "coalesce=3", "bytes=1", "bytes=7", "utf8", "crlf", "newlines", "sweep",
    "event,eol=crlf", "event,eol=cr", "event,bom", "event,comments",
]  # fmt: skip
CASES = list(itertools.product(KINDS, DIALECTS, WIRES))

# Members of a reply that a client does not show, whatever the server.
NOT_SHOWN = {
    "LangChain": {"reasoning", "refusal", "role"},
    "AI SDK": {"refusal", "role"},
    "AI SDK, openai": {"refusal", "role", "reasoning"},
}
# These take a byte-order mark for a part of the first line, and so do not see the first event. Where LangChain is asked
# for a format, it folds the stream as the Python SDK does, which cannot be done without the role that is in that event.
LOSES_FIRST_EVENT_AT_BOM = {"Python SDK 3", "Python SDK 1", "Node SDK 4"}
FAILS_AT_BOM = {("LangChain", "structured-output"): "pydantic_core.ValidationError"}
# The first event of Azure says nothing, and these have the role in every event.
ROLE_IS_ELSEWHERE = {"azure", "ollama", "openrouter"}


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def shipped(serve):
    quiet = {"TOKENFALL__SERVER__LOG": "off"}
    with serve("--instant", "--prompts", str(REPOSITORY / "prompts"), env=quiet) as server:
        yield server


@pytest.fixture(scope="module")
def requests() -> dict[str, dict]:
    scenarios = {kind: yaml.safe_load((REPOSITORY / f"prompts/{kind}.yaml").read_text()) for kind in KINDS}
    return {kind: scenario["example"] | {"seed": 42} for kind, scenario in scenarios.items()}


@pytest.fixture(scope="module")
def said(shipped, requests) -> dict[str, dict]:
    """What is to be read, from whole replies."""
    return {kind: message(shipped.base_url, request) for kind, request in requests.items()}


@pytest.fixture(scope="module")
def reads(shipped, requests) -> dict[str, dict]:
    cases = [
        {"request": requests[kind], "headers": {"x-mock-dialect": dialect, "x-mock-wire": wire}}
        for kind, dialect, wire in CASES
    ]
    read = read_all(shipped.base_url, lambda _: cases)
    return {reader: dict(zip(CASES, results)) for reader, results in read.items()}


def message(base_url: str, request: dict) -> dict:
    headers = {"content-type": "application/json"}
    with urlopen(Request(f"{base_url}/chat/completions", json.dumps(request).encode(), headers)) as reply:
        choice = json.load(reply)["choices"][0]
    said = choice["message"]
    return {
        "role": "assistant",
        "text": said["content"] or "",
        "reasoning": said.get("reasoning_content") or "",
        "refusal": said["refusal"] or "",
        "calls": [[call["function"]["name"], call["function"]["arguments"]] for call in said.get("tool_calls", [])],
        "finish": choice["finish_reason"],
        "error": None,
    }


def expected(reader: str, case: tuple[str, str, str], said: dict) -> Read | str:
    """What a client should have read, or the error that it is known to fail with."""
    kind, dialect, wire = case
    is_hit = wire == "event,bom" and dialect not in ROLE_IS_ELSEWHERE
    if is_hit and (reader, kind) in FAILS_AT_BOM:
        return FAILS_AT_BOM[reader, kind]
    shown = said | {"calls": [[name, json.loads(arguments)] for name, arguments in said["calls"]]}
    if reader.startswith("AI SDK"):
        # A refusal is text to it.
        shown["text"] += said["refusal"]
    for name in NOT_SHOWN.get(reader, ()):
        shown[name] = None if name == "role" else ""
    if is_hit and reader in LOSES_FIRST_EVENT_AT_BOM:
        shown["role"] = None
    return Read(**shown)


def seen(read: Read) -> Read | str:
    if read.error:
        return read.error["name"]
    return Read(**vars(read) | {"calls": [[name, json.loads(arguments)] for name, arguments in read.calls]})


@pytest.mark.parametrize("reader", [reader.name for reader in READERS])
def test_every_reply_is_read_the_same_in_every_dialect_and_framing(reader, reads, said):
    wrong = {}
    for case in CASES:
        wanted, got = expected(reader, case, said[case[0]]), seen(reads[reader][case])
        if got != wanted:
            wrong[case] = f"{got} instead of {wanted}"
    assert not wrong, f"{len(wrong)} of {len(CASES)}, such as {next(iter(wrong.items()))}"


def test_the_replies_say_what_they_are_for(said):
    assert all(any(said[kind][member] for kind in KINDS) for member in ("text", "reasoning", "refusal", "calls"))
    assert len(said["parallel-calls"]["calls"]) == 2 and "𝄞" in said["non-ascii"]["text"]


def test_the_table_says_what_clients_read(reads, said):
    of = {
        "text, tool calls": lambda read: shows(read, said, "text", "calls"),
        "structured output": lambda read: shows(read, said, "text", kind="structured-output"),
        "reasoning": lambda read: shows(read, said, "reasoning"),
        "a refusal": lambda read: refusal(read, said),
        "every framing and line end": framings,
        "a byte-order mark": byte_order_mark,
    }
    rows = [row(name, {reader: cell(read) for reader, read in reads.items()}) for name, cell in of.items()]
    hold(heading("What is read"), rows)


def shows(read: dict, said: dict, *members: str, kind: str | None = None) -> str:
    plain = {case[0]: result for case, result in read.items() if case[1:] == ("openai", "event")}
    kinds = [kind] if kind else [name for name in KINDS if name != "refusal"]
    is_shown = all(
        bool(getattr(plain[name], member)) == bool(said[name][member]) for name in kinds for member in members
    )
    return "yes" if is_shown else "no"


def refusal(read: dict, said: dict) -> str:
    plain, wanted = read["refusal", "openai", "event"], said["refusal"]["refusal"]
    return "yes" if plain.refusal == wanted else "as text" if plain.text == wanted else "no"


def framings(read: dict) -> str:
    same = (
        read[kind, dialect, wire] == read[kind, dialect, "event"] for kind, dialect, wire in CASES if wire != "event,bom"
    )
    return "yes" if all(same) else "no"


def byte_order_mark(read: dict) -> str:
    marked, plain = read["greeting", "openai", "event,bom"], read["greeting", "openai", "event"]
    formatted = read["structured-output", "openai", "event,bom"]
    if formatted.error:
        return f"`{formatted.error['name']}` if a `response_format` is asked for"
    return "yes" if marked == plain else "the first event is lost"
