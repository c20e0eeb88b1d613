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
    own_secret: CANARY.ownSecret,
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

test("workspaces with members and budgets", async () => {
  const { workspaces, organization } = manager;
  const every = async (pages) => {
    const all = [];
    for await (const { result } of await pages) all.push(...result.data);
    return all;
  };
  const createWorkspaceRequest = { name: "From the SDK", slug: "sdk-team", defaultProviderSort: "price" };
  const { data: made } = await workspaces.create({ createWorkspaceRequest });
  assert.deepEqual([made.slug, made.defaultProviderSort, made.updatedAt], ["sdk-team", "price", null]);
  const slugs = (await every(workspaces.list())).map(({ slug }) => slug);
  assert.ok(slugs.includes("default") && slugs.includes("sdk-team"), slugs.join());
  const { data: changed } = await workspaces.update({
    id: "sdk-team",
    updateWorkspaceRequest: { description: "ours", defaultTextModel: MODEL },
  });
  assert.deepEqual([changed.description, changed.defaultTextModel, changed.id], ["ours", MODEL, made.id]);
  assert.equal((await workspaces.get({ id: made.id })).data.slug, "sdk-team");

  const person = { id: "user_sdk", email: "sdk@example.com", first_name: "S", role: "org:admin" };
  const body = JSON.stringify(person);
  const headers = { authorization: `Bearer ${managementKey}`, "content-type": "application/json" };
  assert.equal((await fetch(`${gateway.base}/organization/members`, { method: "POST", headers, body })).status, 201);
  const [member] = await every(organization.listMembers());
  assert.deepEqual([member.id, member.role, member.lastName], ["user_sdk", "org:admin", null]);
  const users = { userIds: ["user_sdk"] };
  const added = await workspaces.bulkAddMembers({ id: made.id, bulkAddWorkspaceMembersRequest: users });
  assert.deepEqual([added.addedCount, added.data[0].role], [1, "admin"]);
  assert.equal((await every(workspaces.listMembers({ id: "sdk-team" })))[0].userId, "user_sdk");
  assert.equal((await every(workspaces.listMembers({ id: "default" }))).length, 1);
  const gone = await workspaces.bulkRemoveMembers({ id: made.id, bulkRemoveWorkspaceMembersRequest: users });
  assert.equal(gone.removedCount, 1);

  const set = (interval, limitUsd, more = {}) =>
    workspaces.setBudget({
      workspaceRef: "sdk-team",
      interval,
      upsertWorkspaceBudgetRequest: { limitUsd, ...more },
    });
  const { data: monthly, includeByokInBudgets } = await set("monthly", 500, { includeByokInBudgets: true });
  assert.deepEqual([monthly.limitUsd, monthly.resetInterval, includeByokInBudgets], [500, "monthly", true]);
  await assert.rejects(set("weekly", 600), errors.BadRequestResponseError);
  assert.equal((await set("lifetime", 1000.5)).data.resetInterval, null);
  assert.equal((await workspaces.listBudgets({ workspaceRef: made.id })).data.length, 2);
  assert.equal((await workspaces.getBudget({ workspaceRef: made.id, interval: "lifetime" })).data.limitUsd, 1000.5);
  assert.equal((await workspaces.deleteBudget({ workspaceRef: made.id, interval: "daily" })).deleted, true);
  assert.equal((await workspaces.delete({ id: "sdk-team" })).deleted, true);
  await assert.rejects(workspaces.get({ id: made.id }), errors.NotFoundResponseError);
});

test("guardrails with keys and members", async () => {
  const { guardrails } = manager;
  const every = async (pages) => {
    const all = [];
    for await (const { result } of await pages) all.push(...result.data);
    return all;
  };
  const { data: made } = await guardrails.create({
    createGuardrailRequest: {
      name: "From the SDK",
      allowedProviders: ["openai", "anthropic"],
      allowedModels: [MODEL],
      limitUsd: 50,
      resetInterval: "monthly",
      enforceZdrAnthropic: true,
      contentFilterBuiltins: [{ slug: "email", action: "redact" }],
      contentFilters: [{ pattern: "\\b(sk-[a-zA-Z0-9]{48})\\b", action: "block", label: "[API_KEY]" }],
    },
  });
  assert.deepEqual([made.limitUsd, made.resetInterval, made.enforceZdrAnthropic], [50, "monthly", true]);
  assert.deepEqual(made.contentFilterBuiltins, [{ slug: "email", action: "redact", label: "[EMAIL]" }]);
  const { data: changed } = await guardrails.update({
    id: made.id,
    updateGuardrailRequest: { name: "Renamed", limitUsd: 75, contentFilters: null },
  });
  assert.deepEqual([changed.name, changed.limitUsd, changed.contentFilters], ["Renamed", 75, null]);
  assert.deepEqual((await guardrails.get({ id: made.id })).data, changed);
  assert.deepEqual((await every(guardrails.list())).map(({ id }) => id), [made.id]);

  const { hash } = (await manager.apiKeys.create({ requestBody: { name: "guarded" } })).data;
  const bulkAssignKeysRequest = { keyHashes: [hash] };
  assert.equal((await guardrails.bulkAssignKeys({ id: made.id, bulkAssignKeysRequest })).assignedCount, 1);
  const bulkAssignMembersRequest = { memberUserIds: ["user_sdk"] };
  assert.equal((await guardrails.bulkAssignMembers({ id: made.id, bulkAssignMembersRequest })).assignedCount, 1);
  for (const listed of [guardrails.listKeyAssignments(), guardrails.listGuardrailKeyAssignments({ id: made.id })]) {
    const [assignment, ...others] = await every(listed);
    assert.deepEqual([assignment.keyHash, assignment.keyName, others], [hash, "guarded", []]);
  }
  for (const listed of [guardrails.listMemberAssignments(), guardrails.listGuardrailMemberAssignments({ id: made.id })]) {
    assert.deepEqual((await every(listed)).map(({ userId }) => userId), ["user_sdk"]);
  }
  const keys = await guardrails.bulkUnassignKeys({ id: made.id, bulkUnassignKeysRequest: bulkAssignKeysRequest });
  assert.equal(keys.unassignedCount, 1);
  const members = { id: made.id, bulkUnassignMembersRequest: bulkAssignMembersRequest };
  assert.equal((await guardrails.bulkUnassignMembers(members)).unassignedCount, 1);
  assert.equal((await guardrails.delete({ id: made.id })).deleted, true);
  await assert.rejects(guardrails.get({ id: made.id }), errors.NotFoundResponseError);
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

test("keys of one's own", async () => {
  const { byok } = manager;
  const secret = `sk-${CANARY.ownSecret}-0123456789-AbCd`;
  const made = await byok.create({ createBYOKKeyRequest: { provider: "openai", key: secret, isFallback: true } });
  assert.deepEqual([made.data.label, made.data.isFallback, made.data.isByokOnly], ["sk-...AbCd", true, false]);
  const { id } = made.data;
  const changed = await byok.update({ id, updateBYOKKeyRequest: { name: "mine", allowedModels: [MODEL] } });
  assert.deepEqual([changed.data.name, changed.data.allowedModels], ["mine", [MODEL]]);
  assert.equal((await byok.get({ id })).data.provider, "openai");
  const found = [];
  for await (const page of await byok.list({ provider: "openai" })) found.push(...(page.result?.data ?? page.data));
  assert.deepEqual(
    found.map((each) => each.id),
    [id],
  );
  assert.equal((await byok.delete({ id })).deleted, true);
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
