// npm start [-- --port N] [--state DIR] [--json]: sets up, builds, runs the gateway in wrangler's
// local mode, and on the first start makes an account with a key and some credit.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "./lib/build.mjs";
import { ensureDevVars } from "./lib/dev_vars.mjs";
import { Failure, root, runMain, sleep, step, stopWhenAsked } from "./lib/process.mjs";
import { ensurePackages, ensureRust } from "./lib/setup.mjs";
import { startWranglerDev } from "./lib/wrangler.mjs";

const FIRST_CREDIT = "10";
const HEALTH_LIMIT_MS = 60_000;

await runMain(async () => {
  const options = readOptions();
  await assertPortIsFree(options.port);
  const vars = ensureDevVars();
  await ensurePackages();
  await build(await ensureRust(), { optimise: false });

  mkdirSync(options.state, { recursive: true });
  const server = startWranglerDev(options);
  stopWhenAsked(server);
  const url = `http://127.0.0.1:${options.port}`;
  await step("Starting the gateway", () => untilHealthy(url, server));
  await report(url, options, await access(url, vars.MILLRACE_ADMIN_KEY, options));
  return server.closed.then(() => (server.wasStopped() ? 0 : 1));
});

function readOptions() {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8787" },
      state: { type: "string", default: join(root, ".millrace", "state") },
      json: { type: "boolean", default: false },
    },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new Failure("--port wants a number from 1 to 65535.");
  return { port, state: resolve(values.state), json: values.json };
}

/** Wrangler would quietly take another port; the caller asked for this one. */
function assertPortIsFree(port) {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", () => reject(new Failure(`Port ${port} is in use: stop what uses it, or choose another: npm start -- --port 8790`)));
    probe.listen(port, "127.0.0.1", () => probe.close(resolve));
  });
}

async function untilHealthy(url, server) {
  let ended = false;
  server.closed.then(() => (ended = true));
  let last = "no answer";
  const deadline = Date.now() + HEALTH_LIMIT_MS;
  while (Date.now() < deadline) {
    if (ended) throw new Failure("Wrangler ended before the gateway was up: see its words above.");
    try {
      const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) });
      if (response.ok) return;
      last = await response.text();
    } catch (error) {
      last = error.cause?.message ?? error.message;
    }
    await sleep(100);
  }
  await server.stop();
  throw new Failure(`The gateway is not healthy after ${HEALTH_LIMIT_MS / 1000} s: ${last}`);
}

/**
 * Returns the keys to show: all of them on the first start; later, keys cannot be shown again, so
 * new ones are made if the caller (--json) needs them. Only the account's id is kept on disk.
 */
async function access(url, adminKey, { state, json }) {
  const remembered = join(state, "first-account.json");
  const admin = (path, body) => postAsAdmin(`${url}/api/v1/admin/accounts${path}`, adminKey, body);
  if (!existsSync(remembered)) {
    const { data: account } = await admin("", { name: "first account" });
    await admin(`/${account.id}/credits`, { amount: FIRST_CREDIT, reason: "first credit", id: "first" });
    const keys = await makeKeys(admin, account.id, "first key");
    writeFileSync(remembered, `${JSON.stringify({ id: account.id })}\n`);
    return { first: true, adminKey, ...keys };
  }
  const { id } = JSON.parse(readFileSync(remembered, "utf8"));
  return json ? { first: false, adminKey, ...(await makeKeys(admin, id, "npm start")) } : { first: false, id };
}

async function makeKeys(admin, id, name) {
  const { key: apiKey } = await admin(`/${id}/keys`, { name });
  const { key: managementKey } = await admin(`/${id}/keys`, { name: `${name} (management)`, management: true });
  return { apiKey, managementKey };
}

async function postAsAdmin(url, adminKey, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Failure(`The gateway refused ${new URL(url).pathname}: ${response.status} ${text}`);
  return JSON.parse(text);
}

function report(url, { json }, { first, id, apiKey, managementKey, adminKey }) {
  if (json) {
    console.log(JSON.stringify({ url, api_key: apiKey, management_key: managementKey, admin_key: adminKey }));
    return;
  }
  console.log(`\nMillrace is running at ${url}\n`);
  if (first) {
    console.log(`Your key, shown this once:     ${apiKey}`);
    console.log(`To manage keys, shown once:    ${managementKey}`);
    console.log(`Credit: $${FIRST_CREDIT}. Try it:\n\n${curlLine(url, apiKey)}\n`);
  } else {
    console.log("Your key was shown on the first start. To make another:\n");
    console.log(`${newKeyLine(url, id)}\n\nThen:\n\n${curlLine(url, "$KEY")}\n`);
  }
  console.log("Ctrl-C stops it.");
}

function curlLine(url, key) {
  const body = JSON.stringify({ model: "millrace/echo", messages: [{ role: "user", content: "Hello, Millrace!" }] });
  return `curl ${url}/api/v1/chat/completions -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" -d '${body}'`;
}

function newKeyLine(url, id) {
  return `curl ${url}/api/v1/admin/accounts/${id}/keys -H "Authorization: Bearer $MILLRACE_ADMIN_KEY" -d '{"name":"another key"}'   # the secret is in .dev.vars`;
}
