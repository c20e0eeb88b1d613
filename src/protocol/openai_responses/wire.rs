//! The JSON of Responses that requests, streams and whole replies have in common: usage, errors
//! and how a frame is written.

use crate::chat::{Bill, ProviderError, Quirks, Usage};
use crate::error::{Cause, Failure};
use crate::json::{self, Members};
use crate::money::Money;
use crate::protocol::fault::{self, http_status, message_in, status_in, words};
use crate::protocol::openai_wire::{add_availability, add_routed, error_metadata};
use crate::protocol::usage::{count, part, reported_cost, safe, search_cost, search_details, upstream_cost};
use crate::sse;

use serde_json::{Map, Value};

/// Appends one event. OpenAI writes an `event:` line and ends without `[DONE]`; OpenRouter writes
/// no `event:` lines and ends with `[DONE]`. Every client takes the union of both: the OpenAI SDKs
/// and @openrouter/sdk go by the `type` in the data and stop at `[DONE]`, Codex reads `event:`
/// lines through a full parser and ignores `[DONE]`, and clients that dispatch on the event's
/// name, as the specification of server-sent events has it, find one.
pub(super) fn write_event(kind: &[u8], data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind);
    out.push(b'\n');
    sse::write_frame(data, out);
}

pub(super) fn write_done(out: &mut Vec<u8>) {
    sse::write_frame(b"[DONE]", out);
}

/// Reads a `usage` object; `None` if it holds no count. Details are parts of the sums.
pub(super) fn read_usage(raw: &str, quirks: &Quirks) -> Option<Usage> {
    let counts = json::members(raw).ok()?;
    let (input, output) = (count(&counts, "input_tokens"), count(&counts, "output_tokens"));
    if input.is_none() && output.is_none() {
        return None;
    }
    let details = |key| counts.object(key);
    let (of_input, of_output) = (details("input_tokens_details"), details("output_tokens_details"));
    let detail = |details: &Option<Members<'_>>, key| details.as_ref().and_then(|it| count(it, key));
    let (mut left_in, mut left_out) = (input.unwrap_or(0), output.unwrap_or(0));
    let sum = left_in.saturating_add(left_out);
    // A provider that leaves reasoning out of the output elsewhere counts it within here, as far
    // as its total is the plain sum (xAI).
    let total = count(&counts, "total_tokens");
    let beside = quirks.usage_excludes_reasoning && total.is_some_and(|total| total > sum);
    let reasoning = detail(&of_output, "reasoning_tokens");
    Some(Usage {
        cache_read: part(&mut left_in, detail(&of_input, "cached_tokens")),
        cache_write: part(&mut left_in, detail(&of_input, "cache_write_tokens")),
        input_audio: part(&mut left_in, detail(&of_input, "audio_tokens")),
        input: left_in,
        reasoning: if beside { reasoning.unwrap_or(0) } else { part(&mut left_out, reasoning) },
        output_audio: part(&mut left_out, detail(&of_output, "audio_tokens")),
        output_image: part(&mut left_out, detail(&of_output, "image_tokens")),
        output: left_out,
        ..Usage::default()
    })
}

/// How often the web was searched, where the provider counts it: OpenAI's `tool_usage`, xAI's details of
/// the usage, and OpenRouter's.
pub(super) fn web_searches(response: &Members<'_>) -> Option<u64> {
    let usage = response.object("usage");
    let own = response.object("tool_usage").and_then(|it| count(&it.object("web_search")?, "num_requests"));
    let within = |name, key| count(&usage.as_ref()?.object(name)?, key);
    own.or_else(|| within("server_side_tool_usage_details", "web_search_calls"))
        .or_else(|| within("server_tool_use_details", "web_search_requests"))
}

/// What the provider says the reply cost, if its word counts.
pub(super) fn read_cost(raw: &str, quirks: &Quirks) -> Option<Money> {
    let usage = json::members(raw).ok()?;
    reported_cost(&usage, quirks)
}

