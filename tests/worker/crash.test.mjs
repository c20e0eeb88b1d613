// workerd is killed in the middle of streams and started again on the same storage: every lease
// ends, no charge is made twice, none is lost but of the last second, and the balance adds up.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { chat, deltasOf, post, stream, user } from "./chat.mjs";
import { generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { eventStream, hang, replied, says, startUpstream } from "./upstream.mjs";
import { eventually } from "./wait.mjs";
import { sleep } from "../../scripts/lib/process.mjs";

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
/** `MILLRACE_KILLS=100 node tests/worker/run.mjs crash` takes ten minutes. */
const KILLS = Number(process.env.MILLRACE_KILLS ?? 8);

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

test("killed again and again under load: no more than the last second is lost, nothing is charged twice", async (t) => {
  const account = await openAccount(gateway);
  const body = { model: "millrace/echo", messages: user("one two three"), max_tokens: 3 };
  const [ended, lost] = [[], []];
  let asked = 0;
  for (let round = 0; round < KILLS; round++) {
    let over = false;
    const life = [];
    const client = async (ask) => {
      while (!over) {
        asked += 1;
        const reply = await ask(gateway, account.key, body).catch(() => null);
        const whole = reply && (reply.json?.usage || reply.usage);
        if (whole) life.push({ id: reply.id ?? reply.json.id, at: performance.now() });
      }
    };
    const clients = Array.from({ length: 10 }, (_, index) => client(index % 2 ? chat : stream));
    // Some are killed before their first report, some after several.
    await sleep(100 + Math.random() * 2500);
    over = true;
    const killed = performance.now();
    await gateway.kill();
    await Promise.all(clients);
    await gateway.restart();
    ended.push(...life);
    for (const reply of life) {
      const record = await generation(gateway, account.key, reply.id);
      if (record.status !== 200) lost.push(killed - reply.at);
    }
  }
  const latest = Math.round(Math.max(0, ...lost));
  t.diagnostic(`${KILLS} kills, ${ended.length} replies, ${lost.length} of them lost, the oldest ${latest} ms before its kill`);
  assert.ok(Math.max(0, ...lost) <= UNREPORTED_MS, `a reply was lost ${Math.max(...lost)} ms after its end`);
  assert.ok(lost.length <= KILLS * UNREPORTED, `${lost.length} replies were lost`);
  const credits = await account.settled({ withinMs: EXPIRY_MS + 10_000 });
  assert.equal(credits.available, credits.granted - credits.used);
  const each = pico("0.000009");
  assert.equal(credits.used % each, 0n);
  const charged = credits.used / each;
  t.diagnostic(`${charged} charges for ${asked} requests`);
  assert.ok(charged >= BigInt(ended.length - lost.length) && charged <= BigInt(asked), `${charged} of ${asked}`);
});

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
