//! Requests of clients: what is read, refused, noted, and kept on the fast lane.

use millrace::chat::conversation::{Issuer, Part, ReasoningKind, Role, ToolChoice, ToolKind};
use millrace::protocol::gemini::{
    count_tokens_estimate, read_conversation, read_request, splice_request, write_count,
};
use serde_json::{Value, json};

use super::target;
use super::words::{call, result, text, turn, user, write};

#[test]
fn a_request_is_summed_up_for_routing() {
    let body = json!({
        "contents": {"parts": [{"text": "hi"}, {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]},
        "tools": [{"function_declarations": [{"name": "f"}]}],
        "generation_config": {"max_output_tokens": 7, "temperature": 1, "responseMimeType": "application/json"},
    });
    let request = read_request(body.to_string().as_bytes(), "models/gemini-2.5-pro", true).unwrap();
    assert_eq!((request.model.as_deref(), request.stream), (Some("gemini-2.5-pro"), true));
    assert_eq!((request.max_tokens, request.size.inline_bytes, request.size.images), (Some(7), 4, 1));
    let needs = request.needs;
    assert!(needs.tools && needs.images && needs.json_object && !needs.structured_output && !needs.files);
    for parameter in ["temperature", "max_tokens", "tools", "response_format"] {
        assert!(needs.parameters.iter().any(|known| known == parameter), "{parameter}");
    }
}

#[test]
fn a_bad_request_is_refused_by_the_path_of_its_fault() {
    let rows = [
        ("", "not a valid JSON object"),
        ("[]", "not a valid JSON object"),
        ("{}", "`contents` must be"),
        (r#"{"contents":[]}"#, "`contents` must be"),
        (r#"{"contents":"SECRET"}"#, "`contents` must be"),
        (r#"{"contents":[{"role":"SECRET","parts":[]}]}"#, "`contents[0].role` must be"),
        (r#"{"contents":[{"parts":[{"text":1}]}]}"#, "`contents[0].parts[0].text` must be"),
        (r#"{"contents":[{"parts":[{"text":"a"}]}],"contents":[]}"#, "`contents` is given more than once"),
        (
            r#"{"generationConfig":{},"generation_config":{},"contents":[{}]}"#,
            "`generationConfig` is given more than once",
        ),
        (r#"{"contents":[{}],"generationConfig":{"maxOutputTokens":0}}"#, "maxOutputTokens` must be"),
        (r#"{"contents":[{}],"generationConfig":{"candidateCount":99}}"#, "candidateCount` must be"),
        (
            r#"{"contents":[{}],"tools":[{"functionDeclarations":[{}]}]}"#,
            "functionDeclarations[0].name` must be",
        ),
    ];
    for (body, expected) in rows {
        let failure = read_request(body.as_bytes(), "m", false).unwrap_err();
        assert!(failure.message.contains(expected), "{body}: {}", failure.message);
        assert!(!failure.message.contains("SECRET"));
    }
}

#[test]
fn what_only_gemini_can_do_is_refused_by_name() {
    let content = |part: &str| format!(r#"{{"contents":[{{"role":"model","parts":[{part}]}}]}}"#);
    let more = |member: &str| format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],{member}}}"#);
    let rows = [
        (more(r#""cachedContent":"cachedContents/1""#), "`cachedContent`"),
        (more(r#""tools":[{"url_context":{}}]"#), "`tools[0].urlContext`"),
        (more(r#""generationConfig":{"candidateCount":2}"#), "candidateCount"),
        (more(r#""generationConfig":{"responseModalities":["AUDIO"]}"#), "responseModalities"),
        (content(r#"{"executableCode":{"code":"1"}}"#), "executableCode"),
        (content(r#"{"inlineData":{"mimeType":"video/mp4","data":"A"}}"#), "video"),
        (content(r#"{"fileData":{"fileUri":"https://youtu.be/x"}}"#), "fileData"),
    ];
    for (body, expected) in rows {
        let failure = read_conversation(body.as_bytes()).unwrap_err();
        assert_eq!(failure.cause.status(), 400);
        assert!(failure.message.contains(expected), "{body}: {}", failure.message);
    }
    let orphan = content(r#"{"functionResponse":{"name":"f","response":{}}}"#);
    let failure = read_conversation(orphan.as_bytes()).unwrap_err();
    assert!(failure.message.contains("contents[0].parts[0].functionResponse"), "{}", failure.message);
}

#[test]
fn a_request_is_read_in_neutral_words() {
    let body = r#"{
        "systemInstruction": {"parts": {"text": "Be brief."}},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [
                {"text": "hm", "thought": true},
                {"functionCall": {"name": "f", "args": {"n": 1.50}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"}]},
            {"role": "function", "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "ok"}}},
                {"functionResponse": {"name": "f", "response": {"error": "no"}}}]}
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "nullable": true,
            "properties": {"a": {"type": "ARRAY", "minItems": "1", "items": {"type": "STRING", "format": "enum"}}}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "any", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"temperature": 0.10, "topK": 40, "stopSequences": ["x"],
            "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": true}, "mediaResolution": "LOW"},
        "safetySettings": []
    }"#;
    let conversation = read_conversation(body.as_bytes()).unwrap();
    let expected = vec![
        turn(Role::System, vec![text("Be brief.")]),
        user("hi"),
        turn(
            Role::Assistant,
            vec![
                Part::Reasoning { text: "hm".into(), kind: ReasoningKind::Summary, seal: None },
                call("call_gm_0", "f", r#"{"n": 1.50}"#, Some(Issuer::Gemini)),
                call("call_gm_1", "f", "{}", None),
            ],
        ),
        turn(
            Role::User,
            vec![result("call_gm_0", vec![text("ok")], false), result("call_gm_1", vec![text("no")], true)],
        ),
    ];
    assert_eq!(conversation.turns, expected);
    let ToolKind::Function { parameters: Some(schema), .. } = &conversation.tools[0].kind else { panic!() };
    let schema: Value = serde_json::from_str(schema).unwrap();
    let items = json!({"type": "array", "minItems": 1, "items": {"type": "string"}});
    assert_eq!(schema, json!({"type": ["object", "null"], "properties": {"a": items}}));
    assert_eq!(conversation.tool_choice, Some(ToolChoice::Named("f".into())));
    assert_eq!(conversation.sampling.temperature.as_deref(), Some("0.10"));
    let thinking = conversation.reasoning.unwrap();
    assert_eq!((thinking.max_tokens, thinking.enabled, thinking.exclude), (Some(2048), Some(true), false));
    assert_eq!(conversation.unspoken, ["safetySettings", "generationConfig.mediaResolution"]);
}

#[test]
fn what_is_the_clients_own_is_not_looked_into() {
    let body = r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"a_b":1,"aB":2}}}]},
        {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"a_b":1,"aB":null}}}]}]}"#;
    let conversation = read_conversation(body.as_bytes()).unwrap();
    assert_eq!(conversation.turns[0].parts[0], call("call_gm_0", "f", r#"{"a_b":1,"aB":2}"#, None));
    assert_eq!(
        conversation.turns[1].parts[0],
        result("call_gm_0", vec![text(r#"{"a_b":1,"aB":null}"#)], false)
    );
    let (body, _) = write(&conversation, "gemini-2.5-pro");
    assert_eq!(body["contents"][0]["parts"][0]["functionCall"]["args"], json!({"a_b": 1, "aB": 2}));
}

#[test]
fn the_fast_lane_drops_what_is_not_geminis() {
    let plain = br#"{ "contents": [ {"parts":[{"text":"a","new":1.0}]} ], "x_y": null }"#;
    assert_eq!(splice_request(plain, &target("gemini-3-pro")).body, plain);
    let mark = "bWlsbHJhY2Ugc2VhbCAx";
    let body = format!(
        concat!(
            r#"{{"model":"m", "contents": [ {{"role":"model","parts":[{{"text":"","thoughtSignature":"{0}"}},"#,
            r#"{{"functionCall": {{"name":"f"}}, "thoughtSignature": "{0}AA"}}, {{"text":"a","thoughtSignature":"c2ln"}}]}}]}}"#
        ),
        mark
    );
    let sent = |model| String::from_utf8(splice_request(body.as_bytes(), &target(model)).body).unwrap();
    assert_eq!(
        sent("gemini-3-pro"),
        concat!(
            r#"{"contents": [{"role":"model","parts":[{"functionCall": {"name":"f"}, "thoughtSignature": "#,
            r#""skip_thought_signature_validator"},{"text":"a","thoughtSignature":"c2ln"}]}]}"#
        )
    );
    assert!(!sent("gemini-2.5-pro").contains("skip_thought"));
}

#[test]
fn tokens_are_estimated() {
    let body = br#"{"contents":[{"parts":[{"text":"0123456789abcdef"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]}"#;
    let plain = count_tokens_estimate(body, "gemini-2.5-flash").unwrap();
    assert!((258 + 4..258 + 20).contains(&plain), "{plain}");
    let wrapped = format!("{{\"generateContentRequest\":{}}}", String::from_utf8_lossy(body));
    assert_eq!(count_tokens_estimate(wrapped.as_bytes(), "gemini-2.5-flash").unwrap(), plain);
    assert!(count_tokens_estimate(b"{}", "gemini-2.5-flash").is_err());
    let answer: Value = serde_json::from_slice(&write_count(7)).unwrap();
    assert_eq!(answer["totalTokens"], 7);
}
