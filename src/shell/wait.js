// What the crate waits for in the runtime, each by the number of a place of its own (`wait.rs`). The
// bindings' own way makes two functions for each promise, which the collector has to be told of, and calls
// the crate again to let go of them.

let tell;

// Each instance of the crate says once by what it is told.
export function tellBy(settled) {
  tell = settled;
}

// An instance that ended is not told: the next has places of its own.
export function settles(promise, place) {
  const told = tell;
  promise.then(
    (value) => told(place, true, value),
    (error) => told(place, false, error),
  );
}

export function passes(ms, place) {
  return setTimeout(tell, ms, place, true);
}

// What the runtime waits for by the numbers of clients that have left.
const kept = new Map();

// Whether there is still a client to wait for. The runtime ends what it does for a client that has left, unless it is
// told to wait before this event is over: to tell it for each request costs more than to be told of those.
export function leaves(signal, context, place) {
  const told = tell;
  const keep = () => context.waitUntil(new Promise((end) => kept.set(place, end)));
  if (signal.aborted) {
    keep();
    return false;
  }
  signal.onabort = () => {
    if (told(place, true)) keep();
  };
  return true;
}

// What was done for a client is over.
export function ended(place) {
  if (kept.size === 0) return;
  kept.get(place)?.();
  kept.delete(place);
}
