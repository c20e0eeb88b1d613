// Apps that get a key: OpenRouter's own SDK makes the address and exchanges the code; the owner
// agrees on the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { OpenRouter } from "@openrouter/sdk";
import * as errors from "@openrouter/sdk/models/errors";

import { assertFailure, chat, user } from "./chat.mjs";
import { admin, call, openAccount, startGateway } from "./harness.mjs";

const gateway = await startGateway({ suite: "authorization" });
const account = await openAccount(gateway);
const { key: manager } = await account.createKey({ management: true });
const sdk = (apiKey) => new OpenRouter({ apiKey, serverURL: gateway.base, retryConfig: { strategy: "none" } });
const app = sdk("");

const CALLBACK = "https://app.example/callback?from=millrace";

/** The page as a browser would see it: its fields with what they hold. */
async function open(url) {
  const response = await fetch(url);
  const html = await response.text();
  const unescaped = (text) => text.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&#39;", "'").replaceAll("&amp;", "&");
  const fields = [...html.matchAll(/<input type=hidden name=(\w+) value="([^"]*)">/g)].map(([, name, value]) => [name, unescaped(value)]);
  return { status: response.status, headers: response.headers, html, fields: Object.fromEntries(fields) };
}

const submit = (fields) =>
  fetch(`${gateway.url}/auth`, { method: "POST", body: new URLSearchParams(fields), redirect: "manual" });

async function agree(url, more = {}) {
  const { fields } = await open(url);
  const response = await submit({ ...fields, ...more, management_key: manager });
  assert.equal(response.status, 303, await response.text());
  return new URL(response.headers.get("location"));
}

test("an app gets a key with the limit that its owner sets", async () => {
  const { codeChallenge, codeVerifier } = await app.oAuth.createSHA256CodeChallenge();
  const url = await app.oAuth.createAuthorizationUrl({ callbackUrl: CALLBACK, codeChallenge, codeChallengeMethod: "S256", limit: 7 });
  const { status, headers, html } = await open(url);
  assert.equal(status, 200);
  assert.match(html, /<b>app\.example<\/b> asks for an API key/);
  assert.match(html, /name=limit inputmode=decimal value="7"/);
  assert.match(headers.get("content-security-policy"), /default-src 'none'.*form-action 'self' https:\/\/app\.example;.*frame-ancestors 'none'/);
  assert.equal(headers.get("access-control-allow-origin"), null);
  const back = await agree(url, { limit: "3", usage_limit_type: "monthly" });
  assert.equal(back.origin + back.pathname, "https://app.example/callback");
  assert.equal(back.searchParams.get("from"), "millrace");
  const requestBody = { code: back.searchParams.get("code"), codeVerifier, codeChallengeMethod: "S256" };
  const { key, userId } = await app.oAuth.exchangeAuthCodeForAPIKey({ requestBody });
  assert.equal(userId, null);
  const { data } = await sdk(key).apiKeys.getCurrentKeyMetadata();
  assert.deepEqual([data.limit, data.limitReset, data.isManagementKey], [3, "monthly", false]);
  assert.equal((await chat(gateway, key, { model: "millrace/echo", messages: user("hi") })).status, 200);
  await assert.rejects(app.oAuth.exchangeAuthCodeForAPIKey({ requestBody }), errors.ForbiddenResponseError, "once");
  const listed = async (query) => (await call(gateway, "GET", `/api/v1/keys${query}`, { key: manager })).json.data;
  assert.ok((await listed("")).every((each) => each.app === undefined));
  const [made] = (await listed("?include_apps=true")).filter((each) => each.app === "app.example");
  assert.equal((await call(gateway, "DELETE", `/api/v1/keys/${made.hash}`, { key: manager })).status, 200);
});

