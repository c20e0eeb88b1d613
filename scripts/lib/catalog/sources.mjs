// Sources, read into the catalog's own form: models with offers, and what could not be read, each
// with a reason. Nothing is compared with the catalog here; that is merge.mjs.
//
// Three kinds: the catalog's own form, OpenRouter's list of models (offers only where a model has
// `endpoints` with their providers, as `/models` itself has not), and models.dev's api.json.

import { tagOf } from "./file.mjs";
import { readPrice, writePrice } from "./price.mjs";
import { chooseOffers, plain } from "./offers.mjs";

const PROTOCOLS = {
  openai: "openai_chat", "openai-compatible": "openai_chat", "azure-openai": "openai_chat", mistral: "openai_chat",
  anthropic: "anthropic_messages", gemini: "gemini", "vertex-gemini": "gemini", cohere: "cohere", bedrock: "bedrock", ollama: "ollama",
};
const MODALITIES = ["text", "image", "file", "audio"];
/** OpenRouter's names of prices, and ours. */
const PRICES = {
  prompt: "prompt", completion: "completion", request: "request", input_cache_read: "cache_read",
  input_cache_write: "cache_write", input_cache_write_1h: "cache_write_1h", internal_reasoning: "reasoning",
  audio: "audio_input", audio_output: "audio_output", image_output: "image_output",
};
/** models.dev's, which are for a million tokens. */
const DEV_PRICES = {
  input: "prompt", output: "completion", cache_read: "cache_read", cache_write: "cache_write",
  reasoning: "reasoning", input_audio: "audio_input", output_audio: "audio_output",
};
/** Prices of what this gateway never asks for. */
const UNUSED_PRICES = new Set(["web_search", "discount", "image_token", "input_audio_cache"]);

/**
 * Reads a document. `context` is `{ providers, sources, label }`: the catalog's own, and what to
 * call this source. Returns `{ models, refused, repaired }`; the last two are lists of
 * `{ what, why }`.
 */
export function readSource(document, context) {
  const notes = { refused: [], repaired: [] };
  const models = isOwnForm(document) ? document
    : isOpenRouterForm(document) ? fold(atHome(document.data).map((model) => fromOpenRouter(model, context, notes)))
    : fromModelsDev(document, context, notes);
  return { models: models.filter((model) => model !== null), ...notes };
}

function isOwnForm(document) {
  return Array.isArray(document) && document.every((model) => typeof model.slug === "string" && Array.isArray(model.offers));
}

function isOpenRouterForm(document) {
  return Array.isArray(document?.data) && document.data.every((model) => typeof model.id === "string");
}

// OpenRouter's form.

/**
 * Endpoints that a source put beside the provider's own of a model, though they are called like
 * another model: put with that one. An only endpoint stays: its name may stand for a newer version.
 */
function atHome(models) {
  const homes = new Map(models.filter(({ id }) => !id.includes(":")).map((model) => [`${authorOf(model.id)}/${plain(model.id)}`, model.id]));
  const moved = new Map();
  const kept = models.map((model) => {
    const endpoints = model.endpoints ?? [];
    const isNamed = ({ provider_model_id: name }) => plain(name) === plain(model.id);
    const hasNamed = new Set(endpoints.filter(isNamed).map(({ provider }) => provider));
    const homeOf = ({ provider_model_id: name }) => homes.get(`${authorOf(model.id)}/${plain(name)}`) ?? model.id;
    const strays = endpoints.filter((endpoint) => hasNamed.has(endpoint.provider) && !isNamed(endpoint) && homeOf(endpoint) !== model.id);
    for (const stray of strays) moved.set(homeOf(stray), [...(moved.get(homeOf(stray)) ?? []), stray]);
    return { ...model, endpoints: endpoints.filter((endpoint) => !strays.includes(endpoint)) };
  });
  return kept.map((model) => ({ ...model, endpoints: [...model.endpoints, ...(moved.get(model.id) ?? [])] }));
}

function authorOf(slug) {
  return slug.split("/")[0];
}

/** Models that became one by renaming: the facts of the one that was called so, the offers of all. */
function fold(models) {
  const bySlug = new Map();
  for (const model of models.filter((one) => one !== null)) {
    const [known, next] = [bySlug.get(model.slug), model];
    if (!known) bySlug.set(model.slug, next);
    else {
      const [facts, other] = known.renamed && !next.renamed ? [next, known] : [known, next];
      const tags = new Set(facts.offers.map(tagOf));
      bySlug.set(model.slug, { ...facts, offers: [...facts.offers, ...other.offers.filter((offer) => !tags.has(tagOf(offer)))] });
    }
  }
  return [...bySlug.values()].map(({ renamed, ...model }) => model);
}

