//! Recorded exchanges of the legacy Completions.

use super::*;
use crate::outlined;
use crate::recorded::{Wire, recordings};

#[test]
fn every_recorded_stream_comes_through() {
    for recording in recordings(Wire::Completions) {
        let (name, Some(body)) = (&recording.name, recording.stream()) else { continue };
        let (mut out, mut whole) = splice([body]);
        let facts = whole.facts().clone();
        let upstream = crate::recorded::frames(body);
        if facts.truncated {
            let finishes = |chunk: &serde_json::Value| chunk["choices"][0]["finish_reason"].is_string();
            assert!(!upstream.iter().any(finishes), "{name}: {facts:?}");
            continue;
        }
        if facts.fault.is_some() {
            assert!(upstream.iter().any(|chunk| !chunk["error"].is_null()), "{name}: {facts:?}");
            continue;
        }
        let terminated = String::from_utf8_lossy(body).contains("[DONE]");
        assert!(facts.done || !terminated, "{name}: {facts:?}");
        assert_eq!(plain(&chunks(&out)), plain(&upstream), "{name}");
        let sent = upstream.iter().rev().find_map(|chunk| chunk["usage"]["total_tokens"].as_u64());
        assert_eq!(facts.usage.map(|usage| usage.total()), sent, "{name}");
        let stride = (body.len() / 100).max(1);
        for cut in (0..body.len()).step_by(stride) {
            let (head, tail) = body.split_at(cut);
            let (again, other) = splice([head, tail]);
            assert!(again == out && *other.facts() == facts, "{name}: cut at {cut}");
            let (_, broken) = splice([head]);
            let ended = String::from_utf8_lossy(head).contains("[DONE]");
            assert!(!broken.facts().done || ended || tail.trim_ascii().is_empty(), "{name}: {cut}");
        }
        let (again, other) = splice(body.chunks(1));
        assert!(again == out && *other.facts() == facts, "{name}: byte by byte");
        whole.write_end(&bill(facts.usage.unwrap_or_default()), &mut out);
        grammar::check_stream(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_recorded_reply_comes_through() {
    for recording in recordings(Wire::Completions) {
        let (name, Some(body)) = (&recording.name, recording.whole()) else { continue };
        let upstream: Value = serde_json::from_slice(body).unwrap_or_default();
        let WholeReply { events, facts } = match read_whole(body, &Quirks::NONE) {
            Ok(reply) => reply,
            Err(fault) => {
                assert!(upstream["choices"][0]["finish_reason"].is_null(), "{name}: {fault:?}");
                continue;
            }
        };
        let total = upstream["usage"]["total_tokens"].as_u64();
        assert_eq!(facts.usage.map(|usage| usage.total()), total, "{name}");
        let bill = bill(facts.usage.unwrap_or_default());
        let out = splice_whole(body, &identity(), &bill);
        grammar::check_whole(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
        let client: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(plain(&[client]), plain(std::slice::from_ref(&upstream)), "{name}");
        let rewritten = write_whole(&events, &facts, &identity(), &bill);
        let rewritten: Value = serde_json::from_slice(&rewritten).expect("JSON");
        assert_eq!(plain(&[rewritten]).first(), plain(&[upstream]).first(), "{name}");
        let body = body.trim_ascii_end();
        for end in (0..body.len()).step_by((body.len() / 100).max(1)) {
            let fault = read_whole(&body[..end], &Quirks::NONE).expect_err("cut");
            assert!(matches!(fault, ReplyFault::NotJson(_)), "{name}: {fault:?}");
        }
    }
}

#[test]
fn every_recorded_request_keeps_all_but_its_model() {
    for recording in recordings(Wire::Completions) {
        let (name, Some(request)) = (&recording.name, recording.request.as_deref()) else { continue };
        if read_request(&outlined(request)).is_err() {
            assert!(recording.status >= 400, "{name}");
            continue;
        }
        let text = std::str::from_utf8(request).expect("text");
        let target = Target { model: "up/m", quirks: &ALWAYS, max_output: None };
        let out = splice_request(&outlined(request), &target).body;
        let members = millrace::json::members(text).expect("an object");
        let expected = text.replacen(members.value("model").expect("a model"), "\"up/m\"", 1);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{name}");
        grammar::check_request(&out).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// What every choice says, and whether it ends: reasons have other names for clients.
fn plain(chunks: &[Value]) -> Vec<(String, bool)> {
    said(chunks).into_iter().map(|(text, finish)| (text, !finish.is_null())).collect()
}
