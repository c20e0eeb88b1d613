// What a fresh machine needs: the packages of package.json and a Rust that can build the standard
// library for WebAssembly. Two worlds: rustup where it can download, Debian's packages where it
// cannot. What was found is remembered and found again without asking.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { Failure, outputOf, root, run, say, step, succeedsWithoutStalling } from "./process.mjs";

const TARGET = "wasm32-unknown-unknown";
const OLDEST_RUST = 91; // 1.91, as Cargo.toml says
const DEBIAN_SYSROOT = "/usr";
const DOWNLOAD_SILENCE_MS = 20_000;
const DEBIAN_PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
const REMEMBERED = join(root, ".millrace", "rust.json");
const ADVICE =
  "Install Rust 1.91 or later with rustup (https://rustup.rs), then run this again: no usable Rust was found, " +
  "and neither rustup nor Debian's packages (apt-get install rustc-web cargo-web rust-web-src lld, as root) could provide one.";

/** Installs the packages of package.json unless they are there. */
export async function ensurePackages() {
  const lock = join(root, "package-lock.json");
  const installed = join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  await step("Installing the packages of package.json", () =>
    run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
      advice: "npm ci failed: check that the npm registry can be reached, then run this again.",
    }),
  );
}

/**
 * Returns the Rust to build with: `{ kind, bin, env }`, where `env` makes cargo use it. Installs
 * what is missing.
 */
export async function ensureRust() {
  const found = recallRust() ?? usableRust() ?? (await step("Setting up Rust for WebAssembly", installRust));
  rememberRust(found);
  return withEnvironment(found);
}

/** Returns a Rust that has clippy and rustfmt if there is one, else the one the worker is built with. */
export function rustForChecks(rust) {
  const complete = [rust, ...presentRusts()].find((one) => existsSync(join(one.bin, "cargo-clippy")));
  return complete ? withEnvironment(complete) : rust;
}

function withEnvironment({ kind, bin }) {
  const env = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    RUSTC: join(bin, "rustc"),
    // No proxy of rustup's between us and the compiler: a proxy may start to download.
    RUSTUP_AUTO_INSTALL: "0",
  };
  if (kind === "debian") env.CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER = "wasm-ld";
  return { kind, bin, env };
}

function recallRust() {
  if (!existsSync(REMEMBERED)) return null;
  const remembered = JSON.parse(readFileSync(REMEMBERED, "utf8"));
  return [remembered.source, join(remembered.bin, "rustc"), join(remembered.bin, "cargo")].every(existsSync)
    ? remembered
    : null;
}

function rememberRust(rust) {
  mkdirSync(dirname(REMEMBERED), { recursive: true });
  writeFileSync(REMEMBERED, `${JSON.stringify(rust, null, 2)}\n`);
}

function usableRust() {
  return presentRusts().find((rust) => existsSync(rust.source)) ?? null;
}

function presentRusts() {
  return [rustOnPath(), rustAt(DEBIAN_SYSROOT)].filter((rust) => rust !== null);
}

async function installRust() {
  await installByRustup();
  if (usableRust() === null) await installByApt();
  const rust = usableRust();
  if (rust === null) throw new Failure(ADVICE);
  return rust;
}

async function installByRustup() {
  if (outputOf("rustup", ["--version"]) === null) return;
  if (rustOnPath() === null) {
    say("  rustup: installing the stable toolchain");
    await rustup(["toolchain", "install", "stable", "--profile", "minimal"]);
  }
  say("  rustup: adding the WebAssembly target and the standard library's source");
  const gotSource = await rustup(["component", "add", "rust-src"]);
  if (gotSource) await rustup(["target", "add", TARGET]);
  else say("  rustup cannot download here; trying Debian's packages");
}

function rustup(argumentList) {
  const env = { ...process.env, RUSTUP_MAX_RETRIES: "0" };
  return succeedsWithoutStalling("rustup", argumentList, { env, silenceMs: DOWNLOAD_SILENCE_MS });
}

async function installByApt() {
  if (outputOf("apt-get", ["--version"]) === null) return;
  const prefix = rootPrefix();
  if (prefix === null) return;
  say(`  apt-get: installing ${DEBIAN_PACKAGES.join(", ")}`);
  const install = ["apt-get", "install", "-y", "--no-install-recommends", ...DEBIAN_PACKAGES];
  await apt([...prefix, "apt-get", "update"]);
  await apt([...prefix, ...install]);
}

function apt([command, ...argumentList]) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return run(command, argumentList, { env, advice: ADVICE });
}

/** What to put before a command to run it as root, or null if that is not possible. */
function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  return outputOf("sudo", ["-n", "true"]) === null ? null : ["sudo", "-n"];
}

/** The Rust that `rustc` on the path stands for, with rustup's proxies resolved. */
function rustOnPath() {
  const env = { ...process.env, RUSTUP_AUTO_INSTALL: "0" };
  const question = ["rustc", "--print", "sysroot"];
  const sysroot = outputOf(question[0], question.slice(1), { env }) ?? outputOf("rustup", ["run", "stable", ...question], { env });
  return sysroot === null ? null : rustAt(sysroot);
}

/** The Rust in a folder, if it is recent enough; `source` is where its standard library would be. */
function rustAt(sysroot) {
  const kind = sysroot === DEBIAN_SYSROOT ? "debian" : "rustup";
  const bin = join(sysroot, "bin");
  if (!existsSync(join(bin, "cargo"))) return null;
  // Debian's Rust brings no linker for WebAssembly; rustup's does.
  if (kind === "debian" && outputOf("wasm-ld", ["--version"]) === null) return null;
  const version = outputOf(join(bin, "rustc"), ["--version"])?.match(/^rustc 1\.(\d+)\./);
  if (!version || Number(version[1]) < OLDEST_RUST) return null;
  return { kind, bin, source: join(sysroot, "lib", "rustlib", "src", "rust", "library", "Cargo.lock") };
}
