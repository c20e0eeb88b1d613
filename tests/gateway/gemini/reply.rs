//! Whole replies, reasons to finish, counts and errors, as tables.

use std::time::Duration;

use millrace::chat::conversation::{Issuer, ReasoningKind, Seal};
use millrace::chat::{Citation, Event, Facts, Finish, Quirks, ReplyFault, Usage};
use millrace::error::{Cause, Failure};
use millrace::protocol::gemini::{
    finish, read_conversation, read_error, read_whole, retry_delay, splice_whole, usage_from, write_error,
    write_whole,
};
use millrace::protocol::lane::Renamed;
use serde_json::Value;

use super::grammar::{check_error, check_whole};
use super::{bill, identity, joined};

#[test]
fn reasons_to_finish_are_told_apart() {
    let rows = [
        ("STOP", false, Finish::Stop),
        ("STOP", true, Finish::ToolCalls),
        ("MAX_TOKENS", true, Finish::Length),
        ("SAFETY", false, Finish::ContentFilter),
        ("RECITATION", false, Finish::ContentFilter),
        ("PROHIBITED_CONTENT", false, Finish::ContentFilter),
        ("IMAGE_SAFETY", false, Finish::ContentFilter),
        ("MALFORMED_FUNCTION_CALL", true, Finish::Error),
        ("TOO_MANY_TOOL_CALLS", false, Finish::Error),
        ("OTHER", false, Finish::Stop),
        ("SOMETHING_NEW", false, Finish::Stop),
    ];
    for (native, called, expected) in rows {
        assert_eq!(finish(native, called), expected, "{native}");
    }
}

#[test]
fn every_reason_has_a_word_of_googles() {
    let rows = [
        (Finish::Stop, "end_turn", "STOP"),
        (Finish::StopSequence, "stop_sequence", "STOP"),
        (Finish::ToolCalls, "tool_use", "STOP"),
        (Finish::Pause, "pause_turn", "STOP"),
        (Finish::Length, "max_tokens", "MAX_TOKENS"),
        (Finish::ContentFilter, "content_filter", "SAFETY"),
        (Finish::ContentFilter, "RECITATION", "RECITATION"),
        (Finish::Refusal, "refusal", "SAFETY"),
        (Finish::Error, "error", "OTHER"),
        (Finish::Error, "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"),
        // Not what it says it is.
        (Finish::Stop, "RECITATION", "STOP"),
    ];
    for (reason, native, expected) in rows {
        let events = [Event::Text("a".into()), Event::Finish { reason, native: native.into() }];
        let whole = write_whole(&events, &Facts::default(), &identity(), &bill(Usage::default()));
        check_whole(&whole).unwrap();
        let whole: Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(whole["candidates"][0]["finishReason"], expected, "{reason:?} {native}");
    }
}