test("a code without its verifier is worth nothing", async () => {
  const { codeChallenge, codeVerifier } = await app.oAuth.createSHA256CodeChallenge();
  const url = await app.oAuth.createAuthorizationUrl({ callbackUrl: CALLBACK, codeChallenge, codeChallengeMethod: "S256" });
  const code = (await agree(url)).searchParams.get("code");
  const exchange = (requestBody) => app.oAuth.exchangeAuthCodeForAPIKey({ requestBody: { code, ...requestBody } });
  const { codeVerifier: other } = await app.oAuth.createSHA256CodeChallenge();
  await assert.rejects(exchange({ codeVerifier: other, codeChallengeMethod: "S256" }), errors.ForbiddenResponseError);
  await assert.rejects(exchange({ codeChallengeMethod: "S256" }), errors.ForbiddenResponseError);
  await assert.rejects(exchange({ codeVerifier, codeChallengeMethod: "plain" }), errors.BadRequestResponseError);
  await assert.rejects(exchange({ code: "auth_code_abc123def456", codeVerifier }), errors.ForbiddenResponseError);
  assert.ok((await exchange({ codeVerifier, codeChallengeMethod: "S256" })).key);
  assertFailure(await call(gateway, "GET", "/api/v1/auth/keys"), 405);
});

test("of many that show a code at once, one gets a key", async () => {
  const url = await app.oAuth.createAuthorizationUrl({ callbackUrl: "http://localhost:4321/" });
  const code = (await agree(url)).searchParams.get("code");
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => call(gateway, "POST", "/api/v1/auth/keys", { body: { code } })),
  );
  assert.deepEqual(replies.map(({ status }) => status).sort(), [200, ...Array(19).fill(403)]);
});

test("only who has a management key can agree, and it is not shown again", async () => {
  const url = await app.oAuth.createAuthorizationUrl({ callbackUrl: CALLBACK });
  const { fields } = await open(url);
  for (const [key, status] of [["", 401], ["nonsense", 401], [account.key, 403]]) {
    const response = await submit({ ...fields, management_key: key });
    assert.equal(response.status, status);
    const html = await response.text();
    assert.match(html, /role=alert/);
    assert.ok(key === "" || !html.includes(key));
  }
});

test("a link that leads to where a code must not go is refused on the page", async () => {
  for (const callback of ["http://app.example/", "javascript:alert(1)", "https://a@b.example/"]) {
    const { status, html } = await open(`${gateway.url}/auth?callback_url=${encodeURIComponent(callback)}`);
    assert.equal(status, 400);
    assert.ok(!html.includes("<form"));
    assert.equal((await submit({ callback_url: callback, management_key: manager })).status, 400);
  }
});

test("without an address the owner is shown the code", async () => {
  const { codeChallenge, codeVerifier } = await app.oAuth.createSHA256CodeChallenge();
  const { fields } = await open(`${gateway.url}/auth?code_challenge=${codeChallenge}&code_challenge_method=S256`);
  const html = await (await submit({ ...fields, management_key: manager })).text();
  const [code] = html.match(/auth_code_\w+/);
  const { key } = await app.oAuth.exchangeAuthCodeForAPIKey({ requestBody: { code, codeVerifier, codeChallengeMethod: "S256" } });
  assert.ok(key);
});

test("a manager makes codes without a page, an inference key does not", async () => {
  const { codeChallenge, codeVerifier } = await app.oAuth.createSHA256CodeChallenge();
  const requestBody = { callbackUrl: CALLBACK, codeChallenge, codeChallengeMethod: "S256", limit: 5, keyLabel: "Theirs" };
  const { data } = await sdk(manager).oAuth.createAuthCode({ requestBody });
  assert.ok(data.appId > 0 && Date.parse(data.createdAt) > 0);
  const exchanged = await app.oAuth.exchangeAuthCodeForAPIKey({ requestBody: { code: data.id, codeVerifier, codeChallengeMethod: "S256" } });
  assert.equal((await sdk(exchanged.key).apiKeys.getCurrentKeyMetadata()).data.limit, 5);
  await assert.rejects(sdk(account.key).oAuth.createAuthCode({ requestBody }), errors.ForbiddenResponseError);
  await assert.rejects(sdk(manager).oAuth.createAuthCode({ requestBody: { ...requestBody, callbackUrl: "http://a.example/" } }), errors.BadRequestResponseError);
});

test("an account that nobody has agreed for has no such keys", async () => {
  const other = await openAccount(gateway);
  const { data } = await admin(gateway, "GET", `/accounts/${other.id}/keys?include_apps=true`);
  assert.deepEqual(data.map(({ hash }) => hash), [other.hash]);
});
