//! What the recordings exercise: a table of features by protocols, each with its number of cases.
//! `cargo test --test gateway recorded -- --nocapture` shows it.

use crate::outlined;
use std::collections::{BTreeMap, BTreeSet};

use millrace::chat::conversation::{Format, Part};
use millrace::chat::{Conversation, Event, Facts};

use super::{Recording, Reply, Wire, all, usage};
use crate::grid::rows::{faces, upstreams};

/// The columns, with their heads.
const COLUMNS: &[(Wire, &str)] = &[
    (Wire::Chat, "chat"),
    (Wire::Completions, "compl."),
    (Wire::Responses, "respon."),
    (Wire::Messages, "messag."),
    (Wire::Gemini, "gemini"),
    (Wire::Bedrock, "bedrock"),
    (Wire::Cohere, "cohere"),
    (Wire::Ollama, "ollama"),
    (Wire::Embeddings, "embed."),
    (Wire::GeminiEmbeddings, "gem-emb"),
    (Wire::CohereEmbeddings, "coh-emb"),
    (Wire::VertexEmbeddings, "ver-emb"),
    (Wire::GeminiCount, "gem-cnt"),
];

#[test]
fn the_coverage_of_the_recordings() {
    let mut table: BTreeMap<(u8, &str), BTreeMap<Wire, usize>> = BTreeMap::new();
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for recording in all() {
        if recording.wire == Wire::Other {
            *others.entry(address(recording)).or_default() += 1;
        }
        for feature in features(recording) {
            *table.entry(feature).or_default().entry(recording.wire).or_default() += 1;
        }
    }
    let heads: String = COLUMNS.iter().map(|(_, head)| format!("{head:>8}")).collect();
    println!("Recorded exchanges by protocol and feature\n{:<28}{heads}", "");
    for ((_, feature), counts) in &table {
        let count = |wire| counts.get(wire).map_or("-".to_owned(), usize::to_string);
        let cells: String = COLUMNS.iter().map(|(wire, _)| format!("{:>8}", count(wire))).collect();
        println!("{feature:<28}{cells}");
    }
    for (address, count) in &others {
        println!("not covered: {count} x {address}");
    }
}

/// The path without what differs from account to account.
fn address(recording: &Recording) -> String {
    let folder = recording.name.split('/').next().unwrap_or_default();
    let path = recording.url.splitn(4, '/').nth(3).unwrap_or("a reply without an address");
    let plain =
        |part: &&str| part.len() < 24 && !part.contains(|c: char| c.is_ascii_digit() && part.len() > 8);
    let path: Vec<&str> = path.split('/').map(|part| Some(part).filter(plain).unwrap_or("…")).collect();
    format!("{folder}: {}", path.join("/"))
}

/// What an exchange shows, each with its place in the table.
fn features(recording: &Recording) -> BTreeSet<(u8, &'static str)> {
    let mut found = BTreeSet::from([(0, "all exchanges")]);
    let request = recording.request.as_deref();
    found.extend(request.map(|_| (1, "request at hand")));
    found.extend(recording.stream().map(|_| (2, "streamed reply")));
    found.extend(recording.whole().map(|_| (3, "whole reply")));
    found.extend(recording.error().map(|_| (4, "HTTP error")));
    let face = faces().into_iter().find(|face| face.wire == recording.wire);
    if let Some(conversation) = face.zip(request).and_then(|(face, body)| (face.read)(&outlined(body)).ok()) {
        found.extend(of_request(&conversation));
    }
    if let Some((events, facts)) = read(recording) {
        found.extend(of_reply(&events, &facts));
    }
    found
}

