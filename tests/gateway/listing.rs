//! The lists of the catalog that clients ask for: their shapes, filters, orders and pages.

use millrace::catalog::listing::{self, Figures, Filter, Pages, Scope, Spread};
use millrace::catalog::{self, Catalog, Modality, Model, Offer, Provider};
use millrace::query;
use millrace::time::Time;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/models";
/// 2026-11-21.
const NOW: Time = Time::from_ms(1_795_219_200_000);

#[test]
fn codex_is_listed_the_same_and_an_empty_catalog_of_its_own() {
    let mut list = listed(|_| true, |scope| listing::write_models_for_codex(scope, &filter(""), ""));
    assert_eq!(list["models"], json!([]));
    list.as_object_mut().unwrap().remove("models");
    assert_eq!(list, models(""));
}

#[test]
fn the_embedded_model_is_listed_whole() {
    let list = listed(only("millrace"), |scope| listing::write_models(scope, &filter(""), PATH, ""));
    let expected = json!({
        "object": "list",
        "total_count": 1,
        "links": { "next": null },
        "data": [{
            "object": "model",
            "id": "millrace/echo",
            "canonical_slug": "millrace/echo",
            "hugging_face_id": null,
            "name": "Millrace: Echo",
            "display_name": "Millrace: Echo",
            "created": 1795219200,
            "owned_by": "millrace",
            "description": "Answers with the last user message, without any network. For trying out and testing \
                            a deployment.",
            "context_length": 128000,
            "architecture": {
                "modality": "text->text",
                "input_modalities": ["text"],
                "output_modalities": ["text"],
                "tokenizer": "Other",
                "instruct_type": null,
            },
            "pricing": { "prompt": "0.000001", "completion": "0.000002", "request": "0" },
            "top_provider": { "context_length": 128000, "max_completion_tokens": 16384, "is_moderated": false },
            "per_request_limits": null,
            "supported_parameters": ["max_tokens", "response_format", "structured_outputs", "tool_choice", "tools"],
            "default_parameters": null,
            "supported_voices": null,
            "expiration_date": null,
            "knowledge_cutoff": null,
            "links": { "details": "/api/v1/models/millrace/echo/endpoints" },
        }],
    });
    assert_eq!(list, expected);
}

/// What `@openrouter/sdk` 1.3.19 and PyPI's `openrouter` 1.3.84 refuse to do without.
#[test]
fn every_entry_has_what_strict_clients_demand() {
    let strings =
        ["/id", "/canonical_slug", "/name", "/pricing/prompt", "/pricing/completion", "/links/details"];
    let numbers = ["/created", "/context_length"];
    let nulls = ["/per_request_limits", "/supported_voices"];
    let lists =
        ["/supported_parameters", "/architecture/input_modalities", "/architecture/output_modalities"];
    let list = models("");
    let text = catalog::models().iter().filter(|model| model.output_modalities.contains(&Modality::Text));
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.iter().filter(|entry| entry.get("alias_target").is_none()).count(), text.count());
    assert_eq!(list["total_count"], rows.len());
    for entry in list["data"].as_array().unwrap() {
        let at = |path: &str| entry.pointer(path).unwrap_or_else(|| panic!("{path} in {entry}"));
        assert!(strings.iter().all(|path| at(path).is_string()), "{entry}");
        assert!(numbers.iter().all(|path| at(path).is_u64()), "{entry}");
        assert!(nulls.iter().all(|path| at(path).is_null()), "{entry}");
        assert!(lists.iter().all(|path| at(path).is_array()), "{entry}");
        assert!(at("/default_parameters").is_null() || at("/default_parameters").is_object(), "{entry}");
        assert!(at("/top_provider/is_moderated").is_boolean(), "{entry}");
        let prices = entry["pricing"].as_object().unwrap();
        assert!(prices.iter().all(|(name, price)| price.is_string() || name == "overrides"), "{entry}");
    }
}

