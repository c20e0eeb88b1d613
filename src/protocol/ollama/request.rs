//! A conversation as the body of Ollama's `/api/chat`.

use super::content::Messages;
use crate::chat::Conversation;
use crate::chat::conversation::{Effort, Format, Tool, ToolChoice, ToolKind};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Renamed, Target, Written};
use crate::protocol::writing::{self, FREE_TEXT, NO_SCHEMA, custom_names};

const WIRE: &str = "not expressible in Ollama's chat";

/// Writes the request for Ollama.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    stream: bool,
) -> Result<Written, Failure> {
    let mut losses = spare_members(conversation);
    let names = custom_names(conversation);
    let mut messages = Messages::new(&names);
    for (turn, own) in conversation.turns.iter().enumerate() {
        messages.write_turn(turn, own)?;
    }
    if messages.texts.is_empty() {
        return Err(Failure::invalid("messages: there is nothing to answer"));
    }
    losses.append(&mut messages.losses);
    let mut members = vec![
        format!(r#""model":{}"#, json::quote(target.model)),
        // It streams unless it is told not to.
        format!(r#""stream":{stream}"#),
        // Unless it is told otherwise it cuts a prompt that is too long, and says nothing of it.
        r#""truncate":false,"shift":false"#.to_owned(),
        format!(r#""messages":[{}]"#, messages.texts.join(",")),
    ];
    members.extend(tools(conversation, &names, &mut losses)?);
    match &conversation.format {
        Format::Text => {}
        Format::JsonObject => members.push(r#""format":"json""#.to_owned()),
        Format::JsonSchema { schema, .. } => members.push(format!(r#""format":{schema}"#)),
    }
    losses.extend(writing::bare_schema(&conversation.format, WIRE));
    members.extend(think(conversation, target.model, &mut losses));
    let options = options(conversation, target);
    if !options.is_empty() {
        members.push(format!(r#""options":{{{}}}"#, options.join(",")));
    }
    let body = format!("{{{}}}", members.join(",")).into_bytes();
    Ok(Written { body, losses, names, ..Written::default() })
}

/// What Ollama has no place for at all.
fn spare_members(conversation: &Conversation) -> Vec<String> {
    let reasoning = conversation.reasoning.as_ref();
    let budget = reasoning.is_some_and(|reasoning| reasoning.max_tokens.is_some());
    let given = [
        ("parallel_tool_calls", conversation.parallel_tool_calls == Some(false)),
        ("reasoning.max_tokens", budget),
        ("reasoning.summary", reasoning.is_some_and(|reasoning| reasoning.summary.is_some())),
        ("verbosity", conversation.verbosity.is_some()),
        ("user", conversation.user.is_some()),
        ("service_tier", conversation.service_tier.is_some()),
        ("prompt_cache_key", conversation.prompt_cache_key.is_some()),
        ("metadata", conversation.metadata.is_some()),
    ];
    writing::unsayable(&given, conversation, WIRE)
}

/// Ollama lets the model choose: it can be given no tools, but not be made to call one.
fn tools(
    conversation: &Conversation,
    names: &[Renamed],
    losses: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    match &conversation.tool_choice {
        None | Some(ToolChoice::Auto) => {}
        Some(ToolChoice::None) => return Ok(None),
        Some(ToolChoice::Required | ToolChoice::Named(_)) => {
            return Err(Failure::invalid("tool_choice: Ollama cannot be made to call a tool"));
        }
    }
    let specs: Vec<String> = conversation.tools.iter().map(|tool| spec(tool, names, losses)).collect();
    Ok((!specs.is_empty()).then(|| format!(r#""tools":[{}]"#, specs.join(","))))
}

fn spec(tool: &Tool, names: &[Renamed], losses: &mut Vec<String>) -> String {
    let schema = match &tool.kind {
        ToolKind::Function { parameters, strict } => {
            if *strict == Some(true) {
                losses.push(format!("tools.{}.strict: {WIRE}", tool.name));
            }
            parameters.as_deref().unwrap_or(NO_SCHEMA)
        }
        ToolKind::Custom { format } => {
            if format.is_some() {
                losses.push(format!("tools.{}.format: {WIRE}", tool.name));
            }
            FREE_TEXT
        }
    };
    if tool.cache.is_some() {
        losses.push("tools.cache_control: Ollama's prompt cache cannot be steered".to_owned());
    }
    writing::function(tool, names, schema)
}

/// Only gpt-oss knows levels; to others thinking is on or off.
fn think(conversation: &Conversation, model: &str, losses: &mut Vec<String>) -> Option<String> {
    let reasoning = conversation.reasoning.as_ref()?;
    let off = reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None);
    if !reasoning.is_asked() {
        return None;
    }
    if !model.contains("gpt-oss") {
        if reasoning.effort.is_some_and(|effort| effort != Effort::None) {
            losses.push("reasoning.effort: this model thinks or not, with no measure".to_owned());
        }
        return Some(format!(r#""think":{}"#, !off));
    }
    let level = match reasoning.effort {
        _ if off => "low",
        Some(Effort::None | Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) | None => "medium",
        Some(Effort::High | Effort::Xhigh | Effort::Max) => "high",
    };
    losses.extend(reasoning.effort.and_then(|effort| writing::other_effort(effort, level)));
    Some(format!(r#""think":"{level}""#))
}

fn options(conversation: &Conversation, target: &Target<'_>) -> Vec<String> {
    let sampling = &conversation.sampling;
    let limit = conversation.max_tokens.map(|own| own.min(target.max_output.unwrap_or(own)).to_string());
    let members = [
        ("num_predict", limit.as_deref()),
        ("temperature", sampling.temperature.as_deref()),
        ("top_p", sampling.top_p.as_deref()),
        ("top_k", sampling.top_k.as_deref()),
        ("min_p", sampling.min_p.as_deref()),
        ("frequency_penalty", sampling.frequency_penalty.as_deref()),
        ("presence_penalty", sampling.presence_penalty.as_deref()),
        ("repeat_penalty", sampling.repetition_penalty.as_deref()),
        ("seed", sampling.seed.as_deref()),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some(format!(r#""{name}":{}"#, value?)));
    let mut given: Vec<String> = given.collect();
    let stop: Vec<String> = sampling.stop.iter().map(|stop| json::quote(stop)).collect();
    if !stop.is_empty() {
        given.push(format!(r#""stop":[{}]"#, stop.join(",")));
    }
    given
}
