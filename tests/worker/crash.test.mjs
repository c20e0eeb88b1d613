// workerd is killed in the middle of streams and started again on the same storage: every lease
// ends, no charge is made twice, none is lost but of the last second, which the log has, and the
// balance adds up. Where ends wait for their charges, none is lost at all.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";

import { chat, deltasOf, post, stream, user } from "./chat.mjs";
import { adminKey, call, generation, openAccount, providerVars, runFolder, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { eventStream, hang, replied, says, startUpstream } from "./upstream.mjs";
import { eventually } from "./wait.mjs";
import { root, sleep } from "../../scripts/lib/process.mjs";

const MODEL = "openai/gpt-4.1-mini";
const STREAMS = 10;
const TOTAL_MS = 2000;
const GRACE_MS = 1000;
/** A lease of an isolate admits for ten seconds, and outlives what it admitted. */
const EXPIRY_MS = TOTAL_MS + GRACE_MS + 10_000;
/** A charge waits for a second, and is on its way for less than another. */
const UNREPORTED_MS = 2000;
/** So many charges do not wait, and some may be on their way. */
const UNREPORTED = 2 * 64;
const CLIENTS = 10;
/** `MILLRACE_KILLS=100 node tests/worker/run.mjs crash` takes twenty minutes. */
const KILLS = Number(process.env.MILLRACE_KILLS ?? 8);

const upstream = await startUpstream();
after(() => upstream.stop());
const vars = { ...providerVars(upstream.base), MILLRACE_TOTAL_TIMEOUT_MS: TOTAL_MS, MILLRACE_HOLD_GRACE_MS: GRACE_MS };
const gateway = await startGateway({ suite: "crash", vars });
const careful = await startGateway({ suite: "crash-careful", vars: { ...vars, MILLRACE_SETTLE: "before" } });

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

test("killed again and again under load: no more than the last second is lost, and the log has that", async (t) => {
  const account = await openAccount(gateway);
  const { life, asked } = await killAgainAndAgain(gateway, account);
  const before = await chargesOf(gateway, account);
  const lost = life.filter(({ id }) => !before.has(id)).map(({ beforeKill }) => beforeKill);
  const latest = Math.round(Math.max(0, ...lost));
  t.diagnostic(`${KILLS} kills, ${life.length} whole replies, ${lost.length} of them not reported, the oldest ${latest} ms before its kill`);
  assert.ok(latest <= UNREPORTED_MS, `a reply was lost ${latest} ms after its end`);
  assert.ok(lost.length <= KILLS * UNREPORTED, `${lost.length} replies were lost`);

  const told = await recover(gateway);
  assert.match(told, new RegExp(`^${account.id}: \\d+ replies in the log, \\d+ were not charged and are now`, "m"));
  const charges = await chargesOf(gateway, account);
  assertChargedOnce(life, charges, await account.settled({ withinMs: EXPIRY_MS + 10_000 }));
  t.diagnostic(`${charges.size} charges for ${asked} requests, ${charges.size - before.size} of them from the log`);
  assert.match(await recover(gateway), new RegExp(`^${account.id}: \\d+ replies in the log, 0 were`, "m"));
  assert.deepEqual(await chargesOf(gateway, account), charges);
});

test("killed again and again where ends wait for their charges: nothing is lost", async (t) => {
  const account = await openAccount(careful);
  const { life, asked } = await killAgainAndAgain(careful, account);
  const charges = await chargesOf(careful, account);
  const credits = await account.settled({ withinMs: EXPIRY_MS + 10_000 });
  assertChargedOnce(life, charges, credits);
  const unseen = charges.size - life.length;
  t.diagnostic(`${KILLS} kills, ${asked} requests, ${life.length} whole replies, all charged; ${unseen} charges of replies whose end was cut`);
  assert.ok(unseen <= KILLS * CLIENTS, `${unseen} charges without a reply`);
});

/** Clients that ask and ask, half of them for streams, while the gateway is killed: the replies that came whole. */
async function killAgainAndAgain(gateway, account) {
  const body = { model: "millrace/echo", messages: user("one two three"), max_tokens: 3 };
  const life = [];
  let asked = 0;
  for (let round = 0; round < KILLS; round++) {
    let over = false;
    const ended = [];
    const client = async (ask) => {
      while (!over) {
        asked += 1;
        const reply = await ask(gateway, account.key, body).catch(() => null);
        const usage = reply && (reply.json?.usage ?? reply.usage);
        if (usage) ended.push({ id: reply.id ?? reply.json.id, cost: pico(usage.cost), at: performance.now() });
      }
    };
    const clients = Array.from({ length: CLIENTS }, (_, index) => client(index % 2 ? chat : stream));
    // Some are killed before their first report, some after several.
    await sleep(100 + Math.random() * 2500);
    over = true;
    const killed = performance.now();
    await gateway.kill();
    await Promise.all(clients);
    await gateway.restart();
    life.push(...ended.map(({ at, ...reply }) => ({ ...reply, beforeKill: killed - at })));
  }
  assert.ok(life.length >= KILLS, `${life.length} whole replies in ${KILLS} lives`);
  return { life, asked };
}

/** What the account was charged, by generation: each stands once in its books. */
async function chargesOf(gateway, account) {
  const charges = new Map();
  for (let cursor = "0"; cursor !== null; ) {
    const path = `/api/v1/admin/accounts/${account.id}/generations/export?from=2020-01-01&cursor=${cursor}`;
    const { status, text, headers } = await call(gateway, "GET", path, { key: adminKey });
    assert.equal(status, 200, text);
    for (const line of text.split("\n").filter(Boolean)) {
      const { id, amount_pico } = JSON.parse(line);
      assert.ok(!charges.has(id), `${id} was charged twice`);
      charges.set(id, BigInt(amount_pico));
    }
    cursor = headers.get("x-next-cursor");
  }
  return charges;
}

/** Each reply that came whole is charged what it said, and the balance is what all charges come to. */
function assertChargedOnce(life, charges, credits) {
  const lost = life.filter(({ id }) => !charges.has(id));
  assert.deepEqual(lost, [], `${lost.length} of ${life.length} replies were not charged`);
  for (const { id, cost } of life) assert.equal(charges.get(id), cost, id);
  assert.equal([...charges.values()].reduce((sum, amount) => sum + amount, 0n), credits.used);
  assert.equal(credits.available, credits.granted - credits.used);
}

/** What `npm run bill:recover` says of the gateway's own log. */
async function recover(gateway) {
  const script = join(root, "scripts", "bill_recover.mjs");
  const env = { ...process.env, MILLRACE_ADMIN_KEY: adminKey };
  const log = join(runFolder, "crash", "workerd.log");
  return (await promisify(execFile)(process.execPath, [script, "--url", gateway.url, log], { env })).stdout;
}

test("keys, limits and records survive the crash", async () => {
  const account = await openAccount(gateway, { key: { limit: 0.5 } });
  const before = await chat(gateway, account.key, { model: "millrace/echo", messages: user("one") });
  assert.equal((await generation(gateway, account.key, before.json.id)).status, 200);
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