/// The `usage` object in OpenRouter's shape for this skin: input and output where chat says prompt
/// and completion.
pub(super) fn usage(bill: &Bill) -> String {
    let usage = &bill.usage;
    format!(
        concat!(
            r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{}}},"#,
            r#""output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{},"#,
            r#""cost":{},"is_byok":{},"cost_details":{{"upstream_inference_cost":{},"#,
            r#""upstream_inference_input_cost":{},"upstream_inference_output_cost":{}{}}}{}}}"#,
        ),
        safe(usage.total_input()),
        safe(usage.cache_read),
        safe(usage.cache_write.saturating_add(usage.cache_write_1h)),
        safe(usage.total_output()),
        safe(usage.reasoning),
        safe(usage.total()),
        bill.cost.to_usd(),
        bill.is_byok,
        upstream_cost(bill).to_usd(),
        bill.prompt_cost.to_usd(),
        bill.completion_cost.to_usd(),
        search_cost(bill),
        search_details(bill),
    )
}

/// The body of an answer that is an error. OpenRouter's schema of this skin declares the same
/// envelope as of chat, with a whole number as code; @openrouter/sdk refuses any other. `type` is
/// what the OpenAI SDKs show. The generation is named by a header, not by the envelope.
pub fn write_error(failure: &Failure, _generation: Option<&str>) -> Vec<u8> {
    let mut error = Map::new();
    error.insert("code".to_owned(), failure.cause.status().into());
    error.insert("message".to_owned(), failure.message.clone().into());
    error.insert("type".to_owned(), code(failure.cause).into());
    error.insert("metadata".to_owned(), error_metadata(failure).into());
    add_availability(failure, &mut error);
    let mut envelope = Map::new();
    envelope.insert("error".to_owned(), error.into());
    add_routed(failure, &mut envelope);
    Value::Object(envelope).to_string().into_bytes()
}

/// The code of a failed response. OpenRouter has four; where Codex acts on a finer one of OpenAI's
/// (to shorten the conversation, to stop, to wait), that one is said: the SDKs' lists are open.
pub(super) fn code(cause: Cause) -> &'static str {
    match cause {
        Cause::ContextLength => "context_length_exceeded",
        Cause::PaymentRequired => "insufficient_quota",
        Cause::RateLimited => "rate_limit_exceeded",
        Cause::ProviderOverloaded => "server_is_overloaded",
        Cause::InvalidRequest | Cause::UnknownModel | Cause::Unprocessable => "invalid_prompt",
        Cause::PayloadTooLarge => "invalid_prompt",
        Cause::Authentication | Cause::PermissionDenied | Cause::NotFound | Cause::NoEndpoint => {
            "invalid_prompt"
        }
        Cause::MethodNotAllowed | Cause::Conflict | Cause::Gone => "invalid_prompt",
        Cause::ClientClosed | Cause::Internal | Cause::NotConfigured => "server_error",
        Cause::AccountUnavailable | Cause::ProviderUnavailable | Cause::Timeout => "server_error",
    }
}

/// The `error` member of a failed response.
pub(super) fn error_field(failure: &Failure) -> String {
    format!(r#"{{"code":{},"message":{}}}"#, json::quote(code(failure.cause)), json::quote(&failure.message))
}

/// Reads the body of a provider's answer that is an error, in whatever shape.
pub fn read_error(body: &[u8]) -> ProviderError {
    fault::read(body, fault_in)
}

/// The error that an object reports: under `error`, or flat, as the `error` event has it in the
/// schema and FastAPI's `detail` has it on the wire.
pub(super) fn fault_in(members: &Members<'_>, text: &str) -> Option<ProviderError> {
    let has = |name| members.value(name).is_some();
    let is_flat = members.string("type").as_deref() == Some("error") || has("message") || has("detail");
    fault::find(members, text, is_flat, fault_of)
}

pub(super) fn fault_of(error: &Members<'_>) -> ProviderError {
    let code = error.value("code").map(words);
    let kind = error.string("type").map(|kind| kind.into_owned()).filter(|kind| kind != "error");
    let status = status_in(error, &["status", "status_code", "http_status", "code"]);
    let code = code.filter(|code| http_status(code).is_none()).or(kind);
    let status = status.or_else(|| code.as_deref().and_then(status_of));
    ProviderError { status, code, message: message_in(error), raw: String::new() }
}

/// The HTTP status that OpenAI answers with for a code, where the error names none: within a
/// stream it never does.
fn status_of(code: &str) -> Option<u16> {
    Some(match code {
        "rate_limit_exceeded" | "insufficient_quota" | "usage_limit_reached" => 429,
        "server_is_overloaded" | "slow_down" => 503,
        "server_error" => 500,
        "context_length_exceeded" | "invalid_prompt" | "invalid_request_error" => 400,
        "model_not_found" => 404,
        "invalid_api_key" => 401,
        _ => return None,
    })
}
