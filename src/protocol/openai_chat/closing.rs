//! The choice that ends a stream for a client, the same whether the chunks before were spliced or
//! written.

use crate::json;

pub(super) const OBJECT: &str = "chat.completion.chunk";

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
