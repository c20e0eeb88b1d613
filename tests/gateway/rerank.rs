//! Rerank: requests read and written for each upstream, replies brought into one shape. There are
//! no recordings of it: the samples follow the vendors' documentation.

mod grammar;

use crate::bill::for_prompt;
use millrace::chat::{Identity, ReplyFault, Usage};
use millrace::error::Failure;
use millrace::money::Money;
use millrace::protocol::lane::Target;
use millrace::protocol::rerank::{
    Dialect, RerankReply, RerankRequest, read_error, read_reply, read_request, write_error, write_reply,
    write_request,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const TARGET: Target<'static> =
    Target { model: "up/m", quirks: &millrace::chat::Quirks::NONE, max_output: None };
const BODY: &str = r#"{"model":"m","query":"q","documents":["a\u00e9",{"text":"b"},"c"],"top_n":2}"#;

#[test]
fn reads_requests() {
    let request = read(BODY).expect("good");
    assert_eq!((request.model.as_str(), request.count, request.top_n), ("m", 3, Some(2)));
    assert!(request.return_documents && !request.needs.images);
    assert_eq!(request.size.text_bytes, BODY.len() as u64);
    let image = r#"{"model":"m","query":"q","documents":[{"image":"data:image/png;base64,AA=="},{"image":"https://x","text":"t"}],"return_documents":false,"provider":{"only":["x"]}}"#;
    let request = read(image).expect("good");
    assert!(request.needs.images && !request.return_documents);
    assert_eq!((request.size.images, request.size.inline_bytes), (2, 26));
    assert_eq!(request.provider.as_deref(), Some(r#"{"only":["x"]}"#));
    let routed = request.routed();
    assert_eq!(
        (routed.candidates(), routed.provider, routed.needs),
        (vec!["m".to_owned()], request.provider, request.needs)
    );
}

#[test]
fn refuses_what_is_wrong_by_name() {
    let cases = [
        (r#"{"query":"SECRET","documents":["a"]}"#, "`model` is missing"),
        (r#"{"model":"m","documents":["SECRET"]}"#, "`query` is missing"),
        (r#"{"model":"m","query":["SECRET"],"documents":["SECRET"]}"#, "`query` must be a string"),
        (r#"{"model":"m","query":"SECRET"}"#, "`documents` is missing"),
        (r#"{"model":"m","query":"SECRET","documents":"SECRET"}"#, "`documents` must be"),
        (r#"{"model":"m","query":"SECRET","documents":[]}"#, "`documents` must be not empty"),
        (r#"{"model":"m","query":"q","documents":["SECRET",7]}"#, "`documents[1]`"),
        (r#"{"model":"m","query":"q","documents":["SECRET",{}]}"#, "`documents[1]`"),
        (r#"{"model":"m","query":"q","documents":[{"text":["SECRET"]}]}"#, "`documents[0].text`"),
        (r#"{"model":"m","query":"q","documents":["a"],"top_n":0}"#, "`top_n`"),
        (r#"{"model":"m","query":"q","documents":["a"],"top_k":1}"#, "`top_k`"),
        (r#"{"model":"m","query":"q","documents":["a"],"return_documents":1}"#, "`return_documents`"),
        (r#"{"model":"m","query":"q","documents":["a"],"stream":true}"#, "`stream`"),
        (
            r#"{"model":"m","query":"q","query":"SECRET","documents":["a"]}"#,
            "`query` is given more than once",
        ),
        ("[]", "not a valid JSON object"),
    ];
    for (body, words) in cases {
        let failure = read(body).expect_err(body);
        assert_eq!(failure.cause.status(), 400);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
        assert!(!failure.message.contains("SECRET"), "{}", failure.message);
    }
}

#[test]
fn each_dialect_gets_its_own_spelling() {
    let cases = [
        (Dialect::Cohere, r#"{"model":"up/m","query":"q","documents":["a\u00e9","b","c"],"top_n":2}"#),
        (
            Dialect::Jina,
            r#"{"model":"up/m","query":"q","documents":["a\u00e9",{"text":"b"},"c"],"top_n":2,"return_documents":false}"#,
        ),
        (Dialect::Voyage, r#"{"model":"up/m","query":"q","documents":["a\u00e9","b","c"],"top_k":2}"#),
    ];
    let extras = BODY.replacen('{', r#"{"provider":{},"return_documents":true,"session_id":"s","#, 1);
    for (dialect, expected) in cases {
        for body in [BODY, &extras] {
            let written = write_request(body.as_bytes(), &TARGET, dialect).expect("good");
            assert_eq!(String::from_utf8_lossy(&written.body), expected, "{dialect:?}");
            grammar::check_request(&written.body, dialect).expect("a request");
            assert!(written.losses.is_empty());
        }
    }
    let unknown = BODY.replacen('{', r#"{"max_tokens_per_doc":1.0,"user":"u","#, 1);
    let written = write_request(unknown.as_bytes(), &TARGET, Dialect::Cohere).expect("good");
    assert!(String::from_utf8_lossy(&written.body).starts_with(r#"{"max_tokens_per_doc":1.0,"model""#));
    assert_eq!(written.losses, ["user: not expressible in rerank"]);
}

#[test]
fn pictures_go_only_where_they_are_ranked() {
    let body = br#"{"model":"m","query":"q","documents":["a",{"image":"https://x"}]}"#;
    for dialect in [Dialect::Cohere, Dialect::Voyage] {
        let failure = write_request(body, &TARGET, dialect).expect_err("refused");
        assert!(
            failure.cause.status() == 400 && failure.message.contains("`documents[1]`"),
            "{}",
            failure.message
        );
    }
    let written = write_request(body, &TARGET, Dialect::Jina).expect("good");
    assert!(String::from_utf8_lossy(&written.body).contains(r#"{"image":"https://x"}"#));
}

/// Cohere v2, Jina, Together, Voyage, each with its units and tokens.
const REPLIES: &[(&str, Option<u64>, u64)] = &[
    (
        r#"{"id":"i","results":[{"index":2,"relevance_score":0.98000},{"index":0,"relevance_score":1e-7}],"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}}}"#,
        Some(1),
        0,
    ),
    (
        r#"{"model":"jina-reranker","object":"list","usage":{"total_tokens":15},"results":[{"index":2,"relevance_score":0.98000,"document":{"text":"x"}},{"index":0,"relevance_score":1e-7}]}"#,
        None,
        15,
    ),
    (
        r#"{"object":"rerank","id":"i","model":"m","results":[{"index":2,"relevance_score":0.98000,"document":{}},{"index":0,"relevance_score":1e-7}],"usage":{"prompt_tokens":15,"completion_tokens":0,"total_tokens":15}}"#,
        None,
        15,
    ),
    (
        r#"{"object":"list","data":[{"relevance_score":0.98000,"index":2},{"relevance_score":1e-7,"index":0}],"model":"rerank-2","usage":{"total_tokens":15}}"#,
        None,
        15,
    ),
];

#[test]
fn every_upstream_gives_the_same_reply() {
    for (body, units, tokens) in REPLIES {
        let request = read(BODY).expect("good");
        let reply = read_reply(body.as_bytes(), &request).expect(body);
        assert_eq!(
            (reply.search_units, reply.facts.usage.map(|usage| usage.input)),
            (*units, Some(*tokens)),
            "{body}"
        );
        assert!(reply.facts.began && reply.facts.done);
        let out = written(&reply, &request, BODY);
        grammar::check_whole(out.as_bytes(), 3).expect(body);
        let counts = match units {
            Some(units) => format!("\"search_units\":{units},"),
            None => format!("\"total_tokens\":{tokens},"),
        };
        let expected = format!(
            r#"{{"id":"gen-rerank-1-a","model":"a/b","provider":"P","results":[{{"index":2,"relevance_score":0.98000,"document":{{"text":"c"}}}},{{"index":0,"relevance_score":1e-7,"document":{{"text":"a\u00e9"}}}}],"usage":{{{counts}"cost":0.002,"is_byok":false,"cost_details":{{"upstream_inference_cost":0.002,"upstream_inference_prompt_cost":0.002,"upstream_inference_completions_cost":0}}}}}}"#
        );
        assert_eq!(out, expected);
    }
}

#[test]
fn documents_are_repeated_as_they_were_sent() {
    let body = r#"{"model":"m","query":"q","documents":["a",{"text":"b","image":"https://x"}]}"#;
    let reply = br#"{"results":[{"index":1,"relevance_score":1},{"index":0,"relevance_score":0}]}"#;
    let request = read(body).expect("good");
    let read_back = read_reply(reply, &request).expect("good");
    assert!(written(&read_back, &request, body).contains(r#""document":{"text":"b","image":"https://x"}"#));
    let without = RerankRequest { return_documents: false, ..request };
    assert!(written(&read_back, &without, body).contains(r#""relevance_score":1,"document":{}}"#));
    assert_eq!(read_back.facts.usage, None);
}

#[test]
fn what_is_no_reply_is_found_out() {
    let cases = [
        (r#"{"results":[]}"#, "Empty"),
        ("{}", "Empty"),
        (r#"{"message":"m"}"#, "m"),
        (r#"{"detail":"m"}"#, "m"),
        (r#"{"error":{"message":"m"}}"#, "m"),
        (r#"{"results":[{"index":0}]}"#, "without an index or a score"),
        (r#"{"results":[{"relevance_score":1}]}"#, "without an index or a score"),
        (r#"{"results":[{"index":0,"relevance_score":"1"}]}"#, "without an index or a score"),
        (r#"{"results":[{"index":3,"relevance_score":1}]}"#, "was not sent"),
        (r#"{"results":[{"index":0,"relevance_score":1},{"index":0,"relevance_score":1}]}"#, "two results"),
        ("[1]", "NotJson"),
        ("", "NotJson"),
    ];
    for (body, words) in cases {
        let fault = read_reply(body.as_bytes(), &read(BODY).expect("good")).expect_err(body);
        assert!(format!("{fault:?}").contains(words), "{body}: {fault:?}");
    }
}

#[test]
fn a_reply_that_breaks_off_is_none() {
    for (body, ..) in REPLIES {
        for end in 0..body.len() {
            let fault = read_reply(&body.as_bytes()[..end], &read(BODY).expect("good")).expect_err("cut");
            assert!(matches!(fault, ReplyFault::NotJson(_)), "{fault:?}");
        }
    }
}

#[test]
fn errors_are_read_and_written() {
    assert_eq!(read_error(br#"{"message":"m"}"#).message, "m");
    assert_eq!(read_error(br#"{"detail":"m"}"#).message, "m");
    let out: Value = serde_json::from_slice(&write_error(&Failure::invalid("no"))).expect("JSON");
    assert_eq!(
        out,
        json!({"error": {"code": 400, "message": "no", "metadata": {"error_type": "invalid_request"}}})
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_a_reply_or_a_fault(items in prop::collection::vec((0_u32..5, any::<f64>(), any::<bool>()), 0..5), units in any::<u64>()) {
        let item = |(index, score, odd): &(u32, f64, bool)| match odd {
            true => json!({"index": score, "relevance_score": index}),
            false => json!({"index": index, "relevance_score": score, "document": null}),
        };
        let items: Vec<Value> = items.iter().map(item).collect();
        let body = json!({"results": items, "meta": {"billed_units": {"search_units": units}}}).to_string();
        let request = read(BODY).expect("good");
        if let Ok(reply) = read_reply(body.as_bytes(), &request) {
            prop_assert_eq!(grammar::check_whole(written(&reply, &request, BODY).as_bytes(), 3), Ok(()));
        }
    }

    #[test]
    fn any_bytes_are_read(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = read_reply(&body, &read(BODY).expect("good"));
        let _ = read_request(&body);
        read_error(&body);
    }
}

fn read(body: &str) -> Result<RerankRequest, Failure> {
    read_request(body.as_bytes())
}

fn written(reply: &RerankReply, request: &RerankRequest, body: &str) -> String {
    let identity = Identity {
        generation: "gen-rerank-1-a".into(),
        created: 7,
        model: "a/b".into(),
        provider: "P".into(),
    };
    let cost = Money::from_pico(2_000_000_000);
    let usage: Usage = reply.facts.usage.unwrap_or_default();
    let bill = for_prompt(usage, cost);
    String::from_utf8(write_reply(reply, request, body.as_bytes(), &identity, &bill)).expect("text")
}
