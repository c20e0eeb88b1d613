//! The account's keys in its tables: made, found, listed, changed and ended, with what each spent.

use super::command::{Answer, KeyChange, KeyRow, NewKeyPolicy, Refusal, Spending};
use super::difference;
use super::key::{KeyKind, KeyRefusal, KeySnapshot};
use super::ledger::{self, refused};
use super::limit::LimitReset;
use super::store::{Column, Fault, Row, Store};
use crate::id::{AccountId, KeyHash};
use crate::money::Money;
use crate::time::Time;

/// Keys on a page of a list.
pub const PAGE: u64 = 100;

const COLUMNS: &str = "hash, label, name, kind, CAST(disabled AS TEXT), CAST(limit_amount AS TEXT),
    limit_reset, CAST(include_byok AS TEXT), CAST(expires_at AS TEXT), CAST(created_at AS TEXT),
    CAST(updated_at AS TEXT), CAST(deleted_at AS TEXT), CAST(last_used_at AS TEXT),
    CAST(version AS TEXT), CAST(held AS TEXT)";

/// A row of the table of keys.
#[derive(Clone, PartialEq)]
pub(super) struct Key {
    hash: KeyHash,
    label: String,
    name: String,
    kind: KeyKind,
    disabled: bool,
    limit: Option<Money>,
    pub limit_reset: Option<LimitReset>,
    include_byok: bool,
    expires_at: Option<Time>,
    created_at: Time,
    updated_at: Option<Time>,
    deleted_at: Option<Time>,
    last_used_at: Option<Time>,
    version: u64,
    held: Money,
}

/// What a key spent of the account's credit, and of its owner's own at providers.
struct Spent {
    usage: Spending,
    byok_usage: Spending,
}

pub(super) fn create(store: &Store, now: Time, policy: &NewKeyPolicy) -> Result<Answer, Fault> {
    let already = match find(store, &policy.hash)? {
        Some(key) if key.deleted_at.is_some() => {
            return Ok(refused(Refusal::Key { reason: KeyRefusal::Deleted }));
        }
        Some(_) => true,
        None => {
            add(store, now, policy)?;
            false
        }
    };
    let key = find(store, &policy.hash)?.ok_or(Fault::Corrupt("key"))?;
    let account = ledger::describe(store)?.id;
    let snapshot = key.snapshot(account.clone());
    Ok(Answer::KeyCreated { already, key: row(store, now, account, key)?, snapshot })
}

fn add(store: &Store, now: Time, policy: &NewKeyPolicy) -> Result<(), Fault> {
    store.write(
        "INSERT INTO api_key (hash, label, name, kind, limit_amount, limit_reset, include_byok,
         expires_at, created_at) VALUES (?1, ?2, ?3, ?4, CAST(?5 AS INTEGER), ?6,
         CAST(?7 AS INTEGER), CAST(?8 AS INTEGER), CAST(?9 AS INTEGER))",
        &[
            policy.hash.cell(),
            policy.label.cell(),
            policy.name.cell(),
            policy.kind.cell(),
            policy.limit.cell(),
            policy.limit_reset.cell(),
            policy.include_byok_in_limit.cell(),
            policy.expires_at.cell(),
            now.cell(),
        ],
    )
}

pub(super) fn list(
    store: &Store,
    now: Time,
    offset: u64,
    include_disabled: bool,
    include_expired: bool,
) -> Result<Answer, Fault> {
    let statement = format!(
        "SELECT {COLUMNS} FROM api_key WHERE kind = 'inference' AND deleted_at IS NULL
         AND (disabled = 0 OR ?1 = '1')
         AND (expires_at IS NULL OR expires_at > CAST(?2 AS INTEGER) OR ?3 = '1')
         ORDER BY number LIMIT CAST(?4 AS INTEGER) OFFSET CAST(?5 AS INTEGER)"
    );
    let offset = offset.min(i64::MAX as u64);
    let arguments = [include_disabled.cell(), now.cell(), include_expired.cell(), PAGE.cell(), offset.cell()];
    let account = ledger::describe(store)?.id;
    let found = store.rows(&statement, &arguments)?;
    let keys = found.into_iter().map(|found| row(store, now, account.clone(), Key::read(found)?));
    Ok(Answer::Keys { keys: keys.collect::<Result<_, Fault>>()? })
}

