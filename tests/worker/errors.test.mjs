// Every way a request can be wrong before any provider is asked, and the envelope it is told in.

import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { test } from "node:test";

import { assertFailure, chat, user } from "./chat.mjs";
import { call, openAccount, startGateway } from "./harness.mjs";

const MAX_BODY_BYTES = 20_000;
const ECHO = "millrace/echo";
const CHAT = "/api/v1/chat/completions";

const gateway = await startGateway({ suite: "errors", vars: { MILLRACE_MAX_BODY_BYTES: MAX_BODY_BYTES } });
const { key, createKey } = await openAccount(gateway);
const { key: managementKey } = await createKey({ management: true });

test("an unknown path is 404 under every prefix", async () => {
  for (const path of [
    "/nope",
    "/api/v1/nope",
    "/v1/nope",
    "/api/v2/models",
    "/api/v1/chat",
    "/api/v1/admin/nope",
    "/__failpoint/panic",
  ]) {
    assertFailure(await call(gateway, "GET", path, { key }), 404);
  }
});

test("a wrong method is 405 and says which are right", async () => {
  const table = [
    ["GET", CHAT, /POST/],
    ["PUT", CHAT, /POST/],
    ["POST", "/v1/models", /GET/],
    ["DELETE", "/api/v1/credits", /GET/],
    ["PATCH", "/api/v1/keys", /GET, POST/],
    ["POST", "/health", /GET/],
  ];
  for (const [method, path, allow] of table) {
    const reply = await call(gateway, method, path, { key });
    assertFailure(reply, 405);
    assert.match(reply.headers.get("allow") ?? "", allow, `${method} ${path}`);
  }
});

test("a body that is not the JSON we need is 400 and says where or what", async () => {
  const table = [
    ["", /JSON/i],
    ["{", /line 1 column \d+/],
    ['{"model": "millrace/echo",\n "messages": [}', /line 2 column \d+/],
    ["[]", /object/],
    ['"text"', /object/],
    [{ messages: user("hi") }, /model/],
    [{ model: 7, messages: user("hi") }, /model/],
    [{ model: "", messages: user("hi") }, /model/],
    [{ model: ECHO }, /messages/],
    [{ model: ECHO, messages: "hi" }, /messages/],
    [{ model: ECHO, messages: [] }, /messages/],
    [{ model: ECHO, messages: user("hi"), stream: "yes" }, /stream/],
    [{ model: ECHO, messages: user("hi"), max_tokens: -1 }, /max_tokens/],
    [{ model: ECHO, messages: user("hi"), max_tokens: 1.5 }, /max_tokens/],
    [{ model: ECHO, messages: user("hi"), models: "x/y" }, /models/],
  ];
  for (const [body, message] of table) {
    const error = assertFailure(await chat(gateway, key, body), 400, message);
    assert.equal(error.metadata.error_type, "invalid_request");
  }
});

test("an unknown model is 400 in OpenRouter's words", async () => {
  for (const model of ["nobody/nothing", "gpt", "a/b/c"]) {
    const reply = await chat(gateway, key, { model, messages: user("hi") });
    assertFailure(reply, 400);
    assert.equal(reply.json.error.message, `${model} is not a valid model ID`);
  }
});

test("a request without a good key is 401, with a bad one too", async () => {
  const table = [
    [undefined, /Auth/],
    ["", /Auth/],
    ["wrong", undefined],
    ["sk-mr-v1-", undefined],
    [`${key}x`, undefined],
    [`${key.slice(0, -1)}${key.endsWith("a") ? "b" : "a"}`, undefined],
    [`sk-mr-v1-AAAAAAAAAAAA-${key.slice(-32)}`, undefined],
  ];
  for (const [candidate, message] of table) {
    const headers = candidate === undefined ? {} : { authorization: `Bearer ${candidate}` };
    const reply = await call(gateway, "POST", CHAT, { body: { model: ECHO, messages: user("hi") }, headers });
    const error = assertFailure(reply, 401, message);
    assert.equal(error.metadata.error_type, "authentication");
    if (candidate) assert.ok(!reply.text.includes(candidate), "the answer repeats the key");
  }
});

