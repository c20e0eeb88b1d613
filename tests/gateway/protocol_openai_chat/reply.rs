//! Whole replies, errors and reasons to finish.

use super::*;

#[test]
fn splices_a_whole_reply() {
    let body = "\n         \n{\"id\":\"x\",\"object\":\"o\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"h\\u00e9\",\"reasoning_content\":\"r\",\"tool_calls\":null,\"audio\":null,\"annotations\":[]},\"finish_reason\":\"eos\",\"x\":1.0}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2},\"y\":1e21}";
    let reply = read_reply(body.as_bytes(), &ASK).unwrap();
    assert_eq!((reply.facts.output_bytes, reply.facts.upstream_id.as_deref()), (4, Some("x")));
    let written = String::from_utf8(reply.write(&identity(), &bill())).unwrap();
    let expected = "{\"id\":\"gen-1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"a/b\",\"provider\":\"P\",\"system_fingerprint\":null,\"y\":1e21,\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"h\\u00e9\",\"reasoning\":\"r\",\"refusal\":null,\"annotations\":[]},\"finish_reason\":\"stop\",\"native_finish_reason\":\"eos\",\"logprobs\":null,\"x\":1.0}],\"usage\":{\"prompt_tokens\":1,";
    assert!(written.starts_with(expected), "{written}");
}

#[test]
fn a_body_that_is_no_reply_is_told_apart() {
    let error = |status, code: &str, message: &str| {
        let code = (!code.is_empty()).then(|| code.to_owned());
        Some((status, code, message.to_owned()))
    };
    type Told = Option<(Option<u16>, Option<String>, String)>;
    let cases: &[(&str, Told)] = &[
        ("{\"error\":{\"code\":429,\"message\":\"m\"}}", error(Some(429), "", "m")),
        (" \n[{\"error\":{\"code\":404,\"message\":\"m\"}}]", error(Some(404), "", "m")),
        ("{\"detail\":\"m\"}", error(None, "", "m")),
        ("{\"object\":\"error\",\"message\":\"m\",\"code\":\"3051\"}", error(None, "3051", "m")),
        (
            "{\"choices\":[{\"message\":{\"content\":null},\"finish_reason\":\"error\",\"error\":{\"code\":502,\"message\":\"m\"}}]}",
            error(Some(502), "", "m"),
        ),
        ("{}", None),
        ("{\"choices\":[]}", None),
        ("{\"choices\":[{\"message\":{\"content\":\"\"}}]}", None),
    ];
    for (body, expected) in cases {
        let found = match read_reply(body.as_bytes(), &ASK).expect_err(body) {
            ReplyFault::Error(Fault { status, code, message, .. }) => Some((status, code, message)),
            ReplyFault::Empty => None,
            ReplyFault::Truncated(fault) => panic!("{body}: {fault:?}"),
            ReplyFault::NotJson(why) => panic!("{body}: {why}"),
        };
        assert_eq!(found, *expected, "{body}");
    }
    for body in ["", "<html>", "{\"choices\":", "7"] {
        assert!(matches!(read_reply(body.as_bytes(), &ASK), Err(ReplyFault::NotJson(_))), "{body}");
    }
    for body in [
        "{\"choices\":[{\"message\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}",
        "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"a\"},\"finish_reason\":\"error\"}]}",
        "{\"choices\":[{\"finish_reason\":\"content_filter\"}],\"error\":null}",
    ] {
        assert!(read_reply(body.as_bytes(), &ASK).is_ok(), "{body}");
    }
}

#[test]
fn the_error_envelope_always_has_a_type() {
    let failure = Failure::invalid("a \"b\"").with("limit_source", "x");
    let expected = r#"{"error":{"code":400,"message":"a \"b\"","metadata":{"error_type":"invalid_request","limit_source":"x"}}}"#;
    let written: Value = serde_json::from_slice(&write_error(&failure)).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(expected).unwrap());
}

#[test]
fn reasons_to_finish_have_five_names() {
    for (native, expected) in [
        ("stop", "stop"),
        ("eos", "stop"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("length", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("whatever", "stop"),
    ] {
        assert_eq!(finish_reason(native), expected, "{native}");
    }
}
