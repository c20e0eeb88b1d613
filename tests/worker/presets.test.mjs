// Presets: made of a request, laid under others in each protocol, kept in versions.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { assertFailure, chat, user } from "./chat.mjs";
import { call, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { replied, startUpstream } from "./upstream.mjs";
import { eventually } from "./wait.mjs";

/** Sold by one provider, which speaks Chat Completions alone. */
const MODEL = "mistralai/mistral-small";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "presets", vars: providerVars(upstream.base) });
const account = await openAccount(gateway);
const other = await openAccount(gateway);

const api = (method, path, body, key = account.key) => call(gateway, method, `/api/v1/presets${path}`, { key, body });
const save = (slug, body, protocol = "chat/completions") => api("POST", `/${slug}/${protocol}`, body);

/** Sends a request in any protocol; what the provider got of it. */
async function sent(body, path = "/api/v1/chat/completions") {
  const prompt = upstream.plays(replied("hello"));
  const said = path.endsWith("responses") ? { input: prompt } : { messages: user(prompt) };
  const reply = await chat(gateway, account.key, { ...said, ...body }, { path });
  assert.equal(reply.status, 200, reply.text);
  return JSON.parse(upstream.exchanges(prompt)[0].body);
}

test("a preset is made of a request, and laid under others", async () => {
  const made = await save("brief", {
    model: MODEL,
    temperature: 0.7,
    provider: { only: ["mistral"] },
    messages: [{ role: "system", content: "Be brief." }, ...user("never kept")],
    stream: true,
  });
  assert.equal(made.status, 200, made.text);
  const { data } = made.json;
  assert.deepEqual([data.slug, data.name, data.status, data.description], ["brief", "brief", "active", null]);
  assert.deepEqual(data.designated_version.config, { model: MODEL, temperature: 0.7, provider: { only: ["mistral"] } });
  assert.equal(data.designated_version.system_prompt, "Be brief.");

  for (const body of [{ model: "@preset/brief" }, { model: `${MODEL}@preset/brief` }, { model: MODEL, preset: "brief" }]) {
    const { messages, temperature, preset, model } = await sent(body);
    assert.deepEqual([model, temperature, preset], ["mistral-small-latest", 0.7, undefined]);
    assert.deepEqual(messages[0], { role: "system", content: "Be brief." });
  }
  assert.equal((await sent({ model: "@preset/brief", temperature: 0 })).temperature, 0, "the request wins");
  for (const path of ["/api/v1/messages", "/api/v1/responses"]) {
    const { messages, temperature } = await sent({ model: "@preset/brief", max_tokens: 50 }, path);
    assert.deepEqual([messages[0].content, temperature], ["Be brief.", 0.7], path);
  }
});

test("another version takes its place, and the first can be put back", async () => {
  const second = await save("brief", { model: MODEL, system: "Be long.", max_tokens: 9 }, "messages");
  assert.equal(second.json.data.designated_version.version, 2);
  const temperature = () => sent({ model: "@preset/brief" }).then((body) => body.temperature);
  assert.equal(await temperature(), undefined);
  const versions = (await api("GET", "/brief/versions")).json;
  assert.deepEqual([versions.total_count, versions.data.map(({ version }) => version)], [2, [1, 2]]);
  assert.equal((await api("GET", "/brief/versions/1")).json.data.config.temperature, 0.7);
  const back = await api("PATCH", "/brief", { designated_version: 1, description: "short" });
  assert.deepEqual([back.json.data.description, back.json.data.designated_version.version], ["short", 1]);
  assert.equal(await temperature(), 0.7);
});

test("a preset that is off, gone or another's is not found", async () => {
  const ask = (key, slug = "brief") => chat(gateway, key, { model: `@preset/${slug}`, messages: user("x") });
  assertFailure(await ask(account.key, "nothing"), 404);
  assertFailure(await ask(other.key), 404);
  assertFailure(await api("GET", "/brief", undefined, other.key), 404);
  await api("PATCH", "/brief", { status: "disabled" });
  assertFailure(await ask(account.key), 404);
  await api("PATCH", "/brief", { status: "active" });
  await sent({ model: "@preset/brief" });
  assert.deepEqual((await api("DELETE", "/brief")).json, { deleted: true });
  assertFailure(await ask(account.key), 404);
  assert.deepEqual((await api("GET", "")).json, { data: [], total_count: 0 });
});

test("a new isolate finds it", async () => {
  await save("kept", { model: MODEL, temperature: 0.1 });
  gateway.kill();
  await gateway.restart();
  assert.equal((await sent({ model: "@preset/kept" })).temperature, 0.1);
});

test("what makes no preset is refused", async () => {
  assertFailure(await save("a b", { model: MODEL }), 400);
  assertFailure(await save("x", { model: "@preset/kept" }), 400);
  assertFailure(await save("x", { model: 1 }), 400);
  assertFailure(await call(gateway, "GET", "/api/v1/presets"), 401);
  const embeddings = { model: "@preset/kept", input: "x" };
  const reply = await chat(gateway, account.key, embeddings, { path: "/api/v1/embeddings" });
  assertFailure(reply, 404, /does not make that kind of output/);
});

test("other protocols take presets as well, and a record names the one it had", async () => {
  const made = await save("tuned", { model: MODEL, temperature: 0.3, max_tokens: 7, provider: { only: ["mistral"] } });
  const prompt = upstream.plays(replied("hello"));
  const path = "/v1beta/models/@preset/tuned:generateContent";
  const gemini = await chat(gateway, account.key, { contents: [{ role: "user", parts: [{ text: prompt }] }] }, { path });
  assert.equal(gemini.status, 200, gemini.text);
  const { temperature, max_tokens: limit } = JSON.parse(upstream.exchanges(prompt)[0].body);
  assert.deepEqual([temperature, limit], [0.3, 7]);

  const again = upstream.plays(replied("hello"));
  const reply = await chat(gateway, account.key, { model: "@preset/tuned", messages: user(again) });
  const record = await eventually("the record", async () => {
    const { status, json } = await generation(gateway, account.key, reply.json.id);
    return status === 200 && json.data;
  });
  assert.deepEqual([record.preset_id, record.data_region], [made.json.data.id, "global"]);
  const explained = await chat(gateway, account.key, { model: "@preset/tuned", messages: user("x") }, { path: "/api/v1/route" });
  assert.deepEqual(explained.json.data.order.map((each) => each.model), [MODEL]);
});
