//! Streams as events, events as streams.

use millrace::chat::conversation::{Issuer, ReasoningKind, Seal};
use millrace::chat::{Citation, Finish};
use millrace::error::{Cause, Failure};
use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_can_be_read_again(events in reply()) {
        let mut writer = StreamWriter::new(identity());
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut out));
        writer.write_end(&bill(), &mut out);
        prop_assert_eq!(grammar::check_stream(&out), Ok(()), "{}", String::from_utf8_lossy(&out));
        let (again, facts) = read_cut(&out, out.len());
        prop_assert_eq!(joined(&again), joined(&events), "{}", String::from_utf8_lossy(&out));
        prop_assert!(facts.done && facts.fault.is_none());
        prop_assert_eq!(facts.usage, Some(bill().usage));
        let whole = write_whole(&events, &Facts::default(), &identity(), &bill());
        prop_assert_eq!(grammar::check_whole(&whole), Ok(()), "{}", String::from_utf8_lossy(&whole));
        let again = read_whole(&whole, &Quirks::NONE, &[]).expect("a reply").events;
        prop_assert_eq!(sorted(&again), sorted(&events), "{}", String::from_utf8_lossy(&whole));
    }

    #[test]
    fn a_reply_that_breaks_off_is_an_error(events in reply(), keep in any::<prop::sample::Index>()) {
        let keep = keep.index(events.len());
        let mut writer = StreamWriter::new(identity());
        let mut out = Vec::new();
        events[..keep].iter().for_each(|event| writer.write(event, &mut out));
        writer.write_error(&Failure::new(Cause::ProviderUnavailable, "off"), Some(&bill()), &mut out);
        prop_assert_eq!(grammar::check_stream(&out), Ok(()), "{}", String::from_utf8_lossy(&out));
        let (_, facts) = read_cut(&out, out.len() / 2);
        prop_assert!(facts.fault.is_some());
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut(events in reply(), cut in any::<prop::sample::Index>()) {
        let mut writer = StreamWriter::new(identity());
        let mut out = Vec::new();
        events.iter().for_each(|event| writer.write(event, &mut out));
        writer.write_end(&bill(), &mut out);
        prop_assert_eq!(read_cut(&out, cut.index(out.len())), read_cut(&out, out.len()));
    }
}

#[test]
fn calls_come_in_every_dialect() {
    let call = |call, id: &str, name: &str| Event::ToolCall {
        call,
        id: id.into(),
        name: name.into(),
        custom: false,
        seal: None,
    };
    let text = |call, text: &str| Event::Arguments { call, text: text.into() };
    let end = |call| Event::ToolCallEnd { call };
    let cases = [
        (
            "interleaved",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
                json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}}]),
                json!([{"index": 0, "function": {"arguments": "{}"}}]),
                json!([{"index": 1, "function": {"arguments": "}"}}]),
            ],
            vec![call(0, "a", "f"), call(1, "b", "g"), text(1, "{"), text(0, "{}"), text(1, "}")],
        ),
        (
            "one index for all",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
                json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{"}}]),
                json!([{"index": 0, "function": {"arguments": "}"}}]),
            ],
            vec![call(0, "a", "f"), text(0, "{}"), call(1, "b", "f"), text(1, "{}")],
        ),
        (
            "no index",
            vec![
                json!([{"id": "a", "function": {"name": "f", "arguments": "{}"}}, {"id": "b", "function": {"name": "g", "arguments": "{}"}}]),
            ],
            vec![call(0, "a", "f"), text(0, "{}"), call(1, "b", "g"), text(1, "{}")],
        ),
        (
            "neither index nor id",
            vec![
                json!([{"function": {"name": "f", "arguments": {"x": 1}}}]),
                json!([{"function": {"name": "f", "arguments": null}}]),
            ],
            vec![call(0, "call_0", "f"), text(0, "{\"x\":1}"), call(1, "call_1", "f")],
        ),
        (
            "id and name again and again",
            vec![
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{"}}]),
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}}]),
            ],
            vec![call(0, "a", "f"), text(0, "{}")],
        ),
        (
            "the name behind the id, nulls everywhere",
            vec![
                json!([{"index": 3, "id": "a", "function": {"name": null, "arguments": "{"}}]),
                json!([{"index": 3, "id": null, "function": {"name": "f", "arguments": "}"}}]),
            ],
            vec![call(0, "a", "f"), text(0, "{}")],
        ),
    ];
    for (name, deltas, mut expected) in cases {
        let mut chunks: Vec<Value> =
            deltas.into_iter().map(|calls| delta(json!({"tool_calls": calls}))).collect();
        chunks.push(finish("stop"));
        let calls = expected.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
        expected.extend((0..calls).map(end));
        expected.push(Event::Finish { reason: Finish::ToolCalls, native: "stop".into() });
        let stream = frames(&chunks);
        for cut in 0..stream.len() {
            let (events, facts) = read_cut(&stream, cut);
            assert_eq!(joined(&events), expected, "{name}, cut at {cut}");
            assert_eq!(facts.finish_reason, Some("tool_calls"));
        }
    }
}