#[test]
fn counts_become_classes_that_do_not_overlap() {
    let usage = |input, cache_read, output, reasoning| {
        Some(Usage { input, cache_read, output, reasoning, ..Usage::default() })
    };
    let rows = [
        (r#"{"promptTokenCount":9,"candidatesTokenCount":4,"totalTokenCount":13}"#, usage(9, 0, 4, 0)),
        (
            r#"{"promptTokenCount":520,"candidatesTokenCount":502,"thoughtsTokenCount":896,"totalTokenCount":1918}"#,
            usage(520, 0, 502, 896),
        ),
        (
            r#"{"promptTokenCount":9622,"cachedContentTokenCount":9609,"candidatesTokenCount":1}"#,
            usage(13, 9609, 1, 0),
        ),
        // What its tools fed the model comes on top.
        (
            r#"{"promptTokenCount":10,"toolUsePromptTokenCount":5,"candidatesTokenCount":1,"totalTokenCount":16}"#,
            usage(15, 0, 1, 0),
        ),
        // Thoughts that show in the total only.
        (r#"{"promptTokenCount":10,"candidatesTokenCount":1,"totalTokenCount":18}"#, usage(10, 0, 1, 7)),
        (r#"{"promptTokenCount":10,"thoughtsTokenCount":3,"totalTokenCount":13}"#, usage(10, 0, 0, 3)),
        (r#"{"promptTokenCount":3,"cachedContentTokenCount":50}"#, usage(0, 3, 0, 0)),
        (r#"{"promptTokenCount":-4,"candidatesTokenCount":1e300}"#, usage(0, 0, u64::MAX, 0)),
        (r#"{"promptTokenCount":"7","candidatesTokenCount":null}"#, usage(7, 0, 0, 0)),
        (r#"{"trafficType":"ON_DEMAND"}"#, None),
        ("[]", None),
    ];
    for (raw, expected) in rows {
        assert_eq!(usage_from(raw), expected, "{raw}");
    }
    let sound = usage_from(concat!(
        r#"{"promptTokenCount":100,"cachedContentTokenCount":20,"candidatesTokenCount":30,"#,
        r#""promptTokensDetails":[{"modality":"TEXT","tokenCount":40},{"modality":"AUDIO","tokenCount":60}],"#,
        r#""cacheTokensDetails":[{"modality":"AUDIO","tokenCount":20}],"#,
        r#""candidatesTokensDetails":[{"modality":"IMAGE","tokenCount":25},{"modality":"TEXT","tokenCount":5}]}"#,
    ));
    let expected =
        Usage { input: 40, cache_read: 20, input_audio: 40, output: 5, output_image: 25, ..Usage::default() };
    assert_eq!(sound, Some(expected));
}

#[test]
fn counts_that_are_written_read_the_same() {
    let usage = Usage {
        input: 1,
        cache_read: 20,
        input_audio: 300,
        output: 4000,
        reasoning: 50_000,
        output_audio: 600_000,
        output_image: 7_000_000,
        ..Usage::default()
    };
    let events = [Event::Finish { reason: Finish::Stop, native: "stop".into() }];
    let whole = write_whole(&events, &Facts::default(), &identity(), &bill(usage));
    let reply = read_whole(&whole, &Quirks::NONE, &[]).unwrap();
    assert_eq!(reply.facts.usage, Some(usage));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["usageMetadata"]["is_byok"], false);
    assert_eq!(
        whole["usageMetadata"]["cost_details"]["upstream_inference_cost"].to_string(),
        "0.000123456789"
    );
    assert_eq!(
        (&whole["provider"], &whole["openrouter_metadata"]["a"]),
        (&"Some \"Provider\"".into(), &1.into())
    );
}

#[test]
fn a_reply_of_every_kind_of_part_is_read_and_written() {
    let body = concat!(
        r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},"#,
        r#"{"text":"Zö","thoughtSignature":"c2ln"},{"functionCall":{"name":"f","args":{"n":1.50, "s":"a b"}},"#,
        r#""thoughtSignature":"Y2FsbA=="},{"functionCall":{"id":"x1","name":"g"}},"#,
        r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]},"finishReason":"STOP","index":0,"#,
        r#""groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://a.example","title":"A"}}],"#,
        r#""groundingSupports":[{"segment":{"endIndex":3,"text":"Zö"},"groundingChunkIndices":[0,9]}]}}],"#,
        r#""usageMetadata":{"promptTokenCount":1},"responseId":"r-1"}"#,
    );
    let seal = |data: &str| Seal { issuer: Issuer::Gemini, data: data.into(), id: None };
    let call = |call, id: &str, name: &str, seal| Event::ToolCall {
        call,
        id: id.into(),
        name: name.into(),
        custom: false,
        seal,
    };
    let arguments = |call, text: &str| Event::Arguments { call, text: text.into() };
    let expected = vec![
        Event::Reasoning { text: "hm".into(), kind: ReasoningKind::Summary },
        Event::Text("Zö".into()),
        Event::Seal { seal: seal("c2ln"), hidden: true },
        call(0, "call_gm_r-1_0", "f", Some(seal("Y2FsbA=="))),
        arguments(0, r#"{"n":1.50,"s":"a b"}"#),
        Event::ToolCallEnd { call: 0 },
        call(1, "x1", "g", None),
        arguments(1, "{}"),
        Event::ToolCallEnd { call: 1 },
        Event::Image { url: "data:image/png;base64,AAAA".into() },
        Event::Citation(Citation {
            url: "https://a.example".into(),
            title: Some("A".into()),
            content: None,
            start: Some(0),
            end: Some(2),
        }),
        Event::Finish { reason: Finish::ToolCalls, native: "STOP".into() },
    ];
    let reply = read_whole(body.as_bytes(), &Quirks::NONE, &[]).unwrap();
    assert_eq!(reply.events, expected);
    assert_eq!(reply.facts.finish_reason, Some("tool_calls"));
    let written = write_whole(&reply.events, &reply.facts, &identity(), &bill(Usage::default()));
    check_whole(&written).unwrap();
    assert_eq!(joined(&read_whole(&written, &Quirks::NONE, &[]).unwrap().events), expected);
}

#[test]
fn names_and_free_text_come_back_as_the_client_knows_them() {
    let body = concat!(
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"_s","args":{"input":"a\nb"}}}]},"#,
        r#""finishReason":"STOP"}]}"#,
    );
    let names = [Renamed { sent: "_s".into(), own: "my tool".into(), custom: true }];
    let reply = read_whole(body.as_bytes(), &Quirks::NONE, &names).unwrap();
    let Event::ToolCall { name, custom, .. } = &reply.events[0] else { panic!("{:?}", reply.events) };
    assert_eq!((name.as_str(), *custom), ("my tool", true));
    assert_eq!(reply.events[1], Event::Arguments { call: 0, text: "a\nb".into() });
}

