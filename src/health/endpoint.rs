//! One endpoint: what was measured, and whether it may be tried.

use litemap::LiteMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::{Breaker, Position, Rest};
use super::{Blame, Condition, Counts, Event, News, Public, Series, Standing, Tools};
use crate::time::Time;

/// The time in which failures make an endpoint shaky, and open its breaker: OpenRouter's.
const OUTAGE: Duration = Duration::from_secs(30);
/// Failures in that time, and their share of all attempts, that make it shaky …
const SHAKY: (u32, u32) = (2, 4);
/// … and that open the breaker; without a single success fewer do.
const OPENING: (u32, u32) = (5, 2);
const OPENING_WITHOUT_SUCCESS: u32 = 3;
/// How long the breaker stays open, at first and at most.
const OPEN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(120));
/// How long a key is passed over that an endpoint limits or denies without saying for how long.
const LIMITED: Duration = Duration::from_secs(5);
const DENIED: Duration = Duration::from_secs(30);
/// The median of fewer samples than this says less than what came before them.
const FEW: u64 = 5;
/// More keys than this are not told apart.
const MAX_KEYS: usize = 32;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointHealth {
    pub series: Series,
    pub breaker: Breaker,
    /// Rests of the endpoint, whoever asks.
    pub rest: Rest,
    /// Rests of single keys at this endpoint.
    #[serde(serialize_with = "super::write_map")]
    pub keys: LiteMap<String, Rest>,
    /// When it was last heard of.
    pub heard: Time,
    /// What all edges together know, in a snapshot that holds only the last minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<Public>,
}

impl EndpointHealth {
    /// Takes in what happened at `now`, and decides what follows from it.
    pub fn take(&mut self, now: Time, news: &News) {
        self.tally(now, news);
        match news.event {
            Event::Began { .. } => self.breaker.mend(now, news.sent),
            Event::Failed(Blame::Endpoint | Blame::Busy { .. }) => {
                // A breaker that let an attempt through opens again.
                if self.breaker.position(now) == Position::HalfOpen && news.sent >= self.breaker.tripped {
                    self.breaker.trip(now, OPEN.0, OPEN.1);
                }
                self.judge(now);
            }
            Event::Failed(Blame::Nobody { .. } | Blame::Limited { .. } | Blame::Denied | Blame::Key)
            | Event::Complete { .. }
            | Event::Exhausted { .. }
            | Event::Outrun { .. } => {}
        }
    }

    /// Adds what happened at `now` and decides nothing: a part of the news is no outage.
    pub fn tally(&mut self, now: Time, news: &News) {
        self.heard = self.heard.max(now);
        let key = news.subject.key.as_deref();
        match news.event {
            // What was cancelled would have been slower still; left out, it would make the endpoint look fast.
            Event::Began { latency_ms: Some(ms) } | Event::Outrun { waited_ms: Some(ms) } => {
                self.series.add_latency(now, ms);
            }
            Event::Began { latency_ms: None } | Event::Outrun { waited_ms: None } => {}
            Event::Complete { throughput, tools } => {
                self.series.count(now, Counts::OK);
                if let Some(tokens_per_second) = throughput {
                    self.series.add_throughput(now, tokens_per_second);
                }
                self.series.add_tools(now, tools);
            }
            Event::Exhausted { until } => self.key_rest(key).softly(now, until),
            Event::Failed(blame) => self.tally_failure(now, blame, key),
        }
    }

    fn tally_failure(&mut self, now: Time, blame: Blame, key: Option<&str>) {
        match blame {
            Blame::Nobody { bad_call: true } => {
                self.series.add_tools(now, Tools { refused: 1, ..Tools::default() });
            }
            Blame::Nobody { bad_call: false } | Blame::Key => {}
            Blame::Endpoint | Blame::Busy { until: None } => self.series.count(now, Counts::FAILED),
            Blame::Busy { until: Some(until) } => {
                self.series.count(now, Counts::FAILED);
                self.rest.softly(now, until);
            }
            Blame::Limited { until } => {
                self.series.count(now, Counts::LIMITED);
                let rest = self.key_rest(key);
                match until {
                    Some(until) => rest.firmly(now, until),
                    None => rest.softly(now, now.plus(LIMITED)),
                }
            }
            Blame::Denied => self.key_rest(key).softly(now, now.plus(DENIED)),
        }
    }

