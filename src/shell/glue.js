// What Rust cannot reach well: the loop that moves a stream, and a provider inside the worker.
// It moves bytes and decides nothing: each chunk is one synchronous call into the core.

// Moves a reply that has begun from `reader` to `writer` until the core says that it is over.
// `core` is the crate's `Relay`; its calls answer with bytes to write, or with nothing.
// Writes are whole frames, so a comment written by the timer never falls inside one.
export async function relay(core, reader, writer, signal, tickMs) {
  let over = false;
  const leave = () => {
    if (over) return;
    over = true;
    core.client_gone();
    reader.cancel().catch(() => {});
  };
  const timer = setInterval(() => {
    if (over) return;
    const bytes = core.tick();
    if (bytes) writer.write(bytes).catch(leave);
    if (core.is_over()) {
      over = true;
      reader.cancel().catch(() => {});
    }
  }, tickMs);
  signal?.addEventListener("abort", leave);
  writer.closed.catch(leave);
  try {
    while (!over) {
      const bytes = await next(core, reader, () => over);
      if (bytes) {
        try {
          await writer.write(bytes);
        } catch {
          leave();
        }
      }
      if (core.is_over()) over = true;
    }
  } finally {
    clearInterval(timer);
    signal?.removeEventListener("abort", leave);
  }
}

async function next(core, reader, isOver) {
  let piece;
  try {
    piece = await reader.read();
  } catch {
    return isOver() ? undefined : core.broken();
  }
  if (isOver()) return undefined;
  return piece.done ? core.end() : core.chunk(piece.value);
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
    pull(controller) {
      const bytes = source.next();
      if (bytes) controller.enqueue(bytes);
      else controller.close();
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
