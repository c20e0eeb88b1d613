//! What streams and whole replies of Cohere have in common: usage, reasons to finish, errors and
//! citations.

use crate::chat::{Citation, Facts, Finish, ProviderError, Usage};
use crate::json::{self, Members};
use crate::protocol::fault::{self, cut, http_number};
use crate::protocol::usage::count;

/// Reads a `usage` object; `None` if it holds no count. Cohere charges for `billed_units`, which
/// leave out its own preamble; `tokens` and `cached_tokens` count that preamble too, so they only
/// stand in where nothing is billed.
pub fn usage_from(raw: &str) -> Option<Usage> {
    let usage = json::members(raw).ok()?;
    let (billed, tokens) = (usage.object("billed_units"), usage.object("tokens"));
    let count_in = |object: &Option<Members<'_>>, key| object.as_ref().and_then(|it| count(it, key));
    let is_billed = count_in(&billed, "input_tokens").or(count_in(&billed, "output_tokens")).is_some();
    let counted = if is_billed { &billed } else { &tokens };
    let (input, output) = (count_in(counted, "input_tokens"), count_in(counted, "output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    let cached = if is_billed { 0 } else { count(&usage, "cached_tokens").unwrap_or(0).min(input) };
    let reasoning = count_in(&tokens, "reasoning_tokens").unwrap_or(0).min(output);
    Some(Usage {
        input: input - cached,
        cache_read: cached,
        output: output - reasoning,
        reasoning,
        ..Usage::default()
    })
}

/// What a `finish_reason` means.
pub fn finish(native: &str) -> Finish {
    match native {
        "TOOL_CALL" => Finish::ToolCalls,
        "MAX_TOKENS" => Finish::Length,
        "STOP_SEQUENCE" => Finish::StopSequence,
        "ERROR_TOXIC" => Finish::ContentFilter,
        "ERROR" | "ERROR_LIMIT" | "TIMEOUT" | "USER_CANCEL" => Finish::Error,
        // `COMPLETE`, and whatever else comes to be.
        _ => Finish::Stop,
    }
}

/// The error within a reply that ended with one. `delta` holds `finish_reason`, and at times
/// `error` and `error_type`.
pub(super) fn fault(native: &str, delta: &Members<'_>, raw: &str) -> ProviderError {
    let message = delta.string("error").map(|text| cut(&text).to_owned());
    let message = message.unwrap_or_else(|| format!("The provider ended the reply with `{native}`."));
    let code = delta.string("error_type").map(|code| code.into_owned());
    let status = (native == "TIMEOUT").then_some(504);
    ProviderError {
        status,
        code: code.or_else(|| Some(native.to_owned())),
        message,
        raw: cut(raw).to_owned(),
    }
}

/// Reads an error's body: `{"id":…,"message":…,"error_type":…}`.
pub fn read_error(body: &[u8]) -> ProviderError {
    fault::read_object(body, |error| {
        let message = ["message", "error", "detail"].into_iter().find_map(|name| error.string(name));
        let code = ["error_type", "code"].into_iter().find_map(|name| error.string(name));
        let status =
            ["status_code", "status"].into_iter().find_map(|name| error.get(name)).and_then(http_number);
        ProviderError {
            status,
            code: code.map(|code| code.into_owned()),
            message: cut(&message.unwrap_or_default()).to_owned(),
            raw: String::new(),
        }
    })
}

/// Where the text blocks of a reply begin, by their index, in characters of all text before.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets {
    blocks: Vec<(u64, u64)>,
    characters: u64,
}

impl Offsets {
    pub(super) fn add(&mut self, index: u64, text: &str) {
        if !self.blocks.iter().any(|(block, _)| *block == index) {
            self.blocks.push((index, self.characters));
        }
        self.characters += text.chars().count() as u64;
    }

    /// Older models do not say which block they cite: they have but one.
    fn of(&self, index: Option<u64>) -> u64 {
        let block = match index {
            Some(index) => self.blocks.iter().find(|(block, _)| *block == index),
            None => self.blocks.last(),
        };
        block.map_or(0, |(_, offset)| *offset)
    }
}

pub(super) const LOGPROBS: &str = "logprobs: no other protocol's";

/// A citation once for each of its sources. What rests on a plan is no part of the text.
pub(super) fn citations(raw: &str, offsets: &Offsets, facts: &mut Facts) -> Vec<Citation> {
    let Ok(citation) = json::members(raw) else { return Vec::new() };
    let kind = citation.string("type").unwrap_or_default();
    if !matches!(kind.as_ref(), "" | "TEXT_CONTENT") {
        facts.lose("message.citations: of a plan, which is told as reasoning");
        return Vec::new();
    }
    let offset = offsets.of(citation.get("content_index").and_then(json::whole));
    let place = |key| citation.get(key).and_then(json::whole).map(|place| offset.saturating_add(place));
    let (start, end) = (place("start"), place("end"));
    let sources = citation.array("sources").unwrap_or_default();
    let sources = sources.into_iter().filter_map(|source| json::members(source).ok());
    sources.map(|source| Citation { start, end, ..source_of(&source) }).collect()
}

/// A document or a tool's output: whatever it says of where it is, what it is called, its words.
fn source_of(source: &Members<'_>) -> Citation {
    let id = source.string("id").unwrap_or_default();
    let inner = source.object("document").or_else(|| source.object("tool_output"));
    let say = |key: &str| inner.as_ref().and_then(|inner| inner.string(key)).map(|text| text.into_owned());
    let url = say("url").or_else(|| id.starts_with("http").then(|| id.clone().into_owned()));
    let content = ["text", "snippet", "content"].into_iter().find_map(say);
    Citation { url: url.unwrap_or_default(), title: say("title"), content, start: None, end: None }
}
