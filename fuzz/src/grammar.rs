//! The strict validators of the native tests, which know nothing of the code they check.
#![allow(dead_code)]

use millrace::catalog::Protocol;
use millrace::protocol::bridge::Face;

#[path = "../../tests/gateway/anthropic_messages/grammar.rs"]
pub mod anthropic_messages;
#[path = "../../tests/gateway/bedrock/grammar.rs"]
pub mod bedrock;
#[path = "../../tests/gateway/cohere/grammar.rs"]
pub mod cohere;
#[path = "../../tests/gateway/embeddings/grammar.rs"]
pub mod embeddings;
#[path = "../../tests/gateway/gemini/grammar.rs"]
pub mod gemini;
#[path = "../../tests/gateway/ollama/grammar.rs"]
pub mod ollama;
#[path = "../../tests/gateway/openai_chat_translate/grammar.rs"]
pub mod openai_chat;
#[path = "../../tests/gateway/openai_completions/grammar.rs"]
pub mod openai_completions;
#[path = "../../tests/gateway/openai_responses/grammar.rs"]
pub mod openai_responses;
#[path = "../../tests/gateway/rerank/grammar.rs"]
pub mod rerank;

pub type Checked = Result<(), String>;

/// Checks a request that the gateway wrote in `wire`.
pub fn check_request(wire: Protocol, body: &[u8]) -> Checked {
    match wire {
        Protocol::OpenAiChat | Protocol::Millrace => openai_chat::check_request(body),
        Protocol::OpenAiResponses => openai_responses::check_request(body),
        Protocol::AnthropicMessages => anthropic_messages::check_request(body),
        Protocol::Gemini => gemini::check_request(body),
        Protocol::Cohere => cohere::check_request(body),
        Protocol::Bedrock => bedrock::check_request(body),
        Protocol::Ollama => ollama::check_request(body),
    }
}

/// Checks a request as a client of `face` would write it.
pub fn check_own_request(face: Face, body: &[u8]) -> Checked {
    match face {
        Face::Chat => openai_chat::check_request(body),
        Face::Completions => openai_completions::check_request(body),
        Face::Responses => openai_responses::check_request(body),
        Face::Messages => anthropic_messages::check_request(body),
        Face::Gemini(_) => gemini::check_request(body),
        Face::Embeddings | Face::Rerank => Err("none is translated as a conversation".into()),
    }
}

/// Checks a stream that the gateway wrote for a client.
pub fn check_stream(face: Face, out: &[u8]) -> Checked {
    match face {
        Face::Chat | Face::Embeddings | Face::Rerank => openai_chat::check_stream(out),
        Face::Completions => openai_completions::check_stream(out),
        Face::Responses => openai_responses::check_stream(out),
        Face::Messages => anthropic_messages::check_stream(out),
        Face::Gemini(_) => gemini::check_stream(out),
    }
}

/// Checks a whole reply that the gateway wrote for a client.
pub fn check_whole(face: Face, out: &[u8]) -> Checked {
    match face {
        Face::Chat | Face::Embeddings | Face::Rerank => openai_chat::check_whole(out),
        Face::Completions => openai_completions::check_whole(out),
        Face::Responses => openai_responses::check_whole(out),
        Face::Messages => anthropic_messages::check_whole(out),
        Face::Gemini(_) => gemini::check_whole(out),
    }
}
