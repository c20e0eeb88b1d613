// Exact money for the tests: whole picodollars in a BigInt, as the gateway counts them.

const DECIMALS = 12;

/** Reads a decimal amount of dollars such as "0.000427", 4e-7 or "10". */
export function pico(amount) {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(String(amount));
  if (!match) throw new Error(`not an amount: ${amount}`);
  const [, sign, whole, part = "", exponent = "0"] = match;
  const shift = DECIMALS - part.length + Number(exponent);
  const digits = BigInt(whole + part);
  if (shift < 0 && digits % 10n ** BigInt(-shift) !== 0n) throw new Error(`finer than a picodollar: ${amount}`);
  const value = shift < 0 ? digits / 10n ** BigInt(-shift) : digits * 10n ** BigInt(shift);
  return sign ? -value : value;
}

/** Writes picodollars as a decimal amount of dollars. */
export function dollars(amount) {
  const digits = String(amount).padStart(DECIMALS + 1, "0");
  return `${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`;
}

/** What a reply costs by the prices of the endpoint that served it, cached tokens at their own price. */
export function cost(usage, pricing) {
  const cached = BigInt(usage.prompt_tokens_details?.cached_tokens ?? 0);
  const price = pico(pricing.prompt);
  const cachedPrice = pico(pricing.input_cache_read ?? pricing.prompt);
  return (
    (BigInt(usage.prompt_tokens) - cached) * price +
    cached * cachedPrice +
    BigInt(usage.completion_tokens) * pico(pricing.completion)
  );
}
