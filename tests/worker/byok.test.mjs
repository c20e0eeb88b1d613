// Keys of an account's own: kept sealed, tried first or last, charged their fee alone, and never shown.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, stream, user } from "./chat.mjs";
import { call, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { refused, replied, startUpstream, streamed } from "./upstream.mjs";

/** Sold by providers of which the operator has keys, and by one of which there is only an address. */
const MODEL = "openai/gpt-4.1-mini";
const ELSEWHERE = "mistralai/mistral-small";
const SECRET = `sk-${CANARY.ownSecret}-0123456789-AbCd`;

const upstream = await startUpstream();
after(() => upstream.stop());
const { MISTRAL_API_KEY: _, ...providers } = providerVars(upstream.base);
const vars = { ...providers, MILLRACE_BYOK_FREE: "0", MILLRACE_SEAL_KEY: `${CANARY.adminSecret}-seal-0123456789` };
const gateway = await startGateway({ suite: "byok", vars });

/** An account with a manager that adds, changes and takes away keys of its own. */
async function open(options) {
  const account = await openAccount(gateway, options);
  const { key: manager } = await account.createKey({ management: true });
  const api = (method, path = "", body) => call(gateway, method, `/api/v1/byok${path}`, { key: manager, body });
  const add = async (more = {}) => {
    const made = await api("POST", "", { provider: "openai", key: SECRET, ...more });
    assert.equal(made.status, 201, made.text);
    return made.json.data;
  };
  return { ...account, api, add };
}

const sentTo = (prompt) =>
  upstream.exchanges(prompt).map(({ provider, headers }) => `${provider} ${headers.authorization.split(" ")[1]}`);
const SHARED = `openai ${CANARY.providerSecret}-openai`;
const OWN = `openai ${SECRET}`;
const only = { provider: { only: ["openai"] } };

test("keys are made, listed, changed and deleted, and only their label is shown", async () => {
  const { api, add, hash } = await open();
  const made = await add({ name: "mine", allowed_api_key_hashes: [hash] });
  assert.match(made.id, /^[0-9a-f-]{36}$/);
  assert.deepEqual([made.label, made.provider, made.name, made.sort_order], ["sk-...AbCd", "openai", "mine", 0]);
  const changed = await api("PATCH", `/${made.id}`, { name: null, is_fallback: true, key: `${SECRET}-WxYz` });
  assert.deepEqual([changed.status, changed.json.data.label], [200, "sk-...WxYz"]);
  assert.deepEqual((await api("GET", `/${made.id}`)).json, changed.json);
  const list = (await api("GET", "?provider=openai")).json;
  assert.deepEqual([list.total_count, list.data], [1, [changed.json.data]]);
  assert.equal((await api("GET", "?provider=groq")).json.total_count, 0);
  assertFailure(await api("POST", "", { provider: "openai", key: "two words" }), 400, /key/);
  assertFailure(await api("PATCH", `/${made.id}`, { is_byok_only: true }), 400, /is_fallback/);
  assertFailure(await api("POST", "", { provider: "openai", key: SECRET, allowed_api_key_hashes: ["0".repeat(64)] }), 400);
  assert.deepEqual((await api("DELETE", `/${made.id}`)).json, { deleted: true });
  assertFailure(await api("GET", `/${made.id}`), 404);
});

test("only managers see them, and only their own", async () => {
  const [one, other] = [await open(), await open()];
  const { id } = await one.add();
  assertFailure(await other.api("GET", `/${id}`), 404);
  assertFailure(await call(gateway, "GET", "/api/v1/byok", { key: one.key }), 403);
});

test("an own key is tried first, costs its fee, and what it refuses falls to the shared one", async () => {
  const account = await open();
  const before = upstream.plays(replied("ok"));
  assert.equal((await chat(gateway, account.key, { model: MODEL, messages: user(before), ...only })).status, 200);
  assert.deepEqual(sentTo(before), [SHARED]);
  const { used } = await account.settled();
  await account.add();

  const own = upstream.plays(replied("ok"));
  const reply = await chat(gateway, account.key, { model: MODEL, messages: user(own), ...only });
  assert.deepEqual([reply.status, sentTo(own)], [200, [OWN]], reply.text);
  const { cost, is_byok, cost_details } = reply.json.usage;
  assert.equal(is_byok, true);
  assert.equal(pico(cost), (pico(cost_details.upstream_inference_cost) * 5n) / 100n);
  assert.equal((await account.settled()).used - used, pico(cost));
  const record = await generation(gateway, account.key, reply.json.id);
  assert.deepEqual([record.json.data.is_byok, pico(record.json.data.total_cost)], [true, pico(cost)]);
  const current = await call(gateway, "GET", "/api/v1/key", { key: account.key });
  assert.equal(pico(current.json.data.byok_usage), pico(cost_details.upstream_inference_cost));

  for (const status of [429, 401]) {
    const falls = upstream.plays(refused(status, "no"), streamed("ok"));
    const streamedReply = await stream(gateway, account.key, { model: MODEL, messages: user(falls), ...only });
    assert.deepEqual([streamedReply.text, sentTo(falls)], ["ok", [OWN, SHARED]]);
    assert.equal(streamedReply.usage.is_byok, false);
  }
  // Its provider refused it a moment ago: it is put last, until it is changed.
  const asked = async () => {
    const prompt = upstream.plays(replied("ok"));
    await chat(gateway, account.key, { model: MODEL, messages: user(prompt), ...only });
    return sentTo(prompt);
  };
  assert.deepEqual(await asked(), [SHARED]);
  const [{ id }] = (await account.api("GET")).json.data;
  await account.api("PATCH", `/${id}`, { key: SECRET });
  assert.deepEqual(await asked(), [OWN]);
});

test("an own key serves a provider of which the operator has none, for nothing within what is free", async () => {
  const account = await open();
  const prompt = upstream.plays(replied("ok"));
  const ask = () => chat(gateway, account.key, { model: ELSEWHERE, messages: user(prompt) });
  const listed = async () => {
    const { data } = (await call(gateway, "GET", "/api/v1/models/user", { key: account.key })).json;
    return data.some((model) => model.id === ELSEWHERE);
  };
  assert.equal((await ask()).status, 404, "nobody sells it");
  assert.equal(await listed(), false);
  const { id } = await account.add({ provider: "mistral" });
  assert.equal(await listed(), true);
  const reply = await ask();
  assert.deepEqual([reply.status, reply.json?.provider], [200, "Mistral"], reply.text);
  assert.deepEqual(sentTo(prompt), [`mistral ${SECRET}`]);
  await account.api("PATCH", `/${id}`, { disabled: true });
  assert.equal((await ask()).status, 404, "switched off");
});

test("a fallback comes last, and a key for others does not come at all", async () => {
  const account = await open();
  const { id } = await account.add({ is_fallback: true });
  const last = upstream.plays(refused(401, "no"), replied("ok"));
  await chat(gateway, account.key, { model: MODEL, messages: user(last), ...only });
  assert.deepEqual(sentTo(last), [SHARED, OWN]);
  await account.api("PATCH", `/${id}`, { is_fallback: false, allowed_models: ["openai/gpt-4o"] });
  const none = upstream.plays(replied("ok"));
  await chat(gateway, account.key, { model: MODEL, messages: user(none), ...only });
  assert.deepEqual(sentTo(none), [SHARED]);
});

test("an own key is for its workspace, and for the members it names", async () => {
  const account = await open();
  const { key: manager } = await account.createKey({ management: true });
  const manage = (method, path, body) => call(gateway, method, `/api/v1${path}`, { key: manager, body });
  await manage("POST", "/workspaces", { name: "Team", slug: "team" });
  const made = await manage("POST", "/keys", { name: "t", workspace_id: "team", creator_user_id: "jane" });
  const { id, workspace_id } = await account.add({ workspace_id: "team" });
  assert.equal(workspace_id, made.json.data.workspace_id);
  assertFailure(await account.api("PATCH", `/${id}`, { workspace_id: "none" }), 400, /workspace/);
  const asked = async (key) => {
    const prompt = upstream.plays(replied("ok"));
    const reply = await chat(gateway, key, { model: MODEL, messages: user(prompt), ...only });
    assert.equal(reply.status, 200, reply.text);
    return sentTo(prompt)[0];
  };
  assert.deepEqual([await asked(made.json.key), await asked(account.key)], [OWN, SHARED]);
  await account.api("PATCH", `/${id}`, { workspace_id: null, allowed_user_ids: ["jane"] });
  assert.deepEqual([await asked(made.json.key), await asked(account.key)], [OWN, SHARED]);
});

test("what another secret sealed is not opened: the shared key serves, unless it must not", async () => {
  const account = await open();
  const { id } = await account.add();
  await gateway.kill();
  const seal = vars.MILLRACE_SEAL_KEY;
  vars.MILLRACE_SEAL_KEY = "another secret that seals";
  await gateway.restart();
  const prompt = upstream.plays(replied("ok"));
  assert.equal((await chat(gateway, account.key, { model: MODEL, messages: user(prompt), ...only })).status, 200);
  assert.deepEqual(sentTo(prompt), [SHARED]);
  assert.ok(gateway.log.some((line) => line.includes("byok_not_opened") && line.includes(id)));
  await account.api("PATCH", `/${id}`, { is_byok_only: true });
  assertFailure(await chat(gateway, account.key, { model: MODEL, messages: user(prompt), ...only }), 404, /your own keys/);

  // The former secret beside the new one opens it again.
  await gateway.kill();
  vars.MILLRACE_SEAL_KEY = `another secret that seals,${seal}`;
  await gateway.restart();
  const again = upstream.plays(replied("ok"));
  assert.equal((await chat(gateway, account.key, { model: MODEL, messages: user(again), ...only })).status, 200);
  assert.deepEqual(sentTo(again), [OWN]);
});
