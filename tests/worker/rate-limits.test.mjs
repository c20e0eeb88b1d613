// Limits of rate in the real runtime, over several isolates: no minute has more requests or tokens than its
// limit and no more are under way, whoever asks and by which protocol; a warm request asks nobody; free models
// are counted for an account as a whole. Runs on the build with failpoints, which put the clock ahead.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { assertFailure, chat, post, user } from "./chat.mjs";
import { admin, call, failpoint, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { eventStream, finish, replied, says, startUpstream, until } from "./upstream.mjs";
import { eventually, gate } from "./wait.mjs";

const ECHO = "millrace/echo";
const MODEL = "openai/gpt-4.1-mini";
const FREE = "acme/chat:free";
const ISOLATES = 3;
const MINUTE_MS = 60_000;
const BODY = { model: ECHO, messages: user("one two three"), max_tokens: 3 };
const COST = pico("0.000009");

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "rate-limits",
  vars: {
    ...providerVars(upstream.base),
    ACME_API_KEY: "acme-key",
    MILLRACE_FREE_PER_MINUTE: "10",
    MILLRACE_FREE_PER_DAY_LOW: "12",
  },
  isolates: ISOLATES,
  failpoints: true,
});
const isolates = gateway.isolates();
let ahead = 0;

const limits = (account, method, id = "", body) =>
  admin(gateway, method, `/accounts/${account.id}/rate-limits${id && `/${id}`}`, body);

/** Puts all clocks to the beginning of the next minute. */
async function nextMinute() {
  const now = Date.now() + ahead;
  ahead += Math.ceil((now + 1) / MINUTE_MS) * MINUTE_MS + 1000 - now;
  for (const isolate of isolates) {
    await failpoint(isolate, `clock-${ahead}`);
  }
}

/** As a client of each protocol asks, and where its errors say what they are. */
const PROTOCOLS = [
  {
    ask: (isolate, key) => chat(isolate, key, BODY),
    read: ({ error }) => [error.code, error.metadata.rate_limit_id],
    expected: [429, "team"],
  },
  {
    ask: (isolate, key) => chat(isolate, key, BODY, { path: "/api/v1/messages" }),
    read: ({ type, error }) => [type, error.type],
    expected: ["error", "rate_limit_error"],
  },
  {
    ask: (isolate, key) => {
      const body = { contents: [{ parts: [{ text: "one two three" }] }], generationConfig: { maxOutputTokens: 3 } };
      return chat(isolate, key, body, { path: `/api/v1beta/models/${ECHO}:generateContent` });
    },
    read: ({ error }) => [error.code, error.status],
    expected: [429, "RESOURCE_EXHAUSTED"],
  },
];

test("limits are set, shown, replaced and ended", async () => {
  const account = await openAccount(gateway);
  const { key } = await account.createKey({ management: true });
  const manage = (method, path, body) => call(gateway, method, `/api/v1/rate-limits${path}`, { key, body });
  const made = await manage("PUT", "/team", { requests_per_minute: 5, model: "OpenAI/*", per: "key" });
  assert.equal(made.status, 200, made.text);
  assert.deepEqual(made.json.data, {
    id: "team", scope: "account", subject: null, per: "key", model: "openai/*", requests_per_minute: 5,
    tokens_per_minute: null, concurrent_requests: null, running: null, counts: [],
  });
  await manage("PUT", "/team", { requests_per_minute: 7 });
  assert.equal((await manage("GET", "/team")).json.data.requests_per_minute, 7);
  assert.deepEqual((await manage("GET", "")).json.data.map(({ id }) => id), ["team"]);
  for (const body of [{}, { requests_per_minute: -1 }, { requests_per_minute: 1, per: "day" }, { rpm: 1 }]) {
    assert.equal((await manage("PUT", "/bad", body)).status, 400, JSON.stringify(body));
  }
  const shown = await call(gateway, "GET", "/api/v1/key", { key: account.key });
  assert.deepEqual([shown.json.data.rate_limit.requests, shown.json.data.rate_limit.interval], [7, "60s"]);
  assert.deepEqual((await manage("DELETE", "/team")).json, { deleted: true });
  assert.equal((await manage("GET", "/team")).status, 404);
  assert.equal((await call(gateway, "GET", "/api/v1/rate-limits", { key: account.key })).status, 403);
});

