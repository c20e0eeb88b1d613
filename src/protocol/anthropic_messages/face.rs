//! A client's request: what routing and pricing have to know of it, read from the body without
//! taking the body apart. What the gateway does not do is refused by name; what it does not know
//! goes to the provider as it is.

use serde_json::{Value, json};

use crate::chat::{Asks, ChatRequest, Needs, RequestSize};
use crate::error::{Cause, Failure};
use crate::json::{self, Members, Outlined};
use crate::protocol::asks::{self, Turn};
use crate::protocol::fields::{
    self, must_be, not_supported, read_boolean, read_elements, read_members, read_object, read_objects,
    read_session_id, read_string,
};
use crate::protocol::search;

/// Members that are read here or replaced on the way. Each may be there only once: of two, the
/// gateway and the provider might each go by another.
const READ: &[&str] = &[
    "model",
    "models",
    "fallbacks",
    "route",
    "provider",
    "preset",
    "plugins",
    "transforms",
    "messages",
    "system",
    "stream",
    "max_tokens",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "thread",
    "previous_message_id",
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
    ("stop_sequences", "stop"),
    ("max_tokens", "max_tokens"),
    ("tools", "tools"),
    ("tool_choice", "tool_choice"),
    ("thinking", "reasoning"),
];

const MAX_FALLBACKS: usize = 3;

/// Reads a request, also one to count tokens, or says what is wrong with it in words that name
/// the field and never quote the prompt.
pub fn read_request(outlined: &Outlined) -> Result<ChatRequest, Failure> {
    let body = read_body(outlined)?;
    refuse_unsupported(&body)?;
    let mut request = ChatRequest {
        model: read_string(&body, "model")?.filter(|model| !model.is_empty()),
        models: read_models(&body)?,
        stream: read_boolean(&body, "stream")?.unwrap_or(false),
        hide_reasoning: false,
        max_tokens: read_max_tokens(&body)?,
        provider: read_object(&body, "provider")?.map(str::to_owned),
        needs: Needs::default(),
        size: RequestSize { choices: 1, ..RequestSize::default() },
        user: read_user(&body)?,
        session_id: read_session_id(&body)?,
        asks: Asks::default(),
    };
    for name in ["trace", "debug", "thinking", "tool_choice"] {
        read_object(&body, name)?;
    }
    request.size.max_tokens = request.max_tokens;
    read_needs(&body, &mut request.needs)?;
    read_system(&body, &mut request)?;
    read_messages(outlined, &body, &mut request)?;
    search::note(&body, &mut request)?;
    request.size.text_bytes = (outlined.bytes().len() as u64).saturating_sub(request.size.inline_bytes);
    Ok(request)
}

/// The members of the body, of which none that counts is there twice.
pub(super) fn read_body(body: &Outlined) -> Result<Members<'_>, Failure> {
    read_members(body, READ)
}

/// Refuses what would change the reply if the gateway did it, and that it does not do.
fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    refuse_thread(body)?;
    for name in ["transforms", "preset", "stop_server_tools_when", "deferred_tools"] {
        let hollow = |value: &str| value == "\"\"" || json::elements(value).is_ok_and(|it| it.is_empty());
        if body.value(name).is_some_and(|value| !hollow(value)) {
            return Err(not_supported(name, "."));
        }
    }
    if read_string(body, "route")?.is_some_and(|route| route != "fallback") {
        return Err(not_supported("route", ", except for \"fallback\"; use `provider.sort`."));
    }
    Ok(())
}

