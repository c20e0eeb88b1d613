// npm run fuzz [-- <seconds> [<target> ...]]: replays the kept inputs of each target and mutates
// them for some seconds, guided by what they reach. Plain stable Rust and a C++ compiler suffice.
// What is found is left in fuzz/artifacts/.

import { runMain, say } from "./lib/process.mjs";
import { ensureRust, rustForChecks } from "./lib/setup.mjs";
import { fuzz, targets } from "./lib/fuzz.mjs";

const SECONDS = 60;

await runMain(async () => {
  const [seconds = String(SECONDS), ...names] = process.argv.slice(2);
  const known = targets();
  if (!/^\d+$/.test(seconds) || names.some((name) => !known.includes(name))) {
    say(`Usage: npm run fuzz [-- <seconds> [<target> ...]]\nTargets: ${known.join(" ")}`);
    return 2;
  }
  const result = await fuzz(rustForChecks(await ensureRust()), { seconds: Number(seconds), names });
  if (result.skipped) say(`Skipped: ${result.skipped}.`);
  return result.failed === 0 ? 0 : 1;
});
