//! Requests: what is read of them, what is refused, and what providers get.

use super::*;
use crate::outlined;

#[test]
fn reads_what_routing_needs() {
    let body = r#"{"model":"m","models":["n"],"prompt":["a","b"],"n":2,"best_of":3,"max_tokens":9,"max_completion_tokens":8,"stream":true,"temperature":0.5,"user":"u","session_id":"s","provider":{"sort":"price"}}"#;
    let request = read_request(&outlined(body)).expect("good");
    assert_eq!(request.candidates(), ["m", "n"]);
    assert!(request.stream && request.max_tokens == Some(8));
    assert_eq!((request.size.choices, request.size.max_tokens), (6, Some(8)));
    assert_eq!(request.size.text_bytes, body.len() as u64);
    assert_eq!(request.needs.parameters, ["temperature", "max_tokens"]);
    assert_eq!((request.user.as_deref(), request.session_id.as_deref()), (Some("u"), Some("s")));
    assert_eq!(request.provider.as_deref(), Some(r#"{"sort":"price"}"#));
    let choices = [("\"\"", 1), ("\"a\"", 1), ("[\"a\"]", 1), ("[1,2,3]", 1), ("[[1],[2,3],[]]", 3)];
    for (prompt, count) in choices {
        let request = read_request(&outlined(format!("{{\"prompt\":{prompt}}}"))).expect(prompt);
        assert_eq!((request.size.choices, request.model), (count, None), "{prompt}");
    }
}

#[test]
fn refuses_what_is_wrong_by_name() {
    let cases = [
        (r#"{"model":"m"}"#, "`prompt` is missing"),
        (r#"{"prompt":null}"#, "`prompt` is missing"),
        (r#"{"prompt":{"a":"SECRET"}}"#, "`prompt` must be"),
        (r#"{"prompt":[]}"#, "`prompt` must be not empty"),
        (r#"{"prompt":["SECRET",1]}"#, "`prompt[1]`"),
        (r#"{"prompt":[1,"SECRET"]}"#, "`prompt[1]`"),
        (r#"{"prompt":[[1],["SECRET"]]}"#, "`prompt[1]`"),
        (r#"{"prompt":[{"text":"SECRET"}]}"#, "`prompt[0]`"),
        (r#"{"prompt":"SECRET","messages":[]}"#, "`messages` is not supported"),
        (r#"{"prompt":"SECRET","tools":[{}]}"#, "`tools` is not supported"),
        (r#"{"prompt":"SECRET","plugins":[{}]}"#, "`plugins` is not supported"),
        (r#"{"prompt":"SECRET","route":"sort"}"#, "`route` is not supported"),
        (r#"{"prompt":"SECRET","n":0}"#, "`n`"),
        (r#"{"prompt":"SECRET","best_of":129}"#, "`best_of`"),
        (r#"{"prompt":"SECRET","max_tokens":0}"#, "`max_tokens`"),
        (r#"{"prompt":"SECRET","max_tokens":1.5}"#, "`max_tokens`"),
        (r#"{"prompt":"SECRET","stream":"yes"}"#, "`stream`"),
        (r#"{"prompt":"SECRET","provider":1}"#, "`provider`"),
        (r#"{"prompt":"SECRET","model":1}"#, "`model`"),
        (r#"{"prompt":"SECRET","prompt":"a"}"#, "`prompt` is given more than once"),
        (r#"{"prompt":"SECRET"#, "not a valid JSON object"),
    ];
    for (body, words) in cases {
        let failure = read_request(&outlined(body)).expect_err(body);
        assert_eq!(failure.cause, Cause::InvalidRequest);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
        assert!(!failure.message.contains("SECRET"), "{}", failure.message);
    }
    assert!(read_request(&outlined(br#"{"prompt":"a","echo":true,"max_tokens":0}"#)).is_ok());
}

#[test]
fn a_prompt_becomes_a_conversation() {
    let body = r#"{"model":"m","prompt":"a\u00e9","suffix":null,"echo":false,"n":1,"best_of":1,"logprobs":null,"max_tokens":9,
        "temperature":0.50,"top_p":1,"top_k":4,"min_p":1e-1,"frequency_penalty":-0,"presence_penalty":2.0,"repetition_penalty":1.1,
        "seed":12345678901234567890123,"stop":["x","y"],"user":"u","metadata":{"a":"b"},"service_tier":"flex","prompt_cache_key":"k",
        "verbosity":"low","logit_bias":{"1":2},"top_a":1,"stream":true,"stream_options":{},"provider":{},"models":[],
        "reasoning":{"effort":"high","max_tokens":5,"exclude":true,"enabled":true,"summary":"auto"}}"#;
    let read = read_conversation(&outlined(body)).expect("good");
    assert_eq!(read.turns.len(), 1);
    assert_eq!(
        (read.turns[0].role, &read.turns[0].parts[..]),
        (Role::User, &[Part::Text { text: "aé".into(), cache: None }][..])
    );
    let sampling = &read.sampling;
    let numbers = [
        (&sampling.temperature, "0.50"),
        (&sampling.top_p, "1"),
        (&sampling.top_k, "4"),
        (&sampling.min_p, "1e-1"),
        (&sampling.frequency_penalty, "-0"),
        (&sampling.presence_penalty, "2.0"),
        (&sampling.repetition_penalty, "1.1"),
        (&sampling.seed, "12345678901234567890123"),
    ];
    for (number, expected) in numbers {
        assert_eq!(number.as_deref(), Some(expected));
    }
    assert_eq!(sampling.stop, ["x", "y"]);
    assert_eq!((read.max_tokens, read.user.as_deref()), (Some(9), Some("u")));
    assert_eq!(read.metadata.as_deref(), Some(r#"{"a":"b"}"#));
    assert_eq!((read.service_tier.as_deref(), read.prompt_cache_key.as_deref()), (Some("flex"), Some("k")));
    assert_eq!(read.verbosity.as_deref(), Some("low"));
    let reasoning = read.reasoning.expect("reasoning");
    assert_eq!(
        (reasoning.effort, reasoning.max_tokens, reasoning.enabled),
        (Some(Effort::High), Some(5), Some(true))
    );
    assert!(reasoning.exclude && reasoning.summary.as_deref() == Some("auto"));
    assert_eq!(read.unspoken, ["logit_bias", "top_a"]);
}

#[test]
fn small_requests_become_conversations_too() {
    let read = read_conversation(&outlined(br#"{"prompt":["one"],"stop":"x","include_reasoning":false}"#))
        .expect("good");
    assert_eq!(read.sampling.stop, ["x"]);
    assert!(read.reasoning.expect("reasoning").exclude);
    let read = read_conversation(&outlined(br#"{"prompt":"a"}"#)).expect("good");
    assert!(read.reasoning.is_none() && read.max_tokens.is_none() && read.unspoken.is_empty());
}

#[test]
fn what_no_conversation_can_say_is_refused() {
    let cases = [
        (r#"{"prompt":"SECRET","suffix":"SECRET"}"#, "`suffix`"),
        (r#"{"prompt":"SECRET","echo":true}"#, "`echo`"),
        (r#"{"prompt":"SECRET","n":2}"#, "`n`"),
        (r#"{"prompt":"SECRET","best_of":2}"#, "`best_of`"),
        (r#"{"prompt":"SECRET","logprobs":0}"#, "`logprobs`"),
        (r#"{"prompt":"SECRET","logprobs":true}"#, "`logprobs`"),
        (r#"{"prompt":["SECRET","SECRET"]}"#, "`prompt`"),
        (r#"{"prompt":[1,2]}"#, "`prompt`"),
        (r#"{"prompt":[[1,2]]}"#, "`prompt`"),
        (r#"{"prompt":[]}"#, "`prompt`"),
        (r#"{"prompt":"SECRET","temperature":"1"}"#, "`temperature`"),
        (r#"{"prompt":"SECRET","reasoning":{"effort":"SECRET"}}"#, "`reasoning.effort`"),
        (r#"{"prompt":"SECRET","stop":1}"#, "`stop`"),
    ];
    for (body, words) in cases {
        let failure = read_conversation(&outlined(body)).expect_err(body);
        assert_eq!(failure.cause.status(), 400);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
        assert!(!failure.message.contains("SECRET"), "{}", failure.message);
    }
    // By default there is one choice, and no logprobs.
    assert!(read_conversation(&outlined(br#"{"prompt":"a","suffix":"","logprobs":false,"n":1}"#)).is_ok());
}

#[test]
fn only_the_members_of_the_gateway_change() {
    let ask = Target { model: "up/m", quirks: &Quirks::NONE, max_output: None };
    let always = Target { quirks: &ALWAYS, ..ask };
    let cases = [
        (
            &ask,
            r#"{ "model" : "m", "prompt":"\u00e9\/" , "seed":1.0}"#,
            r#"{ "model" : "up/m", "prompt":"\u00e9\/" , "seed":1.0}"#,
        ),
        (&ask, r#"{"prompt":"a"}"#, r#"{"prompt":"a","model":"up/m"}"#),
        (
            &ask,
            r#"{"model":"m","prompt":"a","stream":true}"#,
            r#"{"model":"up/m","prompt":"a","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            &ask,
            r#"{"model":"m","stream_options":{"x":1,"include_usage":false},"prompt":"a","stream":true}"#,
            r#"{"model":"up/m","stream_options":{"x":1,"include_usage":true},"prompt":"a","stream":true}"#,
        ),
        (&ask, r#"{"model":"m","prompt":"a","stream_options":{}}"#, r#"{"model":"up/m","prompt":"a"}"#),
        (
            &always,
            r#"{"model":"m","prompt":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            r#"{"model":"up/m","prompt":"a","stream":true}"#,
        ),
        (
            &ask,
            r#"{"model":"m","models":["n"],"provider":{},"session_id":"s","usage":{},"reasoning":{},"prompt":"a","suffix":"b","logprobs":5}"#,
            r#"{"model":"up/m","prompt":"a","suffix":"b","logprobs":5}"#,
        ),
        (
            &ask,
            r#"{"model":"m","prompt":"a","max_completion_tokens":5}"#,
            r#"{"model":"up/m","prompt":"a","max_tokens":5}"#,
        ),
        (
            &ask,
            r#"{"model":"m","prompt":"a","max_tokens":9,"max_completion_tokens":5}"#,
            r#"{"model":"up/m","prompt":"a","max_tokens":5}"#,
        ),
        (
            &ask,
            r#"{"model":"m","prompt":"a","max_tokens":null,"max_completion_tokens":5}"#,
            r#"{"model":"up/m","prompt":"a","max_tokens":5}"#,
        ),
    ];
    for (target, body, expected) in cases {
        read_request(&outlined(body)).expect(body);
        let out = splice_request(&outlined(body), target).body;
        assert_eq!(String::from_utf8_lossy(&out), expected);
        grammar::check_request(&out).expect(expected);
    }
}

#[test]
fn what_no_one_heeds_is_named() {
    let plain = Target { model: "up/m", quirks: &Quirks::NONE, max_output: None };
    let always = Quirks { stream_usage: StreamUsage::Always, ..Quirks::NONE };
    let always = Target { quirks: &always, ..plain };
    let rows: &[(&Target<'_>, &str, &[&str])] = &[
        (&plain, r#""user":"u","session_id":"s","usage":{"include":true},"trace":{}"#, &[]),
        (
            &plain,
            r#""reasoning":{"effort":"low"}"#,
            &["reasoning: completions are text from the first token on"],
        ),
        (
            &plain,
            r#""trace":{"trace_id":"t"},"debug":{"a":1}"#,
            &["trace: the gateway hands on no traces", "debug: not done by this gateway"],
        ),
        (&plain, r#""stream":true,"stream_options":{"include_obfuscation":true}"#, &[]),
        (
            &always,
            r#""stream":true,"stream_options":{"include_obfuscation":true}"#,
            &["stream_options.include_obfuscation: not taken by this provider"],
        ),
    ];
    for (target, members, expected) in rows {
        let body = format!(r#"{{"model":"m","prompt":"a",{members}}}"#);
        assert_eq!(splice_request(&outlined(body), target).losses, *expected, "{members}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = (read_request(&outlined(&body)), read_conversation(&outlined(&body)), read_whole(&body, &Quirks::NONE));
        read_error(&body);
    }

    #[test]
    fn unknown_members_go_through(key in "[a-l]{1,4}_[xé]", value in prop::sample::select(&["1e21", "12345678901234567890123", "\"\\ud800\"", "[ ]", "{\"b\":1,\"b\":2}"][..])) {
        let text = |model: &str| format!("{{\"{key}\" : {value},\"model\":\"{model}\",\"prompt\":\"a\"}}");
        let target = Target { model: "up/m", quirks: &Quirks::NONE, max_output: None };
        prop_assert!(read_request(&outlined(text("m"))).is_ok());
        prop_assert_eq!(String::from_utf8(splice_request(&outlined(text("m")), &target).body).expect("text"), text("up/m"));
        prop_assert_eq!(read_conversation(&outlined(text("m"))).expect("good").unspoken, [key]);
    }
}
