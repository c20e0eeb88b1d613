//! Automatic top-up: when the balance falls below a threshold, a saved card is charged. One attempt
//! at a time; each has a number, by which Stripe knows it again.

use super::billing::{BillingAnswer, BillingRefusal, Card, TopUpAttempt, TopUpOutcome, TopUpRow, TopUpRule};
use super::ledger;
use super::limit::LimitReset;
use super::store::{Column, Fault, Store};
use crate::money::Money;
use crate::time::Time;
use std::time::Duration;

/// After so many failures one after the other it is switched off.
pub const FAILURES: u64 = 3;
/// How long after a failure the card is charged again, at first; the next time four times as long.
pub const BACKOFF: Duration = Duration::from_secs(3600);
/// When an attempt without an outcome is made again.
pub const AGAIN: Duration = Duration::from_secs(120);
/// When an attempt without an outcome is given up. Stripe knows an attempt again for at least a day.
pub const GIVE_UP: Duration = Duration::from_secs(12 * 3600);
/// The longest that is kept of Stripe's words, in characters.
const REASON: usize = 300;

/// When the alarm has to look, for `next_alarm` of the account. A time that is over is now.
pub(super) const DUE_AT: &str = "(SELECT CASE WHEN pending IS NOT NULL THEN not_before
    WHEN (SELECT granted - charged FROM account) < threshold THEN not_before END
    FROM top_up WHERE enabled = 1 AND method IS NOT NULL)";

pub(super) fn set(store: &Store, rule: &TopUpRule) -> Result<BillingAnswer, Fault> {
    make_row(store)?;
    if rule.enabled && !get(store)?.has_card {
        return Ok(BillingAnswer::Refused { why: BillingRefusal::NoCard });
    }
    // Who switches it on again may have mended what failed. An attempt under way stays.
    store.write(
        "UPDATE top_up SET failures = CASE WHEN enabled = 1 THEN failures ELSE 0 END,
         reason = CASE WHEN enabled = 1 THEN reason END,
         not_before = CASE WHEN pending IS NULL THEN 1 ELSE not_before END,
         enabled = CAST(?1 AS INTEGER), threshold = CAST(?2 AS INTEGER),
         amount = CAST(?3 AS INTEGER), monthly_cap = CAST(?4 AS INTEGER)",
        &[rule.enabled.cell(), rule.threshold.cell(), rule.amount.cell(), rule.monthly_cap.cell()],
    )?;
    Ok(BillingAnswer::TopUp(get(store)?))
}

pub(super) fn get(store: &Store) -> Result<TopUpRow, Fault> {
    let row = store.row(
        &format!(
            "SELECT CAST(enabled AS TEXT), CAST(threshold AS TEXT), CAST(amount AS TEXT),
             CAST(monthly_cap AS TEXT), CAST(method IS NOT NULL AS TEXT), customer,
             CAST(pending IS NOT NULL AS TEXT), CAST(failures AS TEXT), reason,
             CAST({DUE_AT} AS TEXT) FROM top_up"
        ),
        &[],
    )?;
    let Some(mut row) = row else {
        let (threshold, amount) = (Money::ZERO, Money::ZERO);
        let rule = TopUpRule { enabled: false, threshold, amount, monthly_cap: None };
        let (customer, reason, next_alarm) = (None, None, None);
        return Ok(TopUpRow {
            rule,
            has_card: false,
            customer,
            pending: false,
            failures: 0,
            reason,
            next_alarm,
        });
    };
    Ok(TopUpRow {
        rule: TopUpRule {
            enabled: row.next()?,
            threshold: row.next()?,
            amount: row.next()?,
            monthly_cap: row.next()?,
        },
        has_card: row.next()?,
        customer: row.next()?,
        pending: row.next()?,
        failures: row.next()?,
        reason: row.next()?,
        next_alarm: row.next()?,
    })
}

/// Keeps a card unless a later one is kept.
pub(super) fn keep_card(store: &Store, card: &Card) -> Result<(), Fault> {
    make_row(store)?;
    store.write(
        "UPDATE top_up SET customer = ?1, method = ?2, saved_at = CAST(?3 AS INTEGER)
         WHERE saved_at < CAST(?3 AS INTEGER)",
        &[card.customer.cell(), card.method.cell(), card.saved_at.cell()],
    )
}

fn make_row(store: &Store) -> Result<(), Fault> {
    store.write("INSERT INTO top_up (one) VALUES (1) ON CONFLICT DO NOTHING", &[])
}

/// Ends the attempt that was paid.
pub(super) fn paid(store: &Store, attempt: u64) -> Result<(), Fault> {
    store.write(
        "UPDATE top_up SET pending = NULL, failures = 0, reason = NULL, not_before = 1
         WHERE pending = CAST(?1 AS INTEGER)",
        &[attempt.cell()],
    )
}

struct State {
    amount: Money,
    monthly_cap: Option<Money>,
    customer: String,
    method: String,
    pending: Option<u64>,
    pending_amount: Money,
    pending_at: Time,
}

