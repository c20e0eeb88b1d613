//! Cohere's Chat: requests written, streams and whole replies read.

pub mod grammar;

use millrace::chat::conversation::{
    Effort, Format, Part, Reasoning, ReasoningKind, Role, Source, Tool, ToolChoice, ToolKind, ToolResult,
};
use millrace::chat::{Citation, Conversation, Event, Facts, Finish, Quirks, Usage};
use millrace::error::Failure;
use millrace::protocol::cohere::{
    StreamReader, finish, read_error, read_whole, usage_from, write_conversation,
};
use millrace::protocol::lane::{Renamed, Target, Written};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::recorded::{Wire, lack_an_end, recordings};
use crate::wires::{self, any_conversation, call, checked, joined, text, tool, turn, user};

fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, names: &[Renamed]) -> (Vec<Event>, Facts) {
    wires::read_pieces(StreamReader::new(Quirks::NONE, names.to_vec()), pieces)
}

fn read(bytes: &[u8]) -> (Vec<Event>, Facts) {
    read_pieces([bytes], &[])
}

fn stream(events: &[&str]) -> Vec<u8> {
    let frames = events.iter().map(|data| format!("event: e\ndata: {data}\n\n"));
    frames.collect::<String>().into_bytes()
}

fn write(conversation: &Conversation, model: &str) -> Result<Written, Failure> {
    let target = Target { model, quirks: &Quirks::NONE, max_output: Some(8000) };
    write_conversation(conversation, &target, true)
}

fn body(conversation: &Conversation, model: &str) -> Value {
    checked(write(conversation, model), grammar::check_request)
}

#[test]
fn names_every_reason_to_finish() {
    let rows = [
        ("COMPLETE", Finish::Stop),
        ("STOP_SEQUENCE", Finish::StopSequence),
        ("MAX_TOKENS", Finish::Length),
        ("TOOL_CALL", Finish::ToolCalls),
        ("ERROR_TOXIC", Finish::ContentFilter),
        ("ERROR", Finish::Error),
        ("TIMEOUT", Finish::Error),
        ("NEXT", Finish::Stop),
    ];
    for (native, expected) in rows {
        assert_eq!(finish(native), expected, "{native}");
    }
}

#[test]
fn counts_what_is_billed() {
    let usage = |input, cache_read, output, reasoning| {
        Some(Usage { input, cache_read, output, reasoning, ..Usage::default() })
    };
    let rows = [
        (
            r#"{"billed_units":{"input_tokens":46,"output_tokens":14},"tokens":{"input_tokens":1445,"output_tokens":43},"cached_tokens":992}"#,
            usage(46, 0, 14, 0),
        ),
        (
            r#"{"billed_units":{"input_tokens":8,"output_tokens":50},"tokens":{"input_tokens":9,"output_tokens":55,"reasoning_tokens":38}}"#,
            usage(8, 0, 12, 38),
        ),
        (
            r#"{"billed_units":{"input_tokens":1,"output_tokens":2},"tokens":{"reasoning_tokens":9}}"#,
            usage(1, 0, 0, 2),
        ),
        (r#"{"tokens":{"input_tokens":10,"output_tokens":2},"cached_tokens":4}"#, usage(6, 4, 2, 0)),
        (r#"{"billed_units":{"input_tokens":-1,"output_tokens":1e99}}"#, usage(0, 0, u64::MAX, 0)),
        ("{}", None),
        ("null", None),
    ];
    for (raw, expected) in rows {
        assert_eq!(usage_from(raw), expected, "{raw}");
    }
}

const SPOKEN: &[&str] = &[
    r#"{"id":"x","type":"message-start","delta":{"message":{"role":"assistant","content":[]}}}"#,
    r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}}"#,
    r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"hm"}}}}"#,
    r#"{"type":"content-end","index":0}"#,
    r#"{"type":"content-start","index":1,"delta":{"message":{"content":{"type":"text","text":""}}}}"#,
    r#"{"type":"content-delta","index":1,"delta":{"message":{"content":{"text":"h\u00e9 "}}}}"#,
    r#"{"type":"content-delta","index":1,"delta":{"message":{"content":{"text":"you"}}}}"#,
    r#"{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":3,"end":6,"text":"you","type":"TEXT_CONTENT","content_index":1,"sources":[{"type":"document","id":"doc:0","document":{"text":"words","title":"t"}},{"type":"tool","id":"https://a"}]}}}}"#,
    r#"{"type":"citation-end","index":0}"#,
    r#"{"type":"content-end","index":1}"#,
    r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"i","type":"function","function":{"name":"f","arguments":""}}}}}"#,
    r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"a\":"}}}}}"#,
    r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"1.0}"}}}}}"#,
    r#"{"type":"tool-call-end","index":0}"#,
    r#"{"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"j","type":"function","function":{"name":"g","arguments":""}}}}}"#,
    r#"{"type":"tool-call-delta","index":1,"delta":{"message":{"tool_calls":{"function":{"arguments":"nu"}}}}}"#,
    r#"{"type":"tool-call-delta","index":1,"delta":{"message":{"tool_calls":{"function":{"arguments":"ll"}}}}}"#,
    r#"{"type":"tool-call-end","index":1}"#,
    r#"{"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":3,"output_tokens":4}}}}"#,
];

