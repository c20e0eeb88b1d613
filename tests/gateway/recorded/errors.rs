//! Every recorded refusal becomes a fault of a kind, in the provider's own words.

use millrace::chat::ProviderError;
use millrace::protocol::{
    anthropic_messages, bedrock, cohere, embeddings, gemini, ollama, openai_chat, openai_completions,
    openai_responses,
};
use millrace::routing::verdict::classify;
use serde_json::Value;

use super::{Wire, all};

#[test]
fn every_recorded_error_is_a_fault_in_the_providers_words() {
    for recording in all() {
        let Some(body) = recording.error() else { continue };
        let name = &recording.name;
        let status = u16::try_from(recording.status).expect("a status");
        let fault = classify(status, None).unwrap_or_else(|| panic!("{name}: {status} is no fault"));
        assert!(fault.failure(Some("words")).cause.status() >= 400, "{name}");
        let Some(error) = read_error(recording.wire, body) else { continue };
        let text = String::from_utf8_lossy(body);
        assert!(text.trim().starts_with(&error.raw), "{name}: {error:?}");
        assert!(error.raw.len() > 4000 || error.raw == text.trim(), "{name}: {error:?}");
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut words = Vec::new();
        strings(&json, &mut words);
        // A page of a proxy's has no message, but stands in `raw`.
        let spoken = words.iter().any(|word| word.contains(' '));
        assert!(!error.message.is_empty() || !spoken, "{name}: {error:?}");
        let said = |word: &String| word.starts_with(&error.message) || error.message.contains(word.as_str());
        assert!(words.is_empty() || words.iter().any(said), "{name}: {error:?}");
    }
}

fn read_error(wire: Wire, body: &[u8]) -> Option<ProviderError> {
    Some(match wire {
        Wire::Chat => openai_chat::read_error(body),
        Wire::Completions => openai_completions::read_error(body),
        Wire::Responses => openai_responses::read_error(body),
        Wire::Messages => anthropic_messages::read_error(body),
        Wire::Gemini | Wire::GeminiCount => gemini::read_error(body),
        Wire::Bedrock => bedrock::read_error(body),
        Wire::Cohere => cohere::read_error(body),
        Wire::Ollama => ollama::read_error(body),
        Wire::Embeddings | Wire::GeminiEmbeddings | Wire::CohereEmbeddings | Wire::VertexEmbeddings => {
            embeddings::read_error(body)
        }
        Wire::Other => return None,
    })
}

/// All texts of a body.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|value| strings(value, found)),
        Value::Object(all) => all.values().for_each(|value| strings(value, found)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
