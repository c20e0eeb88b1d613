//! Settings from the words of Chat Completions into those of the other protocols, and back. What a
//! protocol has no word for is left out of its requests.

use crate::protocol::bridge::Face;
use serde_json::{Map, Value, json};

/// Members that every protocol has under the same name.
const COMMON: [&str; 11] = [
    "model",
    "models",
    "provider",
    "plugins",
    "transforms",
    "route",
    "temperature",
    "top_p",
    "top_k",
    "service_tier",
    "cache_control",
];
/// Members of Chat Completions that Responses has under the same name.
const OF_RESPONSES: [&str; 5] =
    ["frequency_penalty", "presence_penalty", "top_logprobs", "parallel_tool_calls", "reasoning"];
/// Members that only Chat Completions has.
const OF_CHAT: [&str; 22] = [
    "tools",
    "tool_choice",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "min_p",
    "top_a",
    "repetition_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "response_format",
    "structured_outputs",
    "reasoning_effort",
    "include_reasoning",
    "verbosity",
    "prediction",
    "web_search_options",
    "modalities",
    "cache_enabled",
    "cache_ttl_seconds",
    "image_config",
];

/// Members of Chat Completions that the older Completions have as well.
const OF_COMPLETIONS: [&str; 15] = [
    "model",
    "models",
    "provider",
    "route",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "min_p",
    "top_a",
    "repetition_penalty",
    "seed",
    "logit_bias",
];

/// Whether a preset keeps a member of Chat Completions.
pub(super) fn is_setting(name: &str) -> bool {
    COMMON.contains(&name) || OF_RESPONSES.contains(&name) || OF_CHAT.contains(&name)
}

/// A preset's settings in the words of `face`.
pub(super) fn to(face: Face, config: &Map<String, Value>) -> Map<String, Value> {
    match face {
        Face::Messages => to_messages(config),
        Face::Responses => to_responses(config),
        Face::Completions => to_completions(config),
        Face::Embeddings | Face::Rerank => kept(config, |name| ["model", "provider"].contains(&name)),
        Face::Chat | Face::Gemini(_) => config.clone(),
    }
}

/// The settings in a request of `face` in the words of Chat Completions.
pub(super) fn from(face: Face, request: &Map<String, Value>) -> Map<String, Value> {
    match face {
        Face::Messages => from_messages(request),
        Face::Responses => from_responses(request),
        _ => kept(request, is_setting),
    }
}

