// Waiting for something to become true, with a deadline instead of a guess.

import { sleep } from "../../scripts/lib/process.mjs";

const POLL_MS = 20;

/** Calls `probe` until it returns something true, and returns that. `what` says what was awaited. */
export async function eventually(what, probe, { withinMs = 5000 } = {}) {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

/** The outcome of `promise`, or an error that names what did not come in time. */
export async function within(withinMs, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${withinMs} ms: ${what}`)), withinMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise with its `open` function beside it: what waits for it goes on when it is opened. */
export function gate() {
  const { promise, resolve } = Promise.withResolvers();
  return { opened: promise, open: resolve };
}
