//! What an operator lays over the catalog.

use millrace::catalog::listing::{self, Figures, Filter, Scope};
use millrace::catalog::overlay::{Document, Draft, Names, changes, draft, merge};
use millrace::catalog::{self, Catalog, Model, Offer};
use millrace::config::Config;
use millrace::time::Time;
use serde_json::{Value, json};

#[test]
fn an_empty_document_changes_nothing() {
    let laid = lay(json!({}));
    assert!(laid.models().map(|model| model.slug).eq(catalog::models().iter().map(|model| model.slug)));
    assert!(laid.providers().eq(catalog::providers()));
    assert!(changes(Catalog::BUILT_IN, &sound(json!({}))).is_empty());
}

#[test]
fn a_model_of_a_provider_of_ones_own() {
    let laid = lay(private());
    let model = laid.find("acme/chat").unwrap();
    let offer = &model.offers[0];
    assert_eq!((offer.provider.slug, offer.tag, offer.upstream_model), ("acme", "acme", "chat-1"));
    assert_eq!(offer.prices.prompt.to_usd(), "0.000001");
    assert_eq!(offer.context_length, 32_768);
    assert!(offer.honours("tools"));
    let slugs: Vec<&str> = laid.models().map(|model| model.slug).collect();
    assert!(slugs.is_sorted() && slugs.len() == catalog::models().len() + 1);
    let set = |name: &str| (name == "ACME_API_KEY").then(|| "secret".to_owned());
    let config = Config::read(&set, laid);
    let connection = config.connection(offer.provider).unwrap();
    assert_eq!(connection.base_url, "https://llm.acme.example/v1");
    assert_eq!(connection.keys[0].secret.expose(), "secret");
    assert!(!Config::read(&|_| None, laid).is_live(offer.provider), "its key is not set");
    assert!(Config::read(&|_| None, Catalog::BUILT_IN).problems.is_empty());
}

#[test]
fn a_provider_without_a_key_is_live_by_its_address() {
    let mut document = private();
    document["providers"]["acme"].as_object_mut().unwrap().remove("key_variable");
    let laid = lay(document);
    assert!(Config::read(&|_| None, laid).is_live(laid.provider("acme").unwrap()));
    let home = json!({ "name": "Home", "protocol": "openai_chat", "base_url": "http://10.0.0.1:8000/v1", "local": true });
    let laid = lay(json!({ "providers": { "home": home } }));
    assert_eq!(
        laid.local("home/any:model").map(|(provider, name)| (provider.slug, name)),
        Some(("home", "any:model"))
    );
    assert!(Config::read(&|_| None, laid).is_live(laid.provider("home").unwrap()));
}

#[test]
fn a_price_that_is_left_out_stays() {
    let before = offer_of(Catalog::BUILT_IN, "google/gemini-2.5-pro", "google-ai-studio");
    let laid = lay(json!({ "models": { "google/gemini-2.5-pro": { "offers": {
        "google-ai-studio": { "completion": "0.00009" },
    } } } }));
    let after = offer_of(laid, "google/gemini-2.5-pro", "google-ai-studio");
    assert_eq!(after.prices.completion.to_usd(), "0.00009");
    let mut restored = after.prices;
    restored.completion = before.prices.completion;
    assert_eq!(restored, before.prices, "every other class, tiers too");
    assert_eq!((after.upstream_model, after.max_output), (before.upstream_model, before.max_output));
    let others = |catalog: Catalog| catalog.find("google/gemini-2.5-pro").unwrap().offers.len();
    assert_eq!(others(laid), others(Catalog::BUILT_IN));
    let list =
        parse(&listed(laid, "google/gemini-2.5-pro", |offer| offer.provider.slug == "google-ai-studio"));
    assert_eq!(list["data"]["pricing"]["completion"], "0.00009");
}

#[test]
fn what_is_hidden_is_not_there() {
    let hidden = || json!({ "hidden": true });
    let laid = lay(json!({
        "providers": { "deepinfra": hidden() },
        "models": {
            "openai/gpt-4o": hidden(),
            "openai/gpt-4o-mini": { "offers": { "azure": hidden() } },
        },
    }));
    assert!(laid.find("openai/gpt-4o").is_none() && laid.named("openai/gpt-4o:nitro").is_none());
    assert!(laid.models().all(|model| model.slug != "openai/gpt-4o"));
    assert!(laid.provider("deepinfra").is_none());
    assert!(laid.models().flat_map(|model| model.offers).all(|offer| offer.provider.slug != "deepinfra"));
    let tags: Vec<&str> =
        laid.find("openai/gpt-4o-mini").unwrap().offers.iter().map(|offer| offer.tag).collect();
    assert!(tags.contains(&"openai") && !tags.contains(&"azure"), "{tags:?}");
    assert!(catalog::find("openai/gpt-4o").is_some(), "the crate's own rows are as they were");
}

