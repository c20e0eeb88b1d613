//! Requests of clients: what routing reads of them, what is refused, and the shared words.

use crate::outlined;
use millrace::chat::Quirks;
use millrace::chat::conversation::{CacheMark, Effort, Format, Part, Role, Source, ToolChoice, ToolKind};
use millrace::protocol::anthropic_messages::{
    BETA_HEADERS, BetaTarget, count_tokens_estimate, forward_betas, read_conversation, read_request,
    splice_request, write_error,
};
use millrace::protocol::lane::Target;
use serde_json::{Value, json};

use super::grammar::check_error;

fn with(members: Value) -> Vec<u8> {
    let mut body = json!({"model": "a/b", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string().into_bytes()
}

#[test]
fn routing_reads_what_it_needs() {
    let body = with(json!({
        "stream": true, "fallbacks": [{"model": "c/d"}], "provider": {"order": ["X"]}, "session_id": "s",
        "metadata": {"user_id": "u"}, "tools": [{"name": "f", "input_schema": {}}], "top_k": 3,
        "output_config": {"format": {"type": "json_schema", "schema": {}}},
        "messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "tool_result", "tool_use_id": "t", "content": [
                {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}]},
        ]}],
    }));
    let request = read_request(&outlined(&body)).unwrap();
    assert_eq!(request.candidates(), ["a/b", "c/d"]);
    assert!(request.stream && request.needs.tools && request.needs.images && request.needs.files);
    assert!(request.needs.structured_output);
    assert_eq!((request.max_tokens, request.size.choices), (Some(9), 1));
    assert_eq!((request.size.images, request.size.files, request.size.inline_bytes), (1, 1, 4));
    assert_eq!((request.user.as_deref(), request.session_id.as_deref()), (Some("u"), Some("s")));
    assert_eq!(request.provider.as_deref(), Some(r#"{"order":["X"]}"#));
    assert!(request.needs.parameters.iter().any(|name| name == "top_k"));
    assert_eq!(read_request(&outlined(with(json!({"max_tokens": null})))).unwrap().max_tokens, None);
}

#[test]
fn what_is_wrong_is_named_and_never_quoted() {
    let rows = [
        (json!({"messages": []}), "`messages`"),
        (json!({"messages": [{"role": "tool", "content": "SECRET"}]}), "`messages[0].role`"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "`messages[0].content`"),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}),
            "`messages[0].content[0].text`",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"SECRET": 1}]}]}),
            "`messages[0].content[0].type`",
        ),
        (json!({"max_tokens": -1}), "`max_tokens`"),
        (json!({"stream": "SECRET"}), "`stream`"),
        (json!({"models": ["x"], "fallbacks": [{"model": "y"}]}), "`models` and `fallbacks`"),
        (json!({"fallbacks": [{"model": "y", "temperature": 1}]}), "`fallbacks[0].temperature`"),
        (json!({"fallbacks": [{}, {}, {}, {}]}), "`fallbacks`"),
        (json!({"plugins": [{"id": "file-parser"}]}), "`plugins`"),
        (json!({"tools": [{"type": "openrouter:datetime"}]}), "`tools[0].type`"),
        (json!({"thread": {"type": "continue", "previous_message_id": "m"}}), "`thread`"),
        (json!({"thread": {"type": "fork"}}), "`thread`"),
    ];
    for (members, path) in rows {
        let failure = read_request(&outlined(with(members.clone()))).expect_err(path);
        assert!(failure.message.contains(path), "{members}: {}", failure.message);
        assert!(!failure.message.contains("SECRET"), "{}", failure.message);
    }
    let twice = br#"{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}"#;
    assert!(read_request(&outlined(twice)).unwrap_err().message.contains("more than once"));
}

