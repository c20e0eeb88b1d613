//! Requests as conversations, conversations as requests.

use super::*;
use crate::outlined;
use crate::recorded::{Wire, recordings};
use millrace::chat::conversation::{Effort, Part, Reasoning};
use millrace::chat::{Conversation, MaxTokensName, StreamUsage};
use millrace::protocol::openai_chat::{read_request, splice_request};

#[test]
fn what_can_be_said_is_said_again() {
    // Requests that have nothing beyond the vocabulary, spelt as they are written.
    let cases = [
        r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#,
        r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,aa==","detail":"low"}},{"type":"image_url","image_url":{"url":"https://a.example/b"}},{"type":"input_audio","input_audio":{"data":"aa==","format":"mp3"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,aa=="}},{"type":"file","file":{"file_id":"file-1"}}]},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"refusal":"no"},{"role":"user","content":"b"}],"temperature":0.70,"top_p":1e0,"frequency_penalty":-0.0,"presence_penalty":2,"seed":18446744073709551616,"top_k":40,"min_p":0.05,"repetition_penalty":1.10,"stop":["x","y"],"verbosity":"low","user":"u","service_tier":"flex","prompt_cache_key":"k","metadata":{"a" : "b"}}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"t","reasoning_details":[{"type":"reasoning.text","text":"hm","signature":"sig","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"red","format":"anthropic-claude-v1","index":1},{"type":"reasoning.summary","summary":"s","index":2},{"type":"reasoning.encrypted","data":"enc","id":"rs_1","format":"openai-responses-v1","index":3},{"type":"reasoning.encrypted","data":"g","id":"c1","format":"google-gemini-v1","index":4}],"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{ \"x\" : 1.0 }"}}]},{"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"ok","cache_control":{"type":"ephemeral"}}]}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{"x":{"maximum":1.0e+2}}},"strict":true,"cache_control":{"type":"ephemeral"}}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","schema":{"type":"object"},"strict":false}},"reasoning_effort":"high"}"#,
        r#"{"model":"m","messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}}"#,
    ];
    for body in cases {
        let conversation = read_conversation(&outlined(body)).expect(body);
        assert!(conversation.unspoken.is_empty(), "{:?}", conversation.unspoken);
        let written = write_conversation(&conversation, &target(&GATEWAY), false).expect(body);
        assert!(written.losses.is_empty(), "{:?}", written.losses);
        assert_eq!(String::from_utf8(written.body).unwrap(), body);
    }
}

