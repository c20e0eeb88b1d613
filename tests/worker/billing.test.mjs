// Buying credit: Stripe's pages, its events as its own library signs them, refunds, automatic
// top-ups, and codes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { assertFailure, chat, user } from "./chat.mjs";
import { admin, adminKey, call, openAccount, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";
import { KEY, NEXT_SECRET, SECRET, deliver, eventOf, paymentOf, startStripe, stripeClient } from "./stripe.mjs";
import { eventually } from "./wait.mjs";

const stripe = await startStripe();
const gateway = await startGateway({
  suite: "billing",
  vars: {
    STRIPE_SECRET_KEY: KEY,
    STRIPE_WEBHOOK_SECRETS: `${NEXT_SECRET},${SECRET}`,
    STRIPE_API_BASE: stripe.url,
  },
});
const bare = await startGateway({ suite: "billing-bare" });

const ECHO = "millrace/echo";
let payments = 0;
const newPayment = (account, ...rest) => paymentOf(account, `pi_${++payments}`, ...rest);

/** An account without credit, with a management key. */
async function open(options) {
  const account = await openAccount(gateway, { credit: "0", key: { management: true }, ...options });
  const post = (path, body, headers) => call(gateway, "POST", `/api/v1${path}`, { key: account.key, body, headers });
  return { ...account, post };
}

const granted = async (account) => (await account.credits()).granted;
const asks = (path) => stripe.asked.filter((each) => each.path === path);

test("a page is asked for as Stripe's own library would", async () => {
  stripe.answer("/v1/checkout/sessions", () => [200, { id: "cs_1", object: "checkout.session", url: "https://checkout.stripe.com/c/1" }]);
  const account = await open();
  const reply = await account.post("/credits/checkout", { amount: 100, id: "one", success_url: "https://a.example/ok?x=ä".replace("ä", "1&y=2"), save_payment_method: true });
  assert.equal(reply.status, 201, reply.text);
  assert.deepEqual(reply.json.data, {
    id: "cs_1", url: "https://checkout.stripe.com/c/1", amount: "100", fee: "5.5", total: "105.5", currency: "usd",
  });
  const metadata = { millrace_account: account.id, millrace_credit_cents: 10000 };
  const line = (name, cents) => ({
    quantity: 1, price_data: { currency: "usd", unit_amount: cents, product_data: { name } },
  });
  await stripeClient(stripe).checkout.sessions.create(
    {
      mode: "payment",
      success_url: "https://a.example/ok?x=1&y=2",
      cancel_url: `${gateway.url}/`,
      client_reference_id: account.id,
      adaptive_pricing: { enabled: false },
      line_items: [line("Credit", 10000), line("Fee", 550)],
      metadata,
      payment_intent_data: { metadata, setup_future_usage: "off_session" },
      customer_creation: "always",
    },
    { idempotencyKey: `checkout-${account.id}-one` },
  );
  const [ours, theirs] = asks("/v1/checkout/sessions");
  assert.deepEqual(ours.form, theirs.form);
  for (const name of ["authorization", "stripe-version", "idempotency-key", "content-type"]) {
    assert.equal(ours.headers[name], theirs.headers[name], name);
  }
});

test("a page for ten dollars costs the least fee; admins may ask for one too", async () => {
  const account = await open();
  const { data } = await admin(gateway, "POST", `/accounts/${account.id}/checkout`, { amount: "10" });
  assert.deepEqual([data.amount, data.fee, data.total], ["10", "0.8", "10.8"]);
});

test("who may not buy is told so, and so is who asks for nonsense", async () => {
  const account = await open();
  const { key } = await account.createKey({});
  const buy = (key, body) => call(gateway, "POST", "/api/v1/credits/checkout", { key, body });
  assertFailure(await buy(key, { amount: 10 }), 403);
  assertFailure(await buy(undefined, { amount: 10 }), 401);
  assertFailure(await buy(account.key, { amount: 1 }), 400);
  assertFailure(await account.post("/credits/coinbase", {}), 410);
});

test("what Stripe refuses is not told in its words, and what fails may be repeated", async () => {
  const account = await open();
  const before = stripe.asked.length;
  stripe.answer("/v1/checkout/sessions", () => [401, { error: { type: "invalid_request_error", message: "Invalid API Key provided: sk_test_***" } }]);
  const refused = await account.post("/credits/checkout", { amount: 10 });
  assertFailure(refused, 502);
  assert.ok(!refused.text.includes("sk_test"));
  stripe.answer("/v1/checkout/sessions", () => [500, {}]);
  assertFailure(await account.post("/credits/checkout", { amount: 10 }), 502);
  assert.equal(stripe.asked.length, before + 2);
  stripe.answer("/v1/checkout/sessions", () => [200, { id: "cs_1", url: "https://checkout.stripe.com/c/1" }]);
});

test("without Stripe, the operator is told what to set", async () => {
  const account = await openAccount(bare, { credit: "0", key: { management: true } });
  const checkout = await call(bare, "POST", "/api/v1/credits/checkout", { key: account.key, body: { amount: 10 } });
  assert.equal(assertFailure(checkout, 501).metadata.variable, "STRIPE_SECRET_KEY");
  const webhook = await deliver(bare, eventOf("customer.created", {}));
  assert.equal(webhook.status, 501);
});

test("fifty deliveries of three events at once are three credits", async () => {
  const account = await open();
  const three = [newPayment(account), newPayment(account, 2500, 2638), newPayment(account, 500, 580)];
  const sent = three.map((payment) => payment.succeeded());
  const replies = await Promise.all(Array.from({ length: 50 }, (_, turn) => deliver(gateway, sent[turn % 3])));
  assert.ok(replies.every(({ status }) => status === 200));
  assert.equal(await granted(account), pico("40"));
  const { json } = await call(gateway, "GET", "/api/v1/credits/purchases", { key: account.key });
  assert.deepEqual(json.data.map(({ amount, total, taken_back: back }) => [amount, total, back]).sort(), [
    ["10", "10.8", "0"], ["25", "26.38", "0"], ["5", "5.8", "0"],
  ]);
});

test("the two events of one payment are one credit, and one that is not paid is none", async () => {
  const account = await open();
  const payment = newPayment(account);
  assert.equal((await deliver(gateway, payment.session("unpaid"))).status, 200);
  assert.equal(await granted(account), 0n);
  const sent = [payment.session(), payment.asyncSession(), payment.succeeded()];
  await Promise.all(sent.map((event) => deliver(gateway, event)));
  assert.equal(await granted(account), pico("10"));
});

test("an event that Stripe did not sign, or long ago, changes nothing", async () => {
  const account = await open();
  const event = newPayment(account).succeeded();
  const text = JSON.stringify(event);
  const cases = [
    { secret: "whsec_other" }, { age: 301 }, { age: -301 }, { header: "" }, { header: "t=1,v1=00" },
    { body: text.replace('"millrace_credit_cents":"1000"', '"millrace_credit_cents":"9999"') },
  ];
  for (const each of cases) assert.equal((await deliver(gateway, event, each)).status, 400, JSON.stringify(each));
  assert.equal(await granted(account), 0n);
  for (const secret of [SECRET, NEXT_SECRET, SECRET]) {
    assert.equal((await deliver(gateway, event, { secret, age: 290 })).status, 200);
  }
  assert.equal(await granted(account), pico("10"));
});

test("events of others, of connected accounts and of other currencies are no credit", async () => {
  const account = await open();
  const strange = newPayment(account);
  const connected = { ...strange.succeeded(), account: "acct_1" };
  assert.equal((await deliver(gateway, connected)).status, 200);
  const foreign = eventOf("payment_intent.succeeded", { ...strange.intent, metadata: {} });
  assert.equal((await deliver(gateway, foreign)).status, 200);
  const euros = eventOf("payment_intent.succeeded", { ...strange.intent, currency: "eur" });
  assert.equal((await deliver(gateway, euros)).status, 422);
  const nobody = paymentOf({ id: "nobody000000" }, "pi_nobody");
  assert.equal((await deliver(gateway, nobody.succeeded())).status, 404);
  assert.equal(await granted(account), 0n);
});

test("refunds and disputes come in any order", async () => {
  const account = await open();
  const payment = newPayment(account);
  const id = payment.intent.id;
  stripe.answer(`/v1/payment_intents/${id}`, () => [200, payment.intent]);
  await deliver(gateway, payment.refunded(300));
  assert.equal(await granted(account), 0n);
  await deliver(gateway, payment.succeeded());
  assert.equal(await granted(account), pico("7"));
  await deliver(gateway, payment.refunded(500));
  await deliver(gateway, payment.refunded(300));
  assert.equal(await granted(account), pico("5"));
  await deliver(gateway, payment.disputed("created", "needs_response"));
  await deliver(gateway, payment.disputed("funds_withdrawn", "needs_response"));
  assert.equal(await granted(account), 0n);
  await deliver(gateway, payment.disputed("closed", "won"));
  await deliver(gateway, payment.disputed("created", "needs_response"));
  assert.equal(await granted(account), pico("5"));
});

test("a dispute of what was spent leaves less than nothing, and nothing is served", async () => {
  const account = await open();
  const { key } = await account.createKey({});
  const payment = newPayment(account);
  stripe.answer(`/v1/payment_intents/${payment.intent.id}`, () => [200, payment.intent]);
  await deliver(gateway, payment.succeeded());
  const ask = () => chat(gateway, key, { model: ECHO, messages: user("a b c"), max_tokens: 3 });
  assert.equal((await ask()).status, 200);
  await account.settled();
  assert.equal((await deliver(gateway, payment.disputed("created", "needs_response"))).status, 200);
  assert.ok((await account.credits()).available < 0n);
  await eventually("402", async () => (await ask()).status === 402, { withinMs: 15_000 });
});

test("an operator refunds what was not spent, once, and a refusal gives it back", async () => {
  const account = await open();
  const payment = newPayment(account);
  await deliver(gateway, payment.succeeded());
  const refund = (body) =>
    call(gateway, "POST", `/api/v1/admin/accounts/${account.id}/refunds`, {
      key: adminKey,
      body: { payment: payment.intent.id, ...body },
    });
  stripe.answer("/v1/refunds", ({ form }) => [200, { id: "re_1", object: "refund", status: "succeeded", amount: Number(form.amount) }]);
  assertFailure(await refund({ amount: "10.01" }), 409);
  const first = await refund({ amount: "4", id: "first" });
  assert.equal(first.status, 201, first.text);
  assert.equal((await refund({ amount: "4", id: "first" })).status, 201);
  const keys = asks("/v1/refunds").map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  const { form } = asks("/v1/refunds")[0];
  assert.deepEqual([form.payment_intent, form.amount], [payment.intent.id, "400"]);
  await deliver(gateway, payment.refunded(400));
  const told = { id: "re_1", object: "refund", amount: 400, currency: "usd", payment_intent: payment.intent.id, status: "succeeded" };
  await deliver(gateway, eventOf("refund.created", { ...told, metadata: { millrace_account: account.id, millrace_refund: form["metadata[millrace_refund]"] } }));
  assert.equal(await granted(account), pico("6"));
  stripe.answer("/v1/refunds", () => [400, { error: { type: "invalid_request_error", code: "charge_already_refunded", message: "no" } }]);
  assertFailure(await refund({ id: "second" }), 502);
  assert.equal(await granted(account), pico("6"));
});

test("a saved card is charged once when the balance falls, however many requests see it", async () => {
  const account = await open();
  const { key } = await account.createKey({});
  const put = (body) => call(gateway, "PUT", "/api/v1/credits/auto-top-up", { key: account.key, body });
  const rule = { enabled: true, threshold: "9.9999999", amount: "25", monthly_cap: "60" };
  assertFailure(await put(rule), 409);
  await deliver(gateway, newPayment(account, 1000, 1080, { customer: "cus_9", payment_method: "pm_9", setup_future_usage: "off_session" }).succeeded());
  stripe.answer("/v1/payment_intents", ({ form }) => {
    const { intent } = newPayment(account, 2500, Number(form.amount), { metadata: { millrace_attempt: form["metadata[millrace_attempt]"] } });
    return [200, intent];
  });
  const { json } = await put(rule);
  assert.equal(json.data.has_payment_method, true);
  assert.equal(asks("/v1/payment_intents").length, 0);
  const ask = () => chat(gateway, key, { model: ECHO, messages: user("a b c d"), max_tokens: 4 });
  const replies = await Promise.all(Array.from({ length: 20 }, ask));
  assert.ok(replies.every(({ status }) => status === 200));
  await eventually("a top-up", async () => (await granted(account)) === pico("35"), { withinMs: 20_000 });
  const made = asks("/v1/payment_intents");
  assert.equal(made.length, 1);
  await stripeClient(stripe).paymentIntents.create({
    amount: 2638, currency: "usd", customer: "cus_9", payment_method: "pm_9", off_session: true, confirm: true,
    description: "Credit (automatic top-up)",
    automatic_payment_methods: { enabled: true, allow_redirects: "never" },
    metadata: { millrace_account: account.id, millrace_credit_cents: 2500, millrace_attempt: 1 },
  });
  assert.deepEqual(made[0].form, asks("/v1/payment_intents")[1].form);
  assert.equal(made[0].headers["idempotency-key"], `top-up-${account.id}-1`);
});

test("a card that is declined is not charged again soon", async () => {
  const account = await open();
  const { key } = await account.createKey({});
  await deliver(gateway, newPayment(account, 1000, 1080, { customer: "cus_8", payment_method: "pm_8", setup_future_usage: "off_session" }).succeeded());
  const before = asks("/v1/payment_intents").length;
  stripe.answer("/v1/payment_intents", () => [402, { error: { type: "card_error", code: "card_declined", message: "Your card was declined." } }]);
  // The balance is below the threshold from the start.
  await call(gateway, "PUT", "/api/v1/credits/auto-top-up", { key: account.key, body: { enabled: true, threshold: "50", amount: "25" } });
  const read = async () => (await call(gateway, "GET", "/api/v1/credits/auto-top-up", { key: account.key })).json.data;
  await eventually("a failure", async () => (await read()).failures === 1, { withinMs: 20_000 });
  for (let turn = 0; turn < 3; turn++) {
    assert.equal((await chat(gateway, key, { model: ECHO, messages: user("a"), max_tokens: 1 })).status, 200);
  }
  const { last_error: words, pending, enabled } = await read();
  assert.deepEqual([words, pending, enabled], ["Your card was declined.", false, true]);
  assert.equal(asks("/v1/payment_intents").length, before + 1);
});

test("a code for one is one grant, whoever and however many ask", async () => {
  const accounts = await Promise.all(Array.from({ length: 5 }, () => open()));
  const { code, data } = await admin(gateway, "POST", "/codes", { amount: "7.5", reason: "conference" });
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, turn) => accounts[turn % 5].post("/credits/redeem", { code })),
  );
  const totals = await Promise.all(accounts.map(granted));
  assert.equal(totals.reduce((sum, each) => sum + each, 0n), pico("7.5"));
  const winner = totals.findIndex((each) => each > 0n);
  replies.forEach((reply, turn) => assert.equal(reply.status, turn % 5 === winner ? 200 : 409, reply.text));
  const { data: codes } = await admin(gateway, "GET", "/codes");
  const row = codes.find(({ hash }) => hash === data.hash);
  assert.deepEqual([row.used, row.uses, row.label.length < code.length], [1, 1, true]);
  assert.ok(!JSON.stringify(codes).includes(code));
});

