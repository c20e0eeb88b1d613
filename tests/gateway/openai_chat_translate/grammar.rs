//! What a strict client or provider of Chat Completions takes: requests, streams, whole replies.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

type Checked = Result<(), String>;

const REASONS: &[&str] = &["tool_calls", "stop", "length", "content_filter", "error"];
/// Absent where there is nothing to say.
const NEVER_NULL: &[&str] = &["tool_calls", "images", "audio", "reasoning_details", "annotations"];
const TOP: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "verbosity",
    "user",
    "service_tier",
    "prompt_cache_key",
    "metadata",
];

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("not JSON: {error}"))
}

fn object<'a>(value: &'a Value, what: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{what} is no object: {value}"))
}

fn text<'a>(value: &'a Value, what: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{what} is no string: {value}"))
}

/// A request as a provider takes it.
pub fn check_request(bytes: &[u8]) -> Checked {
    let request = parse(bytes)?;
    let members = object(&request, "the request")?;
    if let Some(key) = members.keys().find(|key| !TOP.contains(&key.as_str())) {
        return Err(format!("`{key}` is unknown"));
    }
    text(&request["model"], "model")?;
    let messages = request["messages"].as_array().filter(|messages| !messages.is_empty());
    let mut calls = Vec::new();
    for message in messages.ok_or("no messages")? {
        check_message(message, &mut calls)?;
    }
    let tools = check_tools(&request)?;
    for key in ["tool_choice", "parallel_tool_calls"] {
        ensure(tools > 0 || members.get(key).is_none(), || format!("`{key}` without tools"))?;
    }
    ensure(request["stop"].as_array().is_none_or(|stop| !stop.is_empty()), || "empty stop".into())?;
    let options = members.get("stream_options").is_none() || request["stream"] == true;
    ensure(options, || "stream_options without stream".into())
}

fn check_message(message: &Value, calls: &mut Vec<String>) -> Checked {
    object(message, "a message")?;
    let content = &message["content"];
    match message["role"].as_str().unwrap_or_default() {
        "system" => check_content(content, &["text"]),
        "user" => check_content(content, &["text", "image_url", "input_audio", "file"]),
        "assistant" => {
            for call in message["tool_calls"].as_array().into_iter().flatten() {
                calls.push(check_call(call)?);
            }
            let says = ["tool_calls", "refusal", "images"].iter().any(|key| message.get(key).is_some());
            ensure(says || !content.is_null(), || format!("an assistant says nothing: {message}"))?;
            if content.is_null() { Ok(()) } else { check_content(content, &["text"]) }
        }
        "tool" => {
            let id = text(&message["tool_call_id"], "tool_call_id")?;
            ensure(calls.iter().any(|call| call == id), || format!("a result without its call: {id}"))?;
            check_content(content, &["text"])
        }
        role => Err(format!("the role `{role}`")),
    }
}

fn check_content(content: &Value, kinds: &[&str]) -> Checked {
    let Some(parts) = content.as_array() else { return text(content, "content").map(drop) };
    ensure(!parts.is_empty(), || "no parts".into())?;
    for part in parts {
        let kind = text(&part["type"], "type")?;
        ensure(kinds.contains(&kind), || format!("a part of type `{kind}`"))?;
        match kind {
            "text" => {
                ensure(part["text"].as_str().is_some_and(|text| !text.is_empty()), || "no text".into())?
            }
            "image_url" => text(&part["image_url"]["url"], "url").map(drop)?,
            "input_audio" => text(&part["input_audio"]["data"], "data").map(drop)?,
            _ => ensure(part["file"].is_object(), || "no file".into())?,
        }
    }
    Ok(())
}

fn check_call(call: &Value) -> Result<String, String> {
    ensure(call["type"] == "function", || format!("a call of type {}", call["type"]))?;
    check_name(text(&call["function"]["name"], "name")?)?;
    ensure(!text(&call["function"]["arguments"], "arguments")?.is_empty(), || "no arguments".into())?;
    let id = text(&call["id"], "id")?;
    ensure((1..=40).contains(&id.len()), || format!("the id {id}"))?;
    Ok(id.to_owned())
}

