// The vendors' SDKs in front of Cohere, which none of them speaks: text, tools and streams, with the
// usage that Cohere bills. The provider is a plain server that speaks Cohere's second chat API.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, startGateway } from "./harness.mjs";
import { cost } from "./money.mjs";
import { owes } from "./wires.mjs";

const MODEL = "cohere/command-a";
/** What Cohere bills; it reads more, with words of its own. */
const USAGE = { prompt_tokens: 125, completion_tokens: 24 };
const usage = {
  billed_units: { input_tokens: USAGE.prompt_tokens, output_tokens: USAGE.completion_tokens },
  tokens: { input_tokens: 1600, output_tokens: 56 },
};

const seen = [];
const server = createServer(async (request, response) => {
  const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
  seen.push({ url: request.url, headers: request.headers, body });
  if (JSON.stringify(body).includes("ERR429")) {
    return response.writeHead(429, { "content-type": "application/json" }).end('{"message":"slow down"}');
  }
  const answered = body.messages.some(({ role }) => role === "tool");
  const calls = body.tools && !answered;
  const said = answered ? "Sunny in Paris." : "Bonjour 🌍";
  if (!body.stream) {
    const message = calls
      ? { role: "assistant", tool_plan: "I will look.", tool_calls: [call('{"city":"Paris"}')] }
      : { role: "assistant", content: [{ type: "text", text: said }] };
    const reply = { id: "c1", finish_reason: calls ? "TOOL_CALL" : "COMPLETE", message, usage };
    return response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const event of calls ? callEvents() : textEvents(said)) {
    response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }
  response.end("data: [DONE]\n\n");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
after(() => server.close());

const gateway = await startGateway({
  suite: "sdk-cohere",
  vars: {
    COHERE_API_KEY: `${CANARY.providerSecret}-cohere`,
    COHERE_BASE_URL: `http://127.0.0.1:${server.address().port}/v2`,
  },
});
const account = await openAccount(gateway);
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const about = { name: "get_weather", description: "The weather in a city" };

const openai = (key) => new OpenAI({ apiKey: key, baseURL: `${gateway.url}/api/v1`, maxRetries: 0 });
const anthropic = (key) => new Anthropic({ apiKey: key, authToken: null, baseURL: `${gateway.url}/api`, maxRetries: 0 });

for (const stream of [false, true]) {
  const how = stream ? "streamed" : "whole";

  test(`openai: text, ${how}, costs what Cohere bills`, async () => {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, MODEL);
    const reply = await viaOpenAi(payer.key, { stream, messages: user("Say bonjour") });
    assert.equal(reply.choices[0].message.content, "Bonjour 🌍");
    assert.equal(reply.choices[0].finish_reason, "stop");
    const { prompt_tokens, completion_tokens } = reply.usage;
    assert.deepEqual({ prompt_tokens, completion_tokens }, USAGE);
    await owes(payer, cost(USAGE, endpoint.pricing));
    const { url, headers, body } = seen.at(-1);
    assert.equal(url, "/v2/chat");
    assert.equal(headers.authorization, `Bearer ${CANARY.providerSecret}-cohere`);
    assert.equal(body.model, "command-a-03-2025");
  });

  test(`openai: a tool round trip, ${how}`, async () => {
    const tools = [{ type: "function", function: { ...about, parameters: SCHEMA } }];
    const messages = user("What is the weather?");
    const first = await viaOpenAi(account.key, { stream, messages, tools });
    const { message, finish_reason } = first.choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Paris" });
    const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "sunny" };
    const second = await viaOpenAi(account.key, { stream, messages: [...messages, message, result], tools });
    assert.equal(second.choices[0].message.content, "Sunny in Paris.");
    assertHistory(seen.at(-1).body);
  });

  test(`anthropic: text, ${how}, costs what Cohere bills`, async () => {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, MODEL);
    const reply = await viaAnthropic(payer.key, { stream, messages: user("Say bonjour") });
    assert.equal(reply.content[0].text, "Bonjour 🌍");
    assert.equal(reply.stop_reason, "end_turn");
    assert.equal(reply.usage.input_tokens, USAGE.prompt_tokens);
    assert.equal(reply.usage.output_tokens, USAGE.completion_tokens);
    await owes(payer, cost(USAGE, endpoint.pricing));
  });

  test(`anthropic: a tool round trip, ${how}`, async () => {
    const tools = [{ ...about, input_schema: SCHEMA }];
    const messages = user("What is the weather?");
    const first = await viaAnthropic(account.key, { stream, messages, tools });
    assert.equal(first.stop_reason, "tool_use");
    const called = first.content.find(({ type }) => type === "tool_use");
    assert.deepEqual([called.name, called.input], ["get_weather", { city: "Paris" }]);
    const result = { type: "tool_result", tool_use_id: called.id, content: "sunny" };
    const history = [...messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
    const second = await viaAnthropic(account.key, { stream, messages: history, tools });
    assert.equal(second.content[0].text, "Sunny in Paris.");
    assertHistory(seen.at(-1).body);
  });

  test(`a refusal of Cohere's is each SDK's own exception, ${how}`, async () => {
    const asked = { stream, messages: user("ERR429") };
    await assert.rejects(viaOpenAi(account.key, asked), OpenAI.RateLimitError);
    await assert.rejects(viaAnthropic(account.key, asked), Anthropic.RateLimitError);
  });
}

