//! The protocols of the grid, a row for each face and each upstream.

use millrace::chat::{Bill, Conversation, Event, Facts, Identity, Quirks, ReplyFault};
use millrace::error::Failure;
use millrace::protocol::lane::{Reader, Renamed, Target, WholeReply, Writer, Written};
use millrace::protocol::openai_chat;

use super::recording::{Recording, Reply};
use crate::openai_chat_translate::grammar as chat_grammar;

pub type Check = fn(&[u8]) -> Result<(), String>;

pub struct Face {
    pub name: &'static str,
    /// Whether the recorded request is this face's.
    pub speaks: fn(&Recording) -> bool,
    pub read: fn(&Recording, &[u8]) -> Result<Conversation, Failure>,
    pub writer: fn(Identity) -> Box<dyn Writer>,
    pub write_whole: fn(&[Event], &Facts, &Identity, &Bill) -> Vec<u8>,
    pub check_stream: Check,
    pub check_whole: Check,
}

pub struct Upstream {
    pub name: &'static str,
    /// Whether the recorded reply is this upstream's.
    pub speaks: fn(&Recording) -> bool,
    pub write: fn(&Conversation, &Target<'_>, bool) -> Result<Written, Failure>,
    pub check_request: Check,
    pub reader: fn(Quirks, Vec<Renamed>) -> Box<dyn Reader>,
    pub read_whole: fn(&[u8], &Quirks, &[Renamed]) -> Result<WholeReply, ReplyFault>,
}

pub fn faces() -> Vec<Face> {
    vec![Face {
        name: "openai_chat",
        speaks: speaks_chat,
        read: |_, body| openai_chat::read_conversation(body),
        writer: |identity| Box::new(openai_chat::StreamWriter::new(identity)),
        write_whole: openai_chat::write_whole,
        check_stream: chat_grammar::check_stream,
        check_whole: chat_grammar::check_whole,
    }]
}

pub fn upstreams() -> Vec<Upstream> {
    vec![Upstream {
        name: "openai_chat",
        speaks: speaks_chat,
        write: openai_chat::write_conversation,
        check_request: chat_grammar::check_request,
        reader: |quirks, names| Box::new(openai_chat::StreamReader::new(quirks, names)),
        read_whole: openai_chat::read_whole,
    }]
}

/// Requests that the recordings lack, by the face that takes them.
pub fn cases(face: &str) -> &'static [(&'static str, &'static str)] {
    match face {
        "openai_chat" => crate::openai_chat_translate::cases::CASES,
        _ => &[],
    }
}

fn speaks_chat(recording: &Recording) -> bool {
    let start = match &recording.reply {
        Some(Reply::Stream(body) | Reply::Whole(body)) => String::from_utf8_lossy(&body[..body.len().min(2000)]),
        None => "".into(),
    };
    recording.url.ends_with("chat/completions") || recording.url.is_empty() && start.contains("chat.completion")
}