function fromOpenRouter(theirs, context, notes) {
  const slug = context.sources.renamed[theirs.id] ?? theirs.id;
  const why = leftOut(slug, context.sources) ?? unusable(theirs.architecture);
  if (why) return refuse(notes, slug, why);
  const offers = (theirs.endpoints ?? []).map((endpoint) => offerOfEndpoint(endpoint, slug, context, notes));
  const { input_modalities: input, output_modalities: output, tokenizer } = theirs.architecture;
  return compact({
    renamed: slug === theirs.id ? undefined : true,
    slug,
    canonical_slug: theirs.canonical_slug === theirs.id || theirs.canonical_slug === slug ? undefined : theirs.canonical_slug,
    name: nameOf(theirs.name, theirs.id, slug, context.sources),
    source: (theirs.sources ?? [context.label]).at(-1),
    created: theirs.created ?? dated(slug, context.sources),
    expires: theirs.expiration_date?.startsWith("209") ? undefined : (theirs.expiration_date ?? undefined),
    context_length: theirs.context_length ?? undefined,
    input: MODALITIES.filter((one) => input.includes(one)),
    output: [...output],
    tokenizer: tokenizer && tokenizer !== "Other" ? tokenizer : tokenizerOf(slug, context.sources),
    hugging_face_id: theirs.hugging_face_id || undefined,
    knowledge_cutoff: theirs.knowledge_cutoff ?? undefined,
    distillable: distillable(slug, context.sources),
    reasoning: reasoningOf(theirs.reasoning ?? ((theirs.supported_parameters ?? []).includes("reasoning") ? {} : null)),
    default_parameters: withoutNulls(theirs.default_parameters),
    parameters: theirs.supported_parameters ?? [],
    offers: chooseOffers(slug, offers.filter((offer) => offer !== null), notes),
  });
}

function offerOfEndpoint(endpoint, slug, context, notes) {
  const what = `${slug} at ${endpoint.provider}`;
  const provider = providerCalled(endpoint.provider, context.providers);
  if (!provider) return refuse(notes, what, "no such provider");
  const why = unservable(slug, PROTOCOLS[endpoint.protocol], provider, context.sources);
  if (why) return refuse(notes, what, why);
  const { prices, tiers, error } = readPrices(endpoint.pricing, what, notes);
  if (error) return refuse(notes, what, error);
  return compact({
    provider: provider.slug,
    model: endpoint.provider_model_id,
    context_length: endpoint.context_length ?? endpoint.max_prompt_tokens ?? undefined,
    max_output: endpoint.max_completion_tokens || undefined,
    quantization: endpoint.quantization ?? undefined,
    ...prices,
    tiers: tiers.length ? tiers : undefined,
    source: endpoint.source ?? context.label,
    says: endpoint.supported_parameters ?? [],
  });
}

function readPrices(pricing, what, notes) {
  const unknown = Object.keys(pricing).find((name) => !PRICES[name] && !UNUSED_PRICES.has(name) && name !== "overrides");
  if (unknown) return { error: `a price for each ${unknown} has no place in the catalog` };
  const read = (from) => readEach(from, PRICES, 0, what, notes);
  const { prices, error } = read(pricing);
  if (error) return { error };
  const tiers = [];
  for (const { min_prompt_tokens, ...rest } of pricing.overrides ?? []) {
    if (!Number.isSafeInteger(min_prompt_tokens)) return { error: "a price that depends on something else than the prompt's length" };
    const tier = read(rest);
    if (tier.error) return { error: tier.error };
    tiers.push(wholeTier({ above_prompt_tokens: min_prompt_tokens, ...tier.prices }, prices));
  }
  return { prices, tiers };
}

/** The known prices of an object, as exact texts; `undefined` and null are unknown. */
function readEach(from, names, shift, what, notes) {
  const prices = {};
  for (const [theirs, ours] of Object.entries(names)) {
    if (from[theirs] === undefined || from[theirs] === null) continue;
    const { pico, repaired, error } = readPrice(from[theirs], shift);
    if (error) return { error: `${ours} ${JSON.stringify(from[theirs])}: ${error}` };
    if (repaired) notes.repaired.push({ what, why: `${ours} ${from[theirs]} is ${writePrice(pico)}` });
    prices[ours] = writePrice(pico);
  }
  return { prices };
}