#[test]
fn models_are_listed_by_what_they_make() {
    let ids = |output: Modality| -> Vec<String> {
        let list = models(&format!("output_modalities={}", output.name()));
        list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let embeddings = ids(Modality::Embeddings);
    assert!(embeddings.iter().any(|id| id == "openai/text-embedding-3-small"), "{embeddings:?}");
    assert!(ids(Modality::Rerank).iter().any(|id| id == "cohere/rerank-v3.5"));
    assert!(ids(Modality::Text).iter().all(|id| !embeddings.contains(id)));
    let count = count(|_| true);
    assert_eq!(count["data"]["count"], ids(Modality::Text).len());
    // OpenRouter's list of parameters has no names for those of embeddings.
    let model = catalog::find("openai/text-embedding-3-small").unwrap();
    assert!(model.offers[0].honours("dimensions"));
    let endpoints = listed(|_| true, |scope| listing::write_endpoints(scope, model.slug).unwrap());
    assert_eq!(endpoints["data"]["endpoints"][0]["supported_parameters"], json!([]));
}

#[test]
fn the_price_listed_is_that_of_the_cheapest_live_offer() {
    let model = catalog::find("openai/gpt-oss-120b").unwrap();
    let prompt = |entry: Value| entry["data"]["pricing"]["prompt"].clone();
    for offer in model.offers.iter().filter(|offer| offer.tag == offer.provider.slug) {
        let of_provider = model.offers.iter().filter(|one| one.provider == offer.provider);
        let cheapest = of_provider.min_by_key(|one| one.prices.blend()).unwrap();
        let entry =
            listed(only(offer.provider.slug), |scope| listing::write_model(scope, model.slug).unwrap());
        assert_eq!(prompt(entry), cheapest.prices.prompt.to_usd());
    }
    let cheapest = model.offers.iter().min_by_key(|offer| offer.prices.blend()).unwrap();
    let all = listed(|_| true, |scope| listing::write_model(scope, model.slug).unwrap());
    assert_eq!(prompt(all), cheapest.prices.prompt.to_usd());
}

#[test]
fn what_nobody_live_offers_is_not_listed() {
    let model = catalog::find("openai/gpt-oss-120b").unwrap();
    assert_eq!(
        listed(only("openai"), |scope| json!(listing::write_model(scope, model.slug)).to_string()),
        Value::Null
    );
    assert_eq!(
        listed(only("openai"), |scope| listing::write_endpoints(scope, model.slug).unwrap())["data"]["endpoints"],
        json!([])
    );
    assert_eq!(count(only("millrace")), json!({ "data": { "count": 1 } }));
    assert_eq!(count(|_| false), json!({ "data": { "count": 0 } }));
}

#[test]
fn endpoints_are_listed_cheapest_first() {
    let model = catalog::find("openai/gpt-oss-120b").unwrap();
    let list = listed(|_| true, |scope| listing::write_endpoints(scope, model.slug).unwrap());
    let endpoints = list["data"]["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), model.offers.len());
    assert_eq!(endpoints[0]["tag"], "deepinfra");
    assert_eq!(endpoints[0]["name"], "DeepInfra | openai/gpt-oss-120b");
}

#[test]
fn a_tier_is_listed_as_an_override() {
    let model = catalog::find("google/gemini-2.5-pro").unwrap();
    let entry = listed(|_| true, |scope| listing::write_model(scope, model.slug).unwrap());
    assert_eq!(
        entry["data"]["pricing"]["overrides"],
        json!([{
            "min_prompt_tokens": 200000,
            "prompt": "0.0000025",
            "completion": "0.000015",
            "input_cache_read": "0.00000025",
        }])
    );
}

#[test]
fn all_providers_are_listed() {
    let list = parse(&listing::write_providers(Catalog::BUILT_IN));
    let slugs: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|one| one["slug"].as_str().unwrap()).collect();
    assert!(slugs.is_sorted() && slugs.contains(&"openai") && slugs.contains(&"millrace"));
    assert!(list["data"].as_array().unwrap().iter().all(|one| one.get("privacy_policy_url").is_some()));
}

fn only(slug: &str) -> impl Fn(&Provider) -> bool {
    move |provider| provider.slug == slug
}

/// Each row: a query, and what every model that it leaves must be like. Each leaves some and not all.
#[test]
fn a_filter_keeps_what_it_names() {
    type Test = fn(&Value) -> bool;
    let rows: [(&str, Test); 16] = [
        ("q=gpt-oss", |one| one["id"].as_str().unwrap().contains("gpt-oss")),
        ("q=GPT%20oss", |one| one["name"].as_str().unwrap().to_lowercase().contains("gpt")),
        ("supported_parameters=tools%2Cseed", |one| holds(one, "/supported_parameters", &["tools", "seed"])),
        ("input_modalities=image", |one| holds(one, "/architecture/input_modalities", &["image"])),
        ("output_modalities=embeddings,rerank", |one| {
            !holds(one, "/architecture/output_modalities", &["text"])
        }),
        ("context=500000", |one| one["context_length"].as_u64().unwrap() >= 500_000),
        ("max_price=0.5", |one| dollars(one, "prompt") <= 0.5),
        ("min_price=5", |one| dollars(one, "prompt") >= 5.0),
        ("min_price=1&max_price=2.5", |one| (1.0..=2.5).contains(&dollars(one, "prompt"))),
        ("max_output_price=1", |one| dollars(one, "completion") <= 1.0),
        ("min_output_price=20", |one| dollars(one, "completion") >= 20.0),
        ("arch=claude", |one| one["architecture"]["tokenizer"] == "Claude"),
        ("model_authors=openai,anthropic", |one| ["openai", "anthropic"].contains(&author(one))),
        ("max_age_days=365", |one| age(one) <= 365),
        ("min_age_days=365", |one| age(one) >= 365),
        ("providers=Groq", |one| sold_by(one, "groq")),
    ];
    let every = models("output_modalities=all")["total_count"].as_u64().unwrap();
    for (query, test) in rows {
        let list = models(query);
        let data = list["data"].as_array().unwrap();
        assert!(!data.is_empty() && (data.len() as u64) < every, "{query} leaves {} of {every}", data.len());
        for one in data {
            assert!(test(one), "{query} leaves {}", one["id"]);
        }
    }
}

#[test]
fn what_nothing_is_known_of_is_refused() {
    for query in ["min_intelligence_index=1", "max_tool_success_rate=1"] {
        let failure = Filter::read(query).unwrap_err();
        assert!(failure.message.ends_with("no such figures; leave it out"), "{}", failure.message);
    }
    let refused = Filter::read("category=programming").unwrap().known_to(Catalog::BUILT_IN).unwrap_err();
    assert!(refused.message.starts_with("category: no model"), "{}", refused.message);
    assert!(Filter::read("q=gpt").unwrap().known_to(Catalog::BUILT_IN).is_ok());
}

#[test]
fn a_value_that_means_nothing_is_refused() {
    for (query, words) in [
        ("sort=best", "sort: no such order"),
        ("limit=0", "limit: must lie between 1 and 1000"),
        ("limit=1001", "limit: must lie between 1 and 1000"),
        ("offset=-1", "offset: must be a whole number"),
        ("context=many", "context: must be a whole number"),
        ("max_price=-1", "max_price: must be a number that is not negative"),
        ("min_coding_index=x", "min_coding_index: must be a number that is not negative"),
        ("output_modalities=smell", "output_modalities: known are text, image"),
        ("category=cooking", "category: known are programming"),
        ("region=mars", "region: known are eu, us"),
        ("distillable=perhaps", "distillable: known are true, false"),
    ] {
        let failure = Filter::read(query).unwrap_err();
        assert!(failure.message.starts_with(words), "{query}: {}", failure.message);
    }
    assert_eq!(Filter::read("client_version=1.0&colour=red&q="), Filter::read(""));
}

#[test]
fn a_list_has_the_order_asked_for() {
    let numbers = |query: &str, of: &dyn Fn(&Value) -> f64| -> Vec<f64> {
        models(query)["data"].as_array().unwrap().iter().map(of).collect()
    };
    let price = |one: &Value| dollars(one, "prompt") + dollars(one, "completion");
    let rising = |list: &[f64]| list.windows(2).all(|pair| pair[0] <= pair[1]);
    let falling = |list: &[f64]| list.windows(2).all(|pair| pair[0] >= pair[1]);
    assert!(falling(&numbers("sort=newest", &|one| one["created"].as_f64().unwrap())));
    assert!(rising(&numbers("sort=pricing-low-to-high", &|one| (price(one) * 1e6).round())));
    assert!(falling(&numbers("sort=pricing-high-to-low", &|one| (price(one) * 1e6).round())));
    assert!(falling(&numbers("sort=context-high-to-low", &|one| one["context_length"].as_f64().unwrap())));
    assert_eq!(ids(&models("sort=most-popular")), ids(&models("")), "nothing is known of it");
}

#[test]
fn a_sort_by_what_was_measured_puts_the_unmeasured_last() {
    let slow = Spread { p50: 900, p75: 900, p90: 900, p99: 900 };
    let quick = Spread { p50: 100, ..slow };
    let measured = |model: &Model, _: &Offer| match model.slug {
        "openai/gpt-4o" => Figures { latency_ms: Some(slow), throughput: Some(slow), ..Figures::default() },
        "openai/gpt-4o-mini" => {
            Figures { latency_ms: Some(quick), throughput: Some(quick), ..Figures::default() }
        }
        _ => Figures::default(),
    };
    for (sort, first) in [
        ("latency-low-to-high", ["openai/gpt-4o-mini", "openai/gpt-4o"]),
        ("throughput-high-to-low", ["openai/gpt-4o", "openai/gpt-4o-mini"]),
    ] {
        let filter = filter(&format!("sort={sort}"));
        assert!(filter.is_measured());
        let scope = Scope { catalog: Catalog::BUILT_IN, shows: &|_, _| true, measured: &measured, now: NOW };
        let list = parse(&listing::write_models(&scope, &filter, PATH, ""));
        assert_eq!(ids(&list)[..2], first, "{sort}");
    }
}

#[test]
fn pages_make_up_the_whole_list_and_lead_to_the_next() {
    let all = ids(&models(""));
    let mut query = "limit=50&q=".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = models(&query);
        assert_eq!(page["total_count"], all.len());
        seen.extend(ids(&page));
        let Some(next) = page["links"]["next"].as_str() else {
            break;
        };
        query = next.strip_prefix("/api/v1/models?").unwrap().to_owned();
        assert_eq!(query::value(&query, "limit").as_deref(), Some("50"));
    }
    assert_eq!(seen, all);
    assert_eq!(models("")["links"]["next"], Value::Null);
    assert_eq!(ids(&models("offset=3&limit=1")), all[3..4]);
    assert!(ids(&models("offset=100000")).is_empty());
}

