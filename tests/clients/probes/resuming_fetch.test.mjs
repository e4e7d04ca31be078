// The Node fetch by itself: every cut at every byte, aborts, and when it lets be. Run by test_resuming_fetch.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { resumingFetch } from "../../../clients/node/resume.mjs";

const URL_ = "http://server/v1/chat/completions";
const WORDS = ["", "one", " データ: [DONE]\n\n", " 🌊", ""];
const PLAIN = [...WORDS.map((content) => `data: ${JSON.stringify({ content })}\n\n`), "data: [DONE]\n\n"];
const STREAMS = {
  plain: PLAIN,
  crlf: PLAIN.map((event) => event.replaceAll("\n", "\r\n")),
  beating: PLAIN.map((event) => `:\n:\n${event}`),
  "beating in blocks": PLAIN.map((event) => `:\n\n:\n\n${event}`),
  "with ids": PLAIN.map((event, seq) => `retry: 50\nid: 1-${seq}\n\nid: 1-${seq + 1}\n${event}`),
};
const BROKEN = new TypeError("terminated");
const DELAYS = [0, 0, 0];

for (const [name, events] of Object.entries(STREAMS)) {
  test(`${name}: a cut at any byte is not seen`, async () => {
    const body = Buffer.from(events.join(""));
    for (let at = 0; at < body.length; at++) {
      const [size, error] = [[1, 7, 4096][at % 3], at % 2 ? BROKEN : undefined];
      // Again within what is left, be it `[DONE]` alone.
      const server = fakeServer(events, size, [[at, error], [(at * 5) % PLAIN.at(-1).length, error]]);
      const read = await (await server.post()).text();
      assert.deepEqual(dataOf(read), dataOf(body.toString()), `at ${at}`);
      if (!["beating in blocks", "with ids"].includes(name)) assert.equal(read, body.toString(), `at ${at}`);
      assert.deepEqual(server.asked.map(([, { method }]) => method), ["post", "GET", "GET"], `at ${at}`);
    }
  });
}

test("a cut after the end is not seen and not mended", async () => {
  const server = fakeServer(PLAIN, 4096, [[4096, BROKEN]]);
  assert.equal(await (await server.post()).text(), PLAIN.join(""));
  assert.equal(server.asked.length, 1);
});

for (const status of [400, 401, 403, 404, 410, 204]) {
  test(`a ${status} brings back the first error and all bytes`, async () => {
    const server = fakeServer(PLAIN, 4096, [[40, BROKEN]], [status]);
    const response = await server.post();
    let read = "";
    await assert.rejects(async () => {
      for await (const piece of response.body) read += Buffer.from(piece).toString();
    }, BROKEN);
    assert.equal(read, PLAIN.join("").slice(0, 40));
    assert.equal(server.asked.length, 2);
  });
}

test("it gives up after a while", async () => {
  const server = fakeServer(PLAIN, 4096, [[40, BROKEN]], [503, 429, 500, 502, 504, 408, 503]);
  await assert.rejects((await server.post()).text(), BROKEN);
  assert.equal(server.asked.length, 1 + DELAYS.length);
});

test("a new event gives new patience", async () => {
  const cuts = PLAIN.slice(0, -1).map((event) => [Buffer.byteLength(event), BROKEN]);
  // Each follow-up but the last in a row fails; then it brings one event, and breaks.
  const followUps = cuts.flatMap(() => [503, 503, 200]);
  const server = fakeServer(PLAIN, 4096, cuts, [...followUps]);
  assert.equal(await (await server.post()).text(), PLAIN.join(""));
  assert.equal(server.asked.length, 1 + followUps.length);
});

test("a follow-up keeps what the request was made with", async () => {
  const server = fakeServer(PLAIN, 4096, [[100, BROKEN]]);
  const headers = { authorization: "Bearer sk", cookie: "a=b", accept: "text/event-stream", "content-type": "application/json" };
  await (await server.post(`${URL_}?api-version=1`, { headers, keepalive: true })).text();
  const [url, init] = server.asked[1];
  assert.equal(url, `${URL_}/chatcmpl-1?api-version=1&stream=true&starting_after=3`);
  assert.deepEqual([...init.headers], [["authorization", "Bearer sk"], ["cookie", "a=b"]]);
  assert.deepEqual([init.keepalive, init.body], [true, undefined]);
});

