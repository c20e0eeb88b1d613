// Budgets, and requests without a limit of output on a small balance, in the real runtime: no number
// of requests at once over several isolates spends more than a budget; streams ask for more while
// they flow, and end as by a limit of length where there is none.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { assertFailure, chat, post, user } from "./chat.mjs";
import { admin, call, ceilingOf, openAccount, providerVars, startGateway } from "./harness.mjs";
import { dollars, pico } from "./money.mjs";
import { eventStream, finish, replied, says, startUpstream, until } from "./upstream.mjs";
import { gate } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";
const ISOLATES = 3;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "budgets",
  vars: providerVars(upstream.base),
  isolates: ISOLATES,
  failpoints: true,
});
const isolates = gateway.isolates();

const budgets = (account, method, id = "", body) =>
  admin(gateway, method, `/accounts/${account.id}/budgets${id && `/${id}`}`, body);

test("budgets are set, listed, replaced and ended", async () => {
  const account = await openAccount(gateway);
  const { key } = await account.createKey({ management: true });
  const manage = (method, path, body) => call(gateway, method, `/api/v1/budgets${path}`, { key, body });
  const made = await manage("PUT", "/team", { limit_usd: 2.5, reset_interval: "weekly", model: "OpenAI/*" });
  assert.equal(made.status, 200, made.text);
  assert.equal(made.json.data.model, "openai/*");
  assert.ok(new Date(made.json.data.resets_at).getUTCDay() === 1, made.json.data.resets_at);
  assert.equal((await manage("PUT", "/team", { limit_usd: 3 })).json.data.limit_usd, 3);
  assert.deepEqual((await manage("GET", "")).json.data.map(({ id }) => id), ["team"]);
  for (const body of [{}, { limit_usd: 0 }, { limit_usd: 1, reset_interval: "hourly" }, { limit_usd: 1, scope: "key" }]) {
    assert.equal((await manage("PUT", "/bad", body)).status, 400, JSON.stringify(body));
  }
  assert.deepEqual((await manage("DELETE", "/team")).json, { deleted: true });
  assert.deepEqual((await manage("DELETE", "/team")).json, { deleted: true });
  assert.equal((await call(gateway, "GET", "/api/v1/budgets", { key: account.key })).status, 403);
});

for (const [what, budget] of [
  ["an account's", {}],
  ["a model's", { model: "openai/*" }],
]) {
  test(`${what} budget of a hundred requests admits no more of a thousand, over several isolates`, async () => {
    const asked = gate();
    const prompt = upstream.plays([eventStream, says("word"), until(asked.opened), ...finish]);
    const request = { model: MODEL, max_tokens: 6000, messages: user(prompt) };
    const each = await ceilingOf(gateway, request);
    const account = await openAccount(gateway, { credit: "1000" });
    await budgets(account, "PUT", "b", { limit_usd: Number(dollars(100n * each)), ...budget });
    const opened = await Promise.all(
      Array.from({ length: 1000 }, (_, index) =>
        post(isolates[index % ISOLATES], account.key, { ...request, stream: true }),
      ),
    );
    asked.open();
    const texts = await Promise.all(opened.map((response) => response.text()));
    const served = texts.filter((_, index) => opened[index].status === 200);
    const refused = opened.filter((response) => response.status === 402);
    assert.equal(served.length + refused.length, 1000);
    assert.ok(served.length <= 100 && served.length >= 80, `${served.length} were served`);
    const spent = served.reduce((sum, text) => sum + pico(/"cost":\s*([0-9.eE+-]+)/.exec(text)[1]), 0n);
    await account.settled({ withinMs: 20_000 });
    const { data } = await budgets(account, "GET");
    assert.equal(pico(data[0].counts[0].spend_usd), spent);
    assert.equal(data[0].counts[0].held_usd, 0);
  });
}

test("a budget that is spent is refused with 403, one that is short with 402, each by its name", async () => {
  const prompt = upstream.plays(replied("words"));
  const request = { model: MODEL, max_tokens: 100, messages: user(prompt) };
  const account = await openAccount(gateway);
  await budgets(account, "PUT", "small", { limit_usd: 0.00001, scope: "workspace", reset_interval: "daily" });
  const short = assertFailure(await chat(gateway, account.key, request), 402).metadata;
  assert.equal(short.limit_source, "openrouter_workspace_budget");
  assert.equal(short.reset_interval, "daily");
  await budgets(account, "PUT", "small", { limit_usd: 0.01, scope: "workspace", reset_interval: "daily" });
  assert.equal((await chat(gateway, account.key, request)).status, 200);
  await account.settled();
  await budgets(account, "PUT", "small", { limit_usd: 0.000001, scope: "workspace", reset_interval: "daily" });
  await new Promise((resolve) => setTimeout(resolve, 10_100));
  const spent = assertFailure(await chat(gateway, account.key, request), 403).metadata;
  assert.equal(spent.budget_id, "small");
});

test("a stream without a limit on a small balance grows as it flows, and is cut where it cannot", async () => {
  // Each piece counts as 200 tokens while it is metered.
  const piece = says("abc".repeat(200));
  const steps = (count) => Array.from({ length: count }, () => piece);
  const least = await ceilingOf(gateway, { model: MODEL, messages: user("x".repeat(60)), stream: true });
  for (const [credit, whole] of [
    [least, false],
    [least + 4000n * pico("0.0000016"), true],
  ]) {
    const prompt = upstream.plays([eventStream, ...steps(10), ...finish]);
    const account = await openAccount(gateway, { credit: dollars(credit) });
    const response = await post(gateway, account.key, { model: MODEL, messages: user(prompt), stream: true });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(text.includes('"finish_reason":"stop"'), whole, text);
    assert.equal(text.includes('"finish_reason":"length"'), !whole, text);
    assert.equal(text.includes("cut off"), !whole, text);
    assert.ok(text.trimEnd().endsWith("[DONE]"), text);
    const cost = pico(/"cost":\s*([0-9.eE+-]+)/.exec(text)[1]);
    const credits = await account.settled();
    assert.equal(credits.used, cost);
    assert.ok(credits.available >= 0n && credits.used > 0n, JSON.stringify(credits, (_, value) => String(value)));
  }
});

test("a whole reply without a limit on a small balance is limited to what there is", async () => {
  const least = await ceilingOf(gateway, { model: MODEL, messages: user("x".repeat(60)) });
  const prompt = upstream.plays(replied("words"));
  const account = await openAccount(gateway, { credit: dollars(least) });
  const reply = await chat(gateway, account.key, { model: MODEL, messages: user(prompt) });
  assert.equal(reply.status, 200, reply.text);
  assert.match(reply.text, /max_tokens: 5\d\d was set/);
  const credits = await account.settled();
  assert.ok(credits.available >= 0n);
});
