//! What a reply says, whatever events it is cut into: what every protocol can carry.

use millrace::chat::Event;
use serde_json::{Value, json};

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The text, and a refusal, which some protocols know as text.
    pub text: String,
    /// Name and arguments of every call that is whole.
    pub calls: Vec<(String, String)>,
    /// `None` as well where the protocols differ.
    pub finish: Option<&'static str>,
}

pub fn said(events: &[Event]) -> Said {
    let mut said = Said::default();
    let mut refused = false;
    let mut open: Vec<(usize, bool, String, String)> = Vec::new();
    for event in events {
        refused |= matches!(event, Event::Refusal(_));
        match event {
            Event::Text(text) | Event::Refusal(text) => said.text.push_str(text),
            Event::ToolCall { call, name, custom, .. } => {
                open.push((*call, *custom, name.clone(), String::new()));
            }
            Event::Arguments { call, text } => {
                let found = open.iter_mut().find(|(number, ..)| number == call);
                found.expect("an open call").3.push_str(text);
            }
            Event::ToolCallEnd { call } => {
                let (_, custom, name, arguments) =
                    open.iter().find(|(number, ..)| number == call).expect("an open call");
                // Where there are no custom tools, their text goes in an object.
                let arguments = match custom {
                    true => json!({ "input": arguments }).to_string(),
                    false => normal(arguments),
                };
                said.calls.push((name.clone(), arguments));
            }
            Event::Finish { reason, .. } => said.finish = Some(reason.reason()),
            Event::Reasoning { .. } | Event::Seal { .. } | Event::Image { .. } | Event::Citation(_) => {}
        }
    }
    said.text = without_pictures(&said.text);
    // Whether a call that the limit cut is whole, its JSON cannot always tell.
    if said.finish == Some("length") {
        said.calls.clear();
    }
    // OpenAI ends a refusal with `stop`, Anthropic with a reason of its own.
    said.finish = said.finish.filter(|_| !refused);
    said
}

/// Text without the pictures that stand in it where a protocol has no place of its own for them.
fn without_pictures(text: &str) -> String {
    let mut pieces = text.split("![image](data:");
    let mut kept = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        kept.push_str(piece.split_once(')').map_or("", |(_, rest)| rest));
    }
    kept.trim().to_owned()
}

/// The same JSON in the same spelling.
fn normal(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(value) => value.to_string(),
        Err(_) if arguments.is_empty() => "{}".to_owned(),
        Err(_) => arguments.to_owned(),
    }
}
