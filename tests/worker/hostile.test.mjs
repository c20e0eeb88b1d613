// Callers who try to get more than they pay for, and providers who say absurd things: the gateway
// charges what is right, keeps its memory, and never falls over.

import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, stream, user } from "./chat.mjs";
import { admin, adminKey, call, ceilingOf, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import {
  bytes,
  chunk,
  completion,
  data,
  end,
  eventStream,
  finish,
  frame,
  head,
  replied,
  says,
  startUpstream,
  usageChunk,
} from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const DEAR_MODEL = "openai/gpt-4o-mini";
const MEBIBYTE = 1 << 20;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "hostile", vars: providerVars(upstream.base) });
const { key } = await openAccount(gateway, { credit: "100000" });

afterEach(async () => {
  assert.equal((await call(gateway, "GET", "/health")).status, 200);
  assert.ok(!gateway.log.some((line) => /panicked|RuntimeError/.test(line)), gateway.log.join("\n"));
});

test("a field that is said twice, openly or by an escape, is refused: readers would differ on which counts", async () => {
  const pairs = [
    [`"model":"${MODEL}"`, `"model":"${DEAR_MODEL}"`],
    [`"model":"${MODEL}"`, `"mod\\u0065l":"${DEAR_MODEL}"`],
    [`"model":"${MODEL}","max_tokens":1`, `"max_tokens":9000`],
    [`"model":"${MODEL}","max_tokens":1`, `"max_tok\\u0065ns":9000`],
    [`"model":"${MODEL}","n":1`, `"n":5`],
    [`"model":"${MODEL}","stream":false`, `"stream":true`],
    [`"model":"${MODEL}","stream":false`, `"str\\u0065am":true`],
  ];
  for (const fields of pairs.flatMap(([first, second]) => [`${first},${second}`, `${second},${first}`])) {
    const prompt = upstream.plays(replied("ok"));
    const reply = await chat(gateway, key, `{${fields},"messages":[{"role":"user","content":"${prompt}"}]}`);
    assertFailure(reply, 400);
    assert.equal(upstream.exchanges(prompt).length, 0);
  }
});

test("the most a request may cost counts every way of asking for more", async () => {
  const base = { model: MODEL, messages: user("one"), max_tokens: 10 };
  const plain = await ceilingOf(gateway, base);
  const dearer = [
    { max_completion_tokens: 5000 },
    { n: 8 },
    { messages: user("one ".repeat(2000)) },
    {
      messages: user([
        { type: "text", text: "one" },
        { type: "image_url", image_url: { url: "https://example.com/a.png" } },
      ]),
    },
    { tools: [{ type: "function", function: { name: "f", description: "d".repeat(5000) } }] },
  ];
  for (const more of dearer) {
    assert.ok((await ceilingOf(gateway, { ...base, ...more })) > plain, JSON.stringify(more).slice(0, 80));
  }
});

test("absurd usage is neither believed below zero nor allowed to break anything", async () => {
  const absurd = [
    { prompt_tokens: -5, completion_tokens: -5 },
    { prompt_tokens: 1e30, completion_tokens: 1 },
    { prompt_tokens: 1.5, completion_tokens: 2.5 },
    { prompt_tokens: "20", completion_tokens: "30" },
    { prompt_tokens: null, completion_tokens: null },
    { prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 500 } },
    { prompt_tokens: 5, completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 500 } },
    { prompt_tokens: 5, completion_tokens: 5, prompt_tokens_details: null, completion_tokens_details: [] },
    [],
    "lots",
  ];
  for (const usage of absurd) {
    for (const ask of [chat, stream]) {
      const account = await openAccount(gateway);
      const script =
        ask === chat
          ? replied(CANARY.reply, usage)
          : [eventStream, says(CANARY.reply), data(chunk({}, "stop")), data(usageChunk(usage)), data("[DONE]"), end];
      const reply = await ask(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
      assert.equal(reply.status, 200, `${JSON.stringify(usage)}: ${reply.text}`);
      const credits = await account.settled();
      assert.ok(credits.used >= 0n, `${JSON.stringify(usage)}: ${credits.used}`);
      assert.equal(credits.available, credits.granted - credits.used);
    }
  }
});

test("replies of absurd shapes do not break anything", async () => {
  const shapes = [
    "null",
    "[]",
    "7",
    '"text"',
    "{}",
    '{"choices":null}',
    '{"choices":{}}',
    '{"choices":[null]}',
    '{"choices":[{}]}',
    '{"choices":[{"message":null}]}',
    '{"choices":[{"message":{"content":[1,2]}}]}',
    '{"error":null}',
    '{"error":"words"}',
    '{"error":{"message":{"deep":[]}}}',
    `${'{"a":'.repeat(200)}1${"}".repeat(200)}`,
    `${"[".repeat(100_000)}`,
  ];
  for (const shape of shapes) {
    const whole = [head(200, { "content-type": "application/json" }), bytes(shape), end];
    const unary = await chat(gateway, key, { model: MODEL, messages: user(upstream.plays(whole)) });
    assert.ok(unary.status === 200 || unary.status >= 500, `${shape.slice(0, 40)}: ${unary.status}`);
    const events = [eventStream, bytes(frame(shape)), ...finish];
    const streamed = await stream(gateway, key, { model: MODEL, messages: user(upstream.plays(events)) });
    assert.equal(streamed.broken, null, shape.slice(0, 40));
  }
});

