// workerd is killed in the middle of streams and started again on the same storage: every hold
// ends, no charge is lost or made twice, and the balance adds up.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { chat, deltasOf, post, stream, user } from "./chat.mjs";
import { generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { eventStream, hang, replied, says, startUpstream } from "./upstream.mjs";
import { eventually, gate } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";
const STREAMS = 10;
const TOTAL_MS = 2000;
const GRACE_MS = 1000;
const EXPIRY_MS = TOTAL_MS + GRACE_MS;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "crash",
  vars: { ...providerVars(upstream.base), MILLRACE_TOTAL_TIMEOUT_MS: TOTAL_MS, MILLRACE_HOLD_GRACE_MS: GRACE_MS },
});

for (const when of ["in the middle of streams", "before the first word"]) {
  test(`killed ${when}: afterwards everything adds up`, async () => {
    const account = await openAccount(gateway);
    const served = await Promise.all(
      Array.from({ length: 5 }, () =>
        chat(gateway, account.key, { model: "millrace/echo", messages: user("one two") }),
      ),
    );
    const spent = (await account.settled()).used;

    const script = when === "before the first word" ? [hang] : [eventStream, says("word "), hang];
    const streams = Array.from({ length: STREAMS }, () => openStream(account, script));
    await Promise.all(streams.map((each) => each.underWay));
    const held = await account.credits();
    assert.ok(held.held > 0n, "the streams hold credit");
    await gateway.kill();
    await Promise.all(streams.map((each) => each.ended));
    await gateway.restart();

    const credits = await account.settled({ withinMs: EXPIRY_MS + 10_000 });
    assert.equal(credits.granted, held.granted);
    assert.equal(credits.available, credits.granted - credits.used);
    assert.ok(credits.used >= spent, "no charge was lost");
    assert.ok(credits.used <= spent + held.held, "no more than was held was charged");
    for (const reply of served) {
      const record = await generation(gateway, account.key, reply.json.id);
      assert.equal(pico(record.json.data.total_cost), pico(reply.json.usage.cost));
    }
    const prompt = upstream.plays(replied("still here"));
    const reply = await chat(gateway, account.key, { model: MODEL, messages: user(prompt) });
    assert.equal(reply.status, 200, reply.text);
    assert.equal((await account.settled()).used, credits.used + pico(reply.json.usage.cost));
  });
}

test("killed at several moments under load: every reply that ended has its record, and the sum is right", async () => {
  const account = await openAccount(gateway);
  const ended = [];
  let asked = 0;
  for (const moment of [1, 5, 15, 25]) {
    const enough = gate();
    const endedBefore = ended.length;
    const ask = async (_, index) => {
      const body = { model: "millrace/echo", messages: user("one two three") };
      asked += 1;
      const reply = await (index % 2 ? chat : stream)(gateway, account.key, body);
      if (!(reply.done || reply.json?.usage)) return;
      ended.push(reply);
      if (ended.length - endedBefore >= moment) enough.open();
    };
    const asking = Array.from({ length: 30 }, ask).map((each) => each.catch(() => {}));
    await enough.opened;
    await gateway.kill();
    await Promise.all(asking);
    await gateway.restart();
  }
  const credits = await account.settled({ withinMs: EXPIRY_MS + 10_000 });
  assert.equal(credits.available, credits.granted - credits.used);
  const records = await Promise.all(ended.map((reply) => generation(gateway, account.key, reply.id ?? reply.json.id)));
  assert.ok(
    records.every((record) => record.status === 200),
    "a reply that ended has no record",
  );
  const each = pico("0.000009");
  assert.equal(credits.used % each, 0n);
  assert.ok(credits.used >= BigInt(ended.length) * each && credits.used <= BigInt(asked) * each, `${credits.used}`);
});

test("keys, limits and records survive the crash", async () => {
  const account = await openAccount(gateway, { key: { limit: 0.5 } });
  const before = await chat(gateway, account.key, { model: "millrace/echo", messages: user("one") });
  await gateway.kill();
  await gateway.restart();
  const reply = await chat(gateway, account.key, { model: "millrace/echo", messages: user("two") });
  assert.equal(reply.status, 200, reply.text);
  const record = await generation(gateway, account.key, before.json.id);
  assert.equal(record.status, 200);
  const credits = await account.settled({ withinMs: EXPIRY_MS + 10_000 });
  assert.equal(credits.used, pico(before.json.usage.cost) + pico(reply.json.usage.cost));
});

/** A stream that is under way and, in time, ends somehow. */
function openStream(account, script) {
  const prompt = upstream.plays(script);
  const response = post(gateway, account.key, { model: MODEL, max_tokens: 100, stream: true, messages: user(prompt) });
  const deltas = response.then((open) => deltasOf(open));
  const waits = script.includes(eventStream) ? deltas.then((each) => each.next()) : arrival(prompt);
  const ended = deltas.then(async (each) => {
    for await (const _ of each);
  });
  return { underWay: waits, ended: ended.catch(() => {}) };
}

function arrival(prompt) {
  return eventually("the request is there", () => upstream.exchanges(prompt).length === 1);
}
