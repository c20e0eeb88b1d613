//! The protocols of the grid, a row for each face and each upstream.

use millrace::catalog::Protocol;
use millrace::chat::{Bill, Conversation, Event, Facts, Identity, Quirks, ReplyFault};
use millrace::error::Failure;
use millrace::json::Outlined;
use millrace::protocol::lane::{Reader, Renamed, Target, WholeReply, Writer, Written};
use millrace::protocol::{
    anthropic_messages, bedrock, cohere, gemini, ollama, openai_chat, openai_completions, openai_responses,
};

use crate::anthropic_messages::grammar as anthropic_grammar;
use crate::bedrock::grammar as bedrock_grammar;
use crate::cohere::grammar as cohere_grammar;
use crate::gemini::grammar as gemini_grammar;
use crate::openai_chat_translate::{cases, grammar as chat_grammar};
use crate::openai_completions::grammar as completions_grammar;
use crate::openai_responses::grammar as responses_grammar;
use crate::recorded::Wire;

pub type ReadWhole = fn(&[u8], &Quirks, &[Renamed]) -> Result<WholeReply, ReplyFault>;
pub type Check = fn(&[u8]) -> Result<(), String>;

pub struct Face {
    pub name: &'static str,
    /// What its recorded requests are of.
    pub wire: Wire,
    pub read: fn(&Outlined) -> Result<Conversation, Failure>,
    pub writer: fn(Identity) -> Box<dyn Writer>,
    pub write_whole: fn(&[Event], &Facts, &Identity, &Bill) -> Vec<u8>,
    pub check_stream: Check,
    pub check_whole: Check,
}

pub struct Upstream {
    pub name: &'static str,
    pub protocol: Protocol,
    /// A model that such a provider has.
    pub model: &'static str,
    /// What its recorded replies are of.
    pub wire: Wire,
    pub write: fn(&Conversation, &Target<'_>, bool) -> Result<Written, Failure>,
    pub check_request: Check,
    pub reader: fn(Quirks, Vec<Renamed>) -> Box<dyn Reader>,
    pub read_whole: ReadWhole,
}

pub fn faces() -> Vec<Face> {
    vec![
        Face {
            name: "openai_chat",
            wire: Wire::Chat,
            read: openai_chat::read_conversation,
            writer: |identity| Box::new(openai_chat::StreamWriter::new(identity)),
            write_whole: openai_chat::write_whole,
            check_stream: chat_grammar::check_stream,
            check_whole: chat_grammar::check_whole,
        },
        Face {
            name: "openai_completions",
            wire: Wire::Completions,
            read: openai_completions::read_conversation,
            writer: |identity| Box::new(openai_completions::StreamWriter::new(identity)),
            write_whole: openai_completions::write_whole,
            check_stream: completions_grammar::check_stream,
            check_whole: completions_grammar::check_whole,
        },
        Face {
            name: "openai_responses",
            wire: Wire::Responses,
            read: openai_responses::read_conversation,
            writer: |identity| {
                let echo = openai_responses::Echo::default();
                Box::new(openai_responses::StreamWriter::new(identity, echo))
            },
            write_whole: |events, facts, identity, bill| {
                let echo = openai_responses::Echo::default();
                openai_responses::write_whole(events, facts, identity, bill, &echo)
            },
            check_stream: responses_grammar::check_stream,
            check_whole: responses_grammar::check_whole,
        },
        Face {
            name: "anthropic_messages",
            wire: Wire::Messages,
            read: anthropic_messages::read_conversation,
            writer: |identity| Box::new(anthropic_messages::StreamWriter::new(identity, 7)),
            write_whole: anthropic_messages::write_whole,
            check_stream: anthropic_grammar::check_stream,
            check_whole: anthropic_grammar::check_whole,
        },
        Face {
            name: "gemini",
            wire: Wire::Gemini,
            read: |body| gemini::read_conversation(body.bytes()),
            writer: |identity| Box::new(gemini::StreamWriter::new(identity)),
            write_whole: gemini::write_whole,
            check_stream: gemini_grammar::check_stream,
            check_whole: gemini_grammar::check_whole,
        },
    ]
}

pub fn upstreams() -> Vec<Upstream> {
    vec![
        Upstream {
            name: "openai_chat",
            protocol: Protocol::OpenAiChat,
            model: "gpt-5.2",
            wire: Wire::Chat,
            write: openai_chat::write_conversation,
            check_request: chat_grammar::check_request,
            reader: |quirks, names| Box::new(openai_chat::StreamReader::new(quirks, names)),
            read_whole: openai_chat::read_whole,
        },
        Upstream {
            name: "openai_responses",
            protocol: Protocol::OpenAiResponses,
            model: "gpt-5.6",
            wire: Wire::Responses,
            write: openai_responses::write_conversation,
            check_request: responses_grammar::check_request,
            reader: |quirks, names| Box::new(openai_responses::StreamReader::new(quirks, names)),
            read_whole: openai_responses::read_whole,
        },
        Upstream {
            name: "anthropic_messages",
            protocol: Protocol::AnthropicMessages,
            model: "claude-sonnet-4-5",
            wire: Wire::Messages,
            write: anthropic_messages::write_conversation,
            check_request: anthropic_grammar::check_request,
            reader: |quirks, names| Box::new(anthropic_messages::StreamReader::new(quirks, names)),
            read_whole: anthropic_messages::read_whole,
        },
        Upstream {
            name: "gemini",
            protocol: Protocol::Gemini,
            model: "gemini-3-pro",
            wire: Wire::Gemini,
            write: gemini::write_conversation,
            check_request: gemini_grammar::check_request,
            reader: |quirks, names| Box::new(gemini::StreamReader::new(quirks, names)),
            read_whole: gemini::read_whole,
        },
        Upstream {
            name: "bedrock",
            protocol: Protocol::Bedrock,
            model: "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            wire: Wire::Bedrock,
            write: bedrock::write_conversation,
            check_request: bedrock_grammar::check_request,
            reader: |quirks, names| Box::new(bedrock::StreamReader::new(quirks, names)),
            read_whole: bedrock::read_whole,
        },
        Upstream {
            name: "cohere",
            protocol: Protocol::Cohere,
            model: "command-a-03-2025",
            wire: Wire::Cohere,
            write: cohere::write_conversation,
            check_request: cohere_grammar::check_request,
            reader: |quirks, names| Box::new(cohere::StreamReader::new(quirks, names)),
            read_whole: cohere::read_whole,
        },
        Upstream {
            name: "ollama",
            protocol: Protocol::Ollama,
            model: "llama3.2",
            wire: Wire::Ollama,
            write: ollama::write_conversation,
            check_request: check_ollama,
            reader: |quirks, names| Box::new(ollama::StreamReader::new(quirks, names)),
            read_whole: ollama::read_whole,
        },
    ]
}

/// Requests that the recordings lack, by the face that takes them.
pub fn handmade(face: &str) -> &'static [(&'static str, &'static str)] {
    match face {
        "openai_chat" => cases::CASES,
        _ => &[],
    }
}

fn check_ollama(bytes: &[u8]) -> Result<(), String> {
    let request: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let messages = request["messages"].as_array().filter(|messages| !messages.is_empty());
    for message in messages.ok_or("no messages")? {
        let roles = ["system", "user", "assistant", "tool"];
        let role = message["role"].as_str().is_some_and(|role| roles.contains(&role));
        if !role || !message["content"].is_string() {
            return Err(format!("the message {message}"));
        }
    }
    if request["model"].is_string() { Ok(()) } else { Err("no model".into()) }
}