fn spoken_events() -> Vec<Event> {
    let open = |call, id: &str, name: &str| {
        let (id, name) = (id.into(), name.into());
        Event::ToolCall { call, id, name, custom: false, seal: None }
    };
    let cited = |url: &str, title: Option<&str>, content: Option<&str>| {
        let (title, content) = (title.map(str::to_owned), content.map(str::to_owned));
        Event::Citation(Citation { url: url.into(), title, content, start: Some(3), end: Some(6) })
    };
    vec![
        Event::Reasoning { text: "hm".into(), kind: ReasoningKind::Full },
        Event::Text("hé you".into()),
        cited("", Some("t"), Some("words")),
        cited("https://a", None, None),
        open(0, "i", "f"),
        Event::Arguments { call: 0, text: "{\"a\":1.0}".into() },
        Event::ToolCallEnd { call: 0 },
        open(1, "j", "g"),
        Event::ToolCallEnd { call: 1 },
        Event::Finish { reason: Finish::ToolCalls, native: "TOOL_CALL".into() },
    ]
}

#[test]
fn says_what_the_stream_says_however_it_is_cut() {
    let mut bytes = stream(SPOKEN);
    bytes.extend_from_slice(b"data: [DONE]\n\n");
    grammar::check_stream(&bytes).expect("the script keeps the grammar");
    let expected = read(&bytes);
    assert_eq!(joined(&expected.0), spoken_events());
    assert!(expected.1.done && expected.1.fault.is_none(), "{:?}", expected.1);
    assert_eq!(expected.1.upstream_id.as_deref(), Some("x"));
    for cut in 0..=bytes.len() {
        let (head, tail) = bytes.split_at(cut);
        assert_eq!(read_pieces([head, tail], &[]), expected, "cut at {cut}");
    }
    assert_eq!(read_pieces(bytes.chunks(1), &[]), expected);
}

#[test]
fn a_whole_reply_says_what_its_stream_says() {
    let body = r#"{"id":"x","finish_reason":"TOOL_CALL","message":{"role":"assistant","content":[
        {"type":"thinking","thinking":"hm"},{"type":"text","text":"h\u00e9 you"}],
        "citations":[{"start":3,"end":6,"text":"you","type":"TEXT_CONTENT","content_index":1,"sources":[{"type":"document","id":"doc:0","document":{"text":"words","title":"t"}},{"type":"tool","id":"https://a"}]}],
        "tool_calls":[{"id":"i","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}},
        {"id":"j","type":"function","function":{"name":"g","arguments":null}}]},
        "usage":{"billed_units":{"input_tokens":3,"output_tokens":4}}}"#;
    grammar::check_whole(body.as_bytes()).expect("the script keeps the grammar");
    let reply = read_whole(body.as_bytes(), &Quirks::NONE, &[]).expect("a reply");
    assert_eq!(reply.events, spoken_events());
    assert_eq!(reply.facts, read(&stream(SPOKEN)).1);
    let spelt = body.replace("\"arguments\":null", "\"arguments\":\"null\"");
    assert_eq!(read_whole(spelt.as_bytes(), &Quirks::NONE, &[]), Ok(reply));
}

