// Streams that come faster than it pays to look at each piece: the gateway waits a little between its reads and
// takes what has come together. Nothing else may tell: every event once and in order, however cut; the end,
// faults, comments and limits as in any other stream; a client that leaves or reads slowly; and a stream
// that slows down is not held back.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { deltasOf, dial, framesOf, post, stream, user } from "./chat.mjs";
import { generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { bytes, chunk, close, data, end, eventStream, finish, frame, hang, pause, reset, startUpstream, until, usageChunk } from "./upstream.mjs";
import { eventually, gate, within } from "./wait.mjs";
import { MODELS } from "./wires.mjs";

const MODEL = "openai/gpt-4.1-mini";
/** From the client's leaving to the provider's seeing it. The machine is shared. */
const ABORT_MS = 700;

const upstream = await startUpstream();
/** The connection ends with the reply. */
const CLOSE = { headers: "Connection: close\r\n" };
after(() => upstream.stop());
const anthropic = { ANTHROPIC_API_KEY: `${CANARY.providerSecret}-anthropic`, ANTHROPIC_BASE_URL: upstream.base("anthropic") };
const limits = {
  MILLRACE_COMMENT_AFTER_MS: 200,
  MILLRACE_COMMENT_EVERY_MS: 200,
  MILLRACE_IDLE_TIMEOUT_MS: 4000,
  MILLRACE_TOTAL_TIMEOUT_MS: 60_000,
};
const gateway = await startGateway({ suite: "gather", vars: { ...providerVars(upstream.base), ...anthropic, ...limits } });

const MANY = 3000;
const words = Array.from({ length: MANY }, (_, place) => `w${place} \u{1F30D}${"x".repeat((place * 37) % 90)} `);
const TEXT = words.join("");
const chunks = words.map((word, place) => ({ ...chunk({ content: word }), x_place: place }));
const fast = [eventStream, ...chunks.map(data)];
const event = (value) => `event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`;
const asked = (script, model = MODEL) => ({ model, stream: true, max_tokens: 30_000, messages: user(upstream.plays(script)) });

describe("gathering", { concurrency: 2 }, () => {
  test("every event of a fast stream comes once and in order, and fewer pieces than events are written", async () => {
    const account = await openAccount(gateway);
    const { socket, text } = dial(gateway, account.key, asked([...fast, ...finish]), CLOSE);
    await within(30_000, "the end", new Promise((resolve) => socket.once("close", resolve)));
    const { content, pieces } = unchunked(text());
    assertSame(content);
    assert.ok(pieces < MANY / 2, `${pieces} pieces`);
    await account.settled();
  });

  for (const most of [7, 300, 5000]) {
    test(`cuts between bytes, up to ${most} of them`, async () => {
      const { key } = await openAccount(gateway);
      const all = Buffer.from(chunks.slice(0, most < 10 ? 300 : MANY).map(frame).join(""));
      const response = await post(gateway, key, asked([eventStream, ...cuts(all, most).map(bytes), ...finish]));
      assertSame(await response.text(), most < 10 ? 300 : MANY);
    });
  }

  test("from Messages to Chat", async () => {
    const account = await openAccount(gateway);
    const reply = await stream(gateway, account.key, asked(messages(), MODELS.anthropic));
    assert.ok(reply.text === TEXT, `${reply.text.length} characters of ${TEXT.length}, or others`);
    assert.equal(reply.finish, "stop");
    assert.ok(reply.done);
    assert.equal(reply.usage.completion_tokens, 60);
  });

  for (const [from, script, model] of [
    ["Messages", () => messages(), MODELS.anthropic],
    ["Chat", () => [...fast, ...finish], MODEL],
  ]) {
    test(`from ${from} to Messages`, async () => {
      const { key } = await openAccount(gateway);
      const response = await post(gateway, key, asked(script(), model), { path: "/api/v1/messages" });
      const events = [];
      for await (const { raw } of framesOf(response)) {
        const line = raw.split("\n").find((each) => each.startsWith("data:"));
        if (line) events.push(JSON.parse(line.slice(5)));
      }
      const text = events.map(({ delta }) => delta?.text ?? "").join("");
      assert.ok(text === TEXT, `${text.length} characters of ${TEXT.length}, or others`);
      assert.deepEqual(events.slice(-2).map(({ type }) => type), ["message_delta", "message_stop"]);
    });
  }

  test("a stream that slows down is not held back, and may become fast again", async () => {
    const { key } = await openAccount(gateway);
    const slow = Array.from({ length: 30 }, (_, place) => ({ text: `slow ${place} `, read: gate() }));
    const script = [
      ...fast.slice(0, 800),
      ...slow.flatMap(({ text, read }) => [data(chunk({ content: text })), until(read.opened)]),
      ...fast.slice(800),
      ...finish,
    ];
    const response = await post(gateway, key, asked(script));
    let text = "";
    let next = 0;
    const reading = (async () => {
      for await (const delta of deltasOf(response)) {
        text += delta;
        // The provider goes on only when this word is here.
        if (delta.startsWith("slow ")) slow[next++].read.open();
      }
    })();
    await within(30_000, "every word", reading);
    const expected = [...words.slice(0, 799), ...slow.map((each) => each.text), ...words.slice(799)].join("");
    assert.ok(text === expected, `${text.length} characters of ${expected.length}, or others`);
  });

  test("one word at a time, at a model's pace, is one piece at a time", async () => {
    const account = await openAccount(gateway);
    const gates = Array.from({ length: 60 }, () => gate());
    const paced = gates.flatMap((each, place) => [data(chunks[place]), until(each.opened), pause(10)]);
    const { socket, text } = dial(gateway, account.key, asked([eventStream, ...paced, ...finish]), CLOSE);
    for (const [place, each] of gates.entries()) {
      await eventually(`word ${place}`, () => has(text(), place));
      each.open();
    }
    await within(5000, "the end", new Promise((resolve) => socket.once("close", resolve)));
    const { content, pieces } = unchunked(text());
    assertSame(content, 60);
    assert.ok(pieces >= 60, `${pieces} pieces`);
  });

  for (const [name, ending, code] of [
    ["a closed connection", [close], 502],
    ["a reset", [pause(100), reset], 502],
    ["an orderly end without a terminator", [end], 502],
    ["an end within an event", [bytes('data: {"id":"x","cho'), end], 502],
    ["an error event", [data({ error: { message: "overloaded", code: 429 } }), end], 429],
    ["silence", [hang], 504],
  ]) {
    test(`${name} after a fast start: what came, then one error`, async () => {
      const account = await openAccount(gateway);
      const body = asked([...fast, ...ending]);
      const reply = await stream(gateway, account.key, { ...body, models: [MODEL, "millrace/echo"] });
      assert.equal(reply.broken, null);
      assert.ok(reply.text === TEXT, `${reply.text.length} characters of ${TEXT.length}, or others`);
      assert.equal(reply.error?.code, code);
      assert.equal(reply.chunks.filter((each) => each.error).length, 1);
      assert.ok(reply.done, "clients wait for the terminator");
      if (name === "silence") assert.ok(reply.comments >= 4, `${reply.comments} comments`);
      await account.settled();
    });
  }

  test("a provider that keeps its connection open after the end does not keep the client's", async () => {
    const { key } = await openAccount(gateway);
    const body = asked([...fast, ...finish.slice(0, -1), hang]);
    const response = await post(gateway, key, body);
    assertSame(await within(10_000, "the end", response.text()));
    const [exchange] = upstream.exchanges(body.messages[0].content);
    await within(1500, "the provider is left alone", exchange.left);
  });

  for (const [when, script, before] of [
    ["while words flow", [...fast, ...Array.from({ length: 20 }, () => fast.slice(1)).flat(), ...finish], 1],
    ["when a fast start has come to a halt", [...fast, hang], MANY],
  ]) {
    test(`a client that leaves ${when} ends the provider's work, and pays for what it got`, async () => {
      const account = await openAccount(gateway);
      const body = asked(script);
      const client = dial(gateway, account.key, body, CLOSE);
      await eventually("the words are there", () => has(client.text(), before - 1));
      const [exchange] = upstream.exchanges(body.messages[0].content);
      const left = performance.now();
      client.socket.destroy();
      const seen = await within(5000, "the provider sees that nobody listens", exchange.left);
      assert.ok(seen - left < ABORT_MS, `seen after ${Math.round(seen - left)} ms`);
      await assertCancelled(account, /"id":"(gen-[^"]+)"/.exec(client.text())[1]);
    });
  }

  test("a client that does not read stops the provider, gets every word when it does, and may leave", async () => {
    const account = await openAccount(gateway);
    const long = Array.from({ length: 8000 }, (_, place) => ({ ...chunk({ content: "y".repeat(4000) }), x_place: place }));
    let written = 0;
    const counted = long.map((each) => {
      const write = data(each);
      return async (exchange) => {
        await write(exchange);
        written += 1;
      };
    });
    for (const leaves of [false, true]) {
      written = 0;
      const body = asked([...fast, ...counted, ...finish]);
      const client = dial(gateway, account.key, body, CLOSE);
      await eventually("the words flow", () => written > 100);
      client.socket.pause();
      let last = -1;
      await eventually("the provider waits", () => {
        const waits = written === last;
        last = written;
        return new Promise((resolve) => setTimeout(resolve, 300, waits));
      }, { withinMs: 15_000 });
      assert.ok(written < long.length, "the provider was read though the client did not read");
      if (leaves) {
        const [exchange] = upstream.exchanges(body.messages[0].content);
        client.socket.resetAndDestroy();
        await within(5000, "the provider sees that nobody listens", exchange.left);
      } else {
        client.socket.resume();
        await within(25_000, "the end", new Promise((resolve) => client.socket.once("close", resolve)));
        const frames = framesIn(unchunked(client.text()).content);
        const places = frames.flatMap((each) => each.x_place ?? []);
        assert.ok(places.every((place, index) => place === (index < MANY ? index : index - MANY)), "in order");
        assert.equal(places.length, MANY + long.length);
      }
      await account.settled();
    }
  });

  test("sixty streams at once, fast and slow, are each as they were sent", async () => {
    const { key } = await openAccount(gateway, { credit: "100" });
    const replies = Array.from({ length: 60 }, (_, place) => {
      const some = fast.slice(0, 401);
      const script = place % 3 === 0 ? some.slice(0, 61).flatMap((step) => [step, pause(5)]) : some;
      return stream(gateway, key, asked([...script, ...finish])).then(({ text, done }) => ({ text, done, count: script === some ? 400 : 60 }));
    });
    for (const { text, done, count } of await Promise.all(replies)) {
      assert.ok(done && text === words.slice(0, count).join(""), `${text.length} characters`);
    }
  });
});

