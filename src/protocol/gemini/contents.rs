//! The turns of a conversation as Gemini's `contents`: roles merged, results in the order of their
//! calls, signatures beside what they sign.

use super::conversation::is_youtube;
use super::family::Family;
use super::names::Names;
use super::{MINTED, seal};
use crate::base64;
use crate::chat::conversation::{Issuer, Part, Role, Seal, Source, ToolCall, ToolResult, Turn};
use crate::error::Failure;
use crate::json;

/// Writes the turns of one request.
pub(super) struct Contents<'a> {
    family: Family,
    names: &'a Names,
    pub losses: &'a mut Vec<String>,
    /// The parts of `systemInstruction`.
    pub instructions: Vec<String>,
    contents: Vec<Content>,
    calls: Vec<Call<'a>>,
}

struct Content {
    model: bool,
    /// Results, with the place of the call that each answers.
    results: Vec<(usize, String)>,
    parts: Vec<String>,
}

struct Call<'a> {
    id: &'a str,
    name: &'a str,
    answered: bool,
}

impl<'a> Contents<'a> {
    pub(super) fn new(family: Family, names: &'a Names, losses: &'a mut Vec<String>) -> Contents<'a> {
        Contents { family, names, losses, instructions: Vec::new(), contents: Vec::new(), calls: Vec::new() }
    }

    pub(super) fn add(&mut self, turn: &'a Turn) -> Result<(), Failure> {
        match turn.role {
            Role::System => self.add_instructions(turn),
            Role::User => turn.parts.iter().try_for_each(|part| self.add_users(part)),
            Role::Assistant => self.add_models(turn),
        }
    }

    /// The JSON text of `contents`.
    pub(super) fn write(mut self) -> (Vec<String>, String) {
        if self.contents.is_empty() {
            // Gemini refuses a request without contents.
            let parts = std::mem::take(&mut self.instructions);
            self.contents.push(Content { model: false, results: Vec::new(), parts });
        }
        let contents: Vec<String> = self.contents.into_iter().map(Content::write).collect();
        (self.instructions, format!("[{}]", contents.join(",")))
    }

    fn lose(&mut self, loss: &str) {
        if !self.losses.iter().any(|known| known == loss) {
            self.losses.push(loss.to_owned());
        }
    }

    fn add_instructions(&mut self, turn: &Turn) -> Result<(), Failure> {
        let late = !self.contents.is_empty();
        if late {
            self.lose("messages: instructions behind the first turn went as the user's words");
        }
        for part in &turn.parts {
            let Part::Text { text, .. } = part else {
                return Err(Failure::invalid("`messages`: Gemini takes instructions as text only."));
            };
            if text.is_empty() {
                continue;
            }
            match late {
                true => self.push(false, text_part(text)),
                false => self.instructions.push(text_part(text)),
            }
        }
        Ok(())
    }

    fn content(&mut self, model: bool) -> &mut Content {
        if self.contents.last().is_none_or(|content| content.model != model) {
            self.contents.push(Content { model, results: Vec::new(), parts: Vec::new() });
        }
        self.contents.last_mut().expect("one was just pushed if there was none")
    }

    fn push(&mut self, model: bool, part: String) {
        self.content(model).parts.push(part);
    }

    fn add_users(&mut self, part: &'a Part) -> Result<(), Failure> {
        match part {
            Part::ToolResult(result) => self.add_result(result),
            Part::Reasoning { .. } | Part::SealedReasoning { .. } | Part::ToolCall(_) => {
                Err(Failure::invalid("`messages`: a user's turn holds what only a model says."))
            }
            Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Audio { .. }
            | Part::Refusal { .. } => {
                if let Some(part) = self.part(part)? {
                    self.push(false, part);
                }
                Ok(())
            }
        }
    }

    /// A text, a picture, a document or a sound.
    fn part(&mut self, part: &Part) -> Result<Option<String>, Failure> {
        let part = match part {
            Part::Text { text, .. } | Part::Refusal { text } if text.is_empty() => return Ok(None),
            Part::Text { text, .. } | Part::Refusal { text } => text_part(text),
            Part::Image { source, detail, .. } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.lose("image_url.detail: not expressible in Gemini");
                }
                source_part(source, "image/jpeg", "an image")?
            }
            Part::File { name, source, .. } => {
                if name.is_some() {
                    self.lose("file.filename: not expressible in Gemini");
                }
                source_part(source, "application/pdf", "a file")?
            }
            Part::Audio { base64, format } => inline_part(&format!("audio/{format}"), base64),
            Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_) => return Ok(None),
        };
        Ok(Some(part))
    }

    fn add_result(&mut self, result: &'a ToolResult) -> Result<(), Failure> {
        let open = self.calls.iter().position(|call| call.id == result.call && !call.answered);
        let place = open.or_else(|| self.calls.iter().rposition(|call| call.id == result.call));
        let Some(place) = place else {
            return Err(Failure::invalid("`messages`: a tool result answers no call that stands before it."));
        };
        self.calls[place].answered = true;
        let (mut text, mut media) = (String::new(), Vec::new());
        for part in &result.parts {
            match part {
                Part::Text { text: more, .. } => {
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(more);
                }
                other => media.extend(self.part(other)?),
            }
        }
        let response = response_object(&text, result.is_error);
        let name = self.calls[place].name;
        let mut members = id_member(self.calls[place].id);
        members.push_str(&format!("\"name\":{},\"response\":{response}", json::quote(name)));
        if self.family.wants_signatures() && !media.is_empty() {
            members.push_str(&format!(",\"parts\":[{}]", media.join(",")));
            media.clear();
        }
        let content = self.content(false);
        content.results.push((place, format!("{{\"functionResponse\":{{{members}}}}}")));
        if !media.is_empty() {
            // Before Gemini 3 a function answers with text alone.
            content.parts.append(&mut media);
            self.lose("messages: media in a tool result went beside it");
        }
        Ok(())
    }

    fn add_models(&mut self, turn: &'a Turn) -> Result<(), Failure> {
        let own = turn.parts.iter().any(|part| gemini_seal(part).is_some());
        let mut called = false;
        for part in &turn.parts {
            match part {
                Part::Reasoning { text, seal, .. } => self.add_thought(text, seal.as_ref(), own),
                Part::SealedReasoning { seal } => match seal.issuer {
                    Issuer::Gemini => self.add_signature(&seal.data),
                    Issuer::Anthropic | Issuer::OpenAi | Issuer::Xai | Issuer::Unknown => {
                        self.lose("messages: reasoning that another provider sealed");
                    }
                },
                Part::ToolCall(call) => {
                    self.add_call(call, !called);
                    called = true;
                }
                Part::ToolResult(_) => {
                    return Err(Failure::invalid("`messages`: a model's turn holds a tool result."));
                }
                Part::Text { .. }
                | Part::Image { .. }
                | Part::File { .. }
                | Part::Audio { .. }
                | Part::Refusal { .. } => {
                    if let Some(part) = self.part(part)? {
                        self.push(true, part);
                    }
                }
            }
        }
        Ok(())
    }

    /// Thoughts go back to Gemini if it was Gemini that thought.
    fn add_thought(&mut self, text: &str, seal: Option<&Seal>, own: bool) {
        let mark = match seal {
            Some(seal) if seal.issuer == Issuer::Gemini => signature_member(&seal.data),
            None if own => String::new(),
            Some(_) | None => return self.lose("messages: reasoning that is not Gemini's"),
        };
        self.push(true, format!("{{\"text\":{},\"thought\":true{mark}}}", json::quote(text)));
    }

    /// A signature stands beside the text that came before it, else in a part of its own.
    fn add_signature(&mut self, signature: &str) {
        let mark = signature_member(signature);
        let content = self.content(true);
        match content.parts.last_mut() {
            Some(last) if last.starts_with("{\"text\":") && !last.contains("\"thoughtSignature\":") => {
                last.truncate(last.len() - 1);
                last.push_str(&format!("{mark}}}"));
            }
            Some(_) | None => content.parts.push(format!("{{\"text\":\"\"{mark}}}")),
        }
    }

    fn add_call(&mut self, call: &'a ToolCall, first: bool) {
        let name = self.names.sent(&call.name);
        self.calls.push(Call { id: &call.id, name, answered: false });
        let signature = call.seal.as_ref().filter(|seal| seal.issuer == Issuer::Gemini);
        let mark = match signature {
            Some(seal) => signature_member(&seal.data),
            // The first call of a step must be signed, even if another model made it.
            None if first && self.family.wants_signatures() => signature_member(seal::FOREIGN_CALL),
            None => String::new(),
        };
        let arguments = self.arguments(call);
        let members = format!("{}\"name\":{},\"args\":{arguments}", id_member(&call.id), json::quote(name));
        self.push(true, format!("{{\"functionCall\":{{{members}}}{mark}}}"));
    }

    fn arguments(&mut self, call: &ToolCall) -> String {
        let text = call.arguments.trim();
        if call.custom {
            return format!("{{\"input\":{}}}", json::quote(&call.arguments));
        }
        if text.is_empty() {
            return "{}".to_owned();
        }
        if json::members(text).is_ok() {
            return text.to_owned();
        }
        self.lose("messages: arguments that are no JSON object went as the text `_raw`");
        format!("{{\"_raw\":{}}}", json::quote(text))
    }
}

