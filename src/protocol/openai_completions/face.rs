//! A client's request for a completion: what routing and pricing have to know of it, read from the
//! body without taking the body apart.

use crate::chat::{ChatRequest, Needs, RequestSize};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::asks;
use crate::protocol::fields::{
    self, must_be, read_boolean, read_elements, read_limit, read_object, read_session_id, read_string,
    read_strings,
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
    "suffix",
    "echo",
    "best_of",
    "n",
    "logprobs",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "reasoning",
    "include_reasoning",
    "usage",
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
    ("stop", "stop"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("reasoning", "reasoning"),
];

/// OpenAI's own bound.
const MAX_CHOICES: u64 = 128;
const PROMPT: &str = "a string, an array of strings, or an array of token ids or of such arrays";

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the prompt.
pub fn read_request(outlined: &Outlined) -> Result<ChatRequest, Failure> {
    let body = read_members(outlined)?;
    refuse_unsupported(&body)?;
    let prompts = count_prompts(&body)?;
    let mut request = ChatRequest {
        model: read_string(&body, "model")?.filter(|model| !model.is_empty()),
        models: read_strings(&body, "models")?,
        stream: read_boolean(&body, "stream")?.unwrap_or(false),
        hide_reasoning: false,
        max_tokens: read_max_tokens(&body)?,
        provider: read_object(&body, "provider")?.map(str::to_owned),
        needs: Needs::default(),
        size: RequestSize { text_bytes: outlined.bytes().len() as u64, ..RequestSize::default() },
        user: read_string(&body, "user")?,
        session_id: read_session_id(&body)?,
        asks: asks::read(&body, None, Vec::new())?,
    };
    for name in ["stream_options", "usage", "reasoning"] {
        read_object(&body, name)?;
    }
    // The provider bills every candidate of `best_of`, also those that it throws away.
    let each = read_choices(&body, "n")?.max(read_choices(&body, "best_of")?);
    request.size.choices = each.saturating_mul(prompts);
    request.size.max_tokens = request.max_tokens;
    request.needs.parameters = fields::parameters(&body, PARAMETERS);
    search::note(&body, &mut request)?;
    Ok(request)
}

pub(super) fn read_members(body: &Outlined) -> Result<Members<'_>, Failure> {
    fields::read_members(body, READ)
}

/// Refuses what would change the reply if the gateway did it, and that it does not do.
fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    if body.value("messages").is_some() {
        return Err(Failure::invalid("`messages` is not supported on completions; send `prompt`."));
    }
    let hollow = |value: &str| matches!(value, "\"\"" | "[]" | "[ ]");
    for name in ["plugins", "transforms", "preset", "tools"] {
        if body.value(name).is_some_and(|value| !hollow(value)) {
            return Err(Failure::invalid(format!("`{name}` is not supported on completions.")));
        }
    }
    if read_string(body, "route")?.is_some_and(|route| route != "fallback") {
        return Err(Failure::invalid(
            "`route` is not supported, except for \"fallback\"; use `provider.sort`.",
        ));
    }
    Ok(())
}

/// How many prompts there are, each of which gets its own choices.
fn count_prompts(body: &Members<'_>) -> Result<u32, Failure> {
    let missing = || Failure::invalid(format!("`prompt` is missing: it must be {PROMPT}."));
    let prompt = body.value("prompt").ok_or_else(missing)?;
    if prompt.starts_with('"') {
        return Ok(1);
    }
    let prompts = read_elements(prompt, "prompt", PROMPT)?;
    let Some(first) = prompts.first() else { return Err(must_be("prompt", "not empty")) };
    let token = |value: &str| json::whole(value).is_some();
    let tokens = |value: &str| json::elements(value).is_ok_and(|list| list.iter().all(|one| token(one)));
    let (fits, count): (fn(&str) -> bool, usize) = match first.as_bytes()[0] {
        b'"' => (|value| value.starts_with('"'), prompts.len()),
        b'[' => (|_| true, prompts.len()),
        _ => (|value| json::whole(value).is_some(), 1),
    };
    let lists = first.starts_with('[');
    match prompts.iter().position(|value| !fits(value) || lists && !tokens(value)) {
        Some(position) => Err(must_be(&format!("prompt[{position}]"), "of the same kind as the first")),
        None => Ok(count as u32),
    }
}

/// The smaller of the two limits that may be sent.
pub(super) fn read_max_tokens(body: &Members<'_>) -> Result<Option<u64>, Failure> {
    let read = |key: &str| match body.value(key) {
        // With `echo` no more than the prompt may be wanted.
        Some("0") if body.get("echo") == Some("true") => Ok(Some(0)),
        Some(_) | None => read_limit(body, key),
    };
    let limits = [read("max_tokens")?, read("max_completion_tokens")?];
    Ok(limits.into_iter().flatten().min())
}

pub(super) fn read_choices(body: &Members<'_>, key: &str) -> Result<u32, Failure> {
    let Some(value) = body.value(key) else { return Ok(1) };
    match json::whole(value).filter(|n| (1..=MAX_CHOICES).contains(n)) {
        Some(n) => Ok(n as u32),
        None => Err(must_be(key, &format!("a whole number from 1 to {MAX_CHOICES}"))),
    }
}