#[test]
fn figures_are_shown_as_they_were_measured() {
    let spread = Spread { p50: 1, p75: 2, p90: 3, p99: 4 };
    let figures = Figures {
        latency_ms: Some(spread),
        throughput: Some(spread),
        uptime_ppm: [Some(1_000_000), Some(995_000), None],
        down: true,
    };
    let endpoint = |figures: Figures| {
        let measured = |_: &Model, _: &Offer| figures;
        let scope = Scope { catalog: Catalog::BUILT_IN, shows: &|_, _| true, measured: &measured, now: NOW };
        let body = parse(&listing::write_endpoints(&scope, "millrace/echo").unwrap());
        body["data"]["endpoints"][0].clone()
    };
    let known = endpoint(figures);
    assert_eq!(known["latency_last_30m"], json!({ "p50": 1, "p75": 2, "p90": 3, "p99": 4 }));
    assert_eq!(known["throughput_last_30m"]["p99"], 4);
    assert_eq!([&known["uptime_last_5m"], &known["uptime_last_30m"]], [&json!(100.0), &json!(99.5)]);
    assert_eq!((&known["uptime_last_1d"], &known["status"]), (&Value::Null, &json!(-1)));
    let public = endpoint(figures.public());
    assert_eq!((&public["latency_last_30m"], &public["throughput_last_30m"]), (&Value::Null, &Value::Null));
    assert_eq!(public["uptime_last_5m"], json!(100.0));
    assert_eq!(endpoint(Figures::default())["status"], 0);
}