fn kept(members: &Map<String, Value>, keep: impl Fn(&str) -> bool) -> Map<String, Value> {
    let present = members.iter().filter(|(name, value)| keep(name) && !value.is_null());
    present.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn to_completions(config: &Map<String, Value>) -> Map<String, Value> {
    let mut out = kept(config, |name| OF_COMPLETIONS.contains(&name));
    if let Some(limit) = limit(config) {
        out.insert("max_tokens".to_owned(), limit.clone());
    }
    out
}

fn to_messages(config: &Map<String, Value>) -> Map<String, Value> {
    let mut out = kept(config, |name| COMMON.contains(&name));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    put("max_tokens", limit(config).cloned());
    put(
        "stop_sequences",
        config.get("stop").map(|stop| if stop.is_array() { stop.clone() } else { json!([stop]) }),
    );
    put("tools", config.get("tools").map(|tools| each(tools, tool_of_messages)));
    put("tool_choice", config.get("tool_choice").and_then(choice_of_messages));
    let effort = effort(config);
    put("thinking", thinking(config, effort));
    let mut output = Map::new();
    if let Some(effort) = effort.filter(|effort| *effort != "none") {
        output.insert("effort".to_owned(), effort.into());
    }
    if let Some(schema) =
        config.get("response_format").and_then(|format| format.pointer("/json_schema/schema"))
    {
        output.insert("format".to_owned(), json!({ "type": "json_schema", "schema": schema }));
    }
    put("output_config", (!output.is_empty()).then_some(Value::Object(output)));
    out
}

pub(super) fn limit(config: &Map<String, Value>) -> Option<&Value> {
    config.get("max_tokens").or_else(|| config.get("max_completion_tokens"))
}

pub(super) fn effort(config: &Map<String, Value>) -> Option<&str> {
    let of_reasoning = config.get("reasoning").and_then(|reasoning| reasoning.get("effort"));
    of_reasoning.or_else(|| config.get("reasoning_effort")).and_then(Value::as_str)
}

fn thinking(config: &Map<String, Value>, effort: Option<&str>) -> Option<Value> {
    let reasoning = config.get("reasoning");
    let member = |name: &str| reasoning.and_then(|reasoning| reasoning.get(name));
    if effort == Some("none") || member("enabled") == Some(&Value::Bool(false)) {
        return Some(json!({ "type": "disabled" }));
    }
    match member("max_tokens").filter(|budget| budget.is_u64()) {
        Some(budget) => Some(json!({ "type": "enabled", "budget_tokens": budget })),
        None => (effort.is_some() || member("enabled").is_some()).then(|| json!({ "type": "adaptive" })),
    }
}

fn to_responses(config: &Map<String, Value>) -> Map<String, Value> {
    let mut out = kept(config, |name| COMMON.contains(&name) || OF_RESPONSES.contains(&name));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    };
    put("max_output_tokens", limit(config).cloned());
    put("tools", config.get("tools").map(|tools| each(tools, tool_of_responses)));
    put("tool_choice", config.get("tool_choice").map(choice_of_responses));
    if !config.contains_key("reasoning") {
        put("reasoning", config.get("reasoning_effort").map(|effort| json!({ "effort": effort })));
    }
    let mut text = Map::new();
    if let Some(format) = config.get("response_format") {
        text.insert("format".to_owned(), format_of_responses(format));
    }
    if let Some(verbosity) = config.get("verbosity") {
        text.insert("verbosity".to_owned(), verbosity.clone());
    }
    put("text", (!text.is_empty()).then_some(Value::Object(text)));
    out
}

fn from_messages(request: &Map<String, Value>) -> Map<String, Value> {
    let mut out = kept(request, |name| COMMON.contains(&name) || name == "max_tokens");
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            out.insert(name.to_owned(), value);
        }
    };
    put("stop", request.get("stop_sequences").cloned());
    put("tools", request.get("tools").map(|tools| each(tools, tool_from_messages)));
    put("tool_choice", request.get("tool_choice").and_then(choice_from_messages));
    let output = |name: &str| request.get("output_config").and_then(|output| output.get(name));
    let effort = output("effort");
    put(
        "reasoning",
        match request.get("thinking").and_then(|thinking| thinking.get("type")).and_then(Value::as_str) {
            Some("disabled") => Some(json!({ "enabled": false })),
            Some("enabled") => request
                .get("thinking")
                .and_then(|thinking| thinking.get("budget_tokens"))
                .map(|budget| json!({ "max_tokens": budget })),
            _ => effort.map(|effort| json!({ "effort": effort })),
        },
    );
    let schema =
        output("format").or_else(|| request.get("output_format")).and_then(|format| format.get("schema"));
    put("response_format", schema.map(|schema| {
        json!({ "type": "json_schema", "json_schema": { "name": "reply", "strict": true, "schema": schema } })
    }));
    out
}

fn from_responses(request: &Map<String, Value>) -> Map<String, Value> {
    let mut out = kept(request, |name| COMMON.contains(&name) || OF_RESPONSES.contains(&name));
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|value| !value.is_null()) {
            out.insert(name.to_owned(), value);
        }
    };
    put("max_tokens", request.get("max_output_tokens").cloned());
    put("tools", request.get("tools").map(|tools| each(tools, tool_from_responses)));
    put("tool_choice", request.get("tool_choice").map(choice_from_responses));
    let text = |name: &str| request.get("text").and_then(|text| text.get(name));
    put("response_format", text("format").map(format_from_responses));
    put("verbosity", text("verbosity").cloned());
    out
}

