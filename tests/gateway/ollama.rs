//! Ollama's own chat: requests written, lines and whole replies read.

mod grammar;

use millrace::chat::conversation::{
    Effort, Format, Part, Reasoning, ReasoningKind, Role, Source, Tool, ToolChoice, ToolKind, ToolResult,
};
use millrace::chat::{Conversation, Event, Facts, Finish, Quirks, ReplyFault, Usage};
use millrace::error::Failure;
use millrace::protocol::lane::{Renamed, Target, Written};
use millrace::protocol::ollama::{StreamReader, finish, read_error, read_whole, write_conversation};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::recorded::{Wire, recordings};
use crate::wires::{self, any_conversation, call, checked, joined, text, tool, turn, user};

fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, names: &[Renamed]) -> (Vec<Event>, Facts) {
    wires::read_pieces(StreamReader::new(Quirks::NONE, names.to_vec()), pieces)
}

fn read(bytes: &[u8]) -> (Vec<Event>, Facts) {
    read_pieces([bytes], &[])
}

fn write(conversation: &Conversation, model: &str) -> Result<Written, Failure> {
    let target = Target { model, quirks: &Quirks::NONE, max_output: None };
    write_conversation(conversation, &target, false)
}

fn body(conversation: &Conversation, model: &str) -> Value {
    checked(write(conversation, model), grammar::check_request)
}

const SPOKEN: &str = concat!(
    r#"{"model":"m","created_at":"2026-08-05T08:11:03.1Z","message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
    "\n",
    r#"{"model":"m","created_at":"2026-08-05T08:11:03.2Z","message":{"role":"assistant","content":"h\u00e9 "},"done":false}"#,
    "\r\n\n",
    r#"{"model":"m","created_at":"2026-08-05T08:11:03.3Z","message":{"role":"assistant","content":"you","tool_calls":[{"id":"i","function":{"index":0,"name":"f","arguments":{"a":1.0}}}]},"done":false}"#,
    "\n",
    r#"{"model":"m","created_at":"2026-08-05T08:11:03.4Z","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"g","arguments":{}}}]},"done":false}"#,
    "\n",
    r#"{"model":"m","created_at":"2026-08-05T08:11:03.5Z","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#,
    "\n",
);

fn spoken_events(second: &str) -> Vec<Event> {
    let open = |call, id: &str, name: &str| {
        let (id, name) = (id.into(), name.into());
        Event::ToolCall { call, id, name, custom: false, seal: None }
    };
    vec![
        Event::Reasoning { text: "hm".into(), kind: ReasoningKind::Full },
        Event::Text("hé you".into()),
        open(0, "i", "f"),
        Event::Arguments { call: 0, text: "{\"a\":1.0}".into() },
        Event::ToolCallEnd { call: 0 },
        open(1, second, "g"),
        Event::Arguments { call: 1, text: "{}".into() },
        Event::ToolCallEnd { call: 1 },
        Event::Finish { reason: Finish::ToolCalls, native: "stop".into() },
    ]
}

#[test]
fn says_what_the_lines_say_however_they_are_cut() {
    grammar::check_stream(SPOKEN.as_bytes()).expect("the script keeps the grammar");
    let expected = read(SPOKEN.as_bytes());
    assert_eq!(joined(&expected.0), spoken_events("call_20260805T0811034Z_1"));
    assert!(expected.1.done && expected.1.fault.is_none(), "{:?}", expected.1);
    assert_eq!(expected.1.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
    assert_eq!(expected.1.finish_reason, Some("tool_calls"));
    for cut in 0..=SPOKEN.len() {
        let (head, tail) = SPOKEN.as_bytes().split_at(cut);
        assert_eq!(read_pieces([head, tail], &[]), expected, "cut at {cut}");
    }
    assert_eq!(read_pieces(SPOKEN.as_bytes().chunks(1), &[]), expected);
    assert_eq!(read(SPOKEN.trim_end().as_bytes()), expected, "without the last line feed");
}

#[test]
fn a_stream_cut_short_never_looks_complete() {
    for end in 0..SPOKEN.trim_end().len() {
        let (events, facts) = read(&SPOKEN.as_bytes()[..end]);
        assert!(!facts.done && facts.fault.is_none(), "{end}: {facts:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })), "{end}");
    }
}

#[test]
fn a_whole_reply_says_what_its_stream_says() {
    let body = r#"{"model":"m","created_at":"2026-08-05T08:11:03.4Z","message":{"role":"assistant","thinking":"hm","content":"h\u00e9 you",
        "tool_calls":[{"id":"i","function":{"name":"f","arguments":{"a":1.0}}},{"function":{"name":"g","arguments":{}}}]},
        "done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":4}"#;
    grammar::check_whole(body.as_bytes()).expect("the script keeps the grammar");
    let reply = read_whole(body.as_bytes(), &Quirks::NONE, &[]).expect("a reply");
    assert_eq!(reply.events, spoken_events("call_20260805T0811034Z_1"));
    assert_eq!(reply.facts, read(SPOKEN.as_bytes()).1);
}

