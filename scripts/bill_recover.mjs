// npm run bill:recover -- --url URL FILE...: has the charges made that a log of the gateway's has and
// its accounts may not, because an isolate was killed within the second in which it reports them, or
// because nothing answered it. `-` reads standard input. A charge that was made is not made again, so
// whole logs may be given, again and again. MILLRACE_ADMIN_KEY comes from the environment or .dev.vars.
// docs/money.md

import { existsSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";

import { readDollars, writeDollars } from "./lib/bill/amount.mjs";
import { chargesIn } from "./lib/bill/lines.mjs";
import { devVarsPath, readVars } from "./lib/dev_vars.mjs";
import { Failure, runMain } from "./lib/process.mjs";

const USAGE = "Usage: npm run bill:recover -- --url https://… FILE...";
/** As many as the gateway takes at once. */
const AT_ONCE = 256;

await runMain(async () => {
  const { values, positionals } = parseArgs({ options: { url: { type: "string" } }, allowPositionals: true });
  if (!values.url || positionals.length === 0) throw new Failure(USAGE);
  const send = sender(values.url.replace(/\/$/, ""), adminKey());
  const accounts = new Map();
  for (const path of positionals) {
    for (const charge of chargesIn(readLog(path))) {
      const charges = accounts.get(charge.account) ?? new Map();
      accounts.set(charge.account, charges.set(charge.generation, charge));
    }
  }
  let failed = false;
  for (const [account, byGeneration] of accounts) {
    const charges = [...byGeneration.values()];
    let [made, unknown, amount] = [0, 0, 0n];
    for (let at = 0; at < charges.length; at += AT_ONCE) {
      const answer = await send(account, charges.slice(at, at + AT_ONCE));
      if (answer.error) {
        failed = true;
        console.log(`${account}: ${answer.error}`);
      } else {
        made += answer.made;
        unknown += answer.unknown_keys;
        amount += readDollars(answer.amount_usd);
      }
    }
    if (unknown > 0) {
      failed = true;
      console.log(`${account}: ${unknown} lines are of keys that it never had`);
    }
    console.log(`${account}: ${charges.length} replies in the log, ${made} were not charged and are now: ${writeDollars(amount)}`);
  }
  if (accounts.size === 0) console.log("No line of the log has a charge.");
  return failed ? 1 : 0;
});

function sender(url, key) {
  return async (account, charges) => {
    const response = await fetch(`${url}/api/v1/admin/accounts/${account}/charges`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ charges }),
    }).catch((error) => {
      throw new Failure(`${url} cannot be reached: ${error.cause?.message ?? error.message}`);
    });
    const json = await response.json().catch(() => ({}));
    if (response.status === 401 || response.status === 403) throw new Failure(`${url} does not take this MILLRACE_ADMIN_KEY.`);
    return response.ok ? json.data : { error: json.error?.message ?? `status ${response.status}` };
  };
}

function adminKey() {
  const stored = existsSync(devVarsPath) ? readVars(devVarsPath) : {};
  const key = process.env.MILLRACE_ADMIN_KEY ?? stored.MILLRACE_ADMIN_KEY;
  if (!key) throw new Failure("Set MILLRACE_ADMIN_KEY to the gateway's root secret.");
  return key;
}

function readLog(path) {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw new Failure(`${path}: ${error.message}`);
  }
}
