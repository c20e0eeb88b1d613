//! Recorded exchanges of Anthropic and of those who speak its protocol.

use crate::outlined;
use millrace::chat::conversation::{Part, Role};
use millrace::chat::{Conversation, Event, Finish, Quirks};
use millrace::protocol::anthropic_messages::{
    Splice, StreamWriter, count_tokens_estimate, read_conversation, read_request, read_whole, splice_request,
    splice_whole, write_conversation, write_whole,
};
use millrace::protocol::lane::{Lane, Target, Writer};
use serde_json::Value;

use super::grammar::{check_request, check_stream, check_whole};
use super::{bill_of, identity, read_stream, said};
use crate::recorded::{Recording, Wire, frames, recordings};

/// A recorded stream.
struct Stream {
    name: &'static str,
    body: &'static [u8],
}

fn streams() -> impl Iterator<Item = Stream> {
    recordings(Wire::Messages).filter_map(|it| Some(Stream { name: &it.name, body: it.stream()? }))
}

fn requests() -> impl Iterator<Item = (&'static Recording, &'static [u8])> {
    recordings(Wire::Messages).filter_map(|recording| Some((recording, recording.request.as_deref()?)))
}

fn target<'a>(quirks: &'a Quirks) -> Target<'a> {
    Target { model: "claude-opus-4-6", quirks, max_output: Some(64_000) }
}

fn splice<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Splice) {
    let mut splice = Splice::new(identity(), Quirks::NONE);
    let mut out = Vec::new();
    pieces.into_iter().for_each(|piece| splice.read(piece, &mut out));
    splice.end_of_input(&mut out);
    (out, splice)
}

#[test]
fn every_recorded_stream_reads_translates_and_splices() {
    for stream in streams() {
        let (events, facts) = read_stream([stream.body]);
        let (mut out, mut splice) = splice([stream.body]);
        assert_eq!(*splice.facts(), facts, "{}", stream.name);
        let finish = events.iter().any(|event| matches!(event, Event::Finish { .. }));
        assert_eq!(finish, facts.done && facts.fault.is_none(), "{}", stream.name);
        if !finish {
            continue;
        }
        let counted = frames(stream.body).iter().any(|frame| frame["message"]["usage"].is_object());
        let told = facts.began && facts.finish.is_some() && (facts.usage.is_some() || !counted);
        assert!(told, "{}: {facts:?}", stream.name);
        let bill = bill_of(&facts);
        splice.write_end(&bill, &mut out);
        check_stream(&out).unwrap_or_else(|why| panic!("{}: {why}", stream.name));
        let mut writer = StreamWriter::new(identity(), 10);
        let mut translated = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut translated));
        writer.write_end(&bill, &mut translated);
        check_stream(&translated).unwrap_or_else(|why| panic!("{}: {why}", stream.name));
        // What was written reads as the same again, seals and calls included.
        let (again, second) = read_stream([&translated[..]]);
        assert_eq!(said(&again), said(&events), "{}", stream.name);
        assert_eq!(second.usage, facts.usage, "{}", stream.name);
        assert_eq!(second.finish_reason, facts.finish_reason, "{}", stream.name);
        let whole = write_whole(&events, &facts, &identity(), &bill);
        check_whole(&whole).unwrap_or_else(|why| panic!("{}: {why}", stream.name));
        let whole = read_whole(&whole, &Quirks::NONE, &[]).expect("a reply");
        // In a whole message a call that a limit cut off can only stand as `{"_raw": …}`.
        let half = |event: &&Event| matches!(event, Event::ToolCall { .. } | Event::ToolCallEnd { .. });
        if events.iter().filter(half).count() % 2 == 0 {
            assert_eq!(said(&whole.events), said(&events), "{}", stream.name);
        }
        assert_eq!(whole.facts.usage, facts.usage, "{}", stream.name);
    }
}

#[test]
fn a_recorded_stream_may_be_cut_anywhere() {
    for stream in streams() {
        let whole = read_stream([stream.body]);
        let (bytes, lane) = splice([stream.body]);
        let (again, second) = splice(stream.body.chunks(1));
        assert!(again == bytes && second.facts() == lane.facts(), "{}: byte by byte", stream.name);
        let stride = if stream.body.len() < 1_500 { 1 } else { stream.body.len() / 60 };
        for cut in (0..stream.body.len()).step_by(stride) {
            let (head, tail) = stream.body.split_at(cut);
            assert!(read_stream([head, tail]) == whole, "{}: cut at {cut}", stream.name);
            assert!(splice([head, tail]).0 == bytes, "{}: cut at {cut}", stream.name);
        }
    }
}

#[test]
fn a_recorded_stream_that_breaks_off_never_looks_complete() {
    for stream in streams() {
        let text = String::from_utf8_lossy(stream.body).replace("\r\n", "\n");
        let Some(end) = text.find("message_stop") else { continue };
        for (cut, _) in text[..end].match_indices("\n\n") {
            let (events, facts) = read_stream([&text.as_bytes()[..cut + 2]]);
            let finish = events.iter().any(|event| matches!(event, Event::Finish { .. }));
            assert!(!finish && !facts.done, "{}: cut at {cut}", stream.name);
            let (mut out, mut lane) = splice([&text.as_bytes()[..cut + 2]]);
            assert!(!String::from_utf8_lossy(&out).contains("event: message_stop"), "{}", stream.name);
            lane.write_error(&super::failure(), None, &mut out);
            check_stream(&out).unwrap_or_else(|why| panic!("{} cut at {cut}: {why}", stream.name));
        }
    }
}

