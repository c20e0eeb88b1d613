//! What Stripe answers to what it was asked.

use super::event::{Told, read_payment};
use crate::account::billing::{BillingCommand, TopUpAttempt, TopUpOutcome};
use crate::error::{Cause, Failure};
use crate::json;
use serde::Deserialize;

/// A session's page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub id: String,
    pub url: String,
}

/// How a request to Stripe went.
#[derive(Clone, Debug, PartialEq)]
pub enum Replied {
    Done(Vec<u8>),
    /// Stripe did not do it. The words are for its operator, or for the owner of the card.
    Refused {
        words: String,
        declined: bool,
    },
    /// The idempotency key belongs to another request, of which this says nothing.
    OtherRequest,
    /// It may have been done: a failure of Stripe's, or of the way there.
    Unknown,
}

#[derive(Deserialize)]
struct Session {
    id: String,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: Error,
}

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "type", default)]
    kind: String,
    message: Option<String>,
}

/// What an answer of Stripe's means; `None` where there was none.
pub fn read_reply(answer: Option<(u16, Vec<u8>)>) -> Replied {
    let Some((status, body)) = answer else {
        return Replied::Unknown;
    };
    match status {
        200..=299 => return Replied::Done(body),
        // 409: the first request of this key is under way. 429: it was not looked at.
        409 | 429 | 500.. => return Replied::Unknown,
        _ => {}
    }
    let Some(Refused { error }) = json::read_bytes(&body) else {
        return Replied::Unknown;
    };
    if error.kind == "idempotency_error" {
        return Replied::OtherRequest;
    }
    let words = error.message.unwrap_or_else(|| format!("Stripe answered with status {status}"));
    Replied::Refused { words, declined: error.kind == "card_error" }
}

/// The page of a session that was made.
pub fn read_page(body: &[u8]) -> Result<Page, Failure> {
    let session: Option<Session> = json::read_bytes(body);
    let page = session.and_then(|Session { id, url }| Some(Page { id, url: url? }));
    page.ok_or_else(|| Failure::new(Cause::ProviderUnavailable, "Stripe gave no page to pay on"))
}

/// What an account is told of its top-up.
pub fn read_top_up(attempt: &TopUpAttempt, replied: Replied) -> BillingCommand {
    let ended = |outcome| BillingCommand::TopUpEnded { attempt: attempt.attempt, outcome };
    match replied {
        Replied::Done(body) => match read_payment(&body) {
            Ok(Told::ForAccount(account, command)) if account == attempt.account => command,
            Ok(_) | Err(_) => ended(TopUpOutcome::Processing),
        },
        Replied::Refused { words, .. } => ended(TopUpOutcome::Declined(words)),
        // The card was changed meanwhile: what became of the first request is not known.
        Replied::OtherRequest | Replied::Unknown => ended(TopUpOutcome::Unknown),
    }
}
