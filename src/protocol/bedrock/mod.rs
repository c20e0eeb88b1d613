//! Amazon Bedrock's Converse: any model it hosts, in one shape of its own, streamed in Amazon's
//! binary event stream and paid for with signed requests or an API key. Upstream only.

mod cache;
mod content;
mod frame;
mod history;
mod model;
mod reply;
mod request;
mod sigv4;
mod stream;
mod tools;
mod url;
mod wire;

pub use frame::{FrameFault, FrameReader, Message, crc32};
pub use reply::read_whole;
pub use request::write_conversation;
pub use sigv4::{
    Credentials, Scope, Signable, authorization, canonical_request, hmac, payload_hash, percent_encode,
    signed_headers, string_to_sign, timestamp,
};
pub use stream::StreamReader;
pub use url::{converse_path, converse_url, host};
pub use wire::{finish, read_error, read_typed_error, usage_from};

/// The `authorization` header of an API key, which needs no signature.
pub fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// What to ask for in `accept`.
pub fn accept(stream: bool) -> &'static str {
    if stream { "application/vnd.amazon.eventstream" } else { "application/json" }
}
