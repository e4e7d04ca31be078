// The same request as curl, Python and Node code, ready to paste.

/** What the Python SDK takes by name; everything else goes into `extra_body`. */
const NAMED = new Set((
  "model messages stream stream_options temperature top_p max_tokens max_completion_tokens seed stop n logprobs top_logprobs " +
  "presence_penalty frequency_penalty logit_bias tools tool_choice parallel_tool_calls response_format reasoning_effort " +
  "service_tier store metadata user modalities prediction verbosity"
).split(" "));

/** `{ curl, python, node }` for a request's body, its headers beside the usual ones, and whether it needs a key. */
export function samples(base, { body, headers, hasKey }) {
  const call = { base, body, headers: Object.entries(headers), hasKey };
  return { curl: curl(call), python: python(call), node: node(call) };
}

function curl({ base, body, headers, hasKey }) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const sent = [["content-type", "application/json"], ...headers].map(([name, value]) => quoted(`${name}: ${value}`));
  if (hasKey) sent.push('"authorization: Bearer $API_KEY"');
  const lines = [`curl -N ${base}/chat/completions`, ...sent.map((header) => `-H ${header}`), `-d ${quoted(indented(body, 2))}`];
  return lines.join(" \\\n  ");
}

function python({ base, body, headers, hasKey }) {
  const named = Object.entries(body).filter(([name]) => NAMED.has(name));
  const others = Object.entries(body).filter(([name]) => !NAMED.has(name));
  const lines = named.map(([name, value]) => `${name}=${literal(value, 4)}`);
  if (others.length > 0) lines.push(`extra_body=${literal(Object.fromEntries(others), 4)}`);
  if (headers.length > 0) lines.push(`extra_headers=${literal(Object.fromEntries(headers), 4)}`);
  return `${hasKey ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url="${base}", api_key=${hasKey ? 'os.environ["API_KEY"]' : '"unused"'})
stream = client.chat.completions.create(
    ${lines.join(",\n    ")},
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
`;
}

function node({ base, body, headers, hasKey }) {
  const options = headers.length > 0 ? `, {\n  headers: ${indented(Object.fromEntries(headers), 2)},\n}` : "";
  return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}", apiKey: ${hasKey ? "process.env.API_KEY" : '"unused"'} });
const stream = await client.chat.completions.create(${indented(body, 0)}${options});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
`;
}

/** JSON whose lines after the first begin with `by` spaces more. */
function indented(value, by) {
  return JSON.stringify(value, null, 2).replaceAll("\n", `\n${" ".repeat(by)}`);
}

/** A Python literal, laid out over lines where it holds something. */
function literal(value, by) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const items = Array.isArray(value)
    ? value.map((item) => literal(item, by + 4))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${literal(item, by + 4)}`);
  if (items.length === 0) return open + close;
  const space = " ".repeat(by + 4);
  return `${open}\n${items.map((item) => `${space}${item},\n`).join("")}${" ".repeat(by)}${close}`;
}
