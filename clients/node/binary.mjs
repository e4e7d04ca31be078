// Where the binary is.

import { accessSync, constants, statSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join, resolve } from "node:path";

const PLATFORM = `${process.platform}-${process.arch}`;

/** The binary: `TOKENFALL_BIN`, else that of this package, else that of the `PATH`, else what was built here. */
export function findBinary() {
  const named = process.env.TOKENFALL_BIN;
  if (named) {
    if (!isRunnable(named)) throw new Error(`TOKENFALL_BIN=${named} is not a file that can be run`);
    return named;
  }
  const folders = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  const built = ["release", "debug"].map((build) => resolve("target", build));
  const found = installed() ?? [...folders, ...built].map((folder) => join(folder, "tokenfall")).find(isRunnable);
  if (found) return found;
  throw new Error("tokenfall was not found: set TOKENFALL_BIN, put it on the PATH, or run `cargo build --release`");
}

/** The binary that was installed with this package. */
export function packagedBinary() {
  const found = installed();
  if (found) return found;
  throw new Error(`@tokenfall/${PLATFORM} is not installed: there is no binary for this platform, or optional packages were left out`);
}

function installed() {
  try {
    return createRequire(import.meta.url).resolve(`@tokenfall/${PLATFORM}/tokenfall`);
  } catch {
    return undefined;
  }
}

/** @param {string} path */
function isRunnable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
