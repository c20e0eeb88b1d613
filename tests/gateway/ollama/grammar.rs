//! What Ollama's chat demands of requests, whole replies and streams, written from its reference.

use serde_json::Value;

type Checked = Result<(), String>;

/// One object to a line; only the last is done.
pub fn check_stream(bytes: &[u8]) -> Checked {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    for (index, line) in lines.iter().enumerate() {
        let line: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        require(line["done"] == (index + 1 == lines.len()), || format!("line {index}: done"))?;
        check_message(&line["message"])?;
    }
    require(!lines.is_empty(), || "no lines".into())
}

pub fn check_whole(bytes: &[u8]) -> Checked {
    let reply: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    require(reply["done"] == true, || "done".into())?;
    check_message(&reply["message"])
}

fn check_message(message: &Value) -> Checked {
    require(message["role"] == "assistant" && message["content"].is_string(), || format!("{message}"))?;
    check_calls(message)
}

fn check_calls(message: &Value) -> Checked {
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        require(function["name"].is_string() && function["arguments"].is_object(), || format!("{call}"))?;
    }
    Ok(())
}

const MEMBERS: &[&str] =
    &["model", "stream", "truncate", "shift", "messages", "tools", "format", "think", "options"];

pub fn check_request(bytes: &[u8]) -> Checked {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    for key in request.as_object().ok_or("no object")?.keys() {
        require(MEMBERS.contains(&key.as_str()), || format!("an unknown member {key}"))?;
    }
    require(request["model"].is_string() && request["stream"].is_boolean(), || "model or stream".into())?;
    let messages = request["messages"].as_array().ok_or("no messages")?;
    require(!messages.is_empty(), || "no messages".into())?;
    for message in messages {
        let role = message["role"].as_str().ok_or("no role")?;
        require(["system", "user", "assistant", "tool"].contains(&role), || role.to_owned())?;
        require(message["content"].is_string(), || "content".into())?;
        check_calls(message)?;
    }
    Ok(())
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}
