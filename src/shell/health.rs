//! What this isolate knows of how endpoints fare, and how it shares that with the others: by a
//! report to each provider's object now and then, beside requests and never before one. Its mind
//! is `crate::health`.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use wasm_bindgen::{JsCast, JsValue};

use crate::catalog::listing::{Figures, Spread};
use crate::config::{Config, HealthPolicy};
use crate::health::{
    Admission, Condition, Health, News, Percentiles, Reply, Report, Store, Subject, Unknown,
};
use crate::id::hex;
use crate::routing::Plan;
use crate::shell::bindings::{ObjectNamespace, binding, random};
use crate::shell::clock::{delay_until, now, within};
use crate::shell::wait::Wait;
use crate::time::Time;

/// How long an object may take to answer.
const LIMIT: Duration = Duration::from_secs(5);
/// A report that is due within this time is waited for; else a later request makes it.
const SOON: Duration = Duration::from_secs(6);
/// A request is kept for so many rounds of reports.
const ROUNDS: u32 = 2;
/// A reporter that has not come back by then was ended with its request.
const LOST: Duration = Duration::from_secs(20);

thread_local! {
    static STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
    /// Until when somebody is on the way to report.
    static REPORTING: Cell<Time> = const { Cell::new(Time::from_ms(0)) };
}

/// Lends what is known to a plan. Without a first plan nothing is noted, admitted by health or
/// reported.
pub fn with<T>(config: &Config, plan: impl FnOnce(&dyn Health) -> T) -> T {
    if config.health == HealthPolicy::Ignored {
        return plan(&Unknown);
    }
    STORE.with_borrow_mut(|store| {
        let new = || Store::new(hex(&random::<8>()), config.key_digests());
        plan(store.get_or_insert_with(new))
    })
}

/// Says that something should be known of whom a plan names.
pub fn expect(plan: &Plan) {
    with_store(|store| plan.candidates().iter().for_each(|candidate| store.expect(candidate.provider.slug)));
}

pub fn admit(subject: &Subject) -> Admission {
    with_store(|store| store.admit(subject, now())).unwrap_or(Admission::Free)
}

pub fn admit_second(subject: &Subject) -> Admission {
    with_store(|store| store.admit_second(subject, now())).unwrap_or(Admission::Later)
}

/// How soon so many of a thousand streams of an endpoint begin.
pub fn pace(subject: &Subject, permille: u32) -> Option<Duration> {
    with_store(|store| store.pace(subject, permille, now())).flatten()
}

pub fn take(news: &News) {
    with_store(|store| store.take(now(), news));
}

/// Makes the reports that are due now or soon, unless somebody is on the way to; then those that
/// fell due meanwhile, whose requests relied on this one.
pub async fn report(env: &JsValue) {
    for _ in 0..ROUNDS {
        let Some(at) = with_store(|store| store.next_report(now())).flatten() else { return };
        if at > now().plus(SOON) || REPORTING.get() > now() {
            return;
        }
        REPORTING.set(at.max(now()).plus(LOST));
        if at > now() {
            delay_until(at).await;
        }
        let reports = with_store(|store| store.take_reports(now())).unwrap_or_default();
        REPORTING.set(Time::default());
        join_all(reports.into_iter().map(|(provider, report)| tell(env, provider, report))).await;
    }
}

/// What the lists of endpoints tell of one, as far as this isolate knows it.
pub fn figures(model: &str, tag: &str) -> Figures {
    let known = with_store(|store| {
        let down = matches!(store.standing(model, tag, now()).condition, Condition::Out { .. });
        store.public(model, tag, now()).map(|public| (public, down))
    });
    let Some((public, down)) = known.flatten() else { return Figures::default() };
    let spread =
        |found: Percentiles| Spread { p50: found.p50, p75: found.p75, p90: found.p90, p99: found.p99 };
    Figures {
        latency_ms: public.latency_30m.map(spread),
        throughput: public.throughput_30m.map(spread),
        uptime_ppm: [public.uptime_5m_ppm, public.uptime_30m_ppm, public.uptime_1d_ppm],
        down,
    }
}

/// What is known, for the operator.
pub fn summary() -> Value {
    with_store(|store| {
        let now = now();
        let endpoints: Vec<Value> = store
            .standings(now)
            .into_iter()
            .map(|(tag, model, standing)| {
                let (condition, until) = match standing.condition {
                    Condition::Stable => ("stable", None),
                    Condition::Shaky => ("shaky", None),
                    Condition::Out { until } => ("out", Some(until.to_iso8601())),
                };
                let median =
                    |percentiles: Option<Percentiles>| percentiles.map(|percentiles| percentiles.p50);
                let public = store.public(&model, &tag, now).unwrap_or_default();
                json!({
                    "model": model,
                    "tag": tag,
                    "condition": condition,
                    "until": until,
                    "latency_ms": median(standing.latency_ms),
                    "throughput": median(standing.throughput),
                    "latency_trend_ms": standing.latency_trend_ms,
                    "throughput_trend": standing.throughput_trend,
                    "tool_errors_ppm": standing.tool_errors_ppm,
                    "uptime_5m_ppm": public.uptime_5m_ppm,
                    "uptime_1d_ppm": public.uptime_1d_ppm,
                })
            })
            .collect();
        let keys: Vec<Value> = store.refused_keys(now).into_iter().map(|(provider, digest, until)| {
            json!({ "provider": provider, "digest": digest, "until": until.to_iso8601() })
        }).collect();
        json!({ "endpoints": endpoints, "refused_keys": keys })
    })
    .unwrap_or_else(|| json!({ "endpoints": [], "refused_keys": [] }))
}

fn with_store<T>(act: impl FnOnce(&mut Store) -> T) -> Option<T> {
    STORE.with_borrow_mut(|store| store.as_mut().map(act))
}

/// Makes one report and learns from the answer.
async fn tell(env: &JsValue, provider: String, report: Report) {
    let answer = within(LIMIT, Box::pin(ask(env, &provider, &report))).await;
    let reply = answer.and_then(Result::ok).flatten();
    with_store(|store| store.learn(now(), &provider, reply));
}

async fn ask(env: &JsValue, provider: &str, report: &Report) -> Result<Option<Reply>, JsValue> {
    let words = |error: serde_json::Error| JsValue::from_str(&error.to_string());
    let namespace: ObjectNamespace = binding(env, "HEALTH").ok_or(JsValue::UNDEFINED)?.unchecked_into();
    let stub = namespace.object(&namespace.id_from_name(provider)?)?;
    let text = serde_json::to_string(report).map_err(words)?;
    let reply = Wait::from(stub.call(&text)?).await?;
    crate::json::read(&reply.as_string().unwrap_or_default())
        .map_err(|error| JsValue::from_str(&error.to_string()))
}
