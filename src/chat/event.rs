//! A reply in words that all protocols share: a stream of events, which may also arrive at once.

use super::conversation::{ReasoningKind, Seal};

/// One thing that a reply says. Events of one reply come in its order; tool calls may interleave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Text(String),
    Reasoning {
        text: String,
        kind: ReasoningKind,
    },
    /// Seals the reasoning that just came, or stands for reasoning that cannot be read.
    Seal {
        seal: Seal,
        hidden: bool,
    },
    /// Opens a tool call. `call` counts from 0 in the order in which calls open.
    ToolCall {
        call: usize,
        id: String,
        name: String,
        custom: bool,
        seal: Option<Seal>,
    },
    /// More of the arguments of an open call.
    Arguments {
        call: usize,
        text: String,
    },
    /// The arguments of a call are complete. A reply that breaks off never says so.
    ToolCallEnd {
        call: usize,
    },
    Refusal(String),
    /// A picture that the model made, as a `data:` URL.
    Image {
        url: String,
    },
    Citation(Citation),
    /// The reply is complete, but for its usage.
    Finish {
        reason: Finish,
        native: String,
    },
}

/// A source that the text rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Citation {
    pub url: String,
    pub title: Option<String>,
    /// The words of the source.
    pub content: Option<String>,
    /// Where in the text, in characters.
    pub start: Option<u64>,
    pub end: Option<u64>,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    Stop,
    /// A stop sequence of the client's.
    StopSequence,
    Length,
    ToolCalls,
    ContentFilter,
    Refusal,
    /// The provider paused a long turn; the client is to go on.
    Pause,
    Error,
}

impl Finish {
    /// Whether all that the reply began is meant to be whole. The other reasons say that it is not.
    pub fn claims_whole(self) -> bool {
        match self {
            Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Pause => true,
            Finish::Length | Finish::ContentFilter | Finish::Refusal | Finish::Error => false,
        }
    }

    /// OpenRouter's normalised `finish_reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Finish::Stop | Finish::StopSequence | Finish::Pause => "stop",
            Finish::Length => "length",
            Finish::ToolCalls => "tool_calls",
            Finish::ContentFilter | Finish::Refusal => "content_filter",
            Finish::Error => "error",
        }
    }
}

/// What a piece of a reply says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Says {
    #[default]
    Text,
    Thought,
}
