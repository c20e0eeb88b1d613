//! One folder for each wire protocol, with both its sides: the face that clients see and the
//! upstream that providers see. No folder knows another; only this file and `bridge` name them all.
//! What folders share lies beside them and knows none of them.

pub mod anthropic_messages;
pub mod asks;
pub mod bedrock;
pub mod bridge;
pub mod call_ids;
pub mod calls;
pub mod cohere;
pub mod complaint;
pub mod embeddings;
pub mod fault;
pub mod fields;
pub mod gemini;
pub mod lane;
pub mod millrace;
pub mod ollama;
pub mod openai_chat;
pub mod openai_completions;
pub mod openai_responses;
pub mod openai_wire;
pub mod rerank;
pub mod search;
pub mod usage;
pub mod verbatim;
pub mod writing;
