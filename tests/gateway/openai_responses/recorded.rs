//! Recorded exchanges of every provider of Responses, where they are at hand.

use crate::outlined;
use millrace::chat::{Event, ReplyFault};
use millrace::protocol::lane::{Lane, Reader, Writer};
use millrace::protocol::openai_responses::{
    Echo, Splice, StreamWriter, read_conversation, read_request, read_whole, splice_request, splice_whole,
    write_conversation, write_whole,
};
use serde_json::Value;

use super::{QUIRKS, bill, grammar, identity, joined, read, target};
use crate::recorded::{Recording, Wire, frames, lack_an_end, recordings};

/// A recorded stream.
struct Stream {
    name: &'static str,
    bytes: &'static [u8],
}

fn streams() -> impl Iterator<Item = Stream> {
    recordings(Wire::Responses).filter_map(|it| Some(Stream { name: &it.name, bytes: it.stream()? }))
}

fn requests() -> impl Iterator<Item = (&'static Recording, &'static [u8])> {
    recordings(Wire::Responses).filter_map(|recording| Some((recording, recording.request.as_deref()?)))
}

/// The response that ended a stream: of several replies in one recording the first is read.
fn last_response(bytes: &[u8]) -> Option<Value> {
    let ended =
        |event: &Value| matches!(event["type"].as_str(), Some("response.completed" | "response.incomplete"));
    frames(bytes).into_iter().find(ended).map(|mut event| event["response"].take())
}

#[test]
fn every_recorded_stream_reads_and_translates() {
    for stream in streams() {
        let (events, reader) = read([stream.bytes]);
        let facts = reader.facts();
        if facts.truncated {
            assert!(lack_an_end(&events), "{}: {facts:?}", stream.name);
            continue;
        }
        if facts.fault.is_some() {
            assert!(String::from_utf8_lossy(stream.bytes).contains("error"), "{}: {facts:?}", stream.name);
            continue;
        }
        let ended = last_response(stream.bytes).is_some();
        assert_eq!(facts.done && facts.finish.is_some(), ended, "{}: {facts:?}", stream.name);
        assert_eq!(matches!(events.last(), Some(Event::Finish { .. })), ended, "{}", stream.name);
        if !ended {
            continue;
        }
        let usage = facts.usage.unwrap_or_default();
        let mut writer = StreamWriter::new(identity(), Echo::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut out));
        writer.write_end(&bill(usage), &mut out);
        grammar::check_stream(&out).unwrap_or_else(|error| panic!("{}: {error}", stream.name));
        // What was written reads as what was meant, but for the name of the hidden reasoning's item.
        let (again, _) = read([&out[..]]);
        assert_eq!(plain(&again), plain(&events), "{}", stream.name);
        assert_same_whole(&stream, &events);
    }
}

/// The last event holds the response: read whole it says what the stream said.
fn assert_same_whole(stream: &Stream, events: &[Event]) {
    let Some(response) = last_response(stream.bytes) else { return };
    if response["output"].as_array().is_none_or(|output| output.is_empty()) {
        return;
    }
    let body = response.to_string();
    let reply = read_whole(body.as_bytes(), &QUIRKS, &[])
        .unwrap_or_else(|fault| panic!("{}: {fault:?}", stream.name));
    let said = |events: &[Event]| -> Vec<String> {
        let mut said = vec![String::new(); 4];
        for event in events {
            match event {
                Event::Text(text) => said[0].push_str(text),
                Event::Reasoning { text, .. } => said[1].push_str(text),
                Event::Arguments { text, .. } => said[2].push_str(text),
                Event::ToolCall { id, name, .. } => said[3].push_str(&format!("{id} {name},")),
                _ => {}
            }
        }
        said
    };
    assert_eq!(said(&reply.events), said(events), "{}", stream.name);
    let (_, reader) = read([stream.bytes]);
    assert_eq!(reply.facts.usage, reader.facts().usage, "{}", stream.name);
    assert_eq!(reply.facts.finish_reason, reader.facts().finish_reason, "{}", stream.name);
}

