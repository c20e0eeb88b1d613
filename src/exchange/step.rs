//! What an exchange wants done, what happened, and what is known when a request arrives.

use std::time::Duration;

use crate::account::command::Refusal;
use crate::account::key::KeySnapshot;
use crate::chat::ChatRequest;
use crate::config::{Limits, Settling};
use crate::health::{Admission, News, Subject};
use crate::id::GenerationId;
use crate::json::Outlined;
use crate::media::{Fetched, Link};
use crate::money::Money;
use crate::protocol::bridge::Face;
use crate::routing::sticky::Pin;
use crate::time::Time;

use super::{Outgoing, Routed, Settlement};

/// One of two attempts that are under way at once; where there is only one, either. Each has a
/// connection of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Racer {
    #[default]
    First,
    Second,
}

/// What to do next. Each step is done once, in the order given.
#[derive(Debug)]
pub enum Step {
    /// Set money aside; answered by [`Input::Held`], [`Input::HeldInPart`] or
    /// [`Input::Refused`].
    Hold {
        amount: Money,
        /// What a request that sets no limit of output can begin with: a stream grows from there, a
        /// whole reply is limited to what there is.
        least: Option<Money>,
        expires_at: Time,
    },
    /// Have `amount` held in all, or `minimum` at least, while the reply flows on; answered by
    /// [`Input::Grown`].
    Grow {
        amount: Money,
        minimum: Money,
    },
    /// Get the bytes of these links, all within a common limit of time; comes as [`Input::Fetched`].
    Fetch(Racer, Vec<Link>),
    /// Ask whether an attempt may be made; answered at once by [`Input::Admission`].
    Admit(Subject),
    /// The same for a second attempt beside one that is slow.
    AdmitSecond(Subject),
    /// Ask how soon so many of a thousand streams of an endpoint begin; answered at once by
    /// [`Input::Pace`].
    Pace(Subject, u32),
    /// Tell health what became of an attempt.
    Note(News),
    /// Start an attempt. Its outcome comes as [`Input::Head`] or [`Input::Unreachable`].
    Send(Racer, Outgoing),
    /// Nothing to do until the provider says something, or until this moment ([`Input::Clock`]).
    Wait {
        until: Time,
    },
    /// Close the connection to the provider; nothing more from it is wanted.
    Cancel(Racer),
    /// The provider has said all it had to; its connection may be used again.
    Release(Racer),
    /// Answer the client with a whole reply.
    Reply(Reply),
    /// Answer the client with this head; [`Step::Write`] gives the body.
    Begin(Head),
    Write(Vec<u8>),
    /// The client's reply is complete.
    Close,
    /// Charge for what was delivered and release the rest of the hold.
    Settle(Settlement),
    /// The same, and go on only when the account has the charge, or whatever else outlives the isolate.
    SettleFirst(Settlement),
    /// Keep the session with that endpoint, as long as its prompts are cached there. `long` where
    /// they are kept for an hour.
    Remember {
        session: u64,
        pin: Pin,
        long: bool,
    },
    /// A key of the account's own, by its id, was refused by its provider.
    Spurned(String),
    /// One line for the log.
    Log(String),
    Done,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    Held,
    /// Less than the amount is set aside, but no less than the least.
    HeldInPart(Money),
    /// So much is set aside in all; `None` where there is no more.
    Grown(Option<Money>),
    Refused(Refusal),
    /// The account could not be asked.
    AccountDown,
    /// What came of the links, each with its bytes or with words about why not.
    Fetched(Fetched),
    Admission(Admission),
    /// `None` if too little is known of the endpoint.
    Pace(Option<Duration>),
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
    /// As a chunk, of a reply whose bytes the client gets by another way: see [`super::Exchange::may_pipe`].
    Passed(&'a [u8]),
    End,
    /// The connection to the provider broke.
    Broken,
    /// Time has passed; nothing else happened.
    Clock,
    ClientGone,
}

impl Racer {
    pub fn other(self) -> Racer {
        match self {
            Racer::First => Racer::Second,
            Racer::Second => Racer::First,
        }
    }
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
    pub body: Outlined,
    pub request: ChatRequest,
    pub limits: Limits,
    pub settling: Settling,
    /// `X-OpenRouter-Metadata: enabled`
    pub show_attempts: bool,
    pub caller: Caller,
    pub routed: Routed,
}

/// What a caller says of itself and of how it wants to be answered.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub referer: Option<String>,
    pub user_agent: Option<String>,
    /// `anthropic-beta`: parts of that protocol that are not yet in its version.
    pub betas: Option<String>,
    /// The id of the preset that was laid under the request.
    pub preset_id: Option<String>,
    /// It takes a provider's stream as it comes, if the protocol is the same.
    pub verbatim: bool,
    /// What guardrails found in its request and did about it: `flag: Email address`.
    pub found: Vec<String>,
}
