//! A client's request: what routing and pricing have to know of it, read from the body without
//! taking it apart. The gateway keeps nothing, so what refers to something kept is refused.

use super::tools::{elements, members};
use crate::chat::{ChatRequest, RequestSize};
use crate::error::Failure;
use crate::json::{Members, Outlined};
use crate::protocol::asks::{self, Turn};
use crate::protocol::fields::{
    self, Objects, must_be, read_boolean, read_object, read_objects, read_session_id, read_string,
    read_strings_of,
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
    "input",
    "instructions",
    "stream",
    "store",
    "previous_response_id",
    "conversation",
    "background",
    "prompt",
    "max_output_tokens",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "modalities",
    "user",
    "session_id",
    "trace",
    "debug",
    "stop_server_tools_when",
];

/// Optional parameters by their names in `supported_parameters`.
const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("top_logprobs", "top_logprobs"),
    ("stop", "stop"),
    ("seed", "seed"),
    ("max_output_tokens", "max_tokens"),
    ("tools", "tools"),
    ("tool_choice", "tool_choice"),
    ("parallel_tool_calls", "parallel_tool_calls"),
    ("reasoning", "reasoning"),
];

const ROLES: &[&str] = &["system", "developer", "user", "assistant"];

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the prompt.
pub fn read_request(outlined: &Outlined) -> Result<ChatRequest, Failure> {
    let body = read_body(outlined)?;
    refuse_unsupported(&body)?;
    let max_tokens = read_limit(&body)?;
    let mut request = ChatRequest {
        model: read_string(&body, "model")?.filter(|model| !model.is_empty()),
        models: read_strings_of(&body, "models", "an array")?,
        stream: read_boolean(&body, "stream")?.unwrap_or(false),
        max_tokens,
        provider: read_object(&body, "provider")?.map(str::to_owned),
        user: read_string(&body, "user")?,
        session_id: read_session_id(&body)?,
        size: RequestSize { max_tokens, choices: 1, ..RequestSize::default() },
        ..ChatRequest::default()
    };
    for name in ["stream_options", "reasoning", "trace", "debug", "text"] {
        read_object(&body, name)?;
    }
    read_string(&body, "instructions")?;
    read_needs(&body, &mut request)?;
    read_input(outlined, &body, &mut request)?;
    search::note(&body, &mut request)?;
    request.size.text_bytes = (outlined.bytes().len() as u64).saturating_sub(request.size.inline_bytes);
    Ok(request)
}

pub(super) fn read_body(body: &Outlined) -> Result<Members<'_>, Failure> {
    fields::read_members(body, READ)
}

/// Refuses what needs something that the gateway does not keep or do.
pub(super) fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    const REMEDY: &str = "this gateway keeps no responses; send the whole conversation in `input`";
    for name in ["previous_response_id", "conversation"] {
        if body.value(name).is_some() {
            return Err(not_supported(name, REMEDY));
        }
    }
    if body.value("prompt").is_some() {
        return Err(not_supported(
            "prompt",
            "this gateway keeps no prompts; send `instructions` and `input`",
        ));
    }
    if read_boolean(body, "store")? == Some(true) {
        return Err(not_supported("store", "this gateway keeps no responses; leave it out or send false"));
    }
    if read_boolean(body, "background")? == Some(true) {
        return Err(not_supported("background", "this gateway keeps no responses; use `stream`"));
    }
    for name in ["preset", "stop_server_tools_when", "deferred_tools"] {
        if body.value(name).is_some_and(|value| !matches!(value, "[]" | "\"\"")) {
            return Err(Failure::invalid(format!("`{name}` is not supported by this gateway.")));
        }
    }
    match read_string(body, "route")?.as_deref() {
        None | Some("fallback") => {}
        Some(_) => return Err(not_supported("route", "use `provider.sort`")),
    }
    let debug = body.object("debug");
    if debug.is_some_and(|debug| debug.value("echo_upstream_body").is_some_and(|value| value != "false")) {
        return Err(Failure::invalid("`debug.echo_upstream_body` is not supported by this gateway."));
    }
    Ok(())
}

fn not_supported(path: &str, remedy: &str) -> Failure {
    Failure::invalid(format!("`{path}` is not supported: {remedy}.")).with("param", path)
}

pub(super) fn read_limit(body: &Members<'_>) -> Result<Option<u64>, Failure> {
    fields::read_limit(body, "max_output_tokens")
}

