// npm run test:agents: builds the gateway and lets real coding agents work through it. Apart from
// `npm test`, because the agents are downloads of about 800 MB.

import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "../../scripts/lib/build.mjs";
import { root, runMain, say, startGroup, step } from "../../scripts/lib/process.mjs";
import { ensurePackages, ensureRust } from "../../scripts/lib/setup.mjs";
import { node, setUp } from "./setup.mjs";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

const here = fileURLToPath(new URL(".", import.meta.url));
const runFolder = join(root, "target", "agent-tests");

await runMain(async () => {
  await ensurePackages();
  await step("Installing the agents", setUp);
  await build(await ensureRust());
  rmSync(runFolder, { recursive: true, force: true });
  mkdirSync(runFolder, { recursive: true });
  const wanted = process.argv.slice(2);
  const suites = readdirSync(here)
    .filter((name) => name.endsWith(".test.mjs"))
    .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
    .map((name) => join(here, name));
  const passed = await runSuites(suites);
  if (!passed) say(`What the suites left is in ${runFolder}`);
  return passed ? 0 : 1;
});

/** One suite after the other: agents take time, and would measure each other. */
async function runSuites(paths) {
  const options = ["--test", "--test-concurrency=1", "--test-timeout=1000000", "--test-reporter=spec"];
  const { closed, stop } = startGroup(node, [...options, ...paths], {
    env: { ...process.env, MILLRACE_TEST_RUN: runFolder },
    stdio: "inherit",
  });
  // Asked to end, the suites end what they started.
  const end = () => stop().then(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, end);
  const code = await closed;
  for (const signal of SIGNALS) process.off(signal, end);
  return code === 0;
}
