// The pages' modules that need no page, by themselves. Run by test_web_modules.py.

import assert from "node:assert/strict";
import { test } from "node:test";

import { addChunk, emptyAnswer, endWords, toMessages } from "../../../web/answer.js";
import { Completion } from "../../../web/completion.js";
import { samples } from "../../../web/samples.js";
import { readEvents } from "../../../web/sse.js";
import { bounded } from "../../../web/store.js";

const encoder = new TextEncoder();

/** A body of these pieces of bytes; `error` breaks it after them. */
function bodyOf(pieces, error) {
  const left = [...pieces];
  const pull = (controller) => {
    if (left.length > 0) controller.enqueue(left.shift());
    else if (error) controller.error(error);
    else controller.close();
  };
  return new ReadableStream({ pull }, { highWaterMark: 0 });
}

async function all(events) {
  const found = [];
  for await (const event of events) found.push(event);
  return found;
}

const event = (data, id = "", type = "") => ({ data, type, id });

test("events are the same wherever the bytes are split", async () => {
  const text =
    "\uFEFFretry: 2000\nid: 1-0\n\n:\n: beat\r\ndata: a 🌊\r\n\r\nid: 1-1\rdata:b\rdata\r\revent: usage\nid: x\0y\ndata:  c\nunknown: d\n\n" +
    "id: 1-2\n\nretry: soon\ndata: left over";
  const expected = [
    { retry: 2000 }, { comment: "" }, { comment: " beat" }, event("a 🌊"), event("b\n", "1-1"), event(" c", "", "usage"),
  ];
  const bytes = encoder.encode(text);
  for (let at = 0; at <= bytes.length; at++) {
    assert.deepEqual(await all(readEvents(bodyOf([bytes.slice(0, at), bytes.slice(at)]))), expected, `at ${at}`);
  }
  assert.deepEqual(await all(readEvents(bodyOf(Array.from(bytes, (_, at) => bytes.slice(at, at + 1))))), expected);
});

test("an event without an end is refused, not kept", async () => {
  const piece = encoder.encode("x".repeat(1024 * 1024));
  const endless = bodyOf([encoder.encode("data: "), piece, piece, piece, piece, piece]);
  await assert.rejects(all(readEvents(endless)), /too large/);
});

// ---- One completion ----

const WORDS = ["A ", "token ", "falls ", "🌊."];
const LOG = [...WORDS.map((content) => JSON.stringify({ choices: [{ delta: { content } }] })), "[DONE]"]
  .map((data, index) => `id: 1-${index + 1}\ndata: ${data}\n\n`);
const HEAD = { "content-type": "text/event-stream", "x-completion-id": "chatcmpl-1", "x-stream-ticket": "t" };

/** A server of that log whose answers end where `cuts` say, in bytes; it notes the cursors it was asked for. */
function serve(cuts, broken = (bytes) => bytes) {
  const asked = [];
  globalThis.fetch = async (url, { headers = {} }) => {
    const cursor = headers["last-event-id"];
    asked.push({ url, cursor });
    const bytes = broken(encoder.encode(LOG.slice(cursor ? Number(cursor.slice(2)) : 0).join("")), asked.length);
    const cut = cuts.shift();
    if (cut === "refuse") throw new TypeError("fetch failed");
    const body = cut === undefined ? bodyOf([bytes]) : bodyOf([bytes.slice(0, cut)], cut % 2 ? new TypeError("terminated") : undefined);
    return new Response(body, { headers: HEAD });
  };
  return asked;
}

/** Reads without waiting between attempts. */
async function read(completion) {
  const steps = [];
  for await (const step of completion.read()) {
    steps.push(step);
    if (step.kind === "broken") setImmediate(() => completion.resumeNow());
  }
  return steps;
}

const textOf = (steps) => steps.map(({ chunk }) => chunk?.choices[0].delta.content ?? "").join("");
const started = () => new Completion({ body: "{}", headers: {} }, { idempotencyKey: "k" });

test("a cut at any byte is read past, and no event comes twice", async () => {
  const size = encoder.encode(LOG.join("")).length;
  for (let at = 0; at < size; at++) {
    const asked = serve([at]);
    const steps = await read(started());
    assert.equal(textOf(steps), WORDS.join(""), `at ${at}`);
    assert.equal(steps.at(-1).kind, "done");
    assert.ok(asked[1].url.startsWith("v1/chat/completions/chatcmpl-1/stream?ticket=t"), asked[1].url);
  }
});

