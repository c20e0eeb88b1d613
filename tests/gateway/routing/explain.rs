//! What is told of a plan: to who asks beforehand, and to whom nobody can serve.

use crate::outlined;
use millrace::catalog::Catalog;
use millrace::error::Cause;
use millrace::exchange::Intent;
use millrace::protocol::bridge::Face;
use millrace::routing::{describe, plan, survey, untried};
use serde_json::{Value, json};

use super::market::{NOW, Rows, key};

/// A survey of a chat request, described.
fn described(members: &str, health: &str) -> Value {
    with(members, health, |query| describe(query, &survey(query, &|_| true, 1).unwrap()))
}

fn with<T>(members: &str, health: &str, ask: impl FnOnce(&millrace::routing::Query<'_>) -> T) -> T {
    let body = format!(r#"{{{members},"messages":[{{"role":"user","content":"Debug this Python"}}]}}"#);
    let request = Face::Chat.read_request(&outlined(&body), "", false).unwrap();
    let intent = Intent::read(Face::Chat, &outlined(&body), &request, &key(), None).unwrap();
    ask(&intent.query(&request, Catalog::BUILT_IN, &Rows::read(health), NOW))
}

#[test]
fn a_description_has_each_endpoint_with_its_place_and_each_removed_with_its_reason() {
    let told = described(
        r#""model":"millrace/echo","max_tokens":100,"session_id":"s","provider":{"preferred_max_latency":1}"#,
        "millrace ttft=1500",
    );
    assert_eq!((&told["requested"], &told["strategy"]), (&json!(["millrace/echo"]), &json!("direct")));
    assert_eq!(told["summary"], "available=1, selected=Millrace");
    assert_eq!(told["session"], json!({ "named": true, "keeps_endpoint": true, "pinned": null }));
    assert_eq!(told["removed"], json!([]));
    let one = &told["order"][0];
    assert_eq!(
        (&one["position"], &one["endpoint"], &one["share"], &one["price"]),
        (
            &json!(1),
            &json!("millrace"),
            &json!(1.0),
            &json!({ "prompt": "1", "completion": "2", "request": "0" })
        )
    );
    assert_eq!(one["health"]["latency_ms"]["p50"], 1500);
    assert_eq!(one["notes"], json!(["slower than preferred_min_throughput or preferred_max_latency allow"]));
    // Money stays text, and the most is more than the prompt alone.
    let usd = |name: &str| one["estimate"][name].as_str().unwrap().parse::<f64>().unwrap();
    assert!(usd("prompt_usd") > 0.0 && usd("most_usd") > usd("prompt_usd"), "{one}");
    let told = described(r#""model":"millrace/echo","provider":{"ignore":["millrace"]}"#, "");
    assert_eq!((&told["order"], &told["summary"]), (&json!([]), &json!("available=0, removed=1")));
    assert_eq!(told["removed"][0]["reason"], "Millrace is in provider.ignore");
}

#[test]
fn a_router_tells_what_it_chose_by() {
    let told =
        described(r#""model":"openrouter/auto","plugins":[{"id":"auto-router","cost_tier":"high"}]"#, "");
    let router = &told["router"];
    assert_eq!(
        (&router["name"], &router["task"], &router["cost_tier"]),
        (&json!("auto"), &json!("code"), &json!("high"))
    );
    assert_eq!((&router["signs"], &told["strategy"]), (&json!(["debug", "python"]), &json!("auto")));
    assert_eq!(router["models"][0], told["order"][0]["model"]);
    let about = with(r#""model":"openrouter/auto""#, "", |query| plan(query, &|_| true, 1).unwrap().about);
    assert_eq!(about.router.unwrap()["cost_tier"], "low");
}

#[test]
fn who_cannot_be_served_learns_it_in_a_form_for_programs() {
    for (members, cause, code, excluded) in [
        (r#""model":"nobody/x""#, Cause::UnknownModel, "model_not_found", Value::Null),
        (r#""model":"millrace/echo:free""#, Cause::NoEndpoint, "free_variant_ended", Value::Null),
        (r#""model":"millrace/echo:batch""#, Cause::NoEndpoint, "no_endpoints", Value::Null),
        (
            r#""model":"millrace/echo","provider":{"max_price":{"prompt":0.1}}"#,
            Cause::NoEndpoint,
            "constraint_filtered",
            json!(["max_price"]),
        ),
        (
            r#""model":"millrace/echo","provider":{"only":["x"]}"#,
            Cause::NoEndpoint,
            "constraint_filtered",
            json!(["allowed_providers"]),
        ),
        (
            r#""model":"millrace/echo","provider":{"region":"eu"}"#,
            Cause::PermissionDenied,
            "region_restricted",
            json!(["data_region"]),
        ),
    ] {
        let failure = with(members, "", |query| plan(query, &|_| true, 1).unwrap_err());
        let availability = &failure.metadata["availability"];
        assert_eq!((failure.cause, availability["code"].as_str()), (cause, Some(code)), "{members}");
        assert_eq!(availability["excluded_by"], excluded, "{members}");
        // In the client's envelope it stands in the error, how it was routed beside it.
        let failure = failure.clone().with("openrouter_metadata", untried(&["a/b".into()], None, &failure));
        for face in [Face::Chat, Face::Responses, Face::Messages, Face::Completions] {
            let body: Value = serde_json::from_slice(&face.write_error(&failure, None)).unwrap();
            assert_eq!(body["error"]["availability"]["code"], code, "{face:?}");
            assert_eq!(body["openrouter_metadata"]["attempt"], 0, "{face:?}");
            assert!(body["error"]["metadata"].get("availability").is_none(), "{face:?}");
        }
    }
}
