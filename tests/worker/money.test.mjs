// Exact money: what a reply costs, what an account has, and that no number of requests at once
// spends more than was granted.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { assertFailure, chat, stream, user } from "./chat.mjs";
import { ceilingOf, endpointsOf, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { cost, dollars, pico } from "./money.mjs";
import {
  bytes,
  chunk,
  data,
  end,
  eventStream,
  replied,
  says,
  startUpstream,
  streamed,
  usageChunk,
} from "./upstream.mjs";

const ECHO = "millrace/echo";
const MODEL = "openai/gpt-4.1-mini";
const COST_TEXT = /"cost":\s*([0-9.eE+-]+)/;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "money", vars: providerVars(upstream.base) });

test("the echo costs its words: one microdollar in, two out", async () => {
  const table = [
    [{ messages: user("one") }, 1n, 1n],
    [{ messages: user("one two  three\nfour") }, 4n, 4n],
    [{ messages: user("one two three four"), max_tokens: 2 }, 4n, 2n],
    [{ messages: [{ role: "system", content: "be brief" }, ...user("one two")] }, 4n, 2n],
  ];
  for (const [body, promptTokens, completionTokens] of table) {
    for (const ask of [chat, stream]) {
      const account = await openAccount(gateway);
      const reply = await ask(gateway, account.key, { model: ECHO, ...body });
      const usage = reply.usage ?? reply.json.usage;
      assert.deepEqual(
        [usage.prompt_tokens, usage.completion_tokens],
        [Number(promptTokens), Number(completionTokens)],
      );
      const expected = promptTokens * 1_000_000n + completionTokens * 2_000_000n;
      await assertCharged(account, reply, expected);
    }
  }
});

test("a provider's usage is charged at its endpoint's prices, to the picodollar", async () => {
  const usages = [
    { prompt_tokens: 20, completion_tokens: 30 },
    { prompt_tokens: 1, completion_tokens: 0 },
    { prompt_tokens: 123_457, completion_tokens: 76_543 },
    { prompt_tokens: 1000, completion_tokens: 10, prompt_tokens_details: { cached_tokens: 896 } },
    { prompt_tokens: 10, completion_tokens: 500, completion_tokens_details: { reasoning_tokens: 450 } },
  ].map((usage) => ({ ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens }));
  for (const usage of usages) {
    for (const ask of [chat, stream]) {
      const account = await openAccount(gateway);
      const [endpoint] = await endpointsOf(gateway, account.key, MODEL);
      const script =
        ask === chat
          ? replied("ok", usage)
          : [eventStream, says("ok"), data(chunk({}, "stop")), data(usageChunk(usage)), data("[DONE]"), end];
      const reply = await ask(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
      await assertCharged(account, reply, cost(usage, endpoint.pricing));
    }
  }
});

test("usage is charged once, wherever in the stream it is", async () => {
  const usage = { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 };
  const early = { prompt_tokens: 20, completion_tokens: 1, total_tokens: 21 };
  const stop = data({ ...chunk({}, "stop"), usage });
  const tail = [data("[DONE]"), end];
  const places = [
    [says("ok"), stop, ...tail],
    [data({ ...chunk({ content: "ok" }), usage: early }), stop, ...tail],
    [says("ok"), stop, data(usageChunk(usage)), ...tail],
    [says("ok"), stop, data(usageChunk(usage)), data(usageChunk(usage)), end],
    [
      data({ ...chunk({ content: "ok" }), usage: null }),
      data({ ...chunk({}, "stop"), usage: null }),
      data(usageChunk(usage)),
      ...tail,
    ],
    [data(usageChunk(early)), says("ok"), data(chunk({}, "stop")), data(usageChunk(usage)), ...tail],
  ];
  for (const place of places) {
    const account = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, account.key, MODEL);
    const reply = await stream(gateway, account.key, {
      model: MODEL,
      messages: user(upstream.plays([eventStream, ...place])),
    });
    assert.deepEqual([reply.error, reply.text, reply.finish], [null, "ok", "stop"]);
    await assertCharged(account, reply, cost(usage, endpoint.pricing));
  }
});

