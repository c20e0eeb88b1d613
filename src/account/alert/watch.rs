//! What charges are worth telling. Each alert comes once: it is noted that it was given, and it may be
//! given again when what it tells of is over, by a margin.

use super::{FallbackSpike, Settings, UnusualSpend, outbox};
use crate::account::budget::{self, Per, Standing, Tags};
use crate::account::keyring;
use crate::account::ledger;
use crate::account::limit::LimitReset;
use crate::account::report::{Settle, Settled};
use crate::account::store::{Column, Fault, Store};
use crate::account::{GenerationRecord, KeyRow, Refusal};
use crate::id::KeyHash;
use crate::json;
use crate::money::Money;
use crate::time::Time;
use std::collections::BTreeSet;

const MS_PER_HOUR: u64 = 3_600_000;
const MS_PER_MINUTE: u64 = 60_000;
/// What is usual is looked for in so many hours before this one, of which there must be a day's.
const HOURS: u64 = 7 * 24;
const LEAST_HOURS: u64 = 24;
/// Fallbacks are counted over so many minutes.
const MINUTES: u64 = 10;
/// The parts of a limit that are told of, in percent.
const PARTS: [(u64, &str); 2] = [(80, "approached"), (100, "reached")];

/// Looks at what was charged just now.
pub(in crate::account) fn watch(
    store: &Store,
    now: Time,
    charges: &[Settle],
    settled: &[Settled],
) -> Result<(), Fault> {
    let new: Vec<&Settle> = charges
        .iter()
        .zip(settled)
        .filter(|(_, settled)| !settled.already)
        .map(|(settle, _)| settle)
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let Some(standing) = super::get(store)?.filter(|standing| standing.settings.enabled) else {
        return Ok(());
    };
    let Settings { low_balance, unusual_spend, fallback_spike, .. } = &standing.settings;
    for key in new.iter().map(|settle| &settle.key).collect::<BTreeSet<_>>() {
        watch_limit(store, now, key, Asked::Charged)?;
        watch_budgets(store, now, key)?;
    }
    if let Some(threshold) = low_balance {
        watch_balance(store, now, *threshold)?;
    }
    let spent = new.iter().map(|settle| settle.amount.pico()).fold(0, i64::saturating_add);
    if let Some(unusual) = unusual_spend {
        watch_hour(store, now, Money::from_pico(spent), unusual)?;
    }
    if let Some(spike) = fallback_spike {
        watch_fallbacks(store, now, &new, spike)?;
    }
    Ok(())
}

/// Looks at the limit or the budget that had too little left for a request: that is its end as well,
/// since what is left may be too little for any request.
pub(in crate::account) fn watch_refusal(
    store: &Store,
    now: Time,
    key: &KeyHash,
    refusal: &Refusal,
) -> Result<(), Fault> {
    if super::get(store)?.is_none_or(|standing| !standing.settings.enabled) {
        return Ok(());
    }
    match refusal {
        Refusal::KeyLimit { .. } => watch_limit(store, now, key, Asked::Refused),
        Refusal::Budget { standing, .. } => watch_budget(store, now, standing, Asked::Refused),
        Refusal::Key { .. } | Refusal::Credit { .. } | Refusal::Rate(_) | Refusal::Ended => Ok(()),
    }
}

/// What has just become of a request.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Charged,
    Refused,
}

impl Asked {
    /// How many percent of a limit are used, and whether that is below what is told of.
    fn used(self, spent: Money, limit: Money) -> (u64, bool) {
        let used = percent_of(spent, limit);
        let is_calm = used < PARTS[0].0;
        match self {
            Asked::Refused if !is_calm => (used.max(100), is_calm),
            Asked::Refused | Asked::Charged => (used, is_calm),
        }
    }
}

/// Both alerts are armed again below the first one's part: in another window, or by a higher limit.
fn watch_limit(store: &Store, now: Time, hash: &KeyHash, asked: Asked) -> Result<(), Fault> {
    let Some(key) = keyring::find(store, hash)? else {
        return Ok(());
    };
    let line = key.line.clone().unwrap_or_else(|| hash.clone());
    let row = keyring::row(store, now, &ledger::describe(store)?, key)?;
    let Some(limit) = row.limit.filter(|limit| *limit > Money::ZERO) else {
        return Ok(());
    };
    let window = row.limit_reset.map_or(0, |reset| reset.window_start(now.day()).number().max(0) as u64);
    let spent = spent(&row);
    let (used, is_calm) = asked.used(spent, limit);
    for (percent, words) in PARTS {
        if turn(store, &format!("key:{line}:{percent}"), window, used >= percent, is_calm)? {
            let data = format!(
                r#"{{"key_hash":"{hash}","key_name":{},"key_label":{},"percent":{percent},"limit":"{}","spent":"{}","limit_reset":{},"resets_at":{}}}"#,
                json::quote(&row.name),
                json::quote(&row.label),
                limit.to_usd(),
                spent.to_usd(),
                row.limit_reset.map_or("null".to_owned(), |reset| json::quote(reset.as_str())),
                row.limit_resets_at.map_or("null".to_owned(), |at| json::quote(&at.to_iso8601())),
            );
            outbox::add(store, now, &format!("key.limit.{words}"), &data)?;
        }
    }
    Ok(())
}

