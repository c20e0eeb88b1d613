// The official OpenAI SDK for Node, unmodified, against the gateway.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import OpenAI from "openai";

import { CANARY } from "./canary.mjs";
import { endpointsOf, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { MODEL, PERSON, PERSON_FORMAT, startMock, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { cost, pico } from "./money.mjs";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const mock = await startMock();
after(() => mock.stop());
const gateway = await startGateway({ suite: "sdk-openai-node", vars: providerVars(() => `${mock.url}/v1`) });
const account = await openAccount(gateway);
const client = clientWith(account.key);
const ask = (content, more = {}) => ({
  model: MODEL,
  messages: [{ role: "user", content: `${CANARY.prompt} ${content}` }],
  ...more,
});

test("chat", async () => {
  const reply = await client.chat.completions.create(ask("CHAT"));
  assert.match(reply.choices[0].message.content, /🌍 世界/);
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.equal(reply.model, MODEL);
  assert.equal(reply.provider, "OpenAI");
  assert.match(reply.id, /^gen-/);
});

test("stream", async () => {
  let text = "";
  const finishes = [];
  for await (const chunk of await client.chat.completions.create(ask("CHAT", { stream: true }))) {
    text += chunk.choices[0]?.delta.content ?? "";
    if (chunk.choices[0]?.finish_reason) finishes.push(chunk.choices[0].finish_reason);
  }
  assert.match(text, /🌍 世界$/);
  // OpenRouter repeats the reason beside the usage.
  assert.deepEqual([...new Set(finishes)], ["stop"]);
});

test("the stream helper puts the same reply together", async () => {
  const reply = await client.chat.completions.stream(ask("CHAT")).finalChatCompletion();
  assert.match(reply.choices[0].message.content, /🌍 世界$/);
  assert.equal(reply.usage.completion_tokens, USAGE.completion_tokens);
});

test("usage and cost are exact, in the reply, the account and the record", async () => {
  const [endpoint] = await endpointsOf(gateway, account.key, MODEL);
  const expected = cost(USAGE, endpoint.pricing);
  for (const streaming of [false, true]) {
    const payer = await openAccount(gateway);
    const own = clientWith(payer.key);
    const reply = streaming
      ? await own.chat.completions
          .stream(ask("CHAT", { stream_options: { include_usage: true } }))
          .finalChatCompletion()
      : await own.chat.completions.create(ask("CHAT"));
    const { prompt_tokens, completion_tokens, total_tokens } = reply.usage;
    assert.deepEqual({ prompt_tokens, completion_tokens, total_tokens }, USAGE);
    assert.equal(pico(reply.usage.cost), expected);
    assert.equal((await payer.settled()).used, expected);
    const record = await generation(gateway, payer.key, reply.id);
    assert.equal(pico(record.json.data.total_cost), expected);
  }
});

test("a tool round trip", async () => {
  const request = ask("WEATHER ONE", { tools: [WEATHER_TOOL] });
  const first = await client.chat.completions.create(request);
  assert.equal(first.choices[0].finish_reason, "tool_calls");
  const [call] = first.choices[0].message.tool_calls;
  assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
  const result = { role: "tool", tool_call_id: call.id, content: "sunny" };
  const second = await client.chat.completions.create({
    ...request,
    messages: [...request.messages, first.choices[0].message, result],
  });
  assert.equal(second.choices[0].message.content, "Sunny in Paris.");
});

test("the tool runner goes round by itself", async () => {
  const cities = [];
  const get_weather = ({ city }) => (cities.push(city), "sunny");
  const tool = { ...WEATHER_TOOL, function: { ...WEATHER_TOOL.function, function: get_weather, parse: JSON.parse } };
  const runner = client.chat.completions.runTools(ask("WEATHER ONE", { tools: [tool], stream: true }));
  assert.equal(await runner.finalContent(), "Sunny in Paris.");
  assert.deepEqual(cities, ["Paris"]);
});

test("parallel tool calls, streamed, keep their order and arguments", async () => {
  const reply = await client.chat.completions
    .stream(ask("WEATHER TWO", { tools: [WEATHER_TOOL] }))
    .finalChatCompletion();
  const calls = reply.choices[0].message.tool_calls.map(({ id, function: { arguments: text } }) => [
    id,
    JSON.parse(text).city,
  ]);
  assert.deepEqual(calls, [
    ["call_paris", "Paris"],
    ["call_rome", "Rome"],
  ]);
});

test("a JSON schema is obeyed and parsed", async () => {
  const reply = await client.chat.completions.parse(ask("PERSON", { response_format: PERSON_FORMAT }));
  assert.deepEqual(JSON.parse(reply.choices[0].message.content), PERSON);
  assert.deepEqual(mock.getLastRequest().body.response_format, PERSON_FORMAT);
});

test("an image reaches the provider as it was sent", async () => {
  const content = [
    { type: "text", text: `${CANARY.prompt} IMAGE` },
    { type: "image_url", image_url: { url: PIXEL, detail: "low" } },
  ];
  const reply = await client.chat.completions.create({ model: MODEL, messages: [{ role: "user", content }] });
  assert.equal(reply.choices[0].message.content, "A small square.");
  assert.deepEqual(mock.getLastRequest().body.messages[0].content, content);
});

test("cancelled in the middle: the client stops, the record says so, the words are charged", async () => {
  const payer = await openAccount(gateway);
  const stream = await clientWith(payer.key).chat.completions.create(ask("LONG", { stream: true }));
  let id;
  let words = 0;
  for await (const chunk of stream) {
    id = chunk.id;
    if ((words += chunk.choices[0]?.delta.content ? 1 : 0) === 5) break;
  }
  const credits = await payer.settled();
  const [endpoint] = await endpointsOf(gateway, payer.key, MODEL);
  assert.ok(credits.used > 0n && credits.used < cost(USAGE, endpoint.pricing));
  const { json } = await generation(gateway, payer.key, id);
  assert.equal(json.data.cancelled, true);
});

test("models are listed", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODEL) && ids.includes("millrace/echo"));
});

