//! Conversations written for Converse: golden, malformed, arbitrary.

use millrace::chat::Conversation;
use millrace::chat::conversation::{
    CacheMark, Effort, Format, Part, Reasoning, Role, Source, Tool, ToolChoice, ToolResult, Turn,
};
use millrace::error::{Cause, Failure};
use millrace::protocol::bedrock::write_conversation;
use millrace::protocol::lane::{Target, Written};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wires::{any_conversation, call, checked, result, text, tool, turn, user};

pub(super) const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NEWEST: &str = "global.anthropic.claude-opus-4-7";
pub(super) const NOVA: &str = "us.amazon.nova-2-lite-v1:0";
const OSS: &str = "openai.gpt-oss-120b-1:0";
const MISTRAL: &str = "mistral.mistral-large-2407-v1:0";
pub(super) const LLAMA: &str = "us.meta.llama4-maverick-17b-instruct-v1:0";

pub(super) fn write(conversation: &Conversation, model: &str) -> Result<Written, Failure> {
    let target = Target { model, quirks: &Quirks::NONE, max_output: Some(8000) };
    write_conversation(conversation, &target, true)
}

pub(super) fn body(conversation: &Conversation, model: &str) -> Value {
    checked(write(conversation, model), grammar::check_request)
}

#[test]
fn writes_what_was_said() {
    let (system, ask, answer, back) = (
        turn(Role::System, vec![Part::Text { text: "be".into(), cache: Some(CacheMark::OneHour) }]),
        turn(
            Role::User,
            vec![
                Part::Image {
                    source: Source::Inline { media_type: "image/png".into(), base64: "QQ==".into() },
                    detail: None,
                    cache: None,
                },
                Part::File {
                    name: Some("my_report.v2.pdf".into()),
                    source: Source::Inline { media_type: "application/pdf".into(), base64: "QQ==".into() },
                    cache: None,
                },
                text("see"),
            ],
        ),
        turn(
            Role::Assistant,
            vec![
                Part::Reasoning {
                    text: "hm".into(),
                    kind: ReasoningKind::Full,
                    seal: Some(Seal { issuer: Issuer::Anthropic, data: "sig".into(), id: None }),
                },
                Part::SealedReasoning {
                    seal: Seal { issuer: Issuer::Anthropic, data: "secret".into(), id: None },
                },
                text(""),
                call("c1", "f", "{\"a\":1.0}"),
                call("c2", "f", ""),
            ],
        ),
        turn(
            Role::User,
            vec![
                text("and"),
                Part::ToolResult(ToolResult {
                    call: "c2".into(),
                    parts: vec![],
                    is_error: true,
                    custom: false,
                    cache: None,
                }),
                result("c1", vec![text("one")]),
            ],
        ),
    );
    let conversation = Conversation {
        turns: vec![system, ask, answer, back],
        tools: vec![Tool { cache: Some(CacheMark::FiveMinutes), ..tool("f") }],
        tool_choice: Some(ToolChoice::Named("f".into())),
        max_tokens: Some(100),
        service_tier: Some("flex".into()),
        format: Format::JsonSchema {
            name: Some("n".into()),
            description: None,
            schema: "{\"type\":\"object\"}".into(),
            strict: Some(true),
        },
        ..Conversation::default()
    };
    let expected = json!({
        "messages": [
            {"role": "user", "content": [
                {"image": {"format": "png", "source": {"bytes": "QQ=="}}},
                {"document": {"format": "pdf", "name": "my report v2", "source": {"bytes": "QQ=="}}},
                {"text": "see"},
            ]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                {"reasoningContent": {"redactedContent": "c2VjcmV0"}},
                {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1.0}}},
                {"toolUse": {"toolUseId": "c2", "name": "f", "input": {}}},
            ]},
            {"role": "user", "content": [
                {"toolResult": {"toolUseId": "c2", "content": [{"text": "(no output)"}], "status": "error"}},
                {"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}], "status": "success"}},
                {"text": "and"},
            ]},
        ],
        "system": [{"text": "be"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        "inferenceConfig": {"maxTokens": 100},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object", "x": 1.0}}}},
                {"cachePoint": {"type": "default"}},
            ],
            "toolChoice": {"tool": {"name": "f"}},
        },
        "outputConfig": {"textFormat": {"type": "json_schema", "structure": {
            "jsonSchema": {"schema": "{\"type\":\"object\"}", "name": "n"}}}},
        "serviceTier": {"type": "flex"},
    });
    assert_eq!(body(&conversation, CLAUDE), expected);
    let written = write(&conversation, CLAUDE).expect("written");
    let renamed = "messages[1]: file.filename: only letters, digits and no other's name are taken";
    assert_eq!((written.losses.as_slice(), written.names.len()), (&[renamed.to_owned()][..], 0));
    // Another model gets no reasoning of Claude's, and hears of it.
    let losses = write(&conversation, LLAMA).expect("written").losses;
    assert_eq!(losses.iter().filter(|loss| loss.contains("reasoning")).count(), 1, "{losses:?}");
    assert!(
        !String::from_utf8(write(&conversation, LLAMA).expect("written").body).expect("text").contains("sig")
    );
}

