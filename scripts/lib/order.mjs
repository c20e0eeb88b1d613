// Puts each function of a WebAssembly module beside those that are like it. What compresses the module looks 32 kB back,
// so that this alone makes it a twelfth smaller. The functions themselves are not touched: they get
// names that sort into the order wanted, and the optimiser sorts by names.

/** What two functions have in common is counted in pieces of so many bytes. */
const PIECE = 6;
/** How far back a compressor looks, about. */
const WINDOW = 32_000;
/** A piece that is in more functions than this says nothing of them. */
const MOST_FUNCTIONS = 400;
/** A few pieces are soon found anywhere: what a function must have beside them to count as known. */
const SMALL = 30;
const DIGITS = 6;

const [CUSTOM, IMPORTS, CODE] = [0, 2, 10];
const [FUNCTION, TABLE, MEMORY, GLOBAL, TAG] = [0, 1, 2, 3, 4];
const FUNCTION_NAMES = 1;

/** The module with names of functions that begin with their place in that order; what they were called follows. */
export function nameByLikeness(module) {
  const found = readModule(module);
  const places = new Map(orderByLikeness(found.bodies).map((index, place) => [index, place]));
  const placed = found.bodies.map((_, index) => {
    const number = found.imported + index;
    return [number, `${String(places.get(index)).padStart(DIGITS, "0")} ${found.names.get(number) ?? ""}`];
  });
  const names = [...[...found.names].filter(([number]) => number < found.imported), ...placed];
  const entries = names.flatMap(([number, name]) => [unsigned(number), ...text(name)]);
  const functions = Buffer.concat([unsigned(names.length), ...entries]);
  const content = Buffer.concat([...text("name"), unsigned(FUNCTION_NAMES), unsigned(functions.length), functions]);
  return Buffer.concat([...found.kept, unsigned(CUSTOM), unsigned(content.length), content]);
}

/** The lines `number:name` of a module that was named so, with the names as they were before. */
export function withoutPlaces(symbols) {
  return symbols.replaceAll(new RegExp(`^(\\d+:)\\d{${DIGITS}}(?: |\\\\20)`, "gm"), "$1");
}

/** Indices of byte strings: after each the one of which the most is known from those just before. */
export function orderByLikeness(bodies) {
  const pieces = sharedPieces(bodies);
  const known = new Float64Array(bodies.length);
  const left = new Set(bodies.keys());
  const seen = new Map();
  const count = (piece, by) => {
    const times = (seen.get(piece) ?? 0) + by;
    seen.set(piece, times);
    if (times === Math.max(by, 0)) for (const index of pieces.holders.get(piece)) known[index] += by;
  };
  const order = [];
  let [oldest, bytes] = [0, 0];
  while (left.size > 0) {
    const next = order.length === 0 ? largest(bodies) : bestKnown(left, known, pieces.of);
    left.delete(next);
    order.push(next);
    for (const piece of pieces.of[next]) count(piece, 1);
    bytes += bodies[next].length;
    for (; bytes > WINDOW && oldest < order.length - 1; oldest += 1) {
      bytes -= bodies[order[oldest]].length;
      for (const piece of pieces.of[order[oldest]]) count(piece, -1);
    }
  }
  return order;
}

/** What each has in common with some others, and who has it. */
function sharedPieces(bodies) {
  const all = bodies.map(piecesOf);
  const holders = new Map();
  all.forEach((pieces, index) => {
    for (const piece of pieces) {
      const list = holders.get(piece);
      if (list === undefined) holders.set(piece, [index]);
      else if (list.length <= MOST_FUNCTIONS) list.push(index);
    }
  });
  const isShared = (piece) => holders.get(piece).length > 1 && holders.get(piece).length <= MOST_FUNCTIONS;
  return { holders, of: all.map((pieces) => [...pieces].filter(isShared)) };
}

/** The hashes (FNV-1a) of all pieces. */
function piecesOf(body) {
  const pieces = new Set();
  for (let at = 0; at + PIECE <= body.length; at += 1) {
    let hash = 2166136261;
    for (let offset = 0; offset < PIECE; offset += 1) hash = Math.imul(hash ^ body[at + offset], 16777619);
    pieces.add(hash);
  }
  return pieces;
}

function bestKnown(left, known, pieces) {
  let [best, most] = [-1, -1];
  for (const index of left) {
    const share = known[index] / (pieces[index].length + SMALL);
    if (share > most) [best, most] = [index, share];
  }
  return best;
}

function largest(bodies) {
  return bodies.reduce((most, body, index) => (body.length > bodies[most].length ? index : most), 0);
}

/** The bodies of a module's functions, their names by number, how many come from outside, and all sections but the names. */
function readModule(module) {
  const found = { imported: 0, bodies: [], names: new Map(), kept: [module.subarray(0, 8)] };
  const reader = new Reader(module, 8);
  while (!reader.isAtEnd()) {
    const start = reader.at;
    const [kind, section] = [reader.byte(), reader.bytes(reader.unsigned())];
    const inside = new Reader(section, 0);
    if (kind === CUSTOM && inside.text() === "name") {
      found.names = readNames(inside);
      continue;
    }
    found.kept.push(module.subarray(start, reader.at));
    if (kind === IMPORTS) found.imported = countFunctions(inside);
    if (kind === CODE) found.bodies = Array.from({ length: inside.unsigned() }, () => inside.bytes(inside.unsigned()));
  }
  return found;
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

class Reader {
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

function unsigned(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

function text(words) {
  const bytes = Buffer.from(words);
  return [unsigned(bytes.length), bytes];
}
