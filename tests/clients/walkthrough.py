"""Does what a document says, block after block, in a folder of its own.

Addresses become free ports, the same ones throughout. What is written as a model server (`api.example.com`, `10.0.0.*`,
port 8000) is a mock, and `redis://` a real Redis; files outside of the folder (`/etc/…`) are in it. A block whose first line
is a comment with a path is that file.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

import fronts
import redis_server
import binary
from browser import chromium, expect_answer, run_module
from documents import Block
from ports import free_port
from binary import BINARY, REPOSITORY, clean_environment

CLIENTS = REPOSITORY / "tests/clients"
WITHIN = 90.0
# What a reader has beside the binary: the repository's folders, and the files that are there to be copied.
FOLDERS = ("clients", "deploy", "openapi", "prompts")
LOCAL = re.compile(r"\b(127\.0\.0\.1|localhost):(\d{4,5})\b|((?:--port |http\.server |listen[ (]|port = ))(\d{2,5})\b")
MODEL_SERVER = re.compile(r"https?://(?:api\.example\.com|10\.0\.0\.\d+:\d+|127\.0\.0\.1:8000)\b")
ELSEWHERE = re.compile(r"(?<=[\"' ])/(?:etc|run/secrets|var/log)/[\w./-]+")
KEYS = re.compile(r"key_env = \"(\w+)\"|key-env (\w+)")


@dataclass
class Walkthrough:
    """One document's folder, servers and files."""

    folder: Path
    stack: contextlib.ExitStack
    ports: dict[str, int] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    started: dict[str, Any] = field(default_factory=dict)

    def follow(self, block: Block) -> None:
        """Runs or checks one block; what nothing can is a failure."""
        assert block.language in WAYS, f"nothing runs or checks {block.language or 'a block without a language'}"
        if block.before:
            self.shell(self.here(block.before))
        text = self.here(block.given + block.text)
        if block.name:
            self.keep(block, text)
        WAYS[block.language](self, text, block)

    def finish(self) -> None:
        assert not self.unused, f"no command uses {self.unused}"

    def here(self, text: str) -> str:
        """The text with this machine's addresses, files and keys."""
        self.keys |= {name for found in KEYS.findall(text) for name in found if name}
        if MODEL_SERVER.search(text):
            self.ports["8000"] = urlsplit(self.the("model", self.model_server)).port
            text = MODEL_SERVER.sub("http://127.0.0.1:8000", text)
        if "redis://" in text:
            self.ports["6379"] = urlsplit(self.the("redis", redis_server.running)).port
            text = re.sub(r"redis://[\w.:@-]+", "redis://127.0.0.1:6379", text)
        text = LOCAL.sub(self.local, text)
        text = ELSEWHERE.sub(self.inside, text)
        # A load for a while is one for a second, and what is left out of a digest does not matter.
        return re.sub(r"--duration \w+", "--duration 1s", text).replace("sha256:…", f"sha256:{'0' * 64}")

    def there(self, text: str) -> str:
        """The text with the addresses that the document has."""
        for documented, port in self.ports.items():
            text = text.replace(f":{port}", f":{documented}")
        return text

    def port(self, documented: str | int) -> int:
        return self.ports.setdefault(str(documented), free_port())

    def local(self, found: re.Match) -> str:
        host, documented, before, alone = found.groups()
        return f"{host}:{self.port(documented)}" if host else f"{before}{self.port(alone)}"

    def inside(self, found: re.Match) -> str:
        path = self.folder / "elsewhere" / found[0].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".pem", ".crt", ".key"):
            shutil.copy(self.certificate(path.suffix == ".key" or "key" in path.stem), path)
        elif not path.exists():
            path.write_text({".toml": "keys = []\n", ".jsonl": ""}.get(path.suffix, "a-key\n"))
        return str(path)

    def certificate(self, is_key: bool) -> Path:
        return Path(self.the("certificate", lambda: fronts.certificate(self.folder)) + (".key" if is_key else ""))

    def the(self, name: str, start: Callable) -> Any:
        """What a document needs beside its own words, started when it is first spoken of."""
        if name not in self.started:
            self.started[name] = self.stack.enter_context(start())
        return self.started[name]

    @contextlib.contextmanager
    def model_server(self) -> Iterator[str]:
        folder = self.folder / ".model-server"
        folder.mkdir()
        with binary.serve(folder, "--speed", "10") as server:
            yield server.url

    def environment(self) -> dict[str, str]:
        (sdk,) = (REPOSITORY / ".venvs/openai3/lib").glob("python3*/site-packages")
        folders = [CLIENTS / "shims", Path(sys.executable).parent, os.environ["PATH"]]
        return clean_environment() | {
            "PATH": os.pathsep.join(map(str, folders)),
            # As if they were installed.
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY / "clients/python"), str(sdk)]),
            "PYTEST_ADDOPTS": "-p tokenfall.pytest_plugin -p no:cacheprovider",
            "HOME": str(self.folder),
            # Those of this environment take seconds to load.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "TOKENFALL_BIN": str(BINARY),
            "TOKENFALL__SERVER__PORT": str(self.port(8080)),
            "TOKENFALL__SERVER__DRAIN": "1s",
            "TOKENFALL__MOCK__SPEED": "10",
            "WALKTHROUGH": str(self.folder / ".servers"),
        } | dict.fromkeys(self.keys, "sk-an-example-of-a-key")  # fmt: skip

    def run(self, *command: str) -> str:
        """What a command says, which has to end well; what it leaves in the background goes on."""
        said = self.folder / ".said"
        with said.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.groups.append(process.pid)
            code = process.wait(WITHIN)
        text = said.read_text(errors="replace")
        assert code == 0, f"{' '.join(command)}\nexit code {code}:\n{text}"
        return text

    def shell(self, text: str, block: Block | None = None) -> str:
        for name in [name for name, uses in self.unused.items() if re.search(uses, text)]:
            del self.unused[name]
        return self.run("bash", "-euo", "pipefail", "-c", text)

    def console(self, text: str, block: Block) -> None:
        """Each `$ command` is followed by what it says; `…` stands for anything."""
        for command, expected in re.findall(r"^\$ (.*(?:\\\n.*)*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
            pattern = re.escape(self.there(expected).strip()).replace("…", "(?s:.*)")
            said = self.there(self.shell(command)).strip()
            assert re.fullmatch(pattern, said), f"{command} says\n{said}\nand not\n{expected}"

    def keep(self, block: Block, text: str) -> None:
        """Writes the file that a block is. A program has to be used by a command or a page."""
        path = self.folder / block.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        uses = [re.escape(path.name)] + [re.escape(parent.name) for parent in Path(block.name).parents if parent.name]
        uses += [r"\bpytest\b"] * (path.suffix == ".py") + [r"node --test"] * (".test." in path.name)
        # The others are checked by themselves.
        if block.language in ("python", "js"):
            self.unused[block.name] = "|".join(uses)

    def python(self, text: str, block: Block) -> None:
        if block.name:
            return
        if "def test_" in text:
            (self.folder / "test_block.py").write_text(text)
            self.run("python3", "-m", "pytest", "-q", "test_block.py")
        else:
            self.run("python3", "-c", text)

    def javascript(self, text: str, block: Block) -> None:
        if block.name:
            return
        if re.search(r"\b(EventSource|document|localStorage)\b", text):
            run_module(self.the("browser", chromium), text, self.folder)
        else:
            self.run("node", "--input-type=module", "-e", text)

    def page(self, text: str, block: Block) -> None:
        """One that shows an answer; that of a chat, which has an `input`, is in its `output`."""
        assert block.name, "a page has a name, as a comment in its first line"
        self.unused = {name: uses for name, uses in self.unused.items() if f'"./{name}"' not in text}
        expect_answer(self.the("browser", chromium), self.folder, block.name)

    def toml(self, text: str, block: Block) -> None:
        file = self.folder / (block.name or "block.toml")
        file.write_text(text)
        self.run("tokenfall", "check", "--config", file.name)

    def yaml(self, text: str, block: Block) -> None:
        content = yaml.safe_load(text)
        if "jobs" in content:
            check_workflow(content)
        elif {"version", "request", "response"} <= set(content):
            self.check_alone("--cassettes", text)
        else:
            self.check_alone("--prompts", text)

    def check_alone(self, flag: str, text: str) -> None:
        folder = self.folder / ".alone"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "block.yaml").write_text(text)
        self.run("tokenfall", "check", flag, folder.name)

    def json(self, text: str, block: Block) -> None:
        """One value, or one in each line."""
        try:
            json.loads(text)
        except json.JSONDecodeError:
            for line in text.splitlines():
                json.loads(line)

    def nginx(self, text: str, block: Block) -> None:
        with fronts.nginx(text, self.folder) as url:
            fronts.expect_stream(url, self.started.get("certificate"))

    def caddy(self, text: str, block: Block) -> None:
        certificate = str(self.certificate(is_key=False))
        with fronts.caddy(text, self.folder, certificate) as url:
            fronts.expect_stream(url, certificate)

    def close(self) -> None:
        for file in (self.folder / ".servers").glob("*/pid"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        for group in self.groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


WAYS = {
    "sh": Walkthrough.shell,
    "console": Walkthrough.console,
    "python": Walkthrough.python,
    "js": Walkthrough.javascript,
    "html": Walkthrough.page,
    "toml": Walkthrough.toml,
    "yaml": Walkthrough.yaml,
    "json": Walkthrough.json,
    "nginx": Walkthrough.nginx,
    "caddyfile": Walkthrough.caddy,
}


@contextlib.contextmanager
def walk(folder: Path) -> Iterator[Walkthrough]:
    """Yields a reader who has the repository's files and has done nothing yet."""
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, folder / name)
    (folder / ".servers").mkdir()
    # An error status is an error to the shell.
    (folder / ".curlrc").write_text("fail-with-body\n")
    (folder / "node_modules").mkdir()
    (folder / "node_modules/openai").symlink_to(CLIENTS / "node_modules/openai-latest")
    (folder / "node_modules/tokenfall").symlink_to(REPOSITORY / "clients/node")
    with contextlib.ExitStack() as stack:
        walkthrough = Walkthrough(folder, stack)
        stack.callback(walkthrough.close)
        yield walkthrough


def check_workflow(workflow: dict) -> None:
    """A GitHub workflow whose steps are steps, and use this repository's action as it is."""
    action = yaml.safe_load((REPOSITORY / ".github/actions/tokenfall/action.yml").read_text())
    for job in workflow["jobs"].values():
        assert {"runs-on", "steps"} <= set(job) <= {"runs-on", "steps", "services", "env"}, job
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            if "/tokenfall/" in step.get("uses", ""):
                assert step["uses"].partition("@")[0].endswith("/tokenfall/.github/actions/tokenfall")
                assert set(step.get("with", {})) <= set(action["inputs"])
        for service in job.get("services", {}).values():
            assert {"image"} <= set(service) <= {"image", "ports", "options", "env", "volumes", "credentials"}, service