/// No conversation is kept. A request that begins a `thread` has all of its messages and is answered
/// like any other. One that continues a thread has only the new ones: Anthropic's SDKs send all of
/// them again when they read that the thread is lost.
fn refuse_thread(body: &Members<'_>) -> Result<(), Failure> {
    let lost =
        |words: &str, cause: Cause, details: Value| Err(Failure::new(cause, words).with("details", details));
    let kind = body.object("thread").and_then(|thread| thread.string("type")).unwrap_or_default();
    match (body.value("thread"), kind.as_ref(), body.value("previous_message_id")) {
        (None, _, None) | (Some(_), "create", None) => Ok(()),
        (Some(_), "continue", None) => lost(
            "`thread` was not found: the gateway keeps no conversations. Send all messages with each request.",
            Cause::NotFound,
            json!({ "error_code": "thread_not_found" }),
        ),
        (thread, _, previous) => {
            let sent = [("thread", thread), ("previous_message_id", previous)];
            let sent: Vec<&str> = sent.into_iter().filter_map(|(name, value)| value.map(|_| name)).collect();
            lost(
                &format!("`{}` is not supported: send all messages with each request.", sent.join("` and `")),
                Cause::InvalidRequest,
                json!({ "error_code": "thread_unsupported_request", "unsupported": sent }),
            )
        }
    }
}

/// The further models of `models`, or of `fallbacks: [{"model": …}]`.
fn read_models(body: &Members<'_>) -> Result<Vec<String>, Failure> {
    let models = match body.value("models") {
        Some(value) => read_elements(value, "models", "an array of strings")?,
        None => Vec::new(),
    };
    let name = |value: Option<&str>, path: String| {
        let text = value.and_then(json::string).filter(|text| !text.is_empty());
        text.map(|text| text.into_owned()).ok_or_else(|| must_be(&path, "a string that is not empty"))
    };
    let Some(fallbacks) = body.value("fallbacks") else {
        let read = |(i, value): (usize, &str)| name(Some(value), format!("models[{i}]"));
        return models.into_iter().enumerate().map(read).collect();
    };
    if body.value("models").is_some() {
        return Err(Failure::invalid("`models` and `fallbacks` cannot be given together."));
    }
    let fallbacks = read_elements(fallbacks, "fallbacks", "an array of objects")?;
    if fallbacks.len() > MAX_FALLBACKS {
        return Err(must_be("fallbacks", &format!("an array of at most {MAX_FALLBACKS} objects")));
    }
    let read = |(i, value): (usize, &str)| {
        let path = format!("fallbacks[{i}]");
        let members = json::members(value).map_err(|_| must_be(&path, "an object"))?;
        if let Some(other) = members.iter().find(|member| member.key != "model") {
            return Err(not_supported(
                &format!("{path}.{}", other.key),
                "; a fallback names a `model` only.",
            ));
        }
        name(members.get("model"), format!("{path}.model"))
    };
    fallbacks.into_iter().enumerate().map(read).collect()
}

/// A limit of 0 only warms the provider's cache.
pub(super) fn read_max_tokens(body: &Members<'_>) -> Result<Option<u64>, Failure> {
    match body.value("max_tokens") {
        Some(value) => {
            let read = json::whole(value).map(Some);
            read.ok_or_else(|| must_be("max_tokens", "a whole number that is not negative"))
        }
        None => Ok(None),
    }
}

fn read_user(body: &Members<'_>) -> Result<Option<String>, Failure> {
    let metadata = read_object(body, "metadata")?.and_then(|metadata| json::members(metadata).ok());
    let user = read_string(body, "user")?;
    Ok(user.or_else(|| metadata.and_then(|it| it.string("user_id").map(|id| id.into_owned()))))
}

fn read_needs(body: &Members<'_>, needs: &mut Needs) -> Result<(), Failure> {
    needs.parameters = fields::parameters(body, PARAMETERS);
    read_object(body, "output_config")?;
    needs.structured_output = format_of(body).is_some();
    if needs.structured_output {
        needs.parameters.push("structured_outputs".to_owned());
    }
    needs.tools = read_tools(body)?;
    Ok(())
}

