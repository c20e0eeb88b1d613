// npm run build [-- --failpoints] [-- --dev]: the release wasm and its entry module in build/.
// --failpoints builds the tests' variant into build-failpoints/; --dev skips the optimiser.

import { parseArgs } from "node:util";

import { build } from "./lib/build.mjs";
import { runMain } from "./lib/process.mjs";
import { ensurePackages, ensureRust } from "./lib/setup.mjs";

await runMain(async () => {
  const { values } = parseArgs({ options: { failpoints: { type: "boolean" }, dev: { type: "boolean" } } });
  await ensurePackages();
  const rust = await ensureRust();
  console.log(await build(rust, { failpoints: values.failpoints, optimise: !values.dev }));
});
