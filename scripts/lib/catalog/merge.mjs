// A source merged into the catalog. Rows without a `source` were written by hand: their facts win.
// What a source does not say is kept, above all a price. Nothing is removed unless that is asked for.

import { compact } from "./sources.mjs";
import { tagOf } from "./file.mjs";

/** Prices and limits of an offer, which a source may change. */
export const PRICES = [
  "prompt", "completion", "request", "cache_read", "cache_write", "cache_write_1h", "reasoning", "audio_input", "audio_output", "image_output",
  "web_search",
];
const OFFER_FACTS = ["model", "context_length", "max_output", "quantization", ...PRICES, "tiers", "without"];
const MODEL_FACTS = [
  "canonical_slug", "name", "created", "expires", "input", "output", "hugging_face_id", "knowledge_cutoff",
  "distillable", "reasoning", "default_parameters", "parameters",
];
/** Parameters of which a source tells for each offer whether they are honoured. */
const TOLD = ["tools", "tool_choice", "parallel_tool_calls", "structured_outputs", "reasoning", "include_reasoning", "reasoning_effort", "temperature", "top_p", "stop"];
/** What the gateway makes of one parameter, it makes of the other. */
const TOGETHER = [["max_tokens", "max_completion_tokens"], ["reasoning", "include_reasoning", "reasoning_effort"], ["tools", "tool_choice"]];
const TAKES_FILES = ["openai", "azure", "xai"];

/**
 * Returns `{ models, changes, refused }`: the catalog with the source in it, what changed as a list
 * of `{ kind, slug, tag?, member?, from?, to? }`, and what could not be taken.
 *
 * `options`: `joined`, seconds since 1970 for new models whose date no source knows; `prune`: remove
 * offers that came from a source of the same name and are not in it any more.
 */
export function merge(catalog, source, options) {
  const sold = new Map(catalog.models.flatMap(({ slug, offers }) => offers.map((offer) => [`${offer.provider} ${offer.model}`, slug])));
  const state = { ...catalog, sold, options, changes: [], refused: [] };
  const ours = new Map(catalog.models.map((model) => [model.slug, model]));
  const seen = new Set();
  for (const theirs of source.models) {
    seen.add(theirs.slug);
    const merged = mergeModel(ours.get(theirs.slug), theirs, state);
    if (merged) ours.set(theirs.slug, merged);
  }
  const models = [...ours.values()].map((model) => (seen.has(model.slug) ? model : absent(model, source, state)));
  return { models: models.filter((model) => model !== null), changes: state.changes, refused: state.refused };
}

function mergeModel(ours, theirs, state) {
  const model = ours ? updateModel(ours, theirs, state) : newModel(theirs, state);
  const offers = new Map((ours?.offers ?? []).map((offer) => [tagOf(offer), offer]));
  const files = model.input.includes("file") && [...offers.values(), ...theirs.offers].some((offer) => takesFiles(offer, state));
  for (const offer of theirs.offers) {
    const called = () => [...offers.values()].find((one) => one.provider === offer.provider && one.model === offer.model);
    const known = offers.get(tagOf(offer)) ?? called();
    const tag = tagOf(known ?? offer);
    const whole = finishOffer({ ...offer, context_length: offer.context_length ?? known?.context_length }, model, state);
    const elsewhere = state.sold.get(`${offer.provider} ${offer.model}`) ?? model.slug;
    const textOnly = files && !known && !takesFiles(offer, state);
    const why = elsewhere !== model.slug ? `sold as ${elsewhere}` : textOnly ? "takes no files, as the model does elsewhere" : unsellable(whole, model);
    if (why) state.refused.push({ what: `${model.slug} at ${tag}`, why });
    else if (known) offers.set(tag, updateOffer(known, whole, model, state));
    else {
      state.sold.set(`${offer.provider} ${offer.model}`, model.slug);
      offers.set(tag, whole);
      if (ours) state.changes.push({ kind: "new offer", slug: model.slug, tag, to: whole });
    }
  }
  if (offers.size === 0) {
    state.refused.push({ what: model.slug, why: "nobody offers it" });
    return null;
  }
  if (state.options.prune) for (const offer of [...offers.values()]) prune(offer, theirs, offers, model, state);
  const finished = finishModel({ ...model, offers: [...offers.values()] }, state);
  if (!ours) state.changes.push({ kind: "new model", slug: finished.slug, to: finished });
  else if (!same(ours.context_length, finished.context_length)) {
    state.changes.push({ kind: "fact", slug: ours.slug, member: "context_length", from: ours.context_length, to: finished.context_length });
  }
  return finished;
}

function newModel(theirs, { options }) {
  const { offers, ...facts } = theirs;
  return compact({ ...facts, created: facts.created ?? options.joined, parameters: together(facts.parameters), offers });
}

function updateModel(ours, theirs, state) {
  if (!ours.source) return ours;
  const updated = { ...ours, context_length: theirs.context_length ?? ours.context_length };
  for (const member of MODEL_FACTS) {
    const to = factOf(member, ours, theirs);
    if (to === undefined || same(ours[member], to)) continue;
    updated[member] = to;
    state.changes.push({ kind: "fact", slug: ours.slug, member, from: ours[member], to });
  }
  return updated;
}

