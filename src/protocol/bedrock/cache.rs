//! Points of a prompt up to which Amazon is to cache it: where a model takes them, and how many.

use super::model::Family;
use crate::chat::Conversation;
use crate::chat::conversation::{CacheMark, Part};

/// The most points that a request may set (Amazon's "Prompt caching", supported models).
const MOST: usize = 4;

/// Counts the points; the earliest go where there are too many.
pub(super) struct Points {
    family: Family,
    skip: usize,
}

impl Points {
    pub(super) fn new(conversation: &Conversation, family: Family, losses: &mut Vec<String>) -> Points {
        let tools = conversation.tools.iter().filter(|tool| tool.cache.is_some() && family.is_claude());
        let parts = conversation.turns.iter().flat_map(|turn| &turn.parts);
        let all = tools.count() + parts.filter(|part| mark(part).is_some()).count();
        let skip = if family.caches() { all.saturating_sub(MOST) } else { 0 };
        if skip > 0 {
            losses.push(format!("cache_control: only the last {MOST} of {all} are sent"));
        }
        Points { family, skip }
    }

    /// The block for a mark; `None` where the model takes none there, or too many follow.
    pub(super) fn write(&mut self, cache: CacheMark) -> Option<&'static str> {
        if !self.family.caches() {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        Some(match cache {
            CacheMark::FiveMinutes => r#"{"cachePoint":{"type":"default"}}"#,
            CacheMark::OneHour => r#"{"cachePoint":{"type":"default","ttl":"1h"}}"#,
        })
    }

    pub(super) fn are_known(&self) -> bool {
        self.family.caches()
    }
}

/// The mark behind a part; one within a tool's result counts as one behind it.
pub(super) fn mark(part: &Part) -> Option<CacheMark> {
    match part {
        Part::Text { cache, .. } if part.marks() > 0 => *cache,
        Part::Image { cache, .. } | Part::File { cache, .. } => *cache,
        Part::ToolResult(result) => result.cache.or_else(|| result.parts.iter().rev().find_map(mark)),
        Part::Text { .. } | Part::Audio { .. } | Part::Reasoning { .. } => None,
        Part::SealedReasoning { .. } | Part::ToolCall(_) | Part::Refusal { .. } => None,
    }
}
