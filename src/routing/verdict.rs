//! What went wrong with an attempt, who has to act, and whether another attempt may help.

use crate::error::{Cause, Failure};

/// How an attempt at an endpoint failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The provider says the request is wrong. Any other endpoint would say the same.
    Caller { status: u16 },
    /// The prompt is longer than the endpoint takes; another may take more.
    TooLong { status: u16 },
    /// The provider refuses our key, or our account there is used up.
    Credential { status: u16 },
    /// The provider has no room for us at the moment.
    Capacity { status: u16, retry_after_s: Option<u32> },
    /// The provider failed, or does not know the model.
    Provider { status: u16 },
    /// No connection, or none that lasted to the end of the head.
    Unreachable,
    /// A limit of ours ran out while waiting for this.
    Late(Awaited),
    /// A success by its status, but nothing in it that could be an answer.
    BadReply,
    /// The reply broke off.
    Truncated,
    /// The provider's protocol cannot say what the request asks for; nothing was sent.
    Unfit,
}

/// What was being waited for when the time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    Head,
    FirstToken,
    NextToken,
    End,
}

/// What to do after a failed attempt, as long as nothing of a reply has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same endpoint with another key, else the next endpoint.
    NextKey,
    /// The next endpoint.
    NextOffer,
    /// No other attempt would fare better.
    GiveUp,
}

/// The fault that a status of the provider's stands for. `None` for a success.
pub fn classify(status: u16, retry_after_s: Option<u32>) -> Option<Fault> {
    match status {
        200..=299 => None,
        401..=403 => Some(Fault::Credential { status }),
        // A model that the provider no longer has, or a path that it never had.
        404 | 405 | 410 => Some(Fault::Provider { status }),
        // 499: the provider believes that we left.
        408 | 499 => Some(Fault::Provider { status }),
        429 | 498 | 503 | 529 => Some(Fault::Capacity { status, retry_after_s }),
        400..=499 => Some(Fault::Caller { status }),
        // Redirects are not followed: they would carry our key elsewhere.
        _ => Some(Fault::Provider { status }),
    }
}

/// How providers say that a prompt is too long: codes whole, phrases anywhere in lower case.
const TOO_LONG_CODES: [&str; 3] = ["context_length_exceeded", "exceed_context_size_error", "TOO_MANY_TOKENS"];
const TOO_LONG_PHRASES: [&str; 8] = [
    "prompt is too long",
    "maximum context length",
    "context window",
    "input is too long",
    "exceeds the maximum number of tokens",
    "too many tokens",
    // Ollama, where it is told not to cut the prompt.
    "longer than the context length",
    "exceeded max context length",
];

/// Whether a provider's code or words for a caller's fault mean that the prompt is too long.
pub fn is_too_long(code: Option<&str>, words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    code.is_some_and(|code| TOO_LONG_CODES.contains(&code))
        || TOO_LONG_PHRASES.iter().any(|phrase| words.contains(phrase))
}

/// How providers say that our account with them has no credit left, whatever the status: OpenAI
/// with 429, Anthropic with 400.
const SPENT_CODES: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"];
const SPENT_PHRASES: [&str; 2] = ["credit balance is too low", "exceeded your current quota"];

/// Whether a provider's code or words mean that our credit there is used up.
pub fn is_spent(code: Option<&str>, words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    code.is_some_and(|code| SPENT_CODES.contains(&code))
        || SPENT_PHRASES.iter().any(|phrase| words.contains(phrase))
}

impl Fault {
    pub fn verdict(&self) -> Verdict {
        match self {
            Fault::Caller { .. } => Verdict::GiveUp,
            Fault::TooLong { .. } => Verdict::NextOffer,
            Fault::Credential { .. } => Verdict::NextKey,
            Fault::Capacity { .. } => Verdict::NextKey,
            Fault::Provider { .. } => Verdict::NextOffer,
            Fault::Unreachable => Verdict::NextOffer,
            Fault::Late(Awaited::End) => Verdict::GiveUp,
            Fault::Late(Awaited::Head | Awaited::FirstToken | Awaited::NextToken) => Verdict::NextOffer,
            Fault::BadReply => Verdict::NextOffer,
            Fault::Truncated => Verdict::NextOffer,
            Fault::Unfit => Verdict::NextOffer,
        }
    }

