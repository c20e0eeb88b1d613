// A client that leaves frees its slot: the server stops making tokens that nobody reads, and the
// next client is served. The server has one slot, and a model that never ends by itself.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";

import { generation, openAccount } from "../worker/harness.mjs";
import { pico } from "../worker/money.mjs";
import { eventually } from "../worker/wait.mjs";
import { FACES, ask } from "./faces.mjs";
import { startLlama } from "./llama.mjs";
import { PRICED, costOf, pricesOf, startOver } from "./wires.mjs";

const SUITE = "live-leave";
const PROMPT = "Tell me a very long story about a mill at a river.";
const LIMIT = 7000;
/** What a server makes before it notices; the limit is far away. */
const MOST = 1000;
/** What the client waits for before it leaves; at most half of it is not text. */
const EVENTS = 16;
const START_MS = 60_000;
/** From leaving to an idle slot. The machine may be shared. */
const FREE_MS = 5000;

const llama = await startLlama({ suite: SUITE, options: ["--ignore-eos"] });
const gateway = await startOver(llama, SUITE);

for (const wire of PRICED) {
  for (const face of FACES) {
    test(`${face.name} over ${wire.name}: the slot is free, and what was delivered is billed`, async () => {
      const account = await openAccount(gateway);
      const asked = { model: wire.model, prompt: PROMPT, limit: LIMIT, streamed: true };
      const { result, made } = await llama.spent(() => leaveInTheMiddle(account, face, asked));
      assert.ok(made >= EVENTS / 2 && made < MOST, `${made} tokens were made`);
      await assertBilled(account, result.id, made, await pricesOf(gateway, account.key, wire));
    });
  }
}

test("the next client is served at once", async () => {
  const account = await openAccount(gateway);
  const [{ model }] = PRICED;
  await leaveInTheMiddle(account, FACES[0], { model, prompt: PROMPT, limit: LIMIT, streamed: true });
  const { made } = await llama.spent(() =>
    ask(gateway, account.key, FACES[0], { model, prompt: "And you?", limit: 4, streamed: false }),
  );
  assert.equal(made, 4);
});

test("a client that leaves while it waits for a slot pays nothing, and its turn is soon over", async () => {
  const [first, second] = [await openAccount(gateway), await openAccount(gateway)];
  const asked = { model: PRICED[0].model, prompt: PROMPT, limit: LIMIT, streamed: true };
  const { made } = await llama.spent(async () => {
    const served = await beginning(first, FACES[0], asked);
    const waiting = dial(second, FACES[0], asked);
    await eventually("the second waits", async () => (await llama.counts()).waiting === 1);
    waiting.socket.destroy();
    assert.equal((await second.settled()).used, 0n);
    assert.equal(await llama.busy(), 1, "the first is still served");
    served.socket.destroy();
    await llama.idle(FREE_MS);
  });
  assert.ok(made < MOST, `${made} tokens were made`);
});

test("a client that leaves by a reset while a whole reply is made frees its slot, and pays nothing", async () => {
  for (const face of FACES) {
    const account = await openAccount(gateway);
    const { made } = await llama.spent(async () => {
      const { socket } = dial(account, face, { model: PRICED[0].model, prompt: PROMPT, limit: LIMIT, streamed: false });
      await eventually("it is at work", async () => (await llama.busy()) === 1);
      socket.resetAndDestroy();
      await llama.idle(FREE_MS);
    });
    assert.ok(made < MOST, `${face.name}: ${made} tokens were made`);
    assert.equal((await account.settled()).used, 0n, face.name);
  }
});

/** Reads the beginning of a stream, leaves, and waits for the slot. */
async function leaveInTheMiddle(account, face, asked) {
  const { socket, text } = await beginning(account, face, asked);
  assert.equal(await llama.busy(), 1);
  socket.destroy();
  await llama.idle(FREE_MS);
  return { id: /^x-generation-id: (\S+)/im.exec(text())[1] };
}

/** A stream of which some events have arrived. */
async function beginning(account, face, asked) {
  const client = dial(account, face, asked);
  const events = () => client.text().match(/^data: ?\{/gm)?.length ?? 0;
  await eventually("the words flow", () => events() >= EVENTS, { withinMs: START_MS });
  return client;
}

/** Nobody told how many tokens were delivered: the bill is an estimate, and near the truth. */
async function assertBilled(account, id, made, prices) {
  const { used } = await account.settled();
  const { status, json, text } = await generation(gateway, account.key, id);
  assert.equal(status, 200, text);
  const { cancelled, total_cost, tokens_prompt, tokens_completion, native_tokens_cached: cached = 0 } = json.data;
  assert.equal(cancelled, true);
  assert.equal(pico(total_cost), used);
  assert.equal(used, costOf(prices, { input: tokens_prompt - cached, cached, output: tokens_completion }));
  assert.ok(tokens_completion >= made / 3 && tokens_completion <= made * 2, `${tokens_completion} billed, ${made} made`);
}

/** A client whose socket is in the test's hands: `{socket, text()}`. */
function dial(account, face, asked) {
  const content = JSON.stringify(face.body(asked));
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(port, hostname);
  let received = "";
  socket.on("data", (bytes) => (received += bytes));
  socket.on("error", () => {});
  socket.write(
    `POST ${face.path(asked)} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${account.key}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`,
  );
  return { socket, text: () => received };
}