#[test]
fn reasons_errors_and_counts() {
    assert_eq!(
        (finish("stop"), finish("length"), finish("load")),
        (Finish::Stop, Finish::Length, Finish::Stop)
    );
    let (_, facts) = read(
        b"{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"error\":\"out of memory\"}\n{\"done\":true}\n",
    );
    assert_eq!(facts.fault.map(|fault| fault.message).as_deref(), Some("out of memory"));
    assert!(!facts.done && facts.finish.is_none());
    assert!(read(b"<html>\n").1.fault.is_some());
    let rows = [
        ("{\"error\":\"model not found\"}", "model not found"),
        ("{\"error\":{\"message\":\"unauthorized\",\"type\":\"t\"}}", "unauthorized"),
        ("oops", ""),
    ];
    for (raw, expected) in rows {
        assert_eq!(read_error(raw.as_bytes()).message, expected);
    }
    let counted = |counts: &str| {
        let line = format!("{{\"message\":{{\"content\":\"a\"}},\"done\":true{counts}}}");
        read_whole(line.as_bytes(), &Quirks::NONE, &[]).expect("a reply").facts.usage
    };
    let usage = |input, output| Some(Usage { input, output, ..Usage::default() });
    assert_eq!(counted(",\"eval_count\":2"), usage(0, 2));
    assert_eq!(counted(",\"prompt_eval_count\":-3,\"eval_count\":1e40"), usage(0, u64::MAX));
    assert_eq!(counted(""), None);
    assert!(matches!(read_whole(b"{}", &Quirks::NONE, &[]), Err(ReplyFault::Empty)));
    assert!(matches!(read_whole(b"{\"error\":\"e\"}", &Quirks::NONE, &[]), Err(ReplyFault::Error(_))));
    assert!(matches!(read_whole(b"x", &Quirks::NONE, &[]), Err(ReplyFault::NotJson(_))));
}

#[test]
fn writes_what_was_said() {
    let inline = Source::Inline { media_type: "image/png".into(), base64: "QQ==".into() };
    let image = Part::Image { source: inline, detail: None, cache: None };
    let mut conversation = Conversation {
        turns: vec![
            turn(Role::System, vec![text("be")]),
            turn(
                Role::User,
                vec![
                    text("q"),
                    image,
                    Part::File { name: None, source: Source::Text("d".into()), cache: None },
                ],
            ),
            turn(
                Role::Assistant,
                vec![
                    Part::Reasoning { text: "hm".into(), kind: ReasoningKind::Full, seal: None },
                    text(""),
                    call("c", "f", "{\"a\":1.0}"),
                ],
            ),
            turn(
                Role::User,
                vec![
                    text("and"),
                    Part::ToolResult(ToolResult {
                        call: "c".into(),
                        parts: vec![text("r")],
                        is_error: true,
                        custom: false,
                        cache: None,
                    }),
                ],
            ),
        ],
        tools: vec![tool("f")],
        format: Format::JsonSchema {
            name: Some("n".into()),
            description: None,
            schema: "{\"a\":1.0}".into(),
            strict: None,
        },
        max_tokens: Some(100),
        ..Conversation::default()
    };
    conversation.sampling.temperature = Some("0.70".into());
    conversation.sampling.repetition_penalty = Some("1.1".into());
    conversation.sampling.stop = vec!["s".into()];
    let expected = json!({
        "model": "qwen3",
        "stream": false,
        "truncate": false,
        "shift": false,
        "messages": [
            {"role": "system", "content": "be"},
            {"role": "user", "content": "q\n\nd", "images": ["QQ=="]},
            {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1.0}}}]},
            {"role": "tool", "content": "Error: r", "tool_name": "f", "tool_call_id": "c"},
            {"role": "user", "content": "and"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "x": 1.0}}}],
        "format": {"a": 1.0},
        "options": {"num_predict": 100, "temperature": 0.70, "repeat_penalty": 1.1, "stop": ["s"]},
    });
    assert_eq!(body(&conversation, "qwen3"), expected);
    let losses = write(&conversation, "qwen3").expect("written").losses;
    assert_eq!(losses.len(), 2, "{losses:?}");
}

