// Reads what the gateway exports, in whichever format, into one form: charges and statements with exact
// amounts. Says where each stands, and decides nothing.

import { readDollars, readPico } from "./amount.mjs";
import { readTable } from "./csv.mjs";

const CLASSES = [
  "request", "input", "cache_read", "cache_write", "cache_write_1h", "input_audio",
  "output", "reasoning", "output_audio", "output_image",
];
const SUMS = ["grants", "purchases", "refunds", "codes", "charges", "byok_fees"];

/** Returns `{name, charges, statements, dollars}`; `dollars` are amounts that are told in both units. */
export function readExport(name, text) {
  const read = { name, charges: [], statements: [], dollars: [] };
  if (text.startsWith("id,")) {
    read.charges = readTable(text).map(({ number, cells }) => chargeOfLine(`${name}:${number}`, cells));
    read.dollars = read.charges.map(({ where, amountUsd, amount }) => ({ where, usd: readDollars(amountUsd), pico: amount }));
  } else if (text.startsWith("line,")) {
    read.statements = [statementOfTable(name, readTable(text), read.dollars)];
  } else {
    readJson(name, text, read);
  }
  return read;
}

function readJson(name, text, read) {
  // A number of JSON's is read as its text: as a float it would be rounded.
  for (const [, , usd, pico] of text.matchAll(/"(\w+)"\s*:\s*(-?[\d.]+)\s*,\s*"\1_pico"\s*:\s*"(-?\d+)"/g)) {
    read.dollars.push({ where: name, usd: readDollars(usd), pico: readPico(pico) });
  }
  const whole = parsed(text);
  if (whole?.data?.month) {
    read.statements = [statementOfJson(name, whole.data)];
    return;
  }
  text.split("\n").forEach((line, at) => {
    if (line.trim() === "") return;
    const value = parsed(line);
    if (typeof value?.id !== "string") throw new Error(`line ${at + 1} is neither a charge nor a statement`);
    read.charges.push(chargeOfJson(`${name}:${at + 1}`, value));
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `[tokens in, tokens out]` are what the record says in all; the receipt has them by class. */
function chargeOfLine(where, cells) {
  const lines = CLASSES.filter((kind) => cells[`${kind}_count`] !== "").map((kind) => ({
    kind,
    count: readPico(cells[`${kind}_count`]),
    price: readPico(cells[`${kind}_price_pico`]),
  }));
  return {
    where,
    id: cells.id,
    at: cells.charged_at,
    key: cells.api_key_hash,
    model: cells.model,
    permaslug: cells.model_permaslug,
    provider: cells.provider,
    endpoint: cells.endpoint,
    amount: readPico(cells.amount_pico),
    amountUsd: cells.amount_usd,
    isByok: cells.is_byok === "true",
    tokens: cells.tokens_prompt === "" ? null : [cells.tokens_prompt, cells.tokens_completion].map(readPico),
    receipt: cells.basis === "" ? null : { basis: cells.basis, lines, listCost: readPico(cells.list_cost_pico) },
  };
}

function chargeOfJson(where, value) {
  const { receipt } = value;
  const line = (one) => ({
    kind: one.class, count: BigInt(one.count), price: readPico(one.price_pico), cost: readPico(one.cost_pico),
  });
  return {
    where,
    id: value.id,
    at: value.charged_at,
    key: value.api_key_hash,
    model: value.model ?? "",
    permaslug: receipt?.model_permaslug ?? value.model ?? "",
    provider: value.provider_name ?? "",
    endpoint: receipt?.endpoint ?? "",
    amount: readPico(value.amount_pico),
    isByok: value.is_byok === true,
    tokens: value.tokens_prompt === undefined ? null : [value.tokens_prompt, value.tokens_completion].map(BigInt),
    receipt: receipt
      ? {
          basis: receipt.basis,
          lines: receipt.lines.map(line),
          listCost: readPico(receipt.list_cost_pico),
          cost: readPico(receipt.cost_pico),
        }
      : null,
  };
}

function statementOfJson(where, data) {
  const amount = (object, name) => readPico(object[`${name}_pico`]);
  return {
    where,
    month: data.month,
    from: data.from,
    to: data.to,
    asOf: data.as_of,
    opening: amount(data, "opening_balance"),
    closing: amount(data, "closing_balance"),
    sums: Object.fromEntries(SUMS.map((name) => [name, amount(data, name)])),
    credits: data.credits.map((credit) => ({ kind: credit.kind, id: credit.id, amount: amount(credit, "amount") })),
    usage: data.usage.map((row) => ({
      model: row.model,
      permaslug: row.model_permaslug,
      provider: row.provider_name,
      endpoint: row.endpoint,
      key: row.api_key_hash,
      requests: BigInt(row.requests),
      tokens: [row.prompt_tokens, row.completion_tokens].map(BigInt),
      amount: amount(row, "amount"),
      fees: amount(row, "byok_fees"),
    })),
  };
}

function statementOfTable(where, lines, dollars) {
  const rows = lines.map(({ number, cells }) => {
    const amount = readPico(cells.amount_pico);
    dollars.push({ where: `${where}:${number}`, usd: readDollars(cells.amount_usd), pico: amount });
    return { ...cells, amount };
  });
  const balance = (name) => {
    const found = rows.filter(({ line }) => line === name);
    if (found.length !== 1) throw new Error(`a statement has one line "${name}", not ${found.length}`);
    return found[0];
  };
  const [opening, closing] = [balance("opening_balance"), balance("closing_balance")];
  return {
    where,
    month: opening.at.slice(0, 7),
    from: opening.at,
    to: closing.at,
    asOf: null,
    opening: opening.amount,
    closing: closing.amount,
    sums: null,
    credits: rows
      .filter(({ line }) => !["opening_balance", "closing_balance", "charge"].includes(line))
      .map(({ line, id, amount }) => ({ kind: line, id, amount })),
    usage: rows
      .filter(({ line }) => line === "charge")
      .map((row) => ({
        model: row.model,
        permaslug: row.model_permaslug,
        provider: row.provider,
        endpoint: row.endpoint,
        key: row.api_key_hash,
        requests: readPico(row.requests),
        tokens: [row.prompt_tokens, row.completion_tokens].map(readPico),
        amount: -row.amount,
      })),
  };
}
