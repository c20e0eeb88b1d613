//! A conversation as the body of Cohere's Chat.

use super::content::Messages;
use crate::chat::Conversation;
use crate::chat::conversation::{Effort, Format, Tool, ToolChoice, ToolKind};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::{Renamed, Target, Written};
use crate::protocol::writing::{self, FREE_TEXT, NO_SCHEMA, custom_names};

const WIRE: &str = "not expressible in Cohere's Chat";
/// As many stop sequences as Cohere takes.
const MOST_STOPS: usize = 5;
/// The output that a budget is a share of, where nobody set a limit.
const USUAL_OUTPUT: u64 = 8192;

/// Writes the request for Cohere.
pub fn write_conversation(
    conversation: &Conversation,
    target: &Target<'_>,
    stream: bool,
) -> Result<Written, Failure> {
    let mut losses = spare_members(conversation);
    let names = custom_names(conversation);
    let mut messages = Messages::new(target.model, &names);
    for (turn, own) in conversation.turns.iter().enumerate() {
        messages.write_turn(turn, own)?;
    }
    if messages.texts.is_empty() {
        return Err(Failure::invalid("messages: there is nothing to answer"));
    }
    losses.append(&mut messages.losses);
    let mut members = vec![
        format!(r#""model":{}"#, json::quote(target.model)),
        format!(r#""stream":{stream}"#),
        format!(r#""messages":[{}]"#, messages.texts.join(",")),
    ];
    if !messages.documents.is_empty() {
        members.push(format!(r#""documents":[{}]"#, messages.documents.join(",")));
    }
    members.extend(tools(conversation, &names, &mut losses)?);
    members.extend(format(&conversation.format));
    losses.extend(writing::bare_schema(&conversation.format, WIRE));
    members.extend(thinking(conversation, target));
    members.extend(sampling(conversation, target, &mut losses)?);
    let body = format!("{{{}}}", members.join(",")).into_bytes();
    Ok(Written { body, losses, names, ..Written::default() })
}

/// What Cohere has no place for at all.
fn spare_members(conversation: &Conversation) -> Vec<String> {
    let reasoning = conversation.reasoning.as_ref();
    let given = [
        ("reasoning.summary", reasoning.is_some_and(|reasoning| reasoning.summary.is_some())),
        ("min_p", conversation.sampling.min_p.is_some()),
        ("repetition_penalty", conversation.sampling.repetition_penalty.is_some()),
        ("parallel_tool_calls", conversation.parallel_tool_calls == Some(false)),
        ("verbosity", conversation.verbosity.is_some()),
        ("user", conversation.user.is_some()),
        ("service_tier", conversation.service_tier.is_some()),
        ("prompt_cache_key", conversation.prompt_cache_key.is_some()),
        ("metadata", conversation.metadata.is_some()),
    ];
    writing::unsayable(&given, conversation, WIRE)
}

fn tools(
    conversation: &Conversation,
    names: &[Renamed],
    losses: &mut Vec<String>,
) -> Result<Vec<String>, Failure> {
    let only = match &conversation.tool_choice {
        Some(ToolChoice::Named(name)) => Some(name),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => None,
    };
    let wanted: Vec<&Tool> =
        conversation.tools.iter().filter(|tool| only.is_none_or(|only| *only == tool.name)).collect();
    if wanted.is_empty() {
        return match only {
            Some(_) => Err(Failure::invalid("tool_choice: there is no tool of that name")),
            None => Ok(Vec::new()),
        };
    }
    let specs: Vec<String> = wanted.iter().map(|tool| spec(tool, names, losses)).collect();
    let mut members = vec![format!(r#""tools":[{}]"#, specs.join(","))];
    let strict = |tool: &&Tool| matches!(tool.kind, ToolKind::Function { strict: Some(true), .. });
    if wanted.iter().all(strict) {
        members.push(r#""strict_tools":true"#.to_owned());
    } else if wanted.iter().any(strict) {
        losses.push("tools.strict: Cohere holds all tools to their schemas or none".to_owned());
    }
    members.extend(choice(conversation, losses).map(|choice| format!(r#""tool_choice":"{choice}""#)));
    Ok(members)
}

fn choice(conversation: &Conversation, losses: &mut Vec<String>) -> Option<&'static str> {
    match conversation.tool_choice.as_ref()? {
        ToolChoice::Auto => None,
        ToolChoice::None => Some("NONE"),
        ToolChoice::Required => Some("REQUIRED"),
        ToolChoice::Named(_) => {
            losses.push("tool_choice: Cohere names no tool; it gets the named one alone".to_owned());
            Some("REQUIRED")
        }
    }
}

fn spec(tool: &Tool, names: &[Renamed], losses: &mut Vec<String>) -> String {
    let schema = match &tool.kind {
        ToolKind::Function { parameters, .. } => parameters.as_deref().unwrap_or(NO_SCHEMA),
        ToolKind::Custom { format } => {
            if format.is_some() {
                losses.push(format!("tools.{}.format: Cohere holds no tool to a grammar", tool.name));
            }
            FREE_TEXT
        }
    };
    if tool.cache.is_some() {
        losses.push("tools.cache_control: Cohere's prompt cache cannot be steered".to_owned());
    }
    writing::function(tool, names, schema)
}

fn format(format: &Format) -> Option<String> {
    match format {
        Format::Text => None,
        Format::JsonObject => Some(r#""response_format":{"type":"json_object"}"#.to_owned()),
        Format::JsonSchema { schema, .. } => {
            Some(format!(r#""response_format":{{"type":"json_object","json_schema":{schema}}}"#))
        }
    }
}

fn thinking(conversation: &Conversation, target: &Target<'_>) -> Option<String> {
    let reasoning = conversation.reasoning.as_ref()?;
    if reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None) {
        return Some(r#""thinking":{"type":"disabled"}"#.to_owned());
    }
    let output = conversation.max_tokens.or(target.max_output).unwrap_or(USUAL_OUTPUT);
    let budget =
        reasoning.max_tokens.or_else(|| Some(reasoning.effort?.percent().saturating_mul(output) / 100));
    match (budget, reasoning.enabled) {
        (Some(budget), _) => {
            Some(format!(r#""thinking":{{"type":"enabled","token_budget":{}}}"#, budget.max(1)))
        }
        (None, Some(_)) => Some(r#""thinking":{"type":"enabled"}"#.to_owned()),
        (None, None) => None,
    }
}

fn sampling(
    conversation: &Conversation,
    target: &Target<'_>,
    losses: &mut Vec<String>,
) -> Result<Vec<String>, Failure> {
    let sampling = &conversation.sampling;
    if sampling.stop.len() > MOST_STOPS {
        return Err(Failure::invalid(format!("stop: Cohere takes at most {MOST_STOPS} sequences")));
    }
    let limit = conversation.max_tokens.map(|own| own.min(target.max_output.unwrap_or(own)).to_string());
    let temperature = within("temperature", &sampling.temperature, losses);
    let frequency = within("frequency_penalty", &sampling.frequency_penalty, losses);
    let presence = within("presence_penalty", &sampling.presence_penalty, losses);
    let members = [
        ("max_tokens", limit.as_deref()),
        ("temperature", temperature.as_deref()),
        ("p", sampling.top_p.as_deref()),
        ("k", sampling.top_k.as_deref()),
        ("frequency_penalty", frequency.as_deref()),
        ("presence_penalty", presence.as_deref()),
        ("seed", sampling.seed.as_deref()),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some(format!(r#""{name}":{}"#, value?)));
    let mut given: Vec<String> = given.collect();
    let stop: Vec<String> = sampling.stop.iter().map(|stop| json::quote(stop)).collect();
    if !stop.is_empty() {
        given.push(format!(r#""stop_sequences":[{}]"#, stop.join(",")));
    }
    Ok(given)
}

/// The number itself between 0 and 1, else the end of the range that is nearer.
fn within(name: &str, number: &Option<String>, losses: &mut Vec<String>) -> Option<String> {
    let number = number.as_ref()?;
    let end = match json::number(number) {
        Some(value) if value > 1.0 => "1",
        Some(value) if value < 0.0 => "0",
        Some(_) | None => return Some(number.clone()),
    };
    losses.push(format!("{name}: Cohere takes 0 to 1"));
    Some(end.to_owned())
}
