"""What is measured: a function for each row, peers in turn in every round."""

import contextlib
import http.client
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from load import BULK, Generator, cpu
from processes import Peers, Running, at_pace, is_there

US = "µs CPU per chunk"
# How often everyone is measured in a round where the machine changes a load of seconds by more than the peers differ.
OFTEN = 3


@dataclass
class Row:
    """A figure, of each peer in each round. The first peer is Tokenfall."""

    title: str
    unit: str
    # At most so many times the figure of this peer, or at most so much.
    most: float | None = None
    of: str | None = None
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, peer: str, figure: float) -> None:
        self.figures.setdefault(peer, []).append(figure)


@dataclass
class Bench:
    """What rows need, and what they have found."""

    peers: Peers
    generator: Generator
    rounds: int
    is_quick: bool
    rows: list[Row] = field(default_factory=list)

    def row(self, *arguments, **named) -> Row:
        row = Row(*arguments, **named)
        self.rows.append(row)
        return row

    @contextlib.contextmanager
    def proxies(self, upstream: Running):
        """Everyone that stands in front of the upstream."""
        with (
            self.peers.tokenfall(upstream) as tokenfall,
            self.peers.nginx(upstream) as nginx,
            self.peers.relay(upstream) as relay,
        ):
            yield {"tokenfall": tokenfall, "nginx": nginx, "relay": relay}

    @contextlib.contextmanager
    def aimock(self, between_ms: int):
        """aimock, where it is installed."""
        if not is_there("llmock"):
            print("aimock is not installed", file=sys.stderr)
            yield {}
            return
        with self.peers.aimock(between_ms) as aimock:
            yield {"aimock": aimock}


def paced(bench: Bench) -> None:
    """500 streams of 50 chunks a second, 100 chunks each; 4,000 of 6 a second."""
    few = bench.row("Relay, 500 streams × 50/s, against nginx", US, most=1.2, of="nginx")
    same = bench.row("Relay, 500 streams × 50/s, against a bare relay", US, most=1.1, of="relay")
    many = bench.row("Relay, 4,000 streams × 6/s, against 500", US, most=1.5, of="tokenfall at 500")
    same.figures = few.figures
    chunks = 60 if bench.is_quick else 100
    with bench.peers.upstream() as upstream, bench.proxies(upstream) as proxies:
        for _ in range(OFTEN * bench.rounds):
            for name, proxy in proxies.items():
                load = ("--streams", 500, "--requests", 500, "--rate", 500)
                few.add(name, cpu(bench.generator.chat(proxy, 50, 100, *load)))
        for _ in range(bench.rounds):
            for name, proxy in proxies.items():
                load = ("--streams", 4000, "--requests", 4000, "--rate", 1000)
                many.add(name, cpu(bench.generator.chat(proxy, 6, chunks, *load)))
    many.figures["tokenfall at 500"] = few.figures["tokenfall"]


def gateway(bench: Bench) -> None:
    """LiteLLM, where it is installed. It cannot take the loads of the other rows: everyone has a smaller one here."""
    if not is_there("litellm"):
        print("LiteLLM is not installed", file=sys.stderr)
        return
    chunk = bench.row("Relay, 10 streams × 50/s", US)
    first = bench.row("To the first chunk, p50, 10 streams", "ms")
    memory = bench.row("Memory while 10 streams are open", "MiB")
    asked = ("--model", "rate-50", "--max-tokens", 100, "--streams", 10)
    with (
        bench.peers.upstream() as upstream,
        bench.proxies(upstream) as proxies,
        bench.peers.litellm(upstream) as litellm,
    ):
        # It tells the end of an answer in a chunk of its own.
        everyone = [(name, proxy, 100) for name, proxy in proxies.items()] + [("LiteLLM", litellm, 101)]
        for _, proxy, chunks in everyone:
            bench.generator.run(proxy, chunks, *asked, "--requests", 10)
        for _ in range(bench.rounds):
            for name, proxy, chunks in everyone:
                report = bench.generator.run(proxy, chunks, *asked, "--requests", 50)
                chunk.add(name, cpu(report))
                first.add(name, report["time_to_first_event_ms"]["p50"])
                memory.add(name, report["processes"][0]["memory_most_kib"] / 1024)


def full_speed(bench: Bench) -> None:
    """200 chunks as fast as they can be had, 32 streams at once."""
    single = bench.row("Relay at full speed, 32 at once × 200", US, most=1.5, of="nginx")
    bulk = bench.row("Relay at full speed, 16 KiB in each of the upstream's writes", US, most=1.5, of="nginx")
    requests = 1600 if bench.is_quick else 6400
    load = ("--streams", 32, "--requests", requests)
    with bench.peers.upstream() as upstream, bench.proxies(upstream) as proxies:
        for _ in range(bench.rounds):
            for name, proxy in proxies.items():
                single.add(name, cpu(bench.generator.chat(proxy, 0, 200, *load)))
                bulk.add(name, cpu(bench.generator.chat(proxy, BULK, 200, *load)))


