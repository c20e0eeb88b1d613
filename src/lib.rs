//! Millrace: one API for every model, on your own edge.
//!
//! The modules in reading order. Each may use those named before it, never those after; only
//! `shell` waits, reads clocks and names the Workers runtime.

pub mod base64;
pub mod bytes;
pub mod error;
pub mod id;
pub mod money;
pub mod time;

pub mod json;
pub mod query;
pub mod sse;

pub mod chat;
pub mod tokens;

pub mod catalog;
pub mod media;
pub mod protocol;

pub mod health;
pub mod pricing;
pub mod routing;

pub mod guard;

pub mod account;
pub mod preset;

pub mod authorization;
pub mod billing;

pub mod config;
pub mod endpoint;

pub mod byok;
pub mod exchange;

#[cfg(feature = "worker")]
mod shell;
