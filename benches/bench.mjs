// npm run bench [-- --rounds N] [-- --scenarios NAME] [-- --beside A,B]: measures the release build on
// bare workerd beside the same upstream without a gateway and beside the least a worker can do, with
// the rig in MILLRACE_BENCH, and writes the table into docs/performance.md.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, platform, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "../scripts/lib/build.mjs";
import { Failure, outputOf, root, run, runMain, say } from "../scripts/lib/process.mjs";
import { ensurePackages, ensureRust } from "../scripts/lib/setup.mjs";
import { startWorkerd } from "../scripts/lib/workerd.mjs";

const ADMIN_KEY = "sk-mr-admin-bench";
/** A catalog model with a single offer, whose provider's address is the rig's upstream. */
const MODEL = "openai/gpt-4o-mini";
/** The address that the rig's targets/baselines.toml gives its upstream. */
const UPSTREAM = "http://127.0.0.1:18100";
const PAGE = join(root, "docs", "performance.md");
const [BEGIN, END] = ["<!-- bench: begin -->", "<!-- bench: end -->"];

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "5" },
      scenarios: { type: "string", default: "quick" },
      beside: { type: "string", default: "direct,js-pass" },
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
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "millrace-bench-"));
  try {
    await measure(rig, rust, folder, values);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

async function measure(rig, rust, folder, { rounds, scenarios, beside }) {
  const vars = { MILLRACE_ADMIN_KEY: ADMIN_KEY, OPENAI_API_KEY: "sk-upstream", OPENAI_BASE_URL: `${UPSTREAM}/v1` };
  const server = await startWorkerd({ state: join(folder, "state"), vars });
  try {
    pinToOneProcessor(server.pid);
    const plan = join(folder, "ours.toml");
    writeFileSync(plan, targetFile(server, await openAccount(server.url)));
    const [json, table] = [join(folder, "out.json"), join(folder, "out.md")];
    const files = ["targets/baselines.toml", plan, `scenarios/${scenarios}.toml`];
    const options = ["--only", `${beside},ours`, "--rounds", rounds, "--out", json, "--md", table];
    // The rig's own folder stays as it is.
    const target = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "bench");
    await run("bash", [join(rig, "run.sh"), "run", ...files, ...options], {
      cwd: rig,
      env: { ...rust.env, CARGO_TARGET_DIR: target, WORKERD: nativeWorkerd() },
      advice: "The rig failed: see its words above.",
    });
    writePage(readFileSync(table, "utf8"), { rounds, scenarios });
  } finally {
    await server.stop();
  }
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

function targetFile(server, key) {
  return `[[target]]
name = "ours"
base = "${server.url}"
headers = { authorization = "Bearer ${key}" }
model = "${MODEL}"
anthropic = ""
pid = ${server.pid}
`;
}

/** The rig gives each gateway the second processor and takes the first for itself. */
function pinToOneProcessor(pid) {
  const children = outputOf("pgrep", ["-g", String(pid)])?.split("\n") ?? [String(pid)];
  const bound = children.every((one) => outputOf("taskset", ["-a", "-c", "-p", "1", one]) !== null);
  if (!bound) say("The gateway is not bound to a processor (no taskset, or a single processor): read the ratios with care.");
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
