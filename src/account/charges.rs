//! Makes the charges of one report: a statement for all of them wherever one can do, as the object's
//! time goes into statements. Lists cross as JSON, amounts in it as text.

use super::lease::{self, Lease};
use super::ledger::{RECORD_BYTES, sum_of};
use super::report::{Settle, Settled};
use super::store::{Column, Fault, Store};
use super::{budget, difference, rate};
use crate::id::{GenerationId, KeyHash, LeaseId};
use crate::json::List;
use crate::money::Money;
use crate::time::Time;
use litemap::LiteMap;
use std::collections::BTreeSet;

/// About as long as a charge is in a list, without its record.
const ROW_BYTES: usize = 160;
/// The most bytes of records in one statement, which is half of what the runtime takes as one value.
const CELL_BYTES: usize = 1_000_000;

/// What came of charges.
pub(super) struct Made {
    /// For each charge, in their order.
    pub settled: Vec<Settled>,
    /// What leases no longer hold, by the keys whose money it was. It is still in the totals.
    pub released: LiteMap<KeyHash, Money>,
}

/// Charges each generation once.
pub(super) fn make(store: &Store, now: Time, charges: &[Settle]) -> Result<Made, Fault> {
    let Found { made: mut known, leases } = find(store, charges)?;
    let mut fresh: Vec<&Settle> = Vec::with_capacity(charges.len());
    for settle in charges {
        if !known.contains_key(&settle.generation) {
            let new = Settled { already: false, amount: settle.amount, exceeded_hold: false };
            known.insert(settle.generation.clone(), new);
            fresh.push(settle);
        }
    }
    for settle in &fresh {
        let id = settle.lease.as_ref().map_or(settle.generation.as_str(), LeaseId::as_str);
        if let (Some(used), Some(lease)) = (&settle.used, leases.get(id)) {
            rate::correct(store, now, &lease.tags, used)?;
        }
    }
    let Held { amounts, released } = hold(store, &fresh, &leases)?;
    for (settle, held) in fresh.iter().zip(&amounts) {
        let exceeded_hold = exceeds(settle, *held);
        known.entry(settle.generation.clone()).and_modify(|one| one.exceeded_hold = exceeded_hold);
    }
    add(store, now, &fresh, &amounts)?;
    let told = |settle: &Settle| {
        let one = known.get_mut(&settle.generation).ok_or(Fault::Corrupt("charge"))?;
        // The first of a generation is new, any other in the same report is a replay.
        let told = one.clone();
        one.already = true;
        Ok(told)
    };
    Ok(Made { settled: charges.iter().map(told).collect::<Result<_, Fault>>()?, released })
}

fn exceeds(settle: &Settle, held: Option<Money>) -> bool {
    settle.amount > held.unwrap_or(Money::ZERO)
}

/// What there is of some charges.
struct Found {
    made: LiteMap<GenerationId, Settled>,
    /// Those that are open, by their ids: for one request, or drawn on.
    leases: LiteMap<String, Lease>,
}

fn find(store: &Store, charges: &[Settle]) -> Result<Found, Fault> {
    let leases: BTreeSet<&str> =
        charges.iter().filter_map(|settle| Some(settle.lease.as_ref()?.as_str())).collect();
    let ids = list(charges.iter().map(|settle| settle.generation.as_str()).chain(leases));
    let rows = store.rows(
        &format!(
            "SELECT '1', id, CAST(amount AS TEXT), CAST(exceeded_hold AS TEXT), {NULLS} FROM ledger
             WHERE kind = 'charge' AND id IN (SELECT value FROM json_each(?1))
             UNION ALL SELECT '0', id, {} FROM lease WHERE id IN (SELECT value FROM json_each(?1))",
            lease::COLUMNS
        ),
        &[ids.cell()],
    )?;
    let mut found = Found { made: LiteMap::new_vec(), leases: LiteMap::new_vec() };
    for mut row in rows {
        if row.next()? {
            let (id, amount, exceeded_hold) = (row.next()?, row.next()?, row.next()?);
            found.made.insert(id, Settled { already: true, amount, exceeded_hold });
        } else {
            found.leases.insert(row.next()?, Lease::read(&mut row)?);
        }
    }
    Ok(found)
}

/// What [`lease::COLUMNS`] have more than the columns of a charge.
const NULLS: &str = "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL";

/// What was held for charges, each of them: `None` where nothing was.
struct Held {
    amounts: Vec<Option<Money>>,
    released: LiteMap<KeyHash, Money>,
}

