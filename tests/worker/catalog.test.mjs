// What an operator lays over the catalog takes effect while the gateway runs, in lists, in routing
// and on bills; and the lists are sent once.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, user } from "./chat.mjs";
import { admin, adminKey, call, endpointsOf, openAccount, providerVars, startGateway } from "./harness.mjs";
import { cost, pico } from "./money.mjs";
import { replied, startUpstream } from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const USAGE = { prompt_tokens: 1000, completion_tokens: 100, total_tokens: 1100 };

const upstream = await startUpstream();
after(() => upstream.stop());
const vars = { ...providerVars(upstream.base), ACME_API_KEY: `${CANARY.providerSecret}-acme` };
const gateway = await startGateway({ suite: "catalog", vars });
const account = await openAccount(gateway);

const acme = () => ({
  providers: {
    acme: { name: "Acme", protocol: "openai_chat", base_url: upstream.base("acme"), key_variable: "ACME_API_KEY" },
  },
  models: {
    "acme/chat": {
      name: "Acme Chat",
      context_length: 32768,
      parameters: ["max_tokens", "temperature"],
      offers: { acme: { model: "chat-1", prompt: "0.000001", completion: "0.000002" } },
    },
  },
});
const read = () => admin(gateway, "GET", "/catalog");
const put = (document) => admin(gateway, "PUT", "/catalog", document);
const patch = (document) => admin(gateway, "PATCH", "/catalog", document);
const ids = async (query = "") => (await call(gateway, "GET", `/api/v1/models${query}`)).json.data.map(({ id }) => id);
const status = async (method, path, body, headers, key = adminKey) =>
  call(gateway, method, `/api/v1/admin/catalog${path}`, { key, body, headers });

test("nothing is laid at first", async () => {
  assert.deepEqual((await read()).data, { version: 0, updated_at: null, document: {} });
  assertFailure(await status("GET", "", undefined, {}, account.key), 401);
});

/** Asks a name for the private model, which answers and is billed at its own price. */
async function asks(model) {
  const prompt = upstream.plays(replied("hello", USAGE));
  const reply = await chat(gateway, account.key, { model, messages: user(prompt) });
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual([reply.json.model, reply.json.provider], ["acme/chat", "Acme"]);
  const [sent] = upstream.exchanges(prompt);
  assert.equal(sent.headers.authorization, `Bearer ${vars.ACME_API_KEY}`);
  assert.equal(JSON.parse(sent.body).model, "chat-1");
  const [endpoint] = await endpointsOf(gateway, account.key, "acme/chat");
  assert.equal(pico(String(reply.json.usage.cost)), cost(USAGE, endpoint.pricing));
}

test("a model and its provider appear, answer and are billed", async () => {
  const document = { ...acme(), aliases: { fast: "acme/chat" } };
  const { data: tried } = await admin(gateway, "POST", "/catalog/check", document);
  assert.deepEqual([tried.valid, tried.version, tried.problems], [true, 0, []]);
  assert.ok(tried.changes.some(({ change, model }) => change === "model_added" && model === "acme/chat"));
  assert.equal((await read()).data.version, 0, "a check changes nothing");

  const made = await put(document);
  assert.deepEqual([made.data.version, made.published, made.data.document], [1, true, document]);
  assert.deepEqual(made.changes, tried.changes);
  assert.ok((await ids()).includes("acme/chat"));
  const { json } = await call(gateway, "GET", "/health");
  assert.equal(json.catalog.overlay.version, 1);
  assert.ok(json.live_providers.includes("acme"));

  await asks("acme/chat");
});

test("an alias leads to its model", () => asks("fast"));

test("a change is merged, refused as a whole, and guarded by its version", async () => {
  const { data: before } = await read();
  const refused = await status("PATCH", "", {
    models: { "acme/chat": { offers: { acme: { prompt: "free" } } }, [MODEL]: { hidden: true } },
  });
  const { metadata } = assertFailure(refused, 400);
  assert.match(metadata.problems[0], /prompt "free": not a decimal number/);
  assert.match(metadata.problems[1], /alias fast: .* is no model/, "what leads to a row that is wrong");
  assert.deepEqual((await read()).data, before, "none of it was done");
  assert.ok((await ids()).includes(MODEL));

  assertFailure(await status("PATCH", "", {}, { "if-match": '"9"' }), 409);
  const done = await status("PATCH", "", { aliases: { smart: MODEL } }, { "if-match": `"${before.version}"` });
  assert.equal(done.headers.get("etag"), `"${before.version + 1}"`);
  assert.deepEqual(done.json.data.document.aliases, { fast: "acme/chat", smart: MODEL });
  const old = await status("GET", `?version=${before.version}`);
  assert.deepEqual(old.json.data, before, "every version is kept");
});