test("what cannot be read, or comes out of order, is asked for again", async () => {
  const spoilt = {
    malformed: (text) => text.replace("falls \"}}]}", "falls \"}}]"),
    reordered: () => [LOG[0], LOG[2], LOG[1], ...LOG.slice(3)].join(""),
    duplicate: () => [LOG[0], LOG[0], ...LOG.slice(1)].join(""),
    "without the sentinel": (text) => text.replace(LOG.at(-1), ""),
  };
  for (const [name, spoil] of Object.entries(spoilt)) {
    serve([], (bytes, time) => (time > 1 ? bytes : encoder.encode(spoil(new TextDecoder().decode(bytes)))));
    assert.equal(textOf(await read(started())), WORDS.join(""), name);
  }
});

test("a server that stays away is given up", async () => {
  const asked = serve(Array(20).fill("refuse"));
  const steps = await read(started());
  assert.equal(steps.at(-1).kind, "lost");
  assert.equal(asked.length, 7);
});

test("a refusal ends it with the server's own words", async () => {
  globalThis.fetch = async () =>
    new Response('{"error":{"message":"Slow down.","code":"rate_limit_exceeded"}}', { status: 429, headers: { "retry-after": "2" } });
  const last = (await read(started())).at(-1);
  assert.deepEqual(last, { kind: "refused", status: 429, error: { message: "Slow down.", code: "rate_limit_exceeded" }, retryAfter: "2" });
});

// ---- An answer, what is kept, code ----

test("chunks add up to an answer", () => {
  const answer = emptyAnswer();
  const delta = (value, finish_reason = null) => ({ model: "m", choices: [{ delta: value, finish_reason }] });
  const chunks = [
    delta({ role: "assistant", content: "" }), delta({ reasoning: "Hm" }), delta({ reasoning_content: "m." }), delta({ content: "Yes" }),
    delta({ tool_calls: [{ index: 1, id: "b", function: { name: "two", arguments: "{" } }] }),
    delta({ tool_calls: [{ index: 1, function: { arguments: "}" } }, { index: 0, id: "a", function: { name: "one", arguments: "" } }] }),
    delta({}, "tool_calls"), { choices: [], usage: { completion_tokens: 5 } },
  ];
  chunks.forEach((chunk, index) => addChunk(answer, chunk, index * 10));
  assert.equal(answer.reasoning, "Hmm.");
  assert.deepEqual([answer.firstAfter, answer.reasoningFor, answer.usage.completion_tokens], [10, 20, 5]);
  answer.toolCalls[1].result = "2";
  const [said, result] = toMessages(answer);
  assert.deepEqual(said.tool_calls.map(({ id, function: { name, arguments: values } }) => [id, name, values]), [["a", "one", ""], ["b", "two", "{}"]]);
  assert.deepEqual(result, { role: "tool", tool_call_id: "b", content: "2" });
  addChunk(answer, { choices: [{ delta: { tool_calls: [{ index: 1e9, function: {} }] } }] }, 90);
  assert.equal(answer.toolCalls.length, 128, "an index is no reason to run out of memory");
});

test("an end is told as it was", () => {
  const words = (facts) => endWords({ ...emptyAnswer(), ...facts });
  assert.equal(words({ end: "done", finish: "stop" }), null);
  assert.match(words({ end: "done", finish: null }), /without a finish reason/);
  assert.equal(words({ end: "done", error: { code: "cancelled", message: "…" } }), "Stopped.");
  assert.equal(words({ end: "done", error: { code: "upstream_lost", message: "Gone." } }), "upstream_lost: Gone.");
});

test("a long conversation loses its beginning, and begins with a question", () => {
  const turns = Array.from({ length: 300 }, (_, index) => ({ role: index % 2 ? "assistant" : "user", content: String(index) }));
  assert.deepEqual([bounded(turns).length, bounded(turns)[0].role, bounded(turns).at(-1)], [200, "user", turns.at(-1)]);
  const large = turns.slice(0, 10).map((turn) => ({ ...turn, content: "x".repeat(500_000) }));
  assert.deepEqual(bounded(large).map(({ role }) => role), ["user", "assistant"]);
  const huge = turns.slice(0, 4).map((turn) => ({ ...turn, content: "x".repeat(3_000_000) }));
  assert.equal(bounded(huge).length, 2, "what is being asked stays, whatever its size");
});

test("code has no place where a text could end it", () => {
  const text = `'"\\\n$(touch x)\`\${x}`;
  const body = { model: "m", messages: [{ role: "user", content: text }], stream: true, own: [null, true, {}] };
  const { curl, python, node } = samples("http://h/v1", { body, headers: { "x-mock-speed": "2" }, hasKey: true });
  const sent = /-d '([^]*)'$/.exec(curl)[1].replaceAll("'\\''", "'");
  assert.deepEqual(JSON.parse(sent), body);
  assert.match(python, /extra_body=\{\s+"own": \[\s+None,\s+True,\s+\{\},/);
  assert.ok(python.includes(JSON.stringify(text)) && node.includes(JSON.stringify(text)));
});