test("a stream whose provider reports no usage is charged by what was said", async () => {
  const account = await openAccount(gateway);
  const script = [eventStream, says("some words of text"), data(chunk({}, "stop")), bytes("data: [DONE]\n\n"), end];
  const reply = await stream(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
  assert.ok(reply.usage.completion_tokens > 0);
  assert.ok((await account.settled()).used > 0n);
});

test("a provider's own idea of cost is not believed", async () => {
  const account = await openAccount(gateway);
  const usage = { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50, cost: 3_140_000 };
  const [endpoint] = await endpointsOf(gateway, account.key, MODEL);
  const reply = await chat(gateway, account.key, {
    model: MODEL,
    messages: user(upstream.plays(replied("ok", usage))),
  });
  await assertCharged(account, reply, cost(usage, endpoint.pricing));
});

test("402 says how much is missing and which max_tokens would fit, and that one fits", async () => {
  const account = await openAccount(gateway, { credit: "0.005" });
  const body = { model: ECHO, messages: user("one two three"), max_tokens: 9_999 };
  const refusal = await chat(gateway, account.key, body);
  const { metadata } = assertFailure(refusal, 402, /fewer max_tokens/);
  assert.equal(metadata.error_type, "payment_required");
  assert.equal(metadata.limit_source, "openrouter_credits");
  assert.ok(pico(metadata.missing) > 0n);
  assert.ok(metadata.affordable_max_tokens > 0 && metadata.affordable_max_tokens < 9_999);
  assert.equal((await account.credits()).used, 0n);
  assertFailure(await chat(gateway, account.key, { ...body, max_tokens: metadata.affordable_max_tokens + 1 }), 402);
  const retry = await chat(gateway, account.key, { ...body, max_tokens: metadata.affordable_max_tokens });
  assert.equal(retry.status, 200, retry.text);
});

test("granting what was missing is exactly enough", async () => {
  const account = await openAccount(gateway, { credit: "0.0001" });
  const body = { model: ECHO, messages: user("one"), max_tokens: 1000 };
  const { metadata } = assertFailure(await chat(gateway, account.key, body), 402);
  await account.grant({ amount: metadata.missing, reason: "the rest" });
  assert.equal((await chat(gateway, account.key, body)).status, 200);
});

test("an account without credit is 402, streaming too, and no provider is asked", async () => {
  const account = await openAccount(gateway, { credit: "0" });
  for (const [ask, script] of [
    [chat, replied("ok")],
    [stream, streamed("ok")],
  ]) {
    const prompt = upstream.plays(script);
    const reply = await ask(gateway, account.key, { model: MODEL, messages: user(prompt) });
    assertFailure(reply, 402);
    assert.equal(upstream.exchanges(prompt).length, 0);
  }
});

test("fifty requests at once never spend more than was granted", async () => {
  const body = { model: ECHO, messages: user("a b c d e f g h i j"), max_tokens: 10 };
  // Enough for one at a time, and for a few of fifty.
  const granted = (await ceilingOf(gateway, { ...body, stream: true })) + 4n * pico("0.00003");
  const account = await openAccount(gateway, { credit: dollars(granted) });
  const watching = watch(account);
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, index) => (index % 2 ? chat : stream)(gateway, account.key, body)),
  );
  await watching.stop();
  const served = replies.filter((reply) => reply.status === 200);
  assert.ok(served.length > 0, "some are served");
  assert.ok(served.length <= 5, "no more than the credit is for");
  for (const reply of replies) assert.ok([200, 402].includes(reply.status), `${reply.status}`);
  const credits = await account.settled();
  const spent = served.reduce((sum, reply) => sum + pico((reply.usage ?? reply.json.usage).cost), 0n);
  assert.equal(credits.used, spent);
  assert.ok(spent <= granted);
  assert.equal(credits.available, granted - spent);
});

test("a grant that is sent twice is granted once", async () => {
  const account = await openAccount(gateway, { credit: "0" });
  const grant = { amount: "1.5", reason: "invoice", id: "invoice-7" };
  await Promise.all([account.grant(grant), account.grant(grant)]);
  await account.grant(grant);
  assert.equal((await account.credits()).granted, pico("1.5"));
  await account.grant({ ...grant, id: "invoice-8" });
  assert.equal((await account.credits()).granted, pico("3"));
});

test("amounts are exact beyond what a JavaScript number holds", async () => {
  const account = await openAccount(gateway, { credit: "0" });
  await account.grant({ amount: "9123456.789012345678", reason: "a lot" });
  await account.grant({ amount: "0.000000000001", reason: "a picodollar" });
  assert.equal((await account.credits()).granted, pico("9123456.789012345679"));
});

test("the record is there as soon as the reply ends", async () => {
  for (const ask of [chat, stream]) {
    const account = await openAccount(gateway);
    for (let turn = 0; turn < 10; turn++) {
      const reply = await ask(gateway, account.key, { model: ECHO, messages: user("one two three") });
      const record = await generation(gateway, account.key, reply.id ?? reply.json.id);
      assert.equal(record.status, 200, record.text);
      assert.equal(record.json.data.tokens_completion, 3);
      assert.equal(record.json.data.streamed, ask === stream);
    }
  }
});

test("the record keeps 200 characters of what a client says of itself", async () => {
  const account = await openAccount(gateway);
  for (const length of [199, 200, 201, 400]) {
    const [agent, referer] = ["\u00e9".repeat(length), `https://a.example/${"b".repeat(length)}`];
    // The runtime reads what crosses as UTF-8.
    const headers = { "user-agent": Buffer.from(agent).toString("latin1"), "http-referer": referer };
    const reply = await chat(gateway, account.key, { model: ECHO, messages: user("one") }, { headers });
    const { data } = (await generation(gateway, account.key, reply.json.id)).json;
    assert.equal(data.user_agent, agent.slice(0, 200));
    assert.equal(data.http_referer, referer.slice(0, 200));
  }
});

/** The reply's cost, the account's, and the record's are one and the same amount. */
async function assertCharged(account, reply, expected) {
  const text =
    reply.text && COST_TEXT.test(reply.text)
      ? reply.text
      : reply.frames.findLast((frame) => COST_TEXT.test(frame.raw)).raw;
  assert.equal(pico(COST_TEXT.exec(text)[1]), expected);
  const credits = await account.settled();
  assert.equal(credits.used, expected);
  assert.equal(credits.available, credits.granted - expected);
  const record = await generation(gateway, account.key, reply.id ?? reply.json.id);
  assert.equal(pico(record.json.data.total_cost), expected);
}

/** Looks at an account all the while: it must never have promised more than it has. */
function watch(account) {
  let watching = true;
  const done = (async () => {
    while (watching) {
      const { granted, used, held, available } = await account.credits();
      assert.ok(available >= 0n && granted === used + held + available, `${granted} ${used} ${held} ${available}`);
    }
  })();
  return { stop: () => ((watching = false), done) };
}
