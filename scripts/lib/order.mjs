// Puts each function of a WebAssembly module beside those that are like it. What compresses the module looks 32 kB back,
// so that this alone makes it a twelfth smaller. The functions themselves are not touched: they get
// names that sort into the order wanted, and the optimiser sorts by names.

import { nameSection, readModule } from "./wasm.mjs";

/** What two functions have in common is counted in pieces of so many bytes. */
const PIECE = 6;
/** How far back a compressor looks, about. */
const WINDOW = 32_000;
/** A piece that is in more functions than this says nothing of them. */
const MOST_FUNCTIONS = 400;
/** A few pieces are soon found anywhere: what a function must have beside them to count as known. */
const SMALL = 30;
const DIGITS = 6;

/** The module with names of functions that begin with their place in that order; what they were called follows. */
export function nameByLikeness(module) {
  const found = readModule(module);
  const places = new Map(orderByLikeness(found.bodies).map((index, place) => [index, place]));
  const placed = found.bodies.map((_, index) => {
    const number = found.imported + index;
    return [number, `${String(places.get(index)).padStart(DIGITS, "0")} ${found.names.get(number) ?? ""}`];
  });
  const names = [...[...found.names].filter(([number]) => number < found.imported), ...placed];
  return Buffer.concat([...found.sections.map(({ bytes }) => bytes), nameSection(names)]);
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
