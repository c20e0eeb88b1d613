//! The catalog's file format, which is the build script's: what it refuses, and the names it makes.

use millrace::catalog::{index, vocabulary};
use millrace::money;
use serde_json::{Value, json};

#[path = "../../catalog/build.rs"]
mod build;

/// Each row: models with their dates, and the one that `~acme/one-latest` is.
#[test]
fn the_latest_of_a_family_is_the_highest_version() {
    for (models, expected) in [
        (vec![("acme/one-1.5", 9), ("acme/one-2", 1)], Some("acme/one-2")),
        (vec![("acme/one-4.20", 9), ("acme/one-4.3", 1)], Some("acme/one-4.3")),
        (vec![("acme/one-3", 1), ("acme/3-one", 2)], Some("acme/3-one")),
        (vec![("acme/one-3", 1), ("acme/one-4-preview", 2), ("acme/one-5:free", 3)], Some("acme/one-3")),
        (vec![("acme/one-k2.6", 1), ("acme/one-k2-0905", 2)], Some("acme/one-k2.6")),
        (vec![("acme/one-70b", 1), ("acme/one-8x7b", 2), ("acme/one", 3)], None),
    ] {
        let row = |(slug, created): &(&str, u64)| {
            let mut model = model_row();
            (model["slug"], model["created"]) = (json!(slug), json!(created));
            model["offers"][0]["model"] = json!(slug);
            if slug.ends_with(":free") {
                model["offers"][0] = json!({
                    "provider": "acme", "model": "one", "context_length": 8192, "prompt": "0", "completion": "0",
                });
            }
            model
        };
        let rows: Vec<Value> = models.iter().map(row).collect();
        let tables = build::tables(&json!([provider_row()]).to_string(), &json!(rows).to_string()).unwrap();
        let found = tables.lines().find_map(|line| line.strip_prefix("(\"~acme/one-latest\", \""));
        assert_eq!(found.map(|rest| rest.trim_end_matches("\"),")), expected, "{models:?}");
    }
}