#[test]
fn endpoints_that_keep_nothing_are_known_to() {
    let list = listed(|_| true, listing::write_zdr);
    let rows = list["data"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let model = catalog::find(row["model_id"].as_str().unwrap()).unwrap();
        let offer = model.offers.iter().find(|offer| offer.provider.name == row["provider_name"]).unwrap();
        assert_ne!(offer.provider.data_policy.retains, Some(true), "{}", row["name"]);
    }
    assert_eq!(listed(|_| false, listing::write_zdr), json!({ "data": [] }));
}

#[test]
fn a_suffix_that_only_sorts_names_the_model_before_it() {
    let id = |slug: &str| {
        listed(|_| true, |scope| listing::write_model(scope, slug).unwrap_or("{}".into()))["data"]["id"]
            .clone()
    };
    for slug in ["openai/gpt-4o", "openai/gpt-4o:nitro", "openai/gpt-4o:floor:nitro", "openai/gpt-4o:online"]
    {
        assert_eq!(id(slug), "openai/gpt-4o", "{slug}");
    }
    for slug in ["openai/gpt-4o:best", "openai/gpt-4o:", "nobody/nothing:nitro", ":nitro", ""] {
        assert_eq!(id(slug), Value::Null, "{slug}");
    }
}

#[test]
fn a_feed_is_one_item_a_model() {
    let rss = |query: &str| {
        let filter = filter(query);
        let scope =
            Scope { catalog: Catalog::BUILT_IN, shows: &|_, _| true, measured: &unmeasured, now: NOW };
        listing::write_rss(&scope, &filter, "https://gateway.example")
    };
    let feed = rss("q=millrace");
    assert!(feed.starts_with("<?xml version=\"1.0\""));
    assert!(feed.contains("<link>https://gateway.example/api/v1/model/millrace/echo</link>"), "{feed}");
    assert!(feed.contains("<pubDate>Sat, 21 Nov 2026 00:00:00 GMT</pubDate>"), "{feed}");
    assert!(
        rss("q=millrace&use_rss_chat_links=true")
            .contains("https://gateway.example/chat?models=millrace/echo")
    );
    assert_eq!(rss("").matches("<item>").count(), ids(&models("")).len());
    assert!(!rss("").contains(" & "), "an ampersand is spelt out");
}

