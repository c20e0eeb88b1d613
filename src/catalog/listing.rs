//! The catalog in OpenRouter's shapes: `/models`, `/models/count`, `/model/…`, `/providers` and
//! `/models/…/endpoints`. What is not known is null, never left out where a client demands it.

use super::{Catalog, Modality, Model, Offer, Prices, Provider, Reasoning, Tier};
use crate::money::Price;
use serde_json::{Map, Value, json};

/// Writes the body of `GET /models`: every model that a live provider offers and that makes
/// `output`.
pub fn write_models(catalog: Catalog, live: impl Fn(&Provider) -> bool, output: Modality) -> String {
    list(catalog, live, output).to_string()
}

/// Writes the body of `GET /models?client_version=…`, by which Codex asks for its own catalog. It
/// demands `models`, and keeps what it knows by itself where that is empty: an entry would have
/// to bring along the instructions that Codex gives to a model.
pub fn write_models_for_codex(catalog: Catalog, live: impl Fn(&Provider) -> bool) -> String {
    let mut list = list(catalog, live, Modality::Text);
    list["models"] = json!([]);
    list.to_string()
}

fn list(catalog: Catalog, live: impl Fn(&Provider) -> bool, output: Modality) -> Value {
    let makes = |model: &&Model| model.output_modalities.contains(&output);
    let data: Vec<Value> = catalog.models().filter(makes).filter_map(|model| entry(model, &live)).collect();
    // `object` makes it OpenAI's list too.
    json!({ "object": "list", "total_count": data.len(), "links": { "next": null }, "data": data })
}

/// Writes the body of `GET /models/count`, of what `GET /models` lists unasked.
pub fn write_count(catalog: Catalog, live: impl Fn(&Provider) -> bool) -> String {
    let offered = |model: &&Model| model.offers.iter().any(|offer| live(offer.provider));
    let makes_text = |model: &&Model| model.output_modalities.contains(&Modality::Text);
    let count = catalog.models().filter(makes_text).filter(offered).count();
    json!({ "data": { "count": count } }).to_string()
}

/// Writes the body of `GET /model/{author}/{slug}`; `None` if no live provider offers it.
pub fn write_model(model: &Model, live: impl Fn(&Provider) -> bool) -> Option<String> {
    entry(model, &live).map(|entry| json!({ "data": entry }).to_string())
}

/// Writes the body of `GET /providers`: all that the gateway knows, live or not.
pub fn write_providers(catalog: Catalog) -> String {
    let data: Vec<Value> = catalog.providers().map(provider_entry).collect();
    json!({ "data": data }).to_string()
}

/// Writes the body of `GET /models/{author}/{slug}/endpoints`: the live offers, perhaps none.
pub fn write_endpoints(model: &Model, live: impl Fn(&Provider) -> bool) -> String {
    let endpoints: Vec<Value> =
        live_offers(model, &live).into_iter().map(|offer| endpoint(model, offer)).collect();
    let mut architecture = architecture(model);
    architecture["instruct_type"] = Value::Null;
    json!({
        "data": {
            "id": model.slug,
            "name": model.name,
            "created": model.created,
            "description": model.description,
            "architecture": architecture,
            "endpoints": endpoints,
        }
    })
    .to_string()
}

/// The live offers of a model, cheapest first.
fn live_offers<'a>(model: &'a Model, live: &impl Fn(&Provider) -> bool) -> Vec<&'a Offer> {
    let mut offers: Vec<&Offer> = model.offers.iter().filter(|offer| live(offer.provider)).collect();
    offers.sort_by_key(|offer| offer.prices.blend());
    offers
}

fn entry(model: &Model, live: &impl Fn(&Provider) -> bool) -> Option<Value> {
    let offers = live_offers(model, live);
    let top = offers.first()?;
    let mut entry = json!({
        "object": "model",
        "id": model.slug,
        "canonical_slug": model.canonical_slug,
        "hugging_face_id": model.hugging_face_id,
        "name": model.name,
        // What Claude Code shows.
        "display_name": model.name,
        "created": model.created,
        "owned_by": model.author(),
        "description": model.description,
        "context_length": offers.iter().map(|offer| offer.context_length).max(),
        "architecture": architecture(model),
        "pricing": pricing(&top.prices),
        "top_provider": {
            "context_length": top.context_length,
            "max_completion_tokens": top.max_output,
            // Whether the gateway screens prompts, which it never does.
            "is_moderated": false,
        },
        "per_request_limits": null,
        "supported_parameters": supported_parameters(&offers),
        "default_parameters": null,
        "supported_voices": null,
        "expiration_date": null,
        "knowledge_cutoff": model.knowledge_cutoff,
        "links": { "details": format!("/api/v1/models/{}/endpoints", model.slug) },
    });
    if let Some(reasoning) = &model.reasoning {
        entry["reasoning"] = reasoning_entry(reasoning);
    }
    Some(entry)
}

