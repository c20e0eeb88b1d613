//! What clients may want of workspaces, members and guardrails, and what is refused by name.

use millrace::account::team::request::{
    For, GUARDRAIL_DEFAULTS, MEMBER_DEFAULTS, WORKSPACE_DEFAULTS, read_budget, read_guardrail, read_member,
    read_names, read_workspace,
};
use millrace::catalog::Catalog;
use millrace::error::Failure;
use serde_json::{Value, json};

const CATALOG: Catalog = Catalog::BUILT_IN;

fn workspace(body: &Value, purpose: For) -> Result<String, Failure> {
    read_workspace(body.to_string().as_bytes(), purpose, CATALOG)
}

fn guardrail(body: &Value) -> Result<Value, Failure> {
    let (read, _) = read_guardrail(body.to_string().as_bytes(), For::Change, CATALOG)?;
    Ok(serde_json::from_str(&read).expect("what is kept is JSON"))
}

#[test]
fn defaults_are_json() {
    for text in [WORKSPACE_DEFAULTS, MEMBER_DEFAULTS, GUARDRAIL_DEFAULTS] {
        assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
    }
}

#[test]
fn a_workspace_is_read_whole_or_not_at_all() {
    let whole = json!({ "name": "Team A", "slug": "team-a", "description": "x", "default_text_model": "openai/gpt-4.1-mini",
        "default_image_model": null, "default_provider_sort": "throughput", "is_observability_io_logging_enabled": false,
        "is_observability_broadcast_enabled": false, "is_data_discount_logging_enabled": true,
        "io_logging_sampling_rate": 0.5, "io_logging_api_key_ids": [1, 2] });
    let read: Value = serde_json::from_str(&workspace(&whole, For::New).unwrap()).unwrap();
    assert_eq!(read, whole);
    assert_eq!(workspace(&json!({}), For::Change).unwrap(), "{}");
    for (body, words) in [
        (json!({ "name": "x" }), "slug: this member is required"),
        (json!({ "slug": "x" }), "name: this member is required"),
        (json!({ "name": " ", "slug": "x" }), "name: must be a string of 1 to 100 characters"),
        (json!({ "name": "x".repeat(101), "slug": "x" }), "name: must be a string of 1 to 100 characters"),
        (json!({ "name": "x", "slug": "-x" }), "slug: must be"),
        (json!({ "name": "x", "slug": "X" }), "slug: must be"),
        (json!({ "name": "x", "slug": "x--y" }), "slug: must be"),
        (json!({ "name": "x", "slug": "x".repeat(51) }), "slug: must be"),
        (
            json!({ "name": "x", "slug": "x", "default_provider_sort": "best" }),
            "default_provider_sort: must be price",
        ),
        (
            json!({ "name": "x", "slug": "x", "default_text_model": "no/such" }),
            "default_text_model: no/such is not a valid model ID",
        ),
        (
            json!({ "name": "x", "slug": "x", "io_logging_sampling_rate": 0 }),
            "io_logging_sampling_rate: must be",
        ),
        (
            json!({ "name": "x", "slug": "x", "io_logging_sampling_rate": 1.1 }),
            "io_logging_sampling_rate: must be",
        ),
        (
            json!({ "name": "x", "slug": "x", "is_data_discount_logging_enabled": null }),
            "must be true or false",
        ),
        (json!({ "name": "x", "slug": "x", "colour": "red" }), "colour: no such member"),
        (json!([]), "The body is not a JSON object"),
    ] {
        let failure = workspace(&body, For::New).unwrap_err();
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
        assert_eq!(failure.cause.status(), 400);
    }
}

