//! Streams: what a writer may be given, what a reader may come across.

use crate::outlined;
use millrace::chat::conversation::{Issuer, Part, ReasoningKind, Seal};
use millrace::chat::{Citation, Event, Facts, Finish, Quirks, Usage};
use millrace::error::{Cause, Failure};
use millrace::protocol::lane::{Lane, Reader, Renamed, Writer};
use millrace::protocol::openai_responses::{
    Echo, Splice, StreamReader, StreamWriter, read_conversation, read_whole, write_error, write_whole,
};
use proptest::prelude::*;
use serde_json::Value;

use super::{QUIRKS, bill, frames, grammar, identity, joined, read, summary};

fn written(events: &[Event], echo: Echo) -> Vec<u8> {
    let mut writer = StreamWriter::new(identity(), echo);
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    writer.write_end(&bill(Usage { input: 7, reasoning: 1, output: 2, ..Usage::default() }), &mut out);
    grammar::check_stream(&out).unwrap_or_else(|error| panic!("{error}"));
    out
}

fn last(out: &[u8]) -> Value {
    let text = String::from_utf8_lossy(out);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: ")).rfind(|data| *data != "[DONE]");
    serde_json::from_str(data.expect("an event")).expect("JSON")
}

fn call(call: usize) -> Event {
    Event::ToolCall {
        call,
        id: format!("call_{call}"),
        name: format!("f{call}"),
        custom: call == 2,
        seal: None,
    }
}

fn arguments(call: usize, text: &str) -> Event {
    Event::Arguments { call, text: text.to_owned() }
}

fn finish(reason: Finish) -> Event {
    Event::Finish { reason, native: String::new() }
}

#[test]
fn every_finish_has_its_status() {
    let rows = [
        (Finish::Stop, "completed", None),
        (Finish::StopSequence, "completed", None),
        (Finish::ToolCalls, "completed", None),
        (Finish::Pause, "completed", None),
        (Finish::Length, "incomplete", Some("max_output_tokens")),
        (Finish::ContentFilter, "incomplete", Some("content_filter")),
        (Finish::Refusal, "incomplete", Some("content_filter")),
        (Finish::Error, "failed", None),
    ];
    for (reason, status, why) in rows {
        let response =
            last(&written(&[Event::Text("a".into()), finish(reason)], Echo::default()))["response"].clone();
        assert_eq!(response["status"], status, "{reason:?}");
        assert_eq!(response["incomplete_details"]["reason"].as_str(), why, "{reason:?}");
        assert_eq!(response["output_text"], "a");
        assert_eq!(response["usage"]["total_tokens"], 10);
        assert_eq!(response["openrouter_metadata"]["a"], 1);
    }
    let refused = [Event::Refusal("No.".into()), finish(Finish::Refusal)];
    assert_eq!(last(&written(&refused, Echo::default()))["response"]["status"], "completed");
}

#[test]
fn calls_may_interleave() {
    let events = [
        summary("think"),
        Event::Text("I call. ".into()),
        call(0),
        call(1),
        arguments(0, "{\"a\":"),
        arguments(1, "{}"),
        arguments(0, "1}"),
        Event::ToolCallEnd { call: 1 },
        call(2),
        arguments(2, "free text"),
        Event::ToolCallEnd { call: 0 },
        Event::ToolCallEnd { call: 2 },
        call(3),
        Event::ToolCallEnd { call: 3 },
        finish(Finish::ToolCalls),
    ];
    let output = last(&written(&events, Echo::default()))["response"]["output"].clone();
    assert_eq!(output[2]["arguments"], "{\"a\":1}");
    assert_eq!(output[4]["input"], "free text");
    assert_eq!(output[4]["type"], "custom_tool_call");
    assert_eq!(output[5]["arguments"], "{}");
}

