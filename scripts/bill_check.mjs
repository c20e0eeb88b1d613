// npm run bill:check -- [--partial] FILE...: recomputes a bill from its exports alone. Files are those of
// GET /generations/export and GET /statements/{month}, in either format, as many as there are pages and
// months. Exit code 0: everything adds up. 1: something does not, and it says where. docs/receipts.md

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { checkBill } from "./lib/bill/check.mjs";
import { readExport } from "./lib/bill/read.mjs";
import { Failure, runMain } from "./lib/process.mjs";

const USAGE = "Usage: npm run bill:check -- [--partial] FILE...";

await runMain(() => {
  const { values, positionals } = parseArgs({ options: { partial: { type: "boolean" } }, allowPositionals: true });
  if (positionals.length === 0) throw new Failure(USAGE);
  const { differences, summary } = checkBill(positionals.map(readFile), { partial: values.partial });
  for (const difference of differences) console.log(difference);
  console.log(summary);
  return differences.length === 0 ? 0 : 1;
});

function readFile(path) {
  try {
    return readExport(path, readFileSync(path, "utf8"));
  } catch (error) {
    throw new Failure(`${path}: ${error.message}`);
  }
}
