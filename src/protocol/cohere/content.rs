//! Turns of a conversation as Cohere's messages: results of tools are messages of their own, files
//! of text are documents beside the messages.

use crate::chat::conversation::{Part, ReasoningKind, Role, Source, ToolCall, ToolResult, Turn};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Renamed, sent_name};
use crate::protocol::writing::{self, loss, refused};

/// The messages so far.
pub(super) struct Messages<'a> {
    pub texts: Vec<String>,
    pub documents: Vec<String>,
    pub losses: Vec<String>,
    names: &'a [Renamed],
    /// The model takes back what it thought.
    thinks: bool,
}

/// What one turn says, by the place where it goes.
#[derive(Default)]
struct Content {
    /// Blocks of content.
    blocks: Vec<String>,
    calls: Vec<String>,
    /// Pictures that stood in results of tools.
    moved: Vec<String>,
}

impl<'a> Messages<'a> {
    pub(super) fn new(model: &str, names: &'a [Renamed]) -> Messages<'a> {
        let thinks = model.contains("reasoning") || model.contains("command-a-plus");
        Messages { texts: Vec::new(), documents: Vec::new(), losses: Vec::new(), names, thinks }
    }

    /// Appends what the turn says; results of tools stand before the rest of it.
    pub(super) fn write_turn(&mut self, turn: usize, own: &Turn) -> Result<(), Failure> {
        let mut content = Content::default();
        for part in &own.parts {
            self.write_part(turn, part, &mut content)?;
        }
        content.moved.append(&mut content.blocks);
        let blocks = content.moved;
        if blocks.is_empty() && content.calls.is_empty() {
            return Ok(());
        }
        let role = match own.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut text = format!(r#"{{"role":"{role}""#);
        if !blocks.is_empty() {
            text.push_str(&format!(r#","content":[{}]"#, blocks.join(",")));
        }
        if !content.calls.is_empty() {
            text.push_str(&format!(r#","tool_calls":[{}]"#, content.calls.join(",")));
        }
        self.texts.push(text + "}");
        Ok(())
    }

    fn write_part(&mut self, turn: usize, part: &Part, content: &mut Content) -> Result<(), Failure> {
        match part {
            Part::Text { text, cache } => {
                self.note_cache(turn, cache.is_some());
                if !text.is_empty() {
                    content.blocks.push(text_block(text));
                }
            }
            Part::Refusal { text } if text.is_empty() => {}
            Part::Refusal { text } => content.blocks.push(text_block(text)),
            Part::Image { source, detail, cache } => {
                self.note_cache(turn, cache.is_some());
                content.blocks.push(image(turn, source, detail.as_deref())?);
            }
            Part::File { name, source, cache } => {
                self.note_cache(turn, cache.is_some());
                self.write_document(turn, name.as_deref(), source)?;
            }
            Part::Audio { .. } => return Err(refused(turn, "Cohere hears no audio")),
            Part::Reasoning { text, kind, seal } => {
                let own = self.thinks && *kind == ReasoningKind::Full && seal.is_none();
                if own && !text.is_empty() {
                    let block = format!(r#"{{"type":"thinking","thinking":{}}}"#, json::quote(text));
                    content.blocks.push(block);
                } else {
                    self.lose(turn, "reasoning: this model takes back none, or none of another's");
                }
            }
            Part::SealedReasoning { .. } => self.lose(turn, "reasoning: sealed by another provider"),
            Part::ToolCall(call) => content.calls.push(self.tool_call(turn, call)?),
            Part::ToolResult(result) => self.write_result(turn, result, &mut content.moved)?,
        }
        Ok(())
    }

    fn tool_call(&self, turn: usize, call: &ToolCall) -> Result<String, Failure> {
        let arguments = writing::arguments(call, turn)?;
        Ok(format!(
            r#"{{"id":{},"type":"function","function":{{"name":{},"arguments":{}}}}}"#,
            json::quote(&call.id),
            json::quote(sent_name(self.names, &call.name)),
            json::quote(&arguments),
        ))
    }

    /// A result is a message of its own. It holds only text: pictures go to the user's message.
    fn write_result(
        &mut self,
        turn: usize,
        result: &ToolResult,
        moved: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let text = writing::result_text(result, turn, &mut self.losses, |source, detail| {
            moved.push(image(turn, source, detail)?);
            Ok(())
        })?;
        self.note_cache(turn, result.marks() > 0);
        self.texts.push(format!(
            r#"{{"role":"tool","tool_call_id":{},"content":{}}}"#,
            json::quote(&result.call),
            json::quote(&text),
        ));
        Ok(())
    }

    fn write_document(&mut self, turn: usize, name: Option<&str>, source: &Source) -> Result<(), Failure> {
        let Source::Text(text) = source else {
            return Err(refused(turn, "Cohere reads documents as plain text only"));
        };
        let title = name.map(|name| format!(r#""title":{},"#, json::quote(name)));
        self.documents.push(format!(
            r#"{{"id":"doc:{}","data":{{{}"text":{}}}}}"#,
            self.documents.len(),
            title.unwrap_or_default(),
            json::quote(text),
        ));
        Ok(())
    }

    fn note_cache(&mut self, turn: usize, marked: bool) {
        if marked {
            self.lose(turn, "cache_control: Cohere's prompt cache cannot be steered");
        }
    }

    fn lose(&mut self, turn: usize, what: &str) {
        self.losses.push(loss(turn, what));
    }
}

fn text_block(text: &str) -> String {
    format!(r#"{{"type":"text","text":{}}}"#, json::quote(text))
}

fn image(turn: usize, source: &Source, detail: Option<&str>) -> Result<String, Failure> {
    let url = match source {
        Source::Url(url) => url.clone(),
        Source::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
        Source::Text(_) | Source::FileId(_) => {
            return Err(refused(turn, "an image is a URL or inline"));
        }
    };
    let detail = detail.map(|detail| format!(r#","detail":{}"#, json::quote(detail)));
    let url = json::quote(&url);
    Ok(format!(r#"{{"type":"image_url","image_url":{{"url":{url}{}}}}}"#, detail.unwrap_or_default()))
}
