//! Streams, golden and broken, cut at every byte.

use super::*;

#[test]
fn splices_chunks() {
    for (name, upstream, expected) in GOLDEN_STREAMS {
        let splice = splice_cut(upstream.as_bytes(), usize::MAX);
        assert_eq!(splice.0, client_stream(expected), "{name}");
        for cut in 0..upstream.len() {
            let again = splice_cut(upstream.as_bytes(), cut);
            assert_eq!((&again.0, again.1.facts()), (&splice.0, splice.1.facts()), "{name}: cut at {cut}");
        }
    }
}

/// What comes from the provider, and the choices and other members of the chunks for the client.
const GOLDEN_STREAMS: &[(&str, &str, &[&str])] = &[
    (
        "OpenAI",
        "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"service_tier\":\"default\",\"system_fingerprint\":null,\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"abc\"}\n\n\
         data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\\u00e9 \\/\"},\"finish_reason\":null}],\"usage\":null}\n\n\
         data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
         data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n\
         data: [DONE]\n\n",
        &[
            r#""service_tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]"#,
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":"h\u00e9 \/"},"finish_reason":null,"native_finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":"stop","native_finish_reason":"stop"}]"#,
        ],
    ),
    (
        "nulls where absence is wanted, reasoning under its other name, CRLF and comments",
        ": keep-alive\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"r\",\"content\":null,\"tool_calls\":null,\"audio\":null,\"x\":null}}]}\r\n\r\n",
        &[
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning":"r","x":null},"finish_reason":null,"native_finish_reason":null}]"#,
        ],
    ),
    (
        "both names of reasoning, no last blank line",
        "data: {\"choices\":[{\"delta\":{\"reasoning\":\"r\",\"reasoning_content\":\"r\"}}]}",
        &[
            r#""choices":[{"index":0,"delta":{"role":"assistant","reasoning":"r"},"finish_reason":null,"native_finish_reason":null}]"#,
        ],
    ),
    (
        "tool calls that need repair, and a finish that forgot them",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1.0}}}]}}]}\n\n\
         data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":null,\"type\":null,\"function\":{\"name\":null,\"arguments\":\"\"}}]},\"finish_reason\":\"stop\"}]}\n\n",
        &[
            r#""choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1.0}"}}]},"finish_reason":null,"native_finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"function":{"arguments":""}}]},"finish_reason":"tool_calls","native_finish_reason":"stop"}]"#,
        ],
    ),
    (
        "Mistral's thoughts",
        "data: {\"p\":\"abcd\",\"choices\":[{\"index\":0,\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"t\"}]},{\"type\":\"text\",\"text\":\"a\"}]},\"finish_reason\":\"model_length\"}]}\n\n",
        &[
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":"a","reasoning":"t"},"finish_reason":"length","native_finish_reason":"model_length"}]"#,
        ],
    ),
    (
        "a frame on several lines, Perplexity's cumulative message, Azure's verdict on the prompt",
        "data: {\"id\":\"\",\"choices\":[],\"prompt_filter_results\":[{}]}\n\n\
         data: {\"citations\": [\"u\",\ndata: \"v\"],\ndata: \"choices\":[{\"index\":0,\"message\":{\"content\":\"a b\"},\ndata: \"delta\":{\"content\":\"b\"}}]}\n\n\
         data: {\"choices\":[{\"index\":0,\"content_filter_offsets\":{}}]}\n\n",
        &[
            r#""citations": ["u", "v"],"choices":[{"index":0,"delta":{"role":"assistant","content":"b"},"finish_reason":null,"native_finish_reason":null}]"#,
            r#""choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"content_filter_offsets":{}}]"#,
        ],
    ),
    (
        "nothing follows an error",
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"m\"}}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n",
        &[
            r#""choices":[{"index":1,"delta":{"role":"assistant","content":"a"},"finish_reason":null,"native_finish_reason":null}]"#,
        ],
    ),
];

