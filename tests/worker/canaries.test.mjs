// Runs last: looks through everything that the other suites left (every response, every line of
// the log, every stored file) for prompts, replies, keys and secrets where none may be.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { chat, stream, user } from "./chat.mjs";
import { admin, call, generation, openAccount, providerVars, runFolder, startGateway } from "./harness.mjs";
import { refused, replied, startUpstream, streamed } from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
/** A whole key, of which only a label may be shown again. */
const KEY = /sk-mr-v1-[0-9A-Za-z]{12}-[0-9A-Za-z]{20,}/g;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "canaries", vars: providerVars(upstream.base) });

test("what is not a reply tells nothing of prompts, replies and keys", async () => {
  const account = await openAccount(gateway);
  const { key: manager } = await account.createKey({ management: true });
  const scripts = [replied(CANARY.reply), refused(500, CANARY.reply), refused(401, CANARY.reply)];
  const ids = [];
  for (const script of scripts) {
    const reply = await chat(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
    ids.push(reply.headers.get("x-generation-id"));
  }
  ids.push(
    (await stream(gateway, account.key, { model: MODEL, messages: user(upstream.plays(streamed(CANARY.reply))) })).id,
  );
  const answers = [
    ...(await Promise.all(ids.filter(Boolean).map((id) => generation(gateway, account.key, id)))),
    await call(gateway, "GET", "/api/v1/key", { key: account.key }),
    await call(gateway, "GET", "/api/v1/keys", { key: manager }),
    await call(gateway, "GET", `/api/v1/keys/${account.hash}`, { key: manager }),
    await call(gateway, "GET", "/api/v1/credits", { key: manager }),
    await call(gateway, "GET", "/api/v1/models", { key: account.key }),
    await call(gateway, "GET", "/api/v1/providers", { key: account.key }),
    await call(gateway, "GET", "/health"),
    await call(gateway, "POST", "/api/v1/chat/completions", {
      key: `${account.key}x`,
      body: { prompt: CANARY.prompt },
    }),
    await chat(gateway, account.key, `{"model": "millrace/echo", "messages": [{"content": "${CANARY.prompt}" ]`),
    await chat(gateway, account.key, { model: "nobody/nothing", messages: user(CANARY.prompt) }),
    { text: JSON.stringify(await admin(gateway, "GET", `/accounts/${account.id}`)) },
  ];
  for (const { text } of answers) {
    assert.doesNotMatch(text, anyOf(Object.values(CANARY)));
    assert.doesNotMatch(text, KEY);
  }
});

test("no response of any suite has a secret of the operator's", () => {
  forEachFile(/responses\.http$/, (text, path) => {
    assertNone(text, [CANARY.providerSecret, CANARY.adminSecret, CANARY.ownSecret], path);
  });
});

test("no response of any suite shows a key a second time", () => {
  forEachFile(/responses\.http$/, (text, path) => {
    const shown = text.match(KEY) ?? [];
    assert.equal(new Set(shown).size, shown.length, path);
  });
});

test("no log has a prompt, a reply, a key or a secret", () => {
  forEachFile(/workerd\.log$/, (text, path) => {
    assertNone(text, Object.values(CANARY), path);
    assert.doesNotMatch(text, KEY, path);
  });
});

test("no stored file has a prompt, a reply, a key or a secret", () => {
  const count = forEachFile(/\/state\//, (text, path) => {
    assertNone(text, Object.values(CANARY), path);
    assert.doesNotMatch(text, KEY, path);
  });
  assert.ok(count > 0, "the suites left their storage");
});

test("the search would find something: what may be stored is there to be read", async () => {
  const { id } = await openAccount(gateway);
  let found = 0;
  forEachFile(/\/state\//, (text) => (found += text.includes(id) ? 1 : 0));
  assert.ok(found > 0, `no stored file names the account ${id}`);
});

/** Calls `check` with the content of each file of the run whose path matches; returns how many. */
function forEachFile(pattern, check) {
  assert.ok(existsSync(runFolder));
  const paths = readdirSync(runFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => pattern.test(path));
  for (const path of paths) check(readFileSync(path, "latin1"), path);
  return paths.length;
}

function assertNone(text, strings, path) {
  const found = anyOf(strings).exec(text);
  if (found) assert.fail(`${path} has ${JSON.stringify(text.slice(Math.max(0, found.index - 120), found.index + 80))}`);
}

function anyOf(strings) {
  return new RegExp(strings.join("|"));
}
