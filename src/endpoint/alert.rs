//! The URLs of alerts.

use super::Endpoint;

/// What is asked for about alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    Get,
    Set,
    /// One that means nothing, to see whether it arrives.
    Test,
}

impl Alert {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Alert::Get => "get_alerts",
            Alert::Set => "set_alerts",
            Alert::Test => "test_alert",
        }
    }
}

/// What the parts of a path after `/api/v1/alerts` take.
pub(super) fn ways(parts: &[&str]) -> Vec<(&'static str, Endpoint)> {
    let ways = match parts {
        [] => vec![("GET", Alert::Get), ("PUT", Alert::Set)],
        ["test"] => vec![("POST", Alert::Test)],
        _ => Vec::new(),
    };
    ways.into_iter().map(|(method, alert)| (method, Endpoint::Alert(alert))).collect()
}
