//! Allowances in the heads of answers, as providers write them.

use super::{START, at};
use millrace::health::quota::exhausted_until;
use millrace::time::Time;
use std::time::Duration;

#[test]
fn an_allowance_that_has_run_out_names_its_renewal() {
    let later = |ms| Some(at(0).plus(Duration::from_millis(ms)));
    let cases: &[(&str, Option<Time>)] = &[
        ("", None),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 20ms", later(20)),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 6m0s", later(360_000)),
        ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 2m59.56s", later(179_560)),
        ("x-ratelimit-remaining-tokens: 1\nx-ratelimit-reset-tokens: 2m59.56s", None),
        ("x-ratelimit-remaining-requests: 0", None),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: soon", None),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: -3", None),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1x", None),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 0", None),
        (
            "x-ratelimit-remaining-requests-day: 0\nx-ratelimit-reset-requests-day: 33011.382867",
            later(33_011_383),
        ),
        ("x-ratelimit-remaining: 0\nx-ratelimit-reset: 1795270405000", later(5000)),
        ("x-ratelimit-remaining: 0\nx-ratelimit-reset: 1795270405", later(5000)),
        ("x-ratelimit-remaining: 0\nx-ratelimit-reset: 1795270399000", None),
        ("ratelimit-remaining: 0\nratelimit-reset: 7", later(7000)),
        (
            "anthropic-ratelimit-input-tokens-remaining: 0\n\
             anthropic-ratelimit-input-tokens-reset: 2026-11-21T14:13:30Z",
            later(10_000),
        ),
        // Of two that have run out, the later renewal.
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1s\n\
             x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 1m1s",
            later(61_000),
        ),
    ];
    let now = Time::from_ms(START);
    for (head, expected) in cases {
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
        };
        assert_eq!(exhausted_until(&header, now), *expected, "{head}");
    }
}