#[test]
fn a_stream_cut_short_never_looks_complete() {
    let bytes = stream(SPOKEN);
    let last = stream(&SPOKEN[18..]).len();
    for end in 0..bytes.len() - last {
        let (events, facts) = read(&bytes[..end]);
        assert!(!facts.done && facts.fault.is_none(), "{end}: {facts:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })), "{end}");
    }
    let (events, _) = read(&stream(&[SPOKEN[10], SPOKEN[11], SPOKEN[13]]));
    assert!(!events.iter().any(|event| matches!(event, Event::ToolCallEnd { .. })), "half of the arguments");
}

#[test]
fn errors_within_the_stream_are_faults() {
    let rows = [
        (
            r#"{"type":"message-end","delta":{"finish_reason":"ERROR","usage":{},"error":"bad tool","error_type":"INVALID_TOOL_GENERATION"}}"#,
            None,
            "INVALID_TOOL_GENERATION",
            "bad tool",
        ),
        (
            r#"{"type":"message-end","delta":{"finish_reason":"TIMEOUT"}}"#,
            Some(504),
            "TIMEOUT",
            "The provider ended the reply with `TIMEOUT`.",
        ),
        (r#"{"id":"y","message":"too many","error_type":"E"}"#, None, "E", "too many"),
    ];
    for (data, status, code, message) in rows {
        let (events, facts) = read(&stream(&[SPOKEN[0], SPOKEN[5], data, SPOKEN[18]]));
        let fault = facts.fault.expect("a fault");
        assert_eq!(
            (fault.status, fault.code.as_deref(), fault.message.as_str()),
            (status, Some(code), message)
        );
        assert!(!facts.done && events.len() == 1, "{events:?}");
    }
    assert!(read(b"data: {\"type\"\n\n").1.fault.is_some());
    assert!(read(b"{\"message\":\"plain\"}").1.fault.is_some());
    let error = read_error(b"{\"id\":\"x\",\"message\":\"no model\"}");
    assert_eq!((error.message.as_str(), error.code), ("no model", None));
}

#[test]
fn writes_what_was_said() {
    let image =
        Part::Image { source: Source::Url("https://i".into()), detail: Some("low".into()), cache: None };
    let conversation = Conversation {
        turns: vec![
            turn(Role::System, vec![text("be")]),
            turn(
                Role::User,
                vec![
                    text("q"),
                    image.clone(),
                    Part::File { name: Some("n".into()), source: Source::Text("d".into()), cache: None },
                ],
            ),
            turn(
                Role::Assistant,
                vec![
                    Part::Reasoning { text: "hm".into(), kind: ReasoningKind::Full, seal: None },
                    text(""),
                    call("c", "f", ""),
                ],
            ),
            turn(
                Role::User,
                vec![
                    text("and"),
                    Part::ToolResult(ToolResult {
                        call: "c".into(),
                        parts: vec![text("r"), image],
                        is_error: true,
                        custom: false,
                        cache: None,
                    }),
                ],
            ),
        ],
        tools: vec![tool("f"), tool("g")],
        tool_choice: Some(ToolChoice::Named("f".into())),
        format: Format::JsonSchema {
            name: Some("n".into()),
            description: None,
            schema: "{\"a\":1.0}".into(),
            strict: None,
        },
        max_tokens: Some(100),
        reasoning: Some(Reasoning { effort: Some(Effort::Medium), ..Reasoning::default() }),
        ..Conversation::default()
    };
    let picture = json!({"type": "image_url", "image_url": {"url": "https://i", "detail": "low"}});
    let expected = json!({
        "model": "command-a-reasoning-08-2025",
        "stream": true,
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "be"}]},
            {"role": "user", "content": [{"type": "text", "text": "q"}, picture]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "Error: r"},
            {"role": "user", "content": [picture, {"type": "text", "text": "and"}]},
        ],
        "documents": [{"id": "doc:0", "data": {"title": "n", "text": "d"}}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "x": 1.0}}}],
        "tool_choice": "REQUIRED",
        "response_format": {"type": "json_object", "json_schema": {"a": 1.0}},
        "thinking": {"type": "enabled", "token_budget": 50},
        "max_tokens": 100,
    });
    assert_eq!(body(&conversation, "command-a-reasoning-08-2025"), expected);
    let losses = write(&conversation, "command-a-reasoning-08-2025").expect("written").losses;
    assert_eq!(losses.len(), 4, "{losses:?}");
    let other = write(&conversation, "command-a-03-2025").expect("written");
    assert!(!String::from_utf8_lossy(&other.body).contains("hm") && other.losses.len() == 5);
}

