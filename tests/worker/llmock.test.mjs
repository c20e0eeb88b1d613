// Between SDKs that retry and a mock that breaks what it says and judges whoever asks it: every face
// over llmock's OpenAI, Anthropic, Gemini and Mistral. The verdict is the mock's own.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { startGroup } from "../../scripts/lib/process.mjs";
import { CANARY } from "./canary.mjs";
import { freePort, openAccount, startGateway } from "./harness.mjs";
import { interpreters } from "./setup.mjs";
import { eventually } from "./wait.mjs";
import { MODELS } from "./wires.mjs";

const ROOTS = { anthropic: "anthropic/v1", openai: "v1", mistral: "mistral/v1", gemini: "gemini/v1beta" };
const judge = await startJudge();
const vars = Object.entries(ROOTS).flatMap(([provider, root]) => [
  [`${provider.toUpperCase()}_API_KEY`, `${CANARY.providerSecret}-${provider}`],
  [`${provider.toUpperCase()}_BASE_URL`, `${judge.url}/${root}`],
]);
const gateway = await startGateway({ suite: "llmock", vars: Object.fromEntries(vars) });
const { key } = await openAccount(gateway);
const openai = new OpenAI({ apiKey: key, baseURL: gateway.base, maxRetries: 2 });
const anthropic = new Anthropic({ apiKey: key, authToken: null, baseURL: `${gateway.url}/api`, maxRetries: 2 });
const messages = [{ role: "user", content: `${CANARY.prompt} What is the weather in Paris?` }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const functions = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
const tools = [{ name: "get_weather", input_schema: schema }];

for (const [wire, model] of Object.entries(MODELS)) {
  test(`${wire}: text and tools`, async () => {
    await judge.plays([]);
    const chat = await openai.chat.completions.create({ model, messages });
    assert.ok(chat.choices[0].message.content.length > 0);
    const call = await openai.chat.completions.create({ model, messages, tools: functions });
    assert.equal(typeof JSON.parse(call.choices[0].message.tool_calls[0].function.arguments).city, "string");
    const message = await anthropic.messages.stream({ model, max_tokens: 500, messages, tools }).finalMessage();
    assert.equal(typeof message.content.find((block) => block.type === "tool_use").input.city, "string");
    await judge.approves();
  });

  test(`${wire}: a limit is waited for as long as it asks`, async () => {
    await judge.plays([{ type: "fail", status: 429, retry_after: 1, times: 1 }]);
    const started = performance.now();
    const reply = await anthropic.messages.create({ model, max_tokens: 500, messages });
    assert.equal(reply.type, "message");
    assert.ok(performance.now() - started >= 1000);
    await judge.approves();
  });

  for (const kind of ["truncate", "disconnect", "malformed"]) {
    test(`${wire}: a stream that ends by ${kind} is no reply on any face`, async () => {
      for (const [face, read] of Object.entries(FACES)) {
        await judge.plays([{ type: "stream_fault", kind, after_chunks: 3, match: { stream: true } }]);
        await assert.rejects(read(model), Error, `${face}, ${kind}`);
      }
    });
  }
}

/** What fails before it says anything, an SDK asks for again. */
const ONCE = { maxRetries: 0 };
const FACES = {
  chat: (model) => openai.withOptions(ONCE).chat.completions.stream({ model, messages }).finalChatCompletion(),
  // The SDK hands out a response that says of itself that it failed.
  responses: async (model) => {
    const reply = await openai.withOptions(ONCE).responses.stream({ model, input: messages[0].content }).finalResponse();
    if (reply.status === "failed" && reply.error.message) throw new Error(reply.error.message);
  },
  messages: (model) => anthropic.withOptions(ONCE).messages.stream({ model, max_tokens: 500, messages }).finalMessage(),
};

async function startJudge() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const words = ["serve", "--host", "127.0.0.1", "--port", `${port}`, "--log-level", "warning"];
  const { stop } = startGroup(join(dirname(interpreters.llmock), "llmock"), words, { stdio: "ignore" });
  after(stop);
  const get = (path) => fetch(url + path).catch(() => null);
  await eventually("llmock listens", async () => (await get("/_llmock/requests"))?.ok, { withinMs: 60_000 });
  return {
    url,
    /** Begins anew, with these faults to come. */
    async plays(behaviors) {
      await fetch(`${url}/_llmock/reset`, { method: "POST" });
      if (behaviors.length === 0) return;
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ behaviors });
      const reply = await fetch(`${url}/_llmock/scenario`, { method: "POST", headers, body });
      assert.ok(reply.ok, await reply.text());
    },
    /** What it saw since, it has nothing to say against. */
    async approves() {
      const verdict = await (await get("/_llmock/verdict")).json();
      assert.deepEqual(verdict.findings, [], JSON.stringify(verdict));
      assert.equal(verdict.ok ?? verdict.passed ?? true, true, JSON.stringify(verdict));
    },
  };
}
