//! What Converse demands of requests, whole replies and streams, written from its reference alone.

use millrace::protocol::bedrock::FrameReader;
use serde_json::Value;

type Checked = Result<(), String>;

/// The order of events: a start, blocks one after the other, a stop, then metadata.
pub fn check_stream(bytes: &[u8]) -> Checked {
    let mut events = Vec::new();
    let mut reader = FrameReader::default();
    let read = reader.read(bytes, |message| {
        let payload: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
        events.push((message.header(":event-type").unwrap_or_default().to_owned(), payload));
    });
    read.map_err(|fault| format!("{fault:?}"))?;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let [first, blocks @ .., stop, last] = names.as_slice() else { return Err("too short".into()) };
    let frame = [*first, *stop, *last];
    require(frame == ["messageStart", "messageStop", "metadata"], || format!("{names:?}"))?;
    let mut open = None;
    for ((name, payload), _) in events[1..].iter().zip(blocks) {
        let index = payload["contentBlockIndex"].as_u64();
        require(index.is_some(), || format!("{name} without an index"))?;
        match name.as_str() {
            "contentBlockStart" => require(open.replace(index).is_none(), || "two open blocks".into())?,
            "contentBlockDelta" => require(open.get_or_insert(index) == &index, || "a foreign delta".into())?,
            "contentBlockStop" => require(open.take() == Some(index), || "a foreign stop".into())?,
            other => return Err(other.to_owned()),
        }
    }
    require(open.is_none(), || "a block is open at the end".into())
}

pub fn check_whole(bytes: &[u8]) -> Checked {
    let reply: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    require(reply["output"]["message"]["role"] == "assistant", || "role".into())?;
    require(reply["output"]["message"]["content"].is_array(), || "content".into())?;
    require(reply["stopReason"].is_string(), || "stopReason".into())?;
    require(reply["usage"]["inputTokens"].is_u64(), || "usage".into())
}

const MEMBERS: &[&str] = &[
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "outputConfig",
    "serviceTier",
];

pub fn check_request(bytes: &[u8]) -> Checked {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let members = request.as_object().ok_or("no object")?;
    for key in members.keys() {
        require(MEMBERS.contains(&key.as_str()), || format!("an unknown member {key}"))?;
    }
    let messages = request["messages"].as_array().ok_or("no messages")?;
    require(!messages.is_empty(), || "no messages".into())?;
    let mut calls: Vec<String> = Vec::new();
    let mut names = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let expected = if index % 2 == 0 { "user" } else { "assistant" };
        require(message["role"] == expected, || format!("messages[{index}]: role {}", message["role"]))?;
        check_message(index, message, &mut calls, &mut names)?;
    }
    require(calls.is_empty(), || "calls without results at the end".into())?;
    for block in request["system"].as_array().into_iter().flatten() {
        require(is_text(block) || block["cachePoint"].is_object(), || format!("system: {block}"))?;
    }
    check_tools(&request["toolConfig"], !names.is_empty())
}

/// `calls` are the ids that wait for a result.
fn check_message(index: usize, message: &Value, calls: &mut Vec<String>, names: &mut Vec<String>) -> Checked {
    let content = message["content"].as_array().ok_or("no content")?;
    require(!content.is_empty(), || format!("messages[{index}]: empty"))?;
    let mut others = false;
    for block in content {
        let members = block.as_object().ok_or("a block that is no object")?;
        require(members.len() == 1, || format!("{block}"))?;
        let (kind, value) = members.iter().next().expect("one member");
        match kind.as_str() {
            "text" => require(is_text(block), || format!("blank text in messages[{index}]"))?,
            "image" => require(
                value["source"]["bytes"].is_string() || value["source"]["s3Location"].is_object(),
                || "image".into(),
            )?,
            "document" => {
                let name = value["name"].as_str().ok_or("a document without a name")?;
                let fits = |c: char| c.is_ascii_alphanumeric() || " -()[]".contains(c);
                require(!name.is_empty() && name.chars().all(fits) && !name.contains("  "), || {
                    name.to_owned()
                })?;
                require(content.iter().any(is_text), || "a document without text".into())?;
            }
            "audio" | "cachePoint" | "reasoningContent" => {}
            "toolUse" => {
                let id = value["toolUseId"].as_str().ok_or("no id")?;
                let name = value["name"].as_str().ok_or("no name")?;
                require(fits(id, 64, "_.:-") && fits(name, 64, "_-"), || format!("{id} {name}"))?;
                require(value["input"].is_object(), || "input".into())?;
                require(!calls.iter().any(|own| own == id), || format!("{id} twice"))?;
                calls.push(id.to_owned());
                names.push(name.to_owned());
            }
            "toolResult" => {
                require(!others, || format!("messages[{index}]: a result behind other content"))?;
                let id = value["toolUseId"].as_str().ok_or("no id")?;
                let place = calls.iter().position(|own| own == id).ok_or("a result without its call")?;
                calls.remove(place);
                let inner = value["content"].as_array().ok_or("no content of a result")?;
                require(!inner.is_empty(), || "an empty result".into())?;
                require(inner.iter().all(|block| block.get("text").is_none() || is_text(block)), || {
                    "blank".into()
                })?;
            }
            other => return Err(format!("an unknown block {other}")),
        }
        others |= !matches!(kind.as_str(), "toolResult" | "cachePoint");
    }
    let user = message["role"] == "user";
    require(!user || calls.is_empty(), || format!("messages[{index}]: {calls:?} unanswered"))
}

fn check_tools(config: &Value, called: bool) -> Checked {
    require(!called || config["tools"].is_array(), || "calls without tools".into())?;
    let mut names: Vec<&str> = Vec::new();
    for tool in config["tools"].as_array().into_iter().flatten() {
        if tool["cachePoint"].is_object() {
            continue;
        }
        let spec = &tool["toolSpec"];
        let name = spec["name"].as_str().ok_or("a tool without a name")?;
        require(fits(name, 64, "_-") && !names.contains(&name), || format!("tool {name}"))?;
        names.push(name);
        require(spec["inputSchema"]["json"].is_object(), || "schema".into())?;
        require(
            spec.get("description").is_none_or(|it| it.as_str().is_some_and(|it| !it.is_empty())),
            || "description".into(),
        )?;
    }
    let named = &config["toolChoice"]["tool"]["name"];
    require(named.as_str().is_none_or(|name| names.contains(&name)), || format!("{named} is no tool"))
}

fn is_text(block: &Value) -> bool {
    block["text"].as_str().is_some_and(|text| !text.trim().is_empty())
}

fn fits(text: &str, most: usize, more: &str) -> bool {
    (1..=most).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}
