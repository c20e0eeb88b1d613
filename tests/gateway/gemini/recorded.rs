//! Recorded exchanges with AI Studio and Vertex, where they are at hand. `MILLRACE_FIXTURES` names
//! their folder.

use std::path::{Path, PathBuf};

use millrace::chat::{Event, Facts, Quirks, ReplyFault};
use millrace::json;
use millrace::protocol::gemini::{
    Framing, Splice, StreamWriter, count_tokens_estimate, read_conversation, read_error, read_request,
    read_whole, retry_delay, splice_request, splice_whole, write_conversation, write_whole,
};
use millrace::protocol::lane::{Lane, Writer};
use serde_json::Value;

use super::grammar::{check_request, check_stream, check_whole};
use super::{bill, identity, joined, read, target};

struct Recording {
    name: String,
    url: String,
    status: u64,
    body: Vec<u8>,
}

#[test]
fn every_recorded_stream_reads_as_a_whole_and_is_written_strictly() {
    let streams = recordings("response.sse");
    let mut whole = 0;
    for stream in &streams {
        let name = &stream.name;
        let (events, facts) = read([&stream.body[..]]);
        let frames = frames(&stream.body);
        let said = said(&frames);
        assert_eq!((text_of(&events), calls_of(&events)), said, "{name}");
        check_usage(&frames, &facts, name);
        if !facts.done {
            let finish = frames.iter().find_map(|frame| frame["candidates"][0]["finishReason"].as_str());
            assert!(facts.fault.is_some() || finish.is_none(), "{name}: {facts:?}");
            continue;
        }
        whole += 1;
        // The frames in one array are what the same stream is without `alt=sse`.
        let array = format!("[{}]", data(&stream.body).join(",\r\n"));
        let reply = read_whole(array.as_bytes(), &Quirks::NONE, &[]).expect("a reply");
        assert_eq!((joined(&reply.events), &reply.facts.usage), (joined(&events), &facts.usage), "{name}");
        check_written(&events, &facts, name);
    }
    println!("gemini: {} streams, {whole} of them whole", streams.len());
}

#[test]
fn a_recorded_stream_may_be_cut_anywhere() {
    for stream in recordings("response.sse") {
        let expected = read([&stream.body[..]]);
        assert_eq!(read(stream.body.chunks(1)), expected, "{}: byte by byte", stream.name);
        let (bytes, facts) = splice([&stream.body[..]]);
        assert_eq!(splice(stream.body.chunks(1)), (bytes.clone(), facts.clone()), "{}", stream.name);
        let stride = (stream.body.len() / 60).max(1);
        for cut in (0..stream.body.len()).step_by(stride) {
            let (head, tail) = stream.body.split_at(cut);
            assert_eq!(read([head, tail]), expected, "{}: cut at {cut}", stream.name);
            assert_eq!(splice([head, tail]), (bytes.clone(), facts.clone()), "{}: cut at {cut}", stream.name);
        }
    }
}

#[test]
fn a_recorded_stream_that_breaks_off_never_looks_complete() {
    for stream in recordings("response.sse") {
        let text = String::from_utf8_lossy(&stream.body).into_owned();
        let finishes = text.matches("\"finishReason\"").count();
        let ends: Vec<usize> = text.match_indices("data:").map(|(at, _)| at).collect();
        for end in ends.into_iter().chain((0..text.len()).step_by((text.len() / 40).max(1))) {
            let (events, facts) = read([&stream.body[..end]]);
            if finishes == 1 && !text[..text.floor_char_boundary(end)].contains("\"finishReason\"") {
                assert!(!facts.done, "{}: cut at {end}", stream.name);
                let finish = events.iter().any(|event| matches!(event, Event::Finish { .. }));
                assert!(!finish, "{}: cut at {end}", stream.name);
            }
        }
    }
}

