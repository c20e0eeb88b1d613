// What passes through: everything we do not own, byte for byte, in both directions.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { chat, post, stream } from "./chat.mjs";
import { openAccount, providerVars, startGateway } from "./harness.mjs";
import {
  bytes,
  data,
  end,
  eventStream,
  head,
  frame,
  replied,
  startUpstream,
  streamed,
  usageChunk,
  chunk,
  completion,
} from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const UPSTREAM_MODEL = "gpt-4.1-mini";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "forward", vars: providerVars(upstream.base) });
const { key } = await openAccount(gateway, { credit: "100" });

// Parts of a body that a JSON library would spoil.
const FRAGILE = [
  '"seed":9007199254740993123',
  '"temperature":1.0',
  '"top_p":1e-2',
  '"logit_bias":{"50256":-100,"1":0.10}',
  '"user":"\\u00e9\\ud83c\\udf0d\\/"',
  '"metadata":{"b":1,"a":2,"b2":{"z":null,"y":[]}}',
  '"x_unknown":{"deep":[1,2.50,{"k":"v"}]}',
  '"stop":["\\n\\n","\\u0000"]',
  '"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"z":{},"a":{}}}}}',
  '"tools":[{"type":"function","function":{"name":"f","parameters":{"minimum":-9223372036854775808}}}]',
  '"prediction":{"type":"content","content":"  "}',
];

test("a whole request arrives as it was sent, but for the model's name", async () => {
  const prompt = upstream.plays(replied("ok"));
  const sent = `{ "model":"${MODEL}",${FRAGILE.join(" , ")},\n\t"messages":[{"content":"${prompt}","role":"user","x":1.10}] }`;
  const { status, text } = await chat(gateway, key, sent);
  assert.equal(status, 200, text);
  assert.equal(upstream.exchanges(prompt)[0].body, sent.replace(MODEL, UPSTREAM_MODEL));
});

test("a streamed request arrives as it was sent, but for the model's name and the asking for usage", async () => {
  const prompt = upstream.plays(streamed("ok"));
  const sent = `{"stream":true,${FRAGILE.join(",")},"model":"${MODEL}","messages":[{"role":"user","content":"${prompt}"}]}`;
  await (await post(gateway, key, sent)).text();
  const { body } = upstream.exchanges(prompt)[0];
  for (const part of FRAGILE) assert.ok(body.includes(part), `${part} in ${body}`);
  const parsed = JSON.parse(body);
  assert.deepEqual(parsed.stream_options, { include_usage: true });
  assert.equal(parsed.model, UPSTREAM_MODEL);
  assert.equal(Object.keys(parsed).length, FRAGILE.length + 4);
});

test("stream_options of the client's are kept, and usage is asked for anyway", async () => {
  for (const options of [{ include_usage: false }, { include_obfuscation: false }, { include_usage: true }]) {
    const prompt = upstream.plays(streamed("ok"));
    const reply = await stream(gateway, key, {
      model: MODEL,
      stream_options: options,
      messages: [{ role: "user", content: prompt }],
    });
    const sent = JSON.parse(upstream.exchanges(prompt)[0].body);
    assert.deepEqual(sent.stream_options, { ...options, include_usage: true });
    assert.equal(reply.usage.completion_tokens, 30);
  }
});

test("what is meant for the gateway alone is not passed on", async () => {
  const prompt = upstream.plays(replied("ok"));
  const body = {
    model: MODEL,
    models: ["openai/gpt-4o-mini"],
    route: "fallback",
    provider: { allow_fallbacks: true },
    usage: { include: true },
    transforms: [],
    messages: [{ role: "user", content: prompt }],
  };
  const { status, text } = await chat(gateway, key, body);
  assert.equal(status, 200, text);
  const sent = JSON.parse(upstream.exchanges(prompt)[0].body);
  assert.deepEqual(Object.keys(sent).sort(), ["messages", "model"]);
});

