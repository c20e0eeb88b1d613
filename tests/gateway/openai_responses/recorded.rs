//! Recorded exchanges of every provider of Responses, where they are at hand.

use std::path::{Path, PathBuf};

use millrace::chat::{Event, ReplyFault};
use millrace::protocol::lane::{Lane, Reader, Writer};
use millrace::protocol::openai_responses::{
    Echo, Splice, StreamWriter, read_conversation, read_error, read_request, read_whole, splice_request,
    splice_whole, write_conversation, write_whole,
};
use serde_json::Value;

use super::{QUIRKS, bill, grammar, identity, joined, read, target};

struct Recording {
    name: String,
    status: u64,
    bytes: Vec<u8>,
}

#[test]
fn every_recorded_stream_reads_and_translates() {
    let streams = recordings(".response.sse");
    let mut whole = 0;
    for stream in &streams {
        let (events, reader) = read([&stream.bytes[..]]);
        let facts = reader.facts();
        if facts.fault.is_some() {
            assert!(String::from_utf8_lossy(&stream.bytes).contains("error"), "{}: {facts:?}", stream.name);
            continue;
        }
        assert!(facts.done && facts.finish.is_some(), "{}: {facts:?}", stream.name);
        assert!(matches!(events.last(), Some(Event::Finish { .. })), "{}", stream.name);
        whole += 1;
        let usage = facts.usage.unwrap_or_default();
        let mut writer = StreamWriter::new(identity(), Echo::default());
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut out));
        writer.write_end(&bill(usage), &mut out);
        grammar::check_stream(&out).unwrap_or_else(|error| panic!("{}: {error}", stream.name));
        // What was written reads as what was meant, but for the name of the hidden reasoning's item.
        let (again, _) = read([&out[..]]);
        assert_eq!(plain(&again), plain(&events), "{}", stream.name);
        assert_same_whole(stream, &events);
    }
    println!("responses: {} streams, {whole} of them whole", streams.len());
}

/// The last event holds the response: read whole it says what the stream said. Some recordings hold
/// several replies, of which the first is read.
fn assert_same_whole(stream: &Recording, events: &[Event]) {
    let text = String::from_utf8_lossy(&stream.bytes).replace("\r\n", "\n");
    let last = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .find(|data| data.contains("\"response.completed\"") || data.contains("\"response.incomplete\""));
    let Some(last) = last else { return };
    let event: Value = serde_json::from_str(last).expect("JSON");
    if event["response"]["output"].as_array().is_none_or(|output| output.is_empty()) {
        return;
    }
    let body = event["response"].to_string();
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
    let (_, reader) = read([&stream.bytes[..]]);
    assert_eq!(reply.facts.usage, reader.facts().usage, "{}", stream.name);
    assert_eq!(reply.facts.finish_reason, reader.facts().finish_reason, "{}", stream.name);
}

