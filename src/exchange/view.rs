//! How the outcome of an exchange looks from outside: heads, explanations of failures, and the
//! words of providers, bounded and safe to repeat.

use serde_json::{Map, Value, json};

use crate::account::LimitReset;
use crate::account::budget::{Per, Scope, Standing};
use crate::account::command::Refusal;
use crate::account::key::KeyRefusal;
use crate::account::rate::{Limited, Measure};
use crate::chat::{Facts, ProviderError, ReplyFault};
use crate::error::{Cause, Failure};
use crate::id::GenerationId;
use crate::money::Money;
use crate::protocol::bridge::{Bridge, Face};
use crate::protocol::complaint;
use crate::routing::exhausted;
use crate::routing::verdict::{Fault, classify, is_spent, is_too_long};

use super::{Attempt, Exchange, Head};

/// When to try again after the account could not be asked.
const ACCOUNT_RETRY_S: u32 = 2;
const RATE_LIMIT: [&str; 3] = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
const FREE_TIER: &str = "openrouter_free_tier_daily";

pub fn stream_head(face: Face, generation: &GenerationId) -> Head {
    let mut head = head(200, face.stream_type(), generation);
    // Proxies that buffer or compress would hold events back.
    head.headers.push(("cache-control", "no-cache, no-transform".to_owned()));
    head.headers.push(("x-accel-buffering", "no".to_owned()));
    head
}

pub fn json_head(status: u16, generation: &GenerationId) -> Head {
    head(status, "application/json", generation)
}

pub fn failure_head(failure: &Failure, generation: &GenerationId) -> Head {
    let mut head = json_head(failure.cause.status(), generation);
    if let Some(seconds) = failure.retry_after_s {
        head.headers.push(("retry-after", seconds.to_string()));
    }
    head.headers.extend(rate_headers(failure));
    head
}

fn head(status: u16, content_type: &str, generation: &GenerationId) -> Head {
    let headers =
        vec![("content-type", content_type.to_owned()), ("x-generation-id", generation.as_str().to_owned())];
    Head { status, headers }
}

/// The fault that ended a stream from within.
pub fn stream_fault(facts: &Facts, said: &ProviderError) -> Fault {
    if facts.truncated { Fault::Truncated } else { inner_fault(said) }
}

/// The fault behind an error that came with status 200.
pub fn inner_fault(said: &ProviderError) -> Fault {
    let fault = said.status.and_then(|status| classify(status, None));
    told_fault(fault.unwrap_or(Fault::Provider { status: 500 }), None, said)
}

/// The fault that a provider means, where its words say more than the head it sent.
pub fn told_fault(fault: Fault, wait_s: Option<u32>, said: &ProviderError) -> Fault {
    match (fault, said.status) {
        (Fault::Caller { status } | Fault::Capacity { status, .. }, _)
            if is_spent(said.code.as_deref(), &said.message) =>
        {
            Fault::Credential { status }
        }
        (Fault::Caller { status }, _) if is_too_long(said.code.as_deref(), &said.message) => {
            Fault::TooLong { status }
        }
        (Fault::Capacity { status, retry_after_s: None }, _) if wait_s.is_some() => {
            Fault::Capacity { status, retry_after_s: wait_s }
        }
        (fault, Some(status)) if Some(status) != fault.status() => classify(status, wait_s).unwrap_or(fault),
        (fault, Some(_) | None) => fault,
    }
}

/// The fault behind a reply that is no answer, and what the provider said of it.
pub fn reply_fault(fault: ReplyFault) -> (Fault, Option<ProviderError>) {
    match fault {
        ReplyFault::NotJson(_) => (Fault::BadReply, None),
        ReplyFault::Empty => (Fault::BadReply, None),
        ReplyFault::Error(said) => (inner_fault(&said), Some(said)),
        ReplyFault::Truncated(said) => (Fault::Truncated, Some(said)),
    }
}

