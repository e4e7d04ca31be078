// Beside the chat: every event as it arrives, what happens to the connection, and the request as code.

import { copyText, el, parsed } from "./elements.js";
import { RowList } from "./events.js";
import { Plot, millis } from "./plot.js";
import { SecondReader } from "./reader.js";

const MAX_ROWS = 2000;
const MAX_SUMMARY_CHARS = 300;

const byId = (id) => document.getElementById(id);

export class Wire {
  constructor() {
    this.list = new RowList(byId("events"), { limit: MAX_ROWS, fill: cells, chosen: (row) => this.#detail(row) });
    this.plot = new Plot(byId("plot"), {
      first: byId("figure-first"), rate: byId("figure-rate"), median: byId("figure-median"), tail: byId("figure-tail"),
    });
    byId("cut").addEventListener("click", () => this.#cutOrResume());
    byId("second").addEventListener("click", () => this.#readTwice());
    byId("cancel").addEventListener("click", () => this.cancel());
    byId("copy-event").addEventListener("click", (click) => copyText(byId("event-raw").textContent, click.target, byId("event-raw")));
    this.completion = null;
    this.#buttons();
  }

  /** A completion is about to be read; `sentAt` is when it was asked for, `answer` what has come of it before. */
  begin(completion, sentAt, answer) {
    this.clear();
    this.plot.begin(answer);
    Object.assign(this, { completion, sentAt, last: sentAt, cursors: new Map(), isBroken: Boolean(completion.place.id) });
    this.#buttons();
  }

  clear() {
    this.reader?.close();
    Object.assign(this, { completion: null, reader: null, isBroken: false, events: 0 });
    this.list.clear();
    this.plot.begin();
    byId("events-empty").hidden = false;
    this.#say("");
    this.#buttons();
  }

  /** One thing that happened, at `now`. */
  add(step, now) {
    const after = now - this.sentAt;
    const row = { after, gap: now - this.last, ...describe(step) };
    byId("events-empty").hidden = true;
    this.list.add(row);
    if (step.kind === "event") this.#event(step, row, after);
    if (step.kind === "broken") this.plot.mark(after, "cut");
    if (step.kind === "opened" && this.isBroken) this.plot.mark(after, "back");
    if (step.kind === "broken") this.isBroken = true;
    if (step.kind === "opened") this.isBroken = false;
    this.last = now;
    this.#state(step);
    this.#buttons();
  }

  /** Stops the generation. */
  async cancel() {
    try {
      await this.completion?.cancel();
    } catch (error) {
      this.#say(`It could not be cancelled. ${error.message}`);
    }
  }

  #event({ id, data, chunk }, row, after) {
    this.events += 1;
    if (id) this.cursors.set(id, data);
    if (this.cursors.size > MAX_ROWS) this.cursors.delete(this.cursors.keys().next().value);
    if (["content", "reasoning", "call"].includes(row.kind)) this.plot.add(after);
    if (chunk?.usage) this.plot.count(chunk.usage);
  }

  #state({ kind, delay, why, status }) {
    const count = `${this.events} event${this.events === 1 ? "" : "s"}`;
    if (kind === "broken") this.#say(`${why} Coming back in ${millis(delay)}.`);
    else if (kind === "asked") this.#say("Waiting for the server …");
    else if (this.completion.isOver) this.#say(kind === "refused" ? `Refused with status ${status}.` : `${kind === "done" ? "Complete" : "Over"}, ${count}.`);
    else this.#say(`Live, ${count}.`);
  }

  #say(words) {
    byId("wire-status").textContent = words;
  }

  #buttons() {
    const isLive = Boolean(this.completion && !this.completion.isOver);
    const isKnown = Boolean(this.completion?.place.id);
    // What has the focus keeps it: a button that is off cannot.
    for (const [id, isOff] of [["cut", !isLive], ["second", !isKnown], ["cancel", !isLive]]) {
      byId(id).setAttribute("aria-disabled", String(isOff));
    }
    byId("cut").textContent = isLive && this.isBroken ? "Resume now" : "Cut";
  }

  #cutOrResume() {
    if (!this.completion || this.completion.isOver) return;
    if (this.isBroken) this.completion.resumeNow();
    else this.completion.cut();
  }

  #readTwice() {
    if (!this.completion?.place.id) return;
    this.reader?.close();
    const { cursors } = this;
    this.reader = new SecondReader(this.completion.place, (cursor) => cursors.get(cursor), () => byId("second").focus());
    byId("reader").replaceChildren(this.reader.element);
    this.reader.read();
  }

  #detail(row) {
    byId("event-detail").hidden = !row;
    if (!row) return;
    byId("event-title").textContent = row.id ? `Event ${row.id}` : "Event";
    byId("event-raw").textContent = row.raw;
  }
}

function cells({ gap, id, label, text }) {
  return [
    el("span", { class: "gap" }, `+${millis(gap)}`),
    el("span", { class: "cursor" }, id),
    el("span", { class: "label" }, label),
    el("span", { class: "text" }, text),
  ];
}

/** What a row shows: its `kind`, which is its colour, a `label`, a `text`, its cursor, and all of it as `raw`. */
function describe(step) {
  const { kind, data, id = "" } = step;
  if (kind === "asked") return row("line", "request", step.line);
  if (kind === "opened") return row("line", "reply", `status ${step.status}`);
  if (kind === "broken") return row("error", "broken", step.why);
  if (kind === "comment") return row("quiet", "comment", step.text || "heartbeat");
  if (kind === "event") return { ...row(...summary(data, step.chunk)), id, raw: laidOut(data) };
  if (kind === "done") return row("done", "end", "all of it was read");
  if (kind === "refused") return { ...row("error", String(step.status), step.error.message), raw: JSON.stringify(step.error, null, 2) };
  return row("error", "end", step.why ?? "left");
}

function row(kind, label, text) {
  return { kind, label, text: text.slice(0, MAX_SUMMARY_CHARS), id: "", raw: text };
}

function summary(data, chunk) {
  if (data === "[DONE]") return ["done", "[DONE]", ""];
  if (chunk.error) return ["error", "error", `${chunk.error.code ?? chunk.error.type}: ${chunk.error.message}`];
  const [choice] = chunk.choices ?? [];
  if (!choice) return ["quiet", chunk.usage ? "usage" : "chunk", chunk.usage ? usageWords(chunk.usage) : data];
  const { content, refusal, reasoning_content, reasoning, tool_calls, role } = choice.delta ?? {};
  const quoted = (text) => JSON.stringify(text);
  const call = tool_calls?.[0]?.function;
  if (call) return ["call", "tool call", (call.name ? `${call.name} ` : "") + quoted(call.arguments ?? "")];
  if (reasoning_content || reasoning) return ["reasoning", "reasoning", quoted(reasoning_content || reasoning)];
  if (content) return ["content", "content", quoted(content)];
  if (refusal) return ["content", "refusal", quoted(refusal)];
  if (choice.finish_reason) return ["done", "finish", choice.finish_reason];
  return ["quiet", role ? "role" : "chunk", role ?? data];
}

function usageWords({ prompt_tokens: prompt, completion_tokens: completion }) {
  return `${prompt} in, ${completion} out`;
}

function laidOut(data) {
  const value = parsed(data);
  return value === undefined ? data : JSON.stringify(value, null, 2);
}
