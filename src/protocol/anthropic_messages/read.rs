//! A client's request in the words that all protocols share. What has no such word is named;
//! what only Anthropic itself can do is refused.

use super::face::{self, format_of};
use super::splice::{OWN, UNHEEDED};
use super::tools::client_tool;
use crate::chat::conversation::{
    CacheMark, Conversation, Effort, Format, Part, Reasoning, Role, Sampling, Tool, ToolChoice, ToolKind,
    Turn,
};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::fields::{self, must_be, read_elements, read_number, read_string};
use crate::protocol::search;

mod block;

use block::read_blocks;

/// Members that are read here. Any other, but for the gateway's own, is unspoken.
const SPOKEN: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "service_tier",
    "cache_control",
];

/// Members without which the answer would be another, and that only Anthropic can honour.
const ANTHROPICS: &[&str] = &["mcp_servers", "container", "inference_geo"];

/// Attribution that Claude Code puts before its instructions; to others it is noise that would
/// spoil their caches.
const ATTRIBUTION: &str = "x-anthropic-billing-header:";

/// Reads the whole request, which is one that `read_request` accepted.
pub fn read_conversation(outlined: &Outlined) -> Result<Conversation, Failure> {
    let body = face::read_body(outlined)?;
    for name in ANTHROPICS {
        if body.value(name).is_some_and(|value| value != "[]" && value != "{}") {
            return Err(only_anthropic(name));
        }
    }
    let mut conversation = Conversation {
        max_tokens: face::read_max_tokens(&body)?,
        sampling: read_sampling(&body)?,
        service_tier: read_string(&body, "service_tier")?,
        unheeded: fields::unheeded(&body, UNHEEDED),
        ..Conversation::default()
    };
    read_system(&body, &mut conversation)?;
    read_turns(outlined, &body, &mut conversation)?;
    read_tools(&body, &mut conversation)?;
    read_tool_choice(&body, &mut conversation)?;
    conversation.reasoning = read_reasoning(&body, &mut conversation.unspoken)?;
    conversation.format = read_format(&body)?;
    read_user(&body, &mut conversation);
    mark_last(&body, &mut conversation);
    let known = |key: &str| SPOKEN.contains(&key) || OWN.contains(&key);
    note_unspoken(&body, "", known, &mut conversation.unspoken);
    Ok(conversation)
}

pub(super) fn only_anthropic(path: &str) -> Failure {
    Failure::invalid(format!("`{path}` needs a model served by Anthropic; the one chosen is not."))
}

/// Names every member that says something and that `known` does not know.
pub(super) fn note_unspoken(
    members: &Members<'_>,
    path: &str,
    known: impl Fn(&str) -> bool,
    unspoken: &mut Vec<String>,
) {
    for member in members.iter().filter(|member| !json::is_null(member.value) && !known(&member.key)) {
        let dot = if path.is_empty() { "" } else { "." };
        unspoken.push(format!("{path}{dot}{}", member.key));
    }
}

pub(super) fn read_mark(block: &Members<'_>) -> Option<CacheMark> {
    let mark = block.object("cache_control")?;
    Some(match mark.string("ttl").as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some(_) | None => CacheMark::FiveMinutes,
    })
}

fn read_sampling(body: &Members<'_>) -> Result<Sampling, Failure> {
    let number = |key: &str| read_number(body, key);
    let stop = match body.value("stop_sequences") {
        Some(value) => read_elements(value, "stop_sequences", "an array of strings")?,
        None => Vec::new(),
    };
    let text = |(i, value): (usize, &str)| {
        let text = json::string(value).map(|text| text.into_owned());
        text.ok_or_else(|| must_be(&format!("stop_sequences[{i}]"), "a string"))
    };
    Ok(Sampling {
        temperature: number("temperature")?,
        top_p: number("top_p")?,
        top_k: number("top_k")?,
        stop: stop.into_iter().enumerate().map(text).collect::<Result<_, _>>()?,
        ..Sampling::default()
    })
}

