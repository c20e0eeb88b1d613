//! Parts of a turn as blocks of this protocol.

use crate::base64;
use crate::chat::conversation::{Issuer, Part, Seal, Source};
use crate::error::Failure;
use crate::json::quote;

const PICTURES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// A block of text; none for blank text, which is refused. `mark` is a member with its comma.
pub(super) fn text_block(text: &str, mark: &str) -> Option<String> {
    let blank = text.trim().is_empty();
    (!blank).then(|| format!(r#"{{"type":"text","text":{}{mark}}}"#, quote(text)))
}

pub(super) fn image_block(source: &Source, mark: &str) -> Result<String, Failure> {
    let source = match source {
        Source::Url(url) => url_source(url),
        Source::Inline { media_type, base64 } if PICTURES.contains(&media_type.as_str()) => {
            base64_source(media_type, base64)
        }
        Source::Inline { .. } | Source::Text(_) => {
            return Err(Failure::invalid(
                "`messages`: an image must be JPEG, PNG, GIF or WebP for this model.",
            ));
        }
        Source::FileId(id) => file_source(id)?,
    };
    Ok(format!(r#"{{"type":"image","source":{source}{mark}}}"#))
}

pub(super) fn file_block(name: Option<&str>, source: &Source, mark: &str) -> Result<String, Failure> {
    let source = match source {
        Source::Url(url) => url_source(url),
        Source::Inline { media_type, base64 } => match media_type.as_str() {
            "application/pdf" => base64_source(media_type, base64),
            picture if PICTURES.contains(&picture) => {
                let source = base64_source(media_type, base64);
                return Ok(format!(r#"{{"type":"image","source":{source}{mark}}}"#));
            }
            text if text.starts_with("text/") || text == "application/json" => match decode(base64) {
                Some(text) => text_source(&text),
                None => return Err(Failure::invalid("`messages`: a text file is not base64 of UTF-8.")),
            },
            _ => return Err(Failure::invalid("`messages`: a file must be PDF or text for this model.")),
        },
        Source::Text(text) => text_source(text),
        Source::FileId(id) => file_source(id)?,
    };
    let title = name.map(|name| format!(r#","title":{}"#, quote(name))).unwrap_or_default();
    Ok(format!(r#"{{"type":"document","source":{source}{title}{mark}}}"#))
}

fn url_source(url: &str) -> String {
    format!(r#"{{"type":"url","url":{}}}"#, quote(url))
}

fn base64_source(media_type: &str, base64: &str) -> String {
    let (media_type, data) = (quote(media_type), quote(base64));
    format!(r#"{{"type":"base64","media_type":{media_type},"data":{data}}}"#)
}

fn text_source(text: &str) -> String {
    format!(r#"{{"type":"text","media_type":"text/plain","data":{}}}"#, quote(text))
}

/// Anthropic's ids of files begin with `file_`; those of others name nothing there.
fn file_source(id: &str) -> Result<String, Failure> {
    match id.starts_with("file_") {
        true => Ok(format!(r#"{{"type":"file","file_id":{}}}"#, quote(id))),
        false => Err(Failure::invalid("`messages`: a file is named by an id that another provider gave.")),
    }
}

/// Thinking that Anthropic itself sealed; nobody else's may be shown to it.
pub(super) fn reasoning_block(part: &Part) -> Option<String> {
    let own = |seal: &Seal| seal.issuer == Issuer::Anthropic && !seal.data.is_empty();
    match part {
        Part::Reasoning { text, seal: Some(seal), .. } if own(seal) => {
            let (text, signature) = (quote(text), quote(&seal.data));
            Some(format!(r#"{{"type":"thinking","thinking":{text},"signature":{signature}}}"#))
        }
        Part::SealedReasoning { seal } if own(seal) => {
            Some(format!(r#"{{"type":"redacted_thinking","data":{}}}"#, quote(&seal.data)))
        }
        Part::Text { .. }
        | Part::Image { .. }
        | Part::File { .. }
        | Part::Audio { .. }
        | Part::Reasoning { .. }
        | Part::SealedReasoning { .. }
        | Part::ToolCall(_)
        | Part::ToolResult(_)
        | Part::Refusal { .. } => None,
    }
}

/// The text in base64, either alphabet; `None` if it is none.
fn decode(text: &str) -> Option<String> {
    String::from_utf8(base64::decode_whole_bytes(text)?).ok()
}
