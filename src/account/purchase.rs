//! Payments by Stripe, their refunds and their disputes. What is known of a payment only grows, and
//! the ledger follows from it: so events may come in any order, and as often as they like.

use super::billing::{BillingAnswer, BillingRefusal, Payment, PurchaseRow, Reversal, ReversalState};
use super::store::{Column, Fault, Store};
use super::{difference, lease, ledger, top_up};
use crate::money::Money;
use crate::time::Time;
use std::time::Duration;

/// How long after a payment its unspent credit may be refunded.
pub const REFUNDABLE: Duration = Duration::from_secs(24 * 3600);

pub(super) fn paid(store: &Store, now: Time, payment: &Payment) -> Result<BillingAnswer, Fault> {
    note(store, now, &payment.id)?;
    // The first that tells what was bought is believed; every other says the same.
    store.write(
        "UPDATE purchase SET credit = CAST(?2 AS INTEGER), paid = CAST(?3 AS INTEGER),
         attempt = CAST(?4 AS INTEGER), at = CAST(?5 AS INTEGER) WHERE payment = ?1 AND credit = 0",
        &[payment.id.cell(), payment.credit.cell(), payment.paid.cell(), payment.attempt.cell(), now.cell()],
    )?;
    if let Some(card) = &payment.card {
        top_up::keep_card(store, card)?;
    }
    if let Some(attempt) = payment.attempt {
        top_up::paid(store, attempt)?;
    }
    reconcile(store, now, &payment.id)
}

pub(super) fn refunded(
    store: &Store,
    now: Time,
    payment: &str,
    total: Money,
) -> Result<BillingAnswer, Fault> {
    note(store, now, payment)?;
    store.write(
        "UPDATE purchase SET refunded = MAX(refunded, CAST(?2 AS INTEGER)) WHERE payment = ?1",
        &[payment.to_owned().cell(), total.cell()],
    )?;
    reconcile(store, now, payment)
}

pub(super) fn reversed(store: &Store, now: Time, reversal: &Reversal) -> Result<BillingAnswer, Fault> {
    note(store, now, &reversal.payment)?;
    add_reversal(store, reversal)?;
    // An id belongs to the payment that it came with first.
    match find_reversal(store, &reversal.id)? {
        Some((payment, ..)) => reconcile(store, now, &payment),
        None => Err(Fault::Corrupt("reversal")),
    }
}

pub(super) fn ask_refund(
    store: &Store,
    now: Time,
    id: &str,
    payment: &str,
    amount: Option<Money>,
) -> Result<BillingAnswer, Fault> {
    if let Some((payment, amount, state)) = find_reversal(store, id)? {
        return Ok(BillingAnswer::RefundAsked { payment, amount, already: true, state });
    }
    lease::expire(store, now)?;
    let Some(purchase) = find(store, payment)?.filter(|purchase| purchase.credit > Money::ZERO) else {
        return Ok(BillingAnswer::Refused { why: BillingRefusal::UnknownPayment });
    };
    if now.since(purchase.at) > REFUNDABLE {
        return Ok(BillingAnswer::Refused { why: BillingRefusal::TooLate });
    }
    let left = to_cents(purchase.net.min(ledger::describe(store)?.available));
    let amount = amount.unwrap_or(left);
    if amount > left || amount <= Money::ZERO {
        return Ok(BillingAnswer::Refused { why: BillingRefusal::Spent });
    }
    let state = ReversalState::RefundMade;
    let reversal = Reversal { id: id.to_owned(), payment: payment.to_owned(), amount, state };
    add_reversal(store, &reversal)?;
    reconcile(store, now, payment)?;
    Ok(BillingAnswer::RefundAsked { payment: payment.to_owned(), amount, already: false, state })
}

/// What Stripe can move of an amount.
fn to_cents(amount: Money) -> Money {
    const CENT: i64 = crate::money::PICO_PER_USD / 100;
    Money::from_pico(amount.pico().div_euclid(CENT) * CENT)
}

pub(super) fn list(store: &Store) -> Result<Vec<PurchaseRow>, Fault> {
    let rows = store.rows(
        "SELECT payment, CAST(credit AS TEXT), CAST(paid AS TEXT), CAST(net AS TEXT),
         CAST(attempt IS NOT NULL AS TEXT), CAST(at AS TEXT) FROM purchase WHERE credit > 0
         ORDER BY at DESC, payment LIMIT 100",
        &[],
    )?;
    let read = |mut row: super::store::Row| {
        Ok(PurchaseRow {
            payment: row.next()?,
            credit: row.next()?,
            paid: row.next()?,
            net: row.next()?,
            automatic: row.next()?,
            at: row.next()?,
        })
    };
    rows.into_iter().map(read).collect()
}

struct Purchase {
    credit: Money,
    refunded: Money,
    net: Money,
    changes: u64,
    at: Time,
}

fn find(store: &Store, payment: &str) -> Result<Option<Purchase>, Fault> {
    let row = store.row(
        "SELECT CAST(credit AS TEXT), CAST(refunded AS TEXT), CAST(net AS TEXT), CAST(changes AS TEXT),
         CAST(at AS TEXT) FROM purchase WHERE payment = ?1",
        &[payment.to_owned().cell()],
    )?;
    row.map(|mut row| {
        let (credit, refunded, net) = (row.next()?, row.next()?, row.next()?);
        Ok(Purchase { credit, refunded, net, changes: row.next()?, at: row.next()? })
    })
    .transpose()
}

