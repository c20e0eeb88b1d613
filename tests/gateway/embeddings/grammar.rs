//! What the strict clients of embeddings require of a request and of a reply.

use serde_json::Value;

/// Checks a request against OpenAI's schema.
pub fn check_request(bytes: &[u8]) -> Result<(), String> {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let known = ["model", "input", "encoding_format", "dimensions", "user"];
    let all = request.as_object().ok_or("no object")?;
    if let Some(key) = all.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown {key}"));
    }
    let model = request["model"].as_str().is_some_and(|model| !model.is_empty());
    model.then_some(()).ok_or_else(|| "no model".to_owned())
}

/// Checks a reply in OpenRouter's shape, whose vectors are all in one encoding.
pub fn check_whole(bytes: &[u8], base64: bool, count: usize) -> Result<(), String> {
    let reply: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let wrong = |what: &str| Err(format!("{what}: {}", reply[what]));
    if reply["object"] != "list" {
        return wrong("object");
    }
    for name in ["id", "model", "provider"] {
        if !reply[name].is_string() {
            return wrong(name);
        }
    }
    let data = reply["data"].as_array().ok_or("no data")?;
    if data.len() != count {
        return Err(format!("{} embeddings", data.len()));
    }
    for (index, item) in data.iter().enumerate() {
        let vector = &item["embedding"];
        let numbers =
            vector.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(Value::is_number));
        let packed = vector.as_str().is_some_and(|text| !text.is_empty() && text.len() % 4 == 0);
        if item["object"] != "embedding" || item["index"] != index || if base64 { !packed } else { !numbers }
        {
            return Err(format!("data[{index}]"));
        }
    }
    check_usage(&reply["usage"])
}

fn check_usage(usage: &Value) -> Result<(), String> {
    let counts = ["prompt_tokens", "total_tokens"].iter().all(|name| usage[name].is_u64());
    let costs =
        ["upstream_inference_cost", "upstream_inference_prompt_cost", "upstream_inference_completions_cost"];
    let details = costs.iter().all(|name| usage["cost_details"][name].is_number());
    let modalities = usage.get("prompt_tokens_details").is_none_or(|details| {
        details.as_object().is_some_and(|all| all.len() > 1 && all.values().all(Value::is_u64))
    });
    let good = counts && details && modalities && usage["cost"].is_number() && usage["is_byok"].is_boolean();
    good.then_some(()).ok_or_else(|| format!("usage: {usage}"))
}
