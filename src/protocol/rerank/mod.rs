//! Rerank: a face after Cohere's, as OpenRouter has it, and the upstreams that speak Cohere's, Jina's
//! or Voyage's form of it. The gateway echoes the documents itself.

mod face;
mod reply;
mod upstream;
mod wire;

pub use crate::protocol::openai_wire::write_error;
pub use face::{RerankRequest, read_request};
pub use reply::{RerankReply, RerankResult, read_reply, write_reply};
pub use upstream::{Dialect, write_request};
pub use wire::read_error;
