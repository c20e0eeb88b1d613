// A second attempt beside a stream that is slow to begin: the client gets whichever begins first,
// pays for that alone, and the other provider is hung up on.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { assertFailure, chat, post, stream, user } from "./chat.mjs";
import { openAccount, providerVars, startGateway } from "./harness.mjs";
import { pause, refused, startUpstream, streamed } from "./upstream.mjs";
import { eventually, within } from "./wait.mjs";

const FLOOR_MS = 200;
const SLOW_MS = 3_000;
const PROVIDER = { order: ["groq", "deepinfra"], only: ["groq", "deepinfra"] };

const upstream = await startUpstream();
after(() => upstream.stop());
const vars = { ...providerVars(upstream.base), MILLRACE_HEDGE_FLOOR_MS: FLOOR_MS };
const gateway = await startGateway({ suite: "hedging", health: "on", vars: { ...vars, MILLRACE_HEDGE: "p95" } });
const off = await startGateway({ suite: "hedging-off", health: "on", vars });
const { key, settled } = await openAccount(gateway, { credit: "1000" });

/** A script that depends on who is asked. */
const each = (scripts) => [
  async (exchange) => {
    for (const step of scripts[exchange.provider]) await step(exchange);
  },
];
const body = (model, prompt, more) => ({ model, provider: { ...PROVIDER, ...more }, messages: user(prompt) });
const TOLD = { headers: { "x-openrouter-metadata": "enabled" } };
const ask = (model, prompt, more) => stream(gateway, key, body(model, prompt, more), TOLD);
const metadata = (reply) => reply.chunks.findLast((chunk) => chunk.openrouter_metadata).openrouter_metadata;

/** Teaches the gateway how fast groq is; none of these is slow. */
async function learn(model) {
  const prompt = upstream.plays(streamed("quick"));
  for (let row = 0; row < 25; row++) assert.equal((await ask(model, prompt)).text, "quick");
}

test("a slow provider is outrun, hung up on and not paid by the client", async () => {
  const model = "openai/gpt-oss-20b";
  await learn(model);
  const prompt = upstream.plays(
    each({ groq: [pause(SLOW_MS), ...streamed("late")], deepinfra: streamed("in time") }),
  );
  const before = await settled();
  const started = performance.now();
  const reply = await ask(model, prompt);
  const took = performance.now() - started;
  assert.equal(reply.text, "in time");
  assert.ok(took >= FLOOR_MS && took < SLOW_MS - 500, `${took}`);
  const [slow] = upstream.exchanges(prompt);
  await within(SLOW_MS - took, "groq is hung up on", slow.left);

  const { attempts } = metadata(reply);
  assert.deepEqual(
    attempts.map(({ provider, hedge, outrun }) => [provider, hedge, outrun && Number(outrun.estimated_cost_usd) > 0]),
    [
      ["Groq", undefined, true],
      ["DeepInfra", true, undefined],
    ],
  );
  const line = await gateway.lineOf(reply.id);
  assert.equal(line.provider, "deepinfra");
  assert.ok(Number(line.hedge_loser_cost_usd) > 0, JSON.stringify(line));
  assert.deepEqual(
    line.attempts.map(({ provider, hedge, outrun }) => [provider, hedge, outrun]),
    [
      ["groq", undefined, true],
      ["deepinfra", true, undefined],
    ],
  );
  const spent = Number((await settled()).used - before.used) / 1e12;
  assert.ok(Math.abs(spent - Number(line.cost_usd)) < 1e-12, `${spent} ${line.cost_usd}`);
});

test("the first may still win, and who fails leaves the other to it", async () => {
  const model = "openai/gpt-oss-20b";
  const slower = { groq: [pause(600), ...streamed("first")], deepinfra: [pause(SLOW_MS), ...streamed("second")] };
  const first = await ask(model, upstream.plays(each(slower)));
  assert.equal(first.text, "first");
  assert.equal(metadata(first).attempts[0].hedge, true);
  const failing = { groq: [pause(600), ...streamed("first")], deepinfra: refused(500, "broke") };
  const alone = await ask(model, upstream.plays(each(failing)));
  assert.equal(alone.text, "first");
  const broken = { groq: [pause(600), ...refused(500, "broke")], deepinfra: [pause(900), ...streamed("second")] };
  const other = await ask(model, upstream.plays(each(broken)));
  assert.equal(other.text, "second");
  assert.equal(other.finish, "stop");
});

test("a client that leaves ends both", async () => {
  const prompt = upstream.plays([pause(SLOW_MS), ...streamed("late")]);
  const request = { ...body("openai/gpt-oss-20b", prompt), stream: true };
  const reply = post(gateway, key, request, { signal: AbortSignal.timeout(900) });
  await reply.then((response) => response.text()).catch(() => {});
  const exchanges = upstream.exchanges(prompt);
  assert.deepEqual(
    exchanges.map((exchange) => exchange.provider),
    ["groq", "deepinfra"],
  );
  await within(2_000, "both are hung up on", Promise.all(exchanges.map((exchange) => exchange.left)));
  await eventually("nothing is held", async () => (await settled()).held === 0n);
});

test("nobody is asked twice who forbids it, is not streamed, or is not known well enough", async () => {
  const late = () => upstream.plays([pause(600), ...streamed("late")]);
  const known = "openai/gpt-oss-20b";
  const cases = [
    [known, { hedge: false }],
    ["openai/gpt-oss-120b", {}],
  ];
  for (const [model, more] of cases) {
    const prompt = late();
    assert.equal((await ask(model, prompt, more)).text, "late");
    assert.equal(upstream.exchanges(prompt).length, 1, model);
  }
});

test("where the operator allows none, asking for one is refused", async () => {
  const { key: other } = await openAccount(off);
  const prompt = upstream.plays(streamed("ok"));
  const reply = await chat(off, other, body("openai/gpt-oss-20b", prompt, { hedge: true }));
  assertFailure(reply, 400, /provider\.hedge/);
  assert.equal(upstream.exchanges(prompt).length, 0);
});
