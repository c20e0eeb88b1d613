//! Events written as one whole message.

use super::seal;
use super::stream::{Seen, citation_json, image_text};
use super::wire;
use crate::chat::conversation::Seal;
use crate::chat::{Bill, Event, Facts, Finish, Identity};
use crate::json;

/// A block of a message.
#[derive(Clone, Debug)]
enum Block {
    Text { text: String, citations: Vec<String> },
    Thinking { text: String, signature: Option<String> },
    Redacted(String),
    Tool { call: usize, id: String, name: String, custom: bool, arguments: String },
}

#[derive(Debug, Default)]
struct Content {
    blocks: Vec<Block>,
    /// The next text belongs into a block of its own.
    apart: bool,
    seen: Seen,
    finish: Option<(Finish, String)>,
}

/// Writes a reply that came as `events`.
pub fn write_whole(events: &[Event], facts: &Facts, identity: &Identity, bill: &Bill) -> Vec<u8> {
    let mut content = Content::default();
    events.iter().for_each(|event| content.take(event));
    let (finish, native) = content.finish.clone().unwrap_or_else(|| {
        let native = facts.finish.clone().unwrap_or_default();
        (wire::finish_of(&native), native)
    });
    let blocks: Vec<String> = content.blocks.iter().map(write_block).collect();
    let mut usage = wire::usage_members(&bill.usage);
    usage.extend(wire::whole_usage_members());
    usage.extend(wire::bill_members(bill));
    format!(
        r#"{},"content":[{}],"stop_reason":"{}","stop_sequence":null,"stop_details":null,"usage":{}{}}}"#,
        wire::message_opening(identity),
        blocks.join(","),
        content.seen.stop_reason(finish, &native),
        wire::object(&usage),
        wire::metadata(bill),
    )
    .into_bytes()
}

impl Content {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Text(text) => self.text(text),
            Event::Refusal(text) => {
                self.seen.refused = true;
                self.text(text);
            }
            Event::Reasoning { text, .. } => self.think(text, None),
            Event::Seal { seal, hidden: false } => self.think("", Some(seal::write(Some(seal), None))),
            Event::Seal { seal, hidden: true } => self.redacted(seal, None),
            Event::ToolCall { call, id, name, custom, seal } => {
                if let Some(seal) = seal {
                    self.redacted(seal, Some(id));
                }
                self.seen.opened_call = true;
                let (id, name) = (id.clone(), name.clone());
                let arguments = String::new();
                self.blocks.push(Block::Tool { call: *call, id, name, custom: *custom, arguments });
            }
            Event::Arguments { call, text } => {
                if let Some(arguments) = self.arguments_of(*call) {
                    arguments.push_str(text);
                }
            }
            Event::ToolCallEnd { .. } => self.seen.ended_call = true,
            Event::Image { url } => {
                self.apart = true;
                self.text(&image_text(url));
                self.apart = true;
            }
            Event::Citation(citation) => {
                self.open_text();
                if let Some(Block::Text { citations, .. }) = self.blocks.last_mut() {
                    citations.push(citation_json(citation));
                }
            }
            Event::Finish { reason, native } => {
                self.finish.get_or_insert((*reason, native.clone()));
            }
        }
    }

    fn open_text(&mut self) {
        if self.apart || !matches!(self.blocks.last(), Some(Block::Text { .. })) {
            self.apart = false;
            self.blocks.push(Block::Text { text: String::new(), citations: Vec::new() });
        }
    }

    fn text(&mut self, more: &str) {
        if more.is_empty() {
            return;
        }
        self.open_text();
        if let Some(Block::Text { text, .. }) = self.blocks.last_mut() {
            text.push_str(more);
        }
    }

    /// Adds to the block of thinking that is not sealed yet, or begins one.
    fn think(&mut self, more: &str, seal: Option<String>) {
        if more.is_empty() && seal.is_none() {
            return;
        }
        match self.blocks.last_mut() {
            Some(Block::Thinking { text, signature: signature @ None }) => {
                text.push_str(more);
                *signature = seal;
            }
            Some(_) | None => self.blocks.push(Block::Thinking { text: more.to_owned(), signature: seal }),
        }
    }

    fn redacted(&mut self, seal: &Seal, call: Option<&str>) {
        self.blocks.push(Block::Redacted(seal::write(Some(seal), call)));
    }

    fn arguments_of(&mut self, wanted: usize) -> Option<&mut String> {
        self.blocks.iter_mut().rev().find_map(|block| match block {
            Block::Tool { call, arguments, .. } if *call == wanted => Some(arguments),
            Block::Tool { .. } | Block::Text { .. } | Block::Thinking { .. } | Block::Redacted(_) => None,
        })
    }
}

fn write_block(block: &Block) -> String {
    match block {
        Block::Text { text, citations } => {
            let citations = match citations.is_empty() {
                true => "null".to_owned(),
                false => format!("[{}]", citations.join(",")),
            };
            format!(r#"{{"type":"text","text":{},"citations":{citations}}}"#, json::quote(text))
        }
        Block::Thinking { text, signature } => {
            let signature = signature.clone().unwrap_or_else(|| seal::write(None, None));
            let (text, signature) = (json::quote(text), json::quote(&signature));
            format!(r#"{{"type":"thinking","thinking":{text},"signature":{signature}}}"#)
        }
        Block::Redacted(data) => format!(r#"{{"type":"redacted_thinking","data":{}}}"#, json::quote(data)),
        Block::Tool { id, name, custom, arguments, .. } => format!(
            r#"{{"type":"tool_use","id":{},"name":{},"input":{}}}"#,
            json::quote(id),
            json::quote(name),
            input(arguments, *custom),
        ),
    }
}

/// The arguments as the object that `input` must be. What is none, such as a call that a limit
/// cut off, is kept as text rather than mended.
pub(super) fn input(arguments: &str, custom: bool) -> String {
    let trimmed = arguments.trim();
    match trimmed {
        _ if custom => format!(r#"{{"input":{}}}"#, json::quote(arguments)),
        "" | "null" => "{}".to_owned(),
        _ if json::members(trimmed).is_ok() => trimmed.to_owned(),
        _ => format!(r#"{{"_raw":{}}}"#, json::quote(arguments)),
    }
}
