//! What a strict client of Gemini's protocol accepts: streams in both framings, whole replies and
//! requests. Written from Google's REST reference, apart from the code it checks.

use serde_json::{Map, Value};

const FINISH: &[&str] = &[
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
];

/// A stream in either framing: responses, then the last with a reason to finish and the counts, or
/// an error in its place.
pub fn check_stream(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (responses, error) = match text.trim_start().starts_with('[') {
        true => split_array(text)?,
        false => split_sse(text)?,
    };
    if let Some(error) = error {
        check_error(&error)?;
        let ended = responses.iter().any(|response| response.to_string().contains("\"finishReason\""));
        return if ended { Err("an error behind the end".into()) } else { each(&responses) };
    }
    each(&responses)?;
    let (last, others) = responses.split_last().ok_or("no responses")?;
    if last["usageMetadata"]["totalTokenCount"].as_u64().is_none() {
        return Err("no counts at the end".into());
    }
    let finishes = |response: &Value| response["candidates"][0]["finishReason"].is_string();
    match (finishes(last) || last["promptFeedback"].is_object(), others.iter().any(finishes)) {
        (true, false) => Ok(()),
        (false, _) => Err("no reason to finish at the end".into()),
        (true, true) => Err("a reason to finish before the end".into()),
    }
}

pub fn check_whole(bytes: &[u8]) -> Result<(), String> {
    let response: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    check_response(&response)?;
    if !response["usageMetadata"].is_object() {
        return Err("no counts".into());
    }
    let finish = &response["candidates"][0]["finishReason"];
    if finish.is_string() || response["promptFeedback"].is_object() { Ok(()) } else { Err("no end".into()) }
}

pub fn check_error(error: &Value) -> Result<(), String> {
    let error = error["error"].as_object().ok_or("no `error`")?;
    let whole = error["code"].as_u64().is_some_and(|code| (400..600).contains(&code));
    let words = error["message"].is_string() && error["status"].is_string();
    if whole && words { Ok(()) } else { Err(format!("{error:?}")) }
}

fn each(responses: &[Value]) -> Result<(), String> {
    responses.iter().try_for_each(check_response)
}

type Responses = (Vec<Value>, Option<Value>);

fn split_array(text: &str) -> Result<Responses, String> {
    let mut all: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let error = all.pop_if(|last| last.get("error").is_some());
    Ok((all, error))
}

fn split_sse(text: &str) -> Result<Responses, String> {
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let mut responses = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches("\r\n");
        if let Some(frame) = rest.strip_prefix("data: ") {
            let (data, behind) = frame.split_once("\r\n\r\n").ok_or("a frame without its end")?;
            responses.push(parse(data)?);
            rest = behind;
        } else if rest.is_empty() {
            return Ok((responses, None));
        } else {
            return Ok((responses, Some(parse(rest)?)));
        }
    }
}

fn check_response(response: &Value) -> Result<(), String> {
    let all = response.as_object().ok_or("a response must be an object")?;
    for name in ["modelVersion", "responseId"] {
        if all.get(name).is_some_and(|value| !value.is_string()) {
            return Err(format!("`{name}` must be a string"));
        }
    }
    for candidate in all.get("candidates").and_then(Value::as_array).into_iter().flatten() {
        let finish = &candidate["finishReason"];
        if !finish.is_null() && !finish.as_str().is_some_and(|finish| FINISH.contains(&finish)) {
            return Err(format!("finishReason {finish}"));
        }
        let content = candidate["content"].as_object().ok_or("a candidate without content")?;
        if content.get("role").is_none_or(|role| role != "model") {
            return Err("the content is not the model's".into());
        }
        check_parts(content)?;
        check_grounding(&candidate["groundingMetadata"])?;
    }
    match all.get("usageMetadata").and_then(Value::as_object) {
        Some(usage) => check_usage(usage),
        None => Ok(()),
    }
}