/// What the client is told when the account refuses to set the money aside.
/// `affordable` is the largest `max_tokens` that would fit.
pub fn refusal(refusal: &Refusal, affordable: impl Fn(Money) -> u64) -> Failure {
    let short = |what: &str, source: &str, available: Money, missing: Money| {
        let tokens = affordable(available);
        let words = format!(
            "This request requires more credits, or fewer max_tokens. {what} has ${} left, which is ${} too \
             little; it can afford max_tokens of {tokens}.",
            available.to_usd(),
            missing.to_usd()
        );
        Failure::new(Cause::PaymentRequired, words)
            .with("limit_source", source)
            .with("available", available.to_usd())
            .with("missing", missing.to_usd())
            .with("affordable_max_tokens", tokens)
    };
    match refusal {
        Refusal::Key { reason } => key_refusal(*reason),
        Refusal::Credit { available, missing } => {
            short("The account", "openrouter_credits", *available, *missing)
        }
        Refusal::KeyLimit { available, missing, resets_at } => {
            let failure = short("The key", "openrouter_key_limit", *available, *missing);
            match resets_at {
                Some(at) => failure.with("resets_at", at.to_iso8601()),
                None => failure,
            }
        }
        Refusal::Budget { standing, available, missing } => {
            let failure = match standing.spent < standing.budget.amount {
                true => short(&budget_name(standing), budget_source(standing), *available, *missing),
                false => Failure::new(Cause::PermissionDenied, spent_words(standing))
                    .with("limit_source", budget_source(standing)),
            };
            about_budget(failure, standing)
        }
        Refusal::Rate(limited) => limited_failure(limited),
        Refusal::Ended => Failure::new(Cause::Internal, "The request's hold had ended before it began"),
    }
}

/// What a client is told that is beyond a limit of rate of its account's, with the headers that say so
/// as `metadata.headers`.
fn limited_failure(limited: &Limited) -> Failure {
    let Limited { measure, most, remaining, resets_at, wait_ms, limit } = limited;
    let (words, source) = match (limit, measure) {
        (Some(limit), _) => {
            let whose = whose(limit.per, limit.scope);
            let words = format!(
                "Rate limit exceeded: {}. {whose} limit '{}' is {most}, of which {remaining} is left",
                measure.as_str(),
                limit.id
            );
            (words, "millrace_rate_limit")
        }
        (None, Measure::FreePerDayLow) => (
            "Rate limit exceeded: free-models-per-day. Add credits to unlock more free model requests per day"
                .to_owned(),
            FREE_TIER,
        ),
        (None, _) => (format!("Rate limit exceeded: {}", measure.as_str()), FREE_TIER),
    };
    let headers = json!({
        "X-RateLimit-Limit": most.to_string(),
        "X-RateLimit-Remaining": remaining.to_string(),
        "X-RateLimit-Reset": resets_at.ms().to_string(),
    });
    let wait_s = u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let mut failure = Failure::new(Cause::RateLimited, words)
        .with("headers", headers)
        .with("limit_source", source)
        .retry_after(wait_s);
    if let Some(limit) = limit {
        failure = failure
            .with("measure", measure.as_str())
            .with("rate_limit_id", limit.id.as_str())
            .with("scope", limit.scope.as_str())
            .with("model", limit.model.as_deref());
    }
    failure
}

/// What a failure tells in headers beside its metadata.
pub fn rate_headers(failure: &Failure) -> impl Iterator<Item = (&'static str, String)> {
    let told = failure.metadata.get("headers");
    RATE_LIMIT.into_iter().filter_map(move |name| {
        let value = told?.get(name)?.as_str()?;
        Some((name, value.to_owned()))
    })
}

/// A budget as a sentence begins: `The workspace's monthly budget`.
fn budget_name(standing: &Standing) -> String {
    let budget = &standing.budget;
    let whose = whose(budget.per, budget.scope);
    let window = budget.window.map_or("lifetime", LimitReset::as_str);
    match &budget.model {
        Some(model) => format!("{whose} {window} budget for {model}"),
        None => format!("{whose} {window} budget"),
    }
}

fn whose(per: Per, scope: Scope) -> &'static str {
    match (per, scope) {
        (Per::EndUser, _) => "The user's",
        (Per::Key, _) | (Per::All, Scope::Key) => "The key's",
        (Per::User, _) | (Per::All, Scope::User) => "The member's",
        (Per::All, Scope::Workspace) => "The workspace's",
        (Per::All, Scope::Account) => "The account's",
    }
}

