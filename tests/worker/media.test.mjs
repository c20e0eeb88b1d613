// Pictures and documents behind links, for providers that take bytes alone: fetched once, within
// limits, and never from where only this machine should reach.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { assertFailure, chat, stream } from "./chat.mjs";
import { openAccount, startGateway } from "./harness.mjs";

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const MB = 1024 * 1024;

/** The image host: every path is a case. */
const asked = [];
const images = await listen((request, response) => {
  asked.push(request.url);
  assert.equal(request.headers.authorization, undefined);
  const path = request.url.split("?")[0];
  const to = (location) => response.writeHead(302, { location }).end();
  const png = (bytes) => response.writeHead(200, { "content-type": "image/png" }).end(bytes);
  switch (path) {
    case "/one.png":
      return png(PNG);
    case "/lying.png":
      return response.writeHead(200, { "content-type": "text/html" }).end(PNG);
    case "/moved":
      return to("/hop");
    case "/hop":
      return to("one.png");
    case "/to-private":
      return to(`http://127.0.0.1:${other.port}/one.png`);
    case "/to-metadata":
      return to("http://169.254.169.254/latest/meta-data/");
    case "/round":
      return to("/round");
    case "/declared":
      return response.writeHead(200, { "content-length": 21 * MB }).flushHeaders();
    case "/endless":
      response.on("error", () => {});
      return pour(response, 30);
    case "/half.png":
      return png(Buffer.concat([PNG, Buffer.alloc(17 * MB)]));
    case "/page":
      return response.writeHead(200, { "content-type": "image/png" }).end("<html></html>");
    case "/slow":
      return response.writeHead(200, { "content-type": "image/png" }).flushHeaders();
    case "/doc.pdf":
      return response.writeHead(200, { "content-type": "application/pdf" }).end("%PDF-1.4 x");
    default:
      return response.writeHead(404).end("none");
  }
});
/** A server beside it that the operator did not allow. */
const other = await listen((request, response) => {
  asked.push(`other ${request.url}`);
  response.writeHead(200, { "content-type": "image/png" }).end(PNG);
});
const seen = [];
let refuse = 0;
const provider = await listen(async (request, response) => {
  const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
  seen.push({ url: request.url, body, key: request.headers.authorization });
  if (refuse-- > 0) return response.writeHead(429, { "content-type": "application/json" }).end('{"message":"busy"}');
  const bedrock = request.url.startsWith("/bedrock");
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(bedrock ? CONVERSE : OLLAMA));
});
const CONVERSE = {
  output: { message: { role: "assistant", content: [{ text: "A square." }] } },
  stopReason: "end_turn",
  usage: { inputTokens: 5, outputTokens: 7, totalTokens: 12 },
  metrics: { latencyMs: 1 },
};
const OLLAMA = {
  model: "llava",
  message: { role: "assistant", content: "A square." },
  done: true,
  done_reason: "stop",
  prompt_eval_count: 5,
  eval_count: 7,
};

const gateway = await startGateway({
  suite: "media",
  vars: {
    AWS_BEARER_TOKEN_BEDROCK: `${CANARY.providerSecret}-one,${CANARY.providerSecret}-two`,
    AWS_BEDROCK_BASE_URL: `${provider.url}/bedrock`,
    OLLAMA_NATIVE_BASE_URL: `${provider.url}/ollama`,
    MILLRACE_MEDIA_HOSTS: `127.0.0.1:${images.port}`,
  },
});
const account = await openAccount(gateway);
const MODELS = { bedrock: "amazon/nova-lite-v1", ollama: "ollama-native/llava" };

const image = (url) => ({ type: "image_url", image_url: { url } });
const at = (path) => `${images.url}${path}?${CANARY.prompt}`;
const ask = (model, parts, more = {}) => ({
  model,
  max_tokens: 50,
  messages: [{ role: "user", content: [{ type: "text", text: `${CANARY.prompt} What is it?` }, ...parts] }],
  ...more,
});
const bytesOf = {
  bedrock: ({ messages }) => messages[0].content.filter((block) => block.image).map((block) => block.image),
  ollama: ({ messages }) => messages[0].images.map((bytes) => ({ format: "png", source: { bytes } })),
};

