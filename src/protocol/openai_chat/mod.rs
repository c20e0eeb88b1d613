//! Chat Completions as OpenAI began it, OpenRouter extended it and most providers speak it.
//! With the same protocol on both sides nothing is rebuilt: bytes are spliced. With another on
//! one side requests become conversations, and replies events.

mod choice;
mod closing;
mod conversation;
mod details;
mod events;
mod face;
mod intake;
mod messages;
mod plain;
mod progress;
mod reply;
mod splice;
mod stream_reader;
mod stream_writer;
mod strict;
mod upstream;
mod whole;
mod wire;
mod write_conversation;
mod write_messages;

pub use crate::protocol::lane::Target;
pub use crate::protocol::openai_wire::{read_error, write_error, write_usage};
pub use conversation::read_conversation;
pub use face::read_request;
pub use reply::{Reply, read_reply};
pub use splice::Splice;
pub use stream_reader::StreamReader;
pub use stream_writer::StreamWriter;
pub use upstream::splice_request;
pub use whole::{read_whole, write_whole};
pub use wire::{finish_reason, usage_from};
pub use write_conversation::write_conversation;
