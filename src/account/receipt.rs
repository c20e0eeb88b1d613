//! The record of a reply as `GET /generation` shows it, with how its cost comes about. Dollars are JSON
//! numbers with every digit they need; beside them stand picodollars, as text.

use super::record::{Attempt, Basis, GenerationRecord, Line, Receipt};
use super::text;
use super::view::{Data, Number, json, usd};
use crate::id::{GenerationId, KeyHash};
use crate::money::Money;
use serde::Serialize;

/// The body of `GET /generation`.
pub fn write_generation(id: &GenerationId, cost: Money, record: &GenerationRecord) -> String {
    json(&Data { data: Generation::new(id, cost, record) })
}

#[derive(Serialize)]
pub(super) struct Generation<'a> {
    id: &'a str,
    upstream_id: &'a Option<String>,
    request_id: &'a Option<String>,
    session_id: &'a Option<String>,
    model: &'a str,
    provider_name: &'a Option<String>,
    created_at: String,
    app_id: Option<u64>,
    origin: &'a str,
    http_referer: &'a Option<String>,
    user_agent: &'a Option<String>,
    external_user: &'a Option<String>,
    preset_id: Option<String>,
    router: &'a Option<String>,
    workspace_id: &'a Option<String>,
    data_region: &'static str,
    api_type: &'a str,
    streamed: bool,
    cancelled: bool,
    finish_reason: &'a Option<String>,
    native_finish_reason: &'a Option<String>,
    service_tier: &'a Option<String>,
    latency: Option<u64>,
    moderation_latency: Option<u64>,
    generation_time: Option<u64>,
    tokens_prompt: u64,
    tokens_completion: u64,
    native_tokens_prompt: u64,
    native_tokens_completion: u64,
    native_tokens_completion_images: Option<u64>,
    native_tokens_reasoning: Option<u64>,
    native_tokens_cached: Option<u64>,
    num_media_prompt: Option<u64>,
    num_input_audio_prompt: Option<u64>,
    num_media_completion: Option<u64>,
    num_search_results: Option<u64>,
    num_fetches: Option<u64>,
    web_search_engine: Option<String>,
    usage: Number,
    total_cost: Number,
    upstream_inference_cost: Option<Number>,
    cache_discount: Option<Number>,
    is_byok: bool,
    response_cache_source_id: Option<String>,
    provider_responses: Vec<ProviderResponse<'a>>,
    receipt: Option<ReceiptObject<'a>>,
    /// What guardrails found in the request; not OpenRouter's.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    guardrails: &'a [String],
}

#[derive(Serialize)]
struct ProviderResponse<'a> {
    provider_name: &'a str,
    model_permaslug: &'a str,
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<u64>,
    is_byok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routed_service_tier: Option<&'a str>,
}

/// What is not OpenRouter's: how the cost comes about.
#[derive(Serialize)]
struct ReceiptObject<'a> {
    basis: Basis,
    model_permaslug: &'a str,
    endpoint: &'a str,
    prices_version: &'a str,
    overlay_version: u64,
    estimated: bool,
    lines: Vec<LineObject<'a>>,
    /// What the lines add up to.
    list_cost: Option<Number>,
    #[serde(with = "text::optional")]
    list_cost_pico: Option<Money>,
    #[serde(with = "text")]
    cost_pico: Money,
    /// Of an attempt that another outran: the operator's, no part of the charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    hedge_loser_cost: Option<Number>,
}

#[derive(Serialize)]
struct LineObject<'a> {
    class: &'a str,
    count: u64,
    #[serde(with = "text")]
    price_pico: Money,
    cost_pico: String,
}