/**
 * A tier with a prompt price of its own needs every other price of input. One that the source
 * leaves out rises in step with its prompt's, to the next whole picodollar.
 */
function wholeTier(tier, prices) {
  if (tier.prompt === undefined) return tier;
  const [tierPrompt, prompt] = [readPrice(tier.prompt).pico, readPrice(prices.prompt).pico];
  for (const name of ["cache_read", "cache_write", "cache_write_1h", "audio_input"]) {
    if (prices[name] === undefined || tier[name] !== undefined) continue;
    tier[name] = prompt === 0n ? tier.prompt : writePrice((readPrice(prices[name]).pico * tierPrompt + prompt - 1n) / prompt);
  }
  return tier;
}

// models.dev's form.

function fromModelsDev(document, context, notes) {
  const models = new Map();
  for (const provider of Object.values(document)) {
    const row = providerCalled(provider.id, context.providers);
    if (!row) {
      refuse(notes, provider.id, "no such provider");
      continue;
    }
    for (const theirs of Object.values(provider.models ?? {})) addFromModelsDev(theirs, row, context, notes, models);
  }
  return [...models.values()].map((model) => ({ ...model, offers: chooseOffers(model.slug, model.offers, notes) }));
}

function addFromModelsDev(theirs, row, context, notes, models) {
  const what = `${theirs.id} at ${row.slug}`;
  const slug = slugOf(theirs.id, row, context);
  if (!slug) return refuse(notes, what, "whose model that is, is not known");
  if (theirs.status === "deprecated") return refuse(notes, what, "deprecated");
  const output = context.byModel?.get(`${row.slug} ${theirs.id}`)?.output ?? theirs.modalities?.output;
  const architecture = { input_modalities: theirs.modalities?.input ?? [], output_modalities: output ?? [] };
  const why = leftOut(slug, context.sources) ?? unusable(architecture) ?? unservable(slug, row.protocol, row, context.sources);
  if (why) return refuse(notes, what, why);
  const { prices, tiers, error } = readDevPrices(theirs.cost, what, notes);
  if (error) return refuse(notes, what, error);
  const offer = compact({
    provider: row.slug,
    model: theirs.id,
    context_length: theirs.limit?.context || undefined,
    max_output: theirs.limit?.output || undefined,
    ...prices,
    tiers: tiers.length ? tiers : undefined,
    source: context.label,
    says: devParameters(theirs),
  });
  const known = models.get(slug);
  if (known) {
    known.offers.push(offer);
    known.parameters = [...new Set([...known.parameters, ...offer.says])];
  } else models.set(slug, { ...devModel(theirs, slug, context), offers: [offer] });
}

function devModel(theirs, slug, context) {
  const input = (theirs.modalities?.input ?? ["text"]).map((one) => (one === "pdf" ? "file" : one));
  const date = Date.parse(theirs.release_date ?? "");
  return compact({
    slug,
    name: nameOf(theirs.name, theirs.id, slug, context.sources),
    source: context.label,
    created: Number.isNaN(date) ? dated(slug, context.sources) : date / 1000,
    context_length: theirs.limit?.context || undefined,
    input: MODALITIES.filter((one) => input.includes(one)),
    output: theirs.modalities?.output ?? ["text"],
    tokenizer: tokenizerOf(slug, context.sources),
    knowledge_cutoff: theirs.knowledge,
    distillable: distillable(slug, context.sources),
    reasoning: theirs.reasoning ? { mandatory: false } : undefined,
    parameters: devParameters(theirs),
  });
}

function readDevPrices(cost, what, notes) {
  if (cost?.input === undefined || cost?.output === undefined) return { error: "no price" };
  const read = (from) => readEach(from, DEV_PRICES, 6, what, notes);
  const { prices, error } = read(cost);
  if (error) return { error };
  const tiers = [];
  for (const { tier: { type, size } = {}, ...rest } of devTiers(cost)) {
    if (type !== "context" || !Number.isSafeInteger(size)) return { error: "a price that depends on something else than the prompt's length" };
    const tier = read(rest);
    if (tier.error) return { error: tier.error };
    tiers.push(wholeTier({ above_prompt_tokens: size, ...tier.prices }, prices));
  }
  tiers.sort((a, b) => a.above_prompt_tokens - b.above_prompt_tokens);
  return { prices, tiers };
}

