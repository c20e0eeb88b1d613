// The build: crate to WebAssembly with unwinding panics, bindings, one entry module, optimiser.
// Nothing is done twice: the inputs' digest is kept beside the result.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";

import { withoutAlignment, withoutHashes } from "./alike.mjs";
import { withoutCleanups } from "./cleanups.mjs";
import { nameByLikeness, withoutPlaces } from "./order.mjs";
import { Failure, outputOf, root, run, say, step } from "./process.mjs";

const TARGET = "wasm32-unknown-unknown";
const INPUTS = ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo", "catalog", "schema", "src", "web", "tools/wbg", ...["alike", "build", "cleanups", "order", "wasm"].map((name) => `scripts/lib/${name}.mjs`), "package-lock.json"];
const TARGET_DIRECTORY = process.env.CARGO_TARGET_DIR ?? join(root, "target");
// What rustc's WebAssembly target uses by default, exceptions, and the registers of src/json/scan.rs. Not "all features": the
// optimiser knows encodings that the runtime does not.
const WASM_FEATURES = ["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types", "exception-handling", "simd"];

/**
 * What the compiler is told of the crate itself. The runtime compiles a function when it is first called, and whole: what a
 * request does not need is not to be inside of what it calls. LLVM puts a function with a single caller into that
 * caller almost whatever its size, which made one function of all protocols. With instructions eighty times as dear
 * that ends at some 37 of them; calls and what is marked to be inlined are dearer too, so that the rest is as ever.
 * Small functions are also more like each other, and compress better beside each other.
 */
export const CODE = ["-inline-instr-cost=400", "-inline-call-penalty=2400", "-inlinehint-threshold=26000"].map(
  (flag) => `-Cllvm-args=${flag}`,
);
/** For every crate: text is checked, and strings are scanned, in WebAssembly's wide registers. */
export const SIMD = "-Ctarget-feature=+simd128";

/**
 * The same as `CODE` for the optimiser: it puts only what is small into its single caller. What is hardly more than one
 * call goes into whoever calls it: a request makes a fifteenth fewer of its 10,000 calls for half a kilobyte. They are
 * what costs most until the runtime compiles a function for the second time, which a small one waits for for as long as
 * a hundred thousand calls. Nor does it keep in locals what is computed twice: that is fewer bytes, but more of them
 * compressed.
 */
const OPTIMISATIONS = ["-Oz", "--one-caller-inline-max-function-size=20", "--always-inline-max-function-size=6", "--skip-pass=local-cse"];

/**
 * Builds the worker unless it is up to date, and returns the folder with `index.js` and
 * `millrace_bg.wasm`. `failpoints` adds the routes that fail on purpose, in a folder of its own;
 * `optimise: false` accepts a result that the optimiser has not seen.
 */
export async function build(rust, { failpoints = false, optimise = true } = {}) {
  const output = join(root, failpoints ? "build-failpoints" : "build");
  const stamp = join(output, ".stamp.json");
  const inputs = digestOfInputs(rust);
  if (isCurrent(stamp, inputs, optimise)) return output;

  const work = join(TARGET_DIRECTORY, failpoints ? "worker-failpoints" : "worker");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  await step(`Compiling the gateway to WebAssembly${failpoints ? " (with failpoints)" : ""}`, () => compile(rust, failpoints));
  await step("Writing its JavaScript bindings", async () => {
    await bind(rust, join(TARGET_DIRECTORY, TARGET, "release", "millrace.wasm"), work);
    const [wasm, bindings] = [join(work, "millrace_bg.wasm"), join(work, "millrace.js")];
    const short = withoutHashes(readFileSync(wasm), withoutClosures(readFileSync(bindings, "utf8")));
    writeFileSync(wasm, short.module);
    writeFileSync(bindings, short.bindings);
    await shortenNames(bindings);
  });
  await step("Bundling the entry module", () => bundle(join(root, "src", "shell", "entry.js"), work));
  if (optimise) await step("Optimising", () => optimiseWasm(work));

  mkdirSync(output, { recursive: true });
  rmSync(stamp, { force: true });
  for (const name of ["index.js", "millrace_bg.wasm"]) replaceFile(join(work, name), join(output, name));
  if (optimise) replaceFile(join(work, "millrace_bg.symbols"), join(output, "millrace_bg.symbols"));
  writeFileSync(stamp, JSON.stringify({ inputs, optimised: optimise }));
  reportSize(output);
  return output;
}

