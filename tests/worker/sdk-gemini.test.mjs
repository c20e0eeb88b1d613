// Google's own SDK for Node, unmodified, on every wire.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ApiError, GoogleGenAI } from "@google/genai";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, startGateway } from "./harness.mjs";
import { PERSON, PERSON_FORMAT, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { cost } from "./money.mjs";
import { MODELS, owes, secretOf, startWires } from "./wires.mjs";

const wires = await startWires();
after(() => wires.stop());
const gateway = await startGateway({ suite: "sdk-gemini", vars: wires.vars });
const account = await openAccount(gateway);
const { models } = clientWith(account.key);
const { name, description, parameters } = WEATHER_TOOL.function;
const TOOLS = { tools: [{ functionDeclarations: [{ name, description, parametersJsonSchema: parameters }] }] };
const ask = (model, content, config) => ({ model, contents: `${CANARY.prompt} ${content}`, config });

for (const [wire, model] of Object.entries(MODELS)) {
  test(`${wire}: a reply, whole and streamed, with exact usage in it and exact cost in the account`, async () => {
    for (const send of [whole, streamed]) {
      const payer = await openAccount(gateway);
      const [endpoint] = await endpointsOf(gateway, payer.key, model);
      const reply = await send(ask(model, "CHAT", { maxOutputTokens: 500 }), clientWith(payer.key).models);
      assert.match(reply.text, /🌍 世界$/);
      assert.equal(reply.finishReason, "STOP");
      const { promptTokenCount, candidatesTokenCount, totalTokenCount } = reply.usage;
      assert.deepEqual([promptTokenCount, candidatesTokenCount, totalTokenCount], Object.values(USAGE));
      await owes(payer, cost(USAGE, endpoint.pricing));
    }
  });

  test(`${wire}: a tool round trip, whole and streamed`, async () => {
    for (const send of [whole, streamed]) {
      const request = ask(model, "WEATHER ONE", TOOLS);
      const first = await send(request);
      const { functionCall } = first.parts.find((part) => part.functionCall);
      assert.equal(functionCall.name, "get_weather");
      assert.deepEqual(functionCall.args, { city: "Paris" });
      const response = { id: functionCall.id, name: "get_weather", response: { output: "sunny" } };
      const contents = [
        { role: "user", parts: [{ text: request.contents }] },
        { role: "model", parts: first.parts },
        { role: "user", parts: [{ functionResponse: response }] },
      ];
      assert.equal((await send({ ...request, contents })).text, "Sunny in Paris.");
    }
  });

  test(`${wire}: parallel tool calls keep their order, whole and streamed`, async () => {
    for (const send of [whole, streamed]) {
      const { parts } = await send(ask(model, "WEATHER TWO", TOOLS));
      const calls = parts.flatMap((part) => (part.functionCall ? [part.functionCall.args.city] : []));
      assert.deepEqual(calls, ["Paris", "Rome"]);
    }
  });

  test(`${wire}: a JSON schema is obeyed`, async () => {
    const config = { responseMimeType: "application/json", responseJsonSchema: PERSON_FORMAT.json_schema.schema };
    const { text } = await whole(ask(model, "PERSON", config));
    assert.deepEqual(JSON.parse(text), PERSON);
    assert.match(wires.last().text, /"age"/);
  });

  test(`${wire}: thoughts are parts that say so`, async () => {
    const config = { thinkingConfig: { includeThoughts: true, thinkingBudget: 2000 }, maxOutputTokens: 4000 };
    for (const send of [whole, streamed]) {
      const { parts, text } = await send(ask(model, "THINK", config));
      const thoughts = parts.flatMap((part) => (part.thought ? [part.text] : [])).join("");
      assert.match(thoughts, /by seven\.$/);
      assert.equal(text, "The answer is 42.");
    }
  });
}

test("the request reaches Gemini as it was written", async () => {
  const config = {
    systemInstruction: "Be brief.",
    temperature: 0.25,
    topK: 7,
    safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_ONLY_HIGH" }],
  };
  await whole(ask(MODELS.gemini, "CHAT", config));
  const { path, headers, body } = wires.last();
  assert.equal(path, "/v1beta/models/gemini-2.5-flash:generateContent");
  assert.equal(headers["x-goog-api-key"], secretOf("gemini"));
  assert.equal(headers.authorization, undefined);
  assert.deepEqual(body.generationConfig, { temperature: 0.25, topK: 7 });
  assert.deepEqual(body.safetySettings, config.safetySettings);
  assert.deepEqual(body.systemInstruction.parts, [{ text: "Be brief." }]);
  await streamed(ask(MODELS.gemini, "CHAT"));
  assert.equal(wires.last().path, "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
});

test("tokens are counted", async () => {
  const { totalTokens } = await models.countTokens({ model: MODELS.gemini, contents: "word ".repeat(400) });
  assert.ok(totalTokens > 300, `${totalTokens}`);
});

test("each error is the SDK's own exception, whole and streamed, on every wire", async () => {
  const poor = await openAccount(gateway, { credit: "0" });
  for (const send of [whole, streamed]) {
    const table = [
      [400, () => send(ask("nobody/nothing", "CHAT"))],
      [401, () => send(ask(MODELS.gemini, "CHAT"), clientWith("sk-mr-v1-wrong").models)],
      [402, () => send(ask(MODELS.gemini, "CHAT"), clientWith(poor.key).models)],
      ...Object.values(MODELS).flatMap((model) => [
        [400, () => send(ask(model, "ERR400"))],
        [429, () => send(ask(model, "ERR429"))],
        [502, () => send(ask(model, "ERR500"))],
        [503, () => send(ask(model, "ERR503"))],
      ]),
    ];
    for (const [status, action] of table) {
      const error = await action().then(
        () => assert.fail(`${status}: no error`),
        (thrown) => thrown,
      );
      assert.ok(error instanceof ApiError, `${status}: ${error}`);
      assert.equal(error.status, status, `${error}`);
      const { code, message } = JSON.parse(error.message.slice(error.message.indexOf("{"))).error;
      assert.equal(code, status);
      assert.ok(message.length > 5);
    }
  }
});

async function whole(request, from = models) {
  return summary([await from.generateContent(request)]);
}

async function streamed(request, from = models) {
  return summary(await Array.fromAsync(await from.generateContentStream(request)));
}

function summary(replies) {
  const candidates = replies.flatMap((reply) => reply.candidates ?? []);
  const parts = candidates.flatMap((candidate) => candidate.content?.parts ?? []);
  return {
    parts,
    text: parts.map((part) => (part.thought ? "" : (part.text ?? ""))).join(""),
    finishReason: candidates.findLast((candidate) => candidate.finishReason)?.finishReason,
    usage: replies.findLast((reply) => reply.usageMetadata)?.usageMetadata,
  };
}

function clientWith(apiKey) {
  return new GoogleGenAI({ apiKey, httpOptions: { baseUrl: `${gateway.url}/api`, retryOptions: { attempts: 1 } } });
}