#[test]
fn every_recorded_reply_reads_and_splices() {
    for recording in recordings(Wire::Messages) {
        let (name, Some(body)) = (&recording.name, recording.whole()) else { continue };
        let theirs: Value = serde_json::from_slice(body).unwrap_or_default();
        let read = match read_whole(body, &Quirks::NONE, &[]) {
            Ok(read) => read,
            Err(fault) => {
                assert!(theirs["content"].as_array().is_none_or(Vec::is_empty), "{name}: {fault:?}");
                continue;
            }
        };
        let bill = bill_of(&read.facts);
        let client = splice_whole(body, &identity(), &bill);
        check_whole(&client).unwrap_or_else(|why| panic!("{name}: {why}"));
        let ours: Value = serde_json::from_slice(&client).unwrap();
        assert_eq!(ours["content"], theirs["content"], "{name}");
        assert_eq!(ours["usage"]["input_tokens"], theirs["usage"]["input_tokens"], "{name}");
        let written = write_whole(&read.events, &read.facts, &identity(), &bill);
        check_whole(&written).unwrap_or_else(|why| panic!("{name}: {why}"));
        let again = read_whole(&written, &Quirks::NONE, &[]).expect("a reply");
        assert_eq!(said(&again.events), said(&read.events), "{name}");
        assert_eq!(again.facts.usage, read.facts.usage, "{name}");
    }
}

#[test]
fn every_recorded_request_is_spliced_to_itself() {
    for (recording, body) in requests() {
        let name = &recording.name;
        let read = match read_request(&outlined(body)) {
            Ok(read) => read,
            Err(failure) => {
                assert!(failure.message.contains('`'), "{name}: {}", failure.message);
                continue;
            }
        };
        // On Vertex the model stands in the path.
        let Some(model) = read.model else { continue };
        let quirks = Quirks::NONE;
        let same = Target { model: &model, quirks: &quirks, max_output: None };
        assert!(splice_request(&outlined(body), &same).body == body, "{name}");
        count_tokens_estimate(&outlined(body)).expect("an estimate");
    }
}

/// The parts of all turns, without the blanks that a provider refuses, and with the results of a
/// turn before all else of it.
fn parts(conversation: &Conversation) -> Vec<(Role, Part)> {
    let mut parts: Vec<(usize, bool, Role, Part)> = Vec::new();
    let (mut message, mut role) = (0, Role::System);
    for turn in &conversation.turns {
        message += usize::from(turn.role != role);
        role = turn.role;
        for part in &turn.parts {
            let blank = matches!(part, Part::Text { text, .. } if text.trim().is_empty());
            if !blank {
                parts.push((message, !matches!(part, Part::ToolResult(_)), role, part.clone()));
            }
        }
    }
    if let Some((_, _, Role::Assistant, Part::Text { text, .. })) = parts.last_mut() {
        text.truncate(text.trim_end().len());
    }
    parts.sort_by_key(|(message, after, ..)| (*message, *after));
    parts.into_iter().map(|(_, _, role, part)| (role, part)).collect()
}

/// What is read and written again says the same; what is refused is refused by name.
#[test]
fn every_recorded_request_survives_translation() {
    for (recording, body) in requests() {
        let name = &recording.name;
        if read_request(&outlined(body)).is_err() {
            continue;
        }
        let quirks = Quirks::NONE;
        let read = read_conversation(&outlined(body));
        let written = read.and_then(|it| Ok((write_conversation(&it, &target(&quirks), true)?, it)));
        let (written, conversation) = match written {
            Ok(written) => written,
            Err(failure) => {
                assert!(failure.message.starts_with('`'), "{}: {}", name, failure.message);
                continue;
            }
        };
        check_request(&written.body).unwrap_or_else(|why| panic!("{}: {why}", name));
        // A second time nothing more is lost.
        let again = read_conversation(&outlined(&written.body)).expect("what was written is read");
        let second = write_conversation(&again, &target(&quirks), true).expect("and written again");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&second.body), text(&written.body), "{}", name);
        assert_eq!(again.tools, conversation.tools, "{}", name);
        let about_turns = |loss: &String| loss.starts_with("turn ") || loss.starts_with("messages");
        if !written.losses.iter().any(about_turns) {
            assert_eq!(parts(&again), parts(&conversation), "{}", name);
        }
    }
}

#[test]
fn a_recorded_stream_folded_whole_ends_alike() {
    for stream in streams() {
        let (events, facts) = read_stream([stream.body]);
        let Some(Event::Finish { reason, .. }) = events.last() else { continue };
        let written = write_whole(&events, &facts, &identity(), &bill_of(&facts));
        let whole = read_whole(&written, &Quirks::NONE, &[]).expect("a reply");
        let Some(Event::Finish { reason: again, .. }) = whole.events.last() else { panic!() };
        let same = *reason == Finish::Stop || again == reason;
        assert!(same, "{}: {reason:?} {again:?}", stream.name);
    }
}