fn read_system(body: &Members<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    if body.value("system").is_none() {
        return Ok(());
    }
    let mut parts = read_content(body, "system", "system", &mut conversation.unspoken)?;
    let attribution = |part: &Part| matches!(part, Part::Text { text, .. } if text.starts_with(ATTRIBUTION));
    if parts.first().is_some_and(attribution) {
        parts.remove(0);
        conversation.unspoken.push("system[0]".to_owned());
    }
    if !parts.is_empty() {
        conversation.turns.push(Turn { role: Role::System, parts });
    }
    Ok(())
}

/// The parts of a content that is a string or an array of blocks. Empty text is none.
fn read_content(
    object: &Members<'_>,
    key: &str,
    path: &str,
    unspoken: &mut Vec<String>,
) -> Result<Vec<Part>, Failure> {
    match object.string(key) {
        Some(text) if text.is_empty() => Ok(Vec::new()),
        Some(text) => Ok(vec![Part::Text { text: text.into_owned(), cache: None }]),
        None => read_blocks(object.get(key).unwrap_or_default(), path, unspoken),
    }
}

fn read_turns<'a>(
    outlined: &'a Outlined,
    body: &Members<'a>,
    conversation: &mut Conversation,
) -> Result<(), Failure> {
    for (i, message) in fields::read_messages(outlined, body)?.into_iter().enumerate() {
        let (message, path) = (message?, format!("messages[{i}]"));
        let role = match message.string("role").as_deref() {
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) | None => Role::User,
        };
        let parts =
            read_content(&message, "content", &format!("{path}.content"), &mut conversation.unspoken)?;
        let known = |key: &str| matches!(key, "role" | "content");
        note_unspoken(&message, &path, known, &mut conversation.unspoken);
        if !parts.is_empty() {
            conversation.turns.push(Turn { role, parts });
        }
    }
    Ok(())
}

fn read_tools(body: &Members<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    for (i, tool) in body.array("tools").unwrap_or_default().into_iter().enumerate() {
        let path = format!("tools[{i}]");
        let tool = json::members(tool).map_err(|_| must_be(&path, "an object"))?;
        // It is asked for anew, in the words of whoever answers.
        if tool.string("type").is_some_and(|kind| search::is_search(&kind)) {
            continue;
        }
        let Some(name) = tool.string("name").filter(|name| !name.is_empty()) else {
            return Err(must_be(&format!("{path}.name"), "a string that is not empty"));
        };
        let kind = tool.string("type").filter(|kind| kind != "custom");
        let (description, parameters) = match &kind {
            None => {
                let description = tool.string("description").map(|text| text.into_owned());
                (description, tool.value("input_schema").map(str::to_owned))
            }
            Some(kind) => {
                let Some((description, schema)) = client_tool(kind) else {
                    return Err(only_anthropic(&format!("{path}.type")));
                };
                (Some(description.to_owned()), Some(schema.to_owned()))
            }
        };
        let strict = tool.get("strict").and_then(json::boolean);
        let known = |key: &str| {
            matches!(key, "type" | "name" | "description" | "input_schema" | "strict" | "cache_control")
        };
        note_unspoken(&tool, &path, known, &mut conversation.unspoken);
        conversation.tools.push(Tool {
            name: name.into_owned(),
            description,
            kind: ToolKind::Function { parameters, strict },
            cache: read_mark(&tool),
        });
    }
    Ok(())
}

fn read_tool_choice(body: &Members<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    let Some(choice) = body.object("tool_choice") else { return Ok(()) };
    conversation.tool_choice = Some(match choice.string("type").as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => match choice.string("name") {
            // No other protocol can force a search.
            Some(name)
                if name == "web_search" && !conversation.tools.iter().any(|tool| tool.name == name) =>
            {
                conversation.unspoken.push("tool_choice".to_owned());
                ToolChoice::Auto
            }
            Some(name) => ToolChoice::Named(name.into_owned()),
            None => return Err(must_be("tool_choice.name", "a string")),
        },
        Some(_) | None => return Err(must_be("tool_choice.type", "one of auto, any, tool, none")),
    });
    let disabled = choice.get("disable_parallel_tool_use").and_then(json::boolean);
    conversation.parallel_tool_calls = disabled.map(|disabled| !disabled);
    let known = |key: &str| matches!(key, "type" | "name" | "disable_parallel_tool_use");
    note_unspoken(&choice, "tool_choice", known, &mut conversation.unspoken);
    Ok(())
}