#[test]
fn a_stream_begins_with_what_a_client_would_notice() {
    let cases = [
        (r#"{"choices":[{"delta":{"role":"assistant"}}]}"#, false),
        (r#"{"choices":[{"delta":{"role":"assistant","content":"","refusal":null}}]}"#, false),
        (
            r#"{"choices":[{"delta":{"content":null,"reasoning":"","tool_calls":[],"reasoning_details":[]}}]}"#,
            false,
        ),
        (r#"{"choices":[{"delta":{"annotations":[{}]}}]}"#, false),
        (r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, false),
        (r#"{"choices":[{"delta":{"content":" "}}]}"#, true),
        (r#"{"choices":[{"delta":{"reasoning":"a"}}]}"#, true),
        (r#"{"choices":[{"delta":{"reasoning_content":"a"}}]}"#, true),
        (r#"{"choices":[{"delta":{"refusal":"a"}}]}"#, true),
        (r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x"}]}}]}"#, true),
        (r#"{"choices":[{"delta":{"audio":{"id":"x"}}}]}"#, true),
        (r#"{"choices":[{"delta":{"images":[{}]}}]}"#, true),
        (r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, true),
        (r#"{"choices":[{"delta":{},"finish_reason":""}]}"#, false),
    ];
    for (frame, began) in cases {
        let (_, splice) = splice_cut(format!("data: {frame}\n\n").as_bytes(), 0);
        assert_eq!(splice.facts().began, began, "{frame}");
    }
}

#[test]
fn errors_within_a_stream_are_found() {
    let cases: &[(&str, Option<u16>, Option<&str>, &str)] = &[
        (
            "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\n",
            None,
            Some("server_error"),
            "m",
        ),
        (
            "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"t\",\"code\":\"c\",\"status_code\":400}}\n\n",
            Some(400),
            Some("c"),
            "m",
        ),
        (
            "data: {\"choices\":[]}\n\n{\n \"error\": {\n  \"code\": 499,\n  \"message\": \"m\",\n  \"status\": \"CANCELLED\"\n }\n}\n",
            Some(499),
            None,
            "m",
        ),
        ("[{\"error\":{\"code\":404,\"message\":\"m\"}}]", Some(404), None, "m"),
        (
            "data: {\"object\":\"error\",\"message\":\"m\",\"type\":\"BadRequestError\",\"code\":400}\n\n",
            Some(400),
            Some("BadRequestError"),
            "m",
        ),
        ("data: {\"code\":\"c\",\"error\":\"m\"}\n\n", None, Some("c"), "m"),
        (
            "data: {\"id\":\"x\",\"error\":{\"code\":429,\"message\":\"m\"},\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n\n",
            Some(429),
            None,
            "m",
        ),
        (
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"insufficient_system_resource\"}]}\n\n",
            None,
            Some("insufficient_system_resource"),
            "The provider ended the reply with `insufficient_system_resource`.",
        ),
        (
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"code\":502,\"message\":\"m\"}}]}\n\n",
            Some(502),
            None,
            "m",
        ),
        ("data: {\"choices\":[],\"x_groq\":{\"error\":\"m\"}}\n\n", None, None, "m"),
        ("data: {\"choices\":[{\"del\n\n", None, None, "The provider sent a frame that is not valid JSON."),
        ("event: error\ndata: overloaded\n\n", None, None, "overloaded"),
    ];
    for (stream, status, code, message) in cases {
        for cut in [0, stream.len() / 2] {
            let (out, splice) = splice_cut(stream.as_bytes(), cut);
            let fault = splice.facts().fault.clone().unwrap_or_else(|| panic!("no fault in {stream}"));
            assert_eq!(
                (fault.status, fault.code.as_deref(), fault.message.as_str()),
                (*status, *code, *message)
            );
            assert!(out.is_empty() && !splice.facts().done, "{stream}");
        }
    }
    for stream in [
        "data: ping\n\n",
        "data:\n\n",
        "event: ping\ndata: {}\n\n",
        "data: {\"error\":null}\n\n",
        "{\"a\":1}\n",
    ] {
        assert_eq!(splice_cut(stream.as_bytes(), 0).1.facts().fault, None, "{stream}");
    }
}

#[test]
fn a_frame_has_a_greatest_size_and_a_fault_a_greatest_text() {
    let mut splice = Splice::new(identity(), ASK);
    let mut out = Vec::new();
    for _ in 0..17 {
        splice.read(&[b'x'; 1024 * 1024], &mut out);
    }
    assert_eq!(splice.facts().fault.as_ref().unwrap().message, "The provider sent a frame that is too long.");
    let fault = read_error(format!("{{\"error\":{{\"message\":\"{}\"}}}}", "é".repeat(10_000)).as_bytes());
    assert!(fault.raw.len() <= 4096 && fault.message.len() <= 4096 && fault.message.len() > 4000);
}

#[test]
fn a_stream_ends_with_usage_or_with_an_error() {
    let (_, splice) = splice_cut(b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"eos\"}]}\n\n", 0);
    let mut end = Vec::new();
    splice.write_end(&Bill { metadata: Some("{\"attempt\":1}".into()), ..bill() }, &mut end);
    let [last, done] = data(&end).try_into().unwrap();
    assert_eq!(done, "[DONE]");
    let last: Value = serde_json::from_str(&last).unwrap();
    let choice = json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop", "native_finish_reason": "eos"});
    assert_eq!((&last["choices"], &last["openrouter_metadata"]), (&json!([choice]), &json!({"attempt": 1})));
    assert_eq!(last["usage"]["prompt_tokens"], 1);

    let failure =
        Failure::new(Cause::ProviderUnavailable, "Provider returned error").with("provider_name", "P");
    let mut end = Vec::new();
    splice.write_error(&failure, None, &mut end);
    let [error, done] = data(&end).try_into().unwrap();
    let error: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(done, "[DONE]");
    assert_eq!(
        error["error"],
        json!({"code": 502, "message": "Provider returned error", "metadata": {"error_type": "provider_unavailable", "provider_name": "P"}})
    );
    assert_eq!((&error["choices"][0]["finish_reason"], &error["id"]), (&json!("error"), &json!("gen-1")));
    assert_eq!(error.get("usage"), None);

    let mut end = Vec::new();
    splice.write_error(&failure, Some(&bill()), &mut end);
    let [_, usage, done] = data(&end).try_into().unwrap();
    assert_eq!(done, "[DONE]");
    assert_eq!(serde_json::from_str::<Value>(&usage).unwrap()["usage"]["cost"], json!(0.000123));
}

fn client_stream(chunks: &[&str]) -> String {
    let opening =
        r#"{"id":"gen-1","object":"chat.completion.chunk","created":7,"model":"a/b","provider":"P""#;
    chunks.iter().map(|chunk| format!("data: {opening},{chunk}}}\n\n")).collect()
}