test("a minute of fifty requests admits no more of six hundred at once, over several isolates and protocols", async (t) => {
  const account = await openAccount(gateway);
  await limits(account, "PUT", "team", { requests_per_minute: 50 });
  await nextMinute();
  const asked = Array.from({ length: 200 * ISOLATES }, (_, index) => {
    const protocol = PROTOCOLS[Math.floor(index / ISOLATES) % PROTOCOLS.length];
    return protocol.ask(isolates[index % ISOLATES], account.key).then((reply) => ({ ...reply, protocol }));
  });
  const replies = await Promise.all(asked);
  const served = replies.filter((reply) => reply.status === 200);
  const refused = replies.filter((reply) => reply.status === 429);
  t.diagnostic(`${served.length} served`);
  assert.equal(served.length + refused.length, replies.length, replies.find(({ status }) => ![200, 429].includes(status))?.text);
  assert.ok(served.length <= 50 && served.length >= 35, `${served.length} were served`);
  const minute = Math.ceil((Date.now() + ahead) / MINUTE_MS) * MINUTE_MS;
  for (const { json, headers, protocol } of refused) {
    assert.deepEqual(protocol.read(json), protocol.expected);
    assert.equal(headers.get("x-ratelimit-limit"), "50");
    assert.equal(headers.get("x-ratelimit-remaining"), "0");
    assert.equal(Number(headers.get("x-ratelimit-reset")), minute);
    const wait = Number(headers.get("retry-after"));
    assert.ok(wait >= 1 && wait <= 60, `${wait}`);
  }
  assert.ok(PROTOCOLS.every((protocol) => refused.some((reply) => reply.protocol === protocol)));
  assert.equal(served[0].headers.get("x-ratelimit-limit"), null);

  await nextMinute();
  for (const isolate of isolates) assert.equal((await chat(isolate, account.key, BODY)).status, 200);
  assert.equal((await account.settled({ withinMs: 20_000 })).used, BigInt(served.length + ISOLATES) * COST);
});

test("under a wide limit a warm isolate asks nobody", async (t) => {
  const account = await openAccount(gateway);
  await limits(account, "PUT", "wide", {
    requests_per_minute: 1_000_000,
    tokens_per_minute: 1_000_000_000,
    concurrent_requests: 10_000,
  });
  await nextMinute();
  const [, isolate] = isolates;
  const ask = async () => assert.equal((await chat(isolate, account.key, BODY)).status, 200);
  for (let turn = 0; turn < 3; turn++) {
    await Promise.all(Array.from({ length: 10 }, ask));
    await new Promise((resolve) => setTimeout(resolve, 1200));
  }
  const calls = async () => (await failpoint(isolate, "count")).accounts;
  const before = await calls();
  for (let round = 0; round < 30; round++) await Promise.all(Array.from({ length: 5 }, ask));
  const made = (await calls()) - before;
  t.diagnostic(`${made} calls for 150 requests`);
  assert.ok(made <= 15, `${made} calls`);
});

test("five at once are five, and a client that leaves makes room for another", async () => {
  const account = await openAccount(gateway);
  await limits(account, "PUT", "narrow", { concurrent_requests: 5 });
  const asked = gate();
  const prompt = upstream.plays([eventStream, says("word"), until(asked.opened), ...finish]);
  const request = { model: MODEL, max_tokens: 50, messages: user(prompt), stream: true };
  const leaving = Array.from({ length: 20 }, () => new AbortController());
  const opened = await Promise.all(
    leaving.map(({ signal }, index) => post(isolates[index % ISOLATES], account.key, request, { signal })),
  );
  const served = opened.flatMap((response, index) => (response.status === 200 ? [index] : []));
  assert.equal(served.length, 5, opened.map(({ status }) => status).join(" "));
  const refused = opened.find(({ status }) => status === 429);
  assert.equal(refused.headers.get("retry-after"), "1");
  const { error } = JSON.parse(await refused.text());
  assert.equal(error.metadata.measure, "concurrent_requests");
  assert.equal(error.metadata.limit_source, "millrace_rate_limit");
  assert.equal((await limits(account, "GET", "narrow")).data.running, 5);

  const texts = served.slice(1).map((index) => opened[index].text());
  leaving[served[0]].abort();
  const next = await eventually("there is room for one", async () => {
    const response = await post(isolates[0], account.key, request);
    if (response.status === 200) return response;
    await response.text();
    return null;
  });
  const other = await post(isolates[1], account.key, request);
  assert.equal(other.status, 429, "and for no other");
  await other.text();
  asked.open();
  await Promise.all([...texts, next.text()]);
  await eventually("all slots are free", async () => (await limits(account, "GET", "narrow")).data.running === 0);
});

