// npm run symbols [-- FILE]: a log with the names of functions where a trace has numbers. Reads standard input and
// writes standard output. FILE is build/millrace_bg.symbols unless it is given: that of the build which wrote the log.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { Failure, root, runMain } from "./lib/process.mjs";
import { readSymbols, withNames } from "./lib/symbols.mjs";

await runMain(() => {
  const path = process.argv[2] ?? join(root, "build", "millrace_bg.symbols");
  if (!existsSync(path)) throw new Failure(`There is no ${path}: \`npm run build\` writes build/millrace_bg.symbols.`);
  process.stdout.write(withNames(readFileSync(0, "utf8"), readSymbols(readFileSync(path, "utf8"))));
});