fn check_name(name: &str) -> Checked {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    ensure(plain && (1..=64).contains(&name.len()), || format!("the name {name}"))
}

fn check_tools(request: &Value) -> Result<usize, String> {
    let Some(tools) = request.get("tools") else { return Ok(0) };
    let tools = tools.as_array().filter(|tools| !tools.is_empty()).ok_or("`tools` is no list")?;
    let mut names = Vec::new();
    for tool in tools {
        ensure(tool["type"] == "function", || format!("a tool of type {}", tool["type"]))?;
        let name = text(&tool["function"]["name"], "name")?;
        check_name(name)?;
        ensure(!names.contains(&name), || format!("two tools by the name {name}"))?;
        names.push(name);
        let parameters = &tool["function"]["parameters"];
        ensure(parameters.is_null() || parameters.is_object(), || "parameters".into())?;
    }
    match &request["tool_choice"] {
        Value::Object(choice) => {
            let name = text(&choice["function"]["name"], "tool_choice")?;
            ensure(names.contains(&name), || format!("tool_choice names {name}"))?;
        }
        Value::String(word) => {
            ensure(["auto", "none", "required"].contains(&word.as_str()), || format!("tool_choice {word}"))?;
        }
        other => ensure(other.is_null(), || format!("tool_choice {other}"))?,
    }
    Ok(tools.len())
}

/// A stream from its first byte to its last.
pub fn check_stream(bytes: &[u8]) -> Checked {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let body = text.strip_suffix("data: [DONE]\n\n").ok_or("no [DONE] at the end")?;
    let mut state = Stream::default();
    for frame in body.split_terminator("\n\n") {
        if frame.starts_with(':') {
            continue;
        }
        let data = frame.strip_prefix("data: ").ok_or_else(|| format!("the frame {frame:?}"))?;
        let chunk = parse(data.as_bytes())?;
        state.check(&chunk).map_err(|error| format!("{error} in {chunk}"))?;
    }
    state.check_end()
}

#[derive(Default)]
struct Stream {
    head: Option<[Value; 4]>,
    /// The calls by their index: kind and arguments so far.
    calls: Vec<(String, String)>,
    details: BTreeMap<u64, String>,
    finish: Option<String>,
    usage: bool,
    error: bool,
}

impl Stream {
    fn check(&mut self, chunk: &Value) -> Checked {
        let members = object(chunk, "a chunk")?;
        ensure(!self.usage, || "something behind the usage".into())?;
        ensure(chunk["object"] == "chat.completion.chunk" && chunk["created"].is_u64(), || "head".into())?;
        let head = ["id", "model", "provider", "created"].map(|key| chunk[key].clone());
        ensure(head[..3].iter().all(Value::is_string), || "head".into())?;
        ensure(self.head.get_or_insert_with(|| head.clone()) == &head, || "another head".into())?;
        ensure(members.get("system_fingerprint").is_none_or(Value::is_string), || "fingerprint".into())?;
        if let Some(error) = members.get("error") {
            ensure(!self.error, || "two errors".into())?;
            check_error(error)?;
            self.error = true;
        }
        if let Some(usage) = members.get("usage") {
            check_usage(usage)?;
            self.usage = true;
        }
        let choices = chunk["choices"].as_array().ok_or("no choices")?;
        ensure(choices.len() == 1, || "not one choice".into())?;
        self.check_choice(&choices[0])
    }

