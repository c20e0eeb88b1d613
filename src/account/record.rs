//! What is remembered of a reply beside its cost. Never a prompt, a reply or a key.

use super::text;
use crate::json::{self, Object, Raw, Value};
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The record of one reply, as [`super::Settle`] carries it and `GET /generation` shows it. Its
/// JSON is stored as it is, so a field may be added but never renamed. Written by [`GenerationRecord::to_json`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
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
    #[serde(default = "none_of_them")]
    pub tokens_completion_images: Option<u64>,
    #[serde(default = "none_of_them")]
    pub tokens_reasoning: Option<u64>,
    #[serde(default = "none_of_them")]
    pub tokens_cached: Option<u64>,
    #[serde(default = "none_of_them")]
    pub media_prompt: Option<u64>,
    #[serde(default = "none_of_them")]
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
    /// `embeddings` or `rerank`; empty for completions.
    pub api_type: String,
    /// The router that chose the model.
    pub router: Option<String>,
    pub receipt: Option<Receipt>,
    /// What the provider said that the reply cost, whether that counted or not.
    #[serde(with = "text::optional")]
    pub reported_cost: Option<Money>,
    /// What the operator may have to pay for an attempt that another outran; an estimate.
    #[serde(with = "text::optional")]
    pub hedge_loser_cost: Option<Money>,
    /// The preset that was laid under the request.
    pub preset_id: Option<String>,
    /// Where it had to be computed: `eu` or `us`; `None` for anywhere.
    pub region: Option<String>,
    /// The workspace that the key was in, as clients see it.
    pub workspace_id: Option<String>,
    /// What guardrails found in the request and did about it: `flag: Email address`.
    pub guardrails: Vec<String>,
}

impl GenerationRecord {
    /// What says nothing is not written: half of a record would be that. A count that is nought is left out where
    /// it mostly is, and one that nobody knows is written.
    pub fn to_json(&self) -> String {
        let mut out = Object::with_capacity(1024);
        out.put("created_at", self.created_at.ms());
        out.put("model", &self.model);
        out.put_some("provider", self.provider.as_ref());
        out.put_some("upstream_id", self.upstream_id.as_ref());
        out.put_some("session_id", self.session_id.as_ref());
        out.put_some("request_id", self.request_id.as_ref());
        out.put_some("external_user", self.external_user.as_ref());
        out.put_some("http_referer", self.http_referer.as_ref());
        out.put_some("user_agent", self.user_agent.as_ref());
        out.put_text("origin", &self.origin);
        out.put_true("streamed", self.streamed);
        out.put_true("cancelled", self.cancelled);
        out.put_some("finish_reason", self.finish_reason.as_ref());
        out.put_some("native_finish_reason", self.native_finish_reason.as_ref());
        out.put_some("service_tier", self.service_tier.as_ref());
        out.put_some("latency_ms", self.latency_ms);
        out.put_some("generation_ms", self.generation_ms);
        out.put("tokens_prompt", self.tokens_prompt);
        out.put("tokens_completion", self.tokens_completion);
        let mostly_none = [
            ("tokens_completion_images", self.tokens_completion_images),
            ("tokens_reasoning", self.tokens_reasoning),
            ("tokens_cached", self.tokens_cached),
            ("media_prompt", self.media_prompt),
            ("input_audio_prompt", self.input_audio_prompt),
        ];
        for (name, count) in mostly_none {
            if count != none_of_them() {
                out.put(name, count);
            }
        }
        out.put_some("media_completion", self.media_completion);
        out.put_some("cache_discount", self.cache_discount);
        out.put_some("upstream_inference_cost", self.upstream_inference_cost);
        out.put_true("is_byok", self.is_byok);
        out.put_objects("attempts", self.attempts.iter(), Attempt::put);
        out.put_text("api_type", &self.api_type);
        out.put_some("router", self.router.as_ref());
        if let Some(receipt) = &self.receipt {
            out.put_object("receipt", |out| receipt.put(out));
        }
        out.put_some("reported_cost", self.reported_cost);
        out.put_some("hedge_loser_cost", self.hedge_loser_cost);
        out.put_some("preset_id", self.preset_id.as_ref());
        out.put_some("region", self.region.as_ref());
        out.put_some("workspace_id", self.workspace_id.as_ref());
        if !self.guardrails.is_empty() {
            out.put_list("guardrails", self.guardrails.iter());
        }
        out.end()
    }
}

