// Wrangler, run by the node that its package.json asks for and this machine may not have.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { root, startGroup } from "./process.mjs";

const node = [join(root, "node_modules", "node", "bin", "node"), process.execPath].find(existsSync);
const script = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
export const wranglerEnv = { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true" };

export function wranglerCommand(...argumentList) {
  return [node, [script, ...argumentList]];
}

/**
 * Starts the local mode on a port, keeping KV and Durable Objects in a folder. No question is
 * asked and no terminal is read: CI=1.
 */
export function startWranglerDev({ port, state }) {
  const [command, argumentList] = wranglerCommand(
    "dev", "--local", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0",
    "--persist-to", state, "--show-interactive-dev-session=false", "--log-level", "warn",
  );
  return startGroup(command, argumentList, { env: { ...wranglerEnv, CI: "1" }, stdio: ["ignore", 2, 2] });
}
