//! The account's keys in its tables: made, found, listed, changed and ended, with what each spent.

use super::budget::{self, Per, Tags};
use super::command::{AccountRow, Answer, Holder, KeyChange, KeyRow, NewKeyPolicy, Refusal, Spending};
use super::key::{KeyKind, KeyRefusal, KeySnapshot};
use super::ledger::{self, refused};
use super::limit::LimitReset;
use super::store::{Column, Fault, Row, Store};
use super::{byok, difference, rate, team};
use crate::id::{AccountId, KeyHash};
use crate::money::Money;
use crate::time::Time;
use std::rc::Rc;

/// Keys on a page of a list.
pub const PAGE: u64 = 100;

pub(super) const COLUMNS: &str =
    "hash, label, name, kind, CAST(disabled AS TEXT), CAST(limit_amount AS TEXT),
    limit_reset, CAST(include_byok AS TEXT), CAST(expires_at AS TEXT), CAST(created_at AS TEXT),
    CAST(updated_at AS TEXT), CAST(deleted_at AS TEXT), CAST(last_used_at AS TEXT),
    CAST(version AS TEXT), CAST(CASE WHEN line IS NULL THEN held ELSE
    (SELECT SUM(held) FROM api_key AS one WHERE one.line = api_key.line) END AS TEXT),
    creator_user_id, external_user, external_key, app, line, replaces, workspace_id";

/// A row of the table of keys.
#[derive(Clone, PartialEq)]
pub(super) struct Key {
    pub(super) hash: KeyHash,
    label: String,
    name: String,
    kind: KeyKind,
    disabled: bool,
    limit: Option<Money>,
    pub limit_reset: Option<LimitReset>,
    include_byok: bool,
    pub(super) expires_at: Option<Time>,
    created_at: Time,
    updated_at: Option<Time>,
    deleted_at: Option<Time>,
    last_used_at: Option<Time>,
    version: u64,
    /// By all keys of the line.
    held: Money,
    holder: Holder,
    /// The first of the keys that came one after the other; `None` for a key that was never rotated.
    pub(super) line: Option<KeyHash>,
    replaces: Option<KeyHash>,
    /// Empty for the default one.
    workspace: String,
}

/// Whom a key belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Owner {
    /// Empty for the account's own.
    pub workspace: String,
    /// The member that made it.
    pub user: Option<String>,
    /// The first of the keys that came one after the other, where there are several.
    pub line: Option<KeyHash>,
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
        None => match add_checked(store, now, policy)? {
            None => false,
            Some(flaw) => return Ok(ledger::invalid(flaw)),
        },
    };
    let key = find(store, &policy.hash)?.ok_or(Fault::Corrupt("key"))?;
    let account = ledger::describe(store)?;
    let snapshot = key.snapshot(store, account.id.clone())?;
    Ok(Answer::KeyCreated { already, key: row(store, now, &account, key)?, snapshot })
}

/// Makes a key, or says why it cannot be.
pub(super) fn add_checked(
    store: &Store,
    now: Time,
    policy: &NewKeyPolicy,
) -> Result<Option<&'static str>, Fault> {
    let account = ledger::describe(store)?.id;
    let Some(mut workspace) = team::find_workspace(store, &account, &policy.workspace)? else {
        return Ok(Some("workspace_id: no such workspace"));
    };
    if policy.kind == KeyKind::Management {
        if let Some(user) = &policy.holder.creator_user_id
            && !team::is_member(store, user)?
        {
            return Ok(Some("creator_user_id: a management key acts for a member, and this is none"));
        }
        // One that is bound to the default workspace is not one that acts for the account.
        if workspace.is_empty() && !policy.workspace.is_empty() {
            workspace = account.to_string();
        }
    }
    add(store, now, &NewKeyPolicy { workspace, ..policy.clone() })?;
    Ok(None)
}

/// Makes a key whose workspace is named as the table has it.
pub(super) fn add(store: &Store, now: Time, policy: &NewKeyPolicy) -> Result<(), Fault> {
    store.write(
        "INSERT INTO api_key (hash, label, name, kind, limit_amount, limit_reset, include_byok,
         expires_at, created_at, creator_user_id, external_user, external_key, app, workspace_id)
         VALUES (?1, ?2, ?3, ?4, CAST(?5 AS INTEGER), ?6, CAST(?7 AS INTEGER), CAST(?8 AS INTEGER),
         CAST(?9 AS INTEGER), ?10, ?11, ?12, ?13, ?14)",
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
            policy.holder.creator_user_id.cell(),
            policy.holder.external_user.cell(),
            policy.holder.external_key.cell(),
            policy.holder.app.cell(),
            policy.workspace.cell(),
        ],
    )
}