/// Takes what was held for charges out of their leases.
fn hold(store: &Store, charges: &[&Settle], leases: &LiteMap<String, Lease>) -> Result<Held, Fault> {
    let mut released = LiteMap::new_vec();
    let mut release = |lease: &Lease, amount: Money| {
        if amount == Money::ZERO {
            return Ok(());
        }
        let total: &mut Money = released.entry(lease.tags.key.clone()).or_default();
        *total = sum_of(*total, amount)?;
        budget::add_to_held(store, &lease.tags, difference(Money::ZERO, amount)?)
    };
    // A charge ends its own hold, whoever pays.
    let ids = charges.iter().map(|settle| settle.generation.as_str());
    let own: Vec<&str> = ids.filter(|id| leases.contains_key(*id)).collect();
    own.iter().try_for_each(|id| leases.get(*id).map_or(Ok(()), |lease| release(lease, lease.amount)))?;
    if !own.is_empty() {
        lease::end(store, &list(own.into_iter()))?;
    }
    let mut left: LiteMap<&str, Money> = LiteMap::new_vec();
    let mut amounts = Vec::with_capacity(charges.len());
    for settle in charges {
        amounts.push(match &settle.lease {
            None => leases.get(settle.generation.as_str()).map(|lease| lease.amount),
            Some(id) => {
                let drawn = leases.get(id.as_str()).map(|lease| {
                    let left = left.entry(id.as_str()).or_insert(lease.amount);
                    draw(left, settle.amount)
                });
                drawn.transpose()?
            }
        });
    }
    for (id, left) in left {
        if let Some(lease) = leases.get(id) {
            lease::shrink(store, id, left)?;
            release(lease, difference(lease.amount, left)?)?;
        }
    }
    Ok(Held { amounts, released })
}

/// Takes a charge out of what is left of a lease, as far as that goes, and returns how far.
fn draw(left: &mut Money, charge: Money) -> Result<Money, Fault> {
    let part = (*left).min(charge);
    *left = difference(*left, part)?;
    Ok(part)
}

fn add(store: &Store, now: Time, charges: &[&Settle], held: &[Option<Money>]) -> Result<(), Fault> {
    if charges.is_empty() {
        return Ok(());
    }
    let mut rows = List::with_capacity(charges.len() * ROW_BYTES);
    for (settle, held) in charges.iter().zip(held) {
        let (amount, held_text) = (settle.amount.to_text(), held.map(|held| held.to_text()));
        rows.put_row(&[
            &settle.generation.as_str(),
            &settle.key.as_str(),
            &amount.as_str(),
            &held_text.as_deref(),
            &u64::from(exceeds(settle, *held)),
        ]);
    }
    store.write(
        "INSERT INTO ledger (id, kind, key_hash, amount, held, exceeded_hold, at)
         SELECT value ->> 0, 'charge', value ->> 1, CAST(value ->> 2 AS INTEGER),
         CAST(value ->> 3 AS INTEGER), value ->> 4, CAST(?2 AS INTEGER) FROM json_each(?1) ORDER BY key",
        &[rows.end().cell(), now.cell()],
    )?;
    add_records(store, now, charges)
}

fn add_records(store: &Store, now: Time, charges: &[&Settle]) -> Result<(), Fault> {
    let mut records: Vec<(&str, &str)> =
        charges.iter().filter_map(|settle| Some((settle.generation.as_str(), kept(settle)?))).collect();
    while !records.is_empty() {
        let mut bytes = 0;
        let fits = |(_, record): &&(&str, &str)| {
            bytes += record.len();
            bytes <= CELL_BYTES
        };
        let some = records.iter().take_while(fits).count().max(1);
        add_some_records(store, now, &records[..some])?;
        records.drain(..some);
    }
    Ok(())
}

/// Records cross one behind the other as they are, with a list of where each begins and how long it is.
fn add_some_records(store: &Store, now: Time, records: &[(&str, &str)]) -> Result<(), Fault> {
    let mut rows = List::with_capacity(records.len() * ROW_BYTES);
    let mut texts = String::with_capacity(records.iter().map(|(_, record)| record.len()).sum());
    for (generation, record) in records {
        // SQL counts from one.
        rows.put_row(&[generation, &(texts.len() as u64 + 1), &(record.len() as u64)]);
        texts.push_str(record);
    }
    store.write(
        "INSERT INTO generation (number, record, at)
         SELECT ledger.number, CAST(substr(CAST(?3 AS BLOB), value ->> 1, value ->> 2) AS TEXT),
         CAST(?2 AS INTEGER) FROM json_each(?1)
         JOIN ledger ON ledger.id = value ->> 0 AND ledger.kind = 'charge'",
        &[rows.end().cell(), now.cell(), Some(texts)],
    )
}

/// The record of a charge, unless it is too long to be kept.
fn kept(settle: &Settle) -> Option<&str> {
    settle.record.as_deref().filter(|record| record.len() <= RECORD_BYTES)
}

/// Some ids as a JSON list.
fn list<'i>(ids: impl Iterator<Item = &'i str>) -> String {
    let mut list = List::with_capacity(ROW_BYTES);
    ids.for_each(|id| list.put(id));
    list.end()
}
