//! A client's chat request: what routing and pricing have to know of it, read from the body
//! without taking the body apart. What the gateway does not do is refused by name; what it does
//! not know goes to the provider as it is.

use serde_json::{Map, Value};

use super::wire;
use crate::chat::{ChatRequest, Needs, RequestSize};
use crate::error::Failure;
use crate::json::{self, JsonError, Members};

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
const MAX_SESSION_ID: usize = 256;

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the prompt.
pub fn read_request(body: &[u8]) -> Result<ChatRequest, Failure> {
    let text = read_text(body)?;
    let body = read_body(text)?;
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
        session_id: read_string(&body, "session_id")?,
    };
    if request.session_id.as_ref().is_some_and(|id| id.chars().count() > MAX_SESSION_ID) {
        return Err(Failure::invalid(format!("`session_id` is longer than {MAX_SESSION_ID} characters.")));
    }
    for name in ["stream_options", "usage", "trace", "debug", "reasoning"] {
        read_object(&body, name)?;
    }
    request.size.max_tokens = request.max_tokens;
    request.size.choices = read_choices(&body)?;
    read_needs(&body, &mut request.needs)?;
    read_messages(&body, &mut request)?;
    request.size.text_bytes = (text.len() as u64).saturating_sub(request.size.inline_bytes);
    Ok(request)
}

pub(super) fn read_text(body: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(body).map_err(|error| {
        let position = error.valid_up_to();
        Failure::invalid(format!("The request body is not valid UTF-8 (at byte {position})."))
    })
}

/// The members of a request, none of those given twice that are read, none that is refused.
pub(super) fn read_body(text: &str) -> Result<Members<'_>, Failure> {
    let body = json::members(text).map_err(not_json)?;
    if let Some(key) = body.duplicate(READ) {
        return Err(Failure::invalid(format!("`{key}` is given more than once.")));
    }
    refuse_unsupported(&body)?;
    Ok(body)
}

/// The body of an answer that is an error, in OpenRouter's envelope.
pub fn write_error(failure: &Failure) -> Vec<u8> {
    let mut envelope = Map::new();
    envelope.insert("error".to_owned(), wire::error_object(failure));
    Value::Object(envelope).to_string().into_bytes()
}

fn not_json(error: JsonError) -> Failure {
    Failure::invalid(format!("The request body is not a valid JSON object: {error}."))
}

