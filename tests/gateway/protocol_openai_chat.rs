//! Chat Completions on both sides: requests read and rewritten, streams and replies spliced.

mod plain;
mod recorded;
mod reply;
mod request;
mod stream;
mod usage;

use crate::outlined;
use millrace::chat::{Bill, ChatRequest, Identity, ProviderError as Fault, ReplyFault};
use millrace::chat::{MaxTokensName, Quirks, StreamUsage, Usage};
use millrace::error::{Cause, Failure};
use millrace::money::Money;
use millrace::protocol::lane::Lane;
use millrace::protocol::openai_chat::{
    Splice, Target, finish_reason, read_error, read_reply, read_request, splice_request, usage_from,
    write_error, write_usage,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ASK: Quirks = Quirks::NONE;
const ALWAYS: Quirks = Quirks { stream_usage: StreamUsage::Always, ..Quirks::NONE };
const OLD_NAME: Quirks = Quirks { max_tokens: MaxTokensName::MaxTokens, ..ALWAYS };
const NEW_NAME: Quirks = Quirks { max_tokens: MaxTokensName::MaxCompletionTokens, ..ALWAYS };
const BESIDE: Quirks = Quirks { usage_excludes_reasoning: true, ..Quirks::NONE };
const TRUSTED: Quirks = Quirks { reports_cost: true, ..Quirks::NONE };

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_usage_is_taken_without_panic(numbers in prop::collection::vec("-?[0-9]{1,25}(\\.[0-9]{1,3})?(e[0-9]{1,3})?", 9), beside in any::<bool>()) {
        let names = ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cost"];
        let flat: Vec<String> = names.iter().zip(&numbers).map(|(name, number)| format!("\"{name}\":{number}")).collect();
        let details = format!(
            "\"prompt_tokens_details\":{{\"audio_tokens\":{},\"cache_write_tokens\":{}}},\"completion_tokens_details\":{{\"reasoning_tokens\":{},\"audio_tokens\":{}}}",
            numbers[5], numbers[6], numbers[7], numbers[8],
        );
        let quirks = Quirks { usage_excludes_reasoning: beside, reports_cost: true, ..Quirks::NONE };
        let usage = usage_from(&format!("{{{},{details}}}", flat.join(",")), &quirks);
        let mut out = Vec::new();
        write_usage(&Bill { usage: usage.unwrap_or_default(), ..bill() }, &mut out);
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
    }

    #[test]
    fn what_the_gateway_does_not_know_keeps_its_bytes(
        before in unknown_members(), after in unknown_members(), gap in "[ \n\t]{0,2}",
    ) {
        let request = |model: &str| {
            let mut members = before.clone();
            members.push(format!("\"model\"{gap}:{gap}{model}"));
            members.extend(after.clone());
            members.push(r#""messages":[{"role":"user","content":"\u00e9\/\ud800"}]"#.to_owned());
            format!("{gap}{{{gap}{}{gap}}}{gap}", members.join(&format!("{gap},{gap}")))
        };
        let body = request("\"a/b\"");
        prop_assert!(read_request(&outlined(&body)).is_ok(), "{}", body);
        let written = splice_request(&outlined(body), &Target { model: "x", quirks: &ASK, max_output: None }).body;
        prop_assert_eq!(String::from_utf8(written).unwrap(), request("\"x\""));
    }

    #[test]
    fn anything_may_come_in_a_frame(frame in any_json(), tail in ".{0,20}") {
        let stream = format!("data: {frame}\n\ndata: {{\"choices\":[{{\"delta\":{frame}}}]}}\n\n{tail}");
        let (out, _) = splice_cut(stream.as_bytes(), stream.len() / 2);
        for chunk in data(&out) {
            prop_assert!(serde_json::from_str::<Value>(&chunk).is_ok(), "{}", chunk);
        }
        let body = frame.to_string();
        if let Ok(reply) = read_reply(body.as_bytes(), &ASK) {
            let written = reply.write(&identity(), &bill());
            prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
        }
        if read_request(&outlined(&body)).is_ok() {
            let written = splice_request(&outlined(&body), &Target { model: "m", quirks: &OLD_NAME, max_output: None }).body;
            prop_assert!(serde_json::from_slice::<Value>(&written).is_ok());
        }
        let _ = read_error(body.as_bytes());
    }
}

/// Members that no reader knows, with values that a careless one would change.
fn unknown_members() -> impl Strategy<Value = Vec<String>> {
    const VALUES: &[&str] = &[
        "1234567890123456789",
        "12345678901234567890123",
        "1e21",
        "1.0",
        "-0",
        "0.1e-7",
        "null",
        "true",
        "[ ]",
        "{ }",
        "\"\\u00e9\\/\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"é😀\"",
        "{\"b\":1,\"a\" : [1 , 2.50],\"a\":3}",
    ];
    const KEYS: &[&str] = &["x", "y_2", "\\u0078", "é", "", "temperatur", "models2"];
    let member = (prop::sample::select(KEYS), prop::sample::select(VALUES));
    prop::collection::vec(member.prop_map(|(key, value)| format!("\"{key}\": {value}")), 0..5)
}

/// JSON made of the names that readers look for.
fn any_json() -> impl Strategy<Value = Value> {
    const NAMES: &[&str] = &[
        "choices",
        "delta",
        "message",
        "messages",
        "role",
        "content",
        "tool_calls",
        "function",
        "arguments",
        "index",
        "finish_reason",
        "error",
        "code",
        "usage",
        "x_groq",
        "model",
        "logprobs",
        "type",
        "text",
        "thinking",
        "reasoning",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["", "user", "stop", "error", "thinking", "é\n\"", "text"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(NAMES), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

fn identity() -> Identity {
    Identity { generation: "gen-1".into(), created: 7, model: "a/b".into(), provider: "P".into() }
}

fn bill() -> Bill {
    Bill {
        usage: Usage { input: 1, output: 2, ..Usage::default() },
        cost: Money::from_pico(123_000_000),
        prompt_cost: Money::from_pico(100_000_000),
        completion_cost: Money::from_pico(23_000_000),
        search_cost: Money::ZERO,
        is_byok: false,
        metadata: None,
    }
}

/// The stream in two pieces, and what became of it.
fn splice_cut(stream: &[u8], cut: usize) -> (String, Splice) {
    let mut splice = Splice::new(identity(), ASK);
    let mut out = Vec::new();
    let (head, tail) = stream.split_at(cut.min(stream.len()));
    splice.read(head, &mut out);
    splice.read(tail, &mut out);
    splice.end_of_input(&mut out);
    assert_eq!(looked_at([head, tail]).facts(), splice.facts(), "a look finds what is read");
    (String::from_utf8(out).expect("UTF-8"), splice)
}

/// A stream whose bytes the client has already.
fn looked_at<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Splice {
    let mut splice = Splice::new(identity(), ASK);
    for piece in pieces {
        splice.look(piece);
    }
    splice.end_of_input(&mut Vec::new());
    splice
}

fn data(bytes: impl AsRef<[u8]>) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes.as_ref()).into_owned();
    text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: ").map(str::to_owned)).collect()
}
