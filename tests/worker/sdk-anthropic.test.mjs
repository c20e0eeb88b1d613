// The official Anthropic SDK for Node, unmodified, on every wire that a message can be sent over.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

import { CANARY } from "./canary.mjs";
import { endpointsOf, generation, openAccount, startGateway } from "./harness.mjs";
import { USAGE } from "./mock.mjs";
import { cost, pico } from "./money.mjs";
import { MODELS, owes, secretOf, SIGNATURE, startWires } from "./wires.mjs";

const wires = await startWires();
after(() => wires.stop());
const gateway = await startGateway({ suite: "sdk-anthropic", vars: { ...wires.vars, MILLRACE_MAX_BODY_BYTES: 200_000 } });
const account = await openAccount(gateway);
const client = clientWith({ apiKey: account.key });
const LANES = Object.entries(MODELS).filter(([wire]) => wire !== "mistral");

const TOOL = {
  name: "get_weather",
  description: "The weather in a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const ask = (model, content, more = {}) => ({
  model,
  max_tokens: 4000,
  messages: [{ role: "user", content: `${CANARY.prompt} ${content}` }],
  ...more,
});
const thinking = { thinking: { type: "enabled", budget_tokens: 2000 } };

for (const [wire, model] of LANES) {
  test(`${wire}: a message, with exact usage and cost in the reply, the account and the record`, async () => {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, model);
    const expected = cost(USAGE, endpoint.pricing);
    const reply = await clientWith({ apiKey: payer.key }).messages.create(ask(model, "CHAT"));
    assert.equal(reply.type, "message");
    assert.equal(reply.role, "assistant");
    assert.match(reply.content[0].text, /🌍 世界$/);
    assert.equal(reply.stop_reason, "end_turn");
    assert.equal(reply.model, model);
    assertUsage(reply.usage);
    assert.equal(pico(reply.usage.cost), expected);
    await owes(payer, expected);
    const { json } = await generation(gateway, payer.key, reply.id);
    assert.equal(pico(json.data.total_cost), expected);
    assert.equal(json.data.tokens_prompt, USAGE.prompt_tokens);
    assert.equal(json.data.tokens_completion, USAGE.completion_tokens);
  });

  test(`${wire}: a stream has its events in order and costs the same`, async () => {
    const payer = await openAccount(gateway);
    const [endpoint] = await endpointsOf(gateway, payer.key, model);
    const stream = clientWith({ apiKey: payer.key }).messages.stream(ask(model, "CHAT"));
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    assert.match(kinds.filter((kind) => kind !== "ping").join(" "), ORDER);
    const reply = await stream.finalMessage();
    assert.match(reply.content[0].text, /🌍 世界$/);
    assert.equal(reply.stop_reason, "end_turn");
    assertUsage(reply.usage);
    await owes(payer, cost(USAGE, endpoint.pricing));
  });

  for (const streaming of [false, true]) {
    const how = streaming ? "streamed" : "whole";
    const send = (body) =>
      streaming ? client.messages.stream(body).finalMessage() : client.messages.create(body);

    test(`${wire}: a tool round trip, ${how}`, async () => {
      const request = ask(model, "WEATHER ONE", { tools: [TOOL] });
      const first = await send(request);
      assert.equal(first.stop_reason, "tool_use");
      const call = first.content.find((block) => block.type === "tool_use");
      assert.equal(call.name, "get_weather");
      assert.deepEqual(call.input, { city: "Paris" });
      const result = { type: "tool_result", tool_use_id: call.id, content: "sunny" };
      const second = await send({
        ...request,
        messages: [
          ...request.messages,
          { role: "assistant", content: first.content },
          { role: "user", content: [result] },
        ],
      });
      assert.equal(second.content[0].text, "Sunny in Paris.");
      assert.equal(second.stop_reason, "end_turn");
    });

    test(`${wire}: parallel tool calls keep their order, ${how}`, async () => {
      const reply = await send(ask(model, "WEATHER TWO", { tools: [TOOL] }));
      const calls = reply.content.filter((block) => block.type === "tool_use");
      assert.deepEqual(
        calls.map((call) => call.input.city),
        ["Paris", "Rome"],
      );
      assert.equal(new Set(calls.map((call) => call.id)).size, 2);
    });
  }
}

for (const streaming of [false, true]) {
  test(`thinking keeps its signature, there and back, ${streaming ? "streamed" : "whole"}`, async () => {
    const send = (body) =>
      streaming ? client.messages.stream(body).finalMessage() : client.messages.create(body);
    const request = ask(MODELS.anthropic, "THINK", thinking);
    const reply = await send(request);
    assert.deepEqual(
      reply.content.map((block) => block.type),
      ["thinking", "text"],
    );
    assert.equal(reply.content[0].signature, SIGNATURE);
    assert.match(reply.content[0].thinking, /by seven\.$/);
    await send({
      ...request,
      messages: [...request.messages, { role: "assistant", content: reply.content }, ask("", "CHAT").messages[0]],
    });
    assert.deepEqual(wires.last().body.messages[1].content, reply.content);
  });
}

