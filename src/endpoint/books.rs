//! The URLs of an account's books: for its own management keys, and for the operator below
//! `/admin/accounts/{id}/`.

use super::Endpoint;
use crate::id::AccountId;

/// What is asked of an account's books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Books {
    Activity,
    /// What can be asked of [`Books::AnalyticsQuery`].
    AnalyticsMeta,
    AnalyticsQuery,
    Statements,
    /// `2026-11`
    Statement(String),
    /// Charges with their receipts.
    Export,
    /// Charges that the log has: the operator's alone.
    Missed,
}

impl Books {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Books::Activity => "activity",
            Books::AnalyticsMeta => "analytics_meta",
            Books::AnalyticsQuery => "analytics_query",
            Books::Statements => "statements",
            Books::Statement(_) => "statement",
            Books::Export => "export_generations",
            Books::Missed => "admin_charges",
        }
    }
}

type Ways = Vec<(&'static str, Endpoint)>;

/// What the parts of a path after `/api/v1/` take.
pub(super) fn ways(parts: &[&str]) -> Ways {
    find(parts).map(|(method, books)| (method, Endpoint::Books(books, None))).into_iter().collect()
}

/// The same after `/api/v1/admin/`.
pub(super) fn admin_ways(parts: &[&str]) -> Ways {
    let ["accounts", id, rest @ ..] = parts else { return Vec::new() };
    let found = match rest {
        ["charges"] => Some(("POST", Books::Missed)),
        _ => find(rest),
    };
    let (Some(id), Some((method, books))) = (AccountId::parse(id), found) else {
        return Vec::new();
    };
    vec![(method, Endpoint::Books(books, Some(id)))]
}

fn find(parts: &[&str]) -> Option<(&'static str, Books)> {
    match parts {
        ["activity"] => Some(("GET", Books::Activity)),
        ["analytics", "meta"] => Some(("GET", Books::AnalyticsMeta)),
        ["analytics", "query"] => Some(("POST", Books::AnalyticsQuery)),
        ["statements"] => Some(("GET", Books::Statements)),
        ["statements", month] => Some(("GET", Books::Statement((*month).to_owned()))),
        ["generations", "export"] => Some(("GET", Books::Export)),
        _ => None,
    }
}
