"""A headless Chromium for the tests of the pages, and what they look at."""

import contextlib
import shutil
import threading
import time
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# Ignored by git: what the pages looked like in the last run.
ARTIFACTS = Path(__file__).parent / "artifacts"
DESKTOP, PHONE = (1440, 900), (390, 844)
SERIOUS = {"serious", "critical"}
# What prompts/cut.yaml answers.
CUT_ANSWER = (
    "This connection breaks after a few words, and the answer goes on without it: "
    "whoever comes back with a cursor reads the rest."
)
EMPTY_PAGE = "<!doctype html><title>a page</title><link rel=icon href=data:,>"


@contextlib.contextmanager
def chromium():
    """Yields the system's browser; nothing is downloaded."""
    path = shutil.which("chromium")
    assert path, "scripts/setup installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """Everything that a page has asked for, said and opened."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    popups: list[str] = field(default_factory=list)

    def elsewhere(self, url: str) -> list[str]:
        """What was asked of anyone but the server at `url`."""
        return [asked for asked in self.requests if urlsplit(asked).netloc != urlsplit(url).netloc]


def open_page(browser: Browser, url: str, size=DESKTOP, **settings) -> tuple[Page, Seen]:
    """The page at `url`, in a context of its own, and what it does."""
    width, height = size
    is_phone = size == PHONE
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height}, is_mobile=is_phone, has_touch=is_phone, **settings
    )
    page, seen = context.new_page(), Seen()
    context.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: "Content Security Policy" in said.text and seen.errors.append(said.text))
    page.on("popup", lambda popup: seen.popups.append(popup.url))

    def dismiss(dialog):
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.goto(url)
    return page, seen


def shoot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")


def accessibility_faults(page: Page) -> list[str]:
    """The serious faults that axe finds, each with where it is."""
    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {fault['help']} {[node['html'][:120] for node in fault['nodes'][:4]]}"
        for fault in found
        if fault["impact"] in SERIOUS
    ]


def is_wider_than_its_window(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth > innerWidth")


@contextlib.contextmanager
def serving(folder: Path):
    """Yields the URL of a folder's files, in an origin of their own."""

    class Files(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=folder)

        def log_message(self, *_):
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Files) as listener:
        listener.block_on_close = False
        threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_port}/"
        listener.shutdown()


def run_module(browser: Browser, code: str, folder: Path) -> None:
    """Runs JavaScript in an empty page, and reads all that it has asked for to the end."""
    (folder / "empty.html").write_text(EMPTY_PAGE)
    with serving(folder) as url:
        page, seen = open_page(browser, f"{url}empty.html")
        under_way = []
        page.on("request", lambda request: under_way.append(request))
        page.on("requestfinished", lambda request: under_way.remove(request))
        page.on("requestfailed", lambda request: under_way.remove(request))
        page.evaluate("code => import(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })))", code)
        deadline, quiet_since = time.monotonic() + 20, time.monotonic()
        # One thing that is asked for may ask for the next.
        while time.monotonic() - quiet_since < 0.3:
            assert time.monotonic() < deadline, under_way
            page.wait_for_timeout(10)
            quiet_since = time.monotonic() if under_way else quiet_since
        assert not seen.errors, seen.errors


def expect_answer(browser: Browser, folder: Path, name: str) -> None:
    """A page shows an answer. If it can be asked, then whole and once, although its connection breaks and it is reloaded."""
    with serving(folder) as url:
        page, seen = open_page(browser, url + name)
        posts = []
        page.on("request", lambda request: request.method == "POST" and posts.append(request.url))
        if page.query_selector("input"):
            page.fill("input", "Please cut me off.")
            page.press("input", "Enter")
            page.wait_for_function("document.querySelector('output').textContent.length > 30")
            before = page.inner_text("output")
            page.reload()
            page.wait_for_function("document.querySelector('output').textContent.endsWith('reads the rest.')")
            assert page.inner_text("output") == CUT_ANSWER != before, (before, page.inner_text("output"))
            assert len(posts) == 1, f"it was asked for again: {posts}"
        else:
            page.wait_for_function("document.body.innerText.length > 15")
        assert not seen.errors, seen.errors
