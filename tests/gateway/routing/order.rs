//! In which order endpoints are tried.

use super::market::{Wish, model};
use millrace::chat::{Needs, RequestSize};
use millrace::routing::sticky::{Pin, Session};
use millrace::routing::{Policy, Sort};
use proptest::prelude::*;

/// OpenRouter's example: one dollar, two, and three.
const ABC: &str = "a 1 1\n b 2 2\n c 3 3";

/// A is nine times likelier than C to be first; if it fails, C is next, and B, which failed lately, last.
#[test]
fn the_documented_example_holds() {
    let wish = Wish { health: "b shaky", ..Wish::of(&[model("x/m", ABC)]) };
    let firsts = wish.firsts();
    assert!((890..=910).contains(&firsts["a"]) && (90..=110).contains(&firsts["c"]), "{firsts:?}");
    for seed in 0..100 {
        let order = wish.order(seed);
        assert!(order == "a c b" || order == "c a b", "{order}");
    }
    let shares: Vec<u32> = wish.survey(0).entries.iter().map(|entry| entry.share_ppm).collect();
    let near = |share: u32| shares.iter().any(|one| one.abs_diff(share) < 2);
    assert!(near(900_000) && near(100_000) && near(0), "{shares:?}");
}

#[test]
fn the_first_is_drawn_with_weight_one_over_price_squared() {
    // 36 : 9 : 4
    let firsts = Wish::of(&[model("x/m", ABC)]).firsts();
    for (tag, expected) in [("a", 735), ("b", 184), ("c", 82)] {
        assert!(firsts[tag].abs_diff(expected) < 12, "{firsts:?}");
    }
    // What is free shares everything.
    let firsts = Wish::of(&[model("x/m", "a 0 0\n b 0 0\n c 0.001 0")]).firsts();
    assert!(firsts["a"].abs_diff(500) < 15 && !firsts.contains_key("c"), "{firsts:?}");
}

