//! What an account can be told of its budgets, how `/budgets` reads and shows them.

use super::{Budget, Per, Scope, Set, Standing, list, remove, set};
use crate::account::command::Answer;
use crate::account::key::KeyRefusal;
use crate::account::ledger::{invalid, refused};
use crate::account::limit::LimitReset;
use crate::account::rate::{self, command::RateCommand};
use crate::account::request::{Fields, text};
use crate::account::store::{Fault, Store};
use crate::account::view::{Number, json, usd};
use crate::account::{Refusal, keyring};
use crate::error::Failure;
use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// Carried as JSON by [`super::super::Command::Budget`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetCommand {
    Set(Budget),
    Remove {
        id: String,
    },
    List,
    /// About limits of rate, which are about requests as budgets are about money.
    Rate(RateCommand),
}

/// Answers with every budget as it stands, after the command.
pub(in crate::account) fn carry_out(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = crate::json::read(command) else {
        return Ok(invalid("not a command about budgets"));
    };
    match command {
        BudgetCommand::Set(budget) => {
            if let Some(flaw) = budget.flaw() {
                return Ok(invalid(flaw));
            }
            if budget.scope == Scope::Key && !is_key(store, &budget.subject)? {
                return Ok(refused(Refusal::Key { reason: KeyRefusal::Unknown }));
            }
            if set(store, now, &budget)? == Set::Full {
                return Ok(invalid("an account has at most 10000 budgets"));
            }
        }
        BudgetCommand::Remove { id } => {
            remove(store, &id)?;
        }
        BudgetCommand::List => {}
        BudgetCommand::Rate(command) => return rate::command::carry_out(store, now, &command),
    }
    let answer = serde_json::to_string(&list(store, now, None)?);
    Ok(Answer::Budgets { standings: answer.map_err(|_| Fault::Corrupt("budget"))? })
}

pub(in crate::account) fn is_key(store: &Store, subject: &str) -> Result<bool, Fault> {
    match KeyHash::parse(subject) {
        Some(hash) => keyring::exists(store, &hash),
        None => Ok(false),
    }
}

/// Whether a budget may be called that: lower-case letters, digits and hyphens, 64 at most. What
/// belongs to a workspace or a guardrail has other names.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

/// Reads whose requests something is about, and for whom they are counted.
pub(in crate::account) fn read_aim(fields: &Fields) -> Result<(Scope, Per), Failure> {
    let scope = fields.string("scope")?.map_or(Some(Scope::Account), |text| Scope::parse(&text));
    let per = fields.string("per")?.map_or(Some(Per::All), |text| Per::parse(&text));
    Ok((
        scope.ok_or_else(|| Failure::invalid("scope: must be account, workspace, key or user"))?,
        per.ok_or_else(|| Failure::invalid("per: must be all, key, user or end_user"))?,
    ))
}

/// Reads the body of `PUT /budgets/{id}`.
pub fn read(id: &str, body: &[u8]) -> Result<Budget, Failure> {
    let known =
        ["scope", "subject", "per", "model", "reset_interval", "limit_usd", "include_byok_in_budgets"];
    let fields = Fields::read(text(body)?, &known)?;
    let (scope, per) = read_aim(&fields)?;
    let window = match fields.string("reset_interval")? {
        None => None,
        Some(text) => Some(
            LimitReset::parse(&text)
                .ok_or_else(|| Failure::invalid("reset_interval: must be daily, weekly, monthly or null"))?,
        ),
    };
    let amount = fields.required_money("limit_usd")?;
    if amount <= Money::ZERO {
        return Err(Failure::invalid("limit_usd: must be more than 0"));
    }
    let budget = Budget {
        id: id.to_owned(),
        scope,
        subject: fields.string("subject")?.unwrap_or_default(),
        per,
        model: fields.string("model")?.map(|model| model.to_ascii_lowercase()),
        window,
        amount,
        include_byok: fields.boolean("include_byok_in_budgets")?.unwrap_or(false),
        source: None,
    };
    match budget.flaw() {
        None => Ok(budget),
        Some(flaw) => Err(Failure::invalid(flaw)),
    }
}

/// The body of `GET /budgets`.
pub fn write_all(standings: &[Standing]) -> String {
    #[derive(Serialize)]
    struct All<'a> {
        data: Vec<View<'a>>,
    }
    let by_budget = standings.chunk_by(|left, right| left.budget.id == right.budget.id);
    json(&All { data: by_budget.map(View::new).collect() })
}

/// The body of `PUT /budgets/{id}`; `None` where there is none of that id.
pub fn write_one(standings: &[Standing], id: &str) -> Option<String> {
    #[derive(Serialize)]
    struct One<'a> {
        data: View<'a>,
    }
    let mut by_budget = standings.chunk_by(|left, right| left.budget.id == right.budget.id);
    let found = by_budget.find(|standings| standings[0].budget.id == id)?;
    Some(json(&One { data: View::new(found) }))
}

/// The most counts that one budget is shown with.
const COUNTS: usize = 100;

/// A budget as clients see it.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    scope: Scope,
    subject: Option<&'a str>,
    per: Per,
    model: Option<&'a str>,
    reset_interval: Option<LimitReset>,
    resets_at: Option<String>,
    limit_usd: Number,
    include_byok_in_budgets: bool,
    guardrail_id: Option<&'a str>,
    /// Of all together, or of each.
    counts: Vec<Count<'a>>,
}

#[derive(Serialize)]
struct Count<'a> {
    subject: Option<&'a str>,
    spend_usd: Number,
    held_usd: Number,
    remaining_usd: Number,
}

impl View<'_> {
    /// `standings` are those of one budget, and not empty.
    fn new(standings: &[Standing]) -> View<'_> {
        let Standing { budget, resets_at, .. } = &standings[0];
        let some = |text: &'_ str| !text.is_empty();
        View {
            id: &budget.id,
            scope: budget.scope,
            subject: Some(budget.subject.as_str()).filter(|text| some(text)),
            per: budget.per,
            model: budget.model.as_deref(),
            reset_interval: budget.window,
            resets_at: resets_at.map(Time::to_iso8601),
            limit_usd: usd(budget.amount),
            include_byok_in_budgets: budget.include_byok,
            guardrail_id: budget.source.as_deref(),
            counts: standings.iter().take(COUNTS).map(Count::new).collect(),
        }
    }
}

impl Count<'_> {
    fn new(standing: &Standing) -> Count<'_> {
        Count {
            subject: Some(standing.who.as_str()).filter(|who| !who.is_empty()),
            spend_usd: usd(standing.spent),
            held_usd: usd(standing.held),
            remaining_usd: usd(standing.available().unwrap_or_default()),
        }
    }
}
