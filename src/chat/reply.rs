//! What a reply turned out to be, in words that all protocols share: what was seen of it, what it
//! used and costs, what its provider said of a failure.

use super::Usage;
use crate::money::Money;

/// What the gateway calls one reply, whoever made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The generation id.
    pub generation: String,
    /// Unix seconds.
    pub created: u64,
    /// The slug of the model that answers.
    pub model: String,
    /// The display name of the provider.
    pub provider: String,
}

/// What one reply used and costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub usage: Usage,
    pub cost: Money,
    pub prompt_cost: Money,
    pub completion_cost: Money,
    /// What searches of the web cost.
    pub search_cost: Money,
    pub is_byok: bool,
    /// The JSON text of `openrouter_metadata`, for clients that asked for it.
    pub metadata: Option<String>,
}

/// An error as a provider words it, in whichever of the many shapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// The HTTP status that the error itself names.
    pub status: Option<u16>,
    /// The provider's own code or type: `insufficient_quota`, `overloaded_error`.
    pub code: Option<String>,
    pub message: String,
    /// The error's JSON as it came, cut at 4 KiB. May quote the prompt: not for the log.
    pub raw: String,
}

/// What a reply has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Something a client would notice came: text, reasoning, a tool call, a refusal, sound, a
    /// picture or a reason to finish. Roles and empty deltas do not count.
    pub began: bool,
    /// The reason to finish in the provider's words (of the choice that finished last).
    pub finish: Option<String>,
    /// The same in OpenRouter's words.
    pub finish_reason: Option<&'static str>,
    /// The provider's `[DONE]` came.
    pub done: bool,
    pub usage: Option<Usage>,
    /// Searches of the web that were seen or counted so far. They stand beside `usage`, since a
    /// reply that breaks off has made them without a count.
    pub web_searches: u64,
    /// The provider's own word on the cost, if its row says that it may be trusted.
    pub cost: Option<Money>,
    /// Bytes of text, reasoning and arguments that were delivered, for estimates.
    pub output_bytes: u64,
    /// The error that ended the stream from within. Nothing is emitted after it.
    pub fault: Option<ProviderError>,
    /// The fault is an end that is none: within a tool call, or without a reason to finish.
    pub truncated: bool,
    /// The provider's id of the reply.
    pub upstream_id: Option<String>,
    pub system_fingerprint: Option<String>,
    pub service_tier: Option<String>,
    /// What of the reply has no word that all protocols share: where it stood, each with a reason.
    /// Lost to clients of another protocol than the provider's.
    pub losses: Vec<String>,
}

/// More losses than a reply ever has; each costs memory.
const MOST_LOSSES: usize = 32;

impl Facts {
    /// Takes note of a loss, once.
    pub fn lose(&mut self, what: &str) {
        let loss = format!("reply.{what}");
        if self.losses.len() < MOST_LOSSES && !self.losses.contains(&loss) {
            self.losses.push(loss);
        }
    }
}

impl Facts {
    /// Takes note that the provider claimed an end that is none; `how` is for people.
    pub fn cut_short(&mut self, how: &str) {
        (self.finish, self.finish_reason, self.done) = (None, None, false);
        if self.fault.is_none() {
            self.truncated = true;
            self.fault = Some(ProviderError { message: how.to_owned(), ..ProviderError::default() });
        }
    }

    /// Why a whole reply with these facts is none.
    pub fn reply_fault(&self) -> Option<ReplyFault> {
        let fault = self.fault.clone()?;
        Some(if self.truncated { ReplyFault::Truncated(fault) } else { ReplyFault::Error(fault) })
    }
}

/// How a reply ends within a tool call, for people.
pub const WITHIN_A_CALL: &str = "The provider ended the reply within a tool call.";
/// How a reply ends that gives no reason to finish, for people.
pub const WITHOUT_A_REASON: &str = "The provider ended the reply without a reason to finish.";

/// Why a body with status 200 is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// Not a JSON object; where reading it failed.
    NotJson(String),
    /// The body reports an error.
    Error(ProviderError),
    /// The body claims to be whole and is not; in which way.
    Truncated(ProviderError),
    /// No choices, or neither output nor a reason to finish in any.
    Empty,
}