#[test]
fn half_a_call_is_never_whole() {
    let events = [call(0), arguments(0, "{\"a\":")];
    let cut: Vec<Event> = events.iter().cloned().chain([finish(Finish::Length)]).collect();
    let out = written(&cut, Echo::default());
    assert_eq!(last(&out)["response"]["output"][0]["status"], "incomplete");
    let (again, reader) = read([&out[..]]);
    assert!(!again.contains(&Event::ToolCallEnd { call: 0 }));
    assert_eq!(reader.facts().finish_reason, Some("length"));

    let mut writer = StreamWriter::new(identity(), Echo::default());
    let mut out = Vec::new();
    events.iter().for_each(|event| writer.write(event, &mut out));
    writer.write_error(&Failure::new(Cause::RateLimited, "Try again in 1.5s."), None, &mut out);
    grammar::check_stream(&out).unwrap_or_else(|error| panic!("{error}"));
    assert!(!String::from_utf8_lossy(&out).contains("output_item.done"));
    let response = &last(&out)["response"];
    assert_eq!(response["error"]["code"], "rate_limit_exceeded");
    assert_eq!(response["error_type"], "rate_limit_exceeded");
    let (_, reader) = read([&out[..]]);
    assert_eq!(reader.facts().fault.as_ref().and_then(|fault| fault.status), Some(429));
}

#[test]
fn a_namespace_gets_its_name_back() {
    let body = br#"{"input":"x","tools":[{"type":"namespace","name":"mcp","tools":[{"type":"function","name":"f"}]}],
        "instructions":"Be.","temperature":0.5,"service_tier":"flex"}"#;
    let name = read_conversation(&outlined(body)).expect("a request").tools[0].name.clone();
    let call = Event::ToolCall { call: 0, id: "c".into(), name, custom: false, seal: None };
    let events = [call, Event::ToolCallEnd { call: 0 }, finish(Finish::ToolCalls)];
    let response = last(&written(&events, Echo::of(&outlined(body))))["response"].clone();
    assert_eq!(
        (&response["output"][0]["namespace"], &response["output"][0]["name"]),
        (&"mcp".into(), &"f".into())
    );
    assert_eq!(response["instructions"], "Be.");
    assert_eq!(response["temperature"], 0.5);
    assert_eq!(response["service_tier"], "flex");
    let whole = write_whole(
        &events,
        &Facts::default(),
        &identity(),
        &bill(Usage::default()),
        &Echo::of(&outlined(body)),
    );
    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    assert_eq!(whole["output"], response["output"]);
}

/// Codex keeps of a reasoning item its id, summary, content and encrypted_content alone.
#[test]
fn seals_survive_a_client_that_knows_only_openai() {
    let seal = |issuer, data: &str| Seal { issuer, data: data.to_owned(), id: None };
    let events = [
        Event::Reasoning { text: "I  think.".into(), kind: ReasoningKind::Full },
        Event::Seal { seal: seal(Issuer::Anthropic, "sig:+/="), hidden: false },
        Event::Seal { seal: seal(Issuer::Anthropic, "redacted"), hidden: true },
        Event::ToolCall {
            call: 0,
            id: "a:b".into(),
            name: "f".into(),
            custom: false,
            seal: Some(seal(Issuer::Gemini, "thought")),
        },
        Event::ToolCallEnd { call: 0 },
        finish(Finish::ToolCalls),
    ];
    let response = last(&written(&events, Echo::default()))["response"].clone();
    assert_eq!(response["output"][0]["signature"], "sig:+/=");
    assert_eq!(response["output"][0]["format"], "anthropic-claude-v1");
    let mut items = response["output"].clone();
    for item in items.as_array_mut().expect("items").iter_mut().filter(|item| item["type"] == "reasoning") {
        item.as_object_mut().expect("an item").retain(|key, _| {
            ["type", "id", "summary", "content", "encrypted_content"].contains(&key.as_str())
        });
    }
    let body = serde_json::json!({ "input": items }).to_string();
    let turn = &read_conversation(&outlined(body)).expect("a request").turns[0];
    let anthropic = seal(Issuer::Anthropic, "sig:+/=");
    let thought =
        Part::Reasoning { text: "I  think.".into(), kind: ReasoningKind::Full, seal: Some(anthropic) };
    assert_eq!(turn.parts[0], thought);
    assert_eq!(turn.parts[1], Part::SealedReasoning { seal: seal(Issuer::Anthropic, "redacted") });
    let Part::ToolCall(call) = &turn.parts[2] else { panic!("a call") };
    assert_eq!(call.seal, Some(seal(Issuer::Gemini, "thought")));
}

