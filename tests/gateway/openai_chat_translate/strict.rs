//! Providers that are strict about ids of calls and the order of turns: what they get.

use crate::outlined;
use std::collections::BTreeSet;

use millrace::catalog;
use millrace::chat::{CallIdForm, Quirks};
use millrace::protocol::call_ids::CallIds;
use millrace::protocol::lane::Target;
use millrace::protocol::openai_chat::{read_conversation, splice_request, write_conversation};
use proptest::prelude::*;
use serde_json::{Value, json};

fn quirks(slug: &str) -> &'static Quirks {
    &catalog::provider(slug).expect("a row of the catalog").quirks
}

fn target(quirks: &Quirks) -> Target<'_> {
    Target { model: "m", quirks, max_output: None }
}

fn request(messages: &Value) -> Vec<u8> {
    json!({"model": "a/b", "messages": messages}).to_string().into_bytes()
}

/// What the provider gets by splicing and by translating.
fn sent(slug: &str, messages: &Value) -> [Value; 2] {
    let (body, target) = (request(messages), target(quirks(slug)));
    let spliced = splice_request(&outlined(&body), &target).body;
    let conversation = read_conversation(&outlined(&body)).expect("well formed");
    let written = write_conversation(&conversation, &target, false).expect("it can be said");
    [spliced, written.body].map(|body| {
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        body["messages"].take()
    })
}

fn with_tools(call: &str, other: &str) -> Value {
    let call_of =
        |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null, "tool_calls": [call_of(call), call_of(other)]},
        {"role": "tool", "tool_call_id": call, "content": "1"},
        {"role": "tool", "tool_call_id": other, "content": "2"},
        {"role": "user", "content": "b"}
    ])
}

#[test]
fn mistral_gets_ids_of_nine_letters_and_digits() {
    for own in ["call_abc123", "toolu_01A09q90qw90lq917835lq9", "", "functions.add:0", "ABCdef123"] {
        let other = "chatcmpl-tool-0123456789abcdef0123456789abcdef";
        let messages = with_tools(if own.is_empty() { "x" } else { own }, other);
        for messages in sent("mistral", &messages) {
            let calls = [&messages[1]["tool_calls"][0]["id"], &messages[1]["tool_calls"][1]["id"]];
            let results = [&messages[2]["tool_call_id"], &messages[3]["tool_call_id"]];
            assert_eq!(calls, results);
            assert_ne!(calls[0], calls[1]);
            for id in calls {
                let id = id.as_str().expect("an id");
                assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
            }
            assert!(own != "ABCdef123" || calls[0] == own, "what fits stays");
        }
    }
}

#[test]
fn mistrals_users_wait_until_the_model_has_answered_the_tools() {
    for messages in sent("mistral", &with_tools("ABCdef123", "ABCdef124")) {
        let roles: Vec<&str> =
            messages.as_array().expect("messages").iter().filter_map(|it| it["role"].as_str()).collect();
        assert_eq!(roles, ["user", "assistant", "tool", "tool", "assistant", "user"]);
    }
    let losses =
        splice_request(&outlined(request(&with_tools("ABCdef123", "ABCdef124"))), &target(quirks("mistral")))
            .losses;
    assert_eq!(losses.len(), 1, "what was added is told");
}

#[test]
fn perplexitys_speakers_take_turns() {
    let image = json!({"type": "image_url", "image_url": {"url": "https://a/b.png"}});
    let rows = [
        (
            json!([{"role": "system", "content": "s"}, {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]),
            json!([{"role": "system", "content": "s"}, {"role": "user", "content": "a\n\nb"}]),
        ),
        (
            json!([{"role": "user", "content": "a"}, {"role": "system", "content": "s"}, {"role": "assistant", "content": "c"}]),
            json!([{"role": "user", "content": "a\n\ns"}, {"role": "assistant", "content": "c"}]),
        ),
        (
            json!([{"role": "user", "content": "a"}, {"role": "user", "content": [image]}]),
            json!([{"role": "user", "content": [{"type": "text", "text": "a"}, image]}]),
        ),
        (
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]),
            json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]),
        ),
    ];
    for (messages, expected) in rows {
        for sent in sent("perplexity", &messages) {
            let roles = |messages: &Value| -> Vec<Value> {
                messages.as_array().expect("messages").iter().map(|it| it["role"].clone()).collect()
            };
            assert_eq!(roles(&sent), roles(&expected), "{messages}");
        }
        let [spliced, _] = sent("perplexity", &messages);
        assert_eq!(spliced, expected);
    }
}

#[test]
fn what_needs_no_change_keeps_its_bytes() {
    let body = r#"{ "model":"m" , "messages" : [ {"role":"user", "content":"a\u0062"} ] }"#;
    for slug in ["mistral", "perplexity", "openai"] {
        let out = splice_request(&outlined(body), &target(quirks(slug))).body;
        assert_eq!(String::from_utf8(out).expect("text"), body, "{slug}");
    }
}

proptest! {
    #[test]
    fn no_two_ids_become_the_same(ids in prop::collection::vec("[a-z0-9_]{0,3}|[A-Za-z0-9]{9}|[a-z:._-]{1,60}", 0..40)) {
        for form in [CallIdForm::AsSent, CallIdForm::Nine] {
            let table = CallIds::new(ids.iter().map(String::as_str), form);
            let own: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
            let sent: BTreeSet<&str> = own.iter().map(|id| table.sent(id)).collect();
            prop_assert_eq!(own.len(), sent.len());
            let again = CallIds::new(sent.iter().copied(), form);
            prop_assert!(again.is_empty(), "all fit: {:?}", sent);
        }
    }
}
