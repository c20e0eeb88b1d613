// OpenRouter's own SDK, unmodified, against the gateway. It checks every answer against its schema.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { OpenRouter } from "@openrouter/sdk";
import * as errors from "@openrouter/sdk/models/errors";

import { CANARY } from "./canary.mjs";
import { openAccount, providerVars, startGateway } from "./harness.mjs";
import { MODEL, PERSON, PERSON_FORMAT, startMock, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { pico } from "./money.mjs";
import { runScript } from "./python.mjs";
import { python } from "./setup.mjs";

const mock = await startMock();
after(() => mock.stop());
const gateway = await startGateway({ suite: "sdk-openrouter", vars: providerVars(() => `${mock.url}/v1`) });
const account = await openAccount(gateway);
const { key: managementKey } = await account.createKey({ management: true });
const client = clientWith(account.key);
const manager = clientWith(managementKey);
const send = (content, more = {}, who = client) =>
  who.chat.send({
    chatRequest: { model: MODEL, messages: [{ role: "user", content: `${CANARY.prompt} ${content}` }], ...more },
  });

test("chat", async () => {
  const reply = await send("CHAT");
  assert.match(reply.choices[0].message.content, /🌍 世界/);
  assert.equal(reply.usage.completionTokens, USAGE.completion_tokens);
  assert.ok(reply.usage.cost > 0);
});

test("stream", async () => {
  let text = "";
  let usage;
  for await (const chunk of await send("CHAT", { stream: true })) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.match(text, /🌍 世界$/);
  assert.equal(usage.promptTokens, USAGE.prompt_tokens);
  assert.ok(usage.cost > 0);
});

test("the embedded model passes the same schema", async () => {
  const reply = await send("one two", { model: "millrace/echo" });
  assert.equal(reply.choices[0].message.content, `${CANARY.prompt} one two`);
  for await (const chunk of await send("one", { model: "millrace/echo", stream: true })) assert.ok(chunk.id);
});

test("tools, one and several", async () => {
  const one = await send("WEATHER ONE", { tools: [WEATHER_TOOL] });
  assert.equal(one.choices[0].finishReason, "tool_calls");
  assert.equal(one.choices[0].message.toolCalls[0].function.name, "get_weather");
  const ids = new Set();
  for await (const chunk of await send("WEATHER TWO", { tools: [WEATHER_TOOL], stream: true })) {
    for (const call of chunk.choices[0]?.delta.toolCalls ?? []) if (call.id) ids.add(call.id);
  }
  assert.deepEqual([...ids], ["call_paris", "call_rome"]);
});

test("a JSON schema", async () => {
  const { json_schema: jsonSchema, type } = PERSON_FORMAT;
  const reply = await send("PERSON", { responseFormat: { type, jsonSchema } });
  assert.deepEqual(JSON.parse(reply.choices[0].message.content), PERSON);
  assert.deepEqual(mock.getLastRequest().body.response_format, PERSON_FORMAT);
});

test("fallback models, and the attempts on request", async () => {
  const reply = await client.chat.send({
    xOpenRouterMetadata: "enabled",
    chatRequest: { models: [MODEL, "millrace/echo"], messages: [{ role: "user", content: "ERR503" }] },
  });
  assert.equal(reply.model, "millrace/echo");
  assert.ok(reply.openrouterMetadata);
});

test("models, their count, endpoints and providers", async () => {
  const ids = [];
  for await (const page of await client.models.list()) ids.push(...page.result.data.map((model) => model.id));
  assert.ok(ids.includes(MODEL));
  const {
    data: { count },
  } = await client.models.count();
  assert.equal(count, ids.length);
  const [author, slug] = MODEL.split("/");
  const {
    data: { endpoints },
  } = await client.endpoints.list({ author, slug });
  assert.equal(endpoints[0].providerName, "OpenAI");
  const { data: providers } = await client.providers.list();
  assert.ok(providers.some((provider) => provider.slug === "openai"));
});

test("models in every list, one of them, and those that keep nothing", async () => {
  const list = async (pages) => {
    const all = [];
    for await (const { result } of await pages) all.push(...result.data);
    return all;
  };
  const cheap = await list(client.models.list({ maxPrice: 1, sort: "pricing-low-to-high", supportedParameters: "tools" }));
  assert.ok(cheap.length > 0 && cheap.every(({ supportedParameters }) => supportedParameters.includes("tools")));
  const paged = await list(client.models.list({ limit: 40 }));
  const whole = await list(client.models.list());
  assert.deepEqual(
    paged.map(({ id }) => id),
    whole.map(({ id }) => id),
  );
  const own = await list(client.models.listForUser({ bearer: account.key }));
  assert.deepEqual(own.length, whole.length);
  const [author, slug] = MODEL.split("/");
  const { data: model } = await client.models.get({ author, slug: `${slug}:nitro` });
  assert.equal(model.id, MODEL);
  const latest = whole.find(({ id }) => id.startsWith("~openai/"));
  assert.ok(latest.aliasTarget.slug.startsWith("openai/"));
  assert.ok((await list(client.embeddings.listModels())).length > 0);
  const { data: zdr } = await client.endpoints.listZdrEndpoints();
  assert.ok(zdr.every(({ tag }) => tag));
  await assert.rejects(client.models.get({ author: "nobody", slug: "nothing" }), errors.NotFoundResponseError);
});

test("presets", async () => {
  const chatRequest = { model: MODEL, temperature: 0.5, messages: [{ role: "system", content: "Be brief." }] };
  const { data: made } = await client.presets.createPresetsChatCompletions({ slug: "sdk", chatRequest });
  assert.deepEqual([made.slug, made.designatedVersion.systemPrompt], ["sdk", "Be brief."]);
  const messagesRequest = { model: MODEL, maxTokens: 90, system: "Be long.", messages: [{ role: "user", content: "x" }] };
  await client.presets.createPresetsMessages({ slug: "sdk", messagesRequest });
  const responsesRequest = { model: MODEL, instructions: "Be.", input: "x" };
  await client.presets.createPresetsResponses({ slug: "sdk", responsesRequest });
  const { data: read } = await client.presets.get({ slug: "sdk" });
  assert.equal(read.designatedVersion.version, 3);
  const slugs = [];
  for await (const { result } of await client.presets.list()) slugs.push(...result.data.map(({ slug }) => slug));
  assert.deepEqual(slugs, ["sdk"]);
  const numbers = [];
  for await (const { result } of await client.presets.listVersions({ slug: "sdk" })) {
    numbers.push(...result.data.map(({ version }) => version));
  }
  assert.deepEqual(numbers, [1, 2, 3]);
  const { data: second } = await client.presets.getVersion({ slug: "sdk", version: "2" });
  assert.equal(second.config.max_tokens, 90);
  const reply = await send("CHAT", { model: "@preset/sdk" });
  assert.equal(reply.model, MODEL);
});

test("the same in Python", (t) => {
  const [author, slug] = MODEL.split("/");
  return runScript(t, python, "sdk_openrouter.py", {
    base_url: gateway.base,
    key: account.key,
    management_key: managementKey,
    model: MODEL,
    author,
    slug,
    prompt: CANARY.prompt,
    date: new Date().toISOString().slice(0, 10),
  });
});

test("the key about itself", async () => {
  const { data } = await client.apiKeys.getCurrentKeyMetadata();
  assert.equal(data.isManagementKey, false);
  assert.equal(data.limit, null);
  assert.ok(data.usage >= 0);
  assert.equal((await manager.apiKeys.getCurrentKeyMetadata()).data.isManagementKey, true);
});

test("keys: made, listed, read, changed, deleted", async () => {
  const external = { user: "u-7", apiKey: "theirs" };
  const requestBody = { name: "made by the SDK", limit: 5, limitReset: "monthly", creatorUserId: "user_1", external };
  const { key, data: made } = await manager.apiKeys.create({ requestBody });
  assert.match(key, /^sk-mr-v1-/);
  assert.deepEqual([made.name, made.limit, made.limitRemaining, made.limitReset], ["made by the SDK", 5, 5, "monthly"]);
  assert.deepEqual([made.creatorUserId, made.externalUser], ["user_1", "u-7"]);
  await send("one", { model: "millrace/echo" }, clientWith(key));
  const list = await manager.apiKeys.list();
  assert.ok(list.data.some((each) => each.hash === made.hash));
  const { data: read } = await manager.apiKeys.get({ hash: made.hash });
  assert.ok(read.usage > 0);
  const { data: changed } = await manager.apiKeys.update({
    hash: made.hash,
    requestBody: { name: "renamed", disabled: true },
  });
  assert.deepEqual([changed.name, changed.disabled], ["renamed", true]);
  assert.ok(
    (await manager.apiKeys.list()).data.every((each) => each.hash !== made.hash),
    "disabled keys are not listed",
  );
  assert.ok((await manager.apiKeys.list({ includeDisabled: true })).data.some((each) => each.hash === made.hash));
  assert.deepEqual(await manager.apiKeys.delete({ hash: made.hash }), { deleted: true });
  await assert.rejects(manager.apiKeys.get({ hash: made.hash }), errors.NotFoundResponseError);
});

test("credits are the account's", async () => {
  const { data } = await manager.credits.getCredits();
  const credits = await account.settled();
  assert.equal(pico(data.totalCredits), credits.granted);
  assert.equal(pico(data.totalUsage), credits.used);
});

test("activity", async () => {
  const date = new Date().toISOString().slice(0, 10);
  await send("CHAT");
  await account.settled();
  const { data } = await manager.analytics.getUserActivity({ date });
  const row = data.find(({ model, providerName }) => model === MODEL && providerName === "OpenAI");
  assert.ok(row.requests > 0 && row.promptTokens >= USAGE.prompt_tokens && row.usage > 0);
  assert.equal(row.date, date);
  const all = data.reduce((total, { usage }) => total + pico(usage), 0n);
  assert.equal(all, (await account.credits()).used);
  assert.deepEqual((await manager.analytics.getUserActivity({ date, apiKeyHash: "0".repeat(64) })).data, []);
  assert.ok((await manager.analytics.getUserActivity({ date, groupBy: "workspace" })).data[0].workspaceId);
  assert.deepEqual((await manager.analytics.getUserActivity()).data, []);
  await assert.rejects(client.analytics.getUserActivity(), errors.ForbiddenResponseError);
  await assert.rejects(manager.analytics.getUserActivity({ date: "2020-01-01" }), errors.BadRequestResponseError);
});

test("analytics", async () => {
  const { data: meta } = await manager.analytics.getAnalyticsMeta();
  assert.ok(meta.metrics.some(({ name }) => name === "request_count"));
  await account.settled();
  const requestBody = {
    metrics: ["request_count", "total_usage"],
    dimensions: ["model"],
    granularity: "day",
    orderBy: { field: "request_count", direction: "desc" },
    timeRange: { start: new Date(Date.now() - 86_400_000), end: new Date(Date.now() + 86_400_000) },
  };
  const { data } = await manager.analytics.queryAnalytics({ requestBody });
  assert.ok(data.metadata.rowCount > 0 && data.metadata.rowCount === data.data.length);
  await assert.rejects(
    manager.analytics.queryAnalytics({ requestBody: { metrics: ["nonsense"] } }),
    errors.BadRequestResponseError,
  );
  await assert.rejects(client.analytics.getAnalyticsMeta(), errors.ForbiddenResponseError);
});

test("a generation's record", async () => {
  const reply = await send("CHAT");
  const { data } = await client.generations.getGeneration({ id: reply.id });
  assert.equal(data.totalCost, reply.usage.cost);
  assert.equal(data.model, MODEL);
  assert.equal(data.tokensPrompt, USAGE.prompt_tokens);
  assert.equal(data.providerName, "OpenAI");
});

test("each error is the SDK's own exception", async () => {
  const poor = await openAccount(gateway, { credit: "0" });
  const table = [
    [errors.BadRequestResponseError, () => send("CHAT", { model: "nobody/nothing" })],
    [errors.UnauthorizedResponseError, () => send("CHAT", {}, clientWith("sk-mr-v1-wrong"))],
    [errors.PaymentRequiredResponseError, () => send("CHAT", {}, clientWith(poor.key))],
    [errors.ForbiddenResponseError, () => client.credits.getCredits()],
    [errors.NotFoundResponseError, () => client.generations.getGeneration({ id: "gen-1-00000000000000000000" })],
    [errors.TooManyRequestsResponseError, () => send("ERR429")],
    [errors.BadGatewayResponseError, () => send("ERR500")],
    [errors.ServiceUnavailableResponseError, () => send("ERR503")],
  ];
  for (const [kind, action] of table) {
    const error = await action().then(
      () => assert.fail(`no ${kind.name}`),
      (thrown) => thrown,
    );
    assert.ok(error instanceof kind, `${kind.name}: ${error}`);
  }
});

function clientWith(apiKey) {
  return new OpenRouter({ apiKey, serverURL: gateway.base, retryConfig: { strategy: "none" } });
}