#[test]
fn a_guardrail_is_kept_as_it_is_shown() {
    for (body, kept) in [
        (
            json!({ "enforce_zdr": true, "enforce_zdr_google": false }),
            json!({ "enforce_zdr_google": false,
            "enforce_zdr_anthropic": true, "enforce_zdr_openai": true, "enforce_zdr_xai": true, "enforce_zdr_other": true }),
        ),
        (json!({ "enforce_zdr": null }), json!({})),
        (
            json!({ "limit_usd": 12.5, "reset_interval": "weekly" }),
            json!({ "limit_usd": 12.5, "reset_interval": "weekly" }),
        ),
        (
            json!({ "allowed_models": ["openai/gpt-4.1-mini:nitro", "anthropic/*"] }),
            json!({ "allowed_models": ["openai/gpt-4.1-mini-2025-04-14", "anthropic/*"] }),
        ),
        (
            json!({ "allowed_providers": ["OpenAI", "deepinfra/turbo"], "ignored_providers": null }),
            json!({ "allowed_providers": ["openai", "deepinfra/turbo"], "ignored_providers": null }),
        ),
        (
            json!({ "content_filter_builtins": [{ "slug": "email", "action": "redact", "label": "mine" },
            { "slug": "regex-prompt-injection", "action": "block", "scan_scope": "user_only" }] }),
            json!({ "content_filter_builtins": [{ "slug": "email", "action": "redact", "label": "[EMAIL]" },
            { "slug": "regex-prompt-injection", "action": "block", "label": "[PROMPT_INJECTION]", "scan_scope": "user_only" }] }),
        ),
        (
            json!({ "content_filters": [{ "pattern": "\\bx\"\\d+", "action": "flag" }] }),
            json!({ "content_filters": [{ "pattern": "\\bx\"\\d+", "action": "flag", "label": null }] }),
        ),
    ] {
        assert_eq!(guardrail(&body).unwrap(), kept, "{body}");
    }
    for (body, words) in [
        (json!({ "name": null }), "name: must be"),
        (json!({ "limit_usd": 0 }), "limit_usd: must be"),
        (json!({ "limit_usd": "x" }), "limit_usd: must be"),
        (json!({ "reset_interval": "hourly" }), "reset_interval: must be"),
        (json!({ "allowed_models": [] }), "allowed_models: must be a list of 1 to 500"),
        (json!({ "allowed_models": ["no/such"] }), "allowed_models: no/such is not a valid model ID"),
        (json!({ "ignored_providers": ["nobody"] }), "ignored_providers: nobody is no provider"),
        (json!({ "allowed_data_regions": ["mars"] }), "allowed_data_regions: must be of"),
        (json!({ "enforce_zdr": "yes" }), "enforce_zdr: must be"),
        (
            json!({ "content_filter_builtins": [{ "slug": "person-name", "action": "redact" }] }),
            "cannot be found by this gateway",
        ),
        (
            json!({ "content_filter_builtins": [{ "slug": "iris", "action": "redact" }] }),
            "content_filter_builtins[0].slug: must be",
        ),
        (
            json!({ "content_filter_builtins": [{ "slug": "email", "action": "melt" }] }),
            "content_filter_builtins[0].action: must be",
        ),
        (
            json!({ "content_filters": [{ "pattern": "(?=x)", "action": "block" }] }),
            "content_filters[0].pattern: ",
        ),
        (json!({ "content_filters": [{ "action": "block" }] }), "content_filters[0].pattern: must be"),
        (
            json!({ "content_filters": vec![json!({ "pattern": "x", "action": "flag" }); 51] }),
            "content_filters: must be a list of at most 50",
        ),
        (json!({ "workspace_id": "x" }), "workspace_id: no such member"),
    ] {
        let failure = guardrail(&body).unwrap_err();
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
    let bad =
        guardrail(&json!({ "content_filters": [{ "pattern": "(a)\\1", "action": "block" }] })).unwrap_err();
    assert_eq!(bad.metadata["code"], "invalid_regex_pattern");
}

#[test]
fn members_budgets_and_names_are_read() {
    for (body, expected) in [
        (json!({ "email": "jane@x.io" }), Ok(None)),
        (json!({ "email": "jane@x.io", "id": "auth0.7-a", "role": "org:admin" }), Ok(Some("auth0.7-a"))),
        (json!({ "email": "jane@x.io", "id": "a b" }), Err("id: must be")),
        (json!({ "email": "jane" }), Err("email: must be")),
        (json!({ "email": "jane@x.io", "role": "king" }), Err("role: must be")),
        (json!({}), Err("email: this member is required")),
    ] {
        match (read_member(body.to_string().as_bytes(), For::New), expected) {
            (Ok((_, id)), Ok(expected)) => assert_eq!(id.as_deref(), expected),
            (Err(failure), Err(words)) => assert!(failure.message.contains(words), "{}", failure.message),
            (got, _) => panic!("{body}: {got:?}"),
        }
    }
    let budget = |body: &str| read_budget(body.as_bytes());
    assert_eq!(budget(r#"{"limit_usd": 1.5}"#).unwrap(), r#"{"limit_usd":"1500000000000"}"#);
    assert!(
        budget(r#"{"limit_usd": 0}"#).is_err()
            && budget("{}").is_err()
            && budget(r#"{"limit_usd":1,"x":2}"#).is_err()
    );
    assert_eq!(read_names(br#"{"user_ids":["a","b"]}"#, "user_ids").unwrap(), ["a", "b"]);
    for body in [r#"{"user_ids":[]}"#, r#"{"user_ids":[1]}"#, r#"{}"#] {
        assert!(read_names(body.as_bytes(), "user_ids").is_err(), "{body}");
    }
}