#[test]
fn a_call_that_the_limit_cut_is_never_ended() {
    let chunks = [
        delta(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]})),
        delta(
            json!({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "f", "arguments": "{\"x"}}]}),
        ),
        finish("length"),
    ];
    let (events, _) = read_cut(&frames(&chunks), 0);
    let ended: Vec<&Event> =
        events.iter().filter(|event| matches!(event, Event::ToolCallEnd { .. })).collect();
    assert_eq!(ended, [&Event::ToolCallEnd { call: 0 }]);
    let (events, facts) = read_cut(&frames(&chunks[..2]), 0);
    assert!(facts.finish.is_none() && events.len() == 4, "{events:?}");
}

#[test]
fn a_custom_tool_gets_its_text_back_out_of_the_object() {
    let names = vec![Renamed { sent: "patch_1".into(), own: "patch!".into(), custom: true }];
    let chunks = [
        delta(
            json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "patch_1", "arguments": "{\"input\":"}}]}),
        ),
        delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": " \"*** Begin\\n\"}"}}]})),
        finish("tool_calls"),
    ];
    let mut reader = StreamReader::new(Quirks::NONE, names);
    let mut events = Vec::new();
    reader.read(&frames(&chunks), &mut events);
    let expected = [
        Event::ToolCall { call: 0, id: "a".into(), name: "patch!".into(), custom: true, seal: None },
        Event::Arguments { call: 0, text: "*** Begin\n".into() },
        Event::ToolCallEnd { call: 0 },
        Event::Finish { reason: Finish::ToolCalls, native: "tool_calls".into() },
    ];
    assert_eq!(events, expected);
}

