//! Reading the error that a provider reports, whatever its shape: what the protocols' own readers
//! have in common.

use crate::chat::ProviderError;
use crate::json::{self, Members};
use crate::protocol::complaint;

const RAW_LIMIT: usize = 4 * 1024;

/// Reads the body of an answer that is an error; what cannot be read at all gives a fault without
/// a word of its own.
pub fn read(
    body: &[u8],
    fault_in: impl FnOnce(&Members<'_>, &str) -> Option<ProviderError>,
) -> ProviderError {
    let text = crate::bytes::text(body);
    let text = text.trim();
    let fault = json::members(first_object(text)).ok().and_then(|members| fault_in(&members, text));
    complete(fault.unwrap_or_default(), text)
}

/// The error with the words that its `text` has for it where `fault` has none.
pub fn complete(fault: ProviderError, text: &str) -> ProviderError {
    let raw = cut(text).to_owned();
    if !fault.message.is_empty() {
        return ProviderError { raw, ..fault };
    }
    let said = complaint::of_body(text);
    ProviderError { code: fault.code.or(said.code), message: said.message, raw, ..fault }
}

/// As [`read`], where the body is never more than the one object that `fault_of` reads.
pub fn read_object(body: &[u8], fault_of: impl FnOnce(&Members<'_>) -> ProviderError) -> ProviderError {
    let text = crate::bytes::text(body);
    let text = text.trim();
    let error = json::members(text).ok().filter(|error| error.value("error_description").is_none());
    complete(error.map(|error| fault_of(&error)).unwrap_or_default(), text)
}

/// The error that an object reports: under `error`, `errors` or `fault`, or as a whole if it
/// `is_flat`.
pub fn find(
    members: &Members<'_>,
    text: &str,
    is_flat: bool,
    fault_of: fn(&Members<'_>) -> ProviderError,
) -> Option<ProviderError> {
    let raw = || cut(text).to_owned();
    if let Some(error) = members.value("error") {
        return Some(match json::members(error) {
            Ok(error) => ProviderError { raw: raw(), ..fault_of(&error) },
            Err(_) if members.value("error_description").is_some() => {
                complete(ProviderError::default(), text)
            }
            // xAI and Ollama: `{"code":"…","error":"text"}`.
            Err(_) => ProviderError { message: words(error), raw: raw(), ..fault_of(members) },
        });
    }
    let listed = members.array("errors").is_some_and(|errors| !errors.is_empty());
    let wrapped = listed || members.object("fault").is_some();
    (is_flat || wrapped).then(|| complete(ProviderError { raw: raw(), ..fault_of(members) }, text))
}

/// As [`find`], in the shapes of OpenAI, Cohere, Gemini, Jina and Voyage. What has one of the
/// members `reply` is a reply.
pub fn find_unless(reply: &[&str], members: &Members<'_>, text: &str) -> Option<ProviderError> {
    let has = |names: &[&str]| names.iter().any(|name| members.value(name).is_some());
    find(members, text, has(&["message", "detail"]) && !has(reply), |error| {
        // Gemini names the cause in `status`, Cohere in `error_type`.
        let codes = ["code", "type", "error_type", "status"].into_iter().filter_map(|name| error.value(name));
        let code = codes.into_iter().find(|code| http_status(code).is_none()).map(words);
        let status = status_in(error, &["status", "status_code", "raw_status_code", "code"]);
        ProviderError { status, code, message: message_in(error), raw: String::new() }
    })
}

/// A reply that is none, in our words.
pub fn worded(message: String) -> ProviderError {
    ProviderError { message, ..ProviderError::default() }
}

/// The first object of an array, else the text itself: Gemini wraps its error in one at times.
pub fn first_object(text: &str) -> &str {
    let elements = text.trim_start().starts_with('[').then(|| json::elements(text).ok()).flatten();
    elements.and_then(|elements| elements.first().copied()).unwrap_or(text)
}

/// The first of the members that holds the status of an error.
pub fn status_in(error: &Members<'_>, names: &[&str]) -> Option<u16> {
    names.iter().find_map(|name| error.value(name).and_then(http_status))
}

pub fn message_in(error: &Members<'_>) -> String {
    // What is no string is for `complete` to read.
    ["message", "detail"]
        .into_iter()
        .find_map(|name| error.string(name))
        .map(|it| cut(&it).to_owned())
        .unwrap_or_default()
}

/// A string's text, or the JSON of what is no string.
pub fn words(value: &str) -> String {
    json::string(value).map_or_else(|| cut(value).to_owned(), |text| cut(&text).to_owned())
}

/// The status of an error, as a number or as a string.
pub fn http_status(value: &str) -> Option<u16> {
    http_number(value.trim_matches('"'))
}

/// The status of an error, as a number.
pub fn http_number(value: &str) -> Option<u16> {
    value.parse().ok().filter(|status| (400..600).contains(status))
}

/// As much of a text as is kept.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_LIMIT)]
}
