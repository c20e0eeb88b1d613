// npm run catalog:update -- --from <file or URL> [--only <pattern>]… [--joined <day>] [--label <name>]
//   [--prune] [--all] [--write]
// Merges a source of models and prices into catalog/models.json and shows what would change. Writes
// only with --write, and never what is not sound. catalog/README.md says what wins over what.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { readCatalog, writeModels } from "./lib/catalog/file.mjs";
import { report } from "./lib/catalog/report.mjs";
import { update } from "./lib/catalog/update.mjs";
import { Failure, runMain, say } from "./lib/process.mjs";

const OPTIONS = {
  from: { type: "string" }, only: { type: "string", multiple: true }, joined: { type: "string" }, label: { type: "string" },
  prune: { type: "boolean" }, all: { type: "boolean" }, write: { type: "boolean" },
};

await runMain(async () => {
  const { values } = parseArgs({ options: OPTIONS });
  const from = values.from ?? process.env.CATALOG_SOURCE;
  if (!from) throw new Failure("Say where to read from: --from <file or URL>, such as models.dev's api.json.");
  const catalog = readCatalog();
  const joined = day(values.joined ?? new Date().toISOString().slice(0, 10));
  const label = values.label ?? labelOf(from);
  const result = update(catalog, await readDocument(from), { joined, label, only: values.only ?? [], prune: values.prune ?? false });
  console.log(report(result, { all: values.all }));
  if (result.mistakes.length) throw new Failure("Nothing is written: what came out is not sound.");
  if (!values.write) say("Nothing is written yet: add --write.");
  else writeModels(result.models);
});

async function readDocument(from) {
  try {
    if (!/^https?:/.test(from)) return JSON.parse(readFileSync(from, "utf8"));
    const response = await fetch(from);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return await response.json();
  } catch (error) {
    throw new Failure(`${from} cannot be read: ${error.message}`);
  }
}

function labelOf(from) {
  return `${from.replace(/^https?:\/\//, "").split("/")[0] || from}`;
}

function day(text) {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new Failure(`--joined is no day: ${text}`);
  return time / 1000;
}
