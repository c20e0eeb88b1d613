//! Limits of free models: one count for all keys of an account, by the minute and by the day in UTC.
//! Attempts that fail count; what is refused does not.

use super::{Limited, MINUTE_MS, Measure, count, minute_of};
use crate::account::store::{Column, Fault, Store};
use crate::money::Money;
use crate::routing::rate::FreeLimits;
use crate::time::Time;

const DAY_MS: u64 = 86_400_000;
const PICO_PER_DOLLAR: i64 = 1_000_000_000_000;
/// The number that no limit of an account's own has.
const FREE: u64 = 0;
const MINUTE: &str = "minute";
const DAY: &str = "day";

/// Counts a request for a free model, or says which limit it is beyond. `granted` is what the account was
/// given in all.
pub(in crate::account) fn admit(
    store: &Store,
    now: Time,
    limits: FreeLimits,
    granted: Money,
) -> Result<Option<Limited>, Fault> {
    let (minute, day) = (minute_of(now), now.ms() / DAY_MS);
    let (per_day, low) = per_day(limits, granted);
    let of_day = if low { Measure::FreePerDayLow } else { Measure::FreePerDay };
    let spans = [
        (of_day, per_day, DAY, day, DAY_MS),
        (Measure::FreePerMinute, limits.per_minute, MINUTE, minute, MINUTE_MS),
    ];
    for (measure, most, name, number, length_ms) in spans {
        if most > 0 && taken(store, name, number)? >= u64::from(most) {
            let resets_at = Time::from_ms((number + 1) * length_ms);
            let wait_ms = resets_at.ms().saturating_sub(now.ms());
            let most = u64::from(most);
            return Ok(Some(Limited { measure, most, remaining: 0, resets_at, wait_ms, limit: None }));
        }
    }
    count(store, FREE, MINUTE, minute, 1, 0)?;
    count(store, FREE, DAY, day, 1, 0)?;
    Ok(None)
}

/// The limit of a day, 0 for none, and whether it is the lower one, for an account that was given so much.
pub(in crate::account) fn per_day(limits: FreeLimits, granted: Money) -> (u32, bool) {
    limits.of_day(granted.pico() / PICO_PER_DOLLAR)
}

/// Requests for free models in the day so far.
pub(in crate::account) fn used_today(store: &Store, now: Time) -> Result<u64, Fault> {
    taken(store, DAY, now.ms() / DAY_MS)
}

fn taken(store: &Store, name: &str, number: u64) -> Result<u64, Fault> {
    let row = store.row(
        "SELECT CAST(requests AS TEXT) FROM rate_count
         WHERE rate = CAST(?1 AS INTEGER) AND who = ?2 AND minute >= CAST(?3 AS INTEGER)",
        &[FREE.cell(), name.to_owned().cell(), number.cell()],
    )?;
    row.map_or(Ok(0), |mut row| row.next())
}
