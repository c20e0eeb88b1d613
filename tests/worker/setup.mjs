// Installs what the worker tests need: the npm clients and mocks beside this file, and a Python
// environment in `.venv/` for the Python client. A second run with nothing to do takes no time.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Failure, outputOf, root, run, runMain } from "../../scripts/lib/process.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const venv = join(root, ".venv");

/** The interpreter that has the pinned Python client. */
export const python = join(venv, "bin", "python");

/** The node that the clients need (22 or later), which is a package of the project. */
export const node = join(root, "node_modules", "node", "bin", "node");

export async function setUp() {
  await once(join(here, "node_modules"), "package-lock.json", installNodePackages);
  await once(venv, "requirements.txt", installPythonPackages);
}

async function installNodePackages() {
  await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: here,
    advice: "npm ci in tests/worker failed: check that the npm registry can be reached, then run this again.",
  });
}

async function installPythonPackages() {
  rmSync(venv, { recursive: true, force: true });
  const requirements = join(here, "requirements.txt");
  const advice = "Installing the Python SDK failed: check that PyPI can be reached, then run this again.";
  if (outputOf("uv", ["--version"]) !== null) {
    await run("uv", ["venv", "--quiet", venv]);
    return run("uv", ["pip", "install", "--quiet", "--python", python, "-r", requirements], { advice });
  }
  if (outputOf("python3", ["--version"]) === null) {
    throw new Failure("The worker tests need Python for the Python SDK: neither `uv` nor `python3` is on the PATH.");
  }
  await run("python3", ["-m", "venv", venv], {
    advice: "`python3 -m venv` failed: Debian and Ubuntu have it in the package python3-venv.",
  });
  await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements], { advice });
}

/** Runs `install` unless `folder` says that it was run for the file `source` as it stands. */
async function once(folder, source, install) {
  const stamp = join(folder, ".installed");
  const digest = createHash("sha256")
    .update(readFileSync(join(here, source)))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  await install();
  writeFileSync(stamp, digest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runMain(setUp);
