// Reads streams through the Vercel AI SDK, exactly as installed. The cases are those of
// read_python.py.
//
// Usage: node read.mjs PROVIDER BASE_URL < CASES, where PROVIDER is `openai-compatible` or `openai`

import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { jsonSchema, Output, streamText, tool } from "ai";

const [, , kind, baseURL] = process.argv;
const settings = { name: "tokenfall", baseURL, apiKey: "sk-none", supportsStructuredOutputs: true };
const provider = kind === "openai" ? createOpenAI(settings).chat : createOpenAICompatible(settings);
globalThis.AI_SDK_LOG_WARNINGS = false;

const results = [];
for (const one of JSON.parse(readFileSync(0, "utf8"))) results.push(await read(one));
console.log(JSON.stringify(results));

async function read({ request, headers, retries = 0, timeout = 30 }) {
  const result = { role: null, text: "", reasoning: "", refusal: "", calls: [], finish: null, error: null };
  const { model, seed, messages, tools = [], response_format: format } = request;
  const stream = streamText({
    model: provider(model),
    seed,
    messages: messages.map(message),
    tools: Object.fromEntries(tools.map(({ function: made }) => [made.name, offered(made)])),
    ...(format && { output: Output.object({ name: format.json_schema.name, schema: jsonSchema(format.json_schema.schema) }) }),
    headers,
    maxRetries: retries,
    timeout: { totalMs: timeout * 1000 },
    onError: () => {},
  });
  try {
    for await (const part of stream.fullStream) add(result, part);
  } catch (error) {
    result.error = described(error);
  }
  return result;
}

function add(result, part) {
  if (part.type === "text-delta") result.text += part.text;
  if (part.type === "reasoning-delta") result.reasoning += part.text;
  if (part.type === "tool-call") result.calls.push([part.toolName, JSON.stringify(part.input)]);
  if (part.type === "finish") result.finish = part.rawFinishReason ?? part.finishReason;
  if (part.type === "error") result.error ??= described(part.error);
  if (part.type === "abort") result.error ??= { name: "abort", message: part.reason ?? "" };
}

function offered({ parameters }) {
  return tool({ inputSchema: jsonSchema(parameters) });
}

function message({ role, content, tool_calls: calls, tool_call_id: toolCallId }) {
  if (role === "tool") {
    const output = { type: "text", value: content };
    return { role, content: [{ type: "tool-result", toolCallId, toolName: "get_weather", output }] };
  }
  if (!calls) return { role, content };
  const made = calls.map((call) => ({
    type: "tool-call",
    toolCallId: call.id,
    toolName: call.function.name,
    input: JSON.parse(call.function.arguments),
  }));
  return { role, content: made };
}

function described(error) {
  // A retried error holds the last one.
  const last = error?.lastError ?? error;
  const name = last?.constructor?.name ?? typeof last;
  return { name: error?.lastError ? `${error.constructor.name} of ${name}` : name, message: String(last?.message ?? last).slice(0, 200) };
}
