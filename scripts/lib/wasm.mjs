// A WebAssembly module as bytes: its sections, its functions with their names, and where each instruction ends.

export const [CUSTOM, IMPORTS, EXPORTS, CODE] = [0, 2, 7, 10];
const [FUNCTION, TABLE, MEMORY, GLOBAL, TAG] = [0, 1, 2, 3, 4];
const HEADER = 8;
const FUNCTION_NAMES = 1;

/**
 * The bodies of a module's functions, their names by number, how many come from outside, and all sections but the names,
 * each with its kind and its bytes, the header first (without a kind).
 */
export function readModule(module) {
  const found = { imported: 0, bodies: [], names: new Map(), sections: [{ bytes: module.subarray(0, HEADER) }] };
  const reader = new Reader(module, HEADER);
  while (!reader.isAtEnd()) {
    const start = reader.at;
    const [kind, section] = [reader.byte(), reader.bytes(reader.unsigned())];
    const inside = new Reader(section, 0);
    if (kind === CUSTOM && inside.text() === "name") {
      found.names = readNames(inside);
      continue;
    }
    found.sections.push({ kind, bytes: module.subarray(start, reader.at) });
    if (kind === IMPORTS) found.imported = countFunctions(inside);
    if (kind === CODE) found.bodies = Array.from({ length: inside.unsigned() }, () => inside.bytes(inside.unsigned()));
  }
  return found;
}

/** The module, with its names, where each function's body is what `change` makes of it and of the function's name. */
export function withBodies(module, change) {
  const { imported, bodies, names, sections } = readModule(module);
  const changed = bodies.map((body, index) => change(body, names.get(imported + index) ?? ""));
  const code = Buffer.concat([unsigned(changed.length), ...changed.flatMap((body) => [unsigned(body.length), body])]);
  const all = sections.map(({ kind, bytes }) => (kind === CODE ? section(CODE, code) : bytes));
  return Buffer.concat([...all, nameSection([...names])]);
}

/** The module, with its names, where what it imports and exports is called by what `rename` makes of it. */
export function renamed(module, rename) {
  const { names, sections } = readModule(module);
  const all = sections.map(({ kind, bytes }) => {
    if (kind === IMPORTS) return renamedSection(kind, bytes, rename, skipImport);
    if (kind === EXPORTS) return renamedSection(kind, bytes, rename, skipExport);
    return bytes;
  });
  return Buffer.concat([...all, nameSection([...names])]);
}

/** A section of names, each with something behind it; in front of an import is the name of where it comes from. */
function renamedSection(kind, bytes, rename, skip) {
  const whole = new Reader(bytes, 1);
  const reader = new Reader(whole.bytes(whole.unsigned()), 0);
  const count = reader.unsigned();
  const parts = [unsigned(count)];
  for (let left = count; left > 0; left -= 1) {
    if (kind === IMPORTS) parts.push(...text(reader.text()));
    parts.push(...text(rename(reader.text())));
    const start = reader.at;
    skip(reader);
    parts.push(reader.data.subarray(start, reader.at));
  }
  return section(kind, Buffer.concat(parts));
}

function skipImport(reader) {
  skipType(reader, reader.byte());
}

function skipExport(reader) {
  reader.byte();
  reader.unsigned();
}

function readNames(reader) {
  while (!reader.isAtEnd()) {
    const [kind, part] = [reader.byte(), new Reader(reader.bytes(reader.unsigned()), 0)];
    if (kind === FUNCTION_NAMES) return new Map(Array.from({ length: part.unsigned() }, () => [part.unsigned(), part.text()]));
  }
  return new Map();
}

function countFunctions(reader) {
  let functions = 0;
  for (let left = reader.unsigned(); left > 0; left -= 1) {
    reader.text();
    reader.text();
    const kind = reader.byte();
    if (kind === FUNCTION) functions += 1;
    skipType(reader, kind);
  }
  return functions;
}

function skipType(reader, kind) {
  if (kind === TABLE || kind === GLOBAL || kind === TAG) reader.byte();
  if (kind === FUNCTION || kind === TAG) reader.unsigned();
  if (kind === GLOBAL) reader.byte();
  if (kind !== TABLE && kind !== MEMORY) return;
  const hasMost = (reader.unsigned() & 1) === 1;
  reader.unsigned();
  if (hasMost) reader.unsigned();
}

