// The official OpenAI SDK for Node, unmodified, beyond Chat Completions: Responses on every wire,
// legacy Completions, and embeddings.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import OpenAI from "openai";

import { CANARY } from "./canary.mjs";
import { endpointsOf, generation, openAccount, startGateway } from "./harness.mjs";
import { PERSON, PERSON_FORMAT, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { cost, pico } from "./money.mjs";
import { EMBEDDER, EMBEDDING_USAGE, MODELS, owes, secretOf, startWires, VECTOR } from "./wires.mjs";

const wires = await startWires();
after(() => wires.stop());
const gateway = await startGateway({ suite: "sdk-openai-responses", vars: wires.vars });
const account = await openAccount(gateway);
const client = clientWith(account.key);
const TOOL = { type: "function", strict: null, ...WEATHER_TOOL.function };
const FORMAT = { type: "json_schema", ...PERSON_FORMAT.json_schema };
const ask = (model, content, more = {}) => ({ model, input: `${CANARY.prompt} ${content}`, store: false, ...more });
const PATHS = {
  anthropic: "/v1/messages",
  openai: "/v1/responses",
  mistral: "/v1/chat/completions",
  gemini: "/v1beta/models/gemini-2.5-flash:generateContent",
};

for (const [wire, model] of Object.entries(MODELS)) {
  test(`${wire}: a response, with exact usage and cost in the reply, the account and the record`, async () => {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, model);
    const expected = cost(USAGE, endpoint.pricing);
    const reply = await clientWith(payer.key).responses.create(ask(model, "CHAT", { max_output_tokens: 500 }));
    assert.match(reply.output_text, /🌍 世界$/);
    assert.equal(reply.object, "response");
    assert.equal(reply.status, "completed");
    assert.equal(reply.model, model);
    assertUsage(reply.usage);
    assert.equal(pico(reply.usage.cost), expected);
    await owes(payer, expected);
    const { json } = await generation(gateway, payer.key, reply.id);
    assert.equal(pico(json.data.total_cost), expected);
    assert.equal(wires.last().path, PATHS[wire]);
  });

  test(`${wire}: a stream is numbered without a gap and ends with the whole response`, async () => {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, model);
    const events = [];
    let text = "";
    for await (const event of await clientWith(payer.key).responses.create(ask(model, "CHAT", { stream: true }))) {
      events.push(event);
      if (event.type === "response.output_text.delta") text += event.delta;
    }
    assert.deepEqual(
      events.map((event) => event.sequence_number),
      events.map((_, index) => index),
    );
    assert.equal(events[0].type, "response.created");
    assert.equal(events.at(-1).type, "response.completed");
    assert.match(text, /🌍 世界$/);
    const { response } = events.at(-1);
    assert.equal(response.output.at(-1).content[0].text, text);
    assertUsage(response.usage);
    await owes(payer, cost(USAGE, endpoint.pricing));
  });

  test(`${wire}: a tool round trip, whole and streamed`, async () => {
    for (const send of [whole, streamed]) {
      const request = ask(model, "WEATHER ONE", { tools: [TOOL] });
      const first = await send(request);
      const call = first.output.find((item) => item.type === "function_call");
      assert.equal(call.name, "get_weather");
      assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
      const result = { type: "function_call_output", call_id: call.call_id, output: "sunny" };
      const input = [{ role: "user", content: request.input }, ...first.output, result];
      assert.equal((await send({ ...request, input })).output_text, "Sunny in Paris.");
    }
  });

  test(`${wire}: parallel tool calls keep their order, whole and streamed`, async () => {
    for (const send of [whole, streamed]) {
      const { output } = await send(ask(model, "WEATHER TWO", { tools: [TOOL] }));
      const calls = output.filter((item) => item.type === "function_call");
      assert.deepEqual(
        calls.map((call) => JSON.parse(call.arguments).city),
        ["Paris", "Rome"],
      );
      assert.equal(new Set(calls.map((call) => call.call_id)).size, 2);
    }
  });

  test(`${wire}: a JSON schema is obeyed and parsed`, async () => {
    const reply = await client.responses.parse(ask(model, "PERSON", { text: { format: FORMAT } }));
    assert.deepEqual(reply.output_parsed ?? JSON.parse(reply.output_text), PERSON);
    assert.match(wires.last().text, /additionalProperties/);
  });
}

test("the request reaches OpenAI as it was written", async () => {
  const body = ask(MODELS.openai, "CHAT", {
    instructions: "Be brief.",
    reasoning: { effort: "low" },
    include: ["reasoning.encrypted_content"],
    prompt_cache_key: "c-1",
    metadata: { a: "b" },
    unknown_to_us: { kept: [1, 2.5e-7] },
  });
  await client.responses.create(body);
  const { path, headers, body: sent } = wires.last();
  assert.equal(path, "/v1/responses");
  assert.equal(headers.authorization, `Bearer ${secretOf("openai")}`);
  assert.deepEqual(sent, { ...body, model: "gpt-4o-mini" });
});

