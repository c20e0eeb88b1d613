//! The native tests: one binary, whose modules mirror `src/`.

mod account;
mod account_ledger;
mod architecture;
mod catalog;
mod config;
mod endpoint;
mod exchange;
mod fixtures;
mod id;
mod json;
mod key;
mod management;
mod money;
mod pricing;
mod protocol_millrace;
mod protocol_openai_chat;
mod routing;
mod sse;
mod time;
mod verdict;
