//! API keys: how one is spelt, what of it is stored, and what an edge may know of its policy.
//! A key is `sk-mr-v1-<account>-<secret>`; it names its account, so no table maps keys to accounts.

use super::text;
use crate::error::Cause;
use crate::id::{self, AccountId, KeyHash};
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

const PREFIX: &str = "sk-mr-v1-";

/// Characters of a key's secret, and random bytes it takes: 256 bits.
pub const SECRET_LENGTH: usize = 43;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// Sends requests to models, and spends.
    Inference,
    /// Makes and changes keys, and reads credits. Never spends.
    Management,
}

impl KeyKind {
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::Inference => "inference",
            KeyKind::Management => "management",
        }
    }

    pub fn parse(text: &str) -> Option<KeyKind> {
        match text {
            "inference" => Some(KeyKind::Inference),
            "management" => Some(KeyKind::Management),
            _ => None,
        }
    }
}

/// Why a key is not good for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRefusal {
    Unknown,
    Disabled,
    Expired,
    Deleted,
    /// A management key cannot spend.
    Management,
}

impl KeyRefusal {
    pub fn cause(self) -> Cause {
        match self {
            KeyRefusal::Unknown => Cause::Authentication,
            KeyRefusal::Disabled => Cause::Authentication,
            KeyRefusal::Expired => Cause::Authentication,
            KeyRefusal::Deleted => Cause::Authentication,
            KeyRefusal::Management => Cause::PermissionDenied,
        }
    }
}

/// A key just made. `text` is shown to its owner once and stored nowhere.
pub struct NewKey {
    pub text: String,
    pub hash: KeyHash,
    pub label: String,
}

impl NewKey {
    pub fn new(account: &AccountId, random: &[u8; SECRET_LENGTH]) -> NewKey {
        let text = format!("{PREFIX}{account}-{}", id::base62(random));
        NewKey { hash: KeyHash::of(&text), label: label(&text), text }
    }
}

/// The account that a key names, or `None` if the text cannot be a key.
pub fn parse_key(text: &str) -> Option<AccountId> {
    let (account, secret) = text.strip_prefix(PREFIX)?.split_once('-')?;
    let well_formed =
        secret.len() == SECRET_LENGTH && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if well_formed { AccountId::parse(account) } else { None }
}

/// Three characters after the prefix and the last three: enough to tell keys apart.
fn label(text: &str) -> String {
    let shown = PREFIX.len() + 3;
    format!("{}...{}", &text[..shown], &text[text.len() - 3..])
}

/// The name of a key's entry in KV.
pub fn entry_name(hash: &KeyHash) -> String {
    format!("key:{hash}")
}

/// A key's policy as KV and the edges keep it. A later version replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySnapshot {
    #[serde(with = "text")]
    pub account: AccountId,
    #[serde(with = "text")]
    pub hash: KeyHash,
    pub kind: KeyKind,
    pub version: u64,
    pub disabled: bool,
    /// A tombstone: the key was deleted and never comes back.
    pub deleted: bool,
    #[serde(with = "text::optional_ms")]
    pub expires_at: Option<Time>,
    /// What applies to the key's requests, as [`crate::guard::Rules::read`] reads it; `None` for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::shared")]
    pub policy: Option<Rc<str>>,
    /// The account has keys of its own at providers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub byok: bool,
    /// The workspace that it is in, as clients see it; `None` for the default one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::shared")]
    pub workspace: Option<Rc<str>>,
    /// The member who made it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::shared")]
    pub member: Option<Rc<str>>,
}

impl KeySnapshot {
    /// Whether the key is good at all. What it may do is for its kind to say.
    pub fn check(&self, now: Time) -> Result<(), KeyRefusal> {
        if self.deleted {
            Err(KeyRefusal::Deleted)
        } else if self.disabled {
            Err(KeyRefusal::Disabled)
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Err(KeyRefusal::Expired)
        } else {
            Ok(())
        }
    }

    /// Whether the key may spend.
    pub fn check_spending(&self, now: Time) -> Result<(), KeyRefusal> {
        self.check(now)?;
        match self.kind {
            KeyKind::Inference => Ok(()),
            KeyKind::Management => Err(KeyRefusal::Management),
        }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings, numbers and booleans are always JSON")
    }

    /// Reads an entry of KV; `None` if it is not one.
    pub fn from_json(json: &str) -> Option<KeySnapshot> {
        crate::json::read(json).ok()
    }
}
