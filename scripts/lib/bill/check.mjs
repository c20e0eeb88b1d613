// Adds a bill up again: each receipt from its counts and prices, each statement from its lines, and the
// statements from the receipts. Knows nothing of the gateway's own arithmetic.

import { sum, writeDollars } from "./amount.mjs";

const INPUT = ["input", "cache_read", "cache_write", "cache_write_1h", "input_audio"];
const OUTPUT = ["output", "reasoning", "output_audio", "output_image"];
const KINDS = { grants: "grant", purchases: "purchase", refunds: "refund", codes: "code" };

/**
 * Returns `{differences, summary}`. With `partial`, the exports need not have every charge of the months
 * whose statements there are.
 */
export function checkBill(exports, { partial = false } = {}) {
  const differences = [];
  const say = (where, words) => differences.push(`${where}: ${words}`);
  for (const { where, usd, pico } of exports.flatMap(({ dollars }) => dollars)) {
    if (usd !== pico) say(where, `${writeDollars(usd)} stands beside ${pico} picodollars`);
  }
  const all = exports.flatMap((one) => one.charges);
  for (const charge of all) checkCharge(charge, say);
  const charges = unique(all, say);
  const statements = exports.flatMap((one) => one.statements).sort((one, other) => (one.month < other.month ? -1 : 1));
  for (const statement of statements) checkStatement(statement, say);
  checkOrder(statements, say);
  if (charges.length > 0) for (const statement of statements) compare(statement, charges, partial, say);
  return { differences, summary: summary(charges, statements, differences) };
}

/** Each charge once: pages and formats may overlap, but must not contradict each other. */
function unique(charges, say) {
  const found = new Map();
  for (const charge of charges) {
    const first = found.get(charge.id);
    if (first && (first.amount !== charge.amount || first.at !== charge.at || first.key !== charge.key)) {
      say(charge.where, `${charge.id} is another charge at ${first.where}`);
    }
    // The form that says more is kept.
    if (!first || (!first.receipt && charge.receipt)) found.set(charge.id, charge);
  }
  return [...found.values()];
}

function checkCharge({ where, id, amount, tokens, receipt }, say) {
  if (amount < 0n) say(where, `${id} is a charge below zero`);
  if (!receipt) return;
  const { lines, listCost, basis } = receipt;
  for (const { kind, count, price, cost } of lines) {
    if (cost !== undefined && cost !== count * price) say(where, `${id}: ${count} × ${price} of ${kind} is not ${cost}`);
  }
  const total = sum(lines.map(({ count, price }) => count * price));
  if (total !== listCost) say(where, `${id}: the lines add up to ${total} picodollars, not to ${listCost}`);
  if (receipt.cost !== undefined && receipt.cost !== amount) say(where, `${id}: the receipt is for ${receipt.cost}, the charge is ${amount}`);
  const counted = [INPUT, OUTPUT].map((classes) => sum(lines.filter(({ kind }) => classes.includes(kind)).map(({ count }) => count)));
  for (const [at, name] of ["in", "out"].entries()) {
    if (tokens && tokens[at] !== counted[at]) say(where, `${id}: ${tokens[at]} tokens went ${name}, its lines have ${counted[at]}`);
  }
  const wrong = wrongAmount(basis, amount, total);
  if (wrong) say(where, `${id}: ${wrong}`);
}

/** Why an amount cannot follow from what the lines add up to, if it cannot. */
function wrongAmount(basis, amount, total) {
  switch (basis) {
    case "prices":
      return amount === total ? null : `by its prices it costs ${total} picodollars, ${amount} were charged`;
    case "waived":
      return amount === 0n ? null : `it was waived, and ${amount} picodollars were charged`;
    case "byok_fee":
      // Of what the provider reported, where that is taken for the price.
      return amount <= total * 5n ? null : `the fee of ${amount} picodollars is far beyond the list price of ${total}`;
    case "reported":
      // Beyond this the provider's word is not taken.
      return total <= amount * 5n && amount <= total * 5n ? null : `the provider's ${amount} is far from the list price of ${total}`;
    default:
      return `unknown basis ${JSON.stringify(basis)}`;
  }
}

