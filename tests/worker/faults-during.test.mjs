// An upstream that fails in the middle of its answer: nothing is tried again, nothing is made up,
// the client is told in-band, and what was delivered is charged unless the provider said that it failed.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { stream, user } from "./chat.mjs";
import { generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { bytes, chunk, close, data, end, eventStream, reset, says, startUpstream, usageChunk } from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const toolCall = (part) => data(chunk({ tool_calls: [{ index: 0, ...part }] }));

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "faults-during", vars: providerVars(upstream.base) });

const begun = [eventStream, says("one "), says("two ")];
const FAULTS = [
  ["a reset", [...begun, reset], 502],
  ["a closed connection", [...begun, close], 502],
  ["an orderly end without a terminator", [...begun, end], 502],
  ["an end within an event", [...begun, bytes('data: {"id":"x","cho'), end], 502],
  ["an error event", [...begun, data({ error: { message: "overloaded", code: 429 } }), end], 429],
  [
    "an error event with a word for a code",
    [...begun, data({ error: { message: "broke", code: "server_error" } }), end],
    502,
  ],
  [
    "an error chunk with a finish",
    [...begun, data({ ...chunk({}, "error"), error: { message: "broke", code: 500 } }), data("[DONE]"), end],
    502,
  ],
  ["an event that is not JSON", [...begun, bytes("data: {nonsense\n\n"), end], 502],
  [
    "a tool call cut in its arguments",
    [
      ...begun,
      toolCall({ id: "call_1", type: "function", function: { name: "rm", arguments: "" } }),
      toolCall({ function: { arguments: '{"path": "/' } }),
      reset,
    ],
    502,
  ],
  [
    "a tool call ended without a finish",
    [...begun, toolCall({ id: "call_1", type: "function", function: { name: "rm", arguments: '{"pa' } }), end],
    502,
  ],
];

for (const [name, script, code] of FAULTS) {
  test(`${name}: one error in-band, no second attempt, no false finish`, async () => {
    const account = await openAccount(gateway);
    const prompt = upstream.plays(script);
    const reply = await stream(gateway, account.key, { models: [MODEL, "millrace/echo"], messages: user(prompt) });
    assert.equal(reply.status, 200);
    assert.equal(reply.broken, null);
    assert.equal(upstream.exchanges(prompt).length, 1);
    assert.ok("one two ".startsWith(reply.text), reply.text);
    assert.equal(reply.finish, "error");
    assert.equal(reply.chunks.filter((each) => each.error).length, 1);
    assert.equal(reply.error.code, code, JSON.stringify(reply.error));
    assert.equal(typeof reply.error.metadata?.error_type, "string");
    assert.ok(reply.done, "clients wait for the terminator");
    assert.ok(
      reply.chunks.every((each) => each.id === reply.id),
      "one reply has one id",
    );
    await assertCharged(account, reply, /^an error|not JSON/.test(name));
  });
}

test("a whole answer without its terminator is complete all the same", async () => {
  const account = await openAccount(gateway);
  const script = [eventStream, says(CANARY.reply), data(chunk({}, "stop")), data(usageChunk()), end];
  const reply = await stream(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
  assert.equal(reply.error, null);
  assert.equal(reply.finish, "stop");
  assert.ok(reply.done);
  assert.equal(reply.usage.completion_tokens, 30);
});

/** What arrived was charged, once, or nothing where the provider failed; the record says the same as the account. */
async function assertCharged(account, reply, failed) {
  const credits = await account.settled();
  const record = await generation(gateway, account.key, reply.id);
  assert.equal(record.status, 200, record.text);
  assert.equal(pico(record.json.data.total_cost), credits.used);
  if (reply.text) assert.equal(credits.used > 0n, !failed, "what was delivered is charged");
}
