// One instance of the crate among those that an isolate may see, and what is logged where it panics. One that
// trapped is followed by another; what was made in it is gone.

// The functions of a panic itself are a dozen.
const MOST_FRAMES = 60;

let instances = 0;

export function begins() {
  return ++instances;
}

export function panics(words) {
  const most = Error.stackTraceLimit;
  Error.stackTraceLimit = MOST_FRAMES;
  console.error(new Error(words).stack);
  Error.stackTraceLimit = most;
}
