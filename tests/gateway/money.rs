//! Exact amounts: what is read, what is refused, what is written.

use millrace::money::{Money, MoneyError, Price};
use proptest::prelude::*;

#[test]
fn reads_dollars_exactly_or_not_at_all() {
    use MoneyError::{NotANumber, TooFine, TooLarge};
    let cases: &[(&str, Result<i64, MoneyError>)] = &[
        ("0", Ok(0)),
        ("10", Ok(10_000_000_000_000)),
        ("0.000427", Ok(427_000_000)),
        ("0.000000000001", Ok(1)),
        ("0.0000000000010", Ok(1)),
        ("0.0000000000001", Err(TooFine)),
        ("-1.5", Ok(-1_500_000_000_000)),
        (".5", Ok(500_000_000_000)),
        ("5.", Ok(5_000_000_000_000)),
        ("1e-6", Ok(1_000_000)),
        ("1E+2", Ok(100_000_000_000_000)),
        ("1e-13", Err(TooFine)),
        ("0e-99", Ok(0)),
        ("9223372.036854775807", Ok(i64::MAX)),
        ("9223372.036854775808", Err(TooLarge)),
        ("1e999", Err(TooLarge)),
        ("1e99999", Err(NotANumber)),
        ("", Err(NotANumber)),
        (".", Err(NotANumber)),
        ("-", Err(NotANumber)),
        ("1,5", Err(NotANumber)),
        ("1.2.3", Err(NotANumber)),
        ("0x10", Err(NotANumber)),
        ("NaN", Err(NotANumber)),
        (" 1", Err(NotANumber)),
        ("--1", Err(NotANumber)),
    ];
    for (text, expected) in cases {
        assert_eq!(Money::parse_usd(text).map(Money::pico), *expected, "{text:?}");
    }
}

#[test]
fn a_price_is_never_negative() {
    assert_eq!(Price::parse_usd("-0.1"), Err(MoneyError::Negative));
    assert_eq!(Price::parse_usd("0.0000025").map(Price::pico), Ok(2_500_000));
}

#[test]
fn a_price_times_a_count_is_exact_or_refused() {
    let price = Price::from_pico(2_500_000);
    assert_eq!(price.times(1_000_000).map(Money::to_usd), Some("2.5".to_owned()));
    assert_eq!(price.times(u64::MAX), None);
    assert_eq!(Price::ZERO.times(u64::MAX), Some(Money::ZERO));
}

#[test]
fn money_buys_whole_units() {
    let cases = [(10, 3, 3), (0, 3, 0), (-5, 3, 0), (10, 0, u64::MAX), (2, 3, 0)];
    for (money, price, units) in cases {
        assert_eq!(Price::from_pico(price).units_for(Money::from_pico(money)), units);
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(pico in any::<i64>().prop_filter("has a negation", |n| *n != i64::MIN)) {
        let money = Money::from_pico(pico);
        prop_assert_eq!(Money::parse_usd(&money.to_usd()), Ok(money));
        prop_assert_eq!(Money::from_text(&money.to_text()), Ok(money));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+0-9.eE]{0,24}") {
        let _ = Money::parse_usd(&text);
    }
}