/// F43: whichever comes first, and nothing twice.
#[test]
fn arguments_may_come_as_deltas_or_at_the_end() {
    const ADDED: &str = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":""}}"#;
    const DELTA: &str = r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":0,"delta":"{\"a\":1}"}"#;
    const PART: &str = r#"{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":0,"delta":"{\"a\""}"#;
    const DONE: &str = r#"{"type":"response.function_call_arguments.done","item_id":"fc_9","output_index":0,"arguments":"{\"a\":1}"}"#;
    const ITEM: &str = r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc_2","call_id":"c","name":"f","arguments":"{\"a\":1}","status":"completed"}}"#;
    const END: &str = r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"function_call","call_id":"c","name":"f","arguments":"{\"a\":1}"}],"usage":{"input_tokens":5,"output_tokens":3,"total_tokens":8}}}"#;
    let variants: [&[&str]; 8] = [
        &[ADDED, DELTA, DONE, ITEM, END],
        &[ADDED, DONE, ITEM, END],
        &[ADDED, PART, DONE, ITEM, END],
        &[ADDED, ITEM, END],
        &[ITEM, END],
        &[END],
        &[DELTA, ITEM, END],
        &[ADDED, DELTA, END],
    ];
    for variant in variants {
        let (events, reader) = read([&frames(variant)[..]]);
        let expected = [
            Event::ToolCall { call: 0, id: "c".into(), name: "f".into(), custom: false, seal: None },
            arguments(0, "{\"a\":1}"),
            Event::ToolCallEnd { call: 0 },
            Event::Finish { reason: Finish::ToolCalls, native: "completed".into() },
        ];
        assert_eq!(joined(&events), expected, "{variant:?}");
        assert_eq!(reader.facts().usage.map(|usage| usage.total()), Some(8));
        let mut splice = Splice::new(identity(), QUIRKS);
        let mut out = Vec::new();
        splice.read(&frames(variant), &mut out);
        splice.write_end(&bill(Usage::default()), &mut out);
        assert_eq!(joined(&read([&out[..]]).0), expected, "{variant:?}");
    }
}