/** `tiers` has the thresholds; `context_over_200k` is older, and without them means what it says. */
function devTiers({ tiers, context_over_200k: over }) {
  return tiers ?? (over ? [{ ...over, tier: { type: "context", size: 200_000 } }] : []);
}

function devParameters(theirs) {
  const says = ["max_tokens", "stop"];
  if (theirs.temperature !== false) says.push("temperature", "top_p");
  if (theirs.tool_call) says.push("tools", "tool_choice");
  if (theirs.structured_output) says.push("response_format", "structured_outputs");
  if (theirs.reasoning) says.push("reasoning", "include_reasoning");
  return says;
}

/** The slug of a provider's own name for a model: as the catalog has it, or by whose name it begins with. */
function slugOf(id, row, { byModel, sources }) {
  const known = byModel?.get(`${row.slug} ${id}`);
  if (known) return known.slug;
  const [author, ...rest] = id.split("/");
  const slug = rest.length === 1 && sources.owners[author.toLowerCase()] ? `${sources.owners[author.toLowerCase()]}/${rest[0].toLowerCase()}`
    : rest.length === 0 && sources.makers[row.slug] ? `${sources.makers[row.slug]}/${id.toLowerCase()}` : null;
  return slug && (sources.renamed[slug] ?? slug);
}

// What all forms share.

function providerCalled(name, providers) {
  return providers.find((row) => row.slug === name || row.known_as?.includes(name));
}

/** Why an offer cannot be served, if it cannot. */
function unservable(slug, protocol, provider, sources) {
  const taken = provider.source_protocols ?? [provider.protocol, ...(provider.also ?? [])];
  if (!protocol || !taken.includes(protocol)) return "served in a protocol that its provider's row does not speak";
  return leftOut(`${slug} at ${provider.slug}`, sources);
}

function unusable({ input_modalities: input, output_modalities: output }) {
  if (!input.includes("text")) return "takes no text";
  if (output.length !== 1 || !["text", "embeddings", "rerank"].includes(output[0])) return `makes ${output.join(" and ") || "nothing"}`;
  return undefined;
}

/** Why sources.json leaves something out: the first rule whose pattern, with `*` for anything, fits. */
export function leftOut(name, { left_out: rules }) {
  return rules.find(({ match }) => match.some((pattern) => fits(pattern, name)))?.why;
}

export function fits(pattern, name) {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** When a model came out whose sources do not say so. */
function dated(slug, { dates }) {
  return dates[slug] && Date.parse(dates[slug]) / 1000;
}

function distillable(slug, { distillable: rules }) {
  return rules.find(({ match }) => match.some((pattern) => fits(pattern, slug)))?.value;
}

function tokenizerOf(slug, { tokenizers: rules }) {
  return rules.find(({ match }) => match.some((pattern) => fits(pattern, slug)))?.value ?? "Other";
}

function reasoningOf(theirs) {
  if (!theirs) return undefined;
  const { mandatory = false, default_enabled, default_effort, supported_efforts } = theirs;
  return compact({ mandatory, default_enabled, default_effort, efforts: supported_efforts?.length ? supported_efforts : undefined });
}

/** A name for people: the source's own, or one made of the slug. */
function nameOf(name, id, slug, { authors }) {
  const [author, model] = slug.split("/");
  if (name && name !== id && name !== model) return name.includes(": ") || !authors[author] ? name : `${authors[author]}: ${name}`;
  return `${authors[author] ?? titled(author)}: ${titled(model)}`;
}

/** `gpt-6-sol` as `GPT 6 Sol`. */
function titled(text) {
  const capitals = /^(gpt|glm|oss|vl|ocr|bge|ai|it|r\d.*|\d.*|[a-z]\d.*)$/;
  return text.split(/[-_]/).map((word) => (capitals.test(word) ? word.toUpperCase() : word.slice(0, 1).toUpperCase() + word.slice(1))).join(" ");
}

function withoutNulls(members) {
  const kept = Object.entries(members ?? {}).filter(([, value]) => typeof value === "number");
  return kept.length ? Object.fromEntries(kept) : undefined;
}

export function compact(members) {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function refuse(notes, what, why) {
  notes.refused.push({ what, why });
  return null;
}
