//! Presets under Gemini's requests, whose model stands in the path and whose settings are members of
//! `generationConfig`.

use super::apply::{MARK, named};
use super::{Preset, translate};
use crate::error::Failure;
use crate::json::{self, Edit, Members, Outlined};
use serde_json::{Map, Value, json};

/// Members of `generationConfig`, each with its name in Chat Completions.
const SETTINGS: [(&str, &str); 9] = [
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("topK", "top_k"),
    ("frequencyPenalty", "frequency_penalty"),
    ("presencePenalty", "presence_penalty"),
    ("seed", "seed"),
    ("responseLogprobs", "logprobs"),
    ("logprobs", "top_logprobs"),
    ("stopSequences", "stop"),
];

/// The slug of the preset that a request to `model` names, in its path or by `"preset": "slug"`.
pub fn wanted_of_path(model: &str, body: &Outlined) -> Result<Option<String>, Failure> {
    let by_model = model.split_once(MARK).map(|(_, slug)| slug.to_owned());
    match body.object() {
        Some(members) => named(by_model, &members),
        None => Ok(None),
    }
}

/// The model and the request with what they leave out.
pub fn apply_by_path(model: &str, body: &[u8], preset: &Preset) -> Result<(String, Vec<u8>), Failure> {
    let text = std::str::from_utf8(body).map_err(|_| Failure::invalid("The body is not UTF-8"))?;
    let members = json::members(text).map_err(|error| Failure::invalid(error.to_string()))?;
    let own = model.split_once(MARK).map_or(model, |(own, _)| own);
    let kept = || preset.config.get("model").or_else(|| preset.config.get("models")?.get(0))?.as_str();
    let model = Some(own).filter(|own| !own.is_empty()).or_else(kept);
    let model = model.ok_or_else(|| {
        Failure::invalid("The preset names no model: ask for one with <model>@preset/<name>")
    })?;
    let mut more = Vec::new();
    let mut add = |names: &[&str], value: Option<Value>| {
        if let Some(value) = value.filter(|_| names.iter().all(|name| members.value(name).is_none())) {
            more.push(format!("{}:{value}", json::quote(names[0])));
        }
    };
    let prompt = preset.system_prompt.as_deref();
    add(&["provider"], preset.config.get("provider").cloned());
    add(&["tools"], preset.config.get("tools").and_then(tools));
    add(&["toolConfig", "tool_config"], preset.config.get("tool_choice").and_then(choice));
    add(
        &["systemInstruction", "system_instruction"],
        prompt.map(|prompt| json!({ "parts": [{ "text": prompt }] })),
    );
    let settings = settings(&preset.config, &members);
    let added = |name: &str| more.iter().any(|member| member.starts_with(&format!("{}:", json::quote(name))));
    let edit = |member: &json::Member<'_>| match &*member.key {
        "preset" => Edit::Drop,
        "generationConfig" | "generation_config" => Edit::Drop,
        name if added(name) => Edit::Drop,
        _ => Edit::Keep,
    };
    let config = (!settings.is_empty()).then(|| format!("\"generationConfig\":{}", Value::Object(settings)));
    let all: Vec<String> = more.iter().cloned().chain(config).collect();
    Ok((model.to_owned(), members.edit(edit, &all).into_bytes()))
}

/// The request's `generationConfig` with what it leaves out.
fn settings(config: &Map<String, Value>, request: &Members<'_>) -> Map<String, Value> {
    let sent = request.value("generationConfig").or_else(|| request.value("generation_config"));
    let mut settings: Map<String, Value> =
        sent.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            settings.entry(name.to_owned()).or_insert(value);
        }
    };
    for (name, in_chat) in SETTINGS {
        let list = |value: &Value| if value.is_string() { json!([value]) } else { value.clone() };
        put(
            name,
            config
                .get(in_chat)
                .map(|value| if name == "stopSequences" { list(value) } else { value.clone() }),
        );
    }
    put("maxOutputTokens", translate::limit(config).cloned());
    put("thinkingConfig", thinking(config));
    let schema = config.get("response_format").and_then(|format| format.pointer("/json_schema/schema"));
    if config.get("response_format").is_some_and(|format| format["type"] != "text") {
        put("responseMimeType", Some("application/json".into()));
    }
    put("responseJsonSchema", schema.cloned());
    settings
}

fn thinking(config: &Map<String, Value>) -> Option<Value> {
    let effort = translate::effort(config);
    let budget = config.get("reasoning").and_then(|reasoning| reasoning.get("max_tokens"));
    match (effort, budget) {
        (Some("none"), _) => Some(json!({ "thinkingBudget": 0 })),
        (_, Some(budget)) => Some(json!({ "thinkingBudget": budget })),
        // Google's levels are OpenAI's efforts, but for the extremes.
        (Some(effort @ ("minimal" | "low" | "medium" | "high")), None) => {
            Some(json!({ "thinkingLevel": effort }))
        }
        (Some("xhigh" | "max"), None) => Some(json!({ "thinkingLevel": "high" })),
        (Some(_) | None, None) => None,
    }
}

/// Functions; what else there is has no words here.
fn tools(tools: &Value) -> Option<Value> {
    let function = |tool: &Value| {
        let function = tool.get("function")?;
        let mut out = json!({ "name": function.get("name")? });
        for (into, from) in [("description", "description"), ("parametersJsonSchema", "parameters")] {
            if let Some(value) = function.get(from) {
                out[into] = value.clone();
            }
        }
        Some(out)
    };
    let functions: Vec<Value> = tools.as_array()?.iter().filter_map(function).collect();
    (!functions.is_empty()).then(|| json!([{ "functionDeclarations": functions }]))
}

fn choice(choice: &Value) -> Option<Value> {
    let calling = match choice.as_str() {
        Some("auto") => json!({ "mode": "AUTO" }),
        Some("none") => json!({ "mode": "NONE" }),
        Some("required") => json!({ "mode": "ANY" }),
        Some(_) => return None,
        None => json!({ "mode": "ANY", "allowedFunctionNames": [choice.pointer("/function/name")?] }),
    };
    Some(json!({ "functionCallingConfig": calling }))
}
