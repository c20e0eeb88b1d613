// Alerts by webhook, as an endpoint sees them that checks signatures with the standard's own library.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { Webhook } from "standardwebhooks";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, user } from "./chat.mjs";
import { call, ceilingOf, openAccount, startGateway } from "./harness.mjs";
import { dollars } from "./money.mjs";
import { eventually } from "./wait.mjs";

const endpoint = await startEndpoint();
const gateway = await startGateway({ suite: "alerts", vars: { MILLRACE_MEDIA_HOSTS: endpoint.host } });
const ECHO = "millrace/echo";
const QUIET = { low_balance: null, unusual_spend: null, fallback_spike: null };

/** An account whose alerts come to a path of its own. */
async function open(settings = {}, options) {
  const account = await openAccount(gateway, options);
  const { key: manager } = await account.createKey({ management: true });
  const path = `/${account.id}`;
  const manage = (method, sub = "", body) => call(gateway, method, `/api/v1/alerts${sub}`, { key: manager, body });
  const { status, json, text } = await manage("PUT", "", { url: endpoint.url + path, ...QUIET, ...settings });
  assert.equal(status, 200, text);
  return { ...account, manager, manage, path, secret: json.secret, arrived: () => endpoint.arrived(path, json.secret) };
}

const ask = (key, words = "one two three four") =>
  chat(gateway, key, { model: ECHO, messages: user(words), max_tokens: 4 });

test("four fifths of a key's limit and its end are told once each, signed", async () => {
  const limit = 6n * (await ceilingOf(gateway, { model: ECHO, messages: user("one two three four"), max_tokens: 4 }));
  const account = await open({}, { key: { limit: Number(dollars(limit)) } });
  let reply;
  do reply = await ask(account.key);
  while (reply.status === 200);
  assert.equal(reply.status, 402);
  await eventually("both alerts", () => account.arrived().length === 2, { withinMs: 15_000 });
  assert.equal((await ask(account.key)).status, 402);
  const [first, second] = account.arrived();
  assert.deepEqual([first.body.type, second.body.type].sort(), ["key.limit.approached", "key.limit.reached"]);
  assert.deepEqual([first.body.data.key_hash, first.body.data.account_id], [account.hash, account.id]);
  assert.notEqual(first.headers["webhook-id"], second.headers["webhook-id"]);
  for (const { text } of account.arrived()) for (const secret of [account.key, CANARY.prompt]) assert.ok(!text.includes(secret));
  const { json } = await account.manage("GET");
  assert.deepEqual([json.data.waiting, json.data.last_error, json.secret], [0, null, undefined]);
  assert.ok(Date.parse(json.data.last_delivered_at) > 0);
});

test("a low balance is told", async () => {
  const account = await open({ low_balance: 50 });
  assert.equal((await ask(account.key)).status, 200);
  const [{ body }] = await eventually("an alert", () => account.arrived().length > 0 && account.arrived(), { withinMs: 15_000 });
  assert.equal(body.type, "balance.low");
  assert.equal(body.data.threshold, "50");
});

test("what the endpoint does not take comes again, under the same id and signed anew", async () => {
  const account = await open();
  endpoint.answers(account.path, 500, 307, 204);
  await account.manage("POST", "/test");
  await eventually("an error", async () => (await account.manage("GET")).json.data.last_error !== null, { withinMs: 10_000 });
  assert.match((await account.manage("GET")).json.data.last_error, /status 500/);
  await eventually("another attempt", () => account.arrived().length === 2, { withinMs: 15_000 });
  const [first, second] = account.arrived();
  assert.equal(first.headers["webhook-id"], second.headers["webhook-id"]);
  assert.notEqual(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
  assert.match((await account.manage("GET")).json.data.last_error, /status 307/);
});

test("an endpoint that hangs or is gone holds up no money", async () => {
  const account = await open({ low_balance: 50 });
  endpoint.answers(account.path, "hang");
  for (let turn = 0; turn < 3; turn++) assert.equal((await ask(account.key)).status, 200);
  await eventually("the alert is on its way", () => account.arrived().length > 0, { withinMs: 15_000 });
  assert.equal((await ask(account.key)).status, 200);
  assert.ok((await account.settled()).used > 0n);
  const gone = await open();
  endpoint.answers(gone.path, 410);
  await gone.manage("POST", "/test");
  await eventually("it is switched off", async () => !(await gone.manage("GET")).json.data.enabled, { withinMs: 10_000 });
});

test("the secret is shown once, and another signs from then on", async () => {
  const account = await open();
  assert.match(account.secret, /^whsec_/);
  const put = (more) => account.manage("PUT", "", { url: endpoint.url + account.path, ...QUIET, ...more });
  assert.equal((await put({})).json.secret, undefined);
  const { secret } = (await put({ renew_secret: true })).json;
  assert.notEqual(secret, account.secret);
  await account.manage("POST", "/test");
  const [{ body }] = await eventually(
    "an alert",
    () => endpoint.arrived(account.path, secret).length > 0 && endpoint.arrived(account.path, secret),
    { withinMs: 10_000 },
  );
  assert.equal(body.type, "test");
});

test("alerts go to public addresses, and are a manager's", async () => {
  const account = await open();
  for (const url of ["http://169.254.169.254/", "https://localhost/x", "http://10.0.0.1/", "ftp://a.example/", "http://127.0.0.1:1/"]) {
    assertFailure(await account.manage("PUT", "", { url }), 400, /url/);
  }
  assertFailure(await call(gateway, "GET", "/api/v1/alerts", { key: account.key }), 403);
  const other = await openAccount(gateway);
  const { key } = await other.createKey({ management: true });
  assert.deepEqual((await call(gateway, "GET", "/api/v1/alerts", { key })).json, { data: null });
});

async function startEndpoint() {
  const requests = [];
  const scripts = new Map();
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const piece of request) text += piece;
    requests.push({ path: request.url, headers: request.headers, text });
    const script = scripts.get(request.url) ?? [];
    const status = script.length > 1 ? script.shift() : (script[0] ?? 204);
    if (status !== "hang") response.writeHead(status, { location: "/elsewhere" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${server.address().port}`;
  return {
    host,
    url: `http://${host}`,
    answers: (path, ...statuses) => scripts.set(path, statuses),
    /** What came to a path; fails for a signature that is not right. */
    arrived: (path, secret) =>
      requests
        .filter((request) => request.path === path)
        .map((request) => ({ ...request, body: new Webhook(secret).verify(request.text, request.headers) })),
  };
}
