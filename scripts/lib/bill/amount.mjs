// Whole picodollars in a BigInt. Nothing here is a float.

const DECIMALS = 12;

/** Reads whole picodollars. */
export function readPico(text) {
  if (!/^-?\d+$/.test(text ?? "")) throw new Error(`not an amount of picodollars: ${JSON.stringify(text)}`);
  return BigInt(text);
}

/** Reads a decimal text of dollars, exactly. */
export function readDollars(text) {
  const match = /^(-?)(\d+)(?:\.(\d{1,12}))?$/.exec(text ?? "");
  if (!match) throw new Error(`not an amount of dollars: ${JSON.stringify(text)}`);
  const [, sign, whole, part = ""] = match;
  const pico = BigInt(whole + part.padEnd(DECIMALS, "0"));
  return sign ? -pico : pico;
}

export function writeDollars(pico) {
  const digits = String(pico < 0n ? -pico : pico).padStart(DECIMALS + 1, "0");
  const text = `${digits.slice(0, -DECIMALS)}.${digits.slice(-DECIMALS)}`.replace(/\.?0+$/, "");
  return `${pico < 0n ? "-" : ""}$${text}`;
}

export const sum = (amounts) => amounts.reduce((total, amount) => total + amount, 0n);
