// Wrangler, run by the node that its package.json asks for and this machine may not have.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { root, startGroup } from "./process.mjs";

const node = join(root, "node_modules", "node", "bin", "node");
const script = join(root, "node_modules", "wrangler", "bin", "wrangler.js");
export const wranglerEnv = {
  ...process.env,
  WRANGLER_SEND_METRICS: "false",
  WRANGLER_HIDE_BANNER: "true",
  // The local mode would ask the network where this machine is.
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
};

export function wranglerCommand(...argumentList) {
  // Only now: on a fresh machine the packages arrive after this module is loaded.
  return [existsSync(node) ? node : process.execPath, [script, ...argumentList]];
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
