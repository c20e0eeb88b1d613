// A gateway that dies between Stripe's answer and its own note of it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chat, user } from "./chat.mjs";
import { admin, openAccount, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { KEY, SECRET, deliver, paymentOf, startStripe } from "./stripe.mjs";
import { eventually } from "./wait.mjs";

const stripe = await startStripe();
const gateway = await startGateway({
  suite: "billing-crash",
  vars: { STRIPE_SECRET_KEY: KEY, STRIPE_WEBHOOK_SECRET: SECRET, STRIPE_API_BASE: stripe.url },
});
const charges = () => stripe.asked.filter(({ path }) => path === "/v1/payment_intents");

test("a card that was charged while the gateway died is credited once", async () => {
  const account = await openAccount(gateway, { credit: "0" });
  const card = { customer: "cus_1", payment_method: "pm_1", setup_future_usage: "off_session" };
  await deliver(gateway, paymentOf(account, "pi_first", 1000, 1080, card).succeeded());
  let payment;
  stripe.answer("/v1/payment_intents", async ({ form }) => {
    payment ??= paymentOf(account, "pi_top_up", 2500, Number(form.amount), {
      metadata: { millrace_attempt: form["metadata[millrace_attempt]"] },
    });
    await gateway.kill();
    return [200, payment.intent];
  });
  const rule = { enabled: true, threshold: "9.9999999", amount: "25" };
  const { data } = await admin(gateway, "PUT", `/accounts/${account.id}/auto-top-up`, rule);
  assert.equal(data.has_payment_method, true);
  assert.equal((await chat(gateway, account.key, { model: "millrace/echo", messages: user("a b c d"), max_tokens: 4 })).status, 200);
  await eventually("the card is charged", () => payment !== undefined, { withinMs: 20_000 });
  await gateway.restart();
  assert.equal((await account.credits()).granted, pico("10"), "the answer was lost");
  assert.equal((await admin(gateway, "GET", `/accounts/${account.id}/auto-top-up`)).data.pending, true);
  // Stripe tells of it by itself, as often as it likes.
  for (let turn = 0; turn < 3; turn++) assert.equal((await deliver(gateway, payment.succeeded())).status, 200);
  assert.equal((await account.credits()).granted, pico("35"));
  const { data: after } = await admin(gateway, "GET", `/accounts/${account.id}/auto-top-up`);
  assert.deepEqual([after.pending, after.failures, after.enabled], [false, 0, true]);
  assert.equal(new Set(charges().map(({ headers }) => headers["idempotency-key"])).size, 1);
});
