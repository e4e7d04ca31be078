// Asks for everything but chats through an official Node SDK, and prints what came back as JSON.
//
// Usage: node endpoints_node.mjs PACKAGE BASE_URL API_KEY CALLS. The calls are those of endpoints_python.py.

const [, , sdk, baseURL, apiKey, calls] = process.argv;
const { default: OpenAI, APIError } = await import(sdk);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });

const results = [];
for (const call of JSON.parse(calls)) results.push(await answer(call));
console.log(JSON.stringify(results));

async function answer(call) {
  try {
    return await ask(call);
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const { status, param, code } = error;
    return { error: { status, param, code } };
  }
}

async function ask({ do: what, name, request }) {
  // 4.x calls it `del`.
  if (what === "delete_model") return client.models.delete ? client.models.delete(name) : client.models.del(name);
  const answer = await client[what].create(request);
  if (!request.stream) return answer;
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  return chunks;
}
