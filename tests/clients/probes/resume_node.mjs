// Resumes, follows and keeps completions through an official Node SDK, and prints what came back as JSON.
//
// Usage: node resume_node.mjs PACKAGE BASE_URL API_KEY CALLS. The calls are those of resume_python.py.

import { resumingFetch } from "../../../clients/node/resume.mjs";

const [, , sdk, baseURL, apiKey, calls] = process.argv;
const { default: OpenAI } = await import(sdk);
const options = { baseURL, apiKey, maxRetries: 0, timeout: 30_000 };
// 4.x has a fetch of its own otherwise.
const plain = new OpenAI({ ...options, fetch: globalThis.fetch });
const resuming = new OpenAI({ ...options, fetch: resumingFetch() });

const results = [];
for (const call of JSON.parse(calls)) results.push(await answer(call.resuming ? resuming : plain, call));
console.log(JSON.stringify(results));

async function answer(client, call) {
  const result = { chunks: [], error: null };
  try {
    await { stream, come_back, background, store }[call.do](client, call, result);
  } catch (error) {
    result.error = [described(error), described(error.cause)];
  }
  return result;
}

async function stream(client, { request, take }, result) {
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    result.chunks.push(chunk);
    if (result.chunks.length === take) break;
  }
}

async function come_back(client, call, result) {
  await stream(client, call, result);
  const seen = result.chunks;
  result.rest = await follow(client, seen.at(-1).id, seen.length);
}

async function background(client, { request }, result) {
  result.queued = await client.chat.completions.create({ ...request, background: true });
  result.chunks = await follow(client, result.queued.id, 0);
}

async function follow(client, id, starting_after) {
  const query = { stream: true, starting_after };
  return collect(await client.get(`/chat/completions/${id}`, { query, stream: true }));
}

async function store(client, { request, labels }, result) {
  const { completions } = client.chat;
  const { metadata } = request;
  result.made = await completions.create({ ...request, store: true });
  const { id } = result.made;
  result.listed = await collect(completions.list({ metadata, limit: 1 }));
  result.retrieved = await completions.retrieve(id);
  result.messages = await collect(completions.messages.list(id));
  result.updated = await completions.update(id, { metadata: labels });
  // 4.x calls it `del`.
  result.deleted = await (completions.delete ? completions.delete(id) : completions.del(id));
  result.left = await collect(completions.list({ metadata: labels }));
  await completions.retrieve(id);
}

async function collect(items) {
  const collected = [];
  for await (const item of items) collected.push(item);
  return collected;
}

function described(error) {
  if (!error) return null;
  const { message, status = null, code = null } = error;
  return { class: error.constructor.name, message, status, code };
}
