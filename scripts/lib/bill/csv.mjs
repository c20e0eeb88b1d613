// Reads tables as RFC 4180 has them.

/** The lines of a table as objects by the names of its first line, each with its number. */
export function readTable(text) {
  const [names, ...lines] = readLines(text);
  if (!names) throw new Error("the table is empty");
  const isHeader = ({ cells }) => cells.length === names.cells.length && cells.every((cell, at) => cell === names.cells[at]);
  return lines
    .filter((line) => !isHeader(line)) // Pages that were put together each have one.
    .map(({ number, cells }) => {
      if (cells.length !== names.cells.length) throw new Error(`line ${number} has ${cells.length} cells, not ${names.cells.length}`);
      return { number, cells: Object.fromEntries(names.cells.map((name, at) => [name, unguarded(cells[at])])) };
    });
}

/** The text in front of which an apostrophe keeps a spreadsheet from taking it for a formula. */
function unguarded(text) {
  return /^'[=+\-@\t\r\n]/.test(text) ? text.slice(1) : text;
}

function readLines(text) {
  const lines = [];
  let cells = [];
  let number = 1;
  let line = 1;
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  while (cell.lastIndex < text.length || cells.length > 0) {
    const match = cell.exec(text);
    if (!match) throw new Error(`line ${number} is not a line of a table`);
    const [whole, quoted, plain, end] = match;
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += whole.split("\n").length - 1;
    if (end !== ",") {
      if (cells.length > 1 || cells[0] !== "") lines.push({ number, cells });
      cells = [];
      number = line;
      if (end === "") break;
    }
  }
  return lines;
}
