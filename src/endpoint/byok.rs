//! The URLs of an account's own keys at providers.

use super::Endpoint;

/// What is asked for about them; the text is an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Byok {
    List,
    Create,
    Get(String),
    Update(String),
    Delete(String),
}

impl Byok {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Byok::List => "list_byok",
            Byok::Create => "create_byok",
            Byok::Get(_) => "get_byok",
            Byok::Update(_) => "update_byok",
            Byok::Delete(_) => "delete_byok",
        }
    }
}

/// What the parts of a path after `/api/v1/byok` take.
pub(super) fn ways(parts: &[&str]) -> Vec<(&'static str, Endpoint)> {
    let ways = match parts {
        [] => vec![("GET", Byok::List), ("POST", Byok::Create)],
        [id] => vec![
            ("GET", Byok::Get((*id).to_owned())),
            ("PATCH", Byok::Update((*id).to_owned())),
            ("DELETE", Byok::Delete((*id).to_owned())),
        ],
        _ => Vec::new(),
    };
    ways.into_iter().map(|(method, byok)| (method, Endpoint::Byok(byok))).collect()
}
