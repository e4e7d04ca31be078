"""The playground at `/` in a real browser: what one does there, what breaks meanwhile, and what it must never do."""

import json
import re
import time

import httpx
import pytest
from playwright.sync_api import Page, expect

from binary import REPOSITORY, Server
from browser import DESKTOP, PHONE, Seen, accessibility_faults, chromium, is_wider_than_its_window, open_page, shoot
from programs import run

PATIENCE = 20_000  # ms; the machine may be busy
PROMPTS = ("--prompts", str(REPOSITORY / "prompts"))
HOSTILE = r"""
reply:
  text: |
    <script>window.owned = 1; alert(1)</script><img src=x onerror="window.owned = 2">
    <img src="http://tracker.example/pixel.png"> <svg onload="window.owned = 3"><style>@import "http://tracker.example/a.css";</style></svg>
    <iframe src="http://tracker.example/frame"></iframe><base href="http://tracker.example/"><form action="http://tracker.example/"><button>Go</button></form>

    ![picture](http://tracker.example/picture.png) ![data](data:image/svg+xml,<svg/onload=alert(1)>)
    [run](javascript:window.owned=4) [hidden](JaVaScRiPt:window.owned=5) [tab](java&#x09;script:window.owned=6) [data](data:text/html,<script>alert(1)</script>)
    [fine](https://example.org/) [mail](mailto:ada@example.org) <https://example.org/auto> [file](file:///etc/passwd) [here](/v1/models)

    [ref]: javascript:window.owned=7 "x"
    [by reference][ref]

    ```html" onmouseover="window.owned=8
    <script>window.owned = 9</script>
    ```

    <div style="position:fixed;inset:0" class="bar" id="prompt" onclick="window.owned=10">over everything</div>
    | a | <img src=x onerror=window.owned=11> |
    | --- | --- |
    | `<b onclick=alert(1)>` | <a href="javascript:window.owned=12">x</a> |
"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def server(serve):
    with serve(*PROMPTS) as running:
        yield running


@pytest.fixture
def page(browser, server):
    opened, seen = playground(browser, server)
    yield opened
    assert seen.errors == [] and seen.elsewhere(server.url) == []
    opened.context.close()


def playground(browser, server: Server, **settings) -> tuple[Page, Seen]:
    page, seen = open_page(browser, server.url, **settings)
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    expect(page.locator("#server")).to_have_text(re.compile("mock|live|asks"))
    return page, seen


def send(page: Page, text: str) -> None:
    page.locator("#prompt").fill(text)
    page.locator("#prompt").press("Enter")


def ended(page: Page) -> None:
    expect(page.locator("#send")).to_be_visible()


def messages(page: Page) -> list[dict]:
    """The conversation as the page keeps it."""
    return page.evaluate("JSON.parse(localStorage['tokenfall.conversation']).messages")


def completion_id(page: Page) -> str:
    return page.evaluate("JSON.parse(localStorage['tokenfall.conversation']).running.place.id")


def after_events(page: Page, count: int) -> None:
    """Waits until the stream has that many events."""
    deadline = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < deadline:
        found = re.search(r"(\d+) event", page.locator("#wire-status").text_content())
        if found and int(found[1]) >= count:
            return
        page.wait_for_timeout(10)  # between two looks, not instead of one
    raise TimeoutError(f"fewer than {count} events")


def whole_answer(server: Server, question: str) -> str:
    request = {"model": "tokenfall-mock", "messages": [{"role": "user", "content": question}], "seed": 7}
    reply = httpx.post(f"{server.base_url}/chat/completions", json=request, headers={"x-mock-speed": "100"}, timeout=20)
    return reply.json()["choices"][0]["message"]["content"]


# ---- What one does ----


def test_an_answer_streams_with_markdown_and_every_event_stands_on_the_wire(page):
    page.locator(".card", has_text="Code block").click()
    expect(page.locator("#stop")).to_be_visible()
    ended(page)
    answer = page.locator(".message.assistant")
    expect(answer.locator(".code pre")).to_contain_text("def main(port: int = 8000) -> None:")
    expect(answer.locator("table th").first).to_have_text("Part")
    expect(answer.locator(".meta")).to_contain_text("tokens")
    expect(page.locator("#wire-status")).to_have_text(re.compile(r"Complete, 1\d\d events\."))
    expect(page.locator("#events")).to_contain_text("[DONE]")
    expect(page.locator("#figure-first")).to_have_text(re.compile("ms|s$"))
    shoot(page, "answer")


def test_reasoning_folds_away_and_tools_are_answered(page):
    page.locator(".card", has_text="Reasoning").click()
    ended(page)
    thought = page.locator(".thought")
    expect(thought.locator("summary")).to_have_text(re.compile("Thought for"))
    expect(thought).not_to_have_attribute("open", "")
    thought.locator("summary").click()
    expect(thought.locator(".thought-text")).to_contain_text("That makes three.")
    shoot(page, "reasoning")

    page.locator(".scenario", has_text="tool-call").click()
    ended(page)
    expect(page.locator(".call header code")).to_have_text("get_weather")
    shoot(page, "tool-call")
    page.get_by_label("Result of get_weather").fill('{"celsius": 21}')
    page.get_by_role("button", name="Send the result").click()
    expect(page.locator(".message.assistant").last).to_contain_text("It is 21 °C there (69 °F).")


def test_in_front_of_an_upstream_it_offers_nothing_of_the_mock(browser, serve, server):
    with serve("--upstream", server.base_url) as proxy:
        page, seen = playground(browser, proxy)
        expect(page.locator("#server")).to_have_text("live")
        expect(page.locator("#fault")).to_be_hidden()
        page.locator(".card").first.click()
        ended(page)
        assert messages(page)[-1]["end"] == "done" and messages(page)[-1]["finish"] == "stop"
        shoot(page, "upstream")
        assert seen.errors == [] and seen.elsewhere(proxy.url) == []
        page.context.close()


def test_stop_ends_the_generation_and_keeps_what_came(page, server):
    page.locator(".scenario", has_text="long-answer").click()
    after_events(page, 40)
    there = completion_id(page)
    page.locator("#stop").click()
    ended(page)
    expect(page.locator(".end")).to_have_text("Stopped.")
    expect(page.locator(".message.assistant")).to_contain_text("All about rivers")
    assert httpx.get(f"{server.base_url}/chat/completions/{there}").json()["status"] == "cancelled"


def test_questions_are_edited_and_answers_asked_for_again(page):
    send(page, "Hello, I am Ada!")
    ended(page)
    expect(page.locator(".markdown")).to_have_text("Hello, Ada! How can I help you today?")
    page.locator(".message.user").hover()
    page.get_by_role("button", name="Edit the question").click()
    page.locator(".edit").fill("Hello, I am Grace!")
    page.locator(".edit").press("Enter")
    ended(page)
    expect(page.locator(".markdown")).to_have_text("Hello, Grace! How can I help you today?")
    page.get_by_role("button", name="Ask again").click()
    ended(page)
    assert [message["role"] for message in messages(page)] == ["user", "assistant"]
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("#welcome")).to_be_visible()


# ---- What breaks meanwhile ----


def test_a_reload_in_the_middle_goes_on_where_it_was(page, server):
    question = "Write a long answer about rivers."
    page.locator("#speed").select_option("5.0")
    send(page, question)
    after_events(page, 60)
    with page.expect_request(re.compile("/stream")) as followed:
        page.reload()
    assert int(followed.value.headers["last-event-id"].removeprefix("1-")) >= 60
    expect(page.locator("#stop")).to_be_visible()
    shoot(page, "reloaded")
    ended(page)
    answer = messages(page)[-1]
    assert answer["content"] == whole_answer(server, question) and answer["resumes"] == 1
    expect(page.locator(".meta")).to_contain_text("resumed once")


def test_a_reload_before_the_first_byte_finds_the_same_completion(page, server):
    page.locator("#speed").select_option("0.25")
    httpx.delete(f"{server.url}/_mock/requests")
    with page.expect_request(re.compile("/v1/chat/completions$")):
        send(page, "Hello!")
    page.reload()  # the first token takes over a second at this speed
    ended(page)
    expect(page.locator(".markdown")).to_have_text("Hello! How can I help you today?")
    answered = httpx.get(f"{server.url}/_mock/requests").json()["data"]
    assert len(answered) == 1, "the second POST has to stand for the same completion"


def test_a_cut_is_resumed_and_a_second_reader_gets_the_same_bytes(page, server):
    question = "Write a long answer about lakes."
    page.locator("#speed").select_option("5.0")
    send(page, question)
    after_events(page, 60)
    page.locator("#second").click()
    page.locator("#cut").click()
    expect(page.locator("#cut")).to_have_text("Resume now")
    expect(page.locator("#wire-status")).to_contain_text("The connection was cut here.")
    shoot(page, "cut")
    page.locator("#cut").click()
    ended(page)
    assert messages(page)[-1]["content"] == whole_answer(server, question)
    expect(page.locator(".reader-status")).to_contain_text("complete")
    expect(page.locator(".reader-status")).to_contain_text("all the same")
    shoot(page, "second-reader")
    assert page.locator("#events .row").count() < 80, "only rows in sight are in the page"
    assert page.locator("#events .row").last.get_attribute("aria-setsize") == "2000", "of more than 2,700 events"
    expect(page.locator("#events")).to_contain_text("[DONE]")


@pytest.mark.parametrize(
    "fault",
    ["cut@event=12", "reset@event=12", "truncated@event=10", "malformed@event=8", "duplicate@event=6", "reorder@event=6", "no_done", "content_type"],
)
def test_whatever_happens_to_the_connection_the_answer_is_whole(page, server, fault):
    question = "Please cut me off."  # its scenario has a fault of its own, which a header replaces
    page.locator("#fault").select_option(fault)
    page.locator("#speed").select_option("5.0")
    send(page, question)
    ended(page)
    answer = messages(page)[-1]
    assert answer["content"] == whole_answer(server, question)
    assert answer["error"] is None and answer["end"] == "done"
    assert (answer["resumes"] > 0) == (fault != "duplicate@event=6")


def test_refusals_and_failures_are_told_as_they_are(page):
    page.locator("#fault").select_option("status=429,for=2s")
    send(page, "Hello!")
    expect(page.locator(".end.bad")).to_contain_text("429 rate_limit_exceeded")
    expect(page.locator(".end.bad")).to_contain_text("retry after 2 s")
    shoot(page, "refused")
    page.locator("#fault").select_option("")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".markdown")).to_have_text("Hello! How can I help you today?")
    ended(page)
    page.locator("#fault").select_option("error@event=10")
    send(page, "Please cut me off.")
    expect(page.locator(".end.bad")).to_be_visible()
    ended(page)


# ---- Who can use it ----


def test_everything_is_done_from_the_keyboard(page):
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("Write a long answer about seas.")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("At length.")
    page.keyboard.press("Enter")
    after_events(page, 20)
    page.keyboard.press("Escape")
    ended(page)
    expect(page.locator(".end")).to_have_text("Stopped.")
    expect(page.locator(".bubble")).to_have_text("Write a long answer about seas.\nAt length.")
    page.locator("#tab-events").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-curl")).to_be_focused()
    expect(page.locator("#code")).to_contain_text("curl -N")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    expect(page.locator("#events")).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#event-title")).to_have_text("Event 1-1")
    shoot(page, "keyboard")
    page.keyboard.press("Escape")
    expect(page.locator("#event-detail")).to_be_hidden()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    expect(page.locator("#prompt")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_reference_fits_and_has_no_serious_accessibility_fault(browser, server, scheme, size):
    page, seen = open_page(browser, f"{server.url}/docs", size, color_scheme=scheme)
    form = page.locator("form.try").first
    form.get_by_role("button", name="Send").click()
    expect(form.locator(".status")).to_contain_text("complete", timeout=PATIENCE)
    expect_good(page, f"docs-{scheme}-{size[0]}")
    assert seen.errors == [] and seen.elsewhere(server.url) == []
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, (1024, 768), PHONE], ids=["desktop", "tablet", "phone"])
def test_it_fits_and_has_no_serious_accessibility_fault(browser, server, scheme, size):
    page, seen = playground(browser, server, size=size, color_scheme=scheme)
    name = f"{scheme}-{size[0]}"
    expect_good(page, f"welcome-{name}")
    page.locator("#speed").select_option("5.0", force=True) if size == DESKTOP else None
    page.locator(".card", has_text="Code block").click()
    ended(page)
    expect_good(page, f"answer-{name}")
    for view in ("Wire", "Setup") if size != DESKTOP else ():
        page.get_by_role("button", name=view, exact=True).click()
        expect_good(page, f"{view.lower()}-{name}")
    if size == DESKTOP:
        page.locator("#second").click()
        page.locator("#events").press("End")
        page.locator(".scenario", has_text="tool-call").click()
        ended(page)
        expect_good(page, f"tool-{name}")
    assert seen.errors == []
    page.context.close()


def expect_good(page: Page, name: str) -> None:
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    shoot(page, name)
    assert not is_wider_than_its_window(page), name
    assert accessibility_faults(page) == [], name


def test_the_theme_that_is_chosen_stays(browser, server):
    page, _ = playground(browser, server, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch to the dark theme").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.goto(f"{server.url}/docs")
    assert page.evaluate(ground) == dark, "and on the other page"
    page.context.close()


# ---- What it must never do ----


def test_an_answer_runs_nothing_and_loads_nothing(browser, serve, tmp_path):
    (tmp_path / "hostile.yaml").write_text(HOSTILE)
    with serve("--prompts", str(tmp_path), "--instant") as server:
        page, seen = playground(browser, server)
        send(page, "Anything.")
        ended(page)
        page.locator(".markdown .code").hover()
        page.wait_for_timeout(500)  # for whatever would load
        shoot(page, "hostile")
        assert page.evaluate("window.owned") is None
        assert seen.dialogs == [] and seen.popups == [] and seen.errors == []
        assert seen.elsewhere(server.url) == []
        inside = page.locator(".markdown")
        assert inside.locator("script, img, svg, style, iframe, form, base, [style], [id], [onclick], [onerror]").count() == 0
        links = inside.locator("a[href]").evaluate_all("all => all.map((a) => [a.getAttribute('href'), a.rel, a.target])")
        assert links and all(re.match(r"https?://|mailto:", href) for href, _, _ in links), links
        assert all("noopener noreferrer" in rel and target == "_blank" for _, rel, target in links)
        page.reload()
        expect(page.locator(".markdown")).to_contain_text("over everything")
        assert page.evaluate("window.owned") is None and seen.elsewhere(server.url) == []
        page.context.close()


@pytest.mark.parametrize("answer", ["> " * 5000, "x" * 250_000, "_a" * 20_000], ids=["nested", "long", "slow"])
def test_an_answer_that_is_hard_to_read_is_shown_as_text(browser, serve, tmp_path, answer):
    (tmp_path / "hard.yaml").write_text(json.dumps({"reply": {"text": f"{answer} the end"}}))
    with serve("--prompts", str(tmp_path), "--instant") as server:
        page, seen = playground(browser, server)
        send(page, "Anything.")
        ended(page)
        expect(page.locator(".markdown")).to_contain_text("the end")
        assert seen.errors == []
        page.context.close()


def test_a_key_is_kept_only_if_asked_for_and_a_reload_does_without(browser, serve):
    config = '[auth]\nkeys = [{ name = "page", key = "sk-page" }]\n'
    with serve(config=config) as server:
        page, _ = playground(browser, server)
        expect(page.get_by_text("This server asks for a key.")).to_be_visible()
        page.get_by_label("API key").fill("sk-page")
        page.get_by_label("API key").press("Tab")
        expect(page.locator("#server")).to_have_text("live")
        send(page, "How does a token fall?")
        after_events(page, 5)
        kept = "JSON.stringify(localStorage)"
        assert "sk-page" not in page.evaluate(kept)
        page.reload()
        ended(page)
        assert messages(page)[-1]["end"] == "done", "the ticket opens it"
        page.get_by_label("API key").fill("sk-page")
        # As long as a finger takes: leaving the key's field has the server asked, and its answer must not move what is under the pointer.
        page.get_by_label("Remember it in this browser").click(delay=500)
        expect(page.get_by_label("Remember it in this browser")).to_be_checked()
        assert "sk-page" in page.evaluate(kept)
        page.get_by_label("Remember it in this browser").uncheck()
        assert "sk-page" not in page.evaluate(kept)
        page.context.close()


def test_the_code_that_is_shown_makes_the_same_request(page, server, tmp_path):
    page.locator("#speed").select_option("100.0")
    page.locator("#seed").fill("7")
    page.locator("#system").fill('Be "brief",\nplease: it\'s late.')
    send(page, "Say it in many languages.")
    ended(page)
    said = messages(page)[-1]["content"]
    for name, run in {"curl": run_shell, "Python": run_python, "Node": run_node}.items():
        page.get_by_role("tab", name=name).click()
        printed = run(page.locator("#code").text_content(), tmp_path)
        if name == "curl":
            chunks = [json.loads(line[6:]) for line in printed.splitlines() if line.startswith("data: {")]
            printed = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
        assert printed == said, name
    shoot(page, "code")


def run_shell(code: str, _) -> str:
    return run("bash", "-c", code.replace("curl -N", "curl -sN"))


def run_python(code: str, folder) -> str:
    (folder / "sample.py").write_text(code)
    return run(REPOSITORY / ".venvs/openai3/bin/python", folder / "sample.py", PYTHONIOENCODING="utf-8")


def run_node(code: str, folder) -> str:
    modules = REPOSITORY / "tests/clients/node_modules"
    (folder / "node_modules").mkdir(exist_ok=True)
    (folder / "node_modules/openai").symlink_to(modules / "openai-latest")
    (folder / "sample.mjs").write_text(code)
    return run("node", folder / "sample.mjs")
