// What means the same, written the same: modules behave as before, and their bindings find them.

import assert from "node:assert/strict";
import { test } from "node:test";

import binaryen from "binaryen";

import { withoutAlignment, withoutHashes } from "../../scripts/lib/alike.mjs";

const HASH = "b03a0fabb109b1e9";
const OTHER = "c9f4893fc209f768";
const INVOKE = "wasm_bindgen_a26d52cf4970a03___convert__invoke___js_sys_24da5295b5f4642f___Function";

// Reads and writes of all widths, some of them aligned as they need not be, around which numbers go to and fro.
const MODULE = `(module
  (import "./bindings" "__wbg_length_${HASH}" (func $length (result i32)))
  (import "./bindings" "__wbg_length_${OTHER}" (func $other (result i32)))
  (import "./bindings" "__wbg_log" (func $log))
  (import "./bindings" "limit" (global $limit i32))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\01\\02\\03\\04\\05\\06\\07\\08\\09\\0a\\0b\\0c\\0d\\0e\\0f\\10")
  (func $sum (export "sum") (result i64)
    (i64.store offset=24 align=4 (i32.const 0) (i64.load offset=1 align=1 (i32.const 0)))
    (i32.store16 offset=32 (i32.const 0) (i32.load16_u (i32.const 8)))
    (v128.store offset=40 (i32.const 0) (v128.load align=8 (i32.const 0)))
    (v128.store64_lane offset=56 align=2 1 (i32.const 0) (v128.load64_splat align=4 (i32.const 4)))
    (i64.add
      (i64.add (i64.load offset=24 (i32.const 0)) (i64.load8_u offset=33 (i32.const 0)))
      (i64.add (i64.load offset=48 (i32.const 0)) (i64.load offset=56 align=1 (i32.const 0)))))
  (func (export "${INVOKE}") (result i32)
    (call $log)
    (i32.add (global.get $limit) (i32.sub (call $length) (call $other)))))`;

function compiled() {
  const module = binaryen.parseText(MODULE);
  module.setFeatures(binaryen.Features.SIMD128);
  binaryen.setDebugInfo(true);
  const binary = Buffer.from(module.emitBinary());
  module.dispose();
  return binary;
}

const instantiated = (module, bindings) =>
  new WebAssembly.Instance(new WebAssembly.Module(module), { "./bindings": bindings }).exports;

test("no word is left on alignment, and nothing is computed otherwise", () => {
  const binary = compiled();
  const plain = withoutAlignment(binary);
  assert.notDeepEqual(plain, binary);
  const bindings = { [`__wbg_length_${HASH}`]: () => 3, [`__wbg_length_${OTHER}`]: () => 1, __wbg_log() {}, limit: 7 };
  const [before, after] = [binary, plain].map((module) => instantiated(module, bindings).sum());
  assert.equal(after, before);
  const read = binaryen.readBinary(plain);
  const text = read.emitText();
  read.dispose();
  assert.match(text, /i64\.load offset=24 align=1\b/);
  assert.match(text, /v128\.load align=1\b/);
  assert.match(text, /v128\.store64_lane offset=56 align=1\b/);
});

test("names have no hashes, stay apart, and are the same on both sides", () => {
  const bindings = `const imports = { __wbg_length_${HASH}: () => 3, __wbg_length_${OTHER}: () => 1, __wbg_log() {}, limit: 7 };
    const read = (wasm) => wasm.${INVOKE}(); const __wbg_length_2 = 0; return { imports, read };`;
  const short = withoutHashes(compiled(), bindings);
  assert.doesNotMatch(short.bindings, new RegExp(`${HASH}|${OTHER}|24da`));
  assert.doesNotMatch(short.module.toString("latin1"), new RegExp(`_${HASH}|_${OTHER}|24da`));
  const { imports, read } = new Function(short.bindings)();
  assert.deepEqual(Object.keys(imports), ["__wbg_length", "__wbg_length_3", "__wbg_log", "limit"]);
  assert.equal(read(instantiated(short.module, imports)), 9);
});
