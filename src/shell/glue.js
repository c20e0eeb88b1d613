// What Rust cannot reach well: the ways that a stream is moved, and a provider inside the worker.
// It moves bytes and decides nothing but when to read: a piece is one synchronous call into the core.

// Moves a reply that has begun from `reader`, a `Reader` of edge.js, to `writer` until the core says that
// it is over. `core` is the crate's `Relay`. Writes are whole frames, so a comment written by the timer
// never falls inside one.
export async function relay(core, memory, reader, writer, signal) {
  const port = new Port(core, memory);
  const pace = new Pace();
  const mayGather = reader.isFetched;
  let over = false;
  let timer;
  let writing = false;
  let written;
  const landed = () => {
    writing = false;
  };
  const stop = () => {
    over = true;
    pace.stop();
    reader.cancel().catch(() => {});
  };
  const leave = () => {
    if (over) return;
    stop();
    core.client_gone();
  };
  // The deadline of the core only ever moves away, so a timer that comes too early is set anew.
  const wake = () => {
    if (over) return;
    const bytes = port.take(core.tick());
    if (bytes) writer.write(bytes).catch(leave);
    if (port.over) stop();
    else timer = setTimeout(wake, core.wait_ms());
  };
  timer = setTimeout(wake, core.wait_ms());
  signal?.addEventListener("abort", leave);
  writer.closed.catch(leave);
  // Two places in turn: a piece is written from the one while the next is read to the other.
  let size = PLACE;
  let place = new ArrayBuffer(size);
  let other = new ArrayBuffer(size);
  try {
    while (!over) {
      let piece;
      try {
        if (pace.waits) await pace.wait();
        piece = await reader.bytes.read(new Uint8Array(place));
      } catch {
        piece = undefined;
      }
      // A client that takes its time is waited for: the core sees no piece before the last is out.
      if (writing) await written;
      if (over) break;
      let bytes;
      if (piece && !piece.done) {
        const { value } = piece;
        const { buffer, length } = value;
        reader.took(length);
        // There is more behind a piece that fills its place.
        if (length === size && size < MOST_PLACE) size *= 2;
        const now = Date.now();
        if (mayGather && pace.came(length, now) && reader.gather()) size = Math.max(size, GATHERED);
        bytes = port.chunk(value, now);
        place = other.byteLength < size ? new ArrayBuffer(size) : other;
        other = buffer;
      } else {
        bytes = port.take(piece ? core.end() : core.broken());
      }
      if (port.over) over = true;
      if (bytes) {
        writing = true;
        written = writer.write(bytes).then(landed, leave);
      }
    }
    await written;
  } finally {
    over = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
    core.free();
  }
}

// How much of a reply is read at once, at first and at most; no more than the core has room for. Events
// are a few hundred bytes, and memory that is asked for costs more the more it is.
const PLACE = 1024;
const GATHERED = 8 * 1024;
const MOST_PLACE = 32 * 1024;

// How one stream is read: each piece as it comes, or, where they come faster than it pays to look at each, all
// that came within a few milliseconds. It is the first way until pieces were quick several times in a row. A
// wait is between two reads, so what comes later than it lasts is not held back by it.
//
// On Cloudflare a clock stands still while code runs; this one is read where something has come or a timer was due.
class Pace {
  waits = false;
  #ms = 0;
  #quick = 0;
  #last = 0;
  #usual = 0;
  #timer;
  #wake;

  wait() {
    if (this.#ms === 0) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, this.#ms);
    });
  }

  // Ends a wait that is under way.
  stop() {
    clearTimeout(this.#timer);
    this.#wake?.();
  }

  // A piece of `length` bytes came; whether the next ones are to be gathered.
  came(length, now) {
    load.look(now);
    if (this.waits) this.#adapt(length);
    else this.#watch(length, now - this.#last);
    this.#last = now;
    return this.waits;
  }

  // Several pieces at once are what a wait is for: it is as long as brings enough of them. There is none after
  // much came at once, and none any more where the longest brings one.
  #adapt(length) {
    const pieces = length / this.#usual;
    const most = MOST_MS + load.behind;
    if (length >= MUCH) this.#ms = 0;
    else if (pieces < 1.5 && this.#ms >= most) {
      this.waits = false;
      this.#quick = 0;
    } else if (pieces > MANY) this.#ms = Math.max(this.#ms / 2, 1);
    else if (pieces < ENOUGH && length < LARGE) this.#ms = Math.min(Math.max(2 * this.#ms, 1), most);
    else this.#ms = Math.min(this.#ms, most);
  }

  #watch(length, gap) {
    this.#usual = this.#usual === 0 ? length : (3 * this.#usual + length) / 4;
    this.#quick = gap < QUICK_MS + load.behind && length < LARGE ? this.#quick + 1 : 0;
    this.waits = this.#quick >= QUICK;
    this.#ms = gap < QUICK_MS ? 1 : load.behind;
  }
}

