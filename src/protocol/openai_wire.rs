//! The JSON that protocols of OpenAI's kind have in common, as OpenRouter extended it: what opens
//! and closes a reply, usage, errors. What a choice is made of is for their folders to know.

use serde_json::{Map, Value};

use super::fault::{self, http_status, message_in, status_in, words};
use super::usage::{safe, search_cost, search_details, upstream_cost};
use crate::chat::{Bill, Identity, ProviderError};
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members, Raw};
use crate::sse::{self, Frame};

/// The comment between frames. OpenAI's SDKs, OpenRouter's and Codex all read past comments.
pub const KEEP_ALIVE: &[u8] = b": OPENROUTER PROCESSING\n\n";

/// Appends a choice that says nothing but why it ended, as the member `choices` with its comma:
/// OpenRouter's reason, and the provider's.
pub type WriteChoice = fn(Option<&str>, Option<&str>, &mut Vec<u8>);

/// The members that open every reply and every chunk of it, from the brace on.
pub fn opening(identity: &Identity, object: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(192);
    json::put(
        &mut out,
        &[
            &Raw("{\"id\":"),
            &&identity.generation,
            &Raw(",\"object\":"),
            &object,
            &Raw(",\"created\":"),
            &safe(identity.created),
            &Raw(",\"model\":"),
            &&identity.model,
            &Raw(",\"provider\":"),
            &&identity.provider,
        ],
    );
    out
}

/// Appends the chunk that carries usage and cost, and the end of the stream.
pub fn write_end(
    opening: &[u8],
    write_choice: WriteChoice,
    finish: Option<&str>,
    native: Option<&str>,
    bill: &Bill,
    out: &mut Vec<u8>,
) {
    let mut chunk = opening.to_vec();
    // The reason to finish is repeated beside the usage, as OpenRouter does.
    write_choice(finish, native, &mut chunk);
    write_closing(bill, &mut chunk);
    sse::write_frame(&chunk, out);
    sse::write_frame(b"[DONE]", out);
}

/// Appends the chunk that carries an error, then usage if any was incurred, then the end.
pub fn write_failed_end(
    opening: &[u8],
    write_choice: WriteChoice,
    native: Option<&str>,
    failure: &Failure,
    bill: Option<&Bill>,
    out: &mut Vec<u8>,
) {
    let native = native.unwrap_or("error");
    let mut chunk = opening.to_vec();
    chunk.extend_from_slice(format!(",\"error\":{}", error_object(failure)).as_bytes());
    if let Some(told) = failure.metadata.get(ROUTED).filter(|_| bill.is_none()) {
        chunk.extend_from_slice(format!(",\"{ROUTED}\":{told}").as_bytes());
    }
    write_choice(Some("error"), Some(native), &mut chunk);
    chunk.push(b'}');
    sse::write_frame(&chunk, out);
    match bill {
        Some(bill) => write_end(opening, write_choice, Some("error"), Some(native), bill, out),
        None => sse::write_frame(b"[DONE]", out),
    }
}

/// Appends what stands behind the choices of a reply: usage, metadata and the brace.
pub fn write_closing(bill: &Bill, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"usage\":");
    write_usage(bill, out);
    if let Some(metadata) = &bill.metadata {
        out.extend_from_slice(b",\"openrouter_metadata\":");
        out.extend_from_slice(metadata.as_bytes());
    }
    out.push(b'}');
}

