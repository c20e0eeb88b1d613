//! Recorded exchanges of Chat Completions: every one of them has to come through whole.

use crate::bill::for_prompt;
use millrace::chat::ReplyFault;
use millrace::protocol::openai_chat::{Reply, Splice, read_reply};
use serde_json::{Map, Value};

use super::{Bill, Identity, Money};
use crate::recorded::{Recording, Wire, frames, recordings};

/// What a client can make of the choices of a reply, by index.
type Said = Vec<[String; 4]>;

#[test]
fn every_recorded_stream_comes_through() {
    for (stream, body) in streams() {
        let (out, splice) = splice(stream, [body]);
        let facts = splice.facts();
        let name = &stream.name;
        let upstream = frames(body);
        if facts.truncated {
            let open = |said: &[String; 4]| said[3].matches('{').count() > said[3].matches('}').count();
            let half = said(&upstream, "delta").iter().any(open);
            assert!(half || !finishes(&upstream) || !all_finish(&upstream), "{name}: {facts:?}");
            continue;
        }
        if let Some(fault) = &facts.fault {
            let text = String::from_utf8_lossy(body);
            // DeepSeek's `insufficient_system_resource` is a reason to finish.
            let finish = fault.code.as_ref().is_some_and(|code| text.contains(&format!("{code}\"")));
            assert!(text.contains("\"error\"") || finish, "{name}: {facts:?}");
            continue;
        }
        let said_upstream = said(&upstream, "delta");
        assert_eq!(facts.finish.is_some(), finishes(&upstream), "{name}: {facts:?}");
        let spoke = said_upstream.iter().flatten().any(|text| !text.is_empty());
        assert!(facts.began || !spoke, "{name}: {facts:?}");
        // A call without arguments has a name alone.
        let words =
            |said: &[String; 4]| said[..3].iter().any(|text| !text.is_empty()) || said[3].contains('{');
        assert!(facts.output_bytes > 0 || !said_upstream.iter().any(words), "{name}: {facts:?}");
        let client = frames(&out);
        client.iter().for_each(|chunk| check_chunk(chunk, name));
        assert_eq!(said(&client, "delta"), said_upstream, "{name}");
        check_usage(&upstream, facts.usage.unwrap_or_default(), stream, facts.usage.is_some());
        check_end(&splice, stream);
    }
}

/// Whether every choice has a reason to finish.
fn all_finish(chunks: &[Value]) -> bool {
    let choices = || chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten();
    let done = |index: &Value| {
        choices()
            .any(|it| it["index"] == *index && it["finish_reason"].as_str().is_some_and(|it| !it.is_empty()))
    };
    choices().all(|choice| done(&choice["index"]))
}

/// Whether any choice has a reason to finish.
fn finishes(chunks: &[Value]) -> bool {
    let choices = chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten();
    choices.into_iter().any(|choice| choice["finish_reason"].as_str().is_some_and(|it| !it.is_empty()))
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    for (stream, body) in streams() {
        let (whole, splice) = splice(stream, [body]);
        let (bytes, again) = self::splice(stream, body.chunks(1));
        assert!(bytes == whole && again.facts() == splice.facts(), "{}: byte by byte", stream.name);
        // Forty places in each: the golden streams are cut at every byte.
        let stride = (body.len() / 40).max(1);
        for cut in (0..body.len()).step_by(stride) {
            let (head, tail) = body.split_at(cut);
            let (bytes, again) = self::splice(stream, [head, tail]);
            assert!(bytes == whole && again.facts() == splice.facts(), "{}: cut at {cut}", stream.name);
        }
    }
}

#[test]
fn a_stream_that_breaks_off_never_panics() {
    for (stream, body) in streams() {
        let stride = (body.len() / 40).max(1);
        for end in (0..body.len()).step_by(stride) {
            let (out, splice) = splice(stream, [&body[..end]]);
            frames(&out).iter().for_each(|chunk| check_chunk(chunk, &stream.name));
            check_end(&splice, stream);
        }
    }
}

