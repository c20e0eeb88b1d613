//! Ollama's own chat (`POST /api/chat`): one JSON object to a line, tool calls whole with their
//! arguments as objects, everything to tune in `options`. Upstream only.

mod content;
mod reply;
mod request;
mod wire;

pub use reply::{StreamReader, read_whole};
pub use request::write_conversation;
pub use wire::{finish, read_error};