fn each(tools: &Value, change: fn(&Value) -> Value) -> Value {
    tools.as_array().map_or_else(|| tools.clone(), |list| list.iter().map(change).collect())
}

fn is_function(tool: &Value) -> bool {
    tool.get("type").and_then(Value::as_str) == Some("function")
}

fn tool_of_messages(tool: &Value) -> Value {
    let Some(function) = tool.get("function").filter(|_| is_function(tool)) else {
        return tool.clone();
    };
    let mut out = Map::new();
    for (name, from) in [("name", "name"), ("description", "description"), ("input_schema", "parameters")] {
        if let Some(value) = function.get(from) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    out.entry("input_schema").or_insert_with(|| json!({ "type": "object" }));
    Value::Object(out)
}

fn tool_from_messages(tool: &Value) -> Value {
    let own = matches!(tool.get("type").and_then(Value::as_str), None | Some("custom"));
    let Some(name) = tool.get("name").filter(|_| own) else {
        return tool.clone();
    };
    let mut function = json!({ "name": name });
    for (into, from) in [("description", "description"), ("parameters", "input_schema")] {
        if let Some(value) = tool.get(from) {
            function[into] = value.clone();
        }
    }
    json!({ "type": "function", "function": function })
}

/// The function's members stand beside the type.
fn tool_of_responses(tool: &Value) -> Value {
    let Some(Value::Object(function)) = tool.get("function").filter(|_| is_function(tool)) else {
        return tool.clone();
    };
    let mut out = function.clone();
    out.insert("type".to_owned(), "function".into());
    Value::Object(out)
}

fn tool_from_responses(tool: &Value) -> Value {
    match tool {
        Value::Object(members) if is_function(tool) && !members.contains_key("function") => {
            let mut function = members.clone();
            function.remove("type");
            json!({ "type": "function", "function": function })
        }
        _ => tool.clone(),
    }
}

fn choice_of_messages(choice: &Value) -> Option<Value> {
    match choice.as_str() {
        Some("auto") => Some(json!({ "type": "auto" })),
        Some("none") => Some(json!({ "type": "none" })),
        Some("required") => Some(json!({ "type": "any" })),
        Some(_) => None,
        None => choice.pointer("/function/name").map(|name| json!({ "type": "tool", "name": name })),
    }
}

fn choice_from_messages(choice: &Value) -> Option<Value> {
    match choice.get("type")?.as_str()? {
        "any" => Some("required".into()),
        "tool" => Some(json!({ "type": "function", "function": { "name": choice.get("name")? } })),
        word @ ("auto" | "none") => Some(word.into()),
        _ => None,
    }
}

fn choice_of_responses(choice: &Value) -> Value {
    choice
        .pointer("/function/name")
        .map_or_else(|| choice.clone(), |name| json!({ "type": "function", "name": name }))
}

fn choice_from_responses(choice: &Value) -> Value {
    match choice.get("name").filter(|_| is_function(choice)) {
        Some(name) => json!({ "type": "function", "function": { "name": name } }),
        None => choice.clone(),
    }
}

/// A schema's members stand beside the type.
fn format_of_responses(format: &Value) -> Value {
    let Some(Value::Object(schema)) = format.get("json_schema") else {
        return format.clone();
    };
    let mut out = schema.clone();
    out.insert("type".to_owned(), "json_schema".into());
    Value::Object(out)
}

fn format_from_responses(format: &Value) -> Value {
    match format {
        Value::Object(members) if format["type"] == "json_schema" => {
            let mut schema = members.clone();
            schema.remove("type");
            json!({ "type": "json_schema", "json_schema": schema })
        }
        _ => format.clone(),
    }
}
