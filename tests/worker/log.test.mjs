// What an operator reads: one line of JSON for each request, whatever became of it, and no word of
// what was said.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { chat, stream, user } from "./chat.mjs";
import { call, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { eventStream, refused, replied, reset, says, startUpstream, streamed, USAGE } from "./upstream.mjs";
import { eventually } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "log", vars: providerVars(upstream.base) });
const account = await openAccount(gateway);
const poor = await openAccount(gateway, { credit: "0" });

const EXCHANGES = [
  ["a whole reply", chat, account, replied(CANARY.reply), "complete", 200],
  ["a streamed reply", stream, account, streamed(CANARY.reply), "complete", 200],
  ["no credit", chat, poor, replied(CANARY.reply), "refused", 402],
  ["the caller's mistake", chat, account, refused(400, `${CANARY.reply} is wrong`), "failed", 400],
  ["the provider's failure", chat, account, refused(500, `${CANARY.reply} broke`), "failed", 502],
  ["a stream that broke off", stream, account, [eventStream, says(CANARY.reply), reset], "broken_off", 502],
];

for (const [name, ask, payer, script, outcome, status] of EXCHANGES) {
  test(`${name}: one line that says how it ended and what it cost`, async () => {
    const reply = await ask(gateway, payer.key, { model: MODEL, messages: user(upstream.plays(script)) });
    const id = reply.headers.get("x-generation-id");
    const line = await gateway.lineOf(id);
    assert.equal(line.model, MODEL);
    assert.equal(line.streamed, ask === stream);
    assert.equal(typeof line.total_ms, "number");
    assert.equal(line.outcome, outcome);
    assert.equal(line.status, status);
    assert.equal(line.attempts.length, outcome === "refused" ? 0 : 1);
    assert.equal(pico(line.cost_usd), pico((reply.usage ?? reply.json?.usage)?.cost ?? 0));
    if (outcome === "complete")
      assert.deepEqual([line.input_tokens, line.output_tokens], [USAGE.prompt_tokens, USAGE.completion_tokens]);
    assert.equal(gateway.log.filter((each) => each.includes(id)).length, 1);
  });
}

test("a request that ends before anything is sent on has its line too", async () => {
  const body = { model: "millrace/echo", messages: user(CANARY.prompt) };
  const requests = [
    [400, () => chat(gateway, account.key, "{")],
    [400, () => chat(gateway, account.key, { ...body, model: "nobody/nothing" })],
    [401, () => chat(gateway, "wrong", body)],
    [404, () => call(gateway, "GET", `/${CANARY.prompt}`)],
    [405, () => call(gateway, "PUT", "/api/v1/models")],
    [200, () => call(gateway, "GET", "/api/v1/models", { key: account.key })],
  ];
  for (const [status, request] of requests) {
    const before = gateway.log.length;
    assert.equal((await request()).status, status);
    await eventually("its line", () => gateway.log.length > before);
    assert.deepEqual(
      gateway.log.slice(before).map((line) => JSON.parse(line).status),
      [status],
    );
  }
});

test("an account is named, a key only by the beginning of its hash", async () => {
  const reply = await chat(gateway, account.key, { model: "millrace/echo", messages: user(CANARY.prompt) });
  const line = await gateway.lineOf(reply.json.id);
  assert.equal(line.account, account.id);
  assert.ok(account.hash.startsWith(line.key_hash) && line.key_hash.length < account.hash.length);
});