pub(super) fn list(
    store: &Store,
    now: Time,
    offset: u64,
    include_disabled: bool,
    include_expired: bool,
    include_apps: bool,
    (workspace, creator): (Option<&str>, Option<&str>),
) -> Result<Answer, Fault> {
    let statement = format!(
        "SELECT {COLUMNS} FROM api_key WHERE kind = 'inference' AND deleted_at IS NULL
         AND (disabled = 0 OR ?1 = '1')
         AND (expires_at IS NULL OR expires_at > CAST(?2 AS INTEGER) OR ?3 = '1')
         AND (app IS NULL OR ?6 = '1') AND (?7 IS NULL OR workspace_id = ?7)
         AND (?8 IS NULL OR creator_user_id = ?8)
         ORDER BY number LIMIT CAST(?4 AS INTEGER) OFFSET CAST(?5 AS INTEGER)"
    );
    let offset = offset.min(i64::MAX as u64);
    let account = ledger::describe(store)?;
    let workspace = match workspace {
        None => None,
        Some(at) => match team::find_workspace(store, &account.id, at)? {
            None => return Ok(Answer::NotFound),
            found => found,
        },
    };
    let (disabled, expired, apps) = (include_disabled.cell(), include_expired.cell(), include_apps.cell());
    let creator = creator.map(str::to_owned).cell();
    let (page, workspace) = ([PAGE.cell(), offset.cell()], workspace.cell());
    let [limit, offset] = page;
    let arguments = [disabled, now.cell(), expired, limit, offset, apps, workspace, creator];
    let found = store.rows(&statement, &arguments)?;
    let keys = found.into_iter().map(|found| row(store, now, &account, Key::read(found)?));
    Ok(Answer::Keys { keys: keys.collect::<Result<_, Fault>>()? })
}

pub(super) fn get(store: &Store, now: Time, hash: &KeyHash, only: Option<KeyKind>) -> Result<Answer, Fault> {
    let Some(key) = find_living(store, hash, only)? else {
        return Ok(Answer::NotFound);
    };
    let tags = Tags { key: key.hash.clone(), owner: key.owner(), end_user: None, models: Vec::new() };
    // Those that are the same whatever model and end user are asked for.
    let mut budgets = budget::standings(store, now, &tags)?;
    budgets.retain(|standing| standing.budget.per != Per::EndUser && standing.budget.model.is_none());
    Ok(Answer::Key {
        key: KeyRow {
            budgets,
            free_requests_today: rate::used_today(store, now)?,
            requests_per_minute: rate::least_requests(&rate::standings(store, now, &tags)?),
            ..row(store, now, &ledger::describe(store)?, key)?
        },
    })
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
    let account = ledger::describe(store)?;
    let snapshot = key.snapshot(store, account.id.clone())?;
    Ok(Answer::KeyUpdated { key: row(store, now, &account, key)?, snapshot })
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
    let already = key.is_deleted();
    if !already {
        end(store, now, &mut key)?;
    }
    Ok(Answer::KeyDeleted { already, snapshot: key.snapshot(store, ledger::describe(store)?.id)? })
}

/// Makes a tombstone of a key.
pub(super) fn end(store: &Store, now: Time, key: &mut Key) -> Result<(), Fault> {
    key.version += 1;
    key.deleted_at = Some(now);
    write(store, key)
}

pub(super) fn authenticate(store: &Store, now: Time, hash: &KeyHash) -> Result<Answer, Fault> {
    let Some(key) = find(store, hash)? else {
        return Ok(refused(Refusal::Key { reason: KeyRefusal::Unknown }));
    };
    let snapshot = key.snapshot(store, ledger::describe(store)?.id)?;
    match snapshot.check(now) {
        Ok(()) => Ok(Answer::Authenticated { snapshot }),
        Err(reason) => Ok(refused(Refusal::Key { reason })),
    }
}

