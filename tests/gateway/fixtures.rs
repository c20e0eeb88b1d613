//! Recorded exchanges of real providers, where they are at hand: every one of them has to come
//! through whole. `MILLRACE_FIXTURES` names their folder.

use std::path::{Path, PathBuf};

use millrace::chat::Quirks;
use millrace::chat::{Bill, Identity, ReplyFault};
use millrace::money::Money;
use millrace::protocol::openai_chat::{Reply, Splice, read_error, read_reply};
use serde_json::{Map, Value};

/// The folders of those who speak Chat Completions.
const PROTOCOLS: &[&str] = &[
    "azure-openai",
    "cerebras",
    "deepseek",
    "groq",
    "huggingface-router",
    "llamacpp",
    "mistral",
    "ollama",
    "openai-chat",
    "openrouter",
    "other-openai-compat",
    "perplexity",
    "together",
    "vllm",
    "vllm-like",
    "xai",
];

/// One recorded answer.
struct Recording {
    name: String,
    status: u64,
    body: Vec<u8>,
    quirks: Quirks,
}

/// What a client can make of the choices of a reply, by index.
type Said = Vec<[String; 4]>;

#[test]
fn every_recorded_stream_comes_through() {
    let streams = recordings("sse");
    let mut finished = 0;
    for stream in &streams {
        let (out, splice) = splice(stream, [&stream.body[..]]);
        let facts = splice.facts();
        let name = &stream.name;
        let upstream = frames(&stream.body);
        if facts.fault.is_some() {
            let reported = upstream.iter().any(|frame| frame.get("error").is_some());
            assert!(
                reported || String::from_utf8_lossy(&stream.body).contains("\"error\""),
                "{name}: {facts:?}"
            );
            continue;
        }
        finished += 1;
        assert!(facts.began && facts.finish.is_some() && facts.output_bytes > 0, "{name}: {facts:?}");
        let client = frames(&out);
        client.iter().for_each(|chunk| check_chunk(chunk, name));
        assert_eq!(said(&client, "delta"), said(&upstream, "delta"), "{name}");
        check_usage(&upstream, facts.usage.unwrap_or_default(), stream, facts.usage.is_some());
        check_end(&splice, stream);
    }
    println!("{} streams, {finished} of them whole", streams.len());
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    for stream in recordings("sse") {
        let (whole, splice) = splice(&stream, [&stream.body[..]]);
        let (bytes, again) = self::splice(&stream, stream.body.chunks(1));
        assert!(bytes == whole && again.facts() == splice.facts(), "{}: byte by byte", stream.name);
        // Sixty places in each: the golden streams are cut at every byte.
        let stride = (stream.body.len() / 60).max(1);
        for cut in (0..stream.body.len()).step_by(stride) {
            let (head, tail) = stream.body.split_at(cut);
            let (bytes, again) = self::splice(&stream, [head, tail]);
            assert!(bytes == whole && again.facts() == splice.facts(), "{}: cut at {cut}", stream.name);
        }
    }
}

#[test]
fn a_stream_that_breaks_off_never_panics() {
    for stream in recordings("sse") {
        let stride = (stream.body.len() / 60).max(1);
        for end in (0..stream.body.len()).step_by(stride) {
            let (out, splice) = splice(&stream, [&stream.body[..end]]);
            frames(&out).iter().for_each(|chunk| check_chunk(chunk, &stream.name));
            check_end(&splice, &stream);
        }
    }
}

#[test]
fn every_recorded_reply_comes_through() {
    let replies = recordings("json");
    let mut good = 0;
    for recording in replies.iter().filter(|recording| recording.status == 200) {
        let name = &recording.name;
        let reply = match read_reply(&recording.body, &recording.quirks) {
            Ok(reply) => reply,
            Err(ReplyFault::Error(_)) => continue,
            Err(fault) => panic!("{name}: {fault:?}"),
        };
        good += 1;
        let out = reply.write(&recording.body, &identity(), &bill(&reply));
        let client: Value = serde_json::from_slice(&out).expect("JSON");
        let upstream: Value = serde_json::from_slice(&recording.body).expect("JSON");
        check_reply(&client, name);
        assert_eq!(said(&[client], "message"), said(std::slice::from_ref(&upstream), "message"), "{name}");
        check_usage(
            &[upstream],
            reply.facts.usage.unwrap_or_default(),
            recording,
            reply.facts.usage.is_some(),
        );
    }
    println!("{} replies, {good} of them good", replies.len());
}