#[test]
fn a_thread_may_begin_and_is_lost_in_the_words_that_sdks_look_for() {
    let thread = json!({"thread": {"type": "create"}});
    read_request(&outlined(with(thread.clone()))).unwrap();
    read_conversation(&outlined(with(thread.clone()))).unwrap();
    let target = Target { model: "m", quirks: &Quirks::NONE, max_output: None };
    let sent = splice_request(&outlined(with(thread)), &target);
    assert!(!String::from_utf8(sent.body).unwrap().contains("thread"));
    let both = json!({"thread": {"type": "create"}, "previous_message_id": "m"});
    let unsupported = ["thread", "previous_message_id"];
    let rows = [
        (
            json!({"thread": {"type": "continue", "previous_message_id": "m"}}),
            "not_found_error",
            json!({"error_code": "thread_not_found"}),
        ),
        (
            both,
            "invalid_request_error",
            json!({"error_code": "thread_unsupported_request", "unsupported": unsupported}),
        ),
    ];
    for (members, kind, details) in rows {
        let failure = read_request(&outlined(with(members))).unwrap_err();
        let error: Value = serde_json::from_slice(&write_error(&failure, None)).unwrap();
        check_error(&error).unwrap();
        assert_eq!(error["error"]["type"], kind);
        assert_eq!(error["error"]["details"], details);
        assert!(error.get("metadata").is_none());
    }
}

#[test]
fn claude_code_reads_in_shared_words() {
    let body = with(json!({
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
            {"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "go"}, {"type": "text", "text": ""}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "redacted_thinking", "data": "ZGF0YQ"},
                {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"n": 1.0, "big": 12345678901234567890u64}, "caller": {"type": "direct"}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [
                {"type": "text", "text": "out"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            ], "cache_control": {"type": "ephemeral"}}]},
            {"role": "system", "content": "later"},
        ],
        "tools": [
            {"name": "Bash", "description": "d", "input_schema": {"type": "object"}, "defer_loading": true},
            {"type": "bash_20250124", "name": "bash"},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
        "output_config": {"effort": "high", "task_budget": {"total": 1}},
        "context_management": {"edits": []}, "metadata": {"user_id": "u"}, "stop_sequences": ["END"],
        "temperature": 1.0,
    }));
    let read = read_conversation(&outlined(&body)).unwrap();
    let roles: Vec<Role> = read.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::User, Role::System]);
    assert_eq!(
        read.turns[0].parts,
        [Part::Text { text: "You are.".into(), cache: Some(CacheMark::OneHour) }]
    );
    assert_eq!(read.turns[1].parts.len(), 1);
    let [Part::Reasoning { seal: Some(_), .. }, Part::SealedReasoning { .. }, Part::ToolCall(call)] =
        &read.turns[2].parts[..]
    else {
        panic!("{:?}", read.turns[2])
    };
    assert!(call.arguments.contains("12345678901234567890") && call.arguments.contains("1.0"));
    let [Part::ToolResult(result)] = &read.turns[3].parts[..] else { panic!() };
    assert!(result.is_error && result.parts.len() == 2 && result.cache == Some(CacheMark::FiveMinutes));
    assert_eq!(read.tool_choice, Some(ToolChoice::Required));
    assert_eq!(read.parallel_tool_calls, Some(false));
    let reasoning = read.reasoning.unwrap();
    assert_eq!((reasoning.max_tokens, reasoning.effort), (Some(2048), Some(Effort::High)));
    assert!(reasoning.exclude && reasoning.enabled == Some(true));
    assert!(
        matches!(&read.tools[1].kind, ToolKind::Function { parameters: Some(schema), .. } if schema.contains("restart"))
    );
    assert_eq!((read.user.as_deref(), &read.sampling.stop[..]), (Some("u"), &["END".to_owned()][..]));
    let unspoken = ["system[0]", "tools[0].defer_loading", "output_config.task_budget", "context_management"];
    assert_eq!(read.unspoken, unspoken);
}

#[test]
fn what_only_anthropic_can_do_is_refused_by_name() {
    let block = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    let rows = [
        (json!({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}), "`tools[0].type`"),
        (json!({"mcp_servers": [{"url": "x"}]}), "`mcp_servers`"),
        (json!({"container": "c"}), "`container`"),
        (block(json!({"type": "container_upload", "file_id": "f"})), "`messages[0].content[0].type`"),
        (block(json!({"type": "server_tool_use", "id": "s"})), "`messages[0].content[0].type`"),
        (json!({"thinking": {"type": "sometimes"}}), "`thinking.type`"),
        (json!({"output_config": {"effort": "huge"}}), "`output_config.effort`"),
    ];
    for (members, path) in rows {
        let failure = read_conversation(&outlined(with(members))).expect_err(path);
        assert!(failure.message.starts_with(path), "{}", failure.message);
    }
}

