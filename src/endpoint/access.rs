//! The URLs of getting a key other than by making one: rotation, and authorization for apps.

use super::Endpoint;
use crate::id::{AccountId, KeyHash};

/// What is asked for about keys that come after others, and about apps that want one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    Rotate(KeyHash),
    AdminRotate(AccountId, KeyHash),
    /// An account's owner is asked whether an app may have a key.
    Page,
    /// The owner agrees.
    Agree,
    /// The same without a page.
    MakeCode,
    /// An app shows a code and gets its key.
    Exchange,
}

impl Access {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Access::Rotate(_) => "rotate_key",
            Access::AdminRotate(..) => "admin_rotate_key",
            Access::Page => "authorization_page",
            Access::Agree => "authorize",
            Access::MakeCode => "make_auth_code",
            Access::Exchange => "exchange_auth_code",
        }
    }
}

type Ways = Vec<(&'static str, Endpoint)>;

/// The methods of `/auth`, which people open in a browser.
pub(super) fn page() -> Ways {
    endpoints(vec![("GET", Access::Page), ("POST", Access::Agree)])
}

/// What the parts of a path after `/api/v1/` take.
pub(super) fn ways(parts: &[&str]) -> Ways {
    let ways = match parts {
        ["auth", "keys"] => vec![("POST", Access::Exchange)],
        ["auth", "keys", "code"] => vec![("POST", Access::MakeCode)],
        ["keys", hash, "rotate"] => {
            KeyHash::parse(hash).map(|hash| ("POST", Access::Rotate(hash))).into_iter().collect()
        }
        ["admin", "accounts", id, "keys", hash, "rotate"] => {
            match (AccountId::parse(id), KeyHash::parse(hash)) {
                (Some(id), Some(hash)) => vec![("POST", Access::AdminRotate(id, hash))],
                (None, _) | (_, None) => Vec::new(),
            }
        }
        _ => Vec::new(),
    };
    endpoints(ways)
}

fn endpoints(ways: Vec<(&'static str, Access)>) -> Ways {
    ways.into_iter().map(|(method, access)| (method, Endpoint::Access(access))).collect()
}