function user(content) {
  return [{ role: "user", content: `${CANARY.prompt} ${content}` }];
}

function viaOpenAi(key, body) {
  const { completions } = openai(key).chat;
  const { stream, ...request } = { model: MODEL, max_tokens: 200, ...body };
  if (!stream) return completions.create(request);
  return completions.stream({ ...request, stream_options: { include_usage: true } }).finalChatCompletion();
}

function viaAnthropic(key, body) {
  const { messages } = anthropic(key);
  const { stream, ...request } = { model: MODEL, max_tokens: 200, ...body };
  return stream ? messages.stream(request).finalMessage() : messages.create(request);
}

/** The call and its result, as Cohere wants to read them again. */
function assertHistory({ messages }) {
  const asked = messages.find(({ tool_calls }) => tool_calls);
  assert.deepEqual(JSON.parse(asked.tool_calls[0].function.arguments), { city: "Paris" });
  const result = messages.find(({ role }) => role === "tool");
  assert.equal(result.tool_call_id, asked.tool_calls[0].id);
  assert.match(JSON.stringify(result.content), /sunny/);
}

function call(args) {
  return { id: "get_weather_1", type: "function", function: { name: "get_weather", arguments: args } };
}

function* textEvents(text) {
  yield { type: "message-start", id: "c1", delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } } };
  yield { type: "content-start", index: 0, delta: { message: { content: { type: "text", text: "" } } } };
  for (const piece of text.split(/(?<= )/)) {
    yield { type: "content-delta", index: 0, delta: { message: { content: { text: piece } } } };
  }
  yield { type: "content-end", index: 0 };
  yield { type: "message-end", delta: { finish_reason: "COMPLETE", usage } };
}

function* callEvents() {
  yield { type: "message-start", id: "c1", delta: { message: { role: "assistant", content: [], tool_plan: "", tool_calls: [], citations: [] } } };
  yield { type: "tool-plan-delta", delta: { message: { tool_plan: "I will look." } } };
  yield { type: "tool-call-start", index: 0, delta: { message: { tool_calls: call("") } } };
  for (const piece of ['{"ci', 'ty":"Par', 'is"}']) {
    yield { type: "tool-call-delta", index: 0, delta: { message: { tool_calls: { function: { arguments: piece } } } } };
  }
  yield { type: "tool-call-end", index: 0 };
  yield { type: "message-end", delta: { finish_reason: "TOOL_CALL", usage } };
}
