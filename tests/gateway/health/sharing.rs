//! Edges share what they know through a shard: each report counts once, and what is lost on the
//! way is only known later.

use super::sums::any_knowledge;
use super::{OK, at, condition, fail, news, public, subject};
use std::collections::BTreeMap;

use litemap::LiteMap;
use millrace::health::{Admission, Blame, Condition, Event, Filed, Reply, Report, Shard, Store};
use proptest::prelude::*;

#[test]
fn what_one_edge_saw_another_knows_after_it_has_asked() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let (mut one, mut two) = (named("one"), named("two"));
    for _ in 0..3 {
        fail(&mut one, 0, Blame::Endpoint);
    }
    fail(&mut one, 0, Blame::Key);
    report(&mut one, &mut shard, 5);
    assert_eq!(condition(&two, 5), Condition::Stable);
    two.expect("groq");
    report(&mut two, &mut shard, 5);
    assert_eq!(condition(&two, 5), condition(&one, 5));
    assert_eq!(two.admit(&subject("k1"), at(6)), Admission::Later);
    assert_eq!(public(&two, 5).uptime_5m_ppm, Some(0));
}

#[test]
fn failures_that_no_edge_alone_could_call_an_outage_are_one_together() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edges = ["one", "two", "three"].map(named);
    for edge in &mut edges {
        fail(edge, 0, Blame::Endpoint);
        assert_eq!(condition(edge, 0), Condition::Stable);
        report(edge, &mut shard, 5);
    }
    assert!(matches!(condition(&edges[2], 5), Condition::Out { .. }));
}

#[test]
fn a_report_whose_answer_is_lost_counts_once() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    edge.take(at(0), &news(0, false, OK));
    fail(&mut edge, 0, Blame::Endpoint);
    for (_, report) in edge.take_reports(at(5)) {
        assert!(shard.file(at(5), report).is_some());
    }
    edge.learn(at(6), "groq", None);
    assert_eq!(edge.next_report(at(6)), Some(at(36)));
    edge.take(at(7), &news(7, false, OK));
    report(&mut edge, &mut shard, 36);
    // The first report again; what happened since follows with the next.
    assert_eq!(uptime(&shard), Some(500_000));
    fail(&mut edge, 37, Blame::Key);
    report(&mut edge, &mut shard, 45);
    assert_eq!(uptime(&shard), Some(666_666));
}

#[test]
fn what_happens_while_a_report_is_under_way_is_not_lost() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    fail(&mut edge, 0, Blame::Endpoint);
    let reports = edge.take_reports(at(5));
    fail(&mut edge, 5, Blame::Endpoint);
    for (provider, report) in reports {
        let reply = shard.file(at(5), report);
        edge.learn(at(5), &provider, reply);
    }
    assert_eq!(condition(&edge, 5), Condition::Shaky);
    report(&mut edge, &mut shard, 10);
    assert_eq!(counted(&shard, 10), 2);
    assert_eq!(condition(&edge, 10), Condition::Shaky);
}

#[test]
fn a_shard_that_lost_everything_learns_again_and_shortens_no_wait() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    fail(&mut edge, 0, Blame::Limited { until: Some(at(50)) });
    report(&mut edge, &mut shard, 5);
    let mut empty = Shard::new("second".to_owned(), &[]);
    fail(&mut edge, 6, Blame::Endpoint);
    report(&mut edge, &mut empty, 11);
    assert_eq!(edge.admit(&subject("k1"), at(12)), Admission::Not { until: at(50) });
}

#[test]
fn a_shard_goes_on_with_what_it_stored() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    (0..3).for_each(|_| fail(&mut edge, 0, Blame::Endpoint));
    fail(&mut edge, 0, Blame::Key);
    report(&mut edge, &mut shard, 5);
    let rows = shard.take_unsaved();
    assert_eq!(
        rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
        ["groq openai/gpt-oss-120b", "keys"]
    );
    assert!(shard.take_unsaved().is_empty());
    let reborn = Shard::new("second".to_owned(), &rows);
    assert_eq!(reborn.known(), shard.known());
    let broken = Filed { name: "groq x".to_owned(), body: "{\"from\":\"elsewhere\"".to_owned() };
    assert!(Shard::new("third".to_owned(), &[broken]).known().is_empty());
}

#[test]
fn only_what_changed_is_told() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    fail(&mut edge, 0, Blame::Endpoint);
    report(&mut edge, &mut shard, 5);
    let asked = |since: Option<(String, u64)>, shard: &mut Shard| {
        let report =
            Report { schema: 1, edge: "two".to_owned(), sequence: 1, since, news: Default::default() };
        shard.file(at(6), report).expect("of this schema")
    };
    let all = asked(None, &mut shard);
    assert_eq!(all.known.endpoints.len(), 1);
    let none = asked(Some((all.epoch.clone(), all.version)), &mut shard);
    assert!(none.known.endpoints.is_empty());
    let other_life = asked(Some(("another".to_owned(), 99)), &mut shard);
    assert_eq!(other_life.known.endpoints.len(), 1);
}

