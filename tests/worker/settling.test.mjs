// Ends that wait for their charges (MILLRACE_SETTLE=before), in an isolate beside the one that has the
// accounts: when a client has the end of a reply, the account has its charge, although nobody asked the
// isolate to report. Runs on the build with failpoints, which count calls and make services fail.

import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import { after, test } from "node:test";
import OpenAI from "openai";

import { chat, deltasOf, framesOf, post, stream, user } from "./chat.mjs";
import { failpoint, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { eventStream, hang, says, startUpstream } from "./upstream.mjs";
import { eventually } from "./wait.mjs";

const ECHO = "millrace/echo";
const BODY = { model: ECHO, messages: user("one two three"), max_tokens: 3 };
const COST = pico("0.000009");
/** Charges that nobody takes are kept in KV after so long. */
const PATIENCE_MS = 12_000;
/** A lease admits for ten seconds and outlives what it admitted. */
const [TOTAL_MS, GRACE_MS] = [20_000, 1000];
const EXPIRY_MS = TOTAL_MS + GRACE_MS + 10_000;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "settling",
  vars: { ...providerVars(upstream.base), MILLRACE_SETTLE: "before", MILLRACE_TOTAL_TIMEOUT_MS: TOTAL_MS, MILLRACE_HOLD_GRACE_MS: GRACE_MS },
  isolates: 2,
  failpoints: true,
});
const [home, isolate] = gateway.isolates();
const account = await openAccount(gateway);
const fail = (name) => failpoint(isolate, name);

/** What the account has been charged for a reply, as the isolate that has the accounts knows it. */
async function charged(id) {
  const { status, json } = await generation(home, account.key, id);
  return status === 200 ? pico(json.data.total_cost) : null;
}

test("SDKs: the end of a reply says that it is charged", async () => {
  const openai = new OpenAI({ apiKey: account.key, baseURL: `${isolate.url}/api/v1`, maxRetries: 0 });
  for (let turn = 0; turn < 3; turn++) {
    const whole = await openai.chat.completions.create(BODY);
    assert.equal(await charged(whole.id), COST);
    let last;
    for await (const chunk of await openai.chat.completions.create({ ...BODY, stream: true })) last = chunk;
    assert.equal(pico(last.usage.cost), COST);
    assert.equal(await charged(last.id), COST);
    const answered = await openai.responses.create({ model: ECHO, input: "one two three", max_output_tokens: 16 });
    assert.equal(await charged(answered.id), pico(answered.usage.cost));
  }
  const anthropic = new Anthropic({ authToken: account.key, apiKey: null, baseURL: `${isolate.url}/api`, maxRetries: 0 });
  const message = await anthropic.messages.create(BODY);
  assert.equal(await charged(message.id), pico(message.usage.cost));
  const streamed = await anthropic.messages.stream(BODY).finalMessage();
  assert.equal(await charged(streamed.id), pico(message.usage.cost));
});

test("those who wait share calls of the account", async (t) => {
  const before = await fail("count");
  const replies = [];
  for (let round = 0; round < 20; round++) {
    replies.push(...(await Promise.all(Array.from({ length: 20 }, () => chat(isolate, account.key, BODY)))));
  }
  const calls = (await fail("count")).accounts - before.accounts;
  t.diagnostic(`${calls} calls of the account for ${replies.length} replies`);
  assert.ok(replies.every(({ status }) => status === 200));
  assert.ok(calls <= replies.length / 3, `${calls} calls for ${replies.length} replies`);
  for (const { json } of replies.slice(-20)) assert.equal(await charged(json.id), COST);
});

test("a client that leaves in the middle is charged, though nobody asks for it", async () => {
  const prompt = upstream.plays([eventStream, says("some words "), hang]);
  const leaves = new AbortController();
  const body = { model: "openai/gpt-4.1-mini", max_tokens: 100, stream: true, messages: user(prompt) };
  const response = await post(isolate, account.key, body, { signal: leaves.signal });
  const id = response.headers.get("x-generation-id");
  for await (const delta of deltasOf(response)) {
    assert.equal(delta, "some words ");
    break;
  }
  leaves.abort();
  // It is noticed by the next comment at the latest.
  await eventually("it is charged", async () => (await charged(id)) > 0n, { withinMs: 4000 });
});

test("while the account does not answer the text flows, and the end comes when KV has the charge", async (t) => {
  for (let turn = 0; turn < 3; turn++) assert.equal((await stream(isolate, account.key, BODY)).status, 200);
  // The wait is counted from the first call that fails, which may be one of before.
  const failing = Date.now();
  await fail("accounts-down");
  const began = Date.now();
  const response = await post(isolate, account.key, { ...BODY, stream: true });
  const id = response.headers.get("x-generation-id");
  let text = "";
  let spoken;
  let ended = false;
  for await (const { data, json } of framesOf(response)) {
    text += json?.choices?.[0]?.delta?.content ?? "";
    if (text === "one two three") spoken ??= Date.now() - began;
    ended ||= data === "[DONE]";
  }
  const took = Date.now() - failing;
  t.diagnostic(`the text came after ${spoken} ms, the end after ${took}`);
  assert.ok(ended && spoken < 2000, `${text} after ${spoken} ms`);
  assert.ok(took >= PATIENCE_MS - 1000 && took < PATIENCE_MS + 8000, `${took} ms`);
  // Nobody remembers now: what KV keeps is all there is.
  await gateway.kill();
  await gateway.restart();
  await eventually("the alarm has made the charge", async () => (await charged(id)) === COST, { withinMs: EXPIRY_MS + 130_000 });
  await account.settled({ withinMs: EXPIRY_MS + 10_000 });
});
