//! A client's chat request in neutral words, for providers of another protocol. What has no
//! neutral word is named in `unspoken`; what cannot be left out without changing the meaning is
//! refused. The messages are read in `messages.rs`.

use super::face;
use super::messages;
use super::upstream::UNHEEDED;
use crate::chat::Conversation;
use crate::chat::conversation::{
    CacheMark, Format, Part, Reasoning, Sampling, Tool, ToolChoice, ToolKind, Turn,
};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::fields::{self, must_be, not_supported};
use crate::protocol::search;

/// Members that are read below, or that speak to the gateway alone.
const KNOWN: &[&str] = &[
    "model",
    "models",
    "route",
    "provider",
    "preset",
    "plugins",
    "transforms",
    "stream",
    "stream_options",
    "usage",
    "session_id",
    "trace",
    "debug",
    "max_tool_calls",
    "stop_server_tools_when",
    "deferred_tools",
    "messages",
    "prompt",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "web_search_options",
    "parallel_tool_calls",
    "response_format",
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "verbosity",
    "user",
    "safety_identifier",
    "service_tier",
    "prompt_cache_key",
    "metadata",
    "cache_control",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "n",
];

/// Reads a whole request.
pub fn read_conversation(outlined: &Outlined) -> Result<Conversation, Failure> {
    let body = face::read_body(outlined)?;
    refuse_untranslatable(&body)?;
    let mut unspoken = Vec::new();
    let mut conversation = Conversation {
        turns: messages::read_turns(outlined, &body, &mut unspoken)?,
        tools: read_tools(&body, &mut unspoken)?,
        tool_choice: None,
        parallel_tool_calls: fields::read_boolean(&body, "parallel_tool_calls")?,
        format: read_format(&body)?,
        reasoning: read_reasoning(&body, &mut unspoken)?,
        sampling: read_sampling(&body)?,
        max_tokens: face::read_max_tokens(&body)?,
        verbosity: fields::read_string(&body, "verbosity")?,
        user: fields::read_string(&body, "user")?.or(fields::read_string(&body, "safety_identifier")?),
        service_tier: fields::read_string(&body, "service_tier")?,
        prompt_cache_key: fields::read_string(&body, "prompt_cache_key")?,
        metadata: fields::read_object(&body, "metadata")?.map(str::to_owned),
        unspoken,
        unheeded: fields::unheeded(&body, UNHEEDED),
    };
    read_tool_choice(&body, &mut conversation)?;
    if conversation.user != fields::read_string(&body, "safety_identifier")?.or(conversation.user.clone()) {
        conversation.unspoken.push("safety_identifier".to_owned());
    }
    fields::note_stream_options(&body, &mut conversation.unspoken);
    if let Some(mark) = read_cache(&body) {
        mark_last(&mut conversation.turns, mark);
    }
    for member in body.iter().filter(|member| !KNOWN.contains(&member.key.as_ref())) {
        if !fields::is_hollow(member.value) {
            conversation.unspoken.push(member.key.clone().into_owned());
        }
    }
    Ok(conversation)
}

/// Refuses what no other protocol can say and what must not be left out.
fn refuse_untranslatable(body: &Members<'_>) -> Result<(), Failure> {
    for (name, remedy) in [("functions", "; use `tools`."), ("function_call", "; use `tool_choice`.")] {
        if body.value(name).is_some() {
            return Err(not_supported(name, remedy));
        }
    }
    if face::read_choices(body)? > 1 {
        return Err(untranslatable("n", "one choice at a time"));
    }
    if fields::read_strings(body, "modalities")?.iter().any(|modality| modality == "audio") {
        return Err(untranslatable("modalities", "replies without sound"));
    }
    Ok(())
}

/// Refuses what the endpoint's protocol cannot say.
pub(super) fn untranslatable(path: &str, only: &str) -> Failure {
    Failure::invalid(format!("`{path}` cannot be served: the endpoint's protocol knows {only}."))
}

fn read_tools(body: &Members<'_>, unspoken: &mut Vec<String>) -> Result<Vec<Tool>, Failure> {
    let Some(value) = body.value("tools") else { return Ok(Vec::new()) };
    let tools = fields::read_elements(value, "tools", "an array of objects")?;
    let read = |(position, raw): (usize, &&str)| read_tool(raw, &format!("tools[{position}]"), unspoken);
    let searches = |raw: &str| {
        json::members(raw).is_ok_and(|tool| tool.string("type").is_some_and(|kind| search::is_search(&kind)))
    };
    // A search is asked for anew, in the words of whoever answers.
    tools.iter().enumerate().filter(|(_, raw)| !searches(raw)).map(read).collect()
}

/// What is read of a tool, of its function and of a tool written without one.
const READ: &[&str] =
    &["type", "name", "description", "parameters", "strict", "format", "cache_control", "function", "custom"];

fn read_tool(raw: &str, path: &str, unspoken: &mut Vec<String>) -> Result<Tool, Failure> {
    let tool = json::members(raw).map_err(|_| must_be(path, "an object"))?;
    let kind = tool.string("type").unwrap_or_default();
    // Cursor writes the function's members beside the type.
    let inner = tool.object(&kind).unwrap_or_else(|| tool.clone());
    let Some(name) = inner.string("name").filter(|name| !name.is_empty()) else {
        return match kind.as_ref() {
            "function" | "custom" => Err(must_be(&format!("{path}.{kind}.name"), "a string")),
            _ => Err(untranslatable(&format!("{path}.type"), "functions and custom tools")),
        };
    };
    let owned = |key| inner.value(key).map(str::to_owned);
    let kind = match kind.as_ref() {
        "function" => ToolKind::Function {
            parameters: owned("parameters"),
            strict: inner.value("strict").and_then(json::boolean),
        },
        "custom" => ToolKind::Custom { format: owned("format") },
        _ => return Err(untranslatable(&format!("{path}.type"), "functions and custom tools")),
    };
    fields::note_others(&tool, path, READ, unspoken);
    fields::note_others(&inner, path, READ, unspoken);
    unspoken.dedup();
    Ok(Tool {
        name: name.into_owned(),
        description: inner.string("description").map(|text| text.into_owned()),
        kind,
        cache: read_cache(&inner).or_else(|| read_cache(&tool)),
    })
}

