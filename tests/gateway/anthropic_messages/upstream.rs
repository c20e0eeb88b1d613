//! Conversations written as requests for a provider of this protocol.

use millrace::chat::Quirks;
use millrace::chat::conversation::{
    CacheMark, Conversation, Effort, Format, Issuer, Part, Reasoning, ReasoningKind, Role, Seal, Source,
    Tool, ToolCall, ToolChoice, ToolKind, ToolResult, Turn,
};
use millrace::error::Failure;
use millrace::protocol::anthropic_messages::write_conversation;
use millrace::protocol::lane::{Target, Written};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::grammar::check_request;

const NEWEST: &str = "claude-opus-4-7";
const ADAPTIVE: &str = "claude-sonnet-4-6";
const BUDGETED: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const OLD: &str = "claude-3-5-haiku@20241022";

fn write(conversation: &Conversation, model: &str) -> Result<Written, Failure> {
    let quirks = Quirks::NONE;
    write_conversation(conversation, &Target { model, quirks: &quirks, max_output: None }, false)
}

/// The request, which has to be one that the provider takes, and the losses.
fn good(conversation: &Conversation, model: &str) -> (Value, Vec<String>) {
    let written = write(conversation, model).unwrap_or_else(|failure| panic!("{}", failure.message));
    check_request(&written.body)
        .unwrap_or_else(|why| panic!("{why}: {:?}", String::from_utf8_lossy(&written.body)));
    (serde_json::from_slice(&written.body).unwrap(), written.losses)
}

/// The calls of a written request whose tool is not among its tools.
fn undeclared(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let blocks =
        body["messages"].as_array().unwrap().iter().filter_map(|it| it["content"].as_array()).flatten();
    let called = blocks.filter(|block| block["type"] == "tool_use").map(|block| block["name"].clone());
    let unknown = called.filter(|name| !tools.iter().any(|tool| tool["name"] == *name));
    unknown.map(|name| name.to_string()).collect()
}

fn text(text: &str) -> Part {
    Part::Text { text: text.into(), cache: None }
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts }
}

fn user(words: &str) -> Turn {
    turn(Role::User, vec![text(words)])
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.into(), name.into(), arguments.into());
    Part::ToolCall(ToolCall { id, name, arguments, custom: false, seal: None })
}

fn result(id: &str, words: &str) -> Part {
    Part::ToolResult(ToolResult {
        call: id.into(),
        parts: vec![text(words)],
        is_error: false,
        custom: false,
        cache: None,
    })
}

fn function(name: &str, parameters: Option<&str>) -> Tool {
    let kind = ToolKind::Function { parameters: parameters.map(str::to_owned), strict: None };
    Tool { name: name.into(), description: None, kind, cache: None }
}

fn conversation(turns: Vec<Turn>) -> Conversation {
    Conversation { turns, ..Conversation::default() }
}

#[test]
fn turns_alternate_and_results_come_first() {
    let (body, losses) = good(
        &conversation(vec![
            turn(Role::System, vec![text("be"), text("")]),
            user("a"),
            user("b"),
            turn(Role::Assistant, vec![text(""), call("x.1", "f", ""), call("y", "f", "{\"n\":1}")]),
            user("meanwhile"),
            turn(Role::User, vec![result("y", "2")]),
            turn(Role::User, vec![result("x.1", "")]),
            turn(Role::System, vec![text("now")]),
            turn(Role::Assistant, vec![text("so \n")]),
        ]),
        ADAPTIVE,
    );
    assert_eq!(body["system"], json!([{"type": "text", "text": "be"}]));
    let third = body["messages"][2]["content"].as_array().unwrap();
    let kinds: Vec<&str> = third.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text", "text"]);
    assert_eq!(third[3]["text"], "<system>\nnow\n</system>");
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({}));
    assert_eq!(body["messages"][3]["content"][0]["text"], "so");
    assert!(losses.iter().any(|loss| loss.contains("<system>")), "{losses:?}");
}

