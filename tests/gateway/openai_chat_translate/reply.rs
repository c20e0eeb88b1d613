//! Recorded replies: streams and whole ones say the same by either way.

use super::*;
use crate::recorded::{Wire, recordings};
use millrace::chat::{Facts, ReplyFault};
use millrace::protocol::openai_chat::read_reply;

#[test]
fn recorded_streams_read_alike_wherever_they_are_cut() {
    for (name, stream) in streams() {
        let whole = read_cut(stream, stream.len());
        let stride = if stream.len() < 3000 { 1 } else { (stream.len() / 40).max(1) };
        for cut in (0..stream.len()).step_by(stride) {
            assert!(read_cut(stream, cut) == whole, "{name}: cut at {cut}");
        }
    }
}

#[test]
fn recorded_streams_have_the_facts_of_the_splice() {
    for (name, stream) in streams() {
        let mut splice = Splice::new(identity(), Quirks::NONE);
        splice.read(stream, &mut Vec::new());
        splice.end_of_input(&mut Vec::new());
        let (events, facts) = read_cut(stream, 0);
        let of_splice = splice.facts();
        assert_eq!(facts.usage, of_splice.usage, "{name}");
        assert_eq!((facts.done, &facts.fault), (of_splice.done, &of_splice.fault), "{name}");
        assert_eq!(facts.finish_reason, of_splice.finish_reason, "{name}");
        assert_eq!(facts.upstream_id, of_splice.upstream_id, "{name}");
        assert_eq!(facts.began, of_splice.began, "{name}");
        // Of several choices one is read.
        if !String::from_utf8_lossy(stream).replace(' ', "").contains("\"index\":1,\"delta\"") {
            assert!(facts.output_bytes <= of_splice.output_bytes, "{name}: {events:?}");
            assert!(facts.output_bytes > 0 || of_splice.output_bytes == 0, "{name}: {events:?}");
        }
    }
}

#[test]
fn recorded_streams_that_lack_their_end_have_none() {
    for (name, stream) in streams() {
        let text = String::from_utf8_lossy(stream).into_owned();
        let Some(at) = text.find("\"finish_reason\":\"").or(text.find("\"finish_reason\": \"")) else {
            continue;
        };
        for (end, _) in text[..at].match_indices("\n\n") {
            let (events, facts) = read_cut(&stream[..end + 2], 0);
            let ends = |event: &Event| matches!(event, Event::Finish { .. } | Event::ToolCallEnd { .. });
            assert!(!events.iter().any(ends), "{name}: {events:?}");
            assert!(facts.finish.is_none() && !facts.done, "{name}");
        }
    }
}

#[test]
fn recorded_replies_are_spliced_and_written_alike() {
    for recording in recordings(Wire::Chat) {
        let Some(body) = recording.whole() else { continue };
        let name = &recording.name;
        let reply = match read_reply(body, &Quirks::NONE) {
            Ok(reply) => reply,
            Err(ReplyFault::Error(_)) => continue,
            Err(ReplyFault::Truncated(_)) => {
                let upstream: Value = serde_json::from_slice(body).expect(name);
                let half = |call: &[Value; 3]| {
                    call[2].as_str().is_some_and(|text| serde_json::from_str::<Value>(text).is_err())
                };
                assert!(calls(&upstream).iter().any(half), "{name}");
                continue;
            }
            Err(fault) => panic!("{name}: {fault:?}"),
        };
        let whole = read_whole(body, &Quirks::NONE, &[]).expect(name);
        assert_eq!(Facts { losses: Vec::new(), ..whole.facts.clone() }, reply.facts, "{name}");
        if String::from_utf8_lossy(body).contains("\"function_call\"") {
            continue;
        }
        let parse = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect(name);
        let spliced = parse(reply.write(&identity(), &bill()));
        let written = parse(write_whole(&whole.events, &whole.facts, &identity(), &bill()));
        let message = |reply: &Value, key: &str| match &reply["choices"][0]["message"][key] {
            Value::Null => Value::from(""),
            other => other.clone(),
        };
        for key in ["content", "refusal"] {
            assert_eq!(message(&written, key), message(&spliced, key), "{name}: {key}");
        }
        // Some providers have reasoning in the details alone.
        if message(&spliced, "reasoning") != "" {
            assert_eq!(message(&written, "reasoning"), message(&spliced, "reasoning"), "{name}");
        }
        assert_eq!(calls(&written), calls(&spliced), "{name}");
        assert_eq!(written["usage"], spliced["usage"], "{name}");
    }
}

fn calls(reply: &Value) -> Vec<[Value; 3]> {
    let calls = reply["choices"][0]["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    let arguments = |call: &Value| match &call["function"]["arguments"] {
        Value::String(text) if text.is_empty() => "{}".into(),
        Value::Null => "{}".into(),
        other => other.clone(),
    };
    calls.iter().map(|call| [call["id"].clone(), call["function"]["name"].clone(), arguments(call)]).collect()
}

fn streams() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    recordings(Wire::Chat).filter_map(|recording| Some((&recording.name[..], recording.stream()?)))
}
