// Providers that fail, for a while or for good: what each client sees, and that nobody's request
// fails while somebody is well. What is out is asked again by one request at a time.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, post, stream, user } from "./chat.mjs";
import { adminKey, call, openAccount, providerVars, startGateway } from "./harness.mjs";
import { hang, pause, refused, replied, startUpstream, streamed } from "./upstream.mjs";

const upstream = await startUpstream();
after(() => upstream.stop());
const FIRST_TOKEN_MS = 500;
const gateway = await startGateway({
  suite: "health",
  health: "on",
  vars: {
    ...providerVars(upstream.base),
    MISTRAL_API_KEY: `${CANARY.providerSecret}-first, ${CANARY.providerSecret}-second`,
    MILLRACE_FIRST_TOKEN_TIMEOUT_MS: FIRST_TOKEN_MS,
  },
});
const { key } = await openAccount(gateway, { credit: "1000" });

// Each test has a model of its own, so that what it breaks is not held against the next.
const OUTAGE = "openai/gpt-oss-20b";
const BROWN_OUT = "meta-llama/llama-3.3-70b-instruct";
const STORM = "meta-llama/llama-3.1-8b-instruct";
const CLIENTS = "qwen/qwen3-32b";
const DOWN = "meta-llama/llama-4-scout";
const ALONE = { waits: "openai/gpt-4.1-mini", short: "openai/gpt-4o-mini", fails: "openai/gpt-4.1" };

const GROQ_FIRST = { order: ["groq", "deepinfra"], only: ["groq", "deepinfra"] };

/** A script that depends on who is asked. */
const each = (scripts) => [
  async (exchange) => {
    for (const step of scripts[exchange.provider]) await step(exchange);
  },
];
const ask = (model, prompt, provider = GROQ_FIRST) => chat(gateway, key, { model, provider, messages: user(prompt) });
const askedOf = (prompt, provider) => upstream.exchanges(prompt).filter((one) => one.provider === provider).length;
const times = async (count, run) => {
  const replies = [];
  for (let done = 0; done < count; done++) replies.push(await run());
  return replies;
};
const allAnswered = (replies) =>
  assert.deepEqual(
    replies.filter((reply) => reply.status !== 200).map((reply) => reply.text),
    [],
  );

/** What the gateway says of one endpoint. */
async function standing(model, tag) {
  const { json } = await call(gateway, "GET", "/health", { key: adminKey });
  return json.health.endpoints.find((one) => one.model === model && one.tag.startsWith(tag));
}

test("an outage: nobody's request fails, the sick provider is left alone, and one probe brings it back", async () => {
  const broken = upstream.plays(each({ groq: refused(500, "broke"), deepinfra: replied("ok") }));
  allAnswered(await times(20, () => ask(OUTAGE, broken)));
  const asked = askedOf(broken, "groq");
  assert.ok(asked >= 3 && asked <= 5, `three failures open the breaker: ${asked}`);
  assert.equal((await standing(OUTAGE, "groq")).condition, "out");

  // Many at once, again and again: no more than one of them at a time finds out.
  let under = 0;
  let most = 0;
  let probes = 0;
  const probed = async (exchange) => {
    if (probes < 2) most = Math.max(most, ++under);
    await sleep(400);
    under--;
    const script = ++probes === 1 ? refused(500, "still broke") : replied("back");
    for (const step of script) await step(exchange);
  };
  const probing = upstream.plays([
    (exchange) => (exchange.provider === "groq" ? probed(exchange) : replied("ok")[0](exchange)),
  ]);
  const deadline = performance.now() + 120_000;
  while (probes < 2 && performance.now() < deadline) {
    allAnswered(await Promise.all(Array.from({ length: 8 }, () => ask(OUTAGE, probing))));
    await sleep(250);
  }
  assert.ok(probes >= 2, "the first probe failed, the second did not");
  assert.equal(most, 1, "probes at a time");
  allAnswered(await times(3, () => ask(OUTAGE, probing)));
});

test("a brown-out: what hangs is soon left alone", async () => {
  const prompt = upstream.plays(each({ groq: [hang], deepinfra: streamed("ok") }));
  const run = () => stream(gateway, key, { model: BROWN_OUT, provider: GROQ_FIRST, messages: user(prompt) });
  for (const reply of await times(4, run)) assert.equal(reply.text, "ok");
  const started = performance.now();
  for (const reply of await times(10, run)) assert.equal(reply.text, "ok");
  assert.ok(performance.now() - started < 10 * FIRST_TOKEN_MS, "the others did not wait for it");
  assert.equal(askedOf(prompt, "groq"), 3);
});

test("a storm of 429: a provider that asks for a wait is not asked again before", async () => {
  const limited = refused(429, "slow down", { "retry-after": "4" });
  const prompt = upstream.plays(each({ groq: limited, deepinfra: replied("ok") }));
  allAnswered([await ask(STORM, prompt)]);
  allAnswered(await Promise.all(Array.from({ length: 20 }, () => ask(STORM, prompt))));
  assert.equal(askedOf(prompt, "groq"), 1);
  const { uptime_5m_ppm: uptime, condition } = await standing(STORM, "groq");
  assert.deepEqual([uptime, condition], [null, "out"], "a rate limit is no error");
  await sleep(4_000);
  allAnswered([await ask(STORM, prompt)]);
  assert.equal(askedOf(prompt, "groq"), 2);
});

