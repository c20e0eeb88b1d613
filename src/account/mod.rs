//! One customer's money and keys: the mind of the account object. A command goes in and an answer
//! comes out, with no wait between the first read and the last write.

pub mod access;
pub mod alert;
pub mod authorization;
pub mod billing;
pub mod books;
pub mod budget;
pub mod byok;
pub mod challenge;
mod charges;
pub mod code;
pub mod command;
pub mod document;
pub mod key;
mod keyring;
pub mod lease;
pub mod ledger;
pub mod limit;
mod look;
pub mod purchase;
pub mod rate;
pub mod receipt;
pub mod record;
pub mod report;
pub mod request;
mod rotation;
pub mod store;
pub mod team;
mod text;
pub mod top_up;
pub mod view;
pub mod wallet;

pub use billing::{BillingAnswer, BillingCommand};
pub use command::{AccountRow, Answer, Command, Holder, KeyChange, KeyRow, NewKeyPolicy, Refusal, Spending};
pub use key::{KeyKind, KeyRefusal, KeySnapshot, NewKey, parse_key};
pub use limit::LimitReset;
pub use record::GenerationRecord;
pub use report::{
    Held, Hold, LeaseReport, LeaseState, Part, Report, Reported, Settle, Settled, kept_name, kept_prefix,
};
pub use store::{Cell, Fault, Sql, SqlError};

use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;
use store::Store;

/// Carries out a command given as JSON and answers in JSON. After an answer `fault`
/// ([`is_fault`]) the caller must roll back what was written.
pub fn run(sql: &dyn Sql, now: Time, command: &str) -> String {
    let answer = match crate::json::read(command) {
        Ok(command) => {
            execute(sql, now, &command).unwrap_or_else(|fault| Answer::Fault { message: fault.to_string() })
        }
        Err(error) => Answer::Invalid { message: format!("not a command: {error}") },
    };
    serde_json::to_string(&answer).expect("answers are strings, numbers and booleans")
}

/// Whether an answer of [`run`] means that nothing it wrote may stay.
pub fn is_fault(answer: &str) -> bool {
    answer.starts_with(r#"{"fault":"#)
}

/// As [`run`], for callers that hold a command. On a [`Fault`] the caller must roll back.
pub fn execute(sql: &dyn Sql, now: Time, command: &Command) -> Result<Answer, Fault> {
    if let Some(flaw) = command.flaw() {
        return Ok(ledger::invalid(flaw));
    }
    let store = match (Store::open(sql)?, command) {
        (Some(store), _) => store,
        (None, Command::Create { .. }) => Store::create(sql)?,
        (None, Command::Billing { command }) if command.makes_tables() => Store::create(sql)?,
        (None, _) => return Ok(Answer::Missing),
    };
    match command {
        Command::Create { account, name } => ledger::create(&store, now, account, name),
        Command::Describe => {
            lease::expire(&store, now)?;
            ledger::describe(&store).map(|account| Answer::Account { account })
        }
        Command::Grant { id, amount, reason } => ledger::grant(&store, now, id, *amount, reason),
        Command::Credits => {
            let account = ledger::describe(&store)?;
            Ok(Answer::Credits { granted: account.granted, used: account.charged })
        }
        Command::CreateKey(policy) => keyring::create(&store, now, policy),
        Command::ListKeys { offset, include_disabled, include_expired, include_apps, workspace, creator } => {
            let whose = (workspace.as_deref(), creator.as_deref());
            keyring::list(&store, now, *offset, *include_disabled, *include_expired, *include_apps, whose)
        }
        Command::GetKey { hash, only } => keyring::get(&store, now, hash, *only),
        Command::UpdateKey(change) => keyring::update(&store, now, change),
        Command::DeleteKey { hash, only } => keyring::delete(&store, now, hash, *only),
        Command::Authenticate { hash } => keyring::authenticate(&store, now, hash),
        Command::Report(report) => report::carry_out(&store, now, report),
        Command::ExpireHolds => {
            let holds = lease::expire(&store, now)?;
            let records = ledger::drop_old_records(&store, now)?;
            budget::drop_old(&store, now)?;
            rate::drop_old(&store, now)?;
            Ok(Answer::Expired { holds, records, next_alarm: next_alarm(&store)? })
        }
        Command::Generation { id } => ledger::generation(&store, id),
        Command::Document { command } => document::execute(&store, now, command),
        Command::Budget { command } => budget::command::carry_out(&store, now, command),
        Command::Billing { command } => billing::carry_out(&store, now, command),
        Command::Books { command } => books::execute(&store, now, command),
        Command::Access { command } => access::execute(&store, now, command),
        Command::Alert { command } => alert::execute(&store, now, command),
        Command::Team { command } => team::execute(&store, now, command),
        Command::Byok { command } => byok::execute(&store, now, command),
        Command::Acting { by, command } => team::mandate::carry_out(sql, &store, now, by, command),
    }
}

/// The keys whose policy KV is to be told of, `most` of them, after a change that is about many.
pub fn due_policies(sql: &dyn Sql, most: usize) -> Result<Vec<KeySnapshot>, Fault> {
    Store::open(sql)?.map_or(Ok(Vec::new()), |store| keyring::due(&store, most))
}

/// Notes that KV has been told of a key's policy as of that version.
pub fn policy_published(sql: &dyn Sql, hash: &KeyHash, version: u64) -> Result<(), Fault> {
    Store::open(sql)?.map_or(Ok(()), |store| keyring::told(&store, hash, version))
}

/// When the alarm has to run: at the first expiry of a hold, the first end of a record's retention, or
/// when a top-up or an alert is due.
fn next_alarm(store: &Store) -> Result<Option<Time>, Fault> {
    let row = store.row(
        &format!(
            "SELECT CAST((SELECT MIN(expires_at) FROM lease) AS TEXT),
             CAST((SELECT at FROM generation ORDER BY number LIMIT 1) AS TEXT), CAST({} AS TEXT),
             CAST({} AS TEXT)",
            top_up::DUE_AT,
            alert::outbox::NEXT_AT
        ),
        &[],
    )?;
    let mut row = row.ok_or(Fault::Corrupt("time"))?;
    let (first_expiry, first_record): (Option<Time>, Option<Time>) = (row.next()?, row.next()?);
    let (top_up, alert): (Option<Time>, Option<Time>) = (row.next()?, row.next()?);
    let first_record_end = first_record.map(|at| at.plus(ledger::RECORD_RETENTION));
    Ok([first_expiry, first_record_end, top_up, alert].into_iter().flatten().min())
}

/// A subtraction that can only fail where a total was wrong before.
fn difference(left: Money, right: Money) -> Result<Money, Fault> {
    left.checked_sub(right).ok_or(Fault::Corrupt("total"))
}
