// npm test: everything a change must pass. Sets up, tests the core natively, checks style, builds,
// runs the built worker's suites in workerd and wrangler's dry run. The last line sums up.

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { build } from "./lib/build.mjs";
import { excesses, measureCore, readBaseline } from "./lib/core_bench.mjs";
import { fuzz } from "./lib/fuzz.mjs";
import { root, runAndRead, runMain, say } from "./lib/process.mjs";
import { ensurePackages, ensureRust, rustForChecks } from "./lib/setup.mjs";
import { wranglerCommand, wranglerEnv } from "./lib/wrangler.mjs";

/** For each target: the same inputs every time, so that a change is judged by the change. Others: `npm run fuzz`. */
const FUZZ_RUNS = 3000;
const FUZZ_SECONDS = 10;

await runMain(async () => {
  await ensurePackages();
  const rust = await ensureRust();
  const results = [
    await nativeTests(rust),
    await coverage(rust),
    await tools(),
    await lints(rust),
    await formatting(rust),
    await builds(rust),
    await coreCosts(rust),
    await fuzzing(rust),
    await workerSuites(),
    await deployDryRun(),
  ];
  return sumUp(results);
});

async function nativeTests(rust) {
  return counted("Native tests", await cargo(rustForChecks(rust), "test", "--locked"), {
    passed: /^test result: .*? (\d+) passed/gm,
    failed: /^test result: .*? (\d+) failed/gm,
    skipped: /^test result: .*? (\d+) ignored/gm,
  });
}

/** Shows which features of which protocols the recorded exchanges exercise. */
async function coverage(rust) {
  const test = ["recorded::coverage::the_coverage_of_the_recordings", "--exact", "--nocapture"];
  return checked("Coverage table", await cargo(rustForChecks(rust), "test", "--locked", "--test", "gateway", "--", ...test));
}

/** The tools that update the catalog, recompute bills and shape the wasm, over small files. */
async function tools() {
  const builds = ["alike", "cleanups", "order", "symbols"].map((name) => ["build", name]);
  const names = [["catalog", "update"], ["bill", "check"], ...builds];
  const suites = names.map(([folder, name]) => join(root, "tests", folder, `${name}.test.mjs`));
  return counted("Tools", await runAndRead(process.execPath, ["--test", "--test-reporter=tap", ...suites]), {
    passed: /^# pass (\d+)$/gm,
    failed: /^# fail (\d+)$/gm,
    skipped: /^# skipped (\d+)$/gm,
  });
}

async function lints(rust) {
  const checks = rustForChecks(rust);
  if (!existsSync(join(checks.bin, "cargo-clippy"))) return skipped("Lints", "clippy is not installed");
  return checked("Lints", await cargo(checks, "clippy", "--locked", "--all-targets", "--features", "worker,failpoints", "--", "-D", "warnings"));
}

async function formatting(rust) {
  const checks = rustForChecks(rust);
  if (!existsSync(join(checks.bin, "cargo-fmt"))) return skipped("Formatting", "rustfmt is not installed");
  return checked("Formatting", await cargo(checks, "fmt", "--check"));
}

async function builds(rust) {
  try {
    await build(rust);
    await build(rust, { failpoints: true, optimise: false });
    return checked("Build", { code: 0 });
  } catch (error) {
    say(error.message);
    return checked("Build", { code: 1 });
  }
}

/** Fails where the core takes a twentieth more instructions or allocations than it did. */
async function coreCosts(rust) {
  say("- counting the core's instructions");
  const measured = await measureCore(rust);
  const baseline = readBaseline();
  if (measured.compiler !== baseline.compiler) return skipped("Core instructions", `counted with ${baseline.compiler}, this is ${measured.compiler}`);
  const found = excesses(measured, baseline);
  for (const sentence of found) say(sentence);
  return { name: "Core instructions", passed: measured.cases.length - found.length, failed: found.length, skipped: 0 };
}

async function fuzzing(rust) {
  const { passed, failed, skipped: reason } = await fuzz(rustForChecks(rust), { seconds: FUZZ_SECONDS, seed: 1, runs: FUZZ_RUNS });
  return reason ? skipped("Fuzzing", reason) : { name: "Fuzzing", passed, failed, skipped: 0 };
}

async function workerSuites() {
  const runner = join(root, "tests", "worker", "run.mjs");
  if (!existsSync(runner)) return skipped("Worker suites", "there are none");
  return counted("Worker suites", await runAndRead(process.execPath, [runner]), {
    passed: /^\S+ pass (\d+)$/gm,
    failed: /^\S+ fail (\d+)$/gm,
    skipped: /^\S+ skipped (\d+)$/gm,
  });
}

async function deployDryRun() {
  const folder = mkdtempSync(join(tmpdir(), "millrace-deploy-"));
  const [command, argumentList] = wranglerCommand("deploy", "--dry-run", "--outdir", folder);
  const result = await runAndRead(command, argumentList, { env: { ...wranglerEnv, CI: "1" } });
  rmSync(folder, { recursive: true, force: true });
  return checked("wrangler deploy --dry-run", result);
}

function cargo(rust, ...argumentList) {
  say(`- cargo ${argumentList.join(" ")}`);
  return runAndRead(join(rust.bin, "cargo"), argumentList, { env: rust.env });
}

/** A run of many tests: the sums of what its output counts. A run that died counts as one failure. */
function counted(name, { code, output }, patterns) {
  const sum = (pattern) => [...withoutColour(output).matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0);
  const result = { name, passed: sum(patterns.passed), failed: sum(patterns.failed), skipped: sum(patterns.skipped) };
  if (code !== 0 && result.failed === 0) result.failed = 1;
  return result;
}

/** A run that passes or fails as a whole. */
function checked(name, { code }) {
  return { name, passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

function skipped(name, reason) {
  return { name: `${name} (${reason})`, passed: 0, failed: 0, skipped: 1 };
}

function withoutColour(text) {
  return text.replace(/\x1b\[[0-9;]*m/g, "");
}

function sumUp(results) {
  const line = ({ passed, failed, skipped }) => `${passed} passed, ${failed} failed, ${skipped} skipped`;
  console.log("");
  for (const result of results) console.log(`${result.name}: ${line(result)}`);
  const total = (key) => results.reduce((sum, result) => sum + result[key], 0);
  const failed = total("failed");
  console.log(line({ passed: total("passed"), failed, skipped: total("skipped") }));
  return failed === 0 ? 0 : 1;
}
