//! Leases: money set aside until it is charged, given back, or its time is over. A lease is for one
//! request (a hold) or for the requests of one isolate; to the account's totals they are the same.

use super::command::Refusal;
use super::difference;
use super::keyring::{self, Key};
use super::ledger;
use super::report::{Held, Hold, LeaseReport, LeaseState};
use super::store::{Column, Fault, Store};
use crate::id::{GenerationId, KeyHash, LeaseId};
use crate::money::Money;
use crate::time::Time;
use std::time::Duration;

/// For how long an isolate may admit requests after it asked: as long as a change to a key may go
/// unnoticed there.
pub const ADMITS: Duration = Duration::from_secs(10);

/// An isolate's lease is at most this part of what the account, or the key's limit, has left with it.
const PART: i64 = 16;

/// Whether money may be set aside for a key, and how much of which counter is left. Whatever else
/// is to bound a lease (a budget, a rate) is one more counter here.
struct Room {
    key: Key,
    counters: [Option<Counter>; 2],
}

/// Something that runs out.
struct Counter {
    level: Level,
    available: Money,
}

#[derive(Clone, Copy)]
enum Level {
    KeyLimit,
    Credit,
}

impl Room {
    /// The narrowest levels come first: where several are short, the first is named.
    fn find(store: &Store, now: Time, hash: &KeyHash) -> Result<Result<Room, Refusal>, Fault> {
        let account = ledger::describe(store)?;
        let key = match keyring::find_spending(store, now, &account.id, hash)? {
            Ok(key) => key,
            Err(reason) => return Ok(Err(Refusal::Key { reason })),
        };
        let limit = keyring::available(store, now, &key)?;
        let limit = limit.map(|available| Counter { level: Level::KeyLimit, available });
        let credit = Counter { level: Level::Credit, available: account.available };
        Ok(Ok(Room { key, counters: [limit, Some(credit)] }))
    }

    fn counters(&self) -> impl Iterator<Item = &Counter> {
        self.counters.iter().flatten()
    }

    /// What can be set aside, or which counter has less than is needed.
    fn admit(&self, now: Time, needed: Money, wanted: Money) -> Result<Result<Money, Refusal>, Fault> {
        for Counter { level, available } in self.counters() {
            if *available < needed {
                let (available, missing) = (*available, difference(needed, *available)?);
                return Ok(Err(match level {
                    Level::Credit => Refusal::Credit { available, missing },
                    Level::KeyLimit => {
                        let resets_at = self.key.limit_reset.map(|reset| reset.resets_at(now));
                        Refusal::KeyLimit { available, missing, resets_at }
                    }
                }));
            }
        }
        Ok(Ok(self.counters().map(|counter| counter.available).fold(wanted, Money::min)))
    }

    /// The most that a lease may hold that holds `amount` now.
    fn slice(&self, amount: Money) -> Money {
        let part = |counter: &Counter| counter.available.pico().saturating_add(amount.pico()) / PART;
        Money::from_pico(self.counters().map(part).min().unwrap_or(0))
    }
}

/// Sets money aside for one request.
pub(super) fn hold(store: &Store, now: Time, hold: &Hold) -> Result<Held, Fault> {
    if let Some(Lease { amount, expires_at, .. }) = open(store, hold.generation.as_str())? {
        return Ok(Held::Held { amount, expires_at });
    }
    if hold.expires_at <= now || has_ended(store, hold.generation.as_str())? {
        return Ok(Held::Refused { refusal: Refusal::Ended });
    }
    let needed = hold.minimum.unwrap_or(hold.amount);
    let room = match Room::find(store, now, &hold.key)? {
        Ok(room) => room,
        Err(refusal) => return Ok(Held::Refused { refusal }),
    };
    match room.admit(now, needed, hold.amount)? {
        Ok(amount) => {
            let expires_at = hold.expires_at;
            add(
                store,
                hold.generation.as_str(),
                &Lease { key: hold.key.clone(), amount, expires_at, report: 0 },
            )?;
            Ok(Held::Held { amount, expires_at })
        }
        Err(refusal) => Ok(Held::Refused { refusal }),
    }
}

/// Makes, enlarges, shrinks or ends an isolate's lease as it reports. Never takes from it what the
/// isolate has not offered.
pub(super) fn renew(store: &Store, now: Time, report: &LeaseReport) -> Result<LeaseState, Fault> {
    let state = |amount, admits_ms| LeaseState { id: report.id.clone(), amount, admits_ms, ended: false };
    let none = || LeaseState { ended: true, ..state(Money::ZERO, 0) };
    let id = report.id.as_str();
    let (before, is_new) = match open(store, id)? {
        Some(lease) if lease.key != report.key => return Ok(none()),
        Some(lease) if lease.report >= report.number => return Ok(state(lease.amount, 0)),
        Some(lease) => (lease, false),
        None if report.number > 1 || has_ended(store, id)? => return Ok(none()),
        None => {
            let (key, amount) = (report.key.clone(), Money::ZERO);
            (Lease { key, amount, expires_at: now, report: 0 }, true)
        }
    };
    let room = Room::find(store, now, &report.key)?.ok();
    let amount = amount_of(&before, report, room.as_ref());
    let solvent = room.is_some_and(|room| room.counters().all(|counter| !counter.available.is_negative()));
    let admits = solvent && (amount > report.open || report.unit == Money::ZERO);
    let outlives = ADMITS + Duration::from_millis(report.outlives_ms);
    let expires_at = if admits { now.plus(outlives).max(before.expires_at) } else { before.expires_at };
    let after = Lease { key: before.key.clone(), amount, expires_at, report: report.number };
    match (is_new, admits) {
        (true, false) => return Ok(none()),
        (true, true) => add(store, id, &after)?,
        (false, _) => replace(store, id, &before, &after)?,
    }
    Ok(state(amount, if admits { ADMITS.as_millis() as u64 } else { 0 }))
}

