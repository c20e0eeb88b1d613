// Numbers in a trace become names, whichever way the trace was written down.

import assert from "node:assert/strict";
import { test } from "node:test";

import { readSymbols, withNames } from "../../scripts/lib/symbols.mjs";

const SYMBOLS = readSymbols(`7:millrace[9228c68c9a645c23]::shell::instance::start::{closure#0}
8:core[5e1e7915bf905eea]::panicking::panic_fmt
9:<millrace[9228c68c9a645c23]::shell::driver::Driver>::run::{closure#0}
10:millrace[9228c68c9a645c23]::shell::handle::{closure#0}
`);
const [DRIVER, HANDLE] = ["<millrace::shell::driver::Driver>::run::{closure#0}", "millrace::shell::handle::{closure#0}"];
const frames = (numbers) => numbers.map((number) => `    at wasm://wasm/014735e6:wasm-function[${number}]:0x2b3dfa`);
const TRACE = ["Error: panicked: why", "    at panics (file:///index.js:7:1)", ...frames([7, 8, 9, 10]), "    at turn (file:///index.js:8:5205)"];
const NAMED = [...TRACE.slice(0, 2), `    at ${DRIVER}`, `    at ${HANDLE}`, TRACE.at(-1)];

const ROWS = [
  ["a trace", TRACE.join("\n"), NAMED.join("\n")],
  ["a trace in JSON", JSON.stringify({ message: TRACE.join("\n") }), JSON.stringify({ message: NAMED.join("\n") })],
  ["a frame with a name", "  at a b (wasm://wasm/a-1:wasm-function[9]:0x1f)\n", `  at ${DRIVER}\n`],
  ["a number alone", "in wasm-function[10], perhaps", `in ${HANDLE}, perhaps`],
  ["a number of another build", "  at wasm://wasm/1:wasm-function[4711]:0x1f", "  at wasm://wasm/1:wasm-function[4711]:0x1f"],
  ["a line without a trace", '{"event":"request"}\n', '{"event":"request"}\n'],
];

for (const [name, text, named] of ROWS) {
  test(name, () => assert.equal(withNames(text, SYMBOLS), named));
}