/** What a source makes of a model's fact, as it will stand in the file. */
function factOf(member, ours, theirs) {
  const fact = theirs[member];
  if (fact === undefined) return undefined;
  if (member === "parameters") return ours.output.includes("text") ? together([...fact, "max_tokens"]) : [];
  if (member === "input") return ours.input.length < fact.length && ours.input.every((one) => fact.includes(one)) ? ours.input : fact;
  return fact;
}

function updateOffer(ours, theirs, model, state) {
  const updated = { ...ours };
  const tag = tagOf(ours);
  for (const member of OFFER_FACTS) {
    const [from, to] = [ours[member], theirs[member]];
    if (same(from, to) || (to === undefined && member !== "without")) continue;
    const kind = !ours.source ? "kept by hand" : PRICES.includes(member) || member === "tiers" ? "price" : "limit";
    if (ours.source || PRICES.includes(member)) state.changes.push({ kind, slug: model.slug, tag, member, from, to });
    if (ours.source) updated[member] = to;
  }
  return ours.source ? compact({ ...updated, source: theirs.source }) : ours;
}

/** An offer as it stands in the file: within the model's limits, with what it does not honour. */
function finishOffer({ says, source, ...offer }, model, { providers }) {
  const byHand = model.source === undefined;
  const context = byHand ? Math.min(offer.context_length ?? model.context_length, model.context_length) : (offer.context_length ?? model.context_length);
  const max = model.output.includes("text") ? offer.max_output : undefined;
  const honoured = providers.find((row) => row.slug === offer.provider).parameters ?? [];
  const told = says && together(says);
  const without = told && model.output.includes("text")
    ? TOLD.filter((name) => model.parameters.includes(name) && honoured.includes(name) && !told.includes(name === "parallel_tool_calls" ? "tools" : name))
    : (offer.without ?? []);
  const tiers = offer.tiers?.filter((tier) => tier.above_prompt_tokens < context);
  return compact({
    ...offer,
    ...(!model.output.includes("text") && offer.completion !== undefined && { completion: "0" }),
    context_length: context,
    max_output: max && Math.min(max, context),
    tiers: tiers?.length ? tiers : undefined,
    without: without.length ? without : undefined,
    source,
  });
}

/** Facts of a model that follow from its offers. Those of a model by hand stand as they are. */
function finishModel(model, { providers }) {
  if (model.source === undefined) return model;
  const { offers } = model;
  const rows = offers.map((offer) => providers.find((row) => row.slug === offer.provider));
  const files = offers.some((offer) => takesFiles(offer, { providers }));
  const pricesSound = offers.every((offer) => offer.audio_input !== undefined) && rows.every((row) => row.protocol === "openai_chat");
  const takes = { text: true, image: true, file: files, audio: pricesSound };
  return {
    ...model,
    context_length: Math.max(model.context_length ?? 0, ...offers.map((offer) => offer.context_length)),
    input: model.input.filter((modality) => takes[modality]),
    parameters: model.output.includes("text") ? [...new Set([...model.parameters, "max_tokens", "max_completion_tokens"])].sort() : [],
    offers,
  };
}

/** Whether a provider is known to take files. Of hosts of OpenAI's protocol few do. */
function takesFiles({ provider }, { providers }) {
  return TAKES_FILES.includes(provider) || providers.find((row) => row.slug === provider).protocol !== "openai_chat";
}

/** Why an offer cannot be sold as it is. No price is never a price of nothing. */
function unsellable(offer, model) {
  const free = model.slug.endsWith(":free");
  const prices = PRICES.map((name) => offer[name]).filter((price) => price !== undefined);
  if (offer.prompt === undefined || offer.completion === undefined) return "no price";
  if (free) return prices.some((price) => Number(price) > 0) ? "is to be free and has a price" : undefined;
  const nothing = (price) => price === undefined || Number(price) === 0;
  const writes = model.output.includes("text");
  if (nothing(offer.request) && (nothing(offer.prompt) || (writes && nothing(offer.completion)))) return "no price that can be believed";
  if (!offer.context_length) return "no context length";
  return undefined;
}

function prune(offer, theirs, offers, model, state) {
  const tag = tagOf(offer);
  const gone = offer.source && offer.source === state.options.label && !theirs.offers.some((one) => tagOf(one) === tag);
  if (!gone || offers.size === 1) return;
  offers.delete(tag);
  state.changes.push({ kind: "gone offer", slug: model.slug, tag });
}

/** A model that the source does not have: kept, and told where it came from the same source. */
function absent(model, source, state) {
  if (!model.source || model.source !== state.options.label) return model;
  state.changes.push({ kind: state.options.prune ? "gone model" : "not in the source", slug: model.slug });
  return state.options.prune ? null : model;
}

function together(parameters) {
  const all = new Set(parameters);
  for (const group of TOGETHER) if (group.some((name) => all.has(name))) group.forEach((name) => all.add(name));
  return [...all].sort();
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}
