//! One account under whatever commands the input makes of it, budgets among them, beside the model of the
//! native test: both answer alike, and the totals add up after each.

#[allow(dead_code, unused_imports)]
#[path = "../../tests/gateway/account_ledger.rs"]
mod model;

use millrace::account::LimitReset;
use model::{Step, agrees};

const MOST_STEPS: usize = 200;

/// The input is a script of ten bytes for each step: verb, generation, key, amount (two), span (two), pause
/// and its unit, then which step is told again and whose window is set.
pub fn check(data: &[u8]) {
    let steps: Vec<Step> = data.as_chunks::<10>().0.iter().take(MOST_STEPS).map(|step| read(*step)).collect();
    assert_eq!(agrees(&steps), Ok(()));
}

fn read([verb, generation, key, high, low, far, near, pause, unit, more]: [u8; 10]) -> Step {
    let number = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let unit_ms = [1, 20, 100, 1000, 800_000][usize::from(unit % 5)];
    let windows = [None, Some(LimitReset::Daily), Some(LimitReset::Weekly), Some(LimitReset::Monthly)];
    Step {
        pause_ms: unit_ms * u64::from(pause),
        replay: (more % 7 == 6).then_some(usize::from(unit)),
        verb: u32::from(verb % 100),
        generation: u32::from(generation % 40),
        key: u32::from(key % 4),
        amount: i64::from(number(high, low) % 1000),
        span_ms: u64::from(number(far, near)) * 90_000 / 65_536,
        flag: key >= 128,
        reset: windows[usize::from(more / 7 % 4)],
    }
}
