// npm run test:live [-- name ...]: the gateway in workerd over a real model. Opt-in, because the
// first run builds llama.cpp; `npm test` needs none of it.

import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "../../scripts/lib/build.mjs";
import { root, runMain, say, startGroup } from "../../scripts/lib/process.mjs";
import { ensurePackages, ensureRust } from "../../scripts/lib/setup.mjs";
import { node } from "../worker/setup.mjs";
import { setUp } from "./setup.mjs";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

const here = fileURLToPath(new URL(".", import.meta.url));
const runFolder = join(root, "target", "live-tests");

await runMain(async () => {
  await ensurePackages();
  // The model is slow enough: the optimiser would gain nothing here.
  await build(await ensureRust(), { optimise: false });
  await setUp();
  rmSync(runFolder, { recursive: true, force: true });
  mkdirSync(runFolder, { recursive: true });
  const code = await runSuites(suites(process.argv.slice(2)));
  if (code !== 0) say(`What the suites left is in ${runFolder}`);
  return code;
});

function suites(wanted) {
  return readdirSync(here)
    .filter((name) => name.endsWith(".test.mjs"))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .sort();
}

/** One suite at a time: each has a model at work. */
async function runSuites(names) {
  const env = { ...process.env, MILLRACE_TEST_RUN: runFolder };
  const options = ["--test", "--test-concurrency=1", "--test-timeout=1000000", "--test-reporter=spec"];
  const files = names.map((name) => join(here, name));
  const { closed, stop } = startGroup(node, [...options, ...files], { env, stdio: "inherit" });
  const end = () => stop().then(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, end);
  const code = await closed;
  for (const signal of SIGNALS) process.off(signal, end);
  return code === 0 ? 0 : 1;
}