#[test]
fn a_page_is_written_once_and_the_oldest_are_forgotten() {
    let mut pages = Pages::default();
    let write = |pages: &mut Pages, name: &str, body: &str| {
        let mut written = false;
        let page = pages.get_or_write(name, || {
            written = true;
            Ok::<_, ()>(body.to_owned())
        });
        (page.unwrap(), written)
    };
    let (first, written) = write(&mut pages, "a", "one");
    assert!(written);
    assert!(!write(&mut pages, "a", "other").1);
    assert!(
        first.matches(&first.etag)
            && first.matches("*")
            && first.matches(&format!("\"x\", W/{}", first.etag))
    );
    assert!(!first.matches("\"x\"") && !first.matches(""));
    let half = "x".repeat(Pages::MOST_BYTES / 2);
    write(&mut pages, "b", &half);
    assert!(!write(&mut pages, "a", "").1, "used again, so the other goes first");
    write(&mut pages, "c", &half);
    assert!(write(&mut pages, "b", &half).1 && !write(&mut pages, "b", "").1);
    for row in 0..2 * Pages::MOST {
        write(&mut pages, &format!("small {row}"), "");
    }
    assert_eq!(pages.len(), Pages::MOST);
    write(&mut pages, "huge", &"x".repeat(Pages::MOST_BYTES + 1));
    assert_eq!(pages.len(), Pages::MOST, "what is larger than all may be is not kept");
    assert!(pages.get_or_write("d", || Err(())).is_err());
}

