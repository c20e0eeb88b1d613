// npm run bench [-- --rounds N] [-- --scenarios NAME] [-- --beside A,B] [-- --peers FILE]: measures the
// release build on bare workerd beside the same upstream without a gateway, beside the least a worker can
// do, and beside other gateways that are installed here or that a plan of the rig names, with the rig in
// MILLRACE_BENCH; then starts from nothing. Writes the tables into docs/performance.md.

import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, platform, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { buildPass } from "../scripts/lib/bench_pass.mjs";
import { build } from "../scripts/lib/build.mjs";
import { Failure, outputOf, root, run, runMain, say } from "../scripts/lib/process.mjs";
import { ensurePackages, ensureRust } from "../scripts/lib/setup.mjs";
import { startWorkerd, workerdArguments } from "../scripts/lib/workerd.mjs";
import { installedPeers } from "./peers.mjs";
import { target } from "./plan.mjs";

const ADMIN_KEY = "sk-mr-admin-bench";
/** A catalog model with a single offer, whose provider's address is the rig's upstream. */
const MODEL = "openai/gpt-4o-mini";
/** The address that the rig's targets/baselines.toml gives its upstream. */
const UPSTREAM = "http://127.0.0.1:18100";
/** Where the gateway is asked, as it is and with streams byte for byte. */
const [OUR_PORT, VERBATIM_PORT] = [18140, 18145];
/** Where benches/pass/workerd.capnp, benches/floor.capnp and benches/calls.capnp listen. */
const [PASS_PORT, FLOOR_PORT, CALLS_PORT] = [18141, 18144, 18146];
const COLD_ROUNDS = 10;
const PAGE = join(root, "docs", "performance.md");
const [BEGIN, END] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      scenarios: { type: "string", default: "quick" },
      beside: { type: "string", default: "direct,js-pass" },
      peers: { type: "string" },
    },
  });
  const rig = resolve(root, process.env.MILLRACE_BENCH ?? "../shared/bench");
  if (!existsSync(join(rig, "run.sh"))) {
    say("There is no benchmark rig here: set MILLRACE_BENCH to its folder. Nothing was measured.");
    return;
  }
  await ensurePackages();
  const rust = await ensureRust();
  await build(rust);
  const pass = await buildPass(rust);
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "millrace-bench-"));
  try {
    await measure(rig, rust, folder, { ...values, pass });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

async function measure(rig, rust, folder, { rounds, scenarios, beside, peers, pass }) {
  const vars = { MILLRACE_ADMIN_KEY: ADMIN_KEY, OPENAI_API_KEY: "sk-upstream", OPENAI_BASE_URL: `${UPSTREAM}/v1` };
  const ownBaselines = join(folder, "baselines.toml");
  writeFileSync(ownBaselines, baselines(pass, folder));
  const installed = installedPeers(folder, UPSTREAM, MODEL);
  const peersPlan = join(folder, "peers.toml");
  writeFileSync(peersPlan, installed.plan);
  const plans = ["targets/baselines.toml", ownBaselines, peersPlan, ...(peers ? [resolve(peers)] : [])];
  const theirs = peers ? [...readFileSync(peers, "utf8").matchAll(/^name = "([^"]+)"/gm)].map(([, name]) => name) : [];
  const all = [...beside.split(","), "rust-pass", "js-floor", "js-calls", ...installed.names, ...theirs, "ours"];
  // The rig's own folder stays as it is.
  const compiled = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "bench");
  const table = async (command, plan, ...options) => {
    const text = join(folder, `${command}.md`);
    const files = [...plans, plan, `scenarios/${scenarios}.toml`];
    const only = (command === "run" ? [...all, "ours-verbatim"] : all).join(",");
    await run("bash", [join(rig, "run.sh"), command, ...files, "--only", only, ...options, "--md", text], {
      cwd: rig,
      env: { ...rust.env, CARGO_TARGET_DIR: compiled, WORKERD: nativeWorkerd() },
      advice: "The rig failed: see its words above.",
    });
    return readFileSync(text, "utf8");
  };
  const plan = join(folder, "ours.toml");
  writeFileSync(plan, await targets(folder, vars));
  const warm = await table("run", plan, "--rounds", rounds);
  const cold = await table("cold", plan, "--rounds", String(COLD_ROUNDS));
  writePage(`${warm.trim()}\n\n## From nothing: ${COLD_ROUNDS} starts, until the first good answer\n\n${cold}`, { rounds, scenarios });
}