/// Looks at the budgets that are about a key, but for those that are counted by end users: their names
/// are not for others to see.
fn watch_budgets(store: &Store, now: Time, hash: &KeyHash) -> Result<(), Fault> {
    if !budget::any(store)? {
        return Ok(());
    }
    let owner = keyring::owner(store, hash)?;
    let tags = Tags { key: hash.clone(), owner, end_user: None, models: Vec::new() };
    let standings = budget::standings(store, now, &tags)?;
    standings.iter().try_for_each(|standing| watch_budget(store, now, standing, Asked::Charged))
}

fn watch_budget(store: &Store, now: Time, standing: &Standing, asked: Asked) -> Result<(), Fault> {
    let Standing { budget, who, spent, resets_at, .. } = standing;
    if budget.amount <= Money::ZERO || budget.per == Per::EndUser {
        return Ok(());
    }
    let (used, is_calm) = asked.used(*spent, budget.amount);
    for (percent, words) in PARTS {
        let name = format!("budget:{}:{who}:{percent}", budget.id);
        if turn(store, &name, resets_at.map_or(0, Time::ms), used >= percent, is_calm)? {
            let data = serde_json::json!({
                "budget_id": budget.id,
                "scope": budget.scope,
                "subject": budget.subject,
                "counted_for": Some(who).filter(|who| !who.is_empty()),
                "model": budget.model,
                "percent": percent,
                "limit": budget.amount.to_usd(),
                "spent": spent.to_usd(),
                "limit_reset": budget.window,
                "resets_at": resets_at.map(Time::to_iso8601),
            });
            outbox::add(store, now, &format!("budget.{words}"), &data.to_string())?;
        }
    }
    Ok(())
}

/// What a key has spent in its limit's window.
fn spent(row: &KeyRow) -> Money {
    match row.limit_reset {
        None => row.usage.total,
        Some(LimitReset::Daily) => row.usage.daily,
        Some(LimitReset::Weekly) => row.usage.weekly,
        Some(LimitReset::Monthly) => row.usage.monthly,
    }
}

/// How many whole percent `part` is of `whole`, which is not zero.
fn percent_of(part: Money, whole: Money) -> u64 {
    let percent = i128::from(part.pico()) * 100 / i128::from(whole.pico());
    u64::try_from(percent).unwrap_or(0)
}