#[test]
fn thinks_chooses_and_refuses() {
    let effort = |effort| Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
    let rows = [
        ("qwen3", effort(Effort::Low), json!(true)),
        ("qwen3", effort(Effort::None), json!(false)),
        ("gpt-oss:120b", effort(Effort::Xhigh), json!("high")),
        ("gpt-oss:120b", effort(Effort::None), json!("low")),
        ("qwen3", Some(Reasoning::default()), Value::Null),
        ("qwen3", None, Value::Null),
    ];
    for (model, reasoning, expected) in rows {
        let body = body(&Conversation { reasoning, ..user(vec![text("q")]) }, model);
        assert_eq!(body.get("think").cloned().unwrap_or_default(), expected, "{model}");
    }
    let ask = Conversation { tools: vec![tool("f")], ..user(vec![text("q")]) };
    let none = Conversation { tool_choice: Some(ToolChoice::None), ..ask.clone() };
    assert!(body(&none, "m").get("tools").is_none());
    let url = Part::Image { source: Source::Url("https://i".into()), detail: None, cache: None };
    let rows = [
        (Conversation { tool_choice: Some(ToolChoice::Required), ..ask }, "tool_choice:"),
        (user(vec![url]), "messages[0]"),
        (user(vec![Part::Audio { base64: "QQ==".into(), format: "wav".into() }]), "messages[0]"),
        (user(vec![]), "messages:"),
    ];
    for (conversation, place) in rows {
        let failure = write(&conversation, "m").expect_err(place);
        assert!(failure.message.starts_with(place), "{}", failure.message);
    }
}

#[test]
fn custom_tools_go_as_functions_and_come_back() {
    let kind = ToolKind::Custom { format: Some("{}".into()) };
    let patch = Tool { name: "patch".into(), description: None, kind, cache: None };
    let written = write(&Conversation { tools: vec![patch], ..user(vec![text("q")]) }, "m").expect("written");
    assert_eq!(written.losses.len(), 1);
    let line = r#"{"message":{"tool_calls":[{"id":"i","function":{"name":"patch","arguments":{"input":"a\nb"}}}]},"done":true}"#;
    let reply = read_whole(line.as_bytes(), &Quirks::NONE, &written.names).expect("a reply");
    let open = Event::ToolCall { call: 0, id: "i".into(), name: "patch".into(), custom: true, seal: None };
    assert_eq!(reply.events[..2], [open, Event::Arguments { call: 0, text: "a\nb".into() }]);
}

#[test]
fn every_recorded_stream_is_read() {
    for recording in recordings(Wire::Ollama) {
        let (name, Some(bytes)) = (&recording.name, recording.stream()) else { continue };
        let (events, facts) = read(bytes);
        let whole = grammar::check_stream(bytes).is_ok();
        assert!(facts.done && facts.fault.is_none() || !whole, "{name}: {facts:?}");
        for cut in (0..bytes.len()).step_by((bytes.len() / 60).max(1)) {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(read_pieces([head, tail], &[]), (events.clone(), facts.clone()), "{name}: {cut}");
        }
    }
}

#[test]
fn every_recorded_reply_is_read() {
    for recording in recordings(Wire::Ollama) {
        let (name, Some(bytes)) = (&recording.name, recording.whole()) else { continue };
        if grammar::check_whole(bytes).is_ok() {
            let reply = read_whole(bytes, &Quirks::NONE, &[]);
            let reply = reply.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
            assert!(reply.facts.began, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_valid(conversation in any_conversation()) {
        if let Ok(written) = write(&conversation, "gpt-oss:20b") {
            let text = String::from_utf8_lossy(&written.body).into_owned();
            prop_assert_eq!(grammar::check_request(&written.body), Ok(()), "{}", text);
        }
    }

    #[test]
    fn any_text_is_taken_without_panic(text in "(.|\n){0,60}") {
        read(text.as_bytes());
        let _ = read_whole(text.as_bytes(), &Quirks::NONE, &[]);
        read_error(text.as_bytes());
    }
}
