// Providers of the large clouds: Vertex AI by a service account's signed token, Bedrock by Amazon's
// signatures or by a bearer. The provider is a plain server that checks what proves the caller.

import assert from "node:assert/strict";
import { createHash, createHmac, generateKeyPairSync, verify } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, test } from "node:test";

import { CANARY } from "./canary.mjs";
import { chat, stream, user } from "./chat.mjs";
import { openAccount, startGateway } from "./harness.mjs";
import { pico } from "./money.mjs";

const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const SERVICE_ACCOUNT = JSON.stringify({
  type: "service_account",
  project_id: "a-project",
  private_key_id: "a-key-id",
  private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
  client_email: "gateway@a-project.iam.gserviceaccount.com",
  token_uri: "https://oauth2.googleapis.com/token",
});
const AWS_SECRET = `${CANARY.providerSecret}-aws`;

const seen = [];
const server = createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  seen.push({ method: request.method, url: request.url, headers: request.headers, body });
  const answer = request.url === "/token" ? token(body) : request.url.startsWith("/vertex") ? gemini(request.url) : converse;
  response.writeHead(200, { "content-type": answer.startsWith("data:") ? "text/event-stream" : "application/json" });
  response.end(answer);
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
after(() => server.close());
const address = `http://127.0.0.1:${server.address().port}`;

const gateway = await startGateway({
  suite: "clouds",
  vars: {
    GOOGLE_VERTEX_CREDENTIALS: SERVICE_ACCOUNT,
    GOOGLE_VERTEX_BASE_URL: `${address}/vertex`,
    GOOGLE_VERTEX_TOKEN_URL: `${address}/token`,
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: AWS_SECRET,
    AWS_REGION: "eu-west-1",
    AWS_BEDROCK_BASE_URL: `${address}/bedrock`,
  },
});
const account = await openAccount(gateway);

test("Vertex AI: one signed token serves many requests", async () => {
  const body = { model: "google/gemini-2.5-flash", messages: user("Hello"), provider: { only: ["google-vertex"] } };
  const whole = await chat(gateway, account.key, body);
  assert.equal(whole.status, 200, JSON.stringify(whole.json));
  assert.equal(whole.json.choices[0].message.content, "Hello from Vertex");
  // 5 tokens in and 7 out, at $0.3 and $2.5 a million.
  assert.equal(pico(whole.json.usage.cost), 5n * 300_000n + 7n * 2_500_000n);
  const streamed = await stream(gateway, account.key, body);
  assert.equal(streamed.text, "Hello from Vertex");

  const asked = seen.filter(({ url }) => url === "/token");
  assert.equal(asked.length, 1);
  const calls = seen.filter(({ url }) => url.startsWith("/vertex"));
  assert.deepEqual(calls.map(({ url }) => url), [
    "/vertex/models/gemini-2.5-flash:generateContent",
    "/vertex/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
  ]);
  for (const call of calls) assert.equal(call.headers.authorization, "Bearer a-token");
});

test("Bedrock: a request that Amazon could verify", async () => {
  const model = "amazon/nova-lite-v1";
  const reply = await chat(gateway, account.key, { model, messages: user("Hello"), max_tokens: 20 });
  assert.equal(reply.status, 200, JSON.stringify(reply.json));
  assert.equal(reply.json.choices[0].message.content, "Hello from Bedrock");
  const call = seen.find(({ url }) => url.startsWith("/bedrock"));
  assert.match(call.url, /^\/bedrock\/model\/.*\/converse$/);
  assert.equal(call.headers.authorization, signature(call));
});

/** Google's side of the exchange: the assertion must be signed by the account's key. */
function token(body) {
  const form = new URLSearchParams(body.toString());
  const [head, claims, signature] = form.get("assertion").split(".");
  const signed = Buffer.from(`${head}.${claims}`);
  assert.ok(verify("sha256", signed, publicKey, Buffer.from(signature, "base64url")), "the assertion is signed");
  assert.equal(JSON.parse(Buffer.from(claims, "base64url")).iss, "gateway@a-project.iam.gserviceaccount.com");
  return JSON.stringify({ access_token: "a-token", expires_in: 3599, token_type: "Bearer" });
}

function gemini(url) {
  const reply = JSON.stringify({
    candidates: [{ content: { role: "model", parts: [{ text: "Hello from Vertex" }] }, finishReason: "STOP", index: 0 }],
    usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 7, totalTokenCount: 12 },
  });
  return url.includes("alt=sse") ? `data: ${reply}\r\n\r\n` : reply;
}

const converse = JSON.stringify({
  output: { message: { role: "assistant", content: [{ text: "Hello from Bedrock" }] } },
  stopReason: "end_turn",
  usage: { inputTokens: 5, outputTokens: 7, totalTokens: 12 },
  metrics: { latencyMs: 1 },
});

/** The Authorization header that Amazon would compute (Signature Version 4). */
function signature({ method, url, headers, body }) {
  const [, signedNames] = /SignedHeaders=([^,]+)/.exec(headers.authorization);
  const hash = (text) => createHash("sha256").update(text).digest("hex");
  // Amazon encodes the path, as it was sent, once more.
  const path = url.split("/").map((part) => encodeURIComponent(part).replace(/[!'()*]/g, escapeByte)).join("/");
  const canonical = [
    method,
    path,
    "",
    ...signedNames.split(";").map((name) => `${name}:${headers[name]}`),
    "",
    signedNames,
    hash(body),
  ].join("\n");
  const stamp = headers["x-amz-date"];
  const scope = `${stamp.slice(0, 8)}/eu-west-1/bedrock/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", stamp, scope, hash(canonical)].join("\n");
  const key = [stamp.slice(0, 8), "eu-west-1", "bedrock", "aws4_request"].reduce(hmac, `AWS4${AWS_SECRET}`);
  const proof = hmac(key, text).toString("hex");
  return `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/${scope}, SignedHeaders=${signedNames}, Signature=${proof}`;
}

function hmac(key, text) {
  return createHmac("sha256", key).update(text).digest();
}

function escapeByte(letter) {
  return `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
}
