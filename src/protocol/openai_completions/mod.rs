//! Completions as OpenAI had them before chat: a prompt in, text out. Providers that still serve
//! them get the client's bytes spliced; for others the prompt becomes a conversation.

mod conversation;
mod face;
mod reply;
mod splice;
mod upstream;
mod wire;
mod writer;

pub use crate::protocol::openai_wire::read_error;
pub use conversation::read_conversation;
pub use face::read_request;
pub use reply::{read_whole, splice_whole};
pub use splice::Splice;
pub use upstream::splice_request;
pub use wire::{finish_reason, usage_from, write_error};
pub use writer::{StreamWriter, write_whole};