test("the runtime had nothing to complain of", () => {
  // Its own lines are no JSON, as the gateway's are.
  const complaints = gateway.log.filter((line) => !line.startsWith("{"));
  assert.deepEqual(complaints, []);
});

/** The same words on Anthropic's wire. */
function messages() {
  const message = { id: "msg_scripted", type: "message", role: "assistant", model: "claude-scripted", content: [] };
  const usage = { input_tokens: 10, output_tokens: 60 };
  return [
    eventStream,
    bytes(event({ type: "message_start", message: { ...message, stop_reason: null, stop_sequence: null, usage } })),
    bytes(event({ type: "content_block_start", index: 0, content_block: { type: "text", text: "" } })),
    ...words.map((text) => bytes(event({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } }))),
    bytes(event({ type: "content_block_stop", index: 0 })),
    bytes(event({ type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage })),
    bytes(event({ type: "message_stop" })),
    end,
  ];
}

/** Checks that a reply has the first `count` chunks as they were sent, but for the gateway's own members, and its end. */
function assertSame(reply, count = MANY) {
  const frames = framesIn(reply);
  const sent = [...chunks.slice(0, count), chunk({}, "stop"), usageChunk()];
  assert.equal(frames.length, sent.length, reply.slice(-500));
  for (const [place, { id, provider, created, model, ...rest }] of frames.entries()) {
    assert.match(id, /^gen-/);
    assert.deepEqual([provider, model], ["OpenAI", MODEL]);
    if (place >= count) continue;
    const { id: _, created: __, model: ___, ...expected } = sent[place];
    assert.equal(JSON.stringify(rest.choices[0].delta.content), JSON.stringify(expected.choices[0].delta.content), `chunk ${place}`);
    assert.deepEqual([rest.x_place, rest.object], [expected.x_place, expected.object]);
  }
  assert.equal(frames.at(-2).choices[0].finish_reason, "stop");
  assert.equal(frames.at(-1).usage.completion_tokens, 30);
}

