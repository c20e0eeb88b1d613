//! The URLs of budgets and of limits of rate.

use super::Endpoint;
use crate::account::budget::command::is_name;
use crate::id::AccountId;

/// What is asked for about budgets or limits of rate: of the caller's account, or of one that the
/// operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    pub kind: Kind,
    pub account: Option<AccountId>,
    pub deed: Deed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Budget,
    Rate,
}

/// What is to be done, with the id of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    List,
    Get(String),
    Set(String),
    Remove(String),
}

impl Budgets {
    pub(super) fn name(&self) -> &'static str {
        match (self.kind, &self.deed, self.account.is_some()) {
            (Kind::Budget, Deed::List | Deed::Get(_), false) => "list_budgets",
            (Kind::Budget, Deed::Set(_), false) => "set_budget",
            (Kind::Budget, Deed::Remove(_), false) => "remove_budget",
            (Kind::Budget, Deed::List | Deed::Get(_), true) => "admin_list_budgets",
            (Kind::Budget, Deed::Set(_), true) => "admin_set_budget",
            (Kind::Budget, Deed::Remove(_), true) => "admin_remove_budget",
            (Kind::Rate, Deed::List | Deed::Get(_), false) => "list_rate_limits",
            (Kind::Rate, Deed::Set(_), false) => "set_rate_limit",
            (Kind::Rate, Deed::Remove(_), false) => "remove_rate_limit",
            (Kind::Rate, Deed::List | Deed::Get(_), true) => "admin_list_rate_limits",
            (Kind::Rate, Deed::Set(_), true) => "admin_set_rate_limit",
            (Kind::Rate, Deed::Remove(_), true) => "admin_remove_rate_limit",
        }
    }
}

type Ways = Vec<(&'static str, Endpoint)>;

/// What the parts of a path after `/api/v1/` take.
pub(super) fn ways(parts: &[&str]) -> Ways {
    match parts {
        ["budgets", rest @ ..] => of(Kind::Budget, rest),
        ["rate-limits", rest @ ..] => of(Kind::Rate, rest),
        _ => Vec::new(),
    }
}

/// The same after `/api/v1/admin/`.
pub(super) fn admin_ways(parts: &[&str]) -> Ways {
    match parts {
        ["accounts", id, rest @ ..] => AccountId::parse(id).map_or(Vec::new(), |account| {
            let found = ways(rest);
            let with = |endpoint| match endpoint {
                Endpoint::Budgets(budgets) => {
                    Endpoint::Budgets(Budgets { account: Some(account.clone()), ..budgets })
                }
                endpoint => endpoint,
            };
            found.into_iter().map(|(method, endpoint)| (method, with(endpoint))).collect()
        }),
        _ => Vec::new(),
    }
}

fn of(kind: Kind, parts: &[&str]) -> Ways {
    let deeds = match parts {
        [] => vec![("GET", Deed::List)],
        [id] if is_name(id) => {
            let id = (*id).to_owned();
            vec![("GET", Deed::Get(id.clone())), ("PUT", Deed::Set(id.clone())), ("DELETE", Deed::Remove(id))]
        }
        _ => Vec::new(),
    };
    let endpoint = |deed| Endpoint::Budgets(Budgets { kind, account: None, deed });
    deeds.into_iter().map(|(method, deed)| (method, endpoint(deed))).collect()
}
