//! The Messages API on both sides: requests, streams and whole replies, read, written and spliced.

pub mod grammar;
mod plain;
mod recorded;
mod request;
mod stream;
mod upstream;

use crate::bill::for_prompt;
use millrace::chat::conversation::{Issuer, ReasoningKind};
use millrace::chat::{Bill, Event, Facts, Identity, Quirks};
use millrace::error::{Cause, Failure};
use millrace::money::Money;
use millrace::protocol::anthropic_messages::StreamReader;
use millrace::protocol::lane::Reader;

fn identity() -> Identity {
    Identity {
        generation: "gen-1-abc".into(),
        created: 1_800_000_000,
        model: "author/model".into(),
        provider: "Some \"Provider\"".into(),
    }
}

fn bill_of(facts: &Facts) -> Bill {
    for_prompt(facts.usage.unwrap_or_default(), Money::from_pico(123_456_789))
}

fn failure() -> Failure {
    Failure::new(Cause::ProviderUnavailable, "The provider broke off.")
}

fn read_stream<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Facts) {
    let mut reader = StreamReader::new(Quirks::NONE, Vec::new());
    let mut events = Vec::new();
    pieces.into_iter().for_each(|piece| reader.read(piece, &mut events));
    reader.end_of_input(&mut events);
    (events, reader.facts().clone())
}

/// What events say, however they are cut: neighbours of one kind are joined.
fn said(events: &[Event]) -> Vec<String> {
    let mut said: Vec<(String, String)> = Vec::new();
    let mut add = |kind: String, text: &str| match said.last_mut() {
        Some((last, joined)) if *last == kind && kind != "citation" => joined.push_str(text),
        Some(_) | None => said.push((kind, text.to_owned())),
    };
    for event in events {
        match event {
            Event::Text(text) | Event::Refusal(text) => add("text".into(), text),
            Event::Reasoning { text, kind: ReasoningKind::Full | ReasoningKind::Summary } => {
                add("reasoning".into(), text);
            }
            // Only Anthropic's own seals mean anything outside of our envelopes.
            Event::Seal { seal, hidden } if seal.issuer == Issuer::Anthropic => {
                if !seal.data.starts_with("millrace-seal-v1|unknown") {
                    add(format!("seal {hidden}"), &seal.data);
                }
            }
            Event::Seal { .. } => {}
            Event::ToolCall { call, id, name, .. } => add(format!("call {call}"), &format!("{id} {name}")),
            Event::Arguments { call, text } => add(format!("arguments {call}"), text),
            Event::ToolCallEnd { call } => add(format!("end {call}"), ""),
            Event::Image { url } => add("image".into(), url),
            Event::Citation(citation) => add("citation".into(), &citation.url),
            Event::Finish { .. } => {}
        }
    }
    // Citations stand before or behind the text that they belong to.
    let (citations, mut rest): (Vec<_>, Vec<_>) = said.into_iter().partition(|(kind, _)| kind == "citation");
    rest.dedup_by(|next, before| {
        let joined = next.0 == "text" && before.0 == "text";
        if joined {
            before.1.push_str(&next.1);
        }
        joined
    });
    rest.extend(citations);
    rest.into_iter().map(|(kind, text)| format!("{kind}: {text}")).collect()
}
