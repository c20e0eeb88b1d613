//! Routers: what a request is about, and which models are chosen for it.

use crate::outlined;
use millrace::catalog::{self, Catalog, Model};
use millrace::chat::{ChatRequest, Needs, RequestSize};
use millrace::error::{Cause, Failure};
use millrace::health::{Health, Percentiles, Standing, Unknown};
use millrace::protocol::bridge::Face;
use millrace::routing::sticky::{Pin, Session};
use millrace::routing::task::{Task, classify};
use millrace::routing::{AutoRules, CostTier, Policy, Preference, Query, Strategy, Survey, plan, survey};
use millrace::time::Time;
use proptest::prelude::*;

use super::market::NOW;

#[test]
fn a_request_is_classified_by_its_words() {
    for (system, user, task) in [
        ("", "Hello, how are you today?", Task::Chat),
        ("", "What is a good name for a cat?", Task::Chat),
        ("", "Write a Python function that reverses a list", Task::Code),
        ("", "Why does this crash?\n```rust\nfn main() { panic!() }\n```", Task::Code),
        ("", "I get a TypeError: undefined is not a function in my React app", Task::Code),
        ("", "Refactor this class, please", Task::Code),
        ("", "Prove that there are infinitely many primes; is the theorem older than Euclid?", Task::Math),
        ("", "Solve for x: 3x + 5 = 20, then give the derivative of x^2", Task::Math),
        ("", "Translate the following into French: good morning", Task::Translation),
        (
            "You are a translator. Translate everything into German.",
            "The weather is nice.",
            Task::Translation,
        ),
        ("", "翻译成英文：今天天气很好", Task::Translation),
        ("", "Summarize this article in three bullet points: …", Task::Summarization),
        ("", "tl;dr please", Task::Summarization),
        ("", "Extract all names and dates as JSON", Task::Extraction),
        ("", "Classify the sentiment of this review", Task::Extraction),
        ("Stay in character. You are playing a pirate.", "Ahoy", Task::Roleplay),
        ("", "Write a poem about the sea", Task::Writing),
        ("", "What does quantum entanglement mean for physics?", Task::Science),
        // A word within another is not that word.
        ("", "Our codec is digital; the debugger at the legalistic gitterbox", Task::Chat),
    ] {
        let request = Ask::of(system, user);
        assert_eq!(request.classified(false).task, task, "{system} {user}");
    }
}

#[test]
fn what_comes_with_the_words_counts_too() {
    let chat = |needs: Needs| Ask { needs, ..Ask::of("", "Have a look at this") }.classified(false).task;
    assert_eq!(chat(Needs { tools: true, ..Needs::default() }), Task::Agentic);
    assert_eq!(chat(Needs { images: true, ..Needs::default() }), Task::Vision);
    assert_eq!(chat(Needs { structured_output: true, ..Needs::default() }), Task::Extraction);
    let mut long = Ask::of("", "Summarize this book");
    long.size.text_bytes = 400_000;
    assert_eq!(long.classified(false).task, Task::LongContext);
    let agent = Ask {
        needs: Needs { tools: true, ..Needs::default() },
        ..Ask::of("You are a software engineer.", "Fix the bug in the repository")
    };
    assert_eq!(agent.classified(false).task, Task::Agentic);
    assert!(agent.classified(false).signs.contains(&"tools"));
}

/// A conversation keeps its task, and so its model, whatever its later turns are about.
#[test]
fn a_conversation_is_classified_by_its_opening() {
    let body = r#"{"model":"openrouter/auto","messages":[{"role":"user","content":"Translate this into French: yes"},{"role":"assistant","content":"oui"},{"role":"user","content":"Now debug my Python script"}]}"#;
    let conversation = Face::Chat.read_conversation(&outlined(body)).unwrap();
    let task = |latest| classify(&conversation, &Needs::default(), &RequestSize::default(), latest).task;
    assert_eq!((task(false), task(true)), (Task::Translation, Task::Code));
}

