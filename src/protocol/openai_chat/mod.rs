//! Chat Completions as OpenAI began it, OpenRouter extended it and most providers speak it.
//! With the same protocol on both sides nothing is rebuilt: bytes are spliced.

mod choice;
mod face;
mod reply;
mod splice;
mod upstream;
mod wire;

pub use face::{read_request, write_error};
pub use reply::{Reply, read_reply};
pub use splice::Splice;
pub use upstream::{Target, write_request};
pub use wire::{finish_reason, read_error, usage_from, write_usage};
