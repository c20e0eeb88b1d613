// The AI SDK with OpenRouter's own provider, unmodified, on every wire.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { APICallError, embedMany, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, startGateway } from "./harness.mjs";
import { PERSON, PERSON_FORMAT, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { cost, pico } from "./money.mjs";
import { EMBEDDER, MODELS, owes, startWires, VECTOR } from "./wires.mjs";

const wires = await startWires();
after(() => wires.stop());
const gateway = await startGateway({ suite: "sdk-ai", vars: wires.vars });
const account = await openAccount(gateway);
const openrouter = providerWith(account.key);
const prompt = (content) => `${CANARY.prompt} ${content}`;
const ask = (model, content, more = {}) => ({ model, prompt: prompt(content), maxRetries: 0, ...more });

for (const [wire, model] of Object.entries(MODELS)) {
  test(`${wire}: text, whole and streamed, with exact usage and cost in the metadata and the account`, async () => {
    for (const send of [generateText, streamed]) {
      const payer = await openAccount(gateway);
      const [endpoint] = await endpointsOf(gateway, payer.key, model);
      const expected = cost(USAGE, endpoint.pricing);
      const reply = await send(ask(providerWith(payer.key).chat(model, { usage: { include: true } }), "CHAT"));
      assert.match(reply.text, /🌍 世界$/);
      assert.equal(reply.finishReason, "stop");
      assert.equal(reply.usage.inputTokens, USAGE.prompt_tokens);
      assert.equal(reply.usage.outputTokens, USAGE.completion_tokens);
      assert.equal(pico(reply.providerMetadata.openrouter.usage.cost), expected);
      assert.equal(typeof reply.providerMetadata.openrouter.provider, "string");
      await owes(payer, expected);
    }
  });

  test(`${wire}: tools are called and go round by themselves`, async () => {
    for (const send of [generateText, streamed]) {
      const cities = [];
      const get_weather = tool({
        description: WEATHER_TOOL.function.description,
        inputSchema: jsonSchema(WEATHER_TOOL.function.parameters),
        execute: ({ city }) => (cities.push(city), "sunny"),
      });
      const request = ask(openrouter.chat(model), "WEATHER ONE", { tools: { get_weather }, stopWhen: stepCountIs(3) });
      assert.equal((await send(request)).text, "Sunny in Paris.");
      assert.deepEqual(cities, ["Paris"]);
    }
  });

  test(`${wire}: an object that obeys its schema`, async () => {
    const output = Output.object({ schema: jsonSchema(PERSON_FORMAT.json_schema.schema) });
    assert.deepEqual((await generateText(ask(openrouter.chat(model), "PERSON", { output }))).output, PERSON);
  });

  test(`${wire}: reasoning`, async () => {
    for (const send of [generateText, streamed]) {
      const reply = await send(ask(openrouter.chat(model, { reasoning: { max_tokens: 2000 } }), "THINK"));
      assert.match(reply.reasoningText ?? "", /by seven\.$/);
      assert.equal(reply.text, "The answer is 42.");
    }
  });
}

test("the next model is asked when the first one fails", async () => {
  const models = [MODELS.mistral, MODELS.gemini];
  const failing = wires.mock.nextRequestError(503, { message: "mocked", type: "mocked" });
  assert.ok(failing);
  const reply = await generateText(ask(openrouter.chat(models[0], { extraBody: { models } }), "CHAT"));
  assert.equal(reply.response.modelId, MODELS.gemini);
});

test("embeddings", async () => {
  const values = [prompt("one"), prompt("two")];
  const { embeddings } = await embedMany({ model: openrouter.textEmbeddingModel(EMBEDDER), values, maxRetries: 0 });
  assert.deepEqual(embeddings, [VECTOR, VECTOR]);
});

test("each error is the SDK's own exception", async () => {
  const poor = await openAccount(gateway, { credit: "0" });
  const table = [
    [400, openrouter.chat("nobody/nothing"), "CHAT"],
    [401, providerWith("sk-mr-v1-wrong").chat(MODELS.openai), "CHAT"],
    [402, providerWith(poor.key).chat(MODELS.openai), "CHAT"],
    ...Object.values(MODELS).flatMap((model) => [
      [400, openrouter.chat(model), "ERR400"],
      [429, openrouter.chat(model), "ERR429"],
      [502, openrouter.chat(model), "ERR500"],
    ]),
  ];
  for (const [status, model, content] of table) {
    const error = await generateText(ask(model, content)).then(
      () => assert.fail(`${status}: no error`),
      (thrown) => thrown,
    );
    assert.ok(APICallError.isInstance(error), `${status}: ${error}`);
    assert.equal(error.statusCode, status);
    assert.equal(error.isRetryable, status === 429 || status === 502);
  }
});

async function streamed(request) {
  const result = streamText({ ...request, onError: () => {} });
  await result.consumeStream();
  return {
    text: await result.text,
    reasoningText: await result.reasoningText,
    finishReason: await result.finishReason,
    usage: await result.usage,
    providerMetadata: await result.providerMetadata,
  };
}

function providerWith(apiKey) {
  return createOpenRouter({ apiKey, baseURL: gateway.base });
}
