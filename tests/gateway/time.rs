//! Moments and the calendar.

use millrace::time::{Day, Time};
use proptest::prelude::*;

#[test]
fn reads_and_writes_iso_8601() {
    let cases: &[(&str, Option<u64>)] = &[
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2026-11-21T14:13:27.042Z", Some(1_795_270_407_042)),
        ("2026-11-21T14:13:27.0429Z", Some(1_795_270_407_042)),
        ("2026-11-21T16:13:27+02:00", Some(1_795_270_407_000)),
        ("2024-02-29T23:59:59Z", Some(1_709_251_199_000)),
        ("2023-02-29T00:00:00Z", None),
        ("2026-11-21T14:13Z", None),
        ("2026-11-21", None),
        ("2026-13-01T00:00:00Z", None),
        ("2026-11-21T24:00:00Z", None),
        ("2026-11-21T14:13:27", None),
        ("2026-11-21T14:13:27.Z", None),
        ("1969-12-31T23:59:59Z", None),
        ("tomorrow", None),
        ("ééééééééééééééééééééé", None),
    ];
    for (text, ms) in cases {
        assert_eq!(Time::parse_iso8601(text).map(Time::ms), *ms, "{text}");
    }
    assert_eq!(Time::from_ms(1_795_270_407_042).to_iso8601(), "2026-11-21T14:13:27.042Z");
}

#[test]
fn days_are_read_and_written() {
    for (text, day) in [
        ("1970-01-01", Some(0)),
        ("2026-11-21", Some(20_778)),
        ("2024-02-29", Some(19_782)),
        ("2023-02-29", None),
        ("2026-11-00", None),
        ("2026-1-1", None),
        ("+026-01-01", None),
        ("2026-11-21T00:00:00Z", None),
        ("2026-11", None),
        ("", None),
    ] {
        assert_eq!(Day::parse_iso8601(text).map(Day::number), day, "{text}");
        if let Some(day) = day {
            assert_eq!(Day::from_number(day).to_iso8601(), text);
        }
    }
    let last = Day::from_civil(2026, 12, 31).expect("a day");
    assert_eq!(last.next_month_start().to_iso8601(), "2027-01-01");
    assert_eq!(last.start().to_iso8601(), "2026-12-31T00:00:00.000Z");
}

#[test]
fn windows_begin_in_utc() {
    // 2026-11-21 is a Saturday.
    let saturday = Day::from_civil(2026, 11, 21).expect("a day");
    assert_eq!(saturday.week_start(), Day::from_civil(2026, 11, 16).expect("a day"));
    assert_eq!(saturday.month_start(), Day::from_civil(2026, 11, 1).expect("a day"));
    let monday = Day::from_civil(2026, 11, 16).expect("a day");
    assert_eq!(monday.week_start(), monday);
}

proptest! {
    #[test]
    fn days_and_dates_agree(number in -700_000i64..3_000_000) {
        let day = Day::from_number(number);
        let (year, month, date) = day.civil();
        prop_assert_eq!(Day::from_civil(year, month, date), Some(day));
        prop_assert_eq!(day.week_start().number().rem_euclid(7), 4);
    }

    #[test]
    fn what_is_written_reads_back(ms in 0u64..4_000_000_000_000) {
        let time = Time::from_ms(ms);
        prop_assert_eq!(Time::parse_iso8601(&time.to_iso8601()), Some(time));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
        let _ = Time::parse_iso8601(&text);
    }
}
