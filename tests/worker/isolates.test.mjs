// What one live isolate learns, another gets to know while it goes on serving: how providers fare, and
// what an operator lays over the catalog.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { chat, user } from "./chat.mjs";
import { admin, adminKey, call, openAccount, providerVars, startGateway } from "./harness.mjs";
import { refused, replied, startUpstream } from "./upstream.mjs";
import { eventually } from "./wait.mjs";

const SICK = "openai/gpt-oss-20b";
const WELL = "openai/gpt-oss-120b";
const GROQ_FIRST = { order: ["groq", "deepinfra"], only: ["groq", "deepinfra"] };
const LAID = "openai/gpt-4.1-mini";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "isolates",
  health: "on",
  isolates: 2,
  vars: providerVars(upstream.base),
});
const [one, other] = gateway.isolates();
const { key } = await openAccount(gateway, { credit: "1000" });

async function ask(isolate, model, ...scripts) {
  const prompt = upstream.plays(...scripts);
  const reply = await chat(isolate, key, { model, provider: GROQ_FIRST, messages: user(prompt) });
  assert.equal(reply.status, 200, reply.text);
  return upstream.exchanges(prompt).map((exchange) => exchange.provider);
}

async function standing(isolate, model) {
  const { json } = await call(isolate, "GET", "/health", { key: adminKey });
  return json.health.endpoints.find((endpoint) => endpoint.model === model && endpoint.tag.startsWith("groq"));
}

test("a wait that a provider asked one isolate for is known to another that is at work", async () => {
  const answer = [replied("ok")];
  assert.deepEqual(await ask(other, WELL, ...answer), ["groq"]);
  const full = refused(429, "slow down", { "retry-after": "55" });
  assert.deepEqual(await ask(one, SICK, full, replied("ok")), ["groq", "deepinfra"]);
  assert.equal((await standing(one, SICK)).condition, "out");
  assert.notEqual((await standing(other, SICK))?.condition, "out");
  // It reports after a hundred requests, or a minute, and what it is told in return is this.
  for (let row = 0; row < 100; row++) await ask(other, WELL, ...answer);
  const told = await eventually(
    "the other isolate hears of it",
    async () => {
      await ask(other, WELL, ...answer);
      return standing(other, SICK);
    },
    { withinMs: 30_000 },
  );
  assert.equal(told.condition, "out");
  assert.deepEqual(await ask(other, SICK, ...answer), ["deepinfra"], "nobody asks before the time");
});

test("what is laid over the catalog in one isolate is in force in another within a minute", async () => {
  const named = async (isolate) => {
    const { json } = await call(isolate, "GET", "/api/v1/models");
    return json.data.find(({ id }) => id === LAID)?.name;
  };
  const before = await named(other);
  assert.ok(before);
  const laid = performance.now();
  await admin(gateway, "PATCH", "/catalog", { models: { [LAID]: { hidden: true } } });
  assert.equal(await named(one), undefined, "at once where it was laid");
  while ((await named(other)) !== undefined) {
    assert.ok(performance.now() - laid < 60_000, "within a minute");
    await sleep(500);
  }
  const { json } = await call(other, "GET", "/health");
  assert.equal(json.catalog.overlay.version, 1);
});
