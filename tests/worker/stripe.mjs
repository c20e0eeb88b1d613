// Stripe as the billing suite needs it: an API that notes what it is asked and answers as it is told
// to, and events signed by Stripe's own library.

import { createServer } from "node:http";
import { once } from "node:events";
import { after } from "node:test";

import Stripe from "stripe";

export const SECRET = "whsec_first";
export const NEXT_SECRET = "whsec_second";
/** In the form of a key, for Stripe's library. */
export const KEY = "sk_test_canarysecret";

/** `{url, port, asked, answer(path, reply)}`: `asked` has `{method, path, headers, form}` of each request. */
export async function startStripe() {
  const asked = [];
  const replies = new Map();
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    const form = Object.fromEntries(new URLSearchParams(body));
    const call = { method: request.method, path: request.url, headers: request.headers, form };
    asked.push(call);
    const reply = replies.get(request.url);
    const [status, json] = reply ? await reply(call) : [404, { error: { type: "invalid_request_error" } }];
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => server.close());
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}`, port, asked, answer: (path, reply) => replies.set(path, reply) };
}

/** Stripe's own library, talking to the mock. */
export function stripeClient({ port }) {
  return new Stripe(KEY, { host: "127.0.0.1", port, protocol: "http", telemetry: false, maxNetworkRetries: 0 });
}

const signer = new Stripe(KEY);

/** Delivers an event as Stripe would; `age` in seconds. */
export async function deliver(gateway, event, { secret = SECRET, age = 0, header, body } = {}) {
  const payload = JSON.stringify(event, null, 2);
  const timestamp = Math.floor(Date.now() / 1000) - age;
  const signature = header ?? signer.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  const response = await fetch(`${gateway.url}/api/v1/webhooks/stripe`, {
    method: "POST",
    headers: { "stripe-signature": signature, "content-type": "application/json; charset=utf-8" },
    body: body ?? payload,
  });
  return { status: response.status, json: await response.json() };
}

let events = 0;
export const eventOf = (type, object) => ({
  id: `evt_${++events}`,
  object: "event",
  api_version: "2026-10-28.endive",
  created: Math.floor(Date.now() / 1000),
  livemode: false,
  type,
  data: { object },
});

const metadataOf = (account, cents, more) => ({
  millrace_account: account.id,
  millrace_credit_cents: String(cents),
  ...more,
});

/** A payment of credit and its fee: the events that tell of it, and those that may follow. */
export function paymentOf(account, id, cents = 1000, total = 1080, more = {}) {
  const metadata = metadataOf(account, cents, more.metadata);
  const intent = {
    id, object: "payment_intent", amount: total, amount_received: total, currency: "usd", status: "succeeded",
    created: Math.floor(Date.now() / 1000), customer: null, payment_method: "pm_1", setup_future_usage: null,
    ...more, metadata,
  };
  const session = {
    id: `cs_${id}`, object: "checkout.session", payment_intent: id, payment_status: "paid", status: "complete",
    amount_total: total, currency: "usd", client_reference_id: account.id, metadata,
  };
  const dispute = (status) => ({
    id: `dp_${id}`, object: "dispute", amount: total, currency: "usd", charge: `ch_${id}`, payment_intent: id,
    status, metadata: {}, balance_transactions: [],
  });
  return {
    intent,
    session: (status = "paid") =>
      eventOf("checkout.session.completed", { ...session, payment_status: status }),
    asyncSession: () => eventOf("checkout.session.async_payment_succeeded", session),
    succeeded: () => eventOf("payment_intent.succeeded", intent),
    refunded: (refunded) =>
      eventOf("charge.refunded", {
        id: `ch_${id}`, object: "charge", payment_intent: id, amount: total, amount_refunded: refunded,
        currency: "usd", metadata,
      }),
    disputed: (kind, status) => eventOf(`charge.dispute.${kind}`, dispute(status)),
  };
}
