// Builds benches/pass, the least that a worker in Rust can do.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";

import { bind, bundle } from "./build.mjs";
import { root, run, step } from "./process.mjs";

const TARGET = "wasm32-unknown-unknown";
const FOLDER = join(root, "benches", "pass");

/** The folder with its `index.js` and `millrace_bg.wasm`. */
export async function buildPass(rust) {
  const target = process.env.CARGO_TARGET_DIR ?? join(FOLDER, "target");
  const work = join(target, "worker-pass");
  const argumentList = ["build", "--locked", "--release", "--target", TARGET, "--manifest-path", join(FOLDER, "Cargo.toml")];
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  await step("Building a worker in Rust that does nothing", async () => {
    const env = { ...rust.env, CARGO_TARGET_DIR: target };
    await run(join(rust.bin, "cargo"), argumentList, { env, advice: "benches/pass does not compile: see above." });
    await bind(rust, join(target, TARGET, "release", "millrace_bench_pass.wasm"), work);
    await bundle(join(FOLDER, "entry.js"), work);
  });
  return work;
}
