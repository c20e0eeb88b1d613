//! The built-in provider: what it answers, and in which pieces.

use crate::outlined;
use millrace::chat::Identity;
use millrace::chat::{Quirks, Usage};
use millrace::protocol::millrace::answer;
use millrace::protocol::openai_chat::{Splice, Target, splice_request};
use serde_json::{Value, json};

#[test]
fn the_reply_is_the_last_user_message() {
    let cases = [
        (json!({"messages": [{"role": "user", "content": "a  b"}]}), "a  b", "stop", (2, 2)),
        (json!({"messages": [{"role": "user", "content": "\ta b\n"}]}), "\ta b\n", "stop", (2, 2)),
        (json!({"messages": [{"role": "user", "content": ""}]}), "(empty)", "stop", (0, 1)),
        (json!({"messages": [{"role": "user", "content": " \n"}]}), "(empty)", "stop", (0, 1)),
        (json!({"messages": [{"role": "system", "content": "s t"}]}), "(empty)", "stop", (2, 1)),
        (
            json!({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"},
                {"role": "assistant", "content": null}, {"role": "user", "content": [{"type": "text", "text": "b é"},
                {"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "😀"}]}]}),
            "b é\n😀",
            "stop",
            (5, 3),
        ),
        (
            json!({"max_tokens": 2, "messages": [{"role": "user", "content": " a b c "}]}),
            " a b",
            "length",
            (3, 2),
        ),
        (
            json!({"max_tokens": 3, "messages": [{"role": "user", "content": " a b c "}]}),
            " a b c ",
            "stop",
            (3, 3),
        ),
        (
            json!({"max_tokens": 3, "max_completion_tokens": 1, "messages": [{"role": "user", "content": "a b"}]}),
            "a",
            "length",
            (2, 1),
        ),
        (
            json!({"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "a\""}]}),
            "{\"echo\":\"a\\\"\"}",
            "stop",
            (1, 1),
        ),
        (
            json!({"response_format": {"type": "json_schema"}, "messages": [{"role": "user", "content": "{\"b\": 1}"}]}),
            "{\"b\": 1}",
            "stop",
            (2, 2),
        ),
    ];
    for (mut request, content, finish, (prompt, completion)) in cases {
        request["model"] = "millrace/echo".into();
        let (status, reply) = whole(&request);
        assert_eq!(status, 200, "{reply}");
        let choice = &reply["choices"][0];
        assert_eq!(choice["message"], json!({"role": "assistant", "content": content}), "{request}");
        assert_eq!(choice["finish_reason"], finish, "{request}");
        let usage = json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
        assert_eq!(reply["usage"], usage, "{request}");

        let chunks = stream(&request);
        let pieces: Vec<&str> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(pieces.concat(), content, "{request}");
        assert_eq!(pieces.len(), completion + 1, "the role, then a piece for each word: {request}");
        let (usage_chunk, finish_chunk) = (&chunks[chunks.len() - 1], &chunks[chunks.len() - 2]);
        assert_eq!(finish_chunk["choices"][0]["finish_reason"], finish, "{request}");
        assert_eq!((&usage_chunk["choices"], &usage_chunk["usage"]), (&json!([]), &usage), "{request}");
    }
}

#[test]
fn a_required_tool_is_called() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}]);
    let named = json!({"type": "function", "function": {"name": "g"}});
    let cases = [
        (json!("required"), "a b", Some(("f", "{\"input\":\"a b\"}"))),
        (named.clone(), "{\"x\": 1}", Some(("g", "{\"x\": 1}"))),
        (json!("auto"), "a", None),
        (json!("none"), "a", None),
        (json!(null), "a", None),
    ];
    for (choice, message, expected) in cases {
        let request = json!({"model": "m", "tools": tools, "tool_choice": choice,
            "messages": [{"role": "user", "content": message}]});
        let (_, reply) = whole(&request);
        let call = &reply["choices"][0]["message"]["tool_calls"][0]["function"];
        let found = call["name"].as_str().zip(call["arguments"].as_str());
        assert_eq!(found, expected, "{choice}");
        let finish = if expected.is_some() { "tool_calls" } else { "stop" };
        assert_eq!(reply["choices"][0]["finish_reason"], finish, "{choice}");
        let chunks = stream(&request);
        let calls = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]["function"]);
        let arguments: String = calls.filter_map(|function| function["arguments"].as_str()).collect();
        assert_eq!(arguments, expected.map_or("", |(_, arguments)| arguments), "{choice}");
    }
}

