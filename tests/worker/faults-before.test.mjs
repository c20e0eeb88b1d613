// An upstream that fails before it has said anything of use: what the client is told when there is
// nobody else, and that somebody else is asked when there is.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, stream, user } from "./chat.mjs";
import { freePort, openAccount, providerVars, startGateway } from "./harness.mjs";
import {
  bytes,
  close,
  completion,
  data,
  end,
  eventStream,
  head,
  json,
  raw,
  refused,
  reset,
  startUpstream,
  usageChunk,
} from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const LOCATION = { location: "http://127.0.0.1:1/stolen" };

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "faults-before",
  vars: { ...providerVars(upstream.base), OLLAMA_BASE_URL: `http://127.0.0.1:${await freePort()}/v1` },
});
const account = await openAccount(gateway);

// What happens, how the upstream does it, and the status for the client if nobody else can help.
const FAULTS = [
  ["resets before the head", [reset], 502],
  ["resets within the head", [raw("HTTP/1.1 200 OK\r\ncontent-ty"), reset], 502],
  ["closes before the head", [close], 502],
  ["speaks no HTTP", [raw("SSH-2.0-OpenSSH_9.6\r\n\r\n"), close], 502],
  ["500", refused(500, `${CANARY.reply} broke`), 502],
  ["500 that repeats our key", refused(500, `no luck with ${CANARY.providerSecret}-openai`), 502],
  ["502 with HTML", [json(502, "<html>bad gateway</html>", { "content-type": "text/html" })], 502],
  ["503", refused(503, "no capacity"), 503],
  ["408", refused(408, "too slow"), 504],
  ["429", refused(429, "slow down", { "retry-after": "7" }), 429],
  ["404, the provider lost the model", refused(404, "no such model"), 502],
  ["401, our key is bad", refused(401, `bad key ${CANARY.providerSecret}-openai`), 502],
  ["402, our account there is empty", refused(402, "pay first"), 502],
  ["302 elsewhere", [json(302, "", LOCATION)], 502],
  ["307 elsewhere", [json(307, "", LOCATION)], 502],
  ["an error inside a 200", [json(200, { error: { message: "overloaded", code: 529 } })], 503],
  ["no choices in a 200", [json(200, { ...completion(""), choices: [] })], 502],
  ["a 200 that is not JSON", [json(200, "<html>hello</html>", { "content-type": "text/html" })], 502],
  ["an empty 200", [json(200, "")], 502],
  [
    "a 200 cut in the middle",
    [
      head(200, { "content-type": "application/json", "content-length": 500 }),
      bytes('{"id":"chatcmpl-1","choices":[{"ind'),
      close,
    ],
    502,
  ],
];

// Faults of the caller's, which anybody else would find too: and the provider's words for them.
const CALLERS_FAULTS = [
  ["400, the caller is wrong", refused(400, "temperature is too hot"), 400, /temperature is too hot/],
  [
    "400 that repeats our key",
    refused(400, `${CANARY.providerSecret}-openai may not use tools`),
    400,
    /may not use tools|error/,
  ],
  ["422, the caller is wrong", refused(422, "seed is not a number"), 422, /seed is not a number/],
];

const STREAM_FAULTS = [
  ["an error as the first event", [eventStream, data({ error: { message: "overloaded", code: 529 } }), end]],
  ["a stream with nothing in it", [eventStream, end]],
  ["only the terminator", [eventStream, data("[DONE]"), end]],
  [
    "only usage",
    [eventStream, data(usageChunk({ prompt_tokens: 20, completion_tokens: 0, total_tokens: 20 })), data("[DONE]"), end],
  ],
  ["only comments", [eventStream, bytes(": wait\n\n: wait\n\n"), end]],
  ["a reset before the first event", [eventStream, reset]],
  ["a reset within the first event", [eventStream, bytes('data: {"id":"x","choi'), reset]],
  ["events that are not JSON", [eventStream, bytes("data: {nonsense\n\n"), end]],
];

