//! Reading the members of a client's request, each of the type that it must be, and the words for
//! the client where it is not. What the members mean is for the faces to know.

use crate::bytes;
use crate::chat::conversation::{Effort, Reasoning};
use crate::error::Failure;
use crate::json::{self, JsonError, Members, Outlined};

const MAX_SESSION_ID: usize = 256;

pub fn read_text(body: &[u8]) -> Result<&str, Failure> {
    let text = bytes::utf8(body).map_or_else(|| std::str::from_utf8(body), Ok);
    text.map_err(|error| {
        let position = error.valid_up_to();
        Failure::invalid(format!("The request body is not valid UTF-8 (at byte {position})."))
    })
}

/// The members of a request that its face has accepted.
pub fn accepted(body: &Outlined) -> Members<'_> {
    body.members().unwrap_or_else(|| accepted_bytes(body.bytes()))
}

/// The same of a request that was not outlined.
pub fn accepted_bytes(body: &[u8]) -> Members<'_> {
    let text = bytes::utf8(body).expect("the request was read as UTF-8");
    json::members(text).expect("the request was read as an object")
}

/// The members of a request, of which none of `once` is there twice.
pub fn read_members<'a>(body: &'a Outlined, once: &'static [&'static str]) -> Result<Members<'a>, Failure> {
    match body.members() {
        Some(members) => given_once(members, once),
        None => read_text_members(read_text(body.bytes())?, once),
    }
}

/// The same of a request that was not outlined.
pub fn read_text_members<'a>(text: &'a str, once: &'static [&'static str]) -> Result<Members<'a>, Failure> {
    given_once(json::members(text).map_err(not_json)?, once)
}

fn given_once<'a>(body: Members<'a>, once: &'static [&'static str]) -> Result<Members<'a>, Failure> {
    match body.duplicate(once) {
        Some(key) => Err(Failure::invalid(format!("`{key}` is given more than once."))),
        None => Ok(body),
    }
}

pub fn not_json(error: JsonError) -> Failure {
    Failure::invalid(format!("The request body is not a valid JSON object: {error}."))
}

