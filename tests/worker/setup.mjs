// Installs what the worker tests need: the npm clients and mocks beside this file, and Python
// environments in `.venv/` for the Python clients. A second run with nothing to do takes no time.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Failure, outputOf, root, run, runMain } from "../../scripts/lib/process.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const venvs = join(root, ".venv");

/** The environments of Python, by what they are for. Clients that differ over versions are apart. */
const ENVIRONMENTS = {
  sdks: "requirements.txt",
  agents: "requirements-agents.txt",
  llamaIndex: "requirements-llama-index.txt",
  llmock: "requirements-llmock.txt",
};
/** What installs them where the machine has no uv. */
const UV = "uv==0.13.9";
const pythonOf = (folder) => join(folder, "bin", "python");

/** The interpreter of each environment. */
export const interpreters = Object.fromEntries(
  Object.keys(ENVIRONMENTS).map((name) => [name, pythonOf(join(venvs, name))]),
);

/** The interpreter that has the vendors' own clients. */
export const python = interpreters.sdks;

/** The node that the clients need (22 or later), which is a package of the project. */
export const node = join(root, "node_modules", "node", "bin", "node");

export async function setUp() {
  await once(join(here, "node_modules"), "package-lock.json", installNodePackages);
  // One environment used to be where all of them are now.
  if (existsSync(join(venvs, "pyvenv.cfg"))) rmSync(venvs, { recursive: true });
  for (const [name, requirements] of Object.entries(ENVIRONMENTS)) {
    const folder = join(venvs, name);
    await once(folder, requirements, () => installPythonPackages(folder, join(here, requirements)));
  }
}

async function installNodePackages() {
  await run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: here,
    advice: "npm ci in tests/worker failed: check that the npm registry can be reached, then run this again.",
  });
}

async function installPythonPackages(folder, requirements) {
  rmSync(folder, { recursive: true, force: true });
  const uv = await findUv();
  const advice = "Installing the Python clients failed: check that PyPI can be reached, then run this again.";
  await run(uv, ["venv", "--quiet", folder], { advice });
  await run(uv, ["pip", "install", "--quiet", "--python", pythonOf(folder), "-r", requirements], { advice });
}

/** `uv` of the machine, else one of our own: pip takes minutes for what uv does in seconds. */
async function findUv() {
  if (outputOf("uv", ["--version"]) !== null) return "uv";
  const folder = join(venvs, "uv");
  const uv = join(folder, "bin", "uv");
  if (existsSync(uv)) return uv;
  if (outputOf("python3", ["--version"]) === null) {
    throw new Failure("The worker tests need Python for the Python clients: neither `uv` nor `python3` is on the PATH.");
  }
  await run("python3", ["-m", "venv", folder], {
    advice: "`python3 -m venv` failed: Debian and Ubuntu have it in the package python3-venv.",
  });
  await run(pythonOf(folder), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV], {
    advice: "Installing uv failed: check that PyPI can be reached, then run this again.",
  });
  return uv;
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
