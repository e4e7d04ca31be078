// The helper for Node, as a test of a user has it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startMock } from "../../../clients/node/mock.mjs";

const SCENARIO = { match: { last_user: "Good day" }, reply: { text: "Hello!" } };
const HELPER = new URL("../../../clients/node/mock.mjs", import.meta.url);

let mock;
before(async () => (mock = await startMock()));
after(() => mock.stop());

async function ask(session, headers = {}) {
  const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "Good day" }] });
  const all = { "content-type": "application/json", ...session.headers, ...headers };
  const reply = await fetch(`${session.baseURL}/chat/completions`, { method: "POST", body, headers: all });
  return (await reply.json()).choices?.[0].message.content;
}

test("a session has scenarios and requests of its own", async () => {
  const [one, other] = [mock.session(), mock.session()];
  await one.scenarios({ hello: SCENARIO });
  assert.equal(await ask(one), "Hello!");
  assert.notEqual(await ask(other), "Hello!");
  assert.deepEqual((await one.requests()).map(({ scenario }) => scenario), ["hello"]);
  await one[Symbol.asyncDispose]();
  assert.deepEqual(await one.requests(), []);
});

test("verify counts, and says what came instead", async () => {
  const session = mock.session();
  await assert.rejects(session.verify(), /at least 1.*found 0[^]*no request came/);
  await ask(session);
  assert.equal(await session.verify({ last_user: "Good day" }, { count: 1 }), 1);
  await assert.rejects(session.verify({ last_user: "Bye" }), /at least 1.*found 0 of 1[^]*1\. m -> 200[^]*user: "Good day"/);
  await assert.rejects(session.verify({ last_usr: "Good day" }), /last_usr/);
  await ask(session, { "x-mock-fault": "status=429" });
  assert.match(await session.journal(), /2\. m -> 429/);
});

test("what cannot start says why", async () => {
  await assert.rejects(startMock({ prompts: "/no/such/folder" }), /exit code 2[^]*\/no\/such\/folder/);
  await assert.rejects(startMock({ binary: "/no/such/binary" }), /\/no\/such\/binary could not be run/);
  const silent = join(mkdtempSync(join(tmpdir(), "tokenfall-")), "silent");
  writeFileSync(silent, "#!/bin/sh\necho waiting >&2\nexec sleep 60\n");
  chmodSync(silent, 0o755);
  await assert.rejects(startMock({ binary: silent, patience: 300 }), /within 300 ms[^]*waiting/);
});

test("a process that forgets it ends, and it with it", async () => {
  const script = `import { startMock } from "${HELPER}"; console.log((await startMock()).url);`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 20_000, encoding: "utf8" });
  assert.equal(run.status, 0, run.stderr);
  const url = run.stdout.trim();
  for (let left = 500; ; left--) {
    const isThere = await fetch(url).then(() => true, () => false);
    if (!isThere) break;
    assert.ok(left, "the server is still there");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});
