//! A key that takes another's place: of the same policy, in the same line, so that what one spends
//! counts against the limit of both. The old one goes on for a while, then it has expired.

use super::access::{AccessAnswer, AccessRefusal, Done, Rotate};
use super::command::NewKeyPolicy;
use super::keyring::{self, Key};
use super::ledger;
use super::store::{Column, Fault, Store};
use super::team;
use crate::id::KeyHash;
use crate::time::Time;
use std::time::Duration;

/// `None` where there is no such key.
pub(super) fn rotate(store: &Store, now: Time, wanted: &Rotate) -> Result<Option<Done>, Fault> {
    let Some(old) = keyring::find_living(store, &wanted.hash, wanted.only)? else {
        return Ok(None);
    };
    let last = last_successor(store, &old.hash)?;
    let mut snapshots = Vec::new();
    let account = ledger::describe(store)?;
    if let Some((mut last, id)) = last.clone().filter(|(last, _)| !last.is_deleted()) {
        if last.hash == wanted.new {
            return done(store, now, old, &wanted.new, true, snapshots).map(Some);
        }
        let is_lost = wanted.id.is_some() && id == wanted.id && !last.was_used();
        if !is_lost {
            return Ok(Some(refused(AccessRefusal::Replaced(last.hash))));
        }
        keyring::end(store, now, &mut last)?;
        snapshots.push(last.snapshot(store, account.id)?);
    }
    let planned = last.map_or(old.expires_at, |(last, _)| last.expires_at);
    let expires_at = wanted.expires_at.unwrap_or(planned);
    if expires_at.is_some_and(|end| end <= now) || keyring::find(store, &wanted.new)?.is_some() {
        return Ok(Some(refused(AccessRefusal::Expired)));
    }
    put_beside(store, now, &old, expires_at, wanted)?;
    let old = keyring::find(store, &old.hash)?.ok_or(Fault::Corrupt("key"))?;
    done(store, now, old, &wanted.new, false, snapshots).map(Some)
}

/// Makes the new key, and sets the old one's end.
fn put_beside(
    store: &Store,
    now: Time,
    old: &Key,
    expires_at: Option<Time>,
    wanted: &Rotate,
) -> Result<(), Fault> {
    let policy =
        NewKeyPolicy { hash: wanted.new.clone(), label: wanted.label.clone(), expires_at, ..old.policy() };
    keyring::add(store, now, &policy)?;
    team::inherit(store, now, &old.hash, &wanted.new)?;
    let line = old.line.as_ref().unwrap_or(&old.hash);
    let in_overlap = now.plus(Duration::from_millis(wanted.overlap_ms));
    let old_end = old.expires_at.map_or(in_overlap, |end| end.min(in_overlap));
    store.write(
        "UPDATE api_key SET line = ?2, replaces = ?3, rotation = ?4, disabled = CAST(?5 AS INTEGER)
         WHERE hash = ?1",
        &[wanted.new.cell(), line.cell(), old.hash.cell(), wanted.id.cell(), old.is_disabled().cell()],
    )?;
    store.write(
        "UPDATE api_key SET line = ?2, expires_at = CAST(?3 AS INTEGER), version = version + 1,
         updated_at = CAST(?4 AS INTEGER) WHERE hash = ?1",
        &[old.hash.cell(), line.cell(), old_end.cell(), now.cell()],
    )
}

/// The key that was made last to take this one's place, and the caller's id of that.
fn last_successor(store: &Store, hash: &KeyHash) -> Result<Option<(Key, Option<String>)>, Fault> {
    let row = store.row(
        "SELECT hash, rotation FROM api_key WHERE line = (SELECT line FROM api_key WHERE hash = ?1)
         AND replaces = ?1 ORDER BY number DESC LIMIT 1",
        &[hash.cell()],
    )?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    let (hash, id): (KeyHash, Option<String>) = (row.next()?, row.next()?);
    Ok(keyring::find(store, &hash)?.map(|key| (key, id)))
}

fn done(
    store: &Store,
    now: Time,
    old: Key,
    new: &KeyHash,
    already: bool,
    mut snapshots: Vec<super::KeySnapshot>,
) -> Result<Done, Fault> {
    let account = ledger::describe(store)?;
    let new = keyring::find(store, new)?.ok_or(Fault::Corrupt("key"))?;
    let old_expires_at = old.expires_at.ok_or(Fault::Corrupt("time"))?;
    for key in [&old, &new] {
        snapshots.push(key.snapshot(store, account.id.clone())?);
    }
    let key = Box::new(keyring::row(store, now, &account, new)?);
    Ok((AccessAnswer::Rotated { already, key, old_expires_at }, snapshots))
}

fn refused(why: AccessRefusal) -> Done {
    (AccessAnswer::Refused { why }, Vec::new())
}
