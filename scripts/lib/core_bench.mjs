// Measures benches/core: builds it as WebAssembly, puts a counter of instructions into it, and runs
// each case. The figures follow from the code and its compiler alone, not from the machine.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { CODE, SIMD } from "./build.mjs";
import { outputOf, root, run } from "./process.mjs";

const TARGET = "wasm32-unknown-unknown";
const BENCH = join(root, "benches", "core");
const METER = join(root, "tools", "meter");
const BASELINE = join(root, "benches", "core.json");
/** How much more than its baseline a case may take. */
const TOLERANCE = 1.05;

/** Builds and runs all cases: `{ compiler, cases: [{ name, unit, instructions, allocations }] }`, both for one unit. */
export async function measureCore(rust) {
  // Flags for a crate are unstable in a stable compiler.
  const env = { ...rust.env, RUSTC_BOOTSTRAP: "1" };
  const targetOf = (folder) => env.CARGO_TARGET_DIR ?? join(folder, "target");
  const cargo = (env, ...argumentList) => run(join(rust.bin, "cargo"), argumentList, { env, advice: "benches/core does not compile: see above." });
  const flags = ["millrace", "millrace-bench-core"].map((name) => `profile.release.package.${name}.rustflags=${JSON.stringify(CODE)}`);
  const asTheGateway = ["-Z", "profile-rustflags", ...flags.flatMap((setting) => ["--config", setting])];
  await cargo({ ...env, RUSTFLAGS: SIMD }, "build", "--locked", "--release", ...asTheGateway, "--target", TARGET, "--manifest-path", join(BENCH, "Cargo.toml"));
  await cargo(env, "build", "--locked", "--manifest-path", join(METER, "Cargo.toml"));
  const module = join(targetOf(BENCH), TARGET, "release", "millrace_bench_core.wasm");
  const metered = join(targetOf(METER), "millrace_bench_core.metered.wasm");
  await run(join(targetOf(METER), "debug", "millrace-meter"), [module, metered]);
  const compiler = outputOf(join(rust.bin, "rustc"), ["--version"], { env: rust.env })?.trim() ?? "unknown";
  return { compiler, cases: runCases(new WebAssembly.Module(readFileSync(metered))) };
}

function runCases(module) {
  const cases = [];
  for (let number = 0; ; number += 1) {
    // A fresh instance for each case: none sees what another left behind.
    const { exports } = new WebAssembly.Instance(module, {});
    const units = exports.prepare(number);
    if (units === 0) return cases;
    const text = (place) => Buffer.from(exports.memory.buffer, Number(place >> 32n), Number(place & 0xffff_ffffn)).toString();
    const before = exports.instructions.value;
    const allocations = Number(exports.run()) / units;
    const instructions = Number(exports.instructions.value - before) / units;
    cases.push({ name: text(exports.name(number)), unit: text(exports.unit(number)), instructions: Math.round(instructions), allocations: Math.round(allocations * 100) / 100 });
  }
}

export function readBaseline() {
  return JSON.parse(readFileSync(BASELINE, "utf8"));
}

export function writeBaseline(measured) {
  const rows = measured.cases.map((row) => `    ${JSON.stringify(row)}`).join(",\n");
  writeFileSync(BASELINE, `{\n  "compiler": ${JSON.stringify(measured.compiler)},\n  "cases": [\n${rows}\n  ]\n}\n`);
}

/** What a measurement takes more than its baseline, a sentence each. */
export function excesses(measured, baseline) {
  const known = new Map(baseline.cases.map((row) => [row.name, row]));
  const missing = baseline.cases.filter(({ name }) => !measured.cases.some((row) => row.name === name));
  return [
    ...missing.map(({ name }) => `"${name}" is no longer measured`),
    ...measured.cases.flatMap((row) => excessesOf(row, known.get(row.name))),
  ];
}

function excessesOf(row, known) {
  if (known === undefined) return [`"${row.name}" has no baseline`];
  const sentence = (what) => `"${row.name}": ${row[what]} ${what} a ${row.unit}, ${known[what]} before`;
  return ["instructions", "allocations"].filter((what) => row[what] > known[what] * TOLERANCE).map(sentence);
}

/** The table of a measurement, each case beside its baseline. */
export function table(measured, baseline) {
  const known = new Map(baseline?.cases.map((row) => [row.name, row]));
  const change = (row) => {
    const before = known.get(row.name)?.instructions;
    return before ? `${(100 * (row.instructions / before - 1)).toFixed(1)} %` : "new";
  };
  const lines = measured.cases.map((row) => `| ${row.name} | ${row.unit} | ${row.instructions} | ${row.allocations} | ${change(row)} |`);
  return ["| case | unit | instructions | allocations | change |", "| --- | --- | ---: | ---: | ---: |", ...lines].join("\n");
}
