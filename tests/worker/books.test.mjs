// The books: traffic over several protocols and providers, exported and added up again by the tool that
// operators and customers use; what was tampered with does not add up.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { root } from "../../scripts/lib/process.mjs";
import { CANARY } from "./canary.mjs";
import { assertFailure, chat, framesOf, post, stream, user } from "./chat.mjs";
import { adminKey, call, openAccount, providerVars, runFolder, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { chunk, data, eventStream, hang, json, refused, replied, says, startUpstream, streamed } from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const MANY_PROVIDERS = "openai/gpt-oss-120b";
const ECHO = "millrace/echo";
const USAGE = { prompt_tokens: 2000, completion_tokens: 300, prompt_tokens_details: { cached_tokens: 512 }, completion_tokens_details: { reasoning_tokens: 40 } };
const today = () => new Date().toISOString().slice(0, 10);

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "books", vars: providerVars(upstream.base) });
const account = await openAccount(gateway, { credit: "10" });
const { key: managementKey, data: manager } = await account.createKey({ management: true });
const { key: secondKey, data: second } = await account.createKey({ name: "second" });
const get = (path, key = managementKey) => call(gateway, "GET", `/api/v1${path}`, { key });

const month = today().slice(0, 7);
const requests = await makeTraffic();
await account.settled();

