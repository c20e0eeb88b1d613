// The built worker stays small: Cloudflare's free plan takes 3 MB compressed, a cold start loads all of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { root } from "../../scripts/lib/process.mjs";

const MOST_COMPRESSED = 1_035_000;
const MOST = 3_090_000;

test("the wasm with the whole catalog is within its bounds", () => {
  const wasm = readFileSync(join(root, "build", "millrace_bg.wasm"));
  assert.ok(WebAssembly.validate(wasm), "it is WebAssembly");
  const compressed = gzipSync(wasm, { level: 9 }).length;
  assert.ok(compressed <= MOST_COMPRESSED, `${compressed} bytes compressed`);
  assert.ok(wasm.length <= MOST, `${wasm.length} bytes`);
});
