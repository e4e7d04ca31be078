// Starts Tokenfall as the model of a test, and stops it. It needs nothing but Node 20.
//
//   const mock = await startMock({ prompts: "prompts" });
//   const session = mock.session();
//   const client = new OpenAI({ baseURL: session.baseURL, apiKey: session.apiKey, defaultHeaders: session.headers });
//   …
//   await mock.stop();
//
// The server ends with the process that started it, however that ends, and never keeps it alive.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { accessSync, constants, statSync } from "node:fs";
import { request } from "node:http";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const STOPS_WITHIN = 5_000;
const MOST_LOG = 1 << 20;
const GREETING = /Base URL +(http:\/\/\S+)\/v1\n/;

/**
 * Starts a server on a free port and waits until it listens, `patience` milliseconds at most.
 *
 * `args` are flags of `tokenfall serve`, `prompts` is a folder of scenarios, `env` is on top of this process's
 * environment, and `apiKey` is what clients are given.
 */
export async function startMock(options = {}) {
  const { args = ["--instant"], prompts, binary = findBinary(), env, apiKey = "unused", patience = 10_000 } = options;
  const flags = ["serve", "--port", "0", "--stop-at-eof", ...args, ...(prompts ? ["--prompts", prompts] : [])];
  const child = spawn(binary, flags, {
    env: { TOKENFALL__SERVER__DRAIN: "1s", ...process.env, ...env },
    // It stops when standard input is closed, which the system does for a process that is killed.
    stdio: ["pipe", "pipe", "pipe"],
  });
  const mock = new Mock(child, apiKey);
  try {
    mock.url = await mock.listening(binary, patience);
  } catch (error) {
    await mock.stop();
    throw error;
  }
  for (const handle of [child, ...child.stdio]) handle.unref();
  return mock;
}

/** The binary: `TOKENFALL_BIN`, else that of the `PATH`, else what was built here or where this file comes from. */
export function findBinary() {
  const named = process.env.TOKENFALL_BIN;
  if (named) {
    if (!isRunnable(named)) throw new Error(`TOKENFALL_BIN=${named} is not a file that can be run`);
    return named;
  }
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  for (const root of [process.cwd(), fileURLToPath(new URL("../..", import.meta.url))]) {
    folders.push(join(root, "target/release"), join(root, "target/debug"));
  }
  const found = folders.map((folder) => join(folder, "tokenfall")).find(isRunnable);
  if (found) return found;
  throw new Error("tokenfall was not found: set TOKENFALL_BIN, put it on the PATH, or run `cargo build --release`");
}

class Mock {
  #child;
  #log = "";
  #ended;

  constructor(child, apiKey) {
    this.apiKey = apiKey;
    this.url = "";
    this.#child = child;
    child.stderr.on("data", (text) => (this.#log = (this.#log + text).slice(-MOST_LOG)));
    // A server that is gone does not read.
    child.stdin.on("error", () => {});
    this.#ended = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve(`ended with ${signal ?? `exit code ${code}`}`));
      child.once("error", (error) => resolve(`could not be run: ${error.message}`));
    });
  }

  /** What a client is given. */
  get baseURL() {
    return `${this.url}/v1`;
  }

  /** The same for a program that reads it from its environment. */
  get env() {
    return { OPENAI_BASE_URL: this.baseURL, OPENAI_API_KEY: this.apiKey };
  }

  get pid() {
    return this.#child.pid;
  }

  /** What the server has written to standard error. */
  log() {
    return this.#log;
  }

  /** A test's own scenarios, counts and journal. Without a name it gets one that nobody has. */
  session(name = `test-${randomUUID()}`) {
    return new Session(this, name);
  }

  /** Stops it, within some seconds also where streams are under way. */
  async stop() {
    this.#child.ref();
    this.#child.stdin.end();
    this.#child.kill("SIGTERM");
    const kill = setTimeout(() => this.#child.kill("SIGKILL"), STOPS_WITHIN);
    await this.#ended;
    clearTimeout(kill);
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
  }

  /** Its address, as soon as it says it. */
  async listening(binary, patience) {
    let said = "";
    let timer;
    const found = new Promise((resolve) => {
      this.#child.stdout.on("data", (text) => {
        said += text;
        const url = GREETING.exec(said)?.[1];
        if (url) resolve({ url });
      });
    });
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, patience, { why: `did not say that it listens within ${patience} ms` });
    });
    const { url, why } = await Promise.race([found, late, this.#ended.then((why) => ({ why }))]);
    clearTimeout(timer);
    if (url) return url;
    throw new Error(`${binary} ${why}:\n${said}${this.#log}`);
  }
}

/** What one test asks of the mock and tells it; other sessions do not see it. */
class Session {
  constructor(mock, name) {
    this.mock = mock;
    this.name = name;
    this.baseURL = mock.baseURL;
    this.apiKey = mock.apiKey;
    this.env = mock.env;
  }

  /** What each of its requests has to carry. */
  get headers() {
    return { "x-mock-session": this.name };
  }

  /** Answers with these, by name, in place of the folder's; with `null` the folder's are back. */
  async scenarios(scenarios) {
    await this.#ask("PUT", "scenarios", { scenarios });
  }

  /** What was asked and what was sent, the oldest first. */
  async requests() {
    return (await this.#ask("GET", "requests")).data;
  }

  /**
   * How many requests fulfil `match` and were answered by `scenario`: `count`, `atLeast` or `atMost`, or one at least
   * where no number is given. Rejects, with the journal, where there are more or fewer.
   */
  async verify(match = {}, { scenario, count, atLeast, atMost } = {}) {
    const isAny = count === undefined && atLeast === undefined && atMost === undefined;
    const wanted = { match, scenario, count, at_least: isAny ? 1 : atLeast, at_most: atMost };
    try {
      return (await this.#ask("POST", "verify", wanted)).count;
    } catch (error) {
      if (error.status === 406) error.message += `\n${await this.journal()}`;
      throw error;
    }
  }

  /** Forgets its scenarios, counts and journal. */
  async reset() {
    await this.#ask("POST", "reset");
  }

  /** The requests as text: a few lines for each. */
  async journal() {
    return (await this.requests()).map(told).join("\n") || "no request came";
  }

  async [Symbol.asyncDispose]() {
    await this.reset();
  }

  async #ask(method, what, body) {
    const headers = { authorization: `Bearer ${this.apiKey}`, "content-type": "application/json" };
    if (this.name) Object.assign(headers, this.headers);
    const { status, text } = await send(`${this.mock.url}/_mock/${what}`, { method, headers }, body);
    const reply = text ? JSON.parse(text) : {};
    if (status < 300) return reply;
    throw Object.assign(new Error(`${reply.error?.message ?? text} (${status})`), { status });
  }
}

// Not `fetch`, which tests replace, and whose pool would outlive the server.
function send(url, options, body) {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ...options, agent: false, timeout: 30_000 }, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (part) => (text += part));
      reply.on("end", () => resolve({ status: reply.statusCode, text }));
      reply.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer from ${url}`)));
    asked.on("error", reject);
    asked.end(body && JSON.stringify(body));
  });
}

function told({ status, scenario, request: { body }, sent }, index) {
  const said = [`${index + 1}. ${body?.model} -> ${status}`, `scenario ${scenario}`];
  if (status === 200) said.push(`${sent.events} events`, sent.end ?? "under way");
  const messages = (body?.messages ?? []).map(({ role, content }) => `   ${role}: ${JSON.stringify(content)?.slice(0, 200)}`);
  return [[...said, ...sent.faults].join(", "), ...messages].join("\n");
}

function isRunnable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
