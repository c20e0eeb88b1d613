// What the gateway asks of the runtime for a small request, without any code of its own: the headers that it reads, the
// client's leaving, a limit of time, a request that can be aborted, what a provider's headers tell, a line of the
// log, the reply's headers, and with every 64th reply a report to an object, which writes it down. It knows nobody
// and decides nothing: what the gateway takes beyond this is its own code, and what is slower for it.

import { DurableObject } from "cloudflare:workers";

const READ = ["authorization", "x-api-key", "x-goog-api-key", "content-length", "x-session-id", "x-openrouter-metadata",
  "http-referer", "referer", "user-agent", "anthropic-beta", "x-millrace-stream"];
const PROVIDER_TELLS = /^(retry-after|x-amzn-errortype$|.*ratelimit)/;
const SENT = { "content-type": "application/json", accept: "application/json", "accept-encoding": "identity", "user-agent": "millrace", authorization: "Bearer sk-upstream" };
const REPLY = { "content-type": "application/json", "access-control-allow-origin": "*", "access-control-expose-headers": "x-generation-id, retry-after", "server-timing": "gateway;dur=1, upstream;dur=4", "x-overhead-ms": "1" };
// As long as a line of the log, and a record.
const LINE = JSON.stringify({ event: "generation", text: "-".repeat(600) });
const RECORD = JSON.stringify({ id: "gen", text: "-".repeat(450) });
const LIMIT_MS = 600_000;
const BATCH = 64;

let sent;
let records = [];

export class Account extends DurableObject {
  call(report) {
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS record (number INTEGER PRIMARY KEY, record TEXT)");
      this.ctx.storage.sql.exec("INSERT INTO record (record) SELECT value FROM json_each(?1)", report);
    });
  }
}

export default {
  async fetch(request, env, context) {
    if (request.method !== "POST") return new Response("ok");
    const head = READ.map((name) => request.headers.get(name) ?? "");
    const body = await request.arrayBuffer();
    const attempt = new AbortController();
    request.signal.onabort = () => attempt.abort();
    const timer = setTimeout(() => attempt.abort(), LIMIT_MS);
    sent ??= new Headers(SENT);
    const init = { method: "POST", headers: sent, body, redirect: "manual", signal: attempt.signal };
    const response = await fetch(env.UPSTREAM + new URL(request.url).pathname, init);
    let told = "";
    response.headers.forEach((value, name) => {
      if (PROVIDER_TELLS.test(name)) told += value;
    });
    const bytes = await response.arrayBuffer();
    clearTimeout(timer);
    console.log(LINE);
    if (records.push(RECORD) === BATCH) context.waitUntil(report(env));
    return new Response(bytes, { headers: { ...REPLY, "x-generation-id": `gen-${head.length}-${told.length}` } });
  },
};

function report(env) {
  const text = JSON.stringify(records);
  records = [];
  return env.ACCOUNTS.get(env.ACCOUNTS.idFromName("account")).call(text);
}