test("the ticket stands in for a key that is not there", async () => {
  const server = fakeServer(PLAIN, 4096, [[100, BROKEN]]);
  await (await server.post()).text();
  assert.equal(new URL(server.asked[1][0]).searchParams.get("ticket"), "t.1");
});

for (const [what, url, head] of [
  ["without an id", URL_, { "x-completion-id": "" }],
  ["that is no stream", URL_, { "content-type": "application/json" }],
  ["from elsewhere", URL_.replace("chat/completions", "responses"), {}],
]) {
  test(`a response ${what} is let be`, async () => {
    const server = fakeServer(PLAIN, 4096, [[40, BROKEN]], [], head);
    const response = await server.post(url);
    assert.equal(response, server.given[0]);
    await assert.rejects(response.text(), BROKEN);
    assert.equal(server.asked.length, 1);
  });
}

test("the response has the first one's head", async () => {
  const response = await fakeServer(PLAIN, 4096, []).post();
  assert.deepEqual([response.status, response.headers.get("x-completion-id")], [200, "chatcmpl-1"]);
});

test("an abort while it reads is the reader's error, and no reason to ask again", async () => {
  const server = fakeServer(PLAIN, 4096, [[40, "never"]]);
  const controller = new AbortController();
  const response = await server.post(URL_, { signal: controller.signal });
  const reader = response.body.getReader();
  await reader.read();
  controller.abort();
  await assert.rejects(async () => {
    for (;;) await reader.read();
  }, { name: "AbortError" });
  assert.equal(server.asked.length, 1);
});

test("an abort while it waits ends the wait", { timeout: 10_000 }, async () => {
  const controller = new AbortController();
  const server = fakeServer(PLAIN, 4096, [[40, BROKEN]], [503]);
  const response = await server.post(URL_, { signal: controller.signal }, [0, 3_600_000]);
  const read = assert.rejects(response.text(), BROKEN);
  while (server.answered < 2) await new Promise(setImmediate);
  // One more turn: it has the answer then, and waits.
  await new Promise(setImmediate);
  controller.abort();
  await read;
  assert.equal(server.asked.length, 2);
});

test("who cancels the body cancels what is being read, and waits for nothing", async () => {
  const server = fakeServer(PLAIN, 4096, [[100, BROKEN], [10, "never"]]);
  const reader = (await server.post()).body.getReader();
  while (server.given.length < 2) await reader.read();
  await reader.cancel("enough");
  assert.equal(server.cancelled, "enough");
  assert.equal(server.asked[1][1].signal.aborted, true);
});

// Answers the POST, and with the statuses `followUps` the GETs. A cut is [at, error]; after "never" nothing comes.
function fakeServer(events, size, cuts, followUps = [], head = {}) {
  const server = { asked: [], answered: 0, given: [], cancelled: undefined };
  // The SDK's 4.x writes the method small.
  server.post = (url = URL_, init = {}, delays = DELAYS) =>
    resumingFetch(fetch, delays)(url, { method: "post", body: "{}", ...init });
  return server;

  async function fetch(url, init) {
    server.asked.push([url, init]);
    // As with a real fetch, the answer takes a turn of the loop.
    await new Promise(setImmediate);
    init.signal?.throwIfAborted();
    server.answered++;
    const status = init.method === "GET" && followUps.length ? followUps.shift() : 200;
    if (status !== 200) return new Response(null, { status });
    const seen = new URL(url).searchParams.get("starting_after") ?? 0;
    const content = Buffer.from(events.slice(seen).join(""));
    const [at, error] = cuts.shift() ?? [content.length];
    const names = { "content-type": "text/event-stream", "x-completion-id": "chatcmpl-1", "x-stream-ticket": "t.1", ...head };
    const headers = Object.entries(names).filter(([, value]) => value);
    server.given.push(new Response(body(content.subarray(0, at), error, init.signal), { status, headers }));
    return server.given.at(-1);
  }

  function body(content, error, signal) {
    let sent = 0;
    return new ReadableStream({
      start(controller) {
        signal?.addEventListener("abort", () => controller.error(signal.reason));
      },
      pull(controller) {
        if (sent < content.length) return controller.enqueue(content.subarray(sent, (sent += size)));
        if (error === "never") return new Promise(() => {});
        return error ? controller.error(error) : controller.close();
      },
      cancel(reason) {
        server.cancelled = reason;
      },
    });
  }
}

// The data of each event, whatever else there is.
function dataOf(body) {
  const lines = body.replaceAll("\r\n", "\n").split("\n");
  return lines.filter((line) => line.startsWith("data"));
}
