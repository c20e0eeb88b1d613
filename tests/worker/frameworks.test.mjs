// What people build with: LangChain, pydantic-ai, Simon Willison's llm and LlamaIndex, unmodified,
// each in an environment that it shares only with those that agree with it on versions.

import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { endpointsOf, openAccount, runFolder, startGateway } from "./harness.mjs";
import { PERSON, USAGE, WEATHER_TOOL } from "./mock.mjs";
import { cost, dollars, pico } from "./money.mjs";
import { runScript } from "./python.mjs";
import { interpreters } from "./setup.mjs";
import { EMBEDDER, EMBEDDING_USAGE, MODELS, owes, startWires, VECTOR } from "./wires.mjs";

const wires = await startWires();
after(() => wires.stop());
const gateway = await startGateway({ suite: "frameworks", vars: wires.vars });
const home = join(runFolder, "frameworks-home");
after(() => rmSync(home, { recursive: true, force: true }));

for (const [script, interpreter] of [
  ["framework_langchain.py", interpreters.agents],
  ["framework_pydantic_ai.py", interpreters.agents],
  ["framework_llm.py", interpreters.agents],
  ["framework_llama_index.py", interpreters.llamaIndex],
]) {
  test(script, async (t) => {
    const account = await openAccount(gateway);
    const poor = await openAccount(gateway, { credit: "0" });
    // Pays for one reply of each model, or for one embedding, and for nothing else.
    const payer = await openAccount(gateway);
    const costs = {};
    for (const [wire, model] of Object.entries(MODELS)) {
      const [endpoint] = await endpointsOf(gateway, account.key, model);
      costs[wire] = dollars(cost(USAGE, endpoint.pricing));
    }
    const env = { HOME: home, LLM_USER_PATH: join(home, "llm"), LANGSMITH_TRACING: "false" };
    const setting = {
      root: gateway.url,
      base_url: gateway.base,
      key: account.key,
      poor_key: poor.key,
      payer_key: payer.key,
      prompt: CANARY.prompt,
      models: MODELS,
      embedder: EMBEDDER,
      vector: VECTOR,
      usage: USAGE,
      costs,
      person: PERSON,
      weather_tool: WEATHER_TOOL,
    };
    await runScript(t, interpreter, script, setting, env);
    await t.test("the bill is exact", async () => {
      const [endpoint] = await endpointsOf(gateway, account.key, EMBEDDER);
      const embedding = BigInt(EMBEDDING_USAGE.prompt_tokens) * pico(endpoint.pricing.prompt);
      const chats = Object.values(costs).reduce((sum, each) => sum + pico(each), 0n);
      await owes(payer, script === "framework_llama_index.py" ? embedding : chats);
    });
  });
}
