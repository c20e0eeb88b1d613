//! Holds: money set aside for one request until it is settled or its time is over.

use super::command::{Answer, Hold, Refusal};
use super::keyring;
use super::ledger::{self, refused};
use super::store::{Column, Fault, Store};
use super::{difference, next_alarm};
use crate::id::GenerationId;
use crate::money::Money;
use crate::time::Time;

pub(super) fn hold(store: &Store, now: Time, hold: &Hold) -> Result<Answer, Fault> {
    expire(store, now)?;
    if let Some((amount, expires_at)) = open(store, &hold.generation)? {
        return held(store, hold, amount, expires_at);
    }
    if hold.expires_at <= now || has_ended(store, &hold.generation)? {
        return Ok(refused(Refusal::Ended));
    }
    match grantable(store, now, hold)? {
        Ok(amount) => {
            add(store, hold, amount)?;
            held(store, hold, amount, hold.expires_at)
        }
        Err(refusal) => Ok(refused(refusal)),
    }
}

fn held(store: &Store, hold: &Hold, amount: Money, expires_at: Time) -> Result<Answer, Fault> {
    let generation = hold.generation.clone();
    Ok(Answer::Held { generation, amount, expires_at, next_alarm: next_alarm(store)? })
}

/// How much of the hold's amount can be set aside, or why not even its minimum can.
fn grantable(store: &Store, now: Time, hold: &Hold) -> Result<Result<Money, Refusal>, Fault> {
    let needed = hold.minimum.unwrap_or(hold.amount);
    let account = ledger::describe(store)?;
    let key = match keyring::find_spending(store, now, &account.id, &hold.key)? {
        Ok(key) => key,
        Err(reason) => return Ok(Err(Refusal::Key { reason })),
    };
    let key_available = keyring::available(store, now, &key)?;
    if let Some(available) = key_available.filter(|available| *available < needed) {
        let missing = difference(needed, available)?;
        let resets_at = key.limit_reset.map(|reset| reset.resets_at(now));
        return Ok(Err(Refusal::KeyLimit { available, missing, resets_at }));
    }
    let available = account.available;
    if available < needed {
        return Ok(Err(Refusal::Credit { available, missing: difference(needed, available)? }));
    }
    Ok(Ok(hold.amount.min(available).min(key_available.unwrap_or(Money::MAX))))
}

fn add(store: &Store, hold: &Hold, amount: Money) -> Result<(), Fault> {
    store.write(
        "INSERT INTO lease (generation, key_hash, amount, expires_at)
         VALUES (?1, ?2, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER))",
        &[hold.generation.cell(), hold.key.cell(), amount.cell(), hold.expires_at.cell()],
    )?;
    store.write("UPDATE account SET held = held + CAST(?1 AS INTEGER)", &[amount.cell()])?;
    store.write(
        "UPDATE api_key SET held = held + CAST(?2 AS INTEGER) WHERE hash = ?1",
        &[hold.key.cell(), amount.cell()],
    )
}

/// The amount and expiry of an open hold.
fn open(store: &Store, generation: &GenerationId) -> Result<Option<(Money, Time)>, Fault> {
    let row = store.row(
        "SELECT CAST(amount AS TEXT), CAST(expires_at AS TEXT) FROM lease WHERE generation = ?1",
        &[generation.cell()],
    )?;
    row.map(|mut row| Ok((row.next()?, row.next()?))).transpose()
}

pub(super) fn is_open(store: &Store, generation: &GenerationId) -> Result<bool, Fault> {
    Ok(open(store, generation)?.is_some())
}

fn has_ended(store: &Store, generation: &GenerationId) -> Result<bool, Fault> {
    let statement = "SELECT id FROM ledger WHERE id = ?1 AND kind IN ('charge', 'expiry')";
    Ok(store.row(statement, &[generation.cell()])?.is_some())
}

/// Ends a hold and returns what it held; `None` if it is not open.
pub(super) fn take(store: &Store, generation: &GenerationId) -> Result<Option<Money>, Fault> {
    let row = store.row(
        "DELETE FROM lease WHERE generation = ?1 RETURNING key_hash, CAST(amount AS TEXT)",
        &[generation.cell()],
    )?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    let (key, amount): (String, Money) = (row.next()?, row.next()?);
    store.write("UPDATE account SET held = held - CAST(?1 AS INTEGER)", &[amount.cell()])?;
    store.write(
        "UPDATE api_key SET held = held - CAST(?2 AS INTEGER) WHERE hash = ?1",
        &[key.cell(), amount.cell()],
    )?;
    Ok(Some(amount))
}

/// Gives back every hold whose time is over, and says how many.
pub(super) fn expire(store: &Store, now: Time) -> Result<u64, Fault> {
    let over = [now.cell()];
    let row = store.row(
        "SELECT CAST(COUNT(*) AS TEXT), CAST(COALESCE(SUM(amount), 0) AS TEXT) FROM lease
         WHERE expires_at <= CAST(?1 AS INTEGER)",
        &over,
    )?;
    let mut row = row.ok_or(Fault::Corrupt("number"))?;
    let (count, total): (u64, Money) = (row.next()?, row.next()?);
    if count == 0 {
        return Ok(0);
    }
    store.write(
        "INSERT INTO ledger (id, kind, key_hash, amount, held, at)
         SELECT generation, 'expiry', key_hash, 0, amount, CAST(?1 AS INTEGER) FROM lease
         WHERE expires_at <= CAST(?1 AS INTEGER) ORDER BY expires_at",
        &over,
    )?;
    store.write(
        "UPDATE api_key SET held = held - (SELECT SUM(amount) FROM lease
         WHERE key_hash = api_key.hash AND expires_at <= CAST(?1 AS INTEGER))
         WHERE hash IN (SELECT key_hash FROM lease WHERE expires_at <= CAST(?1 AS INTEGER))",
        &over,
    )?;
    store.write("UPDATE account SET held = held - CAST(?1 AS INTEGER)", &[total.cell()])?;
    store.write("DELETE FROM lease WHERE expires_at <= CAST(?1 AS INTEGER)", &over)?;
    Ok(count)
}