#[test]
fn makes_each_family_think_its_way() {
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let budget = |max_tokens| Reasoning { max_tokens: Some(max_tokens), ..Reasoning::default() };
    let off = Reasoning { enabled: Some(false), ..Reasoning::default() };
    let rows = [
        (
            CLAUDE,
            effort(Effort::Medium),
            Some(4000),
            json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ),
        (
            CLAUDE,
            effort(Effort::Max),
            Some(4000),
            json!({"thinking": {"type": "enabled", "budget_tokens": 3800}}),
        ),
        (CLAUDE, budget(9999), Some(4000), json!({"thinking": {"type": "enabled", "budget_tokens": 3999}})),
        (CLAUDE, budget(5), None, json!({"thinking": {"type": "enabled", "budget_tokens": 1024}})),
        (CLAUDE, effort(Effort::High), Some(1024), Value::Null),
        (CLAUDE, off.clone(), None, Value::Null),
        (
            NEWEST,
            effort(Effort::Xhigh),
            None,
            json!({"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}}),
        ),
        (NEWEST, off.clone(), None, json!({"thinking": {"type": "disabled"}})),
        (
            NOVA,
            effort(Effort::Max),
            None,
            json!({"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}),
        ),
        (NOVA, off.clone(), None, json!({"reasoningConfig": {"type": "disabled"}})),
        (OSS, effort(Effort::Minimal), None, json!({"reasoning_effort": "low"})),
        (LLAMA, effort(Effort::High), None, Value::Null),
        (LLAMA, off, None, Value::Null),
    ];
    for (model, reasoning, max_tokens, expected) in rows {
        let conversation =
            Conversation { reasoning: Some(reasoning.clone()), max_tokens, ..user(vec![text("q")]) };
        let body = body(&conversation, model);
        let fields = body.get("additionalModelRequestFields").cloned().unwrap_or_default();
        assert_eq!(fields, expected, "{model} {reasoning:?}");
    }
}

/// An older Claude that thinks wants its thoughts back within a loop of tools.
#[test]
fn does_not_think_on_where_the_thoughts_are_gone() {
    let thought = Part::Reasoning {
        text: "hm".into(),
        kind: ReasoningKind::Full,
        seal: Some(Seal { issuer: Issuer::Anthropic, data: "sig".into(), id: None }),
    };
    let answered = turn(Role::User, vec![result("c", vec![text("r")])]);
    let called = |parts: Vec<Part>| {
        let turns = vec![turn(Role::User, vec![text("q")]), turn(Role::Assistant, parts), answered.clone()];
        let reasoning = Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
        Conversation { turns, reasoning, ..Conversation::default() }
    };
    let over = |mut conversation: Conversation| {
        conversation.turns.push(turn(Role::Assistant, vec![text("done")]));
        conversation.turns.push(turn(Role::User, vec![text("next")]));
        conversation
    };
    let call = || call("c", "f", "{}");
    let rows = [
        (CLAUDE, called(vec![thought.clone(), call()]), true),
        (CLAUDE, called(vec![call()]), false),
        (CLAUDE, over(called(vec![call()])), true),
        (NEWEST, called(vec![call()]), true),
    ];
    for (model, conversation, thinks) in rows {
        let thinking = &body(&conversation, model)["additionalModelRequestFields"]["thinking"];
        assert_eq!(thinking.is_object(), thinks, "{model}: {conversation:?}");
        let losses = write(&conversation, model).expect("written").losses;
        assert_eq!(losses.iter().any(|loss| loss.starts_with("reasoning:")), !thinks, "{losses:?}");
    }
}

#[test]
fn says_what_it_drops() {
    let mut conversation = user(vec![text("q")]);
    conversation.sampling.temperature = Some("1.5".into());
    conversation.sampling.top_p = Some("0.90".into());
    conversation.sampling.top_k = Some("5".into());
    conversation.sampling.seed = Some("7".into());
    conversation.sampling.stop = vec!["x".into(), "".into()];
    conversation.user = Some("u".into());
    conversation.service_tier = Some("auto".into());
    conversation.unspoken = vec!["logit_bias".into()];
    let rows: [(&str, &str, &[&str]); 4] = [
        (
            CLAUDE,
            r#""inferenceConfig":{"temperature":1,"topP":0.90,"stopSequences":["x"]},"additionalModelRequestFields":{"top_k":5}"#,
            &["seed", "user", "logit_bias", "temperature", "service_tier"],
        ),
        (
            NOVA,
            r#""inferenceConfig":{"temperature":1,"topP":0.90,"stopSequences":["x"]},"additionalModelRequestFields":{"inferenceConfig":{"topK":5}}"#,
            &["seed", "user", "logit_bias", "temperature", "service_tier"],
        ),
        (
            LLAMA,
            r#""inferenceConfig":{"temperature":1,"topP":0.90,"stopSequences":["x"]}"#,
            &["seed", "user", "logit_bias", "temperature", "top_k", "service_tier"],
        ),
        (
            NEWEST,
            r#""inferenceConfig":{"stopSequences":["x"]}"#,
            &["seed", "user", "logit_bias", "temperature", "top_p", "top_k", "service_tier"],
        ),
    ];
    for (model, part, lost) in rows {
        let written = write(&conversation, model).expect("written");
        let body = String::from_utf8(written.body).expect("text");
        assert!(body.contains(part), "{model}: {body}");
        let names: Vec<&str> = written.losses.iter().filter_map(|loss| loss.split(':').next()).collect();
        assert_eq!(names, lost, "{model}");
    }
}

#[test]
fn chooses_tools() {
    let past = vec![
        turn(Role::User, vec![text("q")]),
        turn(Role::Assistant, vec![call("c", "f", "{}")]),
        turn(Role::User, vec![result("c", vec![text("r")])]),
    ];
    let auto = json!({"tools": [{"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object", "x": 1.0}}}}]});
    let mut any = auto.clone();
    any["toolChoice"] = json!({"any": {}});
    let rows = [
        (None, auto.clone(), 0),
        (Some(ToolChoice::Auto), auto.clone(), 0),
        (Some(ToolChoice::Required), any, 0),
        (Some(ToolChoice::None), Value::Null, 0),
    ];
    for (choice, expected, losses) in rows {
        let conversation =
            Conversation { tools: vec![tool("f")], tool_choice: choice.clone(), ..user(vec![text("q")]) };
        let config = body(&conversation, CLAUDE).get("toolConfig").cloned().unwrap_or_default();
        assert_eq!(config, expected, "{choice:?}");
        assert_eq!(write(&conversation, CLAUDE).expect("written").losses.len(), losses, "{choice:?}");
    }
    // A history of calls needs tools beside it, whatever the client says.
    let none = Conversation {
        turns: past.clone(),
        tools: vec![tool("f")],
        tool_choice: Some(ToolChoice::None),
        ..Conversation::default()
    };
    assert_eq!(body(&none, CLAUDE)["toolConfig"], auto);
    assert!(write(&none, CLAUDE).expect("written").losses[0].starts_with("tool_choice"));
    let bare = Conversation { turns: past, ..Conversation::default() };
    assert_eq!(body(&bare, CLAUDE)["toolConfig"]["tools"][0]["toolSpec"]["name"], "f");
    let single =
        Conversation { tools: vec![tool("f")], parallel_tool_calls: Some(false), ..user(vec![text("q")]) };
    let fields = &body(&single, CLAUDE)["additionalModelRequestFields"]["tool_choice"];
    assert_eq!(fields, &json!({"type": "auto", "disable_parallel_tool_use": true}));
    assert_eq!(write(&single, NOVA).expect("written").losses.len(), 1);
}

/// Turns, and either the messages that become of them or what the refusal names.
#[test]
fn mends_or_refuses_malformed_histories() {
    let (u, a) = (|parts| turn(Role::User, parts), |parts| turn(Role::Assistant, parts));
    let ask = || u(vec![text("q")]);
    let rows: Vec<(&str, Vec<Turn>, Result<&str, &str>)> = vec![
        ("nothing", vec![], Err("messages:")),
        ("only blanks", vec![u(vec![text(" ")])], Err("messages:")),
        ("only instructions", vec![turn(Role::System, vec![text("s")])], Err("messages:")),
        ("an assistant first", vec![a(vec![text("a")]), ask()], Err("messages[0]")),
        ("neighbours of one role", vec![ask(), ask()], Ok("u:text,text")),
        ("blank answers between", vec![ask(), a(vec![text("")]), ask()], Ok("u:text,text")),
        (
            "a result without a call",
            vec![u(vec![result("x", vec![text("r")]), text("q")])],
            Ok("u:text,text"),
        ),
        ("a call without a result", vec![ask(), a(vec![call("c", "f", "{}")]), ask()], Err("messages[1]")),
        ("a call at the end", vec![ask(), a(vec![call("c", "f", "{}")])], Err("messages[1]")),
        (
            "a result twice",
            vec![ask(), a(vec![call("c", "f", "{}")]), u(vec![result("c", vec![]), result("c", vec![])])],
            Ok("u:text a:toolUse u:toolResult,text"),
        ),
        (
            "results in several turns, text between",
            vec![
                ask(),
                a(vec![call("c", "f", "{}"), call("d", "f", "{}")]),
                u(vec![result("c", vec![])]),
                u(vec![text("t")]),
                u(vec![result("d", vec![])]),
            ],
            Ok("u:text a:toolUse,toolUse u:toolResult,toolResult,text"),
        ),
        (
            "no ids at all",
            vec![
                ask(),
                a(vec![call("", "f", "{}"), call("", "g", "{}")]),
                u(vec![result("", vec![]), result("", vec![])]),
            ],
            Ok("u:text a:toolUse,toolUse u:toolResult,toolResult"),
        ),
        (
            "ids of another alphabet",
            vec![
                ask(),
                a(vec![call("functions.f:0/é", "f", "{}")]),
                u(vec![result("functions.f:0/é", vec![])]),
            ],
            Ok("u:text a:toolUse u:toolResult"),
        ),
        (
            "calls in two turns",
            vec![
                ask(),
                a(vec![call("c", "f", "{}")]),
                a(vec![call("d", "f", "{}")]),
                u(vec![result("d", vec![]), result("c", vec![])]),
            ],
            Ok("u:text a:toolUse,toolUse u:toolResult,toolResult"),
        ),
        (
            "late instructions",
            vec![ask(), turn(Role::System, vec![text("s")]), a(vec![text("a")])],
            Ok("u:text,text a:text"),
        ),
        (
            "arguments that are no object",
            vec![ask(), a(vec![call("c", "f", "{\"a\":")]), u(vec![result("c", vec![])])],
            Err("messages[1]"),
        ),
        (
            "a picture at a URL",
            vec![u(vec![Part::Image {
                source: Source::Url("https://x/y.png".into()),
                detail: None,
                cache: None,
            }])],
            Err("messages[0]"),
        ),
        (
            "a document alone",
            vec![u(vec![Part::File { name: None, source: Source::Text("d".into()), cache: None }])],
            Ok("u:document,text"),
        ),
    ];
    for (name, turns, expected) in rows {
        for model in [CLAUDE, MISTRAL] {
            let conversation = Conversation { turns: turns.clone(), ..Conversation::default() };
            match expected {
                Ok(shape) => assert_eq!(shape_of(&body(&conversation, model)), shape, "{name}"),
                Err(place) => {
                    let failure = write(&conversation, model).expect_err(name);
                    assert_eq!(failure.cause, Cause::InvalidRequest);
                    assert!(failure.message.starts_with(place), "{name}: {}", failure.message);
                }
            }
        }
    }
}

fn shape_of(body: &Value) -> String {
    let messages = body["messages"].as_array().expect("messages").iter().map(|message| {
        let role = &message["role"].as_str().expect("a role")[..1];
        let blocks = message["content"].as_array().expect("content").iter();
        let kinds: Vec<&str> = blocks
            .map(|block| block.as_object().expect("a block").keys().next().expect("a kind").as_str())
            .collect();
        format!("{role}:{}", kinds.join(","))
    });
    messages.collect::<Vec<_>>().join(" ")
}

#[test]
fn mistral_gets_ids_of_nine_letters() {
    let conversation = Conversation {
        turns: vec![
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![call("tooluse_1", "f", "{}"), call("abcdefghi", "f", "{}")]),
            turn(Role::User, vec![result("tooluse_1", vec![]), result("abcdefghi", vec![])]),
        ],
        ..Conversation::default()
    };
    let body = body(&conversation, MISTRAL);
    let first = body["messages"][1]["content"][0]["toolUse"]["toolUseId"].as_str().expect("an id").to_owned();
    assert!(first.len() == 9 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first}");
    assert_eq!(body["messages"][2]["content"][0]["toolResult"]["toolUseId"], *first);
    assert_eq!(body["messages"][1]["content"][1]["toolUse"]["toolUseId"], "abcdefghi");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_written_is_valid(conversation in any_conversation(), model in 0..6_usize) {
        let model = [CLAUDE, NEWEST, NOVA, OSS, MISTRAL, LLAMA][model];
        if let Ok(written) = write(&conversation, model) {
            let text = String::from_utf8_lossy(&written.body).into_owned();
            prop_assert_eq!(grammar::check_request(&written.body), Ok(()), "{}", text);
        }
    }

    #[test]
    fn tool_names_come_back(names in prop::collection::vec("[a-z._:/é-]{0,3}[a-z]{0,130}", 1..6)) {
        let tools: Vec<Tool> = names.iter().map(|name| tool(name)).collect();
        let written = write(&Conversation { tools, ..user(vec![text("q")]) }, CLAUDE).expect("written");
        let body: Value = serde_json::from_slice(&written.body).expect("JSON");
        let sent = body["toolConfig"]["tools"].as_array().expect("tools").iter();
        let sent: Vec<&str> = sent.map(|tool| tool["toolSpec"]["name"].as_str().expect("a name")).collect();
        for (own, sent) in names.iter().zip(&sent) {
            let start = format!(r#"{{"contentBlockIndex":0,"start":{{"toolUse":{{"toolUseId":"i","name":"{sent}"}}}}}}"#);
            let bytes = event("contentBlockStart", &start);
            let (events, _) = read_pieces([&bytes[..]], &written.names);
            let expected = Event::ToolCall { call: 0, id: "i".into(), name: own.clone(), custom: false, seal: None };
            prop_assert_eq!(&events[..], &[expected]);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), body in ".{0,40}") {
        read(&bytes);
        let _ = whole(&body);
        read(&event("contentBlockDelta", &body));
        read_error(body.as_bytes());
    }
}
