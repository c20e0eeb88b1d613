// Names for the numbers that functions have in a stack trace.

/** A frame, which begins a line, or what stands for one in a log that is JSON. */
const FRAME = /(^|\n|\\n)(\s*at )(?:(?!\\n).)*?wasm-function\[(\d+)\](?::0x[0-9a-f]+)?\)?/g;
const NUMBER = /wasm-function\[(\d+)\]/g;
/** What leads from any panic to the log. */
const OF_ANY_PANIC = /\bpanicking::|\brust_begin_unwind\b|__rust_end_short_backtrace|\bshell::instance::/;
const HASHES = /\[[0-9a-f]{12,16}\]/g;

/** Functions' names by their numbers, of a text with lines `number:name`. */
export function readSymbols(text) {
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).replaceAll(HASHES, "")]));
}

/** The text with names where a trace has numbers, without the frames that any panic has. */
export function withNames(text, symbols) {
  const named = text.replaceAll(FRAME, (frame, end, at, number) => {
    const name = symbols.get(number);
    if (name === undefined) return frame;
    return OF_ANY_PANIC.test(name) ? "" : `${end}${at}${name}`;
  });
  return named.replaceAll(NUMBER, (whole, number) => symbols.get(number) ?? whole);
}