export const OPCODE = { block: 0x02, loop: 0x03, if: 0x04, try: 0x06, catch: 0x07, end: 0x0b, delegate: 0x18, catchAll: 0x19 };

/** What follows an opcode: so many numbers in LEB128, or what a function skips. */
const OPERANDS = new Map([
  ...[0x02, 0x03, 0x04, 0x06, 0x07, 0x08, 0x09, 0x0c, 0x0d, 0x10, 0x12, 0x18].map((opcode) => [opcode, 1]),
  ...[0x11, 0x13].map((opcode) => [opcode, 2]),
  ...[0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2].map((opcode) => [opcode, 1]),
  ...range(0x28, 0x3e).map((opcode) => [opcode, 2]),
  ...[0x00, 0x01, 0x05, 0x0b, 0x0f, 0x19, 0x1a, 0x1b, ...range(0x45, 0xc4), 0xd1].map((opcode) => [opcode, 0]),
  [0x0e, (reader) => skipNumbers(reader, reader.unsigned() + 1)],
  [0x1c, (reader) => reader.bytes(reader.unsigned())],
  [0x43, (reader) => reader.bytes(4)],
  [0x44, (reader) => reader.bytes(8)],
  [0xfc, skipMiscellaneous],
  [0xfd, skipWide],
]);

/** Goes behind one instruction and returns its opcode. */
export function skipInstruction(reader) {
  const opcode = reader.byte();
  const operands = OPERANDS.get(opcode);
  if (operands === undefined) throw new Error(`no instruction is known with the opcode 0x${opcode.toString(16)}`);
  if (typeof operands === "number") skipNumbers(reader, operands);
  else operands(reader);
  return opcode;
}

/** Goes behind what a function declares. */
export function skipLocals(reader) {
  for (let left = reader.unsigned(); left > 0; left -= 1) {
    reader.unsigned();
    reader.byte();
  }
}

/** Conversions that saturate, then memory and tables: initialise and copy name two. */
function skipMiscellaneous(reader) {
  const opcode = reader.unsigned();
  if (opcode > 17) throw new Error(`no instruction is known with the opcode 0xfc ${opcode}`);
  if (opcode > 7) skipNumbers(reader, [8, 10, 12, 14].includes(opcode) ? 2 : 1);
}

/** Wide registers: places in memory, constants and shuffles, lanes. */
function skipWide(reader) {
  const opcode = reader.unsigned();
  const isLaneInMemory = opcode >= 84 && opcode <= 91;
  if (opcode <= 11 || opcode === 92 || opcode === 93 || isLaneInMemory) skipNumbers(reader, 2);
  if (opcode === 12 || opcode === 13) reader.bytes(16);
  if ((opcode >= 21 && opcode <= 34) || isLaneInMemory) reader.byte();
}

function skipNumbers(reader, count) {
  for (let left = count; left > 0; left -= 1) reader.unsigned();
}

function range(first, last) {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

export class Reader {
  constructor(data, at) {
    this.data = data;
    this.at = at;
  }

  isAtEnd() {
    return this.at >= this.data.length;
  }

  byte() {
    return this.data[this.at++];
  }

  /** A number in LEB128. */
  unsigned() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  }

  bytes(length) {
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }

  text() {
    return this.bytes(this.unsigned()).toString();
  }
}

export function unsigned(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function text(words) {
  const bytes = Buffer.from(words);
  return [unsigned(bytes.length), bytes];
}

/** The names of functions as a section: entries of a number and a name. */
export function nameSection(names) {
  const entries = names.flatMap(([number, name]) => [unsigned(number), ...text(name)]);
  const functions = Buffer.concat([unsigned(names.length), ...entries]);
  return section(CUSTOM, Buffer.concat([...text("name"), unsigned(FUNCTION_NAMES), unsigned(functions.length), functions]));
}

export function section(kind, content) {
  return Buffer.concat([unsigned(kind), unsigned(content.length), content]);
}
