//! What a reply says, whatever events it is cut into: what every protocol can carry.

use millrace::chat::{Event, Finish};
use serde_json::Value;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The text, and a refusal, which some protocols know as text.
    pub text: String,
    /// Name and arguments of every call that is whole.
    pub calls: Vec<(String, String)>,
    pub finish: Option<&'static str>,
}

pub fn said(events: &[Event]) -> Said {
    let mut said = Said::default();
    let mut open: Vec<(usize, String, String)> = Vec::new();
    for event in events {
        match event {
            Event::Text(text) | Event::Refusal(text) => said.text.push_str(text),
            Event::ToolCall { call, name, .. } => open.push((*call, name.clone(), String::new())),
            Event::Arguments { call, text } => {
                let found = open.iter_mut().find(|(number, ..)| number == call);
                found.expect("an open call").2.push_str(text);
            }
            Event::ToolCallEnd { call } => {
                let (_, name, arguments) =
                    open.iter().find(|(number, ..)| number == call).expect("an open call");
                said.calls.push((name.clone(), normal(arguments)));
            }
            Event::Finish { reason, .. } => said.finish = Some(word(*reason)),
            Event::Reasoning { .. } | Event::Seal { .. } | Event::Image { .. } | Event::Citation(_) => {}
        }
    }
    said
}

/// The same JSON in the same spelling.
fn normal(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) => value.to_string(),
        Err(_) if arguments.is_empty() => "{}".to_owned(),
        Err(_) => arguments.to_owned(),
    }
}

/// A refusal is a filter's work where the protocol knows no other word.
fn word(reason: Finish) -> &'static str {
    reason.reason()
}