#[test]
fn every_recorded_stream_splices() {
    for stream in recordings(".response.sse") {
        let (out, splice) = spliced(&stream.bytes, 1 << 20);
        let (pieces, again) = spliced(&stream.bytes, 7);
        assert!(out == pieces && splice.facts() == again.facts(), "{}", stream.name);
        let (_, reader) = read([&stream.bytes[..]]);
        assert_eq!(splice.facts(), reader.facts(), "{}", stream.name);
        let mut splice = splice;
        let mut out = out;
        if splice.facts().fault.is_some() {
            let failure = millrace::error::Failure::new(millrace::error::Cause::RateLimited, "Later.");
            splice.write_error(&failure, None, &mut out);
        } else {
            splice.write_end(&bill(splice.facts().usage.unwrap_or_default()), &mut out);
        }
        check_spliced(&out, &stream.name);
        let (again, _) = read([&out[..]]);
        let (events, _) = read([&stream.bytes[..]]);
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
    for stream in recordings(".response.sse") {
        let (whole, reader) = read([&stream.bytes[..]]);
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
    for stream in recordings(".response.sse") {
        let text = String::from_utf8_lossy(&stream.bytes).replace("\r\n", "\n");
        let ends: Vec<usize> = text.match_indices("\n\n").map(|(end, _)| end).collect();
        let last =
            ["event: response.completed", "event: response.incomplete", "\"type\":\"response.completed\""]
                .iter()
                .filter_map(|mark| text.rfind(mark))
                .max()
                .unwrap_or(text.len());
        let stride = (ends.len() / 80).max(1);
        for end in ends.into_iter().filter(|end| *end < last).step_by(stride) {
            let (events, reader) = read([&text.as_bytes()[..end]]);
            if text[..end].contains("response.completed") {
                continue;
            }
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
    let replies = recordings(".response.json");
    let mut good = 0;
    for reply in replies.iter().filter(|reply| reply.status == 200) {
        let body: Value = serde_json::from_slice(&reply.bytes).unwrap_or_default();
        if body["object"] != "response" {
            continue;
        }
        let read = match read_whole(&reply.bytes, &QUIRKS, &[]) {
            Ok(read) => read,
            Err(ReplyFault::Empty) if body["status"] == "queued" || body["status"] == "in_progress" => {
                continue;
            }
            Err(fault) => panic!("{}: {fault:?}", reply.name),
        };
        good += 1;
        let usage = read.facts.usage.unwrap_or_default();
        assert_eq!(body["usage"]["total_tokens"].as_u64().unwrap_or(0), usage.total(), "{}", reply.name);
        let bill = bill(usage);
        let out = write_whole(&read.events, &read.facts, &identity(), &bill, &Echo::default());
        grammar::check_whole(&out).unwrap_or_else(|error| panic!("{}: {error}", reply.name));
        let again = read_whole(&out, &QUIRKS, &[]).expect("what was written");
        assert_eq!(plain(&again.events), plain(&read.events), "{}", reply.name);
        let out = splice_whole(&reply.bytes, &identity(), &bill);
        grammar::check_whole(&out).unwrap_or_else(|error| panic!("{}: {error}", reply.name));
        check_kept(&reply.bytes, &out, &reply.name);
    }
    println!("responses: {} replies, {good} of them good", replies.len());
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
fn every_recorded_error_has_a_message() {
    for reply in recordings(".response.json").iter().filter(|reply| reply.status >= 400) {
        let fault = read_error(&reply.bytes);
        assert!(!fault.message.is_empty(), "{}: {fault:?}", reply.name);
    }
}

#[test]
fn every_recorded_request_splices_to_itself() {
    let requests = recordings(".request.json");
    for request in &requests {
        let mut before: Value = serde_json::from_slice(&request.bytes).expect("JSON");
        let out = splice_request(&request.bytes, &target());
        let after: Value = serde_json::from_slice(&out).expect("JSON");
        before["model"] = "gpt-5.6".into();
        before["store"] = false.into();
        before.as_object_mut().expect("an object").remove("provider");
        assert_eq!(after, before, "{}", request.name);
    }
    println!("responses: {} requests", requests.len());
}

#[test]
fn every_recorded_request_that_needs_nothing_kept_translates() {
    let (mut said, mut refused) = (0, 0);
    for request in recordings(".request.json") {
        let read = read_request(&request.bytes).and_then(|_| read_conversation(&request.bytes));
        let conversation = match read {
            Ok(conversation) => conversation,
            Err(failure) => {
                assert!(failure.message.contains('`'), "{}: {}", request.name, failure.message);
                refused += 1;
                continue;
            }
        };
        said += 1;
        let written = write_conversation(&conversation, &target(), true).expect("a request");
        grammar::check_request(&written.body).unwrap_or_else(|error| panic!("{}: {error}", request.name));
        let again = read_conversation(&written.body).expect("what was written");
        assert_eq!(again.tools.len(), conversation.tools.len(), "{}", request.name);
        assert_eq!(again.format, conversation.format, "{}", request.name);
        assert_eq!(again.max_tokens, conversation.max_tokens, "{}", request.name);
    }
    println!("responses: {said} requests said, {refused} refused");
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

fn recordings(suffix: &str) -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if !root.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let folders = list(&root).into_iter().flat_map(|protocol| list(&protocol));
    let files =
        folders.flat_map(|folder| list(&folder)).filter(|file| file.to_string_lossy().ends_with(suffix));
    files.filter_map(|file| recording(&root, &file, suffix)).collect()
}

fn recording(root: &Path, file: &Path, suffix: &str) -> Option<Recording> {
    let meta = file.to_string_lossy().replace(suffix, ".meta.json");
    let meta: Value = serde_json::from_slice(&std::fs::read(meta).ok()?).ok()?;
    let name = file.strip_prefix(root).ok()?.to_string_lossy().into_owned();
    let url = meta["url"].as_str().unwrap_or_default().split('?').next()?;
    let home = name.starts_with("openai-responses") && url.is_empty();
    // A response that is fetched again may begin in its middle.
    let posted = meta["method"] == "POST" && url.ends_with("/responses");
    let bytes = std::fs::read(file).ok().filter(|_| home || posted)?;
    Some(Recording { name, status: meta["status"].as_u64().unwrap_or(200), bytes })
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}
