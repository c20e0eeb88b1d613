// npm run bench:core [-- --write | --native]: counts the instructions and allocations of the core's cases
// and shows them beside their baselines in benches/core.json; `--write` makes these the baselines,
// `--native` times the cases as native code instead.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { excesses, measureCore, readBaseline, table, writeBaseline } from "./lib/core_bench.mjs";
import { root, run, runMain, say } from "./lib/process.mjs";
import { ensureRust } from "./lib/setup.mjs";

await runMain(async () => {
  const options = process.argv.slice(2);
  if (options.length > 1 || options.some((option) => !["--write", "--native"].includes(option))) {
    say("Usage: npm run bench:core [-- --write | --native]");
    return 2;
  }
  const rust = await ensureRust();
  if (options.includes("--native")) {
    const manifest = join(root, "benches", "core", "Cargo.toml");
    const build = ["run", "--locked", "--profile", "native", "--bin", "native", "--manifest-path", manifest];
    await run(join(rust.bin, "cargo"), build, { env: rust.env });
    return 0;
  }
  const measured = await measureCore(rust);
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
