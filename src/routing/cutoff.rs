//! How fast a client wants an endpoint to be: `preferred_min_throughput` and `preferred_max_latency`.
//! What is slower is tried later, never left out; what was not measured is not slow.

use crate::health::Percentiles;
use serde::Deserialize;

/// A limit for each percentile that has one; all have to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutoffs {
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

impl Cutoffs {
    /// Reads a number, which is meant for the median, or an object of percentiles. `None` for
    /// anything else and for numbers below zero.
    pub fn read(text: &str) -> Option<Cutoffs> {
        let median = serde_json::from_str::<f64>(text);
        let cutoffs = match median {
            Ok(median) => Cutoffs { p50: Some(median), ..Cutoffs::default() },
            Err(_) => serde_json::from_str(text).ok()?,
        };
        let limits = [cutoffs.p50, cutoffs.p75, cutoffs.p90, cutoffs.p99];
        limits.into_iter().flatten().all(|limit| limit >= 0.0).then_some(cutoffs)
    }

    /// Whether something measured is above a limit, each limit first taken times `scale`.
    pub fn exceeded(&self, measured: Option<Percentiles>, scale: f64) -> bool {
        self.any(measured, |limit, value| value > limit * scale)
    }

    /// Whether something measured is below a limit.
    pub fn missed(&self, measured: Option<Percentiles>) -> bool {
        self.any(measured, |limit, value| value < limit)
    }

    fn any(&self, measured: Option<Percentiles>, breaks: impl Fn(f64, f64) -> bool) -> bool {
        let Some(Percentiles { p50, p75, p90, p99 }) = measured else { return false };
        let pairs = [(self.p50, p50), (self.p75, p75), (self.p90, p90), (self.p99, p99)];
        pairs.into_iter().any(|(limit, value)| limit.is_some_and(|limit| breaks(limit, f64::from(value))))
    }
}
