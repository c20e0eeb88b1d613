// The official SDKs for Python of Anthropic, OpenAI (beyond Chat Completions) and Google, unmodified:
// runs `sdk_anthropic.py`, `sdk_openai_responses.py` and `sdk_gemini.py`.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, startGateway } from "./harness.mjs";
import { USAGE, WEATHER_TOOL } from "./mock.mjs";
import { cost, dollars } from "./money.mjs";
import { runScript } from "./python.mjs";
import { python } from "./setup.mjs";
import { EMBEDDER, EMBEDDING_USAGE, MODELS, SIGNATURE, startWires, VECTOR } from "./wires.mjs";

const wires = await startWires();
after(() => wires.stop());
const gateway = await startGateway({ suite: "sdks-python", vars: wires.vars });

for (const [script, base] of [
  ["sdk_anthropic.py", `${gateway.url}/api`],
  ["sdk_openai_responses.py", gateway.base],
  ["sdk_gemini.py", `${gateway.url}/api`],
]) {
  test(script, async (t) => {
    const account = await openAccount(gateway);
    const poor = await openAccount(gateway, { credit: "0" });
    const costs = {};
    for (const [wire, model] of Object.entries(MODELS)) {
      const [endpoint] = await endpointsOf(gateway, account.key, model);
      costs[wire] = dollars(cost(USAGE, endpoint.pricing));
    }
    await runScript(t, python, script, {
      base_url: base,
      key: account.key,
      poor_key: poor.key,
      prompt: CANARY.prompt,
      models: MODELS,
      embedder: EMBEDDER,
      vector: VECTOR,
      embedding_usage: EMBEDDING_USAGE,
      usage: USAGE,
      costs,
      signature: SIGNATURE,
      weather_tool: WEATHER_TOOL,
    });
    assert.equal((await account.settled()).held, 0n);
  });
}
