//! What is measured adds up in any order, and has bounds.

use super::{START, any_event, at};
use millrace::health::{
    Breaker, Counts, EndpointHealth, Event, Histogram, Knowledge, News, Rest, Series, Subject,
};
use millrace::time::Time;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn no_provider_takes_more_room_than_its_share() {
    let mut known = Knowledge::default();
    for number in 0..2000 {
        let subject = Subject {
            model: format!("ollama/model-{number}"),
            tag: "ollama".to_owned(),
            key: Some(format!("key-{number}")),
        };
        known.take(
            at(number),
            &News {
                subject,
                sent: at(number),
                probe: false,
                event: Event::Failed(millrace::health::Blame::Key),
            },
        );
    }
    assert_eq!((known.endpoints.len(), known.keys.len()), (512, 64));
    assert!(known.endpoints.contains_key("ollama ollama/model-1999"));
    assert!(!known.endpoints.contains_key("ollama ollama/model-0"));
}

#[test]
fn one_endpoint_tells_so_many_keys_apart() {
    let mut endpoint = EndpointHealth::default();
    for number in 0..1000 {
        let subject =
            Subject { model: "m".to_owned(), tag: "t".to_owned(), key: Some(format!("key-{number}")) };
        let event = Event::Exhausted { until: at(100) };
        endpoint.take(at(0), &News { subject, sent: at(0), probe: false, event });
    }
    assert!(endpoint.keys.len() <= 33, "{}", endpoint.keys.len());
}

#[test]
fn a_clock_that_runs_ahead_pushes_nothing_out() {
    let mut series = Series::default();
    series.count(at(0), Counts::OK);
    let mut wrong = Series::default();
    wrong.count(at(1_000_000), Counts::FAILED);
    wrong.drop_future(at(0));
    series.merge(&wrong);
    assert_eq!(series.public(at(1)).uptime_5m_ppm, Some(1_000_000));
}

