//! What is remembered of an exchange: the record that its account keeps, and one line for the
//! log. Never a prompt, a reply, a key or what a provider said.

use crate::account::GenerationRecord;
use crate::account::record::{Attempt as AttemptRecord, Basis, Line, Receipt};
use crate::chat::{Facts, Usage};
use crate::id::hex;
use crate::json::Object;
use crate::money::Money;
use crate::pricing;
use crate::protocol::bridge::Face;
use crate::routing::Strategy;
use crate::time::Time;

use super::outcome::Grounds;
use super::{Attempt, Charge, Exchange, Outcome};

impl Exchange {
    pub(super) fn record(
        &self,
        now: Time,
        outcome: &Outcome,
        charge: &Charge,
        facts: Option<&Facts>,
    ) -> String {
        let arrival = &self.arrival;
        let candidate = &self.routes[self.current].candidate;
        let usage = &charge.usage;
        let began = facts.is_some_and(|facts| facts.began);
        let record = GenerationRecord {
            created_at: arrival.now,
            model: candidate.model.to_string(),
            provider: began.then(|| candidate.provider.name.to_owned()),
            upstream_id: facts.and_then(|facts| facts.upstream_id.clone()),
            session_id: arrival.request.session_id.clone(),
            external_user: arrival.request.user.clone(),
            http_referer: arrival.caller.referer.clone(),
            user_agent: arrival.caller.user_agent.clone(),
            origin: arrival.caller.referer.clone().unwrap_or_default(),
            streamed: arrival.request.stream,
            cancelled: *outcome == Outcome::Cancelled,
            finish_reason: facts.and_then(|facts| facts.finish_reason).map(str::to_owned),
            native_finish_reason: facts.and_then(|facts| facts.finish.clone()),
            service_tier: facts.and_then(|facts| facts.service_tier.clone()),
            latency_ms: self.first_token.map(|at| ms_between(arrival.now, at)),
            generation_ms: self.first_token.map(|at| ms_between(at, now)),
            tokens_prompt: usage.total_input(),
            tokens_completion: usage.total_output(),
            tokens_completion_images: Some(usage.output_image),
            tokens_reasoning: Some(usage.reasoning),
            tokens_cached: Some(usage.cache_read),
            media_prompt: Some(u64::from(arrival.request.size.images)),
            input_audio_prompt: Some(u64::from(arrival.request.size.audio)),
            upstream_inference_cost: Some(charge.cost.total),
            is_byok: began && self.is_byok(self.current),
            attempts: self.attempts.iter().map(|attempt| self.attempt_record(attempt)).collect(),
            api_type: api_type(arrival.face).to_owned(),
            router: router(arrival.routed.about.strategy).map(str::to_owned),
            receipt: Some(self.receipt(charge)),
            reported_cost: charge.report,
            hedge_loser_cost: self.hedge_loser_cost(),
            preset_id: arrival.caller.preset_id.clone(),
            region: arrival.routed.region.map(str::to_owned),
            workspace_id: Some(match &arrival.key.workspace {
                Some(workspace) => workspace.to_string(),
                None => arrival.key.account.as_str().to_owned(),
            }),
            guardrails: arrival.caller.found.clone(),
            ..GenerationRecord::default()
        };
        record.to_json()
    }

    /// How the charge comes about, by the prices of the route that served.
    fn receipt(&self, charge: &Charge) -> Receipt {
        let candidate = &self.routes[self.current].candidate;
        let nothing = charge.usage == Usage::default() && charge.cost.total == Money::ZERO;
        let lines = if nothing { Vec::new() } else { pricing::lines(&candidate.prices, &charge.usage) };
        let line = |line: pricing::Line| {
            Line(line.class.to_owned(), line.count, Money::from_pico(line.price.pico()))
        };
        Receipt {
            permaslug: candidate.permaslug.to_string(),
            endpoint: candidate.tag.to_owned(),
            basis: match (charge.grounds, self.is_byok(self.current)) {
                (Grounds::Nothing, _) => Basis::Prices,
                (Grounds::Insured, _) => Basis::Waived,
                (Grounds::Counted | Grounds::Estimated | Grounds::Reported, true) => Basis::ByokFee,
                (Grounds::Counted | Grounds::Estimated, false) => Basis::Prices,
                (Grounds::Reported, false) => Basis::Reported,
            },
            lines: lines.into_iter().map(line).collect(),
            prices: hex(&candidate.prices.fingerprint().to_be_bytes()),
            overlay: self.arrival.routed.about.overlay,
            estimated: charge.grounds == Grounds::Estimated,
        }
    }