// Whether this isolate has more to do than it can, by how late its timers are. If so, streams whose pieces come
// further apart may wait for several as well, `behind` milliseconds: more of them, the longer it stays so.
class Load {
  behind = 0;
  #late = 0;
  #at = 0;

  look(now) {
    const since = now - this.#at;
    if (since >= 0 && since < LOOK_MS) return;
    // Nothing is known of a pause, nor after a clock was set back.
    if (since < 0 || since > STALE_MS) this.behind = this.#late = 0;
    this.#at = now;
    setTimeout(() => this.#learn(Date.now() - now - 1), 1);
  }

  // One long pause, such as for garbage, says little.
  #learn(late) {
    this.#late += (Math.min(Math.max(late, 0), MOST_LATE_MS) - this.#late) / 8;
    if (this.#late > LATE_MS) this.behind = Math.min(this.behind + 4, MOST_BEHIND_MS);
    else if (this.#late < LATE_MS / 2) this.behind = Math.max(this.behind - 2, 0);
  }
}

// One for all streams of the isolate; a number, and nothing that belongs to a request.
const load = new Load();

// Pieces are quick that come closer than this, and gathered after so many in a row.
const QUICK_MS = 4;
const QUICK = 4;
// The longest wait of an isolate that keeps up, and how many pieces at once are enough and many.
const MOST_MS = 4;
const ENOUGH = 8;
const MANY = 16;
// A piece of so many bytes is worth looking at alone, and so many at once are worth no wait.
const LARGE = 2 * 1024;
const MUCH = 8 * 1024;
// How often it is looked at how late a timer is, and for how long what was found holds.
const LOOK_MS = 25;
const STALE_MS = 250;
// An isolate is behind whose timers are later than this on average, none of them counted for more than the most.
const LATE_MS = 3;
const MOST_LATE_MS = 6;
const MOST_BEHIND_MS = 60;

// Has the runtime move a reply that has begun, byte for byte, and shows the core a copy of it: now
// and then what has come since, in a few large reads, and the rest when the reply is out. Reads of
// what is there hold nothing back; reading the copy whole would. What the core wants done is left to
// its driver, which has `writable` to itself again.
export async function pipe(core, memory, body, writable, signal, abort, tickMs) {
  const [reply, copy] = body.tee();
  const meter = new Meter(core, memory, copy);
  // A read that is still under way tells that nothing came since the last time.
  const timer = setInterval(async () => {
    await meter.catchUp();
    if (meter.tick()) abort.abort();
  }, tickMs);
  let whole = true;
  try {
    await reply.pipeTo(writable, { preventClose: true, preventAbort: true });
  } catch {
    whole = false;
  }
  clearInterval(timer);
  // A client that has left is known by the signal. Then the copy has what it got, and goes on.
  const late = whole ? undefined : after(signal.aborted ? LEFT_MS : BROKEN_MS);
  while (!meter.ended && !core.is_over()) {
    const look = meter.look();
    if ((await (late ? Promise.race([look, late]) : look)) === undefined) {
      core.client_gone();
      break;
    }
  }
  meter.close();
  core.free();
}

// A copy's bytes on their way to the core.
class Meter {
  ended = false;
  #core;
  #port;
  #reader;
  #room = new ArrayBuffer(METERED);
  #reading;

  constructor(core, memory, copy) {
    this.#core = core;
    this.#port = new Port(core, memory);
    this.#reader = copy.getReader({ mode: "byob" });
  }

  // The length of the next bytes of the copy, which the core has then seen.
  look() {
    return (this.#reading ??= this.#reader.read(new Uint8Array(this.#room)).then(
      ({ done, value }) => {
        this.#reading = undefined;
        if (done || this.ended) return this.#end(() => this.#core.end());
        this.#core.passed(this.#port.put(value));
        this.#room = value.buffer;
        return value.length;
      },
      () => this.#end(() => this.#core.broken()),
    ));
  }

  // Shows what is there, to where a read is not filled.
  async catchUp() {
    while (!this.ended && !this.#reading && (await this.look()) === METERED);
  }

  // Whether the reply is over, by the clock or by what was seen.
  tick() {
    if (this.ended) return false;
    this.#core.tick();
    return this.#core.is_over();
  }

  // Whatever is still under way says nothing more.
  close() {
    this.ended = true;
    this.#reader.cancel().catch(() => {});
  }

  #end(tell) {
    this.#reading = undefined;
    if (!this.ended) {
      this.ended = true;
      tell();
    }
    return 0;
  }
}

// How much of a copy is read at once; no more than the core has room for.
const METERED = 32 * 1024;
// What a client got before it left is read within this time.
const LEFT_MS = 20;
// A provider that broke off has ended the copy as well, within this time.
const BROKEN_MS = 1000;

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The crate's memory, where chunks are put for the core and taken from it: one copy each way.
class Port {
  over = false;
  #core;
  #memory;
  #heap;
  #in;

