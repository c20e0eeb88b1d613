//! Which protocol a recording is of: told by its address, or, where that is lost, by what its reply
//! looks like. Never by its name.

use serde_json::Value;

use super::{Reply, frames};

/// The protocols of the recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    Chat,
    Completions,
    Responses,
    Messages,
    Gemini,
    GeminiCount,
    Bedrock,
    Cohere,
    Ollama,
    Embeddings,
    GeminiEmbeddings,
    CohereEmbeddings,
    VertexEmbeddings,
    /// Files, caches, model lists and what else there is: not covered.
    Other,
}

/// Endings of paths; the first that fits.
const PATHS: &[(&str, Wire)] = &[
    ("chat/completions", Wire::Chat),
    ("/completions", Wire::Completions),
    ("/responses", Wire::Responses),
    ("/messages", Wire::Messages),
    (":generateContent", Wire::Gemini),
    (":streamGenerateContent", Wire::Gemini),
    (":countTokens", Wire::GeminiCount),
    ("/converse", Wire::Bedrock),
    ("/converse-stream", Wire::Bedrock),
    ("/v2/chat", Wire::Cohere),
    ("/api/chat", Wire::Ollama),
    ("/embeddings", Wire::Embeddings),
    (":batchEmbedContents", Wire::GeminiEmbeddings),
    ("/v1/embed", Wire::CohereEmbeddings),
    ("/v2/embed", Wire::CohereEmbeddings),
];

/// Only what is asked anew is a reply: one that is fetched again may begin in its middle.
pub fn recognise(method: &str, url: &str, reply: Option<&Reply>) -> Wire {
    if method != "POST" {
        return Wire::Other;
    }
    if url.is_empty() {
        return reply.map_or(Wire::Other, by_reply);
    }
    let raw = [":rawPredict", ":streamRawPredict"].iter().any(|end| url.ends_with(end));
    if raw && url.contains("/publishers/anthropic/") {
        return Wire::Messages;
    }
    // Other models of Vertex AI, which make pictures, are asked in the same way.
    let model = url.rsplit('/').next().unwrap_or_default();
    if model.ends_with(":predict") && model.contains("embedding") {
        return Wire::VertexEmbeddings;
    }
    let found = PATHS.iter().find(|(end, _)| url.ends_with(end));
    found.map_or(Wire::Other, |(_, wire)| *wire)
}

fn by_reply(reply: &Reply) -> Wire {
    match reply {
        Reply::Stream(bytes) => {
            let kinds = frames(bytes).iter().map(by_frame).find(|wire| *wire != Wire::Other);
            kinds.unwrap_or(Wire::Other)
        }
        Reply::Whole(bytes) => match serde_json::from_slice::<Value>(bytes) {
            Ok(Value::Array(all)) => all.first().map_or(Wire::Other, by_whole),
            Ok(value) => by_whole(&value),
            Err(_) => Wire::Other,
        },
    }
}

fn by_frame(frame: &Value) -> Wire {
    match frame["type"].as_str() {
        Some("message_start" | "ping" | "error" | "content_block_start") => Wire::Messages,
        Some("message-start") => Wire::Cohere,
        Some(kind) if kind.starts_with("response.") => Wire::Responses,
        _ => by_whole(frame),
    }
}

fn by_whole(body: &Value) -> Wire {
    let has = |key: &str| body.get(key).is_some();
    match body["object"].as_str() {
        Some("chat.completion" | "chat.completion.chunk") => return Wire::Chat,
        Some("text_completion") => return Wire::Completions,
        Some("response") => return Wire::Responses,
        _ => {}
    }
    if matches!(body["type"].as_str(), Some("message" | "error")) {
        return Wire::Messages;
    }
    if has("candidates")
        || has("promptFeedback")
        || has("usageMetadata")
        || body["error"]["status"].is_string()
    {
        return Wire::Gemini;
    }
    if has("finish_reason") && body["message"].is_object() {
        return Wire::Cohere;
    }
    // API gateways, Bedrock's among them.
    if body["message"].is_string() {
        return Wire::Bedrock;
    }
    let chat = body["choices"][0]["message"].is_object() || body["choices"][0]["delta"].is_object();
    if chat || body["error"].is_object() { Wire::Chat } else { Wire::Other }
}
