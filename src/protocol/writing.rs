//! What the writers of requests have in common where a provider knows functions, calls of them and
//! their results, but no tool of free text: the pieces, not the messages.

use std::borrow::Cow;

use super::lane::{Renamed, rename, sent_name};
use crate::chat::Conversation;
use crate::chat::conversation::{
    Effort, Format, Part, Reasoning, Source, Tool, ToolCall, ToolKind, ToolResult,
};
use crate::error::Failure;
use crate::json;

/// What a custom tool becomes: its free text is the one argument.
pub const FREE_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string","description":"The whole text that the tool takes, as it is, with nothing around it."}},"required":["input"]}"#;
/// What a function without parameters takes.
pub const NO_SCHEMA: &str = r#"{"type":"object","properties":{}}"#;

/// The losses of what a protocol has no place for at all: the members that are `given`, and those
/// that no neutral word was found for.
pub fn unsayable(given: &[(&str, bool)], conversation: &Conversation, why: &str) -> Vec<String> {
    let given = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let unspoken = conversation.unspoken.iter().map(String::as_str);
    given.chain(unspoken).map(|name| format!("{name}: {why}")).collect()
}

/// The name of a schema that has none, where there has to be one.
pub const UNNAMED: &str = "response";

/// The loss of reasoning that another provider sealed.
pub const FOREIGN: &str = "reasoning: what another provider sealed is not sent";

/// The loss of a budget of reasoning where only efforts are known.
pub const AS_EFFORT: &str = "reasoning.max_tokens: sent as the nearest effort";

/// What becomes of a budget of reasoning where only efforts are known.
pub fn budget_loss(reasoning: &Reasoning) -> Option<String> {
    let loss = match (reasoning.max_tokens, reasoning.effort) {
        (None, _) => return None,
        (Some(_), None) => AS_EFFORT,
        (Some(_), Some(_)) => "reasoning.max_tokens: the model goes by the effort",
    };
    Some(loss.to_owned())
}

/// The loss of an effort for which the model has another word, `sent`.
pub fn other_effort(effort: Effort, sent: &str) -> Option<String> {
    (effort.name() != sent).then(|| format!("reasoning.effort: sent as `{sent}`"))
}

/// What of a JSON schema a protocol cannot say that takes the schema alone and always holds the
/// model to it.
pub fn bare_schema(format: &Format, why: &str) -> Vec<String> {
    let Format::JsonSchema { name, description, strict, .. } = format else { return Vec::new() };
    let given = [("name", name.is_some()), ("description", description.is_some())];
    let given = given.iter().filter(|(_, given)| *given);
    let mut losses: Vec<String> =
        given.map(|(member, _)| format!("response_format.{member}: {why}")).collect();
    losses.extend(loose_schema(*strict));
    losses
}

/// The loss of a schema that was not to bind, where every schema does.
pub fn loose_schema(strict: Option<bool>) -> Option<String> {
    let loose = strict == Some(false);
    loose.then(|| "response_format.strict: the model is always held to the schema".to_owned())
}

/// Whether a picture is to be looked at in a way of its own, and not as the model would anyway.
pub fn is_detailed(detail: Option<&str>) -> bool {
    detail.is_some_and(|detail| detail != "auto")
}

/// A document that goes as text, its name before it.
pub fn document_text(name: Option<&str>, text: &str) -> String {
    name.map_or_else(|| text.to_owned(), |name| format!("{name}:\n{text}"))
}

/// The custom tools, which go as functions.
pub fn custom_names(conversation: &Conversation) -> Vec<Renamed> {
    let is_custom = |tool: &Tool| matches!(tool.kind, ToolKind::Custom { .. });
    rename(conversation.tools.iter().map(|tool| (tool.name.as_str(), is_custom(tool))), 64, |_| true)
}

/// A tool's description. That of a custom tool is written for a model that sends free text, often
/// with a warning against JSON; a model that sees a function has to be told where the text goes,
/// and the grammar that nothing holds it to.
pub fn description(tool: &Tool) -> Option<Cow<'_, str>> {
    let own = tool.description.as_deref();
    let ToolKind::Custom { format } = &tool.kind else {
        return own.map(Cow::Borrowed);
    };
    let mut text =
        own.filter(|own| !own.trim().is_empty()).map(|own| format!("{own}\n\n")).unwrap_or_default();
    text.push_str(
        "Call this tool as a function whose one argument is `input`: put the whole text in `input`. What is said of \
         the text's form, such as that it is not JSON, is about the value of `input`.",
    );
    if let Some((syntax, definition)) = format.as_deref().and_then(grammar) {
        text.push_str(&format!(" The text has to match this grammar ({syntax}):\n{definition}"));
    }
    Some(Cow::Owned(text))
}

/// The syntax and the definition of a custom tool's format, if it is a grammar. Chat Completions
/// has both one level deeper than Responses.
fn grammar(format: &str) -> Option<(String, String)> {
    let outer = json::members(format).ok()?;
    let inner = outer.object("grammar").unwrap_or(outer);
    Some((inner.string("syntax")?.into_owned(), inner.string("definition")?.into_owned()))
}

/// A tool as a function in OpenAI's form.
pub fn function(tool: &Tool, names: &[Renamed], schema: &str) -> String {
    let description = description(tool);
    let description = description.as_deref().map(|text| format!(r#","description":{}"#, json::quote(text)));
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
            Part::File { name, source: Source::Text(own), .. } => {
                text.push_str(&document_text(name.as_deref(), own));
            }
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