function checkStatement({ where, month, opening, closing, credits, usage, sums }, say) {
  const credited = sum(credits.map(({ amount }) => amount));
  const charged = sum(usage.map(({ amount }) => amount));
  const expected = opening + credited - charged;
  if (expected !== closing) {
    say(where, `${month}: ${opening} + ${credited} - ${charged} is ${expected} picodollars, the closing balance is ${closing}`);
  }
  if (!sums) return;
  if (sums.charges !== charged) say(where, `${month}: charges of ${sums.charges} picodollars, its lines add up to ${charged}`);
  const fees = sum(usage.map((row) => row.fees));
  if (sums.byok_fees !== fees) say(where, `${month}: fees of ${sums.byok_fees} picodollars, its lines add up to ${fees}`);
  for (const [name, kind] of Object.entries(KINDS)) {
    const listed = sum(credits.filter((credit) => credit.kind === kind).map(({ amount }) => amount));
    const whole = !credits.some((credit) => credit.kind === "others");
    if (whole && sums[name] !== listed) say(where, `${month}: ${name} of ${sums[name]} picodollars, its lines add up to ${listed}`);
  }
}

/** A month begins with what the one before ended with; the same month is the same in every format. */
function checkOrder(statements, say) {
  for (const [at, statement] of statements.entries()) {
    const before = statements[at - 1];
    if (!before) continue;
    if (before.month === statement.month && before.opening !== statement.opening) {
      say(statement.where, `${statement.month} opens with ${statement.opening}, and with ${before.opening} in ${before.where}`);
    }
    if (before.to === statement.from && before.closing !== statement.opening) {
      say(statement.where, `${statement.month} opens with ${statement.opening}, ${before.month} closed with ${before.closing}`);
    }
  }
}

/** What a statement charges for, against the receipts of its time. */
function compare(statement, charges, partial, say) {
  const until = statement.asOf && statement.asOf < statement.to ? statement.asOf : statement.to;
  const within = charges.filter(({ at }) => at >= statement.from && at <= until && at < statement.to);
  const bare = within.filter(({ receipt }) => !receipt);
  const told = group(statement.usage, (row) => [row.requests, row.amount, ...row.tokens]);
  const found = group(
    // What no provider served and cost nothing is in no statement.
    within.filter(({ receipt, provider, amount }) => receipt && (provider !== "" || amount > 0n)),
    ({ amount, receipt: { lines } }) => [1n, amount, count(lines, INPUT), count(lines, OUTPUT)],
  );
  const exact = !partial && bare.length === 0;
  for (const name of new Set([...told.keys(), ...found.keys()])) {
    const [row, receipts] = [told.get(name) ?? [0n, 0n, 0n, 0n], found.get(name) ?? [0n, 0n, 0n, 0n]];
    for (const [at, what] of ["requests", "picodollars", "tokens in", "tokens out"].entries()) {
      const agree = exact ? row[at] === receipts[at] : receipts[at] <= row[at];
      if (!agree) say(statement.where, `${statement.month}, ${name}: ${row[at]} ${what}, the receipts add up to ${receipts[at]}`);
    }
  }
  const [charged, exported] = [statement.usage, within].map((rows) => sum(rows.map(({ amount }) => amount)));
  if (partial ? exported > charged : exported !== charged) {
    say(statement.where, `${statement.month}: ${writeDollars(charged)} were charged, ${within.length} charges in the exports add up to ${writeDollars(exported)}`);
  }
}

const count = (lines, classes) => sum(lines.filter(({ kind }) => classes.includes(kind)).map((line) => line.count));

function group(rows, figures) {
  const groups = new Map();
  for (const row of rows) {
    const name = [row.permaslug || row.model || "unknown model", row.provider || "unknown provider", row.endpoint, row.key.slice(0, 12)].filter(Boolean).join(" ");
    const before = groups.get(name) ?? [0n, 0n, 0n, 0n];
    groups.set(name, figures(row).map((figure, at) => figure + before[at]));
  }
  return groups;
}

function summary(charges, statements, differences) {
  const receipts = charges.filter(({ receipt }) => receipt).length;
  const estimate = `${charges.length} charges of ${writeDollars(sum(charges.map(({ amount }) => amount)))}`;
  const about = `${estimate}, ${receipts} of them with a receipt, ${statements.length} statements`;
  return `${about}: ${differences.length === 0 ? "everything adds up" : `${differences.length} differences`}`;
}
