// .dev.vars: the variables and secrets of a gateway on this machine, one NAME=value per line.

import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Failure, root, say } from "./process.mjs";

export const devVarsPath = join(root, ".dev.vars");

/** Returns the variables of .dev.vars, made with a fresh admin key if there is no such file. */
export function ensureDevVars() {
  if (!existsSync(devVarsPath)) {
    writeFileSync(devVarsPath, freshDevVars(), { mode: 0o600, flag: "wx" });
    say("- Made .dev.vars with a fresh MILLRACE_ADMIN_KEY; provider keys go there too");
  }
  const vars = readVars(devVarsPath);
  if (!vars.MILLRACE_ADMIN_KEY) {
    throw new Failure('.dev.vars has no MILLRACE_ADMIN_KEY: add a line MILLRACE_ADMIN_KEY="<a long random secret>".');
  }
  return vars;
}

/** Returns the variables of a file in the format of .dev.vars, by name. */
export function readVars(path) {
  return parseVars(readFileSync(path, "utf8"));
}

export function parseVars(text) {
  const lines = text.split(/\r?\n/).map((line) => line.match(/^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/));
  return Object.fromEntries(lines.filter(Boolean).map(([, name, value]) => [name, unquote(value)]));
}

function unquote(value) {
  const quoted = value.match(/^(["'`])(.*?)\1\s*(?:#.*)?$/);
  if (quoted === null) return value.replace(/\s+#.*$/, "");
  return quoted[1] === '"' ? quoted[2].replaceAll("\\n", "\n") : quoted[2];
}

function freshDevVars() {
  return `# Secrets of the gateway on this machine. Keep this file to yourself.
MILLRACE_ADMIN_KEY="sk-mr-admin-${randomBytes(24).toString("hex")}"

# A provider becomes live when its key is here.
# OPENAI_API_KEY="sk-..."
# ANTHROPIC_API_KEY="sk-ant-..."
`;
}
