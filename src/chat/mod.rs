//! The one conversation that all protocols share. No serde here: only the `wire.rs` files of the
//! protocol folders promise anything to outsiders.

mod quirks;
mod request;
mod usage;

pub use quirks::{MaxTokensName, Quirks, StreamUsage};
pub use request::{Needs, RequestSize};
pub use usage::Usage;
