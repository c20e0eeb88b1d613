// `npm start` as a new user runs it: real wrangler, its own simulators of KV and Durable Objects,
// and the same storage after a restart.

import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { test } from "node:test";

import { root, startGroup } from "../../scripts/lib/process.mjs";
import { chat, stream, user } from "./chat.mjs";
import { call, freePort, generation, runFolder } from "./harness.mjs";
import { pico } from "./money.mjs";
import { within } from "./wait.mjs";

/** A first start on a fresh machine sets up and builds. */
const START_MS = 400_000;
const ECHO = { model: "millrace/echo", messages: user("hello from wrangler") };

test(
  "npm start: a key that works, and after a restart the same key and balance",
  { timeout: 2 * START_MS },
  async () => {
    const state = join(runFolder, "wrangler", "state");
    const first = await start(state);
    let reply;
    const used = async (gateway) => {
      const credits = await call(gateway, "GET", "/api/v1/credits", { key: first.management_key });
      return pico(credits.json.data.total_usage);
    };
    try {
      assert.match(first.api_key, /^sk-mr-v1-/);
      assert.match(first.management_key, /^sk-mr-v1-/);
      reply = await chat(first, first.api_key, ECHO);
      assert.equal(reply.json?.choices[0].message.content, "hello from wrangler", reply.text);
      assert.equal((await stream(first, first.api_key, ECHO)).text, "hello from wrangler");
      assert.equal((await call(first, "GET", "/api/v1/admin/accounts", { key: first.admin_key })).status, 200);
      // What is stopped within a second of a reply may lose its charge (docs/money.md): whoever asks sees it made.
      assert.equal(await used(first), 2n * pico(reply.json.usage.cost));
    } finally {
      await first.stop();
    }
    const second = await start(state);
    try {
      assert.equal(await used(second), 2n * pico(reply.json.usage.cost));
      assert.equal((await generation(second, first.api_key, reply.json.id)).status, 200);
      assert.equal((await chat(second, first.api_key, ECHO)).status, 200);
    } finally {
      await second.stop();
    }
  },
);

/** Runs `npm start --json`; returns what it printed and how to end it. */
async function start(state) {
  const port = String(await freePort());
  const words = ["start", "--silent", "--", "--port", port, "--state", state, "--json"];
  const { child, stop, closed } = startGroup("npm", words, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const progress = [];
  child.stderr.on("data", (chunk) => progress.push(chunk));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = closed.then((code) => assert.fail(`npm start ended with ${code}`));
  ended.catch(() => {}); // it ends well after it has been used
  try {
    const { value } = await within(START_MS, "npm start's line of JSON", Promise.race([lines.next(), ended]));
    return { ...JSON.parse(value ?? (await ended)), stop };
  } catch (error) {
    await stop();
    throw new Error(`${error.message}\n${Buffer.concat(progress)}`);
  }
}