def latency(bench: Bench) -> None:
    """What a proxy adds to the first chunk and to the way of each, with four streams."""
    of = {"most": 1.5, "of": "nginx"}
    p50 = bench.row("Added to the first chunk, p50, 4 streams", "ms", **of)
    p99 = bench.row("Added to the first chunk, p99, 4 streams", "ms", **of)
    transit = bench.row("Added to a chunk's way, p50, 4 streams", "ms", **of)
    # Short answers, and everyone twice in a round: what is added is less than what the machine changes by within a minute.
    requests = 400 if bench.is_quick else 2000
    load = ("--streams", 4, "--requests", requests)
    with bench.peers.upstream() as upstream, bench.proxies(upstream) as proxies:
        for proxy in proxies.values():
            bench.generator.chat(proxy, 100, 5, "--streams", 4, "--requests", 20)
        for _ in range(2 * bench.rounds):
            direct = bench.generator.chat(upstream, 100, 5, *load)
            for name, proxy in proxies.items():
                report = bench.generator.chat(proxy, 100, 5, *load)
                for row, time_of, part in [
                    (p50, "time_to_first_event_ms", "p50"),
                    (p99, "time_to_first_event_ms", "p99"),
                    (transit, "transit_ms", "p50"),
                ]:
                    row.add(name, report[time_of][part] - direct[time_of][part])


def memory(bench: Bench) -> None:
    """What 5,000 open streams take beyond an idle process that has answered before."""
    row = bench.row("Memory of 5,000 open streams, each", "KiB", most=36)
    for _ in range(bench.rounds):
        with bench.peers.upstream() as upstream, bench.proxies(upstream) as proxies:
            for name, proxy in proxies.items():
                bench.generator.chat(proxy, 0, 10, "--streams", 2, "--requests", 10)
                load = ("--streams", 5000, "--requests", 5000, "--rate", 1000)
                report = bench.generator.chat(proxy, 1, 10, *load)
                if report["streams"]["most_at_once"] < 5000:
                    raise SystemExit(f"only {report['streams']['most_at_once']} streams were open at once")
                process = report["processes"][0]
                row.add(name, (process["memory_most_kib"] - process["memory_before_kib"]) / 5000)


def mock(bench: Bench) -> None:
    """The mock's own answers, against a program that only writes them."""
    fast = bench.row("Mock at full speed, 32 at once × 200", US, most=0.8)
    slow = bench.row("Mock, 500 streams × 50/s", US, most=1.5, of="bare writer")
    requests = 1600 if bench.is_quick else 6400
    load = ("--streams", 32, "--requests", requests)
    with bench.peers.mock("--instant") as server, bench.peers.upstream() as writer, bench.aimock(0) as others:
        ask = ("--prompt", "200 chunks")
        for mock in (server, *others.values()):
            bench.generator.run(mock, 200, *ask, "--requests", 10)
        for _ in range(bench.rounds):
            for name, mock in {"tokenfall": server, **others}.items():
                fast.add(name, cpu(bench.generator.run(mock, 200, *ask, *load)))
            fast.add("bare writer", cpu(bench.generator.chat(writer, BULK, 200, *load)))
    load = ("--streams", 500, "--requests", 500, "--rate", 500)
    config = at_pace(bench.peers.directory, 50)
    with bench.peers.mock("--config", config) as server, bench.peers.upstream() as writer, bench.aimock(20) as others:
        ask = ("--prompt", "100 chunks")
        for mock in (server, *others.values()):
            bench.generator.run(mock, 100, *ask, "--requests", 2)
        for _ in range(OFTEN * bench.rounds):
            for name, mock in {"tokenfall": server, **others}.items():
                slow.add(name, cpu(bench.generator.run(mock, 100, *ask, *load)))
            slow.add("bare writer", cpu(bench.generator.chat(writer, 50, 100, *load)))


def fan_out(bench: Bench) -> None:
    """One stream of 50 events a second and 1,000 who read it."""
    row = bench.row("One log, 50 events/s, 1,000 readers", US, most=1.5, of="bare writer")
    chunks = 500 if bench.is_quick else 1500
    load = ("--streams", 1000, "--requests", 1000, "--rate", 1000)
    with bench.peers.upstream() as upstream, bench.peers.tokenfall(upstream) as server, bench.peers.fan_out() as writer:
        for _ in range(bench.rounds):
            completion = begin(server, 50, chunks, background=True)
            path = f"/v1/chat/completions/{completion}?stream=true&starting_after=0"
            row.add("tokenfall", cpu(bench.generator.run(server, chunks, "--get", path, *load)))
            path = f"/{chunks}/50"
            row.add("bare writer", cpu(bench.generator.run(writer, chunks, "--get", path, *load)))


