//! The writer of streams and whole replies, and the reader of what is wrong in a stream.

use crate::outlined;
use millrace::chat::conversation::{Issuer, ReasoningKind, Seal};
use millrace::chat::{Citation, Event, Facts, Finish, Quirks, ReplyFault, Usage};
use millrace::error::{Cause, Failure};
use millrace::protocol::anthropic_messages::{
    Splice, StreamReader, StreamWriter, error_type, finish_of, read_conversation, read_error, read_whole,
    stop_reason, usage_from, write_error, write_whole,
};
use millrace::protocol::lane::{Lane, Reader, Renamed, Writer};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::grammar::{calls, check_error, check_stream, check_whole, frames};
use super::{bill_of, failure, identity, read_stream, said};

fn write(events: &[Event]) -> Vec<u8> {
    let mut writer = StreamWriter::new(identity(), 321);
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    writer.write_end(&bill_of(&Facts::default()), &mut out);
    out
}

fn call(call: usize) -> Event {
    Event::ToolCall { call, id: format!("id{call}"), name: format!("f{call}"), custom: false, seal: None }
}

fn arguments(call: usize, text: &str) -> Event {
    Event::Arguments { call, text: text.to_owned() }
}

fn end(call: usize) -> Event {
    Event::ToolCallEnd { call }
}

fn finish(reason: Finish) -> Event {
    Event::Finish { reason, native: "x".to_owned() }
}

fn seal(issuer: Issuer, data: &str) -> Seal {
    Seal { issuer, data: data.to_owned(), id: None }
}

