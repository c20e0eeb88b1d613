//! What a strict client holds a stream, a whole response and a request of Responses to.

use std::collections::BTreeMap;

use serde_json::Value;

/// Checks a stream: names, numbers, the order of events, and that what ends a text, a part, an
/// item or the response says what was said.
pub fn check_stream(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut frames: Vec<&str> =
        text.split("\n\n").filter(|frame| !frame.is_empty() && !frame.starts_with(':')).collect();
    if frames.pop() != Some("data: [DONE]") {
        return Err("no [DONE] at the end".to_owned());
    }
    let mut grammar = Grammar::default();
    for (number, frame) in frames.iter().enumerate() {
        let (name, data) = frame.split_once("\ndata: ").ok_or(format!("frame: {frame}"))?;
        let event: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data}"))?;
        need(name.strip_prefix("event: ") == event["type"].as_str(), "event and type differ", &event)?;
        need(event["sequence_number"] == number, "sequence_number", &event)?;
        grammar.read(&event, number)?;
    }
    need(grammar.ended, "no last event", &Value::Null)
}

pub fn check_whole(bytes: &[u8]) -> Result<(), String> {
    let response: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check_response(&response)?;
    let status = response["status"].as_str().unwrap_or_default();
    need(matches!(status, "completed" | "incomplete" | "failed"), "status", &response)?;
    check_usage(&response["usage"])
}

/// Checks a request as a strict provider would.
pub fn check_request(bytes: &[u8]) -> Result<(), String> {
    const KNOWN: &[&str] = &[
        "model",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "text",
        "reasoning",
        "include",
        "store",
        "stream",
        "metadata",
        "user",
        "service_tier",
        "prompt_cache_key",
    ];
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let members = request.as_object().ok_or("no object")?;
    for key in members.keys() {
        need(KNOWN.contains(&key.as_str()), "unknown member", &Value::String(key.clone()))?;
    }
    need(request["model"].is_string() && request["store"] == false, "model and store", &request)?;
    let input = request["input"].as_array().ok_or("input")?;
    need(!input.is_empty(), "input is empty", &request)?;
    for (position, item) in input.iter().enumerate() {
        check_input(item)?;
        let last_thought = item["type"] == "reasoning"
            && input
                .get(position + 1)
                .is_none_or(|next| next["type"].as_str().unwrap_or("").ends_with("_output"));
        need(!last_thought, "reasoning that nothing follows", item)?;
    }
    for tool in request["tools"].as_array().into_iter().flatten() {
        let name = tool["name"].as_str().unwrap_or_default();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        need((1..=64).contains(&name.len()) && name.chars().all(plain), "name of a tool", tool)?;
        match tool["type"].as_str() {
            Some("function") => {
                need(tool["parameters"].is_object() && tool["strict"].is_boolean(), "function", tool)?
            }
            Some("custom") => {}
            _ => return Err(format!("tool: {tool}")),
        }
    }
    Ok(())
}

fn check_input(item: &Value) -> Result<(), String> {
    let id = |item: &Value| item["call_id"].as_str().is_some_and(|id| (1..=64).contains(&id.len()));
    match item["type"].as_str() {
        Some("message") => {
            let role = item["role"].as_str().unwrap_or_default();
            let parts = item["content"].as_array().ok_or(format!("content: {item}"))?;
            need(!parts.is_empty(), "no content", item)?;
            for part in parts {
                let kind = part["type"].as_str().unwrap_or_default();
                let fits = match role {
                    "assistant" => matches!(kind, "output_text" | "refusal"),
                    "user" | "system" => kind.starts_with("input_"),
                    _ => false,
                };
                need(fits, "part", item)?;
            }
            Ok(())
        }
        Some("function_call") => need(id(item) && item["arguments"].is_string(), "call", item),
        Some("custom_tool_call") => need(id(item) && item["input"].is_string(), "call", item),
        Some("function_call_output" | "custom_tool_call_output") => {
            need(id(item) && (item["output"].is_string() || item["output"].is_array()), "output", item)
        }
        Some("reasoning") => {
            need(item["summary"].is_array() && item["encrypted_content"].is_string(), "reasoning", item)
        }
        _ => Err(format!("item: {item}")),
    }
}

