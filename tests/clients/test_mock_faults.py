"""What each fault is to real clients. The table in docs/ci.md is held to what is seen here."""

import pytest
import yaml

import tokenfall.mock
from binary import BINARY, REPOSITORY
from readers import READERS, Read, heading, hold, read_all, row

FAULTS = [
    "status=401", "status=429", "status=500", "status=503", "stall@event=5", "drip@event=5", "cut@event=1",
    "cut@event=5", "reset@event=5", "error@event=5", "truncated@event=5", "malformed@event=5", "no_finish", "no_done",
    "done_twice", "duplicate@event=5", "reorder@event=5", "oversized@event=5", "content_type",
]  # fmt: skip
LASTS = {"stall@event=5": ",for=5s", "drip@event=5": ",for=200ms"}
# As the SDKs have it where nothing is said.
RETRIES = 2
WHOLE = "Hello, Ada! How can I help you today?"
BEFORE_5, AFTER_5 = "Hello, Ada", " How can I help you today?"
OTHER = {
    "Hello, Ada!! How can I help you today?": "an event twice",
    "Hello, Ada How! can I help you today?": "events in wrong order",
}


pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def mock():
    with tokenfall.mock.start("--instant", prompts=REPOSITORY / "prompts", binary=BINARY) as mock:
        yield mock


@pytest.fixture(scope="module")
def seen(mock) -> dict[str, dict[str, tuple[Read, int]]]:
    """For each fault, what each reader made of it, and how often it asked."""
    request = yaml.safe_load((REPOSITORY / "prompts/greeting.yaml").read_text())["example"] | {"seed": 42}

    def cases(reader):
        return [
            {
                "request": request,
                "headers": {"x-mock-fault": fault + LASTS.get(fault, ""), "x-mock-session": f"{reader.name}: {fault}"},
                "retries": RETRIES,
                "timeout": 2 if fault.startswith("stall") else 30,
            }
            for fault in FAULTS
        ]

    # Most of it is waiting.
    reads = read_all(mock.base_url, cases, at_once=len(READERS))
    return {
        fault: {
            reader: (reads[reader][index], len(mock.session(f"{reader}: {fault}").requests())) for reader in reads
        }
        for index, fault in enumerate(FAULTS)
    }


def outcome(fault: str, read: Read, requests: int) -> str:
    """In a few words. What is not foreseen here is shown as it was."""
    retried = f" after {requests - 1} retries" if requests > 1 else ""
    finish = {"stop": "", None: ", no finish reason"}.get(read.finish, f", finish reason `{read.finish}`")
    if read.error:
        error = f"`{read.error['name']}`"
        if read.text == WHOLE:
            return f"whole, then {error}"
        if read.text == BEFORE_5 + AFTER_5:
            return f"{error}, and goes on"
        # What had come is not always handed on.
        if WHOLE.startswith(read.text) and len(read.text) <= len(BEFORE_5):
            return f"{error}{retried}"
    elif read.text == WHOLE:
        is_late = fault.startswith("stall")
        return "waits: its timeout is for the head" if is_late else f"whole{finish}{retried}"
    elif read.text == BEFORE_5:
        return f"ends early{finish}"
    elif read.text in OTHER and not finish:
        return OTHER[read.text]
    return repr(read)


def test_every_fault_is_to_every_client_what_the_table_says(seen):
    rows = []
    for fault in FAULTS:
        said = {reader: outcome(fault, *result) for reader, result in seen[fault].items()}
        rows.append(row(f"`{fault}`", said))
    hold(heading("Fault"), rows)


def test_what_a_client_says_of_a_refusal_is_what_the_mock_said(seen):
    for status, words in {401: "Incorrect API key", 429: "Rate limit reached", 503: "currently overloaded"}.items():
        for reader, (read, _) in seen[f"status={status}"].items():
            assert words in read.error["message"], (reader, read.error)


def test_faults_took_place(mock, seen):
    for fault in FAULTS:
        status = int(fault.partition("=")[2]) if fault.startswith("status") else 200
        for reader in READERS:
            requests = mock.session(f"{reader.name}: {fault}").requests()
            assert {request["status"] for request in requests} == {status}, (fault, reader)
            played = [played for request in requests for played in request["sent"]["faults"]]
            assert "@" not in fault or any(one.startswith(fault) for one in played), (fault, reader, played)
