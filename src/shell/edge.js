// What every request crosses, each in one call: its head on the way in, the attempt at a provider, the
// reply on the way out. A call into JavaScript costs about a microsecond, and so does each object that
// the other side holds. It moves values and decides nothing.

// The headers that requests to a model are read for, in the order of `edge.rs`.
const READ = [
  "authorization", "x-api-key", "x-goog-api-key", "content-length", "x-session-id", "x-openrouter-metadata",
  "http-referer", "referer", "user-agent", "anthropic-beta", "x-millrace-stream",
];
const PROVIDER_TELLS = /^(retry-after|x-amzn-errortype$|.*ratelimit)/;

// The method, the address and the headers, a line each; empty for one that is not there.
export function head(request) {
  const { headers } = request;
  let text = `${request.method}\n${request.url}`;
  for (const name of READ) text += `\n${headers.get(name) ?? ""}`;
  return text;
}

// One request to a provider. Until it was sent, and until its answer is complete, it can be aborted.
export class Attempt {
  #controller = new AbortController();

  // `headers` has names and values, a line each. With `most`, an answer of success is read whole, as
  // long as it is shown to have no more bytes.
  send(url, headers, body, most) {
    const init = {
      method: "POST",
      headers: sent(headers),
      // A view of the crate's memory: what is fetched or answered is a copy of it, by the Fetch standard ("extract a body").
      body,
      // A redirect would carry our key to an address that nobody configured.
      redirect: "manual",
      signal: this.#controller.signal,
    };
    return fetch(url, init).then((response) => take(response, most, this));
  }

  abort() {
    this.#controller.abort();
  }
}

// The headers of requests, by their lines: those to one provider with one key are the same each time.
const SENT = new Map();
const SENT_KEPT = 64;

function sent(lines) {
  let headers = SENT.get(lines);
  if (headers === undefined) {
    headers = new Headers(object(lines));
    if (SENT.size >= SENT_KEPT) SENT.clear();
    SENT.set(lines, headers);
  }
  return headers;
}

// An answer: `status`, `headers` as lines, and `bytes` of the whole `body` or a `reader` of it. A body
// that broke off has neither. `attempt` is what brought it, if it was fetched.
export function take(response, most, attempt) {
  const { status, headers } = response;
  let lines = "";
  headers.forEach((value, name) => {
    if (PROVIDER_TELLS.test(name)) lines += `${name}\n${value}\n`;
  });
  if (status < 200 || status > 299 || !isWithin(headers, most)) {
    // An answer without a body gets an empty one, so that its end is read like any other.
    const body = response.body ?? new Response("").body;
    return { status, headers: lines, body, reader: new Reader(body, attempt) };
  }
  return response.arrayBuffer().then(
    (buffer) => ({ status, headers: lines, bytes: new Uint8Array(buffer) }),
    () => ({ status, headers: lines }),
  );
}

// Reads a body. What reads many pieces uses `bytes`, with places of its own for them: the runtime's plain
// reader makes a new one for each.
class Reader {
  #body;
  #attempt;
  #ahead;

  constructor(body, attempt) {
    this.#body = body;
    this.#attempt = attempt;
    this.bytes = body.getReader({ mode: "byob" });
  }

  // Whether it is the runtime that has the body, and no code of the worker's.
  get isFetched() {
    return this.#attempt !== undefined;
  }

  // A read of the runtime's gets one chunk of HTTP, however many have come. From here on it gets them all, as
  // far as its place has room, and `took` is told of each. Nothing may be reading. Says whether that is new.
  gather() {
    if (this.#ahead) return false;
    this.bytes.releaseLock();
    // The second branch keeps as many bytes as there are; the first, the blocks into which they were read.
    const [copy, body] = this.#body.tee();
    this.bytes = body.getReader({ mode: "byob" });
    this.#ahead = new Ahead(copy);
    return true;
  }

  took(length) {
    this.#ahead?.took(length);
  }

  read() {
    return this.bytes.read(new Uint8Array(PIECE)).then(({ done, value }) => {
      if (done) return { done, value: undefined };
      this.took(value.length);
      return { done, value };
    });
  }

  cancel() {
    // The copy's pipe would hold on to the connection until something comes.
    if (this.#ahead) this.#attempt.abort();
    return this.bytes.cancel();
  }

  releaseLock() {
    this.bytes.releaseLock();
  }
}

const PIECE = 4096;

// Has the runtime pull a body before it is asked for, by reading a copy that nobody looks at: what the copy
// has is kept for the other branch. The copy goes through a pipe, because a read of a branch that waits
// for much holds the other one back. It is never more than a window before what was taken, and stops there:
// a provider is not read faster than its client reads.
class Ahead {
  #copy;
  #room = new ArrayBuffer(WINDOW);
  #pulled = 0;
  #taken = 0;

  constructor(copy) {
    const { readable, writable } = new IdentityTransformStream();
    // What breaks off is told by the other branch.
    copy.pipeTo(writable).catch(ignore);
    this.#copy = readable.getReader({ mode: "byob" });
    this.#pull();
  }

  took(length) {
    this.#taken += length;
    if (this.#room && this.#taken >= this.#pulled) this.#pull();
  }

  #pull() {
    const room = new Uint8Array(this.#room);
    this.#room = undefined;
    this.#copy.readAtLeast(WINDOW, room).then(({ done, value }) => {
      if (done) return;
      this.#pulled += value.length;
      this.#room = value.buffer;
      this.took(0);
    }, ignore);
  }
}

// How far a body is pulled before it is read.
const WINDOW = 16 * 1024;

const ignore = () => {};

// A body that was compressed says nothing of its length.
function isWithin(headers, most) {
  if (most === 0 || headers.get("content-encoding") !== null) return false;
  const length = headers.get("content-length");
  return length !== null && Number(length) <= most;
}

export function reply(status, headers, body) {
  return new Response(body, { status, headers: object(headers) });
}

export function streamed(status, headers, body) {
  return new Response(body, { status, headers: object(headers) });
}

function object(lines) {
  const found = {};
  let at = 0;
  while (at < lines.length) {
    const middle = lines.indexOf("\n", at);
    const end = lines.indexOf("\n", middle + 1);
    found[lines.slice(at, middle)] = lines.slice(middle + 1, end);
    at = end + 1;
  }
  return found;
}
