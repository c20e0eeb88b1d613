//! What a slug means: endings, other names, routers, models that are gone.

use millrace::catalog::{self, Catalog};
use millrace::error::Cause;
use millrace::health::Unknown;
use millrace::routing::{AutoRules, Policy, Preference, Query, Strategy, names_router, plan};
use millrace::time::Time;

/// The first model, and what it is called for; or what is said instead.
fn ask(slug: &str, provider: &str) -> Result<(String, Strategy), (Cause, String)> {
    let preference = Preference::read(Some(provider)).unwrap();
    let models = [slug.to_owned()];
    let query = Query {
        catalog: Catalog::BUILT_IN,
        health: &Unknown,
        now: Time::from_ms(1_795_270_407_000),
        models: &models,
        preference: &preference,
        policy: &Policy::default(),
        needs: &Default::default(),
        size: &Default::default(),
        service_tier: None,
        session: None,
        auto: &AutoRules::default(),
        conversation: None,
    };
    match plan(&query, &|_| true, 1) {
        Ok(plan) => Ok((plan.first().model.to_string(), plan.about.strategy)),
        Err(failure) => Err((failure.cause, failure.message)),
    }
}

#[test]
fn endings_sort_in_any_order_and_rows_are_looked_up() {
    for slug in [
        "millrace/echo",
        "millrace/echo:nitro",
        "millrace/echo:floor",
        "millrace/echo:exacto",
        "millrace/echo:nitro:floor",
        "millrace/echo:floor:exacto:nitro",
    ] {
        assert_eq!(ask(slug, "{}"), Ok(("millrace/echo".into(), Strategy::Direct)), "{slug}");
    }
    for (slug, cause, message) in [
        (
            "millrace/echo:batch",
            Cause::NoEndpoint,
            "No endpoints found for millrace/echo:batch. millrace/echo is there without `:batch`.",
        ),
        (
            "millrace/echo:free:nitro",
            Cause::NoEndpoint,
            "No endpoints found for millrace/echo:free:nitro. millrace/echo is there without `:free`.",
        ),
        (
            "millrace/echo:nitro:thinking",
            Cause::NoEndpoint,
            "No endpoints found for millrace/echo:nitro:thinking. Use millrace/echo with `reasoning`.",
        ),
        (
            "millrace/echo:free:batch",
            Cause::InvalidRequest,
            "millrace/echo:free:batch has more than one of :free, :batch, :thinking and :extended",
        ),
        (
            "millrace/echo:online",
            Cause::InvalidRequest,
            "`:online` works on a slug that the request names itself.",
        ),
        ("millrace/echo:turbo", Cause::UnknownModel, "millrace/echo:turbo is not a valid model ID"),
        ("millrace/echo:", Cause::UnknownModel, "millrace/echo: is not a valid model ID"),
        (":nitro", Cause::UnknownModel, ":nitro is not a valid model ID"),
    ] {
        assert_eq!(ask(slug, "{}"), Err((cause, message.into())));
    }
}

#[test]
fn the_last_sort_wins() {
    // By price the cheapest is first in every draw; a draw would not be so sure.
    let slug = "openai/gpt-oss-120b";
    let offers = catalog::find(slug).unwrap().offers;
    let cheapest = offers.iter().map(|offer| offer.prices.blend()).min();
    let preference = Preference::default();
    for (slug, sorted) in
        [(format!("{slug}:nitro:floor"), true), (format!("{slug}:floor"), true), (slug.into(), false)]
    {
        let models = [slug];
        let query = Query {
            catalog: Catalog::BUILT_IN,
            health: &Unknown,
            now: Time::from_ms(0),
            models: &models,
            preference: &preference,
            policy: &Policy::default(),
            needs: &Default::default(),
            size: &Default::default(),
            service_tier: None,
            session: None,
            auto: &AutoRules::default(),
            conversation: None,
        };
        let is_cheapest =
            |seed| Some(plan(&query, &|_| true, seed).unwrap().first().prices.blend()) == cheapest;
        assert_eq!((0..200).all(is_cheapest), sorted, "{models:?}");
    }
}

/// Every other name in the catalog leads to its model, endings or not.
#[test]
fn aliases_are_served_and_named() {
    for (alias, slug) in catalog::aliases() {
        let expected = if alias.starts_with('~') { Strategy::Latest } else { Strategy::Alias };
        for name in [(*alias).to_owned(), format!("{alias}:nitro")] {
            match ask(&name, "{}") {
                Ok((model, strategy)) => assert_eq!((model.as_str(), strategy), (*slug, expected), "{name}"),
                // Makes no text, or is gone.
                Err((cause, _)) => assert_eq!(cause, Cause::NoEndpoint, "{name}"),
            }
        }
    }
}

#[test]
fn only_routers_need_the_conversation() {
    let names = |slug: &str| names_router(&[slug.to_owned()]);
    for slug in [
        "openrouter/auto",
        "millrace/auto",
        "openrouter/free",
        "millrace/free:nitro",
        "openrouter/auto:floor",
    ] {
        assert!(names(slug), "{slug}");
    }
    for slug in ["openai/gpt-4o", "openrouter/other", "auto", "openrouter/auto:free:batch", ""] {
        assert!(!names(slug), "{slug}");
    }
}
