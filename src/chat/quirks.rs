//! How a provider's spelling of a protocol departs from the protocol, as data on its row.

/// The name under which a provider wants the limit of output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensName {
    /// Whatever the client sent.
    AsSent,
    MaxTokens,
    MaxCompletionTokens,
}

/// How a provider is made to report usage in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamUsage {
    /// By `stream_options.include_usage`.
    Ask,
    /// It always reports, and refuses or ignores `stream_options`.
    Always,
}

/// The departures of one provider from OpenAI's Chat Completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    pub max_tokens: MaxTokensName,
    pub stream_usage: StreamUsage,
    /// `completion_tokens` leaves reasoning out (xAI).
    pub usage_excludes_reasoning: bool,
    /// `usage.cost` is in dollars and may be trusted.
    pub reports_cost: bool,
}

impl Quirks {
    pub const NONE: Quirks = Quirks {
        max_tokens: MaxTokensName::AsSent,
        stream_usage: StreamUsage::Ask,
        usage_excludes_reasoning: false,
        reports_cost: false,
    };
}
