// A KV namespace for bare workerd, as the runtime's own protocol asks for it: GET, PUT and DELETE
// of /<key>, a listing at /, a bulk read at /bulk/get. One Durable Object holds the values, so they
// are on disk before a write is answered. Not eventually consistent, as the real one is.

import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    return env.STORE.getByName("all").fetch(request);
  },
};

export class KeyValueStore extends DurableObject {
  #sql;

  constructor(context, env) {
    super(context, env);
    this.#sql = context.storage.sql;
    this.#sql.exec("CREATE TABLE IF NOT EXISTS entry (key TEXT PRIMARY KEY, value BLOB NOT NULL, metadata TEXT, expires INTEGER)");
  }

  async fetch(request) {
    const url = new URL(request.url);
    const key = keyIn(url);
    if (request.method === "POST" && url.pathname === "/bulk/get") return this.#readMany(await request.json());
    if (request.method === "GET" && key === "") return this.#list(url.searchParams);
    if (request.method === "GET") return this.#read(key);
    if (request.method === "PUT") return this.#write(key, url.searchParams, request);
    if (request.method === "DELETE") return this.#remove(key);
    return new Response("method not allowed", { status: 405 });
  }

  #find(key) {
    const live = "expires IS NULL OR expires > ?";
    return this.#sql.exec(`SELECT * FROM entry WHERE key = ? AND (${live})`, key, seconds()).toArray()[0];
  }

  #read(key) {
    const entry = this.#find(key);
    if (entry === undefined) return new Response("not found", { status: 404 });
    const headers = entry.metadata === null ? {} : { "CF-KV-Metadata": entry.metadata };
    return new Response(entry.value, { headers });
  }

  #readMany({ keys, withMetadata }) {
    const answer = {};
    for (const key of keys) {
      const entry = this.#find(key);
      const value = entry === undefined ? null : new TextDecoder().decode(entry.value);
      answer[key] = withMetadata && entry ? { value, metadata: JSON.parse(entry.metadata) } : value;
    }
    return Response.json(answer);
  }

  #list(parameters) {
    const limit = Number(parameters.get("key_count_limit") ?? 1000);
    const prefix = parameters.get("prefix") ?? "";
    const after = parameters.get("cursor") ?? "";
    const rows = this.#sql
      .exec(
        "SELECT key, metadata, expires FROM entry WHERE substr(key, 1, length(?1)) = ?1 AND key > ?2 AND (expires IS NULL OR expires > ?3) ORDER BY key LIMIT ?4",
        prefix, after, seconds(), limit + 1,
      )
      .toArray();
    const page = rows.slice(0, limit);
    const more = rows.length > limit;
    return Response.json({
      keys: page.map(describe),
      list_complete: !more,
      cursor: more ? page.at(-1).key : undefined,
    });
  }

  async #write(key, parameters, request) {
    const value = await request.arrayBuffer();
    const expires = parameters.has("expiration_ttl")
      ? seconds() + Number(parameters.get("expiration_ttl"))
      : parameters.has("expiration") ? Number(parameters.get("expiration")) : null;
    const metadata = request.headers.get("CF-KV-Metadata");
    this.#sql.exec("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?)", key, value, metadata, expires);
    return new Response(null, { status: 204 });
  }

  #remove(key) {
    this.#sql.exec("DELETE FROM entry WHERE key = ?", key);
    return new Response(null, { status: 204 });
  }
}

function keyIn(url) {
  const key = url.pathname.slice(1);
  return url.searchParams.get("urlencoded") === "true" ? decodeURIComponent(key) : key;
}

function describe({ key, metadata, expires }) {
  return { name: key, metadata: JSON.parse(metadata) ?? undefined, expiration: expires ?? undefined };
}

function seconds() {
  return Math.floor(Date.now() / 1000);
}