/// What a lease is to hold: what the isolate wants, but no more than a slice of what there is, and
/// not less than it had unless it wants less.
fn amount_of(before: &Lease, report: &LeaseReport, room: Option<&Room>) -> Money {
    if report.want <= before.amount {
        return report.want;
    }
    let slice = room.map_or(Money::ZERO, |room| room.slice(before.amount));
    let amount = report.want.min(slice).max(before.amount);
    let two = report.open.pico().saturating_add(report.unit.pico().saturating_mul(2));
    if amount.pico() < two { before.amount } else { amount }
}

/// Money set aside.
struct Lease {
    key: KeyHash,
    amount: Money,
    expires_at: Time,
    /// The last report of its isolate; 0 for a lease of one request.
    report: u64,
}

fn add(store: &Store, id: &str, lease: &Lease) -> Result<(), Fault> {
    store.write(
        "INSERT INTO lease (id, key_hash, amount, expires_at, report)
         VALUES (?1, ?2, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER), CAST(?5 AS INTEGER))",
        &[
            id.to_owned().cell(),
            lease.key.cell(),
            lease.amount.cell(),
            lease.expires_at.cell(),
            lease.report.cell(),
        ],
    )?;
    add_to_held(store, &lease.key, lease.amount)
}

fn replace(store: &Store, id: &str, before: &Lease, after: &Lease) -> Result<(), Fault> {
    store.write(
        "UPDATE lease SET amount = CAST(?2 AS INTEGER), expires_at = CAST(?3 AS INTEGER),
         report = CAST(?4 AS INTEGER) WHERE id = ?1",
        &[id.to_owned().cell(), after.amount.cell(), after.expires_at.cell(), after.report.cell()],
    )?;
    add_to_held(store, &after.key, difference(after.amount, before.amount)?)
}

/// Adds to what the totals say is held; a negative amount takes away.
fn add_to_held(store: &Store, key: &KeyHash, amount: Money) -> Result<(), Fault> {
    if amount == Money::ZERO {
        return Ok(());
    }
    store.write("UPDATE account SET held = held + CAST(?1 AS INTEGER)", &[amount.cell()])?;
    store.write(
        "UPDATE api_key SET held = held + CAST(?2 AS INTEGER) WHERE hash = ?1",
        &[key.cell(), amount.cell()],
    )
}

/// A lease that has not ended.
fn open(store: &Store, id: &str) -> Result<Option<Lease>, Fault> {
    let row = store.row(
        "SELECT key_hash, CAST(amount AS TEXT), CAST(expires_at AS TEXT), CAST(report AS TEXT)
         FROM lease WHERE id = ?1",
        &[id.to_owned().cell()],
    )?;
    row.map(|mut row| {
        Ok(Lease { key: row.next()?, amount: row.next()?, expires_at: row.next()?, report: row.next()? })
    })
    .transpose()
}

pub(super) fn is_open(store: &Store, generation: &GenerationId) -> Result<bool, Fault> {
    Ok(open(store, generation.as_str())?.is_some())
}

fn has_ended(store: &Store, id: &str) -> Result<bool, Fault> {
    let statement = "SELECT id FROM ledger WHERE id = ?1 AND kind IN ('charge', 'expiry')";
    Ok(store.row(statement, &[id.to_owned().cell()])?.is_some())
}

/// Ends the lease of one request and returns what it held; `None` if it is not open.
pub(super) fn take(store: &Store, generation: &GenerationId) -> Result<Option<Money>, Fault> {
    let Some(lease) = open(store, generation.as_str())? else {
        return Ok(None);
    };
    store.write("DELETE FROM lease WHERE id = ?1", &[generation.cell()])?;
    add_to_held(store, &lease.key, difference(Money::ZERO, lease.amount)?)?;
    Ok(Some(lease.amount))
}

/// Takes a charge out of an isolate's lease, as far as it goes, and returns how far that is;
/// `None` if it is not open.
pub(super) fn draw(store: &Store, id: &LeaseId, charge: Money) -> Result<Option<Money>, Fault> {
    let Some(lease) = open(store, id.as_str())? else {
        return Ok(None);
    };
    let drawn = charge.min(lease.amount);
    let left = difference(lease.amount, drawn)?;
    store.write("UPDATE lease SET amount = CAST(?2 AS INTEGER) WHERE id = ?1", &[id.cell(), left.cell()])?;
    add_to_held(store, &lease.key, difference(Money::ZERO, drawn)?)?;
    Ok(Some(drawn))
}

/// Gives back what every lease holds whose time is over, and says how many that were. One that was
/// given back before leaves no trace.
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
         SELECT id, 'expiry', key_hash, 0, amount, CAST(?1 AS INTEGER) FROM lease
         WHERE expires_at <= CAST(?1 AS INTEGER) AND (report = 0 OR amount > 0) ORDER BY expires_at",
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
