// What an update would change, for the person who decides on it.

import { tagOf } from "./file.mjs";
import { change, perMillion } from "./price.mjs";

/** The report's text. `all`: name everything that was refused, not only examples. */
export function report({ changes, refused, repaired, mistakes }, { all = false } = {}) {
  const of = (...kinds) => changes.filter(({ kind }) => kinds.includes(kind));
  const sections = [
    section("New models", of("new model").map(newModel)),
    section("New offers", of("new offer").map(({ slug, tag, to }) => `+ ${slug} at ${tag}: ${prices(to)}`)),
    section("Changed prices", of("price").map((one) => `~ ${place(one)}: ${priceChange(one)}`)),
    section("Changed limits and facts", of("limit", "fact").map((one) => `~ ${place(one)}: ${short(one.from)} → ${short(one.to)}`)),
    section("Gone", of("gone model", "gone offer").map(({ slug, tag }) => `- ${slug}${tag ? ` at ${tag}` : ""}`)),
    section("Not in the source, kept", of("not in the source").map(({ slug }) => `  ${slug}`)),
    section("Kept by hand, though the source differs", of("kept by hand").map((one) => `  ${place(one)}: ${priceChange(one)}`)),
    section("Repaired prices", repaired.map(({ what, why }) => `  ${what}: ${why}`)),
    section("Refused", refusals(refused, all)),
    section("Mistakes", mistakes.map((what) => `! ${what}`)),
  ];
  return sections.filter((text) => text).join("\n") || "Nothing would change.\n";
}

function section(title, lines) {
  return lines.length ? `${title} (${lines.length})\n${lines.map((line) => `  ${line}`).join("\n")}\n` : "";
}

function newModel({ slug, to }) {
  return `+ ${slug}, ${to.context_length} tokens: ${to.offers.map((offer) => `${tagOf(offer)} ${prices(offer)}`).join("; ")}`;
}

function prices({ prompt, completion }) {
  return `${perMillion(prompt)} and ${perMillion(completion)} per million`;
}

function place({ slug, tag, member }) {
  return `${slug}${tag ? ` at ${tag}` : ""}, ${member}`;
}

function priceChange({ from, to }) {
  if (typeof from !== "string" || typeof to !== "string") return `${short(from)} → ${short(to)}`;
  return `${perMillion(from)} → ${perMillion(to)} per million (${change(from, to)})`;
}

function short(value) {
  const text = value === undefined ? "unknown" : typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** By reason, with examples. */
function refusals(refused, all) {
  const reasons = new Map();
  for (const { what, why } of refused) reasons.set(why, [...(reasons.get(why) ?? []), what]);
  return [...reasons].map(([why, names]) => {
    const shown = all ? names : names.slice(0, 3);
    return `${names.length} × ${why}: ${shown.join(", ")}${shown.length < names.length ? ", …" : ""}`;
  });
}
