//! Bedrock's Converse: requests written and signed, the event stream and whole replies read.

mod cache;
mod frames;
pub mod grammar;
mod recorded;
mod requests;
mod signing;

use millrace::chat::conversation::{Issuer, ReasoningKind, Seal};
use millrace::chat::{Event, Facts, Finish, ProviderError, Quirks, ReplyFault, Usage};
use millrace::protocol::bedrock::{
    StreamReader, crc32, finish, read_error, read_typed_error, read_whole, usage_from,
};
use millrace::protocol::lane::{Renamed, WholeReply};

use crate::wires::{self, joined};

/// One message of the event stream, its headers all strings.
pub fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    seal(&head, payload.as_bytes())
}

/// Wraps headers and payload into lengths and checksums.
fn seal(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = ((head.len() + payload.len() + 16) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(&(head.len() as u32).to_be_bytes());
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(head);
    out.extend_from_slice(payload);
    let checksum = crc32(&out);
    out.extend_from_slice(&checksum.to_be_bytes());
    out
}

pub fn event(name: &str, payload: &str) -> Vec<u8> {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, payload)
}

fn stream(events: &[(&str, &str)]) -> Vec<u8> {
    events.iter().flat_map(|(name, payload)| event(name, payload)).collect()
}

/// The stream in pieces, and what became of it.
fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, names: &[Renamed]) -> (Vec<Event>, Facts) {
    wires::read_pieces(StreamReader::new(Quirks::NONE, names.to_vec()), pieces)
}

fn read(bytes: &[u8]) -> (Vec<Event>, Facts) {
    read_pieces([bytes], &[])
}

fn whole(body: &str) -> Result<WholeReply, ReplyFault> {
    read_whole(body.as_bytes(), &Quirks::NONE, &[])
}

#[test]
fn names_every_reason_to_finish() {
    let rows = [
        ("end_turn", Finish::Stop),
        ("tool_use", Finish::ToolCalls),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("stop_sequence", Finish::StopSequence),
        ("guardrail_intervened", Finish::ContentFilter),
        ("content_filtered", Finish::ContentFilter),
        ("malformed_model_output", Finish::Error),
        ("malformed_tool_use", Finish::Error),
        ("what_comes_next", Finish::Stop),
    ];
    for (native, expected) in rows {
        assert_eq!(finish(native), expected, "{native}");
    }
}