/// The Codex backend says each item when it is done, and none at the end.
#[test]
fn the_end_of_a_spliced_stream_carries_its_items() {
    let stream = frames(&[
        r#"{"type":"response.created","response":{"id":"r","status":"in_progress","output":[]},"sequence_number":0}"#,
        r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":""}}"#,
        r#"{"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":0,"arguments":"{}"}"#,
        r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}","status":"completed"}}"#,
        r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[]}}"#,
    ]);
    let mut splice = Splice::new(identity(), QUIRKS);
    let mut out = Vec::new();
    splice.read(&stream, &mut out);
    assert!(splice.facts().done && !String::from_utf8_lossy(&out).contains("response.completed"));
    splice.write_end(&bill(Usage::default()), &mut out);
    assert_eq!(last(&out)["response"]["output"][0]["name"], "f");
    assert!(String::from_utf8_lossy(&out).contains(r#""arguments":"{}","sequence_number":2,"name":"f"}"#));
}

/// llama.cpp numbers neither events nor places.
#[test]
fn places_that_a_server_leaves_out_are_made_up() {
    let stream = frames(&[
        r#"{"type":"response.created","response":{"id":"resp_1","object":"response","status":"in_progress"}}"#,
        r#"{"type":"response.in_progress","response":{"id":"resp_1","object":"response","status":"in_progress"}}"#,
        r#"{"type":"response.output_item.added","item":{"id":"rs_1","type":"reasoning","summary":[],"content":[]}}"#,
        r#"{"type":"response.reasoning_text.delta","item_id":"rs_1","delta":"Hm"}"#,
        r#"{"type":"response.reasoning_text.done","item_id":"rs_1","text":"Hm"}"#,
        r#"{"type":"response.output_item.done","item":{"id":"rs_1","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Hm"}]}}"#,
        r#"{"type":"response.output_item.added","item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}"#,
        r#"{"type":"response.content_part.added","item_id":"msg_1","part":{"type":"output_text","text":""}}"#,
        r#"{"type":"response.output_text.delta","item_id":"msg_1","delta":"Hi"}"#,
        r#"{"type":"response.output_text.done","item_id":"msg_1","text":"Hi"}"#,
        r#"{"type":"response.content_part.done","item_id":"msg_1","part":{"type":"output_text","text":"Hi","annotations":[]}}"#,
        r#"{"type":"response.output_item.done","item":{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}}"#,
        r#"{"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","output":[{"id":"rs_1","type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"Hm"}]},{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[]}]}],"usage":{"input_tokens":5,"output_tokens":3,"total_tokens":8}}}"#,
    ]);
    let (events, _) = read([&stream[..]]);
    let said: Vec<Event> = joined(&events);
    assert_eq!(said[1], Event::Text("Hi".into()));
    assert_eq!(said.len(), 3, "{said:?}");
    let mut splice = Splice::new(identity(), QUIRKS);
    let mut out = Vec::new();
    splice.read(&stream, &mut out);
    splice.write_end(&bill(Usage::default()), &mut out);
    grammar::check_stream(&out).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(last(&out)["response"]["output_text"], "Hi");
}

#[test]
fn errors_within_a_stream_are_known_in_both_shapes() {
    let rows = [
        (
            r#"{"type":"error","error":{"type":"insufficient_quota","code":"insufficient_quota","message":"No."}}"#,
            Some(429),
        ),
        (r#"{"type":"error","code":"server_error","message":"No.","param":null}"#, Some(500)),
        (
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_is_overloaded","message":"No."}}}"#,
            Some(503),
        ),
        (r#"{"error":{"message":"No.","code":429}}"#, Some(429)),
    ];
    for (data, status) in rows {
        let (events, reader) = read([&frames(&[data])[..]]);
        let fault = reader.facts().fault.clone().expect(data);
        assert_eq!((fault.status, fault.message.as_str()), (status, "No."), "{data}");
        assert!(events.is_empty() && !reader.facts().done && !reader.facts().began);
    }
}

#[test]
fn usage_is_split_into_classes_that_do_not_overlap() {
    let rows = [
        (
            r#"{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":30},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20}}"#,
            [10, 60, 30, 30, 20],
        ),
        (
            r#"{"input_tokens":10,"input_tokens_details":{"cached_tokens":99},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":9}}"#,
            [0, 10, 0, 0, 1],
        ),
        (r#"{"input_tokens":-5,"output_tokens":1e300}"#, [0, 0, 0, u64::MAX, 0]),
        (r#"{"input_tokens":3}"#, [3, 0, 0, 0, 0]),
    ];
    for (usage, expected) in rows {
        let body = format!(r#"{{"status":"completed","output":[],"usage":{usage}}}"#);
        let usage = read_whole(body.as_bytes(), &QUIRKS, &[]).expect("a reply").facts.usage.expect("usage");
        let split = [usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning];
        assert_eq!(split, expected);
    }
}

#[test]
fn a_tool_gets_the_name_back_that_the_client_gave() {
    let names = vec![Renamed { sent: "tool_2".into(), own: "tool.é".into(), custom: false }];
    let body = r#"{"status":"completed","output":[{"type":"function_call","call_id":"c","name":"tool_2","arguments":"{}"}]}"#;
    let event = format!(r#"{{"type":"response.completed","response":{body}}}"#);
    let mut reader = StreamReader::new(Quirks::NONE, names.clone());
    let mut events = Vec::new();
    reader.read(&frames(&[&event]), &mut events);
    let whole = read_whole(body.as_bytes(), &QUIRKS, &names).expect("a reply");
    assert_eq!(whole.events, events);
    assert!(matches!(&events[0], Event::ToolCall { name, .. } if name == "tool.é"));
}

#[test]
fn an_answer_that_is_an_error_has_openrouters_envelope() {
    let body = write_error(&Failure::new(Cause::ContextLength, "Too long."), Some("gen-1"));
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["error"]["code"], 400);
    assert_eq!(body["error"]["message"], "Too long.");
    assert_eq!(body["error"]["type"], "context_length_exceeded");
}

fn event() -> impl Strategy<Value = Event> {
    let text = "[a-z\"\\\\\n é]{0,6}";
    let seal = (any::<bool>(), "[a-z:]{1,4}").prop_map(|(own, data)| Seal {
        issuer: if own { Issuer::OpenAi } else { Issuer::Anthropic },
        data,
        id: None,
    });
    prop_oneof![
        text.prop_map(Event::Text),
        text.prop_map(Event::Refusal),
        (text, any::<bool>()).prop_map(|(text, full)| Event::Reasoning {
            text,
            kind: if full { ReasoningKind::Full } else { ReasoningKind::Summary },
        }),
        (seal, any::<bool>()).prop_map(|(seal, hidden)| Event::Seal { seal, hidden }),
        (0..4_usize).prop_map(call),
        (0..4_usize).prop_map(|call| arguments(call, "{}")),
        (0..4_usize).prop_map(|call| Event::ToolCallEnd { call }),
        Just(Event::Image { url: "data:image/png;base64,AAAA".into() }),
        Just(Event::Citation(Citation { url: "https://a".into(), ..Citation::default() })),
    ]
}

/// A sequence as readers tell it: each call opens once, and its arguments stand between.
fn proper(events: Vec<Event>) -> Vec<Event> {
    // 0 unheard of, 1 open, 2 with arguments, 3 ended.
    let mut state = [0_u8; 4];
    let mut step = |call: usize, from: &[u8], to: u8| {
        let fits = from.contains(&state[call]);
        state[call] = if fits { to } else { state[call] };
        fits
    };
    let mut fits = |event: &Event| match event {
        Event::ToolCall { call, .. } => step(*call, &[0], 1),
        Event::Arguments { call, .. } => step(*call, &[1], 2),
        Event::ToolCallEnd { call } => step(*call, &[1, 2], 3),
        _ => true,
    };
    events.into_iter().filter(|event| fits(event)).collect()
}

proptest! {
    #[test]
    fn whatever_is_said_the_grammar_holds(events in prop::collection::vec(event(), 0..24), end in 0..5_usize) {
        let reasons = [Finish::Stop, Finish::Length, Finish::ToolCalls, Finish::ContentFilter, Finish::Refusal];
        let mut events = proper(events);
        let cut = events.clone();
        events.push(finish(reasons[end]));
        let out = written(&events, Echo::default());
        let usage = bill(Usage::default());
        let whole = write_whole(&events, &Facts::default(), &identity(), &usage, &Echo::default());
        prop_assert!(grammar::check_whole(&whole).is_ok(), "{:?}", grammar::check_whole(&whole));
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        prop_assert_eq!(&whole["output"], &last(&out)["response"]["output"]);
        let mut writer = StreamWriter::new(identity(), Echo::default());
        let mut out = Vec::new();
        cut.iter().for_each(|event| writer.write(event, &mut out));
        writer.write_error(&Failure::new(Cause::Timeout, "Slow."), Some(&usage), &mut out);
        prop_assert!(grammar::check_stream(&out).is_ok(), "{:?}", grammar::check_stream(&out));
    }

    #[test]
    fn whatever_bytes_come_nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read([&bytes[..]]);
        let mut splice = Splice::new(identity(), QUIRKS);
        let mut out = Vec::new();
        splice.read(&bytes, &mut out);
        splice.write_end(&bill(Usage::default()), &mut out);
        let _ = read_whole(&bytes, &QUIRKS, &[]);
        let _ = read_conversation(&outlined(&bytes));
    }
}
