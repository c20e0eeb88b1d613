// Other gateways that are installed here, and how the rig is to start them beside ours: as they come, on one
// processor, without a database or logs.

import { accessSync, constants, existsSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

import { outputOf, root } from "../scripts/lib/process.mjs";
import { target } from "./plan.mjs";

const PORTS = { litellm: 18142, portkey: 18143 };
const UPSTREAM_KEY = "sk-upstream";
/** LiteLLM does not start without one. */
const LITELLM_KEY = "sk-bench-0123456789abcdef0123456789abcdef";

/** A plan for the rig, and the names in it: LiteLLM from the PATH, Portkey's from node_modules here or of the machine. */
export function installedPeers(folder, upstream, model) {
  const [litellm, portkey] = [onPath("litellm"), portkeyServer()];
  const targets = [litellm && litellmTarget(litellm, folder, upstream), portkey && portkeyTarget(portkey, upstream, model)];
  const found = targets.filter(Boolean);
  return { plan: found.map(target).join("\n"), names: found.map(({ name }) => name) };
}

function litellmTarget(program, folder, upstream) {
  const config = join(folder, "litellm.yaml");
  const parameters = { model: "openai/bench", api_base: `${upstream}/v1`, api_key: UPSTREAM_KEY };
  // JSON is YAML.
  writeFileSync(config, JSON.stringify({ model_list: [{ model_name: "bench", litellm_params: parameters }] }));
  const command = [program, "--config", config, "--host", "127.0.0.1", "--port", String(PORTS.litellm), "--num_workers", "1"];
  const env = { PATH: process.env.PATH, LITELLM_LOG: "ERROR", LITELLM_MASTER_KEY: LITELLM_KEY, LITELLM_LOCAL_MODEL_COST_MAP: "True" };
  const headers = { authorization: `Bearer ${LITELLM_KEY}` };
  return { name: "litellm", base: `http://127.0.0.1:${PORTS.litellm}`, headers, model: "bench", command, env };
}

function portkeyTarget(server, upstream, model) {
  const headers = { authorization: `Bearer ${UPSTREAM_KEY}`, "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1` };
  const command = [process.execPath, server, `--port=${PORTS.portkey}`, "--headless"];
  const env = { PATH: process.env.PATH, NODE_ENV: "production" };
  return { name: "portkey", base: `http://127.0.0.1:${PORTS.portkey}`, headers, model, command, env };
}

function onPath(name) {
  const isProgram = (path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  };
  return (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, name)).find(isProgram);
}

function portkeyServer() {
  const folders = [join(root, "node_modules"), outputOf("npm", ["root", "-g"])?.trim()].filter(Boolean);
  return folders.map((folder) => join(folder, "@portkey-ai", "gateway", "build", "start-server.js")).find(existsSync);
}
