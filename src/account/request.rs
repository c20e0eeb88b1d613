//! Reads the bodies of the management API: keys, grants and accounts. An unknown member is
//! refused: a limit that is misspelt must not become a key without one.

use crate::error::Failure;
use crate::id::KeyHash;
use crate::json::{self, Members};
use crate::money::Money;
use crate::time::Time;

use super::access::{LONGEST_OVERLAP_MS, Rotate};
use super::command::{Holder, KeyChange, NewKeyPolicy};
use super::key::{KeyKind, NewKey};
use super::limit::LimitReset;

const MAX_NAME: usize = 200;
const MAX_URL: usize = 4096;
/// Ids of grants that follow from payments and codes.
const TAKEN_PREFIXES: [&str; 2] = ["stripe:", "code:"];
/// Members of OpenRouter's that are read elsewhere.
const WITHOUT_EFFECT: [&str; 1] = ["workspace_id"];
/// How long a key stays good beside the one that replaces it, if the request does not say: a day.
const OVERLAP_S: u64 = 86_400;

/// What a new key is to be like.
#[derive(Clone, Debug, PartialEq)]
pub struct NewKeyRequest {
    pub name: String,
    pub management: bool,
    pub limit: Option<Money>,
    pub limit_reset: Option<LimitReset>,
    pub include_byok_in_limit: bool,
    pub expires_at: Option<Time>,
    pub holder: Holder,
    /// By id or slug; empty for the default one.
    pub workspace: String,
}

/// Credit that an operator gives.
#[derive(Clone, Debug, PartialEq)]
pub struct GrantRequest {
    /// The same id again changes nothing; `None` where the caller gave none.
    pub id: Option<String>,
    pub amount: Money,
    pub reason: String,
}

impl NewKeyRequest {
    /// `management` says whether the caller may make management keys.
    pub fn read(body: &[u8], management: bool) -> Result<NewKeyRequest, Failure> {
        let text = text(body)?;
        let members = object(text)?;
        let known: &[&str] = &[
            "name",
            "limit",
            "limit_reset",
            "include_byok_in_limit",
            "expires_at",
            "management",
            "creator_user_id",
            "external",
        ];
        only(&members, known)?;
        let wants_management = boolean(&members, "management")?.unwrap_or(false);
        if wants_management && !management {
            return Err(Failure::invalid("management: only the admin key can make management keys"));
        }
        Ok(NewKeyRequest {
            name: name(&members)?.ok_or_else(|| Failure::invalid("name: this member is required"))?,
            management: wants_management,
            limit: limit(&members)?.flatten(),
            limit_reset: limit_reset(&members)?.flatten(),
            include_byok_in_limit: boolean(&members, "include_byok_in_limit")?.unwrap_or(false),
            expires_at: expires_at(&members)?,
            holder: holder(&members)?,
            workspace: string(&members, "workspace_id")?.unwrap_or_default(),
        })
    }

    pub fn policy(&self, key: &NewKey) -> NewKeyPolicy {
        NewKeyPolicy {
            hash: key.hash.clone(),
            label: key.label.clone(),
            name: self.name.clone(),
            kind: if self.management { KeyKind::Management } else { KeyKind::Inference },
            limit: self.limit,
            limit_reset: self.limit_reset,
            include_byok_in_limit: self.include_byok_in_limit,
            expires_at: self.expires_at,
            holder: self.holder.clone(),
            workspace: self.workspace.clone(),
        }
    }
}

/// Reads the body of `POST /keys/{hash}/rotate`, which may be empty.
pub fn read_rotation(
    hash: KeyHash,
    only_kind: Option<KeyKind>,
    new: &NewKey,
    body: &[u8],
) -> Result<Rotate, Failure> {
    let text = text(body)?;
    let members = object(if text.trim().is_empty() { "{}" } else { text })?;
    only(&members, &["overlap_seconds", "expires_at", "id"])?;
    let overlap_s = match members.value("overlap_seconds") {
        None => OVERLAP_S,
        Some(value) => json::whole(value)
            .filter(|seconds| *seconds <= LONGEST_OVERLAP_MS / 1000)
            .ok_or_else(|| Failure::invalid("overlap_seconds: must be a whole number, at most 30 days"))?,
    };
    let ends = members.get("expires_at").map(|_| expires_at(&members)).transpose()?;
    Ok(Rotate {
        hash,
        only: only_kind,
        new: new.hash.clone(),
        label: new.label.clone(),
        id: string(&members, "id")?,
        overlap_ms: overlap_s * 1000,
        expires_at: ends,
    })
}

