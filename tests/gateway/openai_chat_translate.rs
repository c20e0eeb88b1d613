//! Chat Completions by way of the neutral vocabulary: requests as conversations and back, replies
//! as events and back.

pub mod cases;
pub mod grammar;
mod reply;
mod request;
mod stream;
mod strict;

use millrace::chat::{Bill, Event, Facts, Identity, PastReasoning, Quirks, Usage};
use millrace::money::Money;
use millrace::protocol::lane::{Lane, Reader, Renamed, Target, Translate, Writer};
use millrace::protocol::openai_chat::{
    Splice, StreamReader, StreamWriter, read_conversation, read_whole, write_conversation, write_whole,
};
use serde_json::{Value, json};

/// Takes what OpenRouter takes.
const GATEWAY: Quirks = Quirks { past_reasoning: PastReasoning::Details, cache_marks: true, ..Quirks::NONE };

fn identity() -> Identity {
    Identity { generation: "gen-1".into(), created: 7, model: "a/b".into(), provider: "P".into() }
}

fn bill() -> Bill {
    Bill {
        usage: Usage { input: 1, output: 2, ..Usage::default() },
        cost: Money::from_pico(123_000_000),
        prompt_cost: Money::from_pico(100_000_000),
        completion_cost: Money::from_pico(23_000_000),
        search_cost: Money::ZERO,
        is_byok: false,
        metadata: None,
    }
}

/// The events of a stream that comes in two pieces.
fn read_cut(stream: &[u8], cut: usize) -> (Vec<Event>, Facts) {
    let mut reader = StreamReader::new(Quirks::NONE, Vec::new());
    let mut events = Vec::new();
    let (head, tail) = stream.split_at(cut.min(stream.len()));
    reader.read(head, &mut events);
    reader.read(tail, &mut events);
    reader.end_of_input(&mut events);
    (events, reader.facts().clone())
}

fn frames(chunks: &[Value]) -> Vec<u8> {
    let mut out = String::new();
    chunks.iter().for_each(|chunk| out.push_str(&format!("data: {chunk}\n\n")));
    (out + "data: [DONE]\n\n").into_bytes()
}

/// A chunk with this delta.
fn delta(delta: Value) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// Texts and arguments that are in pieces, in one piece.
fn joined(events: &[Event]) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::new();
    for event in events {
        match (out.last_mut(), event) {
            (Some(Event::Text(one)), Event::Text(more)) => one.push_str(more),
            (Some(Event::Refusal(one)), Event::Refusal(more)) => one.push_str(more),
            (Some(Event::Reasoning { text, kind }), Event::Reasoning { text: more, kind: other })
                if kind == other =>
            {
                text.push_str(more);
            }
            (Some(Event::Arguments { call, text }), Event::Arguments { call: other, text: more })
                if call == other =>
            {
                text.push_str(more);
            }
            _ => out.push(event.clone()),
        }
    }
    out
}