#[test]
fn chooses_and_refuses() {
    let ask = Conversation { tools: vec![tool("f")], ..user(vec![text("q")]) };
    let rows = [
        (None, Value::Null),
        (Some(ToolChoice::Auto), Value::Null),
        (Some(ToolChoice::None), json!("NONE")),
        (Some(ToolChoice::Required), json!("REQUIRED")),
    ];
    for (tool_choice, expected) in rows {
        let body = body(&Conversation { tool_choice, ..ask.clone() }, "m");
        assert_eq!(body.get("tool_choice").cloned().unwrap_or_default(), expected);
    }
    let mut sampled = ask.clone();
    sampled.sampling.temperature = Some("1.7".into());
    sampled.sampling.presence_penalty = Some("-0.5".into());
    sampled.sampling.top_p = Some("0.90".into());
    let written = write(&sampled, "m").expect("written");
    let text_of = String::from_utf8(written.body).expect("text");
    assert!(text_of.contains(r#""temperature":1,"p":0.90,"presence_penalty":0"#), "{text_of}");
    assert_eq!(written.losses.len(), 2);
    sampled.sampling.stop = vec!["s".into(); 6];
    let missing = Conversation { tool_choice: Some(ToolChoice::Named("x".into())), ..ask };
    let broken = Conversation {
        turns: vec![turn(Role::Assistant, vec![call("c", "f", "{")])],
        ..Conversation::default()
    };
    let pdf = Source::Inline { media_type: "application/pdf".into(), base64: "QQ==".into() };
    let rows = [
        (sampled, "stop:"),
        (missing, "tool_choice:"),
        (broken, "messages[0]"),
        (user(vec![Part::Audio { base64: "QQ==".into(), format: "wav".into() }]), "messages[0]"),
        (user(vec![Part::File { name: None, source: pdf, cache: None }]), "messages[0]"),
        (user(vec![]), "messages:"),
    ];
    for (conversation, place) in rows {
        let failure = write(&conversation, "m").expect_err(place);
        assert!(failure.message.starts_with(place), "{}", failure.message);
    }
}

#[test]
fn custom_tools_go_as_functions_and_come_back() {
    let kind = ToolKind::Custom { format: None };
    let patch = Tool { name: "patch".into(), description: None, kind, cache: None };
    let written = write(&Conversation { tools: vec![patch], ..user(vec![text("q")]) }, "m").expect("written");
    assert_eq!(written.names, [Renamed { sent: "patch".into(), own: "patch".into(), custom: true }]);
    let script = [
        r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"i","function":{"name":"patch","arguments":""}}}}}"#,
        r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"input\":\"a\\nb\"}"}}}}}"#,
        r#"{"type":"tool-call-end","index":0}"#,
    ];
    let (events, _) = read_pieces([&stream(&script)[..]], &written.names);
    let open = Event::ToolCall { call: 0, id: "i".into(), name: "patch".into(), custom: true, seal: None };
    let expected = [open, Event::Arguments { call: 0, text: "a\nb".into() }, Event::ToolCallEnd { call: 0 }];
    assert_eq!(events, expected);
}

#[test]
fn every_recorded_stream_is_read() {
    for recording in recordings(Wire::Cohere) {
        let (name, Some(bytes)) = (&recording.name, recording.stream()) else { continue };
        let (events, facts) = read(bytes);
        let failed = String::from_utf8_lossy(bytes).contains("\"ERROR\"");
        let cut = facts.truncated && lack_an_end(&events);
        let whole = grammar::check_stream(bytes).is_ok() && !failed && !cut;
        assert!(facts.done && facts.fault.is_none() || !whole, "{name}: {facts:?}");
        assert!(!facts.done || facts.finish.is_some(), "{name}: {facts:?}");
        let opened = events.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
        let ended = events.iter().filter(|event| matches!(event, Event::ToolCallEnd { .. })).count();
        assert!(opened == ended || !whole || facts.finish_reason == Some("length"), "{name}");
        for cut in (0..bytes.len()).step_by((bytes.len() / 60).max(1)) {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read_pieces([head, tail], &[]), (events.clone(), facts.clone()), "{name}: {cut}");
        }
    }
}

#[test]
fn every_recorded_reply_is_read() {
    for recording in recordings(Wire::Cohere) {
        let (name, Some(bytes)) = (&recording.name, recording.whole()) else { continue };
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        if grammar::check_whole(bytes).is_err() {
            assert!(!value["message"]["content"].is_array() || value["usage"].is_null(), "{name}");
            continue;
        }
        let reply = read_whole(bytes, &Quirks::NONE, &[]);
        let reply = reply.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
        if let Some(billed) = value["usage"]["billed_units"]["input_tokens"].as_u64() {
            assert_eq!(reply.facts.usage.map(|usage| usage.total_input()), Some(billed), "{name}");
        }
        assert!(reply.facts.began, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_valid(conversation in any_conversation()) {
        if let Ok(written) = write(&conversation, "command-a-plus-05-2026") {
            let text = String::from_utf8_lossy(&written.body).into_owned();
            prop_assert_eq!(grammar::check_request(&written.body), Ok(()), "{}", text);
        }
    }

    #[test]
    fn any_text_is_taken_without_panic(text in ".{0,60}") {
        read(text.as_bytes());
        read(format!("data: {text}\n\n").as_bytes());
        let _ = read_whole(text.as_bytes(), &Quirks::NONE, &[]);
        read_error(text.as_bytes());
    }
}