test("thinking of another's wire is thinking, and never passes for Anthropic's own", async () => {
  const reply = await client.messages.create(ask(MODELS.openai, "THINK", thinking));
  const thought = reply.content.find((block) => block.type === "thinking");
  assert.match(thought.thinking, /by seven\.$/);
  await client.messages.create({
    ...ask(MODELS.anthropic, "CHAT", thinking),
    messages: [
      ...ask("", "THINK").messages,
      { role: "assistant", content: reply.content },
      ask("", "CHAT").messages[0],
    ],
  });
  assert.doesNotMatch(wires.last().text, /by seven/);
});

test("the request reaches Anthropic as it was written", async () => {
  const system = [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }];
  const body = ask(MODELS.anthropic, "CHAT", {
    system,
    tools: [{ ...TOOL, cache_control: { type: "ephemeral", ttl: "1h" } }],
    tool_choice: { type: "auto", disable_parallel_tool_use: true },
    metadata: { user_id: "u-1" },
    stop_sequences: ["STOP"],
    temperature: 0.25,
    unknown_to_us: { kept: [1, 2.5e-7] },
  });
  const betas = "interleaved-thinking-2025-05-14";
  await client.messages.create(body, { headers: { "anthropic-beta": betas } });
  const { path, headers, body: sent } = wires.last();
  assert.equal(path, "/v1/messages");
  assert.equal(headers["x-api-key"], secretOf("anthropic"));
  assert.equal(headers["anthropic-version"], "2023-06-01");
  assert.equal(headers["anthropic-beta"], betas);
  assert.equal(headers.authorization, undefined);
  assert.deepEqual(sent, { ...body, model: "claude-sonnet-4-5" });
});

test("the request reaches OpenAI and Gemini in their own words", async () => {
  const more = { system: "Be brief.", tools: [TOOL], tool_choice: { type: "any" } };
  await client.messages.create(ask(MODELS.openai, "WEATHER ONE", more));
  const openai = wires.last();
  assert.equal(openai.path, "/v1/chat/completions");
  assert.equal(openai.headers.authorization, `Bearer ${secretOf("openai")}`);
  assert.equal(openai.headers["x-api-key"], undefined);
  assert.equal(openai.headers["anthropic-version"], undefined);
  assert.deepEqual(
    openai.body.messages.map((message) => message.role),
    ["system", "user"],
  );
  assert.equal(openai.body.tool_choice, "required");
  assert.deepEqual(openai.body.tools[0].function.parameters, TOOL.input_schema);

  await client.messages.create(ask(MODELS.gemini, "WEATHER ONE", more));
  const gemini = wires.last();
  assert.equal(gemini.path, "/v1beta/models/gemini-2.5-flash:generateContent");
  assert.equal(gemini.headers["x-goog-api-key"], secretOf("gemini"));
  assert.equal(gemini.headers.authorization, undefined);
  assert.equal(gemini.body.systemInstruction.parts[0].text, "Be brief.");
  assert.equal(gemini.body.toolConfig.functionCallingConfig.mode, "ANY");
  assert.equal(gemini.body.tools[0].functionDeclarations[0].name, "get_weather");
  assert.equal(gemini.body.generationConfig.maxOutputTokens, 4000);
});

