//! Why a request is routed as it is, in words and JSON: what each filter removed, what is told where
//! nobody is left, and the whole of a survey for those who ask.

use super::auto::Choice;
use super::candidate::Filter;
use super::order::Entry;
use super::plan::{Query, Removed, Strategy, Survey};
use super::slug::Router;
use crate::catalog::Model;
use crate::error::{Cause, Failure};
use crate::health::{Condition, Percentiles, Standing};
use crate::money::{Money, Price};
use crate::pricing;
use serde_json::{Value, json};

/// `error.availability`: why a model cannot be served, in OpenRouter's shape. `more` are members
/// beside those that are always there.
pub fn availability(code: &str, requested: &[&str], more: Value) -> Value {
    let mut availability = json!({
        "code": code,
        "retryable": matches!(code, "capacity_exhausted" | "temporarily_unavailable"),
        "requested_models": requested,
        "docs_url": format!("https://openrouter.ai/docs/errors#{code}"),
    });
    if let (Value::Object(availability), Value::Object(more)) = (&mut availability, more) {
        availability.extend(more);
    }
    availability
}

/// The failure of a request for which nobody is left: says of each candidate why.
pub(super) fn nobody(query: &Query, survey: &Survey) -> Failure {
    let removed = survey.removed.as_slice();
    let mut excluded_by: Vec<&str> = removed.iter().map(|one| one.filter.name()).collect();
    excluded_by.sort_unstable();
    excluded_by.dedup();
    let why = Why::of(survey);
    let requested: Vec<&str> = query.models.iter().map(String::as_str).collect();
    let told: Vec<&str> = excluded_by.iter().copied().filter(|name| EXCLUDED_BY.contains(name)).collect();
    let mut affected: Vec<&str> = removed.iter().map(|one| one.provider.name).collect();
    affected.sort_unstable();
    affected.dedup();
    let more = json!({ "excluded_by": told, "affected_providers": affected });
    Failure::new(why.cause(), why.words(query, removed))
        .with("requested_models", query.models.to_vec())
        .with("excluded_by", excluded_by)
        .with("candidates", removed.iter().map(Removed::describe).collect::<Vec<Value>>())
        .with("availability", availability(why.code(), &requested, more))
}

/// The names that OpenRouter's `availability.excluded_by` has.
const EXCLUDED_BY: [&str; 8] = [
    "data_region",
    "data_policy:zdr",
    "data_policy:training",
    "max_price",
    "context_length",
    "require_parameters",
    "quantization",
    "allowed_providers",
];

/// The reason for which nobody is left.
enum Why {
    /// A router found no model.
    NoModel,
    /// Nobody who sells it is configured, or nobody sells it.
    NobodyLive,
    /// All that are configured fell to this one.
    One(Filter),
    Several,
}

impl Why {
    fn of(survey: &Survey) -> Why {
        if survey.choice.as_ref().is_some_and(|choice| choice.models.is_empty()) && survey.removed.is_empty()
        {
            return Why::NoModel;
        }
        let mut filters =
            survey.removed.iter().map(|one| one.filter).filter(|filter| *filter != Filter::NotConfigured);
        match filters.next() {
            None => Why::NobodyLive,
            Some(first) if filters.all(|filter| filter == first) => Why::One(first),
            Some(_) => Why::Several,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Why::NobodyLive => "no_endpoints",
            Why::One(Filter::Region) => "region_restricted",
            Why::One(filter) if filter.is_privacy() => "privacy_restricted",
            Why::NoModel | Why::One(_) | Why::Several => "constraint_filtered",
        }
    }

    fn cause(&self) -> Cause {
        match self {
            Why::One(Filter::ContextLength) => Cause::ContextLength,
            Why::One(Filter::Region) => Cause::PermissionDenied,
            Why::One(Filter::WebSearch) => Cause::InvalidRequest,
            Why::NoModel | Why::NobodyLive | Why::One(_) | Why::Several => Cause::NoEndpoint,
        }
    }

