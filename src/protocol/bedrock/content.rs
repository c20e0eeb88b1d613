//! One part of a message as one or more blocks of Converse. Blocks carry no tag: the name of the
//! only member says what they are.

use super::cache::{self, Points};
use super::history::{Message, Piece};
use crate::base64;
use crate::chat::conversation::{Part, Role, Seal, Source, ToolCall, ToolResult};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Renamed, sent_name};
use crate::protocol::writing::{self, loss, refused};

/// Writes the blocks of a request and keeps what they must not share.
pub(super) struct Blocks<'a> {
    pub names: &'a [Renamed],
    pub losses: Vec<String>,
    points: Points,
    /// The names that documents have taken.
    documents: Vec<String>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(names: &'a [Renamed], points: Points, losses: Vec<String>) -> Blocks<'a> {
        Blocks { names, losses, points, documents: Vec::new() }
    }

    /// The message, or `None` where nothing of it can be said.
    pub(super) fn write_message(&mut self, message: &Message<'_>) -> Result<Option<String>, Failure> {
        let mut blocks = Vec::new();
        for piece in &message.pieces {
            self.write_piece(piece, &mut blocks)?;
        }
        let is = |name: &str| blocks.iter().any(|block: &String| block.starts_with(name));
        // A document has to stand beside some text.
        if is("{\"document\"") && !is("{\"text\"") {
            blocks.push(text_block("(document)"));
        }
        let role = match message.role {
            Role::Assistant => "assistant",
            Role::User | Role::System => "user",
        };
        let content = blocks.join(",");
        Ok((!blocks.is_empty()).then(|| format!(r#"{{"role":"{role}","content":[{content}]}}"#)))
    }

    pub(super) fn write_system(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<String>, Failure> {
        let mut blocks = Vec::new();
        for piece in pieces {
            match piece.part.as_ref() {
                Part::Text { .. } | Part::Refusal { .. } => self.write_piece(piece, &mut blocks)?,
                Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => {
                    return Err(refused(piece.turn, "instructions can only be text"));
                }
                Part::Reasoning { .. } | Part::SealedReasoning { .. } => {}
                Part::ToolCall(_) | Part::ToolResult(_) => {
                    return Err(refused(piece.turn, "instructions can only be text"));
                }
            }
        }
        Ok(blocks)
    }

    fn write_piece(&mut self, piece: &Piece<'_>, blocks: &mut Vec<String>) -> Result<(), Failure> {
        let turn = piece.turn;
        match piece.part.as_ref() {
            Part::Text { text, .. } | Part::Refusal { text } => blocks.push(text_block(text)),
            Part::Image { source, detail, .. } => {
                self.note_detail(detail.as_deref(), turn);
                blocks.push(image(source, turn)?);
            }
            Part::File { name, source, .. } => blocks.push(self.document(name.as_deref(), source, turn)?),
            Part::Audio { base64, format } => blocks.push(audio(base64, format)),
            Part::Reasoning { text, seal, .. } => {
                blocks.extend(seal.as_ref().map(|seal| reasoning(text, seal)));
            }
            Part::SealedReasoning { seal } => {
                let data = base64::encode(seal.data.as_bytes());
                blocks.push(format!(r#"{{"reasoningContent":{{"redactedContent":"{data}"}}}}"#));
            }
            Part::ToolCall(call) => blocks.push(self.tool_use(call, turn)?),
            Part::ToolResult(result) => blocks.push(self.tool_result(result, turn)?),
        }
        if let Some(cache) = cache::mark(&piece.part) {
            if !self.points.are_known() {
                self.lose(turn, "cache_control: this model's prompt cache cannot be steered");
            }
            blocks.extend(self.points.write(cache).map(str::to_owned));
        }
        Ok(())
    }

    fn tool_use(&self, call: &ToolCall, turn: usize) -> Result<String, Failure> {
        let input = writing::arguments(call, turn)?;
        Ok(format!(
            r#"{{"toolUse":{{"toolUseId":{},"name":{},"input":{input}}}}}"#,
            json::quote(&call.id),
            json::quote(sent_name(self.names, &call.name)),
        ))
    }

    fn tool_result(&mut self, result: &ToolResult, turn: usize) -> Result<String, Failure> {
        let mut blocks = Vec::new();
        for part in &result.parts {
            match part {
                Part::Text { text, .. } | Part::Refusal { text } if text.trim().is_empty() => {}
                Part::Text { text, .. } | Part::Refusal { text } => blocks.push(text_block(text)),
                Part::Image { source, detail, .. } => {
                    self.note_detail(detail.as_deref(), turn);
                    blocks.push(image(source, turn)?);
                }
                Part::File { name, source, .. } => {
                    blocks.push(self.document(name.as_deref(), source, turn)?);
                }
                Part::Audio { .. } | Part::Reasoning { .. } | Part::SealedReasoning { .. } => {
                    return Err(refused(turn, "a tool result can hold text, images and documents"));
                }
                Part::ToolCall(_) | Part::ToolResult(_) => {
                    return Err(refused(turn, "a tool result can hold text, images and documents"));
                }
            }
        }
        // An empty array is refused by some models, blank text by others.
        if blocks.is_empty() {
            blocks.push(text_block("(no output)"));
        }
        let status = if result.is_error { "error" } else { "success" };
        Ok(format!(
            r#"{{"toolResult":{{"toolUseId":{},"content":[{}],"status":"{status}"}}}}"#,
            json::quote(&result.call),
            blocks.join(","),
        ))
    }

    fn document(&mut self, name: Option<&str>, source: &Source, turn: usize) -> Result<String, Failure> {
        let place = source_text(source, turn)?;
        let format = match source {
            Source::Inline { media_type, .. } => document_format(media_type)
                .ok_or_else(|| refused(turn, "Bedrock takes no document of this media type"))?,
            Source::Text(_) => "txt",
            Source::Url(url) => suffix_format(url),
            Source::FileId(_) => "pdf",
        };
        let own = name.map(stem);
        let name = self.document_name(own.unwrap_or_default());
        if own.is_some_and(|own| own != name) {
            self.lose(turn, "file.filename: only letters, digits and no other's name are taken");
        }
        Ok(format!(
            r#"{{"document":{{"format":"{format}","name":{},"source":{place}}}}}"#,
            json::quote(&name)
        ))
    }

    /// A name of Amazon's alphabet that no other document has. It never holds two blanks in a row.
    fn document_name(&mut self, stem: &str) -> String {
        let plain = |c: char| match c {
            '-' | '(' | ')' | '[' | ']' => c,
            c if c.is_ascii_alphanumeric() => c,
            _ => ' ',
        };
        let plain: String = stem.chars().map(plain).take(180).collect();
        let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = if words.is_empty() { "document".to_owned() } else { words };
        let mut name = words.clone();
        let mut number = 1;
        while self.documents.contains(&name) {
            number += 1;
            name = format!("{words} {number}");
        }
        self.documents.push(name.clone());
        name
    }

    fn note_detail(&mut self, detail: Option<&str>, turn: usize) {
        if writing::is_detailed(detail) {
            self.lose(turn, "image_url.detail: not expressible in Bedrock Converse");
        }
    }

    fn lose(&mut self, turn: usize, what: &str) {
        self.losses.push(loss(turn, what));
    }
}

/// A file's name without its ending: the format says that.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

pub(super) fn text_block(text: &str) -> String {
    format!(r#"{{"text":{}}}"#, json::quote(text))
}

fn reasoning(text: &str, seal: &Seal) -> String {
    format!(
        r#"{{"reasoningContent":{{"reasoningText":{{"text":{},"signature":{}}}}}}}"#,
        json::quote(text),
        json::quote(&seal.data),
    )
}

fn image(source: &Source, turn: usize) -> Result<String, Failure> {
    let place = source_text(source, turn)?;
    let format = match source {
        Source::Inline { media_type, .. } => match media_type.as_str() {
            "image/png" => "png",
            "image/jpeg" | "image/jpg" => "jpeg",
            "image/gif" => "gif",
            "image/webp" => "webp",
            _ => return Err(refused(turn, "Bedrock takes images as PNG, JPEG, GIF or WebP")),
        },
        Source::Url(url) => image_suffix(url),
        Source::Text(_) | Source::FileId(_) => return Err(refused(turn, "an image has to be inline")),
    };
    Ok(format!(r#"{{"image":{{"format":"{format}","source":{place}}}}}"#))
}

fn audio(base64: &str, format: &str) -> String {
    format!(
        r#"{{"audio":{{"format":{},"source":{{"bytes":{}}}}}}}"#,
        json::quote(format),
        json::quote(base64)
    )
}

/// Bytes, text or a place in Amazon's own store; Bedrock fetches nothing else.
fn source_text(source: &Source, turn: usize) -> Result<String, Failure> {
    match source {
        Source::Inline { base64, .. } => Ok(format!(r#"{{"bytes":{}}}"#, json::quote(base64))),
        Source::Text(text) => Ok(text_block(text)),
        Source::Url(url) if url.starts_with("s3://") => {
            Ok(format!(r#"{{"s3Location":{{"uri":{}}}}}"#, json::quote(url)))
        }
        Source::Url(_) => {
            Err(refused(turn, "Bedrock fetches no URL: send images and documents inline, as base64"))
        }
        Source::FileId(_) => Err(refused(turn, "Bedrock keeps no files: send documents inline, as base64")),
    }
}

fn document_format(media_type: &str) -> Option<&'static str> {
    Some(match media_type.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => "pdf",
        "text/csv" => "csv",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "text/html" => "html",
        "text/plain" => "txt",
        "text/markdown" => "md",
        _ => return None,
    })
}

fn suffix_format(url: &str) -> &'static str {
    let formats = ["csv", "docx", "doc", "xlsx", "xls", "html", "txt", "md"];
    formats.into_iter().find(|format| url.ends_with(&format!(".{format}"))).unwrap_or("pdf")
}

fn image_suffix(url: &str) -> &'static str {
    let formats = ["png", "gif", "webp"];
    formats.into_iter().find(|format| url.ends_with(&format!(".{format}"))).unwrap_or("jpeg")
}
