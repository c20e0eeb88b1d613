//! What streams and whole replies of Chat Completions have in common: the counts of usage and the
//! reasons to finish.

use crate::chat::{Quirks, Usage};
use crate::json::{self, Members};
use crate::money::Money;
use crate::protocol::usage::{count, part, reported_cost, update, web_searches};

/// The counts that a provider reported, under OpenAI's names. In a stream each is overwritten
/// by the last that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    prompt_audio: Option<u64>,
    reasoning: Option<u64>,
    completion_audio: Option<u64>,
    completion_image: Option<u64>,
    pub(super) web_searches: Option<u64>,
    cost: Option<Money>,
}

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
        // OpenAI; DeepSeek; Together; Mistral of old.
        let cached = detail(&prompt, "cached_tokens")
            .or_else(|| count(&usage, "prompt_cache_hit_tokens"))
            .or_else(|| count(&usage, "cached_tokens"))
            .or_else(|| count(&usage, "num_cached_tokens"));
        update(&mut self.cached, cached);
        update(&mut self.cache_write, detail(&prompt, "cache_write_tokens"));
        update(&mut self.prompt_audio, detail(&prompt, "audio_tokens"));
        let reasoning = detail(&completion, "reasoning_tokens").or_else(|| count(&usage, "reasoning_tokens"));
        update(&mut self.reasoning, reasoning);
        update(&mut self.completion_audio, detail(&completion, "audio_tokens"));
        update(&mut self.completion_image, detail(&completion, "image_tokens"));
        update(&mut self.web_searches, web_searches(&usage));
        update(&mut self.cost, reported_cost(&usage, quirks));
    }

    /// The counts in disjoint classes; `None` if neither side was counted.
    pub(super) fn usage(&self, quirks: &Quirks) -> Option<Usage> {
        if self.prompt.is_none() && self.completion.is_none() {
            return None;
        }
        let mut usage = Usage::default();
        self.split_input(&mut usage);
        self.split_output(quirks, &mut usage);
        Some(usage)
    }

    /// What the provider says the reply cost, if its word counts.
    pub(super) fn cost(&self) -> Option<Money> {
        self.cost
    }

    /// A detail never exceeds what it is a part of: providers have reported such.
    fn split_input(&self, usage: &mut Usage) {
        let prompt = self.prompt.unwrap_or(0);
        let audio = self.prompt_audio.unwrap_or(0);
        let sum = prompt.saturating_add(self.completion.unwrap_or(0));
        // Mistral counts audio beside `prompt_tokens`; the total gives it away.
        let beside = audio > 0 && self.total == Some(sum.saturating_add(audio));
        let mut left = prompt;
        usage.cache_read = part(&mut left, self.cached);
        usage.cache_write = part(&mut left, self.cache_write);
        usage.input_audio = if beside { audio } else { part(&mut left, self.prompt_audio) };
        usage.input = left;
    }

    fn split_output(&self, quirks: &Quirks, usage: &mut Usage) {
        let mut left = self.completion.unwrap_or(0);
        let sum = left.saturating_add(self.prompt.unwrap_or(0));
        let reasoning = self.reasoning.unwrap_or(0);
        // Some models of such a provider count reasoning within: then the total is the plain sum.
        let beside = quirks.usage_excludes_reasoning && self.total != Some(sum);
        usage.reasoning = if beside {
            reasoning.max(self.total.unwrap_or(0).saturating_sub(sum))
        } else {
            part(&mut left, self.reasoning)
        };
        usage.output_audio = part(&mut left, self.completion_audio);
        usage.output_image = part(&mut left, self.completion_image);
        usage.output = left;
    }
}

/// OpenRouter's word for a provider's reason to finish.
pub fn finish_reason(native: &str) -> &'static str {
    match native {
        "tool_calls" | "function_call" | "tool_use" | "TOOL_CALL" => "tool_calls",
        "length"
        | "model_length"
        | "max_tokens"
        | "max_output_tokens"
        | "MAX_TOKENS"
        | "model_context_window_exceeded" => "length",
        "content_filter" | "refusal" | "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT"
        | "SPII" => "content_filter",
        "error" | "ERROR" | "insufficient_system_resource" | "abort" => "error",
        // `stop`, `eos`, `end_turn`, `STOP`, `COMPLETE` and whatever else is made up for it.
        _ => "stop",
    }
}
