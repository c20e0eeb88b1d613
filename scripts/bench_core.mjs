// npm run bench:core [-- --write]: counts the instructions and allocations of the core's cases and
// shows them beside their baselines in benches/core.json; `--write` makes these the baselines.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { excesses, measureCore, readBaseline, table, writeBaseline } from "./lib/core_bench.mjs";
import { root, runMain, say } from "./lib/process.mjs";
import { ensureRust } from "./lib/setup.mjs";

await runMain(async () => {
  const options = process.argv.slice(2);
  if (options.some((option) => option !== "--write")) {
    say("Usage: npm run bench:core [-- --write]");
    return 2;
  }
  const measured = await measureCore(await ensureRust());
  const baseline = existsSync(join(root, "benches", "core.json")) ? readBaseline() : null;
  console.log(table(measured, baseline));
  if (options.includes("--write")) {
    writeBaseline(measured);
    return 0;
  }
  const found = baseline === null ? ["there are no baselines"] : excesses(measured, baseline);
  for (const sentence of found) say(sentence);
  return found.length === 0 ? 0 : 1;
});
