// llama.cpp's server with SmolLM2, and what it says of itself: which slots are at work, how many
// tokens it has read and made, and the text of its last reply. These are the facts that the
// gateway's bills are held against.

import assert from "node:assert/strict";
import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";

import { sleep, startGroup } from "../../scripts/lib/process.mjs";
import { freePort, runFolder } from "../worker/harness.mjs";
import { eventually } from "../worker/wait.mjs";
import { installed } from "./setup.mjs";

/** What it asks its clients for: the gateway has to bring it in each protocol's own way. */
export const llamaKey = "live-provider-key";
const CONTEXT = 8192;
const START_MS = 60_000;
/** From the last byte of a reply to an idle slot. */
const IDLE_MS = 10_000;

/** Starts a server for the calling file, to be stopped when the file's tests have ended. */
export async function startLlama({ suite, slots = 1, options = [] }) {
  const { server, model } = installed();
  const port = await freePort();
  const argumentList = [
    ...["--model", model, "--alias", "smollm2-135m", "--host", "127.0.0.1", "--port", String(port)],
    ...["--ctx-size", String(CONTEXT * slots), "--parallel", String(slots), "--threads", "1"],
    ...["--jinja", "--metrics", "--slots", "--api-key", llamaKey, ...options],
  ];
  // With this variable it shows the text of its last reply.
  const env = { ...process.env, LLAMA_SERVER_SLOTS_DEBUG: "1" };
  const group = startGroup(server, argumentList, { env, stdio: ["ignore", "pipe", "pipe"] });
  const folder = join(runFolder, suite);
  mkdirSync(folder, { recursive: true });
  for (const stream of [group.child.stdout, group.child.stderr]) {
    stream.on("data", (bytes) => appendFileSync(join(folder, "llama.log"), bytes));
  }
  after(() => group.stop());
  const url = `http://127.0.0.1:${port}`;
  const llama = { url, base: `${url}/v1`, ...facts(url) };
  await eventually("llama-server is ready", () => isReady(url, group), { withinMs: START_MS });
  return llama;
}

function facts(url) {
  const ask = async (path) => {
    const response = await fetch(url + path, { headers: { authorization: `Bearer ${llamaKey}` } });
    assert.equal(response.status, 200, path);
    return response.text();
  };
  const slots = async () => JSON.parse(await ask("/slots"));
  const busy = async () => (await slots()).filter((slot) => slot.is_processing).length;
  const idle = async (withinMs = IDLE_MS) => {
    const deadline = performance.now() + withinMs;
    for (const pauseMs of pauses()) {
      if ((await busy()) === 0) return;
      assert.ok(performance.now() < deadline, `not within ${withinMs} ms: every slot is idle`);
      await sleep(pauseMs);
    }
  };
  const counts = async () => readCounts(await ask("/metrics"));
  return {
    /** How many replies are being made. */
    busy,
    /** Waits until none is. */
    idle,
    /** `{read, made, waiting}`: tokens since it started, and requests that wait for a slot. */
    counts,
    /** What `action` cost: `{read, made}` between an idle server and an idle server, and its result. */
    async spent(action) {
      await idle();
      const before = await counts();
      const result = await action();
      await idle();
      const now = await counts();
      return { result, read: now.read - before.read, made: now.made - before.made };
    },
    /** The text of the reply that was made last. */
    async lastText() {
      const used = (await slots()).filter((slot) => slot.id_task !== undefined);
      return used.sort((one, other) => other.id_task - one.id_task)[0].generated;
    },
  };
}

/**
 * At last longer than a second: llama-server looks for those who left once it has been asked
 * nothing for that long.
 */
function* pauses() {
  yield* [20, 50, 100];
  for (;;) yield 1500;
}

/** Tokens that came from the cache of prompts are not among those that were read. */
function readCounts(text) {
  const value = (name) => Number(new RegExp(`^llamacpp:${name} (\\S+)$`, "m").exec(text)[1]);
  return {
    read: value("prompt_tokens_total"),
    made: value("tokens_predicted_total"),
    waiting: value("requests_deferred"),
  };
}

async function isReady(url, group) {
  if (group.child.exitCode !== null) throw new Error(`llama-server ended: ${group.child.exitCode}`);
  const response = await fetch(`${url}/health`).catch(() => null);
  await response?.body?.cancel();
  return response?.status === 200;
}
