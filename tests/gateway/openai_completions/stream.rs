//! Streams and whole replies, spliced and written, golden and broken.

use super::*;

/// What comes from the provider, and the choices for the client.
const GOLDEN: &[(&str, &str, &[&str])] = &[
    (
        "OpenAI",
        "data: {\"id\":\"x\",\"object\":\"text_completion\",\"created\":1,\"choices\":[{\"text\":\"h\\u00e9 \\/\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],\"model\":\"m\",\"usage\":null}\n\n\
         data: {\"id\":\"x\",\"choices\":[{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\n\
         data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n\
         data: [DONE]\n\n",
        &[
            r#","choices":[{"text":"h\u00e9 \/","index":0,"logprobs":null,"finish_reason":null,"native_finish_reason":null}]"#,
            r#","choices":[{"text":"","index":0,"logprobs":null,"finish_reason":"length","native_finish_reason":"length"}]"#,
        ],
    ),
    (
        "vLLM's own member, logprobs kept, CRLF, comments, no last blank line",
        ": hi\r\n\r\ndata: {\"system_fingerprint\":null,\"x\":1.0,\"choices\":[{\"index\":1,\"text\":\"a\",\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[-1.50]},\"stop_reason\":32,\"finish_reason\":\"stop\"}]}",
        &[
            r#","x":1.0,"choices":[{"text":"a","index":1,"logprobs":{"tokens":["a"],"token_logprobs":[-1.50]},"finish_reason":"stop","native_finish_reason":"stop","stop_reason":32}]"#,
        ],
    ),
    (
        "Together: the text twice, its own reason to finish",
        "data: {\"choices\":[{\"text\":\"a\",\"delta\":{\"content\":\"a\"},\"finish_reason\":\"eos\",\"seed\":7}]}\n\n",
        &[
            r#","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":"stop","native_finish_reason":"eos","seed":7}]"#,
        ],
    ),
    (
        "nothing follows an error",
        "data: {\"choices\":[{\"text\":\"a\"}]}\n\ndata: {\"error\":{\"message\":\"m\"}}\n\ndata: {\"choices\":[{\"text\":\"b\"}]}\n\n",
        &[
            r#","choices":[{"text":"a","index":0,"logprobs":null,"finish_reason":null,"native_finish_reason":null}]"#,
        ],
    ),
];

const OPENING: &str =
    r#"data: {"id":"gen-1","object":"text_completion","created":7,"model":"a/b","provider":"P \"Q\"""#;

#[test]
fn splices_chunks_however_they_are_cut() {
    for (name, upstream, expected) in GOLDEN {
        let expected: String = expected.iter().map(|rest| format!("{OPENING}{rest}}}\n\n")).collect();
        let (out, whole) = splice([upstream.as_bytes()]);
        assert_eq!(String::from_utf8_lossy(&out), expected, "{name}");
        for cut in 0..upstream.len() {
            let (head, tail) = upstream.as_bytes().split_at(cut);
            let (again, other) = splice([head, tail]);
            assert_eq!((again, other.facts()), (out.clone(), whole.facts()), "{name}: cut at {cut}");
        }
        let (again, other) = splice(upstream.as_bytes().chunks(1));
        assert_eq!((again, other.facts()), (out, whole.facts()), "{name}: byte by byte");
    }
}

#[test]
fn facts_gather() {
    let (_, splice) = splice([GOLDEN[0].1.as_bytes()]);
    let facts = splice.facts();
    assert!(facts.began && facts.done && facts.fault.is_none());
    assert_eq!((facts.finish.as_deref(), facts.finish_reason), (Some("length"), Some("length")));
    assert_eq!(facts.usage, Some(Usage { input: 1, output: 2, ..Usage::default() }));
    assert_eq!((facts.output_bytes, facts.upstream_id.as_deref()), ("hé /".len() as u64, Some("x")));
}