#[test]
fn endpoints_come_in_the_order_asked_for() {
    const SPEED: &str = "a ttft=900 tps=20; b ttft=300 tps=50; c ttft=600 tps=90";
    for (provider, health, expected) in [
        (r#"{"order": ["c", "a"]}"#, "", "c a b"),
        (r#"{"order": ["C", "nobody"], "allow_fallbacks": false}"#, "", "c"),
        (r#"{"order": ["c", "a"]}"#, "c shaky", "c a b"),
        // Out means that it would fail.
        (r#"{"order": ["c", "a"]}"#, "c out=5000", "a b c"),
        (r#"{"sort": "price"}"#, SPEED, "a b c"),
        (r#"{"sort": "price"}"#, "a shaky", "a b c"),
        (r#"{"sort": "price"}"#, "a out=9; b out=5", "c b a"),
        (r#"{"sort": "throughput"}"#, SPEED, "c b a"),
        (r#"{"sort": "throughput"}"#, "c tps=9", "c a b"),
        (r#"{"sort": "latency"}"#, SPEED, "b c a"),
        (r#"{"sort": {"by": "latency"}}"#, "c ttft=1", "c a b"),
        (r#"{"sort": "latency", "allow_fallbacks": false}"#, SPEED, "b"),
        // Few invalid calls come first, then what is unknown, then many; among equals the fastest.
        (r#"{"sort": "exacto"}"#, "a tool_errors=90000; c tool_errors=2000", "c b a"),
        (r#"{"sort": "exacto"}"#, "a tool_errors=900 tps=9; c tool_errors=2000 tps=10", "c a b"),
        (r#"{"sort": "price", "preferred_max_latency": 0.5}"#, SPEED, "b a c"),
        (r#"{"sort": "price", "preferred_max_latency": {"p50": 1, "p99": 1}}"#, SPEED, "b a c"),
        (r#"{"sort": "price", "preferred_min_throughput": 40}"#, SPEED, "b c a"),
        (r#"{"sort": "price", "preferred_min_throughput": {"p90": 100}}"#, SPEED, "c a b"),
        // Slow, but not as bad as being out.
        (r#"{"sort": "price", "preferred_max_latency": 0.5}"#, "a ttft=900; b out=1", "c a b"),
        (r#"{"order": ["a", "b"], "preferred_max_latency": 0.5}"#, SPEED, "b a c"),
    ] {
        let wish = Wish { provider, health, ..Wish::of(&[model("x/m", ABC)]) };
        for seed in 0..20 {
            assert_eq!(wish.order(seed), expected, "{provider} {health} seed {seed}");
        }
    }
}

#[test]
fn models_keep_their_order_but_for_what_is_out() {
    let (one, two) = (model("x/one", "a 3 3\n b 4 4"), model("x/two", "a 1 1\n c 2 2"));
    for (provider, health, expected) in [
        (r#"{"sort": "price"}"#, "", "x/one:a x/one:b x/two:a x/two:c"),
        (r#"{"sort": {"by": "price", "partition": "model"}}"#, "", "x/one:a x/one:b x/two:a x/two:c"),
        (r#"{"sort": {"by": "price", "partition": "none"}}"#, "", "x/two:a x/two:c x/one:a x/one:b"),
        (
            r#"{"sort": {"by": "throughput", "partition": "none"}}"#,
            "b tps=9",
            "x/one:b x/two:a x/two:c x/one:a",
        ),
        (r#"{"sort": "price"}"#, "a out=10", "x/one:b x/two:c x/one:a x/two:a"),
        (r#"{"sort": "price", "allow_fallbacks": false}"#, "", "x/one:a x/two:a"),
        (r#"{"order": ["c", "b"]}"#, "", "x/one:b x/one:a x/two:c x/two:a"),
    ] {
        let wish = Wish { provider, health, ..Wish::of(&[one, two]) };
        assert_eq!(wish.order(3), expected, "{provider} {health}");
    }
    assert_eq!(Wish { provider: r#"{"sort":"price"}"#, ..Wish::of(&[one, one]) }.order(0), "x/one:a x/one:b");
}

#[test]
fn requests_with_tools_go_by_quality_once_it_is_measured() {
    let market = model("x/m", "a 1 1 tools\n b 2 2 tools\n c 3 3 tools");
    let with_tools = Needs { tools: true, ..Needs::default() };
    let measured = "a tool_errors=150000 tps=90; b tool_errors=100 tps=20";
    let wish = Wish { needs: with_tools.clone(), health: measured, ..Wish::of(&[market]) };
    for seed in 0..20 {
        assert_eq!(wish.order(seed), "b c a");
        // Asking for the lowest price, or for anything else, leaves quality out.
        let by_price = Wish { provider: r#"{"sort": "price"}"#, ..wish.clone() };
        assert_eq!(by_price.order(seed), "a b c");
        assert_eq!(Wish { sort: Some(Sort::Price), ..wish.clone() }.order(seed), "a b c");
        let policy = Policy { sort: Some(Sort::Price), ..Policy::default() };
        assert_eq!(Wish { policy, ..wish.clone() }.order(seed), "a b c");
    }
    let unmeasured = Wish { needs: with_tools, ..Wish::of(&[market]) };
    assert!(unmeasured.firsts()["a"] > 700, "without samples the price decides");
}

/// Without `require_parameters` an endpoint that knows no reasoning is not refused, but later.
#[test]
fn what_would_show_in_the_reply_is_preferred() {
    let market = model("x/m", "a 1 1\n b 2 2 tools");
    let needs = Needs { parameters: vec!["reasoning_effort".into()], ..Needs::default() };
    let wish = Wish { needs, ..Wish::of(&[market]) };
    assert_eq!((wish.order(1), wish.removed()), ("b a".into(), String::new()));
    let order = Wish { provider: r#"{"order": ["a"]}"#, ..wish };
    assert_eq!(order.order(1), "a b");
}

#[test]
fn tiers_of_service_are_admitted_only_where_they_are_asked_for() {
    let market = model("x/m", "a 2 2\n a/flex 1 1 tier=flex\n a/priority 4 4 tier=priority\n b 3 3");
    let plain = model("x/m", "a 2 2\n b 3 3");
    let by_price = r#"{"sort": "price"}"#;
    for (models, provider, tier, sort, admits, expected) in [
        (market, by_price, None, None, None, "a b"),
        (market, by_price, Some("auto"), None, None, "a b"),
        (market, by_price, Some("priority"), None, None, "a/priority a b"),
        (market, by_price, Some("fast"), None, None, "a/priority a b"),
        (market, by_price, Some("flex"), None, None, "a/flex"),
        // A model without flex is served as if nothing had been asked for.
        (plain, by_price, Some("flex"), None, None, "a b"),
        (market, r#"{"only": ["a"], "sort": "price"}"#, None, None, None, "a"),
        (market, r#"{"only": ["a/priority"]}"#, None, None, None, "a/priority"),
        (market, r#"{"order": ["a/priority", "b"]}"#, None, None, None, "a/priority b a"),
        // `:floor` and `:nitro`; an order takes their admission back.
        (market, "{}", None, Some(Sort::Price), Some("flex"), "a/flex a b"),
        (market, "{}", None, Some(Sort::Throughput), Some("priority"), "a b a/priority"),
        (market, r#"{"order": ["b"]}"#, None, Some(Sort::Price), Some("flex"), "b a"),
        (market, r#"{"ignore": ["a"], "sort": "price"}"#, None, None, None, "b"),
    ] {
        let wish = Wish { provider, tier, sort, admits, ..Wish::of(&[models]) };
        assert_eq!(wish.order(5), expected, "{provider} {tier:?} {admits:?}");
    }
}

fn session(hash: u64, named: bool) -> Option<Session> {
    Some(Session { hash, named, pin: None })
}

#[test]
fn a_session_draws_the_same_endpoint_every_time() {
    let market = model("x/m", "a 1 1 cache\n b 1 1 cache\n c 1 1");
    let long = RequestSize { text_bytes: 5000, choices: 1, ..RequestSize::default() };
    let first = |wish: &Wish, seed| wish.order(seed)[..1].to_owned();
    for hash in 0..50 {
        let named = Wish { session: session(hash, true), ..Wish::of(&[market]) };
        let drawn = first(&named, 0);
        assert!((1..50).all(|seed| first(&named, seed) == drawn), "a named session stays from the start");
        let unnamed = Wish { session: session(hash, false), size: long, ..Wish::of(&[market]) };
        assert!((0..50).all(|seed| first(&unnamed, seed) == drawn), "a long prompt stays without a name");
        // When another endpoint leaves, the session is not touched; when its own does, it moves.
        let other = if drawn == "a" { "b shaky" } else { "a shaky" };
        assert_eq!(first(&Wish { health: other, ..named.clone() }, 0), drawn);
        let own = format!("{drawn} shaky");
        assert_ne!(first(&Wish { health: &own, ..named.clone() }, 0), drawn);
    }
    let short = Wish { session: session(1, false), ..Wish::of(&[market]) };
    let no_cache = Wish { session: session(1, true), ..Wish::of(&[model("x/m", "a 1 1\n b 1 1")]) };
    for wish in [short, no_cache] {
        let firsts: std::collections::BTreeSet<String> = (0..50).map(|seed| first(&wish, seed)).collect();
        assert!(firsts.len() > 1, "nothing would be saved by staying");
    }
}

#[test]
fn sessions_spread_by_price_as_requests_do() {
    let market = model("x/m", "a 1 1 cache\n c 3 3 cache");
    let first = |hash: u64| {
        let hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Wish { session: session(hash, true), ..Wish::of(&[market]) }.order(0)
    };
    let cheap = (0..5000).filter(|hash| first(*hash) == "a c").count();
    assert!((4400..4600).contains(&cheap), "{cheap} of 5000, nine of ten meant");
}

#[test]
fn a_session_stays_where_its_last_reply_came_from() {
    let market = model("x/m", "a 1 1 cache\n b 5 5 cache\n c 9 9 cache");
    let pin = Some(Pin { model: "x/m".into(), tag: "c".into() });
    let pinned = Wish { session: Some(Session { hash: 1, named: true, pin }), ..Wish::of(&[market]) };
    for (provider, health, expected) in [
        ("{}", "", "c a b"),
        (r#"{"sort": "price"}"#, "", "c a b"),
        // Until it is down, slow, or an order says otherwise.
        (r#"{"sort": "price"}"#, "c out=5", "a b c"),
        ("{}", "c shaky", "a b c"),
        (r#"{"preferred_max_latency": 1}"#, "c ttft=5000", "a b c"),
        (r#"{"order": ["b"]}"#, "", "b a c"),
        (r#"{"ignore": ["c"]}"#, "", "a b"),
    ] {
        let wish = Wish { provider, health, ..pinned.clone() };
        assert_eq!(wish.order(0), expected, "{provider} {health}");
    }
}

prop_compose! {
    fn any_market()(rows in prop::collection::vec((0u32..50, 0u32..50, any::<bool>()), 1..9)) -> &'static millrace::catalog::Model {
        let row = |(row, (prompt, completion, cache)): (usize, &(u32, u32, bool))| {
            format!("p{row} {prompt} {completion} tools {}", if *cache { "cache" } else { "" })
        };
        let text: Vec<String> = rows.iter().enumerate().map(row).collect();
        model("x/m", &text.join("\n"))
    }
}

fn any_health() -> impl Strategy<Value = String> {
    let row = (
        0..9usize,
        prop_oneof![
            Just("shaky".to_owned()),
            (1u32..90_000).prop_map(|ms| format!("out={ms}")),
            (1u32..9000).prop_map(|ms| format!("ttft={ms}")),
            (1u32..300).prop_map(|tps| format!("tps={tps}")),
            (0u32..200_000).prop_map(|ppm| format!("tool_errors={ppm}"))
        ],
    );
    prop::collection::vec(row.prop_map(|(row, fact)| format!("p{row} {fact}")), 0..9)
        .prop_map(|rows| rows.join(";"))
}

const PROVIDERS: [&str; 7] = [
    "{}",
    r#"{"sort": "price"}"#,
    r#"{"sort": "throughput"}"#,
    r#"{"sort": "latency"}"#,
    r#"{"sort": "exacto", "preferred_max_latency": {"p90": 2}}"#,
    r#"{"order": ["p3", "p1"]}"#,
    r#"{"sort": {"by": "price", "partition": "none"}}"#,
];

proptest! {
    /// Nobody is lost or tried twice, and never anything that is out before something that is not.
    #[test]
    fn a_plan_is_whole_and_follows_from_its_seed(
        market in any_market(),
        health in any_health(),
        provider in prop::sample::select(PROVIDERS.to_vec()),
        tools: bool,
        named in prop::option::of(any::<u64>()),
        seed: u64,
    ) {
        let session = named.map(|hash| Session { hash, named: true, pin: None });
        let needs = Needs { tools, ..Needs::default() };
        let wish = Wish { provider, health: &health, needs, session, ..Wish::of(&[market]) };
        let survey = wish.survey(seed);
        prop_assert_eq!(&survey.entries, &wish.survey(seed).entries);
        let mut tags: Vec<&str> = survey.entries.iter().map(|entry| entry.candidate.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        prop_assert_eq!(tags.len(), market.offers.len());
        prop_assert!(survey.removed.is_empty());
        prop_assert!(survey.entries.iter().map(|entry| entry.is_out()).is_sorted());
        let shares: u32 = survey.entries.iter().map(|entry| entry.share_ppm).sum();
        prop_assert!(shares.abs_diff(1_000_000) < 10, "{}", shares);
    }

    /// The endpoint of a session changes for no other reason than its own condition.
    #[test]
    fn the_health_of_others_moves_no_session(market in any_market(), hash: u64, other in 0..9usize) {
        let session = Some(Session { hash, named: true, pin: None });
        let wish = Wish { session, ..Wish::of(&[market]) };
        let first = wish.survey(0).entries[0].candidate.tag;
        let other = format!("p{other}");
        prop_assume!(other != first);
        let health = format!("{other} shaky");
        let caches = market.offers.iter().any(|offer| offer.prices.cache_read.is_some());
        prop_assume!(caches);
        let moved = Wish { health: &health, ..wish.clone() };
        prop_assert_eq!(moved.survey(0).entries[0].candidate.tag, first);
    }
}
