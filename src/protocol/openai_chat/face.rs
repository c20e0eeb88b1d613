//! A client's chat request: what routing and pricing have to know of it, read from the body
//! without taking the body apart. What the gateway does not do is refused by name; what it does
//! not know goes to the provider as it is.

use crate::chat::{Asks, ChatRequest, Needs, RequestSize};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::asks::{self, Turn};
use crate::protocol::fields::{
    self, must_be, not_json, not_supported, read_boolean, read_elements, read_limit, read_object,
    read_objects, read_session_id, read_string, read_strings,
};
use crate::protocol::search;

/// Members that are read here or replaced on the way. Each may be there only once: of two, the
/// gateway and the provider might each go by another.
const READ: &[&str] = &[
    "model",
    "models",
    "route",
    "provider",
    "preset",
    "plugins",
    "transforms",
    "messages",
    "prompt",
    "stream",
    "stream_options",
    "usage",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "tools",
    "tool_choice",
    "response_format",
    "modalities",
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "max_tool_calls",
    "stop_server_tools_when",
    "deferred_tools",
    "debug",
    "trace",
    "user",
    "session_id",
];

/// Optional parameters by their names in `supported_parameters`.
const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("top_a", "top_a"),
    ("min_p", "min_p"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("repetition_penalty", "repetition_penalty"),
    ("seed", "seed"),
    ("logit_bias", "logit_bias"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "top_logprobs"),
    ("stop", "stop"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("tools", "tools"),
    ("tool_choice", "tool_choice"),
    ("parallel_tool_calls", "parallel_tool_calls"),
    ("response_format", "response_format"),
    ("structured_outputs", "structured_outputs"),
    ("reasoning", "reasoning"),
    ("reasoning_effort", "reasoning_effort"),
    ("verbosity", "verbosity"),
    ("web_search_options", "web_search_options"),
];

const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];
/// OpenAI's own bound.
const MAX_CHOICES: u64 = 128;

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the prompt.
pub fn read_request(outlined: &Outlined) -> Result<ChatRequest, Failure> {
    let body = read_body(outlined)?;
    let mut request = ChatRequest {
        model: read_string(&body, "model")?.filter(|model| !model.is_empty()),
        models: read_strings(&body, "models")?,
        stream: read_boolean(&body, "stream")?.unwrap_or(false),
        hide_reasoning: hides_reasoning(&body)?,
        max_tokens: read_max_tokens(&body)?,
        provider: read_object(&body, "provider")?.map(str::to_owned),
        needs: Needs::default(),
        size: RequestSize::default(),
        user: read_string(&body, "user")?,
        session_id: read_session_id(&body)?,
        asks: Asks::default(),
    };
    for name in ["stream_options", "usage", "trace", "debug", "reasoning"] {
        read_object(&body, name)?;
    }
    request.size.max_tokens = request.max_tokens;
    request.size.choices = read_choices(&body)?;
    read_needs(&body, &mut request.needs)?;
    read_messages(outlined, &body, &mut request)?;
    search::note(&body, &mut request)?;
    request.size.text_bytes = (outlined.bytes().len() as u64).saturating_sub(request.size.inline_bytes);
    Ok(request)
}

/// The members of a request, none of those given twice that are read, none that is refused.
pub(super) fn read_body(body: &Outlined) -> Result<Members<'_>, Failure> {
    let body = fields::read_members(body, READ)?;
    refuse_unsupported(&body)?;
    Ok(body)
}

/// Refuses what would change the reply if the gateway did it, and that it does not do.
fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    if body.value("prompt").is_some() {
        return Err(not_supported("prompt", " on chat completions; send `messages`."));
    }
    for name in ["transforms", "preset", "stop_server_tools_when", "deferred_tools"] {
        let asks = body.value(name).is_some_and(|value| !fields::is_hollow(value));
        if asks {
            return Err(not_supported(name, "."));
        }
    }
    let route = read_string(body, "route")?;
    if route.is_some_and(|route| route != "fallback") {
        return Err(not_supported("route", ", except for \"fallback\"; use `provider.sort`."));
    }
    let debug = body.object("debug");
    if debug.is_some_and(|debug| debug.value("echo_upstream_body").is_some_and(|value| value != "false")) {
        return Err(not_supported("debug.echo_upstream_body", "."));
    }
    refuse_reasoning(body)
}

/// Takes an effort or a budget of reasoning, not both.
fn refuse_reasoning(body: &Members<'_>) -> Result<(), Failure> {
    let Some(reasoning) = body.object("reasoning") else { return Ok(()) };
    if let Some(budget) = reasoning.value("max_tokens") {
        if json::whole(budget).is_none_or(|budget| budget == 0) {
            return Err(must_be("reasoning.max_tokens", "a whole number, at least 1"));
        }
        if reasoning.value("effort").is_some() || body.value("reasoning_effort").is_some() {
            let message = "`reasoning.max_tokens` and an effort of reasoning cannot both be given.";
            return Err(Failure::invalid(message));
        }
    }
    let effort = reasoning.string("effort");
    match (effort, body.string("reasoning_effort")) {
        (Some(one), Some(other)) if one != other => {
            Err(Failure::invalid("`reasoning.effort` and `reasoning_effort` contradict each other."))
        }
        (None, _) if reasoning.value("effort").is_some() => Err(must_be("reasoning.effort", "a string")),
        (Some(_) | None, _) => Ok(()),
    }
}

