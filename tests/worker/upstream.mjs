// A provider whose every byte is scripted, for the faults that no well-behaved mock makes. It
// listens once and poses as every provider: `/<provider>/v1/chat/completions`.
//
// A script is a list of steps, each a function of the exchange. `plays(first, second)` returns a
// prompt: the first request that carries it is answered by the first script, the next by the next.

import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { CANARY } from "./canary.mjs";
import { gate } from "./wait.mjs";

export async function startUpstream() {
  const scenes = new Map();
  const server = createServer({ keepAlive: false, noDelay: true }, (request, response) =>
    play(scenes, request, response).catch(() => response.destroy()),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;

  return {
    url,
    base: (provider) => `${url}/${provider}/v1`,
    /** Returns a prompt that makes this provider answer by these scripts, in order. */
    plays(...scripts) {
      const name = `${CANARY.prompt}-${scenes.size}`;
      scenes.set(name, { scripts, exchanges: [] });
      return `say ${name} please`;
    },
    /** What arrived for a prompt: `{provider, headers, body, left}`, oldest first. */
    exchanges: (prompt) => scenes.get(sceneName(prompt)).exchanges,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function play(scenes, request, response) {
  const body = Buffer.concat(await Array.fromAsync(request));
  const scene = scenes.get(sceneName(body.toString()));
  if (!scene) return response.writeHead(404).end("no such scene");
  const script = scene.scripts[Math.min(scene.exchanges.length, scene.scripts.length - 1)];
  const left = gate();
  const exchange = {
    provider: request.url.split("/")[1],
    path: request.url,
    headers: request.headers,
    body: body.toString(),
    response,
    socket: request.socket,
    /** When the gateway hung up before the script had ended. */
    left: left.opened,
  };
  let ended = false;
  response.once("close", () => ended || left.open(performance.now()));
  scene.exchanges.push(exchange);
  for (const step of script) await step(exchange);
  ended = true;
}

function sceneName(text) {
  return new RegExp(`${CANARY.prompt}-\\d+`).exec(text)?.[0];
}

// Steps.

export function head(status, headers) {
  return ({ response }) => void response.writeHead(status, headers).flushHeaders();
}

export function bytes(content) {
  return ({ response }) => written(response, content);
}

/** A whole answer. A text is sent as it stands. */
export function json(status, value, headers) {
  const content = typeof value === "string" ? value : JSON.stringify(value);
  return ({ response }) =>
    void response.writeHead(status, { "content-type": "application/json", ...headers }).end(content);
}

/** Writes to the connection itself, head and chunk sizes included. */
export function raw(content) {
  return ({ socket }) => written(socket, content);
}

/** Writes a body in two parts, cut at one byte. */
export function cut(content, at) {
  return async ({ response }) => {
    await written(response, content.subarray(0, at));
    await sleep(2);
    await written(response, content.subarray(at));
  };
}

/** Writes a body byte by byte. */
export function drip(content) {
  return async ({ response }) => {
    for (const byte of content) {
      await written(response, Buffer.of(byte));
      await new Promise(setImmediate);
    }
  };
}

export const end = ({ response }) => void response.end();
export const pause = (milliseconds) => () => sleep(milliseconds);
export const until = (opened) => () => opened;
/** Keeps the connection open and says nothing more. */
export const hang = () => new Promise(() => {});
/** Ends the connection in order but before its body is complete. */
export const close = ({ socket }) => void socket.end();
/** Ends the connection with a reset, once what was written is on its way. */
export const reset = async ({ socket }) => {
  await sleep(1);
  socket.resetAndDestroy();
};

function written(stream, content) {
  return new Promise((resolve) => stream.write(content, () => resolve()));
}

// What OpenAI's servers say.

export const eventStream = head(200, { "content-type": "text/event-stream" });
export const frame = (value) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`;
export const data = (value) => bytes(frame(value));
export const chunk = (delta, finish_reason = null) => ({
  id: "chatcmpl-scripted",
  object: "chat.completion.chunk",
  created: 1_790_000_000,
  model: "scripted-2026-01-01",
  choices: [{ index: 0, delta, finish_reason }],
});
export const says = (content) => data(chunk({ role: "assistant", content }));
export const USAGE = { prompt_tokens: 20, completion_tokens: 30, total_tokens: 50 };
export const usageChunk = (usage = USAGE) => ({ ...chunk({}), choices: [], usage });
/** The proper end of a stream. */
export const finish = [data(chunk({}, "stop")), data(usageChunk()), data("[DONE]"), end];
export const streamed = (...texts) => [eventStream, ...texts.map(says), ...finish];

export const completion = (content, usage = USAGE) => ({
  id: "chatcmpl-scripted",
  object: "chat.completion",
  created: 1_790_000_000,
  model: "scripted-2026-01-01",
  choices: [
    { index: 0, message: { role: "assistant", content, refusal: null }, logprobs: null, finish_reason: "stop" },
  ],
  usage,
});
export const replied = (content, usage) => [json(200, completion(content, usage))];
export const refused = (status, message, headers) => [
  json(status, { error: { message, type: "scripted_error", code: null, param: null } }, headers),
];
