//! An account's books as its owner reads them: what it did by day, a statement for each month, and
//! every charge with its receipt. All of it follows from the ledger, and adds up to it exactly. Charges
//! that only the log has are entered here.

pub mod activity;
pub mod analytics;
mod counted;
pub mod csv;
pub mod export;
pub mod missed;
pub mod statement;

pub(super) use counted::Counted;

use super::command::Answer;
use super::ledger::invalid;
use super::store::{Fault, Store};
use super::view::usd;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What the books can be asked. Nothing but [`BooksCommand::Missed`] changes anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BooksCommand {
    /// What was done on some days, added up; answered by rows, [`activity::read_rows`].
    Activity(activity::Question),
    /// The months that have a statement; answered by the body of `GET /statements`.
    Statements,
    /// One month's; answered by its document in the format that is asked for.
    Statement { month: String, csv: bool },
    /// A page of charges; answered by rows, [`export::read_rows`].
    Charges(export::Question),
    /// Makes charges that a log has and the ledger may not.
    Missed(Vec<missed::Missed>),
}

impl BooksCommand {
    /// The command that carries this one to the account.
    pub fn command(&self) -> super::Command {
        let command = serde_json::to_string(self).expect("texts, numbers and flags are always JSON");
        super::Command::Books { command }
    }
}

pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let command: BooksCommand = match crate::json::read(command) {
        Ok(command) => command,
        Err(error) => return Ok(invalid(&format!("not a command: {error}"))),
    };
    let answer = match &command {
        BooksCommand::Activity(question) => Some(activity::answer(store, question)?),
        BooksCommand::Statements => Some(statement::list(store, now)?),
        BooksCommand::Statement { month, csv } => statement::answer(store, now, month, *csv)?,
        BooksCommand::Charges(question) => Some(export::answer(store, question)?),
        BooksCommand::Missed(missed) => return missed::make(store, now, missed),
    };
    Ok(answer.map_or(Answer::NotFound, |answer| Answer::Books { answer }))
}

/// `"name":0.5,"name_pico":"500000000000"`: dollars as a number of JSON's with every digit they need, and
/// whole picodollars as text, which no reader rounds.
fn money(name: &str, amount: Money) -> String {
    format!(r#""{name}":{},"{name}_pico":"{}""#, usd(amount), amount.to_text())
}