#[test]
fn interleaved_calls_are_written_one_after_the_other() {
    let events = [
        Event::Text("a".into()),
        call(0),
        call(1),
        arguments(1, "{\"y\""),
        arguments(0, "{\"x\":"),
        Event::Text("b".into()),
        call(2),
        arguments(0, "1}"),
        arguments(1, ":2}"),
        end(1),
        end(0),
        end(2),
        finish(Finish::Stop),
    ];
    let out = write(&events);
    check_stream(&out).unwrap();
    let expected = [("id0", "f0", "{\"x\":1}"), ("id1", "f1", "{\"y\":2}"), ("id2", "f2", "")];
    let expected = expected.map(|(id, name, text)| (id.to_owned(), name.to_owned(), text.to_owned()));
    assert_eq!(calls(&out), expected);
    // Providers say `stop` at times though tools were called.
    assert!(String::from_utf8(out).unwrap().contains(r#""stop_reason":"tool_use""#));
}

#[test]
fn a_half_call_is_never_closed_as_whole() {
    let mut writer = StreamWriter::new(identity(), 1);
    let mut out = Vec::new();
    [call(0), arguments(0, "{\"a\"")].iter().for_each(|event| writer.write(event, &mut out));
    let mut failed = out.clone();
    writer.clone().write_error(&failure(), None, &mut failed);
    check_stream(&failed).unwrap();
    assert!(!String::from_utf8(failed).unwrap().contains("content_block_stop"));
    // Even if an end were asked for, none came.
    writer.write_end(&bill_of(&Facts::default()), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("event: error") && !text.contains("message_stop"));
}

#[test]
fn the_opening_carries_the_estimate_and_the_end_the_truth() {
    let usage = Usage {
        input: 7,
        cache_read: 5,
        cache_write: 3,
        cache_write_1h: 2,
        output: 4,
        reasoning: 6,
        ..Usage::default()
    };
    let facts = Facts { usage: Some(usage), ..Facts::default() };
    let mut writer = StreamWriter::new(identity(), 321);
    let mut out = Vec::new();
    writer.write(&Event::Text("x".into()), &mut out);
    writer.write_end(&bill_of(&facts), &mut out);
    let data = |name: &str| -> Value {
        let all = frames(&out).unwrap();
        let found = all.into_iter().find(|(event, _)| event == name).unwrap();
        serde_json::from_str(&found.1).unwrap()
    };
    assert_eq!(data("message_start")["message"]["usage"]["input_tokens"], 321);
    let told = &data("message_delta")["usage"];
    assert_eq!((&told["input_tokens"], &told["output_tokens"]), (&json!(7), &json!(10)));
    assert_eq!(told["cache_creation_input_tokens"], 5);
    assert_eq!(told["cache_read_input_tokens"], 5);
    assert_eq!(
        told["cache_creation"],
        json!({"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2})
    );
    assert_eq!(told["output_tokens_details"], json!({"thinking_tokens": 6}));
    assert_eq!(usage_from(&told.to_string()), Some(usage));
}

#[test]
fn foreign_seals_come_back_as_they_were() {
    let gemini = seal(Issuer::Gemini, "g|%7C sig");
    let openai = Seal { id: Some("rs_1|%".into()), ..seal(Issuer::OpenAi, "cipher") };
    let events = [
        Event::Reasoning { text: "why".into(), kind: ReasoningKind::Summary },
        Event::Seal { seal: openai.clone(), hidden: false },
        Event::Reasoning { text: "unsealed".into(), kind: ReasoningKind::Full },
        Event::Seal { seal: seal(Issuer::Xai, "x"), hidden: true },
        Event::ToolCall {
            call: 0,
            id: "c|1".into(),
            name: "f".into(),
            custom: false,
            seal: Some(gemini.clone()),
        },
        end(0),
        finish(Finish::ToolCalls),
    ];
    let whole = write_whole(&events, &Facts::default(), &identity(), &bill_of(&Facts::default()));
    check_whole(&whole).unwrap();
    let reply: Value = serde_json::from_slice(&whole).unwrap();
    let blocks: Vec<&Value> = reply["content"].as_array().unwrap().iter().collect();
    assert!(blocks.iter().all(|block| block.get("signature").is_none_or(|it| it != "")));
    let request = json!({"model": "m", "max_tokens": 9, "messages": [
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": reply["content"]},
    ]});
    let read = read_conversation(&outlined(request.to_string())).unwrap();
    let parts = format!("{:?}", read.turns[1].parts);
    for seal in [gemini, openai, seal(Issuer::Xai, "x")] {
        assert!(parts.contains(&format!("{seal:?}")), "{parts}");
    }
    assert!(parts.contains("text: \"unsealed\", kind: Full, seal: None"), "{parts}");
    // And no envelope goes to Anthropic itself.
    let quirks = Quirks::NONE;
    let target = millrace::protocol::lane::Target { model: "claude", quirks: &quirks, max_output: None };
    let spliced =
        millrace::protocol::anthropic_messages::splice_request(&outlined(request.to_string()), &target).body;
    let spliced = String::from_utf8(spliced).unwrap();
    assert!(!spliced.contains("millrace-seal") && spliced.contains("tool_use"), "{spliced}");
}

#[test]
fn a_custom_tool_goes_out_wrapped_and_comes_back_plain() {
    let open = Event::ToolCall { call: 0, id: "c".into(), name: "patch".into(), custom: true, seal: None };
    let events =
        [open, arguments(0, "*** \"Be"), arguments(0, "gin\n\u{1}é"), end(0), finish(Finish::ToolCalls)];
    let out = write(&events);
    let input: Value = serde_json::from_str(&calls(&out)[0].2).unwrap();
    assert_eq!(input, json!({"input": "*** \"Begin\n\u{1}é"}));
    let names = vec![Renamed { sent: "patch".into(), own: "the patch".into(), custom: true }];
    let mut reader = StreamReader::new(Quirks::NONE, names);
    let mut again = Vec::new();
    reader.read(&out, &mut again);
    assert_eq!(again[1], arguments(0, "*** \"Begin\n\u{1}é"));
    let named = matches!(&again[0], Event::ToolCall { name, custom: true, .. } if name == "the patch");
    assert!(named && again[2] == end(0));
}

#[test]
fn reasons_to_stop_map_both_ways() {
    let rows = [
        ("end_turn", Finish::Stop, "stop"),
        ("stop_sequence", Finish::StopSequence, "stop"),
        ("max_tokens", Finish::Length, "length"),
        ("model_context_window_exceeded", Finish::Length, "length"),
        ("tool_use", Finish::ToolCalls, "tool_calls"),
        ("refusal", Finish::Refusal, "content_filter"),
        ("pause_turn", Finish::Pause, "stop"),
    ];
    for (native, finish, reason) in rows {
        assert_eq!(finish_of(native), finish);
        assert_eq!(finish.reason(), reason);
        assert_eq!(stop_reason(finish, native, finish == Finish::ToolCalls, false), native);
    }
    assert_eq!(finish_of("compaction"), Finish::Stop);
    assert_eq!(stop_reason(Finish::ToolCalls, "tool_calls", false, false), "end_turn");
    assert_eq!(stop_reason(Finish::Stop, "stop", false, true), "refusal");
    assert_eq!(stop_reason(Finish::ContentFilter, "SAFETY", true, false), "refusal");
    assert_eq!(stop_reason(Finish::Error, "error", false, false), "end_turn");
}

#[test]
fn usage_is_told_in_disjoint_classes() {
    let rows = [
        (r#"{"input_tokens":3,"output_tokens":4}"#, [3, 0, 0, 0, 4, 0]),
        (
            r#"{"input_tokens":3,"cache_read_input_tokens":5,"cache_creation_input_tokens":7,"output_tokens":4}"#,
            [3, 5, 7, 0, 4, 0],
        ),
        (
            r#"{"input_tokens":3,"cache_creation_input_tokens":7,"cache_creation":{"ephemeral_5m_input_tokens":2,"ephemeral_1h_input_tokens":5},"output_tokens":4,"output_tokens_details":{"thinking_tokens":3}}"#,
            [3, 0, 2, 5, 1, 3],
        ),
        (
            r#"{"input_tokens":-1,"output_tokens":1e99,"output_tokens_details":{"thinking_tokens":9}}"#,
            [0, 0, 0, 0, u64::MAX - 9, 9],
        ),
        (
            r#"{"input_tokens":1,"cache_creation_input_tokens":2,"cache_creation":{"ephemeral_1h_input_tokens":9}}"#,
            [1, 0, 0, 2, 0, 0],
        ),
    ];
    for (raw, [input, cache_read, cache_write, cache_write_1h, output, reasoning]) in rows {
        let usage =
            Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning, ..Usage::default() };
        assert_eq!(usage_from(raw), Some(usage), "{raw}");
    }
    assert_eq!(usage_from("{}"), None);
    assert_eq!(usage_from(r#"{"input_tokens":null}"#), None);
}

#[test]
fn faults_within_a_stream_end_it() {
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":2,\"output_tokens\":1}}}\n\n";
    let text = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"x\"}}\n\n";
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let rows = [
        (format!("{start}{text}{overloaded}"), Some(529), "Overloaded"),
        (
            format!("{start}{text}{{\"error\":{{\"message\":\"bare\",\"type\":\"api_error\"}}}}\n"),
            Some(500),
            "bare",
        ),
        (format!("{start}{text}{start}"), None, "The provider began a second message within the reply."),
        (
            format!("{start}{text}data: {{no json\n\n"),
            None,
            "The provider sent a frame that is not valid JSON.",
        ),
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#.to_owned(),
            Some(429),
            "slow",
        ),
    ];
    for (stream, status, message) in rows {
        let (events, facts) = read_stream([stream.as_bytes()]);
        let fault = facts.fault.unwrap_or_else(|| panic!("{stream}"));
        assert_eq!((fault.status, fault.message.as_str()), (status, message), "{stream}");
        assert!(!facts.done && !events.iter().any(|event| matches!(event, Event::Finish { .. })));
        let mut splice = Splice::new(identity(), Quirks::NONE);
        let mut out = Vec::new();
        splice.read(stream.as_bytes(), &mut out);
        splice.end_of_input(&mut out);
        assert_eq!(splice.facts().fault.as_ref().map(|fault| fault.message.as_str()), Some(message));
        splice.write_error(&failure(), Some(&bill_of(splice.facts())), &mut out);
        check_stream(&out).unwrap();
    }
}

#[test]
fn a_splice_keeps_bytes_and_tells_the_cost() {
    let upstream = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":2,\"cache_read_input_tokens\":9,\"output_tokens\":1}}  }\n\n",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"brand_new\",\"n\":1.0}   }\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0 }\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":4},\"context_management\":{\"applied_edits\":[]}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let mut splice = Splice::new(identity(), Quirks::NONE);
    let mut out = Vec::new();
    splice.read(upstream.as_bytes(), &mut out);
    let bill = millrace::chat::Bill { metadata: Some("{\"a\":1}".into()), ..bill_of(splice.facts()) };
    splice.write_end(&bill, &mut out);
    check_stream(&out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for kept in [
        "\"content_block\":{\"type\":\"brand_new\",\"n\":1.0}   }",
        "{\"type\": \"ping\"}",
        "\"index\":0 }",
        "\"context_management\":{\"applied_edits\":[]}",
    ] {
        assert!(text.contains(kept), "{kept}");
    }
    assert!(text.contains("\"id\":\"gen-1-abc\"") && !text.contains("msg_1"));
    assert!(
        text.contains(r#""usage":{"output_tokens":4,"input_tokens":2,"#)
            && text.contains("\"cache_read_input_tokens\":9")
    );
    assert!(text.ends_with("{\"type\":\"message_stop\",\"openrouter_metadata\":{\"a\":1}}\n\n"));
}

#[test]
fn bodies_that_are_no_reply_are_told_apart() {
    let read = |body: &str| read_whole(body.as_bytes(), &Quirks::NONE, &[]).unwrap_err();
    assert!(matches!(read("<html>"), ReplyFault::NotJson(_)));
    assert_eq!(read("{\"type\":\"message\",\"content\":[],\"stop_reason\":null}"), ReplyFault::Empty);
    let fault = r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#;
    assert!(
        matches!(read(fault), ReplyFault::Error(fault) if fault.status == Some(500) && fault.message == "no")
    );
    assert_eq!(read_error(b"plain words").raw, "plain words");
    // A limit cut the call off: its arguments never ended.
    let half = r#"{"type":"message","content":[{"type":"tool_use","id":"a","name":"f","input":"{\"x\":"}],"stop_reason":"max_tokens"}"#;
    let reply = read_whole(half.as_bytes(), &Quirks::NONE, &[]).unwrap();
    assert!(!reply.events.contains(&end(0)));
}

#[test]
fn every_cause_has_its_envelope() {
    let rows = [
        (Cause::InvalidRequest, "invalid_request_error"),
        (Cause::Authentication, "authentication_error"),
        (Cause::PaymentRequired, "billing_error"),
        (Cause::PermissionDenied, "permission_error"),
        (Cause::NotFound, "not_found_error"),
        (Cause::NoEndpoint, "not_found_error"),
        (Cause::RateLimited, "rate_limit_error"),
        (Cause::ProviderOverloaded, "overloaded_error"),
        (Cause::ProviderUnavailable, "api_error"),
        (Cause::Internal, "api_error"),
        (Cause::Timeout, "timeout_error"),
        (Cause::UnknownModel, "invalid_request_error"),
    ];
    for (cause, expected) in rows {
        assert_eq!(error_type(cause), expected);
        let body = write_error(&Failure::new(cause, "words").with("raw", "own"), Some("gen-1"));
        let body: Value = serde_json::from_slice(&body).unwrap();
        check_error(&body).unwrap();
        assert_eq!((&body["request_id"], &body["metadata"]["raw"]), (&json!("gen-1"), &json!("own")));
    }
    let body = write_error(&Failure::new(Cause::ContextLength, "9 tokens > 8 maximum"), None);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["message"], "prompt is too long: 9 tokens > 8 maximum");
    let told = Failure::invalid("words").with("provider_code", "context_length_exceeded");
    let told: Value = serde_json::from_slice(&write_error(&told, None)).unwrap();
    assert_eq!(told["error"]["message"], "prompt is too long: words");
    assert_eq!(body["request_id"], Value::Null);
}

/// One event of a reply; calls and their pieces are put right by `tidy`.
fn any_event() -> impl Strategy<Value = Event> {
    let text = "[a-z\"\\\\\n\u{e9}\u{1f600}]{0,6}";
    let issuer = prop_oneof![Just(Issuer::Anthropic), Just(Issuer::Gemini), Just(Issuer::OpenAi)];
    let seal = (issuer, "[a-z|%]{1,5}").prop_map(|(issuer, data)| Seal { issuer, data, id: None });
    prop_oneof![
        text.prop_map(Event::Text),
        text.prop_map(Event::Refusal),
        text.prop_map(|text| Event::Reasoning { text, kind: ReasoningKind::Full }),
        (seal.clone(), any::<bool>()).prop_map(|(seal, hidden)| Event::Seal { seal, hidden }),
        (any::<bool>(), prop::option::of(seal)).prop_map(|(custom, seal)| Event::ToolCall {
            call: 0,
            id: String::new(),
            name: "f".into(),
            custom,
            seal,
        }),
        (0..4_usize, text).prop_map(|(call, text)| Event::Arguments { call, text }),
        (0..4_usize).prop_map(|call| Event::ToolCallEnd { call }),
        Just(Event::Image { url: "data:image/png;base64,AA".into() }),
        text.prop_map(|url| Event::Citation(Citation { url, ..Citation::default() })),
    ]
}

/// A reply as readers may give it: calls count up, arguments belong to an open call, all ends.
fn tidy(events: Vec<Event>, reason: Finish) -> Vec<Event> {
    let (mut tidy, mut open, mut calls) = (Vec::new(), Vec::<usize>::new(), 0);
    for event in events {
        match event {
            Event::ToolCall { name, custom, seal, .. } => {
                tidy.push(Event::ToolCall { call: calls, id: format!("id{calls}"), name, custom, seal });
                open.push(calls);
                calls += 1;
            }
            Event::Arguments { call, text } if !open.is_empty() => {
                tidy.push(Event::Arguments { call: open[call % open.len()], text });
            }
            Event::ToolCallEnd { call } if !open.is_empty() => {
                let place = call % open.len();
                tidy.push(Event::ToolCallEnd { call: open.remove(place) });
            }
            Event::Arguments { .. } | Event::ToolCallEnd { .. } => {}
            other => tidy.push(other),
        }
    }
    tidy.extend(open.into_iter().map(|call| Event::ToolCallEnd { call }));
    tidy.push(Event::Finish { reason, native: "n".into() });
    tidy
}

fn any_finish() -> impl Strategy<Value = Finish> {
    prop_oneof![
        Just(Finish::Stop),
        Just(Finish::StopSequence),
        Just(Finish::Length),
        Just(Finish::ToolCalls),
        Just(Finish::ContentFilter),
        Just(Finish::Refusal),
        Just(Finish::Pause),
        Just(Finish::Error),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_is_written_in_the_grammar(
        events in prop::collection::vec(any_event(), 0..24), reason in any_finish(),
    ) {
        let events = tidy(events, reason);
        let out = write(&events);
        prop_assert_eq!(check_stream(&out), Ok(()));
        let whole = write_whole(&events, &Facts::default(), &identity(), &bill_of(&Facts::default()));
        prop_assert_eq!(check_whole(&whole), Ok(()));
        // Calls come through whole and in order.
        let sent = events.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
        prop_assert_eq!(calls(&out).len(), sent);
        for (place, (id, _, _)) in calls(&out).iter().enumerate() {
            prop_assert_eq!(id, &format!("id{place}"));
        }
    }

    #[test]
    fn a_reply_that_breaks_off_is_written_in_the_grammar(
        events in prop::collection::vec(any_event(), 0..24), cut in 0..24_usize,
    ) {
        let mut events = tidy(events, Finish::Stop);
        events.truncate(cut.min(events.len().saturating_sub(1)));
        let mut writer = StreamWriter::new(identity(), 3);
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut out));
        writer.write_error(&failure(), None, &mut out);
        prop_assert_eq!(check_stream(&out), Ok(()));
        let (read, facts) = read_stream([&out[..]]);
        prop_assert!(facts.fault.is_some() && !facts.done);
        let finished = read.iter().any(|event| matches!(event, Event::Finish { .. }));
        prop_assert!(!finished);
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_stream([&bytes[..]]);
        drop(read_whole(&bytes, &Quirks::NONE, &[]));
        drop(read_error(&bytes));
        drop(read_conversation(&outlined(&bytes)));
    }
}

#[test]
fn what_is_said_twice_is_said_alike() {
    let events = tidy(
        vec![Event::Text("a".into()), call(0), arguments(0, "{}"), Event::Citation(Citation::default())],
        Finish::Stop,
    );
    let (again, _) = read_stream([&write(&events)[..]]);
    assert_eq!(said(&again), said(&events));
}