#[test]
fn counts_in_disjoint_classes() {
    let usage = |input, cache_read, cache_write, cache_write_1h, output| Usage {
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output,
        ..Usage::default()
    };
    let rows = [
        (
            r#"{"inputTokens":433,"outputTokens":16,"cacheReadInputTokens":2752,"totalTokens":3201}"#,
            Some(usage(433, 2752, 0, 0, 16)),
        ),
        (
            r#"{"inputTokens":2,"outputTokens":5,"cacheWriteInputTokenCount":1322}"#,
            Some(usage(2, 0, 1322, 0, 5)),
        ),
        (
            r#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"1h","inputTokens":20},{"ttl":"5m","inputTokens":10}]}"#,
            Some(usage(1, 0, 10, 20, 1)),
        ),
        (
            r#"{"inputTokens":1,"outputTokens":1,"cacheWriteInputTokens":3,"cacheDetails":[{"ttl":"1h","inputTokens":1e30}]}"#,
            Some(usage(1, 0, 0, 3, 1)),
        ),
        (r#"{"inputTokens":-5,"outputTokens":1e300}"#, Some(usage(0, 0, 0, 0, u64::MAX))),
        (r#"{"inputTokens":null}"#, None),
        ("{}", None),
        ("[]", None),
    ];
    for (raw, expected) in rows {
        assert_eq!(usage_from(raw), expected, "{raw}");
    }
}

#[test]
fn reads_errors_with_their_type() {
    let rows = [
        (
            Some("ThrottlingException:http://internal.amazon.com/coral/"),
            r#"{"message":"slow"}"#,
            Some(429),
            Some("ThrottlingException"),
            "slow",
        ),
        (
            Some("ModelNotReadyException"),
            r#"{"Message":"wait"}"#,
            Some(429),
            Some("ModelNotReadyException"),
            "wait",
        ),
        (
            None,
            r#"{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"no"}"#,
            Some(403),
            Some("UnrecognizedClientException"),
            "no",
        ),
        (Some("validationException"), r#"{"message":"bad"}"#, Some(400), Some("validationException"), "bad"),
        (Some("NewException"), r#"{"message":"?"}"#, None, Some("NewException"), "?"),
        (Some("ModelTimeoutException"), "<html>", Some(408), Some("ModelTimeoutException"), ""),
        (None, "", None, None, ""),
    ];
    for (kind, body, status, code, message) in rows {
        let error = read_typed_error(kind, body.as_bytes());
        let expected = (status, code, message);
        assert_eq!(
            (error.status, error.code.as_deref(), error.message.as_str()),
            expected,
            "{kind:?} {body}"
        );
    }
    assert_eq!(read_error(b"{\"message\":\"m\"}").message, "m");
}

const SPOKEN: &[(&str, &str)] = &[
    ("messageStart", r#"{"role":"assistant","p":"ab"}"#),
    ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":"hm"}}}"#),
    ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"reasoningContent":{"signature":"sig"}}}"#),
    ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":1,"delta":{"reasoningContent":{"redactedContent":"c2VjcmV0"}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
    ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":"h\u00e9 "}}"#),
    ("contentBlockDelta", r#"{"contentBlockIndex":2,"delta":{"text":"you"}}"#),
    ("contentBlockStop", r#"{"contentBlockIndex":2}"#),
    (
        "contentBlockDelta",
        r#"{"contentBlockIndex":3,"delta":{"citation":{"title":"t","location":{"web":{"url":"https://a"}}}}}"#,
    ),
    ("contentBlockStop", r#"{"contentBlockIndex":3}"#),
    ("contentBlockStart", r#"{"contentBlockIndex":4,"start":{"toolUse":{"toolUseId":"i","name":"f"}}}"#),
    ("contentBlockDelta", r#"{"contentBlockIndex":4,"delta":{"toolUse":{"input":"{\"a\":"}}}"#),
    ("contentBlockDelta", r#"{"contentBlockIndex":4,"delta":{"toolUse":{"input":"1.0}"}}}"#),
    ("contentBlockStop", r#"{"contentBlockIndex":4}"#),
    ("messageStop", r#"{"stopReason":"tool_use"}"#),
    (
        "metadata",
        r#"{"usage":{"inputTokens":3,"outputTokens":4},"metrics":{"latencyMs":1},"serviceTier":{"type":"flex"}}"#,
    ),
];

fn spoken_events() -> Vec<Event> {
    let anthropic = |data: &str| Seal { issuer: Issuer::Anthropic, data: data.into(), id: None };
    vec![
        Event::Reasoning { text: "hm".into(), kind: ReasoningKind::Full },
        Event::Seal { seal: anthropic("sig"), hidden: false },
        Event::Seal { seal: anthropic("secret"), hidden: true },
        Event::Text("hé you".into()),
        Event::Citation(millrace::chat::Citation {
            url: "https://a".into(),
            title: Some("t".into()),
            content: None,
            start: Some(0),
            end: Some(6),
        }),
        Event::ToolCall { call: 0, id: "i".into(), name: "f".into(), custom: false, seal: None },
        Event::Arguments { call: 0, text: "{\"a\":1.0}".into() },
        Event::ToolCallEnd { call: 0 },
        Event::Finish { reason: Finish::ToolCalls, native: "tool_use".into() },
    ]
}

#[test]
fn says_what_the_stream_says() {
    let bytes = stream(SPOKEN);
    grammar::check_stream(&bytes).expect("the script keeps the grammar");
    let (events, facts) = read(&bytes);
    assert_eq!(joined(&events), spoken_events());
    assert!(facts.done && facts.began && facts.fault.is_none(), "{facts:?}");
    assert_eq!(facts.finish_reason, Some("tool_calls"));
    assert_eq!(facts.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
    assert_eq!((facts.service_tier.as_deref(), facts.output_bytes), (Some("flex"), 2 + 7 + 9));
}

#[test]
fn a_whole_reply_says_what_its_stream_says() {
    let body = r#"{"output":{"message":{"role":"assistant","content":[
        {"reasoningContent":{"reasoningText":{"text":"hm","signature":"sig"}}},
        {"reasoningContent":{"redactedContent":"c2VjcmV0"}},
        {"citationsContent":{"content":[{"text":"h\u00e9 you"}],"citations":[{"title":"t","location":{"web":{"url":"https://a"}}}]}},
        {"toolUse":{"toolUseId":"i","name":"f","input":{"a":1.0}}}]}},
        "stopReason":"tool_use","usage":{"inputTokens":3,"outputTokens":4},"serviceTier":{"type":"flex"}}"#;
    grammar::check_whole(body.as_bytes()).expect("the script keeps the grammar");
    let reply = whole(body).expect("a reply");
    assert_eq!(reply.events, spoken_events());
    assert_eq!(reply.facts, read(&stream(SPOKEN)).1);
}

#[test]
fn a_stream_cut_short_never_looks_complete() {
    let bytes = stream(SPOKEN);
    let last = event(SPOKEN[16].0, SPOKEN[16].1).len();
    let stop = event(SPOKEN[15].0, SPOKEN[15].1).len();
    let call_end: usize = SPOKEN[..15].iter().map(|(name, payload)| event(name, payload).len()).sum();
    for end in 0..bytes.len() {
        let (events, facts) = read(&bytes[..end]);
        assert!(!facts.done && facts.fault.is_none(), "{end}: {facts:?}");
        let finished = events.iter().any(|event| matches!(event, Event::Finish { .. }));
        assert_eq!(finished, end >= bytes.len() - last, "{end}");
        let ended = events.iter().any(|event| matches!(event, Event::ToolCallEnd { .. }));
        assert_eq!(ended, end >= call_end, "{end} {stop}");
    }
}

#[test]
fn a_call_cut_by_the_limit_never_looks_complete() {
    let script: Vec<(&str, &str)> =
        [&SPOKEN[11..13], &SPOKEN[14..15], &[("messageStop", r#"{"stopReason":"max_tokens"}"#)]].concat();
    let (events, facts) = read(&stream(&script));
    assert!(!events.iter().any(|event| matches!(event, Event::ToolCallEnd { .. })), "{events:?}");
    assert_eq!(facts.finish_reason, Some("length"));
}

#[test]
fn errors_within_the_stream_are_faults() {
    let exception = |name: &str, payload: &str| {
        frame(
            &[
                (":message-type", "exception"),
                (":exception-type", name),
                (":content-type", "application/json"),
            ],
            payload,
        )
    };
    let error = frame(
        &[(":message-type", "error"), (":error-code", "InternalFailure"), (":error-message", "broken")],
        "",
    );
    let rows = [
        (exception("throttlingException", r#"{"message":"slow"}"#), Some(429), "throttlingException", "slow"),
        (
            exception("modelStreamErrorException", r#"{"message":"m"}"#),
            Some(424),
            "modelStreamErrorException",
            "m",
        ),
        (
            exception("internalServerException", r#"{"message":"m"}"#),
            Some(500),
            "internalServerException",
            "m",
        ),
        (exception("validationException", r#"{"message":"m"}"#), Some(400), "validationException", "m"),
        (
            exception("serviceUnavailableException", r#"{"message":"m"}"#),
            Some(503),
            "serviceUnavailableException",
            "m",
        ),
        (exception("modelTimeoutException", r#"{"message":"m"}"#), Some(408), "modelTimeoutException", "m"),
        (error, Some(500), "InternalFailure", "broken"),
        (
            event("messageStop", r#"{"stopReason":"malformed_tool_use"}"#),
            None,
            "malformed_tool_use",
            "The provider ended the reply with `malformed_tool_use`.",
        ),
    ];
    for (tail, status, code, message) in rows {
        let mut bytes = stream(&SPOKEN[..8]);
        bytes.extend_from_slice(&tail);
        bytes.extend_from_slice(&stream(&SPOKEN[8..]));
        let (events, facts) = read(&bytes);
        let ProviderError { status: own, code: own_code, message: own_message, .. } =
            facts.fault.expect("a fault");
        assert_eq!((own, own_code.as_deref(), own_message.as_str()), (status, Some(code), message));
        assert!(!facts.done && !events.iter().any(|event| matches!(event, Event::Finish { .. })));
    }
}

#[test]
fn the_providers_own_tools_are_not_the_clients() {
    let script = [
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"name":"nova_grounding","toolUseId":"x","type":"server_tool_use"}}}"#,
        ),
        ("contentBlockDelta", r#"{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{}"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        ("contentBlockStart", r#"{"contentBlockIndex":1,"start":{"toolResult":{"toolUseId":"x"}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolResult":[{"text":"[HIDDEN]"}]}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
    ];
    let (events, facts) = read(&stream(&script));
    assert!(events.is_empty() && !facts.began, "{events:?}");
}

#[test]
fn tools_get_their_own_names_and_forms_back() {
    let names = [
        Renamed { sent: "tf_1".into(), own: "a.b".into(), custom: false },
        Renamed { sent: "patch".into(), own: "patch".into(), custom: true },
    ];
    let script = [
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"i","name":"tf_1"}}}"#,
        ),
        ("contentBlockStop", r#"{"contentBlockIndex":0}"#),
        (
            "contentBlockStart",
            r#"{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"j","name":"patch"}}}"#,
        ),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{\"input\":\"a"}}}"#),
        ("contentBlockDelta", r#"{"contentBlockIndex":1,"delta":{"toolUse":{"input":"\\nb\"}"}}}"#),
        ("contentBlockStop", r#"{"contentBlockIndex":1}"#),
    ];
    let (events, _) = read_pieces([&stream(&script)[..]], &names);
    let call = |call, id: &str, name: &str, custom| Event::ToolCall {
        call,
        id: id.into(),
        name: name.into(),
        custom,
        seal: None,
    };
    let expected = [
        call(0, "i", "a.b", false),
        Event::ToolCallEnd { call: 0 },
        call(1, "j", "patch", true),
        Event::Arguments { call: 1, text: "a\nb".into() },
        Event::ToolCallEnd { call: 1 },
    ];
    assert_eq!(events, expected);
    let body = r#"{"output":{"message":{"content":[{"toolUse":{"toolUseId":"j","name":"patch","input":{"input":"a\nb"}}}]}},"stopReason":"tool_use"}"#;
    let reply = read_whole(body.as_bytes(), &Quirks::NONE, &names).expect("a reply");
    assert_eq!(
        reply.events[..2],
        [call(0, "j", "patch", true), Event::Arguments { call: 0, text: "a\nb".into() }]
    );
}

#[test]
fn a_body_without_a_reply_is_a_fault() {
    assert!(matches!(whole("<html>"), Err(ReplyFault::NotJson(_))));
    assert!(matches!(whole(r#"{"message":"no"}"#), Err(ReplyFault::Error(error)) if error.message == "no"));
    assert!(matches!(whole("{}"), Err(ReplyFault::Empty)));
    let malformed = r#"{"output":{"message":{"content":[]}},"stopReason":"malformed_model_output"}"#;
    assert!(matches!(whole(malformed), Err(ReplyFault::Error(_))));
}