#[test]
fn every_recorded_reply_comes_through() {
    for recording in recordings(Wire::Chat) {
        let Some(body) = recording.whole() else { continue };
        let name = &recording.name;
        let upstream: Value = serde_json::from_slice(body).unwrap_or_default();
        let reply = match read_reply(body, &recording.quirks()) {
            Ok(reply) => reply,
            Err(fault) => {
                check_fault(&fault, &upstream, name);
                continue;
            }
        };
        let out = reply.write(&identity(), &bill(&reply));
        let client: Value = serde_json::from_slice(&out).expect("JSON");
        check_reply(&client, name);
        assert_eq!(said(&[client], "message"), said(std::slice::from_ref(&upstream), "message"), "{name}");
        let usage = reply.facts.usage;
        check_usage(&[upstream], usage.unwrap_or_default(), recording, usage.is_some());
    }
}

/// What is no reply shows it.
fn check_fault(fault: &ReplyFault, body: &Value, name: &str) {
    let (said, choices) = (said(std::slice::from_ref(body), "message"), body["choices"].as_array());
    let empty = said.iter().flatten().all(String::is_empty);
    let shows = match fault {
        ReplyFault::NotJson(_) => !body.is_object(),
        ReplyFault::Error(error) => choices.is_none() || !error.raw.is_empty() && empty,
        ReplyFault::Empty => empty,
        ReplyFault::Truncated(_) => body.to_string().contains("arguments"),
    };
    assert!(shows, "{name}: {fault:?}");
}

fn streams() -> impl Iterator<Item = (&'static Recording, &'static [u8])> {
    recordings(Wire::Chat).filter_map(|recording| Some((recording, recording.stream()?)))
}

fn identity() -> Identity {
    Identity {
        generation: "gen-1-abc".into(),
        created: 1_800_000_000,
        model: "author/model".into(),
        provider: "Some \"Provider\"".into(),
    }
}

fn bill(reply: &Reply) -> Bill {
    let usage = reply.facts.usage.unwrap_or_default();
    let cost = Money::from_pico(123_456_789);
    for_prompt(usage, cost)
}

fn splice<'a>(stream: &Recording, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Splice) {
    let mut splice = Splice::new(identity(), stream.quirks());
    let mut out = Vec::new();
    for piece in pieces {
        splice.read(piece, &mut out);
    }
    splice.end_of_input(&mut out);
    (out, splice)
}

/// Text, reasoning, refusal and calls of every choice, joined over all chunks.
fn said(chunks: &[Value], content: &str) -> Said {
    let mut said: Said = Vec::new();
    for choice in chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten() {
        let index = choice["index"].as_u64().unwrap_or(0) as usize;
        if said.len() <= index {
            said.resize(index + 1, Default::default());
        }
        let [text, reasoning, refusal, calls] = &mut said[index];
        let part = &choice[content];
        match &part["content"] {
            Value::Array(parts) => parts.iter().for_each(|part| {
                text.push_str(part["text"].as_str().unwrap_or_default());
                for thought in part["thinking"].as_array().into_iter().flatten() {
                    reasoning.push_str(thought["text"].as_str().unwrap_or_default());
                }
            }),
            other => text.push_str(other.as_str().unwrap_or_default()),
        }
        let thought = part["reasoning"].as_str().or(part["reasoning_content"].as_str());
        reasoning.push_str(thought.unwrap_or_default());
        refusal.push_str(part["refusal"].as_str().unwrap_or_default());
        for call in part["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            // Some local servers leave the object unquoted; the client gets a string of it.
            let arguments = &function["arguments"];
            let object = arguments.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let arguments = object.filter(Value::is_object).unwrap_or(arguments.clone());
            calls.push_str(&format!("{}{}{arguments}", call["id"], function["name"]));
        }
    }
    said
}

