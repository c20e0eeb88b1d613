//! The account's own keys at providers, as its object keeps them: sealed, so that nothing here can
//! read them, with the rules of their use. What opens them is the isolate's.

mod told;

use super::store::{Column, Fault, Row, Sql, Store};
use super::{Answer, KeySnapshot, difference, keyring, ledger, team, text};
use crate::id::AccountId;
use crate::json;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How many an account may have.
pub const MOST: u64 = 200;
/// The longest sealed text, in bytes.
pub const SEALED_BYTES: usize = 64 * 1024;

/// What can be done with an account's own keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "told::Command")]
pub enum ByokCommand {
    /// Adds one behind those of its provider. The same `id` again changes nothing.
    Create {
        id: String,
        provider: String,
        sealed: String,
        label: String,
        /// The rules of its use: a [`Policy`], as the members of a JSON object.
        policy: Map<String, Value>,
    },
    /// Sets members of the policy, and another secret with its label if there is one.
    Change {
        id: String,
        policy: Map<String, Value>,
        secret: Option<(String, String)>,
    },
    /// Takes one away, with what was sealed.
    Delete {
        id: String,
    },
    Get {
        id: String,
    },
    /// Asks for a page, by provider and order.
    List {
        provider: Option<String>,
        workspace: Option<String>,
        offset: u64,
        limit: u64,
    },
    /// Asks for all that may be used, as KV has them.
    Mirror,
}

/// The answers, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "told::Answer")]
pub enum ByokAnswer {
    One {
        row: ByokRow,
    },
    Many {
        rows: Vec<ByokRow>,
        total: u64,
    },
    /// To `Create`, `Change` and `Delete`: what KV is to keep.
    Changed {
        row: Option<ByokRow>,
        mirror: String,
    },
    Mirror {
        mirror: String,
    },
    NotFound,
    Refused {
        message: String,
    },
}

/// One of an account's own keys, without the secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByokRow {
    pub id: String,
    pub provider: String,
    pub label: String,
    pub policy: Policy,
    pub sort_order: u64,
    #[serde(with = "text::ms")]
    pub created_at: Time,
}

/// The rules of a key's use. A list that is `None` allows all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    pub name: Option<String>,
    pub workspace_id: Option<String>,
    pub disabled: bool,
    /// It is tried after the gateway's own keys.
    pub is_fallback: bool,
    /// For the models that it may be used for, the gateway's own keys are not tried at its provider.
    pub is_required: bool,
    /// Nor for any other model.
    pub is_byok_only: bool,
    pub allowed_models: Option<Vec<String>>,
    pub allowed_api_key_hashes: Option<Vec<String>>,
    pub allowed_user_ids: Option<Vec<String>>,
}

/// What KV and the isolates keep of an account's own keys: those that are not disabled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mirror {
    pub keys: Vec<MirrorKey>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorKey {
    pub id: String,
    pub provider: String,
    pub sealed: String,
    pub sort_order: u64,
    pub policy: Policy,
}

/// The name of an account's entry in KV.
pub fn entry_name(account: &AccountId) -> String {
    format!("byok:{account}")
}

pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = crate::json::read(command) else {
        return Ok(ledger::invalid("not a command about keys of one's own"));
    };
    let answer = match command {
        ByokCommand::Create { id, provider, sealed, label, policy } => {
            create(store, now, &id, &provider, (sealed, label), policy)?
        }
        ByokCommand::Change { id, policy, secret } => change(store, &id, policy, secret)?,
        ByokCommand::Delete { id } => {
            let row = store.row("DELETE FROM byok_key WHERE id = ?1 RETURNING id", &[id.cell()])?;
            if row.is_some() { changed(store, None)? } else { ByokAnswer::NotFound }
        }
        ByokCommand::Get { id } => {
            find(store, &id)?.map_or(ByokAnswer::NotFound, |row| ByokAnswer::One { row })
        }
        ByokCommand::List { provider, workspace, offset, limit } => {
            let of_provider = |row: &ByokRow| provider.as_ref().is_none_or(|slug| *slug == row.provider);
            let workspace = workspace.map(|at| shown(store, &at)).transpose()?;
            let there =
                |row: &ByokRow| workspace.is_none() || row.policy.workspace_id == workspace.clone().flatten();
            let all = all(store)?.into_iter().map(|(row, _)| row);
            let rows: Vec<ByokRow> = all.filter(|row| of_provider(row) && there(row)).collect();
            let total = rows.len() as u64;
            let page = rows.into_iter().skip(offset as usize).take(limit as usize);
            ByokAnswer::Many { rows: page.collect(), total }
        }
        ByokCommand::Mirror => ByokAnswer::Mirror { mirror: mirror(store)? },
    };
    let answer = serde_json::to_string(&answer).expect("strings, numbers and booleans are always JSON");
    Ok(Answer::Byok { answer })
}