test("reasoning is an item of its own on every wire", async () => {
  for (const [wire, model] of Object.entries(MODELS)) {
    const { output } = await whole(ask(model, "THINK", { reasoning: { effort: "low" } }));
    const words = JSON.stringify(output.find((item) => item.type === "reasoning"));
    assert.match(words ?? "", /by seven/, `${wire}: ${JSON.stringify(output)}`);
  }
});

test("what needs a memory is refused with a reason", async () => {
  for (const more of [{ previous_response_id: "resp_1" }, { conversation: "conv_1" }, { background: true }]) {
    const error = await client.responses.create(ask(MODELS.openai, "CHAT", more)).catch((thrown) => thrown);
    assert.ok(error instanceof OpenAI.BadRequestError, `${JSON.stringify(more)}: ${error}`);
    assert.match(error.message, new RegExp(Object.keys(more)[0]));
  }
});

test("legacy completions, whole and streamed, on every wire", async () => {
  for (const [wire, model] of Object.entries(MODELS)) {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, model);
    const own = clientWith(payer.key);
    const request = { model, prompt: `${CANARY.prompt} CHAT`, max_tokens: 500 };
    const reply = await own.completions.create(request);
    assert.equal(reply.object, "text_completion", wire);
    assert.match(reply.choices[0].text, /🌍 世界$/, wire);
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.equal(reply.usage.completion_tokens, USAGE.completion_tokens);
    let text = "";
    for await (const chunk of await own.completions.create({ ...request, stream: true })) {
      text += chunk.choices[0]?.text ?? "";
    }
    assert.equal(text, reply.choices[0].text);
    await owes(payer, 2n * cost(USAGE, endpoint.pricing));
  }
});

test("embeddings, in the SDK's own encoding and as numbers", async () => {
  const input = [`${CANARY.prompt} one`, `${CANARY.prompt} two`];
  for (const more of [{}, { encoding_format: "float" }, { encoding_format: "base64" }]) {
    const payer = await openAccount(gateway);
    const reply = await clientWith(payer.key).embeddings.create({ model: EMBEDDER, input, ...more });
    assert.equal(reply.object, "list");
    assert.deepEqual(
      reply.data.map((item) => [item.index, decoded(item.embedding)]),
      [
        [0, VECTOR],
        [1, VECTOR],
      ],
    );
    const { path, body } = wires.last();
    assert.equal(path, "/v1/embeddings");
    assert.deepEqual(body.input, input);
    assert.equal(reply.usage.prompt_tokens, EMBEDDING_USAGE.prompt_tokens);
    const [endpoint] = await endpointsOf(gateway, payer.key, EMBEDDER);
    await owes(payer, BigInt(EMBEDDING_USAGE.prompt_tokens) * pico(endpoint.pricing.prompt));
  }
});

test("each error is the SDK's own exception, whole and streamed, on every wire", async () => {
  const poor = await openAccount(gateway, { credit: "0" });
  const create = (who, model, content, more) => () => who.responses.create(ask(model, content, more));
  for (const more of [{}, { stream: true }]) {
    const table = [
      [OpenAI.BadRequestError, 400, create(client, "nobody/nothing", "CHAT", more)],
      [OpenAI.AuthenticationError, 401, create(clientWith("sk-mr-v1-wrong"), MODELS.openai, "CHAT", more)],
      [OpenAI.APIError, 402, create(clientWith(poor.key), MODELS.openai, "CHAT", more)],
      ...Object.values(MODELS).flatMap((model) => [
        [OpenAI.BadRequestError, 400, create(client, model, "ERR400", more)],
        [OpenAI.RateLimitError, 429, create(client, model, "ERR429", more)],
        [OpenAI.InternalServerError, 502, create(client, model, "ERR500", more)],
        [OpenAI.InternalServerError, 503, create(client, model, "ERR503", more)],
      ]),
    ];
    for (const [kind, status, action] of table) {
      const error = await action().then(
        () => assert.fail(`${status}: no error`),
        (thrown) => thrown,
      );
      assert.ok(error instanceof kind, `${status} ${JSON.stringify(more)}: ${error}`);
      assert.equal(error.status, status, `${error}`);
      assert.ok(error.message.length > 5);
    }
  }
});

function whole(body) {
  return client.responses.create(body);
}

async function streamed(body) {
  return client.responses.stream(body).finalResponse();
}

function decoded(embedding) {
  if (typeof embedding !== "string") return embedding;
  const bytes = Buffer.from(embedding, "base64");
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}

function assertUsage({ input_tokens, output_tokens, total_tokens }) {
  assert.deepEqual([input_tokens, output_tokens, total_tokens], Object.values(USAGE));
}

function clientWith(apiKey) {
  return new OpenAI({ apiKey, baseURL: gateway.base, maxRetries: 0 });
}