fn check_grounding(grounding: &Value) -> Result<(), String> {
    let chunks = grounding["groundingChunks"].as_array().map_or(0, Vec::len) as u64;
    for support in grounding["groundingSupports"].as_array().into_iter().flatten() {
        let (start, end) = (&support["segment"]["startIndex"], &support["segment"]["endIndex"]);
        let length = support["segment"]["text"].as_str().ok_or("no words")?.len() as u64;
        if end.as_u64().zip(start.as_u64()).is_none_or(|(end, start)| end - start != length) {
            return Err(format!("places that are not the words': {support}"));
        }
        let indices = support["groundingChunkIndices"].as_array().ok_or("no indices")?;
        if indices.iter().any(|index| index.as_u64().is_none_or(|index| index >= chunks)) {
            return Err("a source that is not there".into());
        }
    }
    Ok(())
}

fn check_usage(usage: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in usage.iter().filter(|(name, _)| name.ends_with("TokenCount")) {
        if value.as_u64().is_none() {
            return Err(format!("{name} {value}"));
        }
    }
    Ok(())
}

fn check_parts(content: &Map<String, Value>) -> Result<(), String> {
    let parts = content.get("parts").and_then(Value::as_array).ok_or("no parts")?;
    if parts.is_empty() {
        return Err("no parts".into());
    }
    parts.iter().try_for_each(check_part)
}

/// The kinds of content of which a part has exactly one.
const DATA: &[&str] = &["text", "inlineData", "fileData", "functionCall", "functionResponse"];

fn check_part(part: &Value) -> Result<(), String> {
    let all = part.as_object().ok_or("a part must be an object")?;
    let kinds = DATA.iter().filter(|kind| all.contains_key(**kind)).count();
    let server = ["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];
    if kinds != 1 && !server.iter().any(|kind| all.contains_key(*kind)) {
        return Err(format!("{kinds} kinds of data in one part"));
    }
    if all.get("text").is_some_and(|text| !text.is_string()) {
        return Err("a text must be a string".into());
    }
    if let Some(call) = all.get("functionCall") {
        let named = call["name"].as_str().is_some_and(|name| !name.is_empty());
        if !named || call.get("args").is_some_and(|args| !args.is_object()) {
            return Err(format!("{call}"));
        }
    }
    if let Some(response) = all.get("functionResponse")
        && !(response["name"].is_string() && response["response"].is_object())
    {
        return Err(format!("{response}"));
    }
    match all.get("thoughtSignature") {
        Some(signature) if signature.as_str().is_none_or(str::is_empty) => Err(format!("{signature}")),
        Some(_) | None => Ok(()),
    }
}

/// A request as Google takes it: roles, parts, results that match their calls in number and order,
/// names within bounds, sampling within its types.
pub fn check_request(bytes: &[u8]) -> Result<(), String> {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let known = ["contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"];
    let members = request.as_object().ok_or("not an object")?;
    if let Some(name) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("unknown `{name}`"));
    }
    let contents = request["contents"].as_array().filter(|all| !all.is_empty()).ok_or("no contents")?;
    let mut calls: Vec<&str> = Vec::new();
    let mut last_role = "";
    for content in contents {
        let role = content["role"].as_str().filter(|role| ["user", "model"].contains(role)).ok_or("role")?;
        if role == last_role {
            return Err("two contents of one role in a row".into());
        }
        last_role = role;
        check_parts(content.as_object().ok_or("a content must be an object")?)?;
        let parts = content["parts"].as_array().into_iter().flatten();
        let names = |kind: &str| -> Vec<&str> {
            parts.clone().filter_map(|part| part[kind]["name"].as_str()).collect()
        };
        let results = names("functionResponse");
        if !results.is_empty() && results != calls {
            return Err(format!("{results:?} answer {calls:?}"));
        }
        calls = names("functionCall");
    }
    check_declarations(&request)
}

fn check_declarations(request: &Value) -> Result<(), String> {
    let mut names = Vec::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        for function in tool["functionDeclarations"].as_array().into_iter().flatten() {
            let name = function["name"].as_str().ok_or("no name")?;
            let start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.:-".contains(c));
            if !start || !legal || name.len() > 64 || names.contains(&name) {
                return Err(format!("the name `{name}`"));
            }
            names.push(name);
        }
    }
    let allowed = &request["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"];
    let unknown = |name: &&Value| !name.as_str().is_some_and(|name| names.contains(&name));
    match allowed.as_array().into_iter().flatten().find(unknown) {
        Some(name) => Err(format!("no function {name}")),
        None => Ok(()),
    }
}
