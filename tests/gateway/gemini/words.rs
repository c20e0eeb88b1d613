//! Conversations as the tests spell them, and what a provider gets of one.

use millrace::chat::Conversation;
use millrace::chat::conversation::{Issuer, Part, Role, Seal, Tool, ToolCall, ToolKind, ToolResult, Turn};
use millrace::protocol::gemini::write_conversation;
use millrace::protocol::lane::Written;
use serde_json::Value;

use super::grammar::check_request;
use super::target;

pub fn text(text: &str) -> Part {
    Part::Text { text: text.into(), cache: None }
}

pub fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts }
}

pub fn call(id: &str, name: &str, arguments: &str, issuer: Option<Issuer>) -> Part {
    let seal = issuer.map(|issuer| Seal { issuer, data: "c2ln".into(), id: None });
    Part::ToolCall(ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        custom: false,
        seal,
    })
}

pub fn result(call: &str, parts: Vec<Part>, is_error: bool) -> Part {
    Part::ToolResult(ToolResult { call: call.into(), parts, is_error, custom: false, cache: None })
}

pub fn user(words: &str) -> Turn {
    turn(Role::User, vec![text(words)])
}

pub fn write(conversation: &Conversation, model: &str) -> (Value, Written) {
    let written = write_conversation(conversation, &target(model), true).unwrap();
    check_request(&written.body).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), written)
}

pub fn tool(name: &str, schema: &str) -> Tool {
    let kind = ToolKind::Function { parameters: Some(schema.into()), strict: None };
    Tool { name: name.into(), description: Some("d".into()), kind, cache: None }
}