/// Each row makes one member of a sound catalog unsound.
#[test]
fn a_mistake_in_the_catalog_is_named() {
    for (place, member, value, mistake) in [
        (
            "provider",
            "slug",
            json!("Acme"),
            "provider Acme: slug must be lower-case letters, digits and dashes",
        ),
        ("provider", "name", json!(" "), "provider acme: name is empty"),
        (
            "provider",
            "key_variable",
            json!("ACME_TOKEN"),
            "provider acme: key_variable must be <PREFIX>_API_KEY",
        ),
        ("provider", "key_variable", json!("acme-key"), "key_variable must be a variable's name"),
        (
            "provider",
            "base_url_variable",
            json!("ACME_URL"),
            "provider acme: base_url_variable follows from key_variable already",
        ),
        ("provider", "also", json!(["openai_chat"]), "provider acme: also holds the protocol itself"),
        ("provider", "sealer", json!("me"), "providers.json: unknown variant `me`"),
        ("provider", "base_url", json!("http://acme.ai"), "provider acme: base_url must begin with https://"),
        (
            "provider",
            "base_url",
            json!("https://acme.ai/"),
            "provider acme: base_url must not end with a slash",
        ),
        ("provider", "parameters", json!(["heat"]), "provider acme: unknown parameter \"heat\""),
        ("provider", "colour", json!("red"), "providers.json: unknown field `colour`"),
        ("model", "slug", json!("one"), "model one: slug must be author/name in lower case"),
        (
            "model",
            "slug",
            json!("home/one"),
            "model home/one: home/… belongs to the local provider of that name",
        ),
        ("model", "name", json!(""), "model acme/one: name is empty"),
        ("model", "context_length", json!(0), "model acme/one: context_length must not be zero"),
        ("model", "expires", json!("soon"), "model acme/one: expires must be a day: 2026-12-31"),
        ("model", "successor", json!("acme/two"), "model acme/one: its successor is no model"),
        ("model", "aliases", json!(["acme/one"]), "model acme/one: its alias acme/one is a model"),
        ("provider", "regions", json!(["mars"]), "provider acme: unknown region \"mars\""),
        (
            "provider",
            "datacenters",
            json!(["Germany"]),
            "provider acme: \"Germany\" is no country's two letters",
        ),
        (
            "provider",
            "zdr",
            json!(true),
            "provider acme: zdr is claimed where it is not known to retain nothing",
        ),
        ("provider", "retention_days", json!(30), "provider acme: retention_days without retains"),
        ("offer", "region", json!("mars"), "offer of acme: unknown region \"mars\""),
        (
            "offer",
            "variant",
            json!("Turbo!"),
            "offer of acme: variant must be lower-case letters, digits and dashes",
        ),
        ("offer", "service_tier", json!("flex"), "offer of acme: variant must be as the service_tier"),
        (
            "offer",
            "zdr",
            json!(true),
            "offer of acme: zdr is claimed where it is not known to retain nothing",
        ),
        (
            "model",
            "slug",
            json!("acme/one:free"),
            "a price of nothing is for slugs with :free, and only for them",
        ),
        (
            "model",
            "input",
            json!(["image"]),
            "model acme/one: input must hold text, output must not be empty",
        ),
        ("model", "tokenizer", json!("Tok"), "model acme/one: unknown tokenizer \"Tok\""),
        ("model", "offers", json!([]), "model acme/one: has no offers"),
        (
            "model",
            "output",
            json!(["embeddings", "text"]),
            "output must hold one of text, embeddings and rerank",
        ),
        (
            "offer",
            "protocol",
            json!("openai_responses"),
            "offer of acme: the provider does not speak that protocol",
        ),
        ("offer", "provider", json!("nobody"), "model acme/one: offer of nobody: no such provider"),
        ("offer", "provider", json!("home"), "offer of home: a local provider offers any model already"),
        ("offer", "context_length", json!(9000), "offer of acme: context_length is greater than the model's"),
        (
            "offer",
            "max_output",
            json!(0),
            "offer of acme: model, context_length and max_output must not be empty",
        ),
        ("offer", "quantization", json!("fp9"), "offer of acme: unknown quantization \"fp9\""),
        ("offer", "prompt", json!("0.0000000000001"), "prompt \"0.0000000000001\": finer than a picodollar"),
        ("offer", "completion", json!("-1"), "completion \"-1\": negative"),
        ("offer", "cache_read", json!("free"), "cache_read \"free\": not a decimal number"),
        (
            "offer",
            "prompt",
            json!(0.000001),
            "models.json: invalid type: floating point `1e-6`, expected a string",
        ),
        (
            "offer",
            "tiers",
            json!([{"above_prompt_tokens": 2}, {"above_prompt_tokens": 1}]),
            "tiers must rise",
        ),
        (
            "offer",
            "tiers",
            json!([{"above_prompt_tokens": 2, "prompt": "1", "audio_input": "1"}]),
            "a tier with its own prompt price needs its own cache_read",
        ),
        (
            "offer",
            "tiers",
            json!([{"above_prompt_tokens": 2, "prompt": "x"}]),
            "tier prompt \"x\": not a decimal",
        ),
    ] {
        let mistakes = build_with(place, member, value.clone()).unwrap_err().join("\n");
        assert!(mistakes.contains(mistake), "{place} {member} {value}: {mistakes}");
    }
    assert!(build_with("model", "name", json!("One")).is_ok());
    assert!(build_with("provider", "base_url", json!("")).is_ok(), "its variable gives it");
    assert!(build_with("offer", "protocol", json!("openai_chat")).is_ok());
    assert!(build_with("model", "output", json!(["rerank"])).is_ok());
    let mut provider = provider_row();
    (provider["protocol"], provider["key_variable"]) = (json!("bedrock"), json!("ACME_TOKEN"));
    provider["base_url_variable"] = json!("ACME_URL");
    let mut model = model_row();
    let build = |model: &Value| build::tables(&json!([provider]).to_string(), &json!([model]).to_string());
    assert!(build(&model).is_ok(), "a variable of its own name");
    model["output"] = json!(["embeddings"]);
    assert!(build(&model).unwrap_err()[0].contains("the provider's protocol makes no such output"));
}

#[test]
fn what_stands_twice_is_refused() {
    let (providers, models) = (json!([provider_row(), provider_row()]), json!([model_row(), model_row()]));
    let mistakes = build::tables(&providers.to_string(), &models.to_string()).unwrap_err();
    assert_eq!(mistakes, ["provider acme: twice", "model acme/one: twice"]);
    let mut second = model_row();
    second["slug"] = json!("acme/two");
    let build = |second: &Value| {
        build::tables(&json!([provider_row()]).to_string(), &json!([model_row(), second]).to_string())
    };
    assert_eq!(build(&second).unwrap_err(), ["model acme/two: acme's one is sold as acme/one already"]);
    second["offers"][0]["model"] = json!("two");
    assert!(build(&second).is_ok());
}

fn build_with(place: &str, member: &str, value: Value) -> Result<String, Vec<String>> {
    let (mut provider, mut model) = (provider_row(), model_row());
    match place {
        "provider" => provider[member] = value,
        "model" => model[member] = value,
        _ => model["offers"][0][member] = value,
    }
    let home = json!({
        "slug": "home", "name": "Home", "protocol": "openai_chat", "key_variable": "HOME_API_KEY", "local": true,
    });
    build::tables(&json!([provider, home]).to_string(), &json!([model]).to_string())
}

fn provider_row() -> Value {
    json!({
        "slug": "acme", "name": "Acme", "protocol": "openai_chat", "key_variable": "ACME_API_KEY",
        "base_url": "https://acme.ai/v1", "parameters": ["max_tokens"],
    })
}

fn model_row() -> Value {
    json!({
        "slug": "acme/one", "name": "One", "description": "The first.", "created": 1, "context_length": 8192,
        "input": ["text"], "output": ["text"], "tokenizer": "Other", "parameters": ["max_tokens"],
        "offers": [
            { "provider": "acme", "model": "one", "context_length": 8192, "prompt": "0.1", "completion": "0.2",
              "cache_read": "0.01" },
        ],
    })
}
