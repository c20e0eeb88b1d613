//! Which limit of free models an account has.

use millrace::routing::rate::{FreeLimits, is_free};

#[test]
fn who_was_given_little_has_the_lower_limit_of_a_day() {
    let limits = FreeLimits::default();
    assert_eq!((limits.per_minute, limits.per_day), (20, 1000));
    let rows = [
        (limits, 9, (50, true)),
        (limits, 10, (1000, false)),
        (limits, -1, (50, true)),
        (FreeLimits { per_day: 0, ..limits }, 0, (0, false)),
        (FreeLimits { per_day: 30, ..limits }, 0, (30, false)),
        (FreeLimits { per_day_low: 0, ..limits }, 0, (1000, false)),
        (FreeLimits { credits: 0, ..limits }, 0, (1000, false)),
    ];
    for (limits, dollars, expected) in rows {
        assert_eq!(limits.of_day(dollars), expected, "{limits:?} {dollars}");
    }
    assert!(limits.is_any() && !FreeLimits { per_minute: 0, per_day: 0, ..limits }.is_any());
    assert!(is_free("a/b:free") && !is_free("a/b") && !is_free("a/free"));
}
