// How a stream flows: each piece leaves when it arrives, and when the client leaves the provider
// is told at once and no more is charged than was delivered.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { deltasOf, dial, framesOf, post, stream, user } from "./chat.mjs";
import { endpointsOf, generation, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import {
  bytes,
  chunk,
  eventStream,
  finish,
  frame,
  hang,
  pause,
  replied,
  says,
  startUpstream,
  until,
} from "./upstream.mjs";
import { eventually, gate, within } from "./wait.mjs";

const MODEL = "openai/gpt-4.1-mini";
const COMPANY = { MILLRACE_COMMENT_AFTER_MS: 200, MILLRACE_COMMENT_EVERY_MS: 200 };
/** From the client's leaving to the provider's seeing it. The machine is shared. */
const ABORT_MS = 700;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "flow", vars: { ...providerVars(upstream.base), ...COMPANY } });
const { key } = await openAccount(gateway, { credit: "100" });

test("each piece leaves when it arrives", async () => {
  // The upstream says the next word only when the client has read the one before.
  const words = Array.from({ length: 20 }, (_, index) => ({ text: `${index} `, read: gate() }));
  const script = [eventStream, ...words.flatMap(({ text, read }) => [says(text), until(read.opened)]), ...finish];
  const response = await post(gateway, key, { model: MODEL, stream: true, messages: user(upstream.plays(script)) });
  let next = 0;
  const reading = (async () => {
    for await (const text of deltasOf(response)) {
      assert.equal(text, words[next].text);
      words[next++].read.open();
    }
  })();
  await within(5000, "every word", reading);
  assert.equal(next, words.length);
});

test("an event is not held back for the next one, however it was cut", async () => {
  const second = gate();
  const event = frame(chunk({ content: "first" }));
  const script = [
    eventStream,
    bytes(event.slice(0, 30)),
    pause(20),
    bytes(event.slice(30)),
    until(second.opened),
    ...finish,
  ];
  const response = await post(gateway, key, { model: MODEL, stream: true, messages: user(upstream.plays(script)) });
  const frames = framesOf(response);
  const { value } = await within(2000, "the first event", frames.next());
  assert.equal(value.json.choices[0].delta.content, "first");
  second.open();
  for await (const _ of frames);
});

test("streams do not wait for one another", async () => {
  const last = gate();
  const blocked = post(gateway, key, {
    model: MODEL,
    stream: true,
    messages: user(upstream.plays([eventStream, says("a"), until(last.opened), ...finish])),
  });
  const others = Array.from({ length: 20 }, () =>
    stream(gateway, key, { model: "millrace/echo", messages: user("a b c") }),
  );
  assert.ok((await within(5000, "the others", Promise.all(others))).every((reply) => reply.text === "a b c"));
  last.open();
  await (await blocked).text();
});

// A client hangs up in order or by a reset. workerd notices a reset at once, but an orderly hang-up
// only when it writes. To a stream it does so by a comment at the latest; to a client that awaits a
// whole reply it cannot, so that client is noticed by a reset only.
const IN_ORDER = (socket) => socket.destroy();
const BY_RESET = (socket) => socket.resetAndDestroy();

for (const hangUp of [IN_ORDER, BY_RESET]) {
  const how = hangUp === IN_ORDER ? "in order" : "by a reset";

  test(`the client leaves in the middle, ${how}: the provider sees it, and what was delivered is charged`, async () => {
    const [endpoint] = await endpointsOf(gateway, key, MODEL);
    const price = pico(endpoint.pricing.completion);
    for (const count of [1, 3, 10]) {
      const account = await openAccount(gateway);
      const prompt = upstream.plays([
        eventStream,
        ...Array.from({ length: count }, (_, index) => says(`word${index} `)),
        hang,
      ]);
      const client = dial(gateway, account.key, { model: MODEL, stream: true, max_tokens: 1000, messages: user(prompt) });
      await eventually("every word is there", () => client.text().includes(`word${count - 1} `));
      await assertSeen(prompt, () => hangUp(client.socket));
      const credits = await account.settled();
      assert.ok(credits.used >= BigInt(count) * price, `${count} words for ${credits.used}`);
      assert.ok(credits.used < 1000n * price, `${count} words for ${credits.used}`);
      await assertCancelled(account, /"id":"(gen-[^"]+)"/.exec(client.text())[1], credits);
    }
  });

  test(`the client leaves before the first word, ${how}: the provider sees it, and nothing is charged`, async () => {
    for (const script of [[hang], [eventStream, hang]]) {
      const account = await openAccount(gateway);
      const prompt = upstream.plays(script, replied(CANARY.reply));
      const client = dial(gateway, account.key, { models: [MODEL, "openai/gpt-4o-mini"], stream: true, messages: user(prompt) });
      await arrival(prompt);
      await assertSeen(prompt, () => hangUp(client.socket));
      assert.equal((await account.settled()).used, 0n);
      assert.equal(upstream.exchanges(prompt).length, 1, "nobody else is asked");
    }
  });
}

test("the client leaves while a whole reply is awaited, by a reset: the provider sees it, and nobody else is asked", async () => {
  const account = await openAccount(gateway);
  const prompt = upstream.plays([hang], replied(CANARY.reply));
  const client = dial(gateway, account.key, { models: [MODEL, "openai/gpt-4o-mini"], messages: user(prompt) });
  await arrival(prompt);
  await assertSeen(prompt, () => BY_RESET(client.socket));
  assert.equal((await account.settled()).used, 0n);
  assert.equal(upstream.exchanges(prompt).length, 1);
});

test("a client that leaves while the words flow stops them", async () => {
  const account = await openAccount(gateway);
  const prompt = upstream.plays([
    eventStream,
    ...Array.from({ length: 500 }, () => [says("word "), pause(10)]).flat(),
    ...finish,
  ]);
  const client = dial(gateway, account.key, { model: MODEL, stream: true, messages: user(prompt) });
  await eventually("the words flow", () => client.text().includes("word "));
  await assertSeen(prompt, () => IN_ORDER(client.socket));
  assert.ok((await account.settled()).used > 0n);
});

test("a client that reads slowly gets every word as it was, however long", async () => {
  // Around a kilobyte and its doubles, the pieces that a reply is read in are longer from there on.
  const texts = Array.from({ length: 300 }, (_, place) => `${place} `.padEnd(4 + ((place * 997) % 20_000), `${place % 10}`));
  const script = [eventStream, ...texts.map(says), ...finish];
  const response = await post(gateway, key, { model: MODEL, stream: true, messages: user(upstream.plays(script)) });
  let received = "";
  let reads = 0;
  for await (const delta of deltasOf(response)) {
    received += delta;
    if (reads++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 30));
  }
  assert.ok(received === texts.join(""), `${received.length} characters of ${texts.join("").length}, or others`);
});

function arrival(prompt) {
  return eventually("the request is there", () => upstream.exchanges(prompt).length === 1);
}

/** The provider sees within the time that the client has hung up. */
async function assertSeen(prompt, hangUp) {
  const left = performance.now();
  hangUp();
  const seen = await within(5000, "the provider sees that nobody listens", upstream.exchanges(prompt)[0].left);
  assert.ok(seen - left < ABORT_MS, `seen after ${Math.round(seen - left)} ms`);
}

async function assertCancelled(account, id, credits) {
  const { status, json, text } = await generation(gateway, account.key, id);
  assert.equal(status, 200, text);
  assert.equal(json.data.cancelled, true);
  assert.equal(pico(json.data.total_cost), credits.used);
}
