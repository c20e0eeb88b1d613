//! Cohere's Chat, second version: OpenAI's shape of tools and messages, a grammar of events of its
//! own, citations, and thoughts that come as content or as a plan. Upstream only.

mod content;
mod reply;
mod request;
mod stream;
mod wire;

pub use reply::read_whole;
pub use request::write_conversation;
pub use stream::StreamReader;
pub use wire::{finish, read_error, usage_from};
