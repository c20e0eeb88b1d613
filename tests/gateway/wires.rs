//! What the tests of the protocols that only providers speak share: conversations to write, made of
//! pieces or in every state of disorder, and replies read in pieces.

use millrace::chat::conversation::{
    CacheMark, Effort, Part, Reasoning, ReasoningKind, Role, Source, Tool, ToolCall, ToolKind, ToolResult,
    Turn,
};
use millrace::chat::{Conversation, Event, Facts};
use millrace::error::Failure;
use millrace::protocol::lane::{Reader, Written};
use proptest::prelude::*;
use serde_json::Value;

pub fn text(text: &str) -> Part {
    Part::Text { text: text.into(), cache: None }
}

pub fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts }
}

pub fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.into(), name.into(), arguments.into());
    Part::ToolCall(ToolCall { id, name, arguments, custom: false, seal: None })
}

pub fn result(call: &str, parts: Vec<Part>) -> Part {
    Part::ToolResult(ToolResult { call: call.into(), parts, is_error: false, custom: false, cache: None })
}

pub fn tool(name: &str) -> Tool {
    let kind = ToolKind::Function { parameters: Some(r#"{"type":"object","x":1.0}"#.into()), strict: None };
    Tool { name: name.into(), description: Some("d".into()), kind, cache: None }
}

pub fn user(parts: Vec<Part>) -> Conversation {
    Conversation { turns: vec![turn(Role::User, parts)], ..Conversation::default() }
}

pub fn any_conversation() -> impl Strategy<Value = Conversation> {
    let id = prop::sample::select(vec!["", "a", "b", "c.d:0", "é/"]);
    let word = prop::sample::select(vec!["", " ", "w", "two words", "\"\n"]);
    let part = prop_oneof![
        4 => word.clone().prop_map(text),
        1 => word.clone().prop_map(|text| Part::Refusal { text: text.into() }),
        2 => (id.clone(), prop::sample::select(vec!["f", "g.h", ""])).prop_map(|(id, name)| call(id, name, "{}")),
        2 => (id, word.clone()).prop_map(|(id, word)| result(id, vec![text(word)])),
        1 => word.clone().prop_map(|text| Part::Reasoning { text: text.into(), kind: ReasoningKind::Full, seal: None }),
        1 => (word, any::<bool>()).prop_map(|(name, marked)| Part::File {
            name: Some(name.into()),
            source: Source::Text("t".into()),
            cache: marked.then_some(CacheMark::OneHour),
        }),
    ];
    let role = prop::sample::select(vec![Role::System, Role::User, Role::Assistant]);
    let turns = (role, prop::collection::vec(part, 0..4)).prop_map(|(role, parts)| Turn { role, parts });
    let efforts = prop::option::of(prop::sample::select(Effort::ALL.to_vec()));
    let tools = prop::collection::vec(prop::sample::select(vec!["f", "g.h", "g:h", ""]), 0..3);
    let all = (prop::collection::vec(turns, 0..6), efforts, tools, prop::option::of(1..5000_u64));
    all.prop_map(|(turns, effort, mut tools, max_tokens)| {
        tools.sort_unstable();
        tools.dedup();
        Conversation {
            turns,
            reasoning: effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }),
            tools: tools.into_iter().map(tool).collect(),
            max_tokens,
            ..Conversation::default()
        }
    })
}

/// The pieces of a stream, and what became of them.
pub fn read_pieces<'a>(
    mut reader: impl Reader,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Facts) {
    let mut events = Vec::new();
    pieces.into_iter().for_each(|piece| reader.read(piece, &mut events));
    reader.end_of_input(&mut events);
    (events, reader.facts().clone())
}

/// Events with neighbours of one kind joined: what was said, however it was cut.
pub fn joined(events: &[Event]) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Text(all)), Event::Text(text)) => all.push_str(text),
            (Some(Event::Reasoning { text: all, .. }), Event::Reasoning { text, .. }) => all.push_str(text),
            (Some(Event::Arguments { text: all, call: own }), Event::Arguments { text, call })
                if own == call =>
            {
                all.push_str(text);
            }
            (_, event) => joined.push(event.clone()),
        }
    }
    joined
}

/// The request, after it was found valid.
pub fn checked(written: Result<Written, Failure>, check: fn(&[u8]) -> Result<(), String>) -> Value {
    let written = written.unwrap_or_else(|failure| panic!("{}", failure.message));
    let text = String::from_utf8_lossy(&written.body).into_owned();
    check(&written.body).unwrap_or_else(|error| panic!("{error}: {text}"));
    serde_json::from_slice(&written.body).expect("JSON")
}
