//! What streams and whole replies of Converse have in common: usage, reasons to finish, errors,
//! citations and seals.

use crate::base64;
use crate::chat::conversation::{Issuer, Seal};
use crate::chat::{Citation, Finish, ProviderError, Usage};
use crate::json::{self, Members};
use crate::protocol::fault::{self, cut};
use crate::protocol::usage::count;

/// Reads a `usage` object; `None` if it holds no count. Converse counts input without what was
/// read from or written to the cache, so the classes are disjoint as they come.
pub fn usage_from(raw: &str) -> Option<Usage> {
    let usage = json::members(raw).ok()?;
    let (input, output) = (count(&usage, "inputTokens"), count(&usage, "outputTokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let read = count(&usage, "cacheReadInputTokens").or_else(|| count(&usage, "cacheReadInputTokenCount"));
    let write = count(&usage, "cacheWriteInputTokens").or_else(|| count(&usage, "cacheWriteInputTokenCount"));
    let write = write.unwrap_or(0);
    let hour = hour_writes(&usage).min(write);
    Some(Usage {
        input: input.unwrap_or(0),
        cache_read: read.unwrap_or(0),
        cache_write: write - hour,
        cache_write_1h: hour,
        output: output.unwrap_or(0),
        ..Usage::default()
    })
}

/// Of the tokens written to the cache those that stay an hour.
fn hour_writes(usage: &Members<'_>) -> u64 {
    let details = usage.array("cacheDetails").unwrap_or_default();
    let details = details.into_iter().filter_map(|detail| json::members(detail).ok());
    let hours = details.filter(|detail| detail.string("ttl").as_deref() == Some("1h"));
    hours.filter_map(|detail| count(&detail, "inputTokens")).fold(0, u64::saturating_add)
}

/// What a `stopReason` means.
pub fn finish(stop_reason: &str) -> Finish {
    match stop_reason {
        "tool_use" => Finish::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "stop_sequence" => Finish::StopSequence,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        "malformed_model_output" | "malformed_tool_use" => Finish::Error,
        // `end_turn`, and whatever else comes to be.
        _ => Finish::Stop,
    }
}

/// The error that a reason to finish is.
pub(super) fn malformed(stop_reason: &str) -> ProviderError {
    let message = format!("The provider ended the reply with `{stop_reason}`.");
    ProviderError { code: Some(stop_reason.to_owned()), message, ..ProviderError::default() }
}

/// Reads an error's body: `{"message":…}` or `{"Message":…}`, at times with `__type`.
pub fn read_error(body: &[u8]) -> ProviderError {
    fault::read_object(body, |error| {
        let message = ["message", "Message", "errorMessage"].into_iter().find_map(|name| error.string(name));
        let code = error.string("__type").or_else(|| error.string("code"));
        let code = code.map(|code| plain_type(&code).to_owned());
        let status = code.as_deref().and_then(status_of);
        let message = cut(&message.unwrap_or_default()).to_owned();
        ProviderError { status, code, message, raw: String::new() }
    })
}

/// Reads an error whose type stands in the header `x-amzn-errortype`.
pub fn read_typed_error(error_type: Option<&str>, body: &[u8]) -> ProviderError {
    let error = read_error(body);
    match error_type.map(plain_type).filter(|name| !name.is_empty()) {
        Some(name) => {
            ProviderError { status: status_of(name).or(error.status), code: Some(name.to_owned()), ..error }
        }
        None => error,
    }
}

/// The name in `Name:http://…` or `com.amazon#Name`.
fn plain_type(error_type: &str) -> &str {
    let name = error_type.split(':').next().unwrap_or_default();
    name.rsplit('#').next().unwrap_or_default().trim()
}

/// The status of an exception. In a stream its name begins with a small letter.
fn status_of(name: &str) -> Option<u16> {
    let name = name.to_ascii_lowercase();
    Some(match name.strip_suffix("exception").unwrap_or(&name) {
        "validation" | "servicequotaexceeded" => 400,
        "accessdenied" | "unrecognizedclient" | "expiredtoken" | "invalidsignature" => 403,
        "incompletesignature" | "missingauthenticationtoken" => 403,
        "resourcenotfound" => 404,
        "modeltimeout" => 408,
        "modelerror" | "modelstreamerror" => 424,
        "throttling" | "modelnotready" | "toomanyrequests" => 429,
        "internalserver" | "internalfailure" => 500,
        "serviceunavailable" => 503,
        _ => return None,
    })
}

/// The loss of blocks in which a provider's own tools speak.
pub(super) const INNER: &str = "content: what Amazon's own tools did";

/// A source and its words, without its place in the text.
pub(super) fn citation(raw: &str) -> Option<Citation> {
    let citation = json::members(raw).ok()?;
    let web = citation.object("location").and_then(|location| location.object("web"));
    let url = web.and_then(|web| web.string("url").map(|url| url.into_owned()));
    let source = citation.string("source").filter(|source| source.starts_with("http"));
    Some(Citation {
        url: url.or(source.map(|source| source.into_owned())).unwrap_or_default(),
        title: citation.string("title").map(|title| title.into_owned()),
        content: joined(&citation, "sourceContent"),
        start: None,
        end: None,
    })
}

/// The text of all blocks of the array under `key`.
pub(super) fn joined(members: &Members<'_>, key: &str) -> Option<String> {
    let blocks = members.array(key)?;
    let blocks = blocks.into_iter().filter_map(|block| json::members(block).ok());
    let texts: Vec<String> =
        blocks.filter_map(|block| block.string("text").map(|text| text.into_owned())).collect();
    (!texts.is_empty()).then(|| texts.concat())
}

/// The signature of readable reasoning. Only Claude signs.
pub(super) fn signature(data: &str) -> Seal {
    Seal { issuer: Issuer::Anthropic, data: data.to_owned(), id: None }
}

/// Reasoning that cannot be read. Converse takes Claude's own text for bytes and wraps it in
/// base64 once more; unwrapped, it is what Anthropic itself would send.
pub(super) fn redacted(data: &str) -> Seal {
    match base64::decode_standard(data).and_then(|bytes| String::from_utf8(bytes).ok()) {
        Some(data) => Seal { issuer: Issuer::Anthropic, data, id: None },
        None => Seal { issuer: Issuer::Unknown, data: data.to_owned(), id: None },
    }
}