test("each error is the SDK's own exception", async () => {
  const poor = await openAccount(gateway, { credit: "0" });
  const create = (who, body) => who.chat.completions.create(body);
  const table = [
    [OpenAI.BadRequestError, 400, () => create(client, { ...ask("CHAT"), model: "nobody/nothing" })],
    [OpenAI.BadRequestError, 400, () => create(client, ask("ERR400"))],
    [OpenAI.AuthenticationError, 401, () => create(clientWith("sk-mr-v1-wrong"), ask("CHAT"))],
    [OpenAI.APIError, 402, () => create(clientWith(poor.key), ask("CHAT"))],
    [OpenAI.PermissionDeniedError, 403, () => client.get("/credits")],
    [OpenAI.NotFoundError, 404, () => client.get("/nope")],
    [OpenAI.RateLimitError, 429, () => create(client, ask("ERR429"))],
    [OpenAI.InternalServerError, 502, () => create(client, ask("ERR500"))],
    [OpenAI.InternalServerError, 503, () => create(client, ask("ERR503"))],
  ];
  for (const [kind, status, action] of table) {
    const error = await action().then(
      () => assert.fail(`${status}: no error`),
      (thrown) => thrown,
    );
    assert.ok(error instanceof kind, `${status}: ${error}`);
    assert.equal(error.status, status, `${error}`);
    assert.equal(error.error.code, status);
    assert.ok(error.message.length > 5);
  }
});

test("an error is the same exception when streaming", async () => {
  await assert.rejects(client.chat.completions.create(ask("ERR429", { stream: true })), OpenAI.RateLimitError);
  await assert.rejects(
    client.chat.completions.create({ ...ask("CHAT", { stream: true }), model: "nobody/nothing" }),
    OpenAI.BadRequestError,
  );
});

function clientWith(apiKey) {
  return new OpenAI({ apiKey, baseURL: gateway.base, maxRetries: 0 });
}