  constructor(core, memory) {
    this.#core = core;
    this.#memory = memory;
    this.#heap = new Uint8Array(memory.buffer);
    this.#in = core.inbox();
  }

  // Shows the core a chunk that fits and came at `now`; the bytes to write for it, if there are any.
  chunk(bytes, now) {
    const said = this.#core.chunk(this.put(bytes), now);
    this.over = (said & 1) !== 0;
    // Unchanged: what came may go as it is.
    return (said & 2) !== 0 ? bytes : this.take(said, bytes.buffer);
  }

  put(bytes) {
    this.#current().set(bytes, this.#in);
    return bytes.length;
  }

  // What a call of the core's said: bit 0 for the end, from bit 2 on the length of what is to be written.
  // It is put to `place` where it fits.
  take(said, place) {
    this.over = (said & 1) !== 0;
    const length = said >>> 2;
    if (length === 0) return undefined;
    const at = this.#core.outbox();
    const heap = this.#current();
    if (place === undefined || place.byteLength < length) return heap.slice(at, at + length);
    const bytes = new Uint8Array(place, 0, length);
    bytes.set(heap.subarray(at, at + length));
    return bytes;
  }

  // Memory that has grown is another buffer.
  #current() {
    if (this.#heap.buffer !== this.#memory.buffer) this.#heap = new Uint8Array(this.#memory.buffer);
    return this.#heap;
  }
}

// Reads the rest of a provider's body, which should be its end, so that its connection can be
// used again; gives up after `ms`.
export async function release(reader, ms) {
  const timer = setTimeout(() => reader.cancel().catch(() => {}), ms);
  try {
    while (!(await reader.read()).done);
  } catch {
    // The provider's connection broke after its answer was complete: nobody misses anything.
  } finally {
    clearTimeout(timer);
  }
}

// The answer of a provider that is inside the worker: `source.next()` gives bytes until it
// gives none.
export function embedded(source, status, contentType) {
  const body = new ReadableStream({
    type: "bytes",
    pull(controller) {
      const bytes = source.next();
      if (bytes) return controller.enqueue(bytes);
      controller.close();
      // A read into memory that was lent ends only when that is given back.
      controller.byobRequest?.respond(0);
    },
  });
  return new Response(body, { status, headers: { "content-type": contentType } });
}

// Signs `text` with a private key in PKCS #8: RSASSA-PKCS1-v1_5 with SHA-256, as JWTs want it.
export async function signRs256(key, text) {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("pkcs8", key, algorithm, false, ["sign"]);
  return crypto.subtle.sign(algorithm, imported, new TextEncoder().encode(text));
}

// Runs one statement on a Durable Object's database: rows as arrays of cells. What the database
// throws is thrown on, which the crate's bindings catch only for a function of our own.
export function query(storage, statement, cells) {
  return storage.sql.exec(statement, ...cells).raw().toArray();
}

// Seals a text with AES-GCM under a key made of `secret`, bound to `bound`: the nonce, then the rest.
export async function seal(secret, bound, text) {
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const algorithm = { name: "AES-GCM", iv, additionalData: new TextEncoder().encode(bound) };
  const sealed = await crypto.subtle.encrypt(algorithm, await sealKey(secret), new TextEncoder().encode(text));
  const bytes = new Uint8Array(iv.length + sealed.byteLength);
  bytes.set(iv);
  bytes.set(new Uint8Array(sealed), iv.length);
  return bytes;
}

// Opens what was sealed; throws where the secret, what it is bound to, or a bit of it is another.
export async function unseal(secret, bound, bytes) {
  const additionalData = new TextEncoder().encode(bound);
  const algorithm = { name: "AES-GCM", iv: bytes.slice(0, 12), additionalData };
  return new TextDecoder().decode(await crypto.subtle.decrypt(algorithm, await sealKey(secret), bytes.slice(12)));
}

async function sealKey(secret) {
  const encoder = new TextEncoder();
  const material = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, ["deriveKey"]);
  const info = encoder.encode("millrace byok 1");
  const algorithm = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info };
  return crypto.subtle.deriveKey(algorithm, material, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}
