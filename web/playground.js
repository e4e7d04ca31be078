// The playground: a conversation, the wire beside it, and what is kept of both over a reload. Start at `main`.

import { addChunk, emptyAnswer, isStopped, toMessages } from "./answer.js";
import { Chat, showExamples } from "./chat.js";
import { Completion, randomKey } from "./completion.js";
import { eachFrame } from "./elements.js";
import { conversationOf, loadScenarios, showScenarios } from "./mock.js";
import { samples } from "./samples.js";
import { Setup } from "./setup.js";
import { bounded, load, save } from "./store.js";
import { codeTabs } from "./tabs.js";
import { Wire } from "./wire.js";

const BASE = new URL("v1", location.href).href;
const SAVE_EVERY = 400;
const EXAMPLES = [
  { title: "Explain", text: "Explain server-sent events to a curious ten-year-old." },
  { title: "Write code", text: "Write a Python function that reads a CSV file, with a test." },
  { title: "Compare", text: "Compare REST, WebSockets and SSE in a table." },
  { title: "Tell a story", text: "Tell me a short story about a river of tokens." },
];
/** Scenarios that show the most in the first minute. */
const FIRST_SEEN = ["cut", "reasoning", "code-block", "tool-call"];

const PHONE = matchMedia("(max-width: 52rem)");
const byId = (id) => document.getElementById(id);
const now = () => performance.timeOrigin + performance.now();

let messages = [];
/** The answer that is being read: `{ completion, answer, sentAt }`; null if none is. */
let running = null;
let savedAt = 0;

const setup = new Setup(() => drawCode());
const wire = new Wire();
const chat = new Chat({ send, stop, edit, retry, results: (index) => answerTo(messages.slice(0, index + 1)) });
const drawCode = codeTabs(() => samples(BASE, { ...setup.request(lastAsked()), hasKey: setup.key.value !== "" }));
const grow = eachFrame(() => running && chat.grow(running.answer));

main();

function main() {
  const kept = load("conversation", {});
  messages = kept.messages ?? [];
  chat.show(messages);
  chat.toEnd();
  if (kept.running && messages.at(-1)?.end === null) resume(kept.running);
  showExamples(EXAMPLES, ({ text }) => send(text));
  byId("new-chat").addEventListener("click", restart);
  setup.key.addEventListener("change", askServer);
  for (const tab of document.querySelectorAll(".views button")) tab.addEventListener("click", () => view(tab.dataset.view));
  PHONE.addEventListener("change", () => view(document.body.dataset.view));
  view("chat");
  addEventListener("keydown", shortcut);
  addEventListener("pagehide", keep);
  askServer();
  drawCode();
}

/** What is served here: the models, and whether it is the mock. */
async function askServer() {
  try {
    const reply = await fetch("v1/models", { headers: setup.credentials });
    byId("key-wanted").hidden = reply.status !== 401;
    if (!reply.ok) return server(reply.status === 401 ? "asks for a key" : `status ${reply.status}`, "bad");
    setup.setModels((await reply.json()).data.map(({ id }) => id));
    const scenarios = await loadScenarios(setup.credentials);
    if (scenarios) showMock(scenarios);
    server(scenarios ? "mock" : "live", "good");
  } catch {
    server("not reachable", "bad");
  }
  drawCode();
}

function server(words, kind) {
  byId("server").textContent = words;
  byId("server").className = `server ${kind}`;
}

function showMock(scenarios) {
  setup.showMock();
  showScenarios(scenarios, tryScenario);
  const first = FIRST_SEEN.map((name) => scenarios.find((scenario) => scenario.name === name)).filter(Boolean);
  if (first.length === FIRST_SEEN.length) showExamples(first, tryScenario);
}

// ---- The conversation ----

function send(text) {
  answerTo([...messages, { role: "user", content: text }]);
}

function edit(index, text) {
  answerTo([...messages.slice(0, index), { role: "user", content: text }]);
}

function retry(index) {
  answerTo(messages.slice(0, index));
}

function tryScenario({ example, text }) {
  if (!example) return send(text);
  leave();
  setup.take(example);
  view("chat");
  answerTo(conversationOf(example));
}

function restart() {
  leave();
  messages = [];
  chat.show(messages);
  chat.say("");
  wire.clear();
  keep();
  drawCode();
  byId("prompt").focus();
}

