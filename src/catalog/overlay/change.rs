//! What laying a document would change, against what is laid: for people to read before they do it.

use super::{Draft, Row};
use crate::catalog::{self, Catalog, Model, Offer, Provider};
use serde_json::{Map, Value, json};

/// Every difference that clients or bills would notice, by kind and name.
pub fn changes(before: Catalog, after: &Draft) -> Vec<Value> {
    let mut out = Vec::new();
    change_providers(before, after, &mut out);
    let mut slugs: Vec<&str> = after.models.keys().copied().collect();
    slugs.extend(before.overlay.iter().flat_map(|overlay| overlay.touched.iter().copied()));
    slugs.sort_unstable();
    slugs.dedup();
    for slug in slugs {
        let old = before.find(slug).map(|model| (model, model.offers));
        let new = match after.models.get(slug) {
            Some(row) => row.as_ref().map(|Row { model, offers }| (model, offers.as_slice())),
            None => catalog::find(slug).map(|model| (model, model.offers)),
        };
        match (old, new) {
            (None, None) => {}
            (None, Some(_)) => out.push(json!({ "change": "model_added", "model": slug })),
            (Some(_), None) => out.push(json!({ "change": "model_removed", "model": slug })),
            (Some(old), Some(new)) => change_model(slug, old, new, &mut out),
        }
    }
    change_aliases(before, after, &mut out);
    out
}

fn change_providers(before: Catalog, after: &Draft, out: &mut Vec<Value>) {
    let mut slugs: Vec<&str> = before.providers().map(|provider| provider.slug).collect();
    slugs.extend(catalog::providers().iter().map(|provider| provider.slug));
    slugs.extend(after.providers.keys().copied());
    slugs.sort_unstable();
    slugs.dedup();
    for slug in slugs {
        let change = match (before.provider(slug), after.provider(slug)) {
            (None, Some(_)) => "provider_added",
            (Some(_), None) => "provider_removed",
            (Some(old), Some(new)) if says(old) != says(new) => "provider_changed",
            (None, None) | (Some(_), Some(_)) => continue,
        };
        out.push(json!({ "change": change, "provider": slug }));
    }
}

fn says(provider: &Provider) -> String {
    format!("{provider:?}")
}

fn change_model(slug: &str, old: (&Model, &[Offer]), new: (&Model, &[Offer]), out: &mut Vec<Value>) {
    for (member, before, after) in differences(model_facts(old.0), model_facts(new.0)) {
        out.push(json!({ "change": "model_changed", "model": slug, "member": member, "before": before, "after": after }));
    }
    let find = |offers: &[Offer], tag: &str| offers.iter().find(|offer| offer.tag == tag).map(offer_facts);
    let mut tags: Vec<&str> = old.1.iter().chain(new.1).map(|offer| offer.tag).collect();
    tags.sort_unstable();
    tags.dedup();
    for tag in tags {
        match (find(old.1, tag), find(new.1, tag)) {
            (None, Some(facts)) => {
                let mut prices = Map::new();
                for (name, value) in facts {
                    if let Some(value) = value.filter(|_| PRICES.contains(&name)) {
                        prices.insert(name.to_owned(), value.into());
                    }
                }
                out.push(json!({ "change": "offer_added", "model": slug, "offer": tag, "prices": prices }));
            }
            (Some(_), None) => out.push(json!({ "change": "offer_removed", "model": slug, "offer": tag })),
            (Some(old), Some(new)) => {
                for (member, before, after) in differences(old, new) {
                    let change = if PRICES.contains(&member) { "price_changed" } else { "offer_changed" };
                    out.push(json!({
                        "change": change, "model": slug, "offer": tag, "member": member,
                        "before": before, "after": after,
                    }));
                }
            }
            (None, None) => {}
        }
    }
}

fn change_aliases(before: Catalog, after: &Draft, out: &mut Vec<Value>) {
    let old = |alias: &str| before.overlay.and_then(|overlay| overlay.alias(alias));
    let mut names: Vec<&str> = after.aliases.keys().copied().collect();
    names.extend(before.overlay.iter().flat_map(|overlay| overlay.aliases.iter().map(|(alias, _)| *alias)));
    names.sort_unstable();
    names.dedup();
    for alias in names {
        let (before, after) = (old(alias), after.aliases.get(alias).copied());
        if before != after {
            out.push(json!({ "change": "alias_changed", "alias": alias, "before": before, "after": after }));
        }
    }
}

/// A member with its value as text.
type Fact = (&'static str, Option<String>);

const PRICES: [&str; 13] = [
    "prompt",
    "completion",
    "request",
    "image_tokens",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_output",
    "web_search",
    "tiers",
];

fn differences(old: Vec<Fact>, new: Vec<Fact>) -> Vec<(&'static str, Option<String>, Option<String>)> {
    let pairs = old.into_iter().zip(new);
    pairs.filter(|(old, new)| old != new).map(|((name, before), (_, after))| (name, before, after)).collect()
}

fn model_facts(model: &Model) -> Vec<Fact> {
    let text = |text: Option<&str>| text.map(str::to_owned);
    vec![
        ("name", text(Some(model.name))),
        ("description", text(Some(model.description))),
        ("created", Some(model.created.to_string())),
        ("expires", text(model.expires)),
        ("successor", text(model.successor)),
        ("distillable", model.distillable.map(|flag| flag.to_string())),
        ("context_length", Some(model.context_length.to_string())),
        ("input", Some(format!("{:?}", model.input_modalities))),
        ("output", Some(format!("{:?}", model.output_modalities))),
        ("tokenizer", text(Some(model.tokenizer))),
        ("hugging_face_id", text(model.hugging_face_id)),
        ("knowledge_cutoff", text(model.knowledge_cutoff)),
        ("categories", Some(model.categories.join(" "))),
        ("reasoning", model.reasoning.map(|reasoning| format!("{reasoning:?}"))),
    ]
}

fn offer_facts(offer: &Offer) -> Vec<Fact> {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let prices = &offer.prices;
    let price = |price: Option<crate::money::Price>| price.map(|price| price.to_usd());
    let per = |once| if once { " a reply" } else { "" };
    let search = prices.web_search.map(|it| format!("{}{}", it.price.to_usd(), per(it.once)));
    let tiers = (!prices.tiers.is_empty()).then(|| format!("{:?}", prices.tiers));
    vec![
        ("prompt", price(Some(prices.prompt))),
        ("completion", price(Some(prices.completion))),
        ("request", price(Some(prices.request))),
        ("image_tokens", Some(prices.image_tokens.to_string())),
        ("cache_read", price(prices.cache_read)),
        ("cache_write", price(prices.cache_write)),
        ("cache_write_1h", price(prices.cache_write_1h)),
        ("reasoning", price(prices.reasoning)),
        ("audio_input", price(prices.audio_input)),
        ("audio_output", price(prices.audio_output)),
        ("image_output", price(prices.image_output)),
        ("web_search", search),
        ("tiers", tiers),
        ("model", text(Some(offer.upstream_model))),
        ("protocol", offer.protocol.map(|protocol| format!("{protocol:?}"))),
        ("context_length", Some(offer.context_length.to_string())),
        ("max_output", offer.max_output.map(|most| most.to_string())),
        ("quantization", text(offer.quantization)),
        ("region", text(offer.region)),
        ("service_tier", text(offer.service_tier)),
        ("data_policy", Some(format!("{:?}", offer.data_policy))),
        ("parameters", Some(offer.parameters.join(" "))),
    ]
}
