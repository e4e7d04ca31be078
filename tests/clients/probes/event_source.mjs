// Follows a queued completion with a browser's own EventSource, and prints what it saw as a line of JSON.
//
// Usage: node event_source.mjs CHROMIUM PAGE_URL BASE_URL CALL, where CALL is {request, headers}: the page at PAGE_URL
// posts it with `background: true` and follows its `stream_url` to the end. It stays open until stdin is closed.

import { chromium } from "playwright-core";

const [, , executablePath, page, baseURL, call] = process.argv;
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
args.push("--disable-background-networking", "--disable-component-update", "--disable-sync");
// Its profile is a new folder that goes away with it.
const browser = await chromium.launch({ executablePath, headless: true, args });
try {
  const tab = await browser.newPage();
  await tab.goto(page);
  console.log(JSON.stringify(await tab.evaluate(follow, { baseURL, ...JSON.parse(call) })));
  for await (const _ of process.stdin);
} finally {
  await browser.close();
}

// Runs in the page. It takes 204 for the end, at which an EventSource closes by itself.
async function follow({ baseURL, request, headers }) {
  const body = JSON.stringify({ ...request, background: true });
  const reply = await fetch(`${baseURL}/chat/completions`, { method: "POST", headers, body });
  const queued = await reply.json();
  const source = new EventSource(queued.stream_url);
  const seen = { status: reply.status, queued, events: [], broken: 0 };
  source.onmessage = ({ data, lastEventId }) => seen.events.push({ data, id: lastEventId });
  await new Promise((closed) => {
    source.onerror = () => (source.readyState === EventSource.CLOSED ? closed() : seen.broken++);
  });
  return seen;
}
