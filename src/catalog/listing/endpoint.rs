//! An offer as `/endpoints` lists it: its price, what it can do, and how it fares.

use crate::catalog::{Model, Offer, Prices, Tier};
use crate::money::Price;
use serde_json::{Map, Value, json};

/// How an endpoint fares; what was not measured is `None`, and may be left untold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Milliseconds to the first token over the last half hour.
    pub latency_ms: Option<Spread>,
    /// Tokens of output per second over the last half hour.
    pub throughput: Option<Spread>,
    /// Of a million requests in the last five minutes, half hour and day, how many were answered.
    pub uptime_ppm: [Option<u32>; 3],
    /// It is out of use at the moment.
    pub down: bool,
}

/// How measurements spread: percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    pub p50: u32,
    pub p75: u32,
    pub p90: u32,
    pub p99: u32,
}

impl Figures {
    /// What anybody may know: how fast an endpoint is, is told to holders of keys alone.
    pub fn public(self) -> Figures {
        Figures { latency_ms: None, throughput: None, ..self }
    }
}

pub(super) fn write(model: &Model, offer: &Offer, figures: &Figures) -> Value {
    let chooses = offer.honours("tool_choice");
    let [five_minutes, half_hour, day] = figures.uptime_ppm.map(percent);
    json!({
        "name": format!("{} | {}", offer.provider.name, model.slug),
        "model_id": model.slug,
        "model_name": model.name,
        "context_length": offer.context_length,
        "pricing": pricing(&offer.prices),
        "provider_name": offer.provider.name,
        "tag": offer.tag,
        "quantization": offer.quantization,
        "max_completion_tokens": offer.max_output,
        "max_prompt_tokens": null,
        "supported_parameters": listed_parameters(offer),
        // OpenRouter's words for degraded are negative; what each means is not published.
        "status": if figures.down { -1 } else { 0 },
        "uptime_last_5m": five_minutes,
        "uptime_last_30m": half_hour,
        "uptime_last_1d": day,
        "latency_last_30m": figures.latency_ms.map(spread),
        "throughput_last_30m": figures.throughput.map(spread),
        "supports_implicit_caching": offer.prices.cache_read.is_some() && offer.prices.cache_write.is_none(),
        "supports_tool_choice": {
            "auto": chooses, "function": chooses, "none": chooses, "required": chooses,
        },
        "supports_voice_cloning": false,
        "supports_diarization": false,
        "supports_image_reference": false,
        "supports_multiple_audio_references": false,
        "native_tools": {},
        "service_tier": offer.service_tier,
    })
}

/// Its parameters but for those of embeddings, for which OpenRouter's list has no names.
pub(super) fn listed_parameters(offer: &Offer) -> Vec<&'static str> {
    let unlisted = ["dimensions", "encoding_format", "input_type"];
    offer.parameters.iter().copied().filter(|name| !unlisted.contains(name)).collect()
}

/// Whether what is sent to it falls under zero data retention, as far as is known.
pub(super) fn retains_nothing(offer: &Offer) -> bool {
    offer.data_policy.zdr == Some(true)
}

fn percent(ppm: Option<u32>) -> Option<f64> {
    ppm.map(|share| f64::from(share) / 10_000.0)
}

fn spread(spread: Spread) -> Value {
    json!({ "p50": spread.p50, "p75": spread.p75, "p90": spread.p90, "p99": spread.p99 })
}

pub(super) fn pricing(prices: &Prices) -> Value {
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
    put("web_search", prices.web_search.map(|search| search.price));
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