fn note(store: &Store, now: Time, payment: &str) -> Result<(), Fault> {
    store.write(
        "INSERT INTO purchase (payment, at) VALUES (?1, CAST(?2 AS INTEGER)) ON CONFLICT DO NOTHING",
        &[payment.to_owned().cell(), now.cell()],
    )
}

fn add_reversal(store: &Store, reversal: &Reversal) -> Result<(), Fault> {
    let kind = if reversal.state.is_refund() { "refund" } else { "dispute" };
    store.write(
        "INSERT INTO reversal (id, payment, kind, amount, state)
         VALUES (?1, ?2, ?3, CAST(?4 AS INTEGER), CAST(?5 AS INTEGER))
         ON CONFLICT (id) DO UPDATE SET state = MAX(state, excluded.state),
         amount = MAX(amount, excluded.amount)",
        &[
            reversal.id.cell(),
            reversal.payment.cell(),
            kind.to_owned().cell(),
            reversal.amount.cell(),
            (reversal.state as u64).cell(),
        ],
    )
}

fn find_reversal(store: &Store, id: &str) -> Result<Option<(String, Money, ReversalState)>, Fault> {
    let row = store.row(
        "SELECT payment, CAST(amount AS TEXT), CAST(state AS TEXT) FROM reversal WHERE id = ?1",
        &[id.to_owned().cell()],
    )?;
    row.map(|mut row| Ok((row.next()?, row.next()?, state(row.next()?)?))).transpose()
}

const STATES: [ReversalState; 7] = [
    ReversalState::DisputeWarned,
    ReversalState::DisputeTaken,
    ReversalState::DisputeReinstated,
    ReversalState::DisputeLost,
    ReversalState::DisputeWon,
    ReversalState::RefundMade,
    ReversalState::RefundFailed,
];

fn state(number: u64) -> Result<ReversalState, Fault> {
    STATES.get(number as usize).copied().ok_or(Fault::Corrupt("state"))
}

/// Makes the ledger say what is known of a payment: its credit, less what went back. A refund is
/// taken from the credit first, from the fee last.
fn reconcile(store: &Store, now: Time, payment: &str) -> Result<BillingAnswer, Fault> {
    let before = find(store, payment)?.ok_or(Fault::Corrupt("purchase"))?;
    if before.credit == Money::ZERO {
        return Ok(BillingAnswer::Recorded { changed: Money::ZERO });
    }
    let (mut net, mut changes) = (before.net, before.changes);
    if changes == 0 {
        add(store, now, &format!("stripe:{payment}"), before.credit, "payment")?;
        (net, changes) = (before.credit, 1);
    }
    let back = taken_back(store, payment, before.refunded)?.min(before.credit);
    let target = difference(before.credit, back)?;
    if target != net {
        let reason = if target < net { "refund or dispute" } else { "refund or dispute undone" };
        let change = difference(target, net)?;
        add(store, now, &format!("stripe:{payment}:{changes}"), change, reason)?;
        (net, changes) = (target, changes + 1);
    }
    store.write(
        "UPDATE purchase SET net = CAST(?2 AS INTEGER), changes = CAST(?3 AS INTEGER) WHERE payment = ?1",
        &[payment.to_owned().cell(), net.cell(), changes.cell()],
    )?;
    Ok(BillingAnswer::Recorded { changed: difference(net, before.net)? })
}

/// What refunds and disputes took, together. `refunded` counts refunds that Stripe told only the
/// sum of; it does not know of those that failed since, so with one that did, the single ones count.
fn taken_back(store: &Store, payment: &str, refunded: Money) -> Result<Money, Fault> {
    let rows = store.rows(
        "SELECT CAST(amount AS TEXT), CAST(state AS TEXT) FROM reversal WHERE payment = ?1",
        &[payment.to_owned().cell()],
    )?;
    let (mut refunds, mut disputes, mut failed) = (Money::ZERO, Money::ZERO, false);
    for mut row in rows {
        let (amount, state): (Money, ReversalState) = (row.next()?, state(row.next()?)?);
        failed |= state == ReversalState::RefundFailed;
        let sum = if state.is_refund() { &mut refunds } else { &mut disputes };
        if state.takes() {
            *sum = sum.checked_add(amount).ok_or(Fault::Corrupt("amount"))?;
        }
    }
    let refunds = if failed { refunds } else { refunds.max(refunded) };
    refunds.checked_add(disputes).ok_or(Fault::Corrupt("amount"))
}

/// Adds a row to the ledger, whatever is left: a payment that went back is gone, spent or not.
fn add(store: &Store, now: Time, id: &str, amount: Money, reason: &str) -> Result<(), Fault> {
    let account = ledger::describe(store)?;
    let granted = account.granted.checked_add(amount).ok_or(Fault::Corrupt("total"))?;
    account.available.checked_add(amount).ok_or(Fault::Corrupt("total"))?;
    ledger::add_grant(store, now, id, amount, granted, &format!("Stripe: {reason}"))
}