for (const [wire, model] of Object.entries(MODELS)) {
  test(`${wire}: pictures behind links arrive as bytes, also over redirects, each fetched once`, async () => {
    asked.length = 0;
    const links = [at("/one.png"), at("/one.png"), at("/lying.png"), at("/moved")];
    const reply = await chat(gateway, account.key, ask(model, links.map(image)));
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.json.choices[0].message.content, "A square.");
    const expected = { format: "png", source: { bytes: PNG.toString("base64") } };
    assert.deepEqual(bytesOf[wire](seen.at(-1).body), links.map(() => expected));
    const paths = asked.map((url) => url.split("?")[0]).sort();
    assert.deepEqual(paths, ["/hop", "/lying.png", "/moved", "/one.png", "/one.png"]);
  });

  test(`${wire}: what cannot be fetched is the caller's to hear, by its host alone`, async () => {
    const before = seen.length;
    const host = (name) => new RegExp(`^The image at ${name.replaceAll(".", "\\.")} cannot be fetched: `);
    const cases = [
      [at("/nope"), "127.0.0.1", /status 404\.$/],
      [at("/page"), "127.0.0.1", /it is no PNG, JPEG, GIF or WebP\.$/],
      [at("/declared"), "127.0.0.1", /larger than 20 MB\.$/],
      [at("/endless"), "127.0.0.1", /larger than 20 MB\.$/],
      [at("/to-private"), "127.0.0.1", /redirects to where its host is not on the public internet\.$/],
      [at("/to-metadata"), "127.0.0.1", /redirects to where its host is not on the public internet\.$/],
      [at("/round"), "127.0.0.1", /redirects too often\.$/],
      [`http://127.0.0.1:${other.port}/one.png`, `127.0.0.1:${other.port}`, /not on the public internet\.$/],
      ["http://2130706433/one.png", "2130706433", /not on the public internet\.$/],
      ["http://[::1]/one.png", "[::1]", /not on the public internet\.$/],
    ];
    for (const [url, name, why] of cases) {
      const reply = await chat(gateway, account.key, ask(model, [image(url)]));
      const { message } = assertFailure(reply, 400);
      assert.match(message, why, url);
      if (!name.startsWith("[")) assert.match(message, host(name), url);
      assert.ok(!reply.text.includes("one.png") && !reply.text.includes(CANARY.prompt), reply.text);
    }
    assert.equal(seen.length, before);
    assert.ok(!asked.some((url) => url.startsWith("other")), "nobody asked the server that is not allowed");
  });
}

test("all links together have a limit too", async () => {
  const links = [at("/half.png?1"), at("/half.png?2")];
  const reply = await chat(gateway, account.key, ask(MODELS.bedrock, links.map(image)));
  assert.match(assertFailure(reply, 400).message, /all links together are larger than 32 MB\.$/);
});

test("a slow host ends after ten seconds, a stream stays alive meanwhile, and nothing is charged", async () => {
  const payer = await openAccount(gateway);
  const started = performance.now();
  const reply = await stream(gateway, payer.key, ask(MODELS.bedrock, [image(at("/slow"))]));
  const took = performance.now() - started;
  assert.ok(took > 9_000 && took < 14_000, `${took} ms`);
  assert.match(JSON.stringify(reply), /it took longer than 10 seconds/);
  const { used } = await payer.credits();
  assert.equal(used, 0n);
});

test("what was fetched for one key serves the next", async () => {
  asked.length = 0;
  refuse = 1;
  const before = seen.length;
  const reply = await chat(gateway, account.key, ask(MODELS.bedrock, [image(at("/one.png"))]));
  assert.equal(reply.status, 200, reply.text);
  const attempts = seen.slice(before);
  assert.equal(attempts.length, 2);
  assert.notEqual(attempts[0].key, attempts[1].key);
  assert.equal(asked.length, 1);
});

test("a document is fetched in Anthropic's words, and refused in them", async () => {
  const send = (url) =>
    chat(
      gateway,
      account.key,
      {
        model: "anthropic/claude-haiku-4.5",
        max_tokens: 50,
        messages: [{ role: "user", content: [{ type: "document", source: { type: "url", url } }, { type: "text", text: "?" }] }],
      },
      { path: "/v1/messages" },
    );
  const reply = await send(at("/doc.pdf"));
  assert.equal(reply.status, 200, reply.text);
  const { document } = seen.at(-1).body.messages[0].content.find((block) => block.document);
  assert.deepEqual([document.format, atob(document.source.bytes)], ["pdf", "%PDF-1.4 x"]);
  const refused = await send(at("/one.png"));
  assert.equal(refused.status, 400);
  assert.equal(refused.json.type, "error");
  assert.match(refused.json.error.message, /^The document at 127\.0\.0\.1 cannot be fetched: it is neither a PDF nor text\.$/);
});

async function listen(answer) {
  const server = createServer(answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address();
  return { port, url: `http://127.0.0.1:${port}` };
}

/** Megabytes as fast as they are taken. */
async function pour(response, megabytes) {
  response.writeHead(200, { "content-type": "image/png" });
  response.write(PNG);
  for (let sent = 0; sent < megabytes && !response.destroyed; sent += 1) {
    if (!response.write(Buffer.alloc(MB))) await Promise.race([once(response, "drain"), once(response, "close")]);
  }
  response.end();
}
