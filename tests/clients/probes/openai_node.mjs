// Asks a server through an official Node SDK, exactly as installed, and prints what came back as JSON.
//
// Usage: node openai_node.mjs PACKAGE BASE_URL API_KEY CALLS. The calls are those of openai_python.py.

const [, , sdk, baseURL, apiKey, calls] = process.argv;
const { default: OpenAI, APIError } = await import(sdk);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 30_000 });

const results = [];
for (const call of JSON.parse(calls)) results.push(await answer(call));
console.log(JSON.stringify(results));

async function answer(call) {
  const result = { chunks: [], completion: null, error: null };
  try {
    await ask(call, result);
  } catch (error) {
    if (!(error instanceof APIError)) throw error;
    const { status, message, param, code, type } = error;
    result.error = { classes: classes(error), status, message, param, code, type };
  }
  return result;
}

async function ask({ request, take, fold, retries = 0 }, result) {
  const options = { maxRetries: retries };
  if (fold) {
    // 4.x has it under `beta`.
    const completions = client.chat.completions.stream ? client.chat.completions : client.beta.chat.completions;
    result.completion = await completions.stream(request, options).finalChatCompletion();
  } else if (request.stream) {
    for await (const chunk of await client.chat.completions.create(request, options)) {
      result.chunks.push(chunk);
      if (result.chunks.length === take) break;
    }
  } else {
    result.completion = await client.chat.completions.create(request, options);
  }
}

function classes(error) {
  const names = [];
  for (let kind = error.constructor; kind?.name; kind = Object.getPrototypeOf(kind)) names.push(kind.name);
  return names;
}