#[test]
fn documents_and_formats_have_their_words() {
    let source = |source: Value| json!({"type": "document", "title": "t", "source": source});
    let body = with(json!({
        "messages": [{"role": "user", "content": [
            source(json!({"type": "text", "media_type": "text/plain", "data": "words"})),
            source(json!({"type": "file", "file_id": "file_1"})),
            {"type": "search_result", "source": "https://x", "title": "r", "content": [{"type": "text", "text": "found"}]},
        ]}],
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
        "cache_control": {"type": "ephemeral"},
    }));
    let read = read_conversation(&outlined(&body)).unwrap();
    let sources: Vec<&Source> = read.turns[0]
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::File { source, .. } => Some(source),
            _ => None,
        })
        .collect();
    assert_eq!(sources[0], &Source::Text("words".into()));
    assert_eq!(sources[1], &Source::FileId("file_1".into()));
    assert_eq!(sources[2], &Source::Text("https://x\n\nfound".into()));
    assert!(matches!(&read.turns[0].parts[2], Part::File { cache: Some(_), .. }));
    assert!(matches!(&read.format, Format::JsonSchema { schema, .. } if schema == r#"{"type":"object"}"#));
}

#[test]
fn a_splice_changes_what_routing_owns_and_nothing_else() {
    let body = br#"{ "model" : "a/b","models":["c"], "max_tokens":1e3 ,"provider":{},"session_id":"s",
        "messages":[{"role":"user","content":"\u00e9 12345678901234567890"}],"new":{"x":1.0, "x":[ ]}}"#;
    let quirks = Quirks::NONE;
    let target = Target { model: "claude-x", quirks: &quirks, max_output: Some(5) };
    let expected = r#"{ "model" : "claude-x", "max_tokens":1e3,
        "messages":[{"role":"user","content":"\u00e9 12345678901234567890"}],"new":{"x":1.0, "x":[ ]}}"#;
    assert_eq!(String::from_utf8(splice_request(&outlined(body), &target).body).unwrap(), expected);
    let open = br#"{"model":"a/b","messages":[{"role":"user","content":"x"}]}"#;
    let text = |target: &Target<'_>| String::from_utf8(splice_request(&outlined(open), target).body).unwrap();
    assert!(text(&target).ends_with(",\"max_tokens\":5}"));
    // To count tokens there is no limit to set.
    assert!(!text(&Target { max_output: None, ..target }).contains("max_tokens"));
}

#[test]
fn betas_go_to_anthropic_and_few_of_them_further() {
    let sent = "claude-code-20250219, interleaved-thinking-2025-05-14,brand-new-2027-01-01,oauth-2025-04-20,message-threads-2026-08-12,interleaved-thinking-2025-05-14";
    let first = forward_betas(sent, BetaTarget::Anthropic);
    let kept = "claude-code-20250219,interleaved-thinking-2025-05-14,brand-new-2027-01-01";
    assert_eq!(first.header.as_deref(), Some(kept));
    assert_eq!(first.dropped, ["oauth-2025-04-20", "message-threads-2026-08-12"]);
    let hosted = forward_betas(sent, BetaTarget::Hosted);
    assert_eq!(hosted.header.as_deref(), Some("interleaved-thinking-2025-05-14"));
    let other = forward_betas(sent, BetaTarget::Other);
    assert_eq!((other.header, other.dropped.len()), (None, 5));
    assert!(BETA_HEADERS.iter().all(|policy| policy.anthropic || !policy.hosted));
}

#[test]
fn an_estimate_grows_with_the_request_and_not_with_its_pictures() {
    let estimate = |members: Value| count_tokens_estimate(&outlined(with(members))).unwrap();
    let little = estimate(json!({}));
    let much = estimate(json!({"system": "word ".repeat(4_000)}));
    assert!(little > 0 && (3_000..5_000).contains(&(much - little)), "{little} {much}");
    let data = "A".repeat(1_000_000);
    let picture = estimate(json!({"messages": [{"role": "user", "content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}]}]}));
    assert!(picture < 2_000, "{picture}");
    assert!(count_tokens_estimate(&outlined(b"{}")).is_err());
}
