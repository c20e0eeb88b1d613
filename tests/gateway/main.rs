//! The native tests: one binary, whose modules mirror `src/`.

mod account;
mod account_access;
mod account_alert;
mod account_billing;
mod account_ledger;
mod anthropic_messages;
mod architecture;
mod authorization;
mod bedrock;
mod bill;
mod billing;
mod books;
mod budget;
mod byok;
mod bytes;
mod calls;
mod catalog;
mod catalog_format;
mod cohere;
mod config;
mod docs;
mod document;
mod embeddings;
mod endpoint;
mod exchange;
mod fault;
mod gemini;
mod grid;
mod guard;
mod health;
mod id;
mod json;
mod key;
mod lane;
mod lease;
mod listing;
mod losses;
mod management;
mod media;
mod money;
mod ollama;
mod openai_chat_translate;
mod openai_completions;
mod openai_responses;
mod overlay;
mod preset;
mod pricing;
mod protocol_millrace;
mod protocol_openai_chat;
mod rate;
mod recorded;
mod rerank;
mod routing;
mod search;
mod simulator;
mod sse;
mod team;
mod time;
mod tokens;
mod verdict;
mod wallet;
mod wires;
mod writing;

/// A request as it is read.
fn outlined(bytes: impl AsRef<[u8]>) -> millrace::json::Outlined {
    millrace::json::Outlined::new(bytes.as_ref().to_vec())
}
