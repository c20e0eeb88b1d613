//! Answers what is asked about budgets and limits of rate.

use serde_json::Value;
use web_sys::Response;

use crate::account::budget::Standing;
use crate::account::budget::command::{self, BudgetCommand};
use crate::account::command::{Answer, Command};
use crate::account::rate::command::{self as rate, RateCommand};
use crate::endpoint::{Budgets, Deed, Kind};
use crate::error::{Cause, Failure};
use crate::id::AccountId;
use crate::shell::auth::authenticate_admin;
use crate::shell::manage::Call;
use crate::shell::reply;

const DELETED: &str = r#"{"deleted":true}"#;

pub async fn answer(call: &Call<'_>, endpoint: Budgets) -> Result<Response, Failure> {
    let Budgets { kind, account, deed } = endpoint;
    let account = match account {
        Some(account) => {
            authenticate_admin(call.request, call.config)?;
            account
        }
        None => call.manager().await?.account,
    };
    let body = match kind {
        Kind::Budget => about_budgets(call, &account, deed).await?,
        Kind::Rate => about_rates(call, &account, deed).await?,
    };
    Ok(reply::json(200, &body))
}

async fn about_budgets(call: &Call<'_>, account: &AccountId, deed: Deed) -> Result<String, Failure> {
    let (id, told) = match deed {
        Deed::List => (None, BudgetCommand::List),
        Deed::Get(id) => (Some(id), BudgetCommand::List),
        Deed::Set(id) => {
            let budget = command::read(&id, &call.body().await?)?;
            (Some(id), BudgetCommand::Set(budget))
        }
        Deed::Remove(id) => {
            tell(call, account, &BudgetCommand::Remove { id }).await?;
            return Ok(DELETED.to_owned());
        }
    };
    let standings = tell(call, account, &told).await?;
    let standings: Vec<Standing> = crate::json::read(&standings).map_err(|_| unexpected())?;
    match id {
        None => Ok(command::write_all(&standings)),
        Some(id) => command::write_one(&standings, &id).ok_or_else(unknown),
    }
}

async fn about_rates(call: &Call<'_>, account: &AccountId, deed: Deed) -> Result<String, Failure> {
    let (id, told) = match deed {
        Deed::List => (None, RateCommand::List),
        Deed::Get(id) => (Some(id), RateCommand::List),
        Deed::Set(id) => {
            let limit = rate::read(&id, &call.body().await?)?;
            (Some(id), RateCommand::Set(limit))
        }
        Deed::Remove(id) => {
            tell(call, account, &BudgetCommand::Rate(RateCommand::Remove { id })).await?;
            return Ok(DELETED.to_owned());
        }
    };
    let limits = tell(call, account, &BudgetCommand::Rate(told)).await?;
    let Some(id) = id else { return Ok(format!("{{\"data\":{limits}}}")) };
    let limits: Vec<Value> = serde_json::from_str(&limits).map_err(|_| unexpected())?;
    let found = limits.into_iter().find(|limit| limit["id"] == id.as_str()).ok_or_else(unknown)?;
    Ok(format!("{{\"data\":{found}}}"))
}

async fn tell(call: &Call<'_>, account: &AccountId, command: &BudgetCommand) -> Result<String, Failure> {
    let command = serde_json::to_string(command).map_err(|_| unexpected())?;
    match call.ask(account, Command::Budget { command }).await? {
        Answer::Budgets { standings } => Ok(standings),
        _ => Err(unexpected()),
    }
}

fn unknown() -> Failure {
    Failure::new(Cause::NotFound, "No such budget or limit")
}

fn unexpected() -> Failure {
    Failure::new(Cause::Internal, "The account gave an answer to another question")
}
