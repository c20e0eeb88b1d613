//! How endpoints fare: what was measured of each, and whether it may be tried now. An endpoint is a
//! model at a provider, named by the model's slug and the offer's tag. Everything here is a value
//! that is told what happened and when; who tells whom is the shell's.

mod allowance;
mod breaker;
mod endpoint;
mod histogram;
mod knowledge;
mod news;
pub mod quota;
mod series;
mod shard;
mod store;

use litemap::LiteMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::time::Time;

pub use breaker::{Breaker, Rest};
pub use endpoint::EndpointHealth;
pub use histogram::Histogram;
pub use knowledge::Knowledge;
pub use news::{Blame, Event, News, Subject};
pub use series::{Counts, Series, Tools};
pub use shard::{Filed, Reply, Report, Shard};
pub use store::{Admission, Store};

/// What is known of one endpoint at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Standing {
    pub condition: Condition,
    /// Milliseconds to the first token over the last five minutes; `None` without samples.
    pub latency_ms: Option<Percentiles>,
    /// Tokens of output per second over the last five minutes; `None` without samples.
    pub throughput: Option<Percentiles>,
    /// Of a million calls of tools, how many were invalid; `None` without enough samples.
    pub tool_errors_ppm: Option<u32>,
    /// Where the last five minutes have too few samples for a median to mean much: the mean of the last
    /// half hour, in which a sample counts half as much for every four minutes of its age.
    pub latency_trend_ms: Option<u32>,
    pub throughput_trend: Option<u32>,
}

impl Standing {
    /// Milliseconds to the first token, as far as anything is known.
    pub fn usual_latency_ms(&self) -> Option<u32> {
        self.latency_trend_ms.or(self.latency_ms.map(|measured| measured.p50))
    }

    /// Tokens of output per second, as far as anything is known.
    pub fn usual_throughput(&self) -> Option<u32> {
        self.throughput_trend.or(self.throughput.map(|measured| measured.p50))
    }
}

/// Whether an endpoint may be tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing speaks against it, or nothing is known.
    #[default]
    Stable,
    /// It failed too often in the last 30 seconds: after the stable ones.
    Shaky,
    /// It cools down, its breaker is open, or its one probe is under way: last of all, until then.
    Out { until: Time },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    pub p50: u32,
    pub p75: u32,
    pub p90: u32,
    pub p99: u32,
}

/// What anybody may be told of an endpoint, in the terms of OpenRouter's list of endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Public {
    /// Milliseconds to the first token over the last half hour.
    pub latency_30m: Option<Percentiles>,
    /// Tokens of output per second over the last half hour.
    pub throughput_30m: Option<Percentiles>,
    /// Successes among successes and errors, in millionths; rate limits are neither. `None`
    /// without either.
    pub uptime_5m_ppm: Option<u32>,
    pub uptime_30m_ppm: Option<u32>,
    pub uptime_1d_ppm: Option<u32>,
    /// Means in which later samples count more: [`Standing::latency_trend_ms`]. For routing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_trend_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_trend: Option<u32>,
    /// Milliseconds within which 95 % of streams began in the last half hour; where they were enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_p95_30m: Option<u32>,
}

/// Where a plan looks up how endpoints stand.
pub trait Health {
    /// How the endpoint of the model `model` with the tag `tag` stands at `now`.
    fn standing(&self, model: &str, tag: &str, now: Time) -> Standing;
}

/// Knows nothing of any endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unknown;

impl Health for Unknown {
    fn standing(&self, _model: &str, _tag: &str, _now: Time) -> Standing {
        Standing::default()
    }
}

/// For fields that are stored and sent: `LiteMap` itself writes an empty map as a list.
fn write_map<K: Serialize, V: Serialize, S: Serializer>(
    map: &LiteMap<K, V>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(map)
}
