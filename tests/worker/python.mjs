// Runs a Python script whose tests report themselves (see `suite.py`) and makes each one of ours.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { root } from "../../scripts/lib/process.mjs";

const PATIENCE_MS = 120_000;

/** Keeps what Python compiles, and keeps it out of the sources. */
export const pythonEnv = { PYTHONPYCACHEPREFIX: join(root, ".venv", "pycache") };

/** Runs `script` with `python`; `setting` is the JSON that it gets. */
export async function runScript(t, python, script, setting, env = {}) {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const running = promisify(execFile)(python, [path, JSON.stringify(setting)], {
    timeout: PATIENCE_MS,
    env: { ...process.env, ...pythonEnv, ...env },
  });
  const { stdout, stderr, code } = await running.catch((error) => error);
  const results = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  assert.ok(results.length > 0, stderr);
  for (const { name, error } of results) await t.test(name, () => assert.ok(!error, error));
  assert.ok(!code, stderr);
}