/// What KV is to keep after `answer`: the name of the account's entry, its value, and what is said of
/// each key of the account; `None` where nothing was changed.
pub fn to_mirror(sql: &dyn Sql, answer: &str) -> Result<Option<(String, String, Vec<KeySnapshot>)>, Fault> {
    let Ok(ByokAnswer::Changed { mirror, .. }) = crate::json::read(answer) else {
        return Ok(None);
    };
    let Some(store) = Store::open(sql)? else { return Ok(None) };
    let account = ledger::describe(&store)?.id;
    // Between the first and the last of them, KV says of each key that there are some.
    let rows: u64 = number(&store, "SELECT CAST(COUNT(*) AS TEXT) FROM byok_key", &[])?;
    let snapshots = if rows <= 1 { keyring::snapshots(&store, &account)? } else { Vec::new() };
    Ok(Some((entry_name(&account), mirror, snapshots)))
}

/// The workspace that a key is for; `None` for all of them, or for no key.
pub(super) fn workspace_of(store: &Store, id: &str) -> Result<Option<String>, Fault> {
    Ok(find(store, id)?.and_then(|row| row.policy.workspace_id))
}

/// Whether the account has keys of its own, disabled ones with them.
pub(super) fn is_any(store: &Store) -> Result<bool, Fault> {
    match store.has() {
        Some(has) => Ok(has.byok),
        None => Ok(store.row("SELECT id FROM byok_key LIMIT 1", &[])?.is_some()),
    }
}

/// What the requests of the month that holds `now` would have cost at the gateway's own keys; `None`
/// for an account that never had keys of its own.
pub(super) fn used_in_month(store: &Store, now: Time) -> Result<Option<Money>, Fault> {
    if !is_any(store)? {
        return Ok(None);
    }
    let row = store.row(
        "SELECT CAST(COALESCE(SUM(byok_usage), 0) AS TEXT) FROM key_day WHERE day >= CAST(?1 AS INTEGER)",
        &[now.day().month_start().cell()],
    )?;
    row.ok_or(Fault::Corrupt("amount"))?.next().map(Some)
}

/// How much of what replies by keys of the account's own would have cost is counted, one after the other: what no
/// amount can hold is not, as an absurd count must not stop a charge.
pub(super) fn countable(store: &Store, listed: impl Iterator<Item = Money>) -> Result<Vec<Money>, Fault> {
    let mut listed: Vec<Money> = listed.map(|listed| listed.max(Money::ZERO)).collect();
    if listed.iter().all(|listed| *listed == Money::ZERO) {
        return Ok(listed);
    }
    let row = store.row("SELECT CAST(byok_used AS TEXT) FROM account", &[])?;
    let mut left = difference(Money::MAX, row.ok_or(Fault::Corrupt("account"))?.next()?)?;
    for one in &mut listed {
        *one = left.min(*one);
        left = difference(left, *one)?;
    }
    Ok(listed)
}

/// A workspace, by id or slug, as clients see it.
fn shown(store: &Store, at: &str) -> Result<Option<String>, Fault> {
    let account = ledger::describe(store)?.id;
    let kept = team::find_workspace(store, &account, at)?;
    Ok(kept.map(|kept| team::shown_workspace(&account, &kept)))
}

/// Names the workspace of a policy by its id; `false` where there is none.
fn place(store: &Store, policy: &mut Map<String, Value>) -> Result<bool, Fault> {
    let Some(Value::String(at)) = policy.get_mut("workspace_id") else { return Ok(true) };
    let found = shown(store, at)?;
    let is = found.is_some();
    *at = found.unwrap_or_default();
    Ok(is)
}

const NO_WORKSPACE: &str = "workspace_id: no such workspace";

fn create(
    store: &Store,
    now: Time,
    id: &str,
    provider: &str,
    (sealed, label): (String, String),
    mut policy: Map<String, Value>,
) -> Result<ByokAnswer, Fault> {
    if let Some(row) = find(store, id)? {
        return changed(store, Some(row));
    }
    if !place(store, &mut policy)? {
        return Ok(ByokAnswer::Refused { message: NO_WORKSPACE.to_owned() });
    }
    if let Some(refusal) = refusal(store, &policy, Some(&sealed))? {
        return Ok(refusal);
    }
    let count: u64 = number(store, "SELECT CAST(COUNT(*) AS TEXT) FROM byok_key", &[])?;
    if count >= MOST {
        return Ok(ByokAnswer::Refused { message: format!("an account has at most {MOST} keys of its own") });
    }
    let next = "SELECT CAST(COALESCE(MAX(sort_order) + 1, 0) AS TEXT) FROM byok_key WHERE provider = ?1";
    let sort_order = number(store, next, &[provider.to_owned().cell()])?;
    store.write(
        "INSERT INTO byok_key (id, provider, sealed, label, policy, sort_order, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, CAST(?6 AS INTEGER), CAST(?7 AS INTEGER))",
        &[
            id.to_owned().cell(),
            provider.to_owned().cell(),
            sealed.cell(),
            label.cell(),
            Value::Object(policy).to_string().cell(),
            sort_order.cell(),
            now.cell(),
        ],
    )?;
    let row = find(store, id)?;
    changed(store, row)
}