test("every path that needs a key says so", async () => {
  const paths = [
    "/api/v1/key",
    "/api/v1/auth/key",
    "/api/v1/credits",
    "/api/v1/keys",
    "/api/v1/generation?id=gen-1-00000000000000000000",
    "/v1/key",
  ];
  for (const path of paths) assertFailure(await call(gateway, "GET", path), 401);
});

test("only a management key manages, and only the root secret administers", async () => {
  const table = [
    ["GET", "/api/v1/credits", key],
    ["GET", "/api/v1/keys", key],
    ["POST", "/api/v1/keys", key],
    ["POST", CHAT, managementKey],
  ];
  for (const [method, path, caller] of table) {
    const body = method === "POST" ? { name: "x", model: ECHO, messages: user("hi") } : undefined;
    assertFailure(await call(gateway, method, path, { key: caller, body }), 403);
  }
  for (const caller of [undefined, "wrong", key, managementKey]) {
    const { status } = await call(gateway, "GET", "/api/v1/admin/accounts", { key: caller });
    assert.ok([401, 403].includes(status), `${status}`);
  }
});

test("a body beyond the limit is 413 and says the limit, announced or not", async () => {
  const body = JSON.stringify({ model: ECHO, messages: user("x".repeat(MAX_BODY_BYTES)) });
  for (const headers of [{ "content-length": Buffer.byteLength(body) }, { "transfer-encoding": "chunked" }]) {
    const reply = await send(body, headers);
    assertFailure(reply, 413, new RegExp(`${MAX_BODY_BYTES}`));
  }
});

test("a body just within the limit is answered", async () => {
  const shell = JSON.stringify({ model: ECHO, messages: user("") });
  const body = shell.replace('""', `"${"x".repeat(MAX_BODY_BYTES - shell.length)}"`);
  assert.equal((await send(body, { "transfer-encoding": "chunked" })).status, 200);
});

test("browsers may ask and read", async () => {
  const origin = "https://app.example";
  const preflight = await call(gateway, "OPTIONS", CHAT, {
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,x-title",
    },
  });
  assert.ok(preflight.status === 204 || preflight.status === 200, `${preflight.status}`);
  assert.match(preflight.headers.get("access-control-allow-methods"), /POST/);
  assert.match(preflight.headers.get("access-control-allow-headers"), /authorization|\*/i);
  const replies = [
    await chat(gateway, key, { model: ECHO, messages: user("hi") }, { headers: { origin } }),
    await chat(gateway, "wrong", { model: ECHO, messages: user("hi") }, { headers: { origin } }),
    await call(gateway, "GET", "/nope", { headers: { origin } }),
  ];
  for (const reply of [preflight, ...replies]) {
    assert.ok(["*", origin].includes(reply.headers.get("access-control-allow-origin")), `${reply.status}`);
  }
  assert.match(replies[0].headers.get("access-control-expose-headers") ?? "", /x-generation-id/i);
});

test("health proves storage and catalog without a key", async () => {
  const reply = await call(gateway, "GET", "/health");
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.json.status, "ok");
});

test("a HEAD request is a GET without its body", async () => {
  const reply = await call(gateway, "HEAD", "/health");
  assert.equal(reply.status, 200);
  assert.equal(reply.text, "");
});

test("an unknown generation is 404, and another account's too", async () => {
  const own = await chat(gateway, key, { model: ECHO, messages: user("mine") });
  const stranger = await openAccount(gateway);
  for (const [id, asker] of [
    ["gen-1-00000000000000000000", key],
    ["nonsense", key],
    ["", key],
    [own.json.id, stranger.key],
  ]) {
    const reply = await call(gateway, "GET", `/api/v1/generation?id=${id}`, { key: asker });
    assert.ok([400, 404].includes(reply.status), `${id}: ${reply.status}`);
    assertFailure(reply, reply.status);
  }
});

/** A chat request whose framing is chosen here: `fetch` would set its own. */
async function send(body, headers) {
  const request = httpRequest(gateway.url + CHAT, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
  });
  // The gateway may answer and hang up before it has read everything.
  request.on("error", () => {});
  request.end(body);
  const [response] = await once(request, "response");
  const text = Buffer.concat(await Array.fromAsync(response)).toString();
  return { status: response.statusCode, headers: new Headers(response.headers), text, json: JSON.parse(text) };
}
