// The same reply, cut, split or broken off at every byte: what arrives is always a prefix of the
// truth, and the whole of it when the whole was sent.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { chat, stream, user } from "./chat.mjs";
import { openAccount, providerVars, startGateway } from "./harness.mjs";
import {
  bytes,
  close,
  completion,
  cut,
  drip,
  end,
  eventStream,
  frame,
  raw,
  reset,
  startUpstream,
  USAGE,
} from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const TEXT = `héllo 🌍 世界 ${CANARY.reply}`;
const PARALLEL = 16;
/** The end of a body in the chunked encoding. */
const TAIL = "\r\n0\r\n\r\n".length;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "faults-cuts", vars: providerVars(upstream.base) });
const account = await openAccount(gateway, { credit: "1000" });

// As short as a reply may be, so that it has few bytes to cut at.
const says = (content) => ({ choices: [{ index: 0, delta: { content } }] });
const stop = { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
const EVENTS = [says(TEXT.slice(0, 9)), says(TEXT.slice(9)), stop, { choices: [], usage: USAGE }, "[DONE]"];
const body = (lineEnd) => Buffer.from(EVENTS.map((value) => frame(value).replaceAll("\n", lineEnd)).join(""));

test("split in two at every byte, with each line ending, the stream is whole", async () => {
  for (const lineEnd of ["\n", "\r\n", "\r"]) {
    const whole = body(lineEnd);
    await forEachOffset(whole.length, 1, async (offset) => {
      assertWhole(await ask([eventStream, cut(whole, offset), end]), `${JSON.stringify(lineEnd)} at ${offset}`);
    });
  }
});

test("dripped byte by byte, the stream is whole", async () => {
  assertWhole(await ask([eventStream, drip(body("\r\n")), end]), "dripped");
});

test("broken off at any byte of the connection, a stream ends in an error or never began", async () => {
  const wire = onTheWire("text/event-stream", body("\n"));
  // Past the finish reason the answer is complete, whatever becomes of the rest.
  const complete = wire.indexOf('"finish_reason":"stop"');
  for (const breakOff of [reset, close]) {
    await forEachOffset(complete, 3, async (offset) => {
      const reply = await ask([raw(wire.subarray(0, offset)), breakOff]);
      assert.equal(reply.broken, null, `at ${offset}`);
      assert.ok(TEXT.startsWith(reply.text), `at ${offset}: ${reply.text}`);
      if (reply.status !== 200) return assert.ok(reply.status >= 500, `at ${offset}: ${reply.status}`);
      assert.equal(reply.finish, "error", `at ${offset}`);
      assert.ok(reply.error && reply.done, `at ${offset}`);
    });
  }
});

test("broken off at any byte of the connection, a whole reply is an error", async () => {
  const wire = onTheWire("application/json", Buffer.from(JSON.stringify(completion(TEXT))));
  await forEachOffset(wire.length - TAIL, 5, async (offset) => {
    const script = [raw(wire.subarray(0, offset)), reset];
    const reply = await chat(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
    assert.equal(reply.status, 502, `at ${offset}: ${reply.text}`);
  });
});

test("many events in one write all arrive, in order", async () => {
  const words = Array.from({ length: 500 }, (_, index) => `${index} `);
  const reply = await ask([eventStream, bytes([...words.map(says), ...EVENTS.slice(2)].map(frame).join("")), end]);
  assert.equal(reply.text, words.join(""));
});

test("a stream in one huge event is whole", async () => {
  const text = "🌍".repeat(200_000);
  const reply = await ask([eventStream, bytes([says(text), ...EVENTS.slice(2)].map(frame).join("")), end]);
  assert.equal(reply.text, text);
});

test("after all of it nothing is held", () => account.settled());

function ask(script) {
  return stream(gateway, account.key, { model: MODEL, messages: user(upstream.plays(script)) });
}

function assertWhole(reply, where) {
  assert.equal(reply.text, TEXT, where);
  assert.equal(reply.error, null, where);
  assert.equal(reply.finish, "stop", where);
  assert.equal(reply.usage?.completion_tokens, 30, where);
  assert.ok(reply.done, where);
}

/** A response as it is on the wire, in one chunk of the chunked encoding. */
function onTheWire(type, content) {
  const top = `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n${content.length.toString(16)}\r\n`;
  return Buffer.concat([Buffer.from(top), content, Buffer.from("\r\n0\r\n\r\n")]);
}

async function forEachOffset(length, stride, check) {
  const offsets = Array.from({ length: Math.ceil(length / stride) }, (_, index) => index * stride);
  for (let from = 0; from < offsets.length; from += PARALLEL) {
    await Promise.all(offsets.slice(from, from + PARALLEL).map(check));
  }
}
