// The gateway as the tests use it: the built wasm in workerd on a free port, behind a tap, with
// every provider at an address of the test's choosing. What a suite leaves (responses, logs,
// stored files) stays in the run's folder for the suite that looks for canaries.

import assert from "node:assert/strict";
import { appendFileSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { after } from "node:test";

import { root } from "../../scripts/lib/process.mjs";
import { startWorkerd } from "../../scripts/lib/workerd.mjs";
import { CANARY } from "./canary.mjs";
import { assertFailure, chat } from "./chat.mjs";
import { pico } from "./money.mjs";
import { startTap } from "./tap.mjs";
import { eventually } from "./wait.mjs";

/** Where this run's suites leave their traces. */
export const runFolder = process.env.MILLRACE_TEST_RUN ?? join(root, "target", "worker-tests", `${process.pid}`);

/** The root secret of every gateway that is started here. */
export const adminKey = `${CANARY.adminSecret}-0123456789abcdef0123456789abcdef`;
const PROVIDERS = [
  "OPENAI",
  "MISTRAL",
  "GROQ",
  "DEEPSEEK",
  "TOGETHER",
  "FIREWORKS",
  "CEREBRAS",
  "DEEPINFRA",
  "XAI",
  "OPENROUTER",
];

/** The variables that make every provider live at `base(provider)`. */
export function providerVars(base) {
  return Object.fromEntries(
    PROVIDERS.flatMap((name) => [
      [`${name}_API_KEY`, `${CANARY.providerSecret}-${name.toLowerCase()}`],
      [`${name}_BASE_URL`, base(name.toLowerCase())],
    ]),
  );
}

// A run that is broken off ends what it started: that happens when this process exits.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));

/**
 * Starts a gateway for the calling file, to be stopped when the file's tests have ended. Health is
 * off unless asked for: suites script faults by prompt, and one test's must not be held against the next.
 */
export async function startGateway({ suite, vars = {}, isolates = 1, failpoints = false, health = "off" }) {
  const folder = join(runFolder, suite);
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true });
  const log = [];
  const onOutput = (line) => {
    log.push(line);
    appendFileSync(join(folder, "workerd.log"), `${line}\n`);
  };
  const ownVars = { MILLRACE_ADMIN_KEY: adminKey, MILLRACE_HEALTH: health };
  const launch = () => startWorkerd({ state, onOutput, isolates, failpoints, vars: { ...ownVars, ...vars } });
  let workerd = await launch();
  const tap = await startTap(() => new URL(workerd.url).port, join(folder, "responses.http"));
  after(async () => {
    await tap.stop();
    await workerd.stop();
  });
  return {
    url: tap.url,
    base: `${tap.url}/api/v1`,
    /** The same gateway as each of its isolates serves it. Only the first is behind the tap. */
    isolates: () => workerd.urls.map((url, index) => ({ url: index === 0 ? tap.url : url })),
    /** The lines that the worker has written so far. */
    log,
    /** The line of one request. */
    lineOf: (id) =>
      eventually(`a log line of ${id}`, () => log.flatMap(jsonLine).find((line) => line.generation === id)),
    /** Ends workerd as a crash would. */
    kill: () => workerd.kill(),
    /** Starts it again on the same storage. */
    async restart() {
      workerd = await launch();
    },
  };
}

/** Any request but a chat: `{status, headers, text, json}`. */
export async function call(gateway, method, path, { key, body, headers } = {}) {
  const response = await fetch(gateway.url + path, {
    method,
    headers: {
      ...(key && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    redirect: "manual",
  });
  const text = await response.text();
  const isJson = text !== "" && /^application\/json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : null };
}

/** A request of the administrator's, which must succeed. Returns the whole answer. */
export async function admin(gateway, method, path, body) {
  const reply = await call(gateway, method, `/api/v1/admin${path}`, { key: adminKey, body });
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${reply.text}`);
  return reply.json;
}

/** Has an isolate of a gateway with failpoints take one. Returns how many calls of objects and KV it has made. */
export async function failpoint(isolate, name) {
  const { status, text, json } = await call(isolate, "POST", `/__failpoint/${name}`);
  assert.equal(status, 200, text);
  return json;
}

/** A new account with credit and a key of its own. */
export async function openAccount(gateway, { credit = "10", key: policy = {} } = {}) {
  const { data } = await admin(gateway, "POST", "/accounts", { name: "worker test" });
  const path = `/accounts/${data.id}`;
  if (credit !== "0") await admin(gateway, "POST", `${path}/credits`, { amount: credit, reason: "worker test" });
  const createKey = (body) => admin(gateway, "POST", `${path}/keys`, { name: "worker test", ...body });
  const { key, data: keyData } = await createKey(policy);
  const account = {
    id: data.id,
    key,
    hash: keyData.hash,
    createKey,
    grant: (body) => admin(gateway, "POST", `${path}/credits`, body),
    /** The account's money in picodollars: `{granted, used, held, available}`. */
    async credits() {
      const { data: current } = await admin(gateway, "GET", path);
      return Object.fromEntries(Object.entries(current.credits).map(([name, amount]) => [name, pico(amount)]));
    },
    /** The same once nothing is held any longer. */
    settled: (options) =>
      eventually(
        "every hold is settled",
        async () => {
          const credits = await account.credits();
          return credits.held === 0n && credits;
        },
        options,
      ),
  };
  return account;
}

/** The most that a request can cost, which is what it must be able to set aside. */
export async function ceilingOf(gateway, body) {
  const { key } = await openAccount(gateway, { credit: "0" });
  const refusal = await chat(gateway, key, body);
  return pico(assertFailure(refusal, 402).metadata.missing);
}

/** The endpoints of a model as the gateway lists them. */
export async function endpointsOf(gateway, key, slug) {
  const { status, json, text } = await call(gateway, "GET", `/api/v1/models/${slug}/endpoints`, { key });
  assert.equal(status, 200, text);
  return json.data.endpoints;
}

export function generation(gateway, key, id) {
  return call(gateway, "GET", `/api/v1/generation?id=${id}`, { key });
}

/** A port of this machine on which nobody listens at the moment. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function jsonLine(line) {
  const start = line.indexOf("{");
  if (start < 0) return [];
  try {
    return [JSON.parse(line.slice(start))];
  } catch {
    return [];
  }
}