for (const [name, script, status] of FAULTS) {
  test(`${name}: told as ${status}, streaming or not`, async () => {
    for (const ask of [chat, stream]) {
      const reply = await ask(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
      const error = assertFailure(reply, status);
      assert.ok(!JSON.stringify(error).includes(CANARY.providerSecret), "a provider's secret came out");
    }
  });

  test(`${name}: another model is asked`, async () => {
    for (const ask of [chat, stream]) {
      const prompt = upstream.plays(script);
      const reply = await ask(gateway, account.key, { models: [MODEL, "millrace/echo"], messages: user(prompt) });
      assert.equal(upstream.exchanges(prompt).length, 1);
      assert.equal(reply.json?.model, "millrace/echo", reply.text);
    }
  });
}

for (const [name, script, status, words] of CALLERS_FAULTS) {
  test(`${name}: told as ${status} in the provider's words, and nobody else is asked`, async () => {
    for (const ask of [chat, stream]) {
      const prompt = upstream.plays(script);
      const reply = await ask(gateway, account.key, { models: [MODEL, "millrace/echo"], messages: user(prompt) });
      const error = assertFailure(reply, status, words);
      assert.ok(!JSON.stringify(error).includes(CANARY.providerSecret), "a provider's secret came out");
      assert.equal(upstream.exchanges(prompt).length, 1);
    }
  });
}

for (const [name, script] of STREAM_FAULTS) {
  test(`${name}: told as an error with a status, for nothing has been sent`, async () => {
    const reply = await stream(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
    assert.ok(reply.status >= 500, `${reply.status}`);
    assertFailure(reply, reply.status);
  });

  test(`${name}: another model is asked, and only its words arrive`, async () => {
    const prompt = upstream.plays(script);
    const reply = await stream(gateway, account.key, { models: [MODEL, "millrace/echo"], messages: user(prompt) });
    assert.equal(reply.status, 200);
    assert.equal(reply.text.trim(), prompt);
    assert.equal(reply.error, null);
    assert.ok(reply.done);
    assert.ok(reply.chunks.every((chunk) => chunk.model === "millrace/echo"));
  });
}

test("a refused connection: told as 502, and another model is asked", async () => {
  const alone = await chat(gateway, account.key, { model: "ollama/anything", messages: user("hi") });
  assertFailure(alone, 502);
  assert.doesNotMatch(alone.text, /127\.0\.0\.1/);
  const helped = await chat(gateway, account.key, {
    models: ["ollama/anything", "millrace/echo"],
    messages: user("hi"),
  });
  assert.equal(helped.json.model, "millrace/echo");
});

test("a provider's Retry-After reaches the client", async () => {
  const prompt = upstream.plays(refused(429, "slow down", { "retry-after": "7" }));
  const reply = await chat(gateway, account.key, { model: MODEL, messages: user(prompt) });
  assert.equal(reply.headers.get("retry-after"), "7");
});

test("a redirect is never followed, so the provider's key goes nowhere", async () => {
  const elsewhere = upstream.plays([json(200, completion("stolen"))]);
  const location = `${upstream.base("thief")}/chat/completions?${encodeURIComponent(elsewhere)}`;
  const prompt = upstream.plays([json(307, "", { location })], [json(200, completion("followed"))]);
  const reply = await chat(gateway, account.key, { model: MODEL, messages: user(prompt) });
  assertFailure(reply, 502);
  assert.equal(upstream.exchanges(prompt).length, 1);
  assert.doesNotMatch(reply.text, /thief/);
});

test("a compressed reply is read, streaming or not", async () => {
  const whole = gzipSync(JSON.stringify(completion(CANARY.reply)));
  const gzip = { "content-encoding": "gzip" };
  const reply = await chat(gateway, account.key, {
    model: MODEL,
    messages: user(upstream.plays([head(200, { "content-type": "application/json", ...gzip }), bytes(whole), end])),
  });
  assert.equal(reply.json?.choices[0].message.content, CANARY.reply, reply.text);
  const events = `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: CANARY.reply }, finish_reason: "stop" }] })}\n\ndata: [DONE]\n\n`;
  const streamed = await stream(gateway, account.key, {
    model: MODEL,
    messages: user(
      upstream.plays([head(200, { "content-type": "text/event-stream", ...gzip }), bytes(gzipSync(events)), end]),
    ),
  });
  assert.equal(streamed.text, CANARY.reply);
});

test("none of these failures costs anything or leaves anything held", async () => {
  const { key, settled } = await openAccount(gateway);
  const asks = [
    ...FAULTS.flatMap(([, script]) => [
      [chat, script],
      [stream, script],
    ]),
    ...STREAM_FAULTS.map(([, script]) => [stream, script]),
  ];
  await Promise.all(
    asks.map(([ask, script]) => ask(gateway, key, { model: MODEL, messages: user(upstream.plays(script)) })),
  );
  assert.equal((await settled()).used, 0n);
});