    /// Opens a closed breaker where the last half minute is an outage.
    pub fn judge(&mut self, now: Time) {
        let Counts { ok, failed, .. } = self.lately(now);
        let many = failed >= OPENING.0 && failed * OPENING.1 >= failed + ok;
        let only = failed >= OPENING_WITHOUT_SUCCESS && ok == 0;
        if (many || only) && self.breaker.position(now) == Position::Closed {
            self.breaker.trip(now, OPEN.0, OPEN.1);
        }
    }

    pub fn merge(&mut self, other: &EndpointHealth) {
        self.series.merge(&other.series);
        self.merge_waits(other);
        self.heard = self.heard.max(other.heard);
        self.public = self.public.or(other.public);
    }

    /// Takes over what `other` says of when it may be tried.
    pub fn merge_waits(&mut self, other: &EndpointHealth) {
        self.breaker.merge(&other.breaker);
        self.rest.merge(&other.rest);
        for (key, rest) in &other.keys {
            self.key_rest(Some(key)).merge(rest);
        }
    }

    /// Takes out what a wrong clock says of the future.
    pub fn drop_future(&mut self, now: Time, latest: Time) {
        self.series.drop_future(now);
        self.heard = self.heard.min(latest);
        self.breaker.clamp(latest, OPEN.1);
        let of_keys = self.keys.iter_mut().map(|(_, rest)| rest);
        for rest in of_keys.chain([&mut self.rest]) {
            rest.clamp(latest);
        }
    }

    /// The milliseconds within which so many of a thousand streams begin, if enough are known.
    pub fn pace(&self, now: Time, permille: u32) -> Option<u32> {
        let all = self.public.filter(|public| public.latency_p95_30m.is_some());
        let shared = all.and_then(|public| match permille {
            950 => public.latency_p95_30m,
            0..950 => public.latency_30m.map(|measured| measured.p90),
            _ => public.latency_30m.map(|measured| measured.p99),
        });
        self.series.pace(now, permille).or(shared)
    }

    /// How it stands. `keys_out` is when the first of our keys may be used again where none may;
    /// `probed` until when a probe is under way.
    pub fn standing(&self, now: Time, keys_out: Option<Time>, probed: Option<Time>) -> Standing {
        let latency = self.series.latency(now, Series::FIVE_MINUTES);
        let throughput = self.series.throughput(now, Series::FIVE_MINUTES);
        // All edges together know more of the last half hour than this one.
        let latency_trend =
            || self.public.and_then(|all| all.latency_trend_ms).or(self.series.latency_trend(now));
        let throughput_trend =
            || self.public.and_then(|all| all.throughput_trend).or(self.series.throughput_trend(now));
        Standing {
            condition: self.condition(now, keys_out, probed),
            latency_ms: latency.percentiles(),
            throughput: throughput.percentiles(),
            latency_trend_ms: (latency.len() < FEW).then(latency_trend).flatten(),
            throughput_trend: (throughput.len() < FEW).then(throughput_trend).flatten(),
            tool_errors_ppm: self.series.tools(now, Series::HALF_HOUR).errors_ppm(),
        }
    }

    pub fn public(&self, now: Time) -> Public {
        self.public.unwrap_or_else(|| self.series.public(now))
    }

    fn condition(&self, now: Time, keys_out: Option<Time>, probed: Option<Time>) -> Condition {
        let breaker_out = match self.breaker.position(now) {
            Position::Closed => None,
            Position::Open { until } => Some(until),
            Position::HalfOpen => probed.filter(|until| *until > now),
        };
        match [breaker_out, keys_out, self.rest.until(now)].into_iter().flatten().max() {
            Some(until) => Condition::Out { until },
            None if self.is_shaky(now) => Condition::Shaky,
            None => Condition::Stable,
        }
    }

    fn is_shaky(&self, now: Time) -> bool {
        let Counts { ok, failed, .. } = self.lately(now);
        failed >= SHAKY.0 && failed * SHAKY.1 >= failed + ok
    }

    /// The counts of the last half minute, as far as nothing has mended since.
    fn lately(&self, now: Time) -> Counts {
        self.series.counts(now, OUTAGE, self.breaker.mended)
    }

    /// The rest of one key here; "" stands for none.
    fn key_rest(&mut self, key: Option<&str>) -> &mut Rest {
        let key = key.unwrap_or("");
        let full = self.keys.len() >= MAX_KEYS && !self.keys.contains_key(key);
        self.keys.entry(if full { String::new() } else { key.to_owned() }).or_default()
    }
}