/// The keys whose policy KV has not been told of since it changed, `most` of them.
pub(super) fn due(store: &Store, most: usize) -> Result<Vec<KeySnapshot>, Fault> {
    let statement =
        format!("SELECT {COLUMNS} FROM api_key WHERE policy_due = 1 ORDER BY number LIMIT {most}");
    let rows = store.rows(&statement, &[])?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let account = ledger::describe(store)?.id;
    rows.into_iter().map(|row| Key::read(row)?.snapshot(store, account.clone())).collect()
}

/// Notes that KV has been told of a key as it was in that version.
pub(super) fn told(store: &Store, hash: &KeyHash, version: u64) -> Result<(), Fault> {
    store.write(
        "UPDATE api_key SET policy_due = 0 WHERE hash = ?1 AND version = CAST(?2 AS INTEGER)",
        &[hash.cell(), version.cell()],
    )
}

pub(super) fn exists(store: &Store, hash: &KeyHash) -> Result<bool, Fault> {
    Ok(find_living(store, hash, None)?.is_some())
}

/// Whom a key belongs to, also one that was deleted; nobody where there is none.
pub(super) fn owner(store: &Store, hash: &KeyHash) -> Result<Owner, Fault> {
    let row = store
        .row("SELECT workspace_id, creator_user_id, line FROM api_key WHERE hash = ?1", &[hash.cell()])?;
    row.map_or(Ok(Owner::default()), |mut row| {
        Ok(Owner { workspace: row.next()?, user: row.next()?, line: row.next()? })
    })
}

/// What KV says of every key that may still be used.
pub(super) fn snapshots(store: &Store, account: &AccountId) -> Result<Vec<KeySnapshot>, Fault> {
    let statement = format!("SELECT {COLUMNS} FROM api_key WHERE kind = 'inference' AND deleted_at IS NULL");
    let rows = store.rows(&statement, &[])?.into_iter();
    rows.map(|row| Key::read(row)?.snapshot(store, account.clone())).collect()
}

/// What is left of a key's limit beside its open holds; `None` without a limit.
pub(super) fn available(store: &Store, now: Time, key: &Key) -> Result<Option<Money>, Fault> {
    match key.limit {
        None => Ok(None),
        Some(_) => key.remaining(&spending(store, now, key)?),
    }
}

/// What a key, or the line that it is of, spent in all and in the windows that hold `now`.
fn spending(store: &Store, now: Time, key: &Key) -> Result<Spent, Fault> {
    let since = |column: &str, argument: &str| {
        format!("CAST(COALESCE(SUM(CASE WHEN day >= {argument} THEN {column} END), 0) AS TEXT)")
    };
    let windows = ["day", "CAST(?2 AS INTEGER)", "CAST(?3 AS INTEGER)", "CAST(?4 AS INTEGER)"];
    let columns: Vec<String> = ["usage", "byok_usage"]
        .into_iter()
        .flat_map(|column| windows.map(|argument| since(column, argument)))
        .collect();
    let (hashes, whose) = match &key.line {
        None => ("= ?1", &key.hash),
        Some(line) => ("IN (SELECT hash FROM api_key WHERE line = ?1)", line),
    };
    let statement = format!("SELECT {} FROM key_day WHERE key_hash {hashes}", columns.join(", "));
    let today = now.day();
    let arguments = [whose.cell(), today.cell(), today.week_start().cell(), today.month_start().cell()];
    let mut row = store.row(&statement, &arguments)?.ok_or(Fault::Corrupt("amount"))?;
    let mut read = || -> Result<Spending, Fault> {
        Ok(Spending { total: row.next()?, daily: row.next()?, weekly: row.next()?, monthly: row.next()? })
    };
    Ok(Spent { usage: read()?, byok_usage: read()? })
}

pub(super) fn find(store: &Store, hash: &KeyHash) -> Result<Option<Key>, Fault> {
    let statement = format!("SELECT {COLUMNS} FROM api_key WHERE hash = ?1");
    store.row(&statement, &[hash.cell()])?.map(Key::read).transpose()
}

pub(super) fn find_living(
    store: &Store,
    hash: &KeyHash,
    only: Option<KeyKind>,
) -> Result<Option<Key>, Fault> {
    Ok(find(store, hash)?.filter(|key| key.deleted_at.is_none() && key.is_of(only)))
}