test("a minute's tokens are taken by estimate and put right by what was used", async () => {
  const account = await openAccount(gateway);
  await limits(account, "PUT", "tokens", { tokens_per_minute: 5000 });
  await nextMinute();
  const asked = gate();
  const prompt = upstream.plays([eventStream, says("word"), until(asked.opened), ...finish]);
  const request = { model: MODEL, max_tokens: 1000, messages: user(prompt), stream: true };
  const ask = (count) =>
    Promise.all(Array.from({ length: count }, (_, index) => post(isolates[index % ISOLATES], account.key, request)));
  const opened = await ask(9);
  const served = opened.filter(({ status }) => status === 200);
  assert.equal(served.length, 4, opened.map(({ status }) => status).join(" "));
  const { error } = JSON.parse(await opened.find(({ status }) => status === 429).text());
  assert.equal(error.metadata.measure, "tokens_per_minute");
  asked.open();
  await Promise.all(served.map((response) => response.text()));
  // Each has used 50, as the provider says.
  await eventually("what was not used is free", async () => {
    const { data } = await limits(account, "GET", "tokens");
    return data.counts[0].tokens === 200;
  });
  const later = await ask(4);
  assert.deepEqual(later.map(({ status }) => status), [200, 200, 200, 200]);
  await Promise.all(later.map((response) => response.text()));
});

test("free models are counted for an account as a whole, by the minute and the day", async () => {
  const offer = { model: "chat-1", prompt: "0", completion: "0" };
  await admin(gateway, "PATCH", "/catalog", {
    providers: { acme: { name: "Acme", protocol: "openai_chat", base_url: upstream.base("acme"), key_variable: "ACME_API_KEY" } },
    models: { [FREE]: { name: "Acme Free", context_length: 32768, parameters: ["max_tokens"], offers: { acme: offer } } },
  });
  const prompt = upstream.plays(replied("hello"));
  const body = { model: FREE, max_tokens: 10, messages: user(prompt) };
  const account = await openAccount(gateway, { credit: "1" });
  const { key: second } = await account.createKey({});
  const ask = (isolate, key) => chat(isolate, key, body);
  for (const isolate of isolates) {
    await eventually("the free model is known", async () => (await ask(isolate, account.key)).status !== 404, {
      withinMs: 70_000,
    });
  }
  await nextMinute();
  const shown = async () => (await call(gateway, "GET", "/api/v1/key", { key: second })).json.data.free_model_daily_requests;
  const before = await shown();
  assert.deepEqual([before.limit, before.remaining], [12, 12 - before.used]);
  const replies = await Promise.all(
    Array.from({ length: 60 }, (_, index) => ask(isolates[index % ISOLATES], index % 2 ? second : account.key)),
  );
  const served = replies.filter(({ status }) => status === 200);
  assert.equal(served.length, Math.min(10, before.remaining));
  const refused = assertFailure(replies.find(({ status }) => status === 429), 429, /free-models-per-/);
  assert.equal(refused.metadata.limit_source, "openrouter_free_tier_daily");

  await nextMinute();
  const rest = await Promise.all(Array.from({ length: 6 }, (_, index) => ask(isolates[index % ISOLATES], account.key)));
  const day = rest.find(({ status }) => status === 429);
  assertFailure(day, 429, /free-models-per-day/);
  assert.equal(day.headers.get("x-ratelimit-limit"), "12");
  assert.deepEqual(await shown(), { used: 12, limit: 12, remaining: 0 });
  await account.grant({ amount: "9", reason: "worker test" });
  assert.equal((await ask(isolates[0], account.key)).status, 200, "who was given ten has the other limit");
});