#[test]
fn reasoning_comes_in_every_dialect() {
    let think = |text: &str| Event::Reasoning { text: text.into(), kind: ReasoningKind::Full };
    let seal = |issuer, data: &str, id: Option<&str>, hidden| Event::Seal {
        seal: Seal { issuer, data: data.into(), id: id.map(str::to_owned) },
        hidden,
    };
    let text = || Event::Text("x".into());
    let sum = Event::Reasoning { text: "s".into(), kind: ReasoningKind::Summary };
    let cases = [
        (json!([{"reasoning_content": "hm"}, {"content": "x"}]), vec![think("hm"), text()]),
        (
            json!([{"reasoning": "hm", "reasoning_content": "hm"}, {"content": "x"}]),
            vec![think("hm"), text()],
        ),
        (
            json!([{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, {"content": "x"}]),
            vec![think("hm"), text()],
        ),
        (
            json!([
                {"reasoning": "h", "reasoning_details": [{"type": "reasoning.text", "text": "h", "format": "anthropic-claude-v1", "index": 0}]},
                {"reasoning": "m", "reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]},
                {"reasoning_details": [{"type": "reasoning.text", "signature": "si", "format": "anthropic-claude-v1", "index": 0}]},
                {"reasoning_details": [{"type": "reasoning.text", "signature": "g", "format": "anthropic-claude-v1", "index": 0}]},
                {"reasoning_details": [{"type": "reasoning.encrypted", "data": "red", "index": 1}]},
                {"content": "x"},
            ]),
            vec![
                think("hm"),
                seal(Issuer::Anthropic, "sig", None, false),
                seal(Issuer::Anthropic, "red", None, true),
                text(),
            ],
        ),
        (
            json!([
                {"reasoning_details": [{"type": "reasoning.summary", "summary": "s", "format": "openai-responses-v1", "id": "rs_1", "index": 0}]},
                {"reasoning_details": [{"type": "reasoning.encrypted", "data": "da", "format": "openai-responses-v1", "id": "rs_1", "index": 0}]},
                {"reasoning_details": [{"type": "reasoning.encrypted", "data": "ta", "format": "openai-responses-v1", "id": "rs_1", "index": 0}]},
                {"content": "x"},
            ]),
            vec![sum, seal(Issuer::OpenAi, "data", Some("rs_1"), false), text()],
        ),
    ];
    for (deltas, mut expected) in cases {
        let mut chunks: Vec<Value> = deltas.as_array().unwrap().iter().cloned().map(delta).collect();
        chunks.push(finish("stop"));
        expected.push(Event::Finish { reason: Finish::Stop, native: "stop".into() });
        assert_eq!(joined(&read_cut(&frames(&chunks), 99).0), expected, "{deltas}");
    }
}

#[test]
fn a_seal_of_a_call_stays_with_the_call() {
    let chunks = [
        delta(json!({
            "tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}],
            "reasoning_details": [{"type": "reasoning.encrypted", "data": "sig", "id": "a", "format": "google-gemini-v1", "index": 0}],
        })),
        finish("tool_calls"),
    ];
    let (events, _) = read_cut(&frames(&chunks), 0);
    let Some(Event::ToolCall { seal: Some(seal), .. }) = events.first() else { panic!("{events:?}") };
    assert_eq!((seal.issuer, seal.data.as_str()), (Issuer::Gemini, "sig"));
    assert!(!events.iter().any(|event| matches!(event, Event::Seal { .. })));
}

#[test]
fn perplexitys_sources_are_citations() {
    let mut chunk = finish("stop");
    chunk["citations"] = json!(["https://a.example", "https://b.example"]);
    let (events, _) = read_cut(&frames(&[delta(json!({"content": "x"})), chunk.clone(), chunk]), 0);
    let cited = |url: &str| Event::Citation(Citation { url: url.into(), ..Citation::default() });
    let finish = Event::Finish { reason: Finish::Stop, native: "stop".into() };
    let expected = [Event::Text("x".into()), cited("https://a.example"), cited("https://b.example"), finish];
    assert_eq!(events, expected);
}

#[test]
fn reasons_to_finish_in_events() {
    let cases = [
        ("stop", Finish::Stop),
        ("eos", Finish::Stop),
        ("length", Finish::Length),
        ("model_length", Finish::Length),
        ("tool_calls", Finish::ToolCalls),
        ("content_filter", Finish::ContentFilter),
    ];
    for (native, reason) in cases {
        let (events, facts) = read_cut(&frames(&[finish(native)]), 0);
        assert_eq!(events, [Event::Finish { reason, native: native.into() }]);
        assert_eq!(facts.finish_reason, Some(reason.reason()));
    }
    let (events, facts) = read_cut(&frames(&[finish("insufficient_system_resource")]), 0);
    assert!(events.is_empty() && facts.fault.is_some());
}

#[test]
fn a_splice_and_a_translation_end_alike() {
    let stream = frames(&[delta(json!({"role": "assistant", "content": "x"})), finish("stop")]);
    let reader = Box::new(StreamReader::new(Quirks::NONE, Vec::new()));
    let lanes: [Box<dyn Lane>; 2] = [
        Box::new(Splice::new(identity(), Quirks::NONE)),
        Box::new(Translate::new(reader, Box::new(StreamWriter::new(identity())))),
    ];
    let written = lanes.map(|mut lane| {
        let mut out = Vec::new();
        lane.read(&stream, &mut out);
        lane.end_of_input(&mut out);
        lane.write_end(&bill(), &mut out);
        assert_eq!(lane.keep_alive(), b": OPENROUTER PROCESSING\n\n");
        assert_eq!(grammar::check_stream(&out), Ok(()));
        (String::from_utf8(out).unwrap(), lane.facts().clone())
    });
    let chunks = |text: &str| -> Vec<Value> {
        let data = text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: {"));
        let mut chunks: Vec<Value> =
            data.map(|data| serde_json::from_str(&format!("{{{data}")).unwrap()).collect();
        chunks.iter_mut().for_each(|chunk| chunk["choices"][0]["delta"] = Value::Null);
        chunks
    };
    assert_eq!(chunks(&written[0].0), chunks(&written[1].0));
    assert_eq!(written[0].1, written[1].1);
}

#[test]
fn hidden_reasoning_is_counted_and_not_shown() {
    let details = json!([{"type": "reasoning.text", "text": "secret", "index": 0}]);
    let chunks =
        [delta(json!({"reasoning": "secret", "reasoning_details": details})), delta(json!({"content": "x"}))];
    let mut splice = Splice::new(identity(), Quirks::NONE).without_reasoning();
    let mut out = Vec::new();
    splice.read(&frames(&chunks), &mut out);
    assert!(!String::from_utf8(out).unwrap().contains("secret"));
    assert_eq!(splice.facts().output_bytes, 7);
}

/// Events as a reply may bring them: thoughts, words, calls that interleave, an end.
fn reply() -> impl Strategy<Value = Vec<Event>> {
    let thought = prop_oneof![
        words().prop_map(|text| vec![Event::Reasoning { text, kind: ReasoningKind::Full }]),
        (words(), words()).prop_map(|(text, data)| vec![
            Event::Reasoning { text, kind: ReasoningKind::Full },
            Event::Seal { seal: Seal { issuer: Issuer::Anthropic, data, id: None }, hidden: false },
        ]),
        (words(), words()).prop_map(|(text, data)| vec![
            Event::Reasoning { text, kind: ReasoningKind::Summary },
            Event::Seal {
                seal: Seal { issuer: Issuer::OpenAi, data, id: Some("rs_1".into()) },
                hidden: false
            },
        ]),
        words().prop_map(|data| vec![Event::Seal {
            seal: Seal { issuer: Issuer::Anthropic, data, id: None },
            hidden: true,
        }]),
    ];
    let said = prop_oneof![
        words().prop_map(Event::Text),
        words().prop_map(Event::Refusal),
        words().prop_map(|data| Event::Image { url: format!("data:image/png;base64,{data}") }),
        words().prop_map(|url| Event::Citation(Citation {
            url,
            title: Some("t".into()),
            content: None,
            start: Some(1),
            end: Some(2),
        })),
    ];
    let parts = (prop::collection::vec(thought, 0..3), prop::collection::vec(said, 0..4));
    (parts, calls()).prop_map(|((thoughts, said), calls)| {
        let mut events: Vec<Event> = thoughts.into_iter().flatten().collect();
        events.extend(said);
        let reason = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        events.extend(calls);
        events.push(Event::Finish { reason, native: reason.reason().into() });
        events
    })
}

/// Calls that open one after another and whose arguments interleave.
fn calls() -> impl Strategy<Value = Vec<Event>> {
    let call = (any::<bool>(), prop::collection::vec("[a-z\"\\\\é]{1,4}", 0..3), any::<bool>());
    prop::collection::vec(call, 0..4).prop_map(|calls| {
        let mut events = Vec::new();
        let mut rest: Vec<(usize, Vec<String>)> = Vec::new();
        for (call, (custom, words, sealed)) in calls.iter().enumerate() {
            let id = format!("call_{call}x");
            let seal =
                sealed.then(|| Seal { issuer: Issuer::Gemini, data: "sig".into(), id: Some(id.clone()) });
            events.push(Event::ToolCall { call, id, name: format!("f{call}"), custom: *custom, seal });
            let object = json!({"x": words.concat()}).to_string();
            let text = if *custom { format!("{} ", words.concat()) } else { object };
            let middle = text.floor_char_boundary(text.len() / 2);
            rest.push((call, vec![text[..middle].to_owned(), text[middle..].to_owned()]));
        }
        for turn in 0..2 {
            for (call, texts) in rest.iter().filter(|(_, texts)| !texts[turn].is_empty()) {
                events.push(Event::Arguments { call: *call, text: texts[turn].clone() });
            }
        }
        events.extend((0..calls.len()).map(|call| Event::ToolCallEnd { call }));
        events
    })
}

fn words() -> impl Strategy<Value = String> {
    "[a-zé\"\\\\\n ]{1,6}"
}

/// What a whole reply keeps: everything, but the order between kinds.
fn sorted(events: &[Event]) -> Vec<String> {
    let (mut text, mut refusal) = (String::new(), String::new());
    let mut arguments: Vec<String> = Vec::new();
    let mut others = Vec::new();
    for event in joined(events) {
        match event {
            Event::Text(more) => text.push_str(&more),
            Event::Refusal(more) => refusal.push_str(&more),
            Event::Arguments { call, text } => {
                arguments.resize(arguments.len().max(call + 1), String::new());
                arguments[call].push_str(&text);
            }
            other => others.push(format!("{other:?}")),
        }
    }
    others.sort();
    others.extend([text, refusal]);
    others.extend(arguments);
    others
}
