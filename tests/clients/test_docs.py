"""Every code block of every document is run or checked; one that cannot be says why, and is listed as skipped."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Error

from binary import REPOSITORY
from documents import REASONS, Block, blocks, documents, lost_links
from walkthrough import walk

BLOCKS = {str(document.relative_to(REPOSITORY)): list(blocks(document)) for document in documents()}
LEFT_ALONE = [block for found in BLOCKS.values() for block in found if block.reason]


@pytest.fixture(scope="module")
def walks(request, tmp_path_factory):
    """What becomes of each document that is asked for, two at a time: most of it is waiting."""
    asked = [item.callspec.params["document"] for item in request.session.items if "walks" in getattr(item, "fixturenames", ())]
    folders = {document: tmp_path_factory.mktemp("document") for document in asked}
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {document: pool.submit(follow, document, folder) for document, folder in folders.items()}


@pytest.mark.parametrize("document", [name for name, found in BLOCKS.items() if any(not block.reason for block in found)])
def test_what_a_document_says_is_so(document, walks):
    walks[document].result()


def follow(document: str, folder: Path) -> None:
    with walk(folder) as walkthrough:
        for block in BLOCKS[document]:
            if not block.reason:
                try:
                    walkthrough.follow(block)
                except Exception as error:
                    raise AssertionError(f"{block.where}: {error}") from error
        walkthrough.finish()


@pytest.mark.parametrize("block", LEFT_ALONE, ids=lambda block: block.where)
def test_what_cannot_be_run_says_why(block):
    assert block.reason in REASONS, f"{block.where}: the reasons are {', '.join(REASONS)}"
    pytest.skip(f"{block.where}: {REASONS[block.reason]}")


@pytest.mark.parametrize("document", documents(), ids=lambda document: str(document.relative_to(REPOSITORY)))
def test_links_lead_somewhere(document):
    assert lost_links(document) == []


BROKEN = {
    "a language that nothing runs": ("cobol", "DISPLAY 'Hello'."),
    "no language": ("", "Hello"),
    "a command that fails": ("sh", "false\ntrue"),
    "an error status": ("sh", "tokenfall serve --instant\ncurl -sS http://127.0.0.1:8080/v1/nothing"),
    "a flag that is not": ("sh", "tokenfall serve --instantly"),
    "another output": ("console", "$ echo one\ntwo\n"),
    "a file that nothing uses": ("python", "# ask.py\nprint(1)"),
    "a name that is not defined": ("python", "print(client)"),
    "a test that fails": ("python", "def test_it():\n    assert False"),
    "an import that is not there": ("js", 'import "./tokenfall-nothing.mjs";'),
    "an exception in a page": ("js", "document.nothing.more"),
    "a setting that is not": ("toml", "[server]\nhots = '::1'"),
    "a scenario that is none": ("yaml", "match: { last_usr: Hi }\nreply: { text: Hello }"),
    "a cassette that is none": ("yaml", "version: 1\nrequest: {}\nresponse: {}"),
    "an input that the action has not": (
        "yaml",
        "jobs: {t: {runs-on: l, steps: [{uses: o/tokenfall/.github/actions/tokenfall@v1, with: {arg: 1}}]}}",
    ),
    "two halves of JSON": ("json", '{"a":\n1}}'),
    "a directive that is not": ("nginx", "server { listen 8081; proxy_pas http://127.0.0.1:8080; }"),
    "a proxy that buffers": (
        "nginx",
        "server { listen 8081; location / { proxy_pass http://127.0.0.1:8080; proxy_ignore_headers X-Accel-Buffering; } }",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_not_so_is_found(what, tmp_path):
    block = Block("here", *BROKEN[what], before="tokenfall serve" if BROKEN[what][0] == "nginx" else "")
    with walk(tmp_path) as walkthrough, pytest.raises((AssertionError, ValueError, Error)):
        walkthrough.follow(block)
        walkthrough.finish()