    /// A word for logs and receipts.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Caller { .. } => "caller",
            Fault::TooLong { .. } => "too_long",
            Fault::Credential { .. } => "credential",
            Fault::Capacity { .. } => "capacity",
            Fault::Provider { .. } => "provider",
            Fault::Unreachable => "unreachable",
            Fault::Late(Awaited::Head) => "late_head",
            Fault::Late(Awaited::FirstToken) => "late_first_token",
            Fault::Late(Awaited::NextToken) => "late_next_token",
            Fault::Late(Awaited::End) => "late_end",
            Fault::BadReply => "bad_reply",
            Fault::Truncated => "truncated",
            Fault::Unfit => "unfit",
        }
    }

    /// The status of the provider's answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Fault::Caller { status }
            | Fault::TooLong { status }
            | Fault::Credential { status }
            | Fault::Capacity { status, .. }
            | Fault::Provider { status } => Some(*status),
            Fault::Unreachable | Fault::Late(_) | Fault::BadReply | Fault::Truncated | Fault::Unfit => None,
        }
    }

    /// What the client is told when this was the last attempt. `words` are the provider's own.
    pub fn failure(&self, words: Option<&str>) -> Failure {
        let said = |text: &str| match words {
            Some(words) if !words.is_empty() => format!("{text}: {words}"),
            _ => text.to_owned(),
        };
        match self {
            Fault::Caller { status: 413 } => {
                Failure::new(Cause::PayloadTooLarge, said("Provider returned error"))
            }
            Fault::Caller { status: 422 } => {
                Failure::new(Cause::Unprocessable, said("Provider returned error"))
            }
            Fault::Caller { .. } => Failure::new(Cause::InvalidRequest, said("Provider returned error")),
            Fault::TooLong { .. } => Failure::new(Cause::ContextLength, said("Provider returned error")),
            Fault::Credential { .. } => {
                Failure::new(Cause::ProviderUnavailable, "The provider refused the gateway's credentials")
            }
            Fault::Capacity { status: 429 | 498, retry_after_s } => {
                let failure = Failure::new(Cause::RateLimited, said("Provider returned error"));
                Failure { retry_after_s: Some(retry_after_s.unwrap_or(DEFAULT_RETRY_AFTER_S)), ..failure }
            }
            Fault::Capacity { retry_after_s, .. } => {
                let failure = Failure::new(Cause::ProviderOverloaded, said("Provider returned error"));
                Failure { retry_after_s: *retry_after_s, ..failure }
            }
            Fault::Provider { status: 408 | 504 | 524 } => {
                Failure::new(Cause::Timeout, "The provider took too long")
            }
            Fault::Provider { .. } => {
                Failure::new(Cause::ProviderUnavailable, said("Provider returned error"))
            }
            Fault::Unreachable => {
                Failure::new(Cause::ProviderUnavailable, "The provider could not be reached")
            }
            Fault::Late(awaited) => Failure::new(Cause::Timeout, awaited.late()),
            Fault::BadReply => {
                Failure::new(Cause::ProviderUnavailable, said("The provider's reply was not an answer"))
            }
            Fault::Truncated => {
                Failure::new(Cause::ProviderUnavailable, said("The provider's reply broke off"))
            }
            Fault::Unfit => {
                Failure::invalid(words.unwrap_or("No provider of this model can take this request"))
            }
        }
    }
}

/// For a 429 whose provider did not say when to come back.
const DEFAULT_RETRY_AFTER_S: u32 = 5;

impl Awaited {
    fn late(self) -> &'static str {
        match self {
            Awaited::Head => "The provider took too long to answer",
            Awaited::FirstToken => "The provider took too long to begin",
            Awaited::NextToken => "The provider fell silent",
            Awaited::End => "The reply took longer than the limit",
        }
    }
}