test("a code for one account, asked for fifty times at once, is one grant", async () => {
  const account = await open();
  const { code } = await admin(gateway, "POST", "/codes", { amount: "3", uses: 10 });
  const replies = await Promise.all(Array.from({ length: 50 }, () => account.post("/credits/redeem", { code })));
  assert.ok(replies.every(({ status }) => status === 200));
  assert.equal(replies.filter(({ json }) => !json.data.already).length, 1);
  assert.equal(await granted(account), pico("3"));
});

test("a code that has expired, was revoked or never was is refused", async () => {
  const account = await open();
  const redeem = (code) => account.post("/credits/redeem", { code });
  const { code: late } = await admin(gateway, "POST", "/codes", { amount: 1, expires_at: "2020-01-01T00:00:00Z" });
  assertFailure(await redeem(late), 409);
  const { code: gone, data } = await admin(gateway, "POST", "/codes", { amount: 1 });
  await admin(gateway, "DELETE", `/codes/${data.hash}`);
  assertFailure(await redeem(gone), 409);
  assertFailure(await redeem("mr-credit-nothing"), 404);
  assertFailure(await call(gateway, "POST", "/api/v1/admin/codes", { key: account.key, body: { amount: 1 } }), 401);
  assert.equal(await granted(account), 0n);
});
