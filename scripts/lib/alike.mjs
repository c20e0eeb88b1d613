// What means the same is written the same, so that it compresses: how memory is said to be aligned, which no engine
// on Cloudflare's machines looks at, and the names by which the module and its bindings know each other.

import { Reader, renamed, skipInstruction, skipLocals, withBodies } from "./wasm.mjs";

const [FIRST_LOAD, LAST_STORE, WIDE] = [0x28, 0x3e, 0xfd];
/** Registers of the wide kind to and from memory: whole, spread, and lanes of them. */
const WIDE_MEMORY = [[0, 11], [84, 93]];
/** What wasm-bindgen makes names unique by. */
const HASH = /_[0-9a-f]{12,16}(?=_|$)/;

/** The module without a word on how what it loads and stores is aligned. To the specification that is a hint, without meaning. */
export function withoutAlignment(module) {
  return withBodies(module, bodyWithoutAlignment);
}

function bodyWithoutAlignment(body) {
  const bytes = Buffer.from(body);
  const reader = new Reader(bytes, 0);
  skipLocals(reader);
  while (!reader.isAtEnd()) {
    const at = reader.at;
    const opcode = skipInstruction(reader);
    if (opcode >= FIRST_LOAD && opcode <= LAST_STORE) bytes[at + 1] = 0;
    if (opcode === WIDE && WIDE_MEMORY.some(([first, last]) => bytes[at + 1] >= first && bytes[at + 1] <= last)) bytes[at + 2] = 0;
  }
  return bytes;
}

/** The module and its bindings, with names for each other that have no hashes: those are what cannot be compressed. */
export function withoutHashes(module, bindings) {
  const taken = new Set(bindings.match(/\w+/g));
  const names = new Map();
  const rename = (name) => {
    if (!HASH.test(name)) return name;
    if (!names.has(name)) names.set(name, free(name.slice(0, name.search(HASH)), taken));
    return names.get(name);
  };
  const short = renamed(module, rename);
  return { module: short, bindings: bindings.replaceAll(/\w+/g, (word) => names.get(word) ?? word) };
}

function free(name, taken) {
  let [found, number] = [name, 1];
  while (taken.has(found)) found = `${name}_${++number}`;
  taken.add(found);
  return found;
}