for (const [wire, model] of LANES) {
  for (const streaming of [false, true]) {
    test(`${wire}: toolRunner calls the tool and goes on, ${streaming ? "streamed" : "whole"}`, async () => {
      const cities = [];
      const tool = betaTool({
        name: TOOL.name,
        description: TOOL.description,
        inputSchema: TOOL.input_schema,
        run: ({ city }) => {
          cities.push(city);
          return "sunny";
        },
      });
      const runner = client.beta.messages.toolRunner({ ...ask(model, "WEATHER ONE"), tools: [tool], stream: streaming });
      const before = wires.requests.length;
      const final = await runner.runUntilDone();
      assert.deepEqual(cities, ["Paris"]);
      assert.equal(final.content.at(-1).text, "Sunny in Paris.");
      assert.equal(wires.requests.length - before, 2);
      assert.ok(wires.requests.slice(before).every(({ body }) => body.thread === undefined));
    });
  }

  test(`${wire}: a thread goes on although nobody keeps it`, async () => {
    const thread = client.beta.messages.thread({ model, max_tokens: 4000 });
    await thread.send({ role: "user", content: `${CANARY.prompt} CHAT` });
    const second = await thread.send({ role: "user", content: `${CANARY.prompt} CHAT again` });
    assert.match(second.content[0].text, /世界$/);
    assert.match(wires.last().text, /CHAT".*again/s);
  });
}

test("a reply that is cut off by its limit says so on every wire", async () => {
  for (const [wire, model] of LANES) {
    const reply = await client.messages.create(ask(model, "LENGTH"));
    assert.equal(reply.stop_reason, "max_tokens", wire);
  }
});

test("both ways to send a key, and both addresses, are the same", async () => {
  const bearer = new Anthropic({ authToken: account.key, apiKey: null, baseURL: gateway.url, maxRetries: 0 });
  assert.match((await bearer.messages.create(ask(MODELS.anthropic, "CHAT"))).content[0].text, /世界$/);
});

test("tokens are counted", async () => {
  const short = await client.messages.countTokens({ model: MODELS.anthropic, messages: ask("", "CHAT").messages });
  const long = await client.messages.countTokens({
    model: MODELS.anthropic,
    system: "word ".repeat(400),
    messages: ask("", "CHAT").messages,
    tools: [TOOL],
  });
  assert.ok(short.input_tokens > 0 && long.input_tokens > short.input_tokens + 300, JSON.stringify([short, long]));
});

test("a path that is not there fails in Anthropic's words", async () => {
  await assert.rejects(client.messages.batches.list(), (error) => {
    assert.ok(error instanceof Anthropic.NotFoundError, `${error}`);
    assert.deepEqual([error.error.type, error.error.error.type], ["error", "not_found_error"]);
    return true;
  });
});

test("models are listed as the SDK expects", async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes(MODELS.anthropic), ids.slice(0, 5).join());
});

test("each error is the SDK's own exception, whole and streamed, on every wire", async () => {
  const poor = await openAccount(gateway, { credit: "0" });
  const { key: capped } = await account.createKey({ limit: "0.000000000001" });
  const { key: manager } = await account.createKey({ management: true });
  const large = "x".repeat(200_000);
  const as = (apiKey) => clientWith({ apiKey }).messages;
  const table = [
    [Anthropic.BadRequestError, 400, "invalid_request_error", (more) => client.messages.create(ask("nobody/nothing", "CHAT", more))],
    [Anthropic.AuthenticationError, 401, "authentication_error", (more) => as("sk-mr-v1-wrong").create(ask(MODELS.anthropic, "CHAT", more))],
    [Anthropic.PaymentRequiredError, 402, "billing_error", (more) => as(poor.key).create(ask(MODELS.anthropic, "CHAT", more))],
    [Anthropic.PaymentRequiredError, 402, "billing_error", (more) => as(capped).create(ask(MODELS.anthropic, "CHAT", more))],
    [Anthropic.PermissionDeniedError, 403, "permission_error", (more) => as(manager).create(ask(MODELS.anthropic, "CHAT", more))],
    [Anthropic.NotFoundError, 404, "not_found_error", (more) => client.messages.create(ask(MODELS.anthropic, "CHAT", { ...more, provider: { only: ["nobody"] } }))],
    [Anthropic.ContentTooLargeError, 413, "invalid_request_error", (more) => client.messages.create(ask(MODELS.anthropic, large, more))],
    ...LANES.flatMap(([, model]) => [
      [Anthropic.BadRequestError, 400, "invalid_request_error", (more) => client.messages.create(ask(model, "ERR400", more))],
      [Anthropic.RateLimitError, 429, "rate_limit_error", (more) => client.messages.create(ask(model, "ERR429", more))],
      [Anthropic.InternalServerError, 502, "api_error", (more) => client.messages.create(ask(model, "ERR500", more))],
      [Anthropic.InternalServerError, [503, 529], "overloaded_error", (more) => client.messages.create(ask(model, "ERR503", more))],
    ]),
    [Anthropic.InternalServerError, [503, 529], "overloaded_error", (more) => client.messages.create(ask(MODELS.anthropic, "ERR529", more))],
  ];
  for (const more of [{}, { stream: true }]) {
    for (const [kind, status, type, action] of table) {
      const error = await action(more).then(
        () => assert.fail(`${status}: no error`),
        (thrown) => thrown,
      );
      const about = `${type} ${JSON.stringify(more)}: ${error}`;
      assert.ok(error instanceof kind, about);
      assert.ok([status].flat().includes(error.status), about);
      assert.equal(error.error.type, "error", about);
      assert.equal(error.error.error.type, type, about);
      assert.ok(error.error.error.message.length > 5, about);
    }
  }
});

const ORDER =
  /^message_start (content_block_start (content_block_delta )+content_block_stop )+message_delta message_stop$/;

function assertUsage({ input_tokens, output_tokens }) {
  assert.deepEqual({ input_tokens, output_tokens }, {
    input_tokens: USAGE.prompt_tokens,
    output_tokens: USAGE.completion_tokens,
  });
}

function clientWith(options) {
  return new Anthropic({ baseURL: `${gateway.url}/api`, maxRetries: 0, authToken: null, ...options });
}
