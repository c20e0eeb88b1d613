//! Tools and the choice among them. Converse has no word for "none", and refuses a history of
//! calls without any tool beside it.

use super::cache::Points;
use super::history::Message;
use super::model::Family;
use crate::chat::Conversation;
use crate::chat::conversation::{Part, Tool, ToolChoice, ToolKind};
use crate::json;
use crate::protocol::lane::{Renamed, rename, sent_name};
use crate::protocol::writing::{self, FREE_TEXT, NO_SCHEMA};

/// Amazon's limit of a tool's name.
const MOST: usize = 64;

/// Names for the tools whose own the target refuses.
pub(super) fn names(conversation: &Conversation) -> Vec<Renamed> {
    let calls = conversation.turns.iter().flat_map(|turn| &turn.parts).filter_map(called);
    let is_custom = |tool: &Tool| matches!(tool.kind, ToolKind::Custom { .. });
    let own = conversation.tools.iter().map(|tool| (tool.name.as_str(), is_custom(tool)));
    let own = own.chain(calls.map(|name| (name, false)));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    rename(own, MOST, |name| (1..=MOST).contains(&name.len()) && name.bytes().all(plain))
}

/// The value of `toolConfig`, if there is to be one.
pub(super) fn config(
    conversation: &Conversation,
    messages: &[Message<'_>],
    family: Family,
    names: &[Renamed],
    points: &mut Points,
    losses: &mut Vec<String>,
) -> Option<String> {
    let mut past: Vec<&str> = Vec::new();
    for name in messages.iter().flat_map(|message| &message.pieces).filter_map(|piece| called(&piece.part)) {
        if !past.contains(&name) {
            past.push(name);
        }
    }
    if conversation.tool_choice == Some(ToolChoice::None) && past.is_empty() {
        return None;
    }
    let mut tools = Vec::new();
    for (index, tool) in conversation.tools.iter().enumerate() {
        tools.push(spec(tool, index, names, losses));
        if let Some(cache) = tool.cache {
            if family.is_claude() {
                tools.extend(points.write(cache).map(str::to_owned));
            } else {
                losses.push(format!("tools[{index}].cache_control: this model caches no tools"));
            }
        }
    }
    if conversation.tools.is_empty() {
        tools.extend(past.iter().map(|name| bare_spec(sent_name(names, name))));
    }
    if tools.is_empty() {
        return None;
    }
    let choice = choice(conversation, names, losses);
    Some(format!(r#"{{"tools":[{}]{choice}}}"#, tools.join(",")))
}

fn called(part: &Part) -> Option<&str> {
    match part {
        Part::ToolCall(call) => Some(&call.name),
        Part::Text { .. } | Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => None,
        Part::Reasoning { .. } | Part::SealedReasoning { .. } | Part::Refusal { .. } => None,
        Part::ToolResult(_) => None,
    }
}

fn spec(tool: &Tool, index: usize, names: &[Renamed], losses: &mut Vec<String>) -> String {
    let (schema, strict) = match &tool.kind {
        ToolKind::Function { parameters, strict } => (parameters.as_deref().unwrap_or(NO_SCHEMA), *strict),
        ToolKind::Custom { format } => {
            if format.is_some() {
                losses.push(format!("tools[{index}].format: Bedrock Converse holds no tool to a grammar"));
            }
            (FREE_TEXT, None)
        }
    };
    // A blank description is refused.
    let description = writing::description(tool).filter(|text| !text.trim().is_empty());
    let description = description.map(|text| format!(r#","description":{}"#, json::quote(&text)));
    let strict = strict.filter(|strict| *strict).map(|_| r#","strict":true"#);
    format!(
        r#"{{"toolSpec":{{"name":{}{},"inputSchema":{{"json":{}}}{}}}}}"#,
        json::quote(sent_name(names, &tool.name)),
        description.unwrap_or_default(),
        schema,
        strict.unwrap_or_default(),
    )
}

/// A tool that only the history knows.
fn bare_spec(name: &str) -> String {
    format!(r#"{{"toolSpec":{{"name":{},"inputSchema":{{"json":{NO_SCHEMA}}}}}}}"#, json::quote(name))
}

fn choice(conversation: &Conversation, names: &[Renamed], losses: &mut Vec<String>) -> String {
    match &conversation.tool_choice {
        None | Some(ToolChoice::Auto) => String::new(),
        Some(ToolChoice::None) => {
            let why = "tool_choice: `none` cannot be said in Bedrock Converse beside earlier tool calls";
            losses.push(why.to_owned());
            String::new()
        }
        Some(ToolChoice::Required) => r#","toolChoice":{"any":{}}"#.to_owned(),
        Some(ToolChoice::Named(name)) => {
            format!(r#","toolChoice":{{"tool":{{"name":{}}}}}"#, json::quote(sent_name(names, name)))
        }
    }
}
