//! What an exchange has to tell of an attempt.

use crate::time::Time;

use super::Tools;

/// Whom an attempt was made at, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The model's slug.
    pub model: String,
    /// The offer's tag, which begins with the provider's slug.
    pub tag: String,
    /// A digest of the provider's key; `None` where it asks for none.
    pub key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub subject: Subject,
    /// When the attempt was sent.
    pub sent: Time,
    /// The attempt is the one probe of an endpoint or a key that was out.
    pub probe: bool,
    pub event: Event,
}

/// What became of an attempt. The first content is told when it comes, the rest at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first content came, after that long where it was streamed.
    Began {
        latency_ms: Option<u32>,
    },
    /// The reply is complete; tokens of output per second where there were enough to tell.
    Complete {
        throughput: Option<u32>,
        tools: Tools,
    },
    /// Nothing is left of the key's allowance at this endpoint until then.
    Exhausted {
        until: Time,
    },
    Failed(Blame),
    /// Another attempt of the request began sooner, and this one was cancelled after so long
    /// without content; `None` where that is too short to tell anything.
    Outrun {
        waited_ms: Option<u32>,
    },
}

/// Who or what is to blame for a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody there: the request was wrong, the client left, the time was too short. The flag says
    /// that the model had called a tool wrongly.
    Nobody { bad_call: bool },
    /// The endpoint failed.
    Endpoint,
    /// The endpoint is overloaded, until then if it said so.
    Busy { until: Option<Time> },
    /// The key has had its share of this endpoint, until then if it was said.
    Limited { until: Option<Time> },
    /// The key may not use this endpoint.
    Denied,
    /// The key is refused, or its account is used up, wherever it is used.
    Key,
}

impl Subject {
    /// The slug of the provider.
    pub fn provider(&self) -> &str {
        provider_of(&self.tag)
    }

    pub fn endpoint(&self) -> String {
        endpoint_name(&self.model, &self.tag)
    }
}

/// A tag is a provider's slug, and perhaps more after a slash: `deepinfra/turbo`.
pub fn provider_of(tag: &str) -> &str {
    tag.split_once('/').map_or(tag, |(provider, _)| provider)
}

/// One name for both; neither holds a space.
pub fn endpoint_name(model: &str, tag: &str) -> String {
    [tag, model].join(" ")
}
