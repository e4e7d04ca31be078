"""The code blocks of the Markdown in this repository.

Comments right above a block say what a reader need not see: `<!-- before: … -->` are shell commands that come first,
`<!-- given: … -->` is code that stands before the block's own, `<!-- not run: … -->` says why it cannot be run here.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from binary import REPOSITORY

# Why a block may be left alone; each says who else holds it, or why nobody can.
REASONS = {
    "builds": "it compiles this repository, as .ci/run does",
    "docker": "it needs docker; scripts/test-compose does it",
    "cluster": "it needs a Kubernetes cluster",
    "installs": "it installs packages of others",
    "unpublished": "it needs a package or an image of ours that is not published yet",
    "long": "it takes many minutes",
    "drawing": "it is nothing to be run",
    "results": "it is what a run on some day has shown",
}
BUILT_OR_FETCHED = {"target", "node_modules", "vendor", "artifacts"}
FENCE = re.compile(r"^( *)(`{3,}|~{3,}) *([\w+-]*)[^\n]*\n(.*?)^\1\2[ ]*$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!-- *(not run|before|given): *((?:(?!-->).)*?) *-->\s*\Z", re.DOTALL)
NAME = re.compile(r"(?:#|//|<!--) ((?:[\w.-]+/)*(?:[\w-]*(?:\.[\w-]+)+|Caddyfile))(?: -->)?\n")


@dataclass
class Block:
    """One fenced block."""

    where: str
    language: str
    text: str
    before: str = ""
    given: str = ""
    reason: str | None = None

    @property
    def name(self) -> str | None:
        """The file that it is, where its first line is a comment with nothing but a path."""
        found = NAME.match(self.text)
        return found and found[1]


def documents() -> list[Path]:
    """Every Markdown file that is our own."""
    found = []
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in BUILT_OR_FETCHED and not name.startswith(".")]
        found += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(found)


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text()
    for fence in FENCE.finditer(text):
        indent, _, language, body = fence.groups()
        line = text.count("\n", 0, fence.start()) + 1
        block = Block(f"{document.relative_to(REPOSITORY)}:{line}", language, re.sub(f"^{indent}", "", body, flags=re.MULTILINE))
        # Several comments may stand above each other.
        above = text[: fence.start()]
        while comment := COMMENT.search(above):
            match comment[1]:
                case "before":
                    block.before = comment[2]
                case "given":
                    block.given = comment[2] + "\n"
                case _:
                    block.reason = comment[2]
            above = above[: comment.start()]
        yield block


def lost_links(document: Path) -> list[str]:
    """Links to files that are not there, or to headings that they have not."""
    lost = []
    for written in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", document.read_text())):
        path, _, part = written.partition("#")
        if re.match(r"\w+:", written):
            continue
        file = document.parent / path if path else document
        if not file.exists() or (part and file.suffix == ".md" and part not in anchors(file)):
            lost.append(written)
    return lost


def anchors(document: Path) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
