// A plain HTTP relay that writes down who asked for what: between an agent and the gateway, and
// between the gateway and the mock.

import { once } from "node:events";
import { createServer, request as ask } from "node:http";

/** Relays to `target()`, asked anew for each request; listens on a free port of this machine. */
export async function startRecorder(target) {
  const requests = [];
  const server = createServer((incoming, outgoing) => relay(target(), requests, incoming, outgoing));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** What was asked so far, oldest first: `{method, path, headers, text, json, status}`. */
    requests,
    /** Forgets what was asked so far. */
    clear: () => void requests.splice(0),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function relay(target, requests, incoming, outgoing) {
  const body = Buffer.concat(await Array.fromAsync(incoming));
  const { method, url: path, headers } = incoming;
  const text = body.toString();
  const record = { method, path, headers, text, json: parsed(text), status: null };
  requests.push(record);
  const upstream = ask(target + path, { method, headers: { ...headers, host: new URL(target).host } });
  upstream.on("response", (response) => {
    record.status = response.statusCode;
    outgoing.writeHead(response.statusCode, response.headers);
    response.pipe(outgoing);
    response.on("error", () => outgoing.destroy());
  });
  upstream.on("error", () => outgoing.destroy());
  outgoing.on("close", () => upstream.destroy());
  upstream.end(body);
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
