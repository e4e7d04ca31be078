#!/usr/bin/env node
// `tokenfall`, as npm puts it on the PATH: runs the binary of this machine.

import { spawn } from "node:child_process";

import { packagedBinary } from "./binary.mjs";

const child = spawn(packagedBinary(), process.argv.slice(2), { stdio: "inherit" });
// A terminal tells both of Ctrl-C; other signals may be sent to this process alone.
process.on("SIGINT", () => {});
process.on("SIGTERM", (signal) => child.kill(signal));
process.on("SIGHUP", (signal) => child.kill(signal));
child.on("error", (error) => {
  console.error(`tokenfall could not be run: ${error.message}`);
  process.exitCode = 1;
});
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 1;
  if (!signal) return;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