    fn attempt_record(&self, attempt: &Attempt) -> AttemptRecord {
        let candidate = &self.routes[attempt.route].candidate;
        AttemptRecord {
            provider: candidate.provider.name.to_owned(),
            model: candidate.permaslug.to_string(),
            status: attempt.status,
            latency_ms: Some(ms_between(attempt.sent, attempt.ended)),
            is_byok: self.is_byok(attempt.route),
            endpoint: candidate.tag.to_owned(),
            service_tier: candidate.service_tier.map(str::to_owned),
        }
    }

    pub(super) fn log_line(&self, now: Time, outcome: &Outcome, charge: Option<&Charge>) -> String {
        let arrival = &self.arrival;
        let candidate = &self.routes[self.current].candidate;
        let usage = charge.map(|charge| charge.usage).unwrap_or_default();
        let usd = |money: Money| money.to_usd();
        let due = usd(charge.map_or(Money::ZERO, |charge| charge.due));
        let refused = charge.and_then(Charge::refused_report).map(usd);
        let lost = self.hedge_loser_cost().map(usd);
        let mut line = Object::with_capacity(1024);
        line.put("event", "exchange");
        line.put("generation", arrival.generation.as_str());
        line.put("account", arrival.key.account.as_str());
        line.put("key_hash", arrival.key.hash.short());
        line.put("outcome", outcome.name());
        line.put("status", outcome.status());
        line.put("model", &*candidate.model);
        line.put("provider", candidate.provider.slug);
        line.put("streamed", arrival.request.stream);
        line.put("request_bytes", arrival.body.bytes().len() as u64);
        line.put_objects("attempts", self.attempts.iter(), |attempt, line| self.put_attempt(attempt, line));
        line.put("first_token_ms", self.first_token.map(|at| ms_between(arrival.now, at)));
        line.put("total_ms", ms_between(arrival.now, now));
        line.put("input_tokens", usage.total_input());
        line.put("cached_tokens", usage.cache_read);
        line.put("output_tokens", usage.total_output());
        line.put("reasoning_tokens", usage.reasoning);
        line.put("usage_estimated", charge.is_some_and(|charge| charge.grounds == Grounds::Estimated));
        line.put("cost_basis", charge.map_or(Grounds::Nothing, |charge| charge.grounds).name());
        line.put("cost_refused_usd", refused.as_ref());
        line.put("cost_usd", &due);
        line.put("is_byok", self.is_byok(self.current));
        line.put_some("hedge_loser_cost_usd", lost.as_ref());
        line.end()
    }

    fn put_attempt(&self, attempt: &Attempt, line: &mut Object) {
        let candidate = &self.routes[attempt.route].candidate;
        line.put("provider", candidate.provider.slug);
        line.put("model", &*candidate.upstream_model);
        line.put("status", attempt.status);
        line.put("fault", attempt.fault.as_ref().map(|fault| fault.name()));
        line.put("ms", ms_between(attempt.sent, attempt.ended));
        line.put_true("hedge", attempt.hedge);
        line.put_true("outrun", attempt.outrun.is_some());
    }
}

/// OpenRouter's word for what was asked for, where that is no completion.
fn api_type(face: Face) -> &'static str {
    match face {
        Face::Embeddings => "embeddings",
        Face::Rerank => "rerank",
        Face::Chat | Face::Completions | Face::Responses | Face::Messages | Face::Gemini(_) => "",
    }
}

/// The router that chose the model, if one did.
fn router(strategy: Strategy) -> Option<&'static str> {
    match strategy {
        Strategy::Auto => Some("openrouter/auto"),
        Strategy::Free => Some("openrouter/free"),
        Strategy::Direct | Strategy::Fallback | Strategy::Alias | Strategy::Latest => None,
    }
}

fn ms_between(from: Time, to: Time) -> u64 {
    to.since(from).as_millis() as u64
}