impl Content {
    fn write(mut self) -> String {
        self.results.sort_by_key(|(place, _)| *place);
        let results = self.results.into_iter().map(|(_, result)| result);
        let mut parts: Vec<String> = results.chain(self.parts).collect();
        if parts.is_empty() {
            parts.push(text_part(""));
        }
        let role = if self.model { "model" } else { "user" };
        format!("{{\"role\":\"{role}\",\"parts\":[{}]}}", parts.join(","))
    }
}

/// The seal of Gemini's that a part carries.
fn gemini_seal(part: &Part) -> Option<&Seal> {
    let seal = match part {
        Part::Reasoning { seal, .. } => seal.as_ref(),
        Part::SealedReasoning { seal } => Some(seal),
        Part::ToolCall(call) => call.seal.as_ref(),
        Part::Text { .. }
        | Part::Image { .. }
        | Part::File { .. }
        | Part::Audio { .. }
        | Part::ToolResult(_)
        | Part::Refusal { .. } => None,
    };
    seal.filter(|seal| seal.issuer == Issuer::Gemini)
}

fn text_part(text: &str) -> String {
    format!("{{\"text\":{}}}", json::quote(text))
}

fn signature_member(signature: &str) -> String {
    format!(",\"thoughtSignature\":{}", json::quote(signature))
}

