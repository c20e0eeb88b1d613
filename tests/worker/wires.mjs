// The upstream of the suites that speak more than Chat Completions: the mock of `mock.mjs` posing as
// OpenAI, Anthropic, Gemini and others at once, behind a relay that keeps every request as it was sent.

import { once } from "node:events";
import { createServer } from "node:http";

import { CANARY } from "./canary.mjs";
import { startMock, USAGE } from "./mock.mjs";
import { eventually } from "./wait.mjs";

/** One model for each wire that a face can lead to. */
export const MODELS = {
  anthropic: "anthropic/claude-sonnet-4.5",
  openai: "openai/gpt-4o-mini",
  /** Speaks Chat Completions and nothing else. */
  mistral: "mistralai/mistral-small-2603",
  gemini: "google/gemini-2.5-flash",
};

/** What embeds, by default, for everybody who speaks to OpenAI. */
export const EMBEDDER = "openai/text-embedding-3-small";

/** What each wire is asked at, by the provider's name in the address. */
const ROOTS = { anthropic: "v1", openai: "v1", mistral: "v1", gemini: "v1beta", vllm: "v1" };

export const SIGNATURE = "EqQBCgIYAhIkc2lnbmF0dXJlIG9mIGEgdGhvdWdodA==";

export async function startWires() {
  const mock = await startMock();
  mock.onMessage("THINK", {
    content: "The answer is 42.",
    reasoning: `Six ${CANARY.reply} by seven.`,
    reasoningSignature: SIGNATURE,
    usage: USAGE,
  });
  mock.onMessage("LENGTH", { content: "One, two", finishReason: "length", usage: USAGE });
  for (const status of [401, 402, 403, 404, 413, 422, 504, 529]) {
    mock.onMessage(`ERR${status}`, { error: { message: `mocked ${status}`, type: "mocked" }, status });
  }
  mock.onEmbedding(/.*/, { embedding: VECTOR });
  const requests = [];
  const server = createServer((request, response) => relay(mock.url, requests, request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    mock,
    vars: Object.fromEntries(
      Object.entries(ROOTS).flatMap(([provider, root]) => [
        [`${provider.toUpperCase()}_API_KEY`, secretOf(provider)],
        [`${provider.toUpperCase()}_BASE_URL`, `${url}/${provider}/${root}`],
      ]),
    ),
    /** Every request that providers got: `{provider, path, headers, text, body}`, oldest first. */
    requests,
    last: () => requests.at(-1),
    async stop() {
      server.closeAllConnections();
      server.close();
      await Promise.all([once(server, "close"), mock.stop()]);
    },
  };
}

/** What every text is embedded as: numbers that a 32-bit float has exactly. */
export const VECTOR = [0.5, -0.25, 0.125, 1];

export const EMBEDDING_USAGE = { prompt_tokens: 17, total_tokens: 17 };

/** The key with which a provider must be asked. */
export const secretOf = (provider) => `${CANARY.providerSecret}-${provider}`;

/** Waits until the account owes exactly `expected` and holds nothing. */
export const owes = (account, expected) =>
  eventually(`${account.id} owes ${expected}`, async () => {
    const { used, held } = await account.credits();
    return held === 0n && used === expected;
  });

/** Mistral says its usage unasked; the mock has to be asked. */
function withUsage(text) {
  const body = JSON.parse(text);
  return JSON.stringify(body.stream ? { ...body, stream_options: { include_usage: true } } : body);
}

/** The mock makes embeddings of no tokens. */
function metered(text) {
  const reply = JSON.parse(text);
  return JSON.stringify(reply.data ? { ...reply, usage: EMBEDDING_USAGE } : reply);
}

async function relay(target, requests, request, response) {
  const text = Buffer.concat(await Array.fromAsync(request)).toString();
  const [, provider, path] = /^\/([^/]+)(\/.*)$/.exec(request.url);
  requests.push({ provider, path, headers: request.headers, text, body: JSON.parse(text) });
  try {
    const headers = { "content-type": "application/json" };
    const body = provider === "mistral" ? withUsage(text) : text;
    const reply = await fetch(target + path, { method: "POST", headers, body });
    const names = ["content-type", "retry-after"].filter((name) => reply.headers.has(name));
    response.writeHead(reply.status, Object.fromEntries(names.map((name) => [name, reply.headers.get(name)])));
    if (path === "/v1/embeddings") response.write(metered(await reply.text()));
    else for await (const bytes of reply.body) response.write(bytes);
    response.end();
  } catch {
    response.destroy();
  }
}