/** Asks for the answer to these messages, which are the conversation from now on. */
function answerTo(conversation) {
  leave();
  const { body, headers, error } = setup.request(asked(conversation));
  const answer = emptyAnswer();
  messages = bounded([...conversation, answer]);
  if (error) Object.assign(answer, { end: "refused", error: { message: error, code: "invalid" } });
  chat.show(messages);
  chat.toEnd();
  drawCode();
  if (error) return keep();
  const request = { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
  read({ request, place: { idempotencyKey: randomKey() }, sentAt: now() }, answer);
}

/** Reads on where the page was when it was left. */
function resume(kept) {
  const answer = messages.at(-1);
  answer.resumes += 1;
  read(kept, answer);
}

async function read({ request, place, sentAt }, answer) {
  const asking = request && { ...request, headers: { ...request.headers, ...setup.credentials } };
  const completion = new Completion(asking, place);
  const mine = { completion, answer, sentAt, request };
  running = mine;
  chat.setRunning(true);
  chat.say("Waiting for the first token …");
  wire.begin(completion, sentAt, answer);
  keep();
  for await (const step of completion.read()) {
    // Somebody has gone on to something else.
    if (running !== mine) return;
    apply(step, mine);
  }
}

function apply(step, { completion, answer, sentAt }) {
  const at = now();
  wire.add(step, at);
  if (step.kind === "event" && step.chunk) addChunk(answer, step.chunk, at - sentAt);
  if (step.kind === "event") chat.say("Answering …");
  if (step.kind === "broken") answer.resumes += 1;
  if (step.kind === "broken") chat.say("The connection broke; the answer goes on in a moment.");
  if (completion.isOver) return ended(step, answer, at - sentAt);
  grow();
  if (at - savedAt > SAVE_EVERY) keep();
}

function ended(step, answer, took) {
  answer.end = step.kind;
  answer.took = took;
  if (step.kind === "refused") answer.error = refusalOf(step);
  if (step.kind === "lost") answer.error = { code: "connection lost", message: step.why };
  chat.grow(answer);
  running = null;
  chat.setRunning(false);
  chat.say(isStopped(answer) ? "Stopped." : answer.error ? "The answer failed." : "The answer is complete.");
  keep();
  drawCode();
}

function refusalOf({ status, error, retryAfter }) {
  const code = error.code ? `${status} ${error.code}` : String(status);
  return { code, message: retryAfter ? `${error.message} (retry after ${retryAfter} s)` : error.message };
}

/** Stops the answer, also at the upstream; what has come stays. */
function stop() {
  if (running) wire.cancel();
}

/** Stops and reads no further. */
function leave() {
  if (!running) return;
  const { completion, answer } = running;
  running = null;
  answer.end = "stopped";
  completion.cancel().catch(() => {}); // nobody is left to tell
  completion.leave();
  chat.setRunning(false);
  chat.grow(answer);
}

/** The messages of the next request. */
function asked(conversation) {
  const isSaid = ({ role, content, toolCalls }) => role === "user" || content || toolCalls.length > 0;
  return conversation.filter(isSaid).flatMap((message) => (message.role === "user" ? [message] : toMessages(message)));
}

/** The messages of the latest request. */
function lastAsked() {
  return messages.length > 0 ? asked(messages.slice(0, -1)) : [{ role: "user", content: "Hello!" }];
}

/** Keeps the conversation, and what finds the running answer again. Its text and its cursor are of one moment. */
function keep() {
  savedAt = now();
  const { request, completion, sentAt } = running ?? {};
  // Once the server has named the completion, its name is all it takes.
  const place = running && { request: completion.place.id ? null : request, place: completion.place, sentAt };
  const isKept = save("conversation", messages.length > 0 ? { messages: bounded(messages), running: place } : null);
  byId("not-kept").hidden = isKept;
}

// ---- The page ----

/** On narrow screens one part is seen at a time. */
function view(name) {
  document.body.dataset.view = name;
  // With room for two parts the chat is always there, and the wire beside it unless the setup is.
  const seen = name === "chat" && !PHONE.matches ? "wire" : name;
  for (const tab of document.querySelectorAll(".views button")) tab.setAttribute("aria-pressed", String(tab.dataset.view === seen));
}

function shortcut(press) {
  const isTyping = press.target.matches?.("input, textarea, select");
  if (press.key === "Escape" && running) stop();
  else if (press.key === "/" && !isTyping) chat.field.focus();
  else return;
  press.preventDefault();
}