/// OpenRouter's words for a workspace's budget that is spent.
fn spent_words(standing: &Standing) -> String {
    let budget = &standing.budget;
    let amount = budget.amount.to_usd();
    match (budget.scope, budget.per, &budget.model, &budget.source) {
        (Scope::Workspace, Per::All, None, None) => {
            let window = budget.window.map_or("lifetime", LimitReset::as_str);
            format!("Workspace {window} budget of ${amount} exceeded. Contact your org admin.")
        }
        _ => format!("Budget limit exceeded. {} of ${amount} is spent.", budget_name(standing)),
    }
}

fn budget_source(standing: &Standing) -> &'static str {
    match (&standing.budget.source, standing.budget.scope) {
        (Some(_), _) => "openrouter_guardrail_budget",
        (None, Scope::Workspace) => "openrouter_workspace_budget",
        (None, Scope::Key | Scope::User | Scope::Account) => "millrace_budget",
    }
}

fn about_budget(failure: Failure, standing: &Standing) -> Failure {
    let Standing { budget, spent, resets_at, .. } = standing;
    let mut failure = failure
        .with("scope", budget.scope.as_str())
        .with("budget_id", budget.id.as_str())
        .with("limit_usd", budget.amount.to_usd())
        .with("spend_usd", spent.to_usd())
        .with("reset_interval", budget.window.map(LimitReset::as_str));
    if let Some(model) = &budget.model {
        failure = failure.with("model", model.as_str());
    }
    match resets_at {
        Some(at) => failure.with("resets_at", at.to_iso8601()),
        None => failure,
    }
}

/// What the holder of a key that is not good is told.
pub fn key_refusal(reason: KeyRefusal) -> Failure {
    let words = match reason {
        KeyRefusal::Unknown => "Invalid credentials",
        KeyRefusal::Disabled => "This API key is disabled",
        KeyRefusal::Expired => "This API key has expired",
        KeyRefusal::Deleted => "This API key was deleted",
        KeyRefusal::Management => "Management keys cannot be used for inference",
    };
    Failure::new(reason.cause(), words)
}

pub fn account_down() -> Failure {
    let words = "The account cannot be reached at the moment; nothing was charged";
    Failure::new(Cause::AccountUnavailable, words).retry_after(ACCOUNT_RETRY_S)
}

impl Attempt {
    /// What the provider said of its failure, in a sentence.
    pub(super) fn words(&self) -> Option<&str> {
        self.said.as_ref().map(|said| said.message.as_str())
    }
}

impl Exchange {
    /// Adds to a failure who was asked, what they said, and what failed before.
    pub(super) fn explain(&self, mut failure: Failure) -> Failure {
        let Some((last, earlier)) = self.attempts.split_last() else {
            return failure;
        };
        let provider = self.routes[last.route].candidate.provider;
        failure = failure.with("provider_name", provider.name);
        // What is said of the account's own key is for its owner to read.
        let is_byok = self.is_byok(last.route);
        if is_byok {
            failure = failure.with("is_byok", true);
        }
        if let (Some(said), false) = (&last.said, is_credential(last) && !is_byok) {
            failure = failure.with("raw", complaint::readable(&said.raw));
            if let Some(code) = &said.code {
                failure = failure.with("provider_code", code.as_str());
            }
        }
        if !earlier.is_empty() {
            let errors: Vec<Value> = earlier.iter().map(|attempt| self.previous_error(attempt)).collect();
            failure = failure.with("previous_errors", errors);
        }
        if self.arrival.show_attempts {
            failure = failure.with("openrouter_metadata", self.attempts_view());
        }
        self.explain_exhaustion(failure)
    }

    /// Where nobody who was asked had room, says so, and when the first of them may have some.
    fn explain_exhaustion(&self, mut failure: Failure) -> Failure {
        let wait = |attempt: &Attempt| match attempt.fault {
            Some(Fault::Capacity { retry_after_s, .. }) => Some(retry_after_s),
            _ => None,
        };
        let waits: Option<Vec<Option<u32>>> = self.attempts.iter().map(wait).collect();
        let Some(waits) = waits else { return failure };
        let hints: Option<Vec<u32>> = waits.into_iter().collect();
        failure.retry_after_s = hints.and_then(|hints| hints.into_iter().min()).or(failure.retry_after_s);
        let mut providers: Vec<&str> = Vec::new();
        for attempt in &self.attempts {
            let name = self.routes[attempt.route].candidate.provider.name;
            if !providers.contains(&name) {
                providers.push(name);
            }
        }
        let requested = self.arrival.request.candidates();
        let requested: Vec<&str> = requested.iter().map(String::as_str).collect();
        let told = exhausted(&requested, failure.retry_after_s, &providers);
        failure.with("availability", told)
    }