/// The members that @openrouter/sdk requires of a response.
pub fn check_response(response: &Value) -> Result<(), String> {
    let members = response.as_object().ok_or("no response")?;
    for key in [
        "completed_at",
        "created_at",
        "error",
        "frequency_penalty",
        "id",
        "incomplete_details",
        "instructions",
        "metadata",
        "model",
        "object",
        "output",
        "parallel_tool_calls",
        "presence_penalty",
        "status",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    ] {
        need(members.contains_key(key), key, response)?;
    }
    need(response["object"] == "response" && response["id"].is_string(), "object", response)?;
    need(response["created_at"].is_number() && response["model"].is_string(), "created_at", response)?;
    need(response["tools"].is_array() && response["parallel_tool_calls"].is_boolean(), "tools", response)?;
    let incomplete = response["incomplete_details"]["reason"].is_string();
    need(incomplete == (response["status"] == "incomplete"), "incomplete_details", response)?;
    need(response["error"]["message"].is_string() == (response["status"] == "failed"), "error", response)?;
    let items = response["output"].as_array().ok_or("output")?;
    items.iter().try_for_each(check_item)
}

fn check_usage(usage: &Value) -> Result<(), String> {
    let counts =
        usage["input_tokens"].is_u64() && usage["output_tokens"].is_u64() && usage["total_tokens"].is_u64();
    let details = usage["input_tokens_details"]["cached_tokens"].is_u64()
        && usage["output_tokens_details"]["reasoning_tokens"].is_u64();
    let costs = usage["cost"].is_number()
        && usage["is_byok"].is_boolean()
        && usage["cost_details"]["upstream_inference_input_cost"].is_number()
        && usage["cost_details"]["upstream_inference_output_cost"].is_number();
    need(counts && details && costs, "usage", usage)
}

fn check_item(item: &Value) -> Result<(), String> {
    let id = item["id"].is_string();
    match item["type"].as_str() {
        Some("message") => {
            need(id && item["role"] == "assistant", "message", item)?;
            for part in item["content"].as_array().ok_or("content")? {
                let text = part["type"] == "output_text"
                    && part["text"].is_string()
                    && part["annotations"].is_array();
                need(text || part["type"] == "refusal" && part["refusal"].is_string(), "part", item)?;
            }
            Ok(())
        }
        Some("reasoning") => need(id && item["summary"].is_array(), "reasoning", item),
        Some("function_call") => {
            need(
                item["call_id"].is_string() && item["name"].is_string() && item["arguments"].is_string(),
                "call",
                item,
            )?;
            let whole = item["status"] != "completed"
                || serde_json::from_str::<Value>(item["arguments"].as_str().unwrap_or_default()).is_ok();
            need(whole, "half a call that is completed", item)
        }
        Some("custom_tool_call") => need(
            item["call_id"].is_string() && item["name"].is_string() && item["input"].is_string(),
            "call",
            item,
        ),
        Some(_) => Ok(()),
        None => Err(format!("item: {item}")),
    }
}

#[derive(Default)]
struct Grammar {
    /// Items by their place: how far they are.
    items: Vec<Open>,
    ended: bool,
}

#[derive(Default)]
struct Open {
    id: Value,
    done: Option<Value>,
    /// Open parts: what was said, by the event's family and the index.
    said: BTreeMap<(String, u64), String>,
    whole: BTreeMap<(String, u64), String>,
    parts: BTreeMap<(String, u64), bool>,
}

impl Grammar {
    fn read(&mut self, event: &Value, number: usize) -> Result<(), String> {
        need(!self.ended, "an event after the last", event)?;
        let kind = event["type"].as_str().unwrap_or_default();
        match (number, kind) {
            (0, "response.created") | (1, "response.in_progress") => {
                return check_response(&event["response"]);
            }
            (0 | 1, "response.failed") => {}
            (0 | 1, _) => return Err(format!("opening: {event}")),
            _ => {}
        }
        match kind {
            "response.output_item.added" => self.add(event),
            "response.output_item.done" => self.done(event),
            "response.completed" | "response.incomplete" | "response.failed" => self.end(event, kind),
            // A slow start of a provider's own.
            "response.in_progress" | "response.queued" => check_response(&event["response"]),
            _ => self.fill(event, kind),
        }
    }

