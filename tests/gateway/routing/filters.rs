//! Filters that the catalog has no example of for sure: regions, policies of keys, tags.

use super::market::{Wish, model};
use millrace::catalog::Model;
use millrace::routing::pattern::Pattern;
use millrace::routing::{Policy, ProviderName, TrainingDenied, Zdr};

#[test]
fn each_filter_removes_by_its_name() {
    let market = model("x/m", "a 1 1 region=eu private\n a/turbo 2 2 region=us\n b 3 3");
    for (provider, removed) in [
        (r#"{"region": "eu"}"#, "a/turbo:data_region b:data_region"),
        (r#"{"region": ["EU", "us"]}"#, "b:data_region"),
        (r#"{"zdr": true}"#, "a/turbo:data_policy:zdr b:data_policy:zdr"),
        (r#"{"data_collection": "deny"}"#, "a/turbo:data_policy:training b:data_policy:training"),
        // A provider's name means all that it sells, a tag one of it.
        (r#"{"ignore": ["a"]}"#, "a:ignored_providers a/turbo:ignored_providers"),
        (r#"{"ignore": ["a/turbo"]}"#, "a/turbo:ignored_providers"),
        (r#"{"only": ["A/Turbo"]}"#, "a:allowed_providers b:allowed_providers"),
        (r#"{"order": ["a"], "allow_fallbacks": false}"#, "b:order"),
        (r#"{"only": ["a/tur"]}"#, "a:allowed_providers a/turbo:allowed_providers b:allowed_providers"),
    ] {
        let wish = Wish { provider, ..Wish::of(&[market]) };
        assert_eq!(wish.removed(), removed, "{provider}");
    }
}

#[test]
fn a_policy_narrows_and_a_request_cannot_widen_it() {
    let market = model("x/m", "a 1 1 region=eu private\n b 2 2 private\n c 3 3");
    let names = |names: &[&str]| names.iter().map(|name| ProviderName::new(name)).collect::<Vec<_>>();
    let all = Policy::default();
    for (policy, provider, removed) in [
        (all.clone(), "{}", ""),
        (
            Policy { providers: vec![names(&["a", "b"])], ..all.clone() },
            r#"{"only": ["c"]}"#,
            "a:allowed_providers b:allowed_providers c:provider_policy",
        ),
        (
            Policy { providers: vec![names(&["a", "b"]), names(&["b", "c"])], ..all.clone() },
            "{}",
            "a:provider_policy c:provider_policy",
        ),
        (Policy { ignored_providers: names(&["a"]), ..all.clone() }, "{}", "a:provider_policy"),
        (Policy { zdr: Zdr::ALL, ..all.clone() }, r#"{"zdr": false}"#, "c:data_policy:zdr"),
        (Policy { zdr: Zdr { other: false, ..Zdr::ALL }, ..all.clone() }, "{}", ""),
        (
            Policy { training_denied: TrainingDenied { free: false, paid: true }, ..all.clone() },
            r#"{"data_collection": "allow"}"#,
            "c:data_policy:training",
        ),
        (Policy { training_denied: TrainingDenied { free: true, paid: false }, ..all.clone() }, "{}", ""),
        (Policy { regions: vec![vec!["eu".into()]], ..all.clone() }, "{}", "b:data_region c:data_region"),
        (
            Policy { regions: vec![vec!["eu".into()]], ..all.clone() },
            r#"{"region": "us"}"#,
            "a:data_region b:data_region c:data_region",
        ),
        (Policy { models: vec![vec![Pattern::new("x/*")]], ..all.clone() }, "{}", ""),
        (
            Policy { models: vec![vec![Pattern::new("x/*")], vec![Pattern::new("y/*")]], ..all.clone() },
            "{}",
            "a:model_policy b:model_policy c:model_policy",
        ),
        (
            Policy { ignored_models: vec![Pattern::new("x/m")], ..all },
            "{}",
            "a:model_policy b:model_policy c:model_policy",
        ),
    ] {
        let wish = Wish { policy, provider, ..Wish::of(&[market]) };
        assert_eq!(wish.removed(), removed, "{provider}");
    }
}

#[test]
fn only_models_whose_author_allows_it_may_be_distilled() {
    let base = model("x/m", "a 1 1");
    let with = |distillable| -> &'static Model {
        let Model { slug, canonical_slug, name, description, tokenizer, .. } = *base;
        Box::leak(Box::new(Model {
            slug,
            canonical_slug,
            name,
            description,
            created: 0,
            expires: None,
            successor: None,
            distillable,
            default_parameters: &[],
            context_length: base.context_length,
            input_modalities: base.input_modalities,
            output_modalities: base.output_modalities,
            tokenizer,
            hugging_face_id: None,
            knowledge_cutoff: None,
            categories: &[],
            reasoning: None,
            offers: base.offers,
        }))
    };
    for (distillable, removed) in
        [(Some(true), ""), (Some(false), "a:enforce_distillable_text"), (None, "a:enforce_distillable_text")]
    {
        let wish =
            Wish { provider: r#"{"enforce_distillable_text": true}"#, ..Wish::of(&[with(distillable)]) };
        assert_eq!(wish.removed(), removed);
    }
}

#[test]
fn patterns_match_whole_slugs() {
    for (pattern, slug, expected) in [
        ("anthropic/*", "anthropic/claude-sonnet-4.5", true),
        ("openai/gpt-5*", "openai/gpt-5.1", true),
        ("openai/gpt-5*", "openai/gpt-4o", false),
        ("*/claude-*", "anthropic/claude-opus-5", true),
        ("*/claude-*", "anthropic/instant", false),
        ("*", "a/b", true),
        ("a/b", "a/b", true),
        ("a/b", "a/bc", false),
        ("A/B*", "a/bc", true),
        ("*b*b", "a/bab", true),
        ("*b*b", "a/ba", false),
        ("", "", true),
        ("", "a", false),
        ("**", "", true),
    ] {
        assert_eq!(Pattern::new(pattern).matches(slug), expected, "{pattern} {slug}");
    }
}