#[test]
fn usage_comes_only_if_it_was_asked_for() {
    let request = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "a"}]});
    let events: Vec<Vec<u8>> = answer(request.to_string().as_bytes()).collect();
    assert_eq!(events.len(), 4, "role, word, finish, end");
    assert_eq!(events[3], b"data: [DONE]\n\n");
}

#[test]
fn the_answer_goes_through_the_gateway_as_any_other() {
    let request = json!({"model": "millrace/echo", "stream": true, "max_completion_tokens": 2,
        "messages": [{"role": "user", "content": "a b c"}]});
    let target = Target { model: "echo", quirks: &Quirks::NONE, max_output: None };
    let body = splice_request(&outlined(request.to_string()), &target).body;
    let identity =
        Identity { generation: "g".into(), created: 1, model: "m".into(), provider: "Millrace".into() };
    let mut splice = Splice::new(identity, Quirks::NONE);
    let mut out = Vec::new();
    answer(&body).for_each(|event| splice.read(&event, &mut out));
    splice.end_of_input(&mut out);
    let facts = splice.facts();
    assert_eq!(facts.usage, Some(Usage { input: 3, output: 2, ..Usage::default() }));
    assert_eq!(
        (facts.began, facts.done, facts.finish_reason, facts.output_bytes),
        (true, true, Some("length"), 3)
    );
}

#[test]
fn refuses_in_the_words_of_openai() {
    let cases = [
        ("[]", "The body is not a valid JSON object: expected an object at line 1 column 0.", Value::Null),
        ("{}", "`model` must be a string.", "model".into()),
        (r#"{"model":"m"}"#, "`messages` must be an array that is not empty.", "messages".into()),
        (
            r#"{"model":"m","messages":[]}"#,
            "`messages` must be an array that is not empty.",
            "messages".into(),
        ),
        (r#"{"model":"m","messages":[1]}"#, "Each of `messages` must be an object.", "messages".into()),
        (r#"{"model":"m","n":2,"messages":[{}]}"#, "This model gives one choice: `n` must be 1.", "n".into()),
        (
            r#"{"model":"m","max_tokens":0,"messages":[{}]}"#,
            "`max_tokens` must be a whole number, at least 1.",
            "max_tokens".into(),
        ),
        (
            r#"{"model":"m","tool_choice":"required","messages":[{}]}"#,
            "`tool_choice` asks for a tool that `tools` does not have.",
            "tool_choice".into(),
        ),
    ];
    for (body, message, param) in cases {
        let answer = answer(body.as_bytes());
        assert_eq!((answer.status, answer.content_type), (400, "application/json"));
        let error: Value = serde_json::from_slice(&answer.flatten().collect::<Vec<u8>>()).unwrap();
        let expected =
            json!({"message": message, "type": "invalid_request_error", "param": param, "code": null});
        assert_eq!(error, json!({"error": expected}), "{body}");
    }
}

fn whole(request: &Value) -> (u16, Value) {
    let answer = answer(request.to_string().as_bytes());
    let (status, pieces) = (answer.status, answer.collect::<Vec<_>>());
    assert_eq!(pieces.len(), 1);
    (status, serde_json::from_slice(&pieces[0]).unwrap())
}

/// The chunks of the request's stream with usage, without the terminator.
fn stream(request: &Value) -> Vec<Value> {
    let mut request = request.clone();
    request["stream"] = true.into();
    request["stream_options"] = json!({"include_usage": true});
    let answer = answer(request.to_string().as_bytes());
    assert_eq!((answer.status, answer.content_type), (200, "text/event-stream"));
    let mut events: Vec<String> = answer.map(|event| String::from_utf8(event).unwrap()).collect();
    assert_eq!(events.pop().as_deref(), Some("data: [DONE]\n\n"));
    let data = events.iter().map(|event| event.strip_prefix("data: ").unwrap().trim_end());
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}
