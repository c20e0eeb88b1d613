//! Embeddings: OpenAI's face with OpenRouter's extensions, and the upstreams that speak it more or
//! less ([`Dialect`]), Gemini's, Vertex AI's and Cohere's. A reply is read into one form and written once.

pub mod cohere;
mod embedder;
mod face;
pub mod gemini;
mod reply;
mod upstream;
mod vector;
pub mod vertex;
mod wire;

pub use crate::protocol::openai_wire::write_error;
pub use embedder::Embedder;
pub use face::{EmbeddingsRequest, Encoding, InputKind, read_request};
pub use reply::{EmbeddingsReply, read_reply, write_reply};
pub use upstream::{Dialect, write_request};
pub use wire::read_error;
