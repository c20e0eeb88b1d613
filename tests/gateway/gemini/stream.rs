//! Streams: odd ones of providers read, all that can be said written.

use millrace::chat::conversation::{Issuer, ReasoningKind, Seal};
use millrace::chat::{Citation, Event, Finish, Quirks, Usage};
use millrace::error::{Cause, Failure};
use millrace::protocol::gemini::{Framing, Splice, StreamWriter, write_whole};
use millrace::protocol::lane::{Lane, Writer};
use proptest::prelude::*;

use super::grammar::{check_stream, check_whole};
use super::{bill, identity, joined, read};

fn frames(frames: &[&str]) -> Vec<u8> {
    frames.iter().map(|frame| format!("data: {frame}\r\n\r\n")).collect::<String>().into_bytes()
}

fn candidate(members: &str) -> String {
    format!("{{\"candidates\":[{{{members}}}],\"responseId\":\"r\"}}")
}

fn part(part: &str) -> String {
    candidate(&format!("\"content\":{{\"role\":\"model\",\"parts\":[{part}]}}"))
}

const END: &str = r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":2}}"#;

#[test]
fn arguments_in_pieces_are_put_together() {
    let pieces = [
        part(r#"{"functionCall":{"name":"f","willContinue":true},"thoughtSignature":"c2ln"}"#),
        part(
            r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.to.city","stringValue":"Bos","willContinue":true}],"willContinue":true}}"#,
        ),
        part(
            r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.to.city","stringValue":"ton"},{"jsonPath":"$.n[1]","numberValue":1.50},{"jsonPath":"$['a.b']","boolValue":true}],"willContinue":true}}"#,
        ),
        part(r#"{"functionCall":{}}"#),
        part(r#"{"functionCall":{"name":"g","args":{}}}"#),
    ];
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).chain([END]).collect();
    let (events, facts) = read([&frames(&pieces)[..]]);
    assert!(facts.done);
    let arguments: Vec<&Event> =
        events.iter().filter(|event| matches!(event, Event::Arguments { .. })).collect();
    let expected = r#"{"to":{"city":"Boston"},"n":[null,1.50],"a.b":true}"#;
    assert_eq!(arguments[0], &Event::Arguments { call: 0, text: expected.into() });
    assert_eq!(arguments[1], &Event::Arguments { call: 1, text: "{}".into() });
    // Cut within the first call, it stays open.
    for count in 1..=3 {
        let (events, facts) = read([&frames(&pieces[..count])[..]]);
        assert!(!facts.done && !events.iter().any(|event| matches!(event, Event::ToolCallEnd { .. })));
    }
    // A limit that is reached within a call does not complete it.
    let limit = candidate("\"finishReason\":\"MAX_TOKENS\"");
    let (events, facts) = read([&frames(&[pieces[0], pieces[1], &limit])[..]]);
    assert!(facts.done && !events.iter().any(|event| matches!(event, Event::ToolCallEnd { .. })));
}

#[test]
fn pieces_without_sense_are_a_fault() {
    for path in ["$", "x", "$.a[99999999]", "$.a[x]"] {
        let piece =
            format!(r#"{{"functionCall":{{"partialArgs":[{{"jsonPath":"{path}","stringValue":"v"}}]}}}}"#);
        let open = part(r#"{"functionCall":{"name":"f","willContinue":true}}"#);
        let (_, facts) = read([&frames(&[&open, &part(&piece), END])[..]]);
        assert!(facts.fault.is_some() && !facts.done, "{path}");
    }
}

#[test]
fn an_error_ends_a_stream_whatever_its_form() {
    let bare =
        "{\n \"error\": {\n  \"code\": 499,\n  \"message\": \"Cancelled\", \"status\":\"CANCELLED\"}\n}\n";
    let framed = "data: {\"error\":{\"code\":503,\"message\":\"Overloaded\"}}\n\n";
    for (error, status) in [(bare, 499), (framed, 503)] {
        let mut stream = frames(&[&part(r#"{"text":"a"}"#)]);
        stream.extend_from_slice(error.as_bytes());
        for cut in 0..stream.len() {
            let (head, tail) = stream.split_at(cut);
            let (events, facts) = read([head, tail]);
            assert_eq!(facts.fault.as_ref().and_then(|fault| fault.status), Some(status));
            assert!(!facts.done && events == [Event::Text("a".into())]);
        }
    }
    let (_, facts) = read([&b"data: {\"candidates\":[\n\n"[..]]);
    assert!(facts.fault.is_some());
    let (_, facts) = read([&frames(&["[DONE]", END])[..]]);
    assert!(facts.done && facts.fault.is_none());
}

#[test]
fn the_last_of_several_reasons_counts() {
    let old = |text: &str| {
        candidate(&format!("\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}]}},\"finishReason\":\"STOP\""))
    };
    let stream = frames(&[&old("a"), &old("b")]);
    let (events, facts) = read([&stream[..]]);
    assert!(facts.done);
    assert_eq!(joined(&events)[0], Event::Text("ab".into()));
    let mut splice = Splice::new(identity(), Quirks::NONE);
    let mut out = Vec::new();
    splice.read(&stream, &mut out);
    assert!(
        String::from_utf8_lossy(&out).contains("\"a\"") && !String::from_utf8_lossy(&out).contains("\"b\"")
    );
    splice.end_of_input(&mut out);
    splice.write_end(&bill(Usage::default()), &mut out);
    assert_eq!(String::from_utf8_lossy(&out).matches("\"cost\"").count(), 1);
}

#[test]
fn an_error_behind_the_end_takes_the_end_back() {
    for framing in [Framing::Sse, Framing::Array] {
        let mut splice = Splice::new(identity(), Quirks::NONE).framed(framing);
        let mut out = Vec::new();
        splice.read(&frames(&[&part(r#"{"text":"a"}"#), END]), &mut out);
        splice.read(b"{\"error\":{\"code\":500,\"message\":\"m\"}}\n", &mut out);
        splice.end_of_input(&mut out);
        assert!(splice.facts().fault.is_some());
        let failure = Failure::new(Cause::ProviderUnavailable, "Gone.");
        splice.write_error(&failure, Some(&bill(Usage::default())), &mut out);
        // The end in the recording has no content.
        let text = String::from_utf8_lossy(&out);
        assert!(!text.contains("finishReason") && text.contains("\"status\":\"UNAVAILABLE\""), "{text}");
    }
}

#[test]
fn a_call_that_is_cut_off_is_not_written() {
    let call =
        |call, id: &str| Event::ToolCall { call, id: id.into(), name: "f".into(), custom: false, seal: None };
    let arguments = |call, text: &str| Event::Arguments { call, text: text.into() };
    let mut writer = StreamWriter::new(identity());
    let mut out = Vec::new();
    // The second ends first: it waits, and is written once the first can no longer come.
    for event in [
        call(0, "one"),
        call(1, "two"),
        arguments(0, "{\"a\":"),
        arguments(1, "{\"b\":2}"),
        Event::ToolCallEnd { call: 1 },
        Event::Finish { reason: Finish::Length, native: "length".into() },
    ] {
        writer.write(&event, &mut out);
        assert!(out.is_empty());
    }
    let mut failed = writer.clone();
    writer.write_end(&bill(Usage::default()), &mut out);
    check_stream(&out).unwrap();
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("two") && !text.contains("one"), "{text}");
    let mut out = Vec::new();
    failed.write_error(&Failure::new(Cause::Timeout, "Late."), None, &mut out);
    check_stream(&out).unwrap();
    assert!(!String::from_utf8_lossy(&out).contains("functionCall"));
}

fn seal() -> impl Strategy<Value = Seal> {
    let issuer = prop_oneof![Just(Issuer::Gemini), Just(Issuer::Anthropic), Just(Issuer::OpenAi)];
    (issuer, "[a-zA-Z0-9]{1,12}").prop_map(|(issuer, data)| Seal { issuer, data, id: None })
}

fn event() -> impl Strategy<Value = Event> {
    let call = 0..4usize;
    let text = "[a-zö\"\\\\\n]{0,6}";
    prop_oneof![
        4 => text.prop_map(Event::Text),
        2 => text.prop_map(|text| Event::Reasoning { text, kind: ReasoningKind::Full }),
        1 => (seal(), any::<bool>()).prop_map(|(seal, hidden)| Event::Seal { seal, hidden }),
        3 => (call.clone(), proptest::option::of(seal()), any::<bool>()).prop_map(|(call, seal, custom)| {
            Event::ToolCall { call, id: format!("c{call}"), name: format!("f{call}"), custom, seal }
        }),
        3 => (call.clone(), prop_oneof![Just("{\"a\":1}"), Just("{\"a\""), Just("")])
            .prop_map(|(call, text)| Event::Arguments { call, text: text.into() }),
        3 => call.prop_map(|call| Event::ToolCallEnd { call }),
        1 => text.prop_map(Event::Refusal),
        1 => Just(Event::Image { url: "data:image/png;base64,AAAA".into() }),
        1 => (0..9u64, 0..9u64, text).prop_map(|(start, length, url)| Event::Citation(Citation {
            url,
            start: Some(start),
            end: Some(start + length),
            ..Citation::default()
        })),
    ]
}

proptest! {
    #[test]
    fn whatever_is_said_is_written_strictly(
        events in proptest::collection::vec(event(), 0..24),
        ends in any::<bool>(),
        array in any::<bool>(),
    ) {
        let framing = if array { Framing::Array } else { Framing::Sse };
        let mut writer = StreamWriter::new(identity()).framed(framing);
        let mut out = Vec::new();
        for event in &events {
            out.extend_from_slice(writer.keep_alive());
            writer.write(event, &mut out);
        }
        let finish = Event::Finish { reason: Finish::Stop, native: "stop".into() };
        if ends {
            writer.write(&finish, &mut out);
            writer.write_end(&bill(Usage::default()), &mut out);
        } else {
            let failure = Failure::new(Cause::ProviderUnavailable, "Gone.");
            writer.write_error(&failure, Some(&bill(Usage::default())), &mut out);
        }
        let checked = check_stream(&out);
        prop_assert!(checked.is_ok(), "{checked:?}: {}", String::from_utf8_lossy(&out));
        let mut all = events.clone();
        all.push(finish);
        let whole = write_whole(&all, &Default::default(), &identity(), &bill(Usage::default()));
        let checked = check_whole(&whole);
        prop_assert!(checked.is_ok(), "{checked:?}: {}", String::from_utf8_lossy(&whole));
    }

    #[test]
    fn no_bytes_are_too_odd_to_read(pieces in proptest::collection::vec(odd(), 0..12)) {
        let stream: Vec<u8> = pieces.concat().into_bytes();
        let whole = read([&stream[..]]);
        prop_assert_eq!(read(stream.chunks(3)), whole);
    }
}

/// Pieces of streams, in no order.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("data: ".to_owned()),
        Just("\r\n\r\n".to_owned()),
        Just("\n".to_owned()),
        Just(part(r#"{"text":"é"}"#)),
        Just(part(r#"{"functionCall":{"name":"f","willContinue":true}}"#)),
        Just(part(r#"{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"b"}]}}"#)),
        Just(END.to_owned()),
        Just("{\"error\":{}}".to_owned()),
        "[\\[\\]{}\":,a1 ]{0,6}",
    ]
}
