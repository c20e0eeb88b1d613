// Runs the programs of docs/clients.md as they stand there, but for the gateway's address.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { root } from "../../scripts/lib/process.mjs";
import { openAccount, startGateway } from "./harness.mjs";
import { pythonEnv } from "./python.mjs";
import { interpreters, node } from "./setup.mjs";
import { startWires } from "./wires.mjs";

/** Where the clients of a section are installed; sections that are not here are not run. */
const PROGRAMS = {
  "OpenAI SDK": interpreters.sdks,
  "Anthropic SDK": interpreters.sdks,
  "Google Gen AI SDK": interpreters.sdks,
  "OpenRouter SDK": null,
  "AI SDK": null,
  LangChain: interpreters.agents,
  LlamaIndex: interpreters.llamaIndex,
  "pydantic-ai": interpreters.agents,
};
const ADDRESS = "http://127.0.0.1:8787";
const PATIENCE_MS = 60_000;

const wires = await startWires();
after(() => wires.stop());
wires.mock.onMessage("Hello!", { content: "Hello yourself." });
const gateway = await startGateway({ suite: "clients-page", vars: wires.vars });
const { key } = await openAccount(gateway);
const here = fileURLToPath(new URL(".", import.meta.url));
const page = readFileSync(join(root, "docs", "clients.md"), "utf8");

for (const [title, python] of Object.entries(PROGRAMS)) {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`));
  const all = [...(section ?? "").matchAll(/^```(python|js)\n([^]*?)^```$/gm)];
  const programs = all.filter(([, , text]) => !text.includes("llama_index.llms"));
  test(`${title} has programs`, () => assert.ok(programs.length > 0));
  for (const [, language, text] of programs) {
    test(`${title}: the ${language} program does what it says`, async () => {
      const program = text.replaceAll(ADDRESS, gateway.url);
      const [command, option] = language === "js" ? [node, ["--input-type=module", "-e"]] : [python, ["-c"]];
      const env = { ...process.env, ...pythonEnv, MILLRACE_API_KEY: key, LANGSMITH_TRACING: "false" };
      const running = promisify(execFile)(command, [...option, program], { cwd: here, env, timeout: PATIENCE_MS });
      const { stdout, stderr, code } = await running.catch((error) => error);
      assert.ok(!code, stderr);
      assert.match(stdout, /Hello yourself\.|^\d+$/m, stderr);
    });
  }
}