test("a line that never ends is given up, not kept", async () => {
  const filler = Buffer.alloc(MEBIBYTE, "x");
  const endless = [
    eventStream,
    says("one "),
    bytes('data: {"choices":[{"index":0,"delta":{"content":"'),
    ...Array(64).fill(bytes(filler)),
    end,
  ];
  const reply = await stream(gateway, key, { model: MODEL, messages: user(upstream.plays(endless)) });
  assert.equal(reply.text, "one ");
  assert.equal(reply.error?.code, 502);
});

test("a whole reply without end is given up, not kept", async () => {
  const filler = Buffer.alloc(MEBIBYTE, " ");
  const endless = [
    head(200, { "content-type": "application/json" }),
    ...Array(64).fill(bytes(filler)),
    bytes(JSON.stringify(completion("ok"))),
    end,
  ];
  assertFailure(await chat(gateway, key, { model: MODEL, messages: user(upstream.plays(endless)) }), 502);
});

test("half of a surrogate pair passes in both directions", async () => {
  const lone = '"content":"\\ud83c"';
  const events = frame(chunk({ content: "?" })).replace('"content":"?"', lone);
  const prompt = upstream.plays([eventStream, bytes(events), ...finish]);
  const body = `{"model":"${MODEL}","stream":true,"messages":[{"role":"user","content":"${prompt} \\ud83c"}]}`;
  const reply = await (
    await fetch(`${gateway.base}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body,
    })
  ).text();
  assert.ok(upstream.exchanges(prompt)[0].body.includes("\\ud83c"));
  assert.ok(reply.includes(lone), reply);
  assert.ok(reply.includes("[DONE]"));
});

test("bytes that are not UTF-8 are refused from a caller", async () => {
  const body = Buffer.concat([
    Buffer.from(`{"model":"${MODEL}","messages":[{"role":"user","content":"`),
    Buffer.of(0xff, 0xc3),
    Buffer.from('"}]}'),
  ]);
  const response = await fetch(`${gateway.base}/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}` },
    body,
  });
  assert.equal(response.status, 400);
});

test("a body nested beyond reason is refused, not followed", async () => {
  const deep = `{"model":"${MODEL}","messages":[{"role":"user","content":"hi"}],"metadata":${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}}`;
  const { status } = await chat(gateway, key, deep);
  assert.ok([400, 404, 502].includes(status), `${status}`);
});

test("twenty mebibytes of image arrive whole", async () => {
  const prompt = upstream.plays(replied("ok"));
  const url = `data:image/png;base64,${Buffer.alloc(15 * MEBIBYTE, 7).toString("base64")}`;
  const messages = user([
    { type: "text", text: prompt },
    { type: "image_url", image_url: { url } },
  ]);
  const reply = await chat(gateway, key, { model: MODEL, messages });
  assert.equal(reply.status, 200, reply.text);
  assert.ok(upstream.exchanges(prompt)[0].body.includes(url));
});

test("a reply dearer than its hold is charged, and then there is nothing left to spend", async () => {
  const body = { model: MODEL, max_tokens: 10, messages: user("say nothing") };
  const account = await openAccount(gateway, { credit: "0.01" });
  const usage = { prompt_tokens: 1_000_000, completion_tokens: 1_000_000, total_tokens: 2_000_000 };
  const reply = await chat(gateway, account.key, { ...body, messages: user(upstream.plays(replied("ok", usage))) });
  assert.equal(reply.status, 200);
  const credits = await account.settled();
  assert.equal(credits.used, pico(reply.json.usage.cost));
  assertFailure(await chat(gateway, account.key, body), 402);
});

test("a grant that is no amount, or that nothing could hold, is refused", async () => {
  const { id, credits } = await openAccount(gateway, { credit: "5000000" });
  const amounts = [
    "",
    "abc",
    "1e400",
    "0.0000000000001",
    "9300000",
    "5000000",
    true,
    null,
    {},
    "0x10",
    "NaN",
    " 1",
    "1 ",
  ];
  for (const amount of amounts) {
    const reply = await call(gateway, "POST", `/api/v1/admin/accounts/${id}/credits`, {
      key: adminKey,
      body: { amount, reason: "x" },
    });
    assert.equal(reply.status, 400, `${JSON.stringify(amount)}: ${reply.text}`);
  }
  assert.equal((await credits()).granted, pico("5000000"));
  await admin(gateway, "POST", `/accounts/${id}/credits`, { amount: 1.5, reason: "a JSON number is exact too" });
  assert.equal((await credits()).granted, pico("5000001.5"));
});

test("a hundred streams at once keep their words apart", async () => {
  const replies = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const words = Array.from({ length: 20 }, (_, word) => `${index}-${word} `);
      const prompt = upstream.plays([eventStream, ...words.map(says), ...finish]);
      return [words.join(""), await stream(gateway, key, { model: MODEL, messages: user(prompt) })];
    }),
  );
  for (const [expected, reply] of replies) assert.equal(reply.text, expected);
  assert.equal(new Set(replies.map(([, reply]) => reply.id)).size, 100);
});
