//! Leases: money set aside until it is charged, given back, or its time is over. A lease is for one
//! request (a hold) or for the requests of one isolate; to the account's totals they are the same.

use super::budget::{self, Standing, Tags};
use super::command::Refusal;
use super::difference;
use super::keyring::{self, Key};
use super::look::{self, Spender};
use super::rate::{self, Limited, Take};
use super::report::{Held, Hold, LeaseReport, LeaseState, Part};
use super::store::{Column, Fault, Row, Store};
use crate::id::GenerationId;
use crate::money::Money;
use crate::time::Time;
use std::time::Duration;

/// For how long an isolate may admit requests after it asked: as long as a change to a key may go
/// unnoticed there.
pub const ADMITS: Duration = Duration::from_secs(10);

/// An isolate's lease is at most this part of what the account, or the key's limit, has left with it.
const PART: i64 = 16;

/// Whether money may be set aside for a key, and how much of which counter is left, the narrowest
/// first.
struct Room {
    key: Key,
    counters: Vec<Counter>,
    rates: Vec<rate::Standing>,
    /// What the account was given in all.
    granted: Money,
}

/// Something that runs out.
struct Counter {
    level: Level,
    available: Money,
}

enum Level {
    Budget(Box<Standing>),
    KeyLimit,
    Credit,
}

impl Room {
    /// Where several levels are short, the first is named.
    fn find(store: &Store, now: Time, tags: &Tags, seen: Spender) -> Result<Result<Room, Refusal>, Fault> {
        let Spender { account, rated, key, .. } = seen;
        let key = match key {
            Ok(key) => key,
            Err(reason) => return Ok(Err(Refusal::Key { reason })),
        };
        let budgets = budget::standings(store, now, tags)?;
        let mut counters = Vec::with_capacity(budgets.len() + 2);
        let (within, beyond): (Vec<_>, Vec<_>) = budgets.into_iter().partition(Standing::is_within_key);
        let counter = |standing: Standing| {
            let available = standing.available()?;
            Ok(Counter { level: Level::Budget(Box::new(standing)), available })
        };
        let counted = |standings: Vec<Standing>| standings.into_iter().map(counter);
        counters.extend(counted(within).collect::<Result<Vec<_>, Fault>>()?);
        if let Some(available) = keyring::available(store, now, &key)? {
            counters.push(Counter { level: Level::KeyLimit, available });
        }
        counters.extend(counted(beyond).collect::<Result<Vec<_>, Fault>>()?);
        counters.push(Counter { level: Level::Credit, available: account.available });
        let rates = if rated { rate::standings(store, now, tags)? } else { Vec::new() };
        Ok(Ok(Room { key, counters, rates, granted: account.granted }))
    }

    /// What can be set aside, or which counter has less than is needed.
    fn admit(&self, now: Time, needed: Money, wanted: Money) -> Result<Result<Money, Refusal>, Fault> {
        for Counter { level, available } in &self.counters {
            if *available < needed {
                let (available, missing) = (*available, difference(needed, *available)?);
                return Ok(Err(match level {
                    Level::Credit => Refusal::Credit { available, missing },
                    Level::Budget(standing) => {
                        Refusal::Budget { standing: standing.clone(), available, missing }
                    }
                    Level::KeyLimit => {
                        let resets_at = self.key.limit_reset.map(|reset| reset.resets_at(now));
                        Refusal::KeyLimit { available, missing, resets_at }
                    }
                }));
            }
        }
        Ok(Ok(self.counters.iter().map(|counter| counter.available).fold(wanted, Money::min)))
    }

    /// Whether an isolate may lease, whatever its requests ask for.
    fn is_shared(&self) -> bool {
        let tagged = |counter: &Counter| matches!(&counter.level, Level::Budget(standing) if standing.budget.is_tagged());
        !self.counters.iter().any(tagged) && !rate::is_tagged(&self.rates)
    }

    /// Counts a request against every limit of rate, or none: says which it is beyond.
    fn take(&self, store: &Store, now: Time, take: &Take) -> Result<Option<Limited>, Fault> {
        if let Some(limited) = rate::refusal(now, &self.rates, take) {
            return Ok(Some(limited));
        }
        if let Some(limits) = take.free
            && let Some(limited) = rate::admit_free(store, now, limits, self.granted)?
        {
            return Ok(Some(limited));
        }
        rate::take(store, now, &self.rates, take).map(|()| None)
    }

    fn is_solvent(&self) -> bool {
        self.counters.iter().all(|counter| !counter.available.is_negative())
    }

    /// The most that a lease may hold that holds `amount` now.
    fn slice(&self, amount: Money) -> Money {
        if !self.is_shared() {
            return Money::ZERO;
        }
        let part = |counter: &Counter| counter.available.pico().saturating_add(amount.pico()) / PART;
        Money::from_pico(self.counters.iter().map(part).min().unwrap_or(0))
    }
}