#[test]
fn another_schema_is_not_taken() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let report =
        Report { schema: 2, edge: "x".to_owned(), sequence: 1, since: None, news: Default::default() };
    assert_eq!(shard.file(at(0), report), None);
}

#[test]
fn reports_and_replies_survive_their_text() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    edge.take(at(0), &news(0, false, Event::Began { latency_ms: Some(120) }));
    edge.take(at(0), &news(0, false, OK));
    fail(&mut edge, 0, Blame::Busy { until: Some(at(9)) });
    let (_, report) = edge.take_reports(at(5)).remove(0);
    let text = serde_json::to_string(&report).expect("JSON");
    assert_eq!(serde_json::from_str::<Report>(&text).expect("the same shape"), report);
    let reply = shard.file(at(5), report).expect("of this schema");
    let text = serde_json::to_string(&reply).expect("JSON");
    assert_eq!(serde_json::from_str::<Reply>(&text).expect("the same shape"), reply);
    assert!(text.len() < 1500, "{} bytes for one endpoint", text.len());
}

#[test]
fn a_warm_request_makes_few_reports() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let mut edge = named("one");
    let mut reports = 0;
    // Fifty requests a second for a minute, each planned over ten providers.
    for request in 0..3000 {
        let second = request / 50;
        (0..10).for_each(|provider| edge.expect(if provider == 0 { "groq" } else { OTHERS[provider - 1] }));
        edge.take(at(second), &news(second, false, Event::Began { latency_ms: Some(100) }));
        edge.take(at(second), &news(second, false, OK));
        if edge.next_report(at(second)).is_some_and(|due| due <= at(second)) {
            reports += report(&mut edge, &mut shard, second);
        }
    }
    assert!((10..=60).contains(&reports), "{reports} reports for 3000 requests");
}

#[test]
fn many_edges_report_less_often() {
    let mut shard = Shard::new("first".to_owned(), &[]);
    let ask = |shard: &mut Shard, edge: usize| {
        let report =
            Report { schema: 1, edge: edge.to_string(), sequence: 1, since: None, news: Default::default() };
        shard.file(at(0), report).expect("of this schema").again_s
    };
    assert_eq!(ask(&mut shard, 0), 5);
    let last = (1..2000).map(|edge| ask(&mut shard, edge)).last();
    assert_eq!(last, Some(40));
    // More than can be told apart are not remembered.
    assert!((2000..6000).map(|edge| ask(&mut shard, edge)).max() <= Some(82));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reports_count_once_in_any_order(
        news in proptest::collection::vec((0u8..3, any_knowledge()), 1..8),
        order in any::<proptest::sample::Index>(),
        again in any::<proptest::sample::Index>(),
    ) {
        let mut sequences = BTreeMap::new();
        let reports: Vec<Report> = news.into_iter().map(|(edge, news)| {
            let sequence = sequences.entry(edge).and_modify(|last| *last += 1).or_insert(1u64);
            Report { schema: 1, edge: format!("e{edge}"), sequence: *sequence, since: None, news }
        }).collect();
        let filed = |reports: &[Report]| {
            let mut shard = Shard::new("first".to_owned(), &[]);
            reports.iter().for_each(|report| { shard.file(at(1000), report.clone()); });
            shard.known().clone()
        };
        let mut shuffled = reports.clone();
        shuffled.rotate_left(order.index(reports.len()));
        shuffled.reverse();
        shuffled.push(reports[again.index(reports.len())].clone());
        // The breaker opens when an outage shows, which may be with an earlier or later report.
        let counts = |mut known: millrace::health::Knowledge| {
            known.endpoints.iter_mut().for_each(|(_, endpoint)| endpoint.breaker = Default::default());
            known
        };
        prop_assert_eq!(counts(filed(&reports)), counts(filed(&shuffled)));
    }
}

const OTHERS: [&str; 9] =
    ["openai", "mistral", "together", "fireworks", "cerebras", "deepinfra", "xai", "anthropic", "deepseek"];

fn named(edge: &str) -> Store {
    Store::new(edge.to_owned(), LiteMap::from_iter([("groq".to_owned(), vec!["k1".to_owned()])]))
}

/// Makes the reports that are due; says how many.
fn report(edge: &mut Store, shard: &mut Shard, second: u64) -> usize {
    let reports = edge.take_reports(at(second));
    let count = reports.len();
    for (provider, report) in reports {
        let reply = match provider.as_str() {
            "groq" => shard.file(at(second), report),
            _ => Shard::new("other".to_owned(), &[]).file(at(second), report),
        };
        edge.learn(at(second), &provider, reply);
    }
    count
}

fn uptime(shard: &Shard) -> Option<u32> {
    shard.known().endpoints[&"groq openai/gpt-oss-120b".to_owned()].series.public(at(45)).uptime_5m_ppm
}

/// How many attempts of the last half minute the shard knows of.
fn counted(shard: &Shard, second: u64) -> u32 {
    let series = &shard.known().endpoints[&"groq openai/gpt-oss-120b".to_owned()].series;
    let counts = series.counts(at(second), std::time::Duration::from_secs(30), at(0));
    counts.ok + counts.failed
}