test("a rate limit and nobody else: the client is told how long, without asking again", async () => {
  const prompt = upstream.plays(refused(429, "slow down", { "retry-after": "20" }));
  const alone = { only: ["openai"] };
  const first = await ask(ALONE.waits, prompt, alone);
  assertFailure(first, 429);
  assert.equal(first.headers.get("retry-after"), "20");
  const second = await ask(ALONE.waits, prompt, alone);
  assertFailure(second, 429, /asked for a wait/);
  const left = Number(second.headers.get("retry-after"));
  assert.ok(left >= 15 && left <= 20, `${left}`);
  assert.equal(upstream.exchanges(prompt).length, 1);
});

test("a short wait is waited for, by everybody who comes meanwhile", async () => {
  const prompt = upstream.plays(refused(429, "slow down", { "retry-after": "1" }), replied("ok"));
  const alone = { only: ["openai"] };
  const first = ask(ALONE.short, prompt, alone);
  await sleep(300);
  allAnswered(await Promise.all([first, ...Array.from({ length: 5 }, () => ask(ALONE.short, prompt, alone))]));
});

test("a dead key: found out once, whichever model it is used for", async () => {
  const dead = `${CANARY.providerSecret}-first`;
  const prompt = upstream.plays([
    (exchange) => {
      const script = exchange.headers.authorization.endsWith(dead) ? refused(401, "bad key") : replied("ok");
      return script[0](exchange);
    },
  ]);
  const { json } = await call(gateway, "GET", "/api/v1/models", { key });
  const slugs = json.data.map((model) => model.id).filter((slug) => slug.startsWith("mistralai/")).slice(0, 3);
  const run = (slug) => ask(slug, prompt, { only: ["mistral"] });
  const servable = [];
  for (const slug of slugs) if ((await run(slug)).status === 200) servable.push(slug);
  assert.ok(servable.length >= 1, `${slugs}`);
  for (const slug of servable) allAnswered(await times(10, () => run(slug)));
  const used = upstream.exchanges(prompt).filter((one) => one.headers.authorization.endsWith(dead)).length;
  assert.equal(used, 1);
  const { json: health } = await call(gateway, "GET", "/health", { key: adminKey });
  assert.equal(health.health.refused_keys.length, 1);
  assert.doesNotMatch(JSON.stringify(health), new RegExp(CANARY.providerSecret));
});

test("everything is down: each client hears of it, soon, and everybody is still asked", async () => {
  const prompt = upstream.plays(refused(500, "broke"));
  for (const reply of await times(6, () => ask(DOWN, prompt))) {
    const error = assertFailure(reply, 502);
    assert.equal(error.metadata.previous_errors.length, 1);
  }
  assert.equal(upstream.exchanges(prompt).length, 12, "what is out is asked when nobody else is left");
  // One of them is well again before anybody knows.
  const better = upstream.plays(each({ groq: refused(500, "broke"), deepinfra: replied("ok") }));
  allAnswered([await ask(DOWN, better)]);
});

test("what clients do wrong, and their leaving, is held against nobody", async () => {
  const wrong = upstream.plays(refused(400, "temperature is too hot"));
  for (const reply of await times(20, () => ask(CLIENTS, wrong))) assertFailure(reply, 400);
  const slow = upstream.plays([pause(300), ...replied("too late")]);
  const leave = async () => {
    const body = { model: CLIENTS, provider: GROQ_FIRST, messages: user(slow) };
    await post(gateway, key, body, { signal: AbortSignal.timeout(60) }).catch(() => {});
  };
  await Promise.all(Array.from({ length: 10 }, leave));
  await sleep(500);
  const { condition, uptime_5m_ppm: uptime } = await standing(CLIENTS, "groq");
  assert.equal(condition, "stable");
  assert.ok(uptime === null || uptime === 1_000_000, `${uptime}`);
});

test("nobody but the administrator sees the figures", async () => {
  for (const options of [{}, { key }]) {
    const { json } = await call(gateway, "GET", "/health", options);
    assert.equal(json.health, undefined);
  }
});

test("what was learned outlives the isolate that learned it", async () => {
  const provider = { only: ["openai"] };
  const prompt = upstream.plays(refused(500, "broke"));
  for (const reply of await times(3, () => ask(ALONE.fails, prompt, provider))) assertFailure(reply, 502);
  const learned = await standing(ALONE.fails, "openai");
  assert.equal(learned.condition, "out");
  // The report is made within five seconds, and stored within ten.
  await sleep(17_000);
  await gateway.kill();
  await gateway.restart();
  assert.equal(await standing(ALONE.fails, "openai"), undefined, "a new isolate knows nothing");
  await ask(ALONE.short, upstream.plays(replied("ok")), provider);
  const told = await eventuallyKnown(ALONE.fails, "openai");
  assert.equal(told.uptime_1d_ppm, 0);
});

async function eventuallyKnown(model, tag) {
  for (let tries = 0; tries < 100; tries++) {
    const found = await standing(model, tag);
    if (found) return found;
    await sleep(50);
  }
  throw new Error("nothing was learned");
}
