//! What Cohere's Chat demands of requests, whole replies and streams, written from its reference.

use serde_json::Value;

type Checked = Result<(), String>;

/// A start, blocks that open and close by their index, an end with a reason, then nothing.
pub fn check_stream(bytes: &[u8]) -> Checked {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events: Result<Vec<Value>, _> = data.map(serde_json::from_str).collect();
    let events = events.map_err(|error| error.to_string())?;
    let kind = |event: &Value| event["type"].as_str().unwrap_or_default().to_owned();
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Err("empty".into()) };
    require(kind(first) == "message-start", || kind(first))?;
    require(kind(last) == "message-end" && last["delta"]["finish_reason"].is_string(), || kind(last))?;
    let mut open: Vec<(String, u64)> = Vec::new();
    for event in &events[1..events.len() - 1] {
        let kind = kind(event);
        let (block, step) = kind.rsplit_once('-').ok_or("a type without a step")?;
        if block == "tool-plan" {
            continue;
        }
        let own = (block.to_owned(), event["index"].as_u64().ok_or("no index")?);
        match step {
            "start" => open.push(own),
            "delta" => require(open.contains(&own), || format!("{own:?} is not open"))?,
            "end" => {
                let place = open.iter().position(|other| *other == own).ok_or("an end without a start")?;
                open.remove(place);
            }
            other => return Err(other.to_owned()),
        }
    }
    let failed = last["delta"]["error"].is_string();
    require(open.is_empty() || failed, || format!("{open:?} at the end"))
}

pub fn check_whole(bytes: &[u8]) -> Checked {
    let reply: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    require(reply["id"].is_string() && reply["finish_reason"].is_string(), || "id or finish_reason".into())?;
    require(reply["message"]["role"] == "assistant", || "role".into())?;
    require(reply["usage"].is_object(), || "usage".into())
}

const MEMBERS: &[&str] = &[
    "model",
    "stream",
    "messages",
    "documents",
    "tools",
    "strict_tools",
    "tool_choice",
    "response_format",
    "thinking",
    "max_tokens",
    "temperature",
    "p",
    "k",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop_sequences",
];

pub fn check_request(bytes: &[u8]) -> Checked {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    for key in request.as_object().ok_or("no object")?.keys() {
        require(MEMBERS.contains(&key.as_str()), || format!("an unknown member {key}"))?;
    }
    require(request["model"].is_string() && request["stream"].is_boolean(), || "model or stream".into())?;
    for message in request["messages"].as_array().ok_or("no messages")? {
        let role = message["role"].as_str().ok_or("no role")?;
        require(["system", "user", "assistant", "tool"].contains(&role), || role.to_owned())?;
        require((role == "tool") == message["tool_call_id"].is_string(), || "tool_call_id".into())?;
        let content = &message["content"];
        require(!content.is_null() || message["tool_calls"].is_array(), || "an empty message".into())?;
        for part in content.as_array().into_iter().flatten() {
            let kind = part["type"].as_str().ok_or("a part without a type")?;
            require(part[kind].is_string() || part[kind].is_object(), || format!("{part}"))?;
            require(part["text"] != "", || "an empty text".into())?;
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().ok_or("arguments")?;
            let object = serde_json::from_str::<Value>(arguments).is_ok_and(|it| it.is_object());
            require(object && call["id"].is_string(), || format!("{call}"))?;
        }
    }
    let budget = request["thinking"]["token_budget"].as_u64();
    require(budget != Some(0), || "a budget of nothing".into())
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}
