//! The JSON that rerank has in common on every wire: members of requests, counts, and errors in the
//! shapes of Cohere, Jina and Voyage.

use serde_json::Map;

use crate::chat::ProviderError;
use crate::error::Failure;
use crate::json::{self, Members};

const RAW_LIMIT: usize = 4 * 1024;
/// The greatest whole number that every JSON reader takes exactly: 2^53 - 1.
const SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// The body of an answer that is an error, in OpenRouter's envelope.
pub fn write_error(failure: &Failure) -> Vec<u8> {
    let mut metadata = Map::new();
    metadata.insert("error_type".to_owned(), failure.cause.error_type().into());
    metadata.extend(failure.metadata.clone());
    let (status, message) = (failure.cause.status(), &failure.message);
    let error = serde_json::json!({"error": {"code": status, "message": message, "metadata": metadata}});
    error.to_string().into_bytes()
}

/// Reads the body of a provider's answer that is an error.
pub fn read_error(body: &[u8]) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let found = json::members(first_object(text)).ok().and_then(|members| fault_in(&members, text));
    found.unwrap_or_else(|| ProviderError { raw: cut(text).to_owned(), ..ProviderError::default() })
}

/// The error that an object reports, whether under `error` or flat; `None` if it reports none.
pub(super) fn fault_in(members: &Members<'_>, text: &str) -> Option<ProviderError> {
    let raw = cut(text).to_owned();
    if let Some(error) = members.value("error") {
        return Some(match json::members(error) {
            Ok(error) => ProviderError { raw, ..fault_of(&error) },
            Err(_) => ProviderError { message: words(error), raw, ..fault_of(members) },
        });
    }
    let reply = ["results", "data"].iter().any(|key| members.value(key).is_some());
    let flat = ["message", "detail"].iter().any(|key| members.value(key).is_some());
    (flat && !reply).then(|| ProviderError { raw, ..fault_of(members) })
}

/// A reply that is none, in our words.
pub(super) fn fault(message: String) -> ProviderError {
    ProviderError { message, ..ProviderError::default() }
}

/// Gemini wraps the error object in an array at times.
pub(super) fn first_object(text: &str) -> &str {
    match json::elements(text) {
        Ok(elements) => elements.first().copied().unwrap_or(text),
        Err(_) => text,
    }
}

fn fault_of(error: &Members<'_>) -> ProviderError {
    let statuses = ["status", "status_code", "raw_status_code", "code"];
    let status = statuses.into_iter().find_map(|name| error.value(name).and_then(http_status));
    let message = ["message", "detail"].into_iter().find_map(|name| error.value(name)).map(words);
    // Gemini names the cause in `status`, Cohere in `error_type`.
    let codes = ["code", "type", "error_type", "status"].into_iter().filter_map(|name| error.value(name));
    let code = codes.into_iter().find(|code| http_status(code).is_none()).map(words);
    ProviderError { status, code, message: message.unwrap_or_default(), raw: String::new() }
}

/// A string's text, or the JSON of what is no string.
fn words(value: &str) -> String {
    json::string(value).map_or_else(|| cut(value).to_owned(), |text| cut(&text).to_owned())
}

fn http_status(value: &str) -> Option<u16> {
    value.trim_matches('"').parse().ok().filter(|status| (400..600).contains(status))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_LIMIT)]
}

/// A count under `key`, however absurd: beyond the range it is the nearest end of it.
pub(super) fn count(members: &Members<'_>, key: &str) -> Option<u64> {
    let text = members.value(key)?;
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return None;
    }
    // A cast from a float saturates, and makes 0 of what is below it.
    json::whole(text).or_else(|| text.parse::<f64>().ok().map(|number| number as u64))
}

pub(super) fn safe(count: u64) -> u64 {
    count.min(SAFE_INTEGER)
}

pub(super) fn must_be(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}` must be {what}."))
}

pub(super) fn read_string(body: &Members<'_>, key: &str) -> Result<Option<String>, Failure> {
    match body.value(key) {
        Some(value) => match json::string(value) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(must_be(key, "a string")),
        },
        None => Ok(None),
    }
}

/// The elements of an array, which may be too many to take apart.
pub(super) fn read_elements<'a>(value: &'a str, path: &str, what: &str) -> Result<Vec<&'a str>, Failure> {
    if !value.starts_with('[') {
        return Err(must_be(path, what));
    }
    json::elements(value).map_err(|error| Failure::invalid(format!("`{path}` has {}.", error.message)))
}
