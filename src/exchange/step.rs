//! What an exchange wants done, what happened, and what is known when a request arrives.

use crate::account::command::Refusal;
use crate::account::key::KeySnapshot;
use crate::chat::ChatRequest;
use crate::config::Limits;
use crate::health::{Admission, News, Subject};
use crate::id::GenerationId;
use crate::media::{Fetched, Link};
use crate::money::Money;
use crate::protocol::bridge::Face;
use crate::routing::sticky::Pin;
use crate::time::Time;

use super::{Outgoing, Routed, Settlement};

/// What to do next. Each step is done once, in the order given.
#[derive(Debug)]
pub enum Step {
    /// Set money aside; answered by [`Input::Held`] or [`Input::Refused`].
    Hold {
        amount: Money,
        expires_at: Time,
    },
    /// Get the bytes of these links, all within a common limit of time; comes as [`Input::Fetched`].
    Fetch(Vec<Link>),
    /// Ask whether an attempt may be made; answered at once by [`Input::Admission`].
    Admit(Subject),
    /// Tell health what became of an attempt.
    Note(News),
    /// Start an attempt. Its outcome comes as [`Input::Head`] or [`Input::Unreachable`].
    Send(Outgoing),
    /// Nothing to do until the provider says something, or until this moment ([`Input::Clock`]).
    Wait {
        until: Time,
    },
    /// Close the connection to the provider; nothing more from it is wanted.
    Cancel,
    /// The provider has said all it had to; its connection may be used again.
    Release,
    /// Answer the client with a whole reply.
    Reply(Reply),
    /// Answer the client with this head; [`Step::Write`] gives the body.
    Begin(Head),
    Write(Vec<u8>),
    /// The client's reply is complete.
    Close,
    /// Charge for what was delivered and release the rest of the hold.
    Settle(Settlement),
    /// Keep the session with that endpoint, as long as its prompts are cached there. `long` where
    /// they are kept for an hour.
    Remember {
        session: u64,
        pin: Pin,
        long: bool,
    },
    /// One line for the log.
    Log(String),
    Done,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    Held,
    Refused(Refusal),
    /// The account could not be asked.
    AccountDown,
    /// What came of the links, each with its bytes or with words about why not.
    Fetched(Fetched),
    Admission(Admission),
    Head {
        status: u16,
        retry_after_s: Option<u32>,
        /// `x-amzn-errortype`: Amazon names the kind of an error nowhere else.
        error_type: Option<&'a str>,
        /// When our allowance is renewed, if the answer's headers say that it has run out.
        exhausted_until: Option<Time>,
    },
    Unreachable,
    Chunk(&'a [u8]),
    End,
    /// The connection to the provider broke.
    Broken,
    /// Time has passed; nothing else happened.
    Clock,
    ClientGone,
}

/// The head of a reply to the client.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub head: Head,
    pub body: Vec<u8>,
}

/// Everything known when a request arrives.
#[derive(Debug)]
pub struct Arrival {
    pub now: Time,
    pub generation: GenerationId,
    pub key: KeySnapshot,
    pub face: Face,
    pub body: Vec<u8>,
    pub request: ChatRequest,
    pub limits: Limits,
    /// `X-OpenRouter-Metadata: enabled`
    pub show_attempts: bool,
    pub caller: Caller,
    pub routed: Routed,
}

/// What a caller says of itself, for the generation's record.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub referer: Option<String>,
    pub user_agent: Option<String>,
    /// `anthropic-beta`: parts of that protocol that are not yet in its version.
    pub betas: Option<String>,
}