#[test]
fn a_providers_terms_are_those_of_its_offers() {
    let laid = lay(json!({ "providers": { "openai": { "retains": false, "trains": false } } }));
    let policy = offer_of(laid, "openai/gpt-4o", "openai").data_policy;
    assert_eq!((policy.retains, policy.zdr), (Some(false), Some(true)));
    assert_eq!(laid.provider("openai").unwrap().data_policy, policy);
}

#[test]
fn an_alias_leads_to_a_model() {
    let mut document = private();
    document["aliases"] =
        json!({ "fast": "openai/gpt-4o-mini", "~team/chat": "acme/chat", "gpt-4o": "openai/gpt-4o" });
    let laid = lay(document);
    assert_eq!(laid.alias("fast"), Some("openai/gpt-4o-mini"));
    for (name, slug) in [
        ("fast", Some("openai/gpt-4o-mini")),
        ("fast:floor", Some("openai/gpt-4o-mini")),
        ("~team/chat", Some("acme/chat")),
        ("gpt-4o", Some("openai/gpt-4o")),
        ("slow", None),
    ] {
        assert_eq!(laid.named(name).map(|model| model.slug), slug, "{name}");
    }
    let list = parse(&models(laid, "q=team"));
    assert_eq!(list["data"][0]["alias_target"], json!({ "slug": "acme/chat", "name": "Acme Chat" }));
    assert_eq!(list["data"][0]["id"], "~team/chat");
}

#[test]
fn the_manuals_example_is_sound() {
    let manual = include_str!("../../docs/catalog.md");
    let example = manual.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let laid = lay(parse(example));
    assert_eq!(laid.named("smart:nitro").map(|model| model.slug), Some("openai/gpt-4.1"));
}

