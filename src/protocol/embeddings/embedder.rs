//! Which words an endpoint has for embeddings, and so who writes its requests and reads its replies.

use super::face::EmbeddingsRequest;
use super::reply::{self, EmbeddingsReply};
use super::upstream::{self, Dialect};
use super::{cohere, gemini, vertex};
use crate::catalog::{Protocol, Provider};
use crate::chat::{Quirks, ReplyFault};
use crate::error::Failure;
use crate::protocol::lane::{Target, Written};

/// The words in which an endpoint takes and gives embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedder {
    /// More or less OpenAI's.
    Like(Dialect),
    Gemini,
    Vertex,
    Cohere,
}

impl Embedder {
    /// Those of `provider`, spoken to in `wire`.
    pub fn of(wire: Protocol, provider: &Provider) -> Embedder {
        match wire {
            Protocol::Gemini if provider.slug == "google-vertex" => Embedder::Vertex,
            Protocol::Gemini => Embedder::Gemini,
            Protocol::Cohere => Embedder::Cohere,
            Protocol::OpenAiChat | Protocol::OpenAiResponses | Protocol::AnthropicMessages => {
                Embedder::Like(Dialect::of(provider.slug))
            }
            Protocol::Bedrock | Protocol::Ollama | Protocol::Millrace => {
                Embedder::Like(Dialect::of(provider.slug))
            }
        }
    }

    /// Writes the request for the endpoint. `body` is one that `read_request` accepted.
    pub fn write_request(self, body: &[u8], target: &Target<'_>) -> Result<Written, Failure> {
        match self {
            Embedder::Gemini => gemini::write_request(body, target),
            Embedder::Vertex => vertex::write_request(body, target),
            Embedder::Cohere => cohere::write_request(body, target),
            Embedder::Like(dialect) => Ok(upstream::write_request(body, target, dialect)),
        }
    }

    /// Reads a body that came with status 200.
    pub fn read_reply(
        self,
        body: &[u8],
        request: &EmbeddingsRequest,
        quirks: &Quirks,
    ) -> Result<EmbeddingsReply, ReplyFault> {
        match self {
            Embedder::Gemini => gemini::read_reply(body, request),
            Embedder::Vertex => vertex::read_reply(body, request),
            Embedder::Cohere => cohere::read_reply(body, request),
            Embedder::Like(dialect) => reply::read_reply(body, request, dialect, quirks),
        }
    }

    /// The path at the address of an endpoint that is spoken to in `wire`, from the slash on.
    pub fn path(self, wire: Protocol, model: &str) -> String {
        match self {
            Embedder::Gemini => format!("/models/{model}:batchEmbedContents"),
            Embedder::Vertex => format!("/models/{model}:{}", vertex::method(model)),
            Embedder::Cohere => "/embed".to_owned(),
            // Ollama's own address has OpenAI's protocol below this.
            Embedder::Like(_) if wire == Protocol::Ollama => "/v1/embeddings".to_owned(),
            Embedder::Like(_) => "/embeddings".to_owned(),
        }
    }
}