/// Reads the body of `PATCH /keys/{hash}`. With `only`, a key of the other kind is as good as unknown.
pub fn read_key_change(hash: KeyHash, only_kind: Option<KeyKind>, body: &[u8]) -> Result<KeyChange, Failure> {
    let text = text(body)?;
    let members = object(text)?;
    only(&members, &["name", "disabled", "limit", "limit_reset", "include_byok_in_limit"])?;
    Ok(KeyChange {
        hash,
        only: only_kind,
        name: name(&members)?,
        disabled: boolean(&members, "disabled")?,
        limit: limit(&members)?,
        limit_reset: limit_reset(&members)?,
        include_byok_in_limit: boolean(&members, "include_byok_in_limit")?,
    })
}

/// Reads the body that makes an account: its name.
pub fn read_account_name(body: &[u8]) -> Result<String, Failure> {
    let text = text(body)?;
    let members = object(text)?;
    only(&members, &["name"])?;
    name(&members)?.ok_or_else(|| Failure::invalid("name: this member is required"))
}

impl GrantRequest {
    pub fn read(body: &[u8]) -> Result<GrantRequest, Failure> {
        let text = text(body)?;
        let members = object(text)?;
        only(&members, &["id", "amount", "reason"])?;
        let id = string(&members, "id")?;
        if id.as_deref().is_some_and(|id| TAKEN_PREFIXES.iter().any(|prefix| id.starts_with(prefix))) {
            return Err(Failure::invalid("id: stripe:… and code:… are the ids of purchases and codes"));
        }
        let amount =
            members.value("amount").ok_or_else(|| Failure::invalid("amount: this member is required"))?;
        Ok(GrantRequest {
            id,
            amount: money("amount", amount)?,
            reason: string(&members, "reason")?.unwrap_or_default(),
        })
    }
}

/// The body as text.
pub fn text(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body).map_err(|_| Failure::invalid("The body is not UTF-8"))
}

fn object(text: &str) -> Result<Members<'_>, Failure> {
    json::members(text).map_err(|error| Failure::invalid(format!("The body is not a JSON object: {error}")))
}

fn only(members: &Members<'_>, known: &[&str]) -> Result<(), Failure> {
    for member in members.iter() {
        if !known.contains(&&*member.key) && !WITHOUT_EFFECT.contains(&&*member.key) {
            return Err(Failure::invalid(format!(
                "{}: no such member; known are {}",
                member.key,
                known.join(", ")
            )));
        }
    }
    Ok(())
}

fn string(members: &Members<'_>, key: &str) -> Result<Option<String>, Failure> {
    string_within(members, key, MAX_NAME)
}

fn string_within(members: &Members<'_>, key: &str, most: usize) -> Result<Option<String>, Failure> {
    match members.value(key) {
        None => Ok(None),
        Some(value) => match json::string(value) {
            Some(text) if text.chars().count() <= most => Ok(Some(text.into_owned())),
            Some(_) => Err(Failure::invalid(format!("{key}: longer than {most} characters"))),
            None => Err(Failure::invalid(format!("{key}: must be a string"))),
        },
    }
}

fn name(members: &Members<'_>) -> Result<Option<String>, Failure> {
    match string(members, "name")? {
        Some(name) if name.trim().is_empty() => Err(Failure::invalid("name: must not be empty")),
        name => Ok(name),
    }
}

fn boolean(members: &Members<'_>, key: &str) -> Result<Option<bool>, Failure> {
    match members.value(key) {
        None => Ok(None),
        Some(value) => match json::boolean(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Failure::invalid(format!("{key}: must be true or false"))),
        },
    }
}

/// A limit that is absent stays as it is; one that is null is taken away.
fn limit(members: &Members<'_>) -> Result<Option<Option<Money>>, Failure> {
    match members.get("limit") {
        None => Ok(None),
        Some(value) if json::is_null(value) => Ok(Some(None)),
        Some(value) => {
            let limit = money("limit", value)?;
            if limit.is_negative() {
                return Err(Failure::invalid("limit: must not be negative"));
            }
            Ok(Some(Some(limit)))
        }
    }
}

fn limit_reset(members: &Members<'_>) -> Result<Option<Option<LimitReset>>, Failure> {
    match members.get("limit_reset") {
        None => Ok(None),
        Some(value) if json::is_null(value) => Ok(Some(None)),
        Some(value) => match json::string(value).and_then(|text| LimitReset::parse(&text)) {
            Some(reset) => Ok(Some(Some(reset))),
            None => Err(Failure::invalid("limit_reset: must be daily, weekly, monthly or null")),
        },
    }
}

