//! Anthropic's Messages, as Claude Code and Anthropic's SDKs speak it and Anthropic answers it,
//! with OpenRouter's additions. With the same protocol on both sides nothing is rebuilt.

mod beta;
mod count;
mod face;
mod family;
mod plain;
mod prompt;
mod read;
mod reader;
mod seal;
mod splice;
mod stream;
mod tools;
mod upstream;
mod whole;
mod wire;

pub use beta::{BETA_HEADERS, BetaPolicy, BetaTarget, ForwardedBetas, forward_betas};
pub use count::count_tokens_estimate;
pub use face::read_request;
pub use read::read_conversation;
pub use reader::{StreamReader, read_whole};
pub use splice::{Splice, splice_request, splice_whole};
pub use stream::{PING, StreamWriter};
pub use upstream::write_conversation;
pub use whole::write_whole;
pub use wire::{error_type, finish_of, read_error, stop_reason, usage_from, write_error};
