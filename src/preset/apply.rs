//! Lays a preset under a request: what the request leaves out is added behind it, byte by byte the
//! rest stays as it came.

use super::{Preset, is_slug, not_found, translate};
use crate::error::Failure;
use crate::json::{self, Edit, Members, Outlined};
use crate::protocol::bridge::Face;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

pub(super) const MARK: &str = "@preset/";
/// Names for one thing: whichever of them a request has, the preset's stays out.
const SAME: [&[&str]; 3] = [
    &["max_tokens", "max_completion_tokens"],
    &["reasoning", "reasoning_effort"],
    &["thinking", "output_config"],
];

/// The slug of the preset that a request names: `"model": "@preset/slug"`, `"author/model@preset/slug"`
/// or `"preset": "slug"`. `None`, without a second look, for a request that names none.
pub fn wanted(body: &Outlined) -> Result<Option<String>, Failure> {
    // What is no object is refused by the protocol's own reader, in its words.
    let Some(members) = body.object() else { return Ok(None) };
    let by_model = members.string("model").and_then(|model| Some(model.split_once(MARK)?.1.to_owned()));
    named(by_model, &members)
}

/// The slug in the model's name, or by `"preset": "slug"`.
pub(super) fn named(by_model: Option<String>, members: &Members<'_>) -> Result<Option<String>, Failure> {
    let by_name = match members.value("preset") {
        None | Some("\"\"") => None,
        Some(value) => {
            let name = json::string(value).ok_or_else(|| Failure::invalid("`preset` must be a string"))?;
            Some(name.strip_prefix(MARK).unwrap_or(&name).to_owned())
        }
    };
    let slug = match (by_model, by_name) {
        (None, None) => return Ok(None),
        (Some(one), Some(other)) if one != other => {
            return Err(Failure::invalid("`model` and `preset` name two presets"));
        }
        (Some(slug), _) | (None, Some(slug)) => slug,
    };
    if is_slug(&slug) { Ok(Some(slug)) } else { Err(not_found(&slug)) }
}

/// The request with what it leaves out. It must be one for which [`wanted`] named this preset.
pub fn apply(face: Face, body: &[u8], preset: &Preset) -> Result<Vec<u8>, Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::invalid("The body is not UTF-8"))?;
    let members = json::members(text).map_err(|error| Failure::invalid(error.to_string()))?;
    let mut settings = translate::to(face, &preset.config);
    let model = own_model(&members);
    if model.is_some() {
        settings.remove("model");
    } else if !settings.contains_key("model")
        && !settings.contains_key("models")
        && members.value("models").is_none()
    {
        return Err(Failure::invalid("The preset names no model: ask for one with <model>@preset/<name>"));
    }
    settings.retain(|name, _| name == "tools" || !is_sent(&members, name));
    let tools = settings.remove("tools").map(|tools| unite(&tools, members.value("tools")));
    let prompt = preset.system_prompt.as_deref().filter(|_| !has_prompt(face, &members));
    let mut more: Vec<String> =
        settings.iter().map(|(name, value)| member(name, &value.to_string())).collect();
    more.extend(tools.map(|tools| member("tools", &tools)));
    if let (Some(prompt), Some(name)) = (prompt, prompt_member(face)) {
        more.push(member(name, &json::quote(prompt)));
    }
    let edit = |one: &json::Member<'_>| match &*one.key {
        "preset" => Edit::Drop,
        "model" => model.as_ref().map_or(Edit::Drop, |model| Edit::Value(json::quote(model))),
        "messages" if face == Face::Chat => match prompt {
            Some(prompt) => with_system_message(one.value, prompt).map_or(Edit::Keep, Edit::Value),
            None => Edit::Keep,
        },
        // A null leaves a member out.
        name if is_added(&more, name) => Edit::Drop,
        _ => Edit::Keep,
    };
    Ok(members.edit(edit, &more).into_bytes())
}

/// The model that the request itself asks for.
fn own_model(members: &Members<'_>) -> Option<String> {
    let model = members.string("model")?;
    let own = model.split_once(MARK).map_or(&*model, |(own, _)| own);
    (!own.is_empty()).then(|| own.to_owned())
}

fn is_sent(members: &Members<'_>, name: &str) -> bool {
    // `model` is looked at apart: it may name the preset alone.
    let same = SAME.iter().find(|names| names.contains(&name));
    match same {
        Some(names) => names.iter().any(|name| members.value(name).is_some()),
        None => name != "model" && members.value(name).is_some(),
    }
}

fn is_added(more: &[String], name: &str) -> bool {
    let start = format!("{}:", json::quote(name));
    more.iter().any(|member| member.starts_with(&start))
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", json::quote(name))
}

/// The preset's tools, then the request's. One that both have is the request's, in the preset's
/// place.
fn unite(of_preset: &Value, of_request: Option<&str>) -> String {
    let sent = of_request.and_then(|tools| json::elements(tools).ok()).unwrap_or_default();
    let mut by_name: BTreeMap<String, usize> =
        sent.iter().enumerate().map(|(place, tool)| (identity(tool), place)).collect();
    let mut out: Vec<String> = Vec::new();
    for tool in of_preset.as_array().into_iter().flatten().map(Value::to_string) {
        out.push(by_name.remove(&identity(&tool)).map_or(tool, |place| sent[place].to_owned()));
    }
    // Those left, in the order of the request; of two of one name both stay, for others to judge.
    let left = sent.iter().filter(|tool| by_name.contains_key(&identity(tool)));
    out.extend(left.map(|tool| (*tool).to_owned()));
    format!("[{}]", out.join(","))
}

/// What makes two tools the same: the name of a function; type and name of helpers of which there
/// may be several; else the type.
fn identity(tool: &str) -> String {
    let tool: Map<String, Value> = serde_json::from_str(tool).unwrap_or_default();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let name =
        text(tool.get("function").and_then(|function| function.get("name")).or_else(|| tool.get("name")));
    match text(tool.get("type")).as_str() {
        "" | "function" | "custom" => format!("function {name}"),
        kind if kind.ends_with("advisor") || kind.ends_with("subagent") => format!("{kind} {name}"),
        kind => kind.to_owned(),
    }
}

/// Where a request of `face` says what the model is to be, but for messages.
fn prompt_member(face: Face) -> Option<&'static str> {
    match face {
        Face::Messages => Some("system"),
        Face::Responses => Some("instructions"),
        _ => None,
    }
}

fn has_prompt(face: Face, members: &Members<'_>) -> bool {
    match prompt_member(face) {
        Some(name) => members.value(name).is_some(),
        None => members.array("messages").unwrap_or_default().into_iter().any(is_prompt),
    }
}

fn is_prompt(message: &str) -> bool {
    let role =
        json::members(message).ok().and_then(|message| message.string("role").map(|role| role.into_owned()));
    matches!(role.as_deref(), Some("system" | "developer"))
}

/// The list of messages with one more in front; `None` if it is no list.
fn with_system_message(messages: &str, prompt: &str) -> Option<String> {
    let rest = messages.strip_prefix('[')?;
    let first = format!(r#"{{"role":"system","content":{}}}"#, json::quote(prompt));
    let comma = if rest.trim_start().starts_with(']') { "" } else { "," };
    Some(format!("[{first}{comma}{rest}"))
}
