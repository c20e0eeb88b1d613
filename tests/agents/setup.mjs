// Installs the agents, about 800 MB, beside this file. A second run with nothing to do takes no
// time.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { root, run, runMain } from "../../scripts/lib/process.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const packages = join(here, "node_modules");

/** The node that runs the suites, which is a package of the project. */
export const node = join(root, "node_modules", "node", "bin", "node");
export const claude = join(packages, "@anthropic-ai", "claude-code", "bin", "claude.exe");
export const codex = join(packages, "@openai", "codex", "bin", "codex.js");

export async function setUp() {
  const stamp = join(packages, ".installed");
  const digest = createHash("sha256").update(readFileSync(join(here, "package-lock.json"))).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: here,
    advice: "npm ci in tests/agents failed: check that the npm registry can be reached, then run this again.",
  });
  // Puts the binary of this platform into its place; the one install script that is needed.
  await run(node, [join(packages, "@anthropic-ai", "claude-code", "install.cjs")]);
  writeFileSync(stamp, digest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(setUp);