/// A time in UTC, as OpenRouter wants it: another zone is more often a mistake than a wish.
fn expires_at(members: &Members<'_>) -> Result<Option<Time>, Failure> {
    match string(members, "expires_at")? {
        Some(text) if !(text.ends_with(['Z', 'z']) || text.ends_with("+00:00")) => {
            Err(Failure::invalid("expires_at: must be in UTC, such as 2027-12-31T23:59:59Z"))
        }
        Some(_) | None => time(members, "expires_at"),
    }
}

/// Who made a key and whom it is for.
fn holder(members: &Members<'_>) -> Result<Holder, Failure> {
    let creator_user_id = string(members, "creator_user_id")?;
    if creator_user_id.as_deref() == Some("") {
        return Err(Failure::invalid("creator_user_id: must not be empty"));
    }
    let holder = Holder { creator_user_id, ..Holder::default() };
    if members.value("external").is_none() {
        return Ok(holder);
    }
    let external =
        members.object("external").ok_or_else(|| Failure::invalid("external: must be an object"))?;
    only(&external, &["user", "api_key"])?;
    let external_user = string(&external, "user")?.filter(|user| !user.is_empty());
    let external_user =
        external_user.ok_or_else(|| Failure::invalid("external.user: this member is required"))?;
    let external_key = string(&external, "api_key")?;
    Ok(Holder { external_user: Some(external_user), external_key, ..holder })
}

fn time(members: &Members<'_>, key: &str) -> Result<Option<Time>, Failure> {
    match string(members, key)? {
        None => Ok(None),
        Some(text) => match Time::parse_iso8601(&text) {
            Some(time) => Ok(Some(time)),
            None => Err(Failure::invalid(format!("{key}: must be a time such as 2027-12-31T23:59:59Z"))),
        },
    }
}

/// Dollars, from a JSON number or a string with one: read as text, so exactly.
fn money(key: &str, value: &str) -> Result<Money, Failure> {
    let digits = json::string(value);
    Money::parse_usd(digits.as_deref().unwrap_or(value))
        .map_err(|error| Failure::invalid(format!("{key}: {error}; dollars such as 12.50 are expected")))
}

/// The members of a body, for those who read other bodies of the same kind.
pub struct Fields<'a>(Members<'a>);

impl<'a> Fields<'a> {
    /// Fails for a member that is not `known`.
    pub fn read(text: &'a str, known: &[&str]) -> Result<Fields<'a>, Failure> {
        let members = object(text)?;
        only(&members, known)?;
        Ok(Fields(members))
    }

    pub fn string(&self, key: &str) -> Result<Option<String>, Failure> {
        string(&self.0, key)
    }

    pub fn is_null(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(json::is_null)
    }

    /// Fails for a member of the object that is not `known`.
    pub fn object(&self, key: &str, known: &[&str]) -> Result<Option<Fields<'a>>, Failure> {
        match (self.0.value(key), self.0.object(key)) {
            (None, _) => Ok(None),
            (Some(_), None) => Err(Failure::invalid(format!("{key}: must be an object"))),
            (Some(_), Some(members)) => only(&members, known).map(|()| Some(Fields(members))),
        }
    }

    /// A string that may be as long as an address.
    pub fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        string_within(&self.0, key, MAX_URL)
    }

    /// An http or https address.
    pub fn url(&self, key: &str) -> Result<Option<String>, Failure> {
        match self.text(key)? {
            Some(url) if !is_web_address(&url) => {
                Err(Failure::invalid(format!("{key}: must be an https or http address")))
            }
            url => Ok(url),
        }
    }

    pub fn boolean(&self, key: &str) -> Result<Option<bool>, Failure> {
        boolean(&self.0, key)
    }

    pub fn time(&self, key: &str) -> Result<Option<Time>, Failure> {
        time(&self.0, key)
    }

    pub fn count(&self, key: &str) -> Result<Option<u64>, Failure> {
        let whole = |value| {
            json::whole(value).ok_or_else(|| Failure::invalid(format!("{key}: must be a whole number")))
        };
        self.0.value(key).map(whole).transpose()
    }

    pub fn money(&self, key: &str) -> Result<Option<Money>, Failure> {
        self.0.value(key).map(|value| money(key, value)).transpose()
    }

    pub fn required_money(&self, key: &str) -> Result<Money, Failure> {
        self.money(key)?.ok_or_else(|| Failure::invalid(format!("{key}: this member is required")))
    }
}

fn is_web_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty()) && url.bytes().all(|byte| byte.is_ascii_graphic())
}
