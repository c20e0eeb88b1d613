// The built worker stays small: Cloudflare's free plan takes 3 MB compressed, a cold start loads all of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { root } from "../../scripts/lib/process.mjs";

const MOST_COMPRESSED = 1_000_000;
const MOST = 3_000_000;

test("the wasm with the whole catalog, and its entry module, are within their bounds", () => {
  const [wasm, entry] = ["millrace_bg.wasm", "index.js"].map((name) => readFileSync(join(root, "build", name)));
  assert.ok(WebAssembly.validate(wasm), "it is WebAssembly");
  const compressed = [wasm, entry].map((bytes) => gzipSync(bytes, { level: 9 }).length);
  assert.ok(compressed[0] + compressed[1] <= MOST_COMPRESSED, `${compressed.join(" and ")} bytes compressed`);
  assert.ok(wasm.length <= MOST, `${wasm.length} bytes`);
});