#[test]
fn what_gets_lost_is_told() {
    let cases = [
        (r#""logit_bias":{"1":2}"#, &["logit_bias: "][..]),
        (r#""logprobs":true,"top_logprobs":2"#, &["logprobs: ", "top_logprobs: "]),
        (r#""top_k":4"#, &["top_k: "]),
        (r#""reasoning":{"summary":"auto","mode":"pro"}"#, &["reasoning.mode: ", "reasoning.summary: "]),
        (r#""logprobs":false,"logit_bias":{},"stream_options":null,"debug":{}"#, &[]),
        (r#""cache_control":{"type":"ephemeral"}"#, &["cache_control: "]),
    ];
    let openai = Quirks { more_sampling: false, ..Quirks::NONE };
    for (member, expected) in cases {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{member}}}"#);
        let conversation = read_conversation(&outlined(&body)).expect(&body);
        let written = write_conversation(&conversation, &target(&openai), false).expect(&body);
        assert_eq!(written.losses.len(), expected.len(), "{body}: {:?}", written.losses);
        let told = |start: &&str| written.losses.iter().any(|loss| loss.starts_with(*start));
        assert!(expected.iter().all(told), "{body}: {:?}", written.losses);
    }
    let messages = [
        (r#"{"role":"assistant","content":"a","reasoning":"hm"}"#, "reasoning of earlier turns: "),
        (r#"{"role":"assistant","content":"a","annotations":[]}"#, "messages[0].annotations: "),
        (r#"{"role":"system","name":"n","content":"a"}"#, "messages[0].name: "),
        (r#"{"role":"user","content":[{"type":"text","text":"a","x":1}]}"#, "messages[0].content[0].x: "),
    ];
    for (message, start) in messages {
        let conversation = read_conversation(&outlined(format!(r#"{{"messages":[{message}]}}"#))).unwrap();
        let written = write_conversation(&conversation, &target(&openai), false).unwrap();
        assert!(written.losses.len() == 1 && written.losses[0].starts_with(start), "{:?}", written.losses);
    }
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let cases = [
        (r#""functions":[]"#, "`functions`"),
        (r#""function_call":"auto""#, "`function_call`"),
        (r#""n":2"#, "`n`"),
        (r#""modalities":["text","audio"]"#, "`modalities`"),
        (r#""tools":[{"type":"file_search"}]"#, "`tools[0].type`"),
        (r#""tools":[{"type":"function","function":{}}]"#, "`tools[0].function.name`"),
        (r#""tool_choice":{"type":"function","function":{"name":"g"}}"#, "`tool_choice`"),
        (r#""tool_choice":"perhaps""#, "`tool_choice`"),
        (r#""response_format":{"type":"grammar"}"#, "`response_format.type`"),
        (
            r#""response_format":{"type":"json_schema","json_schema":{}}"#,
            "`response_format.json_schema.schema`",
        ),
        (r#""reasoning_effort":"enormous""#, "`reasoning_effort`"),
        (r#""temperature":"hot""#, "`temperature`"),
        (r#""temperature":1,"messages":[]"#, "`messages`"),
    ];
    for (member, name) in cases {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"secret"}}],{member}}}"#);
        let failure = read_conversation(&outlined(&body)).expect_err(&body);
        assert!(failure.message.contains(name) && !failure.message.contains("secret"), "{}", failure.message);
        assert_eq!(failure.cause.status(), 400);
    }
    let messages = [
        (r#"{"role":"function","name":"f","content":"a"}"#, "`messages[0].role`"),
        (r#"{"role":"tool","content":"a"}"#, "`messages[0].tool_call_id`"),
        (r#"{"role":"assistant","audio":{"id":"a"}}"#, "`messages[0].audio`"),
        (r#"{"role":"assistant","function_call":{"name":"f"}}"#, "`messages[0].function_call`"),
        (r#"{"role":"assistant","tool_calls":[{"id":"a"}]}"#, "`messages[0].tool_calls[0].function`"),
        (r#"{"role":"user","content":[{"type":"video_url"}]}"#, "`messages[0].content[0].type`"),
        (r#"{"role":"user","content":[{"type":"image_url"}]}"#, "`messages[0].content[0].image_url.url`"),
    ];
    for (message, name) in messages {
        let failure = read_conversation(&outlined(format!(r#"{{"messages":[{message}]}}"#))).unwrap_err();
        assert!(failure.message.contains(name), "{}", failure.message);
    }
}

#[test]
fn reasoning_is_one_word_for_an_openai_like_target() {
    let reasoning =
        |effort, max_tokens, enabled| Reasoning { effort, max_tokens, enabled, ..Reasoning::default() };
    let cases = [
        (r#""reasoning":{}"#, None, None),
        (r#""reasoning_effort":"xhigh""#, Some(reasoning(Some(Effort::Xhigh), None, None)), Some("xhigh")),
        (r#""reasoning":{"effort":"low"}"#, Some(reasoning(Some(Effort::Low), None, None)), Some("low")),
        (r#""reasoning":{"enabled":true}"#, Some(reasoning(None, None, Some(true))), Some("medium")),
        (r#""reasoning":{"enabled":false}"#, Some(reasoning(None, None, Some(false))), Some("none")),
        (
            r#""max_tokens":1000,"reasoning":{"max_tokens":790}"#,
            Some(reasoning(None, Some(790), None)),
            Some("high"),
        ),
        (r#""reasoning":{"max_tokens":4000}"#, Some(reasoning(None, Some(4000), None)), Some("medium")),
    ];
    for (member, expected, effort) in cases {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"a"}}],{member}}}"#);
        let conversation = read_conversation(&outlined(&body)).expect(&body);
        assert_eq!(conversation.reasoning, expected, "{body}");
        let written = write_conversation(&conversation, &target(&Quirks::NONE), false).unwrap();
        let written: Value = serde_json::from_slice(&written.body).unwrap();
        assert_eq!(written["reasoning_effort"].as_str(), effort, "{body}");
    }
    for (body, hides) in [
        (r#"{"reasoning":{"exclude":true}}"#, true),
        (r#"{"include_reasoning":false}"#, true),
        (r#"{"include_reasoning":true,"reasoning":{"exclude":false}}"#, false),
    ] {
        let body = body.replacen('{', r#"{"messages":[{"role":"user","content":"a"}],"#, 1);
        assert_eq!(read_request(&outlined(&body)).unwrap().hide_reasoning, hides, "{body}");
        let reasoning = read_conversation(&outlined(&body)).unwrap().reasoning;
        assert_eq!(reasoning.is_some_and(|reasoning| reasoning.exclude), hides, "{body}");
    }
}

#[test]
fn providers_are_written_to_as_their_rows_say() {
    let body = r#"{"max_tokens":5,"messages":[{"role":"user","content":"a"}]}"#;
    let conversation = read_conversation(&outlined(body)).unwrap();
    let cases = [
        (MaxTokensName::AsSent, StreamUsage::Ask, "max_completion_tokens", true),
        (MaxTokensName::MaxCompletionTokens, StreamUsage::Always, "max_completion_tokens", false),
        (MaxTokensName::MaxTokens, StreamUsage::Ask, "max_tokens", true),
    ];
    for (max_tokens, stream_usage, name, asks) in cases {
        let quirks = Quirks { max_tokens, stream_usage, ..Quirks::NONE };
        let written = write_conversation(&conversation, &target(&quirks), true).unwrap().body;
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!((&written[name], &written["stream"]), (&json!(5), &json!(true)));
        assert_eq!(written.get("stream_options").is_some(), asks);
    }
    let past =
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","reasoning":"hm"}]}"#;
    let conversation = read_conversation(&outlined(past)).unwrap();
    for (past_reasoning, member) in
        [(PastReasoning::Content, "reasoning_content"), (PastReasoning::Details, "reasoning_details")]
    {
        let quirks = Quirks { past_reasoning, ..Quirks::NONE };
        let written = write_conversation(&conversation, &target(&quirks), false).unwrap();
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        assert!(!body["messages"][1][member].is_null() && written.losses.is_empty(), "{body}");
    }
}

#[test]
fn results_come_first_and_their_pictures_behind_them() {
    let case = cases::CASES.iter().find(|(name, _)| name.starts_with("calls in one turn")).unwrap().1;
    let conversation = read_conversation(&outlined(case)).unwrap();
    let written = write_conversation(&conversation, &target(&Quirks::NONE), false).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    let roles: Vec<&str> =
        body["messages"].as_array().unwrap().iter().map(|it| it["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool", "user", "user"]);
    assert_eq!(body["messages"][4]["content"][1]["type"], "image_url");
    assert_eq!(body["messages"][1]["tool_calls"][1]["function"]["arguments"], "{}");
    assert!(String::from_utf8(written.body).unwrap().contains(r#""maximum":1e300"#));
}

#[test]
fn a_user_is_called_by_name_and_names_are_given_back() {
    let body = r#"{"messages":[{"role":"user","name":"Ann","content":"hi"}]}"#;
    let conversation = read_conversation(&outlined(body)).unwrap();
    let written = write_conversation(&conversation, &target(&Quirks::NONE), false).unwrap().body;
    assert!(String::from_utf8(written).unwrap().contains(r#""content":"Ann: hi""#));
    let case = cases::CASES.iter().find(|(name, _)| name.starts_with("names and ids")).unwrap().1;
    let conversation = read_conversation(&outlined(case)).unwrap();
    let written = write_conversation(&conversation, &target(&Quirks::NONE), false).unwrap();
    assert_eq!(grammar::check_request(&written.body), Ok(()));
    assert_eq!(written.names.len(), 3);
    for Renamed { sent, own, .. } in &written.names {
        let call = json!([{"index": 0, "id": "a", "function": {"name": sent, "arguments": "{}"}}]);
        let mut reader = StreamReader::new(Quirks::NONE, written.names.clone());
        let mut events = Vec::new();
        reader.read(&frames(&[delta(json!({"tool_calls": call}))]), &mut events);
        assert!(matches!(&events[0], Event::ToolCall { name, .. } if name == own), "{events:?}");
    }
}

#[test]
fn recorded_requests_are_said_again() {
    for (name, body) in recorded() {
        let Ok(conversation) = read_conversation(&outlined(body)) else { continue };
        let written = write_conversation(&conversation, &target(&GATEWAY), false).expect(name);
        assert_eq!(grammar::check_request(&written.body), Ok(()), "{name}");
        let again = read_conversation(&outlined(&written.body)).expect(name);
        assert_eq!(plain(again), plain(conversation), "{name}");
    }
}

/// A conversation without what is never written, or written in another way.
fn plain(mut conversation: Conversation) -> Conversation {
    conversation.unspoken.clear();
    conversation.reasoning = None;
    if conversation.tools.is_empty() {
        (conversation.tool_choice, conversation.parallel_tool_calls) = (None, None);
    }
    for turn in &mut conversation.turns {
        turn.parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
        for part in &mut turn.parts {
            match part {
                // Chat Completions demands a name of a file.
                Part::File { name, .. } => *name = None,
                Part::ToolCall(call) if call.arguments.is_empty() => call.arguments.push_str("{}"),
                Part::ToolResult(result) => {
                    result.parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
                }
                _ => {}
            }
        }
    }
    conversation.turns.retain(|turn| !turn.parts.is_empty());
    conversation
}

#[test]
fn recorded_requests_keep_their_bytes_on_the_fast_lane() {
    const OURS: &[&str] = &["model", "stream_options", "reasoning", "usage", "provider", "plugins", "models"];
    for (name, body) in recorded() {
        if read_request(&outlined(body)).is_err() {
            continue;
        }
        let target = Target { model: "up", quirks: &Quirks::NONE, max_output: None };
        let spliced = String::from_utf8(splice_request(&outlined(body), &target).body).expect(name);
        let body = String::from_utf8(body.to_vec()).expect(name);
        let (before, after) = (json_members(&body), json_members(&spliced));
        for (key, text) in before.iter().filter(|(key, _)| !OURS.contains(&key.as_str())) {
            let found = after.iter().find(|(other, _)| other == key);
            assert_eq!(found.map(|(_, text)| text), Some(text), "{name}: {key}");
        }
        let known = |key: &String| before.iter().any(|(other, _)| other == key);
        let mut added = after.iter().map(|(key, _)| key).filter(|key| !known(key));
        let ours = ["model", "stream_options", "reasoning_effort"];
        assert!(added.all(|key| ours.contains(&key.as_str())), "{name}");
    }
}

fn json_members(text: &str) -> Vec<(String, String)> {
    let members = millrace::json::members(text).expect("an object");
    members.iter().map(|member| (member.key.to_string(), member.text.to_owned())).collect()
}

fn recorded() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    recordings(Wire::Chat).filter_map(|recording| Some((&recording.name[..], recording.request.as_deref()?)))
}

fn target(quirks: &Quirks) -> Target<'_> {
    Target { model: "m", quirks, max_output: Some(8192) }
}