#[test]
fn a_stream_begins_with_what_a_client_would_notice() {
    let cases = [
        (r#"{"choices":[{"text":""}]}"#, false),
        (r#"{"choices":[{"text":null,"finish_reason":""}]}"#, false),
        (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, false),
        (r#"{"choices":[{"text":" "}]}"#, true),
        (r#"{"choices":[{"text":"","reasoning":"r"}]}"#, true),
        (r#"{"choices":[{"text":"","finish_reason":"stop"}]}"#, true),
    ];
    for (frame, began) in cases {
        let (_, splice) = splice([format!("data: {frame}\n\n").as_bytes()]);
        assert_eq!((splice.facts().began, splice.facts().done), (began, false), "{frame}");
    }
}

#[test]
fn errors_within_a_stream_are_found() {
    let cases = [
        ("data: {\"error\":{\"message\":\"m\",\"code\":429}}\n\n", Some(429), "m"),
        (
            "data: {\"choices\":[{\"text\":\"a\",\"error\":{\"message\":\"m\",\"code\":502}}]}\n\n",
            Some(502),
            "m",
        ),
        (
            "data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":\"error\"}]}\n\n",
            None,
            "The provider ended the reply with `error`.",
        ),
        ("event: error\ndata: overloaded\n\n", None, "overloaded"),
        ("event: error\ndata: {\"x\":1}\n\n", None, "The provider reported an error."),
        ("data: {\"choices\":\n\n", None, "The provider sent a frame that is not valid JSON."),
        ("{\"error\":{\"message\":\"m\",\"status_code\":500}}", Some(500), "m"),
    ];
    for (stream, status, message) in cases {
        let (out, mut splice) = splice([stream.as_bytes()]);
        let fault = splice.facts().fault.clone().unwrap_or_else(|| panic!("{stream}"));
        assert_eq!((fault.status, fault.message.as_str()), (status, message), "{stream}");
        assert!(out.is_empty() && !splice.facts().done);
        let mut out = out;
        splice.write_error(&Failure::new(Cause::ProviderUnavailable, "no"), None, &mut out);
        grammar::check_stream(&out).unwrap_or_else(|error| panic!("{stream}: {error}"));
    }
}

#[test]
fn a_stream_that_breaks_off_never_looks_complete() {
    for (name, upstream, _) in &GOLDEN[..3] {
        let frames: Vec<&str> = upstream.split_inclusive("\n\n").collect();
        for count in 0..frames.len() {
            let (_, splice) = splice([frames[..count].concat().as_bytes()]);
            assert!(!splice.facts().done, "{name}: {count} frames");
        }
    }
}

#[test]
fn the_end_carries_usage_and_cost() {
    let (mut out, mut splice) = splice([GOLDEN[0].1.as_bytes()]);
    let begin = out.len();
    splice.write_end(
        &bill(Usage { input: 3, cache_read: 2, output: 4, reasoning: 1, ..Usage::default() }),
        &mut out,
    );
    grammar::check_stream(&out).expect("a stream");
    let expected = format!(
        r#"{OPENING},"choices":[{{"text":"","index":0,"logprobs":null,"finish_reason":"length","native_finish_reason":"length"}}],"usage":{{"prompt_tokens":5,"completion_tokens":5,"total_tokens":10,"cost":0.000123,"is_byok":false,"prompt_tokens_details":{{"cached_tokens":2,"cache_write_tokens":0,"audio_tokens":0,"video_tokens":0}},"cost_details":{{"upstream_inference_cost":0.000123,"upstream_inference_prompt_cost":0.0001,"upstream_inference_completions_cost":0.000023}},"completion_tokens_details":{{"reasoning_tokens":1,"image_tokens":0,"audio_tokens":0}}}}}}"#
    );
    assert_eq!(String::from_utf8_lossy(&out[begin..]), format!("{expected}\n\ndata: [DONE]\n\n"));
}

#[test]
fn whole_replies_are_spliced() {
    let body = br#" {"id":"x","object":"text_completion","created":1,"model":"m","choices":[{"text":"a\u00e9","index":0,"logprobs":null,"finish_reason":"length"},{"text":"","index":1}],"usage":{"prompt_tokens":2,"completion_tokens":12,"total_tokens":14},"x":1.0}"#;
    let WholeReply { events, facts } = read_whole(body, &Quirks::NONE).expect("good");
    assert_eq!(
        events,
        [Event::Text("aé".into()), Event::Finish { reason: Finish::Length, native: "length".into() }]
    );
    assert_eq!(facts.usage, Some(Usage { input: 2, output: 12, ..Usage::default() }));
    let out = splice_whole(body, &identity(), &bill(facts.usage.unwrap_or_default()));
    grammar::check_whole(&out).expect("whole");
    let text = String::from_utf8(out).expect("text");
    let opening = OPENING.trim_start_matches("data: ");
    let choices = r#"[{"text":"a\u00e9","index":0,"logprobs":null,"finish_reason":"length","native_finish_reason":"length"},{"text":"","index":1,"logprobs":null,"finish_reason":null,"native_finish_reason":""}]"#;
    assert!(text.starts_with(&format!("{opening},\"x\":1.0,\"choices\":{choices},\"usage\":{{")), "{text}");
}

#[test]
fn what_is_no_reply_is_found_out() {
    let cases = [
        ("", "NotJson"),
        ("<html>", "NotJson"),
        ("{}", "Empty"),
        (r#"{"choices":[]}"#, "Empty"),
        (r#"{"choices":[{"text":""}]}"#, "Empty"),
        (r#"{"choices":[{"text":"","finish_reason":"error"}]}"#, "ended the reply"),
        (r#"{"error":{"message":"m"}}"#, "m"),
        (r#"{"detail":"m"}"#, "m"),
    ];
    for (body, words) in cases {
        let fault = read_whole(body.as_bytes(), &Quirks::NONE).expect_err(body);
        assert!(format!("{fault:?}").contains(words), "{body}: {fault:?}");
    }
}

#[test]
fn usage_falls_into_classes() {
    let beside = Quirks { usage_excludes_reasoning: true, ..Quirks::NONE };
    let class = |input, cache_read, output, reasoning| {
        Some(Usage { input, cache_read, output, reasoning, ..Usage::default() })
    };
    let cases = [
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}"#,
            &Quirks::NONE,
            class(6, 4, 5, 0),
        ),
        (
            r#"{"prompt_tokens":10,"cached_tokens":99,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":9}}"#,
            &Quirks::NONE,
            class(0, 10, 0, 5),
        ),
        (
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":18,"completion_tokens_details":{"reasoning_tokens":3}}"#,
            &beside,
            class(10, 0, 5, 3),
        ),
        (r#"{"prompt_tokens":1e300,"completion_tokens":-7}"#, &Quirks::NONE, class(u64::MAX, 0, 0, 0)),
        (r#"{"total_tokens":5}"#, &Quirks::NONE, None),
        ("null", &Quirks::NONE, None),
    ];
    for (usage, quirks, expected) in cases {
        assert_eq!(usage_from(usage, quirks), expected, "{usage}");
    }
}

#[test]
fn reasons_to_finish() {
    let cases = [
        ("stop", "stop"),
        ("length", "length"),
        ("eos", "stop"),
        ("max_tokens", "length"),
        ("content_filter", "content_filter"),
        ("abort", "error"),
        ("new", "stop"),
    ];
    for (native, expected) in cases {
        assert_eq!(finish_reason(native), expected);
    }
}

#[test]
fn failures_have_openrouters_envelope() {
    let out: Value =
        serde_json::from_slice(&write_error(&Failure::invalid("no"), Some("gen-1"))).expect("JSON");
    assert_eq!(
        out,
        json!({"error": {"code": 400, "message": "no", "metadata": {"error_type": "invalid_request"}}})
    );
}

#[test]
fn events_become_text() {
    let events = [
        Event::Reasoning { text: "r".into(), kind: ReasoningKind::Full },
        Event::Text("a\n\"é".into()),
        Event::Text(String::new()),
        Event::Refusal("no".into()),
        Event::Finish { reason: Finish::StopSequence, native: "stop_sequence".into() },
    ];
    let facts =
        Facts { finish: Some("stop_sequence".into()), finish_reason: Some("stop"), ..Facts::default() };
    let out = write_whole(&events, &facts, &identity(), &bill(Usage::default()));
    grammar::check_whole(&out).expect("whole");
    let choice = r#""choices":[{"text":"a\n\"éno","reasoning":"r","index":0,"logprobs":null,"finish_reason":"stop","native_finish_reason":"stop_sequence"}]"#;
    assert!(String::from_utf8_lossy(&out).contains(choice));
    let stream = stream_of(&events, None);
    assert_eq!(chunks(&stream).len(), 5);
    assert_eq!(said(&chunks(&stream)), [("a\n\"éno".to_owned(), json!("stop"))]);
    let unfinished = write_whole(&events[..2], &Facts::default(), &identity(), &bill(Usage::default()));
    grammar::check_whole(&unfinished).expect("whole");
    assert!(
        String::from_utf8_lossy(&unfinished).contains(r#""finish_reason":null,"native_finish_reason":"""#)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_give_a_valid_reply(events in prop::collection::vec(any_event(), 0..12), finished in any::<bool>(), failed in any::<bool>()) {
        let mut events = events;
        if finished {
            events.push(Event::Finish { reason: Finish::Length, native: "max".into() });
        }
        let stream = stream_of(&events, failed.then_some(()));
        prop_assert_eq!(grammar::check_stream(&stream), Ok(()));
        let whole = write_whole(&events, &Facts::default(), &identity(), &bill(Usage::default()));
        prop_assert_eq!(grammar::check_whole(&whole), Ok(()));
        // The same text, whether it comes in parts or at once, and once more through a splice.
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        prop_assert_eq!(&said(&chunks(&stream))[0].0, whole["choices"][0]["text"].as_str().expect("text"));
        if !failed {
            let (again, splice) = splice([&stream[..]]);
            prop_assert_eq!(said(&chunks(&again)), said(&chunks(&stream)));
            let facts = splice.facts();
            prop_assert_eq!(facts.truncated, facts.began && !finished, "only a reason to finish ends it");
            prop_assert_ne!(facts.done, facts.truncated);
        }
    }

    #[test]
    fn any_stream_is_survived(frames in prop::collection::vec("(data|event|x): ?(\\{\"(choices|error|usage|text)\":(\\[|\\{|1|null|\"a\"|\\}|\\])*\n?)?\n?", 0..8)) {
        let (mut out, mut splice) = splice([frames.concat().as_bytes()]);
        match splice.facts().fault.is_some() {
            true => splice.write_error(&Failure::invalid("m"), None, &mut out),
            false => splice.write_end(&bill(Usage::default()), &mut out),
        }
        prop_assert_eq!(grammar::check_stream(&out), Ok(()));
    }
}

fn stream_of(events: &[Event], fails: Option<()>) -> Vec<u8> {
    let mut writer = StreamWriter::new(identity());
    let mut out = writer.keep_alive().to_vec();
    events.iter().for_each(|event| writer.write(event, &mut out));
    match fails {
        Some(()) => {
            writer.write_error(&Failure::new(Cause::Timeout, "late"), Some(&bill(Usage::default())), &mut out)
        }
        None => writer.write_end(&bill(Usage::default()), &mut out),
    }
    out
}

fn any_event() -> impl Strategy<Value = Event> {
    let seal = Seal { issuer: millrace::chat::conversation::Issuer::Unknown, data: "d".into(), id: None };
    prop_oneof![
        any::<String>().prop_map(Event::Text),
        any::<String>().prop_map(|text| Event::Reasoning { text, kind: ReasoningKind::Summary }),
        any::<String>().prop_map(Event::Refusal),
        Just(Event::Seal { seal, hidden: true }),
        Just(Event::ToolCall { call: 0, id: "i".into(), name: "n".into(), custom: false, seal: None }),
        Just(Event::Arguments { call: 0, text: "{".into() }),
        Just(Event::Image { url: "data:".into() }),
        Just(Event::Citation(Citation::default())),
    ]
}
