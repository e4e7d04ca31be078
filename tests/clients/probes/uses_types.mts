// What users write, for the TypeScript compiler alone. Run by test_packages.py.

import OpenAI from "openai";
import { findBinary, resumingFetch, startMock } from "tokenfall";
import type { Asked, Mock, Options, Session } from "tokenfall";

const options: Options = { args: ["--instant"], prompts: "prompts", env: { A: "b" }, apiKey: "sk", patience: 1_000 };
await using mock: Mock = await startMock({ ...options, binary: findBinary() });
await using session: Session = mock.session();
await session.scenarios({ hello: { match: { last_user: "Hi" }, reply: { text: "Hello!" } } });
await session.scenarios(null);
const count: number = await session.verify({ last_user: "Hi" }, { scenario: "hello", atLeast: 1 });
const asked: Asked[] = await session.requests();
const told: [string, number] = [asked[0].sent.faults[0], asked[0].status + count];
new OpenAI({ baseURL: session.baseURL, apiKey: session.apiKey, defaultHeaders: session.headers, fetch: resumingFetch() });
new OpenAI({ fetch: resumingFetch(globalThis.fetch, [0, 200]) });
console.log(told, mock.env.OPENAI_BASE_URL, mock.pid, await session.journal());

// @ts-expect-error: it takes no such option
await startMock({ port: 8080 });
// @ts-expect-error: flags are a list
await startMock({ args: "--instant" });
// @ts-expect-error: a number
await session.verify({}, { count: "1" });
// @ts-expect-error: milliseconds
resumingFetch(fetch, ["0"]);
// @ts-expect-error: a property, not a function
session.headers();
