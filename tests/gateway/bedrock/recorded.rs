//! Recorded replies of Bedrock's Converse.

use serde_json::Value;

use super::*;
use crate::recorded::{Wire, lack_an_end, recordings};

/// What a whole reply may hold that a stream brings as well.
const STREAMED: &[&str] = &["text", "toolUse", "toolResult", "citationsContent", "reasoningContent"];

#[test]
fn every_recorded_stream_is_read() {
    for (name, bytes) in streams() {
        let (events, facts) = read(bytes);
        let whole = grammar::check_stream(bytes);
        let broken = whole.is_err() || facts.truncated && lack_an_end(&events);
        assert!(facts.done && facts.fault.is_none() || broken, "{name}: {facts:?}");
        if !facts.done {
            continue;
        }
        assert!(facts.began && facts.usage.is_some(), "{name}: {facts:?}");
        assert!(matches!(events.last(), Some(Event::Finish { .. })), "{name}: {events:?}");
        let opened = events.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
        let ended = events.iter().filter(|event| matches!(event, Event::ToolCallEnd { .. })).count();
        assert!(opened == ended || facts.finish_reason == Some("length"), "{name}");
    }
}

#[test]
fn every_recorded_stream_may_be_cut_anywhere() {
    for (name, bytes) in streams() {
        let expected = read(bytes);
        for cut in (0..bytes.len()).step_by((bytes.len() / 100).max(1)) {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read_pieces([head, tail], &[]), expected, "{name}: cut at {cut}");
            let (_, facts) = read(head);
            let broken = !facts.done && facts.fault.is_none() || expected.1.fault.is_some();
            assert!(broken, "{name}: broken off at {cut}");
        }
    }
}

#[test]
fn every_recorded_reply_is_read() {
    for recording in recordings(Wire::Bedrock) {
        let (name, Some(bytes)) = (&recording.name, recording.whole()) else { continue };
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if grammar::check_whole(bytes).is_err() {
            assert!(value["output"]["message"]["content"].is_null(), "{name}");
            continue;
        }
        let reply = read_whole(bytes, &Quirks::NONE, &[]).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        let usage = reply.facts.usage.expect("usage").total();
        let count = |key: &str| value["usage"][key].as_u64().unwrap_or(0);
        let plain = count("inputTokens") + count("outputTokens");
        let cached = count("cacheReadInputTokens") + count("cacheWriteInputTokens");
        assert!(usage == plain + cached || usage == count("totalTokens"), "{name}: {usage}");
        assert_eq!(reply.facts.finish.as_deref(), value["stopReason"].as_str(), "{name}");
        assert!(reply.facts.began, "{name}");
        let blocks = value["output"]["message"]["content"].as_array().expect("content");
        if !blocks.iter().all(|block| STREAMED.iter().any(|kind| block.get(kind).is_some())) {
            continue;
        }
        // Arguments are text: both sides have to be spelt alike.
        let respelt = value.to_string();
        let reply = whole(&respelt).expect("the same reply");
        let again = read(&as_stream(&value));
        assert_eq!(joined(&again.0), joined(&reply.events), "{name}: as a stream");
        assert_eq!(again.1, reply.facts, "{name}: as a stream");
    }
}

fn streams() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    recordings(Wire::Bedrock).filter_map(|recording| Some((&recording.name[..], recording.stream()?)))
}

/// The stream that would have brought a recorded whole reply.
fn as_stream(reply: &Value) -> Vec<u8> {
    let mut bytes = event("messageStart", r#"{"role":"assistant"}"#);
    let blocks = reply["output"]["message"]["content"].as_array().expect("content");
    for (index, block) in blocks.iter().enumerate() {
        let mut deltas: Vec<Value> = Vec::new();
        if let Some(tool) = block.get("toolUse") {
            let start = serde_json::json!({"contentBlockIndex": index, "start": {"toolUse": tool}});
            bytes.extend_from_slice(&event("contentBlockStart", &start.to_string()));
            deltas.push(serde_json::json!({"toolUse": {"input": raw_input(tool)}}));
        } else if block.get("toolResult").is_some() {
            let start = serde_json::json!({"contentBlockIndex": index, "start": {"toolResult": {}}});
            bytes.extend_from_slice(&event("contentBlockStart", &start.to_string()));
        } else if let Some(cited) = block.get("citationsContent") {
            let citations = cited["citations"].as_array().into_iter().flatten();
            deltas.extend(citations.map(|citation| serde_json::json!({"citation": citation})));
            deltas.extend(cited["content"].as_array().into_iter().flatten().cloned());
        } else if let Some(text) = block.get("reasoningContent").and_then(|it| it.get("reasoningText")) {
            deltas.push(serde_json::json!({"reasoningContent": {"text": text["text"]}}));
            if text["signature"].is_string() {
                deltas.push(serde_json::json!({"reasoningContent": {"signature": text["signature"]}}));
            }
        } else {
            deltas.push(block.clone());
        }
        for delta in deltas {
            let delta = serde_json::json!({"contentBlockIndex": index, "delta": delta});
            bytes.extend_from_slice(&event("contentBlockDelta", &delta.to_string()));
        }
        bytes.extend_from_slice(&event("contentBlockStop", &format!("{{\"contentBlockIndex\":{index}}}")));
    }
    let stop = serde_json::json!({"stopReason": reply["stopReason"]});
    bytes.extend_from_slice(&event("messageStop", &stop.to_string()));
    let metadata = serde_json::json!({"usage": reply["usage"], "serviceTier": reply["serviceTier"]});
    bytes.extend_from_slice(&event("metadata", &metadata.to_string()));
    bytes
}

fn raw_input(tool: &Value) -> String {
    serde_json::to_string(&tool["input"]).expect("JSON")
}
