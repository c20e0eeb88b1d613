//! What is remembered of a reply beside its cost. Never a prompt, a reply or a key.

use super::text;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The record of one reply, as [`super::Settle`] carries it and `GET /generation` shows it. Its
/// JSON is stored as it is, so a field may be added but never renamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationRecord {
    #[serde(with = "text::ms")]
    pub created_at: Time,
    /// The model's slug.
    pub model: String,
    /// The provider's display name; `None` if no provider answered.
    pub provider: Option<String>,
    /// The provider's own id of the reply.
    pub upstream_id: Option<String>,
    pub session_id: Option<String>,
    pub request_id: Option<String>,
    /// The `user` of the request.
    pub external_user: Option<String>,
    pub http_referer: Option<String>,
    pub user_agent: Option<String>,
    /// Where the calling app says it lives; empty if it does not say.
    pub origin: String,
    pub streamed: bool,
    /// The client left before the end.
    pub cancelled: bool,
    pub finish_reason: Option<String>,
    pub native_finish_reason: Option<String>,
    pub service_tier: Option<String>,
    /// From the request's arrival to the first byte of the reply.
    pub latency_ms: Option<u64>,
    /// From the first byte of the reply to the last.
    pub generation_ms: Option<u64>,
    /// Every token that went in, as the provider counts.
    pub tokens_prompt: u64,
    /// Every token that came out, as the provider counts.
    pub tokens_completion: u64,
    pub tokens_completion_images: Option<u64>,
    pub tokens_reasoning: Option<u64>,
    pub tokens_cached: Option<u64>,
    pub media_prompt: Option<u64>,
    pub input_audio_prompt: Option<u64>,
    pub media_completion: Option<u64>,
    /// What a cache of prompts saved, or cost if below zero.
    #[serde(with = "text::optional")]
    pub cache_discount: Option<Money>,
    #[serde(with = "text::optional")]
    pub upstream_inference_cost: Option<Money>,
    pub is_byok: bool,
    /// Every provider that was tried, in order.
    pub attempts: Vec<Attempt>,
}

/// One try at one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attempt {
    pub provider: String,
    pub model: String,
    /// The provider's HTTP status; `None` if it could not be reached.
    pub status: Option<u16>,
    pub latency_ms: Option<u64>,
    pub is_byok: bool,
}
