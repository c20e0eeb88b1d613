//! Recorded exchanges, where they are at hand. `MILLRACE_FIXTURES` names their folder.

use std::path::{Path, PathBuf};

use super::*;

struct Recording {
    name: String,
    status: u64,
    request: Option<Vec<u8>>,
    response: Vec<u8>,
}

#[test]
fn every_recorded_stream_comes_through() {
    for recording in recordings("sse") {
        let name = &recording.name;
        let (mut out, mut whole) = splice([&recording.response[..]]);
        let facts = whole.facts().clone();
        assert!(
            facts.began && facts.done && facts.fault.is_none() && facts.output_bytes > 0,
            "{name}: {facts:?}"
        );
        let upstream = chunks(&recording.response);
        assert_eq!(said(&chunks(&out)), said(&upstream), "{name}");
        let sent = upstream.iter().rev().find_map(|chunk| chunk["usage"]["total_tokens"].as_u64());
        assert_eq!(facts.usage.map(|usage| usage.total()), sent, "{name}");
        let stride = (recording.response.len() / 100).max(1);
        for cut in (0..recording.response.len()).step_by(stride) {
            let (head, tail) = recording.response.split_at(cut);
            let (again, other) = splice([head, tail]);
            assert!(again == out && *other.facts() == facts, "{name}: cut at {cut}");
            let (_, broken) = splice([head]);
            assert!(
                !broken.facts().done || head.ends_with(b"[DONE]") || tail.trim_ascii().is_empty(),
                "{name}: {cut}"
            );
        }
        let (again, other) = splice(recording.response.chunks(1));
        assert!(again == out && *other.facts() == facts, "{name}: byte by byte");
        whole.write_end(&bill(facts.usage.unwrap_or_default()), &mut out);
        grammar::check_stream(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_recorded_reply_comes_through() {
    for recording in recordings("json") {
        let name = &recording.name;
        if recording.status >= 400 {
            assert!(!read_error(&recording.response).message.is_empty(), "{name}");
            assert!(
                matches!(read_whole(&recording.response, &Quirks::NONE), Err(ReplyFault::Error(_))),
                "{name}"
            );
            continue;
        }
        let WholeReply { events, facts } = read_whole(&recording.response, &Quirks::NONE)
            .unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        let upstream: Value = serde_json::from_slice(&recording.response).expect("JSON");
        assert_eq!(
            facts.usage.map(|usage| usage.total()),
            upstream["usage"]["total_tokens"].as_u64(),
            "{name}"
        );
        let bill = bill(facts.usage.unwrap_or_default());
        let out = splice_whole(&recording.response, &identity(), &bill);
        grammar::check_whole(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
        let client: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(said(&[client]), said(std::slice::from_ref(&upstream)), "{name}");
        let rewritten = write_whole(&events, &facts, &identity(), &bill);
        let rewritten: Value = serde_json::from_slice(&rewritten).expect("JSON");
        assert_eq!(said(&[rewritten])[0], said(&[upstream])[0], "{name}");
        let body = recording.response.trim_ascii_end();
        for end in (0..body.len()).step_by((body.len() / 100).max(1)) {
            let fault = read_whole(&body[..end], &Quirks::NONE).expect_err("cut");
            assert!(matches!(fault, ReplyFault::NotJson(_)), "{name}: {fault:?}");
        }
    }
}

#[test]
fn every_recorded_request_keeps_all_but_its_model() {
    let all = recordings("sse").into_iter().chain(recordings("json"));
    let mut seen = 0;
    for (name, request) in all.filter_map(|recording| Some((recording.name, recording.request?))) {
        read_request(&request).unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        let text = String::from_utf8(request).expect("text");
        let sent: Value = serde_json::from_str(&text).expect("JSON");
        let target = Target { model: "up/m", quirks: &ALWAYS, max_output: None };
        let out = splice_request(text.as_bytes(), &target);
        let expected = text.replacen(&sent["model"].to_string(), "\"up/m\"", 1);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{name}");
        grammar::check_request(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
        seen += 1;
    }
    println!("{seen} requests");
}

fn recordings(extension: &str) -> Vec<Recording> {
    let root = std::env::var_os("MILLRACE_FIXTURES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"));
    if !root.is_dir() {
        println!("skipped: there are no recordings at MILLRACE_FIXTURES");
        return Vec::new();
    }
    let folders = ["openai-completions", "vllm"].into_iter().flat_map(|folder| list(&root.join(folder)));
    let suffix = format!(".response.{extension}");
    let found: Vec<Recording> =
        folders.flat_map(|folder| list(&folder)).filter_map(|file| recording(&file, &suffix)).collect();
    assert!(found.len() > 2, "{} recordings", found.len());
    found
}

fn recording(file: &Path, suffix: &str) -> Option<Recording> {
    let name = file.to_string_lossy().into_owned();
    let stem = name.strip_suffix(suffix)?;
    let meta: Value = serde_json::from_slice(&std::fs::read(format!("{stem}.meta.json")).ok()?).ok()?;
    let url = meta["url"].as_str().unwrap_or_default();
    let legacy =
        url.ends_with("/completions") && !url.contains("chat") || name.contains("openai-completions/");
    let status = meta["status"].as_u64().unwrap_or(200);
    let request = std::fs::read(format!("{stem}.request.json")).ok();
    legacy.then(|| Recording {
        name: name.clone(),
        status,
        request,
        response: std::fs::read(file).unwrap_or_default(),
    })
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).map(|all| all.flatten().map(|entry| entry.path()).collect());
    let mut paths: Vec<PathBuf> = entries.unwrap_or_default();
    paths.sort();
    paths
}