/// Whether the client does not want to see what the model thinks.
fn hides_reasoning(body: &Members<'_>) -> Result<bool, Failure> {
    let excluded = match body.object("reasoning").and_then(|reasoning| reasoning.value("exclude")) {
        None => false,
        Some(value) => json::boolean(value).ok_or_else(|| must_be("reasoning.exclude", "true or false"))?,
    };
    Ok(excluded || read_boolean(body, "include_reasoning")? == Some(false))
}

pub(super) fn read_max_tokens(body: &Members<'_>) -> Result<Option<u64>, Failure> {
    let limits = [read_limit(body, "max_tokens")?, read_limit(body, "max_completion_tokens")?];
    Ok(limits.into_iter().flatten().min())
}

pub(super) fn read_choices(body: &Members<'_>) -> Result<u32, Failure> {
    let Some(value) = body.value("n") else { return Ok(1) };
    match json::whole(value).filter(|n| (1..=MAX_CHOICES).contains(n)) {
        Some(n) => Ok(n as u32),
        None => Err(must_be("n", &format!("a whole number from 1 to {MAX_CHOICES}"))),
    }
}

fn read_needs(body: &Members<'_>, needs: &mut Needs) -> Result<(), Failure> {
    needs.parameters = fields::parameters(body, PARAMETERS);
    needs.tools = read_tools(body)?;
    if let Some(format) = read_object(body, "response_format")? {
        let format = json::members(format).map_err(not_json)?;
        let Some(kind) = format.string("type") else {
            return Err(must_be("response_format.type", "a string"));
        };
        needs.structured_output = kind == "json_schema";
        needs.json_object = kind == "json_object";
    }
    needs.audio = read_strings(body, "modalities")?.iter().any(|modality| modality == "audio");
    Ok(())
}

fn read_tools(body: &Members<'_>) -> Result<bool, Failure> {
    let Some(value) = body.value("tools") else { return Ok(false) };
    let tools = read_elements(value, "tools", "an array of objects")?;
    for (position, tool) in tools.iter().enumerate() {
        let tool = json::members(tool).map_err(|_| must_be(&format!("tools[{position}]"), "an object"))?;
        let Some(kind) = tool.string("type") else {
            return Err(must_be(&format!("tools[{position}].type"), "a string"));
        };
        if kind.starts_with("openrouter:") && !search::is_search(&kind) {
            return Err(not_supported(&format!("tools[{position}].type"), " as a server tool."));
        }
    }
    Ok(!tools.is_empty())
}

fn read_messages<'a>(
    outlined: &'a Outlined,
    body: &Members<'a>,
    request: &mut ChatRequest,
) -> Result<(), Failure> {
    let mut turns = Vec::new();
    for (position, message) in fields::read_messages(outlined, body)?.into_iter().enumerate() {
        let message = message?;
        read_message(&message, &format!("messages[{position}]"), request)?;
        turns.push(Turn::Object(message));
    }
    request.asks = asks::read(body, None, turns)?;
    Ok(())
}

fn read_message(message: &Members<'_>, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    if !message.string("role").is_some_and(|role| ROLES.contains(&role.as_ref())) {
        return Err(must_be(&format!("{path}.role"), &format!("one of {}", ROLES.join(", "))));
    }
    match message.value("content") {
        None => Ok(()),
        Some(content) if content.starts_with('"') => Ok(()),
        Some(content) if content.starts_with('[') => {
            let path = format!("{path}.content");
            let parts = read_objects(content, &path, "an array")?;
            let read = |(position, part): (usize, Result<Members<'_>, Failure>)| {
                read_part(&part?, &format!("{path}[{position}]"), request)
            };
            parts.into_iter().enumerate().try_for_each(read)
        }
        Some(_) => Err(must_be(&format!("{path}.content"), "a string, an array of parts or null")),
    }
}

fn read_part(part: &Members<'_>, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let Some(kind) = part.string("type") else {
        return Err(must_be(&format!("{path}.type"), "a string"));
    };
    let (needs, size) = (&mut request.needs, &mut request.size);
    match kind.as_ref() {
        "text" if !part.get("text").is_some_and(|text| text.starts_with('"')) => {
            return Err(must_be(&format!("{path}.text"), "a string"));
        }
        "image_url" => {
            needs.images = true;
            size.images = size.images.saturating_add(1);
            size.inline_bytes += inline(part, "image_url", "url");
        }
        "input_audio" => {
            needs.audio = true;
            size.audio = size.audio.saturating_add(1);
            size.inline_bytes += inline(part, "input_audio", "data");
        }
        "file" => {
            needs.files = true;
            size.files = size.files.saturating_add(1);
            size.inline_bytes += inline(part, "file", "file_data");
        }
        "video_url" | "input_video" => {
            needs.files = true;
            size.files = size.files.saturating_add(1);
            size.inline_bytes += inline(part, "video_url", "url");
        }
        // Text, and what only the provider knows.
        _ => {}
    }
    Ok(())
}

/// The bytes of data that a part carries within: base64 or a `data:` URL. Mistral's clients put
/// the string where others put an object.
fn inline(part: &Members<'_>, outer: &str, inner: &str) -> u64 {
    let value = part.object(outer).and_then(|object| object.get(inner)).or_else(|| part.get(outer));
    let Some(value) = value.filter(|value| value.starts_with('"')) else { return 0 };
    let link = value.starts_with("\"http") || outer == "image_url" && !value.starts_with("\"data:");
    if !link { value.len().saturating_sub(2) as u64 } else { 0 }
}
