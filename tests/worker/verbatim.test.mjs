// Streams that the client takes as the provider writes them (`x-millrace-stream: verbatim`): the runtime
// moves the bytes, and the gateway reads a copy. Every byte goes through, nothing is held back, and what
// ends badly ends as it does in any other stream.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { deltasOf, post, stream, user } from "./chat.mjs";
import { generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import {
  bytes,
  chunk,
  close,
  data,
  end,
  eventStream,
  finish,
  frame,
  hang,
  pause,
  reset,
  says,
  startUpstream,
  until,
  usageChunk,
} from "./upstream.mjs";
import { eventually, gate, within } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";
const HEADERS = { "x-millrace-stream": "verbatim" };
const ODD = ": a comment\n\n" + frame(chunk({ content: "th\u00e9", x: { y: null } })) + "event: odd\r\ndata: 1\r\n\r\n";

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({
  suite: "verbatim",
  vars: { ...providerVars(upstream.base), MILLRACE_IDLE_TIMEOUT_MS: 2000, MILLRACE_TOTAL_TIMEOUT_MS: 20_000 },
});

const ask = (prompt) => ({ model: MODEL, messages: user(prompt), stream: true });
const begun = [eventStream, says("one "), says("two ")];
const BEGUN = frame(chunk({ role: "assistant", content: "one " })) + frame(chunk({ role: "assistant", content: "two " }));
const ENDING = frame(chunk({}, "stop")) + frame(usageChunk()) + frame("[DONE]");

describe("verbatim", { concurrency: 4 }, () => {
  test("every byte is the provider's, and the charge is by its count", async () => {
    const account = await openAccount(gateway);
    const prompt = upstream.plays([...begun, bytes(ODD), pause(50), ...finish]);
    const response = await post(gateway, account.key, ask(prompt), { headers: HEADERS });
    assert.equal(await response.text(), BEGUN + ODD + ENDING);
    await assertCharged(account, response.headers.get("x-generation-id"), { prompt: 20, completion: 30 });
  });

  test("without the header it is the gateway's form", async () => {
    const { key } = await openAccount(gateway);
    const reply = await stream(gateway, key, { model: MODEL, messages: user(upstream.plays([...begun, ...finish])) });
    assert.match(reply.id, /^gen-/);
    assert.equal(reply.chunks[0].provider, "OpenAI");
  });

  test("each event arrives when it is written, over more than one look at the copy", async () => {
    const { key } = await openAccount(gateway);
    const gates = Array.from({ length: 30 }, () => gate());
    const script = gates.flatMap((each, place) => [says(`${place} `), until(each.opened)]);
    const response = await post(gateway, key, ask(upstream.plays([eventStream, ...script, ...finish])), { headers: HEADERS });
    let place = 0;
    for await (const delta of deltasOf(response)) {
      assert.equal(delta, `${place} `);
      // The provider goes on only when this event is here.
      if (place % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 600));
      gates[place].open();
      place += 1;
    }
    assert.equal(place, 30);
  });

  test("a long reply is whole", async () => {
    const account = await openAccount(gateway);
    const many = Array.from({ length: 3000 }, (_, place) => frame(chunk({ content: `word ${place} of a long reply ` })));
    const script = [eventStream, ...many.map((each) => bytes(each)), ...finish];
    const response = await post(gateway, account.key, ask(upstream.plays(script)), { headers: HEADERS });
    assert.equal(await response.text(), many.join("") + ENDING);
    await assertCharged(account, response.headers.get("x-generation-id"), { prompt: 20, completion: 30 });
  });

  for (const [name, script, code] of [
    ["a reset", [...begun, reset], 502],
    ["a closed connection", [...begun, close], 502],
    ["an orderly end without a terminator", [...begun, end], 502],
    ["an end within an event", [...begun, bytes('data: {"id":"x","cho'), end], 502],
    ["silence", [...begun, hang], 504],
    ["a tool call ended without its end", [...begun, bytes(halfCall()), end], 502],
  ]) {
    test(`${name}: what came, one error in-band, one charge`, async () => {
      const account = await openAccount(gateway);
      const prompt = upstream.plays(script);
      const reply = await stream(gateway, account.key, { ...ask(prompt), models: [MODEL, "millrace/echo"] }, { headers: HEADERS });
      assert.equal(reply.broken, null);
      assert.equal(upstream.exchanges(prompt).length, 1);
      assert.equal(reply.text, "one two ");
      assert.equal(reply.error?.code, code, JSON.stringify(reply.frames));
      assert.equal(reply.chunks.filter((each) => each.error).length, 1);
      assert.ok(reply.done, "clients wait for the terminator");
      await assertCharged(account, reply.headers.get("x-generation-id"));
    });
  }

  test("an error in the provider's words is told once", async () => {
    const account = await openAccount(gateway);
    const words = frame({ error: { message: "overloaded", code: 429 } });
    const response = await post(gateway, account.key, ask(upstream.plays([...begun, bytes(words), end])), { headers: HEADERS });
    assert.equal(await response.text(), BEGUN + words);
    // The provider failed: this is not the client's to pay.
    await assertCharged(account, response.headers.get("x-generation-id"), { free: true });
  });

  test("a provider that keeps its connection open after the end does not keep the client's", async () => {
    const account = await openAccount(gateway);
    const script = [...begun, ...finish.slice(0, -1), hang];
    const response = await within(5000, "the head", post(gateway, account.key, ask(upstream.plays(script)), { headers: HEADERS }));
    assert.equal(await within(5000, "the end", response.text()), BEGUN + ENDING);
    await assertCharged(account, response.headers.get("x-generation-id"), { prompt: 20, completion: 30 });
  });

  test("a client that leaves ends the provider's work, and pays for what it got", async () => {
    const account = await openAccount(gateway);
    const prompt = upstream.plays([...begun, ...Array.from({ length: 200 }, () => [pause(25), says("word ")]).flat(), ...finish]);
    const leaving = new AbortController();
    const response = await post(gateway, account.key, ask(prompt), { headers: HEADERS, signal: leaving.signal });
    let words = 0;
    try {
      for await (const _ of deltasOf(response)) if ((words += 1) === 20) leaving.abort();
    } catch {
      // Our own doing.
    }
    const [exchange] = upstream.exchanges(prompt);
    await within(3000, "the provider is left alone", exchange.left);
    const record = await assertCharged(account, response.headers.get("x-generation-id"));
    assert.equal(record.cancelled, true, JSON.stringify(record));
    const line = await gateway.lineOf(response.headers.get("x-generation-id"));
    assert.equal(line.outcome, "cancelled");
  });

  test("before the first content another model is asked", async () => {
    const { key } = await openAccount(gateway);
    const prompt = upstream.plays([eventStream, data(chunk({ role: "assistant", content: "" })), reset]);
    const reply = await stream(gateway, key, { models: [MODEL, "millrace/echo"], messages: user(prompt) }, { headers: HEADERS });
    assert.equal(reply.error, null);
    assert.ok(reply.done && reply.text.length > 0);
  });
});

function halfCall() {
  const call = { index: 0, id: "call_1", type: "function", function: { name: "rm", arguments: '{"pa' } };
  return frame(chunk({ tool_calls: [call] })) + frame(chunk({}, "tool_calls"));
}

/** What arrived was charged, once, and the record says the same as the account. */
async function assertCharged(account, id, { free = false, prompt, completion } = {}) {
  const credits = await account.settled();
  const record = await eventually("the record", async () => {
    const found = await generation(gateway, account.key, id);
    return found.status === 200 && found.json.data;
  });
  assert.equal(pico(record.total_cost), credits.used);
  assert.equal(credits.used > 0n, !free, "what was delivered is charged");
  if (prompt) assert.deepEqual([record.tokens_prompt, record.tokens_completion], [prompt, completion]);
  return record;
}
