// A chat client that hides nothing: bytes, frames and the moment at which each arrived.

import assert from "node:assert/strict";
import { connect } from "node:net";

/** One request to the gateway. `body` may be a value or the text itself. Returns the open response. */
export function post(gateway, key, body, { path = "/api/v1/chat/completions", headers, signal } = {}) {
  return fetch(gateway.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
    signal,
  });
}

/** A chat whose socket is in the test's hands: `{socket, text()}`. */
export function dial(gateway, key, body, { headers = "" } = {}) {
  const content = JSON.stringify(body);
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(port, hostname);
  const received = [];
  socket.on("data", (piece) => received.push(piece));
  socket.on("error", () => {});
  socket.write(
    `POST /api/v1/chat/completions HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${key}\r\n` +
      `${headers}Content-Length: ${Buffer.byteLength(content)}\r\n\r\n${content}`,
  );
  return { socket, text: () => Buffer.concat(received).toString() };
}

export const user = (content) => [{ role: "user", content }];

/** A whole reply: `{status, headers, text, json}`. */
export async function chat(gateway, key, body, options) {
  const response = await post(gateway, key, body, options);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

/** A streamed reply read to its end, whatever the end was. */
export async function stream(gateway, key, body, options) {
  const response = await post(gateway, key, { ...body, stream: true }, options);
  const frames = [];
  let broken = null;
  try {
    for await (const frame of framesOf(response)) frames.push(frame);
  } catch (error) {
    broken = error;
  }
  return { status: response.status, headers: response.headers, broken, ...summary(frames) };
}

/** Yields each event of a response as it arrives: `{raw, comment}` or `{raw, data, json}`. */
export async function* framesOf(response) {
  let rest = "";
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    rest += text;
    const frames = rest.split("\n\n");
    rest = frames.pop();
    for (const raw of frames) yield readFrame(raw);
  }
  if (rest) yield readFrame(rest);
}

/** The frames that carry text, for reading a stream step by step. */
export async function* deltasOf(response) {
  for await (const frame of framesOf(response)) {
    const content = frame.json?.choices?.[0]?.delta?.content;
    if (content) yield content;
  }
}

/** Checks the envelope of an error and returns its `error`. */
export function assertFailure({ status, json, headers }, expected, message) {
  assert.equal(status, expected, JSON.stringify(json));
  assert.match(headers.get("content-type") ?? "", /^application\/json/);
  assert.equal(json.error.code, expected);
  assert.equal(typeof json.error.message, "string");
  assert.equal(typeof json.error.metadata?.error_type, "string", JSON.stringify(json));
  if (message) assert.match(json.error.message, message);
  return json.error;
}

function readFrame(raw) {
  if (raw.startsWith(":")) return { raw, comment: raw };
  if (!raw.startsWith("data:")) return { raw };
  const data = raw.replace(/^data: ?/, "");
  return { raw, data, json: parsed(data) };
}

function summary(frames) {
  const chunks = frames.flatMap((frame) => (frame.json ? [frame.json] : []));
  const choices = chunks.flatMap((chunk) => chunk.choices ?? []);
  return {
    frames,
    chunks,
    text: choices.map((choice) => choice.delta?.content ?? "").join(""),
    comments: frames.filter((frame) => frame.comment).length,
    done: frames.at(-1)?.data === "[DONE]",
    finish: choices.findLast((choice) => choice.finish_reason)?.finish_reason ?? null,
    usage: chunks.findLast((chunk) => chunk.usage)?.usage ?? null,
    error: chunks.find((chunk) => chunk.error)?.error ?? null,
    id: chunks[0]?.id ?? null,
    /** The first chunk, or the error that came in the place of a stream. */
    json: chunks[0] ?? parsed(frames[0]?.raw),
  };
}

function parsed(text) {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}
