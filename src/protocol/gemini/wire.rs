//! The words of Gemini's wire that both its sides use: reasons to finish and counts of tokens.

use crate::chat::{Bill, Finish, Usage};
use crate::json::{self, Members};
use crate::protocol::usage::{self, cost_members, part, safe, update};

/// The method of the API behind the model's name in the URL.
pub fn method(stream: bool) -> &'static str {
    if stream { "streamGenerateContent?alt=sse" } else { "generateContent" }
}

/// What a `finishReason` means; `called` where the reply called a function, for which Gemini has
/// no reason of its own.
pub fn finish(native: &str, called: bool) -> Finish {
    match native {
        "MAX_TOKENS" => Finish::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "JAILBREAK"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "BLOCK_REASON_UNSPECIFIED" => Finish::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE" => Finish::Error,
        _ if called => Finish::ToolCalls,
        // `STOP`, `OTHER` and what is yet to be invented.
        _ => Finish::Stop,
    }
}

/// Whether a reason without any output means that the reply failed.
pub(super) fn fails_empty(native: &str) -> bool {
    match finish(native, false) {
        Finish::Error => true,
        Finish::Stop => !matches!(native, "STOP" | "FINISH_REASON_UNSPECIFIED"),
        Finish::StopSequence
        | Finish::Length
        | Finish::ToolCalls
        | Finish::ContentFilter
        | Finish::Refusal
        | Finish::Pause => false,
    }
}

/// The `finishReason` for a client.
pub(super) fn finish_reason(reason: Finish, native: &str) -> &'static str {
    const OWN: &[&str] = &[
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
    ];
    if let Some(own) = OWN.iter().find(|own| **own == native && finish(own, false) == reason) {
        return own;
    }
    match reason {
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls | Finish::Pause => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter | Finish::Refusal => "SAFETY",
        Finish::Error => "OTHER",
    }
}

/// The counts of `usageMetadata`. In a stream each is overwritten by the last that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    prompt: Option<u64>,
    tool_prompt: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    prompt_audio: Option<u64>,
    cached_audio: Option<u64>,
    output_audio: Option<u64>,
    output_image: Option<u64>,
}

/// Reads a `usageMetadata` object; `None` if it holds no count.
pub fn usage_from(raw: &str) -> Option<Usage> {
    let mut counts = Counts::default();
    counts.read(&json::members(raw).ok()?);
    counts.usage()
}

impl Counts {
    pub(super) fn read(&mut self, usage: &Members<'_>) {
        update(&mut self.prompt, count(usage, "promptTokenCount"));
        update(&mut self.tool_prompt, count(usage, "toolUsePromptTokenCount"));
        update(&mut self.candidates, count(usage, "candidatesTokenCount"));
        update(&mut self.thoughts, count(usage, "thoughtsTokenCount"));
        update(&mut self.total, count(usage, "totalTokenCount"));
        update(&mut self.cached, count(usage, "cachedContentTokenCount"));
        update(&mut self.prompt_audio, modality(usage, "promptTokensDetails", "AUDIO"));
        update(&mut self.cached_audio, modality(usage, "cacheTokensDetails", "AUDIO"));
        update(&mut self.output_audio, modality(usage, "candidatesTokensDetails", "AUDIO"));
        update(&mut self.output_image, modality(usage, "candidatesTokensDetails", "IMAGE"));
    }

    /// The counts in disjoint classes; `None` if neither side was counted.
    pub(super) fn usage(&self) -> Option<Usage> {
        if self.prompt.is_none() && self.candidates.is_none() && self.thoughts.is_none() {
            return None;
        }
        let mut usage = Usage::default();
        let mut input = self.prompt.unwrap_or(0);
        usage.cache_read = part(&mut input, self.cached);
        let audio = self.prompt_audio.map(|all| all.saturating_sub(self.cached_audio.unwrap_or(0)));
        usage.input_audio = part(&mut input, audio);
        // What its own tools fed the model stands beside the prompt.
        usage.input = input.saturating_add(self.tool_prompt.unwrap_or(0));
        let mut output = self.candidates.unwrap_or(0);
        usage.output_audio = part(&mut output, self.output_audio);
        usage.output_image = part(&mut output, self.output_image);
        usage.output = output;
        usage.reasoning = self.thoughts.unwrap_or_else(|| self.uncounted());
        Some(usage)
    }

    /// Thoughts that show in the total only.
    fn uncounted(&self) -> u64 {
        let known = [self.prompt, self.tool_prompt, self.candidates].into_iter().flatten();
        let known = known.fold(0, u64::saturating_add);
        match (self.candidates, self.total) {
            (Some(_), Some(total)) => total.saturating_sub(known),
            (_, _) => 0,
        }
    }
}

/// Appends `usageMetadata` with what OpenRouter reports beside the counts.
pub fn write_usage(bill: &Bill, out: &mut Vec<u8>) {
    let usage = &bill.usage;
    let candidates = usage.total_output().saturating_sub(usage.reasoning);
    let text = format!(
        concat!(
            r#"{{"promptTokenCount":{},"cachedContentTokenCount":{},"candidatesTokenCount":{},"#,
            r#""thoughtsTokenCount":{},"totalTokenCount":{},"promptTokensDetails":[{}],"#,
            r#""candidatesTokensDetails":[{}],{}}}"#,
        ),
        safe(usage.total_input()),
        safe(usage.cache_read),
        safe(candidates),
        safe(usage.reasoning),
        safe(usage.total()),
        details(&[
            ("TEXT", usage.total_input().saturating_sub(usage.input_audio)),
            ("AUDIO", usage.input_audio),
        ]),
        details(&[("TEXT", usage.output), ("AUDIO", usage.output_audio), ("IMAGE", usage.output_image),]),
        cost_members(bill),
    );
    out.extend_from_slice(text.as_bytes());
}

fn details(counts: &[(&str, u64)]) -> String {
    let any = counts.iter().filter(|(_, count)| *count > 0);
    let text = any.map(|(kind, count)| format!(r#"{{"modality":"{kind}","tokenCount":{}}}"#, safe(*count)));
    text.collect::<Vec<_>>().join(",")
}

/// The tokens of one kind in a list of `{"modality":…,"tokenCount":…}`.
fn modality(usage: &Members<'_>, list: &str, kind: &str) -> Option<u64> {
    let details = usage.array(list)?;
    let mut found = details.iter().filter_map(|detail| json::members(detail).ok());
    count(&found.find(|detail| detail.string("modality").as_deref() == Some(kind))?, "tokenCount")
}

/// A count under `key`, however absurd: beyond the range it is the nearest end of it.
fn count(members: &Members<'_>, key: &str) -> Option<u64> {
    let text = members.value(key)?;
    usage::read_count(text.trim_matches('"'))
}
