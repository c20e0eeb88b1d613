//! Gemini's protocol, both sides: what clients may send and get, what its providers send and get.

pub mod grammar;

mod recorded;
mod reply;
mod request;
mod stream;
mod upstream;
mod vertex;
mod words;

use crate::bill::for_prompt;
use millrace::chat::{Bill, Event, Facts, Identity, Quirks, Usage};
use millrace::money::Money;
use millrace::protocol::gemini::StreamReader;
use millrace::protocol::lane::{Reader, Target};

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

fn target(model: &str) -> Target<'_> {
    Target { model, quirks: &Quirks::NONE, max_output: Some(65_536) }
}

/// Reads a stream that comes in `pieces`.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Facts) {
    let mut reader = StreamReader::new(Quirks::NONE, Vec::new());
    let mut events = Vec::new();
    for piece in pieces {
        reader.read(piece, &mut events);
    }
    reader.end_of_input(&mut events);
    (events, reader.facts().clone())
}

/// Events with neighbouring pieces of the same kind in one.
fn joined(events: &[Event]) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(Event::Text(text)), Event::Text(more)) => text.push_str(more),
            (Some(Event::Reasoning { text, .. }), Event::Reasoning { text: more, .. }) => text.push_str(more),
            (_, event) => all.push(event.clone()),
        }
    }
    all
}