#[test]
fn the_best_for_the_task_is_chosen_within_the_band() {
    for tier in ["low", "medium", "high", "xhigh", "max"] {
        let rules = format!(r#"[{{"id":"auto-router","cost_tier":"{tier}"}}]"#);
        let ask = Ask { plugins: Some(rules), ..Ask::of("", "Write a unit test in Python") };
        let chosen = ask.chosen();
        assert_eq!(chosen.len(), 3, "a model and two to fall back to");
        assert!(chosen.iter().all(|model| model.output_modalities.len() == 1));
        assert_eq!(ask.survey(1).strategy, Strategy::Auto);
    }
    let price = |tier: &str| {
        let rules = format!(r#"[{{"id":"auto-router","cost_tier":"{tier}"}}]"#);
        let chosen = Ask { plugins: Some(rules), ..Ask::of("", "Write a unit test in Python") }.chosen();
        chosen[0].offers.iter().map(|offer| offer.prices.blend()).min()
    };
    let prices = ["low", "medium", "high", "xhigh", "max"].map(price);
    assert!(prices.is_sorted(), "{prices:?}");
}

#[test]
fn tasks_lead_to_models_that_are_known_for_them() {
    let max = r#"[{"id":"auto-router","cost_tier":"max"}]"#;
    let first = |text: &str| Ask { plugins: Some(max.into()), ..Ask::of("", text) }.chosen()[0].slug;
    assert!(
        first("Debug this Python script: ```x```").contains("claude-opus"),
        "{}",
        first("Debug this Python")
    );
    let different: std::collections::BTreeSet<&str> = [
        "Debug this Python script",
        "Prove that the theorem about this integral holds",
        "Translate this into French",
        "Write a poem",
        "Stay in character, roleplay a pirate",
    ]
    .map(first)
    .into();
    assert!(different.len() >= 3, "{different:?}");
}

#[test]
fn patterns_bound_the_choice_and_what_is_excluded_stays_so() {
    for (rules, fits) in [
        (
            r#"{"allowed_models":["anthropic/*"]}"#,
            (|slug| slug.starts_with("anthropic/")) as fn(&str) -> bool,
        ),
        (r#"{"allowed_models":["*/gpt-5*"],"cost_tier":"max"}"#, |slug| slug.starts_with("openai/gpt-5")),
        (r#"{"allowed_models":["openai/*"],"excluded_models":["*mini*","*nano*"]}"#, |slug| {
            slug.starts_with("openai/") && !slug.contains("mini") && !slug.contains("nano")
        }),
        (r#"{"excluded_models":["qwen/*","deepseek/*"]}"#, |slug| {
            !slug.starts_with("qwen/") && !slug.starts_with("deepseek/")
        }),
    ] {
        let plugins = rules.replacen('{', r#"[{"id":"auto-router","#, 1) + "]";
        let chosen = Ask { plugins: Some(plugins), ..Ask::of("", "Hello") }.chosen();
        assert!(!chosen.is_empty() && chosen.iter().all(|model| fits(model.slug)), "{rules}");
    }
    let nothing = Ask {
        plugins: Some(r#"[{"id":"auto-router","allowed_models":["nobody/*"]}]"#.into()),
        ..Ask::of("", "a")
    };
    let failure = nothing.plan().unwrap_err();
    assert_eq!(
        (failure.cause, failure.message.as_str()),
        (Cause::NoEndpoint, "No models match your request and model restrictions")
    );
}

#[test]
fn only_capable_models_are_chosen() {
    let seeing = Ask {
        needs: Needs { images: true, tools: true, ..Needs::default() },
        ..Ask::of("", "What is this?")
    };
    for model in seeing.chosen() {
        assert!(model.input_modalities.contains(&catalog::Modality::Image), "{}", model.slug);
        assert!(model.offers.iter().any(|offer| offer.honours("tools")), "{}", model.slug);
    }
    let survey = seeing.survey(1);
    assert!(survey.choice.unwrap().capable > 10);
}

#[test]
fn a_sort_takes_the_place_of_the_task() {
    let cheapest = Ask { model: "openrouter/auto:floor", ..Ask::of("", "Debug this Python") }.chosen();
    let prices: Vec<_> =
        cheapest.iter().map(|model| model.offers.iter().map(|offer| offer.prices.blend()).min()).collect();
    assert!(prices.is_sorted(), "{prices:?}");
    // Within the band, so whoever is measured to be fast has to be in it.
    let some = Ask::of("", "Hello").chosen()[2];
    let ask = Ask { model: "millrace/auto:nitro", ..Ask::of("", "Hello") };
    assert_eq!(ask.chosen_with(&Fast(some.slug))[0].slug, some.slug);
}

/// One model answers fast, of the others nothing is known.
struct Fast(&'static str);

impl Health for Fast {
    fn standing(&self, model: &str, _tag: &str, _now: Time) -> Standing {
        let measured = Percentiles { p50: 900, p75: 800, p90: 700, p99: 600 };
        let throughput = (model == self.0).then_some(measured);
        Standing { throughput, ..Standing::default() }
    }
}

#[test]
fn a_session_keeps_its_model_while_it_may_serve() {
    let chosen = Ask::of("", "Hello").chosen();
    let (first, second) = (chosen[0], chosen[1]);
    let pin = |model: &Model| Some(Pin { model: model.slug.into(), tag: model.offers[0].tag.into() });
    let session = |pin| Some(Session { hash: 1, named: true, pin });
    let pinned = Ask { session: session(pin(second)), ..Ask::of("", "Hello") };
    assert_eq!(pinned.chosen()[0].slug, second.slug);
    let excluded = format!(r#"[{{"id":"auto-router","excluded_models":["{}"]}}]"#, second.slug);
    assert_eq!(Ask { plugins: Some(excluded), ..pinned.clone() }.chosen()[0].slug, first.slug);
    let unpinned = r#"[{"id":"auto-router","pin_model":false}]"#;
    assert_eq!(Ask { plugins: Some(unpinned.into()), ..pinned }.chosen()[0].slug, first.slug);
}

/// Free models come up alike; without any the failure says so.
#[test]
fn the_free_router_takes_any_that_costs_nothing() {
    let free: Vec<&str> = catalog::models()
        .iter()
        .filter(|model| {
            model.offers.iter().any(|offer| offer.prices.blend() == 0 && offer.prices.request.pico() == 0)
        })
        .filter(|model| model.output_modalities.contains(&catalog::Modality::Text))
        .map(|model| model.slug)
        .collect();
    let ask = Ask { model: "openrouter/free", ..Ask::of("", "Hello") };
    if free.is_empty() {
        assert_eq!(ask.plan().unwrap_err().message, "No models match your request and model restrictions");
        return;
    }
    for seed in 0..200 {
        let survey = ask.survey(seed);
        let entry = &survey.entries[0];
        assert!(free.contains(&entry.candidate.model.as_ref()), "{}", entry.candidate.model);
        assert_eq!(entry.candidate.prices.blend(), 0);
    }
}

#[test]
fn rules_that_are_not_understood_are_refused_by_name() {
    for (plugins, message) in [
        (
            r#"[{"id":"auto-router","cost_tier":"cheap"}]"#,
            r#"`plugins[].cost_tier` must be "low", "medium", "high", "xhigh" or "max"."#,
        ),
        (
            r#"[{"id":"auto-router","cost_quality_tradeoff":11}]"#,
            "`plugins[].cost_quality_tradeoff` must be a whole number from 0 to 10.",
        ),
        (
            r#"[{"id":"auto-router","allowed_models":"x"}]"#,
            "`plugins[].allowed_models` must be a list of patterns of slugs.",
        ),
        (r#"[{"id":"auto-router","allowed":[]}]"#, "`plugins[].allowed` is not a known field"),
        (r#"[{"id":"auto-router","pin_model":1}]"#, "`plugins[].pin_model` must be true or false."),
    ] {
        assert_eq!(AutoRules::read(Some(plugins)).unwrap_err().message, message);
    }
    for (tradeoff, tier) in [
        (0, CostTier::Max),
        (3, CostTier::Xhigh),
        (5, CostTier::High),
        (7, CostTier::Medium),
        (9, CostTier::Low),
        (10, CostTier::Low),
    ] {
        let plugins = format!(r#"[{{"id":"auto-router","cost_quality_tradeoff":{tradeoff}}}]"#);
        assert_eq!(AutoRules::read(Some(&plugins)).unwrap().tier, tier, "{tradeoff}");
    }
    let off = r#"[{"id":"auto-router","enabled":false,"nonsense":1}]"#;
    assert_eq!(AutoRules::read(Some(off)), Ok(AutoRules::default()));
}

proptest! {
    #[test]
    fn the_same_text_is_always_the_same_task(system in "\\PC{0,60}", user in "\\PC{0,600}") {
        let ask = Ask::of(&system, &user);
        prop_assert_eq!(ask.classified(false), ask.classified(false));
    }
}

/// A request to a router.
#[derive(Clone)]
struct Ask {
    model: &'static str,
    body: String,
    needs: Needs,
    size: RequestSize,
    plugins: Option<String>,
    session: Option<Session>,
}

impl Ask {
    fn of(system: &str, user: &str) -> Ask {
        let message = |role: &str, text: &str| serde_json::json!({ "role": role, "content": text });
        let messages = [message("system", system), message("user", user)];
        let body = serde_json::json!({ "model": "openrouter/auto", "messages": messages }).to_string();
        let ChatRequest { needs, size, .. } = Face::Chat.read_request(&outlined(&body), "", false).unwrap();
        Ask { model: "openrouter/auto", body, needs, size, plugins: None, session: None }
    }

    fn classified(&self, latest: bool) -> millrace::routing::task::Classified {
        let conversation = Face::Chat.read_conversation(&outlined(&self.body)).unwrap();
        classify(&conversation, &self.needs, &self.size, latest)
    }

    fn chosen(&self) -> Vec<&'static Model> {
        self.chosen_with(&Unknown)
    }

    fn chosen_with(&self, health: &dyn Health) -> Vec<&'static Model> {
        self.with(health, |query| survey(query, &|_| true, 1)).unwrap().choice.unwrap().models
    }

    fn survey(&self, seed: u64) -> Survey {
        self.with(&Unknown, |query| survey(query, &|_| true, seed)).unwrap()
    }

    fn plan(&self) -> Result<millrace::routing::Plan, Failure> {
        self.with(&Unknown, |query| plan(query, &|_| true, 1))
    }

    fn with<T>(&self, health: &dyn Health, ask: impl FnOnce(&Query<'_>) -> T) -> T {
        let conversation = Face::Chat.read_conversation(&outlined(&self.body)).unwrap();
        ask(&Query {
            catalog: Catalog::BUILT_IN,
            health,
            now: NOW,
            models: &[self.model.to_owned()],
            preference: &Preference::default(),
            policy: &Policy::default(),
            needs: &self.needs,
            size: &self.size,
            service_tier: None,
            session: self.session.as_ref(),
            auto: &AutoRules::read(self.plugins.as_deref()).unwrap(),
            conversation: Some(&conversation),
        })
    }
}
