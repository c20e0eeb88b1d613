//! What an account can be told of its limits of rate, how `/rate-limits` reads and shows them.

use super::{COLUMNS, MOST, RateLimit, minute_of, under_way};
use crate::account::Refusal;
use crate::account::budget::{Per, Scope, command::is_key};
use crate::account::command::Answer;
use crate::account::key::KeyRefusal;
use crate::account::ledger::{invalid, refused};
use crate::account::request::{Fields, text};
use crate::account::store::{Column, Fault, Store};
use crate::error::Failure;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The most counts that one limit is shown with.
const COUNTS: usize = 100;

/// Carried as JSON by [`super::super::budget::command::BudgetCommand::Rate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RateCommand {
    Set(RateLimit),
    Remove { id: String },
    List,
}

/// Answers with every limit as clients see it: a JSON list, after the command.
pub(in crate::account) fn carry_out(
    store: &Store,
    now: Time,
    command: &RateCommand,
) -> Result<Answer, Fault> {
    match command {
        RateCommand::Set(limit) => {
            if let Some(flaw) = limit.flaw() {
                return Ok(invalid(flaw));
            }
            if limit.scope == Scope::Key && !is_key(store, &limit.subject)? {
                return Ok(refused(Refusal::Key { reason: KeyRefusal::Unknown }));
            }
            if !set(store, limit)? {
                return Ok(invalid("an account has at most 1000 limits of rate"));
            }
        }
        RateCommand::Remove { id } => remove(store, id)?,
        RateCommand::List => {}
    }
    Ok(Answer::Budgets { standings: Value::from(list(store, now)?).to_string() })
}

/// Makes a limit, or replaces the one of the same id, whose counts stay where it is about the same
/// requests. Whether there was room for it.
fn set(store: &Store, limit: &RateLimit) -> Result<bool, Fault> {
    let limit = RateLimit { subject: limit.aim().subject_in_line(store)?, ..limit.clone() };
    let before = all(store)?.into_iter().find(|(_, before)| before.id == limit.id);
    let same = |(_, before): &(u64, RateLimit)| {
        let RateLimit { id: _, scope, subject, per, model, .. } = before;
        (scope, subject, per, model) == (&limit.scope, &limit.subject, &limit.per, &limit.model)
    };
    if before.is_some() && !before.as_ref().is_some_and(same) {
        remove(store, &limit.id)?;
    }
    let full: Option<String> = match store.row("SELECT CAST(COUNT(*) AS TEXT) FROM rate_limit", &[])? {
        Some(mut row) => {
            Some(row.next::<u64>()?).filter(|count| *count >= MOST).map(|count| count.to_string())
        }
        None => None,
    };
    if full.is_some() && before.is_none() {
        return Ok(false);
    }
    store.write(
        "INSERT INTO rate_limit (id, scope, subject, per, model, requests, tokens, concurrent)
         VALUES (?1, ?2, ?3, ?4, ?5, CAST(?6 AS INTEGER), CAST(?7 AS INTEGER), CAST(?8 AS INTEGER))
         ON CONFLICT (id) DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens,
         concurrent = excluded.concurrent",
        &[
            limit.id.cell(),
            limit.scope.cell(),
            limit.subject.cell(),
            limit.per.cell(),
            limit.model.cell(),
            limit.requests_per_minute.cell(),
            limit.tokens_per_minute.cell(),
            limit.concurrent_requests.cell(),
        ],
    )?;
    Ok(true)
}

fn remove(store: &Store, id: &str) -> Result<(), Fault> {
    let id = [id.to_owned().cell()];
    store.write("DELETE FROM rate_count WHERE rate IN (SELECT number FROM rate_limit WHERE id = ?1)", &id)?;
    store.write("DELETE FROM rate_limit WHERE id = ?1", &id)
}

fn all(store: &Store) -> Result<Vec<(u64, RateLimit)>, Fault> {
    let rows = store.rows(&format!("SELECT {COLUMNS} FROM rate_limit ORDER BY number"), &[])?;
    rows.into_iter().map(|mut row| Ok((row.next()?, RateLimit::read(&mut row)?))).collect()
}

fn list(store: &Store, now: Time) -> Result<Vec<Value>, Fault> {
    all(store)?.iter().map(|(number, limit)| view(store, now, *number, limit)).collect()
}

/// A limit as clients see it, with what was taken in this minute by all together, or by each.
fn view(store: &Store, now: Time, number: u64, limit: &RateLimit) -> Result<Value, Fault> {
    let rows = store.rows(
        "SELECT who, CAST(requests AS TEXT), CAST(tokens AS TEXT) FROM rate_count
         WHERE rate = CAST(?1 AS INTEGER) AND minute >= CAST(?2 AS INTEGER) ORDER BY who",
        &[number.cell(), minute_of(now).cell()],
    )?;
    let mut counts = Vec::new();
    for mut row in rows.into_iter().take(COUNTS) {
        let (who, requests, tokens): (String, u64, u64) = (row.next()?, row.next()?, row.next()?);
        counts.push(json!({
            "subject": (!who.is_empty()).then_some(&who),
            "requests": limit.requests_per_minute.map(|_| requests),
            "tokens": limit.tokens_per_minute.map(|_| tokens),
        }));
    }
    let running = match (limit.concurrent_requests, limit.per) {
        (Some(_), Per::All) => Some(under_way(store, &limit.aim(), "")?),
        (Some(_) | None, _) => None,
    };
    Ok(json!({
        "id": limit.id,
        "scope": limit.scope,
        "subject": (!limit.subject.is_empty()).then_some(&limit.subject),
        "per": limit.per,
        "model": limit.model,
        "requests_per_minute": limit.requests_per_minute,
        "tokens_per_minute": limit.tokens_per_minute,
        "concurrent_requests": limit.concurrent_requests,
        "running": running,
        "counts": counts,
    }))
}

/// Reads the body of `PUT /rate-limits/{id}`.
pub fn read(id: &str, body: &[u8]) -> Result<RateLimit, Failure> {
    let known = [
        "scope",
        "subject",
        "per",
        "model",
        "requests_per_minute",
        "tokens_per_minute",
        "concurrent_requests",
    ];
    let fields = Fields::read(text(body)?, &known)?;
    let (scope, per) = crate::account::budget::command::read_aim(&fields)?;
    let limit = RateLimit {
        id: id.to_owned(),
        scope,
        subject: fields.string("subject")?.unwrap_or_default(),
        per,
        model: fields.string("model")?.map(|model| model.to_ascii_lowercase()),
        requests_per_minute: fields.count("requests_per_minute")?,
        tokens_per_minute: fields.count("tokens_per_minute")?,
        concurrent_requests: fields.count("concurrent_requests")?,
    };
    limit.flaw().map_or(Ok(limit), |flaw| Err(Failure::invalid(flaw)))
}
