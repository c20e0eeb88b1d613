// An upstream that says nothing: at its start, before its first word, between words, for ever. Each
// silence has its own limit, and the client is kept company meanwhile.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { assertFailure, chat, stream, user } from "./chat.mjs";
import { openAccount, providerVars, startGateway } from "./harness.mjs";
import {
  bytes,
  chunk,
  data,
  eventStream,
  finish,
  frame,
  hang,
  pause,
  says,
  startUpstream,
  streamed,
} from "./upstream.mjs";
import { within } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";
const LIMITS = {
  MILLRACE_HEADERS_TIMEOUT_MS: 1000,
  MILLRACE_FIRST_TOKEN_TIMEOUT_MS: 1400,
  MILLRACE_IDLE_TIMEOUT_MS: 1000,
  MILLRACE_TOTAL_TIMEOUT_MS: 4000,
  MILLRACE_HOLD_GRACE_MS: 1000,
};
const COMPANY = { MILLRACE_COMMENT_AFTER_MS: 100, MILLRACE_COMMENT_EVERY_MS: 100 };
const PATIENCE_MS = 10_000;

const upstream = await startUpstream();
after(() => upstream.stop());
const silent = await startGateway({
  suite: "timeouts",
  vars: { ...providerVars(upstream.base), ...LIMITS, MILLRACE_COMMENT_AFTER_MS: 60_000 },
});
const talking = await startGateway({
  suite: "timeouts-comments",
  vars: { ...providerVars(upstream.base), ...LIMITS, ...COMPANY },
});

const heartbeats = Array.from({ length: 60 }, () => [pause(100), bytes(": still here\n\n")]).flat();
const dripping = Array.from({ length: 60 }, () => [pause(100), says("word ")]).flat();

const BEFORE = [
  ["silence before the head", [hang]],
  ["silence before the first event", [eventStream, hang]],
  ["comments and never a word", [eventStream, ...heartbeats, hang]],
  ["empty chunks and never a word", [eventStream, data(chunk({ role: "assistant", content: "" })), hang]],
];

// These tests do little but wait, so they wait together.
describe("silence", { concurrency: 8 }, () => {
  for (const [name, script] of BEFORE) {
    test(`${name}: 504 while nothing has been sent`, async () => {
      const { key } = await openAccount(silent);
      const reply = await timely(stream(silent, key, ask(script)));
      assertFailure(reply, 504);
    });

    test(`${name}: another model is asked`, async () => {
      const { key } = await openAccount(silent);
      const { messages } = ask(script);
      const reply = await timely(stream(silent, key, { models: [MODEL, "millrace/echo"], messages }));
      assert.equal(reply.chunks[0].model, "millrace/echo");
      assert.ok(reply.done);
    });

    test(`${name}: comments meanwhile, then the error in-band`, async () => {
      const account = await openAccount(talking);
      const reply = await timely(stream(talking, account.key, ask(script)));
      assert.equal(reply.status, 200);
      assert.ok(reply.comments >= 2, `${reply.comments} comments`);
      assert.equal(reply.error?.code, 504);
      assert.ok(reply.done);
      assert.equal((await account.settled()).used, 0n);
    });

    test(`${name}: comments meanwhile, then the other model's words`, async () => {
      const { key } = await openAccount(talking);
      const { messages } = ask(script);
      const reply = await timely(stream(talking, key, { models: [MODEL, "millrace/echo"], messages }));
      assert.ok(reply.comments >= 2, `${reply.comments} comments`);
      assert.equal(reply.text.trim(), messages[0].content);
      assert.equal(reply.error, null);
    });
  }

  test("a whole reply that never comes is 504", async () => {
    const { key } = await openAccount(silent);
    assertFailure(await timely(chat(silent, key, ask([hang]))), 504);
  });

  test("silence between words ends the stream in-band, and the words are charged", async () => {
    for (const script of [
      [eventStream, says("one "), hang],
      [eventStream, says("one "), ...heartbeats, hang],
    ]) {
      const account = await openAccount(silent);
      const reply = await timely(stream(silent, account.key, ask(script)));
      assert.equal(reply.text, "one ");
      assert.equal(reply.error?.code, 504);
      assert.equal(reply.finish, "error");
      assert.ok((await account.settled()).used > 0n);
    }
  });

  test("a stream that never ends is ended at the total limit", async () => {
    const account = await openAccount(silent);
    const reply = await timely(stream(silent, account.key, ask([eventStream, ...dripping, hang])));
    assert.ok(reply.text.startsWith("word word "));
    assert.equal(reply.error?.code, 504);
    assert.ok((await account.settled()).used > 0n);
  });

  test("a slow stream within the limits is left alone", async () => {
    const { key } = await openAccount(silent);
    const words = ["a ", "b ", "c "];
    const reply = await timely(
      stream(silent, key, ask([eventStream, ...words.flatMap((word) => [pause(300), says(word)]), ...finish])),
    );
    assert.equal(reply.text, words.join(""));
    assert.equal(reply.error, null);
  });

  test("comments come only between events, in OpenRouter's words", async () => {
    const { key } = await openAccount(talking);
    const event = frame(chunk({ content: "late" }));
    const script = [pause(400), eventStream, bytes(event.slice(0, 20)), pause(300), bytes(event.slice(20)), ...finish];
    const reply = await timely(stream(talking, key, ask(script)));
    const comments = reply.frames.filter((each) => each.comment);
    assert.ok(comments.length >= 2);
    assert.ok(
      comments.every((each) => each.raw === ": OPENROUTER PROCESSING"),
      comments[0].raw,
    );
    assert.equal(reply.text, "late");
    assert.ok(
      reply.frames.every((each) => each.comment || each.json || each.data === "[DONE]"),
      "a torn event",
    );
  });

  test("a reply that comes at once has no comments", async () => {
    const { key } = await openAccount(silent);
    assert.equal((await stream(silent, key, ask(streamed("quick")))).comments, 0);
  });
});

function ask(script) {
  return { model: MODEL, messages: user(upstream.plays(script)) };
}

function timely(promise) {
  return within(PATIENCE_MS, "the end of the reply", promise);
}
