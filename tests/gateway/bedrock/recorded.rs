//! Recorded replies of Bedrock, where they are at hand. `MILLRACE_FIXTURES` names their folder.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

#[test]
fn every_recorded_stream_is_read() {
    let streams = recordings("bedrock-converse", ".response.bin");
    for (name, bytes) in &streams {
        grammar::check_stream(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (events, facts) = read(bytes);
        assert!(facts.done && facts.began && facts.fault.is_none(), "{name}: {facts:?}");
        assert!(facts.usage.is_some_and(|usage| usage.total() > 0), "{name}");
        assert!(matches!(events.last(), Some(Event::Finish { .. })), "{name}: {events:?}");
        let opened = events.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
        let ended = events.iter().filter(|event| matches!(event, Event::ToolCallEnd { .. })).count();
        assert_eq!(opened, ended, "{name}");
    }
    println!("{} streams", streams.len());
}

#[test]
fn every_recorded_stream_may_be_cut_anywhere() {
    for (name, bytes) in recordings("bedrock-converse", ".response.bin") {
        let expected = read(&bytes);
        for cut in (0..bytes.len()).step_by((bytes.len() / 200).max(1)) {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read_pieces([head, tail], &[]), expected, "{name}: cut at {cut}");
            let (_, facts) = read(head);
            assert!(!facts.done && facts.fault.is_none(), "{name}: broken off at {cut}");
        }
    }
}

#[test]
fn every_recorded_reply_is_read() {
    let replies = recordings("bedrock-converse", ".response.json");
    for (name, bytes) in &replies {
        let value: Value = serde_json::from_slice(bytes).expect("JSON");
        if value.get("output").is_none() {
            assert!(!read_error(bytes).message.is_empty(), "{name}");
            assert!(matches!(read_whole(bytes, &Quirks::NONE, &[]), Err(ReplyFault::Error(_))), "{name}");
            continue;
        }
        grammar::check_whole(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let reply = read_whole(bytes, &Quirks::NONE, &[]).unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        let usage = reply.facts.usage.expect("usage");
        assert_eq!(Some(usage.total()), value["usage"]["totalTokens"].as_u64(), "{name}");
        assert_eq!(reply.facts.finish.as_deref(), value["stopReason"].as_str(), "{name}");
        assert!(reply.facts.began && reply.events.len() > 1, "{name}");
        // Arguments are text: both sides have to be spelt alike.
        let respelt = value.to_string();
        let reply = whole(&respelt).expect("the same reply");
        let again = read(&as_stream(&value));
        assert_eq!(joined(&again.0), joined(&reply.events), "{name}: as a stream");
        assert_eq!(again.1, reply.facts, "{name}: as a stream");
    }
    println!("{} replies", replies.len());
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
            let citations = cited["citations"].as_array().expect("citations").iter();
            deltas.extend(citations.map(|citation| serde_json::json!({"citation": citation})));
            deltas.extend(cited["content"].as_array().into_iter().flatten().cloned());
        } else if let Some(text) = block.get("reasoningContent").and_then(|it| it.get("reasoningText")) {
            deltas.push(serde_json::json!({"reasoningContent": {"text": text["text"]}}));
            deltas.push(serde_json::json!({"reasoningContent": {"signature": text["signature"]}}));
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

pub fn recordings(protocol: &str, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    let folder = root.join(protocol);
    if !folder.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let files = list(&folder).into_iter().flat_map(|folder| list(&folder));
    let files = files.filter(|file| file.to_string_lossy().ends_with(suffix));
    files.map(|file| (file.display().to_string(), std::fs::read(&file).expect("readable"))).collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}