/// What a record means that does not say how many there were.
fn none_of_them() -> Option<u64> {
    Some(0)
}

/// How what was charged comes about: enough to recompute it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// The permanent name of the model's version.
    pub permaslug: String,
    /// The endpoint's name among those of its model.
    pub endpoint: String,
    pub basis: Basis,
    /// What was used, each class at its price. Empty where nothing was delivered.
    pub lines: Vec<Line>,
    /// Which prices these are: [`crate::catalog::Prices::fingerprint`] in hexadecimal digits.
    pub prices: String,
    /// The version of what the operator had laid over the catalog; 0 for nothing.
    pub overlay: u64,
    /// The provider gave no count, or not of all: what is missing is estimated.
    pub estimated: bool,
}

/// What the amount of a charge follows from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It is what the lines add up to.
    #[default]
    Prices,
    /// The provider said what it costs.
    Reported,
    /// The fee for a request that the account's own key at the provider paid.
    ByokFee,
    /// Nothing, though something was used.
    Waived,
}

/// A class of tokens (or `request`, for fees by request), how many, and picodollars for each.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct Line(pub String, pub u64, #[serde(with = "text")] pub Money);

impl Receipt {
    /// What the lines add up to; `None` where that is more than an amount can hold.
    pub fn list_cost(&self) -> Option<Money> {
        let add = |total: i128, line: &Line| total.checked_add(line.cost()?);
        let total = self.lines.iter().try_fold(0, add)?;
        i64::try_from(total).ok().map(Money::from_pico)
    }

    fn put(&self, out: &mut Object) {
        out.put("permaslug", &self.permaslug);
        out.put("endpoint", &self.endpoint);
        out.put("basis", self.basis.as_str());
        out.put_list("lines", self.lines.iter());
        out.put("prices", &self.prices);
        out.put_some("overlay", Some(self.overlay).filter(|version| *version > 0));
        out.put_true("estimated", self.estimated);
    }

    /// How many of a class there were.
    pub fn count(&self, class: &str) -> u64 {
        self.lines.iter().find(|line| line.0 == class).map_or(0, |line| line.1)
    }
}

impl Line {
    /// Picodollars.
    pub fn cost(&self) -> Option<i128> {
        i128::from(self.1).checked_mul(i128::from(self.2.pico()))
    }
}

impl Value for &Line {
    fn write(&self, out: &mut Vec<u8>) {
        let Line(class, count, price) = self;
        json::put(out, &[&Raw("["), &class, &Raw(","), count, &Raw(","), price, &Raw("]")]);
    }
}

impl Basis {
    pub fn as_str(self) -> &'static str {
        match self {
            Basis::Prices => "prices",
            Basis::Reported => "reported",
            Basis::ByokFee => "byok_fee",
            Basis::Waived => "waived",
        }
    }
}

/// One try at one provider.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Attempt {
    pub provider: String,
    pub model: String,
    /// The provider's HTTP status; `None` if it could not be reached.
    pub status: Option<u16>,
    pub latency_ms: Option<u64>,
    pub is_byok: bool,
    /// The endpoint's name among those of its model.
    pub endpoint: String,
    /// `flex` or `priority`, where that is what was asked.
    pub service_tier: Option<String>,
}

impl Attempt {
    fn put(&self, out: &mut Object) {
        out.put("provider", &self.provider);
        out.put("model", &self.model);
        out.put_some("status", self.status);
        out.put_some("latency_ms", self.latency_ms);
        out.put_true("is_byok", self.is_byok);
        out.put_text("endpoint", &self.endpoint);
        out.put_some("service_tier", self.service_tier.as_ref());
    }
}
