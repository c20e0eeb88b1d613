// Each protocol that clients speak, as one row: where its requests go, what they look like, and
// how its replies are read. `check` is what a stream owes its client in that protocol; the strict
// grammars are in tests/gateway.

import assert from "node:assert/strict";

const messages = (prompt) => [{ role: "user", content: prompt }];

/** `read*` give `{text, finish, usage}`, where usage is `{input, cached, output, cost}`. */
export const FACES = [
  {
    name: "Chat Completions",
    path: () => "/api/v1/chat/completions",
    body: ({ model, prompt, limit, streamed }) => ({
      ...{ model, messages: messages(prompt), max_tokens: limit, temperature: 0, stream: streamed },
    }),
    readWhole: ({ choices: [choice], usage }) => ({
      ...{ text: choice.message.content, finish: choice.finish_reason, usage: openAiUsage(usage) },
    }),
    delta: ({ json }) => json?.choices?.[0]?.delta?.content ?? "",
    readEnd: (events) => openAiEnd(events),
    check: assertDone,
    lengthFinish: "length",
  },
  {
    name: "legacy Completions",
    path: () => "/api/v1/completions",
    body: ({ model, prompt, limit, streamed }) => ({
      ...{ model, prompt, max_tokens: limit, temperature: 0, stream: streamed },
    }),
    readWhole: ({ choices: [choice], usage }) => ({
      ...{ text: choice.text, finish: choice.finish_reason, usage: openAiUsage(usage) },
    }),
    delta: ({ json }) => json?.choices?.[0]?.text ?? "",
    readEnd: (events) => openAiEnd(events),
    check: assertDone,
    lengthFinish: "length",
  },
  {
    name: "Responses",
    path: () => "/api/v1/responses",
    body: ({ model, prompt, limit, streamed }) => ({
      ...{ model, input: prompt, max_output_tokens: limit, temperature: 0, stream: streamed, store: false },
    }),
    readWhole: (json) => readResponse(json),
    delta: ({ json }) => (json?.type === "response.output_text.delta" ? json.delta : ""),
    readEnd: (events) => readResponse(events.findLast(({ json }) => json?.response)?.json.response),
    check: assertResponses,
    lengthFinish: "incomplete",
  },
  {
    name: "Messages",
    path: () => "/api/v1/messages",
    body: ({ model, prompt, limit, streamed }) => ({
      ...{ model, messages: messages(prompt), max_tokens: limit, temperature: 0, stream: streamed },
    }),
    readWhole: ({ content, stop_reason, usage }) => ({
      ...{ text: content.map((block) => block.text).join(""), finish: stop_reason, usage: messagesUsage(usage) },
    }),
    delta: ({ json }) => json?.delta?.text ?? "",
    readEnd: (events) => {
      const { json } = events.find((event) => event.json?.type === "message_delta");
      return { finish: json.delta.stop_reason, usage: messagesUsage(json.usage) };
    },
    check: assertMessages,
    lengthFinish: "max_tokens",
  },
  {
    name: "Gemini",
    path: ({ model, streamed }) =>
      `/v1beta/models/${model}:${streamed ? "streamGenerateContent?alt=sse" : "generateContent"}`,
    body: ({ prompt, limit }) => ({
      contents: [{ role: "user", parts: [{ text: prompt }] }],
      generationConfig: { maxOutputTokens: limit, temperature: 0 },
    }),
    readWhole: (json) => ({ text: geminiText(json), ...readGemini([json]) }),
    delta: ({ json }) => geminiText(json),
    readEnd: (events) => readGemini(events.map(({ json }) => json)),
    check: assertGemini,
    lengthFinish: "MAX_TOKENS",
  },
];

/** Sends one request. Returns the open response. */
export function send(gateway, key, face, asked, { signal } = {}) {
  return fetch(gateway.url + face.path(asked), {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(face.body(asked)),
    signal,
  });
}

/** Sends one request and reads its reply to the end: `{id, text, finish, usage}`. */
export async function ask(gateway, key, face, asked) {
  const response = await send(gateway, key, face, asked);
  if (response.status !== 200) assert.fail(`${response.status} ${await response.text()}`);
  const id = response.headers.get("x-generation-id");
  if (!asked.streamed) return { id, ...face.readWhole(await response.json()) };
  const events = await Array.fromAsync(eventsOf(response));
  face.check(events);
  return { id, text: events.map(face.delta).join(""), ...face.readEnd(events) };
}

