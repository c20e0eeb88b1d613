//! How a stream for a client ends: the chunk with usage and cost, or the one with an error, and
//! `[DONE]`. The same whether the chunks before were spliced or written.

use super::wire;
use crate::chat::Bill;
use crate::error::Failure;
use crate::json;
use crate::sse;

pub(super) const OBJECT: &str = "chat.completion.chunk";
pub(super) const KEEP_ALIVE: &[u8] = b": OPENROUTER PROCESSING\n\n";

/// Appends the chunk that carries usage and cost, and the end of the stream.
pub(super) fn write_end(
    opening: &[u8],
    finish: Option<&str>,
    native: Option<&str>,
    bill: &Bill,
    out: &mut Vec<u8>,
) {
    write_last(opening, finish, native, bill, out);
    sse::write_frame(b"[DONE]", out);
}

/// Appends the chunk that carries an error, then usage if any was incurred, then the end.
pub(super) fn write_error(
    opening: &[u8],
    native: Option<&str>,
    failure: &Failure,
    bill: Option<&Bill>,
    out: &mut Vec<u8>,
) {
    let native = native.unwrap_or("error");
    let mut chunk = opening.to_vec();
    chunk.extend_from_slice(format!(",\"error\":{}", wire::error_object(failure)).as_bytes());
    write_choice(Some("error"), Some(native), &mut chunk);
    chunk.push(b'}');
    sse::write_frame(&chunk, out);
    if let Some(bill) = bill {
        write_last(opening, Some("error"), Some(native), bill, out);
    }
    sse::write_frame(b"[DONE]", out);
}

/// The reason to finish is repeated beside the usage, as OpenRouter does.
fn write_last(opening: &[u8], finish: Option<&str>, native: Option<&str>, bill: &Bill, out: &mut Vec<u8>) {
    let mut chunk = opening.to_vec();
    write_choice(finish, native, &mut chunk);
    chunk.extend_from_slice(b",\"usage\":");
    wire::write_usage(bill, &mut chunk);
    wire::write_metadata(bill, &mut chunk);
    chunk.push(b'}');
    sse::write_frame(&chunk, out);
}

/// A choice that says nothing but why it ended.
pub(super) fn write_choice(finish: Option<&str>, native: Option<&str>, out: &mut Vec<u8>) {
    let quoted = |text: Option<&str>| text.map_or_else(|| "null".to_owned(), json::quote);
    let choice = format!(
        concat!(
            r#","choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"#,
            r#""finish_reason":{},"native_finish_reason":{}}}]"#,
        ),
        quoted(finish),
        quoted(native),
    );
    out.extend_from_slice(choice.as_bytes());
}