test("another price is listed and billed at once, and taken back", async () => {
  const [{ pricing: old }] = await endpointsOf(gateway, account.key, MODEL);
  const offers = { openai: { completion: "0.00005" } };
  const { changes } = await patch({ models: { [MODEL]: { offers } } });
  assert.deepEqual(
    changes.map(({ change, member, after: now }) => [change, member, now]),
    [["price_changed", "completion", "0.00005"]],
  );
  const endpoints = await endpointsOf(gateway, account.key, MODEL);
  const endpoint = endpoints.find(({ tag }) => tag === "openai");
  assert.equal(endpoint.pricing.completion, "0.00005");
  assert.equal(endpoint.pricing.prompt, old.prompt, "what was left out stays");
  const reply = await chat(gateway, account.key, {
    model: MODEL,
    messages: user(upstream.plays(replied("hello", USAGE))),
    provider: { only: ["openai"] },
  });
  assert.equal(pico(String(reply.json.usage.cost)), cost(USAGE, endpoint.pricing));
  await patch({ models: { [MODEL]: null } });
  assert.deepEqual((await endpointsOf(gateway, account.key, MODEL)).find(({ tag }) => tag === "openai").pricing, old);
});

test("what is hidden is not found", async () => {
  // While an alias leads to it, it cannot be.
  assertFailure(await status("PATCH", "", { models: { [MODEL]: { hidden: true } } }), 400);
  await patch({ models: { [MODEL]: { hidden: true } }, aliases: { smart: null } });
  assertFailure(await call(gateway, "GET", `/api/v1/model/${MODEL}`), 404);
  assertFailure(await call(gateway, "GET", `/api/v1/models/${MODEL}/endpoints`), 404);
  assertFailure(await chat(gateway, account.key, { model: MODEL, messages: user("x") }), 400);
  assert.ok(!(await ids()).includes(MODEL));
  await patch({ models: { [MODEL]: null } });
  assert.equal((await call(gateway, "GET", `/api/v1/model/${MODEL}`)).status, 200);
});

test("a new isolate knows it from its first request", async () => {
  const { data: before } = await read();
  gateway.kill();
  await gateway.restart();
  assert.ok((await ids()).includes("acme/chat"), "read from KV by the first request");
  assert.equal((await read()).data.version, before.version);
});

test("a list is named, so that it is sent once", async () => {
  for (const path of ["/models", "/models/count", "/providers", `/model/${MODEL}`, "/embeddings/models", "/models?q=gpt"]) {
    const first = await call(gateway, "GET", `/api/v1${path}`);
    const etag = first.headers.get("etag");
    assert.match(etag, /^"[0-9a-f]{32}"$/, path);
    assert.match(first.headers.get("cache-control"), /max-age/);
    const again = await call(gateway, "GET", `/api/v1${path}`, { headers: { "if-none-match": etag } });
    assert.deepEqual([again.status, again.text], [304, ""], path);
    const head = await call(gateway, "HEAD", `/api/v1${path}`);
    assert.deepEqual([head.status, head.text, head.headers.get("etag")], [200, "", etag], path);
  }
  const { headers } = await call(gateway, "GET", "/api/v1/models");
  await patch({ aliases: { cheap: "acme/chat" } });
  const changed = await call(gateway, "GET", "/api/v1/models", { headers: { "if-none-match": headers.get("etag") } });
  assert.equal(changed.status, 200, "another version, another list");
});

test("filters, pages and feeds", async () => {
  assert.deepEqual(await ids("?model_authors=acme&max_price=2"), ["acme/chat", "cheap", "fast"]);
  assertFailure(await call(gateway, "GET", "/api/v1/models?sort=best"), 400);
  const page = (await call(gateway, "GET", "/api/v1/models?limit=2&offset=1")).json;
  assert.equal(page.data.length, 2);
  assert.equal(page.links.next, "/api/v1/models?limit=2&offset=3");
  const feed = await call(gateway, "GET", "/api/v1/models?use_rss=true&q=acme");
  assert.match(feed.headers.get("content-type"), /^application\/rss\+xml/);
  assert.ok(feed.text.includes(`<link>${gateway.url}/api/v1/model/acme/chat</link>`), feed.text);
  const codex = (await call(gateway, "GET", "/api/v1/models?client_version=0.60.0")).json;
  assert.deepEqual([codex.models, codex.data.length > 1], [[], true]);
});

test("a key is needed for its own list alone", async () => {
  assertFailure(await call(gateway, "GET", "/api/v1/models/user"), 401);
  const own = await call(gateway, "GET", "/api/v1/models/user", { key: account.key });
  assert.deepEqual(own.json.data.map(({ id }) => id), await ids());
  assert.equal(own.headers.get("cache-control"), "private, no-cache");
  const zdr = await call(gateway, "GET", "/api/v1/endpoints/zdr");
  assert.ok(Array.isArray(zdr.json.data));
});