    /// Whether a route is by a key of the account's own.
    pub(super) fn is_byok(&self, route: usize) -> bool {
        self.routes[route].byok.is_some()
    }

    fn previous_error(&self, attempt: &Attempt) -> Value {
        let failure = match &attempt.fault {
            Some(fault) => fault.failure(attempt.words()),
            None => Failure::new(Cause::Internal, "Unknown"),
        };
        json!({
            "provider_name": self.routes[attempt.route].candidate.provider.name,
            "model": self.routes[attempt.route].candidate.model,
            "code": failure.cause.status(),
            "message": failure.message,
        })
    }

    /// The `openrouter_metadata` of a reply: what was asked for, who could serve it, who was tried.
    pub(super) fn attempts_view(&self) -> Value {
        let request = &self.arrival.request;
        let requested = request.model.as_ref().or(request.models.first());
        let about = &self.arrival.routed.about;
        let served = &self.routes[self.current].candidate;
        let mut offers: Vec<&super::Route> = Vec::new();
        for route in &self.routes {
            if offers.last().is_none_or(|last| last.offer != route.offer) {
                offers.push(route);
            }
        }
        let available: Vec<Value> = offers
            .iter()
            .map(|route| {
                json!({
                    "provider": route.candidate.provider.name,
                    "model": route.candidate.model,
                    "selected": route.offer == self.routes[self.current].offer,
                })
            })
            .collect();
        let mut view = json!({
            "requested": requested,
            "region": self.arrival.routed.region.unwrap_or("global"),
            "strategy": about.strategy.name(),
            "summary": format!("available={}, selected={}", offers.len(), served.provider.name),
            "attempt": self.attempts.len(),
            "is_byok": self.is_byok(self.current),
            "endpoints": { "total": about.endpoints.max(offers.len()), "available": available },
            "attempts": self.attempts.iter().map(|attempt| self.attempt_view(attempt)).collect::<Vec<_>>(),
            "dropped": self.losses(),
        });
        if let Some(router) = &about.router {
            view["router"] = router.clone();
        }
        let found = &self.arrival.caller.found;
        if !found.is_empty() {
            let part =
                |found: &String| json!({ "type": "guardrail", "name": "content-filter", "summary": found });
            view["pipeline"] = found.iter().map(part).collect();
        }
        view
    }

    /// What the provider's protocol could not say of the request, and the client's of the reply,
    /// each with a reason.
    pub(super) fn losses(&self) -> Vec<&str> {
        let request = self.bridge.as_ref().map_or(&[][..], Bridge::losses);
        request.iter().chain(&self.reply_losses).map(String::as_str).collect()
    }

    fn attempt_view(&self, attempt: &Attempt) -> Value {
        let candidate = &self.routes[attempt.route].candidate;
        let mut view = Map::new();
        view.insert("provider".to_owned(), candidate.provider.name.into());
        view.insert("model".to_owned(), candidate.model.as_ref().into());
        view.insert("status".to_owned(), attempt.status.unwrap_or(0).into());
        if let Some(fault) = &attempt.fault {
            view.insert("error".to_owned(), fault.name().into());
        }
        view.insert("ms".to_owned(), (attempt.ended.since(attempt.sent).as_millis() as u64).into());
        if attempt.hedge {
            view.insert("hedge".to_owned(), true.into());
        }
        if let Some(cost) = attempt.outrun {
            view.insert("outrun".to_owned(), json!({ "estimated_cost_usd": cost.to_usd() }));
        }
        Value::Object(view)
    }
}

/// A refusal of the gateway's own credentials is the operator's to read, not the client's.
fn is_credential(attempt: &Attempt) -> bool {
    matches!(attempt.fault, Some(Fault::Credential { .. }))
}
