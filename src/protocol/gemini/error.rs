//! Errors in Google's shape: those of its providers read, ours written for its clients.

use std::time::Duration;

use crate::chat::ProviderError;
use crate::error::{Cause, Failure};
use crate::json::{self, Members};
use crate::protocol::fault::{self, cut, first_object};

/// Reads the body of an answer that is an error: `{"error":{…}}`, alone or in an array.
pub fn read_error(body: &[u8]) -> ProviderError {
    fault::read(body, fault_in)
}

/// How long Google asks to wait: `RetryInfo`, for it sends no header.
pub fn retry_delay(body: &[u8]) -> Option<Duration> {
    let text = crate::bytes::text(body);
    let error = json::members(first_object(text.trim())).ok()?.object("error")?;
    let delay = details(&error).into_iter().find_map(|detail| {
        json::members(detail).ok()?.string("retryDelay").map(|delay| delay.into_owned())
    })?;
    let seconds = json::number(delay.strip_suffix('s')?)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The error that an object reports; `None` if it reports none.
pub(super) fn fault_in(members: &Members<'_>, text: &str) -> Option<ProviderError> {
    let value = members.value("error")?;
    let raw = cut(text).to_owned();
    let Ok(error) = json::members(value) else {
        let message = json::string(value).map_or_else(|| value.to_owned(), |text| text.into_owned());
        // The token endpoint: `{"error":"invalid_grant","error_description":…}`.
        let more = members.string("error_description").map(|text| text.into_owned());
        let code = more.is_some().then(|| message.clone());
        let message = cut(&more.unwrap_or(message)).to_owned();
        return Some(ProviderError { status: None, code, message, raw });
    };
    let reason = reason_of(&error);
    let status = error.value("code").and_then(json::whole).and_then(|code| u16::try_from(code).ok());
    // Google calls a bad key a bad request.
    let bad_key = reason.as_deref() == Some("API_KEY_INVALID") || says_bad_key(&error);
    Some(ProviderError {
        status: if bad_key { Some(401) } else { status.filter(|status| (400..600).contains(status)) },
        code: if bad_key { Some("API_KEY_INVALID".to_owned()) } else { own(&error, "status").or(reason) },
        message: own(&error, "message").map(|text| cut(&text).to_owned()).unwrap_or_default(),
        raw,
    })
}

/// Gateways before Google at times leave the details out.
fn says_bad_key(error: &Members<'_>) -> bool {
    let message = error.string("message").unwrap_or_default();
    let words = ["API key not valid", "API key expired", "API Key not found"];
    error.get("code") == Some("400") && words.iter().any(|word| message.starts_with(word))
}

fn reason_of(error: &Members<'_>) -> Option<String> {
    details(error).into_iter().find_map(|detail| own(&json::members(detail).ok()?, "reason"))
}

fn details<'a>(error: &Members<'a>) -> Vec<&'a str> {
    error.array("details").unwrap_or_default()
}

fn own(members: &Members<'_>, key: &str) -> Option<String> {
    members.string(key).filter(|text| !text.is_empty()).map(|text| text.into_owned())
}

/// The body of an answer that is an error, as Google words one. What OpenRouter calls `metadata`
/// is the metadata of its `ErrorInfo`, where every value is a string.
pub fn write_error(failure: &Failure, generation: Option<&str>) -> Vec<u8> {
    let mut metadata: Vec<String> = Vec::new();
    for (name, value) in &failure.metadata {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        metadata.push(format!("{}:{}", json::quote(name), json::quote(&text)));
    }
    if let Some(generation) = generation {
        metadata.push(format!("\"generation_id\":{}", json::quote(generation)));
    }
    let retry = failure.retry_after_s.map(|seconds| {
        format!(r#",{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{seconds}s"}}"#)
    });
    let text = format!(
        concat!(
            r#"{{"error":{{"code":{},"message":{},"status":"{}","details":[{{"#,
            r#""@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"{}","#,
            r#""domain":"millrace","metadata":{{{}}}}}{}]}}}}"#,
        ),
        failure.cause.status(),
        json::quote(&failure.message),
        status(failure.cause),
        failure.cause.error_type().to_ascii_uppercase(),
        metadata.join(","),
        retry.unwrap_or_default(),
    );
    text.into_bytes()
}

/// The name of the cause among Google's.
fn status(cause: Cause) -> &'static str {
    match cause {
        Cause::InvalidRequest
        | Cause::UnknownModel
        | Cause::ContextLength
        | Cause::PayloadTooLarge
        | Cause::Unprocessable => "INVALID_ARGUMENT",
        Cause::NotFound | Cause::NoEndpoint | Cause::Gone => "NOT_FOUND",
        Cause::Authentication => "UNAUTHENTICATED",
        Cause::PaymentRequired => "FAILED_PRECONDITION",
        Cause::PermissionDenied => "PERMISSION_DENIED",
        Cause::MethodNotAllowed | Cause::NotConfigured => "UNIMPLEMENTED",
        Cause::Conflict => "ABORTED",
        Cause::RateLimited => "RESOURCE_EXHAUSTED",
        Cause::ClientClosed => "CANCELLED",
        Cause::Internal => "INTERNAL",
        Cause::AccountUnavailable | Cause::ProviderUnavailable | Cause::ProviderOverloaded => "UNAVAILABLE",
        Cause::Timeout => "DEADLINE_EXCEEDED",
    }
}
