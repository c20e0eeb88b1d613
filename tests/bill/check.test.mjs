// The tool that recomputes bills: what adds up passes, and no figure can be changed unnoticed.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { readDollars, writeDollars } from "../../scripts/lib/bill/amount.mjs";
import { checkBill } from "../../scripts/lib/bill/check.mjs";
import { readTable } from "../../scripts/lib/bill/csv.mjs";
import { chargesIn } from "../../scripts/lib/bill/lines.mjs";
import { readExport } from "../../scripts/lib/bill/read.mjs";

const KEY = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const CHARGES = [
  charge("gen-1-a", "2026-11-05T10:00:00.000Z", [["input", 100, 2500], ["output", 20, 10000]]),
  charge("gen-1-b", "2026-11-06T10:00:00.000Z", [["input", 7, 2500], ["cache_read", 1000, 1250], ["reasoning", 3, 10000]]),
  charge("gen-1-c", "2026-11-30T23:59:59.999Z", [["request", 1, 12000000], ["output", 1, 10000]]),
];
const STATEMENT = statement("2026-11", 0n, 10_000_000_000n, CHARGES);
const NEXT = statement("2026-12", STATEMENT.closing, 0n, []);

const jsonl = (charges = CHARGES) => charges.map(({ text }) => `${text}\n`).join("");
const check = (files, options) => checkBill(Object.entries(files).map(([name, text]) => readExport(name, text)), options);
const files = () => ({ "charges.jsonl": jsonl(), "november.json": STATEMENT.text, "december.json": NEXT.text });

test("what adds up passes, whatever the order and the format", () => {
  const { differences, summary } = check(files());
  assert.deepEqual(differences, []);
  assert.equal(summary, "3 charges of $0.0000137575, 3 of them with a receipt, 2 statements: everything adds up");
  for (const names of [["december.json"], ["charges.jsonl"], ["december.json", "charges.jsonl", "november.json"]]) {
    assert.deepEqual(check(Object.fromEntries(names.map((name) => [name, files()[name]]))).differences, []);
  }
  assert.deepEqual(check({ "november.csv": STATEMENT.csv, "charges.csv": table(CHARGES), "again.jsonl": jsonl() }).differences, []);
});

test("no figure can be changed unnoticed", () => {
  const all = { ...files(), "november.csv": STATEMENT.csv, "charges.csv": table(CHARGES) };
  const figures = [/_pico":"-?\d*(\d)"/g, /"(?:amount|\w+_balance|charges)":\d*(\d),/g, /"count":\d*(\d)/g, /"(?:requests|prompt_tokens|completion_tokens)":\d*(\d)/g, /tokens_(?:prompt|completion)":\d*(\d)/g];
  let changes = 0;
  for (const [name, text] of Object.entries(files())) {
    for (const match of figures.flatMap((figure) => [...text.matchAll(figure)])) {
      const at = match.index + match[0].lastIndexOf(match[1]);
      const tampered = text.slice(0, at) + ((Number(text[at]) + 1) % 10) + text.slice(at + 1);
      assert.notDeepEqual(check({ ...files(), [name]: tampered }).differences, [], `${name}: ${match[0]}`);
      changes += 1;
    }
  }
  for (const name of ["november.csv", "charges.csv"]) {
    const cells = [...all[name].matchAll(/,(-?[\d.]+)(?=[,\r])/g)].filter(([, cell]) => cell !== "0");
    for (const match of cells) {
      const at = match.index + match[0].length - 1;
      const tampered = all[name].slice(0, at) + ((Number(all[name][at]) + 1) % 10) + all[name].slice(at + 1);
      if (/^(1970|2026)/.test(match[1])) continue;
      assert.notDeepEqual(check({ ...files(), [name]: tampered }).differences, [], `${name}: ${match[0]}`);
      changes += 1;
    }
  }
  assert.ok(changes > 90, `${changes} changes`);
});

