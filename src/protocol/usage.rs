//! The numbers of a provider's usage, which may be absurd, and what the writers of ours share. The
//! names of the members are for the protocols to know.

use crate::chat::Bill;
use crate::json::{self, Members};
use crate::money::{Money, MoneyError};

/// The greatest whole number that every JSON reader takes exactly: 2^53 - 1.
const SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// A count under `key`, however absurd: beyond the range it is the nearest end of it.
pub fn count(members: &Members<'_>, key: &str) -> Option<u64> {
    read_count(members.value(key)?)
}

/// A count from the JSON text of a number.
pub fn read_count(text: &str) -> Option<u64> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return None;
    }
    // A cast from a float saturates, and makes 0 of what is below it.
    json::whole(text).or_else(|| text.parse::<f64>().ok().map(|number| number as u64))
}

/// Overwrites what was counted, if there is a newer count.
pub fn update<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

/// Takes a part away from the rest, at most all of it: providers have reported greater ones.
pub fn part(left: &mut u64, part: Option<u64>) -> u64 {
    let part = part.unwrap_or(0).min(*left);
    *left -= part;
    part
}

/// Reads an amount of dollars. A provider's own float noise below a picodollar is rounded up.
pub fn dollars(text: &str) -> Option<Money> {
    match Money::parse_usd(text) {
        Ok(money) => Some(money),
        Err(MoneyError::TooFine) => {
            let (whole, part) = text.split_once('.')?;
            let cut = Money::parse_usd(&format!("{whole}.{}", part.get(..12)?)).ok()?;
            cut.checked_add(Money::from_pico(1))
        }
        Err(MoneyError::NotANumber | MoneyError::TooLarge | MoneyError::Negative) => None,
    }
}

/// A count as it may be written.
pub fn safe(count: u64) -> u64 {
    count.min(SAFE_INTEGER)
}

/// What the provider is owed: its two parts, or the whole where they are not known.
pub fn upstream_cost(bill: &Bill) -> Money {
    match bill.prompt_cost.checked_add(bill.completion_cost) {
        Some(sum) if sum > Money::ZERO || bill.is_byok => sum,
        Some(_) | None => bill.cost,
    }
}