#[test]
fn a_recorded_stream_keeps_its_bytes_on_the_fast_lane() {
    for stream in recordings("response.sse") {
        let (out, facts) = splice([&stream.body[..]]);
        let (_, expected) = read([&stream.body[..]]);
        assert_eq!(facts, expected, "{}", stream.name);
        if !facts.done {
            continue;
        }
        for (theirs, ours) in data(&stream.body).iter().zip(data(&out)) {
            let candidates = |text| json::members(text).expect("an object").get("candidates");
            assert_eq!(candidates(theirs), candidates(&ours), "{}", stream.name);
        }
        let (upstream, mut client) = (frames(&stream.body), frames(&out));
        assert_eq!(client.len(), upstream.len(), "{}", stream.name);
        let last = client.last_mut().expect("frames");
        assert_eq!(last["usageMetadata"]["cost"].to_string(), "0.000123456789", "{}", stream.name);
        assert_eq!(last["provider"], "Some \"Provider\"");
        for (theirs, ours) in upstream.iter().zip(&client) {
            assert!(theirs.get("modelVersion").is_none() || ours["modelVersion"] == "author/model");
            assert!(theirs.get("responseId").is_none() || ours["responseId"] == "gen-1-abc");
        }
    }
}

#[test]
fn every_recorded_reply_reads_and_is_written_strictly() {
    let replies = recordings("response.json");
    let mut good = 0;
    for recording in replies.iter().filter(|recording| recording.status == 200) {
        let name = &recording.name;
        let reply = match read_whole(&recording.body, &Quirks::NONE, &[]) {
            Ok(reply) => reply,
            Err(ReplyFault::Error(fault)) => {
                assert!(!fault.message.is_empty(), "{name}");
                continue;
            }
            Err(fault) => panic!("{name}: {fault:?}"),
        };
        good += 1;
        let upstream: Value = serde_json::from_slice(&recording.body).expect("JSON");
        let responses = match &upstream {
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        };
        assert_eq!((text_of(&reply.events), calls_of(&reply.events)), said(&responses), "{name}");
        check_usage(&responses, &reply.facts, name);
        check_written(&reply.events, &reply.facts, name);
        if upstream.is_object() {
            let usage = reply.facts.usage.unwrap_or_default();
            let ours: Value =
                serde_json::from_slice(&splice_whole(&recording.body, &identity(), &bill(usage)))
                    .expect("JSON");
            assert_eq!(ours["candidates"], upstream["candidates"], "{name}");
            assert_eq!(ours["responseId"], "gen-1-abc", "{name}");
            assert!(ours["usageMetadata"]["cost"].is_number(), "{name}");
        }
    }
    println!("gemini: {} replies, {good} of them good", replies.len());
}

#[test]
fn every_recorded_error_has_a_message_and_a_status() {
    for recording in recordings("response.json").iter().filter(|recording| recording.status >= 400) {
        let fault = read_error(&recording.body);
        assert!(!fault.message.is_empty(), "{}: {fault:?}", recording.name);
        let bad_key = String::from_utf8_lossy(&recording.body).contains("API_KEY_INVALID");
        let status = if bad_key { 401 } else { recording.status as u16 };
        assert_eq!(fault.status, Some(status), "{}", recording.name);
        let asks = String::from_utf8_lossy(&recording.body).contains("\"retryDelay\"");
        assert_eq!(retry_delay(&recording.body).is_some(), asks, "{}", recording.name);
    }
}

