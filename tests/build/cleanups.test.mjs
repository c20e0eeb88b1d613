// What functions do while a panic passes through them, taken out of those that hold nothing but memory.

import assert from "node:assert/strict";
import { test } from "node:test";

import binaryen from "binaryen";

import { holdsOnlyMemory, withoutCleanups } from "../../scripts/lib/cleanups.mjs";

// Each function calls what may throw, cleans up by counting and lets it pass; but for `$catches`, which answers -1.
const MODULE = `(module
  (import "e" "throws" (func $throws (param i32)))
  (tag $panic)
  (global $cleanups (export "cleanups") (mut i32) (i32.const 0))
  (func $clean (global.set $cleanups (i32.add (global.get $cleanups) (i32.const 1))))
  (func $plain (export "plain") (param i32) (result i32)
    (local f64 f64)
    (try
      (do (try (do (call $throws (local.get 0))) (delegate 0)))
      (catch_all (try (do (call $clean)) (catch_all (call $clean))) (rethrow 0)))
    (drop (f64.const 2.5))
    (drop (i64.const -9007199254740993))
    (drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 25 (v128.const i32x4 1 2 3 4) (v128.const i32x4 5 6 7 8)))
    (block (block (br_table 0 1 0 (local.get 0))))
    (try (do (call $throws (local.get 0))) (catch_all (call $clean) (rethrow 0)))
    (i32.const 7))
  (func $cleans (export "cleans") (param i32) (result i32)
    (try (do (call $throws (local.get 0))) (catch_all (call $clean) (rethrow 0)))
    (i32.const 8))
  (func $catches (export "catches") (param i32) (result i32)
    (try (result i32)
      (do (call $throws (local.get 0)) (i32.const 9))
      (catch $panic (i32.const -2))
      (catch_all (call $clean) (i32.const -1)))))`;

function compiled() {
  const module = binaryen.parseText(MODULE);
  module.setFeatures(binaryen.Features.All);
  binaryen.setDebugInfo(true);
  const binary = Buffer.from(module.emitBinary());
  module.dispose();
  return binary;
}

function instantiated(module) {
  const throws = (whether) => {
    if (whether !== 0) throw new Error("thrown");
  };
  return new WebAssembly.Instance(new WebAssembly.Module(module), { e: { throws } }).exports;
}

test("a function without its cleanup lets pass what is thrown", () => {
  const binary = compiled();
  const { plain, cleanups } = instantiated(binary);
  assert.equal(plain(0), 7);
  assert.throws(() => plain(1), /thrown/);
  assert.equal(cleanups.value, 1);
  const after = withoutCleanups(binary, (name) => name === "plain" || name === "catches");
  assert.ok(after.length < binary.length);
  const kept = instantiated(after);
  assert.equal(kept.plain(0), 7);
  assert.throws(() => kept.plain(1), /thrown/);
  assert.equal(kept.cleanups.value, 0, "nothing was cleaned up");
  assert.throws(() => kept.cleans(1), /thrown/);
  assert.equal(kept.cleanups.value, 1, "the others clean up");
  assert.equal(kept.catches(1), -1, "what catches goes on to catch");
});

test("where no function is plain the module does what it did", () => {
  const exports = instantiated(withoutCleanups(compiled(), () => false));
  assert.throws(() => exports.plain(1), /thrown/);
  assert.equal(exports.cleanups.value, 1);
});

test("the core's functions are known by their names, and the shell's", () => {
  const hash = "[0123456789abcdef]";
  for (const [name, expected] of [
    [`millrace${hash}::json::members`, true],
    [`<millrace${hash}::exchange::Exchange>::feed`, true],
    [`<&mut millrace${hash}::json::read::Open as serde_core${hash}::de::MapAccess>::next_key_seed`, true],
    [`serde_json${hash}::de::from_str::<f64>`, true],
    [`<alloc${hash}::vec::Vec<u8> as alloc${hash}::vec::spec_from_iter_nested::SpecFromIterNested<u8, _>>::from_iter`, true],
    [`<alloc${hash}::vec::Vec<_>>::retain::<millrace${hash}::health::store::{closure#0}>`, false],
    [`core${hash}::slice::sort::stable::merge::<millrace${hash}::routing::Entry>`, false],
    [`millrace${hash}::shell::handle::{closure#0}`, false],
    [`<millrace${hash}::account::Account<millrace${hash}::shell::account_object::Storage>>::execute`, false],
    [`<millrace${hash}::json::Form>::fill::<wasm_bindgen${hash}::JsValue>`, false],
    [`std${hash}::panicking::catch_unwind::<millrace${hash}::json::Form>`, false],
    ["", false],
  ]) {
    assert.equal(holdsOnlyMemory(name), expected, name);
  }
});