test("the provider gets its own key and none of the client's headers", async () => {
  const prompt = upstream.plays(replied("ok"));
  const headers = {
    "x-title": "app",
    "http-referer": "https://app.example",
    cookie: "a=b",
    "x-custom-host": "http://evil",
    "x-forwarded-for": "1.2.3.4",
  };
  await chat(gateway, key, { model: MODEL, messages: [{ role: "user", content: prompt }] }, { headers });
  const { headers: got, path } = upstream.exchanges(prompt)[0];
  assert.equal(path, "/openai/v1/chat/completions");
  assert.equal(got.authorization, `Bearer ${CANARY.providerSecret}-openai`);
  for (const name of Object.keys(headers)) assert.equal(got[name], undefined, name);
  assert.ok(!JSON.stringify(got).includes(key));
});

test("a base URL in the body is not obeyed", async () => {
  const prompt = upstream.plays(replied("ok"));
  const evil = upstream.base("thief");
  await chat(gateway, key, {
    model: MODEL,
    api_base: evil,
    base_url: evil,
    messages: [{ role: "user", content: prompt }],
  });
  assert.ok(upstream.exchanges(prompt).every((each) => each.provider === "openai"));
});

test("a whole reply keeps the provider's fields and gets the gateway's", async () => {
  const fragile = '"x_big":9007199254740993123,"x_float":1.10,"x_text":"\\u00e9","system_fingerprint":"fp_1"';
  const body = JSON.stringify(completion(CANARY.reply)).replace('"object"', `${fragile},"object"`);
  const prompt = upstream.plays([head(200, { "content-type": "application/json" }), bytes(body), end]);
  const reply = await chat(gateway, key, { model: MODEL, messages: [{ role: "user", content: prompt }] });
  assert.ok(reply.text.includes('"x_big":9007199254740993123'), reply.text);
  assert.ok(reply.text.includes('"x_float":1.10'));
  assertOwned(reply.json, reply);
  const [choice] = reply.json.choices;
  assert.equal(choice.native_finish_reason, "stop");
  assert.equal(choice.message.content, CANARY.reply);
  assert.equal(typeof reply.json.usage.cost, "number");
});

test("a streamed reply keeps the provider's fields and gets the gateway's, in every event", async () => {
  const first = frame(chunk({ role: "assistant", content: CANARY.reply })).replace(
    '"object"',
    '"x_big":9007199254740993123,"object"',
  );
  const prompt = upstream.plays([
    eventStream,
    bytes(first),
    data(chunk({ x_delta: 1 })),
    data(chunk({}, "stop")),
    data(usageChunk()),
    data("[DONE]"),
    end,
  ]);
  const reply = await stream(gateway, key, { model: MODEL, messages: [{ role: "user", content: prompt }] });
  assert.ok(reply.frames[0].raw.includes('"x_big":9007199254740993123'), reply.frames[0].raw);
  for (const each of reply.chunks) assertOwned(each, reply);
  assert.equal(reply.chunks.filter((each) => each.usage).length, 1);
  assert.equal(typeof reply.usage.cost, "number");
  assert.match(reply.headers.get("content-type"), /^text\/event-stream/);
  assert.match(reply.headers.get("cache-control"), /no-cache/);
});

test("tools, images, audio and odd content parts arrive as they were sent", async () => {
  const prompt = upstream.plays(replied("ok"));
  const messages = [
    { role: "developer", content: "be brief" },
    {
      role: "user",
      content: [
        { type: "text", text: prompt },
        { type: "image_url", image_url: { url: `data:image/png;base64,${"iVBORw0KGgo".repeat(2000)}`, detail: "low" } },
      ],
    },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: "" } }],
    },
    { role: "tool", tool_call_id: "c1", content: "42" },
  ];
  const { status, text } = await chat(gateway, key, { model: MODEL, messages });
  assert.equal(status, 200, text);
  assert.deepEqual(JSON.parse(upstream.exchanges(prompt)[0].body).messages, messages);
});

test("the reply is the same under both prefixes", async () => {
  for (const path of ["/api/v1/chat/completions", "/v1/chat/completions"]) {
    const prompt = upstream.plays(replied("ok"));
    const reply = await chat(gateway, key, { model: MODEL, messages: [{ role: "user", content: prompt }] }, { path });
    assert.equal(reply.json.choices[0].message.content, "ok");
  }
});

/** The fields that are the gateway's own. */
function assertOwned(json, reply) {
  assert.match(json.id, /^gen-\d+-\w{20}$/);
  assert.equal(json.id, reply.headers.get("x-generation-id"));
  assert.equal(json.model, MODEL);
  assert.equal(json.provider, "OpenAI");
}