fn read_needs(body: &Members<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let needs = &mut request.needs;
    let mut add = |name: &str| {
        if !needs.parameters.iter().any(|known| known == name) {
            needs.parameters.push(name.to_owned());
        }
    };
    PARAMETERS.iter().filter(|(key, _)| body.value(key).is_some()).for_each(|(_, name)| add(name));
    let text = body.object("text");
    if text.as_ref().is_some_and(|text| text.value("verbosity").is_some()) {
        add("verbosity");
    }
    let format = text.and_then(|text| text.object("format"));
    match format.as_ref().and_then(|format| format.string("type")).as_deref() {
        Some("json_schema") => needs.structured_output = true,
        Some("json_object") => needs.json_object = true,
        // `text`, and what only the provider knows.
        Some(_) => {}
        None if format.is_some() => return Err(must_be("text.format.type", "a string")),
        None => {}
    }
    if needs.structured_output || needs.json_object {
        needs.parameters.push("response_format".to_owned());
    }
    needs.tools = read_tools(body)?;
    Ok(())
}

fn read_tools(body: &Members<'_>) -> Result<bool, Failure> {
    let Some(value) = body.value("tools") else { return Ok(false) };
    let tools = elements(value, "tools")?;
    for (position, tool) in tools.iter().enumerate() {
        let path = format!("tools[{position}]");
        let Some(kind) = members(tool, &path)?.string("type") else {
            return Err(must_be(&format!("{path}.type"), "a string"));
        };
        if kind.starts_with("openrouter:") && !search::is_search(&kind) {
            return Err(Failure::invalid(format!("`{path}.type` is not supported as a server tool.")));
        }
    }
    Ok(!tools.is_empty())
}

fn read_input<'a>(
    outlined: &'a Outlined,
    body: &Members<'a>,
    request: &mut ChatRequest,
) -> Result<(), Failure> {
    const WHAT: &str = "a string, or an array of items that is not empty";
    let Some(input) = body.value("input") else {
        return Err(Failure::invalid(format!("`input` is missing: it must be {WHAT}.")));
    };
    let instructions = body.value("instructions");
    if input.starts_with('"') {
        request.asks = asks::read(body, instructions, vec![Turn::Other(input)])?;
        return Ok(());
    }
    if !input.starts_with('[') || input == "[]" {
        return Err(must_be("input", WHAT));
    }
    let mut turns = Vec::new();
    for (position, item) in read_items(outlined, input)?.into_iter().enumerate() {
        let (item, path) = (item?, format!("input[{position}]"));
        read_item(&item, &path, request)?;
        turns.push(Turn::Object(item));
    }
    request.asks = asks::read(body, instructions, turns)?;
    Ok(())
}

/// The items of the array that `input` is.
pub(super) fn read_items<'a>(outlined: &'a Outlined, input: &'a str) -> Result<Objects<'a>, Failure> {
    match outlined.objects("input") {
        Some(items) => Ok(items.into_iter().map(Ok).collect()),
        None => read_objects(input, "input", "an array"),
    }
}

/// Reads what an item adds to the size and the needs. Only `message` may leave its type out.
fn read_item(item: &Members<'_>, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let parts = match item.string("type").as_deref() {
        Some("message") | None => {
            if !item.string("role").is_some_and(|role| ROLES.contains(&role.as_ref())) {
                return Err(must_be(&format!("{path}.role"), &format!("one of {}", ROLES.join(", "))));
            }
            let content = item.value("content").unwrap_or("null");
            if !content.starts_with(['"', '[']) {
                return Err(must_be(&format!("{path}.content"), "a string or an array of parts"));
            }
            ("content", content)
        }
        Some("item_reference") => {
            return Err(not_supported(path, "this gateway keeps no items; send the item itself"));
        }
        Some(_) => ("output", item.value("output").unwrap_or("null")),
    };
    let (name, value) = parts;
    if value.starts_with('[') {
        for (position, part) in elements(value, &format!("{path}.{name}"))?.into_iter().enumerate() {
            read_part(part, &format!("{path}.{name}[{position}]"), request)?;
        }
    }
    Ok(())
}

fn read_part(raw: &str, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let part = members(raw, path)?;
    let Some(kind) = part.string("type") else {
        return Err(must_be(&format!("{path}.type"), "a string"));
    };
    let (needs, size) = (&mut request.needs, &mut request.size);
    let inline = |value: Option<&str>| match value {
        Some(value) if value.starts_with('"') && !value.starts_with("\"http") => value.len() as u64 - 2,
        Some(_) | None => 0,
    };
    match kind.as_ref() {
        "input_text" | "output_text" | "text" if part.string("text").is_none() => {
            return Err(must_be(&format!("{path}.text"), "a string"));
        }
        "input_image" => {
            needs.images = true;
            size.images = size.images.saturating_add(1);
            size.inline_bytes += inline(part.get("image_url"));
        }
        "input_file" => {
            needs.files = true;
            size.files = size.files.saturating_add(1);
            size.inline_bytes += inline(part.get("file_data"));
        }
        "input_audio" => {
            needs.audio = true;
            size.audio = size.audio.saturating_add(1);
            size.inline_bytes += inline(part.object("input_audio").and_then(|audio| audio.get("data")));
        }
        // Text, and what only the provider knows.
        _ => {}
    }
    Ok(())
}
