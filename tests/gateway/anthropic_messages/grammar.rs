//! The grammar of the Messages API, checked strictly and without the code under test.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

type Checked = Result<(), String>;

const STOP_REASONS: &[&str] = &[
    "end_turn",
    "max_tokens",
    "model_context_window_exceeded",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "compaction",
];

const DELTA_USAGE: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens_details",
    "server_tool_use",
];

/// Checks a stream as a client gets it, whether it ends well or with an error.
pub fn check_stream(bytes: &[u8]) -> Checked {
    let mut state = Stream::default();
    for (event, data) in frames(bytes)? {
        let value: Value = serde_json::from_str(&data).map_err(|error| format!("{error}: {data}"))?;
        if value["type"] != event.as_str() {
            return Err(format!("event {event} carries {}", value["type"]));
        }
        state.step(&event, &value).map_err(|why| format!("{why}: {data}"))?;
    }
    match (state.stopped, state.failed) {
        (true, false) | (false, true) => Ok(()),
        _ => Err("neither message_stop nor error ended it".to_owned()),
    }
}

/// The frames: exactly one `event:` and one `data:` line each, and a blank line behind.
pub fn frames(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let Some(text) = text.strip_suffix("\n\n") else {
        return if text.is_empty() { Ok(Vec::new()) } else { Err("the last frame is open".to_owned()) };
    };
    let frame = |frame: &str| {
        let (event, data) = frame.split_once('\n').ok_or_else(|| format!("one line: {frame}"))?;
        let event = event.strip_prefix("event: ").ok_or_else(|| format!("no event: {frame}"))?;
        let data = data.strip_prefix("data: ").ok_or_else(|| format!("no data: {frame}"))?;
        if data.contains('\n') {
            Err(format!("more lines: {frame}"))
        } else {
            Ok((event.into(), data.into()))
        }
    };
    text.split("\n\n").map(frame).collect()
}

#[derive(Default)]
struct Stream {
    started: bool,
    next: u64,
    open: Option<(u64, String, String)>,
    signed: bool,
    tools: u64,
    ended: bool,
    stopped: bool,
    failed: bool,
}

/// The blocks that come in pieces, and in which.
const KNOWN_BLOCKS: &[&str] = &["text", "thinking", "redacted_thinking", "tool_use"];

impl Stream {
    fn step(&mut self, event: &str, value: &Value) -> Checked {
        if self.stopped || self.failed {
            return Err("something follows the end".to_owned());
        }
        if !self.started && !matches!(event, "message_start" | "ping" | "error") {
            return Err("message_start is not first".to_owned());
        }
        if self.ended && !matches!(event, "message_stop" | "ping" | "error") {
            return Err("only message_stop follows message_delta".to_owned());
        }
        match event {
            "message_start" => self.start(value),
            "content_block_start" => self.open(value),
            "content_block_delta" => self.delta(value),
            "content_block_stop" => self.close(value),
            "message_delta" => self.end(value),
            "message_stop" => {
                self.stopped = true;
                if self.ended { Ok(()) } else { Err("no message_delta".to_owned()) }
            }
            "ping" => Ok(()),
            "error" => {
                self.failed = true;
                check_error(value)
            }
            // Anthropic adds kinds of events without a new version, and clients read past them.
            new if value["type"] == new => Ok(()),
            _ => Err("unknown event".to_owned()),
        }
    }

    fn start(&mut self, value: &Value) -> Checked {
        if std::mem::replace(&mut self.started, true) {
            return Err("a second message_start".to_owned());
        }
        let message = object(&value["message"])?;
        check_message(message)?;
        let empty = message["content"].as_array().is_some_and(Vec::is_empty);
        if empty && message["stop_reason"].is_null() { Ok(()) } else { Err("not an opening".to_owned()) }
    }

    fn open(&mut self, value: &Value) -> Checked {
        if self.open.is_some() || value["index"] != self.next {
            return Err("a block within another, or out of turn".to_owned());
        }
        let block = &value["content_block"];
        check_block(block)?;
        let kind = block["type"].as_str().unwrap_or_default().to_owned();
        if kind == "tool_use" {
            self.tools += 1;
            if block["input"] != serde_json::json!({}) {
                return Err("input is not empty".to_owned());
            }
        }
        self.signed = false;
        self.open = Some((self.next, kind, String::new()));
        Ok(())
    }

