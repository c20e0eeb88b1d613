// Time: limits open at midnight in UTC, and what could not be reported is made by the account's alarm. Runs on
// the build with failpoints, which put the clock ahead and make services fail.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertFailure, chat, user } from "./chat.mjs";
import { admin, call, ceilingOf, failpoint, openAccount, startGateway } from "./harness.mjs";
import { dollars, pico } from "./money.mjs";
import { eventually } from "./wait.mjs";
import { sleep } from "../../scripts/lib/process.mjs";

const BODY = { model: "millrace/echo", messages: user("one two three"), max_tokens: 3 };
const COST = pico("0.000009");
const DAY_MS = 86_400_000;
/** Charges that nobody takes are kept in KV after so long, and on their way there for less than a few seconds. */
const KEPT_MS = 12_000 + 4_000;
const vars = { MILLRACE_TOTAL_TIMEOUT_MS: 15_000, MILLRACE_HOLD_GRACE_MS: 1000 };
/** A lease admits for ten seconds and outlives what it admitted. */
const EXPIRY_MS = 15_000 + 1000 + 10_000;

const gateway = await startGateway({ suite: "clock", vars, isolates: 2, failpoints: true });

const fail = async (name) => {
  for (const isolate of gateway.isolates()) {
    await failpoint(isolate, name);
  }
};

test("a daily limit and a daily budget open at midnight, and not before", async () => {
  // So much that one request fits and another beside what that cost does not.
  const limit = Number(dollars(await ceilingOf(gateway, BODY)));
  const limited = await openAccount(gateway, { key: { limit, limit_reset: "daily" } });
  const budgeted = await openAccount(gateway);
  const budget = { limit_usd: limit, reset_interval: "daily" };
  await admin(gateway, "PUT", `/accounts/${budgeted.id}/budgets/day`, budget);
  const ask = ({ key }) => chat(gateway, key, BODY);
  for (const account of [limited, budgeted]) {
    const reply = await ask(account);
    assert.equal(reply.status, 200, reply.text);
    await account.settled();
  }
  const { metadata } = assertFailure(await ask(limited), 402);
  assert.equal(metadata.limit_source, "openrouter_key_limit");
  const midnight = Math.ceil((Date.now() + 1) / DAY_MS) * DAY_MS;
  assert.equal(Date.parse(metadata.resets_at), midnight);
  assertFailure(await ask(budgeted), 402);

  // Not a minute before, even where nothing is remembered any more.
  await fail(`clock-${midnight - 60_000 - Date.now()}`);
  for (const account of [limited, budgeted]) assert.equal((await ask(account)).status, 402);
  await fail(`clock-${midnight + 1000 - Date.now()}`);
  for (const account of [limited, budgeted]) {
    const reply = await ask(account);
    assert.equal(reply.status, 200, reply.text);
    assert.equal((await ask(account)).status, 402, "and is spent again");
    assert.equal((await account.settled()).used, 2n * COST);
  }
  const shown = await call(gateway, "GET", "/api/v1/key", { key: limited.key });
  assert.deepEqual([pico(shown.json.data.usage), pico(shown.json.data.usage_daily)], [2n * COST, COST]);
  await gateway.kill();
  await gateway.restart();
});

test("what no isolate could report is made by the account's alarm, of what KV keeps, once", async (t) => {
  const account = await openAccount(gateway);
  for (let turn = 0; turn < 3; turn++) assert.equal((await chat(gateway, account.key, BODY)).status, 200);
  await sleep(1500);
  await fail("accounts-down");
  let served = 3;
  for (let turn = 0; turn < 5; turn++) served += (await chat(gateway, account.key, BODY)).status === 200 ? 1 : 0;
  assert.ok(served > 3, "a lease was at hand");
  await sleep(KEPT_MS);
  // Nobody remembers now, and nobody reports: what was kept is all there is.
  await gateway.kill();
  await gateway.restart();
  const credits = await eventually("the alarm has made the charges", async () => {
    const now = await account.credits();
    return now.used === BigInt(served) * COST && now.held === 0n && now;
  }, { withinMs: EXPIRY_MS + 130_000 });
  t.diagnostic(`${served} replies, $${dollars(credits.used)} charged`);
  assert.equal(credits.available, credits.granted - credits.used);
  await sleep(1000);
  assert.equal((await account.credits()).used, credits.used);
});
