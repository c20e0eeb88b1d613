//! What streams and whole replies of completions have in common: the counts of usage, the reasons
//! to finish, and how a choice says one.

use crate::chat::{Quirks, Usage};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::money::Money;
use crate::protocol::openai_wire;
use crate::protocol::usage::{count, part, reported_cost, update};

/// The counts that a provider reported, under OpenAI's names. In a stream each is overwritten
/// by the last that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    reasoning: Option<u64>,
    cost: Option<Money>,
}

/// The `object` of a reply and of each of its chunks.
pub(super) const OBJECT: &str = "text_completion";

/// Reads a `usage` object; `None` if it holds no count.
pub fn usage_from(raw: &str, quirks: &Quirks) -> Option<Usage> {
    let mut counts = Counts::default();
    counts.read(raw, quirks);
    counts.usage(quirks)
}

impl Counts {
    /// Takes over every number of a `usage` object that is there.
    pub(super) fn read(&mut self, raw: &str, quirks: &Quirks) {
        let Ok(usage) = json::members(raw) else { return };
        let prompt = usage.object("prompt_tokens_details");
        let completion = usage.object("completion_tokens_details");
        let detail = |details: &Option<Members<'_>>, name| details.as_ref().and_then(|it| count(it, name));
        update(&mut self.prompt, count(&usage, "prompt_tokens"));
        update(&mut self.completion, count(&usage, "completion_tokens"));
        update(&mut self.total, count(&usage, "total_tokens"));
        // OpenAI; DeepSeek; Together.
        let cached = detail(&prompt, "cached_tokens")
            .or_else(|| count(&usage, "prompt_cache_hit_tokens"))
            .or_else(|| count(&usage, "cached_tokens"));
        update(&mut self.cached, cached);
        let reasoning = detail(&completion, "reasoning_tokens").or_else(|| count(&usage, "reasoning_tokens"));
        update(&mut self.reasoning, reasoning);
        update(&mut self.cost, reported_cost(&usage, quirks));
    }

    /// The counts in disjoint classes; `None` if neither side was counted.
    pub(super) fn usage(&self, quirks: &Quirks) -> Option<Usage> {
        if self.prompt.is_none() && self.completion.is_none() {
            return None;
        }
        // A detail never exceeds what it is a part of: providers have reported such.
        let (mut input, mut output) = (self.prompt.unwrap_or(0), self.completion.unwrap_or(0));
        let sum = input.saturating_add(output);
        let beside = quirks.usage_excludes_reasoning && self.total != Some(sum);
        let cache_read = part(&mut input, self.cached);
        let reasoning = if beside { self.reasoning.unwrap_or(0) } else { part(&mut output, self.reasoning) };
        Some(Usage { input, cache_read, output, reasoning, ..Usage::default() })
    }

    /// What the provider says the reply cost, if its word counts.
    pub(super) fn cost(&self) -> Option<Money> {
        self.cost
    }
}

/// OpenRouter's word for a provider's reason to finish.
pub fn finish_reason(native: &str) -> &'static str {
    match native {
        "length" | "max_tokens" | "model_length" => "length",
        "content_filter" => "content_filter",
        "error" | "abort" | "insufficient_system_resource" => "error",
        // `stop`, `eos`, `stop_sequence` and whatever else is made up for it.
        _ => "stop",
    }
}

/// The body of an answer that is an error, in OpenRouter's envelope. It names no generation.
pub fn write_error(failure: &Failure, _generation: Option<&str>) -> Vec<u8> {
    openai_wire::write_error(failure)
}

/// A choice that says nothing but why the reply ended.
pub(super) fn write_choice(finish: Option<&str>, native: Option<&str>, out: &mut Vec<u8>) {
    let quoted = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), json::quote);
    let choice = format!(
        r#","choices":[{{"text":"","index":0,"logprobs":null,"finish_reason":{},"native_finish_reason":{}}}]"#,
        quoted(finish),
        quoted(native),
    );
    out.extend_from_slice(choice.as_bytes());
}