def resume(bench: Bench) -> None:
    """A client that comes back to a log of 10,000 events: the time to its first byte."""
    with bench.peers.upstream() as upstream, bench.peers.tokenfall(upstream) as server:
        completion = begin(server, 0, 10_000)
        for after in (0, 5_000, 9_900):
            row = bench.row(f"Resume after event {after:,} of 10,000, p50", "ms to the first event")
            path = f"/v1/chat/completions/{completion}?stream=true&starting_after={after}"
            for _ in range(bench.rounds):
                load = ("--get", path, "--streams", 1, "--requests", 50)
                report = bench.generator.run(server, 10_000 - after, *load)
                row.add("tokenfall", report["time_to_first_event_ms"]["p50"])


def redis(bench: Bench) -> None:
    """The paced row with the logs in Redis, too."""
    row = bench.row("Relay with Redis, 500 streams × 50/s", US, most=1.5, of="memory")
    load = ("--streams", 500, "--requests", 500, "--rate", 500)
    with bench.peers.upstream() as upstream, bench.peers.redis() as store:
        settings = {
            "store__kind": "redis",
            "store__url": f"redis://127.0.0.1:{store.port}",
            "auth__ticket_secret": "0123456789abcdef0123456789abcdef",
        }
        with bench.peers.tokenfall(upstream, **settings) as shared, bench.peers.tokenfall(upstream) as alone:
            asked = ("--model", "rate-50", "--max-tokens", 100)
            shared.wait_until_ready()
            for _ in range(bench.rounds):
                report = bench.generator.run(shared, 100, *asked, *load, watch=(store,))
                row.add("tokenfall", cpu(report))
                row.add("memory", cpu(bench.generator.run(alone, 100, *asked, *load)))
                row.add("redis-server", report["processes"][1]["cpu_us_per_chunk"])


def footprint(bench: Bench) -> None:
    """What it takes to have it there at all."""
    size = bench.row("Stripped binary", "MiB", most=25)
    size.add("tokenfall", bench.peers.server.stat().st_size / 2**20)
    idle = bench.row("Idle memory, as the mock", "MiB", most=10)
    idle_proxy = bench.row("Idle memory, as a proxy", "MiB", most=10)
    tokenizer = bench.row("Memory with the tokenizer", "MiB", most=64)
    start = bench.row("Start to the first streamed answer's end, as a proxy", "ms", most=50)
    for _ in range(max(bench.rounds, 5)):
        with bench.peers.mock("--instant") as server:
            time.sleep(0.5)
            idle.add("tokenfall", server.memory_kib() / 1024)
            bench.generator.run(server, 200, "--prompt", "200 chunks", "--requests", 4)
            tokenizer.add("tokenfall", server.memory_kib() / 1024)
        with bench.peers.upstream() as upstream:
            begun = time.monotonic()
            with bench.peers.tokenfall(upstream) as server:
                begin(server, 0, 1)
                start.add("tokenfall", (time.monotonic() - begun) * 1000)
            with bench.peers.tokenfall(upstream) as server:
                time.sleep(0.5)
                idle_proxy.add("tokenfall", server.memory_kib() / 1024)


def begin(server: Running, rate: int, chunks: int, background: bool = False) -> str:
    """The id of a completion that was asked for; in the background, or read to its end."""
    body = {
        "model": f"rate-{rate}",
        "max_tokens": chunks,
        "stream": True,
        "messages": [{"role": "user", "content": "Say something."}],
        **({"background": True} if background else {}),
    }
    text = json.dumps(body, separators=(",", ":"))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/chat/completions", text, {"content-type": "application/json"})
        reply = connection.getresponse()
        told = reply.read()
        if reply.status not in (200, 202):
            raise SystemExit(f"status {reply.status}: {told.decode(errors='replace')[:300]}")
        if not background and told.count(b"data: ") != chunks + 1:
            raise SystemExit(f"{told.count(b'data: ')} events, not {chunks} and [DONE]")
        return json.loads(told)["id"] if background else reply.getheader("x-completion-id")


ROWS: dict[str, Callable[[Bench], None]] = {
    row.__name__.replace("_", "-"): row
    for row in (paced, full_speed, gateway, latency, memory, mock, fan_out, resume, redis, footprint)
}
