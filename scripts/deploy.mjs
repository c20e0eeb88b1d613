// npm run deploy [-- wrangler's options]: builds the release and hands it to `wrangler deploy`.

import { build } from "./lib/build.mjs";
import { exitCode, runMain, say } from "./lib/process.mjs";
import { ensurePackages, ensureRust } from "./lib/setup.mjs";
import { wranglerCommand, wranglerEnv } from "./lib/wrangler.mjs";

await runMain(async () => {
  await ensurePackages();
  await build(await ensureRust());
  const [command, argumentList] = wranglerCommand("deploy", ...process.argv.slice(2));
  const code = await exitCode(command, argumentList, { env: wranglerEnv });
  if (code === 0) say("On a first deployment, set the root secret: npx wrangler secret put MILLRACE_ADMIN_KEY");
  return code;
});
