// Messages on Anthropic's own wire, scripted to the byte and read by Anthropic's SDK: what a reply
// holds beyond text comes back as it was said, caches are billed at their prices, and a reply that
// breaks off is an error and never a message.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { bytes, close, end, eventStream, json, startUpstream } from "./upstream.mjs";
import { MODELS, owes, SIGNATURE } from "./wires.mjs";

const MODEL = MODELS.anthropic;
const upstream = await startUpstream();
after(() => upstream.stop());
const vars = { ANTHROPIC_API_KEY: `${CANARY.providerSecret}-anthropic`, ANTHROPIC_BASE_URL: upstream.base("anthropic") };
const gateway = await startGateway({ suite: "messages", vars: { ...providerVars(upstream.base), ...vars } });
const account = await openAccount(gateway);
const client = clientWith(account.key);

const USAGE = {
  input_tokens: 100,
  cache_read_input_tokens: 2000,
  cache_creation_input_tokens: 700,
  cache_creation: { ephemeral_5m_input_tokens: 500, ephemeral_1h_input_tokens: 200 },
  output_tokens: 60,
};
const CONTENT = [
  { type: "thinking", thinking: `Let me ${CANARY.reply}.`, signature: SIGNATURE },
  { type: "redacted_thinking", data: "RGF0YSBvZiBub2JvZHkncw==" },
  { type: "text", text: "I will look. 🌍", citations: null },
  { type: "tool_use", id: "toolu_01A", name: "look", input: { where: "世界", number: 12345678901234567 } },
];
const MESSAGE = {
  id: "msg_scripted",
  type: "message",
  role: "assistant",
  model: "claude-sonnet-4-5-20250929",
  content: CONTENT,
  stop_reason: "tool_use",
  stop_sequence: null,
  usage: USAGE,
};
const event = (value) => bytes(`event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`);
const OPENING = [
  eventStream,
  event({ type: "message_start", message: { ...MESSAGE, content: [], stop_reason: null, usage: { ...USAGE, output_tokens: 1 } } }),
  event({ type: "ping" }),
];
const CLOSING = [
  event({ type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 60 } }),
  event({ type: "message_stop" }),
  end,
];
const [THINKING, REDACTED, TEXT, CALL] = CONTENT;
const BLOCKS = [
  block(0, { ...THINKING, thinking: "", signature: "" }, [
    { type: "thinking_delta", thinking: THINKING.thinking },
    { type: "signature_delta", signature: SIGNATURE },
  ]),
  block(1, REDACTED, []),
  block(2, { ...TEXT, text: "" }, [{ type: "text_delta", text: TEXT.text }]),
  block(3, { ...CALL, input: {} }, [
    { type: "input_json_delta", partial_json: "" },
    { type: "input_json_delta", partial_json: JSON.stringify(CALL.input).slice(0, 12) },
    { type: "input_json_delta", partial_json: JSON.stringify(CALL.input).slice(12) },
  ]),
];
const tools = [{ name: "look", input_schema: { type: "object" } }];
const ask = (...scripts) => ({
  model: MODEL,
  max_tokens: 4000,
  thinking: { type: "enabled", budget_tokens: 2000 },
  tools,
  messages: [{ role: "user", content: upstream.plays(...scripts) }],
});

for (const [how, script, send] of [
  ["whole", [json(200, MESSAGE)], (own, body) => own.messages.create(body)],
  ["streamed", [...OPENING, ...BLOCKS.flat(), ...CLOSING], (own, body) => own.messages.stream(body).finalMessage()],
]) {
  test(`every block comes back as it was said, and caches have their prices, ${how}`, async () => {
    const payer = await openAccount(gateway);
    const reply = await send(clientWith(payer.key), ask(script));
    assert.deepEqual(reply.content.map(known), CONTENT);
    assert.equal(reply.stop_reason, "tool_use");
    for (const [name, tokens] of Object.entries(USAGE)) assert.deepEqual(reply.usage[name], tokens, name);
    const [{ pricing }] = await endpointsOf(gateway, payer.key, MODEL);
    await owes(payer, bill(pricing));
  });
}

test("a reply that breaks off is an error and not a message", async () => {
  for (const [name, ending] of [
    ["in the middle of a tool call", [...BLOCKS.slice(0, 3).flat(), ...BLOCKS[3].slice(0, 3), close]],
    ["after its blocks", [...BLOCKS.flat(), end]],
  ]) {
    const stream = client.messages.stream(ask([...OPENING, ...ending]));
    const kinds = [];
    stream.on("streamEvent", ({ type }) => kinds.push(type));
    await assert.rejects(stream.finalMessage(), Anthropic.AnthropicError, name);
    assert.ok(!kinds.includes("message_stop"), name);
    assert.equal(kinds.filter((kind) => kind === "content_block_stop").length, name.startsWith("in") ? 3 : 4, name);
  }
});

test("an error in the middle of a stream is the SDK's own", async () => {
  const overloaded = { type: "error", error: { type: "overloaded_error", message: "Overloaded" } };
  const error = await client.messages
    .stream(ask([...OPENING, ...BLOCKS[0], event(overloaded), end]))
    .finalMessage()
    .catch((thrown) => thrown);
  assert.ok(error instanceof Anthropic.APIError, `${error}`);
  assert.equal(error.error.error.type, "overloaded_error");
});

test("each of Anthropic's errors is the SDK's own", async () => {
  for (const [status, type, kind, expected] of [
    [400, "invalid_request_error", Anthropic.BadRequestError, 400],
    [413, "request_too_large", Anthropic.ContentTooLargeError, 413],
    [429, "rate_limit_error", Anthropic.RateLimitError, 429],
    [500, "api_error", Anthropic.InternalServerError, 502],
    [529, "overloaded_error", Anthropic.InternalServerError, 503],
  ]) {
    const body = { type: "error", error: { type, message: `scripted ${status}` }, request_id: "req_1" };
    const error = await client.messages.create(ask([json(status, body)])).catch((thrown) => thrown);
    assert.ok(error instanceof kind, `${status}: ${error}`);
    assert.equal(error.status, expected);
    assert.equal(error.error.type, "error");
    assert.match(JSON.stringify(error.error), new RegExp(`scripted ${status}`));
  }
});

function block(index, content_block, deltas) {
  return [
    event({ type: "content_block_start", index, content_block }),
    ...deltas.map((delta) => event({ type: "content_block_delta", index, delta })),
    event({ type: "content_block_stop", index }),
  ];
}

/** A block without what the SDK adds to it. */
function known({ ...block }) {
  delete block.parsed_output;
  return block;
}

function bill(pricing) {
  const tokens = [
    [USAGE.input_tokens, pricing.prompt],
    [USAGE.cache_read_input_tokens, pricing.input_cache_read],
    [USAGE.cache_creation.ephemeral_5m_input_tokens, pricing.input_cache_write],
    [USAGE.cache_creation.ephemeral_1h_input_tokens, pricing.input_cache_write_1h],
    [USAGE.output_tokens, pricing.completion],
  ];
  return tokens.reduce((sum, [count, price]) => sum + BigInt(count) * pico(price), 0n);
}

function clientWith(apiKey) {
  return new Anthropic({ apiKey, authToken: null, baseURL: `${gateway.url}/api`, maxRetries: 0 });
}
