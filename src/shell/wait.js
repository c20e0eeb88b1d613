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

// Whether there is still a client to wait for.
export function leaves(signal, place) {
  if (signal.aborted) return false;
  const told = tell;
  signal.onabort = () => told(place, true);
  return true;
}
