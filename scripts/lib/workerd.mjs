// The built gateway on bare workerd. Used by `npm run workerd`, the tests and the benchmarks.

import { spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Failure, root, startGroup } from "./process.mjs";

const WORKERD = join(root, "node_modules", ".bin", "workerd");

/**
 * Starts the gateway and returns `{ url, urls, pid, output(), stop(), kill(), wasStopped(), closed }`.
 *
 * - `state`: the folder that keeps KV and Durable Objects; one process at a time may use it.
 * - `port`: 0 for any free one.
 * - `vars`: variables and secrets by name; the gateway sees these and no others.
 * - `isolates`: how many isolates serve, each at an address of its own; the accounts' objects are in
 *   the first. `urls` has them all.
 * - `failpoints`: run the variant with routes that fail on purpose (built before).
 * - `onOutput`: called with each line the gateway logs, beside being kept for `output()`.
 *
 * `stop()` ends it gently, `kill()` as a crash would; both wait until it is gone.
 */
export async function startWorkerd({ state, port = 0, vars = {}, isolates = 1, failpoints = false, onOutput = () => {} }) {
  const argumentList = [...workerdArguments({ state, port, vars, isolates, failpoints }), "--control-fd=3"];
  const group = startGroup(WORKERD, argumentList, {
    env: { PATH: process.env.PATH, ...textOf(vars) },
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const { child, closed } = group;
  const lines = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      onOutput(line);
    });
  }
  const output = () => lines.join("\n");
  const ports = await Promise.race([portsReportedOn(child.stdio[3], isolates), closed.then(() => null)]);
  if (ports === null) throw new Failure(`workerd did not start: ${output() || "is it built? (npm run build)"}`);
  const urls = ports.map((each) => `http://127.0.0.1:${each}`);
  return { url: urls[0], urls, pid: child.pid, output, ...group };
}

/** What workerd is started with, as `startWorkerd` does; writes the files that it reads. */
export function workerdArguments({ state, port, vars, isolates = 1, failpoints = false }) {
  const folders = makeFolders(state);
  writeFileSync(join(folders.run, "bindings.capnp"), bindingsFile(Object.keys(vars)));
  const several = join(folders.run, "isolates.capnp");
  if (isolates > 1) writeFileSync(several, isolatesFile(isolates));
  const build = join(root, failpoints ? "build-failpoints" : "build");
  const imports = [build, join(root, "scripts"), folders.run];
  const compiled = compileConfig(isolates > 1 ? several : join(root, "scripts", "workerd.capnp"), imports, folders.run);
  return [
    "serve", "--experimental", "--binary", compiled,
    `--directory-path=accounts-disk=${folders.accounts}`, `--directory-path=keys-disk=${folders.keys}`,
    `--socket-addr=http=127.0.0.1:${port}`,
  ];
}

/**
 * Compiles a configuration, with the build inside, for a start that does not wait for it: from the written one
 * workerd copies the wasm several times. Variables are still read from the environment, when it starts.
 */
function compileConfig(file, imports, folder) {
  const compiled = join(folder, "config.bin");
  const output = openSync(compiled, "w");
  const argumentList = ["compile", "--config-only", file, ...imports.map((path) => `--import-path=${path}`)];
  const { status, stderr, error } = spawnSync(WORKERD, argumentList, { stdio: ["ignore", output, "pipe"] });
  closeSync(output);
  if (status !== 0) throw new Failure(`workerd cannot read its configuration (is it built? npm run build): ${error?.message ?? stderr}`);
  return compiled;
}

function makeFolders(state) {
  const folders = { run: join(state, "run"), accounts: join(state, "accounts"), keys: join(state, "keys") };
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  return folders;
}

/** The values stay in workerd's environment: no secret is written to disk. */
function bindingsFile(names) {
  const common = [
    '(name = "KEYS", kvNamespace = "keys")',
    ...names.map((name) => `(name = ${JSON.stringify(name)}, fromEnvironment = ${JSON.stringify(name)})`),
  ];
  const objects = { ACCOUNTS: "AccountObject", HEALTH: "HealthObject" };
  const list = (namespaceOf) => {
    const own = Object.entries(objects).map(([name, kind]) => `(name = "${name}", durableObjectNamespace = ${namespaceOf(kind)})`);
    return [...common, ...own].join(",\n  ");
  };
  return `@0xb2d1f7a46c3e9058;
using Workerd = import "/workerd/workerd.capnp";
const bindings :List(Workerd.Worker.Binding) = [
  ${list((kind) => `"${kind}"`)},
];
# For isolates beside the one that has the objects.
const bindingsElsewhere :List(Workerd.Worker.Binding) = [
  ${list((kind) => `(className = "${kind}", serviceName = "gateway")`)},
];
`;
}

function isolatesFile(count) {
  const others = Array.from({ length: count - 1 }, (_, index) => index + 1);
  return `@0x8d4f0c1be27a6391;
using Workerd = import "/workerd/workerd.capnp";
using Base = import "/workerd.capnp";
using Bindings = import "/bindings.capnp";
const config :Workerd.Config = (
  services = [
    (name = "gateway", worker = Base.gateway),
    (name = "keys", worker = Base.keys),
    (name = "network", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
    (name = "accounts-disk", disk = (writable = true)),
    (name = "keys-disk", disk = (writable = true)),
    ${others.map((each) => `(name = "gateway-${each}", worker = .elsewhere)`).join(", ")},
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:0", http = (), service = "gateway"),
    ${others.map((each) => `(name = "http-${each}", address = "127.0.0.1:0", http = (), service = "gateway-${each}")`).join(", ")},
  ],
);
const elsewhere :Workerd.Worker = (
  compatibilityDate = Base.compatibilityDate,
  modules = [
    (name = "index.js", esModule = embed "/index.js"),
    (name = "./millrace_bg.wasm", wasm = embed "/millrace_bg.wasm"),
  ],
  bindings = Bindings.bindingsElsewhere,
  globalOutbound = "network",
);
`;
}

function textOf(vars) {
  return Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, String(value)]));
}

/** The ports of the sockets `http`, `http-1`, …, once all of them are open. */
function portsReportedOn(stream, count) {
  const names = Array.from({ length: count }, (_, index) => (index === 0 ? "http" : `http-${index}`));
  const ports = new Map();
  return new Promise((resolve) => {
    createInterface({ input: stream }).on("line", (line) => {
      const report = JSON.parse(line);
      if (report.event === "listen") ports.set(report.socket, report.port);
      if (names.every((name) => ports.has(name))) resolve(names.map((name) => ports.get(name)));
    });
  });
}
