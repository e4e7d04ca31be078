// What the chunks of one answer add up to. Plain data, so that it can be kept over a reload.

/** An answer nobody has begun yet. Times are in milliseconds. */
export function emptyAnswer() {
  return {
    role: "assistant", content: "", reasoning: "", refusal: "", toolCalls: [],
    finish: null, error: null, usage: null, model: null,
    events: 0, pieces: 0, firstAfter: null, reasoningFor: null, took: null, resumes: 0, end: null,
  };
}

/** Adds one chunk. `after` is how long ago the question was sent. */
export function addChunk(answer, chunk, after) {
  answer.events += 1;
  answer.model ??= chunk.model ?? null;
  answer.usage = chunk.usage ?? answer.usage;
  if (chunk.error) answer.error = chunk.error;
  const [choice] = chunk.choices ?? [];
  if (!choice) return;
  answer.finish = choice.finish_reason || answer.finish;
  const delta = choice.delta ?? {};
  const reasoning = delta.reasoning_content ?? delta.reasoning ?? "";
  if (!hasWords(delta, reasoning)) return;
  answer.pieces += 1;
  answer.firstAfter ??= after;
  if (!reasoning && answer.reasoning) answer.reasoningFor ??= after - answer.firstAfter;
  answer.reasoning += reasoning;
  answer.content += delta.content ?? "";
  answer.refusal += delta.refusal ?? "";
  for (const call of delta.tool_calls ?? []) addCall(answer.toolCalls, call);
}

function hasWords(delta, reasoning) {
  return Boolean(delta.content || delta.refusal || reasoning || delta.tool_calls?.length);
}

function addCall(calls, { index = 0, id, function: called = {} }) {
  // A hole would become null in JSON; no more calls are shown than anyone can read.
  while (calls.length <= Math.min(index, 127)) calls.push({ id: "", name: "", arguments: "", result: "" });
  const call = calls[Math.min(index, 127)];
  call.id ||= id ?? "";
  call.name += called.name ?? "";
  call.arguments += called.arguments ?? "";
}

/** The messages of a request that say what an answer and the results of its calls were. */
export function toMessages(answer) {
  const calls = answer.toolCalls.map((call) => ({
    id: call.id, type: "function", function: { name: call.name, arguments: call.arguments },
  }));
  const said = { role: "assistant", content: answer.content || answer.refusal || (calls.length ? null : "") };
  const results = answer.toolCalls
    .filter((call) => call.result)
    .map((call) => ({ role: "tool", tool_call_id: call.id, content: call.result }));
  return [calls.length ? { ...said, tool_calls: calls } : said, ...results];
}

/** Whether somebody wanted no more of it. */
export function isStopped({ end, error }) {
  return end === "stopped" || error?.code === "cancelled";
}

/** How it ended, in a few words; null if it goes on or there is nothing to say. */
export function endWords(answer) {
  if (isStopped(answer)) return "Stopped.";
  if (answer.error) return `${answer.error.code ?? answer.error.type ?? "error"}: ${answer.error.message}`;
  if (answer.end === "done" && !answer.finish) return "It ended without a finish reason.";
  if (answer.finish === "length") return "Cut short by max_tokens.";
  if (answer.finish === "content_filter") return "Stopped by a content filter.";
  return null;
}