    fn add(&mut self, event: &Value) -> Result<(), String> {
        need(event["output_index"] == self.items.len(), "output_index", event)?;
        check_item(&event["item"])?;
        self.items.push(Open { id: event["item"]["id"].clone(), ..Open::default() });
        Ok(())
    }

    fn open(&mut self, event: &Value) -> Result<&mut Open, String> {
        let index = event["output_index"].as_u64().ok_or(format!("output_index: {event}"))?;
        let open = self.items.get_mut(index as usize).ok_or(format!("unknown item: {event}"))?;
        need(open.done.is_none(), "an item that is done", event)?;
        Ok(open)
    }

    fn done(&mut self, event: &Value) -> Result<(), String> {
        let item = &event["item"];
        check_item(item)?;
        let open = self.open(event)?;
        need(open.id == item["id"], "id of the item", event)?;
        need(open.parts.values().all(|open| !open), "a part is open", event)?;
        need(open.said.keys().all(|key| open.whole.contains_key(key)), "a text is open", event)?;
        let input = item["arguments"].as_str().or(item["input"].as_str());
        if let (Some(input), Some(said)) = (input, open.whole.values().next()) {
            need(said == input, "the item's input", event)?;
        }
        open.done = Some(item.clone());
        Ok(())
    }

    fn fill(&mut self, event: &Value, kind: &str) -> Result<(), String> {
        let (family, step) = kind.rsplit_once('.').ok_or(format!("type: {kind}"))?;
        let index = match family {
            "response.content_part"
            | "response.output_text"
            | "response.refusal"
            | "response.reasoning_text" => {
                event["content_index"].as_u64().ok_or(format!("content_index: {event}"))?
            }
            "response.reasoning_summary_part" | "response.reasoning_summary_text" => {
                event["summary_index"].as_u64().ok_or(format!("summary_index: {event}"))?
            }
            "response.output_text.annotation" => return self.open(event).map(|_| ()),
            _ => 0,
        };
        let open = self.open(event)?;
        need(event["item_id"] == open.id, "item_id", event)?;
        let key = (family.to_owned(), index);
        match (family, step) {
            ("response.content_part" | "response.reasoning_summary_part", "added") => need(
                event["part"]["type"].is_string() && open.parts.insert(key, true).is_none(),
                "part",
                event,
            ),
            ("response.content_part" | "response.reasoning_summary_part", "done") => {
                need(open.parts.insert(key, false) == Some(true), "part", event)
            }
            (_, "delta") => {
                let delta = event["delta"].as_str().ok_or(format!("delta: {event}"))?;
                need(!open.whole.contains_key(&key), "delta after done", event)?;
                open.said.entry(key).or_default().push_str(delta);
                Ok(())
            }
            (_, "done") => {
                let names = ["text", "refusal", "arguments", "input"];
                let whole =
                    names.iter().find_map(|name| event[*name].as_str()).ok_or(format!("whole: {event}"))?;
                let said = open.said.get(&key).cloned().unwrap_or_default();
                need(said == whole, "what ends a text is not what was said", event)?;
                let named = family != "response.function_call_arguments" || event["name"].is_string();
                need(named, "the name of the function", event)?;
                open.whole.insert(key, whole.to_owned());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, event: &Value, kind: &str) -> Result<(), String> {
        self.ended = true;
        let response = &event["response"];
        check_response(response)?;
        need(
            format!("response.{}", response["status"].as_str().unwrap_or_default()) == kind,
            "status",
            event,
        )?;
        if kind == "response.failed" {
            return Ok(());
        }
        check_usage(&response["usage"])?;
        let done: Vec<&Value> = self.items.iter().filter_map(|item| item.done.as_ref()).collect();
        need(done.len() == self.items.len(), "an item is open", event)?;
        let output: Vec<&Value> = response["output"].as_array().into_iter().flatten().collect();
        // The Codex backend's own responses end without their items.
        need(output.is_empty() || output == done, "the items are not those of the response", event)
    }
}

fn need(holds: bool, what: &str, shown: &Value) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {shown}")) }
}
