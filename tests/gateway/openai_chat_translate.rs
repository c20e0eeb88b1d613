//! Chat Completions by way of the neutral vocabulary: requests as conversations and back, replies
//! as events and back.

pub mod cases;
pub mod grammar;
