//! What an account object can be told of who gets a key: rotation, and the codes that apps exchange
//! for one. Carried as JSON in a string by commands and answers of type `access`.

use super::challenge::{Challenge, ChallengeMethod};
use super::command::{Answer, KeyRow, TEXT_BYTES};
use super::key::{KeyKind, KeySnapshot};
use super::ledger::invalid;
use super::limit::LimitReset;
use super::store::{Fault, Store};
use super::{Command, authorization, rotation, text};
use crate::id::KeyHash;
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The longest that a key may be good beside the one that replaces it: 30 days.
pub const LONGEST_OVERLAP_MS: u64 = 30 * 86_400_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessCommand {
    /// Makes a key that takes another's place.
    Rotate(Rotate),
    /// Notes a code that an app may exchange for a key.
    MakeCode(NewAuthCode),
    Exchange(Exchange),
}

/// The same `new` again changes nothing; the same `id` again replaces a new key that was never used,
/// since whoever asks again has not seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rotate {
    #[serde(with = "text")]
    pub hash: KeyHash,
    /// With a kind, a key of the other kind is as good as unknown.
    #[serde(default)]
    pub only: Option<KeyKind>,
    #[serde(with = "text")]
    pub new: KeyHash,
    /// What of the new key may be shown.
    pub label: String,
    #[serde(default)]
    pub id: Option<String>,
    /// How long the old key stays good, if it does not end before.
    pub overlap_ms: u64,
    /// When the new key ends, where that is not when the old one was to.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::patch_ms")]
    pub expires_at: Option<Option<Time>>,
}

/// A code, and the key that it stands for. The hash is its id: the same again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewAuthCode {
    #[serde(with = "text")]
    pub hash: KeyHash,
    #[serde(default)]
    pub challenge: Option<Challenge>,
    pub name: String,
    /// Whom the code is sent to: the host that the app calls back to.
    pub app: String,
    #[serde(with = "text::optional", default)]
    pub limit: Option<Money>,
    #[serde(default)]
    pub limit_reset: Option<LimitReset>,
    /// When the key is to end.
    #[serde(with = "text::optional_ms", default)]
    pub expires_at: Option<Time>,
    /// Where the key is to be, by id or slug; empty for the default one.
    #[serde(default)]
    pub workspace: String,
    /// The member who agreed.
    #[serde(default)]
    pub creator_user_id: Option<String>,
}

/// Makes the key that a code stands for. The same `new` again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    #[serde(with = "text")]
    pub code: KeyHash,
    #[serde(default)]
    pub verifier: Option<String>,
    #[serde(default)]
    pub method: Option<ChallengeMethod>,
    #[serde(with = "text")]
    pub new: KeyHash,
    /// What of the new key may be shown.
    pub label: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessAnswer {
    /// To `Rotate`.
    Rotated {
        already: bool,
        key: Box<KeyRow>,
        /// Until when the old key is good.
        #[serde(with = "text::ms")]
        old_expires_at: Time,
    },
    CodeMade,
    /// With the member whose key it is.
    Exchanged(Option<String>),
    Refused {
        why: AccessRefusal,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessRefusal {
    /// Another key has taken this one's place.
    Replaced(#[serde(with = "text")] KeyHash),
    /// The new key would end before it began.
    Expired,
    /// There is no such workspace.
    NoWorkspace,
    TooManyCodes,
    /// The code is unknown or was used, or the verifier is not that of its challenge.
    WrongCode,
    /// The challenge was made otherwise.
    WrongMethod,
    CodeExpired,
}

/// What was done, and the keys whose policies changed by it.
pub(super) type Done = (AccessAnswer, Vec<KeySnapshot>);

impl AccessCommand {
    /// The command as an account is told it.
    pub fn told(&self) -> Command {
        let command = serde_json::to_string(self).expect("texts, numbers and nulls are always JSON");
        Command::Access { command }
    }

    /// What makes the command senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let long = |text: &str| text.len() > TEXT_BYTES;
        match self {
            AccessCommand::Rotate(rotate) if rotate.overlap_ms > LONGEST_OVERLAP_MS => {
                Some("an overlap is at most 30 days")
            }
            AccessCommand::Rotate(rotate) => (long(&rotate.label) || rotate.id.as_deref().is_some_and(long))
                .then_some("label and id have at most 1024 bytes"),
            AccessCommand::MakeCode(new) if new.limit.is_some_and(Money::is_negative) => {
                Some("a limit below zero")
            }
            AccessCommand::MakeCode(new) => (new.name.is_empty() || long(&new.name) || long(&new.app))
                .then_some("a key's name has 1 to 1024 bytes"),
            AccessCommand::Exchange(exchange) => {
                long(&exchange.label).then_some("a label has at most 1024 bytes")
            }
        }
    }
}

impl AccessAnswer {
    /// Reads the answer to [`AccessCommand::told`]; `None` for any other.
    pub fn read(answer: &Answer) -> Option<AccessAnswer> {
        match answer {
            Answer::Access { answer, .. } => crate::json::read(answer).ok(),
            _ => None,
        }
    }
}

pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = crate::json::read::<AccessCommand>(command) else {
        return Ok(invalid("not a command for access"));
    };
    if let Some(flaw) = command.flaw() {
        return Ok(invalid(flaw));
    }
    let done = match &command {
        AccessCommand::Rotate(rotate) => rotation::rotate(store, now, rotate)?,
        AccessCommand::MakeCode(new) => Some(authorization::make(store, now, new)?),
        AccessCommand::Exchange(exchange) => Some(authorization::exchange(store, now, exchange)?),
    };
    let Some((answer, snapshots)) = done else {
        return Ok(Answer::NotFound);
    };
    let answer = serde_json::to_string(&answer).expect("texts, numbers and nulls are always JSON");
    Ok(Answer::Access { answer, snapshots })
}
