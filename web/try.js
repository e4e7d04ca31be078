// "Try it": sends a request as it is typed, and shows what comes back as it comes.

import { copyText, el, parsed } from "./elements.js";
import { readEvents } from "./sse.js";

/** Where the server's paths begin, also behind a proxy that puts a prefix before them. */
export const ROOT = new URL(".", location.href).href.replace(/\/$/, "");
const MAX_EVENTS_SHOWN = 500;

export function tryIt(form, { method, path }) {
  const { body, key, stop, copy } = form.elements;
  const part = (selector) => form.querySelector(selector);
  const [send, status, curl] = [part("[type=submit]"), part(".status"), part(".curl pre")];
  let abort = null;

  const showCurl = () => (curl.textContent = curlLine(method, path, body.value, key.value !== ""));
  form.addEventListener("input", showCurl);
  showCurl();
  copy.addEventListener("click", () => copyText(curl.textContent, copy, curl));
  stop.addEventListener("click", () => abort?.abort());
  body.addEventListener("keydown", (press) => {
    if (press.key === "Enter" && (press.ctrlKey || press.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (submit) => {
    submit.preventDefault();
    if (abort) return;
    abort = new AbortController();
    [send.disabled, stop.disabled] = [true, false];
    for (const selector of [".answer", ".events", ".reply"]) part(selector).hidden = true;
    status.textContent = "Waiting for the first byte …";
    try {
      const headers = { "content-type": "application/json", ...(key.value && { authorization: `Bearer ${key.value}` }) };
      const request = { method: method.toUpperCase(), headers, body: body.value, signal: abort.signal };
      status.textContent = await showReply(await fetch(ROOT + path, request), part, status);
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "Stopped." : `Failed: ${error.message}.`;
    } finally {
      // Nothing is left to stop after a reply, but after a failure the connection may still be open.
      abort.abort();
      abort = null;
      [send.disabled, stop.disabled] = [false, true];
    }
  });
}

/** Shows a reply as it comes, and returns a sentence on how it went. Its content type tells a stream. */
async function showReply(response, part, status) {
  const head = `${response.status} ${response.statusText}`.trim();
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
    status.textContent = `${head}, streaming …`;
    return `${head}: ${await showStream(response.body, part)}`;
  }
  part(".reply").hidden = false;
  part(".reply pre").textContent = indented(await response.text());
  return `${head}, not a stream.`;
}

async function showStream(body, part) {
  const [list, text] = [part(".log"), part(".text")];
  list.replaceChildren();
  text.replaceChildren();
  part(".answer").hidden = part(".events").hidden = false;
  const started = performance.now();
  const choices = new Map();
  let [last, count, isDone, failure] = [started, 0, false, null];
  for await (const event of readEvents(body)) {
    if (event.retry !== undefined) continue;
    const now = performance.now();
    const chunk = parsed(event.data);
    list.append(eventRow(event, now - last, chunk));
    if (list.children.length > MAX_EVENTS_SHOWN) list.firstChild.remove();
    for (const { index, delta } of chunk?.choices ?? []) {
      choiceText(text, choices, index).appendData(delta?.content ?? delta?.refusal ?? "");
    }
    failure ??= chunk?.error?.message;
    if (event.data !== undefined) count += 1;
    [last, isDone] = [now, isDone || event.data === "[DONE]"];
  }
  const end = !isDone ? "cut, as there was no [DONE]" : failure ? `failed: ${failure}` : "complete";
  const shown = count > MAX_EVENTS_SHOWN ? ` (the last ${MAX_EVENTS_SHOWN} are shown)` : "";
  return `${count} event${count === 1 ? "" : "s"}${shown} in ${Math.round(last - started)} ms, ${end}.`;
}

function eventRow({ type, id, data, comment }, gap, chunk) {
  const kind = comment !== undefined ? "aside" : data === "[DONE]" ? "done" : chunk?.error ? "error" : "chunk";
  const before = [comment !== undefined && `:${comment}`, type && `event: ${type}\n`, id && `id: ${id}\n`];
  // What every chunk repeats comes before its choices, and is folded away unless asked for.
  const [, repeated, rest] = /^({.*?)("choices":.*)$/s.exec(data) ?? [null, null, data];
  return el("li", { class: kind },
    el("span", { class: "gap" }, `+${Math.round(gap)} ms`),
    el("code", {}, ...before, repeated && el("span", { class: "repeated" }, repeated), rest));
}

/** The text node that a choice's deltas are added to; made when the choice first shows up. */
function choiceText(parent, choices, index) {
  if (!choices.has(index)) {
    choices.set(index, document.createTextNode(""));
    parent.append(el("p", { "data-choice": index }, choices.get(index)));
  }
  return choices.get(index);
}

function curlLine(method, path, body, hasKey) {
  // White space between tokens goes, numbers stay as typed: parsing would round the large ones.
  const compact = parsed(body) === undefined ? body : body.replace(/("(?:[^"\\]|\\.)*")|\s+/g, (_, text) => text ?? "");
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = hasKey ? ' -H "authorization: Bearer $API_KEY"' : "";
  const url = `-X ${method.toUpperCase()} ${quoted(ROOT + path)}`;
  return `curl -N ${url} -H 'content-type: application/json'${key} --data-raw ${quoted(compact)}`;
}

const indented = (text) => (parsed(text) === undefined ? text : JSON.stringify(parsed(text), null, 2));