    /// Some clients know OpenRouter's first sentences and act on them.
    fn words(&self, query: &Query, removed: &[Removed]) -> String {
        let first = match self {
            Why::NoModel => return "No models match your request and model restrictions".to_owned(),
            Why::One(Filter::ContextLength) => return too_long(query, removed),
            Why::One(Filter::Tools) => "No endpoints found that support tool use.".to_owned(),
            Why::One(Filter::WebSearch) => return no_search(query),
            Why::One(Filter::MaxPrice) => {
                "No endpoints found that satisfy the max price for this request.".to_owned()
            }
            Why::One(Filter::Only) => "No allowed providers are available for the selected model.".to_owned(),
            Why::One(Filter::ProviderPolicy | Filter::ModelPolicy) => {
                "No endpoints available matching your guardrail restrictions and data policy.".to_owned()
            }
            Why::One(Filter::DataCollection) => {
                "No endpoints found matching your data policy (Paid model training).".to_owned()
            }
            Why::One(Filter::Zdr) => {
                "No endpoints found matching your data policy (Zero data retention).".to_owned()
            }
            Why::NobodyLive | Why::One(_) | Why::Several => {
                format!("No endpoints found for {}.", query.models.join(", "))
            }
        };
        let reasons: Vec<String> = removed.iter().map(Removed::reason).collect();
        if reasons.is_empty() { first } else { format!("{first} {}.", reasons.join("; ")) }
    }
}

/// Names one model of each of a few authors that can.
fn no_search(query: &Query) -> String {
    let searches = |model: &&Model| model.offers.iter().any(|offer| offer.prices.web_search.is_some());
    let mut named: Vec<&'static Model> = Vec::new();
    for model in query.catalog.models().filter(searches) {
        match named.iter_mut().find(|other| other.author() == model.author()) {
            Some(other) if other.created < model.created => *other = model,
            Some(_) => {}
            None => named.push(model),
        }
    }
    let named: Vec<&str> = named.iter().map(|model| model.slug).collect();
    format!(
        "{} cannot search the web. Some that can are {}; `GET /models?supported_parameters=web_search_options` \
         has all of them.",
        query.models.join(", "),
        named.join(", "),
    )
}

fn too_long(query: &Query, removed: &[Removed]) -> String {
    let most = removed.iter().map(|one| one.context_length).max().unwrap_or(0);
    let about = pricing::estimate_tokens(query.size.text_bytes);
    format!(
        "This endpoint's maximum context length is {most} tokens. However, you requested about {about} tokens. \
         Please reduce the length of the messages."
    )
}

impl Removed {
    fn reason(&self) -> String {
        format!("{} {}", self.provider.name, self.filter.reason())
    }

    fn describe(&self) -> Value {
        json!({
            "model": self.model,
            "provider": self.provider.slug,
            "tag": self.tag,
            "removed_by": self.filter.name(),
            "reason": self.reason(),
        })
    }
}

/// Everything that was found for a request, for `POST /api/v1/route`. Prices are dollars as text.
pub fn describe(query: &Query, survey: &Survey) -> Value {
    let order: Vec<Value> =
        survey.entries.iter().enumerate().map(|(row, entry)| endpoint(query, row, entry)).collect();
    json!({
        "requested": query.models,
        "strategy": survey.strategy.name(),
        "summary": summary(survey),
        "router": survey.choice.as_ref().map(chosen),
        "session": query.session.map(|session| json!({
            "named": session.named,
            "keeps_endpoint": session.binds(query.size),
            "pinned": session.pin.as_ref().map(|pin| json!({ "model": pin.model, "endpoint": pin.tag })),
        })),
        "request": {
            "prompt_tokens": pricing::estimate_tokens(query.size.text_bytes),
            "max_tokens": query.size.max_tokens,
            "needs": needs(query),
        },
        "order": order,
        "removed": survey.removed.iter().map(Removed::describe).collect::<Vec<Value>>(),
    })
}

/// What a router chose, and by what.
pub(super) fn chosen(choice: &Choice) -> Value {
    json!({
        "name": router(choice.router),
        "models": choice.models.iter().map(|model| model.slug).collect::<Vec<_>>(),
        "task": choice.classified.as_ref().map(|classified| classified.task.name()),
        "signs": choice.classified.as_ref().map(|classified| classified.signs.clone()),
        "cost_tier": (choice.router == Router::Auto).then(|| choice.tier.name()),
        "capable": choice.capable,
    })
}

