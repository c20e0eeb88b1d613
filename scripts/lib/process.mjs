// Running programs and talking to the person who waits. Progress goes to standard error, so that
// standard output stays free for results.

import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** An error whose message alone is what the person needs to read. */
export class Failure extends Error {}

export function say(text) {
  process.stderr.write(`${text}\n`);
}

/** Runs `main` and ends the process, with one plain sentence if it fails. */
export async function runMain(main) {
  try {
    process.exitCode = (await main()) ?? 0;
  } catch (error) {
    say(error instanceof Failure ? `\n${error.message}` : `\n${error.stack}`);
    process.exitCode = 1;
  }
}

/** Says what a step is, does it, and says how long it took. */
export async function step(name, action) {
  say(`- ${name} ...`);
  const started = Date.now();
  const result = await action();
  say(`  done in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  return result;
}

/** Runs a program to its end, its output shown as progress; throws `advice` if it fails. */
export async function run(command, argumentList, { env, cwd = root, advice } = {}) {
  const code = await exitCode(command, argumentList, { env, cwd });
  if (code !== 0) throw new Failure(advice ?? `"${command} ${argumentList.join(" ")}" failed (${code}).`);
}

/** Runs a program to its end, its output shown as progress, and returns its exit code. */
export function exitCode(command, argumentList, { env, cwd = root } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, argumentList, { cwd, env: env ?? process.env, stdio: ["ignore", 2, 2] });
    child.on("error", (error) => {
      say(`  ${command}: ${error.message}`);
      resolve(127);
    });
    child.on("close", (code, signal) => resolve(code ?? signal));
  });
}

/** Runs a program to its end and returns its code and output, which is shown as it comes too. */
export function runAndRead(command, argumentList, { env, cwd = root } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, argumentList, { cwd, env: env ?? process.env, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
        process.stderr.write(text);
      });
    }
    child.on("error", (error) => resolve({ code: 127, output: `${output}${error.message}\n` }));
    child.on("close", (code, signal) => resolve({ code: code ?? signal, output }));
  });
}

/**
 * Runs a program for as long as it shows signs of life: it is ended after `silenceMs` without
 * output. Returns whether it succeeded. For downloads, which may hang for ever.
 */
export function succeedsWithoutStalling(command, argumentList, { env, silenceMs }) {
  return new Promise((resolve) => {
    const child = spawn(command, argumentList, { env: env ?? process.env, stdio: ["ignore", "pipe", "pipe"] });
    const end = () => child.kill("SIGKILL");
    let timer = setTimeout(end, silenceMs);
    const onOutput = (chunk) => {
      process.stderr.write(chunk);
      clearTimeout(timer);
      timer = setTimeout(end, silenceMs);
    };
    child.stdout.on("data", onOutput);
    child.stderr.on("data", onOutput);
    child.on("error", () => {
      clearTimeout(timer);
      resolve(false);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve(code === 0);
    });
  });
}

/** The trimmed standard output of a quick program, or null if it fails or is not there. */
export function outputOf(command, argumentList, { env } = {}) {
  const result = spawnSync(command, argumentList, { cwd: root, env: env ?? process.env, encoding: "utf8" });
  return result.status === 0 ? result.stdout.trim() : null;
}

/**
 * Starts a program in a process group of its own, so that ending it ends what it started.
 * Returns the child, `closed`, `kill()`, and `stop()`, which asks and then insists.
 */
export function startGroup(command, argumentList, { env, cwd = root, stdio }) {
  const child = spawn(command, argumentList, { cwd, env: env ?? process.env, stdio, detached: true });
  const closed = new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("exit", (code, signal) => resolve(code ?? signal));
  });
  const signal = (name) => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // The whole group has ended already.
    }
  };
  const killAtExit = () => signal("SIGKILL");
  process.once("exit", killAtExit);
  closed.then(() => process.removeListener("exit", killAtExit));
  let stopped = false;
  const kill = async () => {
    stopped = true;
    signal("SIGKILL");
    await closed;
  };
  const stop = async (patienceMs = 3000) => {
    stopped = true;
    signal("SIGTERM");
    await Promise.race([closed, sleep(patienceMs)]);
    await kill();
  };
  return { child, closed, stop, kill, wasStopped: () => stopped };
}

/** Stops a server when this process is asked to end, or when the npm that started it is gone. */
export function stopWhenAsked(server) {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => server.stop());
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    server.stop();
  }, 1000);
  timer.unref();
}

export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
