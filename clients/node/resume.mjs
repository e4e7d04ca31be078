// A fetch that picks a broken chat completion up where it was cut, unseen by the SDK above it.
//
//     new OpenAI({ fetch: resumingFetch() })
//
// It counts the events it hands on; when the body breaks before `[DONE]`, it asks for those after them. A server
// that cannot resume sends no `x-completion-id`, or refuses: then all is as without it, the error included.

import { setTimeout as sleep } from "node:timers/promises";

/** @typedef {(url: string | URL | Request, init?: RequestInit) => Promise<Response>} Fetch */
/** @typedef {Response & { body: ReadableStream<Uint8Array> }} StreamResponse */

const DELAYS = [0, 200, 400, 800, 1600, 3200, 5000, 5000, 5000];
const BLANK_LINE = /\r?\n\r?\n/g;
const DATA = /^data(:|\r?$)/m; // a block without data is no event
const DONE = /^data: ?\[DONE\]/m;

/**
 * Wraps the fetch that does the work. Like the SDK, one calls it with a URL and an `init`.
 *
 * @param {Fetch} [fetch]
 * @param {number[]} [delays] Milliseconds before each attempt; a new event starts them anew.
 * @returns {Fetch}
 */
export function resumingFetch(fetch = globalThis.fetch, delays = DELAYS) {
  return async (url, init) => {
    const response = await fetch(url, init);
    const isChat = init?.method?.toUpperCase() === "POST" && addressOf(url).pathname.endsWith("/chat/completions");
    if (!isChat || !isResumable(response)) return response;
    return new Response(resumedBody(fetch, delays, addressOf(url), init, response), response);
  };
}

/**
 * One body, of as many responses as it takes. It hands on whole events, so that none is repeated in part.
 *
 * @param {Fetch} fetch
 * @param {number[]} delays
 * @param {URL} asked
 * @param {RequestInit} init
 * @param {StreamResponse} first
 */
function resumedBody(fetch, delays, asked, init, { headers: head, body }) {
  const cancelled = new AbortController();
  const signal = AbortSignal.any([cancelled.signal, init.signal].filter((signal) => !!signal));
  let [reader, rest, events, attempts, isDone] = [body.getReader(), "", 0, 0, false];
  const pieces = handOn();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      done ? controller.close() : controller.enqueue(value);
    },
    cancel(reason) {
      const closed = reader.cancel(reason).catch(() => {}); // it may be broken, which nobody has to know
      cancelled.abort(reason);
      return closed;
    },
  });

  async function* handOn() {
    let error;
    do {
      error = undefined;
      try {
        for (let read = await reader.read(); !read.done; read = await reader.read()) yield complete(read.value);
      } catch (broken) {
        error = broken;
      }
    } while (!isDone && (await resume()));
    yield Buffer.from(rest, "latin1");
    if (error && !isDone) throw error;
  }

  /**
   * The events that are whole with `piece`.
   *
   * @param {Uint8Array} piece
   */
  function complete(piece) {
    const text = rest + Buffer.from(piece).toString("latin1"); // a character for each byte
    const end = [...text.matchAll(BLANK_LINE)].reduce((_, blank) => blank.index + blank[0].length, 0);
    const found = text.slice(0, end).split(BLANK_LINE).filter((block) => DATA.test(block));
    if (found.length) [events, attempts] = [events + found.length, 0];
    isDone ||= found.some((block) => DONE.test(block));
    rest = text.slice(end);
    return Buffer.from(text.slice(0, end), "latin1");
  }

  async function resume() {
    while (attempts < delays.length) {
      await sleep(delays[attempts++] * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {});
      if (signal.aborted) break;
      const next = await fetch(...followUp()).catch(() => undefined);
      if (next && isResumable(next)) {
        [reader, rest] = [next.body.getReader(), ""];
        return true;
      }
      await next?.body?.cancel();
      if (next && ![408, 429, 500, 502, 503, 504].includes(next.status)) break;
    }
    return false;
  }

  /** @returns {Parameters<Fetch>} */
  function followUp() {
    const [url, headers, ticket] = [new URL(asked), new Headers(init.headers), head.get("x-stream-ticket")];
    for (const name of ["accept", "content-length", "content-type"]) headers.delete(name);
    url.pathname += `/${head.get("x-completion-id")}`;
    url.searchParams.set("stream", "true");
    url.searchParams.set("starting_after", String(events));
    if (ticket && !headers.has("authorization")) url.searchParams.set("ticket", ticket);
    return [url.href, { ...init, method: "GET", headers, body: undefined, signal }];
  }
}

/** @param {string | URL | Request} url */
function addressOf(url) {
  return new URL(url instanceof Request ? url.url : url);
}

/**
 * A named stream. Other libraries' fetches have bodies of their own kinds.
 *
 * @param {Response} response
 * @returns {response is StreamResponse}
 */
function isResumable(response) {
  const { status, headers, body } = response;
  const isStream = status === 200 && !!headers.get("content-type")?.startsWith("text/event-stream");
  return isStream && headers.has("x-completion-id") && typeof body?.getReader === "function";
}