fn read_tool_choice(body: &Members<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    const WHAT: &str = "`none`, `auto`, `required` or a tool of `tools`";
    let Some(value) = body.value("tool_choice") else { return Ok(()) };
    let wrong = || must_be("tool_choice", WHAT);
    let choice = match json::string(value) {
        Some(word) => mode(&word).ok_or_else(wrong)?,
        None => {
            let choice = json::members(value).map_err(|_| wrong())?;
            let kind = choice.string("type").unwrap_or_default();
            let inner = choice.object(&kind).unwrap_or_else(|| choice.clone());
            match kind.as_ref() {
                "allowed_tools" => allow(&inner, conversation).ok_or_else(wrong)?,
                "function" | "custom" => named(&inner, conversation).ok_or_else(wrong)?,
                word => mode(word).ok_or_else(wrong)?,
            }
        }
    };
    conversation.tool_choice = Some(choice);
    Ok(())
}

fn mode(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        // `any` is Mistral's and Fireworks' word.
        "required" | "any" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn named(choice: &Members<'_>, conversation: &Conversation) -> Option<ToolChoice> {
    let name = choice.string("name")?.into_owned();
    conversation.tools.iter().any(|tool| tool.name == name).then_some(ToolChoice::Named(name))
}

/// Of the tools only those are left that may be called.
fn allow(choice: &Members<'_>, conversation: &mut Conversation) -> Option<ToolChoice> {
    let name = |raw: &str| {
        let tool = json::members(raw).ok()?;
        let inner = tool.object(&tool.string("type")?).unwrap_or_else(|| tool.clone());
        inner.string("name").map(|name| name.into_owned())
    };
    let allowed: Vec<String> = choice.array("tools")?.into_iter().filter_map(name).collect();
    conversation.tools.retain(|tool| allowed.contains(&tool.name));
    mode(&choice.string("mode")?)
}

fn read_format(body: &Members<'_>) -> Result<Format, Failure> {
    let Some(format) = body.value("response_format") else { return Ok(Format::Text) };
    let format = json::members(format).map_err(|_| must_be("response_format", "an object"))?;
    match format.string("type").as_deref() {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => {
            let inner = format.object("json_schema");
            let inner = inner.ok_or_else(|| must_be("response_format.json_schema", "an object"))?;
            let schema = inner.value("schema").filter(|schema| schema.starts_with('{'));
            let schema = schema.ok_or_else(|| must_be("response_format.json_schema.schema", "an object"))?;
            Ok(Format::JsonSchema {
                name: inner.string("name").map(|name| name.into_owned()),
                description: inner.string("description").map(|text| text.into_owned()),
                schema: schema.to_owned(),
                strict: inner.value("strict").and_then(json::boolean),
            })
        }
        Some(_) => Err(untranslatable("response_format.type", "`text`, `json_object` and `json_schema`")),
        None => Err(must_be("response_format.type", "a string")),
    }
}

/// OpenRouter's `reasoning`, or the effort alone as OpenAI has it.
fn read_reasoning(body: &Members<'_>, unspoken: &mut Vec<String>) -> Result<Option<Reasoning>, Failure> {
    let reasoning = fields::read_reasoning(body, unspoken)?;
    let Some(short) = fields::read_effort(body, "reasoning_effort", "reasoning_effort")? else {
        return Ok(reasoning);
    };
    let mut reasoning = reasoning.unwrap_or_default();
    reasoning.effort = reasoning.effort.or(Some(short));
    Ok(Some(reasoning))
}

fn read_sampling(body: &Members<'_>) -> Result<Sampling, Failure> {
    let number = |key: &str| fields::read_number(body, key);
    Ok(Sampling {
        temperature: number("temperature")?,
        top_p: number("top_p")?,
        top_k: number("top_k")?,
        min_p: number("min_p")?,
        frequency_penalty: number("frequency_penalty")?,
        presence_penalty: number("presence_penalty")?,
        repetition_penalty: number("repetition_penalty")?,
        seed: number("seed")?,
        stop: match body.string("stop") {
            Some(stop) => vec![stop.into_owned()],
            None => fields::read_strings(body, "stop")?,
        },
    })
}

/// The cache mark of an object: Anthropic's, or OpenAI's which has no lifetime.
pub(super) fn read_cache(object: &Members<'_>) -> Option<CacheMark> {
    match object.object("cache_control") {
        Some(mark) if mark.string("ttl").as_deref() == Some("1h") => Some(CacheMark::OneHour),
        Some(_) => Some(CacheMark::FiveMinutes),
        None => object.object("prompt_cache_breakpoint").map(|_| CacheMark::FiveMinutes),
    }
}

/// A mark on the whole request stands behind its last part.
fn mark_last(turns: &mut [Turn], mark: CacheMark) {
    let Some(part) = turns.last_mut().and_then(|turn| turn.parts.last_mut()) else { return };
    match part {
        Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. } => {
            *cache = Some(mark)
        }
        Part::ToolResult(result) => result.cache = Some(mark),
        Part::Audio { .. }
        | Part::Reasoning { .. }
        | Part::SealedReasoning { .. }
        | Part::ToolCall(_)
        | Part::Refusal { .. } => {}
    }
}