/// Sets money aside for one request.
pub(super) fn hold(store: &Store, now: Time, hold: &Hold) -> Result<Held, Fault> {
    let id = hold.generation.as_str();
    let mut seen = look::at_spender(store, now, &hold.key, id)?;
    if let Some(before) = seen.lease.take() {
        return match hold.part {
            Part::More if before.amount < hold.least() => grow(store, now, hold, before),
            Part::More | Part::Most | Part::Least => Ok(held(&before, true)),
        };
    }
    if hold.part == Part::More || hold.expires_at <= now || seen.ended {
        return Ok(Held::Refused { refusal: Refusal::Ended });
    }
    let (key, owner) = (hold.key.clone(), seen.owner());
    let tags = Tags { key, owner, end_user: hold.end_user.clone(), models: hold.models.clone() };
    let room = match Room::find(store, now, &tags, seen)? {
        Ok(room) => room,
        Err(refusal) => return Ok(Held::Refused { refusal }),
    };
    match room.admit(now, hold.least(), hold.amount)? {
        Ok(most) => {
            if let Some(limited) = room.take(store, now, &hold.take)? {
                return Ok(Held::Refused { refusal: Refusal::Rate(Box::new(limited)) });
            }
            let (amount, expires_at) = (hold.given(most), hold.expires_at);
            let lease = Lease { tags, amount, expires_at, report: 0, slots: 1 };
            add(store, id, &lease)?;
            Ok(held(&lease, !room.rates.is_empty()))
        }
        Err(refusal) => Ok(Held::Refused { refusal }),
    }
}

fn held(lease: &Lease, rated: bool) -> Held {
    Held::Held { amount: lease.amount, expires_at: lease.expires_at, rated }
}

/// Lets an open hold hold more. What it holds is never taken from it.
fn grow(store: &Store, now: Time, hold: &Hold, before: Lease) -> Result<Held, Fault> {
    let seen = look::at_spender(store, now, &before.tags.key, hold.generation.as_str())?;
    let room = match Room::find(store, now, &before.tags, seen)? {
        Ok(room) => room,
        Err(refusal) => return Ok(Held::Refused { refusal }),
    };
    let beside = |amount| difference(amount, before.amount);
    match room.admit(now, beside(hold.least())?, beside(hold.amount)?)? {
        Ok(most) => {
            let most = most.checked_add(before.amount).ok_or(Fault::Corrupt("amount"))?;
            let after = Lease { amount: hold.given(most), ..before.clone() };
            replace(store, hold.generation.as_str(), &before, &after)?;
            Ok(held(&after, !room.rates.is_empty()))
        }
        Err(refusal) => Ok(Held::Refused { refusal }),
    }
}

/// Makes, enlarges, shrinks or ends an isolate's lease as it reports. Never takes from it what the
/// isolate has not offered.
pub(super) fn renew(store: &Store, now: Time, report: &LeaseReport) -> Result<LeaseState, Fault> {
    let state = |amount, admits_ms| LeaseState {
        id: report.id.clone(),
        amount,
        admits_ms,
        ended: false,
        slice: None,
    };
    let none = || LeaseState { ended: true, ..state(Money::ZERO, 0) };
    let id = report.id.as_str();
    let mut seen = look::at_spender(store, now, &report.key, id)?;
    let (before, is_new) = match seen.lease.take() {
        Some(lease) if lease.tags.key != report.key => return Ok(none()),
        Some(lease) if lease.report >= report.number => return Ok(state(lease.amount, 0)),
        Some(lease) => (lease, false),
        None if report.number > 1 || seen.ended => return Ok(none()),
        None => {
            let (key, owner) = (report.key.clone(), seen.owner());
            let tags = Tags { key, owner, end_user: None, models: Vec::new() };
            (Lease { tags, amount: Money::ZERO, expires_at: now, report: 0, slots: 0 }, true)
        }
    };
    let room = Room::find(store, now, &before.tags, seen)?.ok();
    let amount = amount_of(&before, report, room.as_ref());
    let solvent = room.as_ref().is_some_and(|room| room.is_shared() && room.is_solvent());
    let admits = solvent && (amount > report.open || report.unit == Money::ZERO);
    let outlives = ADMITS + Duration::from_millis(report.outlives_ms);
    let expires_at = if admits { now.plus(outlives).max(before.expires_at) } else { before.expires_at };
    let rates = room.map_or(Vec::new(), |room| room.rates);
    let slice = match (rates.is_empty(), is_new && !admits) {
        (false, false) => Some(rate::renew(store, now, &rates, before.slots, report.slice.as_ref())?),
        (true, _) | (_, true) => None,
    };
    let slots = slice.and_then(|slice| slice.slots).unwrap_or(0);
    let after = Lease { tags: before.tags.clone(), amount, expires_at, report: report.number, slots };
    match (is_new, admits) {
        (true, false) => return Ok(none()),
        (true, true) => add(store, id, &after)?,
        (false, _) => replace(store, id, &before, &after)?,
    }
    let admits_ms = if admits { ADMITS.as_millis() as u64 } else { 0 };
    Ok(LeaseState { slice, ..state(amount, admits_ms) })
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

/// The columns of [`Lease::read`].
pub(super) const COLUMNS: &str = "CAST(lease.amount AS TEXT), CAST(lease.expires_at AS TEXT),
    CAST(lease.report AS TEXT), CAST(lease.slots AS TEXT), lease.key_hash, lease.workspace_id,
    lease.creator_user_id, lease.line, lease.end_user, lease.models";
/// How many they are.
pub(super) const WIDTH: usize = 10;

/// Money set aside.
#[derive(Clone)]
pub(super) struct Lease {
    pub tags: Tags,
    pub amount: Money,
    expires_at: Time,
    /// The last report of its isolate; 0 for a lease of one request.
    report: u64,
    /// How many requests may be under way on it.
    slots: u64,
}

impl Lease {
    pub fn read(row: &mut Row) -> Result<Lease, Fault> {
        let (amount, expires_at, report) = (row.next()?, row.next()?, row.next()?);
        let slots = row.next()?;
        Ok(Lease { tags: Tags::read(row.next()?, row)?, amount, expires_at, report, slots })
    }
}

fn add(store: &Store, id: &str, lease: &Lease) -> Result<(), Fault> {
    let [workspace, user, line, end_user, models] = lease.tags.written();
    store.write(
        "INSERT INTO lease (id, key_hash, amount, expires_at, report, workspace_id, creator_user_id,
         line, end_user, models, slots) VALUES (?1, ?2, CAST(?3 AS INTEGER), CAST(?4 AS INTEGER),
         CAST(?5 AS INTEGER), ?6, ?7, ?8, ?9, ?10, CAST(?11 AS INTEGER))",
        &[
            id.to_owned().cell(),
            lease.tags.key.cell(),
            lease.amount.cell(),
            lease.expires_at.cell(),
            lease.report.cell(),
            workspace,
            user,
            line,
            end_user,
            models,
            lease.slots.cell(),
        ],
    )?;
    add_to_held(store, &lease.tags, lease.amount)
}

