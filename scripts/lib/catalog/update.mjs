// A document of another's prices against the catalog: what would come out, and what is wrong with it.

import { mistakesIn, twiceIn } from "./check.mjs";
import { merge } from "./merge.mjs";
import { fits, readSource } from "./sources.mjs";

/**
 * `catalog`: as `readCatalog` gives it. `options`: `label`, what to call the source; `joined`, the
 * date in seconds since 1970 of new models without one; `only`, patterns of slugs, all if empty;
 * `prune`, whether to remove what the same source has no more.
 *
 * Returns `{ models, changes, refused, repaired, mistakes }`, and changes nothing.
 */
export function update(catalog, document, { only = [], ...options }) {
  const byModel = new Map(catalog.models.flatMap((model) => model.offers.map((offer) => [`${offer.provider} ${offer.model}`, model])));
  const source = readSource(document, { ...catalog, byModel, label: options.label });
  const wanted = ({ slug }) => only.length === 0 || only.some((pattern) => fits(pattern, slug));
  const merged = merge(catalog, { ...source, models: source.models.filter(wanted) }, options);
  const about = ({ what }) => wanted({ slug: what.split(/ at |: /)[0] });
  const refused = [...source.refused, ...merged.refused].filter(about);
  return { ...merged, refused, repaired: source.repaired.filter(about), mistakes: [...twiceIn(catalog.models), ...mistakesIn({ ...catalog, models: merged.models })] };
}
