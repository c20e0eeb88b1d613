//! Errors in the shapes of everybody who may stand before a provider's model: read alike whatever
//! protocol was expected.

use millrace::catalog::Protocol;
use millrace::chat::ProviderError;
use millrace::protocol::bridge::Face;
use millrace::protocol::complaint::readable;
use millrace::protocol::{
    anthropic_messages, bedrock, cohere, embeddings, gemini, ollama, openai_chat, openai_completions,
    openai_responses, rerank,
};

use crate::lane::ends::bridge;

type Read = fn(&[u8]) -> ProviderError;

const READERS: &[(&str, Read)] = &[
    ("anthropic_messages", anthropic_messages::read_error),
    ("bedrock", bedrock::read_error),
    ("cohere", cohere::read_error),
    ("embeddings", embeddings::read_error),
    ("gemini", gemini::read_error),
    ("ollama", ollama::read_error),
    ("openai_chat", openai_chat::read_error),
    ("openai_completions", openai_completions::read_error),
    ("openai_responses", openai_responses::read_error),
    ("rerank", rerank::read_error),
];

/// Bodies with the message in them.
const SHAPES: &[(&str, &str)] = &[
    (r#"{"error":{"message":"m n","type":"t"}}"#, "m n"),
    (r#"{"error":{"message":{"detail":[{"loc":["body","x"],"msg":"m n"}]}}}"#, "body.x: m n"),
    (r#"{"error":"m n"}"#, "m n"),
    (r#"{"error":"invalid_grant","error_description":"m n"}"#, "m n"),
    (r#"{"message":"m n"}"#, "m n"),
    (r#"{"Message":"m n"}"#, "m n"),
    (r#"{"detail":"m n"}"#, "m n"),
    (
        r#"{"detail":[{"loc":["body","model"],"msg":"Field required","type":"missing"},{"loc":["body",0],"msg":"m n"}]}"#,
        "body.model: Field required; body.0: m n",
    ),
    (r#"{"detail":{"error":{"message":"m n"}}}"#, "m n"),
    (r#"{"errors":[{"code":7003,"message":"m n"}],"success":false,"result":null}"#, "m n"),
    (r#"{"errors":["m n"]}"#, "m n"),
    (r#"{"fault":{"faultstring":"m n","detail":{"errorcode":"policies.ratelimit"}}}"#, "m n"),
    (r#"{"type":"about:blank","title":"Bad Gateway","status":502,"detail":"m n"}"#, "Bad Gateway: m n"),
    (r#"{"title":"m n"}"#, "m n"),
    (
        "<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>",
        "502 Bad Gateway",
    ),
    (r#"<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>m &amp; n</Message></Error>"#, "m & n"),
];

#[test]
fn every_shape_of_an_error_has_words_in_every_protocol() {
    for (body, message) in SHAPES {
        for (name, read) in READERS {
            let error = read(body.as_bytes());
            assert!(
                error.message.contains(message) || message.contains(&error.message),
                "{name} {body}: {error:?}"
            );
            assert!(
                !error.message.is_empty() && !error.message.contains(['<', '{']),
                "{name} {body}: {error:?}"
            );
            assert_eq!(error.raw, *body, "{name}");
        }
    }
}

#[test]
fn what_has_no_words_has_none_made_up() {
    for body in ["", "{}", "[]", "null", "<html>", "{\"error\":{}}", "{\"detail\":[]}", "{\"errors\":[]}"] {
        for (name, read) in READERS {
            let message = read(body.as_bytes()).message;
            assert!(message.is_empty() || message == "null", "{name} {body}: {message}");
        }
    }
}

#[test]
fn the_code_of_a_shape_is_kept() {
    let rows = [
        (r#"{"fault":{"faultstring":"m","detail":{"errorcode":"policies.ratelimit"}}}"#, None),
        (r#"{"error":"invalid_grant","error_description":"m"}"#, Some("invalid_grant")),
        (r#"<Error><Code>AccessDenied</Code><Message>m</Message></Error>"#, Some("AccessDenied")),
    ];
    for (body, code) in rows {
        let found = openai_chat::read_error(body.as_bytes()).code;
        assert!(code.is_none() || found.as_deref() == code, "{body}: {found:?}");
    }
}

#[test]
fn no_markup_is_shown() {
    let rows = [
        ("plain <b>", "plain <b>"),
        (
            "<html><style>a{}</style><h1>502</h1><script>x<y</script>Bad&nbsp;Gateway</html>",
            "502 Bad Gateway",
        ),
        ("<SCRIPT>never closed", ""),
        ("<a", ""),
        ("<Error><Message>m</Message></Error>", "m"),
    ];
    for (text, expected) in rows {
        assert_eq!(readable(text), expected, "{text}");
    }
}

#[test]
fn amazons_header_names_the_kind_of_an_error() {
    let bridge = bridge(Face::Chat, "amazon-bedrock", Protocol::Bedrock, true);
    let header = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";
    let error = bridge.read_error(Some(header), br#"{"message":"slow down"}"#);
    assert_eq!((error.status, error.code.as_deref()), (Some(429), Some("ThrottlingException")));
    assert_eq!(error.message, "slow down");
    assert_eq!(bridge.read_error(None, b"{}").code, None);
}