/// Writes what can change of a key but its held money and last use. A limit is that of the key's line.
pub(super) fn write(store: &Store, key: &Key) -> Result<(), Fault> {
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
    )?;
    let Some(line) = &key.line else {
        return Ok(());
    };
    store.write(
        "UPDATE api_key SET limit_amount = CAST(?2 AS INTEGER), limit_reset = ?3,
         include_byok = CAST(?4 AS INTEGER) WHERE line = ?1",
        &[line.cell(), key.limit.cell(), key.limit_reset.cell(), key.include_byok.cell()],
    )
}

pub(super) fn row(store: &Store, now: Time, account: &AccountRow, key: Key) -> Result<KeyRow, Fault> {
    let spent = spending(store, now, &key)?;
    let limit_remaining = key.remaining(&spent)?;
    let Spent { usage, byok_usage } = spent;
    Ok(KeyRow {
        account: account.id.clone(),
        workspace_id: team::shown_workspace(&account.id, &key.workspace),
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
        holder: key.holder,
        replaces: key.replaces,
        is_free_tier: account.granted <= Money::ZERO,
        budgets: Vec::new(),
        free_requests_today: 0,
        granted: account.granted,
        requests_per_minute: None,
    })
}

impl Key {
    /// Reads what follows in the columns of a row.
    pub(super) fn read(mut row: Row) -> Result<Key, Fault> {
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
            holder: Holder {
                creator_user_id: row.next()?,
                external_user: row.next()?,
                external_key: row.next()?,
                app: row.next()?,
            },
            line: row.next()?,
            replaces: row.next()?,
            workspace: row.next()?,
        })
    }

    pub(super) fn owner(&self) -> Owner {
        let (workspace, user) = (self.workspace.clone(), self.holder.creator_user_id.clone());
        Owner { workspace, user, line: self.line.clone() }
    }

    fn remaining(&self, spent: &Spent) -> Result<Option<Money>, Fault> {
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        let in_window = |spending: &Spending| match self.limit_reset {
            None => spending.total,
            Some(LimitReset::Daily) => spending.daily,
            Some(LimitReset::Weekly) => spending.weekly,
            Some(LimitReset::Monthly) => spending.monthly,
        };
        let byok = if self.include_byok { in_window(&spent.byok_usage) } else { Money::ZERO };
        let left = difference(limit, in_window(&spent.usage))?.pico();
        // What is used of own keys has no bound but that of an amount.
        let left = left.saturating_sub(byok.pico()).saturating_sub(self.held.pico());
        Ok(Some(Money::from_pico(left)))
    }

    /// What KV is to have of the key.
    pub(super) fn snapshot(&self, store: &Store, account: AccountId) -> Result<KeySnapshot, Fault> {
        let policy = match (self.kind, self.deleted_at) {
            (KeyKind::Inference, None) => {
                let member = self.holder.creator_user_id.as_deref();
                team::policy::of(store, &account, &self.hash, &self.workspace, member)?
            }
            (KeyKind::Management, _) | (_, Some(_)) => None,
        };
        Ok(KeySnapshot { policy: policy.map(Rc::from), byok: byok::is_any(store)?, ..self.state(account) })
    }

    /// The same without what applies to its requests.
    pub(super) fn state(&self, account: AccountId) -> KeySnapshot {
        KeySnapshot {
            account,
            hash: self.hash.clone(),
            kind: self.kind,
            version: self.version,
            disabled: self.disabled,
            deleted: self.deleted_at.is_some(),
            expires_at: self.expires_at,
            policy: None,
            byok: false,
            workspace: (!self.workspace.is_empty()).then(|| self.workspace.as_str().into()),
            member: self.holder.creator_user_id.as_deref().map(Rc::from),
        }
    }

    /// What a key like this one is to be.
    pub(super) fn policy(&self) -> NewKeyPolicy {
        NewKeyPolicy {
            hash: self.hash.clone(),
            label: self.label.clone(),
            name: self.name.clone(),
            kind: self.kind,
            limit: self.limit,
            limit_reset: self.limit_reset,
            include_byok_in_limit: self.include_byok,
            expires_at: self.expires_at,
            holder: self.holder.clone(),
            workspace: self.workspace.clone(),
        }
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted_at.is_some()
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.disabled
    }

    pub(super) fn was_used(&self) -> bool {
        self.last_used_at.is_some()
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
