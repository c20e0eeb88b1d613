// Codex through the gateway: on a provider of Responses, where its requests pass as they are, and
// on vendors whose protocols say the same in other words.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bundledCatalog, runCodex } from "./codex.mjs";
import { USAGE } from "./mock.mjs";
import { openWorkspace, startStage } from "./stage.mjs";

const RESPONSES = "openai/gpt-5.5";
const UPSTREAMS = [
  { name: "a Responses upstream", model: RESPONSES, path: /^\/v1\/responses$/ },
  { name: "a chat upstream", model: "openai/gpt-oss-120b", path: /^\/v1\/chat\/completions$/ },
  { name: "an Anthropic upstream", model: "anthropic/claude-sonnet-4.5", path: /^\/v1\/messages$/ },
  {
    name: "a Gemini upstream",
    model: "google/gemini-2.5-pro",
    path: /^\/v1beta\/models\/gemini-2\.5-pro:streamGenerateContent\?alt=sse$/,
  },
];

const stage = await startStage("codex");

/** One prompt about a note in a folder of its own, on an account of its own. */
async function play(prompt, { key, ...options } = {}) {
  const account = await stage.openAccount();
  const workspace = openWorkspace();
  stage.clear();
  const run = await runCodex(stage, {
    key: key ?? account.key,
    model: RESPONSES,
    prompt: `${prompt} ${workspace.note}`,
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

const said = ({ events }) => events.filter(({ item }) => item?.type === "agent_message").map(({ item }) => item.text);
const failure = ({ events }) => events.find(({ type }) => type === "turn.failed")?.error.message ?? "";

for (const { name, model, path } of UPSTREAMS) {
  test(`on ${name} it edits a file in a streamed tool loop`, async () => {
    const run = await play("CODEX_EDIT", { model });
    assert.equal(run.code, 0, shown(run));
    assert.equal(said(run).at(-1), "The note is blue now.", shown(run));
    run.workspace.assertEdited();
    const { usage } = run.events.find(({ type }) => type === "turn.completed");
    assert.equal(usage.input_tokens, 3 * USAGE.prompt_tokens);
    assert.equal(usage.output_tokens, 3 * USAGE.completion_tokens);
    assert.equal(stage.forwarded.length, 3);
    for (const forwarded of stage.forwarded) assert.match(forwarded.path, path);
    await stage.assertPaid(run.account, model, 3);
  });
}

test("a provider of Responses gets the request as it was sent", async () => {
  const run = await play("CODEX_EDIT");
  assert.equal(run.code, 0, shown(run));
  for (const [index, asked] of stage.asked.entries()) {
    const forwarded = stage.forwarded[index];
    assert.equal(forwarded.text, asked.text.replace(`"model":"${RESPONSES}"`, '"model":"gpt-5.5"'));
    assert.equal(forwarded.headers["x-codex-turn-metadata"], undefined);
  }
});

test("a tool of free text reaches a vendor that knows only functions, and back", async () => {
  const model = "openai/gpt-oss-120b";
  const run = await play("CODEX_PATCH", { model, catalog: known(model) });
  assert.equal(run.code, 0, shown(run));
  assert.equal(said(run).at(-1), "The note is blue now.", shown(run));
  run.workspace.assertEdited();
  const offered = stage.asked[0].json.tools.find(({ name }) => name === "apply_patch");
  assert.equal(offered.type, "custom");
  const items = stage.asked.at(-1).json.input.map(({ type }) => type);
  assert.deepEqual(items.slice(-2), ["custom_tool_call", "custom_tool_call_output"]);
});

test("a catalog that is asked for is one that it can read", async () => {
  const run = await play("HELLO", { commandAuth: true });
  assert.equal(said(run).at(-1), "Hello, agent. 世界 🌍", shown(run));
  const asked = stage.asked.filter(({ method }) => method === "GET");
  assert.ok(asked.length > 0, "it refreshes its catalog");
  for (const { path, status } of asked) {
    assert.match(path, /^\/api\/v1\/models\?client_version=/);
    assert.equal(status, 200);
  }
  assert.doesNotMatch(run.stderr, /failed to refresh available models/);
});

/** What a provider answers and what the agent makes of it. */
const REFUSALS = [
  { prompt: "ERR400", says: /"code":400.*mocked 400/, asks: 1 },
  // The provider refuses the gateway, not the agent.
  { prompt: "ERR401", says: /502.*refused the gateway's credentials/ },
  { prompt: "ERR402", says: /502.*refused the gateway's credentials/ },
  { prompt: "ERR429", says: /429 Too Many Requests/ },
  { prompt: "ERR500", says: /502.*mocked 500/ },
];
for (const { prompt, says, asks } of REFUSALS) {
  test(`a provider's ${prompt} is shown as what it is`, async () => {
    const run = await play(prompt);
    assert.notEqual(run.code, 0);
    assert.match(failure(run), says, shown(run));
    if (asks) assert.equal(stage.asked.length, asks);
    const { used } = await run.account.settled();
    assert.equal(used, 0n);
  });
}

for (const { name, model } of UPSTREAMS) {
  test(`what breaks off on ${name} is no reply to it`, async () => {
    const run = await play("BROKEN", { model });
    assert.match(failure(run), /stream disconnected before completion/, shown(run));
    assert.deepEqual(said(run), []);
  });
}

test("an unknown key is refused as such", async () => {
  const run = await play("HELLO", { key: `sk-mr-v1-${"0".repeat(12)}-${"0".repeat(43)}` });
  assert.match(failure(run), /401 Unauthorized/, shown(run));
  assert.equal(stage.forwarded.length, 0);
});

test("an account without credit is told so", async () => {
  const account = await stage.openAccount({ credit: "0" });
  const run = await play("HELLO", { key: account.key });
  assert.match(failure(run), /402 Payment Required.*requires more credits/, shown(run));
  assert.equal(stage.forwarded.length, 0);
});

/** Codex's own entry of a model that patches files, under the name of another. */
function known(slug) {
  const { models } = bundledCatalog();
  return { models: [{ ...models.find((model) => model.slug === "gpt-5.5"), slug }] };
}
