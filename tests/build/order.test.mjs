// The order of functions in the wasm: like beside like, nothing lost, and each with its own name.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { nameByLikeness, orderByLikeness, withoutPlaces } from "../../scripts/lib/order.mjs";

/** Bodies of two kinds in turn, each too long for a compressor to see two of its kind at once. */
const LENGTH = 24_000;
const KINDS = [1, 2].map((seed) => Buffer.from(Array.from({ length: LENGTH }, (_, at) => Math.imul(at * at + seed, 2654435761) >>> 24)));
const BODIES = Array.from({ length: 8 }, (_, index) => KINDS[index % 2]);

test("each function has one place, and those that are alike stand together", () => {
  const order = orderByLikeness(BODIES);
  assert.deepEqual([...order].sort(), [...BODIES.keys()]);
  assert.deepEqual(order.map((index) => index % 2), [0, 0, 0, 0, 1, 1, 1, 1]);
  const compressed = (list) => gzipSync(Buffer.concat(list)).length;
  assert.ok(compressed(order.map((index) => BODIES[index])) < compressed(BODIES) / 2);
});

test("no functions are no order", () => {
  assert.deepEqual(orderByLikeness([]), []);
});

// (import "e" "f" (func)) (global (import "e" "g") i32) (import "e" "m" (memory 1 2)), and functions that return 7, 8 and 7.
const MODULE = Buffer.concat([
  Buffer.from([0, 97, 115, 109, 1, 0, 0, 0]),
  section(1, [2, 0x60, 0, 0, 0x60, 0, 1, 0x7f]),
  section(2, [3, 1, 101, 1, 102, 0, 0, 1, 101, 1, 103, 3, 0x7f, 0, 1, 101, 1, 109, 2, 1, 1, 2]),
  section(3, [3, 1, 1, 1]),
  section(7, [1, 1, 97, 0, 2]),
  section(10, [3, ...[7, 8, 7].flatMap((value) => [4, 0, 0x41, value, 0x0b])]),
  section(0, [4, ...Buffer.from("name"), 1, 18, 4, ...["from", "a", "b x", "c"].flatMap((name, at) => [at, name.length, ...Buffer.from(name)])]),
]);

test("a module keeps its functions, and gets names that sort", () => {
  const named = nameByLikeness(MODULE);
  const module = new WebAssembly.Module(named);
  const { exports } = new WebAssembly.Instance(module, { e: { f() {}, g: 0, m: new WebAssembly.Memory({ initial: 1, maximum: 2 }) } });
  assert.equal(exports.a(), 8);
  const [names] = WebAssembly.Module.customSections(module, "name");
  const text = Buffer.from(names).toString();
  assert.deepEqual(["000000 a", "000001 b x", "000002 c", "from"].filter((name) => !text.includes(name)), []);
});

test("names are given back as they were", () => {
  assert.equal(withoutPlaces("0:from\n1:000001 a b\n2:000000\\20c\n"), "0:from\n1:a b\n2:c\n");
});

function section(kind, content) {
  return Buffer.from([kind, content.length, ...content]);
}
