//! Recorded exchanges with AI Studio and Vertex.

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
use crate::recorded::{Wire, frames, recordings};

/// A recorded stream.
struct Stream {
    name: &'static str,
    body: &'static [u8],
}

fn streams() -> impl Iterator<Item = Stream> {
    recordings(Wire::Gemini).filter_map(|it| Some(Stream { name: &it.name, body: it.stream()? }))
}

#[test]
fn every_recorded_stream_reads_as_a_whole_and_is_written_strictly() {
    for stream in streams() {
        let name = stream.name;
        let (events, facts) = read([stream.body]);
        let frames = frames(stream.body);
        let said = said(&frames);
        assert_eq!((text_of(&events), calls_of(&events)), said, "{name}");
        check_usage(&frames, &facts, name);
        if !facts.done {
            let finish = frames.iter().find_map(|frame| frame["candidates"][0]["finishReason"].as_str());
            assert!(facts.fault.is_some() || finish.is_none(), "{name}: {facts:?}");
            continue;
        }
        // The frames in one array are what the same stream is without `alt=sse`.
        let array = format!("[{}]", data(stream.body).join(",\r\n"));
        let reply = read_whole(array.as_bytes(), &Quirks::NONE, &[]).expect("a reply");
        assert_eq!((joined(&reply.events), &reply.facts.usage), (joined(&events), &facts.usage), "{name}");
        check_written(&events, &facts, name);
    }
}

#[test]
fn a_recorded_stream_may_be_cut_anywhere() {
    for stream in streams() {
        let expected = read([stream.body]);
        assert_eq!(read(stream.body.chunks(1)), expected, "{}: byte by byte", stream.name);
        let (bytes, facts) = splice([stream.body]);
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
    for stream in streams() {
        let text = String::from_utf8_lossy(stream.body).into_owned();
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
    for stream in streams() {
        let (out, facts) = splice([stream.body]);
        let (_, expected) = read([stream.body]);
        assert_eq!(facts, expected, "{}", stream.name);
        if !facts.done {
            continue;
        }
        for (theirs, ours) in data(stream.body).iter().zip(data(&out)) {
            let candidates = |text| json::members(text).expect("an object").get("candidates");
            assert_eq!(candidates(theirs), candidates(&ours), "{}", stream.name);
        }
        let (upstream, mut client) = (frames(stream.body), frames(&out));
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
    for recording in recordings(Wire::Gemini) {
        let (name, Some(body)) = (&recording.name, recording.whole()) else { continue };
        let reply = match read_whole(body, &Quirks::NONE, &[]) {
            Ok(reply) => reply,
            Err(ReplyFault::Error(fault)) => {
                assert!(!fault.message.is_empty(), "{name}");
                continue;
            }
            Err(ReplyFault::Truncated(_)) => {
                assert!(String::from_utf8_lossy(body).contains("willContinue"), "{name}");
                continue;
            }
            Err(fault) => {
                let text = String::from_utf8_lossy(body);
                assert!(!text.contains("\"finishReason\""), "{name}: {fault:?}");
                continue;
            }
        };
        let upstream: Value = serde_json::from_slice(body).expect("JSON");
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
                serde_json::from_slice(&splice_whole(body, &identity(), &bill(usage))).expect("JSON");
            assert_eq!(ours["candidates"], upstream["candidates"], "{name}");
            assert_eq!(ours["responseId"], "gen-1-abc", "{name}");
            assert!(ours["usageMetadata"]["cost"].is_number(), "{name}");
        }
    }
}

#[test]
fn every_recorded_error_has_a_status() {
    let both = recordings(Wire::Gemini).chain(recordings(Wire::GeminiCount));
    for (recording, body) in both.filter_map(|recording| Some((recording, recording.error()?))) {
        let fault = read_error(body);
        let text = String::from_utf8_lossy(body);
        // Google calls a bad key a bad request.
        let own = fault.status.is_none_or(|own| own == recording.status as u16 || own == 401);
        assert!(own, "{}: {fault:?}", recording.name);
        assert_eq!(retry_delay(body).is_some(), text.contains("\"retryDelay\""), "{}", recording.name);
    }
}

#[test]
fn every_recorded_count_is_estimated() {
    for recording in recordings(Wire::GeminiCount) {
        let Some(body) = &recording.request else { continue };
        assert!(
            count_tokens_estimate(body, "gemini-2.5-flash").expect("an estimate") > 0,
            "{}",
            recording.name
        );
    }
}

#[test]
fn every_recorded_request_is_read_and_kept() {
    for recording in recordings(Wire::Gemini) {
        let (name, Some(body)) = (&recording.name, recording.request.as_deref()) else { continue };
        let model = recording.url.split("/models/").nth(1).and_then(|rest| rest.split(':').next());
        let model = model.unwrap_or("gemini-2.5-flash");
        let request = match read_request(body, model, true) {
            Ok(request) => request,
            Err(failure) => {
                assert!(failure.message.contains('`'), "{name}: {}", failure.message);
                continue;
            }
        };
        assert_eq!(request.model.as_deref(), Some(model));
        let kept = splice_request(body, &target(model)).body;
        assert!(kept == body || without_routing(&kept) == without_routing(body), "{name}");
        let read = read_conversation(body);
        let written = read.and_then(|it| Ok((write_conversation(&it, &target(model), true)?, it)));
        let (written, conversation) = match written {
            Ok(written) => written,
            Err(failure) => {
                assert_eq!(failure.cause.status(), 400, "{name}: {}", failure.message);
                continue;
            }
        };
        check_request(&written.body).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut again = read_conversation(&written.body).expect(name);
        // The type of a link is written for Gemini, and unspoken to all others.
        again.unspoken.retain(|path| !path.ends_with("fileData.mimeType"));
        let mut expected = conversation.clone();
        expected.unspoken.clear();
        assert_eq!(again, expected, "{name}: {:?}", written.losses);
    }
}

/// A request without what stands in the path, or is the gateway's own.
fn without_routing(body: &[u8]) -> Vec<(String, String)> {
    let text = std::str::from_utf8(body).expect("text");
    let members = json::members(text).expect("an object");
    let kept = members.iter().filter(|member| !matches!(&*member.key, "model" | "provider"));
    kept.map(|member| (member.key.to_string(), member.text.to_owned())).collect()
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
