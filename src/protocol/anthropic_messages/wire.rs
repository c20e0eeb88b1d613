//! The JSON of the Messages API that requests, streams and whole replies have in common: usage,
//! errors, reasons to stop, and the members that the gateway puts on every reply.

use serde_json::{Map, Value};

use crate::chat::{Bill, Finish, Identity, ProviderError as Fault, Quirks, Usage};
use crate::error::{Cause, Failure};
use crate::json::{self, Members};
use crate::money::Money;
use crate::protocol::fault::{self, cut, http_status, words};
use crate::protocol::usage::{count, reported_cost, safe, search_cost, update, upstream_cost};

/// The counts that a provider reported. They are cumulative: of each the last that came counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    thinking: Option<u64>,
    cost: Option<Money>,
}

impl Counts {
    /// Takes over every number of a `usage` object that is there.
    pub(super) fn read(&mut self, usage: &Members<'_>, quirks: &Quirks) {
        update(&mut self.input, count(usage, "input_tokens"));
        update(&mut self.cache_read, count(usage, "cache_read_input_tokens"));
        update(&mut self.cache_write, count(usage, "cache_creation_input_tokens"));
        if let Some(split) = usage.object("cache_creation") {
            update(&mut self.cache_write_5m, count(&split, "ephemeral_5m_input_tokens"));
            update(&mut self.cache_write_1h, count(&split, "ephemeral_1h_input_tokens"));
        }
        update(&mut self.output, count(usage, "output_tokens"));
        if let Some(details) = usage.object("output_tokens_details") {
            update(&mut self.thinking, count(&details, "thinking_tokens"));
        }
        update(&mut self.cost, reported_cost(usage, quirks));
    }

    /// The counts in disjoint classes; `None` if neither side was counted.
    pub(super) fn usage(&self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let long = self.cache_write_1h.unwrap_or(0);
        let written = self.cache_write.unwrap_or(long.saturating_add(self.cache_write_5m.unwrap_or(0)));
        let long = long.min(written);
        let output = self.output.unwrap_or(0);
        let reasoning = self.thinking.unwrap_or(0).min(output);
        Some(Usage {
            input: self.input.unwrap_or(0),
            cache_read: self.cache_read.unwrap_or(0),
            cache_write: written - long,
            cache_write_1h: long,
            output: output - reasoning,
            reasoning,
            ..Usage::default()
        })
    }

    /// What the provider says the reply cost, if its word counts.
    pub(super) fn cost(&self) -> Option<Money> {
        self.cost
    }
}

/// Reads a `usage` object; `None` if it holds no count.
pub fn usage_from(raw: &str) -> Option<Usage> {
    let mut counts = Counts::default();
    counts.read(&json::members(raw).ok()?, &Quirks::NONE);
    counts.usage()
}

