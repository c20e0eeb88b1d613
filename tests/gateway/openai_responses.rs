//! Responses: the face, the upstream, and the lane between both.

pub mod grammar;
mod plain;
mod recorded;
mod request;
mod stream;

use crate::bill::for_prompt;
use millrace::chat::conversation::ReasoningKind;
use millrace::chat::{Bill, Event, Identity, Quirks, Usage};
use millrace::money::Money;
use millrace::protocol::lane::{Reader, Target};
use millrace::protocol::openai_responses::StreamReader;

const QUIRKS: Quirks = Quirks::NONE;

fn target() -> Target<'static> {
    Target { model: "gpt-5.6", quirks: &QUIRKS, max_output: Some(64_000) }
}

fn identity() -> Identity {
    Identity {
        generation: "gen-1-abc".into(),
        created: 1_800_000_000,
        model: "author/model".into(),
        provider: "Some \"Provider\"".into(),
    }
}

fn bill(usage: Usage) -> Bill {
    let cost = Money::from_pico(123_456_789);
    let metadata = Some("{\"a\":1}".to_owned());
    Bill { metadata, ..for_prompt(usage, cost) }
}

/// Reads a stream that comes in pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, StreamReader) {
    let mut reader = StreamReader::new(QUIRKS, Vec::new());
    let mut events = Vec::new();
    for piece in pieces {
        reader.read(piece, &mut events);
    }
    reader.end_of_input(&mut events);
    (events, reader)
}

/// The events with neighbours of one kind joined, which is all that a cut may change.
fn joined(events: &[Event]) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (Some(Event::Text(said)), Event::Text(text)) => said.push_str(text),
            (Some(Event::Refusal(said)), Event::Refusal(text)) => said.push_str(text),
            (Some(Event::Reasoning { text: said, kind: one }), Event::Reasoning { text, kind })
                if one == kind =>
            {
                said.push_str(text);
            }
            (Some(Event::Arguments { call: one, text: said }), Event::Arguments { call, text })
                if one == call =>
            {
                said.push_str(text);
            }
            (_, event) => joined.push(event.clone()),
        }
    }
    joined
}

/// A stream of the frames whose data is given.
fn frames(data: &[&str]) -> Vec<u8> {
    data.iter().flat_map(|data| format!("data: {data}\n\n").into_bytes()).collect()
}

fn summary(text: &str) -> Event {
    Event::Reasoning { text: text.to_owned(), kind: ReasoningKind::Summary }
}
