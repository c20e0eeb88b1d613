// Searches of the web by the provider's own means: asked for in OpenRouter's words, made over the
// provider's, cited, counted and charged to the picodollar. The providers are plain servers.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, test } from "node:test";

import { chat, stream, user } from "./chat.mjs";
import { call, openAccount, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";

const SOURCE = { url: "https://a.example/page", title: "A page" };
const seen = [];
const server = createServer(async (request, response) => {
  const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
  seen.push({ url: request.url, body });
  const events = request.url === "/openai/responses" ? responses() : messages();
  const answer = body.stream ? events.map(({ type, ...rest }) => `event: ${type}\ndata: ${JSON.stringify({ type, ...rest })}\n\n`).join("") : whole(request.url);
  response.writeHead(200, { "content-type": body.stream ? "text/event-stream" : "application/json" });
  response.end(answer);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
after(() => server.close());
const address = `http://127.0.0.1:${server.address().port}`;

const gateway = await startGateway({
  suite: "search",
  vars: {
    OPENAI_API_KEY: "key",
    OPENAI_BASE_URL: `${address}/openai`,
    ANTHROPIC_API_KEY: "key",
    ANTHROPIC_BASE_URL: `${address}/anthropic`,
  },
});
const account = await openAccount(gateway);

// 1,000 tokens in and 100 out at $1.25 and $10 a million, and one search at $0.01.
const GPT_5 = 1000n * 1_250_000n + 100n * 10_000_000n + 10_000_000_000n;
// At $3 and $15, and two searches.
const CLAUDE = 1000n * 3_000_000n + 100n * 15_000_000n + 2n * 10_000_000_000n;

test(":online has OpenAI search over Responses for a client of chat", async () => {
  const body = { model: "openai/gpt-5:online", messages: user("What is new?"), max_tokens: 200 };
  const reply = await chat(gateway, account.key, body);
  assert.equal(reply.status, 200, JSON.stringify(reply.json));
  const { url, body: sent } = seen.at(-1);
  assert.equal(url, "/openai/responses");
  assert.deepEqual([sent.model, sent.tools], ["gpt-5", [{ type: "web_search" }]]);
  checkUsage(reply.json.usage, 1, GPT_5);
  checkCitation(reply.json.choices[0].message.annotations);

  const receipt = await call(gateway, "GET", `/api/v1/generation?id=${reply.json.id}`, { key: account.key });
  const line = receipt.json.data.receipt.lines.find(({ class: name }) => name === "web_search");
  assert.deepEqual([line.count, line.cost_pico], [1, "10000000000"]);
});

test("the plugin has Anthropic search, in a stream too", async () => {
  const plugins = [{ id: "web", max_uses: 2, include_domains: ["a.example"] }];
  const body = { model: "anthropic/claude-sonnet-4.5", messages: user("What is new?"), max_tokens: 200, plugins };
  const reply = await stream(gateway, account.key, body);
  assert.equal(reply.text, "Much.");
  const tool = { type: "web_search_20250305", name: "web_search", max_uses: 2, allowed_domains: ["a.example"] };
  assert.deepEqual(seen.at(-1).body.tools, [tool]);
  const usage = reply.chunks.map((chunk) => chunk.usage).findLast(Boolean);
  checkUsage(usage, 2, CLAUDE);
  checkCitation(reply.chunks.flatMap((chunk) => chunk.choices?.[0]?.delta?.annotations ?? []));
});

test("what an account is charged is what its replies said", async () => {
  const { used } = await account.settled();
  assert.equal(used, GPT_5 + CLAUDE);
});

test("a balance that cannot pay the searches is refused beforehand", async () => {
  const poor = await openAccount(gateway, { credit: "0.02" });
  const body = { model: "anthropic/claude-sonnet-4.5:online", messages: user("Hi"), max_tokens: 10 };
  const before = seen.length;
  assert.equal((await chat(gateway, poor.key, body)).status, 402);
  assert.equal(seen.length, before);
});

test("a model without a price for searches is refused by name of those with one", async () => {
  const refused = await chat(gateway, account.key, { model: "millrace/echo:online", messages: user("Hi") });
  assert.equal(refused.status, 400, JSON.stringify(refused.json));
  assert.match(refused.json.error.message, /cannot search the web.*supported_parameters=web_search_options/);
  const { json } = await call(gateway, "GET", "/api/v1/models?supported_parameters=web_search_options");
  assert.ok(json.data.length > 50);
  for (const model of json.data) assert.ok(model.pricing.web_search !== undefined, model.id);
});

function checkUsage(usage, searches, cost) {
  assert.deepEqual(usage.server_tool_use_details, { web_search_requests: searches });
  assert.equal(pico(usage.cost), cost);
  assert.equal(pico(usage.cost_details.server_tool_cost), BigInt(searches) * 10_000_000_000n);
}

function checkCitation(annotations) {
  assert.equal(annotations?.length, 1, JSON.stringify(annotations));
  assert.equal(annotations[0].type, "url_citation");
  assert.deepEqual([annotations[0].url_citation.url, annotations[0].url_citation.title], [SOURCE.url, SOURCE.title]);
}

function response() {
  const annotation = { type: "url_citation", ...SOURCE, start_index: 0, end_index: 5 };
  return {
    id: "resp_1",
    object: "response",
    status: "completed",
    output: [
      { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "news" } },
      { type: "web_search_call", id: "ws_2", status: "completed", action: { type: "open_page", url: SOURCE.url } },
      { type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: "Much.", annotations: [annotation] }] },
    ],
    usage: { input_tokens: 1000, output_tokens: 100, total_tokens: 1100 },
  };
}

function responses() {
  return [{ type: "response.completed", response: response() }];
}

const CITATION = { type: "web_search_result_location", ...SOURCE, encrypted_index: "e", cited_text: "Much" };
const COUNTS = { input_tokens: 1000, output_tokens: 100, server_tool_use: { web_search_requests: 2 } };

function messages() {
  const message = { id: "msg_1", type: "message", role: "assistant", model: "m", content: [], usage: { input_tokens: 1000, output_tokens: 1 } };
  const search = { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} };
  return [
    { type: "message_start", message },
    { type: "content_block_start", index: 0, content_block: search },
    { type: "content_block_stop", index: 0 },
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Much." } },
    { type: "content_block_delta", index: 1, delta: { type: "citations_delta", citation: CITATION } },
    { type: "content_block_stop", index: 1 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: COUNTS },
    { type: "message_stop" },
  ];
}

function whole(url) {
  if (url === "/openai/responses") return JSON.stringify(response());
  const content = [{ type: "text", text: "Much.", citations: [CITATION] }];
  return JSON.stringify({ id: "msg_1", type: "message", role: "assistant", model: "m", content, stop_reason: "end_turn", usage: COUNTS });
}