#[test]
fn every_recorded_request_is_read_and_kept() {
    let mut translated = 0;
    let requests = recordings("request.json");
    for recording in &requests {
        let name = &recording.name;
        let model = recording.url.split("/models/").nth(1).and_then(|rest| rest.split(':').next());
        let model = model.unwrap_or("gemini-2.5-flash");
        if recording.url.contains(":countTokens") {
            assert!(count_tokens_estimate(&recording.body).expect(name) > 0, "{name}");
            continue;
        }
        let request = read_request(&recording.body, model, true).expect(name);
        assert_eq!(request.model.as_deref(), Some(model));
        let kept = splice_request(&recording.body, &target(model));
        assert!(kept == recording.body, "{name}");
        let conversation = match read_conversation(&recording.body) {
            Ok(conversation) => conversation,
            Err(failure) => {
                assert!(failure.message.contains("Gemini's own endpoints"), "{name}: {}", failure.message);
                continue;
            }
        };
        translated += 1;
        let written = match write_conversation(&conversation, &target(model), true) {
            Ok(written) => written,
            Err(failure) => panic!("{name}: {}", failure.message),
        };
        check_request(&written.body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let again = read_conversation(&written.body).expect(name);
        let mut expected = conversation.clone();
        expected.unspoken.clear();
        assert_eq!(again, expected, "{name}: {:?}", written.losses);
    }
    println!("gemini: {} requests, {translated} of them in neutral words", requests.len());
}

/// What our writers make of the events is strict, and says the same.
fn check_written(events: &[Event], facts: &Facts, name: &str) {
    let usage = facts.usage.unwrap_or_default();
    let whole = write_whole(events, facts, &identity(), &bill(usage));
    check_whole(&whole).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again = read_whole(&whole, &Quirks::NONE, &[]).expect(name);
    assert_eq!(without_citations(&again.events), without_citations(events), "{name}");
    assert_eq!(again.facts.usage.unwrap_or_default().total(), usage.total(), "{name}");
    for framing in [Framing::Sse, Framing::Array] {
        let mut writer = StreamWriter::new(identity()).framed(framing);
        let mut out = Vec::new();
        for event in events {
            writer.write(event, &mut out);
            out.extend_from_slice(writer.keep_alive());
        }
        writer.write_end(&bill(usage), &mut out);
        check_stream(&out).unwrap_or_else(|error| panic!("{name}: {framing:?}: {error}"));
        if framing == Framing::Sse {
            let (again, facts) = read([&out[..]]);
            assert!(facts.done, "{name}");
            assert_eq!(without_citations(&again), without_citations(events), "{name}");
        }
    }
}

/// Sources that stand nowhere in the text come back in another order; finishing words vary.
fn without_citations(events: &[Event]) -> Vec<Event> {
    let mut all = joined(events);
    all.retain(|event| !matches!(event, Event::Citation(_)));
    for event in &mut all {
        if let Event::Finish { native, .. } = event {
            native.clear();
        }
    }
    all
}

fn check_usage(responses: &[Value], facts: &Facts, name: &str) {
    let last = responses.iter().rev().find_map(|it| it["usageMetadata"]["totalTokenCount"].as_u64());
    if let (Some(total), Some(usage), true) = (last, facts.usage, facts.done) {
        assert_eq!(usage.total(), total, "{name}: {usage:?}");
    }
}

fn text_of(events: &[Event]) -> String {
    let text = events.iter().filter_map(|event| match event {
        Event::Text(text) => Some(text.as_str()),
        _ => None,
    });
    text.collect()
}

fn calls_of(events: &[Event]) -> Vec<String> {
    let names = events.iter().filter_map(|event| match event {
        Event::ToolCall { name, .. } => Some(name.clone()),
        _ => None,
    });
    names.collect()
}

fn said(responses: &[Value]) -> (String, Vec<String>) {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for response in responses {
        for part in response["candidates"][0]["content"]["parts"].as_array().into_iter().flatten() {
            if part["thought"] != true {
                text.push_str(part["text"].as_str().unwrap_or_default());
            }
            calls.extend(part["functionCall"]["name"].as_str().map(str::to_owned));
        }
    }
    (text, calls)
}

fn frames(bytes: &[u8]) -> Vec<Value> {
    data(bytes).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect()
}

fn data(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::to_owned).collect()
}

fn splice<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Facts) {
    let mut splice = Splice::new(identity(), Quirks::NONE);
    let mut out = Vec::new();
    for piece in pieces {
        splice.read(piece, &mut out);
    }
    splice.end_of_input(&mut out);
    let facts = splice.facts().clone();
    if facts.done {
        splice.write_end(&bill(facts.usage.unwrap_or_default()), &mut out);
    }
    (out, facts)
}

fn recordings(suffix: &str) -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if !root.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let folders = ["gemini", "vertex-gemini"].into_iter().flat_map(|name| list(&root.join(name)));
    let files = folders.flat_map(|folder| list(&folder));
    let wanted = files.filter(|file| file.to_string_lossy().ends_with(suffix));
    wanted.filter_map(|file| recording(&root, &file, suffix)).collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}

/// The recording in `file`, if it is of this protocol's methods.
fn recording(root: &Path, file: &Path, suffix: &str) -> Option<Recording> {
    let name = file.strip_prefix(root).ok()?.to_string_lossy().into_owned();
    let meta = file.to_string_lossy().replace(suffix, "meta.json");
    let meta: Value = serde_json::from_slice(&std::fs::read(meta).ok()?).ok()?;
    let url = meta["url"].as_str().unwrap_or_default().to_owned();
    let status = meta["status"].as_u64().unwrap_or(200);
    let counts = url.contains(":countTokens") && (suffix == "request.json" || status >= 400);
    let ours = url.is_empty() || url.contains("enerateContent") || counts;
    ours.then(|| Recording { name, url, status, body: std::fs::read(file).unwrap_or_default() })
}
