// The official OpenAI SDK for Python, unmodified, against the gateway: runs `sdk_openai.py` and
// reports each of its tests as one of ours.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, providerVars, startGateway } from "./harness.mjs";
import { MODEL, PERSON, PERSON_FORMAT, startMock, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { pico } from "./money.mjs";
import { python } from "./setup.mjs";

const SCRIPT = fileURLToPath(new URL("sdk_openai.py", import.meta.url));
const PATIENCE_MS = 120_000;

const mock = await startMock();
after(() => mock.stop());
const gateway = await startGateway({ suite: "sdk-openai-python", vars: providerVars(() => `${mock.url}/v1`) });

test("the Python SDK", async (t) => {
  const account = await openAccount(gateway);
  const poor = await openAccount(gateway, { credit: "0" });
  const [endpoint] = await endpointsOf(gateway, account.key, MODEL);
  const setting = {
    base_url: gateway.base,
    key: account.key,
    poor_key: poor.key,
    model: MODEL,
    prompt: CANARY.prompt,
    usage: USAGE,
    pricing: endpoint.pricing,
    person: PERSON,
    person_format: PERSON_FORMAT,
    weather_tool: WEATHER_TOOL,
  };
  const run = promisify(execFile)(python, [SCRIPT, JSON.stringify(setting)], { timeout: PATIENCE_MS });
  const { stdout, stderr } = await run.catch((error) => error);
  const results = stdout
    .trim()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  assert.ok(results.length > 0, stderr);
  for (const { name, error } of results) await t.test(name, () => assert.ok(!error, error));
  const spent = results.reduce((sum, { cost }) => sum + pico(cost), 0n);
  await t.test("the account was charged what the replies said", async () => {
    const { used } = await account.settled();
    assert.ok(used >= spent, `${used} for ${spent}`);
  });
});
