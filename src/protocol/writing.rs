//! What the writers of requests have in common where a provider knows functions, calls of them and
//! their results, but no tool of free text: the pieces, not the messages.

use std::borrow::Cow;

use super::lane::{Renamed, rename, sent_name};
use crate::chat::Conversation;
use crate::chat::conversation::{Part, Source, Tool, ToolCall, ToolKind, ToolResult};
use crate::error::Failure;
use crate::json;

/// What a custom tool becomes: its free text is the one argument.
pub const FREE_TEXT: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// What a function without parameters takes.
pub const NO_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// The losses of what a protocol has no place for at all: the members that are `given`, and those
/// that no neutral word was found for.
pub fn unsayable(given: &[(&str, bool)], conversation: &Conversation, why: &str) -> Vec<String> {
    let given = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let unspoken = conversation.unspoken.iter().map(String::as_str);
    given.chain(unspoken).map(|name| format!("{name}: {why}")).collect()
}

/// The custom tools, which go as functions.
pub fn custom_names(conversation: &Conversation) -> Vec<Renamed> {
    let is_custom = |tool: &Tool| matches!(tool.kind, ToolKind::Custom { .. });
    rename(conversation.tools.iter().map(|tool| (tool.name.as_str(), is_custom(tool))), 64, |_| true)
}

/// A tool as a function in OpenAI's form.
pub fn function(tool: &Tool, names: &[Renamed], schema: &str) -> String {
    let description = tool.description.as_deref();
    let description = description.map(|text| format!(r#","description":{}"#, json::quote(text)));
    format!(
        r#"{{"type":"function","function":{{"name":{}{},"parameters":{schema}}}}}"#,
        json::quote(sent_name(names, &tool.name)),
        description.unwrap_or_default(),
    )
}

/// The arguments of a call, as the text of a JSON object.
pub fn arguments(call: &ToolCall, turn: usize) -> Result<Cow<'_, str>, Failure> {
    let arguments = match call.arguments.trim() {
        _ if call.custom => Cow::Owned(format!(r#"{{"input":{}}}"#, json::quote(&call.arguments))),
        "" | "null" => Cow::Borrowed("{}"),
        arguments => Cow::Borrowed(arguments),
    };
    match json::members(&arguments) {
        Ok(_) => Ok(arguments),
        Err(_) => Err(refused(turn, "the arguments of a tool call must be a JSON object")),
    }
}

/// The text of a tool's result that can hold nothing else. `write_image` writes a picture for the
/// user's message.
pub fn result_text(
    result: &ToolResult,
    turn: usize,
    losses: &mut Vec<String>,
    mut write_image: impl FnMut(&Source, Option<&str>) -> Result<(), Failure>,
) -> Result<String, Failure> {
    let mut text = String::new();
    for part in &result.parts {
        match part {
            Part::Text { text: own, .. } | Part::Refusal { text: own } => text.push_str(own),
            Part::File { source: Source::Text(own), .. } => text.push_str(own),
            Part::Image { source, detail, .. } => {
                losses.push(loss(turn, "an image in a tool result goes as the user's"));
                write_image(source, detail.as_deref())?;
            }
            Part::File { .. } | Part::Audio { .. } | Part::ToolCall(_) | Part::ToolResult(_) => {
                return Err(refused(turn, "a tool result can hold text and images"));
            }
            Part::Reasoning { .. } | Part::SealedReasoning { .. } => {
                return Err(refused(turn, "a tool result can hold text and images"));
            }
        }
    }
    if result.is_error {
        losses.push(loss(turn, "is_error: goes as the word `Error` before the result"));
        text = format!("Error: {text}");
    }
    Ok(text)
}

pub fn refused(turn: usize, what: &str) -> Failure {
    Failure::invalid(loss(turn, what))
}

/// What of a turn could not be said.
pub fn loss(turn: usize, what: &str) -> String {
    format!("messages[{turn}]: {what}")
}