pub(super) fn must_be(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}` must be {what}."))
}

pub(super) fn not_supported(path: &str, remedy: &str) -> Failure {
    Failure::invalid(format!("`{path}` is not supported by this gateway{remedy}"))
}

/// Refuses what would change the reply if the gateway did it, and that it does not do.
fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    if body.value("prompt").is_some() {
        return Err(not_supported("prompt", " on chat completions; send `messages`."));
    }
    for name in ["plugins", "transforms", "preset", "stop_server_tools_when", "deferred_tools"] {
        let asks = body.value(name).is_some_and(|value| !is_hollow(value));
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

fn is_hollow(value: &str) -> bool {
    value == "\"\"" || json::elements(value).is_ok_and(|elements| elements.is_empty())
}

pub(super) fn read_string(body: &Members<'_>, key: &str) -> Result<Option<String>, Failure> {
    match body.value(key) {
        Some(value) => match json::string(value) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(must_be(key, "a string")),
        },
        None => Ok(None),
    }
}

pub(super) fn read_strings(body: &Members<'_>, key: &str) -> Result<Vec<String>, Failure> {
    let Some(value) = body.value(key) else { return Ok(Vec::new()) };
    let elements = read_elements(value, key, "an array of strings")?;
    let read = |(position, element)| match json::string(element) {
        Some(text) if !text.is_empty() => Ok(text.into_owned()),
        Some(_) | None => Err(must_be(&format!("{key}[{position}]"), "a string that is not empty")),
    };
    elements.into_iter().enumerate().map(read).collect()
}

/// The elements of an array, which may be too many to take apart.
pub(super) fn read_elements<'a>(value: &'a str, path: &str, what: &str) -> Result<Vec<&'a str>, Failure> {
    if !value.starts_with('[') {
        return Err(must_be(path, what));
    }
    json::elements(value).map_err(|error| Failure::invalid(format!("`{path}` has {}.", error.message)))
}

pub(super) fn read_boolean(body: &Members<'_>, key: &str) -> Result<Option<bool>, Failure> {
    match body.value(key) {
        Some(value) => json::boolean(value).map(Some).ok_or_else(|| must_be(key, "a boolean")),
        None => Ok(None),
    }
}

pub(super) fn read_object<'a>(body: &Members<'a>, key: &str) -> Result<Option<&'a str>, Failure> {
    match body.value(key) {
        Some(value) if value.starts_with('{') => Ok(Some(value)),
        Some(_) => Err(must_be(key, "an object")),
        None => Ok(None),
    }
}

pub(super) fn read_max_tokens(body: &Members<'_>) -> Result<Option<u64>, Failure> {
    let read = |key: &str| match body.value(key) {
        Some(value) => match json::whole(value).filter(|limit| *limit > 0) {
            Some(limit) => Ok(Some(limit)),
            None => Err(must_be(key, "a whole number, at least 1")),
        },
        None => Ok(None),
    };
    let limits = [read("max_tokens")?, read("max_completion_tokens")?];
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
    for (key, parameter) in PARAMETERS {
        if body.value(key).is_some() && !needs.parameters.iter().any(|known| known == parameter) {
            needs.parameters.push((*parameter).to_owned());
        }
    }
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
        if kind.starts_with("openrouter:") {
            return Err(not_supported(&format!("tools[{position}].type"), " as a server tool."));
        }
    }
    Ok(!tools.is_empty())
}

fn read_messages(body: &Members<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    const WHAT: &str = "an array of messages that is not empty";
    let Some(value) = body.value("messages") else {
        return Err(Failure::invalid("`messages` is missing: it must be an array that is not empty."));
    };
    let messages = read_elements(value, "messages", WHAT)?;
    if messages.is_empty() {
        return Err(must_be("messages", WHAT));
    }
    for (position, message) in messages.iter().enumerate() {
        read_message(message, &format!("messages[{position}]"), request)?;
    }
    Ok(())
}

fn read_message(raw: &str, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let message = json::members(raw).map_err(|_| must_be(path, "an object"))?;
    if !message.string("role").is_some_and(|role| ROLES.contains(&role.as_ref())) {
        return Err(must_be(&format!("{path}.role"), &format!("one of {}", ROLES.join(", "))));
    }
    match message.value("content") {
        None => Ok(()),
        Some(content) if content.starts_with('"') => Ok(()),
        Some(content) if content.starts_with('[') => {
            let parts = read_elements(content, &format!("{path}.content"), "an array")?;
            let read = |(position, part): (usize, &&str)| {
                read_part(part, &format!("{path}.content[{position}]"), request)
            };
            parts.iter().enumerate().try_for_each(read)
        }
        Some(_) => Err(must_be(&format!("{path}.content"), "a string, an array of parts or null")),
    }
}

fn read_part(raw: &str, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let part = json::members(raw).map_err(|_| must_be(path, "an object"))?;
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
            size.inline_bytes += inline(&part, "image_url", "url");
        }
        "input_audio" => {
            needs.audio = true;
            size.audio = size.audio.saturating_add(1);
            size.inline_bytes += inline(&part, "input_audio", "data");
        }
        "file" => {
            needs.files = true;
            size.files = size.files.saturating_add(1);
            size.inline_bytes += inline(&part, "file", "file_data");
        }
        "video_url" | "input_video" => {
            needs.files = true;
            size.files = size.files.saturating_add(1);
            size.inline_bytes += inline(&part, "video_url", "url");
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
