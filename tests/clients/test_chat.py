"""`tokenfall chat` on a terminal, and behind a network that cuts; the manual, as groff reads it."""

import json
import random
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from binary import BINARY, clean_environment
from cutting import Cut, cutting
from terminal import CTRL_C, CTRL_D, terminal

QUESTION = "Tell me something longer, please."
# Sets the title, clears the screen, paints, and has some terminals type an answer.
HOSTILE = "a\x1b]0;owned\x07b\x1b[2J\x1b[31mc\x9b6n\rd\x08e\x7f"
HARMLESS = r"a\u{1b}]0;owned\u{7}b\u{1b}[2J\u{1b}[31mc\u{9b}6nd\u{8}e\u{7f}"
SCENARIOS = {
    "hostile": {"match": {"last_user": "hostile"}, "reply": {"text": HOSTILE}},
    "failing": {
        "match": {"last_user": "fail"},
        "reply": {"error": {"status": 429, "message": HOSTILE, "type": "t", "code": "c"}},
    },
    "thinker": {
        "match": {"last_user": {"regex": "^think"}},
        "reply": {"blocks": [{"reasoning": "Hm\x1b[2J."}, {"text": "Yes."}]},
    },
}


@pytest.fixture(scope="module")
def talker(serve, tmp_path_factory):
    """A mock that says what terminals should not be told."""
    prompts = tmp_path_factory.mktemp("prompts")
    for name, scenario in SCENARIOS.items():
        (prompts / f"{name}.json").write_text(json.dumps(scenario))
    with serve("--instant", "--prompts", str(prompts)) as server:
        yield server


def environment(base_url: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in clean_environment().items() if name != "NO_COLOR"}
    return kept | {"OPENAI_BASE_URL": base_url, "TERM": "xterm"} | more


def chat(server, *args: str, **more: str):
    return terminal([BINARY, "chat", *args], environment(server.base_url, **more))


def piped(base_url: str, *args: str) -> subprocess.CompletedProcess:
    command = [BINARY, "chat", *args]
    return subprocess.run(command, env=environment(base_url), stdin=subprocess.DEVNULL, capture_output=True)


def asked(server) -> list[list[dict]]:
    """The messages of each request."""
    with urllib.request.urlopen(f"{server.url}/_mock/requests") as reply:
        return [entry["request"]["body"]["messages"] for entry in json.load(reply)["data"]]


@pytest.mark.parametrize("flags", [[], ["--raw"]])
def test_nothing_that_a_model_says_steers_the_terminal(talker, flags):
    with chat(talker, "hostile", *flags, NO_COLOR="1") as screen:
        assert screen.code() == 0, screen.shown
    shown = screen.shown.replace(b"\r\n", b"\n").decode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), shown
    if not flags:
        assert shown == HARMLESS + "\n"
    assert piped(talker.base_url, "hostile").stdout.decode() == HOSTILE + "\n", "a pipe gets all of it"


def test_what_a_server_says_of_an_error_does_not_either(talker):
    with chat(talker, "fail", NO_COLOR="1") as screen:
        assert screen.code() == 1
    assert screen.shown == b"tokenfall: 429: " + HARMLESS.encode() + b" (c)\r\n"


def test_reasoning_is_dimmed_where_colours_are_wanted(talker):
    with chat(talker, "think") as screen:
        assert screen.code() == 0
    assert b"\x1b[2mHm\\u{1b}[2J.\x1b[0m" in screen.shown.replace(b"\x1b[0m\x1b[2m", b""), screen.shown
    assert screen.shown.endswith(b"\r\n\r\nYes.\r\n")
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with chat(talker, "think", **plain) as screen:
            assert screen.code() == 0
        assert b"\x1b" not in screen.shown
    told = piped(talker.base_url, "think")
    assert (told.stdout, told.stderr) == (b"Yes.\n", b"Hm\x1b[2J.\n\n")


def test_a_conversation_remembers_what_was_said(talker):
    with chat(talker, "--system", "Be brief.") as screen:
        screen.wait_for(b"> ")
        screen.type(b"think\n\n")
        screen.wait_for(b"> ", 3)  # one for the empty line
        screen.type(b"think again\n")
        screen.wait_for(b"> ", 4)
        screen.type(CTRL_D)
        assert screen.code() == 0, screen.shown
    said = [(message["role"], message["content"]) for message in asked(talker)[-1]]
    thought = ("user", "think"), ("assistant", "Yes.")
    assert said == [("system", "Be brief."), *thought, ("user", "think again")]
    with chat(talker) as screen:
        screen.wait_for(b"> ")
        screen.type(b"/exit\n")
        assert screen.code() == 0


def test_ctrl_c_stops_the_answer_and_once_more_leaves(serve):
    with serve("--speed", "0.2") as server, chat(server) as screen:
        screen.wait_for(b"> ")
        screen.type(b"Tell me a long story.\n")
        screen.wait_for(b"\n> ")
        before = len(screen.shown)
        while len(screen.shown) < before + 5:
            assert screen._read(10), "an answer"
        screen.type(CTRL_C)
        screen.wait_for(b"tokenfall: stopped\r\n> ")
        screen.type(CTRL_C)
        assert screen.code() == 130, screen.shown


@pytest.mark.parametrize("how", ["fin", "reset", "end"])
def test_an_answer_is_whole_behind_a_network_that_cuts(serve, how):
    with serve("--instant", "--deterministic") as server, cutting(server.url) as network:
        whole = piped(server.base_url, QUESTION)
        assert (whole.returncode, whole.stderr) == (0, b"")
        cuts = random.Random(how)
        network.plan += [Cut(cuts.randrange(0, 3000), how) for _ in range(6)]
        told = piped(network.base_url, QUESTION)
        assert told.stdout == whole.stdout, told.stderr
        assert told.returncode == 0
        assert told.stderr.count(b"asking for the rest") == len(network.made) > 2


def test_groff_has_nothing_against_the_manual(tmp_path: Path):
    subprocess.run([BINARY, "man", "--dir", tmp_path], check=True)
    pages = sorted(tmp_path.iterdir())
    assert "tokenfall-chat.1" in [page.name for page in pages]
    for page in pages:
        read = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-P-cbou", page], capture_output=True, text=True)
        assert (read.returncode, read.stderr) == (0, ""), page.name
        assert "OPTIONS" in read.stdout, page.name