/// Given again only after the balance was a tenth above the threshold.
fn watch_balance(store: &Store, now: Time, threshold: Money) -> Result<(), Fault> {
    let account = ledger::describe(store)?;
    let balance = i128::from(account.granted.pico()) - i128::from(account.charged.pico());
    let is_low = balance < i128::from(threshold.pico());
    let is_well = balance * 10 >= i128::from(threshold.pico()) * 11;
    if turn(store, "balance", 0, is_low, is_well)? {
        let balance = Money::from_pico(i64::try_from(balance).unwrap_or(i64::MIN));
        let data = format!(r#"{{"balance":"{}","threshold":"{}"}}"#, balance.to_usd(), threshold.to_usd());
        outbox::add(store, now, "balance.low", &data)?;
    }
    Ok(())
}

/// One alert for an hour, and none for the hours that follow on it and are no better.
fn watch_hour(store: &Store, now: Time, spent: Money, unusual: &UnusualSpend) -> Result<(), Fault> {
    let hour = now.ms() / MS_PER_HOUR;
    store.write(
        "INSERT INTO alert_hour (hour, spent) VALUES (CAST(?1 AS INTEGER), CAST(?2 AS INTEGER))
         ON CONFLICT DO UPDATE SET spent = spent + excluded.spent",
        &[hour.cell(), spent.cell()],
    )?;
    store.write(
        "DELETE FROM alert_hour WHERE hour < CAST(?1 AS INTEGER)",
        &[hour.saturating_sub(HOURS).cell()],
    )?;
    let row = store.row(
        "SELECT CAST((SELECT spent FROM alert_hour WHERE hour = CAST(?1 AS INTEGER)) AS TEXT),
         CAST(COALESCE(SUM(spent), 0) AS TEXT),
         CAST((SELECT since / 3600000 FROM alert_settings) AS TEXT) FROM alert_hour
         WHERE hour < CAST(?1 AS INTEGER)",
        &[hour.cell()],
    )?;
    let mut row = row.ok_or(Fault::Corrupt("hour"))?;
    let (this_hour, before, since): (Money, Money, u64) = (row.next()?, row.next()?, row.next()?);
    let hours = hour.saturating_sub(since).min(HOURS);
    let is_beyond = i128::from(this_hour.pico()) * i128::from(hours)
        > i128::from(before.pico()) * i128::from(unusual.factor);
    let is_unusual = hours >= LEAST_HOURS && is_beyond && this_hour > unusual.floor;
    let last = state(store, "hour")?;
    if !is_unusual {
        return Ok(());
    }
    note(store, "hour", hour)?;
    if last.is_some_and(|last| last + 1 >= hour) {
        return Ok(());
    }
    let mean = Money::from_pico(before.pico() / (hours as i64).max(1));
    let data = format!(
        r#"{{"spent":"{}","usual":"{}","factor":{},"hour":"{}"}}"#,
        this_hour.to_usd(),
        mean.to_usd(),
        unusual.factor,
        Time::from_ms(hour * MS_PER_HOUR).to_iso8601(),
    );
    outbox::add(store, now, "spend.unusual", &data)
}

/// Given again only after the share was below half of what is told of.
fn watch_fallbacks(store: &Store, now: Time, new: &[&Settle], spike: &FallbackSpike) -> Result<(), Fault> {
    let records = new.iter().filter_map(|settle| settle.record.as_deref());
    let records: Vec<GenerationRecord> =
        records.filter_map(|record| crate::json::read(record).ok()).collect();
    let served = records.iter().filter(|record| record.provider.is_some()).count() as u64;
    let fell_back = records.iter().filter(|record| fell_back(record)).count() as u64;
    let minute = now.ms() / MS_PER_MINUTE;
    store.write(
        "INSERT INTO alert_minute (minute, served, fell_back)
         VALUES (CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), CAST(?3 AS INTEGER)) ON CONFLICT DO UPDATE
         SET served = served + excluded.served, fell_back = fell_back + excluded.fell_back",
        &[minute.cell(), served.cell(), fell_back.cell()],
    )?;
    store.write(
        "DELETE FROM alert_minute WHERE minute <= CAST(?1 AS INTEGER)",
        &[minute.saturating_sub(MINUTES).cell()],
    )?;
    let row =
        store.row("SELECT CAST(SUM(served) AS TEXT), CAST(SUM(fell_back) AS TEXT) FROM alert_minute", &[])?;
    let mut row = row.ok_or(Fault::Corrupt("minute"))?;
    let (served, fell_back): (u64, u64) = (row.next()?, row.next()?);
    let share = fell_back * 100;
    let is_spike = served >= spike.requests && share >= spike.percent * served;
    let is_calm = share * 2 < spike.percent * served;
    if turn(store, "fallback", 0, is_spike, is_calm)? {
        let data = format!(
            r#"{{"requests":{served},"fallbacks":{fell_back},"percent":{},"minutes":{MINUTES}}}"#,
            share / served.max(1)
        );
        outbox::add(store, now, "fallback.spike", &data)?;
    }
    Ok(())
}

/// Whether a provider answered after another attempt had failed. One that was outrun has not.
fn fell_back(record: &GenerationRecord) -> bool {
    let failed = |status: Option<u16>| status.is_none_or(|status| status >= 400);
    let failures = record.attempts.iter().filter(|attempt| failed(attempt.status)).count();
    record.provider.is_some() && failures > usize::from(record.hedge_loser_cost.is_some())
}

/// Whether an alert is to be given: it is armed, and its cause is there. It is armed again where the
/// cause is gone, or in another window.
fn turn(store: &Store, name: &str, window: u64, is_on: bool, is_off: bool) -> Result<bool, Fault> {
    let was_given = state(store, name)? == Some(window);
    if is_on && !was_given {
        note(store, name, window)?;
        return Ok(true);
    }
    if is_off && was_given {
        store.write("DELETE FROM alert_state WHERE name = ?1", &[name.to_owned().cell()])?;
    }
    Ok(false)
}

/// The window in which an alert was last given.
fn state(store: &Store, name: &str) -> Result<Option<u64>, Fault> {
    let statement = "SELECT CAST(window AS TEXT) FROM alert_state WHERE name = ?1";
    store.row(statement, &[name.to_owned().cell()])?.map(|mut row| row.next()).transpose()
}

fn note(store: &Store, name: &str, window: u64) -> Result<(), Fault> {
    store.write(
        "INSERT INTO alert_state (name, window) VALUES (?1, CAST(?2 AS INTEGER))
         ON CONFLICT DO UPDATE SET window = excluded.window",
        &[name.to_owned().cell(), window.cell()],
    )
}