pub(super) fn get(store: &Store, now: Time, hash: &KeyHash, only: Option<KeyKind>) -> Result<Answer, Fault> {
    let Some(key) = find_living(store, hash, only)? else {
        return Ok(Answer::NotFound);
    };
    Ok(Answer::Key { key: row(store, now, ledger::describe(store)?.id, key)? })
}

pub(super) fn update(store: &Store, now: Time, change: &KeyChange) -> Result<Answer, Fault> {
    let Some(before) = find_living(store, &change.hash, change.only)? else {
        return Ok(Answer::NotFound);
    };
    let mut key = before.clone().changed(change);
    if key != before {
        key.version += 1;
        key.updated_at = Some(now);
        write(store, &key)?;
    }
    let account = ledger::describe(store)?.id;
    let snapshot = key.snapshot(account.clone());
    Ok(Answer::KeyUpdated { key: row(store, now, account, key)?, snapshot })
}

pub(super) fn delete(
    store: &Store,
    now: Time,
    hash: &KeyHash,
    only: Option<KeyKind>,
) -> Result<Answer, Fault> {
    let Some(mut key) = find(store, hash)?.filter(|key| key.is_of(only)) else {
        return Ok(Answer::NotFound);
    };
    let already = key.deleted_at.is_some();
    if !already {
        key.version += 1;
        key.deleted_at = Some(now);
        write(store, &key)?;
    }
    Ok(Answer::KeyDeleted { already, snapshot: key.snapshot(ledger::describe(store)?.id) })
}

pub(super) fn authenticate(store: &Store, now: Time, hash: &KeyHash) -> Result<Answer, Fault> {
    let Some(key) = find(store, hash)? else {
        return Ok(refused(Refusal::Key { reason: KeyRefusal::Unknown }));
    };
    let snapshot = key.snapshot(ledger::describe(store)?.id);
    match snapshot.check(now) {
        Ok(()) => Ok(Answer::Authenticated { snapshot }),
        Err(reason) => Ok(refused(Refusal::Key { reason })),
    }
}

/// The key if it may spend, or why it may not.
pub(super) fn find_spending(
    store: &Store,
    now: Time,
    account: &AccountId,
    hash: &KeyHash,
) -> Result<Result<Key, KeyRefusal>, Fault> {
    match find(store, hash)? {
        None => Ok(Err(KeyRefusal::Unknown)),
        Some(key) => Ok(key.snapshot(account.clone()).check_spending(now).map(|()| key)),
    }
}

/// What is left of a key's limit beside its open holds; `None` without a limit.
pub(super) fn available(store: &Store, now: Time, key: &Key) -> Result<Option<Money>, Fault> {
    match key.limit {
        None => Ok(None),
        Some(_) => key.remaining(&spending(store, now, &key.hash)?.usage),
    }
}

/// What a key spent in all and in the windows that hold `now`.
fn spending(store: &Store, now: Time, hash: &KeyHash) -> Result<Spent, Fault> {
    let since = |column: &str, argument: &str| {
        format!("CAST(COALESCE(SUM(CASE WHEN day >= {argument} THEN {column} END), 0) AS TEXT)")
    };
    let windows = ["day", "CAST(?2 AS INTEGER)", "CAST(?3 AS INTEGER)", "CAST(?4 AS INTEGER)"];
    let columns: Vec<String> = ["usage", "byok_usage"]
        .into_iter()
        .flat_map(|column| windows.map(|argument| since(column, argument)))
        .collect();
    let statement = format!("SELECT {} FROM key_day WHERE key_hash = ?1", columns.join(", "));
    let today = now.day();
    let arguments = [hash.cell(), today.cell(), today.week_start().cell(), today.month_start().cell()];
    let mut row = store.row(&statement, &arguments)?.ok_or(Fault::Corrupt("amount"))?;
    let mut read = || -> Result<Spending, Fault> {
        Ok(Spending { total: row.next()?, daily: row.next()?, weekly: row.next()?, monthly: row.next()? })
    };
    Ok(Spent { usage: read()?, byok_usage: read()? })
}

