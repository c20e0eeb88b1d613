//! The codes that apps exchange for a key of the account: what its owner agreed to, good once and for
//! ten minutes.

use super::access::{AccessAnswer, AccessRefusal, Done, Exchange, NewAuthCode};
use super::challenge::{Challenge, ChallengeMethod};
use super::command::{Holder, NewKeyPolicy};
use super::key::KeyKind;
use super::limit::LimitReset;
use super::store::{Column, Fault, Store};
use super::{keyring, ledger, team};
use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;
use std::time::Duration;

/// How long a code is good.
pub const CODE_LIFE: Duration = Duration::from_secs(600);
/// How long it is remembered, so that it can be said to have expired.
const REMEMBERED: Duration = Duration::from_secs(86_400);
/// The most codes of one account that are remembered.
const MOST: u64 = 1000;

/// Notes a code. The same hash again changes nothing.
pub(super) fn make(store: &Store, now: Time, new: &NewAuthCode) -> Result<Done, Fault> {
    store.write(
        "DELETE FROM auth_code WHERE created_at <= CAST(?1 AS INTEGER)",
        &[Time::from_ms(now.ms().saturating_sub(REMEMBERED.as_millis() as u64)).cell()],
    )?;
    if find(store, &new.hash)?.is_some() {
        return Ok((AccessAnswer::CodeMade, Vec::new()));
    }
    let count = store.row("SELECT CAST(COUNT(*) AS TEXT) FROM auth_code", &[])?;
    if count.ok_or(Fault::Corrupt("number"))?.next::<u64>()? >= MOST {
        return Ok((AccessAnswer::Refused { why: AccessRefusal::TooManyCodes }, Vec::new()));
    }
    let account = ledger::describe(store)?.id;
    let Some(workspace) = team::find_workspace(store, &account, &new.workspace)? else {
        return Ok((AccessAnswer::Refused { why: AccessRefusal::NoWorkspace }, Vec::new()));
    };
    let challenge = new.challenge.as_ref();
    store.write(
        "INSERT INTO auth_code (hash, challenge, method, name, app, limit_amount, limit_reset,
         key_expires_at, created_at, workspace_id, creator_user_id) VALUES (?1, ?2, ?3, ?4, ?5,
         CAST(?6 AS INTEGER), ?7, CAST(?8 AS INTEGER), CAST(?9 AS INTEGER), ?10, ?11)",
        &[
            new.hash.cell(),
            challenge.map(|challenge| challenge.text.clone()).cell(),
            challenge.map(|challenge| challenge.method.as_str().to_owned()).cell(),
            new.name.cell(),
            new.app.cell(),
            new.limit.cell(),
            new.limit_reset.cell(),
            new.expires_at.cell(),
            now.cell(),
            workspace.cell(),
            new.creator_user_id.cell(),
        ],
    )?;
    Ok((AccessAnswer::CodeMade, Vec::new()))
}

/// Makes the key that a code stands for, once. The same `new` again changes nothing.
pub(super) fn exchange(store: &Store, now: Time, wanted: &Exchange) -> Result<Done, Fault> {
    let refused = |why| Ok((AccessAnswer::Refused { why }, Vec::new()));
    let Some(code) = find(store, &wanted.code)? else {
        return refused(AccessRefusal::WrongCode);
    };
    // A method is meant to be named with the challenge; who names none means the one that is plain.
    let named = wanted.method.or(code.challenge.as_ref().map(|_| ChallengeMethod::Plain));
    if named != code.challenge.as_ref().map(|challenge| challenge.method) {
        return refused(AccessRefusal::WrongMethod);
    }
    let is_proved = match (&code.challenge, &wanted.verifier) {
        (Some(challenge), Some(verifier)) => challenge.is_met(verifier),
        (None, None) => true,
        // A verifier without a challenge: somebody took the challenge away (RFC 9700, section 4.8.2).
        (Some(_), None) | (None, Some(_)) => false,
    };
    let is_used = code.key.as_ref().is_some_and(|key| *key != wanted.new);
    if !is_proved || is_used {
        return refused(AccessRefusal::WrongCode);
    }
    if now.since(code.created_at) >= CODE_LIFE && code.key.is_none() {
        return refused(AccessRefusal::CodeExpired);
    }
    if code.key.is_none() {
        // The workspace may have been deleted since.
        if keyring::add_checked(store, now, &code.policy(wanted))?.is_some() {
            return refused(AccessRefusal::NoWorkspace);
        }
        let used = [wanted.code.cell(), wanted.new.cell()];
        store.write("UPDATE auth_code SET key_hash = ?2 WHERE hash = ?1", &used)?;
    }
    let key = keyring::find(store, &wanted.new)?.ok_or(Fault::Corrupt("key"))?;
    let user = code.creator_user_id;
    Ok((AccessAnswer::Exchanged(user), vec![key.snapshot(store, ledger::describe(store)?.id)?]))
}

/// A code as the table has it.
struct AuthCode {
    challenge: Option<Challenge>,
    name: String,
    app: String,
    limit: Option<Money>,
    limit_reset: Option<LimitReset>,
    expires_at: Option<Time>,
    created_at: Time,
    /// The key that it was exchanged for.
    key: Option<KeyHash>,
    workspace: String,
    creator_user_id: Option<String>,
}

impl AuthCode {
    fn policy(&self, wanted: &Exchange) -> NewKeyPolicy {
        NewKeyPolicy {
            hash: wanted.new.clone(),
            label: wanted.label.clone(),
            name: self.name.clone(),
            kind: KeyKind::Inference,
            limit: self.limit,
            limit_reset: self.limit_reset,
            include_byok_in_limit: false,
            expires_at: self.expires_at,
            holder: Holder {
                app: Some(self.app.clone()),
                creator_user_id: self.creator_user_id.clone(),
                ..Holder::default()
            },
            workspace: self.workspace.clone(),
        }
    }
}

fn find(store: &Store, hash: &KeyHash) -> Result<Option<AuthCode>, Fault> {
    let row = store.row(
        "SELECT challenge, method, name, app, CAST(limit_amount AS TEXT), limit_reset,
         CAST(key_expires_at AS TEXT), CAST(created_at AS TEXT), key_hash, workspace_id,
         creator_user_id FROM auth_code WHERE hash = ?1",
        &[hash.cell()],
    )?;
    let Some(mut row) = row else {
        return Ok(None);
    };
    let (text, method): (Option<String>, Option<String>) = (row.next()?, row.next()?);
    let method = method.as_deref().and_then(ChallengeMethod::parse);
    Ok(Some(AuthCode {
        challenge: text.zip(method).map(|(text, method)| Challenge { method, text }),
        name: row.next()?,
        app: row.next()?,
        limit: row.next()?,
        limit_reset: row.next()?,
        expires_at: row.next()?,
        created_at: row.next()?,
        key: row.next()?,
        workspace: row.next()?,
        creator_user_id: row.next()?,
    }))
}
