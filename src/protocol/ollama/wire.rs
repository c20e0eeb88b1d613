//! What streams and whole replies of Ollama have in common: usage, reasons to finish, errors.

use crate::chat::{Finish, ProviderError, Usage};
use crate::json::Members;
use crate::protocol::fault::{self, cut, http_number};
use crate::protocol::usage::count;

/// The counts of the last line; `None` if there are none. The prompt's is left out where all of
/// it was cached.
pub(super) fn usage(line: &Members<'_>) -> Option<Usage> {
    let (input, output) = (count(line, "prompt_eval_count"), count(line, "eval_count"));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Usage { input: input.unwrap_or(0), output: output.unwrap_or(0), ..Usage::default() })
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
    fault::read_object(body, |error| {
        let inner = error.object("error");
        let inner = inner.as_ref().unwrap_or(error);
        let message = ["message", "error"].into_iter().find_map(|name| inner.string(name));
        let status = ["StatusCode", "status_code", "status"].into_iter().find_map(|name| inner.get(name));
        ProviderError {
            status: status.and_then(http_number),
            code: ["code", "type"]
                .into_iter()
                .find_map(|name| inner.string(name))
                .map(|code| code.into_owned()),
            message: cut(&message.unwrap_or_default()).to_owned(),
            raw: String::new(),
        }
    })
}