#[test]
fn a_seal_of_another_issuer_survives_the_client() {
    let foreign = Seal { issuer: Issuer::Anthropic, data: "EqQB+/=".into(), id: Some("rs_1".into()) };
    let events = [
        Event::Reasoning { text: "hm".into(), kind: ReasoningKind::Full },
        Event::Seal { seal: foreign.clone(), hidden: false },
        Event::Seal { seal: foreign.clone(), hidden: true },
        Event::Text("a".into()),
        Event::Finish { reason: Finish::Stop, native: String::new() },
    ];
    let whole = write_whole(&events, &Facts::default(), &identity(), &bill(Usage::default()));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    // Google's SDKs change the alphabet on the way.
    let content = whole["candidates"][0]["content"].to_string().replace('+', "-").replace('/', "_");
    let body = format!("{{\"contents\":[{{\"role\":\"user\",\"parts\":[{{\"text\":\"q\"}}]}},{content}]}}");
    let conversation = read_conversation(body.as_bytes()).unwrap();
    let said = format!("{:?}", conversation.turns[1].parts);
    assert_eq!(said.matches(&format!("{foreign:?}")).count(), 2, "{said}");
}

#[test]
fn a_body_that_is_no_reply_says_why() {
    let block = br#"{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}"#;
    let reply = read_whole(block, &Quirks::NONE, &[]).unwrap();
    let expected = [Event::Finish { reason: Finish::ContentFilter, native: "SAFETY".into() }];
    assert_eq!((reply.events.as_slice(), reply.facts.usage.unwrap().input), (&expected[..], 4));
    let fault = |body: &str| read_whole(body.as_bytes(), &Quirks::NONE, &[]).unwrap_err();
    let ReplyFault::Error(other) = fault(r#"{"candidates":[{"finishReason":"OTHER","finishMessage":"Oh"}]}"#)
    else {
        panic!()
    };
    assert_eq!((other.message.as_str(), other.code.as_deref()), ("Oh", Some("OTHER")));
    assert!(matches!(fault(r#"{"candidates":[]}"#), ReplyFault::Empty));
    assert!(matches!(fault("<html>"), ReplyFault::NotJson(_)));
    assert!(matches!(fault(r#"[{"error":{"code":503,"message":"m"}}]"#), ReplyFault::Error(_)));
    // Thinking may use up the limit.
    let cut = read_whole(br#"{"candidates":[{"finishReason":"MAX_TOKENS"}]}"#, &Quirks::NONE, &[]).unwrap();
    assert_eq!(cut.facts.finish_reason, Some("length"));
}

#[test]
fn errors_of_google_are_classed() {
    let rows = [
        (
            concat!(
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","#,
                r#""details":[{"reason":"API_KEY_INVALID"}]}}"#
            ),
            Some(401),
            Some("API_KEY_INVALID"),
        ),
        (
            r#"[{"error":{"code":400,"message":"API key expired. Please renew.","status":"INVALID_ARGUMENT"}}]"#,
            Some(401),
            Some("API_KEY_INVALID"),
        ),
        (
            r#"{"error":{"code":400,"message":"Bad","status":"INVALID_ARGUMENT"}}"#,
            Some(400),
            Some("INVALID_ARGUMENT"),
        ),
        (
            r#"{"error":{"code":429,"message":"Slow","status":"RESOURCE_EXHAUSTED"}}"#,
            Some(429),
            Some("RESOURCE_EXHAUSTED"),
        ),
        (r#"{"error":"text"}"#, None, None),
        ("<html>", None, None),
    ];
    for (body, status, code) in rows {
        let fault = read_error(body.as_bytes());
        assert_eq!((fault.status, fault.code.as_deref()), (status, code), "{body}");
    }
    let delay = |text: &str| {
        let body = format!(r#"{{"error":{{"code":429,"details":[{{"retryDelay":"{text}"}}]}}}}"#);
        retry_delay(body.as_bytes())
    };
    assert_eq!(delay("34.4s"), Some(Duration::from_millis(34_400)));
    assert_eq!((delay("-1s"), delay("soon"), delay("1e400s")), (None, None, None));
}

#[test]
fn failures_are_worded_as_google_words_them() {
    let failure = Failure::new(Cause::RateLimited, "Too \"many\".").retry_after(7).with("provider_name", "P");
    let body = write_error(&failure, Some("gen-1"));
    let body: Value = serde_json::from_slice(&body).unwrap();
    check_error(&body).unwrap();
    let error = &body["error"];
    assert_eq!((&error["code"], &error["status"]), (&429.into(), &"RESOURCE_EXHAUSTED".into()));
    assert_eq!(error["details"][0]["reason"], "RATE_LIMIT_EXCEEDED");
    assert_eq!(error["details"][0]["metadata"]["generation_id"], "gen-1");
    assert_eq!(error["details"][1]["retryDelay"], "7s");
    assert_eq!(retry_delay(body.to_string().as_bytes()), Some(Duration::from_secs(7)));
}

#[test]
fn a_spliced_reply_keeps_its_bytes() {
    let body = concat!(
        "{ \"candidates\" : [ {\"x\": 1.0} ],\n \"usageMetadata\": {\"promptTokenCount\": 01e0, \"new\": 1},",
        " \"modelVersion\": \"m\" }"
    )
    .replace("01e0", "1");
    let out = splice_whole(body.as_bytes(), &identity(), &bill(Usage::default()));
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("{ \"candidates\" : [ {\"x\": 1.0} ],\n"), "{out}");
    assert!(out.contains("\"promptTokenCount\": 1, \"new\": 1,\"cost\":0.000123456789"), "{out}");
    assert!(out.contains("\"modelVersion\": \"author/model\""), "{out}");
    assert!(out.contains("\"responseId\":\"gen-1-abc\""), "{out}");
}
