// The charges in a log of the gateway's, wherever the log was kept: the lines themselves, as workerd
// writes them or in the midst of other text, or the envelopes in which Cloudflare hands them on
// (`wrangler tail --format json`, Logpush).

/** Yields each charge of a text of lines: the members of its line, with `generation`, `account` and `cost_usd`. */
export function* chargesIn(text) {
  for (const line of text.split("\n")) {
    const start = line.indexOf("{");
    if (start >= 0) yield* chargesOf(parsed(line.slice(start)));
  }
}

function* chargesOf(value) {
  if (typeof value !== "object" || value === null) return;
  if (isCharge(value)) yield value;
  for (const log of value.logs ?? value.Logs ?? []) {
    for (const message of [log.message ?? log.Message ?? []].flat()) {
      if (typeof message === "string") yield* chargesOf(parsed(message));
    }
  }
}

/** Both lines say what a reply cost; one that cost nothing has no charge. */
function isCharge({ event, generation, account, cost_usd }) {
  const isLine = event === "exchange" || event === "unsettled";
  return isLine && generation && account && /[1-9]/.test(cost_usd ?? "");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