/// Appends the `usage` object in OpenRouter's shape.
pub fn write_usage(bill: &Bill, out: &mut Vec<u8>) {
    let usage = &bill.usage;
    let members: [(&str, &dyn json::Value); 16] = [
        (r#"{"prompt_tokens":"#, &safe(usage.total_input())),
        (r#","completion_tokens":"#, &safe(usage.total_output())),
        (r#","total_tokens":"#, &safe(usage.total())),
        (r#","cost":"#, &Raw(bill.cost.to_usd())),
        (r#","is_byok":"#, &bill.is_byok),
        (r#","prompt_tokens_details":{"cached_tokens":"#, &safe(usage.cache_read)),
        (r#","cache_write_tokens":"#, &safe(usage.cache_write.saturating_add(usage.cache_write_1h))),
        (r#","audio_tokens":"#, &safe(usage.input_audio)),
        (
            r#","video_tokens":0},"cost_details":{"upstream_inference_cost":"#,
            &Raw(upstream_cost(bill).to_usd()),
        ),
        (r#","upstream_inference_prompt_cost":"#, &Raw(bill.prompt_cost.to_usd())),
        (r#","upstream_inference_completions_cost":"#, &Raw(bill.completion_cost.to_usd())),
        ("", &Raw(search_cost(bill))),
        (r#"},"completion_tokens_details":{"reasoning_tokens":"#, &safe(usage.reasoning)),
        (r#","image_tokens":"#, &safe(usage.output_image)),
        (r#","audio_tokens":"#, &safe(usage.output_audio)),
        ("}", &Raw(search_details(bill))),
    ];
    for (name, value) in members {
        json::put(out, &[&Raw(name), value]);
    }
    out.push(b'}');
}

/// The body of an answer that is an error, in OpenRouter's envelope.
pub fn write_error(failure: &Failure) -> Vec<u8> {
    let mut envelope = Map::new();
    envelope.insert("error".to_owned(), error_object(failure));
    add_routed(failure, &mut envelope);
    Value::Object(envelope).to_string().into_bytes()
}

/// Of a failure's metadata, what stands beside the error and not within it.
const ROUTED: &str = "openrouter_metadata";
/// Of a failure's metadata, what stands in the error itself.
const AVAILABILITY: &str = "availability";

/// Adds how the request was routed, where that was asked for.
pub fn add_routed(failure: &Failure, envelope: &mut Map<String, Value>) {
    if let Some(told) = failure.metadata.get(ROUTED) {
        envelope.insert(ROUTED.to_owned(), told.clone());
    }
}

/// Adds why no endpoint can serve, where that is the failure.
pub fn add_availability(failure: &Failure, error: &mut Map<String, Value>) {
    if let Some(availability) = failure.metadata.get(AVAILABILITY) {
        error.insert("error_type".to_owned(), failure.cause.error_type().into());
        error.insert("http_status".to_owned(), failure.cause.status().into());
        error.insert(AVAILABILITY.to_owned(), availability.clone());
    }
}

/// The `error` object of a failure: `{"code":404,"message":…,"metadata":{…}}`.
pub fn error_object(failure: &Failure) -> Value {
    let mut error = Map::new();
    error.insert("code".to_owned(), failure.cause.status().into());
    error.insert("message".to_owned(), failure.message.clone().into());
    error.insert("metadata".to_owned(), error_metadata(failure).into());
    add_availability(failure, &mut error);
    error.into()
}

pub fn error_metadata(failure: &Failure) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("error_type".to_owned(), failure.cause.error_type().into());
    let within = failure.metadata.iter().filter(|(name, _)| ![ROUTED, AVAILABILITY].contains(&name.as_str()));
    metadata.extend(within.map(|(name, value)| (name.clone(), value.clone())));
    metadata
}

/// Reads the body of a provider's answer that is an error, in whatever shape.
pub fn read_error(body: &[u8]) -> ProviderError {
    fault::read(body, fault_in)
}

/// The error that an object reports, whether under `error` or flat; `None` if it reports none.
pub fn fault_in(members: &Members<'_>, text: &str) -> Option<ProviderError> {
    let is_error = |name| members.string(name).as_deref() == Some("error");
    let has = |name| members.value(name).is_some();
    let is_flat =
        !has("choices") && (is_error("object") || is_error("type") || has("message") || has("detail"));
    fault::find(members, text, is_flat, fault_of)
}

fn fault_of(error: &Members<'_>) -> ProviderError {
    let kind = error.string("type").map(|kind| kind.into_owned());
    let code = error.value("code").map(words).filter(|code| http_status(code).is_none()).or(kind);
    let status = status_in(error, &["status", "status_code", "http_status", "raw_status_code", "code"]);
    ProviderError { status, code, message: message_in(error), raw: String::new() }
}

/// What a frame of a stream holds.
pub enum Data<'a> {
    Done,
    Object(Members<'a>),
    /// No JSON where there should be some; the message is for the fault.
    Broken(&'a str),
}

/// Reads the data of a frame, and gives it to `each` with its text.
pub fn read_frame(frame: &Frame<'_>, each: impl FnOnce(&str, Data<'_>)) {
    let text = crate::bytes::text(frame.data);
    let text = text.trim();
    if text == "[DONE]" {
        return each(text, Data::Done);
    }
    // A line break within JSON stands between tokens, where a blank does as well.
    let joined = text.contains('\n').then(|| text.replace('\n', " "));
    let text = joined.as_deref().unwrap_or(text);
    match json::members(fault::first_object(text)) {
        Ok(members) => each(text, Data::Object(members)),
        Err(_) if frame.event == b"error" => each(text, Data::Broken(text)),
        Err(_) if text.starts_with(['{', '[']) => {
            each(text, Data::Broken("The provider sent a frame that is not valid JSON."));
        }
        // Words between the frames (`ping`) are nobody's answer.
        Err(_) => {}
    }
}

/// The error of one choice: its own `error`, or a reason to finish that is one. `finish_reason`
/// gives OpenRouter's word for a provider's.
pub fn choice_fault(
    choice: &str,
    text: &str,
    finish_reason: fn(&str) -> &'static str,
) -> Option<ProviderError> {
    let choice = json::members(choice).ok()?;
    if choice.value("error").is_some() {
        return fault_in(&choice, text);
    }
    let finish = choice.string("finish_reason")?;
    (finish_reason(&finish) == "error").then(|| failed_finish(&finish, text))
}

/// The error that a reason to finish is.
pub fn failed_finish(finish: &str, text: &str) -> ProviderError {
    let message = format!("The provider ended the reply with `{finish}`.");
    ProviderError { message, code: Some(finish.to_owned()), ..read_error(text.as_bytes()) }
}

/// The client's `stream_options`, with usage asked for.
pub fn stream_options(value: &str) -> String {
    let include = "\"include_usage\":true".to_owned();
    match json::members(value) {
        Ok(options) => {
            let edit =
                |member: &Member<'_>| if member.key == "include_usage" { Edit::Drop } else { Edit::Keep };
            options.edit(edit, &[include])
        }
        Err(_) => format!("{{{include}}}"),
    }
}
