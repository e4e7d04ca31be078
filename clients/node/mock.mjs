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
import { request } from "node:http";

import { findBinary } from "./binary.mjs";

const STOPS_WITHIN = 5_000;
const MOST_LOG = 1 << 20;
const GREETING = /Base URL +(http:\/\/\S+)\/v1\n/;

/**
 * @typedef {object} Options
 * @property {string[]} [args] Flags of `tokenfall serve`, `--instant` if there are none.
 * @property {string} [prompts] A folder of scenarios.
 * @property {string} [binary] In place of `findBinary()`.
 * @property {Record<string, string>} [env] On top of this process's environment.
 * @property {string} [apiKey] What clients are given.
 * @property {number} [patience] Milliseconds until it has to listen.
 */

/**
 * @typedef {object} Asked One request, as `GET /_mock/requests` tells it.
 * @property {number} status
 * @property {string | null} scenario
 * @property {{ body: any }} request
 * @property {{ events: number, end: string | null, faults: string[] }} sent
 */

/**
 * Starts a server on a free port and waits until it listens.
 *
 * @param {Options} [options]
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
  // Its pipes are sockets, which the types do not say.
  for (const handle of /** @type {{ unref(): void }[]} */ ([child, child.stdin, child.stdout, child.stderr])) handle.unref();
  return mock;
}

/** A running server. */
class Mock {
  #child;
  #log = "";
  #ended;

  /**
   * @internal
   * @param {import("node:child_process").ChildProcessWithoutNullStreams} child
   * @param {string} apiKey
   */
  constructor(child, apiKey) {
    this.apiKey = apiKey;
    this.url = "";
    this.#child = child;
    child.stderr.on("data", (text) => (this.#log = (this.#log + text).slice(-MOST_LOG)));
    // A server that is gone does not read.
    child.stdin.on("error", () => {});
    /** @type {Promise<string>} */
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

  /**
   * Its address, as soon as it says it.
   *
   * @internal
   * @param {string} binary
   * @param {number} patience
   * @returns {Promise<string>}
   */
  async listening(binary, patience) {
    let said = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    /** @type {Promise<{ url?: string, why?: string }>} */
    const found = new Promise((resolve) => {
      this.#child.stdout.on("data", (text) => {
        said += text;
        const url = GREETING.exec(said)?.[1];
        if (url) resolve({ url });
      });
    });
    /** @type {Promise<{ url?: string, why?: string }>} */
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ why: `did not say that it listens within ${patience} ms` }), patience);
    });
    const { url, why } = await Promise.race([found, late, this.#ended.then((why) => ({ url: undefined, why }))]);
    clearTimeout(timer);
    if (url) return url;
    throw new Error(`${binary} ${why}:\n${said}${this.#log}`);
  }
}

/** What one test asks of the mock and tells it; other sessions do not see it. */
class Session {
  /**
   * @internal
   * @param {Mock} mock
   * @param {string} name
   */
  constructor(mock, name) {
    this.mock = mock;
    this.name = name;
    this.baseURL = mock.baseURL;
    this.apiKey = mock.apiKey;
    this.env = mock.env;
  }

  /**
   * What each of its requests has to carry.
   *
   * @returns {Record<string, string>}
   */
  get headers() {
    return { "x-mock-session": this.name };
  }

  /**
   * Answers with these, by name, in place of the folder's; with `null` the folder's are back.
   *
   * @param {Record<string, object> | null} scenarios
   */
  async scenarios(scenarios) {
    await this.#ask("PUT", "scenarios", { scenarios });
  }

  /**
   * What was asked and what was sent, the oldest first.
   *
   * @returns {Promise<Asked[]>}
   */
  async requests() {
    return (await this.#ask("GET", "requests")).data;
  }

  /**
   * How many requests fulfil `match` and were answered by `scenario`: `count`, `atLeast` or `atMost`, or one at least
   * where no number is given. Rejects, with the journal, where there are more or fewer.
   *
   * @param {object} [match]
   * @param {{ scenario?: string, count?: number, atLeast?: number, atMost?: number }} [wanted]
   * @returns {Promise<number>}
   */
  async verify(match = {}, { scenario, count, atLeast, atMost } = {}) {
    const isAny = count === undefined && atLeast === undefined && atMost === undefined;
    const said = { match, scenario, count, at_least: isAny ? 1 : atLeast, at_most: atMost };
    try {
      return (await this.#ask("POST", "verify", said)).count;
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

  /**
   * @param {string} method
   * @param {string} what
   * @param {object} [body]
   */
  async #ask(method, what, body) {
    /** @type {Record<string, string>} */
    const headers = { authorization: `Bearer ${this.apiKey}`, "content-type": "application/json" };
    if (this.name) Object.assign(headers, this.headers);
    const { status, text } = await send(`${this.mock.url}/_mock/${what}`, { method, headers }, body);
    const reply = text ? JSON.parse(text) : {};
    if (status < 300) return reply;
    throw Object.assign(new Error(`${reply.error?.message ?? text} (${status})`), { status });
  }
}

/**
 * Not `fetch`, which tests replace, and whose pool would outlive the server.
 *
 * @param {string} url
 * @param {import("node:http").RequestOptions} options
 * @param {object} [body]
 * @returns {Promise<{ status: number, text: string }>}
 */
function send(url, options, body) {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ...options, agent: false, timeout: 30_000 }, (reply) => {
      let text = "";
      reply.setEncoding("utf8");
      reply.on("data", (part) => (text += part));
      reply.on("end", () => resolve({ status: reply.statusCode ?? 0, text }));
      reply.on("error", reject);
    });
    asked.on("timeout", () => asked.destroy(new Error(`no answer from ${url}`)));
    asked.on("error", reject);
    asked.end(body && JSON.stringify(body));
  });
}

/**
 * @param {Asked} asked
 * @param {number} index
 */
function told({ status, scenario, request: { body }, sent }, index) {
  const said = [`${index + 1}. ${body?.model} -> ${status}`, `scenario ${scenario}`];
  if (status === 200) said.push(`${sent.events} events`, sent.end ?? "under way");
  const messages = (body?.messages ?? []).map((/** @type {any} */ { role, content }) => `   ${role}: ${JSON.stringify(content)?.slice(0, 200)}`);
  return [[...said, ...sent.faults].join(", "), ...messages].join("\n");
}