#[test]
fn every_recorded_stream_splices() {
    for stream in streams() {
        let (out, splice) = spliced(stream.bytes, 1 << 20);
        let (pieces, again) = spliced(stream.bytes, 7);
        assert!(out == pieces && splice.facts() == again.facts(), "{}", stream.name);
        let (_, reader) = read([stream.bytes]);
        assert_eq!(splice.facts(), reader.facts(), "{}", stream.name);
        let mut splice = splice;
        let mut out = out;
        if splice.facts().fault.is_some() || !splice.facts().done {
            let failure = millrace::error::Failure::new(millrace::error::Cause::RateLimited, "Later.");
            splice.write_error(&failure, None, &mut out);
        } else {
            splice.write_end(&bill(splice.facts().usage.unwrap_or_default()), &mut out);
        }
        check_spliced(&out, stream.name);
        let (again, _) = read([&out[..]]);
        let (events, _) = read([stream.bytes]);
        assert_eq!(joined(&again), joined(&events), "{}", stream.name);
    }
}

/// A relay that rotates ids or numbers parts its own way keeps its grammar; ours is what we add.
fn check_spliced(out: &[u8], name: &str) {
    let text = String::from_utf8_lossy(out);
    assert!(text.ends_with("data: [DONE]\n\n"), "{name}");
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    for (number, event) in data.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{name}");
        if let Some(response) = event.get("response") {
            assert_eq!(response["id"], "gen-1-abc", "{name}");
            assert_eq!(response["model"], "author/model", "{name}");
            grammar::check_response(response).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

fn spliced(bytes: &[u8], size: usize) -> (Vec<u8>, Splice) {
    let mut splice = Splice::new(identity(), QUIRKS);
    let mut out = Vec::new();
    bytes.chunks(size).for_each(|chunk| splice.read(chunk, &mut out));
    splice.end_of_input(&mut out);
    (out, splice)
}

#[test]
fn a_recorded_stream_may_be_cut_anywhere() {
    for stream in streams() {
        let (whole, reader) = read([stream.bytes]);
        let (events, again) = read(stream.bytes.chunks(1));
        assert!(events == whole && again.facts() == reader.facts(), "{}: byte by byte", stream.name);
        let stride = if stream.bytes.len() < 4000 { 1 } else { stream.bytes.len() / 60 };
        for cut in (0..stream.bytes.len()).step_by(stride) {
            let (head, tail) = stream.bytes.split_at(cut);
            let (events, again) = read([head, tail]);
            assert!(events == whole && again.facts() == reader.facts(), "{}: cut at {cut}", stream.name);
        }
    }
}

#[test]
fn a_recorded_stream_that_breaks_off_never_looks_complete() {
    for stream in streams() {
        let text = String::from_utf8_lossy(stream.bytes).replace("\r\n", "\n");
        let ends: Vec<usize> = text.match_indices("\n\n").map(|(end, _)| end).collect();
        let stride = (ends.len() / 80).max(1);
        for end in ends.into_iter().step_by(stride) {
            if last_response(&text.as_bytes()[..end]).is_some() {
                break;
            }
            let (events, reader) = read([&text.as_bytes()[..end]]);
            assert!(!reader.facts().done, "{}: at {end}", stream.name);
            assert!(
                !events.iter().any(|event| matches!(event, Event::Finish { .. })),
                "{}: {end}",
                stream.name
            );
            let mut writer = StreamWriter::new(identity(), Echo::default());
            let mut out = Vec::new();
            events.iter().for_each(|event| writer.write(event, &mut out));
            let failure = millrace::error::Failure::new(millrace::error::Cause::ProviderUnavailable, "Cut.");
            writer.write_error(&failure, None, &mut out);
            grammar::check_stream(&out).unwrap_or_else(|error| panic!("{}: {error}", stream.name));
        }
    }
}

#[test]
fn every_recorded_reply_reads_and_translates() {
    for recording in recordings(Wire::Responses) {
        let (name, Some(bytes)) = (&recording.name, recording.whole()) else { continue };
        let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let read = match read_whole(bytes, &QUIRKS, &[]) {
            Ok(read) => read,
            Err(fault) => {
                if matches!(fault, ReplyFault::Truncated(_)) {
                    let half = |item: &Value| {
                        let text = item["arguments"].as_str();
                        text.is_some_and(|text| serde_json::from_str::<Value>(text).is_err())
                    };
                    assert!(body["output"].as_array().into_iter().flatten().any(half), "{name}");
                    continue;
                }
                let finished = matches!(body["status"].as_str(), Some("completed" | "incomplete"));
                assert!(
                    !finished || body["output"].as_array().is_none_or(Vec::is_empty),
                    "{name}: {fault:?}"
                );
                continue;
            }
        };
        let usage = read.facts.usage.unwrap_or_default();
        let count = |key: &str| body["usage"][key].as_u64().unwrap_or(0);
        let sums = [count("total_tokens"), count("input_tokens") + count("output_tokens")];
        assert!(sums.contains(&usage.total()), "{name}: {usage:?}");
        let bill = bill(usage);
        let out = write_whole(&read.events, &read.facts, &identity(), &bill, &Echo::default());
        grammar::check_whole(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = read_whole(&out, &QUIRKS, &[]).expect("what was written");
        assert_eq!(plain(&again.events), plain(&read.events), "{name}");
        let out = splice_whole(bytes, &identity(), &bill);
        grammar::check_whole(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
        check_kept(bytes, &out, name);
    }
}

/// All but the members that the gateway owns is as it was.
fn check_kept(body: &[u8], out: &[u8], name: &str) {
    let (before, after): (Value, Value) =
        (serde_json::from_slice(body).expect("JSON"), serde_json::from_slice(out).expect("JSON"));
    for (key, value) in before.as_object().expect("an object") {
        if !matches!(key.as_str(), "id" | "model" | "usage" | "output_text" | "openrouter_metadata") {
            assert_eq!(&after[key], value, "{name}: {key}");
        }
    }
}

#[test]
fn every_recorded_request_splices_to_itself() {
    for (recording, bytes) in requests() {
        let Ok(Value::Object(mut before)) = serde_json::from_slice(bytes) else { continue };
        let out = splice_request(&outlined(bytes), &target()).body;
        let after: Value = serde_json::from_slice(&out).expect("JSON");
        before.insert("model".into(), "gpt-5.6".into());
        before.insert("store".into(), false.into());
        before.remove("provider");
        assert_eq!(after, Value::Object(before), "{}", recording.name);
    }
}

#[test]
fn every_recorded_request_that_needs_nothing_kept_translates() {
    for (recording, bytes) in requests() {
        let name = &recording.name;
        let read = read_request(&outlined(bytes)).and_then(|_| read_conversation(&outlined(bytes)));
        let written = read.and_then(|it| Ok((write_conversation(&it, &target(), true)?, it)));
        let (written, conversation) = match written {
            Ok(written) => written,
            Err(failure) => {
                assert!(failure.message.contains('`'), "{name}: {}", failure.message);
                continue;
            }
        };
        grammar::check_request(&written.body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = read_conversation(&outlined(&written.body)).expect("what was written");
        assert_eq!(again.tools.len(), conversation.tools.len(), "{name}");
        assert_eq!(again.format, conversation.format, "{name}");
        assert_eq!(again.max_tokens, conversation.max_tokens, "{name}");
    }
}

/// The events without what a face does not repeat: ids of hidden items, and words of one provider.
fn plain(events: &[Event]) -> Vec<Event> {
    let mut events = joined(events);
    for event in &mut events {
        match event {
            Event::Seal { seal, .. } => seal.id = None,
            Event::Finish { native, .. } => native.clear(),
            Event::Citation(citation) => {
                citation.title.get_or_insert_default();
                citation.start.get_or_insert(0);
                citation.end.get_or_insert(0);
            }
            _ => {}
        }
    }
    events
}