    fn check_choice(&mut self, choice: &Value) -> Checked {
        ensure(choice["index"] == 0, || "index".into())?;
        let members = object(choice, "a choice")?;
        let finish = members.get("finish_reason").ok_or("no finish_reason")?;
        let native = members.get("native_finish_reason").ok_or("no native_finish_reason")?;
        ensure(finish.is_null() == native.is_null(), || "one of two reasons".into())?;
        let delta = object(&choice["delta"], "the delta")?;
        ensure(choice["delta"]["role"] == "assistant", || "role".into())?;
        let content = &choice["delta"]["content"];
        ensure(content.is_null() || content.is_string(), || "content".into())?;
        check_nulls(delta)?;
        let words = content.as_str().is_some_and(|text| !text.is_empty());
        let says = words || delta.keys().any(|key| key != "role" && key != "content");
        ensure(!says || self.finish.is_none(), || "a delta behind the end".into())?;
        if let Some(finish) = finish.as_str() {
            ensure(REASONS.contains(&finish), || format!("finish_reason {finish}"))?;
            ensure(
                self.finish.as_deref().is_none_or(|before| before == finish || finish == "error"),
                || "two reasons to finish".into(),
            )?;
            self.finish = Some(finish.to_owned());
        }
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            self.check_call(call)?;
        }
        for detail in choice["delta"]["reasoning_details"].as_array().into_iter().flatten() {
            self.check_detail(detail)?;
        }
        check_lists(&choice["delta"])
    }

    fn check_call(&mut self, call: &Value) -> Checked {
        let index = call["index"].as_u64().ok_or("a call without an index")? as usize;
        if index == self.calls.len() {
            let kind = text(&call["type"], "type")?;
            let input = if kind == "custom" { "input" } else { "arguments" };
            ensure(!text(&call["id"], "id")?.is_empty(), || "id".into())?;
            ensure(!text(&call[kind]["name"], "name")?.is_empty(), || "name".into())?;
            let arguments = text(&call[kind][input], input)?;
            self.calls.push((kind.to_owned(), arguments.to_owned()));
            return Ok(());
        }
        let (kind, arguments) = self.calls.get_mut(index).ok_or("an index beyond the next")?;
        ensure(call.get("id").is_none() && call.get("type").is_none(), || "a second id".into())?;
        let input = if kind == "custom" { "input" } else { "arguments" };
        arguments.push_str(text(&call[kind.as_str()][input], input)?);
        Ok(())
    }

    fn check_detail(&mut self, detail: &Value) -> Checked {
        let kind = text(&detail["type"], "type")?.to_owned();
        ensure(kind.starts_with("reasoning."), || kind.clone())?;
        let index = detail["index"].as_u64().ok_or("a detail without an index")?;
        ensure(index <= self.details.len() as u64, || "an index beyond the next".into())?;
        ensure(index + 1 >= self.details.len() as u64, || "a detail that was over".into())?;
        let known = self.details.entry(index).or_insert_with(|| kind.clone());
        ensure(*known == kind, || "two kinds under one index".into())
    }

    fn check_end(&self) -> Checked {
        ensure(self.usage || self.error, || "neither usage nor an error".into())?;
        ensure(!self.error || self.finish.as_deref() == Some("error"), || {
            "an error that looks whole".into()
        })?;
        let whole = self.finish.as_deref() == Some("tool_calls");
        for (kind, arguments) in self.calls.iter().filter(|(kind, _)| whole && kind == "function") {
            let parsed = serde_json::from_str::<Map<String, Value>>(arguments);
            ensure(parsed.is_ok(), || format!("the arguments of a {kind}: {arguments}"))?;
        }
        Ok(())
    }
}

/// A whole reply.
pub fn check_whole(bytes: &[u8]) -> Checked {
    let reply = parse(bytes)?;
    let members = object(&reply, "the reply")?;
    ensure(reply["object"] == "chat.completion" && reply["created"].is_u64(), || "head".into())?;
    ["id", "model", "provider"].iter().try_for_each(|key| text(&reply[key], key).map(drop))?;
    let fingerprint = members.get("system_fingerprint").ok_or("no system_fingerprint")?;
    ensure(fingerprint.is_null() || fingerprint.is_string(), || "fingerprint".into())?;
    check_usage(&reply["usage"])?;
    let choices = reply["choices"].as_array().filter(|choices| !choices.is_empty()).ok_or("no choices")?;
    choices.iter().try_for_each(check_whole_choice)
}

