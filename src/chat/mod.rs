//! The one conversation that all protocols share. No serde here: only the `wire.rs` files of the
//! protocol folders promise anything to outsiders.

pub mod conversation;
mod event;
mod quirks;
mod reply;
mod request;
mod usage;

pub use conversation::Conversation;
pub use event::{Citation, Event, Finish, Says};
pub use quirks::{CallIdForm, MaxTokensName, PastReasoning, Quirks, StreamUsage, TurnOrder};
pub use reply::{Bill, Facts, Identity, ProviderError, ReplyFault, WITHIN_A_CALL, WITHOUT_A_REASON};
pub use request::{Asks, ChatRequest, Needs, Output, RequestSize, WebSearch};
pub use usage::Usage;