async function compile(rust, failpoints) {
  const known = outputOf(join(rust.bin, "rustc"), ["-Zhelp"], { env: { ...rust.env, RUSTC_BOOTSTRAP: "1" } }) ?? "";
  const argumentList = [
    "rustc", "--lib", "--crate-type", "cdylib", "--release",
    "--features", failpoints ? "worker,failpoints" : "worker",
    "--target", TARGET,
    "-Z", "build-std=std,panic_unwind",
    "-Z", "build-std-features=optimize_for_size",
    ...standardLibrary(known),
    "--", ...CODE,
  ];
  const env = {
    ...rust.env,
    CARGO_TARGET_DIR: TARGET_DIRECTORY,
    // Building the standard library, which unwinding needs, is unstable in a stable compiler.
    RUSTC_BOOTSTRAP: "1",
    RUSTFLAGS: ["-Cpanic=unwind", SIMD, ...unstable(known)].join(" "),
    // Async exports use js-sys' executor, which catches panics.
    WASM_BINDGEN_USE_JS_SYS: "1",
  };
  await run(join(rust.bin, "cargo"), argumentList, { env, advice: "The gateway does not compile: see the compiler's words above." });
}

/**
 * Options of the compiler's that are not stable: where one is gone, so is its gain.
 *
 * A panic while something is dropped ends the isolate: without it, whatever drops two things has code for what is left of
 * them when the first one panics, a fortieth of all. No `Drop` of ours can.
 *
 * A panic does not know its place, which every call that may panic would have to hand on: a seventieth. Its log has the
 * functions that it came through instead (`src/shell/instance.js`).
 */
function unstable(known) {
  const wanted = ["panic-in-drop=abort", "location-detail=none"];
  return wanted.filter((option) => known.includes(option.split("=")[0])).map((option) => `-Z${option}`);
}

/**
 * How the standard library is compiled, beyond what holds for all. To compare two texts or to let a list grow are calls of
 * calls of functions of a line: a compiler told to save space leaves them apart, which costs a small request a fifth
 * more instructions for four kilobytes. So they are put into each other before LLVM sees them. What gives out memory,
 * and compares it, is two small crates that are called all the time.
 */
function standardLibrary(known) {
  const settings = ["dlmalloc", "compiler_builtins"].map((name) => `profile.release.package.${name}.opt-level=3`);
  const inlining = ["alloc", "core"].map((name) => `profile.release.package.${name}.rustflags=["-Zinline-mir=yes"]`);
  const all = known.includes("inline-mir") ? [...settings, ...inlining] : settings;
  return ["-Z", "profile-rustflags", ...all.flatMap((setting) => ["--config", setting])];
}

/** Writes `millrace.js` and `millrace_bg.wasm` into `work`. */
export async function bind(rust, wasm, work) {
  checkBindgenVersion();
  const env = { ...rust.env, CARGO_TARGET_DIR: join(TARGET_DIRECTORY, "tools") };
  const manifest = join(root, "tools", "wbg", "Cargo.toml");
  await run(join(rust.bin, "cargo"), ["build", "--locked", "--manifest-path", manifest], {
    env,
    advice: "tools/wbg does not compile: check that the crate registry can be reached, then run this again.",
  });
  const tool = join(TARGET_DIRECTORY, "tools", "debug", "millrace-wbg");
  await run(tool, [wasm, work], {
    advice: "wasm-bindgen refused what was compiled: see above.",
  });
}

/**
 * The bindings, with functions that catch for themselves what the crate is to be thrown. As they come, each call of one
 * makes a function and a list of its arguments, for the collector, and a request makes sixty.
 */
