//! The URLs of budgets.

use super::Endpoint;
use crate::account::budget::command::is_name;
use crate::id::AccountId;

/// What is asked for about budgets: of the caller's account, or of one that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budgets {
    List(Option<AccountId>),
    Set(Option<AccountId>, String),
    Remove(Option<AccountId>, String),
}

impl Budgets {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Budgets::List(None) => "list_budgets",
            Budgets::Set(None, _) => "set_budget",
            Budgets::Remove(None, _) => "remove_budget",
            Budgets::List(Some(_)) => "admin_list_budgets",
            Budgets::Set(Some(_), _) => "admin_set_budget",
            Budgets::Remove(Some(_), _) => "admin_remove_budget",
        }
    }
}

type Ways = Vec<(&'static str, Endpoint)>;

/// What the parts of a path after `/api/v1/` take.
pub(super) fn ways(parts: &[&str]) -> Ways {
    match parts {
        ["budgets", rest @ ..] => of(None, rest),
        _ => Vec::new(),
    }
}

/// The same after `/api/v1/admin/`.
pub(super) fn admin_ways(parts: &[&str]) -> Ways {
    match parts {
        ["accounts", id, "budgets", rest @ ..] => {
            AccountId::parse(id).map_or(Vec::new(), |account| of(Some(account), rest))
        }
        _ => Vec::new(),
    }
}

fn of(account: Option<AccountId>, parts: &[&str]) -> Ways {
    let ways = match parts {
        [] => vec![("GET", Budgets::List(account))],
        [id] if is_name(id) => vec![
            ("PUT", Budgets::Set(account.clone(), (*id).to_owned())),
            ("DELETE", Budgets::Remove(account, (*id).to_owned())),
        ],
        _ => Vec::new(),
    };
    ways.into_iter().map(|(method, budgets)| (method, Endpoint::Budgets(budgets))).collect()
}
