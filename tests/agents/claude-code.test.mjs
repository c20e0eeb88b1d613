// Claude Code through the gateway: on Anthropic, where its requests pass as they are, and on two
// vendors whose protocols say the same in other words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { call } from "../worker/harness.mjs";
import { runClaude } from "./claude.mjs";
import { LONG, SIGNATURE, USAGE } from "./mock.mjs";
import { openWorkspace, startStage } from "./stage.mjs";

const ANTHROPIC = "anthropic/claude-sonnet-4.5";
/** Upstreams that speak another protocol than the client. */
const FOREIGN = [
  { name: "an OpenAI upstream", model: "openai/gpt-4.1", path: /^\/v1\/chat\/completions$/ },
  {
    name: "a Gemini upstream",
    model: "google/gemini-2.5-pro",
    path: /^\/v1beta\/models\/gemini-2\.5-pro:streamGenerateContent\?alt=sse$/,
  },
];

const stage = await startStage("claude-code");

/** One prompt about a note in a folder of its own, or a `bare` one, on an account of its own. */
async function play(prompt, { key, bare = false, ...options } = {}) {
  const account = await stage.openAccount();
  const workspace = openWorkspace();
  stage.clear();
  const run = await runClaude(stage, {
    key: key ?? account.key,
    model: ANTHROPIC,
    prompt: bare ? prompt : `${prompt} ${workspace.note}`,
    workspace,
    ...options,
  });
  return { ...run, account, workspace };
}

/** What there is to say of a run that went otherwise. */
function shown({ stdout, stderr }) {
  const asked = stage.asked.map(({ method, path, status }) => `${method} ${path}: ${status}`);
  return [stdout, stderr, ...asked].join("\n");
}

test("on an Anthropic upstream it edits a file in a streamed tool loop", async () => {
  const run = await play("CLAUDE_EDIT");
  assert.equal(run.result?.is_error, false, shown(run));
  assert.equal(run.result.result, "The note is blue now.");
  run.workspace.assertEdited();
  assert.equal(run.result.num_turns, 3);
  assert.equal(run.result.usage.input_tokens, 3 * USAGE.prompt_tokens);
  assert.equal(run.result.usage.output_tokens, 3 * USAGE.completion_tokens);
  await stage.assertPaid(run.account, ANTHROPIC, stage.forwarded.length);
});

test("an Anthropic upstream gets the request as it was sent, betas and signatures included", async () => {
  const run = await play("CLAUDE_EDIT");
  assert.equal(run.result?.is_error, false, shown(run));
  const pairs = stage.asked.map((asked, index) => [asked, stage.forwarded[index]]);
  assert.equal(stage.forwarded.length, pairs.length);
  for (const [asked, forwarded] of pairs) {
    assert.equal(forwarded.path, "/v1/messages");
    assert.match(forwarded.headers["anthropic-beta"], /^claude-code-\d+,/);
    assert.equal(forwarded.headers["anthropic-beta"], asked.headers["anthropic-beta"]);
    assert.equal(forwarded.headers["anthropic-version"], "2023-06-01");
    assert.equal(forwarded.headers.authorization, undefined);
    assert.equal(forwarded.text, asked.text.replace(`"${ANTHROPIC}"`, '"claude-sonnet-4-5"'));
  }
  const blocks = stage.forwarded.at(-1).json.messages.flatMap(({ content }) => content);
  const seals = blocks.filter(({ type }) => type === "thinking").map(({ signature }) => signature);
  assert.deepEqual(seals, [SIGNATURE, SIGNATURE]);
});

for (const { name, model, path } of FOREIGN) {
  test(`on ${name} it edits a file in a streamed tool loop`, async () => {
    const run = await play("CLAUDE_EDIT", { model });
    assert.equal(run.result?.is_error, false, shown(run));
    assert.equal(run.result.result, "The note is blue now.");
    run.workspace.assertEdited();
    assert.equal(run.result.usage.input_tokens, 3 * USAGE.prompt_tokens);
    assert.equal(run.result.usage.output_tokens, 3 * USAGE.completion_tokens);
    for (const forwarded of stage.forwarded) {
      assert.match(forwarded.path, path);
      assert.equal(forwarded.headers["anthropic-beta"], undefined);
      assert.equal(forwarded.headers["anthropic-version"], undefined);
      assert.doesNotMatch(forwarded.text, /x-anthropic-billing-header|cache_control|context_management/);
    }
    await stage.assertPaid(run.account, model, stage.forwarded.length);
  });

  test(`on ${name} a picture that a tool found is seen by the model`, async () => {
    const run = await play("CLAUDE_IMAGE", { model });
    assert.equal(run.result?.result, "It is a dot.", shown(run));
    const told = stage.asked.at(-1).json.messages.at(-1).content;
    const { data } = told.flatMap(({ content }) => content).find((part) => part?.type === "image").source;
    assert.ok(stage.forwarded.at(-1).text.includes(data));
  });

  test(`on ${name} it answers two calls that came at once`, async () => {
    const run = await play("CLAUDE_PARALLEL", { model });
    assert.equal(run.result?.is_error, false, shown(run));
    assert.equal(run.result.result, "I have seen both.");
    assert.equal(run.result.num_turns, 3);
  });
}