fn check_whole_choice(choice: &Value) -> Checked {
    let members = object(choice, "a choice")?;
    ensure(choice["index"].is_u64() && members.contains_key("logprobs"), || "index, logprobs".into())?;
    let finish = members.get("finish_reason").ok_or("no finish_reason")?;
    ensure(finish.as_str().is_none_or(|finish| REASONS.contains(&finish)), || "finish_reason".into())?;
    text(&choice["native_finish_reason"], "native_finish_reason")?;
    let message = object(&choice["message"], "the message")?;
    ensure(choice["message"]["role"] == "assistant", || "role".into())?;
    for key in ["content", "reasoning", "refusal"] {
        let value = message.get(key).ok_or_else(|| format!("no {key}"))?;
        ensure(value.is_null() || value.is_string(), || format!("{key}: {value}"))?;
    }
    check_nulls(message)?;
    for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
        let kind = text(&call["type"], "type")?;
        let input = if kind == "custom" { "input" } else { "arguments" };
        ensure(!text(&call["id"], "id")?.is_empty(), || "id".into())?;
        ensure(!text(&call[kind]["name"], "name")?.is_empty(), || "name".into())?;
        let arguments = text(&call[kind][input], input)?;
        let parsed = serde_json::from_str::<Map<String, Value>>(arguments);
        let whole = kind == "custom" || finish != "tool_calls" || parsed.is_ok();
        ensure(whole, || format!("arguments: {arguments}"))?;
    }
    check_lists(&choice["message"])
}

fn check_nulls(members: &Map<String, Value>) -> Checked {
    let null = NEVER_NULL.iter().find(|key| members.get(**key).is_some_and(Value::is_null));
    null.map_or(Ok(()), |key| Err(format!("`{key}` is null")))
}

fn check_lists(content: &Value) -> Checked {
    for image in content["images"].as_array().into_iter().flatten() {
        ensure(image["type"] == "image_url", || "an image's type".into())?;
        text(&image["image_url"]["url"], "url")?;
    }
    for annotation in content["annotations"].as_array().into_iter().flatten() {
        ensure(annotation["type"] == "url_citation", || "an annotation's type".into())?;
        let cited = &annotation["url_citation"];
        ["url", "title"].iter().try_for_each(|key| text(&cited[key], key).map(drop))?;
        ensure(cited["start_index"].is_u64() && cited["end_index"].is_u64(), || "a citation's place".into())?;
    }
    for detail in content["reasoning_details"].as_array().into_iter().flatten() {
        let member = match text(&detail["type"], "type")? {
            "reasoning.text" => detail.get("text").or(detail.get("signature")),
            "reasoning.summary" => detail.get("summary"),
            "reasoning.encrypted" => detail.get("data"),
            other => return Err(format!("a detail of type {other}")),
        };
        ensure(member.is_some_and(Value::is_string), || format!("a detail without its text: {detail}"))?;
    }
    Ok(())
}

fn check_error(error: &Value) -> Checked {
    ensure(error["code"].is_u64(), || "error.code".into())?;
    text(&error["message"], "error.message")?;
    text(&error["metadata"]["error_type"], "error.metadata.error_type").map(drop)
}

fn check_usage(usage: &Value) -> Checked {
    let counts = ["prompt_tokens", "completion_tokens", "total_tokens"];
    ensure(counts.iter().all(|key| usage[key].is_u64()), || format!("usage {usage}"))?;
    ensure(usage["cost"].is_number() && usage["is_byok"].is_boolean(), || "cost".into())?;
    for (object, keys) in [
        ("prompt_tokens_details", &["cached_tokens", "cache_write_tokens", "audio_tokens"][..]),
        ("completion_tokens_details", &["reasoning_tokens", "image_tokens", "audio_tokens"]),
    ] {
        ensure(keys.iter().all(|key| usage[object][key].is_u64()), || format!("usage.{object}"))?;
    }
    let costs = ["upstream_inference_prompt_cost", "upstream_inference_completions_cost"];
    ensure(costs.iter().all(|key| usage["cost_details"][key].is_number()), || "cost_details".into())
}
