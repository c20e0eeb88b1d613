//! Gemini's `generateContent`, as Google AI Studio and Vertex AI serve it and the google-genai
//! SDKs and gemini-cli call it. With the same protocol on both sides nothing is rebuilt.

mod citation;
mod compose;
mod contents;
mod conversation;
mod error;
mod face;
mod family;
mod fields;
mod names;
mod partial;
mod reader;
mod reply;
mod schema;
mod seal;
mod splice;
pub mod vertex;
mod wire;
mod writer;

pub use compose::write_conversation;
pub use conversation::read_conversation;
pub use error::{read_error, retry_delay, write_error};
pub use face::{count_tokens_estimate, read_request, write_count};
pub use reader::{StreamReader, read_whole};
pub use splice::{Splice, splice_request, splice_whole};
pub use wire::{finish, method, usage_from, write_usage};
pub use writer::{Framing, KEEP_ALIVE, StreamWriter, write_whole};

/// How ids of calls begin that Gemini left without one.
const MINTED: &str = "call_gm_";
