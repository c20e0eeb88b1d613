//! What an account object can be told of who gets a key: rotation, and the codes that apps exchange
//! for one. Carried as JSON in a string by commands and answers of type `access`.

use super::command::{Answer, KeyRow, TEXT_BYTES};
use super::key::{KeyKind, KeySnapshot};
use super::ledger::invalid;
use super::store::{Fault, Store};
use super::{Command, rotation, text};
use crate::id::KeyHash;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The longest that a key may be good beside the one that replaces it: 30 days.
pub const LONGEST_OVERLAP_MS: u64 = 30 * 86_400_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessCommand {
    /// Makes a key that takes another's place.
    Rotate(Rotate),
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
        }
    }
}

impl AccessAnswer {
    /// Reads the answer to [`AccessCommand::told`]; `None` for any other.
    pub fn read(answer: &Answer) -> Option<AccessAnswer> {
        match answer {
            Answer::Access { answer, .. } => serde_json::from_str(answer).ok(),
            _ => None,
        }
    }
}

pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = serde_json::from_str::<AccessCommand>(command) else {
        return Ok(invalid("not a command for access"));
    };
    if let Some(flaw) = command.flaw() {
        return Ok(invalid(flaw));
    }
    let done = match &command {
        AccessCommand::Rotate(rotate) => rotation::rotate(store, now, rotate)?,
    };
    let Some((answer, snapshots)) = done else {
        return Ok(Answer::NotFound);
    };
    let answer = serde_json::to_string(&answer).expect("texts, numbers and nulls are always JSON");
    Ok(Answer::Access { answer, snapshots })
}
