//! What streams and whole replies of Ollama have in common: usage, reasons to finish, errors.

use crate::chat::{Finish, ProviderError, Usage};
use crate::json::{self, Members};

const RAW_LIMIT: usize = 4 * 1024;

/// The counts of the last line; `None` if there are none. The prompt's is left out where all of
/// it was cached.
pub(super) fn usage(line: &Members<'_>) -> Option<Usage> {
    let (input, output) = (count(line, "prompt_eval_count"), count(line, "eval_count"));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() })
}

/// A count under `key`, however absurd: beyond the range it is the nearest end of it.
fn count(members: &Members<'_>, key: &str) -> Option<u64> {
    let text = members.value(key)?;
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return None;
    }
    // A cast from a float saturates, and makes 0 of what is below it.
    json::whole(text).or_else(|| text.parse::<f64>().ok().map(|number| number as u64))
}

/// What a `done_reason` means. It is `stop` for tool calls as well.
pub fn finish(done_reason: &str) -> Finish {
    match done_reason {
        "length" => Finish::Length,
        // `stop`; `load` and `unload` answer a request without messages.
        _ => Finish::Stop,
    }
}

/// Reads an error's body: `{"error":"text"}`, or `error` as an object with a `message`.
pub fn read_error(body: &[u8]) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let raw = cut(text).to_owned();
    let Ok(error) = json::members(text) else {
        return ProviderError { raw, ..ProviderError::default() };
    };
    let inner = error.object("error");
    let inner = inner.as_ref().unwrap_or(&error);
    let message = ["message", "error"].into_iter().find_map(|name| inner.string(name));
    let status = ["StatusCode", "status_code", "status"].into_iter().find_map(|name| inner.get(name));
    ProviderError {
        status: status.and_then(http_status),
        code: ["code", "type"].into_iter().find_map(|name| inner.string(name)).map(|code| code.into_owned()),
        message: cut(&message.unwrap_or_default()).to_owned(),
        raw,
    }
}

fn http_status(value: &str) -> Option<u16> {
    value.parse().ok().filter(|status| (400..600).contains(status))
}

pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_LIMIT)]
}
