// Claude Code as its users run it without a terminal: `claude -p`.

import { claude } from "./setup.mjs";
import { runAgent } from "./stage.mjs";

/** Runs one prompt: `{code, stderr, result}`, the result as `--output-format json` tells it. */
export async function runClaude(stage, { key, model, prompt, workspace, options = [], env = {} }) {
  const argumentList = ["-p", prompt, "--model", model, "--output-format", "json"];
  const permissions = ["--permission-mode", "acceptEdits", "--allowedTools", "Read", "Edit", "Glob"];
  const { code, stdout, stderr } = await runAgent(claude, [...argumentList, ...options, ...permissions], workspace, {
    ANTHROPIC_BASE_URL: `${stage.url}/api`,
    ANTHROPIC_AUTH_TOKEN: key,
    ANTHROPIC_API_KEY: "",
    // What it does on the side is asked of the same model.
    ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    CLAUDE_CODE_MAX_RETRIES: "1",
    ...env,
  });
  return { code, stderr, stdout, result: read(stdout) };
}

function read(stdout) {
  try {
    return JSON.parse(stdout);
  } catch {
    return null;
  }
}
