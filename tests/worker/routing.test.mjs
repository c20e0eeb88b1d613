// Where requests go and why, in the built worker: asked beforehand, told afterwards, kept for a
// session, chosen by what is asked.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { chat, post, user } from "./chat.mjs";
import { openAccount, providerVars, startGateway } from "./harness.mjs";
import { replied, startUpstream } from "./upstream.mjs";

const MANY_PROVIDERS = "openai/gpt-oss-120b";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "routing", vars: providerVars(upstream.base) });
const { key, credits } = await openAccount(gateway, { credit: "100" });

const route = async (body, path = "/api/v1/route") => {
  const response = await post(gateway, key, body, { path });
  return { status: response.status, json: await response.json() };
};

test("a request can be explained without being sent", async () => {
  const prompt = upstream.plays(replied("never"));
  const before = await credits();
  const { status, json } = await route({
    model: MANY_PROVIDERS,
    messages: user(prompt),
    provider: { ignore: ["groq"], sort: "price" },
  });
  assert.equal(status, 200, JSON.stringify(json));
  const { order, removed, strategy } = json.data;
  assert.equal(strategy, "direct");
  const prices = order.map(({ price }) => 3 * Number(price.prompt) + Number(price.completion));
  assert.deepEqual(prices, prices.toSorted((one, other) => one - other));
  assert.deepEqual(
    order.map((each) => each.position),
    order.map((_, row) => row + 1),
  );
  const groq = removed.find((each) => each.provider === "groq");
  assert.deepEqual([groq.removed_by, groq.reason], ["ignored_providers", "Groq is in provider.ignore"]);
  assert.equal(upstream.exchanges(prompt).length, 0);
  assert.deepEqual(await credits(), before);
});

test("each protocol's requests are explained at their own path", async () => {
  const content = "Translate this into French: good morning";
  const bodies = {
    "chat/completions": { messages: user(content) },
    messages: { max_tokens: 9, messages: user(content) },
    responses: { input: content },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const { status, json } = await route({ model: "openrouter/auto", ...body }, `/api/v1/route/${path}`);
    assert.equal(status, 200, JSON.stringify(json));
    assert.equal(json.data.router.task, "translation", path);
    assert.equal(json.data.order[0].model, json.data.router.models[0]);
  }
  const { status, json } = await route({ model: "nobody/nothing", messages: user("a") });
  assert.deepEqual([status, json.error.availability.code], [400, "model_not_found"]);
});

test("the auto router answers with a model, and says why it took it", async () => {
  const prompt = upstream.plays(replied("def f(): pass"));
  const reply = await chat(
    gateway,
    key,
    { model: "openrouter/auto", messages: user(`${prompt} Write a unit test in Python`) },
    { headers: { "X-OpenRouter-Metadata": "Enabled" } },
  );
  assert.equal(reply.status, 200, reply.text);
  const { requested, strategy, router } = reply.json.openrouter_metadata;
  assert.deepEqual([requested, strategy, router.task, router.cost_tier], ["openrouter/auto", "auto", "code", "low"]);
  assert.equal(reply.json.model, router.models[0]);
});

test("a session stays with one provider, whoever asks it to", async () => {
  const served = new Set();
  for (let turn = 0; turn < 6; turn += 1) {
    const body = { model: MANY_PROVIDERS, messages: user(upstream.plays(replied("ok"))) };
    const named = turn % 2 === 0 ? { session_id: "one" } : {};
    const headers = turn % 2 === 0 ? {} : { "x-session-id": "one" };
    const reply = await chat(gateway, key, { ...body, ...named }, { headers });
    assert.equal(reply.status, 200, reply.text);
    served.add(reply.json.provider);
  }
  assert.equal(served.size, 1, [...served].join(", "));
});

test("who cannot be served is told in the error, how it was routed beside it", async () => {
  const body = { model: MANY_PROVIDERS, messages: user("a"), provider: { max_price: { prompt: 0.000001 } } };
  const { status, json } = await chat(gateway, key, body, { headers: { "x-openrouter-metadata": "enabled" } });
  assert.equal(status, 404);
  assert.equal(json.error.availability.code, "constraint_filtered");
  assert.deepEqual(json.error.availability.excluded_by, ["max_price"]);
  assert.equal(json.openrouter_metadata.attempt, 0);
  assert.equal(json.openrouter_metadata.endpoints.total, json.error.metadata.candidates.length);
});