/** An account that cannot run out while it is measured, and a key of it. */
async function openAccount(url) {
  const post = async (path, body) => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` };
    const response = await fetch(`${url}/api/v1/admin/accounts${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Failure(`The gateway refused ${path}: ${await response.text()}`);
    return response.json();
  };
  const { data: account } = await post("", { name: "bench" });
  await post(`/${account.id}/credits`, { amount: "1000000" });
  return (await post(`/${account.id}/keys`, { name: "bench" })).key;
}

/**
 * The gateway as it is, and with streams that go byte for byte: two processes, which the rig starts as it does all
 * others, so that what they log goes to a file and not to a program beside them. Messages are translated for the upstream.
 */
async function targets(folder, vars) {
  const [state, copy] = [join(folder, "ours"), join(folder, "verbatim")];
  const server = await startWorkerd({ state, vars });
  const key = await openAccount(server.url).finally(() => server.stop());
  cpSync(state, copy, { recursive: true });
  const at = (port, state) => {
    const command = [nativeWorkerd(), ...workerdArguments({ state, port, vars })];
    return { base: `http://127.0.0.1:${port}`, command, env: vars, model: MODEL, anthropic: "/v1/messages" };
  };
  const authorization = `Bearer ${key}`;
  const verbatim = { authorization, "x-millrace-stream": "verbatim" };
  const whole = ["small", "large", "steady", "stream-anthropic"];
  return [
    target({ name: "ours", headers: { authorization }, ...at(OUR_PORT, state) }),
    target({ name: "ours-verbatim", headers: verbatim, skip: whole, ...at(VERBATIM_PORT, copy) }),
  ].join("\n");
}

/** benches/pass, benches/floor.js and benches/calls.js, which the rig starts. */
function baselines(build, folder) {
  const at = (name, port, config, options = {}) => {
    const { skip, flags = [] } = options;
    const command = [nativeWorkerd(), "serve", join(root, "benches", config), ...flags];
    return target({ name, base: `http://127.0.0.1:${port}`, skip, command, env: { UPSTREAM } });
  };
  const disk = join(folder, "calls");
  mkdirSync(disk);
  const streams = ["stream-fast", "stream-10ms", "stream-50", "stream-200", "stream-anthropic"];
  return [
    at("rust-pass", PASS_PORT, join("pass", "workerd.capnp"), { flags: [`--import-path=${build}`] }),
    at("js-floor", FLOOR_PORT, "floor.capnp"),
    at("js-calls", CALLS_PORT, "calls.capnp", { flags: [`--directory-path=disk=${disk}`], skip: streams }),
  ].join("\n");
}

/** The package's `workerd` is a script in front of the program; measured is the program alone. */
function nativeWorkerd() {
  const names = { x64: "64", arm64: "arm64" };
  const program = join(root, "node_modules", "@cloudflare", `workerd-${platform()}-${names[arch()]}`, "bin", "workerd");
  if (!existsSync(program)) throw new Failure(`There is no workerd for ${platform()} ${arch()} in node_modules.`);
  return program;
}

function writePage(table, { rounds, scenarios }) {
  const page = readFileSync(PAGE, "utf8");
  const [start, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (start < 0 || end < start) throw new Failure(`docs/performance.md has lost its marks ${BEGIN} and ${END}.`);
  const commit = outputOf("git", ["rev-parse", "--short", "HEAD"]) ?? "unknown";
  const changed = outputOf("git", ["status", "--porcelain", "--", "src", "catalog", "schema"]) ? ", changed" : "";
  const head = `Measured on ${new Date().toISOString().slice(0, 10)} at commit ${commit}${changed}: scenarios \`${scenarios}\`, ${rounds} rounds.`;
  // The rig's headings stand below this page's own.
  const body = table.replaceAll(/^##/gm, "###").trim();
  writeFileSync(PAGE, `${page.slice(0, start)}${BEGIN}\n${head}\n\n${body}\n${page.slice(end)}`);
  say(`Wrote the table to docs/performance.md\n\n${body}`);
}