/// The `openrouter_metadata` of a request that no endpoint may serve: nobody was tried.
pub fn untried(models: &[String], region: Option<&str>, failure: &Failure) -> Value {
    let removed = failure.metadata.get("candidates").and_then(Value::as_array).map_or(0, Vec::len);
    json!({
        "requested": models.first(),
        "strategy": if models.len() > 1 { Strategy::Fallback.name() } else { Strategy::Direct.name() },
        "region": region.unwrap_or("global"),
        "summary": "available=0",
        "attempt": 0,
        "is_byok": false,
        "endpoints": { "total": removed, "available": [] },
    })
}

fn router(router: Router) -> &'static str {
    match router {
        Router::Auto => Strategy::Auto.name(),
        Router::Free => Strategy::Free.name(),
    }
}

fn summary(survey: &Survey) -> String {
    match survey.entries.first() {
        Some(first) => {
            format!("available={}, selected={}", survey.entries.len(), first.candidate.provider.name)
        }
        None => format!("available=0, removed={}", survey.removed.len()),
    }
}

fn needs(query: &Query) -> Vec<&'static str> {
    let needs = query.needs;
    let named = [
        (needs.tools, "tools"),
        (needs.images, "images"),
        (needs.audio, "audio"),
        (needs.files, "files"),
        (needs.structured_output, "structured_output"),
        (needs.json_object, "json_object"),
        (needs.web_search.is_some(), "web_search"),
    ];
    named.into_iter().filter(|(needed, _)| *needed).map(|(_, name)| name).collect()
}

fn endpoint(query: &Query, row: usize, entry: &Entry) -> Value {
    let candidate = &entry.candidate;
    let Standing { condition, latency_ms, throughput, tool_errors_ppm, .. } = entry.standing;
    let ceiling =
        pricing::ceiling(&candidate.prices, query.size, candidate.context_length, candidate.max_output);
    let usage = pricing::estimate_usage(query.size, 0);
    let prompt = pricing::cost(&candidate.prices, &usage).map(|cost| cost.total);
    let per_million = |price: Price| price.times(1_000_000).map(Money::to_usd);
    json!({
        "position": row + 1,
        "model": candidate.model,
        "provider": candidate.provider.name,
        "endpoint": candidate.tag,
        "upstream_model": candidate.upstream_model,
        "service_tier": candidate.service_tier,
        "share": f64::from(entry.share_ppm) / 1e6,
        "price": {
            "prompt": per_million(candidate.prices.prompt),
            "completion": per_million(candidate.prices.completion),
            "request": candidate.prices.request.to_usd(),
        },
        "estimate": { "prompt_usd": prompt.map(Money::to_usd), "most_usd": ceiling.map(Money::to_usd) },
        "health": {
            "condition": match condition {
                Condition::Stable => "stable",
                Condition::Shaky => "shaky",
                Condition::Out { .. } => "out",
            },
            "out_until": match condition {
                Condition::Out { until } => Some(until.to_iso8601()),
                Condition::Stable | Condition::Shaky => None,
            },
            "latency_ms": latency_ms.map(percentiles),
            "throughput": throughput.map(percentiles),
            "tool_errors_ppm": tool_errors_ppm,
        },
        "notes": notes(entry),
    })
}

fn percentiles(measured: Percentiles) -> Value {
    let Percentiles { p50, p75, p90, p99 } = measured;
    json!({ "p50": p50, "p75": p75, "p90": p90, "p99": p99 })
}

/// What moved an endpoint from where its price alone would have it.
fn notes(entry: &Entry) -> Vec<&'static str> {
    let notes = [
        (entry.pinned, "the session's last reply came from here"),
        (entry.slow, "slower than preferred_min_throughput or preferred_max_latency allow"),
        (
            !entry.candidate.honours_all,
            "does not honour reasoning, verbosity or a search, which was asked for",
        ),
        (entry.standing.condition == Condition::Shaky, "failed in the last 30 seconds"),
        (entry.is_out(), "out for now: tried last"),
    ];
    notes.into_iter().filter(|(applies, _)| *applies).map(|(_, note)| note).collect()
}

/// `availability` where everybody who was asked had no room.
pub fn exhausted(requested: &[&str], wait_s: Option<u32>, providers: &[&str]) -> Value {
    availability(
        "capacity_exhausted",
        requested,
        json!({ "affected_providers": providers, "retry_after": wait_s }),
    )
}
