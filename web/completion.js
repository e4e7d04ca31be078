// One completion, read to its end through whatever happens to its connections. It knows no page.
//
// The server keeps the completion as a log. Its id, a ticket and the cursor of the last event are enough to read on:
// after a cut, from another tab, after a reload. Before the id is known, the same `Idempotency-Key` finds it again.
// Start at `read`.

import { readEvents } from "./sse.js";

const PATH = "v1/chat/completions";
/** Milliseconds before each attempt to come back; an event starts them anew. */
const DELAYS = [400, 800, 1600, 3200, 5000, 5000];
/** A cut that somebody asked for is left to be seen. */
const DELAY_AFTER_CUT = 1500;

export class Completion {
  /**
   * `request` is `{ body, headers }` of the POST, the body as text; without one an existing completion is followed.
   * `place` is what is known of it: `{ id, ticket, cursor, idempotencyKey }`, kept up to date.
   */
  constructor(request, place = {}) {
    this.request = request;
    this.place = place;
    this.isOver = false;
    this.attempts = 0;
  }

  /**
   * Everything that happens, in order, each with its `kind`:
   * `asked` (`line`), `opened` (`status`), `comment`, `event` (`data`, `id`, `chunk`), `broken` (`why`, `delay`),
   * and one of these at the end: `done`, `refused` (`status`, `error`, `retryAfter`), `lost` (`why`), `stopped`.
   */
  async *read() {
    while (!this.isOver) {
      let why = "The connection ended before [DONE].";
      try {
        yield* this.#connection();
      } catch (error) {
        why = this.isCut ? "The connection was cut here." : sentence(error);
      } finally {
        this.connection?.abort();
      }
      if (this.isOver) return;
      const isKnown = this.place.id || this.place.idempotencyKey;
      if (this.isStopped || !isKnown || this.attempts >= DELAYS.length) {
        yield this.#over(this.isStopped ? { kind: "stopped" } : { kind: "lost", why });
        return;
      }
      const delay = this.isCut ? DELAY_AFTER_CUT : DELAYS[this.attempts];
      this.isCut = false;
      this.attempts += 1;
      yield { kind: "broken", why, delay };
      await this.#wait(delay);
    }
  }

  /** Breaks the connection, as a network does; `read` comes back by itself. */
  cut() {
    this.isCut = true;
    this.connection?.abort();
  }

  /** Comes back at once. */
  resumeNow() {
    this.wake?.();
  }

  /** Stops the generation, at the upstream too; the stream then ends by itself. */
  async cancel() {
    if (!this.place.id) {
      this.leave();
      return;
    }
    this.wake?.();
    const reply = await fetch(this.#url("/cancel"), { method: "POST" });
    if (!reply.ok) throw new Error(`The server answered ${reply.status}.`);
  }

  /** Reads no further. */
  leave() {
    this.isStopped = true;
    this.connection?.abort();
    this.wake?.();
  }

  async *#connection() {
    this.connection = new AbortController();
    const response = yield* this.#open(this.connection.signal);
    if (!response) return;
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream")) throw new Error(`That is ${type || "nothing"}, not an event stream.`);
    for await (const event of readEvents(response.body)) {
      if (event.comment !== undefined) yield { kind: "comment", text: event.comment };
      if (event.data === undefined || this.#isOld(event.id)) continue;
      yield this.#event(event);
      if (event.data === "[DONE]") {
        yield this.#over({ kind: "done" });
        return;
      }
    }
  }

  /** Asks, and returns the response if it is a stream to read. */
  async *#open(signal) {
    const { id, cursor } = this.place;
    yield { kind: "asked", line: id ? `GET …/stream after ${cursor ?? "the beginning"}` : `POST /${PATH}` };
    const response = await (id ? this.#follow(signal) : this.#post(signal));
    this.place.id = response.headers.get("x-completion-id") ?? this.place.id;
    this.place.ticket = response.headers.get("x-stream-ticket") ?? this.place.ticket;
    yield { kind: "opened", status: response.status };
    if (response.status === 204) yield this.#over({ kind: "done" });
    else if (response.ok) return response;
    else if (id && response.status >= 500) throw new Error(`The server answered ${response.status}.`);
    else yield this.#over(await refusal(response));
    return null;
  }

  #post(signal) {
    const { body, headers } = this.request;
    const key = this.place.idempotencyKey;
    // With ids, every event says its place, and the generation outlives a reload by a minute.
    const sent = { ...headers, "x-stream-ids": "1", ...(key && { "idempotency-key": key }) };
    return fetch(PATH, { method: "POST", body, headers: sent, signal });
  }

  #follow(signal) {
    const headers = this.place.cursor ? { "last-event-id": this.place.cursor } : {};
    return fetch(this.#url("/stream"), { headers, signal });
  }

  #url(end) {
    const { id, ticket } = this.place;
    return `${PATH}/${encodeURIComponent(id)}${end}${ticket ? `?ticket=${encodeURIComponent(ticket)}` : ""}`;
  }

  /** An event that came twice. */
  #isOld(id) {
    const [epoch, seq] = numbers(id);
    const [lastEpoch, last] = numbers(this.place.cursor);
    return epoch === lastEpoch && seq <= last;
  }

  /** The cursor moves only with an event that can be read and is the next one: whatever else comes, is asked for again. */
  #event({ data, id }) {
    const chunk = data === "[DONE]" ? undefined : JSON.parse(data);
    const [epoch, seq] = numbers(id);
    const [lastEpoch, last] = numbers(this.place.cursor);
    if (epoch === lastEpoch && seq > last + 1) throw new Error(`Event ${id} came after ${this.place.cursor}.`);
    this.place.cursor = id || this.place.cursor;
    this.attempts = 0;
    return { kind: "event", data, id, chunk };
  }

  #over(step) {
    this.isOver = true;
    return step;
  }

  #wait(delay) {
    return new Promise((resolve) => {
      this.wake = resolve;
      setTimeout(resolve, delay);
    });
  }
}

/** An id of our own. Only secure origins have `crypto.randomUUID`. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function refusal(response) {
  const text = await response.text();
  let error = { message: text.slice(0, 500) || response.statusText };
  try {
    error = JSON.parse(text).error ?? error;
  } catch {
    // Whoever stands before the server has words of its own.
  }
  return { kind: "refused", status: response.status, error, retryAfter: response.headers.get("retry-after") };
}

/** `<epoch>-<seq>` as numbers; NaN where there is none, which equals nothing. */
function numbers(cursor) {
  return /^\d+-\d+$/.test(cursor ?? "") ? cursor.split("-").map(Number) : [NaN, NaN];
}

function sentence(error) {
  if (error instanceof SyntaxError) return "An event was not JSON.";
  if (error instanceof TypeError) return "The connection broke.";
  return /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
}
