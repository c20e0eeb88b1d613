// Keys as their owner sees them: shown once, limited, switched off, revoked, expired.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { assertFailure, chat, user } from "./chat.mjs";
import { admin, call, ceilingOf, openAccount, startGateway } from "./harness.mjs";
import { dollars, pico } from "./money.mjs";
import { eventually } from "./wait.mjs";

const ECHO = "millrace/echo";
const KEY = /^sk-mr-v1-[0-9A-Za-z]{12}-[0-9A-Za-z]{20,}$/;

const gateway = await startGateway({ suite: "keys" });

test("a key is shown once and known by its hash", async () => {
  const account = await openAccount(gateway);
  assert.match(account.key, KEY);
  assert.equal(account.hash, createHash("sha256").update(account.key).digest("hex"));
  const { key: manager } = await account.createKey({ management: true });
  const one = await call(gateway, "GET", `/api/v1/keys/${account.hash}`, { key: manager });
  const list = await call(gateway, "GET", "/api/v1/keys", { key: manager });
  assert.deepEqual(
    list.json.data.map((each) => each.hash),
    [account.hash],
  );
  for (const reply of [one, list]) assert.ok(!reply.text.includes(account.key));
});

test("a new key works at once, from the first request on", async () => {
  const { createKey } = await openAccount(gateway);
  for (let turn = 0; turn < 10; turn++) {
    const { key } = await createKey({});
    assert.equal((await ask(key)).status, 200);
  }
});

test("a key's limit holds to the last picodollar, and counts what it spent", async () => {
  const body = { messages: user("one two three four"), max_tokens: 4 };
  const each = pico("0.000012");
  const limit = (await ceilingOf(gateway, { model: ECHO, ...body })) + 2n * each;
  const account = await openAccount(gateway, { key: { limit: Number(dollars(limit)) } });
  for (let turn = 0; turn < 3; turn++) assert.equal((await ask(account.key, body)).status, 200);
  const { metadata } = assertFailure(await ask(account.key, body), 402);
  assert.equal(metadata.limit_source, "openrouter_key_limit");
  assert.equal(pico(metadata.missing), each);
  const { json } = await call(gateway, "GET", "/api/v1/key", { key: account.key });
  assert.equal(pico(json.data.usage), 3n * each);
  assert.equal(pico(json.data.limit_remaining), limit - 3n * each);
  assert.equal((await account.settled()).used, 3n * each);
});

test("many requests at once do not pass a key's limit", async () => {
  const body = { messages: user("a b c d e f g h"), max_tokens: 8 };
  const limit = (await ceilingOf(gateway, { model: ECHO, ...body })) + 4n * pico("0.000024");
  const account = await openAccount(gateway, { key: { limit: Number(dollars(limit)) } });
  const replies = await Promise.all(Array.from({ length: 30 }, () => ask(account.key, body)));
  assert.ok(replies.every((reply) => [200, 402].includes(reply.status)));
  const served = replies.filter((reply) => reply.status === 200).length;
  assert.ok(served >= 1 && served <= 5, `${served} served`);
  assert.equal((await account.settled()).used, BigInt(served) * pico("0.000024"));
});

test("a key that is switched off is refused, and accepted again when switched on", async () => {
  const { key, hash, createKey } = await openAccount(gateway);
  const { key: manager } = await createKey({ management: true });
  const patch = (body) => call(gateway, "PATCH", `/api/v1/keys/${hash}`, { key: manager, body });
  assert.equal((await ask(key)).status, 200);
  assert.equal((await patch({ disabled: true })).json.data.disabled, true);
  await eventually("the key is refused", async () => (await ask(key)).status === 401, { withinMs: 15_000 });
  await patch({ disabled: false });
  await eventually("the key is accepted", async () => (await ask(key)).status === 200, { withinMs: 15_000 });
});

test("a revoked key is refused, and stays unknown", async () => {
  const { key, hash, createKey } = await openAccount(gateway);
  const { key: manager } = await createKey({ management: true });
  assert.equal((await ask(key)).status, 200);
  const reply = await call(gateway, "DELETE", `/api/v1/keys/${hash}`, { key: manager });
  assert.deepEqual(reply.json, { deleted: true });
  await eventually("the key is refused", async () => (await ask(key)).status === 401, { withinMs: 15_000 });
  assertFailure(await call(gateway, "GET", `/api/v1/keys/${hash}`, { key: manager }), 404);
  const again = await call(gateway, "DELETE", `/api/v1/keys/${hash}`, { key: manager });
  assert.deepEqual(again.json, { deleted: true }, "deleting twice changes nothing");
  assertFailure(await ask(key), 401);
});

test("an expired key is refused", async () => {
  const { createKey } = await openAccount(gateway);
  const { key } = await createKey({ expires_at: new Date(Date.now() + 1500).toISOString() });
  assert.equal((await ask(key)).status, 200);
  await eventually("the key has expired", async () => (await ask(key)).status === 401, { withinMs: 15_000 });
});

