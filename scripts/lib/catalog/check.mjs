// What is wrong with a catalog, before it is written. The build checks again, and more.

import { readPrice } from "./price.mjs";
import { tagOf } from "./file.mjs";
import { PRICES } from "./merge.mjs";

/** Every mistake in words. */
export function mistakesIn({ models, providers }) {
  const rows = new Set(providers.map((row) => row.slug));
  return [...twiceIn(models), ...soldTwice(models), ...models.flatMap((model) => modelMistakes(model, rows).map((what) => `${model.slug}: ${what}`))];
}

/** A slug that two models have. */
export function twiceIn(models) {
  return duplicates(models.map((model) => model.slug)).map((slug) => `${slug}: twice`);
}

/** A provider's model that two slugs sell, perhaps at two prices; one of them may be free. */
function soldTwice(models) {
  const paid = models.filter(({ slug }) => !slug.endsWith(":free"));
  const names = paid.flatMap(({ slug, offers }) => [...new Set(offers.map((offer) => `${offer.provider}'s ${offer.model}`))].map((name) => [name, slug]));
  const slugs = new Map();
  for (const [name, slug] of names) slugs.set(name, [...(slugs.get(name) ?? []), slug]);
  return [...slugs].filter(([, all]) => all.length > 1).map(([name, all]) => `${name} is sold as ${all.join(" and ")}`);
}

function modelMistakes(model, rows) {
  const mistakes = duplicates(model.offers.map(tagOf)).map((tag) => `two offers are ${tag}`);
  if (!/^[a-z0-9-]+\/[a-z0-9._:-]+$/.test(model.slug)) mistakes.push("is no slug");
  if (!(model.context_length > 0)) mistakes.push("no context length");
  if (!model.input?.includes("text") || !model.output?.length) mistakes.push("no modalities");
  if (!model.offers.length) mistakes.push("no offers");
  return [...mistakes, ...model.offers.flatMap((offer) => offerMistakes(offer, model, rows).map((what) => `at ${tagOf(offer)}: ${what}`))];
}

function offerMistakes(offer, model, rows) {
  const mistakes = rows.has(offer.provider) ? [] : ["no such provider"];
  const tiers = offer.tiers ?? [];
  for (const prices of [offer, ...tiers]) mistakes.push(...priceMistakes(prices));
  if (offer.prompt === undefined || offer.completion === undefined) mistakes.push("no price");
  if (tiers.some((tier, row) => row > 0 && tier.above_prompt_tokens <= tiers[row - 1].above_prompt_tokens)) mistakes.push("tiers must rise");
  if (offer.context_length > model.context_length) mistakes.push("a longer context than the model's");
  const free = PRICES.every((name) => offer[name] === undefined || readPrice(offer[name]).pico === 0n);
  if (free !== model.slug.endsWith(":free")) mistakes.push("a price of nothing is for slugs with :free, and only for them");
  return mistakes;
}

function priceMistakes(prices) {
  return PRICES.filter((name) => prices[name] !== undefined)
    .map((name) => [name, prices[name], typeof prices[name] === "string" ? readPrice(prices[name]) : { error: "not a text" }])
    .filter(([, , { error, repaired }]) => error || repaired)
    .map(([name, text, { error }]) => `${name} ${JSON.stringify(text)}: ${error ?? "finer than a picodollar"}`);
}

function duplicates(names) {
  const seen = new Set();
  return names.filter((name) => seen.size === seen.add(name).size);
}