test("it says what differs, and where", () => {
  const [first, second, third] = CHARGES;
  const text = (from, to) => ({ ...files(), "charges.jsonl": jsonl().replace(from, to) });
  for (const [given, words] of [
    [text('"count":100', '"count":101'), /charges\.jsonl:1: gen-1-a: 101 × 2500 of input is not 250000/],
    [text('"basis":"prices"', '"basis":"waived"'), /gen-1-a: it was waived, and 450000 picodollars were charged/],
    [text('"basis":"prices"', '"basis":"gift"'), /unknown basis "gift"/],
    [text('"amount":0.00000045,', '"amount":0.00000044,'), /\$0\.00000044 stands beside 450000 picodollars/],
    [text('"tokens_prompt":100', '"tokens_prompt":99'), /gen-1-a: 99 tokens went in, its lines have 100/],
    [{ ...files(), "charges.jsonl": jsonl([first, second]) }, /2026-11: \$0\.0000137575 were charged, 2 charges in the exports add up to/],
    [{ ...files(), "more.jsonl": jsonl([charge("gen-1-a", first.at, [["input", 1, 1]])]) }, /more\.jsonl:1: gen-1-a is another charge at charges\.jsonl:1/],
    [{ ...files(), "more.jsonl": jsonl([charge("gen-1-d", third.at, [["input", 1, 1]])]) }, /the receipts add up to/],
    [{ "a.json": STATEMENT.text, "b.json": statement("2026-12", 5n, 0n, []).text }, /2026-12 opens with 5, 2026-11 closed with/],
  ]) {
    assert.match(check(given).differences.join("\n"), words);
  }
});

test("a part of the charges is enough if that is said", () => {
  const part = { "november.json": STATEMENT.text, "charges.jsonl": jsonl(CHARGES.slice(1)) };
  assert.equal(check(part).differences.length > 0, true);
  assert.deepEqual(check(part, { partial: true }).differences, []);
  const more = { ...part, "charges.jsonl": jsonl([charge("gen-1-z", CHARGES[0].at, [["input", 10 ** 9, 10 ** 6]])]) };
  assert.notDeepEqual(check(more, { partial: true }).differences, []);
});

test("charges whose records are no longer kept still add up", () => {
  const bare = CHARGES.map(({ id, at, amount, text }, index) => (index > 0 ? { text } : { text: `{"id":"${id}","charged_at":"${at}","api_key_hash":"${KEY}",${money("amount", amount)},"receipt":null}` }));
  assert.deepEqual(check({ ...files(), "charges.jsonl": jsonl(bare) }).differences, []);
  assert.notDeepEqual(check({ ...files(), "charges.jsonl": jsonl(bare.slice(1)) }).differences, []);
});

test("tables are read as they were meant", () => {
  const rows = readTable('a,b\r\n"x,""y""\r\nz",\'=1+1\r\na,b\r\n\'plain,\r\n');
  assert.deepEqual(rows.map(({ cells }) => cells), [{ a: 'x,"y"\r\nz', b: "=1+1" }, { a: "'plain", b: "" }]);
  assert.equal(rows[1].number, 5);
  for (const text of ["a,b\r\nx\r\n", 'a,b\r\n"x,y\r\n', ""]) assert.throws(() => readTable(text));
  for (const text of ["1e5", "0.0000000000001", "--1", "", "1,5"]) assert.throws(() => readDollars(text), text);
  assert.equal(writeDollars(readDollars("-12.500000000001")), "-$12.500000000001");
});