pub(super) fn begin(store: &Store, now: Time) -> Result<BillingAnswer, Fault> {
    let due: Option<Time> = get(store)?.next_alarm;
    let Some(state) = read_state(store)?.filter(|_| due.is_some_and(|at| at <= now)) else {
        return Ok(BillingAnswer::NotDue { next_alarm: due });
    };
    let again = now.plus(AGAIN);
    if let Some(attempt) = state.pending {
        if now.since(state.pending_at) >= GIVE_UP {
            switch_off(store, "Stripe did not say what became of the last top-up")?;
            return Ok(BillingAnswer::NotDue { next_alarm: None });
        }
        wait_until(store, again)?;
        return attempt_of(store, &state, attempt, state.pending_amount);
    }
    if exceeds_cap(store, now, &state)? {
        let next_month = LimitReset::Monthly.resets_at(now);
        wait_until(store, next_month)?;
        return Ok(BillingAnswer::NotDue { next_alarm: Some(next_month) });
    }
    let row = store.row(
        "UPDATE top_up SET attempt = attempt + 1, pending = attempt + 1, pending_amount = amount,
         pending_at = CAST(?1 AS INTEGER), not_before = CAST(?2 AS INTEGER)
         RETURNING CAST(pending AS TEXT)",
        &[now.cell(), again.cell()],
    )?;
    let attempt = row.ok_or(Fault::Corrupt("attempt"))?.next()?;
    attempt_of(store, &state, attempt, state.amount)
}

fn attempt_of(store: &Store, state: &State, attempt: u64, amount: Money) -> Result<BillingAnswer, Fault> {
    let account = ledger::describe(store)?.id;
    let (customer, method) = (state.customer.clone(), state.method.clone());
    Ok(BillingAnswer::Due(TopUpAttempt { account, attempt, amount, customer, method }))
}

fn read_state(store: &Store) -> Result<Option<State>, Fault> {
    let row = store.row(
        "SELECT CAST(amount AS TEXT), CAST(monthly_cap AS TEXT), customer, method,
         CAST(pending AS TEXT), CAST(pending_amount AS TEXT), CAST(pending_at AS TEXT) FROM top_up
         WHERE customer IS NOT NULL AND method IS NOT NULL",
        &[],
    )?;
    row.map(|mut row| {
        let (amount, monthly_cap) = (row.next()?, row.next()?);
        let (customer, method) = (row.next()?, row.next()?);
        let (pending, pending_amount, pending_at) = (row.next()?, row.next()?, row.next()?);
        Ok(State { amount, monthly_cap, customer, method, pending, pending_amount, pending_at })
    })
    .transpose()
}

fn exceeds_cap(store: &Store, now: Time, state: &State) -> Result<bool, Fault> {
    let Some(cap) = state.monthly_cap else {
        return Ok(false);
    };
    let month = now.day().month_start().number().max(0) as u64;
    let row = store.row(
        "SELECT CAST(COALESCE(SUM(credit), 0) AS TEXT) FROM purchase
         WHERE attempt IS NOT NULL AND at >= CAST(?1 AS INTEGER) * 86400000",
        &[month.cell()],
    )?;
    let bought: Money = row.ok_or(Fault::Corrupt("sum"))?.next()?;
    Ok(bought.checked_add(state.amount).is_none_or(|sum| sum > cap))
}

pub(super) fn end(
    store: &Store,
    now: Time,
    attempt: u64,
    outcome: &TopUpOutcome,
) -> Result<BillingAnswer, Fault> {
    let row = get(store)?;
    let is_pending = read_state(store)?.is_some_and(|state| state.pending == Some(attempt));
    match outcome {
        // One that was replaced or has ended.
        _ if !is_pending => {}
        TopUpOutcome::Processing | TopUpOutcome::Unknown => wait_until(store, now.plus(AGAIN))?,
        TopUpOutcome::Declined(words) => {
            let failures = row.failures + 1;
            let longer = 4_u32.saturating_pow(row.failures.min(8) as u32);
            let words: String = words.chars().take(REASON).collect();
            store.write(
                "UPDATE top_up SET pending = NULL, failures = CAST(?1 AS INTEGER), reason = ?2,
                 not_before = CAST(?3 AS INTEGER)",
                &[failures.cell(), words.cell(), now.plus(BACKOFF * longer).cell()],
            )?;
            if failures >= FAILURES {
                store.write("UPDATE top_up SET enabled = 0", &[])?;
            }
        }
    }
    Ok(BillingAnswer::NotDue { next_alarm: get(store)?.next_alarm })
}

fn wait_until(store: &Store, at: Time) -> Result<(), Fault> {
    store.write("UPDATE top_up SET not_before = CAST(?1 AS INTEGER)", &[at.cell()])
}

fn switch_off(store: &Store, reason: &str) -> Result<(), Fault> {
    store.write("UPDATE top_up SET enabled = 0, pending = NULL, reason = ?1", &[reason.to_owned().cell()])
}