#[test]
fn every_recorded_error_has_a_message() {
    for recording in recordings("json").iter().filter(|recording| recording.status >= 400) {
        let fault = read_error(&recording.body);
        assert!(!fault.message.is_empty(), "{}: {fault:?}", recording.name);
    }
}

fn recordings(extension: &str) -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if !root.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let folders = PROTOCOLS.iter().flat_map(|protocol| list(&root.join(protocol)));
    let files = folders.flat_map(|folder| list(&folder));
    let suffix = format!(".response.{extension}");
    let wanted = files.filter(|file| file.to_string_lossy().ends_with(&suffix));
    let found: Vec<Recording> = wanted.filter_map(|file| recording(&root, &file, &suffix)).collect();
    assert!(found.len() > 20, "{} recordings", found.len());
    found
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}

/// The recording in `file`, if it is of Chat Completions.
fn recording(root: &Path, file: &Path, suffix: &str) -> Option<Recording> {
    let name = file.strip_prefix(root).ok()?.to_string_lossy().into_owned();
    let meta = file.to_string_lossy().replace(suffix, ".meta.json");
    let meta: Value = serde_json::from_slice(&std::fs::read(meta).ok()?).ok()?;
    let body = std::fs::read(file).ok()?;
    let url = meta["url"].as_str().unwrap_or_default().split('?').next()?;
    let status = meta["status"].as_u64().unwrap_or(200);
    let start = String::from_utf8_lossy(&body[..body.len().min(2000)]).into_owned();
    let chat = url.ends_with("chat/completions") || url.is_empty() && start.contains("chat.completion");
    let quirks = Quirks {
        usage_excludes_reasoning: name.starts_with("xai"),
        reports_cost: name.starts_with("openrouter"),
        ..Quirks::NONE
    };
    chat.then_some(Recording { name, status, body, quirks })
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
    Bill { usage, cost, prompt_cost: cost, completion_cost: Money::ZERO, is_byok: false, metadata: None }
}

fn splice<'a>(stream: &Recording, pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Splice) {
    let mut splice = Splice::new(identity(), stream.quirks);
    let mut out = Vec::new();
    for piece in pieces {
        splice.read(piece, &mut out);
    }
    splice.end_of_input(&mut out);
    (out, splice)
}

/// The chunks of a stream, read as simply as can be.
fn frames(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let json = data.map(str::trim).filter(|data| *data != "[DONE]" && !data.is_empty());
    json.map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"))).collect()
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
            calls.push_str(&format!("{}{}{}", call["id"], function["name"], function["arguments"]));
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
    assert_eq!(last.is_some_and(|usage| usage["prompt_tokens"].is_number()), any, "{}", recording.name);
    let Some(total) = count("total_tokens") else { return };
    // Where the total is not the sum, something was counted beside the two.
    let sum = count("prompt_tokens").unwrap_or(0) + count("completion_tokens").unwrap_or(0);
    let expected =
        if usage.input_audio > 0 || recording.quirks.usage_excludes_reasoning { total } else { sum };
    assert_eq!(usage.total(), expected, "{}: {usage:?} {last:?}", recording.name);
}

/// The end of a stream: one chunk with usage, one terminator, nothing behind.
fn check_end(splice: &Splice, stream: &Recording) {
    let cost = Money::from_pico(1);
    let usage = splice.facts().usage.unwrap_or_default();
    let bill =
        Bill { usage, cost, prompt_cost: cost, completion_cost: Money::ZERO, is_byok: false, metadata: None };
    let mut end = Vec::new();
    splice.write_end(&bill, &mut end);
    let text = String::from_utf8(end.clone()).expect("text");
    assert!(text.ends_with("\n\ndata: [DONE]\n\n") && text.matches("[DONE]").count() == 1, "{}", stream.name);
    let last = frames(&end);
    assert_eq!(last.len(), 1, "{}", stream.name);
    check_chunk(&last[0], &stream.name);
    assert_eq!(last[0]["usage"]["total_tokens"], usage.total(), "{}", stream.name);
}
