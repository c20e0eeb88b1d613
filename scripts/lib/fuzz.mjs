// Builds fuzz/ and runs its targets: libFuzzer on stable Rust, whose own coverage flags are all it
// takes. cargo-fuzz, which would do the same on nightly, is not needed.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

import { outputOf, root, runAndRead, say } from "./process.mjs";

const FOLDER = join(root, "fuzz");
const COVERAGE = [
  "-Cpasses=sancov-module",
  "-Cllvm-args=-sanitizer-coverage-level=4",
  "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
  "-Cllvm-args=-sanitizer-coverage-pc-table",
  "-Cllvm-args=-sanitizer-coverage-trace-compares",
  "--cfg=fuzzing",
].join(" ");
// The stack that a Worker has: what recurses too deep for it shall fail here as well.
const STACK_KIB = 1024;
const LONGEST_INPUT = 8192;
const LONGEST_RUN_S = 20;
const LONGEST_REPORT = 20_000;

/** The targets, by the folders of their kept inputs. */
export function targets() {
  return readdirSync(join(FOLDER, "corpus")).sort();
}

/**
 * Fuzzes each target (all, or those of `names`) and counts: `{ passed, failed }` or `{ skipped }`. By
 * chance where `seed` is 0; with a seed and a number of `runs` the same inputs every time.
 */
export async function fuzz(rust, { seconds, names = [], seed = 0, runs = -1 }) {
  const host = outputOf(join(rust.bin, "rustc"), ["-vV"], { env: rust.env })?.match(/^host: (.+)$/m)?.[1];
  if (!host?.includes("linux")) return { passed: 0, failed: 0, skipped: "libFuzzer is driven on Linux only" };
  if (outputOf("c++", ["--version"]) === null) return { passed: 0, failed: 0, skipped: "there is no C++ compiler" };
  const binary = await build(rust, host);
  if (binary === null) return { passed: 0, failed: 1 };
  const left = names.length > 0 ? [...names] : targets();
  const result = { passed: 0, failed: 0 };
  const worker = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      result[(await runTarget(binary, name, { seconds, seed, runs })) ? "passed" : "failed"] += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, worker));
  return result;
}

async function build(rust, host) {
  say("- cargo build (fuzz)");
  const folder = rust.env.CARGO_TARGET_DIR ?? join(FOLDER, "target");
  // Naming the host keeps the flags away from build scripts.
  const argumentList = ["build", "--release", "--locked", "--target", host, "--bin", "any", "--target-dir", folder];
  const env = { ...rust.env, RUSTFLAGS: COVERAGE };
  const { code } = await runAndRead(join(rust.bin, "cargo"), argumentList, { cwd: FOLDER, env });
  return code === 0 ? join(folder, host, "release", "any") : null;
}

/** Runs one target on a copy of nothing: what it learns is thrown away, what it finds is kept. */
async function runTarget(binary, name, { seconds, seed, runs }) {
  const learnt = mkdtempSync(join(tmpdir(), "millrace-fuzz-"));
  const artifacts = join(FOLDER, "artifacts", name);
  mkdirSync(artifacts, { recursive: true });
  const flags = [
    `-max_total_time=${seconds}`,
    `-seed=${seed}`,
    `-runs=${runs}`,
    `-max_len=${LONGEST_INPUT}`,
    `-timeout=${LONGEST_RUN_S}`,
    `-artifact_prefix=${artifacts}/`,
    "-print_final_stats=1",
    learnt,
    join(FOLDER, "corpus", name),
  ];
  const limited = ["-c", `ulimit -s ${STACK_KIB} && exec "$@"`, "sh", binary, ...flags];
  const { code, output } = await runQuietly("sh", limited, { ...process.env, MILLRACE_FUZZ_TARGET: name });
  rmSync(learnt, { recursive: true, force: true });
  const executed = output.match(/number_of_executed_units: (\d+)/)?.[1];
  if (code !== 0) say(output.slice(-LONGEST_REPORT));
  say(`  ${name}: ${code === 0 ? `${executed} inputs, nothing found` : `FAILED, see ${artifacts}`}`);
  return code === 0;
}

/** libFuzzer tells far too much of a run that finds nothing. */
function runQuietly(command, argumentList, env) {
  return new Promise((resolve) => {
    const child = spawn(command, argumentList, { env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (text) => (output = (output + text).slice(-LONGEST_REPORT));
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", keep);
    child.on("error", (error) => resolve({ code: 127, output: error.message }));
    child.on("close", (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
