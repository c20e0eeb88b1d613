// The built gateway on bare workerd. Used by `npm run workerd`, the tests and the benchmarks.

import { createInterface } from "node:readline";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { Failure, root, startGroup } from "./process.mjs";

/**
 * Starts the gateway and returns `{ url, pid, output(), stop(), kill(), wasStopped(), closed }`.
 *
 * - `state`: the folder that keeps KV and Durable Objects; one process at a time may use it.
 * - `port`: 0 for any free one.
 * - `vars`: variables and secrets by name; the gateway sees these and no others.
 * - `failpoints`: run the variant with routes that fail on purpose (built before).
 * - `onOutput`: called with each line the gateway logs, beside being kept for `output()`.
 *
 * `stop()` ends it gently, `kill()` as a crash would; both wait until it is gone.
 */
export async function startWorkerd({ state, port = 0, vars = {}, failpoints = false, onOutput = () => {} }) {
  const folders = makeFolders(state);
  writeFileSync(join(folders.run, "bindings.capnp"), bindingsFile(Object.keys(vars)));
  const build = join(root, failpoints ? "build-failpoints" : "build");
  const argumentList = [
    "serve", "--experimental", join(root, "scripts", "workerd.capnp"),
    `--import-path=${build}`, `--import-path=${folders.run}`,
    `--directory-path=accounts-disk=${folders.accounts}`, `--directory-path=keys-disk=${folders.keys}`,
    `--socket-addr=http=127.0.0.1:${port}`, "--control-fd=3",
  ];
  const group = startGroup(join(root, "node_modules", ".bin", "workerd"), argumentList, {
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
  const listeningPort = await Promise.race([portReportedOn(child.stdio[3]), closed.then(() => null)]);
  if (listeningPort === null) throw new Failure(`workerd did not start: ${output() || "is it built? (npm run build)"}`);
  return { url: `http://127.0.0.1:${listeningPort}`, pid: child.pid, output, ...group };
}

function makeFolders(state) {
  const folders = { run: join(state, "run"), accounts: join(state, "accounts"), keys: join(state, "keys") };
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true });
  return folders;
}

/** The values stay in workerd's environment: no secret is written to disk. */
function bindingsFile(names) {
  const bindings = [
    '(name = "KEYS", kvNamespace = "keys")',
    '(name = "ACCOUNTS", durableObjectNamespace = "AccountObject")',
    '(name = "HEALTH", durableObjectNamespace = "HealthObject")',
    ...names.map((name) => `(name = ${JSON.stringify(name)}, fromEnvironment = ${JSON.stringify(name)})`),
  ];
  return `@0xb2d1f7a46c3e9058;
using Workerd = import "/workerd/workerd.capnp";
const bindings :List(Workerd.Worker.Binding) = [
  ${bindings.join(",\n  ")},
];
`;
}

function textOf(vars) {
  return Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, String(value)]));
}

function portReportedOn(stream) {
  return new Promise((resolve) => {
    createInterface({ input: stream }).on("line", (line) => {
      const report = JSON.parse(line);
      if (report.event === "listen" && report.socket === "http") resolve(report.port);
    });
  });
}
