//! Reads what an app asks for, from the query of the page, from its form and from the API, and what
//! it shows in exchange for a key.

use super::callback::Callback;
use crate::account::access::{Exchange, NewAuthCode};
use crate::account::challenge::{Challenge, ChallengeMethod};
use crate::account::request::{Fields, text};
use crate::account::{LimitReset, NewKey};
use crate::error::Failure;
use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;

/// The longest name that an app may give its key, and the longest `state`, in characters.
const MAX_LABEL: usize = 100;
const MAX_STATE: usize = 1024;
/// Whom a code is for that its owner carries over by hand.
const NO_HOST: &str = "device";

/// What an app asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Without one, the owner is shown the code.
    pub callback: Option<Callback>,
    pub challenge: Option<Challenge>,
    pub key_label: Option<String>,
    pub limit: Option<Money>,
    pub limit_reset: Option<LimitReset>,
    pub expires_at: Option<Time>,
    /// Given back to the app as it was.
    pub state: Option<String>,
    /// Where the key is to be, by id or slug; empty for the default one.
    pub workspace: String,
}

impl Wish {
    /// Reads a query or a form. Members that are empty are as good as absent; others than ours are
    /// passed over, as pages do.
    pub fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Result<Wish, Failure> {
        let given: Vec<(String, String)> = pairs.filter(|(_, value)| !value.is_empty()).collect();
        Wish::read(|name| Ok(given.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())))
    }

    /// Reads the body of `POST /auth/keys/code`.
    pub fn from_body(body: &[u8]) -> Result<Wish, Failure> {
        let known = [
            "callback_url",
            "code_challenge",
            "code_challenge_method",
            "expires_at",
            "key_label",
            "limit",
            "usage_limit_type",
            "workspace_id",
            "spawn_agent",
            "spawn_cloud",
        ];
        let fields = Fields::read(text(body)?, &known)?;
        let limit = fields.money("limit")?;
        let wish = Wish::read(|name| match name {
            "limit" | "state" => Ok(None),
            name => fields.text(name),
        })?;
        if wish.callback.is_none() {
            return Err(Failure::invalid("callback_url: this member is required"));
        }
        check_limit(limit)?;
        Ok(Wish { limit, ..wish })
    }

    fn read(member: impl Fn(&str) -> Result<Option<String>, Failure>) -> Result<Wish, Failure> {
        let callback = member("callback_url")?.map(|url| Callback::read(&url)).transpose();
        let callback = callback.map_err(Failure::invalid)?;
        let limit = member("limit")?.map(|text| Money::parse_usd(&text)).transpose();
        let limit = limit.map_err(|error| Failure::invalid(format!("limit: {error}")))?;
        check_limit(limit)?;
        let wish = Wish {
            challenge: read_challenge(member("code_challenge")?, member("code_challenge_method")?)?,
            key_label: within(member("key_label")?, "key_label", MAX_LABEL)?,
            limit,
            limit_reset: read_reset(member("usage_limit_type")?)?,
            expires_at: read_time(member("expires_at")?)?,
            state: within(member("state")?, "state", MAX_STATE)?,
            workspace: within(member("workspace_id")?, "workspace_id", MAX_LABEL)?.unwrap_or_default(),
            callback,
        };
        if wish.callback.is_none() && wish.challenge.is_none() {
            return Err(Failure::invalid("code_challenge: required where there is no callback_url"));
        }
        Ok(wish)
    }

    /// The app as its owner may know it: the host that it calls back to.
    pub fn app(&self) -> &str {
        self.callback.as_ref().map_or(NO_HOST, Callback::host)
    }

    /// What the account is to note of a code for this.
    pub fn code(self, hash: KeyHash) -> NewAuthCode {
        let app = self.app().to_owned();
        NewAuthCode {
            hash,
            challenge: self.challenge,
            name: self.key_label.unwrap_or_else(|| app.clone()),
            app,
            limit: self.limit,
            limit_reset: self.limit_reset,
            expires_at: self.expires_at,
            workspace: self.workspace,
            creator_user_id: None,
        }
    }
}

fn check_limit(limit: Option<Money>) -> Result<(), Failure> {
    match limit {
        Some(limit) if limit.is_negative() => Err(Failure::invalid("limit: must not be negative")),
        Some(_) | None => Ok(()),
    }
}

fn read_challenge(text: Option<String>, method: Option<String>) -> Result<Option<Challenge>, Failure> {
    let method = read_method(method)?;
    match text {
        None if method.is_some() => {
            Err(Failure::invalid("code_challenge: required with code_challenge_method"))
        }
        None => Ok(None),
        Some(text) => match Challenge::new(method, &text) {
            Some(challenge) => Ok(Some(challenge)),
            None => Err(Failure::invalid(
                "code_challenge: must be 43 to 128 characters of a to z, A to Z, 0 to 9, -, ., _ and ~; \
                 for S256, the 43 of a digest",
            )),
        },
    }
}

fn read_method(method: Option<String>) -> Result<Option<ChallengeMethod>, Failure> {
    match method {
        None => Ok(None),
        Some(text) => match ChallengeMethod::parse(&text) {
            Some(method) => Ok(Some(method)),
            None => Err(Failure::invalid("Invalid code_challenge_method: it is S256 or plain")),
        },
    }
}

fn read_reset(text: Option<String>) -> Result<Option<LimitReset>, Failure> {
    match text {
        None => Ok(None),
        Some(text) => match LimitReset::parse(&text) {
            Some(reset) => Ok(Some(reset)),
            None => Err(Failure::invalid("usage_limit_type: must be daily, weekly or monthly")),
        },
    }
}

fn read_time(text: Option<String>) -> Result<Option<Time>, Failure> {
    match text {
        None => Ok(None),
        Some(text) => match Time::parse_iso8601(&text) {
            Some(time) => Ok(Some(time)),
            None => Err(Failure::invalid("expires_at: must be a time such as 2027-12-31T23:59:59Z")),
        },
    }
}

fn within(text: Option<String>, name: &str, most: usize) -> Result<Option<String>, Failure> {
    match text {
        Some(text) if text.chars().count() > most => {
            Err(Failure::invalid(format!("{name}: longer than {most} characters")))
        }
        text => Ok(text.filter(|text| !text.trim().is_empty())),
    }
}

/// The body of `POST /auth/keys`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeRequest {
    pub code: String,
    verifier: Option<String>,
    method: Option<ChallengeMethod>,
}

impl ExchangeRequest {
    pub fn read(body: &[u8]) -> Result<ExchangeRequest, Failure> {
        let fields = Fields::read(text(body)?, &["code", "code_verifier", "code_challenge_method"])?;
        let code = fields.text("code")?.ok_or_else(|| Failure::invalid("code: this member is required"))?;
        Ok(ExchangeRequest {
            code,
            verifier: fields.text("code_verifier")?,
            method: read_method(fields.text("code_challenge_method")?)?,
        })
    }

    pub fn told(self, new: &NewKey) -> Exchange {
        Exchange {
            code: KeyHash::of(&self.code),
            verifier: self.verifier,
            method: self.method,
            new: new.hash.clone(),
            label: new.label.clone(),
        }
    }
}
