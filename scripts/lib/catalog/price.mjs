// Exact prices. A price is a whole number of picodollars for one unit, as a BigInt; in files it is
// a decimal text of dollars. No sum is made with floats.

const PICO_DECIMALS = 12;
/** A price that a float has bent is off by less than this share of itself. */
const NOISE = 1_000_000_000n;

/**
 * Reads a decimal text into picodollars: `{ pico }`, `{ pico, repaired: true }` where a float had
 * bent it, or `{ error }`. `shift` moves the point: 6 for dollars for a million tokens.
 *
 * The rule of repair: what lies less than a billionth of itself beside a whole number of
 * picodollars is that number (0.000000049999999999999996 is 0.00000005). Anything else that is
 * finer than a picodollar is refused.
 */
export function readPrice(value, shift = 0) {
  const text = String(value);
  const found = /^(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (!found) return { error: text.startsWith("-") ? "negative" : "not a decimal number" };
  const [, whole, part = "", exponent = "0"] = found;
  const digits = BigInt(whole + part);
  const scale = PICO_DECIMALS - shift + Number(exponent) - part.length;
  if (scale >= 0) return { pico: digits * 10n ** BigInt(scale) };
  const divisor = 10n ** BigInt(-scale);
  if (digits % divisor === 0n) return { pico: digits / divisor };
  const nearest = (2n * digits + divisor) / (2n * divisor);
  const distance = digits - nearest * divisor;
  const off = distance < 0n ? -distance : distance;
  if (off * NOISE < digits) return { pico: nearest, repaired: true };
  return { error: "finer than a picodollar" };
}

/** Writes picodollars as dollars, the shortest plain decimal. */
export function writePrice(pico) {
  const text = pico.toString().padStart(PICO_DECIMALS + 1, "0");
  const whole = text.slice(0, -PICO_DECIMALS);
  const part = text.slice(-PICO_DECIMALS).replace(/0+$/, "");
  return part ? `${whole}.${part}` : whole;
}

/** Dollars for a million units, for people: `$1.25`. */
export function perMillion(text) {
  const { pico } = readPrice(text);
  return `$${writePrice(pico * 1_000_000n)}`;
}

/** By how much a price rose, for people: `+20%`, `-3.5%`. */
export function change(from, to) {
  const [before, after] = [readPrice(from).pico, readPrice(to).pico];
  if (before === 0n) return "from nothing";
  const tenths = ((after - before) * 1000n) / before;
  const sign = tenths < 0n ? "-" : "+";
  const size = tenths < 0n ? -tenths : tenths;
  return `${sign}${size / 10n}${size % 10n ? `.${size % 10n}` : ""}%`;
}