fn change(
    store: &Store,
    id: &str,
    mut patch: Map<String, Value>,
    secret: Option<(String, String)>,
) -> Result<ByokAnswer, Fault> {
    let Some(row) = find(store, id)? else { return Ok(ByokAnswer::NotFound) };
    let mut policy = match serde_json::to_value(&row.policy) {
        Ok(Value::Object(policy)) => policy,
        _ => return Err(Fault::Corrupt("policy")),
    };
    if !place(store, &mut patch)? {
        return Ok(ByokAnswer::Refused { message: NO_WORKSPACE.to_owned() });
    }
    policy.extend(patch);
    let sealed = secret.as_ref().map(|(sealed, _)| sealed.as_str());
    if let Some(refusal) = refusal(store, &policy, sealed)? {
        return Ok(refusal);
    }
    let (sealed, label) = secret.unzip();
    store.write(
        "UPDATE byok_key SET policy = ?2, sealed = COALESCE(?3, sealed), label = COALESCE(?4, label)
         WHERE id = ?1",
        &[id.to_owned().cell(), Value::Object(policy).to_string().cell(), sealed.cell(), label.cell()],
    )?;
    let row = find(store, id)?;
    changed(store, row)
}

/// Why a policy makes no sense in this account, if it does not.
fn refusal(
    store: &Store,
    policy: &Map<String, Value>,
    sealed: Option<&str>,
) -> Result<Option<ByokAnswer>, Fault> {
    let refused = |message: &str| Ok(Some(ByokAnswer::Refused { message: message.to_owned() }));
    let Ok(policy) = json::read::<Policy>(&Value::Object(policy.clone()).to_string()) else {
        return refused("not the rules of a key");
    };
    if policy.is_fallback && (policy.is_byok_only || policy.is_required) {
        return refused("is_fallback: cannot be combined with is_byok_only or is_required");
    }
    if sealed.is_some_and(|sealed| sealed.len() > SEALED_BYTES) {
        return refused("key: too long");
    }
    for hash in policy.allowed_api_key_hashes.iter().flatten() {
        let known = "SELECT hash FROM api_key WHERE hash = ?1 AND deleted_at IS NULL";
        if store.row(known, &[hash.cell()])?.is_none() {
            return refused("allowed_api_key_hashes: not all of these are keys of this account");
        }
    }
    Ok(None)
}

fn changed(store: &Store, row: Option<ByokRow>) -> Result<ByokAnswer, Fault> {
    Ok(ByokAnswer::Changed { row, mirror: mirror(store)? })
}

/// What KV is to keep.
fn mirror(store: &Store) -> Result<String, Fault> {
    let usable = all(store)?.into_iter().filter(|(row, _)| !row.policy.disabled);
    let keys = usable.map(|(row, sealed)| {
        let ByokRow { id, provider, sort_order, policy, .. } = row;
        MirrorKey { id, provider, sealed, sort_order, policy }
    });
    Ok(json!(Mirror { keys: keys.collect() }).to_string())
}

const COLUMNS: &str =
    "id, provider, label, policy, CAST(sort_order AS TEXT), CAST(created_at AS TEXT), sealed";

fn find(store: &Store, id: &str) -> Result<Option<ByokRow>, Fault> {
    let statement = format!("SELECT {COLUMNS} FROM byok_key WHERE id = ?1");
    let row = store.row(&statement, &[id.to_owned().cell()])?.map(read).transpose()?;
    Ok(row.map(|(row, _)| row))
}

/// Every key with what is sealed of it, by provider and order.
fn all(store: &Store) -> Result<Vec<(ByokRow, String)>, Fault> {
    let statement = format!("SELECT {COLUMNS} FROM byok_key ORDER BY provider, sort_order");
    store.rows(&statement, &[])?.into_iter().map(read).collect()
}

fn read(mut row: Row) -> Result<(ByokRow, String), Fault> {
    let (id, provider, label, policy): (_, _, _, String) =
        (row.next()?, row.next()?, row.next()?, row.next()?);
    let policy = crate::json::read(&policy).map_err(|_| Fault::Corrupt("policy"))?;
    let (sort_order, created_at) = (row.next()?, row.next()?);
    Ok((ByokRow { id, provider, label, policy, sort_order, created_at }, row.next()?))
}

fn number(store: &Store, statement: &str, arguments: &[super::Cell]) -> Result<u64, Fault> {
    store.row(statement, arguments)?.ok_or(Fault::Corrupt("number"))?.next()
}
