//! Makes the charges of one report: a statement for all of them wherever one can do, as the object's
//! time goes into statements. Lists cross as JSON, amounts in it as text.

use super::lease;
use super::ledger::RECORD_BYTES;
use super::report::{Settle, Settled};
use super::store::{Column, Fault, Row, Store};
use crate::id::GenerationId;
use crate::json::List;
use crate::money::Money;
use crate::time::Time;
use litemap::LiteMap;

/// About as long as a charge is in a list, without its record.
const ROW_BYTES: usize = 160;
/// The most bytes of records in one statement, which is half of what the runtime takes as one value.
const CELL_BYTES: usize = 1_000_000;

/// Charges each generation once and tells of each charge, in their order.
pub(super) fn make(store: &Store, now: Time, charges: &[Settle]) -> Result<Vec<Settled>, Fault> {
    let mut known = made_before(store, charges)?;
    let mut fresh: Vec<&Settle> = Vec::with_capacity(charges.len());
    for settle in charges {
        if !known.contains_key(&settle.generation) {
            let new = Settled { already: false, amount: settle.amount, exceeded_hold: false };
            known.insert(settle.generation.clone(), new);
            fresh.push(settle);
        }
    }
    for settle in &fresh {
        // Before what was held for it is gone, which tells whose it was.
        if let Some(used) = &settle.used {
            lease::correct(store, now, settle, used)?;
        }
    }
    let held = held_for(store, &fresh)?;
    for (settle, held) in fresh.iter().zip(&held) {
        let exceeded_hold = exceeds(settle, *held);
        known.entry(settle.generation.clone()).and_modify(|one| one.exceeded_hold = exceeded_hold);
    }
    add(store, now, &fresh, &held)?;
    let told = |settle: &Settle| {
        let one = known.get_mut(&settle.generation).ok_or(Fault::Corrupt("charge"))?;
        // The first of a generation is new, any other in the same report is a replay.
        let told = one.clone();
        one.already = true;
        Ok(told)
    };
    charges.iter().map(told).collect()
}

fn exceeds(settle: &Settle, held: Option<Money>) -> bool {
    settle.amount > held.unwrap_or(Money::ZERO)
}

fn made_before(store: &Store, charges: &[Settle]) -> Result<LiteMap<GenerationId, Settled>, Fault> {
    let rows = store.rows(
        "SELECT id, CAST(amount AS TEXT), CAST(exceeded_hold AS TEXT) FROM ledger
         WHERE kind = 'charge' AND id IN (SELECT value FROM json_each(?1))",
        &[ids(charges.iter()).cell()],
    )?;
    let read = |mut row: Row| {
        let (id, amount, exceeded_hold) = (row.next()?, row.next()?, row.next()?);
        Ok((id, Settled { already: true, amount, exceeded_hold }))
    };
    rows.into_iter().map(read).collect()
}

/// What was held for each charge; `None` where nothing was.
fn held_for(store: &Store, charges: &[&Settle]) -> Result<Vec<Option<Money>>, Fault> {
    // A charge ends its own hold, whoever pays.
    let mut own = lease::take_all(store, &ids(charges.iter().copied()))?;
    let mut by_lease = LiteMap::new_vec();
    for settle in charges {
        if let Some(lease) = &settle.lease {
            by_lease.entry(lease).or_insert_with(Vec::new).push(settle.amount);
        }
    }
    let mut drawn = LiteMap::new_vec();
    for (lease, amounts) in by_lease {
        drawn.insert(lease, lease::draw(store, lease, &amounts)?.map(Vec::into_iter));
    }
    let held = |settle: &&Settle| match &settle.lease {
        Some(lease) => drawn.get_mut(lease).and_then(Option::as_mut).and_then(Iterator::next),
        None => own.remove(&settle.generation),
    };
    Ok(charges.iter().map(held).collect())
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

/// The generations of some charges, as a JSON list.
fn ids<'s>(charges: impl Iterator<Item = &'s Settle>) -> String {
    let mut list = List::with_capacity(ROW_BYTES);
    charges.for_each(|settle| list.put(settle.generation.as_str()));
    list.end()
}
