//! The native tests' account on SQLite in memory.
#![allow(dead_code)]

#[path = "../../tests/gateway/account/script.rs"]
pub mod script;
