//! What the strict clients of text completions require: of a stream, of a whole reply, of a request.

use serde_json::Value;

/// Checks a stream for a client: frames of the gateway, the reason to finish given once before the
/// usage, the usage once, `[DONE]` last. A stream that ends with an error has neither to have.
pub fn check_stream(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let frames = text.strip_suffix("\n\n").ok_or("ends within a frame")?.split("\n\n");
    let frames: Vec<&str> = frames.filter(|frame| !frame.starts_with(':')).collect();
    let (last, chunks) = frames.split_last().ok_or("no frames")?;
    if *last != "data: [DONE]" {
        return Err(format!("ends with {last}"));
    }
    let (mut failed, mut usages, mut first) = (false, 0, None);
    for frame in chunks {
        let data = frame.strip_prefix("data: ").filter(|data| !data.contains('\n'));
        let chunk: Value = serde_json::from_str(data.ok_or("no data")?).map_err(|error| error.to_string())?;
        check_top(&chunk)?;
        let same = ["id", "created", "model", "provider"].map(|name| chunk[name].clone());
        if *first.get_or_insert_with(|| same.clone()) != same {
            return Err(format!("another reply: {chunk}"));
        }
        if usages > 0 || failed && chunk.get("usage").is_none() {
            return Err(format!("after the end: {chunk}"));
        }
        let choices = chunk["choices"].as_array().filter(|all| !all.is_empty()).ok_or("no choices")?;
        choices.iter().try_for_each(|choice| check_choice(choice, true))?;
        failed |= check_error(&chunk)?;
        if let Some(usage) = chunk.get("usage") {
            check_usage(usage)?;
            usages += 1;
        }
    }
    (failed || usages == 1).then_some(()).ok_or_else(|| "no usage".to_owned())
}

pub fn check_whole(bytes: &[u8]) -> Result<(), String> {
    let reply: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check_top(&reply)?;
    let choices = reply["choices"].as_array().filter(|all| !all.is_empty()).ok_or("no choices")?;
    choices.iter().try_for_each(|choice| check_choice(choice, false))?;
    check_usage(&reply["usage"])
}

/// Checks a request as a provider of `/completions` takes it.
pub fn check_request(bytes: &[u8]) -> Result<(), String> {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let foreign = ["models", "provider", "route", "session_id", "reasoning", "usage", "messages"];
    if let Some(name) = foreign.into_iter().find(|name| request.get(*name).is_some()) {
        return Err(format!("{name} is no member of it"));
    }
    let prompt = request["prompt"].is_string() || request["prompt"].is_array();
    (prompt && request["model"].is_string()).then_some(()).ok_or_else(|| "model or prompt".to_owned())
}

fn check_top(reply: &Value) -> Result<(), String> {
    let named = ["id", "model", "provider"].iter().all(|name| reply[name].is_string());
    let print = reply.get("system_fingerprint").is_none_or(Value::is_string);
    let good = named && print && reply["object"] == "text_completion" && reply["created"].is_u64();
    good.then_some(()).ok_or_else(|| format!("top: {reply}"))
}

fn check_choice(choice: &Value, part: bool) -> Result<(), String> {
    let reasons = ["stop", "length", "content_filter", "tool_calls", "error"];
    let finish = &choice["finish_reason"];
    let known = finish.is_null() || finish.as_str().is_some_and(|finish| reasons.contains(&finish));
    let native = &choice["native_finish_reason"];
    let native = if part { native.is_null() == finish.is_null() } else { native.is_string() };
    let logprobs = choice.get("logprobs").is_some_and(|it| it.is_null() || it.is_object());
    let foreign = ["delta", "message"].iter().any(|name| choice.get(*name).is_some());
    let reasoning = choice.get("reasoning").is_none_or(Value::is_string);
    let good = known && native && logprobs && reasoning && !foreign;
    let good = good && choice["text"].is_string() && choice["index"].is_u64();
    good.then_some(()).ok_or_else(|| format!("choice: {choice}"))
}

fn check_error(chunk: &Value) -> Result<bool, String> {
    let Some(error) = chunk.get("error") else { return Ok(false) };
    let finish = &chunk["choices"][0]["finish_reason"];
    let good =
        error["code"].is_u64() && error["message"].is_string() && error["metadata"]["error_type"].is_string();
    (good && finish == "error").then_some(true).ok_or_else(|| format!("error: {chunk}"))
}

fn check_usage(usage: &Value) -> Result<(), String> {
    let counts =
        ["prompt_tokens", "completion_tokens", "total_tokens"].iter().all(|name| usage[name].is_u64());
    let details = usage["prompt_tokens_details"]["cached_tokens"].is_u64()
        && usage["completion_tokens_details"]["reasoning_tokens"].is_u64();
    let good = counts && details && usage["cost"].is_number() && usage["is_byok"].is_boolean();
    good.then_some(()).ok_or_else(|| format!("usage: {usage}"))
}
