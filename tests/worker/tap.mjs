// A plain TCP relay in front of the gateway that writes down every byte the gateway says, so that
// the last suite can look for secrets in every response of every client, in whatever language.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { connect, createServer } from "node:net";

/** Relays to `port()` of this machine, asked anew for each connection; listens on a free port. */
export async function startTap(port, file) {
  const record = createWriteStream(file, { flags: "a" });
  const sockets = new Set();
  const server = createServer({ noDelay: true }, (client) => {
    const gateway = connect({ port: port(), host: "127.0.0.1", noDelay: true });
    gateway.on("data", (bytes) => record.write(bytes));
    join(client, gateway);
    join(gateway, client);
    for (const socket of [client, gateway]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      record.end();
      await Promise.all([once(server, "close"), once(record, "close")]);
    },
  };
}

/** What one side says and how it ends, in order or by a reset, the other side sees too. */
function join(from, to) {
  from.pipe(to);
  // A socket that is being shut down cannot be reset: Node would neither close it nor read from it.
  from.on("error", () => (to.writableEnded ? to.destroy() : to.resetAndDestroy()));
  from.on("close", () => to.destroySoon());
}
