//! Answers what is asked about budgets.

use web_sys::Response;

use crate::account::budget::Standing;
use crate::account::budget::command::{self, BudgetCommand};
use crate::account::command::{Answer, Command};
use crate::endpoint::Budgets;
use crate::error::{Cause, Failure};
use crate::id::AccountId;
use crate::shell::auth::authenticate_admin;
use crate::shell::manage::Call;
use crate::shell::reply;

pub async fn answer(call: &Call<'_>, endpoint: Budgets) -> Result<Response, Failure> {
    let (named, act) = match endpoint {
        Budgets::List(account) => (account, Act::List),
        Budgets::Set(account, id) => (account, Act::Set(id)),
        Budgets::Remove(account, id) => (account, Act::Remove(id)),
    };
    let account = match named {
        Some(account) => {
            authenticate_admin(call.request, call.config)?;
            account
        }
        None => call.manager().await?.account,
    };
    let body = match act {
        Act::List => command::write_all(&tell(call, &account, &BudgetCommand::List).await?),
        Act::Set(id) => {
            let budget = command::read(&id, &call.body().await?)?;
            let standings = tell(call, &account, &BudgetCommand::Set(budget)).await?;
            command::write_one(&standings, &id).ok_or_else(unexpected)?
        }
        Act::Remove(id) => {
            tell(call, &account, &BudgetCommand::Remove { id }).await?;
            r#"{"deleted":true}"#.to_owned()
        }
    };
    Ok(reply::json(200, &body))
}

enum Act {
    List,
    Set(String),
    Remove(String),
}

async fn tell(
    call: &Call<'_>,
    account: &AccountId,
    command: &BudgetCommand,
) -> Result<Vec<Standing>, Failure> {
    let command = serde_json::to_string(command).map_err(|_| unexpected())?;
    match call.ask(account, Command::Budget { command }).await? {
        Answer::Budgets { standings } => serde_json::from_str(&standings).map_err(|_| unexpected()),
        _ => Err(unexpected()),
    }
}

fn unexpected() -> Failure {
    Failure::new(Cause::Internal, "The account gave an answer to another question")
}
