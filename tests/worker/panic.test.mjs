// A request that panics takes nobody with it: the streams beside it finish, it is reported once,
// and the gateway goes on. Runs on the build with failpoints, which no release has.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { root } from "../../scripts/lib/process.mjs";
import { readSymbols, withNames } from "../../scripts/lib/symbols.mjs";
import { readModule } from "../../scripts/lib/wasm.mjs";

import { assertFailure, chat, deltasOf, post, user } from "./chat.mjs";
import { call, openAccount, providerVars, startGateway } from "./harness.mjs";
import { eventStream, finish, says, startUpstream, until } from "./upstream.mjs";
import { eventually, gate, within } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";
const STREAMS = 10;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "panic", vars: providerVars(upstream.base), failpoints: true });

test("one request panics while others stream, and they all finish", async () => {
  const account = await openAccount(gateway);
  const panicked = gate();
  const script = [eventStream, says("before "), until(panicked.opened), says("after"), ...finish];
  const streams = await Promise.all(Array.from({ length: STREAMS }, () => openStream(account.key, script)));
  const reply = await within(5000, "an answer to the request that panics", panic());
  panicked.open();
  const texts = await within(10_000, "the end of every stream", Promise.all(streams.map((each) => each.rest())));
  assert.deepEqual(texts, Array(STREAMS).fill("after"));
  await account.settled();
  assertFailure(reply, 500);
  assert.doesNotMatch(reply.text, /panicked|\.rs/);
});

test("a panic is reported once", async () => {
  const before = reports();
  await panic();
  await eventually("the panic is reported", () => reports() > before);
  await chat(gateway, (await openAccount(gateway)).key, { model: "millrace/echo", messages: user("hi") });
  assert.equal(reports() - before, 1, gateway.log.join("\n"));
});

test("the report leads to the function that panicked", async () => {
  const before = gateway.log.length;
  await panic();
  const report = () => gateway.log.slice(before).join("\n").match(/\S* panicked[^]*/)?.[0] ?? "";
  await eventually("the functions are in the log", () => /wasm-function\[\d+\][^]*\bturn\b/.test(report()));
  const { names } = readModule(readFileSync(join(root, "build-failpoints", "millrace_bg.wasm")));
  const symbols = readSymbols([...names].map((line) => line.join(":")).join("\n"));
  const [words, ...frames] = withNames(report(), symbols).split("\n");
  assert.match(words, /panicked( at \S+)?: a test asked for this$/);
  const functions = frames.map((line) => line.trim()).filter((line) => /^at <?millrace::/.test(line));
  assert.equal(functions[0], "at millrace::shell::failpoint::set");
  assert.ok(functions.includes("at millrace::shell::handle::{closure#0}"), functions.join("\n"));
});

test("the gateway goes on after many panics", async () => {
  await Promise.all(Array.from({ length: 20 }, panic));
  const { key } = await openAccount(gateway);
  assert.equal((await chat(gateway, key, { model: "millrace/echo", messages: user("hi") })).status, 200);
});

function panic() {
  return call(gateway, "POST", "/__failpoint/panic");
}

/** How often the words of a panic are in the log. */
function reports() {
  return gateway.log.filter((line) => /\bpanicked\b/.test(line)).length;
}

/** A stream whose first word has been read; `rest()` reads on to the end. */
async function openStream(key, script) {
  const response = await post(gateway, key, { model: MODEL, stream: true, messages: user(upstream.plays(script)) });
  const deltas = deltasOf(response);
  assert.equal((await deltas.next()).value, "before ");
  return {
    async rest() {
      let text = "";
      for await (const delta of deltas) text += delta;
      return text;
    },
  };
}
