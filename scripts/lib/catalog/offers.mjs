// Several offers of one provider for one model: which of them to keep, and what to call them.

const VARIANTS = ["turbo", "fast", "highspeed", "lightning", "ultra", "us", "eu"];
/** Amazon's profiles, the one to prefer first: one price everywhere, then the default region's. Newer models have no other names. */
const PROFILES = ["global.", "us.", "", "eu.", "apac.", "au.", "jp.", "us-gov."];
const REGIONS = { "us.": "us", "eu.": "eu", "apac.": "ap", "au.": "ap", "jp.": "ap", "us-gov.": "us" };

/**
 * Keeps for each provider one offer, and one for each variant that the provider's name for the
 * model shows beyond the slug (`kimi-k2-thinking-turbo`). Of several, the one named like the slug
 * wins; of Amazon's profiles, the one that answers in most places.
 */
export function chooseOffers(slug, offers, notes) {
  const groups = new Map();
  for (const offer of offers) {
    const variant = variantOf(slug, offer.model);
    const key = `${offer.provider}/${variant ?? ""}`;
    const region = offer.provider === "amazon-bedrock" ? REGIONS[profile(offer.model)] : ["us", "eu"].find((one) => one === variant);
    groups.set(key, [...(groups.get(key) ?? []), place(offer, variant, region)]);
  }
  return [...groups.values()].map((group) => {
    const [best, ...others] = group.sort((a, b) => rank(slug, a) - rank(slug, b));
    for (const other of others) notes.refused.push({ what: `${slug} at ${other.provider}: ${other.model}`, why: `${best.model} is taken` });
    return best;
  });
}

/** `turbo` where the provider's name is the slug's with `turbo` after it. */
export function variantOf(slug, model) {
  const [wanted, found] = [plain(slug), plain(model)];
  if (!found.startsWith(wanted)) return undefined;
  return VARIANTS.find((variant) => found.slice(wanted.length) === variant);
}

/** Puts variant and region behind the provider, where people look for them. */
function place({ provider, model, ...rest }, variant, region) {
  return { provider, ...(variant && { variant }), model, ...(region && { region }), ...rest };
}

function rank(slug, { model }) {
  const [found, wanted] = [plain(model), plain(slug)];
  const exact = found === wanted ? 0 : found.endsWith(wanted) ? 1000 : 2000;
  const prefix = PROFILES.indexOf(profile(model));
  return exact + prefix * 100 + Math.min(model.length, 99);
}

function profile(model) {
  return PROFILES.find((prefix) => prefix && model.startsWith(prefix)) ?? "";
}

/** A name without its path, its maker's prefix and its marks: `accounts/…/kimi-k2p6` is `kimik26`. */
export function plain(name) {
  const tail = name.split("/").at(-1).toLowerCase();
  const bare = tail.replace(/^(databricks-|([a-z-]+\.)+)/, "").replace(/[:@].*$/, "").replace(/(\d)p(\d)/g, "$1$2");
  return bare.replace(/[^a-z0-9]/g, "");
}