/** The values of a stream's events; its comments are left out, and it has its terminator. */
function framesIn(reply) {
  const frames = reply.split("\n\n").filter((each) => each !== "" && !each.startsWith(":"));
  assert.equal(frames.pop(), "data: [DONE]");
  return frames.map((each) => JSON.parse(each.slice("data: ".length)));
}

const has = (reply, place) => new RegExp(`"x_place":${place}\\b`).test(reply);

/** A text in parts of 1 to `most` bytes, by a fixed rule. */
function cuts(all, most) {
  const parts = [];
  for (let at = 0, seed = 1; at < all.length; at += parts.at(-1).length) {
    seed = (seed * 48_271) % 0x7fffffff;
    parts.push(all.subarray(at, at + 1 + (seed % most)));
  }
  return parts;
}

/** The body of a reply in chunks, as workerd writes them: one for each piece. */
function unchunked(reply) {
  let rest = Buffer.from(reply.slice(reply.indexOf("\r\n\r\n") + 4));
  const parts = [];
  for (;;) {
    const line = rest.indexOf("\r\n");
    const size = Number.parseInt(rest.subarray(0, line).toString(), 16);
    if (!(size > 0)) break;
    parts.push(rest.subarray(line + 2, line + 2 + size));
    rest = rest.subarray(line + 2 + size + 2);
  }
  return { content: Buffer.concat(parts).toString(), pieces: parts.length };
}

async function assertCancelled(account, id) {
  const { used } = await account.settled();
  assert.ok(used > 0n);
  const record = await eventually("the record", async () => {
    const found = await generation(gateway, account.key, id);
    return found.status === 200 && found.json.data;
  });
  assert.equal(record.cancelled, true);
  assert.equal(pico(record.total_cost), used);
}
