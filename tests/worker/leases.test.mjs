// Leases: a warm request makes no call before its provider is asked, charges are reported together,
// and still no number of requests at once, over any number of isolates, spends more than was granted.
// Runs on the build with failpoints, which count calls and make services fail.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { assertFailure, chat, deltasOf, dial, post, user } from "./chat.mjs";
import { admin, ceilingOf, failpoint, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { dollars, pico } from "./money.mjs";
import { eventStream, finish, replied, says, startUpstream, until } from "./upstream.mjs";
import { eventually, gate } from "./wait.mjs";
import { sleep } from "../../scripts/lib/process.mjs";

const ECHO = "millrace/echo";
const MODEL = "openai/gpt-4.1-mini";
const ISOLATES = 3;
/** How long a key that was switched off may go on in an isolate that has a lease. */
const LEASE_MS = 10_000;
const COST = pico("0.000009");
const BODY = { model: ECHO, messages: user("one two three"), max_tokens: 3 };

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "leases",
  vars: providerVars(upstream.base),
  isolates: ISOLATES,
  failpoints: true,
});
const isolates = gateway.isolates();

test("under load a request makes less than a tenth of a call of objects and KV, and is charged exactly", async (t) => {
  const account = await openAccount(gateway);
  const [, isolate] = isolates;
  for (let turn = 0; turn < 3; turn++) assert.equal((await chat(isolate, account.key, BODY)).status, 200);
  const before = await failpoint(isolate, "count");
  const replies = [];
  for (let round = 0; round < 60; round++) {
    replies.push(...(await Promise.all(Array.from({ length: 10 }, () => chat(isolate, account.key, BODY)))));
  }
  const calls = await failpoint(isolate, "count");
  const operations = calls.accounts - before.accounts + calls.keys - before.keys;
  t.diagnostic(`${operations} operations for ${replies.length} requests`);
  assert.ok(replies.every((reply) => reply.status === 200));
  assert.ok(operations <= replies.length / 10, `${operations} operations for ${replies.length} requests`);
  const credits = await account.settled();
  assert.equal(credits.used, BigInt(replies.length + 3) * COST);
});

test("a dollar admits a hundred of a thousand requests of a cent, over several isolates", async () => {
  const body = { model: ECHO, messages: user("one two three"), max_tokens: 4000 };
  const ceiling = await ceilingOf(gateway, body);
  const account = await openAccount(gateway, { credit: dollars(100n * ceiling) });
  // The first word of each stream comes at once, its end only when all are under way.
  const asked = gate();
  const prompt = upstream.plays([eventStream, says("word"), until(asked.opened), ...finish]);
  const request = { model: MODEL, max_tokens: 6000, messages: user(prompt) };
  const each = await ceilingOf(gateway, request);
  const poor = await openAccount(gateway, { credit: dollars(100n * each) });
  const answers = await Promise.all(
    Array.from({ length: 1000 }, (_, index) => open(isolates[index % ISOLATES], poor.key, request)),
  );
  asked.open();
  const ended = await Promise.all(answers.map((answer) => answer.end()));
  const served = ended.filter((reply) => reply.status === 200);
  const refused = ended.filter((reply) => reply.status === 402);
  assert.equal(served.length + refused.length, 1000, JSON.stringify(ended.find((reply) => ![200, 402].includes(reply.status))));
  assert.ok(served.length <= 100, `${served.length} were served`);
  assert.ok(served.length >= 80, `only ${served.length} were served`);
  const credits = await poor.settled({ withinMs: 20_000 });
  const spent = served.reduce((sum, reply) => sum + pico(reply.cost), 0n);
  assert.equal(credits.used, spent);
  assert.equal(credits.available, credits.granted - spent);

  // One after the other nothing is kept back: all but what no longer fits is spent.
  for (let turn = 0; turn < 30; turn++) {
    const reply = await chat(isolates[turn % ISOLATES], account.key, body);
    assert.equal(reply.status, 200, reply.text);
  }
});

test("a refusal names the level, what is missing and the max_tokens that would fit", async () => {
  const body = { model: ECHO, messages: user("one"), max_tokens: 5000 };
  for (const [options, source] of [
    [{ credit: "0.005" }, "openrouter_credits"],
    [{ credit: "100", key: { limit: 0.005 } }, "openrouter_key_limit"],
  ]) {
    const account = await openAccount(gateway, options);
    const { metadata } = assertFailure(await chat(isolates[1], account.key, body), 402);
    assert.equal(metadata.limit_source, source);
    assert.ok(pico(metadata.missing) > 0n);
    const smaller = { ...body, max_tokens: metadata.affordable_max_tokens };
    assert.equal((await chat(isolates[1], account.key, smaller)).status, 200);
  }
});