test("structured output is asked for as a tool", async () => {
  const schema = JSON.stringify({ type: "object", properties: { colour: { type: "string" } }, required: ["colour"] });
  const run = await play("CLAUDE_STRUCTURED", { options: ["--json-schema", schema] });
  assert.equal(run.result?.is_error, false, shown(run));
  assert.deepEqual(run.result.structured_output, { colour: "grey" });
});

test("it asks for the gateway's models and can use what it finds", async () => {
  const env = {
    CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY: "1",
    CLAUDE_CODE_USE_GATEWAY: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "",
  };
  const run = await play("HELLO", { env });
  assert.equal(run.result?.result, "Hello, agent. 世界 🌍", shown(run));
  const probes = stage.asked.filter(({ path }) => !path.startsWith("/api/v1/messages"));
  assert.deepEqual(probes.map(({ method, path, status }) => [method, path, status]), [
    ["GET", "/api/v1/models?limit=1000", 200],
  ]);
  const { json } = await call(stage.gateway, "GET", "/api/v1/models?limit=1000", { key: run.account.key });
  const usable = json.data.filter(({ id, display_name }) => /^(claude|anthropic)/.test(id) && display_name);
  assert.ok(usable.some(({ id }) => id === ANTHROPIC));
});

test("whatever it takes for its base answers when it is probed", async () => {
  for (const method of ["HEAD", "GET"]) {
    for (const path of ["/", "/api", "/api/", "/api/v1", "/v1"]) {
      assert.equal((await call(stage.gateway, method, path)).status, 200, `${method} ${path}`);
    }
  }
});

test("/context counts tokens at the gateway, for nothing", async () => {
  const run = await play("/context", { bare: true });
  assert.match(run.result?.result ?? "", /Context Usage/, shown(run));
  assert.ok(stage.asked.length > 0);
  for (const { path, status } of stage.asked) {
    assert.equal(path, "/api/v1/messages/count_tokens?beta=true");
    assert.equal(status, 200);
  }
  assert.equal(stage.forwarded.length, 0);
  assert.equal((await run.account.credits()).used, 0n);
});

/** What a provider answers, what the agent makes of it, and how often it asks (with one retry). */
const REFUSALS = [
  { prompt: "ERR400", status: 400, says: /^API Error: 400 .*mocked 400/ },
  // The provider refuses the gateway, not the agent, which must not tell its user to log in.
  { prompt: "ERR401", status: 502, says: /refused the gateway's credentials/, asks: 2 },
  { prompt: "ERR402", status: 502, says: /refused the gateway's credentials/, asks: 2 },
  { prompt: "ERR429", status: 429, says: /\(429\).*mocked 429/, asks: 2 },
  { prompt: "ERR500", status: 502, says: /mocked 500/, asks: 2 },
  { prompt: "ERR529", status: 503, says: /mocked 529/, asks: 2 },
];
for (const { prompt, status, says, asks } of REFUSALS) {
  test(`a provider's ${prompt} is shown as ${status}`, async () => {
    const run = await play(prompt);
    assert.equal(run.result?.is_error, true, shown(run));
    assert.equal(run.result.api_error_status, status);
    assert.match(run.result.result, says);
    if (asks) assert.equal(stage.asked.length, asks);
    const { used } = await run.account.settled();
    assert.equal(used, 0n);
  });
}

test("an overloaded provider makes it turn to its fallback model", async () => {
  const run = await play("ERR529", { options: ["--fallback-model", "anthropic/claude-haiku-4.5"] });
  assert.equal(run.result?.api_error_type, "overloaded_error", shown(run));
  assert.equal(stage.asked.at(-1).json.model, "anthropic/claude-haiku-4.5");
});

for (const [prompt, model] of [
  ["TOO_LONG_ANTHROPIC", ANTHROPIC],
  ["TOO_LONG_OPENAI", "openai/gpt-4.1"],
]) {
  test(`it sees that a prompt is too long in the words of ${prompt}`, async () => {
    const run = await play(prompt, { model });
    assert.match(run.result?.result ?? "", /^Prompt is too long/, shown(run));
    assert.equal(stage.asked.length, 1);
  });
}

for (const { name, model } of [{ name: "an Anthropic upstream", model: ANTHROPIC }, ...FOREIGN]) {
  test(`what breaks off on ${name} is no reply to it`, async () => {
    const run = await play("BROKEN", { model });
    assert.equal(run.result?.result.trim(), LONG.trim(), shown(run));
    // It asks once more for a reply in one piece.
    assert.deepEqual(stage.asked.map(({ json }) => json.stream ?? false), [true, false]);
  });
}

test("an unknown key is refused as such", async () => {
  const run = await play("HELLO", { key: `sk-mr-v1-${"0".repeat(12)}-${"0".repeat(43)}` });
  assert.equal(run.result?.api_error_status, 401, shown(run));
  assert.match(run.result.result, /^Failed to authenticate/);
  assert.equal(stage.forwarded.length, 0);
});

test("an account without credit is told so at once", async () => {
  const account = await stage.openAccount({ credit: "0" });
  const run = await play("HELLO", { key: account.key });
  assert.equal(run.result?.api_error_status, 402, shown(run));
  assert.match(run.result.result, /requires more credits/);
  assert.deepEqual([stage.asked.length, stage.forwarded.length], [1, 0]);
});
