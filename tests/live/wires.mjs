// Each protocol in which llama-server can be spoken to, as one row: it poses as a provider of that
// protocol. It answers to any model's name, so a priced model shows what its tokens cost.

import { endpointsOf, startGateway } from "../worker/harness.mjs";
import { pico } from "../worker/money.mjs";
import { llamaKey } from "./llama.mjs";

export const WIRES = [
  { name: "llama.cpp, for nothing", variable: "LLAMACPP", model: "llamacpp/smollm2-135m", priced: false },
  { name: "Chat Completions", variable: "GROQ", model: "meta-llama/llama-3.1-8b-instruct", priced: true },
  { name: "Responses where asked in them", variable: "OPENAI", model: "openai/gpt-4.1-mini", priced: true },
  { name: "Messages", variable: "ANTHROPIC", model: "anthropic/claude-haiku-4.5", priced: true },
];
/** workerd notices an orderly hang-up when it writes: comments make it write often. */
const COMPANY = { MILLRACE_COMMENT_AFTER_MS: 200, MILLRACE_COMMENT_EVERY_MS: 200 };
export const PRICED = WIRES.filter((wire) => wire.priced);

/** A gateway whose every provider is this server. */
export function startOver(llama, suite) {
  const vars = WIRES.flatMap(({ variable }) => [
    [`${variable}_BASE_URL`, llama.base],
    [`${variable}_API_KEY`, llamaKey],
  ]);
  return startGateway({ suite, vars: { ...Object.fromEntries(vars), ...COMPANY } });
}

/** What a token costs, in picodollars: `{input, cached, output}`. */
export async function pricesOf(gateway, key, wire) {
  if (!wire.priced) return { input: 0n, cached: 0n, output: 0n };
  const [{ pricing }] = await endpointsOf(gateway, key, wire.model);
  const input = pico(pricing.prompt);
  const cached = pricing.input_cache_read === undefined ? input : pico(pricing.input_cache_read);
  return { input, cached, output: pico(pricing.completion) };
}

/** What these tokens cost; `input` are those that were read, beside the cached. */
export function costOf(prices, { input, cached, output }) {
  return BigInt(input) * prices.input + BigInt(cached) * prices.cached + BigInt(output) * prices.output;
}
