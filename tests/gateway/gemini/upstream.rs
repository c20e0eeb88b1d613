//! Requests as a provider gets them, and what is reported as lost on the way.

use millrace::chat::Conversation;
use millrace::chat::conversation::{
    CacheMark, Effort, Format, Issuer, Part, Reasoning, ReasoningKind, Role, Sampling, Seal, Source, Tool,
    ToolChoice, ToolKind,
};
use millrace::protocol::gemini::{read_conversation, write_conversation};
use serde_json::{Value, json};

use super::target;
use super::words::{call, result, text, tool, turn, user, write};

#[test]
fn efforts_become_what_the_model_knows() {
    let effort = |effort| Reasoning { effort: Some(effort), ..Reasoning::default() };
    let limit = Reasoning { max_tokens: Some(50_000), ..Reasoning::default() };
    let on = Reasoning { enabled: Some(true), exclude: true, ..Reasoning::default() };
    let shown = |rest: Value| {
        let mut config = json!({"includeThoughts": true});
        config.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Some(config)
    };
    let rows = [
        ("gemini-2.5-flash", effort(Effort::Low), shown(json!({"thinkingBudget": 2_000}))),
        (
            "gemini-2.5-flash",
            effort(Effort::None),
            Some(json!({"includeThoughts": false, "thinkingBudget": 0})),
        ),
        ("gemini-2.5-pro", effort(Effort::Minimal), shown(json!({"thinkingBudget": 1_000}))),
        ("gemini-2.5-pro", limit.clone(), shown(json!({"thinkingBudget": 32_768}))),
        ("gemini-2.5-flash-lite", limit.clone(), shown(json!({"thinkingBudget": 24_576}))),
        ("gemini-2.5-flash", on.clone(), Some(json!({"includeThoughts": false, "thinkingBudget": -1}))),
        ("gemini-3-pro-preview", effort(Effort::Minimal), shown(json!({"thinkingLevel": "low"}))),
        ("gemini-3-pro-preview", effort(Effort::Medium), shown(json!({"thinkingLevel": "high"}))),
        ("gemini-3.1-pro-preview", effort(Effort::Medium), shown(json!({"thinkingLevel": "medium"}))),
        ("gemini-3-flash-preview", effort(Effort::Minimal), shown(json!({"thinkingLevel": "minimal"}))),
        ("google/gemini-3.5-flash", effort(Effort::Xhigh), shown(json!({"thinkingLevel": "high"}))),
        ("gemini-flash-latest", on, Some(json!({"includeThoughts": false}))),
        ("gemini-3-flash-preview", limit, shown(json!({"thinkingBudget": 32_768}))),
        ("gemini-2.0-flash", effort(Effort::High), None),
        ("gemma-3-27b-it", effort(Effort::None), None),
    ];
    for (model, reasoning, expected) in rows {
        let conversation = Conversation {
            turns: vec![user("hi")],
            reasoning: Some(reasoning.clone()),
            max_tokens: Some(10_000),
            ..Conversation::default()
        };
        let (body, _) = write(&conversation, model);
        let config = body["generationConfig"].get("thinkingConfig").cloned();
        assert_eq!(config, expected, "{model} {reasoning:?}");
    }
    let off = Conversation {
        turns: vec![user("hi")],
        reasoning: Some(effort(Effort::None)),
        ..Conversation::default()
    };
    for model in ["gemini-2.5-pro", "gemini-3-pro-preview"] {
        let failure = write_conversation(&off, &target(model), true).unwrap_err();
        assert!(failure.message.contains("`reasoning`"), "{}", failure.message);
    }
}

#[test]
fn choices_of_tools_become_modes() {
    let rows = [
        (ToolChoice::Auto, json!({"mode": "AUTO"})),
        (ToolChoice::None, json!({"mode": "NONE"})),
        (ToolChoice::Required, json!({"mode": "ANY"})),
        (ToolChoice::Named("f".into()), json!({"mode": "ANY", "allowedFunctionNames": ["f"]})),
    ];
    for (choice, expected) in rows {
        let conversation = Conversation {
            turns: vec![user("hi")],
            tools: vec![tool("f", "{}")],
            tool_choice: Some(choice.clone()),
            ..Conversation::default()
        };
        let (body, written) = write(&conversation, "gemini-3-flash");
        assert_eq!(body["toolConfig"]["functionCallingConfig"], expected);
        let again = read_conversation(&written.body).unwrap();
        assert_eq!(again.tool_choice, Some(choice));
    }
}