/// What our readers make of a reply.
fn read(recording: &Recording) -> Option<(Vec<Event>, Facts)> {
    let upstream = upstreams().into_iter().find(|upstream| upstream.wire == recording.wire);
    let Some(upstream) = upstream else {
        let facts = usage::facts(recording.wire, recording.reply.as_ref()?, recording.quirks());
        return facts.map(|facts| (Vec::new(), facts));
    };
    match (&recording.reply, recording.status) {
        (None, _) | (Some(_), 400..) => None,
        (Some(Reply::Whole(body)), _) => {
            let reply = (upstream.read_whole)(body, &recording.quirks(), &[]).ok()?;
            Some((reply.events, reply.facts))
        }
        (Some(Reply::Stream(bytes)), _) => {
            let mut reader = (upstream.reader)(recording.quirks(), Vec::new());
            let mut events = Vec::new();
            reader.read(bytes, &mut events);
            reader.end_of_input(&mut events);
            Some((events, reader.facts().clone()))
        }
    }
}

fn of_request(conversation: &Conversation) -> Vec<(u8, &'static str)> {
    let mut found = Vec::new();
    let parts = || conversation.turns.iter().flat_map(|turn| &turn.parts);
    let any = |wanted: fn(&Part) -> bool| parts().any(wanted);
    let rows = [
        (10, "tools", !conversation.tools.is_empty()),
        (11, "tool choice", conversation.tool_choice.is_some()),
        (12, "results of tools", any(|part| matches!(part, Part::ToolResult(_)))),
        (13, "structured output", conversation.format != Format::Text),
        (14, "reasoning asked for", conversation.reasoning.is_some()),
        (
            15,
            "reasoning given back",
            any(|part| matches!(part, Part::Reasoning { .. } | Part::SealedReasoning { .. })),
        ),
        (16, "images", any(|part| matches!(part, Part::Image { .. }))),
        (17, "files", any(|part| matches!(part, Part::File { .. }))),
        (18, "sound", any(|part| matches!(part, Part::Audio { .. }))),
        (19, "unspoken members", !conversation.unspoken.is_empty()),
    ];
    found.extend(rows.into_iter().filter(|(.., holds)| *holds).map(|(place, name, _)| (place, name)));
    found
}

fn of_reply(events: &[Event], facts: &Facts) -> Vec<(u8, &'static str)> {
    let calls = events.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
    let any = |wanted: fn(&Event) -> bool| events.iter().any(wanted);
    let usage = facts.usage.unwrap_or_default();
    let rows = [
        (30, "reply: text", any(|event| matches!(event, Event::Text(_)))),
        (31, "reply: tool call", calls > 0),
        (32, "reply: several calls", calls > 1),
        (33, "reply: custom tool", any(|event| matches!(event, Event::ToolCall { custom: true, .. }))),
        (34, "reply: reasoning", any(|event| matches!(event, Event::Reasoning { .. }))),
        (35, "reply: seal", any(|event| matches!(event, Event::Seal { .. }))),
        (36, "reply: refusal", any(|event| matches!(event, Event::Refusal(_)))),
        (37, "reply: image", any(|event| matches!(event, Event::Image { .. }))),
        (38, "reply: citation", any(|event| matches!(event, Event::Citation(_)))),
        (40, "finish: stop", facts.finish_reason == Some("stop")),
        (41, "finish: tool_calls", facts.finish_reason == Some("tool_calls")),
        (42, "finish: length", facts.finish_reason == Some("length")),
        (43, "finish: content_filter", facts.finish_reason == Some("content_filter")),
        (44, "finish: error", facts.finish_reason == Some("error")),
        (45, "error within the reply", facts.fault.is_some()),
        (46, "truncated", facts.finish.is_none() && facts.fault.is_none()),
        (50, "usage", facts.usage.is_some()),
        (51, "usage: cache read", usage.cache_read > 0),
        (52, "usage: cache write", usage.cache_write + usage.cache_write_1h > 0),
        (53, "usage: reasoning", usage.reasoning > 0),
        (54, "usage: sound or images", usage.input_audio + usage.output_audio + usage.output_image > 0),
        (55, "cost from the provider", facts.cost.is_some()),
    ];
    rows.into_iter().filter(|(.., holds)| *holds).map(|(place, name, _)| (place, name)).collect()
}
