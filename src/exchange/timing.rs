//! Whose time a reply took: the gateway's own, and that of the providers it waited for. As coarse as
//! the runtime's clock, which stands still between two waits.

use std::time::Duration;

use crate::time::Time;

use super::{Exchange, Stage};

/// How long it took from the arrival of a request to the head of its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Everything but waiting for providers; to read the request's body is in it.
    pub gateway: Duration,
    /// From each request to a provider until its answer was whole, its first content came, or it failed.
    pub upstream: Duration,
}

impl Timing {
    /// As headers. `Server-Timing`: w3.org/TR/server-timing, in milliseconds.
    pub fn headers(&self) -> [(&'static str, String); 2] {
        let [gateway, upstream] = [self.gateway, self.upstream].map(|time| time.as_millis().to_string());
        let both = ["gateway;dur=", &gateway, ", upstream;dur=", &upstream].concat();
        [("server-timing", both), ("x-overhead-ms", gateway)]
    }
}

impl Exchange {
    /// For a reply whose head goes out at `now`.
    pub fn timing(&self, now: Time) -> Timing {
        let mut waits: Vec<(Time, Time)> =
            self.attempts.iter().map(|attempt| (attempt.sent, attempt.ended)).collect();
        match &self.stage {
            Stage::Sending
            | Stage::Collecting(_)
            | Stage::Failing(_)
            | Stage::Peeking(..)
            | Stage::Streaming(_) => waits.push((self.sent, now)),
            Stage::Holding | Stage::Asking | Stage::Pausing(_) | Stage::Fetching(_) | Stage::Ended => {}
        }
        let total = now.since(self.arrival.now);
        let upstream = covered(waits).min(total);
        Timing { gateway: total - upstream, upstream }
    }
}

/// How long at least one of `spans` lasted: two attempts at once are one wait.
fn covered(mut spans: Vec<(Time, Time)>) -> Duration {
    spans.sort();
    let mut covered = Duration::ZERO;
    let mut until = Time::default();
    for (from, to) in spans {
        covered += to.since(from.max(until));
        until = until.max(to);
    }
    covered
}
