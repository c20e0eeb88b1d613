// The worker's entry module: the runtime's classes and handlers on one side, the compiled crate
// on the other. It moves values across and decides nothing. Durable Objects answer remote calls
// only as a JavaScript class that extends DurableObject; that is why the class is written here.
//
// A Rust panic unwinds: it rejects one call and the instance lives on; the crate's panic hook has
// logged it. A trap (stack overflow, out of memory) ends the instance: the bindings notice on the
// next call and start a fresh one, and an object's state from before the trap is built anew.

import { DurableObject } from "cloudflare:workers";
import wasm from "./millrace_bg.wasm";
import { AccountBody, HealthBody, charge_card, deliver_alerts, handle, initSync, instanceNumber } from "#bindings";

const KV_LIMIT_MS = 3000;
// What is answered to commands about workspaces and guardrails, which change what applies to keys.
const TEAM = '{"team":';
// An alarm that has more to tell comes again.
const PUBLISH_ROUNDS = 20;

// The crate's executor asks for a turn with each wake, always for the same function. The runtime's own way
// makes an object of each turn.
const PAST = Promise.resolve();
let asked;
let turn;
globalThis.queueMicrotask = (task) => {
  if (task !== asked) {
    asked = task;
    turn = () => attempt(task);
  }
  PAST.then(turn);
};

initSync({ module: wasm });

// A trap after an await has no caller to throw to; the runtime reports it here.
addEventListener("error", (event) => logUnlessPanic(event.error));

export default {
  async fetch(request, env, context) {
    try {
      return await handle(request, env, context);
    } catch (error) {
      logUnlessPanic(error);
      return internalServerError();
    }
  },
};

export class AccountObject extends DurableObject {
  #body;
  #instance;
  #written = Promise.resolve();

  // A command that fails leaves nothing behind, on disk or in memory.
  call(command) {
    const [answer, entries] = this.#turn((body) => [body.call(command), body.entries()]);
    if (answer.startsWith(TEAM)) return within(KV_LIMIT_MS, this.#publish()).then(() => answer);
    return entries.length === 0 ? answer : this.#write(entries).then(() => answer);
  }

  // The policies of keys are written to KV by their account alone, one after the other: a late write
  // cannot undo a later one. The answer waits for the write, but not for long.
  #write(entries) {
    const { KEYS } = this.env;
    for (let at = 0; at < entries.length; at += 2) {
      this.#written = this.#written.then(() => KEYS.put(entries[at], entries[at + 1])).catch(() => {
        console.log(`{"event":"kv_write_failed","what":"key"}`);
      });
    }
    return within(KV_LIMIT_MS, this.#written);
  }

  // What applies to keys is written likewise, a few at a time, and is due until it has been. Says whether
  // nothing is left.
  async #publish() {
    try {
      for (let round = 0; round < PUBLISH_ROUNDS; round++) {
        const due = this.#turn((body) => body.due_policies());
        if (due.length === 0) return true;
        for (let at = 0; at < due.length; at += 3) {
          const put = this.#written.then(() => this.env.KEYS.put(due[at], due[at + 1]));
          this.#written = put.catch(() => {});
          await put;
          this.#turn((body) => body.published(due[at + 2]));
        }
      }
    } catch {
      console.log(`{"event":"kv_write_failed","what":"policy"}`);
    }
    return false;
  }

  // Reports that an isolate could not bring here are in KV: they are made before what was held for
  // them is given back. KV may fail; money that is held must not wait for it.
  async alarm() {
    let collected = true;
    try {
      const prefix = this.#turn((body) => body.kept_prefix());
      if (prefix !== undefined) {
        await collect(this.env.KEYS, prefix, (command) => this.call(command));
      }
    } catch (error) {
      collected = false;
      logUnlessPanic(error);
    }
    const told = await this.#publish();
    const topUp = this.#turn((body) => body.due_top_up());
    const alerts = this.#turn((body) => body.due_alerts());
    this.#turn((body) => body.alarm(collected, told));
    // Those whose outcome is lost are sent again, under the same id.
    const sent = alerts === undefined ? undefined : deliver_alerts(this.env, alerts).catch(logUnlessPanic);
    // Stripe is asked outside of any turn. What it answers may be lost: the attempt is then made again,
    // and is the same attempt to Stripe.
    if (topUp !== undefined) this.call(await charge_card(this.env, topUp));
    const ended = await sent;
    if (ended !== undefined) this.call(ended);
  }

  #turn(action) {
    try {
      return this.ctx.storage.transactionSync(() => action(this.#liveBody()));
    } catch (error) {
      this.#body = undefined;
      logUnlessPanic(error);
      throw error;
    }
  }

  #liveBody() {
    const instance = instanceNumber();
    if (this.#body === undefined || this.#instance !== instance) {
      this.#body = new AccountBody(this.ctx, this.env);
      this.#instance = instance;
    }
    return this.#body;
  }
}

export class HealthObject extends DurableObject {
  #body;
  #instance;

  call(report) {
    return this.#turn((body) => body.call(report));
  }

  alarm() {
    return this.#turn((body) => body.alarm());
  }

  #turn(action) {
    const instance = instanceNumber();
    try {
      if (this.#instance !== instance) this.#body = undefined;
      this.#instance = instance;
      return action((this.#body ??= new HealthBody(this.ctx, this.env)));
    } catch (error) {
      this.#body = undefined;
      logUnlessPanic(error);
      throw error;
    }
  }
}

// Each is read, made and only then deleted: what is made twice is charged once.
async function collect(entries, prefix, make) {
  const { keys } = await entries.list({ prefix });
  for (const { name } of keys) {
    const command = await entries.get(name, "text");
    if (command === null) continue;
    make(command);
    await entries.delete(name);
  }
}

function within(limitMs, promise) {
  return Promise.race([promise, new Promise((resolve) => setTimeout(resolve, limitMs))]);
}

function attempt(task) {
  try {
    task();
  } catch (error) {
    logUnlessPanic(error);
  }
}

function logUnlessPanic(error) {
  if (error?.name !== "PanicError") console.error(String(error?.stack ?? error));
}

function internalServerError() {
  const error = { code: 500, message: "Internal Server Error", metadata: { error_type: "server" } };
  return Response.json({ error }, { status: 500, headers: { "access-control-allow-origin": "*" } });
}
