// Every face over every wire that llama-server knows: the client gets what the model said, and is
// billed for the tokens that the server has read and made, by its own count.

import assert from "node:assert/strict";
import { test } from "node:test";

import { generation, openAccount } from "../worker/harness.mjs";
import { pico } from "../worker/money.mjs";
import { FACES, ask } from "./faces.mjs";
import { startLlama } from "./llama.mjs";
import { WIRES, costOf, pricesOf, startOver } from "./wires.mjs";

const SUITE = "live-faces";
const PROMPT = "Name three colours of the rainbow and say where each is seen. Use “quotes” – and é.";
const LIMIT = 12;

const llama = await startLlama({ suite: SUITE, slots: 2 });
const gateway = await startOver(llama, SUITE);

for (const wire of WIRES) {
  test(`over ${wire.name}`, async (wires) => {
    const account = await openAccount(gateway);
    const prices = await pricesOf(gateway, account.key, wire);
    let total = 0n;
    for (const [face, streamed] of FACES.flatMap((face) => [[face, false], [face, true]])) {
      await wires.test(`${face.name}, ${streamed ? "streamed" : "whole"}`, async () => {
        const asked = { model: wire.model, prompt: PROMPT, limit: LIMIT, streamed };
        const { result: reply, read, made } = await llama.spent(() => ask(gateway, account.key, face, asked));
        total += pico(reply.usage.cost);
        assert.ok(reply.text.length > 0);
        assert.equal(reply.text, await llama.lastText());
        assert.deepEqual({ read: reply.usage.input - reply.usage.cached, made: reply.usage.output }, { read, made });
        assert.equal(pico(reply.usage.cost), costOf(prices, { input: read, cached: reply.usage.cached, output: made }));
        await assertRecorded(account, reply);
      });
    }
    await wires.test("the account has paid for just that", async () => {
      assert.equal((await account.settled()).used, total);
      assert.equal(total > 0n, wire.priced);
    });
  });
}

test("a reply that the model ends itself, and one that the limit ends, say so", async () => {
  const { key } = await openAccount(gateway);
  const [{ model }] = WIRES;
  for (const face of FACES) {
    const cut = await ask(gateway, key, face, { model, prompt: "Count to a hundred.", limit: 3, streamed: true });
    assert.deepEqual([cut.finish, cut.usage.output], [face.lengthFinish, 3], face.name);
    const whole = await ask(gateway, key, face, { model, prompt: "Say hello.", limit: 400, streamed: true });
    assert.notEqual(whole.finish, face.lengthFinish, face.name);
    assert.ok(whole.usage.output < 400);
  }
});

test("requests at once are billed each for its own tokens", async () => {
  const [, { model }] = WIRES;
  const { key } = await openAccount(gateway);
  const prompts = ["Tell me of ships.", "Tell me of the moon.", "Tell me of bread.", "Tell me of rain."];
  const limits = [3, 5, 7, 9];
  const all = () =>
    Promise.all(
      prompts.map((prompt, index) => ask(gateway, key, FACES[0], { model, prompt, limit: limits[index], streamed: true })),
    );
  const { result: replies, read, made } = await llama.spent(all);
  const sum = (part) => replies.reduce((total, { usage }) => total + part(usage), 0);
  assert.equal(sum((usage) => usage.input - usage.cached), read);
  assert.equal(sum((usage) => usage.output), made);
  replies.forEach(({ usage }, index) => assert.ok(usage.output <= limits[index]));
});

async function assertRecorded(account, { id, usage }) {
  await account.settled();
  const { status, json, text } = await generation(gateway, account.key, id);
  assert.equal(status, 200, text);
  const { tokens_prompt, tokens_completion, total_cost } = json.data;
  assert.deepEqual([tokens_prompt, tokens_completion], [usage.input, usage.output]);
  assert.equal(pico(total_cost), pico(usage.cost));
}
