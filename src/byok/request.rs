//! Reads the bodies and queries about an account's own keys. An unknown member is refused: a filter
//! that is misspelt must not become a key without one.

use serde_json::{Map, Value};

use super::Credential;
use crate::catalog::{Catalog, Provider};
use crate::error::Failure;
use crate::id::KeyHash;
use crate::query;

const MAX_NAME: usize = 255;
const MAX_LIST: usize = 100;
const PAGE: u64 = 50;
const PAGE_MOST: u64 = 100;
const LISTS: [&str; 3] = ["allowed_models", "allowed_api_key_hashes", "allowed_user_ids"];
const FLAGS: [&str; 4] = ["disabled", "is_fallback", "is_required", "is_byok_only"];

/// A key to be kept.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub provider: &'static Provider,
    pub secret: String,
    pub label: String,
    pub policy: Map<String, Value>,
}

/// A change to one.
#[derive(Clone, Debug)]
pub struct Change {
    pub policy: Map<String, Value>,
    pub secret: Option<String>,
}

impl NewKey {
    /// Reads the body of `POST /byok`.
    pub fn read(body: &[u8], catalog: Catalog) -> Result<NewKey, Failure> {
        let mut members = object(body)?;
        let slug = match members.remove("provider") {
            Some(Value::String(slug)) => slug,
            _ => return Err(Failure::invalid("provider: must be the slug of a provider")),
        };
        let provider = catalog.provider(&slug).ok_or_else(|| {
            Failure::invalid("provider: no such provider; GET /api/v1/providers lists them")
        })?;
        let secret =
            take_secret(&mut members)?.ok_or_else(|| Failure::invalid("key: this member is required"))?;
        let label = Credential::read(provider, &secret)?.label();
        Ok(NewKey { provider, secret, label, policy: policy(members)? })
    }
}

impl Change {
    /// Reads the body of `PATCH /byok/{id}`.
    pub fn read(body: &[u8]) -> Result<Change, Failure> {
        let mut members = object(body)?;
        let secret = take_secret(&mut members)?;
        Ok(Change { secret, policy: policy(members)? })
    }
}

/// The page that a query asks for: provider, workspace, offset and limit.
pub fn page(text: &str) -> Result<(Option<String>, Option<String>, u64, u64), Failure> {
    let number = |name: &str, default: u64| match query::value(text, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::invalid(format!("{name}: must be a whole number"))),
    };
    let limit = number("limit", PAGE)?;
    if limit == 0 || limit > PAGE_MOST {
        return Err(Failure::invalid("limit: must be from 1 to 100"));
    }
    Ok((query::value(text, "provider"), query::value(text, "workspace_id"), number("offset", 0)?, limit))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    // What serde says of a body may quote it.
    match std::str::from_utf8(body).map(serde_json::from_str) {
        Ok(Ok(Value::Object(members))) => Ok(members),
        _ => Err(Failure::invalid("The body is not a JSON object")),
    }
}

fn take_secret(members: &mut Map<String, Value>) -> Result<Option<String>, Failure> {
    match members.remove("key") {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        // Azure's and Google's may be sent as what they are.
        Some(value @ (Value::Object(_) | Value::Array(_))) => Ok(Some(value.to_string())),
        Some(_) => Err(Failure::invalid("key: must be a string that is not empty")),
    }
}

/// The members that are left, if they are rules.
fn policy(members: Map<String, Value>) -> Result<Map<String, Value>, Failure> {
    for (name, value) in &members {
        let (good, wanted) = match name.as_str() {
            "name" => {
                (is_text(value, MAX_NAME) || value.is_null(), "a string of at most 255 characters, or null")
            }
            "workspace_id" => (is_text(value, 64), "the id of a workspace"),
            "allowed_api_key_hashes" => {
                (value.is_null() || is_hashes(value), "1 to 100 hashes of keys, or null")
            }
            name if LISTS.contains(&name) => {
                (value.is_null() || is_texts(value), "at most 100 strings, or null")
            }
            name if FLAGS.contains(&name) => (value.is_boolean(), "true or false"),
            // What such a key's provider does with data, and where, is for the catalog to say.
            "declared_zdr" | "declared_region" => {
                (value.is_null(), "null: what the catalog says of the provider's endpoint holds here")
            }
            _ => (false, "left out: there is no such member"),
        };
        if !good {
            return Err(Failure::invalid(format!("{name}: must be {wanted}")));
        }
    }
    Ok(members.into_iter().filter(|(name, _)| !name.starts_with("declared_")).collect())
}

fn is_text(value: &Value, most: usize) -> bool {
    value.as_str().is_some_and(|text| text.chars().count() <= most)
}

fn is_texts(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.len() <= MAX_LIST && list.iter().all(|one| is_text(one, MAX_NAME)))
}

fn is_hashes(value: &Value) -> bool {
    let is_hash = |one: &Value| one.as_str().is_some_and(|text| KeyHash::parse(text).is_some());
    value
        .as_array()
        .is_some_and(|list| !list.is_empty() && list.len() <= MAX_LIST && list.iter().all(is_hash))
}
