//! How many tokens a prompt is, about, for counts that have to be given before a provider gives
//! one. An estimate, and never the bound of what a request may cost: that is `pricing`'s ceiling.

mod family;
mod measure;
mod scan;

pub use family::Family;
pub use measure::Measure;
pub use scan::Pieces;

use crate::chat::Conversation;

/// Returns about how many tokens `model` reads of a conversation, at least one, in time linear in
/// its size.
pub fn estimate(conversation: &Conversation, model: &str) -> u64 {
    let family = Family::of(model);
    family.tokens(&Measure::of(conversation, family))
}

/// Returns about how many tokens a text is for `model`, at least one.
pub fn estimate_text(text: &str, model: &str) -> u64 {
    let measure = Measure { text: Pieces::of(text), ..Measure::default() };
    Family::of(model).tokens(&measure)
}