fn find(store: &Store, hash: &KeyHash) -> Result<Option<Key>, Fault> {
    let statement = format!("SELECT {COLUMNS} FROM api_key WHERE hash = ?1");
    store.row(&statement, &[hash.cell()])?.map(Key::read).transpose()
}

fn find_living(store: &Store, hash: &KeyHash, only: Option<KeyKind>) -> Result<Option<Key>, Fault> {
    Ok(find(store, hash)?.filter(|key| key.deleted_at.is_none() && key.is_of(only)))
}

/// Writes what can change of a key but its held money and last use.
fn write(store: &Store, key: &Key) -> Result<(), Fault> {
    store.write(
        "UPDATE api_key SET name = ?2, disabled = CAST(?3 AS INTEGER),
         limit_amount = CAST(?4 AS INTEGER), limit_reset = ?5, include_byok = CAST(?6 AS INTEGER),
         updated_at = CAST(?7 AS INTEGER), deleted_at = CAST(?8 AS INTEGER),
         version = CAST(?9 AS INTEGER) WHERE hash = ?1",
        &[
            key.hash.cell(),
            key.name.cell(),
            key.disabled.cell(),
            key.limit.cell(),
            key.limit_reset.cell(),
            key.include_byok.cell(),
            key.updated_at.cell(),
            key.deleted_at.cell(),
            key.version.cell(),
        ],
    )
}

fn row(store: &Store, now: Time, account: AccountId, key: Key) -> Result<KeyRow, Fault> {
    let Spent { usage, byok_usage } = spending(store, now, &key.hash)?;
    let limit_remaining = key.remaining(&usage)?;
    Ok(KeyRow {
        account,
        hash: key.hash,
        label: key.label,
        name: key.name,
        kind: key.kind,
        disabled: key.disabled,
        limit: key.limit,
        limit_remaining,
        limit_reset: key.limit_reset,
        limit_resets_at: key.limit_reset.map(|reset| reset.resets_at(now)),
        include_byok_in_limit: key.include_byok,
        usage,
        byok_usage,
        held: key.held,
        created_at: key.created_at,
        updated_at: key.updated_at,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
    })
}

impl Key {
    fn read(mut row: Row) -> Result<Key, Fault> {
        Ok(Key {
            hash: row.next()?,
            label: row.next()?,
            name: row.next()?,
            kind: row.next()?,
            disabled: row.next()?,
            limit: row.next()?,
            limit_reset: row.next()?,
            include_byok: row.next()?,
            expires_at: row.next()?,
            created_at: row.next()?,
            updated_at: row.next()?,
            deleted_at: row.next()?,
            last_used_at: row.next()?,
            version: row.next()?,
            held: row.next()?,
        })
    }

    fn remaining(&self, usage: &Spending) -> Result<Option<Money>, Fault> {
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        let spent = match self.limit_reset {
            None => usage.total,
            Some(LimitReset::Daily) => usage.daily,
            Some(LimitReset::Weekly) => usage.weekly,
            Some(LimitReset::Monthly) => usage.monthly,
        };
        difference(difference(limit, spent)?, self.held).map(Some)
    }

    fn snapshot(&self, account: AccountId) -> KeySnapshot {
        KeySnapshot {
            account,
            hash: self.hash.clone(),
            kind: self.kind,
            version: self.version,
            disabled: self.disabled,
            deleted: self.deleted_at.is_some(),
            expires_at: self.expires_at,
        }
    }

    fn is_of(&self, only: Option<KeyKind>) -> bool {
        only.is_none_or(|kind| kind == self.kind)
    }

    fn changed(mut self, change: &KeyChange) -> Key {
        self.name = change.name.clone().unwrap_or(self.name);
        self.disabled = change.disabled.unwrap_or(self.disabled);
        self.limit = change.limit.unwrap_or(self.limit);
        self.limit_reset = change.limit_reset.unwrap_or(self.limit_reset);
        self.include_byok = change.include_byok_in_limit.unwrap_or(self.include_byok);
        self
    }
}
