// npm run workerd -- --port N --state DIR [--vars FILE] [--failpoints] [--dev]: the gateway on bare
// workerd, without wrangler. Variables come from .dev.vars (or FILE) and from this process's own
// environment, which wins. Prints {"url":...} when it is ready.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { build } from "./lib/build.mjs";
import { devVarsPath, readVars } from "./lib/dev_vars.mjs";
import { Failure, root, runMain, stopWhenAsked } from "./lib/process.mjs";
import { ensurePackages, ensureRust } from "./lib/setup.mjs";
import { startWorkerd } from "./lib/workerd.mjs";

// Of the environment, only what a gateway could mean.
const GATEWAY_VARIABLE = /^MILLRACE_\w+$|_API_KEY$|_BASE_URL$/;

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "8788" },
      state: { type: "string", default: join(root, ".millrace", "workerd") },
      vars: { type: "string" },
      failpoints: { type: "boolean", default: false },
      dev: { type: "boolean", default: false },
    },
  });
  await ensurePackages();
  await build(await ensureRust(), { failpoints: values.failpoints, optimise: !values.dev });
  const server = await startWorkerd({
    port: Number(values.port),
    state: resolve(values.state),
    vars: { ...fileVars(values.vars), ...environmentVars() },
    failpoints: values.failpoints,
    onOutput: (line) => process.stderr.write(`${line}\n`),
  });
  stopWhenAsked(server);
  console.log(JSON.stringify({ url: server.url }));
  return server.closed.then(() => (server.wasStopped() ? 0 : 1));
});

function fileVars(path) {
  if (path !== undefined && !existsSync(path)) throw new Failure(`--vars: there is no file ${path}.`);
  const file = path ?? devVarsPath;
  return existsSync(file) ? readVars(file) : {};
}

function environmentVars() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => GATEWAY_VARIABLE.test(name)));
}