test("a manager sees and changes only the keys of its own account", async () => {
  const [mine, theirs] = [await openAccount(gateway), await openAccount(gateway)];
  const { key: manager } = await mine.createKey({ management: true });
  for (const method of ["GET", "PATCH", "DELETE"]) {
    const body = method === "PATCH" ? { disabled: true } : undefined;
    assertFailure(await call(gateway, method, `/api/v1/keys/${theirs.hash}`, { key: manager, body }), 404);
  }
  assert.equal((await ask(theirs.key)).status, 200);
});

test("what a key may not be is refused with the field's name", async () => {
  const { createKey } = await openAccount(gateway);
  const { key: manager } = await createKey({ management: true });
  const table = [
    [{}, /name/],
    [{ name: "" }, /name/],
    [{ name: "x", limit: -1 }, /limit/],
    [{ name: "x", limit: "much" }, /limit/],
    [{ name: "x", limit_reset: "hourly" }, /limit_reset/],
    [{ name: "x", expires_at: "tomorrow" }, /expires_at/],
  ];
  for (const [body, message] of table) {
    assertFailure(await call(gateway, "POST", "/api/v1/keys", { key: manager, body }), 400, message);
  }
});

test("a rotated key goes on for a while, and both spend one limit", async () => {
  const body = { messages: user("one two three four"), max_tokens: 4 };
  const each = pico("0.000012");
  const limit = (await ceilingOf(gateway, { model: ECHO, ...body })) + 2n * each;
  const account = await openAccount(gateway, { key: { limit: Number(dollars(limit)) } });
  const { key: manager } = await account.createKey({ management: true });
  const rotate = (hash, options) => call(gateway, "POST", `/api/v1/keys/${hash}/rotate`, { key: manager, body: options });
  assert.equal((await ask(account.key, body)).status, 200);
  const { status, json } = await rotate(account.hash, { overlap_seconds: 3600 });
  assert.equal(status, 201);
  assert.match(json.key, KEY);
  assert.deepEqual([json.data.name, json.data.limit, json.data.replaces], ["worker test", Number(dollars(limit)), account.hash]);
  assert.ok(Math.abs(Date.parse(json.old_key_expires_at) - Date.now() - 3_600_000) < 60_000);
  for (const key of [json.key, account.key]) assert.equal((await ask(key, body)).status, 200);
  for (const key of [json.key, account.key]) assertFailure(await ask(key, body), 402);
  for (const key of [json.key, account.key]) {
    const { json: own } = await call(gateway, "GET", "/api/v1/key", { key });
    assert.equal(pico(own.data.usage), 3n * each);
  }
  assert.equal(assertFailure(await rotate(account.hash, {}), 409).metadata.replaced_by, json.data.hash);
  assert.equal((await rotate(json.data.hash, { overlap_seconds: 0 })).status, 201);
  await eventually("the key has expired", async () => (await ask(json.key)).status === 401, { withinMs: 15_000 });
});

test("a manager replaces itself, the administrator any key, nobody another manager", async () => {
  const { id, hash, createKey } = await openAccount(gateway);
  const [one, two] = [await createKey({ management: true }), await createKey({ management: true })];
  const path = (hash) => `/api/v1/keys/${hash}/rotate`;
  assertFailure(await call(gateway, "POST", path(two.data.hash), { key: one.key }), 404);
  const { json } = await call(gateway, "POST", path(one.data.hash), { key: one.key, body: { overlap_seconds: 0 } });
  assertFailure(await call(gateway, "GET", "/api/v1/credits", { key: one.key }), 401);
  assert.equal((await call(gateway, "GET", "/api/v1/credits", { key: json.key })).status, 200);
  const made = await admin(gateway, "POST", `/accounts/${id}/keys/${hash}/rotate`, { id: "june" });
  assert.equal((await ask(made.key)).status, 200);
});

test("the administrator can switch off and revoke any key, a manager's too", async () => {
  const { id, createKey } = await openAccount(gateway);
  const { key: manager, data } = await createKey({ management: true });
  const path = `/accounts/${id}/keys/${data.hash}`;
  const status = async () => (await call(gateway, "GET", "/api/v1/credits", { key: manager })).status;
  assert.equal(await status(), 200);
  await admin(gateway, "PATCH", path, { disabled: true });
  await eventually("the key is refused", async () => (await status()) === 401, { withinMs: 15_000 });
  await admin(gateway, "PATCH", path, { disabled: false });
  await eventually("the key is accepted", async () => (await status()) === 200, { withinMs: 15_000 });
  await admin(gateway, "DELETE", path);
  await eventually("the key is refused", async () => (await status()) === 401, { withinMs: 15_000 });
});

test("the administrator sees the accounts", async () => {
  const { id } = await openAccount(gateway);
  const { data } = await admin(gateway, "GET", "/accounts");
  assert.ok(data.some((account) => account.id === id));
});

function ask(key, body = { messages: user("hi") }) {
  return chat(gateway, key, { model: ECHO, ...body });
}