#[test]
fn a_trend_follows_what_came_last_and_outlives_the_median() {
    let mut endpoint = EndpointHealth::default();
    let subject = Subject { model: "m".to_owned(), tag: "t".to_owned(), key: None };
    let mut begin = |minute: u64, ms: u32| {
        let event = Event::Began { latency_ms: Some(ms) };
        let news = News { subject: subject.clone(), sent: at(60 * minute), probe: false, event };
        endpoint.take(at(60 * minute), &news);
        endpoint.standing(at(60 * minute), None, None)
    };
    let near =
        |found: Option<u32>, truth: u32| found.is_some_and(|found| found.abs_diff(truth) * 100 <= truth * 7);
    assert!(near(begin(0, 1000).latency_trend_ms, 1000));
    // Four minutes later the first counts half: (1000 + 2 * 400) / 3.
    assert!(near(begin(4, 400).latency_trend_ms, 600));
    // Ten minutes later no median is left but its own sample's.
    let later = begin(14, 400);
    assert!(near(later.latency_ms.map(|measured| measured.p50), 400));
    assert!(near(later.usual_latency_ms(), 442), "{later:?}");
    for _ in 0..4 {
        begin(14, 400);
    }
    let enough = begin(14, 400);
    assert_eq!(enough.latency_trend_ms, None);
    assert!(near(enough.usual_latency_ms(), 400));
    let silent = endpoint.standing(at(60 * 25), None, None);
    assert_eq!(silent.latency_ms, None);
    assert!(near(silent.usual_latency_ms(), 400), "{silent:?}");
    assert_eq!(endpoint.standing(at(60 * 60), None, None).usual_latency_ms(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_percentile_is_near_the_truth(mut values in proptest::collection::vec(0u32..4_000_000, 1..300), permille in 1u32..=1000) {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.add(*value));
        values.sort_unstable();
        let rank = (values.len() * permille as usize).div_ceil(1000);
        let truth = values[rank - 1];
        let found = histogram.quantile(permille).expect("it is not empty");
        prop_assert!(u64::from(found.abs_diff(truth)) * 100 <= u64::from(truth) * 7, "{} for {}", found, truth);
        prop_assert!(histogram.buckets() <= Histogram::BUCKETS);
        prop_assert_eq!(histogram.len(), values.len() as u64);
    }

    #[test]
    fn a_series_has_bounds(samples in proptest::collection::vec((any::<u64>(), any::<u32>(), 0u64..200_000_000), 1..400)) {
        let mut series = Series::default();
        for (wild, value, near) in samples {
            // Mostly close by, so that windows fill; at times anywhere.
            let time = if wild % 50 == 0 { Time::from_ms(wild) } else { Time::from_ms(START + near) };
            series.count(time, Counts::OK);
            series.add_latency(time, value);
            series.add_throughput(time, value);
            prop_assert!(series.weight() <= Series::HEAVIEST);
        }
    }

    #[test]
    fn series_add_up_in_any_order(a in any_series(), b in any_series(), c in any_series()) {
        let sum = |parts: [&Series; 3]| {
            let mut sum = Series::default();
            parts.into_iter().for_each(|part| sum.merge(part));
            sum
        };
        prop_assert_eq!(sum([&a, &b, &c]), sum([&c, &a, &b]));
        let now = at(300);
        prop_assert_eq!(sum([&a, &b, &c]).latency_trend(now), sum([&c, &a, &b]).latency_trend(now));
        let mut late = b.clone();
        late.merge(&c);
        let mut early = a.clone();
        early.merge(&late);
        prop_assert_eq!(early, sum([&a, &b, &c]));
    }

    #[test]
    fn waits_merge_in_any_order_and_twice(a in any_waits(), b in any_waits()) {
        let merged = |mut first: (Breaker, Rest), second: &(Breaker, Rest)| {
            first.0.merge(&second.0);
            first.1.merge(&second.1);
            first
        };
        prop_assert_eq!(merged(a, &b), merged(b, &a));
        prop_assert_eq!(merged(merged(a, &b), &b), merged(a, &b));
        let both = merged(a, &b);
        prop_assert!(both.0.until >= a.0.until.max(b.0.until) && both.1.firm >= a.1.firm.max(b.1.firm));
    }

    #[test]
    fn knowledge_adds_up_in_any_order(a in any_knowledge(), b in any_knowledge()) {
        let (mut ab, mut ba) = (a.clone(), b.clone());
        ab.merge(&b);
        ba.merge(&a);
        prop_assert_eq!(ab, ba);
    }
}

fn any_series() -> impl Strategy<Value = Series> {
    proptest::collection::vec((0u64..20_000, 1u32..9000, any::<bool>()), 0..30).prop_map(|samples| {
        let mut series = Series::default();
        for (second, value, ok) in samples {
            series.count(at(second), if ok { Counts::OK } else { Counts::FAILED });
            series.add_latency(at(second), value);
        }
        series
    })
}

fn any_waits() -> impl Strategy<Value = (Breaker, Rest)> {
    proptest::collection::vec((0u64..100, 0u8..4), 0..20).prop_map(|all| {
        let (mut breaker, mut rest) = (Breaker::default(), Rest::default());
        let mut second = 0;
        for (step, what) in all {
            second += step;
            match what {
                0 => breaker.trip(at(second), Duration::from_secs(5), Duration::from_secs(120)),
                1 => breaker.mend(at(second), at(second)),
                2 => rest.firmly(at(second), at(second + step)),
                _ => rest.softly(at(second), at(second + step)),
            }
        }
        (breaker, rest)
    })
}

pub fn any_knowledge() -> impl Strategy<Value = Knowledge> {
    proptest::collection::vec((0u64..200, 0u8..3, 0u8..3, any_event()), 0..20).prop_map(|all| {
        let mut known = Knowledge::default();
        for (second, model, key, event) in all {
            let subject =
                Subject { model: format!("m{model}"), tag: "groq".to_owned(), key: Some(format!("k{key}")) };
            known.take(at(second), &News { subject, sent: at(second), probe: false, event });
        }
        known
    })
}