/** Yields each event of a stream as it arrives: `{event, data, json}`; comments are left out. */
export async function* eventsOf(response) {
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    rest += text;
    const frames = rest.split(/\r?\n\r?\n/);
    rest = frames.pop();
    for (const frame of frames) {
      const data = field(frame, "data");
      if (data !== undefined) yield { event: field(frame, "event"), data, json: data === "[DONE]" ? null : JSON.parse(data) };
    }
  }
  assert.equal(rest.trim(), "", "the stream ends between two events");
}

function field(frame, name) {
  return new RegExp(`^${name}: ?(.*)$`, "m").exec(frame)?.[1];
}

// OpenAI's two completions.

function openAiUsage({ prompt_tokens, prompt_tokens_details, completion_tokens, cost }) {
  return { input: prompt_tokens, cached: prompt_tokens_details?.cached_tokens ?? 0, output: completion_tokens, cost };
}

function openAiEnd(events) {
  const chunks = events.flatMap(({ json }) => (json ? [json] : []));
  const finish = chunks.flatMap((chunk) => chunk.choices ?? []).find((choice) => choice.finish_reason)?.finish_reason;
  return { finish, usage: openAiUsage(chunks.findLast((chunk) => chunk.usage).usage) };
}

function assertDone(events) {
  assert.equal(events.at(-1).data, "[DONE]");
  assert.equal(events.filter(({ json }) => json?.usage).length, 1, "usage is told once");
}

// OpenAI's Responses.

function readResponse({ status, output, usage }) {
  const parts = output.filter((item) => item.type === "message").flatMap((item) => item.content);
  const { input_tokens, input_tokens_details, output_tokens, cost } = usage;
  return {
    text: parts.map((part) => part.text).join(""),
    finish: status,
    usage: { input: input_tokens, cached: input_tokens_details?.cached_tokens ?? 0, output: output_tokens, cost },
  };
}

function assertResponses(all) {
  assert.equal(all.at(-1).data, "[DONE]");
  const events = all.slice(0, -1);
  assert.equal(events[0].json.type, "response.created");
  assert.match(events.at(-1).json.type, /^response\.(completed|incomplete)$/);
  events.forEach(({ event, json }, index) => assert.deepEqual([json.type, json.sequence_number], [event, index]));
  // The SDKs index by these; llama.cpp's own Responses leave them out.
  for (const { json } of events.filter(({ event }) => event === "response.output_text.delta")) {
    assert.deepEqual([typeof json.output_index, typeof json.content_index], ["number", "number"]);
  }
}

// Anthropic's Messages.

function messagesUsage(usage) {
  const cached = usage.cache_read_input_tokens ?? 0;
  const input = usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0);
  return { input, cached, output: usage.output_tokens, cost: usage.cost };
}

function assertMessages(events) {
  const order = events.map(({ event }) => event).filter((event) => event !== "ping").join(" ");
  const block = "content_block_start( content_block_delta)* content_block_stop";
  assert.match(order, new RegExp(`^message_start( ${block})+ message_delta message_stop$`));
}

// Google's generateContent.

function geminiText(json) {
  const parts = json?.candidates?.[0]?.content?.parts ?? [];
  return parts.map((part) => part.text ?? "").join("");
}

function readGemini(replies) {
  const finish = replies.findLast((reply) => reply.candidates?.[0]?.finishReason)?.candidates[0].finishReason;
  const usage = replies.findLast((reply) => reply.usageMetadata).usageMetadata;
  return {
    finish,
    usage: {
      input: usage.promptTokenCount,
      cached: usage.cachedContentTokenCount ?? 0,
      output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
      cost: usage.cost,
    },
  };
}

function assertGemini(events) {
  const finishes = events.filter(({ json }) => json.candidates?.[0]?.finishReason);
  assert.equal(finishes.length, 1, "it ends once");
  assert.ok(events.at(-1).json.usageMetadata, "usage comes last");
}