test("a key that is switched off or revoked spends nothing anywhere after ten seconds, whatever KV says", async () => {
  for (const end of ["PATCH", "DELETE"]) {
    const account = await openAccount(gateway);
    for (const isolate of isolates) {
      for (let turn = 0; turn < 3; turn++) assert.equal((await chat(isolate, account.key, BODY)).status, 200);
    }
    await fail("keys-stale");
    const changed = Date.now();
    await admin(gateway, end, `/accounts/${account.id}/keys/${account.hash}`, end === "PATCH" ? { disabled: true } : undefined);
    assert.equal((await chat(isolates[0], account.key, BODY)).status, 401, "at once where it was changed");
    // In use all the while, so that leases would be renewed.
    let status = 200;
    while (Date.now() < changed + LEASE_MS - 500) {
      for (const isolate of isolates.slice(1)) ({ status } = await chat(isolate, account.key, BODY));
      await sleep(250);
    }
    await sleep(changed + LEASE_MS + 100 - Date.now());
    for (const isolate of isolates) assertFailure(await chat(isolate, account.key, BODY), 401);
    await fail("keys-up");
  }
});

test("while the account's object is down, an isolate spends what it has and no more, then says 503", async () => {
  const account = await openAccount(gateway);
  const [, warm, cold] = isolates;
  for (let turn = 0; turn < 3; turn++) assert.equal((await chat(warm, account.key, BODY)).status, 200);
  const began = Date.now();
  await fail("accounts-down", warm, cold);
  const during = await chat(warm, account.key, BODY);
  assert.equal(during.status, 200, during.text);
  const refused = await chat(cold, account.key, BODY);
  assertFailure(refused, 503);
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  await eventually("what was leased has ended", async () => (await chat(warm, account.key, BODY)).status === 503, {
    withinMs: LEASE_MS + 1000,
  });
  assert.ok(Date.now() - began <= LEASE_MS + 1000);
  await fail("accounts-up", warm, cold);
  const later = await chat(warm, account.key, BODY);
  assert.equal(later.status, 200);
  const record = await eventually("the charge arrives", async () => {
    const found = await generation(warm, account.key, during.json.id);
    return found.status === 200 && found;
  });
  assert.equal(pico(record.json.data.total_cost), COST);
  const credits = await account.settled({ withinMs: 20_000 });
  assert.equal(credits.used % COST, 0n);
});

test("a client that leaves while its account answers keeps nobody after it waiting, and costs nothing", async () => {
  const account = await openAccount(gateway);
  const [, isolate] = isolates;
  await fail("accounts-slow", isolate);
  const prompt = upstream.plays([eventStream, says("word"), ...finish]);
  const client = dial(isolate, account.key, { model: MODEL, stream: true, messages: user(prompt) });
  await sleep(300);
  client.socket.resetAndDestroy();
  await fail("accounts-up", isolate);
  const began = Date.now();
  const reply = await chat(isolate, account.key, BODY);
  assert.equal(reply.status, 200, reply.text);
  assert.ok(Date.now() - began < 3000, `answered after ${Date.now() - began} ms`);
  const credits = await account.settled({ withinMs: 20_000 });
  assert.equal(credits.used, COST);
  assert.equal(credits.available, credits.granted - COST);
  assert.equal(upstream.exchanges(prompt).length, 0, "no provider is asked");
});

test("without KV, keys are asked of their accounts", async () => {
  const { key } = await openAccount(gateway);
  await fail("keys-down");
  for (const isolate of isolates) assert.equal((await chat(isolate, key, BODY)).status, 200);
  assertFailure(await chat(isolates[1], `${key.slice(0, -4)}AAAA`, BODY), 401);
  await fail("keys-up");
});

/** Makes a service fail, or work again, in some isolates. */
async function fail(name, ...which) {
  for (const isolate of which.length > 0 ? which : isolates) {
    await failpoint(isolate, name);
  }
}

/** A stream whose first word has been read, or a refusal. `end()` gives status and cost. */
async function open(isolate, key, body) {
  const response = await post(isolate, key, { ...body, stream: true });
  if (response.status !== 200) {
    const text = await response.text();
    return { end: async () => ({ status: response.status, text }) };
  }
  const text = response.text();
  return {
    async end() {
      const cost = /"cost":\s*([0-9.eE+-]+)/.exec(await text)?.[1];
      return { status: 200, cost };
    },
  };
}