fn read_reasoning(body: &Members<'_>, unspoken: &mut Vec<String>) -> Result<Option<Reasoning>, Failure> {
    let mut reasoning = Reasoning::default();
    if let Some(thinking) = body.object("thinking") {
        match thinking.string("type").as_deref() {
            Some("enabled") => {
                let budget = thinking.value("budget_tokens").and_then(json::whole);
                let budget = budget.ok_or_else(|| must_be("thinking.budget_tokens", "a whole number"))?;
                reasoning.max_tokens = Some(budget);
                reasoning.enabled = Some(true);
            }
            Some("adaptive") => reasoning.enabled = Some(true),
            Some("disabled") => reasoning.enabled = Some(false),
            Some(_) | None => {
                return Err(must_be("thinking.type", "one of enabled, adaptive, disabled"));
            }
        }
        match thinking.string("display").as_deref() {
            Some("omitted") => reasoning.exclude = true,
            Some("summarized") => reasoning.summary = Some("auto".to_owned()),
            Some(_) => unspoken.push("thinking.display".to_owned()),
            None => {}
        }
        let known = |key: &str| matches!(key, "type" | "budget_tokens" | "display");
        note_unspoken(&thinking, "thinking", known, unspoken);
    }
    if let Some(config) = body.object("output_config") {
        if let Some(effort) = config.value("effort") {
            let effort = json::string(effort).and_then(|effort| Effort::parse(&effort));
            let what = "one of low, medium, high, xhigh, max";
            reasoning.effort = Some(effort.ok_or_else(|| must_be("output_config.effort", what))?);
        }
        note_unspoken(&config, "output_config", |key| matches!(key, "effort" | "format"), unspoken);
    }
    Ok((reasoning != Reasoning::default()).then_some(reasoning))
}

fn read_format(body: &Members<'_>) -> Result<Format, Failure> {
    let Some(format) = format_of(body) else { return Ok(Format::Text) };
    let path = "output_config.format";
    let format = json::members(format).map_err(|_| must_be(path, "an object"))?;
    let schema = format.value("schema").filter(|schema| schema.starts_with('{'));
    match (format.string("type").as_deref(), schema) {
        (Some("json_schema"), Some(schema)) => Ok(Format::JsonSchema {
            name: None,
            description: None,
            schema: schema.to_owned(),
            strict: Some(true),
        }),
        (Some("json_schema"), None) => Err(must_be("output_config.format.schema", "an object")),
        (Some(_) | None, _) => Err(must_be("output_config.format.type", "json_schema")),
    }
}

fn read_user(body: &Members<'_>, conversation: &mut Conversation) {
    conversation.user = body.string("user").map(|user| user.into_owned());
    let Some(metadata) = body.object("metadata") else { return };
    conversation.user = metadata.string("user_id").map(|id| id.into_owned()).or(conversation.user.take());
    if conversation.user.is_some()
        && body.string("user").is_some_and(|user| conversation.user != Some(user.into_owned()))
    {
        conversation.unspoken.push("user".to_owned());
    }
    note_unspoken(&metadata, "metadata", |key| key == "user_id", &mut conversation.unspoken);
}

/// `cache_control` of the request marks its last block.
fn mark_last(body: &Members<'_>, conversation: &mut Conversation) {
    let Some(mark) = read_mark(body) else { return };
    let last = conversation.turns.last_mut().and_then(|turn| turn.parts.last_mut());
    match last {
        Some(Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. }) => {
            cache.get_or_insert(mark);
        }
        Some(Part::ToolResult(result)) => {
            result.cache.get_or_insert(mark);
        }
        Some(
            Part::Audio { .. }
            | Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::Refusal { .. },
        )
        | None => conversation.unspoken.push("cache_control".to_owned()),
    }
}
