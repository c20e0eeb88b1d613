// Who answers when somebody cannot: other providers of a model, other keys of a provider, other
// models of the request. The reply says who it was, and on request who was tried.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, stream, user } from "./chat.mjs";
import { endpointsOf, openAccount, providerVars, startGateway } from "./harness.mjs";
import { cost, pico } from "./money.mjs";
import {
  chunk,
  eventStream,
  frame,
  bytes,
  refused,
  replied,
  reset,
  startUpstream,
  streamed,
  USAGE,
} from "./upstream.mjs";

const ONE_PROVIDER = "openai/gpt-4.1-mini";
const MANY_PROVIDERS = "openai/gpt-oss-120b";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "fallback",
  vars: {
    ...providerVars(upstream.base),
    MISTRAL_API_KEY: `${CANARY.providerSecret}-first|3, ${CANARY.providerSecret}-second|1`,
  },
});
const { key, credits } = await openAccount(gateway, { credit: "100" });
let endpoints;
before(async () => {
  endpoints = await endpointsOf(gateway, key, MANY_PROVIDERS);
  assert.ok(endpoints.length >= 2, "the catalog has several live providers of this model");
});

test("another endpoint of the same model answers, and the reply names its provider", async () => {
  for (const failure of [refused(500, "broke"), refused(429, "slow down"), refused(401, "bad key"), [reset]]) {
    for (const ask of [chat, stream]) {
      const answer = ask === chat ? replied(CANARY.reply) : streamed(CANARY.reply);
      const prompt = upstream.plays(failure, answer);
      const reply = await ask(gateway, key, { model: MANY_PROVIDERS, messages: user(prompt) });
      const asked = upstream.exchanges(prompt);
      const [, second] = asked.map((each) => each.provider);
      assert.ok(second, `nobody else was asked: ${reply.text}`);
      assert.notDeepEqual(...asked.map((each) => [each.provider, JSON.parse(each.body).model]));
      assert.equal(reply.json.model, MANY_PROVIDERS);
      assert.equal(reply.json.provider.toLowerCase().replaceAll(/\W/g, "").slice(0, 4), second.slice(0, 4));
    }
  }
});

test("every endpoint is asked once before the client is told", async () => {
  const prompt = upstream.plays(refused(503, "no capacity"));
  const reply = await chat(gateway, key, { model: MANY_PROVIDERS, messages: user(prompt) });
  assert.ok(reply.status >= 500 || reply.status === 429, reply.text);
  const asked = upstream.exchanges(prompt).map((each) => `${each.provider} ${JSON.parse(each.body).model}`);
  assert.equal(new Set(asked).size, asked.length, `${asked}`);
  assert.equal(asked.length, endpoints.length);
});

test("models are tried in the client's order; the one that answered is named and charged", async () => {
  const prompt = upstream.plays(refused(500, "broke"), replied(CANARY.reply));
  const order = [ONE_PROVIDER, "openai/gpt-4o-mini", "millrace/echo"];
  const before = await credits();
  const reply = await chat(gateway, key, { models: order, messages: user(prompt) });
  assert.equal(reply.json.model, "openai/gpt-4o-mini", reply.text);
  const [endpoint] = await endpointsOf(gateway, key, "openai/gpt-4o-mini");
  assert.equal((await credits()).used - before.used, cost(USAGE, endpoint.pricing));
});

test("`model` comes before `models`, and `route: fallback` changes nothing", async () => {
  const prompt = upstream.plays(refused(500, "broke"));
  const reply = await chat(gateway, key, {
    model: ONE_PROVIDER,
    models: ["openai/gpt-4o-mini", "millrace/echo"],
    route: "fallback",
    messages: user(prompt),
  });
  assert.equal(reply.json.model, "millrace/echo", reply.text);
  const sent = upstream.exchanges(prompt).map((each) => JSON.parse(each.body).model);
  assert.equal(sent.length, 2);
  assert.notEqual(sent[0], sent[1]);
});

test("an unknown model among several is refused before anybody is asked", async () => {
  const prompt = upstream.plays(replied(CANARY.reply));
  const reply = await chat(gateway, key, { models: [ONE_PROVIDER, "nobody/nothing"], messages: user(prompt) });
  assertFailure(reply, 400, /nobody\/nothing is not a valid model ID/);
  assert.equal(upstream.exchanges(prompt).length, 0);
});

test("when all models fail, the client is told of the last", async () => {
  const prompt = upstream.plays(refused(500, "broke"), refused(429, "slow down", { "retry-after": "3" }));
  const reply = await chat(gateway, key, { models: [ONE_PROVIDER, "openai/gpt-4o-mini"], messages: user(prompt) });
  assertFailure(reply, 429);
});

test("after the first word nobody else is asked", async () => {
  const begun = [eventStream, bytes(frame(chunk({ content: "one " }))), reset];
  const prompt = upstream.plays(begun, streamed("two"));
  const reply = await stream(gateway, key, { model: MANY_PROVIDERS, messages: user(prompt) });
  assert.equal(upstream.exchanges(prompt).length, 1);
  assert.ok(reply.error);
});

test("a provider's second key is tried when the first is refused", async () => {
  const slug = (await mistralModels())[0];
  const prompt = upstream.plays(refused(401, "bad key"), replied(CANARY.reply));
  const reply = await chat(gateway, key, { model: slug, messages: user(prompt) });
  assert.equal(reply.status, 200, reply.text);
  const used = upstream.exchanges(prompt).map((each) => each.headers.authorization);
  assert.deepEqual(
    new Set(used),
    new Set(["first", "second"].map((name) => `Bearer ${CANARY.providerSecret}-${name}`)),
  );
});

test("the attempts are visible on request, and only then", async () => {
  const body = () => ({ model: MANY_PROVIDERS, messages: user(upstream.plays(refused(500, "broke"), replied("ok"))) });
  const asked = await chat(gateway, key, body(), { headers: { "x-openrouter-metadata": "enabled" } });
  const attempts = asked.json.openrouter_metadata.attempts;
  assert.deepEqual(
    attempts.map((attempt) => attempt.status),
    [500, 200],
    asked.text,
  );
  assert.equal(attempts.at(-1).provider, asked.json.provider);
  assert.equal((await chat(gateway, key, body())).json.openrouter_metadata, undefined);

  const streaming = { model: MANY_PROVIDERS, messages: user(upstream.plays(refused(500, "broke"), streamed("ok"))) };
  const reply = await stream(gateway, key, streaming, { headers: { "x-openrouter-metadata": "enabled" } });
  assert.equal(reply.chunks.filter((each) => each.openrouter_metadata).length, 1);
});

test("the log line lists the attempts without a word of the prompt", async () => {
  const prompt = upstream.plays(refused(500, "broke"), replied("ok"));
  const reply = await chat(gateway, key, { model: MANY_PROVIDERS, messages: user(prompt) });
  const line = await gateway.lineOf(reply.json.id);
  assert.equal(line.attempts.length, 2, JSON.stringify(line));
  assert.equal(pico(line.cost_usd), pico(reply.json.usage.cost));
  assert.doesNotMatch(JSON.stringify(line), new RegExp(CANARY.prompt));
});

async function mistralModels() {
  const response = await fetch(`${gateway.base}/models`, { headers: { authorization: `Bearer ${key}` } });
  const slugs = (await response.json()).data.map((model) => model.id);
  return slugs.filter((slug) => slug.startsWith("mistralai/"));
}