/// Each row: a document, and what is wrong with it. Nothing of such a document is laid by the API.
#[test]
fn a_mistake_is_named() {
    let provider = |member: &str, value: Value| {
        let mut document = private();
        document["providers"]["acme"][member] = value;
        document
    };
    let model = |member: &str, value: Value| {
        let mut document = private();
        document["models"]["acme/chat"][member] = value;
        document
    };
    let offer = |member: &str, value: Value| {
        let mut document = private();
        document["models"]["acme/chat"]["offers"]["acme"][member] = value;
        document
    };
    let without = |member: &str| {
        let mut document = private();
        document["models"]["acme/chat"]["offers"]["acme"].as_object_mut().unwrap().remove(member);
        document
    };
    let of_gpt = |offer: Value| json!({ "models": { "openai/gpt-4o": { "offers": { "openai": offer } } } });
    for (document, words) in [
        (provider("base_url", json!("ftp://x")), "provider acme: base_url must be an http or https address"),
        (provider("base_url", json!("https://x/")), "provider acme: base_url must not end with a slash"),
        (provider("base_url", json!("https://a b")), "provider acme: base_url must be printable ASCII"),
        (provider("name", json!("")), "provider acme: name is missing"),
        (provider("protocol", json!("soap")), "provider acme: protocol must be one of openai_chat"),
        (provider("protocol", json!("bedrock")), "provider acme: protocol must be one of openai_chat"),
        (provider("also", json!(["openai_chat"])), "provider acme: also holds the protocol itself"),
        (provider("key_variable", json!("OPENAI_API_KEY")), "provider acme: key_variable belongs to another"),
        (
            provider("key_variable", json!("MILLRACE_ADMIN_API_KEY")),
            "key_variable belongs to another provider",
        ),
        (provider("key_variable", json!("MILLRACE_ADMIN_KEY")), "key_variable must be <PREFIX>_API_KEY"),
        (provider("max_tokens", json!("few")), "provider acme: max_tokens must be as_sent"),
        (
            provider("zdr", json!(true)),
            "provider acme: zdr is claimed where it is not known to retain nothing",
        ),
        (provider("headquarters", json!("Mars")), "provider acme: \"Mars\" is no country's two letters"),
        (provider("regions", json!(["mars"])), "provider acme: unknown region \"mars\""),
        (
            json!({ "providers": { "openai": { "base_url": "https://evil.example" } } }),
            "of a built-in provider only",
        ),
        (
            json!({ "providers": { "openai": { "key_variable": "X_API_KEY" } } }),
            "of a built-in provider only",
        ),
        (
            json!({ "providers": { "nobody": { "hidden": true } } }),
            "provider nobody: there is no such provider to hide",
        ),
        (model("context_length", json!(0)), "model acme/chat: context_length must not be zero"),
        (model("name", json!(" ")), "model acme/chat: name is missing"),
        (model("tokenizer", json!("Tok")), "model acme/chat: unknown tokenizer \"Tok\""),
        (model("input", json!(["smell"])), "input and output hold text, image"),
        (model("output", json!(["text", "rerank"])), "output must hold one of text, embeddings and rerank"),
        (model("expires", json!("soon")), "expires must be a day"),
        (model("offers", json!({})), "model acme/chat: has no offers"),
        (model("parameters", json!(["heat"])), "unknown parameter \"heat\""),
        (json!({ "models": { "nobody/nothing": { "hidden": true } } }), "there is no such model to hide"),
        (
            json!({ "models": { "One": { "name": "x" } } }),
            "model One: slug must be author/name in lower case",
        ),
        (without("prompt"), "offer of acme: prompt is missing: a new offer has no default for it"),
        (without("completion"), "offer of acme: completion is missing"),
        (without("model"), "offer of acme: model is missing"),
        (offer("prompt", json!("0.0000000000001")), "prompt \"0.0000000000001\": finer than a picodollar"),
        (offer("prompt", json!("-1")), "prompt \"-1\": negative"),
        (offer("cache_read", json!("free")), "cache_read \"free\": not a decimal number"),
        (offer("context_length", json!(99_999_999)), "context_length is greater than the model's"),
        (offer("quantization", json!("fp9")), "unknown quantization \"fp9\""),
        (offer("protocol", json!("gemini")), "the provider does not speak that protocol"),
        (offer("service_tier", json!("royal")), "unknown service tier \"royal\""),
        (
            offer("tiers", json!([{ "above_prompt_tokens": 2 }, { "above_prompt_tokens": 1 }])),
            "tiers must rise",
        ),
        (of_gpt(json!({ "prompt": "0", "completion": "0" })), "a price of nothing is for slugs with :free"),
        (
            json!({ "models": { "openai/gpt-4o": { "offers": { "nobody": { "prompt": "1" } } } } }),
            "offer of nobody: no such provider",
        ),
        (
            json!({ "models": { "openai/gpt-4o": { "offers": { "cohere": { "hidden": true } } } } }),
            "there is no such offer to hide",
        ),
        (json!({ "aliases": { "openai/gpt-4o": "openai/gpt-4o-mini" } }), "there is a model of that name"),
        (json!({ "aliases": { "fast": "nobody/nothing" } }), "alias fast: \"nobody/nothing\" is no model"),
        (json!({ "aliases": { "fast": "openai/gpt-4o:nitro" } }), "\"openai/gpt-4o:nitro\" is no model"),
        (json!({ "aliases": { "fast:er": "openai/gpt-4o" } }), "alias fast:er: must be lower-case letters"),
        (json!({ "aliases": { "Fast": "openai/gpt-4o" } }), "alias Fast: must be lower-case letters"),
    ] {
        let mistakes = draft(&read(&document), &mut Names::default()).1.join("\n");
        assert!(mistakes.contains(words), "{document}\n{mistakes}");
    }
}