/// Ids are Gemini's to give: those that the gateway made up stay here.
fn id_member(id: &str) -> String {
    if id.is_empty() || id.starts_with(MINTED) {
        String::new()
    } else {
        format!("\"id\":{},", json::quote(id))
    }
}

/// A function's answer must be an object. One that is may stay so, unless Gemini might take a key
/// of it for a reference; all else goes as text under the name that Google gives it.
fn response_object(text: &str, is_error: bool) -> String {
    let trimmed = text.trim();
    let plain = !is_error && !trimmed.contains("\"$") && !trimmed.contains("\\u0024");
    if plain && json::members(trimmed).is_ok() {
        return trimmed.to_owned();
    }
    let name = if is_error { "error" } else { "result" };
    format!("{{\"{name}\":{}}}", json::quote(text))
}

fn source_part(source: &Source, usual: &str, what: &str) -> Result<String, Failure> {
    match source {
        Source::Inline { media_type, base64 } => Ok(inline_part(media_type, base64)),
        Source::Text(text) => Ok(inline_part("text/plain", &base64::encode(text.as_bytes()))),
        Source::FileId(id) if id.contains("://") => Ok(file_part(id, None)),
        Source::FileId(_) => {
            let message = format!("`messages`: the id of {what} that another provider keeps means nothing");
            Err(Failure::invalid(format!("{message} to Gemini; send the bytes.")))
        }
        Source::Url(url) => match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
            Some((media_type, data)) => Ok(inline_part(media_type, data)),
            None if url.starts_with("gs://") => Ok(file_part(url, Some(usual))),
            None if is_youtube(url) || url.contains("//generativelanguage.googleapis.com/") => {
                Ok(file_part(url, None))
            }
            // Google fetches what is open to all, if it is told what it is.
            None if url.starts_with("https://") => Ok(file_part(url, Some(media_type(url).unwrap_or(usual)))),
            None => {
                let message = format!("`messages`: Gemini cannot fetch this link to {what}");
                Err(Failure::invalid(format!("{message}; send a `data:` URL.")))
            }
        },
    }
}

/// What a link's ending says of its bytes.
fn media_type(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" => "text/html",
        "csv" => "text/csv",
        _ => return None,
    })
}

fn inline_part(media_type: &str, data: &str) -> String {
    format!("{{\"inlineData\":{{\"mimeType\":{},\"data\":{}}}}}", json::quote(media_type), json::quote(data))
}

fn file_part(uri: &str, media_type: Option<&str>) -> String {
    let media_type = media_type.map(|kind| format!("\"mimeType\":{},", json::quote(kind)));
    format!("{{\"fileData\":{{{}\"fileUri\":{}}}}}", media_type.unwrap_or_default(), json::quote(uri))
}