/// The numbers of `usage`, as members without braces, under Anthropic's names.
pub(super) fn usage_members(usage: &Usage) -> Vec<(&'static str, String)> {
    let (short, long) = (safe(usage.cache_write), safe(usage.cache_write_1h));
    let details = match usage.reasoning {
        0 => "null".to_owned(),
        tokens => format!(r#"{{"thinking_tokens":{}}}"#, safe(tokens)),
    };
    let split = format!(r#"{{"ephemeral_5m_input_tokens":{short},"ephemeral_1h_input_tokens":{long}}}"#);
    let input = usage.input.saturating_add(usage.input_audio);
    let searched = match safe(usage.web_searches) {
        0 => "null".to_owned(),
        count => format!(r#"{{"web_search_requests":{count},"web_fetch_requests":0}}"#),
    };
    vec![
        ("input_tokens", safe(input).to_string()),
        ("output_tokens", safe(usage.total_output()).to_string()),
        ("cache_creation_input_tokens", safe(short.saturating_add(long)).to_string()),
        ("cache_read_input_tokens", safe(usage.cache_read).to_string()),
        ("cache_creation", split),
        ("output_tokens_details", details),
        ("server_tool_use", searched),
    ]
}

/// The members that a whole message's `usage` has beside those of a `message_delta`.
pub(super) fn whole_usage_members() -> Vec<(&'static str, String)> {
    vec![("service_tier", "\"standard\"".to_owned()), ("inference_geo", "null".to_owned())]
}

/// What OpenRouter adds to a `usage`.
pub(super) fn bill_members(bill: &Bill) -> Vec<(&'static str, String)> {
    let details = format!(
        concat!(
            r#"{{"upstream_inference_cost":{},"upstream_inference_prompt_cost":{},"#,
            r#""upstream_inference_completions_cost":{}{}}}"#,
        ),
        upstream_cost(bill).to_usd(),
        bill.prompt_cost.to_usd(),
        bill.completion_cost.to_usd(),
        search_cost(bill),
    );
    vec![("cost", bill.cost.to_usd()), ("is_byok", bill.is_byok.to_string()), ("cost_details", details)]
}

/// A JSON object of the members.
pub(super) fn object(members: &[(&'static str, String)]) -> String {
    let texts: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", texts.join(","))
}

/// The members of a message from its brace to before its content.
pub(super) fn message_opening(identity: &Identity) -> String {
    format!(
        r#"{{"id":{},"type":"message","role":"assistant","model":{},"provider":{},"container":null"#,
        json::quote(&identity.generation),
        json::quote(&identity.model),
        json::quote(&identity.provider),
    )
}

/// `,"openrouter_metadata":…` where there is any.
pub(super) fn metadata(bill: &Bill) -> String {
    bill.metadata.as_ref().map(|text| format!(",\"openrouter_metadata\":{text}")).unwrap_or_default()
}

/// Appends one frame with a name.
pub(super) fn write_event(event: &[u8], data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event);
    out.push(b'\n');
    crate::sse::write_frame(data, out);
}

/// The neutral reason for a `stop_reason`.
pub fn finish_of(stop_reason: &str) -> Finish {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "stop_sequence" => Finish::StopSequence,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        // `end_turn`, `compaction` and what is yet to come.
        _ => Finish::Stop,
    }
}

/// The `stop_reason` for a neutral reason. `called` and `refused` tell what the reply holds:
/// providers say `stop` at times though tools were called, and an agent that is told `tool_use`
/// without any call goes round for ever.
pub fn stop_reason(finish: Finish, native: &str, called: bool, refused: bool) -> &'static str {
    match finish {
        Finish::Length if native == "model_context_window_exceeded" => "model_context_window_exceeded",
        Finish::Length => "max_tokens",
        Finish::ContentFilter | Finish::Refusal => "refusal",
        Finish::Stop | Finish::StopSequence if refused => "refusal",
        Finish::Stop | Finish::StopSequence | Finish::ToolCalls if called => "tool_use",
        Finish::StopSequence => "stop_sequence",
        Finish::Pause => "pause_turn",
        Finish::Stop | Finish::ToolCalls | Finish::Error => "end_turn",
    }
}

/// The body of an answer that is an error, in OpenRouter's form of Anthropic's envelope.
pub fn write_error(failure: &Failure, generation: Option<&str>) -> Vec<u8> {
    let mut envelope = error_envelope(failure);
    envelope.insert("request_id".to_owned(), generation.map_or(Value::Null, Value::from));
    Value::Object(envelope).to_string().into_bytes()
}

/// The envelope without `request_id`. `details` of the metadata belong into the error, where
/// Anthropic's SDKs look for them.
pub(super) fn error_envelope(failure: &Failure) -> Map<String, Value> {
    let mut error = Map::new();
    error.insert("type".to_owned(), error_type(failure.cause).into());
    error.insert("message".to_owned(), message(failure).into());
    error.insert("error_type".to_owned(), failure.cause.error_type().into());
    let mut metadata = failure.metadata.clone();
    if let Some(details) = metadata.remove("details") {
        error.insert("details".to_owned(), details);
    }
    if let Some(availability) = metadata.remove("availability") {
        error.insert("availability".to_owned(), availability);
    }
    let attempts = metadata.remove("openrouter_metadata");
    let mut envelope = Map::new();
    envelope.insert("type".to_owned(), "error".into());
    envelope.insert("error".to_owned(), error.into());
    envelope.extend(attempts.map(|attempts| ("openrouter_metadata".to_owned(), attempts)));
    if !metadata.is_empty() {
        envelope.insert("metadata".to_owned(), metadata.into());
    }
    envelope
}

/// Claude Code compacts its conversation when it reads these words.
fn message(failure: &Failure) -> String {
    const WORDS: &str = "prompt is too long";
    const CODES: &[&str] = &["context_length_exceeded", "exceed_context_size_error"];
    let code = failure.metadata.get("provider_code").and_then(Value::as_str);
    let overflows = failure.cause == Cause::ContextLength || code.is_some_and(|code| CODES.contains(&code));
    if overflows && !failure.message.contains(WORDS) {
        return format!("{WORDS}: {}", failure.message);
    }
    failure.message.clone()
}

/// Anthropic's name of a cause.
pub fn error_type(cause: Cause) -> &'static str {
    match cause {
        Cause::Authentication => "authentication_error",
        Cause::PaymentRequired => "billing_error",
        Cause::PermissionDenied => "permission_error",
        Cause::NotFound | Cause::NoEndpoint => "not_found_error",
        Cause::RateLimited => "rate_limit_error",
        Cause::ProviderOverloaded => "overloaded_error",
        Cause::Timeout => "timeout_error",
        Cause::Internal
        | Cause::NotConfigured
        | Cause::AccountUnavailable
        | Cause::ProviderUnavailable
        | Cause::ClientClosed => "api_error",
        Cause::InvalidRequest
        | Cause::UnknownModel
        | Cause::ContextLength
        | Cause::MethodNotAllowed
        | Cause::PayloadTooLarge
        | Cause::Conflict
        | Cause::Gone
        | Cause::Unprocessable => "invalid_request_error",
    }
}

/// Reads the body of a provider's answer that is an error; what cannot be read at all gives a
/// fault without a word of its own.
pub fn read_error(body: &[u8]) -> Fault {
    let text = crate::bytes::text(body);
    let text = text.trim();
    let fault = json::members(text).ok().and_then(|members| fault_in(&members, text));
    fault::complete(fault.unwrap_or_default(), text)
}

/// The error that an object reports, as Anthropic or those in front of it word it.
pub(super) fn fault_in(members: &Members<'_>, text: &str) -> Option<Fault> {
    let raw = cut(text).to_owned();
    if let Some(error) = members.value("error") {
        return Some(match json::members(error) {
            Ok(error) => Fault { raw, ..fault_of(&error) },
            Err(_) if members.value("error_description").is_some() => fault::complete(Fault::default(), text),
            Err(_) => Fault { message: words(error), raw, ..Fault::default() },
        });
    }
    let flat = ["message", "Message", "detail"].iter().any(|key| members.value(key).is_some());
    let reply = members.string("type").is_some_and(|kind| kind != "error");
    (!reply && (flat || members.has("type"))).then(|| Fault { raw, ..fault_of(members) })
}

fn fault_of(error: &Members<'_>) -> Fault {
    let kind = error.string("type").or_else(|| error.string("code")).map(|kind| kind.into_owned());
    let own = ["status", "code"].into_iter().find_map(|name| error.value(name).and_then(http_status));
    let message = ["message", "Message", "detail"].into_iter().find_map(|name| error.value(name));
    Fault {
        status: own.or_else(|| kind.as_deref().and_then(status_of)),
        code: kind,
        message: message.and_then(json::string).map(|it| cut(&it).to_owned()).unwrap_or_default(),
        raw: String::new(),
    }
}

/// The status that Anthropic answers an error type with.
fn status_of(kind: &str) -> Option<u16> {
    Some(match kind {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "api_error" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return None,
    })
}