#[test]
fn numbers_and_arguments_keep_their_digits() {
    let mut it = conversation(vec![
        user("a"),
        turn(Role::Assistant, vec![call("i", "f", "{\"n\":12345678901234567890,\"m\":1.0}")]),
        turn(Role::User, vec![result("i", "ok")]),
    ]);
    it.tools =
        vec![function("f", Some(r#"{"type":"object","properties":{"x":{"const":12345678901234567890}}}"#))];
    it.sampling.temperature = Some("0.70".into());
    let written = String::from_utf8(write(&it, BUDGETED).unwrap().body).unwrap();
    for kept in [
        "\"input\":{\"n\":12345678901234567890,\"m\":1.0}",
        "{\"const\":12345678901234567890}",
        "\"temperature\":0.70",
    ] {
        assert!(written.contains(kept), "{written}");
    }
}

#[test]
fn malformed_histories_are_mended_or_refused() {
    let asked = |parts: Vec<Part>| {
        vec![user("a"), turn(Role::Assistant, vec![call("i", "f", "{}")]), turn(Role::User, parts)]
    };
    let rows = [
        ("a result without an id", asked(vec![result("", "1")]), None),
        ("an orphan", vec![user("a"), turn(Role::User, vec![result("zz", "1")])], Some("without a call")),
        (
            "the assistant first",
            vec![turn(Role::Assistant, vec![text("hi")]), user("a")],
            Some("messages: the first"),
        ),
        ("instructions alone", vec![turn(Role::System, vec![text("do")])], Some("system:")),
        (
            "arguments that are no object",
            vec![
                user("a"),
                turn(Role::Assistant, vec![call("i", "f", "{\"x\":")]),
                turn(Role::User, vec![result("i", "1")]),
            ],
            Some("arguments"),
        ),
        (
            "one id twice",
            vec![
                user("a"),
                turn(Role::Assistant, vec![call("i", "f", "{}")]),
                turn(Role::User, vec![result("i", "1")]),
                turn(Role::Assistant, vec![call("i", "f", "{}")]),
                turn(Role::User, vec![result("i", "2")]),
            ],
            None,
        ),
        (
            "empty ids",
            vec![
                user("a"),
                turn(Role::Assistant, vec![call("", "f", "{}"), call("", "g", "{}")]),
                turn(Role::User, vec![result("", "1"), result("", "2")]),
            ],
            None,
        ),
    ];
    for (what, turns, loss) in rows {
        let (_, losses) = good(&conversation(turns), ADAPTIVE);
        let told = loss.is_none_or(|loss| losses.iter().any(|known| known.contains(loss)));
        assert!(told, "{what}: {losses:?}");
    }
    let unanswered = write(&conversation(asked(vec![text("never mind")])), ADAPTIVE).unwrap_err();
    assert!(unanswered.message.contains("\"f\""), "{}", unanswered.message);
    let audio = Part::Audio { base64: "AA".into(), format: "wav".into() };
    assert!(write(&conversation(vec![turn(Role::User, vec![audio])]), ADAPTIVE).is_err());
}

#[test]
fn seals_go_to_their_issuer_only() {
    let seal = |issuer| Some(Seal { issuer, data: "sig".into(), id: None });
    let thought =
        |issuer| Part::Reasoning { text: "t".into(), kind: ReasoningKind::Full, seal: seal(issuer) };
    let bare = Part::Reasoning { text: "t".into(), kind: ReasoningKind::Full, seal: None };
    let parts = vec![thought(Issuer::Anthropic), thought(Issuer::OpenAi), bare, text("x")];
    let (body, losses) =
        good(&conversation(vec![user("a"), turn(Role::Assistant, parts), user("b")]), ADAPTIVE);
    let content = &body["messages"][1]["content"];
    assert_eq!(content[0], json!({"type": "thinking", "thinking": "t", "signature": "sig"}));
    assert_eq!(content.as_array().unwrap().len(), 2);
    assert_eq!(losses.len(), 2, "{losses:?}");
}

#[test]
fn odd_names_are_told_apart_and_come_back() {
    let long = "n".repeat(129);
    let names = ["a.b", "a:b", "a_b", &long, "größe", "fine-1"];
    let mut it = conversation(vec![user("a")]);
    it.tools = names.iter().map(|name| function(name, None)).collect();
    it.tools.push(Tool { kind: ToolKind::Custom { format: None }, ..function("patch", None) });
    it.tool_choice = Some(ToolChoice::Named("a.b".into()));
    let written = write(&it, NEWEST).unwrap();
    check_request(&written.body).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    let own = |sent: &Value| {
        written
            .names
            .iter()
            .find(|name| *sent == name.sent)
            .map_or(sent.as_str().unwrap().to_owned(), |name| name.own.clone())
    };
    let back: Vec<String> = body["tools"].as_array().unwrap().iter().map(|tool| own(&tool["name"])).collect();
    assert_eq!(back[..6], names);
    assert_eq!(own(&body["tool_choice"]["name"]), "a.b");
    assert!(written.names.iter().any(|name| name.custom && name.own == "patch"));
    assert_eq!(write(&it, NEWEST).unwrap(), written);
}

#[test]
fn thinking_follows_the_model() {
    let asked = |reasoning: Reasoning, max_tokens| Conversation {
        reasoning: Some(reasoning),
        max_tokens,
        ..conversation(vec![user("a")])
    };
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let rows = [
        (
            effort(Effort::High),
            Some(10_000),
            BUDGETED,
            json!({"type": "enabled", "budget_tokens": 8_000}),
            Value::Null,
        ),
        (
            effort(Effort::Low),
            Some(2_000),
            BUDGETED,
            json!({"type": "enabled", "budget_tokens": 1_024}),
            Value::Null,
        ),
        (effort(Effort::High), Some(1_000), BUDGETED, Value::Null, Value::Null),
        (
            Reasoning { max_tokens: Some(90_000), ..Reasoning::default() },
            Some(4_000),
            BUDGETED,
            json!({"type": "enabled", "budget_tokens": 3_999}),
            Value::Null,
        ),
        (effort(Effort::Xhigh), None, ADAPTIVE, json!({"type": "adaptive"}), json!("high")),
        (effort(Effort::Xhigh), None, NEWEST, json!({"type": "adaptive"}), json!("xhigh")),
        (effort(Effort::Minimal), None, NEWEST, json!({"type": "adaptive"}), json!("low")),
        (
            Reasoning { enabled: Some(true), exclude: true, ..Reasoning::default() },
            None,
            NEWEST,
            json!({"type": "adaptive", "display": "omitted"}),
            Value::Null,
        ),
        (
            Reasoning { max_tokens: Some(2_000), ..Reasoning::default() },
            Some(10_000),
            NEWEST,
            json!({"type": "adaptive"}),
            json!("low"),
        ),
        (effort(Effort::None), None, NEWEST, json!({"type": "disabled"}), Value::Null),
        (effort(Effort::None), None, BUDGETED, Value::Null, Value::Null),
        (effort(Effort::None), None, "glm-4.6", json!({"type": "disabled"}), Value::Null),
    ];
    for (reasoning, limit, model, thinking, effort) in rows {
        let (body, _) = good(&asked(reasoning.clone(), limit), model);
        assert_eq!(body["thinking"], thinking, "{reasoning:?} {model}");
        assert_eq!(body["output_config"]["effort"], effort, "{reasoning:?} {model}");
    }
    // A forced tool goes before thinking, where the model cannot have both.
    let mut forced = asked(effort(Effort::High), Some(9_000));
    forced.tools = vec![function("f", None)];
    forced.tool_choice = Some(ToolChoice::Required);
    let (body, losses) = good(&forced, BUDGETED);
    assert_eq!((&body["thinking"], &body["tool_choice"]), (&Value::Null, &json!({"type": "any"})));
    assert!(losses[0].starts_with("reasoning"), "{losses:?}");
    assert_eq!(good(&forced, ADAPTIVE).0["thinking"], json!({"type": "adaptive"}));
}

#[test]
fn what_cannot_be_said_is_listed() {
    let mut it = conversation(vec![user("a")]);
    it.sampling.temperature = Some("1.7".into());
    it.sampling.top_p = Some("0.5".into());
    it.sampling.seed = Some("1".into());
    it.sampling.stop = vec![" ".into(), "END".into()];
    it.unspoken = vec!["logit_bias".into()];
    it.service_tier = Some("flex".into());
    it.prompt_cache_key = Some("k".into());
    it.verbosity = Some("low".into());
    let (body, losses) = good(&it, BUDGETED);
    assert_eq!((&body["temperature"], &body["top_p"]), (&json!(1), &Value::Null));
    assert_eq!(body["stop_sequences"], json!(["END"]));
    let names: Vec<&str> = losses.iter().map(|loss| loss.split(':').next().unwrap()).collect();
    let expected = [
        "logit_bias",
        "verbosity",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "service_tier",
        "prompt_cache_key",
    ];
    assert_eq!(names, expected);
    let (body, losses) = good(&it, NEWEST);
    assert!(body.get("temperature").is_none() && losses.iter().any(|loss| loss.starts_with("temperature")));
    assert_eq!(body["output_config"]["effort"], "low");
}

#[test]
fn forms_are_held_to_or_refused() {
    let schema = r#"{"type":"object","properties":{"n":{"const":1.0}}}"#;
    let mut it = conversation(vec![user("a")]);
    it.format =
        Format::JsonSchema { name: Some("n".into()), description: None, schema: schema.into(), strict: None };
    let written = String::from_utf8(write(&it, BUDGETED).unwrap().body).unwrap();
    assert!(
        written
            .contains(&format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#))
    );
    assert!(write(&it, OLD).unwrap_err().message.starts_with("`response_format`"));
    it.format = Format::JsonObject;
    let (body, losses) = good(&it, OLD);
    assert!(body["system"][0]["text"].as_str().unwrap().contains("JSON") && losses.len() == 1);
}

#[test]
fn tools_are_put_as_the_target_wants_them() {
    let mut it = conversation(vec![user("a")]);
    it.tools = vec![
        function("none", None),
        function("bare", Some("{}")),
        function("either", Some(r#"{"anyOf":[{"required":["a"]}],"properties":{"a":{"anyOf":[]}}}"#)),
    ];
    it.parallel_tool_calls = Some(false);
    let (body, losses) = good(&it, NEWEST);
    assert_eq!(
        body["tools"][2]["input_schema"],
        json!({"type": "object", "properties": {"a": {"anyOf": []}}})
    );
    assert_eq!(losses, ["tools[2].parameters.anyOf: refused at the root"]);
    assert_eq!(body["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
    // Tools that were called before have to be there.
    let called = conversation(vec![
        user("a"),
        turn(Role::Assistant, vec![call("i", "f", "{}")]),
        turn(Role::User, vec![result("i", "1")]),
    ]);
    let (body, _) = good(&called, NEWEST);
    assert_eq!((&body["tools"][0]["name"], &body["tool_choice"]["type"]), (&json!("f"), &json!("none")));
}

#[test]
fn pictures_and_documents_find_their_form() {
    let inline = |media_type: &str, base64: &str| Source::Inline {
        media_type: media_type.into(),
        base64: base64.into(),
    };
    let image = |source| Part::Image { source, detail: None, cache: None };
    let file = |source| Part::File { name: Some("n".into()), source, cache: None };
    let parts = vec![
        image(Source::Url("https://x/y.png".into())),
        image(inline("image/png", "AA==")),
        file(inline("application/pdf", "AA==")),
        file(inline("text/plain", "aMOp")),
        file(inline("image/gif", "AA==")),
        file(Source::FileId("file_1".into())),
    ];
    let (body, _) = good(&conversation(vec![turn(Role::User, parts)]), NEWEST);
    let content = &body["messages"][0]["content"];
    assert_eq!(content[0]["source"], json!({"type": "url", "url": "https://x/y.png"}));
    assert_eq!(content[3]["source"], json!({"type": "text", "media_type": "text/plain", "data": "hé"}));
    assert_eq!((&content[4]["type"], &content[5]["title"]), (&json!("image"), &json!("n")));
    for part in [
        image(inline("image/svg+xml", "AA")),
        file(inline("application/zip", "AA")),
        file(Source::FileId("file-1".into())),
        file(inline("text/plain", "!")),
    ] {
        assert!(write(&conversation(vec![turn(Role::User, vec![part])]), NEWEST).is_err());
    }
}

#[test]
fn of_too_many_marks_the_last_are_kept() {
    let marked = |words: &str| Part::Text { text: words.into(), cache: Some(CacheMark::OneHour) };
    let parts: Vec<Part> = ["a", "b", "c", "d", "e", " ", "f"].map(marked).to_vec();
    let (body, losses) = good(&conversation(vec![turn(Role::User, parts)]), NEWEST);
    let content = body["messages"][0]["content"].as_array().unwrap();
    let kept: Vec<bool> = content.iter().map(|block| block.get("cache_control").is_some()).collect();
    assert_eq!(kept, [false, false, true, true, true, true]);
    assert_eq!(content[5]["cache_control"], json!({"type": "ephemeral", "ttl": "1h"}));
    assert_eq!(losses.len(), 1);
}

fn any_part() -> impl Strategy<Value = Part> {
    let id = prop_oneof![Just("a"), Just("b"), Just("c.d"), Just("")];
    prop_oneof![
        "[a-z \n]{0,4}".prop_map(|words| text(&words)),
        "[a-z]{0,3}".prop_map(|text| Part::Reasoning { text, kind: ReasoningKind::Full, seal: None }),
        (id.clone(), "[a-z.]{1,3}", "[{}a\"]{0,3}").prop_map(|(id, name, text)| call(id, &name, &text)),
        (id, "[a-z ]{0,3}").prop_map(|(id, words)| result(id, &words)),
        Just(Part::Refusal { text: "no".into() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_is_one_that_the_provider_takes_or_is_refused(
        turns in prop::collection::vec((0..3_usize, prop::collection::vec(any_part(), 0..4)), 1..7),
        effort in prop::option::of(0..Effort::ALL.len()), limit in prop::option::of(1..40_000_u64),
    ) {
        let roles = [Role::System, Role::User, Role::Assistant];
        let turns = turns.into_iter().map(|(role, parts)| turn(roles[role], parts)).collect();
        let mut it = conversation(turns);
        it.max_tokens = limit;
        it.reasoning = effort.map(|i| Reasoning { effort: Some(Effort::ALL[i]), ..Reasoning::default() });
        for model in [NEWEST, BUDGETED, OLD, "kimi-k2"] {
            match write(&it, model) {
                Ok(written) => {
                    prop_assert_eq!(check_request(&written.body), Ok(()));
                    prop_assert_eq!(undeclared(&written.body), Vec::<String>::new());
                }
                Err(failure) => prop_assert!(failure.message.starts_with('`'), "{}", failure.message),
            }
        }
    }
}
