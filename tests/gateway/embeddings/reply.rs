//! Replies: vectors kept or converted, usage, and what is no reply.

use super::request::any_value;
use super::*;

const NONE: Quirks = Quirks::NONE;

#[test]
fn vectors_in_the_wanted_encoding_keep_their_bytes() {
    let cases = [("float", "[-0.50,1e-3,1.0000000000000000001]"), ("base64", r#""AAAAPwAAgL8=""#)];
    for (encoding, vector) in cases {
        let body =
            format!(r#"{{"data":[{{"embedding":{vector},"index":0}}],"usage":{{"prompt_tokens":3}}}}"#);
        let request = asked(1, encoding);
        let reply = read_reply(body.as_bytes(), &request, Dialect::OpenAi, &NONE).expect("good");
        let out = written(&reply);
        grammar::check_whole(&out, encoding == "base64", 1).expect(encoding);
        assert!(String::from_utf8_lossy(&out).contains(&format!("\"embedding\":{vector},")), "{encoding}");
    }
}

#[test]
fn the_reply_has_openrouters_shape() {
    let body = br#"{"object":"list","data":[{"embedding":[1],"index":0,"object":"embedding"}],"model":"up","usage":{"prompt_tokens":7,"total_tokens":7}}"#;
    let reply = read_reply(body, &asked(1, "float"), Dialect::OpenAi, &NONE).expect("good");
    let expected = r#"{"object":"list","data":[{"object":"embedding","embedding":[1],"index":0}],"model":"a/b","usage":{"prompt_tokens":7,"total_tokens":7,"cost":0.00000014,"is_byok":false,"cost_details":{"upstream_inference_cost":0.00000014,"upstream_inference_prompt_cost":0.00000014,"upstream_inference_completions_cost":0}},"provider":"P \"Q\"","id":"gen-emb-1-abc"}"#;
    assert_eq!(String::from_utf8(written(&reply)).expect("text"), expected);
    let mut bill = bill(Usage { input: u64::MAX, ..Usage::default() });
    bill.metadata = Some("{\"a\":1}".to_owned());
    let out = write_reply(&reply, &identity(), &bill);
    let out: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!(out["openrouter_metadata"]["a"], 1);
    assert_eq!(out["usage"]["prompt_tokens"], 9_007_199_254_740_991_u64);
}

#[test]
fn vectors_come_in_the_order_of_the_inputs() {
    let body = br#"{"data":[{"embedding":[2],"index":1},{"embedding":[1],"index":0}]}"#;
    let reply = read_reply(body, &asked(2, "float"), Dialect::OpenAi, &NONE).expect("good");
    assert_eq!(vectors(&written(&reply)), [[1.0], [2.0]]);
    assert_eq!((reply.count, reply.dimensions, reply.facts.usage), (2, 1, None));
}

#[test]
fn what_is_no_reply_is_found_out() {
    let cases = [
        (r#"{"data":[]}"#, "Empty"),
        (r#"{"object":"list"}"#, "Empty"),
        (r#"{"error":{"message":"m"}}"#, "m"),
        (r#"{"detail":"m"}"#, "m"),
        (
            r#"{"data":[{"embedding":[1],"index":0},{"embedding":[1],"index":1}]}"#,
            "2 embeddings for 1 inputs",
        ),
        (r#"{"data":[{"embedding":[1],"index":5}]}"#, "no list of numbers"),
        (r#"{"data":[{"embedding":[[1,2],[3,4]],"index":0}]}"#, "no list of numbers"),
        (r#"{"data":[{"embedding":[1,null],"index":0}]}"#, "no list of numbers"),
        (r#"{"data":[{"embedding":[],"index":0}]}"#, "no list of numbers"),
        (r#"{"data":[{"embedding":{},"index":0}]}"#, "no list of numbers"),
        (r#"{"data":[{"index":0}]}"#, "no list of numbers"),
        (r#"{"data":[{"embedding":"","index":0}]}"#, "without numbers"),
        (r#"{"data":[{"embedding":"AAA!","index":0}]}"#, "not base64"),
        (r#"{"data":[{"embedding":"AAAA","index":0}]}"#, "ends within a number"),
        // Not a number at all.
        (r#"{"data":[{"embedding":"AADAfw==","index":0}]}"#, "a number that is none"),
        ("[]", "NotJson"),
        ("<html>", "NotJson"),
        ("", "NotJson"),
    ];
    for (body, words) in cases {
        let fault = read_reply(body.as_bytes(), &asked(1, "float"), Dialect::OpenAi, &NONE).expect_err(body);
        assert!(format!("{fault:?}").contains(words), "{body}: {fault:?}");
    }
}

#[test]
fn usage_is_read_however_it_is_told() {
    let cases = [
        (r#"{"prompt_tokens":7,"total_tokens":7}"#, Some((7, 0)), None),
        // Voyage.
        (r#"{"total_tokens":3}"#, Some((3, 0)), None),
        (
            r#"{"prompt_tokens":10,"prompt_tokens_details":{"audio_tokens":4,"text_tokens":6}}"#,
            Some((6, 4)),
            Some(json!({"audio_tokens":4,"text_tokens":6})),
        ),
        (r#"{"prompt_tokens":10,"prompt_tokens_details":{"audio_tokens":99}}"#, Some((0, 10)), None),
        (r#"{"prompt_tokens":1e40}"#, Some((u64::MAX, 0)), None),
        (r#"{"prompt_tokens":-4}"#, Some((0, 0)), None),
        (r#"{"prompt_tokens":"7"}"#, None, None),
        ("null", None, None),
    ];
    for (usage, expected, details) in cases {
        let body = format!(r#"{{"data":[{{"embedding":[1]}}],"usage":{usage}}}"#);
        let reply = read_reply(body.as_bytes(), &asked(1, "float"), Dialect::OpenAi, &NONE).expect(usage);
        assert_eq!(reply.facts.usage.map(|it| (it.input, it.input_audio)), expected, "{usage}");
        let out: Value = serde_json::from_slice(&written(&reply)).expect("JSON");
        assert_eq!(out["usage"].get("prompt_tokens_details").cloned(), details, "{usage}");
    }
}

#[test]
fn wide_floats_and_bytes_are_brought_to_size() {
    let numbers: Vec<f32> = (1..12).map(|number| number as f32 * -0.3).collect();
    let wide: Vec<u8> = numbers.iter().flat_map(|number| f64::from(*number).to_le_bytes()).collect();
    let cases = [
        (Dialect::Compatible, wide, numbers),
        (Dialect::Perplexity, vec![0, 1, 127, 128, 255], vec![0.0, 1.0, 127.0, -128.0, -1.0]),
        // Zeros could be either: they stay as they are.
        (Dialect::Compatible, vec![0; 96], vec![0.0; 24]),
    ];
    for (dialect, bytes, expected) in cases {
        let body = json!({"data": [{"embedding": pack(&bytes)}]}).to_string();
        for encoding in ["float", "base64"] {
            let reply = read_reply(body.as_bytes(), &asked(1, encoding), dialect, &NONE).expect("good");
            assert_eq!(vectors(&written(&reply))[0], expected, "{dialect:?} as {encoding}");
        }
    }
}

/// Base64 bit by bit, unlike the code under test.
fn pack(bytes: &[u8]) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter =
        |six: &[u8]| alphabet[six.iter().chain(&[0; 6]).take(6).fold(0, |sum, bit| sum << 1 | *bit as usize)];
    let text: String = bits.chunks(6).map(letter).collect();
    format!("{text}{}", "=".repeat((4 - text.len() % 4) % 4))
}

#[test]
fn a_cost_counts_where_it_may_be_trusted() {
    let body = br#"{"data":[{"embedding":[1]}],"usage":{"prompt_tokens":7,"cost":1.4e-7}}"#;
    let cost =
        |quirks| read_reply(body, &asked(1, "float"), Dialect::Compatible, quirks).expect("good").facts.cost;
    assert_eq!(cost(&TRUSTED), Some(Money::from_pico(140_000)));
    assert_eq!(cost(&NONE), None);
}

#[test]
fn gemini_counts_by_modality() {
    let body = br#"{"embeddings":[{"values":[1]}],"usageMetadata":{"promptTokenCount":261,"promptTokenDetails":[{"modality":"IMAGE","tokenCount":200},{"modality":"AUDIO","tokenCount":58},{"modality":"TEXT","tokenCount":3},{"modality":"NEW","tokenCount":1}]}}"#;
    let reply = gemini::read_reply(body, &asked(1, "float")).expect("good");
    assert_eq!(reply.facts.usage, Some(Usage { input: 203, input_audio: 58, ..Usage::default() }));
    let out: Value = serde_json::from_slice(&written(&reply)).expect("JSON");
    assert_eq!(
        out["usage"]["prompt_tokens_details"],
        json!({"image_tokens":200,"audio_tokens":58,"text_tokens":3})
    );
    assert_eq!(out["usage"]["prompt_tokens"], 261);
    let one = gemini::read_reply(br#"{"embedding":{"values":[1,2]}}"#, &asked(1, "base64")).expect("good");
    assert_eq!((vectors(&written(&one)), one.facts.usage), (vec![vec![1.0, 2.0]], None));
}

#[test]
fn cohere_sends_vectors_by_type_or_plain() {
    for embeddings in [r#"{"float":[[1],[2]]}"#, "[[1],[2]]"] {
        let body = format!(
            r#"{{"id":"i","embeddings":{embeddings},"meta":{{"billed_units":{{"input_tokens":7,"image_tokens":2}}}}}}"#
        );
        let reply = cohere::read_reply(body.as_bytes(), &asked(2, "float")).expect("good");
        assert_eq!(vectors(&written(&reply)), [[1.0], [2.0]]);
        assert_eq!(reply.facts.usage.map(|usage| usage.input), Some(9));
        assert_eq!(reply.facts.upstream_id.as_deref(), Some("i"));
    }
}

#[test]
fn errors_are_read_in_every_shape() {
    let cases = [
        (r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#, None, Some("c"), "m"),
        (r#"{"id":"x","message":"m"}"#, None, None, "m"),
        (r#"{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}"#, Some(404), Some("NOT_FOUND"), "m"),
        (r#"[{"error":{"code":404,"message":"m","status":"NOT_FOUND"}}]"#, Some(404), Some("NOT_FOUND"), "m"),
        (r#"{"detail":"m"}"#, None, None, "m"),
        (r#"{"error":"m"}"#, None, None, "m"),
        (
            r#"{"object":"error","message":"m","code":"3210","raw_status_code":400}"#,
            Some(400),
            Some("3210"),
            "m",
        ),
        ("busy", None, None, ""),
    ];
    for (body, status, code, message) in cases {
        let error = read_error(body.as_bytes());
        assert_eq!(
            (error.status, error.code.as_deref(), error.message.as_str()),
            (status, code, message),
            "{body}"
        );
        assert_eq!(error.raw, body);
    }
}

#[test]
fn failures_have_openrouters_envelope() {
    let out = write_error(&Failure::invalid("no").with("provider_name", "P"));
    let expected = json!({"error": {"code": 400, "message": "no", "metadata": {"error_type": "invalid_request", "provider_name": "P"}}});
    assert_eq!(serde_json::from_slice::<Value>(&out).expect("JSON"), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn numbers_survive_the_way_there_and_back(numbers in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO, 1..70)) {
        let digits: Vec<String> = numbers.iter().map(|number| format!("{number:e}")).collect();
        let body = format!("{{\"data\":[{{\"embedding\":[ {} ]}}]}}", digits.join(" ,\n"));
        let packed = read_reply(body.as_bytes(), &asked(1, "base64"), Dialect::OpenAi, &NONE).expect("good");
        let packed = written(&packed);
        grammar::check_whole(&packed, true, 1).expect("whole");
        prop_assert_eq!(&vectors(&packed)[0], &numbers);
        let plain = read_reply(&packed, &asked(1, "float"), Dialect::OpenAi, &NONE).expect("good");
        let plain = written(&plain);
        grammar::check_whole(&plain, false, 1).expect("whole");
        prop_assert_eq!(&vectors(&plain)[0], &numbers);
    }

    #[test]
    fn anything_is_a_reply_or_a_fault(reply in any_value(), count in 1_usize..4, base64 in any::<bool>()) {
        let request = asked(count, if base64 { "base64" } else { "float" });
        let bodies = [json!({"data": reply}), json!({"embeddings": reply}), json!({"data": [reply]}), reply];
        for body in bodies.map(|body| body.to_string().into_bytes()) {
            let replies = [
                read_reply(&body, &request, Dialect::OpenAi, &TRUSTED),
                read_reply(&body, &request, Dialect::Perplexity, &TRUSTED),
                gemini::read_reply(&body, &request),
                cohere::read_reply(&body, &request),
            ];
            for reply in replies.into_iter().flatten() {
                prop_assert_eq!(grammar::check_whole(&written(&reply), base64, count), Ok(()));
            }
        }
    }

    #[test]
    fn any_bytes_are_read(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read_reply(&body, &asked(1, "float"), Dialect::OpenAi, &NONE);
        let _ = read_request(&body);
        read_error(&body);
    }
}
