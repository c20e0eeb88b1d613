//! Requests, both ways.

use crate::outlined;
use millrace::chat::conversation::{
    Effort, Format, Issuer, Part, Reasoning, ReasoningKind, Role, Seal, Source, ToolCall, ToolChoice,
    ToolKind, ToolResult, Turn,
};
use millrace::chat::{Conversation, Quirks};
use millrace::protocol::lane::Target;
use millrace::protocol::openai_responses::{
    read_conversation, read_request, splice_request, write_conversation,
};
use serde_json::Value;

use super::{grammar, target};

/// Written and read again.
fn round(conversation: &Conversation) -> (Conversation, Value, Vec<String>) {
    let written = write_conversation(conversation, &target(), false).expect("a request");
    grammar::check_request(&written.body).unwrap_or_else(|error| panic!("{error}"));
    let body = serde_json::from_slice(&written.body).expect("JSON");
    (read_conversation(&outlined(&written.body)).expect("what was written"), body, written.losses)
}

fn conversation(body: &str) -> Conversation {
    read_conversation(&outlined(body)).unwrap_or_else(|failure| panic!("{}", failure.message))
}

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned(), cache: None }
}

#[test]
fn what_needs_a_kept_response_is_refused_by_name() {
    let rows = [
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""store":true"#, "store"),
        (r#""background":true"#, "background"),
        (r#""conversation":"conv_1""#, "conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""plugins":[{"id":"file-parser"}]"#, "plugins"),
        (r#""store":false,"store":true"#, "store"),
        (r#""max_output_tokens":0"#, "max_output_tokens"),
        (r#""tools":{}"#, "tools"),
        (r#""tools":[{"name":"f"}]"#, "tools[0].type"),
    ];
    for (member, name) in rows {
        let body = format!(r#"{{"model":"m","input":"secret words",{member}}}"#);
        let failure = read_request(&outlined(body)).expect_err(member);
        assert_eq!(failure.cause.status(), 400);
        assert!(failure.message.contains(&format!("`{name}`")), "{}", failure.message);
        assert!(!failure.message.contains("secret"), "{}", failure.message);
    }
    for input in ["[]", "7", r#"[{"type":"item_reference","id":"x"}]"#, r#"[{"role":"robot","content":"x"}]"#]
    {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        assert!(read_request(&outlined(body)).expect_err(input).message.contains("`input"));
    }
    let nothing = r#"{"model":"m","input":"x","store":false,"previous_response_id":null,"background":false}"#;
    assert!(read_request(&outlined(nothing)).is_ok());
}

#[test]
fn routing_learns_what_the_request_needs() {
    let body = r#"{"model":"m","models":["n"],"stream":true,"max_output_tokens":9,"provider":{"sort":"price"},
        "tools":[{"type":"function","name":"f"}],"text":{"format":{"type":"json_schema","name":"n","schema":{}}},
        "input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]},
        {"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_data":"AAAA"}]}]}"#;
    let request = read_request(&outlined(body)).expect("a request");
    assert_eq!(request.candidates(), ["m", "n"]);
    assert!(request.stream && request.needs.tools && request.needs.images && request.needs.files);
    assert!(request.needs.structured_output && !request.needs.json_object);
    assert_eq!((request.max_tokens, request.size.max_tokens), (Some(9), Some(9)));
    assert_eq!((request.size.images, request.size.files, request.size.inline_bytes), (1, 1, 30));
    assert_eq!(request.provider.as_deref(), Some(r#"{"sort":"price"}"#));
}

#[test]
fn a_conversation_comes_through_both_ways() {
    let seal = Seal { issuer: Issuer::OpenAi, data: "gAAAAB".into(), id: Some("rs_1".into()) };
    let call = ToolCall {
        id: "call_1".into(),
        name: "f".into(),
        arguments: "{\"n\": 1.0}".into(),
        custom: false,
        seal: None,
    };
    let custom = ToolCall {
        id: "call_2".into(),
        name: "patch".into(),
        arguments: "*** free".into(),
        custom: true,
        seal: None,
    };
    let image = Source::Inline { media_type: "image/png".into(), base64: "AAAA".into() };
    let result = |call: &str, parts: Vec<Part>, custom| {
        Part::ToolResult(ToolResult { call: call.into(), parts, is_error: false, custom, cache: None })
    };
    let tools = r#"[{"type":"function","name":"f","parameters":{"type":"object","x":1.50},"strict":true},
        {"type":"custom","name":"patch","format":{"type":"grammar","syntax":"lark","definition":"x"}}]"#;
    let mut all = conversation(&format!(r#"{{"input":"x","tools":{tools}}}"#));
    all.turns = vec![
        Turn { role: Role::System, parts: vec![text("Be brief.")] },
        Turn {
            role: Role::User,
            parts: vec![
                text("Look."),
                Part::Image { source: image.clone(), detail: Some("high".into()), cache: None },
                Part::File {
                    name: Some("a.pdf".into()),
                    source: Source::Inline { media_type: "application/pdf".into(), base64: "BBBB".into() },
                    cache: None,
                },
                Part::Audio { base64: "CCCC".into(), format: "wav".into() },
            ],
        },
        Turn {
            role: Role::Assistant,
            parts: vec![
                Part::Reasoning { text: "Hm.".into(), kind: ReasoningKind::Summary, seal: None },
                Part::Reasoning {
                    text: "So.".into(),
                    kind: ReasoningKind::Summary,
                    seal: Some(seal.clone()),
                },
                Part::SealedReasoning { seal: Seal { id: None, ..seal } },
                text("I call."),
                Part::ToolCall(call),
                Part::ToolCall(custom),
            ],
        },
        Turn {
            role: Role::User,
            parts: vec![
                result("call_2", vec![text("done")], true),
                result(
                    "call_1",
                    vec![
                        text("see"),
                        Part::Image { source: image, detail: Some("auto".into()), cache: None },
                    ],
                    false,
                ),
            ],
        },
        Turn { role: Role::System, parts: vec![text("Now shorter.")] },
        Turn { role: Role::Assistant, parts: vec![Part::Refusal { text: "No.".into() }] },
        Turn { role: Role::User, parts: vec![text("Why?")] },
    ];
    all.tool_choice = Some(ToolChoice::Named("patch".into()));
    all.parallel_tool_calls = Some(false);
    all.format = Format::JsonSchema {
        name: Some("n".into()),
        description: Some("d".into()),
        schema: r#"{"type":"object", "maximum":1e400}"#.into(),
        strict: Some(true),
    };
    all.reasoning =
        Some(Reasoning { effort: Some(Effort::High), summary: Some("auto".into()), ..Reasoning::default() });
    all.sampling.temperature = Some("0.70".into());
    all.max_tokens = Some(100);
    all.verbosity = Some("low".into());
    all.user = Some("u".into());
    all.prompt_cache_key = Some("k".into());
    all.metadata = Some(r#"{"a":"b"}"#.into());
    let written = write_conversation(&all, &target(), false).expect("a request");
    assert_eq!(written.losses, Vec::<String>::new());
    assert_eq!(read_conversation(&outlined(&written.body)).expect("what was written"), all);
    assert!(String::from_utf8_lossy(&written.body).contains("\"maximum\":1e400"));
}

#[test]
fn effort_and_budget_become_what_openai_knows() {
    let rows = [
        (r#"{"effort":"high"}"#, Some("high")),
        (r#"{"enabled":true}"#, Some("medium")),
        (r#"{"enabled":false}"#, Some("none")),
        (r#"{"max_tokens":2000}"#, Some("low")),
        (r#"{"max_tokens":8000}"#, Some("high")),
        ("{}", None),
    ];
    for (reasoning, effort) in rows {
        let body = format!(r#"{{"input":"x","max_output_tokens":10000,"reasoning":{reasoning}}}"#);
        let (_, written, _) = round(&conversation(&body));
        assert_eq!(written["reasoning"]["effort"].as_str(), effort, "{reasoning}");
        let asks = written["include"][0] == "reasoning.encrypted_content";
        assert_eq!(asks, effort.is_some_and(|effort| effort != "none"), "{reasoning}");
        let spliced: Value =
            serde_json::from_slice(&splice_request(&outlined(body), &target()).body).expect("JSON");
        assert_eq!(spliced["reasoning"]["effort"].as_str(), effort, "{reasoning}");
        assert!(
            spliced["reasoning"].get("max_tokens").is_none() && spliced["reasoning"].get("enabled").is_none()
        );
    }
}

#[test]
fn every_tool_choice_comes_through() {
    let rows = [
        (r#""auto""#, ToolChoice::Auto, 2),
        (r#""none""#, ToolChoice::None, 2),
        (r#""required""#, ToolChoice::Required, 2),
        (r#"{"type":"function","name":"f"}"#, ToolChoice::Named("f".into()), 2),
        (r#"{"type":"custom","name":"g"}"#, ToolChoice::Named("g".into()), 2),
        (
            r#"{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}"#,
            ToolChoice::Required,
            1,
        ),
    ];
    for (raw, choice, tools) in rows {
        let body = format!(
            r#"{{"input":"x","tools":[{{"type":"function","name":"f"}},{{"type":"custom","name":"g"}}],"tool_choice":{raw}}}"#
        );
        let read = conversation(&body);
        assert_eq!((read.tool_choice.clone(), read.tools.len()), (Some(choice.clone()), tools), "{raw}");
        assert_eq!(round(&read).0.tool_choice, Some(choice));
    }
    let hosted = r#"{"input":"x","tools":[{"type":"file_search"}],"tool_choice":{"type":"file_search"}}"#;
    assert!(read_conversation(&outlined(hosted)).is_err());
}

#[test]
fn tools_of_vendors_are_named_or_refused() {
    let rest = conversation(
        r#"{"input":"x","tools":[{"type":"web_search"},{"type":"tool_search"},{"type":"function","name":"f","defer_loading":true}]}"#,
    );
    assert_eq!(rest.unspoken, ["tools[1] (tool_search)", "tools[2].defer_loading"]);
    assert_eq!(rest.tools.len(), 1);
    for kind in ["file_search", "code_interpreter", "mcp", "computer"] {
        let body = format!(r#"{{"input":"x","tools":[{{"type":"{kind}"}}]}}"#);
        let failure = read_conversation(&outlined(body)).expect_err(kind);
        assert!(failure.message.contains("tools[0]") && failure.message.contains(kind));
    }
    let only = r#"{"input":"x","tools":[{"type":"web_search"}],"tool_choice":"required"}"#;
    assert!(read_conversation(&outlined(only)).is_err());
}

#[test]
fn namespaces_are_flattened_without_a_collision() {
    let long = "n".repeat(60);
    let body = format!(
        r#"{{"input":[{{"type":"function_call","call_id":"c","namespace":"a","name":"b","arguments":"{{}}"}},
        {{"type":"function_call_output","call_id":"c","output":"1"}}],
        "tools":[{{"type":"function","name":"a__b"}},{{"type":"namespace","name":"a","tools":[
        {{"type":"function","name":"b"}},{{"type":"function","name":"{long}"}},{{"type":"function","name":"{long}x"}}]}}]}}"#
    );
    let read = conversation(&body);
    let names: Vec<&str> = read.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names[..2], ["a__b", "a__b_2"]);
    assert!(names.iter().all(|name| name.len() <= 64) && names[2] != names[3]);
    let Part::ToolCall(call) = &read.turns[0].parts[0] else { panic!("a call") };
    assert_eq!(call.name, "a__b_2");
}

#[test]
fn names_and_ids_beyond_the_limits_are_exchanged() {
    let name = format!("tool.{}", "x".repeat(90));
    let id = "i".repeat(90);
    let mut all = conversation(r#"{"input":"x","tools":[{"type":"function","name":"f"}]}"#);
    all.tools[0].name.clone_from(&name);
    let call = ToolCall { id: id.clone(), name: name.clone(), ..call() };
    all.turns.push(Turn { role: Role::Assistant, parts: vec![Part::ToolCall(call)] });
    let result = ToolResult { call: id, parts: vec![text("1")], is_error: true, custom: false, cache: None };
    all.turns.push(Turn { role: Role::User, parts: vec![Part::ToolResult(result)] });
    let written = write_conversation(&all, &target(), true).expect("a request");
    grammar::check_request(&written.body).unwrap_or_else(|error| panic!("{error}"));
    let body: Value = serde_json::from_slice(&written.body).expect("JSON");
    assert_eq!(body["input"][1]["name"], body["tools"][0]["name"]);
    assert_eq!(body["input"][1]["call_id"], body["input"][2]["call_id"]);
    assert_eq!(body["input"][2]["output"], "Error: 1");
    assert_eq!(written.names[0].own, name);
    assert_eq!(written.names[0].sent, body["tools"][0]["name"].as_str().unwrap_or_default());
}

fn call() -> ToolCall {
    ToolCall { id: "c".into(), name: "f".into(), arguments: String::new(), custom: false, seal: None }
}

#[test]
fn what_responses_cannot_say_is_listed() {
    let mut all = conversation(r#"{"input":"x"}"#);
    all.sampling.stop = vec!["END".into()];
    all.sampling.seed = Some("1".into());
    all.sampling.top_k = Some("2".into());
    all.unspoken = vec!["logit_bias".into()];
    let foreign = Seal { issuer: Issuer::Anthropic, data: "sig".into(), id: None };
    let thought = Part::Reasoning { text: "t".into(), kind: ReasoningKind::Full, seal: Some(foreign) };
    all.turns.push(Turn { role: Role::Assistant, parts: vec![thought, text("a")] });
    let (_, body, losses) = round(&all);
    for name in ["stop", "seed", "top_k", "logit_bias", "reasoning"] {
        assert!(losses.iter().any(|loss| loss.starts_with(name)), "{name}: {losses:?}");
    }
    assert!(!body.to_string().contains("sig\""));
}

#[test]
fn a_lane_sends_no_seal_to_another_provider() {
    let own = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAAB"}"#;
    let envelope = r#"{"type":"reasoning","id":"rs_mr_1_0","summary":[],"encrypted_content":"millrace-1:anthropic-claude-v1:text:sig"}"#;
    let made_up = r#"{"type":"reasoning","id":"rs_mr_1_0","summary":[],"content":[]}"#;
    let body = format!(r#"{{"model":"a/b","models":["c"],"input":[{own},{envelope},{made_up}],"x":1.0}}"#);
    let out = splice_request(&outlined(body), &target()).body;
    let expected = format!(r#"{{"model":"gpt-5.6","input":[{own}],"x":1.0,"store":false}}"#);
    assert_eq!(String::from_utf8_lossy(&out), expected);
    let quirks = Quirks { sealer: Issuer::Xai, ..Quirks::NONE };
    let labelled =
        r#"{"input":[{"type":"reasoning","format":"openai-responses-v1","encrypted_content":"gAAAAB"}]}"#;
    let out = splice_request(&outlined(labelled), &Target { quirks: &quirks, ..target() }).body;
    assert!(!String::from_utf8_lossy(&out).contains("gAAAAB"));
    // Translated, a seal goes to its issuer alone.
    let mut all = conversation(&format!(r#"{{"input":[{own},{{"role":"assistant","content":"a"}}]}}"#));
    all.turns.push(Turn { role: Role::User, parts: vec![text("b")] });
    for (issuer, sent) in [(Issuer::Unknown, true), (Issuer::OpenAi, true), (Issuer::Xai, false)] {
        let quirks = Quirks { sealer: issuer, ..Quirks::NONE };
        let written =
            write_conversation(&all, &Target { quirks: &quirks, ..target() }, false).expect("a request");
        assert_eq!(String::from_utf8_lossy(&written.body).contains("gAAAAB"), sent, "{issuer:?}");
    }
}

#[test]
fn a_tool_without_parameters_is_still_a_function() {
    let read = conversation(r#"{"input":"x","tools":[{"type":"function","name":"f"}]}"#);
    assert_eq!(read.tools[0].kind, ToolKind::Function { parameters: None, strict: None });
    assert_eq!(round(&read).1["tools"][0]["strict"], false);
}