    fn delta(&mut self, value: &Value) -> Checked {
        let Some((index, kind, json)) = &mut self.open else { return Err("no block is open".to_owned()) };
        if value["index"] != *index {
            return Err("of another block".to_owned());
        }
        let delta = &value["delta"];
        let (member, block) = match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => ("text", "text"),
            "thinking_delta" => ("thinking", "thinking"),
            "signature_delta" => ("signature", "thinking"),
            "input_json_delta" => ("partial_json", "tool_use"),
            "citations_delta" => ("citation", "text"),
            "compaction_delta" => return Ok(()),
            // So are deltas of blocks that are new.
            _ if !KNOWN_BLOCKS.contains(&kind.as_str()) => return Ok(()),
            _ => return Err("unknown delta".to_owned()),
        };
        if kind != block && !kind.ends_with("tool_use") {
            return Err(format!("a delta of {block} in {kind}"));
        }
        match member {
            "citation" => {
                object(&delta["citation"])?;
            }
            "partial_json" => json.push_str(string(delta, "partial_json")?),
            "signature" => {
                let twice = std::mem::replace(&mut self.signed, true);
                if twice || string(delta, "signature")?.is_empty() {
                    return Err("signed twice or with nothing".to_owned());
                }
            }
            "thinking" if self.signed => return Err("thinking behind its signature".to_owned()),
            member => {
                string(delta, member)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, value: &Value) -> Checked {
        let Some((index, ..)) = self.open.take() else { return Err("no block is open".to_owned()) };
        if value["index"] != index {
            return Err("of another block".to_owned());
        }
        self.next += 1;
        Ok(())
    }

    fn end(&mut self, value: &Value) -> Checked {
        if self.open.is_some() {
            return Err("a block is open".to_owned());
        }
        self.ended = true;
        let delta = object(&value["delta"])?;
        for key in ["stop_reason", "stop_sequence", "stop_details", "container"] {
            has(delta, key)?;
        }
        check_stop_reason(&value["delta"]["stop_reason"])?;
        if value["delta"]["stop_reason"] == "tool_use" && self.tools == 0 {
            return Err("tool_use without a tool".to_owned());
        }
        let usage = object(&value["usage"])?;
        DELTA_USAGE.iter().try_for_each(|key| has(usage, key))?;
        check_counts(usage)?;
        check_bill(usage)
    }
}

/// The calls of a stream that were closed, with their whole input as text.
pub fn calls(bytes: &[u8]) -> Vec<(String, String, String)> {
    let mut calls = Vec::new();
    let mut open: Option<(String, String, String)> = None;
    for (event, data) in frames(bytes).unwrap() {
        let value: Value = serde_json::from_str(&data).unwrap();
        let block = &value["content_block"];
        match event.as_str() {
            "content_block_start" if block["type"] == "tool_use" => {
                let text = |key: &str| block[key].as_str().unwrap().to_owned();
                open = Some((text("id"), text("name"), String::new()));
            }
            "content_block_delta" => {
                if let (Some(open), Some(json)) = (&mut open, value["delta"]["partial_json"].as_str()) {
                    open.2.push_str(json);
                }
            }
            "content_block_stop" => calls.extend(open.take()),
            _ => {}
        }
    }
    calls
}

/// Checks a whole reply as a client gets it.
pub fn check_whole(bytes: &[u8]) -> Checked {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let message = object(&value)?;
    check_message(message)?;
    check_stop_reason(&value["stop_reason"])?;
    let content = value["content"].as_array().ok_or("content is no array")?;
    content.iter().try_for_each(check_block)?;
    let tools = content.iter().any(|block| block["type"] == "tool_use");
    if value["stop_reason"] == "tool_use" && !tools {
        return Err("tool_use without a tool".to_owned());
    }
    check_bill(object(&value["usage"])?)
}

fn check_message(message: &Map<String, Value>) -> Checked {
    for (key, expected) in [("type", "message"), ("role", "assistant")] {
        if message.get(key).and_then(Value::as_str) != Some(expected) {
            return Err(format!("{key} is not {expected}"));
        }
    }
    for key in ["id", "model", "provider"] {
        string(&Value::Object(message.clone()), key)?;
    }
    for key in ["content", "container", "stop_reason", "stop_sequence", "stop_details"] {
        has(message, key)?;
    }
    let usage = object(&message["usage"])?;
    for key in DELTA_USAGE.iter().chain(&["cache_creation", "service_tier", "inference_geo"]) {
        has(usage, key)?;
    }
    check_counts(usage)
}

fn check_counts(usage: &Map<String, Value>) -> Checked {
    for key in ["input_tokens", "output_tokens"] {
        if !usage[key].is_u64() {
            return Err(format!("{key} is no count"));
        }
    }
    for key in ["cache_creation_input_tokens", "cache_read_input_tokens"] {
        if !usage[key].is_u64() && !usage[key].is_null() {
            return Err(format!("{key} is no count"));
        }
    }
    Ok(())
}

fn check_bill(usage: &Map<String, Value>) -> Checked {
    let number = usage.get("cost").is_some_and(Value::is_number);
    let whose = usage.get("is_byok").is_some_and(Value::is_boolean);
    if number && whose { Ok(()) } else { Err("no cost".to_owned()) }
}

fn check_stop_reason(reason: &Value) -> Checked {
    let known = reason.as_str().is_some_and(|reason| STOP_REASONS.contains(&reason));
    if known { Ok(()) } else { Err(format!("stop_reason {reason}")) }
}

/// Checks a block of a reply.
fn check_block(block: &Value) -> Checked {
    match string(block, "type")? {
        "text" | "thinking" => {
            string(block, block["type"].as_str().unwrap_or_default())?;
        }
        "redacted_thinking" => {
            string(block, "data")?;
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            string(block, "id")?;
            string(block, "name")?;
            object(&block["input"])?;
        }
        _ => {}
    }
    Ok(())
}

/// Checks the body or the event of an error.
pub fn check_error(value: &Value) -> Checked {
    const TYPES: &[&str] = &[
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "rate_limit_error",
        "api_error",
        "overloaded_error",
        "billing_error",
        "timeout_error",
    ];
    let error = &value["error"];
    if value["type"] != "error" || !TYPES.contains(&string(error, "type")?) {
        return Err("no error of the vocabulary".to_owned());
    }
    string(error, "message")?;
    string(error, "error_type")?;
    has(object(value)?, "request_id")
}

/// Checks a request as the provider would.
pub fn check_request(bytes: &[u8]) -> Checked {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    string(&value, "model")?;
    let limit = value["max_tokens"].as_u64().ok_or("max_tokens is no count")?;
    if let Some(budget) = value["thinking"]["budget_tokens"].as_u64()
        && !(1024..limit).contains(&budget)
    {
        return Err(format!("a budget of {budget} within {limit}"));
    }
    let mut names = BTreeSet::new();
    for tool in value["tools"].as_array().into_iter().flatten() {
        let name = string(tool, "name")?;
        if !is_word(name, 128) || !names.insert(name) {
            return Err(format!("the tool {name}"));
        }
        if tool["input_schema"]["type"] != "object" {
            return Err("the schema is no object".to_owned());
        }
    }
    check_turns(value["messages"].as_array().ok_or("messages is no array")?, &names)?;
    let marks = value.to_string().matches("\"cache_control\":{").count();
    if marks > 4 { Err(format!("{marks} marks")) } else { Ok(()) }
}

fn check_turns(messages: &[Value], names: &BTreeSet<&str>) -> Checked {
    let mut ids: BTreeSet<String> = BTreeSet::new();
    let mut waiting: BTreeSet<String> = BTreeSet::new();
    if messages.is_empty() {
        return Err("no messages".to_owned());
    }
    for (i, message) in messages.iter().enumerate() {
        let role = if i % 2 == 0 { "user" } else { "assistant" };
        if message["role"] != role {
            return Err(format!("message {i} is not the {role}'s"));
        }
        let mut others = false;
        let content = message["content"].as_array().filter(|content| !content.is_empty());
        for block in content.ok_or("no content")? {
            match string(block, "type")? {
                "text" if string(block, "text")?.trim().is_empty() => return Err("blank text".to_owned()),
                "tool_use" => {
                    let id = string(block, "id")?;
                    let known = is_word(id, 64) && !names.is_empty() && is_word(string(block, "name")?, 128);
                    if role == "user" || !known || !ids.insert(id.to_owned()) || !block["input"].is_object() {
                        return Err(format!("the call {block}"));
                    }
                    waiting.insert(id.to_owned());
                }
                "tool_result" => {
                    let known = waiting.remove(string(block, "tool_use_id")?);
                    if others || role == "assistant" || !known {
                        return Err(format!("the result {block}"));
                    }
                }
                "thinking" | "redacted_thinking" if role == "user" => {
                    return Err("the user thinks".to_owned());
                }
                _ => {}
            }
            others |= block["type"] != "tool_result";
        }
        if role == "user" && !waiting.is_empty() {
            return Err("a call without a result".to_owned());
        }
    }
    Ok(())
}

fn is_word(text: &str, most: usize) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= most && text.bytes().all(word)
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("no object: {value}"))
}

fn string<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("{key} is no string in {value}"))
}

fn has(map: &Map<String, Value>, key: &str) -> Checked {
    if map.contains_key(key) { Ok(()) } else { Err(format!("{key} is missing")) }
}
