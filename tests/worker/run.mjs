// Runs every suite against the built worker: `node tests/worker/run.mjs [name ...]`. The suite that
// looks for canaries comes last, because it reads what the others left in the run's folder.

import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { root, runMain, say, startGroup } from "../../scripts/lib/process.mjs";
import { node, setUp } from "./setup.mjs";

const LAST = "canaries.test.mjs";
/** Suites share the machine: with more at once, the ones that measure time would measure the others. */
const AT_ONCE = 2;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

const here = fileURLToPath(new URL(".", import.meta.url));
const runFolder = join(root, "target", "worker-tests");

await runMain(async () => {
  await setUp();
  rmSync(runFolder, { recursive: true, force: true });
  mkdirSync(runFolder, { recursive: true });
  const wanted = process.argv.slice(2);
  const suites = readdirSync(here)
    .filter((name) => name.endsWith(".test.mjs"))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .sort();
  let passed = true;
  for (const group of [suites.filter((name) => name !== LAST), suites.filter((name) => name === LAST)]) {
    if (group.length > 0) passed = (await runSuites(group)) && passed;
  }
  if (!passed) say(`What the suites left is in ${runFolder}`);
  return passed ? 0 : 1;
});

async function runSuites(names) {
  const env = { ...process.env, MILLRACE_TEST_RUN: runFolder };
  const options = ["--test", `--test-concurrency=${AT_ONCE}`, "--test-timeout=1000000", "--test-reporter=spec"];
  const { closed, stop } = startGroup(node, [...options, ...names.map((name) => join(here, name))], {
    env,
    stdio: "inherit",
  });
  // Asked to end, the suites end what they started.
  const end = () => stop().then(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, end);
  const code = await closed;
  for (const signal of SIGNALS) process.off(signal, end);
  return code === 0;
}
