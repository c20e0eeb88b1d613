// What every suite of agents needs: the gateway, a mock behind it, a recorder on either side, and
// folders in which an agent may work.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import { CANARY } from "../worker/canary.mjs";
import { endpointsOf, openAccount, startGateway } from "../worker/harness.mjs";
import { cost } from "../worker/money.mjs";
import { AFTER, BEFORE, USAGE, startMock } from "./mock.mjs";
import { startRecorder } from "./recorder.mjs";

/** Where each provider's paths begin at the mock. */
const BASES = { OPENAI: "/v1", GROQ: "/v1", ANTHROPIC: "/v1", GEMINI: "/v1beta" };
/** A picture of one pixel. */
const DOT = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
/** An agent that hangs is ended. */
const PATIENCE_MS = 120_000;
/** A port at which nobody listens: whatever wants to leave this machine goes there. */
const NOWHERE = "http://127.0.0.1:9";

/** The workspaces of this run. */
const folders = [];

/** The gateway between an agent (at `url`) and its providers. */
export async function startStage(suite) {
  const mock = await startMock();
  const upstream = await startRecorder(() => mock.url);
  const vars = Object.entries(BASES).flatMap(([name, path]) => [
    [`${name}_API_KEY`, `${CANARY.providerSecret}-${name.toLowerCase()}`],
    [`${name}_BASE_URL`, upstream.url + path],
  ]);
  const gateway = await startGateway({ suite, vars: Object.fromEntries(vars) });
  const client = await startRecorder(() => gateway.url);
  after(async () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
    await client.stop();
    await upstream.stop();
    await mock.stop();
  });
  return {
    url: client.url,
    gateway,
    /** What the agent asked of the gateway. */
    asked: client.requests,
    /** What the gateway asked of the providers. */
    forwarded: upstream.requests,
    openAccount: (options) => openAccount(gateway, options),
    /** Forgets what was asked so far. */
    clear() {
      client.clear();
      upstream.clear();
    },
    /** Asserts that an account paid exactly for `replies` replies of `model`. */
    async assertPaid(account, model, replies) {
      const [endpoint] = await endpointsOf(gateway, account.key, model);
      const { used } = await account.settled();
      assert.equal(used, BigInt(replies) * cost(USAGE, endpoint.pricing), `${replies} replies of ${model}`);
    },
  };
}

/** A new folder with a home for the agent, a note for it to edit and a picture. It goes with the test run. */
export function openWorkspace() {
  const folder = mkdtempSync(join(tmpdir(), "millrace-agent-"));
  folders.push(folder);
  const [home, work] = [join(folder, "home"), join(folder, "work")];
  for (const path of [home, work]) mkdirSync(path);
  const note = join(work, "note.txt");
  writeFileSync(note, BEFORE);
  writeFileSync(join(work, "dot.png"), DOT);
  return {
    home,
    work,
    note,
    assertEdited: () => assert.equal(readFileSync(note, "utf8"), AFTER),
  };
}

/** Runs an agent to its end: `{code, stdout, stderr}`. It sees `env` and what follows here only. */
export async function runAgent(command, argumentList, workspace, env) {
  const child = spawn(command, argumentList, {
    cwd: workspace.work,
    env: {
      PATH: process.env.PATH,
      HOME: workspace.home,
      HTTP_PROXY: NOWHERE,
      HTTPS_PROXY: NOWHERE,
      NO_PROXY: "127.0.0.1",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  const end = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended already.
    }
  };
  const timer = setTimeout(end, PATIENCE_MS);
  process.once("exit", end);
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (output[name] += text));
  const code = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
  clearTimeout(timer);
  process.off("exit", end);
  end();
  return { code, ...output };
}
