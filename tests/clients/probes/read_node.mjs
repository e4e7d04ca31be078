// Reads streams through an official Node SDK, exactly as installed. The cases are those of read_python.py.
//
// Usage: node read_node.mjs PACKAGE BASE_URL < CASES

import { readFileSync } from "node:fs";

const [, , sdk, baseURL] = process.argv;
const { default: OpenAI } = await import(sdk);
const client = new OpenAI({ baseURL, apiKey: "sk-none" });

const results = [];
for (const one of JSON.parse(readFileSync(0, "utf8"))) results.push(await read(one));
console.log(JSON.stringify(results));

async function read({ request, headers, retries = 0, timeout = 30 }) {
  const result = { role: null, text: "", reasoning: "", refusal: "", calls: [], finish: null, error: null };
  const options = { headers, maxRetries: retries, timeout: timeout * 1000 };
  try {
    const stream = await client.chat.completions.create({ ...request, stream: true }, options);
    for await (const chunk of stream) for (const choice of chunk.choices) add(result, choice);
  } catch (error) {
    result.error = { name: error.constructor.name, message: error.message.slice(0, 200) };
  }
  return result;
}

function add(result, { delta, finish_reason }) {
  result.role ??= delta.role ?? null;
  result.text += delta.content ?? "";
  result.refusal += delta.refusal ?? "";
  result.reasoning += delta.reasoning_content ?? delta.reasoning ?? "";
  for (const call of delta.tool_calls ?? []) {
    const known = (result.calls[call.index] ??= [call.function.name, ""]);
    known[1] += call.function.arguments ?? "";
  }
  result.finish = finish_reason ?? result.finish;
}