pub fn must_be(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}` must be {what}."))
}

/// `remedy` is the rest of the sentence, its full stop included.
pub fn not_supported(path: &str, remedy: &str) -> Failure {
    Failure::invalid(format!("`{path}` is not supported by this gateway{remedy}"))
}

pub fn read_string(body: &Members<'_>, key: &str) -> Result<Option<String>, Failure> {
    match body.value(key) {
        Some(value) => match json::string(value) {
            Some(text) => Ok(Some(text.into_owned())),
            None => Err(must_be(key, "a string")),
        },
        None => Ok(None),
    }
}

/// Members that speak to OpenRouter's gateway, and that this one does not heed: the losses of
/// those that are given. `names` are those that the face knows.
pub fn unheeded(body: &Members<'_>, names: &[&str]) -> Vec<String> {
    let why = |name: &str| match name {
        "max_tool_calls" => "the gateway runs no tools, so there are none to limit",
        "user" => "Anthropic takes it as `metadata.user_id`",
        "trace" => "the gateway hands on no traces",
        _ => "not done by this gateway",
    };
    let given = names.iter().filter(|name| body.value(name).is_some_and(|value| !is_hollow(value)));
    given.map(|name| format!("{name}: {}", why(name))).collect()
}

/// Whether a value says nothing.
pub fn is_hollow(value: &str) -> bool {
    let empty = || json::elements(value).is_ok_and(|elements| elements.is_empty());
    matches!(value, "null" | "false" | "{}" | "\"\"") || empty()
}

/// Adds the members of an object at `path` that say something and are not `known`.
pub fn note_others(object: &Members<'_>, path: &str, known: &[&str], unspoken: &mut Vec<String>) {
    let others = object.iter().filter(|member| !known.contains(&member.key.as_ref()));
    let others = others.filter(|member| !is_hollow(member.value));
    let dot = if path.is_empty() { "" } else { "." };
    unspoken.extend(others.map(|member| format!("{path}{dot}{}", member.key)));
}

/// Adds what `stream_options` asks for besides usage, which is always told.
pub fn note_stream_options(body: &Members<'_>, unspoken: &mut Vec<String>) {
    if let Some(options) = body.object("stream_options") {
        note_others(&options, "stream_options", &["include_usage"], unspoken);
    }
}

/// The names that a face has for how the model is to think; more of them are unspoken.
const REASONING: &[&str] = &["effort", "max_tokens", "enabled", "exclude", "summary"];

/// OpenRouter's `reasoning`, or its older `include_reasoning`; `None` where nothing is asked for.
pub fn read_reasoning(body: &Members<'_>, unspoken: &mut Vec<String>) -> Result<Option<Reasoning>, Failure> {
    let include = read_boolean(body, "include_reasoning")?;
    let mut reasoning = Reasoning { exclude: include == Some(false), ..Reasoning::default() };
    if let Some(raw) = read_object(body, "reasoning")? {
        let own = json::members(raw).map_err(|_| must_be("reasoning", "an object"))?;
        reasoning = Reasoning {
            effort: read_effort(&own, "effort", "reasoning.effort")?,
            max_tokens: match own.value("max_tokens") {
                Some(value) => match json::whole(value) {
                    Some(limit) => Some(limit),
                    None => return Err(must_be("reasoning.max_tokens", "a whole number")),
                },
                None => None,
            },
            enabled: own.get("enabled").and_then(json::boolean),
            exclude: reasoning.exclude || own.get("exclude").and_then(json::boolean) == Some(true),
            summary: own.string("summary").map(|summary| summary.into_owned()),
        };
        note_others(&own, "reasoning", REASONING, unspoken);
    }
    Ok(Some(reasoning).filter(|reasoning| *reasoning != Reasoning::default()))
}

/// An effort by OpenRouter's and OpenAI's names.
pub fn read_effort(object: &Members<'_>, key: &str, path: &str) -> Result<Option<Effort>, Failure> {
    // Groq's `default` is as good as no word.
    let value = object.value(key).filter(|value| *value != "\"default\"");
    let Some(value) = value else { return Ok(None) };
    let effort = json::string(value).and_then(|name| Effort::parse(&name));
    let names = || Effort::ALL.map(Effort::name).join(", ");
    effort.map(Some).ok_or_else(|| must_be(path, &format!("one of {}", names())))
}

/// OpenRouter's bound on the name of a session.
pub fn read_session_id(body: &Members<'_>) -> Result<Option<String>, Failure> {
    let id = read_string(body, "session_id")?;
    match id.as_ref().is_some_and(|id| id.chars().count() > MAX_SESSION_ID) {
        true => Err(Failure::invalid(format!("`session_id` is longer than {MAX_SESSION_ID} characters."))),
        false => Ok(id),
    }
}

pub fn read_strings(body: &Members<'_>, key: &str) -> Result<Vec<String>, Failure> {
    read_strings_of(body, key, "an array of strings")
}

/// As [`read_strings`]; `what` are the words for a member that is no array.
pub fn read_strings_of(body: &Members<'_>, key: &str, what: &str) -> Result<Vec<String>, Failure> {
    let Some(value) = body.value(key) else { return Ok(Vec::new()) };
    let read = |(position, element)| match json::string(element) {
        Some(text) if !text.is_empty() => Ok(text.into_owned()),
        Some(_) | None => Err(must_be(&format!("{key}[{position}]"), "a string that is not empty")),
    };
    read_elements(value, key, what)?.into_iter().enumerate().map(read).collect()
}

/// Objects of an array, in turn; instead of what is none, what to tell the client.
pub type Objects<'a> = Vec<Result<Members<'a>, Failure>>;

/// The objects of the array that `value` must be, at `path`.
pub fn read_objects<'a>(value: &'a str, path: &str, what: &str) -> Result<Objects<'a>, Failure> {
    if let Some(objects) = json::objects(value) {
        return Ok(objects.into_iter().map(Ok).collect());
    }
    let read = |(position, raw): (usize, &'a str)| {
        json::members(raw).map_err(|_| must_be(&format!("{path}[{position}]"), "an object"))
    };
    Ok(read_elements(value, path, what)?.into_iter().enumerate().map(read).collect())
}

/// The elements of an array, which may be too many to take apart.
pub fn read_elements<'a>(value: &'a str, path: &str, what: &str) -> Result<Vec<&'a str>, Failure> {
    if !value.starts_with('[') {
        return Err(must_be(path, what));
    }
    json::elements(value).map_err(|error| Failure::invalid(format!("`{path}` has {}.", error.message)))
}

pub fn read_boolean(body: &Members<'_>, key: &str) -> Result<Option<bool>, Failure> {
    match body.value(key) {
        Some(value) => json::boolean(value).map(Some).ok_or_else(|| must_be(key, "a boolean")),
        None => Ok(None),
    }
}

/// The JSON text of an object.
pub fn read_object<'a>(body: &Members<'a>, key: &str) -> Result<Option<&'a str>, Failure> {
    match body.value(key) {
        Some(value) if value.starts_with('{') => Ok(Some(value)),
        Some(_) => Err(must_be(key, "an object")),
        None => Ok(None),
    }
}

/// A count of which there is at least one.
pub fn read_limit(body: &Members<'_>, key: &str) -> Result<Option<u64>, Failure> {
    match body.value(key) {
        Some(value) => match json::whole(value).filter(|limit| *limit > 0) {
            Some(limit) => Ok(Some(limit)),
            None => Err(must_be(key, "a whole number, at least 1")),
        },
        None => Ok(None),
    }
}

/// The JSON text of a number, with the client's digits.
pub fn read_number(body: &Members<'_>, key: &str) -> Result<Option<String>, Failure> {
    match body.value(key) {
        Some(value) if value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
            Ok(Some(value.to_owned()))
        }
        Some(_) => Err(must_be(key, "a number")),
        None => Ok(None),
    }
}

/// The messages of a conversation, of which there is at least one.
pub fn read_messages<'a>(body: &'a Outlined, members: &Members<'a>) -> Result<Objects<'a>, Failure> {
    const WHAT: &str = "an array of messages that is not empty";
    let Some(value) = members.value("messages") else {
        return Err(Failure::invalid("`messages` is missing: it must be an array that is not empty."));
    };
    let messages = match body.objects("messages") {
        Some(messages) => messages.into_iter().map(Ok).collect(),
        None => read_objects(value, "messages", WHAT)?,
    };
    if messages.is_empty() { Err(must_be("messages", WHAT)) } else { Ok(messages) }
}

/// The optional parameters that a request has, each once. `known` are the client's names of them,
/// each with the name in `supported_parameters`.
pub fn parameters(body: &Members<'_>, known: &[(&str, &str)]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (key, parameter) in known {
        if body.value(key).is_some() && !found.iter().any(|other| other == parameter) {
            found.push((*parameter).to_owned());
        }
    }
    found
}