#[test]
fn what_is_no_document_is_refused_at_once() {
    for (text, words) in [
        ("[]", "the document: must be an object"),
        (r#"{"models":{"a/b":[true]}}"#, "models.a/b: must be an object"),
        (r#"{"models":{"a/b":{"offers":{"x":[true]}}}}"#, "models.a/b.offers.x: must be an object"),
        (r#"{"models":[]}"#, "models: must be an object"),
        ("{", "EOF while parsing"),
        (r#"{"modles":{}}"#, "modles: no such member; known are providers, models, aliases"),
        (r#"{"models":{"a/b":{"colour":1}}}"#, "models.a/b.colour: no such member"),
        (
            r#"{"models":{"a/b":{"offers":{"x":{"prompt":0.1}}}}}"#,
            "models.a/b.offers.x.prompt: must be a string",
        ),
        (
            r#"{"models":{"a/b":{"offers":{"x":{"tiers":[{}]}}}}}"#,
            "tiers: must be tiers with above_prompt_tokens",
        ),
        (r#"{"models":{"a/b":{"hidden":"yes"}}}"#, "models.a/b.hidden: must be true or false"),
        (r#"{"models":{"a/b":{"created":-1}}}"#, "models.a/b.created: must be a whole number"),
        (r#"{"models":{"a/b":{"input":"text"}}}"#, "models.a/b.input: must be a list of strings"),
        (r#"{"models":{"a/b":{"reasoning":{"x":1}}}}"#, "models.a/b.reasoning.x: no such member"),
        (r#"{"aliases":{"a":1}}"#, "aliases.a: must be a string"),
        (
            r#"{"models":{"a/b":{"offers":{"x":{"prompt":null}}}}}"#,
            "models.a/b.offers.x.prompt: null means nothing",
        ),
    ] {
        let refusal = Document::read(text).unwrap_err();
        assert!(refusal.contains(words), "{text}: {refusal}");
    }
    let long = format!(r#"{{"aliases":{{"a":"{}"}}}}"#, "x".repeat(Document::MOST_BYTES));
    assert!(Document::read(&long).unwrap_err().contains("longer than"));
}

/// As after a deployment whose own catalog has changed under the document.
#[test]
fn a_row_with_a_mistake_is_left_out_and_the_rest_is_laid() {
    let (draft, mistakes) = draft(
        &read(&json!({
            "models": {
                "openai/gpt-4.1": { "offers": { "openai": { "prompt": "x" }, "azure": { "hidden": true } } },
                "acme/chat": { "name": "Nobody sells it" },
                "openai/gpt-4o-mini": { "hidden": true },
            },
            "aliases": { "fast": "acme/chat", "smart": "openai/gpt-4.1" },
        })),
        &mut Names::default(),
    );
    assert!(mistakes.len() >= 3, "{mistakes:?}");
    let laid = Catalog::with(draft.lay(1));
    let tags: Vec<&str> = laid.find("openai/gpt-4.1").unwrap().offers.iter().map(|offer| offer.tag).collect();
    assert!(tags.contains(&"openai") && !tags.contains(&"azure"), "{tags:?}");
    let price = |catalog| offer_of(catalog, "openai/gpt-4.1", "openai").prices;
    assert_eq!(price(laid), price(Catalog::BUILT_IN));
    assert!(laid.find("acme/chat").is_none() && laid.find("openai/gpt-4o-mini").is_none());
    assert_eq!((laid.alias("fast"), laid.alias("smart")), (None, Some("openai/gpt-4.1")));
}

#[test]
fn a_change_is_told_before_it_is_made() {
    let mut document = private();
    document["models"]["openai/gpt-4.1"] = json!({ "context_length": 64_000, "offers": {
        "openai": { "prompt": "0.000003", "context_length": 64_000 },
        "azure": { "hidden": true },
        "openai/priority": { "hidden": true },
        "acme": { "model": "gpt", "prompt": "0.000001", "completion": "0.000002", "context_length": 1000 },
    } });
    document["models"]["openai/gpt-4o-mini"] = json!({ "hidden": true });
    document["aliases"] = json!({ "fast": "acme/chat" });
    let told = changes(Catalog::BUILT_IN, &sound(document.clone()));
    let has = |change: Value| assert!(told.contains(&change), "{change} in {told:#?}");
    has(json!({ "change": "provider_added", "provider": "acme" }));
    has(json!({ "change": "model_added", "model": "acme/chat" }));
    has(json!({ "change": "model_removed", "model": "openai/gpt-4o-mini" }));
    has(json!({ "change": "price_changed", "model": "openai/gpt-4.1", "offer": "openai", "member": "prompt",
        "before": "0.000002", "after": "0.000003" }));
    has(json!({ "change": "offer_removed", "model": "openai/gpt-4.1", "offer": "azure" }));
    has(json!({ "change": "alias_changed", "alias": "fast", "before": null, "after": "acme/chat" }));
    assert!(told.iter().any(|one| one["change"] == "offer_added" && one["prices"]["prompt"] == "0.000001"));
    let laid = lay(document.clone());
    assert!(changes(laid, &sound(document)).is_empty(), "the same again");
    let back = changes(laid, &sound(json!({})));
    assert_eq!(back.len(), told.len(), "all of it is taken back: {back:#?}");
    assert!(back.contains(&json!({ "change": "model_added", "model": "openai/gpt-4o-mini" })));
}

#[test]
fn a_change_is_merged_member_by_member() {
    for (document, patch, merged) in [
        (json!({}), json!({ "a": { "b": "1" } }), json!({ "a": { "b": "1" } })),
        (
            json!({ "a": { "b": "1", "c": "2" } }),
            json!({ "a": { "b": "3" } }),
            json!({ "a": { "b": "3", "c": "2" } }),
        ),
        (json!({ "a": { "b": "1", "c": "2" } }), json!({ "a": { "b": null } }), json!({ "a": { "c": "2" } })),
        (json!({ "a": [1, 2] }), json!({ "a": [3] }), json!({ "a": [3] })),
        (json!({ "a": "1" }), json!({ "a": { "b": "2", "c": null } }), json!({ "a": { "b": "2" } })),
        (json!({ "a": "1" }), json!({ "b": null }), json!({ "a": "1" })),
    ] {
        let mut into = document.clone();
        merge(&mut into, &patch);
        assert_eq!(into, merged, "{document} and {patch}");
    }
}

#[test]
fn what_is_worked_out_again_keeps_nothing_more() {
    let mut names = Names::default();
    assert!(names.is_empty());
    draft(&read(&private()), &mut names);
    let kept = names.len();
    for _ in 0..3 {
        draft(&read(&private()), &mut names);
    }
    assert_eq!(names.len(), kept);
}

fn private() -> Value {
    json!({
        "providers": { "acme": {
            "name": "Acme", "protocol": "openai_chat", "base_url": "https://llm.acme.example/v1",
            "key_variable": "ACME_API_KEY",
        } },
        "models": { "acme/chat": {
            "name": "Acme Chat", "context_length": 32_768, "parameters": ["max_tokens", "temperature", "tools"],
            "offers": { "acme": { "model": "chat-1", "prompt": "0.000001", "completion": "0.000002" } },
        } },
    })
}

#[test]
fn a_category_is_what_the_operator_says() {
    let says = |list: Value| json!({ "models": { "openai/gpt-4.1": { "categories": list } } });
    let catalog = lay(says(json!(["programming"])));
    let found = parse(&models(catalog, "category=programming"));
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(found["data"][0]["id"], "openai/gpt-4.1");
    assert_eq!(parse(&models(catalog, "category=legal"))["total_count"], 0);
    assert!(Filter::read("category=legal").unwrap().known_to(catalog).is_ok());
    let (_, mistakes) = draft(&read(&says(json!(["cooking"]))), &mut Names::default());
    assert!(mistakes.iter().any(|it| it.contains("unknown category")), "{mistakes:?}");
}

#[test]
fn a_price_of_searches_is_laid_with_its_parameter() {
    let catalog = lay(json!({ "models": {
        "openai/gpt-4.1": { "offers": { "azure": { "web_search": "0.02", "web_search_once": true } } },
        "acme/chat": { "name": "A", "context_length": 1000, "offers": { "azure": {
            "model": "a", "prompt": "0.000001", "completion": "0.000002",
            "parameters": ["temperature", "web_search_options"],
        } } },
    } }));
    let offer = offer_of(catalog, "openai/gpt-4.1", "azure");
    let search = offer.prices.web_search.unwrap();
    assert_eq!((search.price.to_usd().as_str(), search.once), ("0.02", true));
    assert!(offer.honours("web_search_options"));
    let unpriced = offer_of(catalog, "acme/chat", "azure");
    assert!(unpriced.prices.web_search.is_none() && !unpriced.honours("web_search_options"));
    assert!(unpriced.honours("temperature"));
}

fn read(document: &Value) -> Document {
    Document::read(&document.to_string()).unwrap()
}

fn sound(document: Value) -> Draft {
    let (draft, mistakes) = draft(&read(&document), &mut Names::default());
    assert_eq!(mistakes, [""; 0], "{document}");
    draft
}

fn lay(document: Value) -> Catalog {
    Catalog::with(sound(document).lay(1))
}

fn offer_of(catalog: Catalog, slug: &str, tag: &str) -> &'static Offer {
    catalog.find(slug).unwrap().offers.iter().find(|offer| offer.tag == tag).unwrap()
}

fn models(catalog: Catalog, query: &str) -> String {
    let (shows, measured) = (|_: &Model, _: &Offer| true, |_: &Model, _: &Offer| Figures::default());
    let scope = Scope { catalog, shows: &shows, measured: &measured, now: Time::from_ms(0) };
    listing::write_models(&scope, &Filter::read(query).unwrap(), "/api/v1/models", query)
}

fn listed(catalog: Catalog, slug: &str, shown: impl Fn(&Offer) -> bool) -> String {
    let (shows, measured) =
        (|_: &Model, offer: &Offer| shown(offer), |_: &Model, _: &Offer| Figures::default());
    let scope = Scope { catalog, shows: &shows, measured: &measured, now: Time::from_ms(0) };
    listing::write_model(&scope, slug).unwrap()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
