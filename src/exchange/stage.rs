//! What an exchange is waiting for, and what it keeps of the attempts that are over.

use crate::chat::ProviderError;
use crate::media::Link;
use crate::money::Money;
use crate::protocol::lane::Lane;
use crate::routing::verdict::{Fault, Verdict};
use crate::time::Time;

/// An attempt that was made.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub route: usize,
    pub sent: Time,
    pub ended: Time,
    pub status: Option<u16>,
    pub fault: Option<Fault>,
    /// What the provider said of it, without secrets; for the client only.
    pub said: Option<ProviderError>,
    /// It was made beside another that was slow.
    pub hedge: bool,
    /// The other was faster: what its provider may ask for it all the same.
    pub outrun: Option<Money>,
}

/// What the exchange is waiting for.
pub(super) enum Stage {
    Holding,
    /// Whether the current route may be used.
    Asking,
    /// The end of a short wait that a provider asked for.
    Pausing(Time),
    /// The bytes of links that the current attempt's provider does not take.
    Fetching(Vec<Link>),
    /// The head of the current attempt.
    Sending,
    /// The rest of a reply that is not streamed.
    Collecting(Vec<u8>),
    /// The rest of a provider's error.
    Failing(Failing),
    /// The first content of a stream; what came so far is held back.
    Peeking(Box<dyn Lane>, Vec<u8>),
    /// The rest of a stream that has begun.
    Streaming(Box<dyn Lane>),
    Ended,
}

/// A provider's error whose body is still coming.
pub(super) struct Failing {
    pub fault: Fault,
    /// When the body is not waited for any longer.
    pub until: Time,
    /// The kind of the error, where a header names it.
    pub error_type: Option<String>,
    pub body: Vec<u8>,
}

impl Attempt {
    /// Whether it failed so that no other attempt would fare better.
    pub(super) fn is_final(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.verdict() == Verdict::GiveUp)
    }
}