impl Generation<'_> {
    pub fn new<'a>(id: &'a GenerationId, cost: Money, record: &'a GenerationRecord) -> Generation<'a> {
        Generation {
            id: id.as_str(),
            upstream_id: &record.upstream_id,
            request_id: &record.request_id,
            session_id: &record.session_id,
            model: &record.model,
            provider_name: &record.provider,
            created_at: record.created_at.to_iso8601(),
            app_id: None,
            origin: &record.origin,
            http_referer: &record.http_referer,
            user_agent: &record.user_agent,
            external_user: &record.external_user,
            preset_id: record.preset_id.clone(),
            router: &record.router,
            workspace_id: &record.workspace_id,
            data_region: match record.region.as_deref() {
                Some("eu") => "europe",
                Some("us") => "us",
                Some(_) | None => "global",
            },
            api_type: if record.api_type.is_empty() { "completions" } else { &record.api_type },
            streamed: record.streamed,
            cancelled: record.cancelled,
            finish_reason: &record.finish_reason,
            native_finish_reason: &record.native_finish_reason,
            service_tier: &record.service_tier,
            latency: record.latency_ms,
            moderation_latency: None,
            generation_time: record.generation_ms,
            tokens_prompt: record.tokens_prompt,
            tokens_completion: record.tokens_completion,
            native_tokens_prompt: record.tokens_prompt,
            native_tokens_completion: record.tokens_completion,
            native_tokens_completion_images: record.tokens_completion_images,
            native_tokens_reasoning: record.tokens_reasoning,
            native_tokens_cached: record.tokens_cached,
            num_media_prompt: record.media_prompt,
            num_input_audio_prompt: record.input_audio_prompt,
            num_media_completion: record.media_completion,
            num_search_results: None,
            num_fetches: None,
            web_search_engine: None,
            usage: usd(cost),
            total_cost: usd(cost),
            upstream_inference_cost: record.upstream_inference_cost.map(usd),
            cache_discount: record.cache_discount.map(usd),
            is_byok: record.is_byok,
            response_cache_source_id: None,
            provider_responses: record.attempts.iter().map(ProviderResponse::new).collect(),
            receipt: record
                .receipt
                .as_ref()
                .map(|receipt| ReceiptObject::new(receipt, cost, record.hedge_loser_cost)),
            guardrails: &record.guardrails,
        }
    }
}

impl ProviderResponse<'_> {
    fn new(attempt: &Attempt) -> ProviderResponse<'_> {
        ProviderResponse {
            provider_name: &attempt.provider,
            model_permaslug: &attempt.model,
            status: attempt.status,
            latency: attempt.latency_ms,
            is_byok: attempt.is_byok,
            endpoint_id: (!attempt.endpoint.is_empty())
                .then(|| endpoint_id(&attempt.model, &attempt.endpoint)),
            routed_service_tier: attempt.service_tier.as_deref(),
        }
    }
}

impl ReceiptObject<'_> {
    fn new(receipt: &Receipt, cost: Money, hedge_loser_cost: Option<Money>) -> ReceiptObject<'_> {
        let list_cost = receipt.list_cost();
        ReceiptObject {
            basis: receipt.basis,
            model_permaslug: &receipt.permaslug,
            endpoint: &receipt.endpoint,
            prices_version: &receipt.prices,
            overlay_version: receipt.overlay,
            estimated: receipt.estimated,
            lines: receipt.lines.iter().map(LineObject::new).collect(),
            list_cost: list_cost.map(usd),
            list_cost_pico: list_cost,
            cost_pico: cost,
            hedge_loser_cost: hedge_loser_cost.map(usd),
        }
    }
}

impl LineObject<'_> {
    fn new(line: &Line) -> LineObject<'_> {
        let Line(class, count, price_pico) = line;
        let cost_pico = line.cost().unwrap_or_default().to_string();
        LineObject { class, count: *count, price_pico: *price_pico, cost_pico }
    }
}

/// An endpoint's id: made of what it is, so that it is the same everywhere and always. In the form of a
/// UUID of version 8 (RFC 9562, section 5.8).
pub fn endpoint_id(permaslug: &str, tag: &str) -> String {
    let digest = KeyHash::of(&format!("{permaslug}\n{tag}"));
    let hex = digest.as_str();
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}
