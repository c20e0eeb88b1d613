// Takes out of the core's functions what they would do only while a panic passes through them: drop what they hold. That
// is a fifteenth of all code, in bodies that are compiled whole, and nothing but memory: the core has no locks, no cells and no
// `Drop` of its own, which a native test makes sure of. A panic there leaks what the functions it leaves had allocated.
// The shell keeps its own: it drops the exchange, gives back what was set aside and answers.

import { OPCODE, Reader, skipInstruction, skipLocals, withBodies } from "./wasm.mjs";

/** What is the core's, or its libraries'. */
const CORE = /^[<&*([ ]*(?:(?:mut|dyn) )*[<&]*(?:millrace|serde|serde_core|serde_json|litemap|regex_lite)::/;
/** Lists being made, of whose parts nobody knows yet. */
const MAKING = /^<*(?:alloc::vec::Vec|core::option::Option|core::iter::adapters)\b/;
/** Guards that put a list in order whose user panics. */
const GUARDED = /::(?:retain|dedup|drain|splice|extract_if)/;
/** What may hold something that is not memory, as its own or among its types. */
const SHELL = /\bmillrace::shell\b|\b(?:futures\w*|js_sys|wasm_bindgen\w*|web_sys)::/;
const HASHES = /\[[0-9a-f]{16}\]/g;

/** Whether a function of this name holds nothing but memory. */
export function holdsOnlyMemory(name) {
  const path = name.replaceAll(HASHES, "");
  return (CORE.test(path) || (MAKING.test(path) && !GUARDED.test(path))) && !SHELL.test(path);
}

/** The module, with its names, without the cleanups of functions that `isPlain` knows by their names. */
export function withoutCleanups(module, isPlain = holdsOnlyMemory) {
  return withBodies(module, (body, name) => (isPlain(name) ? bodyWithoutCleanups(body) : body));
}

/** A `try` that ends in `catch_all`, or hands on to another, becomes a block without it. What catches something stays whole. */
function bodyWithoutCleanups(body) {
  const bytes = Buffer.from(body);
  const reader = new Reader(bytes, 0);
  const open = [];
  const kept = [];
  let [from, cleanup] = [0, undefined];
  const keepTo = (at) => {
    kept.push(bytes.subarray(from, at));
    bytes[open.at(-1)] = OPCODE.block;
  };
  skipLocals(reader);
  while (!reader.isAtEnd()) {
    const at = reader.at;
    const opcode = skipInstruction(reader);
    if (opcode === OPCODE.catch) return body;
    if ([OPCODE.block, OPCODE.loop, OPCODE.if, OPCODE.try].includes(opcode)) open.push(at);
    if (opcode === OPCODE.catchAll && cleanup === undefined) {
      keepTo(at);
      cleanup = open.length;
    }
    if (opcode === OPCODE.delegate) {
      if (cleanup === undefined) {
        keepTo(at);
        kept.push(Buffer.from([OPCODE.end]));
        from = reader.at;
      }
      open.pop();
    }
    if (opcode === OPCODE.end) {
      if (cleanup === open.length) [from, cleanup] = [at, undefined];
      open.pop();
    }
  }
  return Buffer.concat([...kept, bytes.subarray(from)]);
}
