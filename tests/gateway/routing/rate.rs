//! Limits of free models, by the minute and the day.

use std::time::Duration;

use millrace::id::AccountId;
use millrace::routing::rate::{FreeCounts, FreeLimits, Limited, Span, is_free};
use millrace::time::Time;
use proptest::prelude::*;

use super::market::NOW;

fn account(text: &str) -> AccountId {
    AccountId::parse(text).unwrap()
}

#[test]
fn a_minute_and_a_day_each_have_their_limit() {
    let limits = FreeLimits { per_minute: 3, per_day: 5 };
    let (one, other) = (account("0123456789Ab"), account("0123456789Ac"));
    let mut counts = FreeCounts::default();
    let at = |seconds| NOW.plus(Duration::from_secs(seconds));
    for _ in 0..3 {
        assert_eq!(counts.admit(&one, limits, at(0)), Ok(()));
    }
    let reset = Time::from_ms((NOW.ms() / 60_000 + 1) * 60_000);
    assert_eq!(
        counts.admit(&one, limits, at(1)),
        Err(Limited { span: Span::Minute, limit: 3, resets_at: reset })
    );
    assert_eq!(counts.admit(&other, limits, at(1)), Ok(()), "accounts do not share");
    assert_eq!(counts.admit(&one, limits, at(60)), Ok(()));
    assert_eq!(counts.admit(&one, limits, at(60)), Ok(()));
    let midnight = Time::from_ms((NOW.ms() / 86_400_000 + 1) * 86_400_000);
    let over = counts.admit(&one, limits, at(61)).unwrap_err();
    assert_eq!(over, Limited { span: Span::Day, limit: 5, resets_at: midnight });
    assert_eq!(counts.admit(&one, limits, midnight), Ok(()));
    let none = FreeLimits { per_minute: 0, per_day: 0 };
    assert!((0..2000).all(|_| counts.admit(&one, none, NOW).is_ok()));
}

#[test]
fn who_is_beyond_learns_when_to_come_back() {
    let limited = Limited { span: Span::Day, limit: 1000, resets_at: NOW.plus(Duration::from_millis(1500)) };
    let failure = limited.failure(NOW);
    assert_eq!((failure.cause.status(), failure.retry_after_s), (429, Some(2)));
    assert_eq!(failure.message, "Rate limit exceeded: free-models-per-day");
    assert_eq!(failure.metadata["headers"]["X-RateLimit-Limit"], "1000");
    assert_eq!(failure.metadata["headers"]["X-RateLimit-Remaining"], "0");
    assert_eq!(failure.metadata["headers"]["X-RateLimit-Reset"], limited.resets_at.ms().to_string());
    assert!(is_free("a/b:free") && !is_free("a/b") && !is_free("a/free"));
}

proptest! {
    /// However requests are spread, no minute and no day has more than its limit.
    #[test]
    fn no_span_has_more_than_its_limit(steps in prop::collection::vec(0u64..90_000, 1..300), per_minute in 1u32..9, per_day in 1u32..40) {
        let limits = FreeLimits { per_minute, per_day };
        let (mut counts, mut now) = (FreeCounts::default(), NOW);
        let (mut minutes, mut days) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
        for step in steps {
            now = now.plus(Duration::from_millis(step));
            if counts.admit(&account("0123456789Ab"), limits, now).is_ok() {
                *minutes.entry(now.ms() / 60_000).or_insert(0) += 1;
                *days.entry(now.ms() / 86_400_000).or_insert(0) += 1;
            }
        }
        prop_assert!(minutes.values().all(|count| *count <= per_minute));
        prop_assert!(days.values().all(|count| *count <= per_day));
    }
}