fn supported_parameters(offers: &[&Offer]) -> Vec<&'static str> {
    let mut names: Vec<&str> = offers.iter().flat_map(|offer| listed_parameters(offer)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Its parameters but for those of embeddings, for which OpenRouter's list has no names.
fn listed_parameters(offer: &Offer) -> Vec<&'static str> {
    let unlisted = ["dimensions", "encoding_format", "input_type"];
    offer.parameters.iter().copied().filter(|name| !unlisted.contains(name)).collect()
}

fn architecture(model: &Model) -> Value {
    let names = |modalities: &[Modality]| -> Vec<&str> { modalities.iter().map(|one| one.name()).collect() };
    let (input, output) = (names(model.input_modalities), names(model.output_modalities));
    json!({
        "modality": format!("{}->{}", input.join("+"), output.join("+")),
        "input_modalities": input,
        "output_modalities": output,
        "tokenizer": model.tokenizer,
        "instruct_type": null,
    })
}

fn reasoning_entry(reasoning: &Reasoning) -> Value {
    let Reasoning { mandatory, default_enabled, default_effort, efforts } = reasoning;
    let mut entry = json!({ "mandatory": mandatory });
    if let Some(enabled) = default_enabled {
        entry["default_enabled"] = json!(enabled);
    }
    if let Some(effort) = default_effort {
        entry["default_effort"] = json!(effort);
    }
    if !efforts.is_empty() {
        entry["supported_efforts"] = json!(efforts);
    }
    entry
}

fn pricing(prices: &Prices) -> Value {
    let mut pricing = Map::new();
    let mut put = |name: &str, price: Option<Price>| {
        if let Some(price) = price {
            pricing.insert(name.to_owned(), price.to_usd().into());
        }
    };
    put("prompt", Some(prices.prompt));
    put("completion", Some(prices.completion));
    put("request", Some(prices.request));
    put("image_output", prices.image_output);
    put("audio", prices.audio_input);
    put("audio_output", prices.audio_output);
    put("internal_reasoning", prices.reasoning);
    put("input_cache_read", prices.cache_read);
    put("input_cache_write", prices.cache_write);
    put("input_cache_write_1h", prices.cache_write_1h);
    if !prices.tiers.is_empty() {
        pricing.insert("overrides".to_owned(), prices.tiers.iter().map(price_override).collect());
    }
    Value::Object(pricing)
}

fn price_override(tier: &Tier) -> Value {
    let mut entry = json!({ "min_prompt_tokens": tier.above_prompt_tokens });
    let prices = [
        ("prompt", tier.prompt),
        ("completion", tier.completion),
        ("audio", tier.audio_input),
        ("input_cache_read", tier.cache_read),
        ("input_cache_write", tier.cache_write),
        ("input_cache_write_1h", tier.cache_write_1h),
    ];
    for (name, price) in prices {
        if let Some(price) = price {
            entry[name] = price.to_usd().into();
        }
    }
    entry
}

fn endpoint(model: &Model, offer: &Offer) -> Value {
    let chooses = offer.honours("tool_choice");
    json!({
        "name": format!("{} | {}", offer.provider.name, model.slug),
        "model_id": model.slug,
        "model_name": model.name,
        "context_length": offer.context_length,
        "pricing": pricing(&offer.prices),
        "provider_name": offer.provider.name,
        "tag": offer.provider.slug,
        "quantization": offer.quantization,
        "max_completion_tokens": offer.max_output,
        "max_prompt_tokens": null,
        "supported_parameters": listed_parameters(offer),
        "status": 0,
        "uptime_last_5m": null,
        "uptime_last_30m": null,
        "uptime_last_1d": null,
        "latency_last_30m": null,
        "throughput_last_30m": null,
        "supports_implicit_caching": offer.prices.cache_read.is_some() && offer.prices.cache_write.is_none(),
        "supports_tool_choice": {
            "auto": chooses, "function": chooses, "none": chooses, "required": chooses,
        },
        "supports_voice_cloning": false,
        "supports_diarization": false,
        "supports_image_reference": false,
        "supports_multiple_audio_references": false,
        "native_tools": {},
        "service_tier": null,
    })
}

fn provider_entry(provider: &Provider) -> Value {
    json!({
        "name": provider.name,
        "slug": provider.slug,
        "privacy_policy_url": provider.privacy_policy_url,
        "terms_of_service_url": provider.terms_of_service_url,
        "status_page_url": provider.status_page_url,
        "headquarters": provider.headquarters,
        "datacenters": null,
    })
}
