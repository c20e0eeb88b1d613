// The catalog's files: read, and written so that a change of one offer is a change of one line.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { root } from "../process.mjs";

const folder = join(root, "catalog");
const MODEL_LINES = [
  ["slug", "canonical_slug", "name", "source"],
  ["description"],
  ["created", "expires", "successor", "context_length", "input", "output", "tokenizer"],
  ["hugging_face_id", "knowledge_cutoff", "categories", "distillable"],
  ["reasoning"],
  ["default_parameters"],
  ["parameters"],
  ["aliases"],
];

/** `{ models, providers, sources }`, as they stand in the folder. */
export function readCatalog(from = folder) {
  const read = (name) => JSON.parse(readFileSync(join(from, name), "utf8"));
  return { models: read("models.json"), providers: read("providers.json"), sources: read("sources.json") };
}

export function writeModels(models, to = folder) {
  writeFileSync(join(to, "models.json"), modelsText(models));
}

/** The text of models.json: models by slug, a few lines each, one line for each offer. */
export function modelsText(models) {
  const sorted = [...models].sort((a, b) => compare(a.slug, b.slug));
  return `[\n${sorted.map(modelText).join(",\n")}\n]\n`;
}

function modelText(model) {
  const known = new Set([...MODEL_LINES.flat(), "offers"]);
  const unknown = Object.keys(model).find((member) => !known.has(member));
  if (unknown) throw new Error(`models.json has no member ${unknown}`);
  const lines = MODEL_LINES.map((members) => members.filter((member) => model[member] !== undefined))
    .filter((members) => members.length)
    .map((members) => `    ${members.map((member) => `${JSON.stringify(member)}: ${spaced(model[member])}`).join(", ")}`);
  const offers = [...model.offers].sort((a, b) => compare(tagOf(a), tagOf(b))).map((offer) => `      ${spaced(offer)}`);
  return `  {\n${lines.join(",\n")},\n    "offers": [\n${offers.join(",\n")}\n    ]\n  }`;
}

/** What tells an offer from the others of its model. */
export function tagOf({ provider, variant }) {
  return variant ? `${provider}/${variant}` : provider;
}

/** JSON on one line, with a space after each comma and colon. */
function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}: ${spaced(member)}`).join(", ")}}`;
}

function compare(a, b) {
  return a < b ? -1 : a > b ? 1 : 0;
}