#[test]
fn a_query_is_decoded() {
    for (query, value) in [
        ("a=1", Some("1")),
        ("b=2&a=1&a=3", Some("1")),
        ("a=x%20y+z", Some("x y z")),
        ("a=%E4%B8%96%", Some("世%")),
        ("a=%ff", Some("\u{fffd}")),
        ("a", Some("")),
        ("%61=1", Some("1")),
        ("b=a", None),
        ("", None),
    ] {
        assert_eq!(query::value(query, "a").as_deref(), value, "{query}");
    }
    assert_eq!(query::encode("a b&ü/c:d"), "a%20b%26%C3%BC/c:d");
}

fn holds(one: &Value, path: &str, names: &[&str]) -> bool {
    let list = one.pointer(path).and_then(Value::as_array).unwrap();
    names.iter().all(|name| list.iter().any(|each| each == name))
}

/// Dollars for a million tokens.
fn dollars(one: &Value, class: &str) -> f64 {
    let price: f64 = one["pricing"][class].as_str().unwrap().parse().unwrap();
    (price * 1e12).round() / 1e6
}

fn author(one: &Value) -> &str {
    one["id"].as_str().unwrap().trim_start_matches('~').split('/').next().unwrap()
}

fn age(one: &Value) -> u64 {
    (NOW.seconds() - one["created"].as_u64().unwrap().min(NOW.seconds())) / 86_400
}

/// A family's latest is listed by that name too.
#[test]
fn an_alias_is_listed_beside_its_model() {
    let list = models("q=~anthropic/claude-sonnet");
    let row = &list["data"][0];
    let target = row["alias_target"]["slug"].as_str().unwrap();
    assert_eq!(row["id"], "~anthropic/claude-sonnet-latest");
    assert_eq!(Catalog::BUILT_IN.alias("~anthropic/claude-sonnet-latest"), Some(target));
    assert_eq!(row["links"]["details"], format!("/api/v1/models/{target}/endpoints"));
    assert_eq!(ids(&models(&format!("q={target}")))[0], target);
}

fn sold_by(one: &Value, slug: &str) -> bool {
    let model = Catalog::BUILT_IN.named(one["id"].as_str().unwrap());
    model.unwrap().offers.iter().any(|offer| offer.provider.slug == slug)
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

/// What `GET /models` lists where every provider is live.
fn models(query: &str) -> Value {
    listed(|_| true, |scope| listing::write_models(scope, &filter(query), PATH, query))
}

fn count(live: impl Fn(&Provider) -> bool) -> Value {
    listed(live, |scope| listing::write_count(scope, &filter("")))
}

fn filter(query: &str) -> Filter {
    Filter::read(query).unwrap()
}

fn listed(live: impl Fn(&Provider) -> bool, write: impl Fn(&Scope) -> String) -> Value {
    let shows = |_: &Model, offer: &Offer| live(offer.provider);
    parse(&write(&Scope { catalog: Catalog::BUILT_IN, shows: &shows, measured: &unmeasured, now: NOW }))
}

fn unmeasured(_: &Model, _: &Offer) -> Figures {
    Figures::default()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}