fn replace(store: &Store, id: &str, before: &Lease, after: &Lease) -> Result<(), Fault> {
    store.write(
        "UPDATE lease SET amount = CAST(?2 AS INTEGER), expires_at = CAST(?3 AS INTEGER),
         report = CAST(?4 AS INTEGER), slots = CAST(?5 AS INTEGER) WHERE id = ?1",
        &[
            id.to_owned().cell(),
            after.amount.cell(),
            after.expires_at.cell(),
            after.report.cell(),
            after.slots.cell(),
        ],
    )?;
    add_to_held(store, &after.tags, difference(after.amount, before.amount)?)
}

/// Adds to what the totals say is held; a negative amount takes away.
fn add_to_held(store: &Store, tags: &Tags, amount: Money) -> Result<(), Fault> {
    if amount == Money::ZERO {
        return Ok(());
    }
    store.write("UPDATE account SET held = held + CAST(?1 AS INTEGER)", &[amount.cell()])?;
    store.write(
        "UPDATE api_key SET held = held + CAST(?2 AS INTEGER) WHERE hash = ?1",
        &[tags.key.cell(), amount.cell()],
    )?;
    budget::add_to_held(store, tags, amount)
}

/// Whether there is a hold that has not ended.
pub(super) fn is_open(store: &Store, generation: &GenerationId) -> Result<bool, Fault> {
    Ok(store.row("SELECT id FROM lease WHERE id = ?1", &[generation.cell()])?.is_some())
}

/// Ends the leases of a JSON list of ids. What they held is still in the totals.
pub(super) fn end(store: &Store, ids: &str) -> Result<(), Fault> {
    let statement = "DELETE FROM lease WHERE id IN (SELECT value FROM json_each(?1))";
    store.write(statement, &[ids.to_owned().cell()])
}

/// Has a lease hold no more than that. What it held is still in the totals.
pub(super) fn shrink(store: &Store, id: &str, amount: Money) -> Result<(), Fault> {
    let statement = "UPDATE lease SET amount = CAST(?2 AS INTEGER) WHERE id = ?1";
    store.write(statement, &[id.to_owned().cell(), amount.cell()])
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
    if budget::any(store)? {
        let rows = store.rows(
            "SELECT CAST(amount AS TEXT), key_hash, workspace_id, creator_user_id, line, end_user, models
             FROM lease WHERE expires_at <= CAST(?1 AS INTEGER)",
            &over,
        )?;
        for mut row in rows {
            let amount: Money = row.next()?;
            let tags = Tags::read(row.next()?, &mut row)?;
            budget::add_to_held(store, &tags, difference(Money::ZERO, amount)?)?;
        }
    }
    store.write("DELETE FROM lease WHERE expires_at <= CAST(?1 AS INTEGER)", &over)?;
    Ok(count)
}