function withoutClosures(bindings) {
  const wrapped = /function\(\) \{ return wrapError\(function \(([^)]*)\) \{\n([^]*?)\n {8}\}, arguments\); \}/g;
  const plain = bindings.replace(
    wrapped,
    (_, names, body) => `function(${names}) { try {\n${body}\n        } catch (error) { wrapError(() => { throw error; }, []); } }`,
  );
  if (plain === bindings || /return wrapError\(/.test(plain)) {
    throw new Failure("wasm-bindgen writes its functions another way now: see withoutClosures in scripts/lib/build.mjs.");
  }
  return plain;
}

/** The tool and the library speak to each other in a format that changes with every version. */
function checkBindgenVersion() {
  const versionIn = (path, name) =>
    readFileSync(join(root, path), "utf8").match(new RegExp(`name = "${name}"\\nversion = "([^"]+)"`))?.[1];
  const library = versionIn("Cargo.lock", "wasm-bindgen");
  const tool = versionIn("tools/wbg/Cargo.lock", "wasm-bindgen-cli-support");
  if (library !== tool) {
    throw new Failure(`Cargo.lock has wasm-bindgen ${library}, tools/wbg has ${tool}: set both to the same version.`);
  }
}

/** What is named only inside of the bindings has one letter: nobody wrote it, and a stack trace has the crate's names. */
function shortenNames(bindings) {
  return esbuild([bindings, "--minify-identifiers", "--format=esm", "--allow-overwrite", `--outfile=${bindings}`]);
}

/** Writes `index.js` into `work`: the entry module with the bindings that are there. */
export function bundle(entry, work) {
  return esbuild([
    entry,
    "--bundle",
    "--format=esm",
    // Our own names stay: a stack trace has them.
    "--minify-whitespace",
    "--minify-syntax",
    `--alias:#bindings=${join(work, "millrace.js")}`,
    "--external:./millrace_bg.wasm",
    "--external:cloudflare:*",
    `--outfile=${join(work, "index.js")}`,
  ]);
}

function esbuild(argumentList) {
  return run(join(root, "node_modules", ".bin", "esbuild"), [...argumentList, "--target=es2022", "--log-level=warning"]);
}

async function optimiseWasm(work) {
  const wasm = join(work, "millrace_bg.wasm");
  const symbols = join(work, "millrace_bg.symbols");
  const features = WASM_FEATURES.map((feature) => `--enable-${feature}`);
  const optimiser = [join(root, "node_modules", ".bin", "wasm-opt"), ...features, wasm, "-o", wasm];
  writeFileSync(wasm, withoutCleanups(readFileSync(wasm)));
  await run(process.execPath, [...optimiser, ...OPTIMISATIONS, "-g"]);
  writeFileSync(wasm, nameByLikeness(withoutAlignment(readFileSync(wasm))));
  // The names of functions stay behind, a line each: a stack trace has their numbers.
  await run(process.execPath, [...optimiser, "--reorder-functions-by-name", `--symbolmap=${symbols}`, "--strip-debug"]);
  writeFileSync(symbols, withoutPlaces(readFileSync(symbols, "utf8")));
}

function isCurrent(stamp, inputs, optimise) {
  if (!existsSync(stamp)) return false;
  const built = JSON.parse(readFileSync(stamp, "utf8"));
  return built.inputs === inputs && (built.optimised || !optimise);
}

function digestOfInputs(rust) {
  const hash = createHash("sha256").update(rust.bin);
  for (const path of INPUTS.flatMap((input) => filesUnder(join(root, input)))) {
    hash.update(`\0${relative(root, path)}\0`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

function filesUnder(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => name !== "target" && name !== "node_modules");
  return names.sort().flatMap((name) => filesUnder(join(path, name)));
}

/** Puts a whole new file in an old one's place at once: a server may be watching. */
function replaceFile(from, to) {
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
}

function reportSize(output) {
  const wasm = readFileSync(join(output, "millrace_bg.wasm"));
  const kilobytes = (bytes) => `${Math.round(bytes / 1000)} kB`;
  say(`  ${relative(root, output)}/millrace_bg.wasm: ${kilobytes(wasm.length)}, ${kilobytes(gzipSync(wasm).length)} compressed`);
}
