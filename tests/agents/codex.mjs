// Codex as its users run it without a terminal: `codex exec`.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { codex, node } from "./setup.mjs";
import { runAgent } from "./stage.mjs";

/** Runs one prompt: `{code, stdout, stderr, events}`, the events as `--json` tells them. */
export async function runCodex(stage, { key, model, prompt, workspace, catalog, commandAuth = false }) {
  const folder = join(workspace.home, ".codex");
  mkdirSync(folder, { recursive: true });
  const lines = [`model = "${model}"`, 'model_provider = "millrace"'];
  if (catalog) {
    const path = join(folder, "catalog.json");
    writeFileSync(path, JSON.stringify(catalog));
    lines.push(`model_catalog_json = "${path}"`);
  }
  lines.push(...provider(`${stage.url}/api/v1`, commandAuth));
  writeFileSync(join(folder, "config.toml"), `${lines.join("\n")}\n`);
  const options = ["--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
  const env = { MILLRACE_API_KEY: key };
  const { code, stdout, stderr } = await runAgent(node, [codex, "exec", ...options, prompt], workspace, env);
  return { code, stdout, stderr, events: stdout.split("\n").filter(Boolean).flatMap(read) };
}

/** The models that Codex knows by itself. */
export function bundledCatalog() {
  const { stdout } = spawnSync(node, [codex, "debug", "models", "--bundled"], { maxBuffer: 2 ** 25 });
  return JSON.parse(stdout);
}

/** With `commandAuth` the key comes from a program, which makes Codex ask for a catalog too. */
function provider(base, commandAuth) {
  const auth = commandAuth
    ? 'auth = { command = "printenv", args = ["MILLRACE_API_KEY"] }'
    : 'env_key = "MILLRACE_API_KEY"';
  return [
    "[model_providers.millrace]",
    'name = "Millrace"',
    `base_url = "${base}"`,
    'wire_api = "responses"',
    "supports_websockets = false",
    "request_max_retries = 1",
    "stream_max_retries = 1",
    auth,
  ];
}

function read(line) {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