/// What the strict parsers of OpenRouter's own clients require of a chunk.
fn check_chunk(chunk: &Value, name: &str) {
    let all = chunk.as_object().expect("an object");
    assert_eq!(chunk["id"], "gen-1-abc", "{name}");
    assert_eq!(chunk["object"], "chat.completion.chunk", "{name}");
    assert_eq!((&chunk["model"], &chunk["provider"]), (&"author/model".into(), &"Some \"Provider\"".into()));
    assert!(chunk["created"].is_u64(), "{name}");
    assert!(all.get("system_fingerprint").is_none_or(Value::is_string), "{name}");
    let choices = chunk["choices"].as_array().expect("choices");
    assert!(!choices.is_empty(), "{name}");
    for choice in choices {
        check_choice(choice.as_object().expect("an object"), "delta", name);
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["index"].is_u64(), "{name}: {call}");
        }
    }
}

fn check_choice(choice: &Map<String, Value>, content: &str, name: &str) {
    assert!(choice["index"].is_u64(), "{name}");
    let reasons = ["tool_calls", "stop", "length", "content_filter", "error"];
    let finish = &choice["finish_reason"];
    assert!(finish.as_str().is_none_or(|finish| reasons.contains(&finish)), "{name}: {finish}");
    assert_eq!(finish.is_null() && content == "delta", choice["native_finish_reason"].is_null(), "{name}");
    assert_eq!(choice[content]["role"], "assistant", "{name}");
    let said = &choice[content]["content"];
    assert!(said.is_null() || said.is_string(), "{name}: {said}");
    for key in ["tool_calls", "images", "audio", "reasoning_details", "annotations"] {
        assert!(choice[content].get(key).is_none_or(|value| !value.is_null()), "{name}: {key}");
    }
}

fn check_reply(reply: &Value, name: &str) {
    assert_eq!(reply["object"], "chat.completion", "{name}");
    assert!(reply.get("system_fingerprint").is_some_and(|it| it.is_null() || it.is_string()), "{name}");
    assert!(reply["usage"]["cost"].is_number(), "{name}");
    for choice in reply["choices"].as_array().expect("choices") {
        check_choice(choice.as_object().expect("an object"), "message", name);
        for key in ["content", "reasoning", "refusal"] {
            assert!(choice["message"].get(key).is_some(), "{name}: {key}");
        }
        assert!(choice.get("logprobs").is_some(), "{name}");
    }
}

/// The sums of our classes are the provider's own.
fn check_usage(upstream: &[Value], usage: millrace::chat::Usage, recording: &Recording, any: bool) {
    let last = upstream.iter().rev().find_map(|chunk| chunk.get("usage").filter(|usage| !usage.is_null()));
    let count = |key: &str| last.and_then(|usage| usage[key].as_u64());
    let name = &recording.name;
    assert!(any || !last.is_some_and(|usage| usage["prompt_tokens"].is_number()), "{name}: {last:?}");
    let Some(total) = count("total_tokens") else { return };
    // Where the total is not the sum, something was counted beside the two.
    let sum = count("prompt_tokens").unwrap_or(0) + count("completion_tokens").unwrap_or(0);
    assert!([sum, total].contains(&usage.total()), "{name}: {usage:?} {last:?}");
    assert!(total == sum || !recording.quirks().usage_excludes_reasoning || usage.total() == total, "{name}");
}

/// The end of a stream: one chunk with usage, one terminator, nothing behind.
fn check_end(splice: &Splice, stream: &Recording) {
    let cost = Money::from_pico(1);
    let usage = splice.facts().usage.unwrap_or_default();
    let bill = for_prompt(usage, cost);
    let mut end = Vec::new();
    splice.write_end(&bill, &mut end);
    let text = String::from_utf8(end.clone()).expect("text");
    assert!(text.ends_with("\n\ndata: [DONE]\n\n") && text.matches("[DONE]").count() == 1, "{}", stream.name);
    let last = frames(&end);
    assert_eq!(last.len(), 1, "{}", stream.name);
    check_chunk(&last[0], &stream.name);
    assert_eq!(last[0]["usage"]["total_tokens"], usage.total(), "{}", stream.name);
}
