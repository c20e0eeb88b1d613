//! What OpenRouter's schema requires of a reply to a request to rerank, and each upstream of a
//! request.

use millrace::protocol::rerank::Dialect;
use serde_json::Value;

/// Checks a request against the upstream's schema, strictest reading.
pub fn check_request(bytes: &[u8], dialect: Dialect) -> Result<(), String> {
    let request: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let known: &[&str] = match dialect {
        Dialect::Cohere => &["model", "query", "documents", "top_n", "max_tokens_per_doc"],
        Dialect::Jina => &["model", "query", "documents", "top_n", "return_documents"],
        Dialect::Voyage => &["model", "query", "documents", "top_k", "truncation"],
    };
    let all = request.as_object().ok_or("no object")?;
    if let Some(key) = all.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown {key}"));
    }
    let documents = request["documents"].as_array().ok_or("no documents")?;
    let fits = |document: &Value| document.is_string() || dialect == Dialect::Jina && document.is_object();
    if documents.is_empty() || !documents.iter().all(fits) {
        return Err(format!("documents: {documents:?}"));
    }
    let good = request["model"].is_string() && request["query"].is_string();
    good.then_some(()).ok_or_else(|| "model or query".to_owned())
}

pub fn check_whole(bytes: &[u8], most: usize) -> Result<(), String> {
    let reply: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    for name in ["id", "model", "provider"] {
        if !reply[name].is_string() {
            return Err(format!("{name}: {}", reply[name]));
        }
    }
    let results = reply["results"].as_array().ok_or("no results")?;
    if results.is_empty() || results.len() > most {
        return Err(format!("{} results", results.len()));
    }
    for result in results {
        let index = result["index"].as_u64().is_some_and(|index| index < most as u64);
        let document = result["document"].as_object();
        let fits = document.is_some_and(|all| {
            ["text", "image"].iter().all(|key| all.get(*key).is_none_or(Value::is_string))
        });
        if !index || !result["relevance_score"].is_number() || !fits {
            return Err(format!("result: {result}"));
        }
    }
    let usage = reply["usage"].as_object().ok_or("no usage")?;
    let counts = ["search_units", "total_tokens"].iter().all(|key| usage.get(*key).is_none_or(Value::is_u64));
    let good = counts && usage["cost"].is_number();
    good.then_some(()).ok_or_else(|| format!("usage: {usage:?}"))
}
