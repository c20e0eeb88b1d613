//! Requests: what is read of them, what is refused, what a provider gets.

use super::*;
use crate::outlined;

#[test]
fn reads_what_routing_needs() {
    let body = r#"{
        "model": "a/b", "models": ["c/d", "a/b", "c/d"], "stream": true, "max_tokens": 9, "max_completion_tokens": 7,
        "provider": {"order": ["x"], "zdr" : true}, "n": 2, "temperature": 0.5, "seed": null, "user": "u", "session_id": "s",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_schema", "json_schema": {}},
        "plugins": [], "transforms": null, "route": "fallback", "usage": {"include": true},
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "text", "text": "t"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                {"type": "input_audio", "input_audio": {"data": "BBBB", "format": "wav"}},
                {"type": "file", "file": {"filename": "f", "file_data": "data:a/b;base64,CCC"}}
            ]},
            {"role": "assistant", "content": null, "tool_calls": []}
        ]
    }"#;
    let request = read_request(&outlined(body)).unwrap();
    assert_eq!(request.candidates(), ["a/b", "c/d"]);
    assert_eq!(request.provider.as_deref(), Some(r#"{"order": ["x"], "zdr" : true}"#));
    assert_eq!((request.stream, request.max_tokens), (true, Some(7)));
    assert_eq!((request.user.as_deref(), request.session_id.as_deref()), (Some("u"), Some("s")));
    let needs = request.needs;
    assert!(needs.tools && needs.images && needs.audio && needs.files && needs.structured_output);
    assert!(!needs.json_object);
    assert_eq!(needs.parameters, ["temperature", "max_tokens", "tools", "response_format"]);
    let size = request.size;
    assert_eq!((size.images, size.audio, size.files, size.choices, size.max_tokens), (2, 1, 1, 2, Some(7)));
    let inline = "data:image/png;base64,AAAA".len() + "BBBB".len() + "data:a/b;base64,CCC".len();
    assert_eq!((size.inline_bytes, size.text_bytes), (inline as u64, (body.len() - inline) as u64));
}

#[test]
fn a_request_may_be_as_short_as_this() {
    let request = read_request(&outlined(br#"{"messages":[{"role":"user","content":"hi"}]}"#)).unwrap();
    let size = millrace::chat::RequestSize { text_bytes: 45, choices: 1, ..Default::default() };
    let asks = millrace::chat::Asks { opening: request.asks.opening, ..Default::default() };
    assert_eq!(request, ChatRequest { size, asks, ..ChatRequest::default() });
}

#[test]
fn refuses_by_name_and_never_quotes_the_prompt() {
    let user = r#""messages":[{"role":"user","content":"SECRET"}]"#;
    let with = |more: &str| format!("{{{user},{more}}}");
    let content = |content: &str| format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
    let cases: &[(String, &str)] = &[
        (
            "".into(),
            "The request body is not a valid JSON object: EOF while parsing a value at line 1 column 0.",
        ),
        (
            "\"SECRET\"".into(),
            "The request body is not a valid JSON object: expected an object at line 1 column 8.",
        ),
        (with("\n\"a\" 1"), "The request body is not a valid JSON object: expected `:` at line 2 column 5."),
        (with("\"model\":\"a\",\"model\":\"b\""), "`model` is given more than once."),
        (with("\"model\":\"a\",\"m\\u006fdel\":\"b\""), "`model` is given more than once."),
        (with(user), "`messages` is given more than once."),
        (with("\"model\":7"), "`model` must be a string."),
        (with("\"models\":\"a\""), "`models` must be an array of strings."),
        (with("\"models\":[\"a\",7]"), "`models[1]` must be a string that is not empty."),
        (with("\"stream\":\"yes\""), "`stream` must be a boolean."),
        (with("\"stream_options\":[]"), "`stream_options` must be an object."),
        (with("\"provider\":\"x\""), "`provider` must be an object."),
        (with("\"max_tokens\":0"), "`max_tokens` must be a whole number, at least 1."),
        (with("\"max_tokens\":1.5"), "`max_tokens` must be a whole number, at least 1."),
        (with("\"max_completion_tokens\":-1"), "`max_completion_tokens` must be a whole number, at least 1."),
        (with("\"n\":0"), "`n` must be a whole number from 1 to 128."),
        (with("\"n\":129"), "`n` must be a whole number from 1 to 128."),
        (with("\"user\":{}"), "`user` must be a string."),
        (with("\"tools\":{}"), "`tools` must be an array of objects."),
        (with("\"tools\":[{}]"), "`tools[0].type` must be a string."),
        (
            with("\"tools\":[{\"type\":\"openrouter:datetime\"}]"),
            "`tools[0].type` is not supported by this gateway as a server tool.",
        ),
        (with("\"response_format\":\"json\""), "`response_format` must be an object."),
        (with("\"response_format\":{}"), "`response_format.type` must be a string."),
        (
            with("\"plugins\":[{\"id\":\"file-parser\"}]"),
            "`plugins` is not supported by this gateway, but for \"auto-router\" and \"web\".",
        ),
        (with("\"transforms\":[\"middle-out\"]"), "`transforms` is not supported by this gateway."),
        (with("\"preset\":\"x\""), "`preset` is not supported by this gateway."),
        (
            with("\"route\":\"sort\""),
            "`route` is not supported by this gateway, except for \"fallback\"; use `provider.sort`.",
        ),
        (
            with("\"debug\":{\"echo_upstream_body\":true}"),
            "`debug.echo_upstream_body` is not supported by this gateway.",
        ),
        (with("\"include_reasoning\":1"), "`include_reasoning` must be a boolean."),
        (with("\"reasoning\":{\"exclude\":1}"), "`reasoning.exclude` must be true or false."),
        (
            with("\"reasoning\":{\"max_tokens\":0}"),
            "`reasoning.max_tokens` must be a whole number, at least 1.",
        ),
        (
            with("\"reasoning\":{\"max_tokens\":9,\"effort\":\"low\"}"),
            "`reasoning.max_tokens` and an effort of reasoning cannot both be given.",
        ),
        (
            with("\"reasoning\":{\"effort\":\"low\"},\"reasoning_effort\":\"high\""),
            "`reasoning.effort` and `reasoning_effort` contradict each other.",
        ),
        (
            r#"{"prompt":"SECRET"}"#.into(),
            "`prompt` is not supported by this gateway on chat completions; send `messages`.",
        ),
        ("{}".into(), "`messages` is missing: it must be an array that is not empty."),
        (r#"{"messages":[]}"#.into(), "`messages` must be an array of messages that is not empty."),
        (r#"{"messages":"SECRET"}"#.into(), "`messages` must be an array of messages that is not empty."),
        (r#"{"messages":["SECRET"]}"#.into(), "`messages[0]` must be an object."),
        (
            r#"{"messages":[{"role":"SECRET"}]}"#.into(),
            "`messages[0].role` must be one of system, developer, user, assistant, tool, function.",
        ),
        (content("7"), "`messages[0].content` must be a string, an array of parts or null."),
        (content("[\"SECRET\"]"), "`messages[0].content[0]` must be an object."),
        (content("[{\"text\":\"SECRET\"}]"), "`messages[0].content[0].type` must be a string."),
        (content("[{\"type\":\"text\",\"text\":7}]"), "`messages[0].content[0].text` must be a string."),
    ];
    for (body, expected) in cases {
        let failure = read_request(&outlined(body)).expect_err(body);
        assert_eq!((failure.cause, failure.message.as_str()), (Cause::InvalidRequest, *expected), "{body}");
        assert!(failure.metadata.is_empty());
    }
    let failure = read_request(&outlined(b"{\"a\":\"\xFF\"}")).unwrap_err();
    assert_eq!(failure.message, "The request body is not valid UTF-8 (at byte 6).");
}

#[test]
fn rewrites_only_what_the_gateway_owns() {
    let m = r#""messages":[]"#;
    let cases: &[(&str, Quirks, &str)] = &[
        // Whatever the gateway does not know keeps its bytes.
        (
            " {\"model\" : \"a/b\",\n \"seed\":1234567890123456789,\"x\":1e21,\"y\":1.0,\"z\":\"\\u00e9\\/\\ud83d\",\"b\":{\"z\":1,\"a\":2} }\n",
            ASK,
            " {\"model\" : \"up\\\"stream\",\n \"seed\":1234567890123456789,\"x\":1e21,\"y\":1.0,\"z\":\"\\u00e9\\/\\ud83d\",\"b\":{\"z\":1,\"a\":2} }\n",
        ),
        // A model that only `models` names is named to the provider.
        (r#"{"models":["a/b"],M}"#, ASK, r#"{M,"model":"up\"stream"}"#),
        // The gateway's own members.
        (
            r#"{"model":"m","route":"fallback","provider":{},"usage":{"include":true},"transforms":[],"plugins":[],"preset":null,"session_id":"s","trace":{},"debug":{},"include_reasoning":true,M,"user":"u","metadata":{}}"#,
            ASK,
            r#"{"model":"up\"stream",M,"user":"u","metadata":{}}"#,
        ),
        // Usage in streams.
        (
            r#"{"model":"m","stream":true}"#,
            ASK,
            r#"{"model":"up\"stream","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":false,"include_obfuscation":false}}"#,
            ASK,
            r#"{"model":"up\"stream","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":null}"#,
            ASK,
            r#"{"model":"up\"stream","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#,
            ALWAYS,
            r#"{"model":"up\"stream","stream":true}"#,
        ),
        (
            r#"{"model":"m","stream":false,"stream_options":{}}"#,
            ASK,
            r#"{"model":"up\"stream","stream":false}"#,
        ),
        // The limit's name.
        (r#"{"model":"m","max_tokens":5}"#, ASK, r#"{"model":"up\"stream","max_tokens":5}"#),
        (r#"{"model":"m","max_tokens" : 5}"#, OLD_NAME, r#"{"model":"up\"stream","max_tokens" : 5}"#),
        (r#"{"model":"m","max_tokens":5}"#, NEW_NAME, r#"{"model":"up\"stream","max_completion_tokens":5}"#),
        (r#"{"max_completion_tokens":5,"model":"m"}"#, OLD_NAME, r#"{"max_tokens":5,"model":"up\"stream"}"#),
        (
            r#"{"max_completion_tokens":5,"model":"m","max_tokens":4}"#,
            OLD_NAME,
            r#"{"model":"up\"stream","max_tokens":4}"#,
        ),
        (
            r#"{"max_completion_tokens":5,"model":"m","max_tokens":4}"#,
            NEW_NAME,
            r#"{"max_completion_tokens":4,"model":"up\"stream"}"#,
        ),
        (
            r#"{"max_completion_tokens":null,"model":"m","max_tokens":4}"#,
            OLD_NAME,
            r#"{"model":"up\"stream","max_tokens":4}"#,
        ),
        // Reasoning in OpenRouter's spelling.
        (
            r#"{"model":"m","reasoning":{"effort":"low"}}"#,
            ASK,
            r#"{"model":"up\"stream","reasoning_effort":"low"}"#,
        ),
        (
            r#"{"model":"m","reasoning":{"enabled":true}}"#,
            ASK,
            r#"{"model":"up\"stream","reasoning_effort":"medium"}"#,
        ),
        (
            r#"{"model":"m","max_tokens":8000,"reasoning":{"max_tokens":2000}}"#,
            ASK,
            r#"{"model":"up\"stream","max_tokens":8000,"reasoning_effort":"low"}"#,
        ),
        (
            r#"{"model":"m","reasoning":{"enabled":false}}"#,
            ASK,
            r#"{"model":"up\"stream","reasoning_effort":"none"}"#,
        ),
        (
            r#"{"model":"m","reasoning":{"effort":"low"},"reasoning_effort":"low"}"#,
            ASK,
            r#"{"model":"up\"stream","reasoning_effort":"low"}"#,
        ),
    ];
    for (body, quirks, expected) in cases {
        let (body, expected) = (body.replace('M', m), expected.replace('M', m));
        let target = Target { model: "up\"stream", quirks, max_output: None };
        let written = splice_request(&outlined(&body), &target).body;
        assert_eq!(String::from_utf8(written).unwrap(), expected, "{body}");
    }
}

#[test]
fn lists_have_a_greatest_length() {
    let message = r#"{"role":"user","content":"a"}"#;
    let body = format!("{{\"messages\":[{}]}}", vec![message; 65_537].join(","));
    let failure = read_request(&outlined(body)).unwrap_err();
    assert_eq!(failure.message, "`messages` has more than 65536 members or elements.");
}