test("the program's exit code says whether it adds up", () => {
  const folder = mkdtempSync(join(tmpdir(), "bill-"));
  const script = fileURLToPath(new URL("../../scripts/bill_check.mjs", import.meta.url));
  const run = (...args) => spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
  try {
    const [good, bad, broken] = ["good.json", "bad.json", "broken.json"].map((name) => join(folder, name));
    writeFileSync(good, STATEMENT.text);
    writeFileSync(bad, STATEMENT.text.replace('"closing_balance":', '"closing_balance":1'));
    writeFileSync(broken, "{}");
    assert.deepEqual([run(good).status, run(good, bad).status, run(broken).status, run().status], [0, 1, 1, 1]);
    assert.match(run(good).stdout, /everything adds up/);
    assert.match(run(bad).stdout, /bad\.json: \$/);
    assert.match(run().stderr, /Usage/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("charges are found in a log however it was kept", () => {
  const line = (id, more = {}) => JSON.stringify({ event: "exchange", generation: id, account: "a", cost_usd: "0.01", ...more });
  const tail = (key, message, texts) => JSON.stringify({ [key]: [{ [message]: texts }, { [message]: ["plain text"] }] });
  const log = [
    line("bare"),
    `stdout: ${line("in text")}`,
    tail("logs", "message", [line("tail")]),
    tail("Logs", "Message", [line("push"), line("push too")]),
    line("kept", { event: "unsettled" }),
    line("free", { cost_usd: "0" }),
    line("other", { event: "request" }),
    '{"event":"exchange","generation":"cut',
    "",
  ];
  const found = [...chargesIn(log.join("\n"))].map(({ generation }) => generation);
  assert.deepEqual(found, ["bare", "in text", "tail", "push", "push too", "kept"]);
});

function money(name, pico) {
  return `"${name}":${writeDollars(pico).replace("$", "")},"${name}_pico":"${pico}"`;
}

function charge(id, at, lines) {
  const priced = lines.map(([kind, count, price]) => ({ kind, count: BigInt(count), price: BigInt(price) }));
  const amount = priced.reduce((total, { count, price }) => total + count * price, 0n);
  const counted = (...kinds) => priced.filter(({ kind }) => kinds.includes(kind)).reduce((total, { count }) => total + count, 0n);
  const tokens = [counted("input", "cache_read"), counted("output", "reasoning")];
  const line = ({ kind, count, price }) => `{"class":"${kind}","count":${count},"price_pico":"${price}","cost_pico":"${count * price}"}`;
  const receipt = `{"basis":"prices","model_permaslug":"a/b-1","endpoint":"acme","lines":[${priced.map(line)}],${money("list_cost", amount)},"cost_pico":"${amount}"}`;
  const text = `{"id":"${id}","charged_at":"${at}","api_key_hash":"${KEY}",${money("amount", amount)},"model":"a/b","provider_name":"Acme","tokens_prompt":${tokens[0]},"tokens_completion":${tokens[1]},"is_byok":false,"receipt":${receipt}}`;
  return { id, at, amount, tokens, priced, text };
}

/** A month with one grant. */
function statement(month, opening, grant, charges) {
  const charged = charges.reduce((total, { amount }) => total + amount, 0n);
  const tokens = [0, 1].map((at) => charges.reduce((total, one) => total + one.tokens[at], 0n));
  const closing = opening + grant - charged;
  const [year, number] = month.split("-").map(Number);
  const [from, to] = [new Date(Date.UTC(year, number - 1)), new Date(Date.UTC(year, number))].map((date) => date.toISOString());
  const sums = [money("opening_balance", opening), money("grants", grant), ...["purchases", "refunds", "codes"].map((name) => money(name, 0n)), money("charges", charged), money("closing_balance", closing), money("byok_fees", 0n)];
  const names = `"model":"a/b","model_permaslug":"a/b-1","provider_name":"Acme","endpoint":"acme","api_key_hash":"${KEY}"`;
  const usage = charges.length > 0 ? `{${names},"requests":${charges.length},"prompt_tokens":${tokens[0]},"completion_tokens":${tokens[1]},${money("amount", charged)},${money("byok_fees", 0n)}}` : "";
  const credits = grant > 0n ? `{"kind":"grant","id":"g","at":"${from}",${money("amount", grant)},"reason":""}` : "";
  const text = `{"data":{"month":"${month}","from":"${from}","to":"${to}","as_of":"${to}",${sums.join(",")},"credits":[${credits}],"usage":[${usage}]}}`;
  const line = (cells) => `${[...cells.slice(0, -1), writeDollars(cells.at(-1)).replace("$", ""), cells.at(-1), ""].join(",")}\r\n`;
  const blank = Array(11).fill("");
  const csv =
    "line,id,at,model,model_permaslug,provider,endpoint,api_key_hash,workspace_id,requests,prompt_tokens,cached_tokens,completion_tokens,reasoning_tokens,amount_usd,amount_pico,note\r\n" +
    line(["opening_balance", "", from, ...blank, opening]) +
    line(["grant", "g", from, ...blank, grant]) +
    line(["charge", "", "", "a/b", "a/b-1", "Acme", "acme", KEY, "w", charges.length, tokens[0], 0, tokens[1], 0, -charged]) +
    line(["closing_balance", "", to, ...blank, closing]);
  return { text, csv, closing };
}

/** The charges as a table. */
function table(charges) {
  const kinds = ["request", "input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output", "reasoning", "output_audio", "output_image"];
  const head = ["id", "charged_at", "api_key_hash", "model", "model_permaslug", "provider", "endpoint", "is_byok", "tokens_prompt", "tokens_completion"];
  const columns = [...head, ...kinds.flatMap((kind) => [`${kind}_count`, `${kind}_price_pico`]), "basis", "list_cost_pico", "amount_usd", "amount_pico"];
  const row = ({ id, at, amount, tokens, priced }) => {
    const cells = kinds.flatMap((kind) => {
      const line = priced.find((one) => one.kind === kind);
      return line ? [line.count, line.price] : ["", ""];
    });
    return [id, at, KEY, "a/b", "a/b-1", "Acme", "acme", "false", ...tokens, ...cells, "prices", amount, writeDollars(amount).replace("$", ""), amount];
  };
  return [columns, ...charges.map(row)].map((cells) => `${cells.join(",")}\r\n`).join("");
}
