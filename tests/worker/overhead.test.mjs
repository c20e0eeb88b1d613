// Whose time a reply took, told with it: the gateway's own, and that of the providers it waited for.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { chat, stream, user } from "./chat.mjs";
import { call, openAccount, providerVars, startGateway } from "./harness.mjs";
import { pause, refused, replied, startUpstream, streamed } from "./upstream.mjs";

const MODEL = "openai/gpt-4.1-mini";
const WAIT_MS = 300;

const upstream = await startUpstream();
after(() => upstream.stop());
const gateway = await startGateway({ suite: "overhead", vars: providerVars(upstream.base) });
const account = await openAccount(gateway);

for (const [name, ask, script] of [
  ["a whole reply", chat, replied("hello")],
  ["a stream", stream, streamed("hello")],
  ["a failure", chat, refused(400, "wrong")],
]) {
  test(`${name}: the wait for the provider is not the gateway's`, async () => {
    const began = performance.now();
    const reply = await ask(gateway, account.key, { model: MODEL, messages: user(upstream.plays([pause(WAIT_MS), ...script])) });
    const took = performance.now() - began;
    const { ours, theirs } = timing(reply.headers);
    assert.ok(theirs >= WAIT_MS - 5, `${theirs} ms of the provider`);
    assert.ok(ours + theirs <= took + 5, `${ours} and ${theirs} of ${took} ms`);
    assert.match(reply.headers.get("access-control-expose-headers"), /x-overhead-ms/);
  });
}

test("what asks no provider waits for none", async () => {
  for (const [method, path] of [["GET", "/api/v1/models/count"], ["GET", "/api/v1/nowhere"]]) {
    assert.equal(timing((await call(gateway, method, path)).headers).theirs, 0);
  }
  assert.equal(timing((await chat(gateway, "wrong", { model: MODEL, messages: user("a") })).headers).theirs, 0);
});

function timing(headers) {
  const told = headers.get("server-timing") ?? "";
  const [, ours, theirs] = told.match(/^gateway;dur=(\d+), upstream;dur=(\d+)$/) ?? assert.fail(`server-timing: ${told}`);
  assert.equal(headers.get("x-overhead-ms"), ours);
  return { ours: Number(ours), theirs: Number(theirs) };
}
