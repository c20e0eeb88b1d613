// Embeddings of a real model: the same vectors in both encodings, billed by the tokens read.

import assert from "node:assert/strict";
import { test } from "node:test";

import { call, generation, openAccount } from "../worker/harness.mjs";
import { startLlama } from "./llama.mjs";
import { WIRES, startOver } from "./wires.mjs";

const SUITE = "live-embeddings";
const [{ model }] = WIRES;
const DIMENSIONS = 576;
const INPUT = ["the mill turns", "the river runs", "the mill turns"];

const llama = await startLlama({ suite: SUITE, options: ["--embeddings", "--pooling", "mean"] });
const gateway = await startOver(llama, SUITE);
const account = await openAccount(gateway);

test("as numbers: one vector for each input, of length one, alike for alike inputs", async () => {
  const { data } = await embed({ input: INPUT, encoding_format: "float" });
  assert.deepEqual(data.map(({ index }) => index), [0, 1, 2]);
  for (const { embedding } of data) {
    assert.equal(embedding.length, DIMENSIONS);
    assert.ok(Math.abs(dot(embedding, embedding) - 1) < 1e-3);
  }
  const [first, second, third] = data.map(({ embedding }) => embedding);
  assert.ok(dot(first, third) > 0.999);
  assert.ok(dot(first, second) < 0.999);
});

test("as base64, the SDKs' default: the same numbers", async () => {
  const floats = await embed({ input: INPUT[0], encoding_format: "float" });
  const packed = await embed({ input: INPUT[0], encoding_format: "base64" });
  const bytes = Buffer.from(packed.data[0].embedding, "base64");
  assert.equal(bytes.length, 4 * DIMENSIONS);
  const numbers = Array.from({ length: DIMENSIONS }, (_, index) => bytes.readFloatLE(4 * index));
  assert.ok(dot(numbers, floats.data[0].embedding) > 0.999);
});

test("the bill has the tokens that the server counted", async () => {
  const { result, read } = await llama.spent(() => embed({ input: INPUT }));
  assert.ok(read > 0);
  assert.equal(result.usage.prompt_tokens, read);
  await account.settled();
  const { json } = await generation(gateway, account.key, result.id);
  assert.equal(json.data.tokens_prompt, read);
});

async function embed(body) {
  const path = "/api/v1/embeddings";
  const { status, json, text, headers } = await call(gateway, "POST", path, { key: account.key, body: { model, ...body } });
  assert.equal(status, 200, text);
  return { ...json, id: headers.get("x-generation-id") };
}

function dot(one, other) {
  return one.reduce((sum, number, index) => sum + number * other[index], 0);
}