test("a generation says how its cost comes about", async () => {
  const reply = await get(`/generation?id=${requests.fallback}`, account.key);
  const { data: shown } = reply.json;
  const { receipt } = shown;
  assert.equal(shown.provider_responses.length, 2);
  assert.deepEqual(shown.provider_responses.map(({ status }) => status), [500, 200]);
  assert.match(shown.provider_responses[0].endpoint_id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(receipt.basis, "prices");
  assert.match(receipt.prices_version, /^[0-9a-f]{16}$/);
  const total = receipt.lines.reduce((sum, line) => sum + BigInt(line.count) * BigInt(line.price_pico), 0n);
  assert.deepEqual([total, BigInt(receipt.cost_pico), total], [pico(shown.total_cost), total, BigInt(receipt.list_cost_pico)]);
  assert.deepEqual(
    Object.fromEntries(receipt.lines.map((line) => [line.class, line.count])),
    { input: 1488, cache_read: 512, output: 260, reasoning: 40 },
  );
});

test("activity counts every request, for the whole account and for a key", async () => {
  const { json: whole } = await get(`/activity?date=${today()}`);
  const sum = (rows) => rows.reduce((total, { usage }) => total + pico(usage), 0n);
  const { used } = await account.credits();
  assert.equal(sum(whole.data), used);
  assert.ok(whole.data.some(({ provider_name, model }) => provider_name === "OpenAI" && model === MODEL));
  assert.deepEqual(Object.keys(whole.data[0]).sort(), [
    "byok_usage_inference", "cached_tokens", "completion_tokens", "date", "endpoint_id", "model", "model_permaslug",
    "prompt_tokens", "provider_name", "reasoning_tokens", "requests", "usage",
  ]);
  const of = async (hash) => (await get(`/activity?date=${today()}&api_key_hash=${hash}`)).json.data;
  const [first, other] = [await of(account.hash), await of(second.hash)];
  assert.equal(sum(first) + sum(other), used);
  assert.deepEqual(other.map(({ model, requests }) => [model, requests]), [[ECHO, 1]]);
  assert.deepEqual((await get("/activity")).json, { data: [] }, "no day is complete");
  const grouped = (await get(`/activity?date=${today()}&group_by=workspace`)).json.data;
  assert.ok(grouped.every(({ workspace_id }) => workspace_id));
  for (const query of ["date=2020-01-01", "date=tomorrow", "group_by=planet"]) {
    assertFailure(await get(`/activity?${query}`), 400);
  }
});

test("what is exported adds up, in every format and however it is cut", async () => {
  const jsonl = await pages("jsonl", 3);
  const csv = await pages("csv", 4);
  assert.ok(jsonl.length > 2 && csv.length > 1, `${jsonl.length} and ${csv.length} pages`);
  const [whole] = await pages("jsonl", 1000);
  assert.equal(jsonl.join(""), whole);
  const statement = (await get(`/statements/${month}`)).text;
  const table = (await get(`/statements/${month}?format=csv`)).text;
  const good = { "charges.jsonl": whole, "statement.json": statement };
  assertBill(good, 0, /everything adds up/);
  assertBill({ "statement.csv": table, ...named("page", "csv", csv) }, 0, /everything adds up/);
  assertBill({ ...good, "statement.csv": table, ...named("page", "jsonl", jsonl) }, 0, /everything adds up/);
  const one = whole.split("\n")[0];
  const price = /"price_pico":"\d*(\d)"/.exec(one);
  for (const [name, files] of [
    ["a price", { ...good, "charges.jsonl": whole.replace(price[0], price[0].replace(/\d"$/, (digit) => `${(Number(digit[0]) + 1) % 10}"`)) }],
    ["a missing charge", { ...good, "charges.jsonl": whole.replace(`${one}\n`, "") }],
    ["a balance", { ...good, "statement.json": statement.replace('"closing_balance_pico":"', '"closing_balance_pico":"1') }],
    ["a cell", { "statement.csv": table.replace(/(\r\ncharge,.*)\d,\r\n/, "$17,\r\n"), ...named("page", "csv", csv) }],
  ]) {
    assertBill(files, 1, /differences/, name);
  }
});

test("a statement tells the whole account, and follows from the list", async () => {
  const { data: statement } = (await get(`/statements/${month}`)).json;
  const credits = await account.credits();
  assert.equal(statement.account, account.id);
  assert.equal(BigInt(statement.closing_balance_pico), credits.granted - credits.used);
  assert.deepEqual(statement.credits.map(({ kind, amount }) => [kind, amount]), [["grant", 10], ["grant", 2.5], ["grant", -1]]);
  const { data: list } = (await get("/statements")).json;
  assert.deepEqual(list.map((one) => one.month), [month]);
  assert.equal(list[0].closing_balance_pico, statement.closing_balance_pico);
  assert.equal(list[0].complete, false);
});

test("the operator reads the same, and others do not", async () => {
  const month_ = `/statements/${month}?format=csv`;
  for (const path of [`/activity?date=${today()}`, "/statements", month_, `/generations/export?from=${today()}&limit=2`]) {
    const [own, operators] = [await get(path), await get(`/admin/accounts/${account.id}${path}`, adminKey)];
    assert.equal(operators.status, 200, operators.text);
    assert.equal(own.text, operators.text, path);
    assertFailure(await get(path, account.key), 403, /management keys/);
    assertFailure(await get(path, ""), 401);
    assertFailure(await get(`/admin/accounts/${account.id}${path}`, managementKey), 401);
  }
  const other = await openAccount(gateway);
  const { key: stranger } = await other.createKey({ management: true });
  assert.equal((await get(`/generations/export?from=${today()}`, stranger)).text, "");
});

test("questions that make no sense are refused", async () => {
  for (const path of ["/statements/2020-01", "/statements/2999-01", "/statements/now"]) assertFailure(await get(path), 404);
  for (const path of [
    `/statements/${month}?format=pdf`, "/generations/export", "/generations/export?from=soon",
    `/generations/export?from=${today()}&format=xml`, `/generations/export?from=${today()}&cursor=x`,
  ]) {
    assertFailure(await get(path), 400);
  }
});

test("exports hold no prompt, no reply and no key", async () => {
  const texts = [...(await pages("jsonl", 1000)), ...(await pages("csv", 1000))];
  for (const secret of [CANARY.prompt, CANARY.reply, CANARY.providerSecret, account.key, secondKey, managementKey]) {
    assert.ok(texts.every((text) => !text.includes(secret)));
  }
  assert.ok(texts.every((text) => !text.includes(manager.hash)), "management keys make no charges");
});

/** Every page of the export of today, each by the link of the one before. */
async function pages(format, limit) {
  const texts = [];
  let path = `/generations/export?from=${today()}&format=${format}&limit=${limit}`;
  while (path) {
    const page = await get(path);
    assert.equal(page.status, 200, page.text);
    assert.match(page.headers.get("content-type"), format === "csv" ? /^text\/csv/ : /^application\/x-ndjson/);
    if (page.text.split("\n").length > (format === "csv" ? 2 : 1)) texts.push(page.text);
    const next = /<[^>]*\/api\/v1([^>]*)>; rel="next"/.exec(page.headers.get("link") ?? "");
    assert.equal(next !== null, page.headers.has("x-next-cursor"));
    path = next?.[1];
  }
  return texts;
}

const named = (name, end, texts) => Object.fromEntries(texts.map((text, at) => [`${name}-${at}.${end}`, text]));

/** Runs the tool over these files, as an operator would. */
function assertBill(files, code, words, name = "") {
  const folder = join(runFolder, "books", "bill");
  mkdirSync(folder, { recursive: true });
  const paths = Object.entries(files).map(([file, text]) => {
    const path = join(folder, file);
    writeFileSync(path, text);
    return path;
  });
  const run = spawnSync(process.execPath, [join(root, "scripts", "bill_check.mjs"), ...paths], { encoding: "utf8" });
  assert.equal(run.status, code, `${name}: ${run.stdout}${run.stderr}`);
  assert.match(run.stdout, words);
}

/** Requests of every kind: faces, providers, a fallback, a failure, a client that leaves, two keys. */
async function makeTraffic() {
  const ask = (model, prompt, more) => ({ model, messages: user(prompt), max_tokens: 400, ...more });
  const ok = (reply) => {
    assert.equal(reply.status, 200, reply.text);
    return reply;
  };
  const whole = () => upstream.plays(replied("hello", USAGE));
  ok(await chat(gateway, account.key, ask(ECHO, "one two three")));
  await stream(gateway, account.key, ask(ECHO, "one two three"));
  ok(await chat(gateway, secondKey, ask(ECHO, "of the second key")));
  ok(await chat(gateway, account.key, ask(MODEL, whole())));
  await stream(gateway, account.key, ask(MODEL, upstream.plays(streamed("a", "b"))));
  ok(await chat(gateway, account.key, ask(MODEL, whole(), {}), { path: "/api/v1/messages" }));
  ok(await chat(gateway, account.key, { model: ECHO, input: "by Responses", max_output_tokens: 400 }, { path: "/api/v1/responses" }));
  const fallback = ok(await chat(gateway, account.key, ask(MANY_PROVIDERS, upstream.plays(refused(500, "broke"), replied("hello", USAGE)))));
  const failed = await chat(gateway, account.key, ask(MANY_PROVIDERS, upstream.plays(refused(503, "no"))));
  assert.ok(failed.status >= 500, failed.text);
  await leaveAfterContent(ask(MODEL, upstream.plays([eventStream, says("some words of a long reply"), data(chunk({ content: " and more" })), hang])));
  const embeddings = { object: "list", model: "m", data: [{ object: "embedding", index: 0, embedding: [0.5, 1] }], usage: { prompt_tokens: 5, total_tokens: 5 } };
  const input = upstream.plays([json(200, embeddings)]);
  ok(await chat(gateway, account.key, { model: "openai/text-embedding-3-small", input }, { path: "/api/v1/embeddings" }));
  await account.grant({ id: "=cmd|' /C calc'!A0", amount: "2.5", reason: "+more, \"quoted\"" });
  await account.grant({ amount: "-1", reason: "taken back" });
  return { fallback: fallback.json.id };
}

async function leaveAfterContent(body) {
  const leaving = new AbortController();
  const response = await post(gateway, account.key, { ...body, stream: true }, { signal: leaving.signal });
  try {
    for await (const frame of framesOf(response)) if (frame.json?.choices?.[0]?.delta?.content) leaving.abort();
  } catch (error) {
    assert.equal(error.name, "AbortError");
  }
}
