//! The Responses API as OpenAI began it and OpenRouter extended it: the face that Codex and the
//! OpenAI SDKs speak to, and the upstream of models that are served under it alone. The gateway
//! keeps no responses, so what needs a kept one is refused.

mod echo;
mod history;
mod items;
mod reader;
mod request;
mod seal;
mod splice;
mod told;
mod tools;
mod upstream;
mod wire;
mod writer;

pub use echo::Echo;
pub use history::read_conversation;
pub use reader::{StreamReader, read_whole};
pub use request::read_request;
pub use splice::{Splice, splice_request, splice_whole};
pub use upstream::write_conversation;
pub use wire::{read_error, write_error};
pub use writer::{StreamWriter, write_whole};
