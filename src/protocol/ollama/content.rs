//! Turns of a conversation as Ollama's messages: text in one string, pictures beside it, results
//! of tools as messages that name the tool.

use crate::chat::conversation::{Part, ReasoningKind, Role, Source, ToolCall, ToolResult, Turn};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Renamed, sent_name};
use crate::protocol::writing::{self, loss, refused};

/// The messages so far.
pub(super) struct Messages<'a> {
    pub texts: Vec<String>,
    pub losses: Vec<String>,
    names: &'a [Renamed],
    /// Which tool each call was of, by its id.
    calls: Vec<(&'a str, &'a str)>,
}

/// What one turn says, by the place where it goes.
#[derive(Default)]
struct Content {
    text: String,
    thinking: String,
    images: Vec<String>,
    calls: Vec<String>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(names: &'a [Renamed]) -> Messages<'a> {
        Messages { texts: Vec::new(), losses: Vec::new(), names, calls: Vec::new() }
    }

    /// Appends what the turn says; results of tools stand before the rest of it.
    pub(super) fn write_turn(&mut self, turn: usize, own: &'a Turn) -> Result<(), Failure> {
        let mut content = Content::default();
        for part in &own.parts {
            self.write_part(turn, part, &mut content)?;
        }
        let silent = content.text.is_empty() && content.images.is_empty() && content.thinking.is_empty();
        if silent && content.calls.is_empty() {
            return Ok(());
        }
        let role = match own.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut text = format!(r#"{{"role":"{role}","content":{}"#, json::quote(&content.text));
        if !content.thinking.is_empty() {
            text.push_str(&format!(r#","thinking":{}"#, json::quote(&content.thinking)));
        }
        if !content.images.is_empty() {
            text.push_str(&format!(r#","images":[{}]"#, content.images.join(",")));
        }
        if !content.calls.is_empty() {
            text.push_str(&format!(r#","tool_calls":[{}]"#, content.calls.join(",")));
        }
        self.texts.push(text + "}");
        Ok(())
    }

    fn write_part(&mut self, turn: usize, part: &'a Part, content: &mut Content) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache } => {
                self.note_cache(turn, cache.is_some());
                add_text(text, &mut content.text);
            }
            Part::Refusal { text } => add_text(text, &mut content.text),
            Part::Image { source, detail, cache } => {
                self.note_cache(turn, cache.is_some());
                self.note_detail(turn, detail.as_deref());
                content.images.push(image(turn, source)?);
            }
            Part::File { name, source, cache } => {
                self.note_cache(turn, cache.is_some());
                let Source::Text(text) = source else {
                    return Err(refused(turn, "Ollama reads documents as plain text only"));
                };
                add_text(&writing::document_text(name.as_deref(), text), &mut content.text);
            }
            Part::Audio { .. } => return Err(refused(turn, "Ollama hears no audio")),
            Part::Reasoning { text, kind: ReasoningKind::Full, seal: None } => {
                add_text(text, &mut content.thinking);
            }
            Part::Reasoning { .. } | Part::SealedReasoning { .. } => {
                self.lose(turn, "reasoning: a summary, or sealed by another provider");
            }
            Part::ToolCall(call) => {
                self.calls.push((&call.id, &call.name));
                content.calls.push(self.tool_call(turn, call)?);
            }
            Part::ToolResult(result) => self.write_result(turn, result, &mut content.images)?,
        }
        Ok(())
    }

    fn tool_call(&self, turn: usize, call: &ToolCall) -> Result<String, Failure> {
        let arguments = writing::arguments(call, turn)?;
        Ok(format!(
            r#"{{"id":{},"function":{{"name":{},"arguments":{arguments}}}}}"#,
            json::quote(&call.id),
            json::quote(sent_name(self.names, &call.name)),
        ))
    }

    fn write_result(
        &mut self,
        turn: usize,
        result: &ToolResult,
        images: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let mut detailed = false;
        let text = writing::result_text(result, turn, &mut self.losses, |source, detail| {
            detailed |= writing::is_detailed(detail);
            images.push(image(turn, source)?);
            Ok(())
        })?;
        self.note_detail(turn, detailed.then_some("set"));
        self.note_cache(turn, result.marks() > 0);
        let call = self.calls.iter().rev().find(|(id, _)| *id == result.call);
        let name = call.map(|(_, name)| json::quote(sent_name(self.names, name)));
        let name = name.map(|name| format!(r#","tool_name":{name}"#));
        self.texts.push(format!(
            r#"{{"role":"tool","content":{}{},"tool_call_id":{}}}"#,
            json::quote(&text),
            name.unwrap_or_default(),
            json::quote(&result.call),
        ));
        Ok(())
    }

    fn note_cache(&mut self, turn: usize, marked: bool) {
        if marked {
            self.lose(turn, "cache_control: Ollama's prompt cache cannot be steered");
        }
    }

    fn note_detail(&mut self, turn: usize, detail: Option<&str>) {
        if writing::is_detailed(detail) {
            self.lose(turn, "image_url.detail: Ollama has one way to look at an image");
        }
    }

    fn lose(&mut self, turn: usize, what: &str) {
        self.losses.push(loss(turn, what));
    }
}

/// Parts of one message are paragraphs of one string.
fn add_text(part: &str, text: &mut String) {
    if !text.is_empty() && !part.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(part);
}

fn image(turn: usize, source: &Source) -> Result<String, Failure> {
    match source {
        Source::Inline { base64, .. } => Ok(json::quote(base64)),
        Source::Url(_) | Source::Text(_) | Source::FileId(_) => {
            Err(refused(turn, "Ollama fetches no URL: send images inline, as base64"))
        }
    }
}