/// The form that the answer must have: `output_config.format`, or `output_format` of old.
pub(super) fn format_of<'a>(body: &Members<'a>) -> Option<&'a str> {
    let config = body.object("output_config");
    config.and_then(|config| config.value("format")).or_else(|| body.value("output_format"))
}

fn read_tools(body: &Members<'_>) -> Result<bool, Failure> {
    let Some(value) = body.value("tools") else { return Ok(false) };
    let tools = read_elements(value, "tools", "an array of objects")?;
    for (i, tool) in tools.iter().enumerate() {
        let tool = json::members(tool).map_err(|_| must_be(&format!("tools[{i}]"), "an object"))?;
        let own = |kind: &str| kind.starts_with("openrouter:") && !search::is_search(kind);
        if tool.string("type").is_some_and(|kind| own(&kind)) {
            return Err(not_supported(&format!("tools[{i}].type"), " as a server tool."));
        }
    }
    Ok(!tools.is_empty())
}

fn read_system(body: &Members<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    match body.value("system") {
        None => Ok(()),
        Some(value) if value.starts_with('"') => Ok(()),
        Some(value) => read_blocks(value, "system", request),
    }
}

fn read_messages<'a>(
    outlined: &'a Outlined,
    body: &Members<'a>,
    request: &mut ChatRequest,
) -> Result<(), Failure> {
    let mut turns = Vec::new();
    for (i, message) in fields::read_messages(outlined, body)?.into_iter().enumerate() {
        let message = message?;
        read_message(&message, &format!("messages[{i}]"), request)?;
        turns.push(Turn::Object(message));
    }
    request.asks = asks::read(body, body.value("system"), turns)?;
    Ok(())
}

fn read_message(message: &Members<'_>, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    if let Some(key) = message.duplicate(&["role", "content"]) {
        return Err(Failure::invalid(format!("`{path}.{key}` is given more than once.")));
    }
    let role = message.string("role");
    if !role.is_some_and(|role| matches!(role.as_ref(), "user" | "assistant" | "system")) {
        return Err(must_be(&format!("{path}.role"), "one of user, assistant, system"));
    }
    match message.value("content") {
        Some(content) if content.starts_with('"') => Ok(()),
        Some(content) => read_blocks(content, &format!("{path}.content"), request),
        None => Err(must_be(&format!("{path}.content"), "a string or an array of blocks")),
    }
}

fn read_blocks(value: &str, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let blocks = read_objects(value, path, "a string or an array of blocks")?;
    for (i, block) in blocks.into_iter().enumerate() {
        read_block(&block?, &format!("{path}[{i}]"), request)?;
    }
    Ok(())
}

fn read_block(block: &Members<'_>, path: &str, request: &mut ChatRequest) -> Result<(), Failure> {
    let Some(kind) = block.string("type") else {
        return Err(must_be(&format!("{path}.type"), "a string"));
    };
    let (needs, size) = (&mut request.needs, &mut request.size);
    match kind.as_ref() {
        "text" if !block.get("text").is_some_and(|text| text.starts_with('"')) => {
            return Err(must_be(&format!("{path}.text"), "a string"));
        }
        "image" => {
            needs.images = true;
            size.images = size.images.saturating_add(1);
            size.inline_bytes += inline(block);
        }
        "document" => {
            needs.files = true;
            size.files = size.files.saturating_add(1);
            size.inline_bytes += inline(block);
        }
        "tool_result" => {
            if let Some(content) = block.value("content").filter(|content| content.starts_with('[')) {
                read_blocks(content, &format!("{path}.content"), request)?;
            }
        }
        // What else there is only matters to the provider.
        _ => {}
    }
    Ok(())
}

/// The bytes of base64 that a picture or a document carries within.
fn inline(block: &Members<'_>) -> u64 {
    let source = block.object("source").filter(|source| source.string("type").as_deref() == Some("base64"));
    source.and_then(|source| source.get("data")).map_or(0, |data| data.len().saturating_sub(2) as u64)
}