#[test]
fn results_stand_in_the_order_of_their_calls() {
    let picture = Part::Image {
        source: Source::Inline { media_type: "image/png".into(), base64: "AAAA".into() },
        detail: None,
        cache: None,
    };
    let conversation = Conversation {
        turns: vec![
            user("hi"),
            turn(Role::Assistant, vec![call("a", "f", "", None), call("b", "g", "{\"x\": 1.0}", None)]),
            turn(Role::User, vec![text("and"), result("b", vec![text(r##"{"$ref":"#/x"}"##)], false)]),
            turn(
                Role::User,
                vec![result("a", vec![text("{\"n\":1.0}"), picture.clone()], false), text("go on")],
            ),
        ],
        ..Conversation::default()
    };
    let (body, _) = write(&conversation, "gemini-3-pro");
    let parts = &body["contents"][2]["parts"];
    let first = json!({"id": "a", "name": "f", "response": {"n": 1.0},
        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]});
    assert_eq!(parts[0]["functionResponse"], first);
    // No key of a result may be taken for a reference.
    assert_eq!(parts[1]["functionResponse"]["response"], json!({"result": r##"{"$ref":"#/x"}"##}));
    assert_eq!((&parts[2]["text"], &parts[3]["text"]), (&json!("and"), &json!("go on")));
    // Before Gemini 3 the picture stands beside the result.
    let (body, written) = write(&conversation, "gemini-2.5-pro");
    let parts = &body["contents"][2]["parts"];
    assert!(parts[0]["functionResponse"].get("parts").is_none() && parts[3]["inlineData"].is_object());
    assert!(written.losses.iter().any(|loss| loss.contains("tool result")), "{:?}", written.losses);
}

#[test]
fn calls_carry_the_signatures_that_gemini_3_wants() {
    let turns = |issuer| {
        vec![
            user("hi"),
            turn(Role::Assistant, vec![call("a", "f", "{}", issuer), call("b", "f", "{}", None)]),
        ]
    };
    let sentinel = json!("skip_thought_signature_validator");
    let rows = [
        ("gemini-3-pro", Some(Issuer::Gemini), json!("c2ln")),
        ("gemini-3-pro", None, sentinel.clone()),
        ("gemini-3-pro", Some(Issuer::Anthropic), sentinel),
        ("gemini-2.5-pro", Some(Issuer::Gemini), json!("c2ln")),
        ("gemini-2.5-pro", None, Value::Null),
    ];
    for (model, issuer, expected) in rows {
        let conversation = Conversation { turns: turns(issuer), ..Conversation::default() };
        let (body, _) = write(&conversation, model);
        let parts = &body["contents"][1]["parts"];
        assert_eq!(parts[0]["thoughtSignature"], expected, "{model} {issuer:?}");
        assert_eq!(parts[1]["thoughtSignature"], Value::Null);
    }
}

#[test]
fn seals_go_to_their_issuer_alone() {
    let seal = |issuer| Seal { issuer, data: "c2ln".into(), id: None };
    let thought = |issuer: Option<Issuer>| Part::Reasoning {
        text: "hm".into(),
        kind: ReasoningKind::Full,
        seal: issuer.map(seal),
    };
    let said = |parts| Conversation {
        turns: vec![user("hi"), turn(Role::Assistant, parts)],
        ..Conversation::default()
    };
    let parts = vec![thought(Some(Issuer::Anthropic)), thought(None), text("a")];
    let (body, written) = write(&said(parts), "gemini-3-pro");
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "a"}]));
    assert!(written.losses.iter().any(|loss| loss.contains("reasoning")));
    let hidden = Part::SealedReasoning { seal: seal(Issuer::Gemini) };
    let (body, written) = write(&said(vec![thought(None), text("a"), hidden.clone()]), "gemini-3-pro");
    let expected = json!([{"text": "hm", "thought": true}, {"text": "a", "thoughtSignature": "c2ln"}]);
    assert_eq!(body["contents"][1]["parts"], expected);
    assert!(written.losses.is_empty(), "{:?}", written.losses);
    let (body, _) = write(&said(vec![hidden]), "gemini-3-pro");
    assert_eq!(body["contents"][1]["parts"], json!([{"text": "", "thoughtSignature": "c2ln"}]));
}

#[test]
fn names_beyond_the_bounds_have_stand_ins() {
    let long = "x".repeat(80);
    let own = ["mcp server/tool", "mcp_server_tool", "9lives", &long, "ok.name:1"];
    let conversation = Conversation {
        turns: vec![user("hi"), turn(Role::Assistant, vec![call("a", &long, "{}", None)])],
        tools: own.iter().map(|name| tool(name, "{}")).collect(),
        tool_choice: Some(ToolChoice::Named("9lives".into())),
        ..Conversation::default()
    };
    let (body, written) = write(&conversation, "gemini-2.5-pro");
    let renamed: Vec<&str> = written.names.iter().map(|name| name.own.as_str()).collect();
    assert_eq!(renamed, ["mcp server/tool", "9lives", &long]);
    let sent: Vec<&str> = written.names.iter().map(|name| name.sent.as_str()).collect();
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["name"], sent[2]);
    assert_eq!(body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"][0], sent[1]);
    assert_eq!(write(&conversation, "gemini-2.5-pro").1.names, written.names);
}

#[test]
fn schemas_go_as_they_are_or_in_the_old_dialect() {
    let schema = r##"{"$schema":"x","type":"object","$defs":{"N":{"type":["string","null"],"format":"uuid"}},
        "properties":{"n":{"$ref":"#/$defs/N"},"o":{"oneOf":[{"type":"integer"},{"type":"null"}]},
        "c":{"const":"v"},"e":{"type":"integer","enum":[1,2]},"t":{"$ref":"#/$defs/T"}},
        "additionalProperties":false,"required":["n"]}"##
        .replace(
            "\"$defs\":{",
            "\"$defs\":{\"T\":{\"type\":\"object\",\"properties\":{\"t\":{\"$ref\":\"#/$defs/T\"}}},",
        );
    let conversation = Conversation {
        turns: vec![user("hi")],
        tools: vec![tool("f", &schema), tool("g", r#"{"type":"object","properties":{}}"#)],
        ..Conversation::default()
    };
    let (_, written) = write(&conversation, "gemini-2.5-pro");
    let sent = String::from_utf8(written.body).unwrap();
    assert!(sent.contains(&format!("\"parametersJsonSchema\":{schema}")) && written.losses.is_empty());
    let (body, written) = write(&conversation, "gemini-2.0-flash");
    let functions = &body["tools"][0]["functionDeclarations"];
    let expected = json!({"type": "OBJECT", "required": ["n"], "properties": {
        "n": {"type": "STRING", "nullable": true},
        "o": {"nullable": true, "anyOf": [{"type": "INTEGER"}]},
        "c": {"enum": ["v"]},
        "e": {"type": "INTEGER"},
        "t": {"type": "OBJECT", "properties": {"t": {"type": "OBJECT"}}},
    }});
    assert_eq!(functions[0]["parameters"], expected);
    assert!(functions[1].get("parameters").is_none());
    for lost in ["`format`", "`enum`", "recursive `$ref`", "`additionalProperties`"] {
        assert!(written.losses.iter().any(|loss| loss.contains(lost)), "{lost}: {:?}", written.losses);
    }
}

#[test]
fn references_do_not_multiply_without_bound() {
    let level = |level: u32| {
        let next = format!("{{\"$ref\":\"#/$defs/L{}\"}}", level + 1);
        format!("\"L{level}\":{{\"type\":\"object\",\"properties\":{{\"a\":{next},\"b\":{next}}}}}")
    };
    let levels: Vec<String> = (0..40).map(level).collect();
    let defs = format!("{},\"L40\":{{\"type\":\"string\"}}", levels.join(","));
    let schema = format!(
        "{{\"type\":\"object\",\"properties\":{{\"a\":{{\"$ref\":\"#/$defs/L0\"}}}},\"$defs\":{{{defs}}}}}"
    );
    let conversation =
        Conversation { turns: vec![user("hi")], tools: vec![tool("f", &schema)], ..Conversation::default() };
    let (_, written) = write(&conversation, "gemini-2.0-flash");
    assert!(written.body.len() < 1_000_000 && !written.losses.is_empty());
}

#[test]
fn formats_and_tools_go_together_from_gemini_3_on() {
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let format =
        Format::JsonSchema { name: Some("n".into()), description: None, schema: schema.into(), strict: None };
    let mut conversation = Conversation { turns: vec![user("hi")], format, ..Conversation::default() };
    let (body, _) = write(&conversation, "gemini-2.5-pro");
    let config = &body["generationConfig"];
    assert_eq!(config["responseMimeType"], "application/json");
    assert_eq!(config["responseJsonSchema"], serde_json::from_str::<Value>(schema).unwrap());
    conversation.tools.push(tool("f", "{}"));
    write(&conversation, "gemini-3-flash");
    let failure = write_conversation(&conversation, &target("gemini-2.5-pro"), true).unwrap_err();
    assert!(failure.message.contains("`response_format`"));
}

#[test]
fn what_gemini_cannot_say_is_reported() {
    let marked = Part::Text { text: "hi".into(), cache: Some(CacheMark::OneHour) };
    let custom = ToolKind::Custom { format: Some("{}".into()) };
    let conversation = Conversation {
        turns: vec![turn(Role::User, vec![marked]), turn(Role::System, vec![text("late")])],
        tools: vec![Tool { name: "c".into(), description: None, kind: custom, cache: None }],
        parallel_tool_calls: Some(false),
        verbosity: Some("low".into()),
        sampling: Sampling {
            min_p: Some("0.1".into()),
            seed: Some("99999999999".into()),
            stop: ["a", "b", "c", "d", "e", "f"].map(str::to_owned).to_vec(),
            ..Sampling::default()
        },
        unspoken: vec!["logit_bias".into()],
        ..Conversation::default()
    };
    let (body, written) = write(&conversation, "gemini-2.5-pro");
    let expected = [
        "logit_bias",
        "parallel_tool_calls",
        "verbosity",
        "min_p",
        "cache_control",
        "instructions",
        "tools.c.format",
        "seed",
        "stop",
    ];
    for name in expected {
        assert!(written.losses.iter().any(|loss| loss.contains(name)), "{name}: {:?}", written.losses);
    }
    assert_eq!(body["generationConfig"]["stopSequences"].as_array().unwrap().len(), 5);
    assert!(written.names[0].custom && written.names[0].sent == "c");
}

#[test]
fn a_request_without_turns_still_has_contents() {
    let turns = vec![turn(Role::System, vec![text("Say hi.")])];
    let (body, _) = write(&Conversation { turns, ..Conversation::default() }, "gemini-2.5-pro");
    assert_eq!(body, json!({"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}));
    write(&Conversation { turns: vec![user("")], ..Conversation::default() }, "gemini-2.5-pro");
}

#[test]
fn links_go_where_google_can_follow_them() {
    let image = |source| Conversation {
        turns: vec![turn(Role::User, vec![Part::Image { source, detail: None, cache: None }])],
        ..Conversation::default()
    };
    let url = |url: &str| Source::Url(url.into());
    let rows = [
        (
            url("https://a.example/x.png?y"),
            json!({"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/x.png?y"}}),
        ),
        (url("gs://b/x"), json!({"fileData": {"mimeType": "image/jpeg", "fileUri": "gs://b/x"}})),
        (url("data:image/gif;base64,AA=="), json!({"inlineData": {"mimeType": "image/gif", "data": "AA=="}})),
    ];
    for (source, expected) in rows {
        assert_eq!(write(&image(source), "gemini-2.5-pro").0["contents"][0]["parts"][0], expected);
    }
    for source in [url("http://10.0.0.1/x"), Source::FileId("file-1".into())] {
        assert!(write_conversation(&image(source), &target("gemini-2.5-pro"), false).is_err());
    }
}
