//! How a provider's spelling of a protocol departs from the protocol, as data on its row.

use super::conversation::Issuer;

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

/// How a provider takes back what its model thought in earlier turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastReasoning {
    /// It has no word for it, or refuses it.
    Unwanted,
    /// As `reasoning_content` (DeepSeek needs it between calls of tools).
    Content,
    /// As OpenRouter's `reasoning_details`.
    Details,
}

/// The ids of tool calls that a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallIdForm {
    /// Whatever the client sent, if it is not very long.
    AsSent,
    /// Nine letters and digits (Mistral).
    Nine,
}

/// The order in which a provider takes turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnOrder {
    Free,
    /// User and assistant in turns, and the system before them (Perplexity).
    Alternating,
    /// Results of tools are answered before the user speaks (Mistral).
    AnswersTools,
}

/// The departures of one provider from OpenAI's Chat Completions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    pub max_tokens: MaxTokensName,
    pub stream_usage: StreamUsage,
    /// `completion_tokens` leaves reasoning out (xAI).
    pub usage_excludes_reasoning: bool,
    /// It never gives a reason to finish: its `[DONE]` alone ends a reply.
    pub silent_finish: bool,
    /// What its `usage` says of cost is in dollars and is believed, within reason.
    pub reports_cost: bool,
    /// Who seals this provider's reasoning, and so whose seals it can read; `Unknown` where it is
    /// whoever made the protocol.
    pub sealer: Issuer,
    pub past_reasoning: PastReasoning,
    /// It takes `top_k`, `min_p` and `repetition_penalty`, which OpenAI refuses.
    pub more_sampling: bool,
    pub call_ids: CallIdForm,
    pub turn_order: TurnOrder,
    /// It takes `cache_control` marks on parts.
    pub cache_marks: bool,
}

impl Quirks {
    pub const NONE: Quirks = Quirks {
        max_tokens: MaxTokensName::AsSent,
        stream_usage: StreamUsage::Ask,
        usage_excludes_reasoning: false,
        silent_finish: false,
        reports_cost: false,
        past_reasoning: PastReasoning::Unwanted,
        more_sampling: true,
        call_ids: CallIdForm::AsSent,
        turn_order: TurnOrder::Free,
        cache_marks: false,
        sealer: Issuer::Unknown,
    };
}
