//! How endpoints fare: what is measured, when something may be tried again, and how edges share
//! what they know.

mod quota;
mod sharing;
mod sums;

use litemap::LiteMap;
use millrace::health::{
    Admission, Blame, Condition, Event, Health, News, Public, Store, Subject, Tools, Unknown,
};
use millrace::time::Time;
use proptest::prelude::*;
use std::time::Duration;

const MODEL: &str = "openai/gpt-oss-120b";
const START: u64 = 1_795_270_400_000;

#[test]
fn nothing_speaks_against_what_nobody_has_tried() {
    assert_eq!(Unknown.standing(MODEL, "groq", at(0)).condition, Condition::Stable);
    let mut store = store(&["k1"]);
    assert_eq!(store.standing(MODEL, "groq", at(0)), Unknown.standing(MODEL, "groq", at(0)));
    assert_eq!(store.admit(&subject("k1"), at(0)), Admission::Free);
    assert_eq!(store.public(MODEL, "groq", at(0)), None);
}

#[test]
fn an_outage_puts_an_endpoint_off_and_one_probe_brings_it_back() {
    let mut store = store(&["k1"]);
    fail(&mut store, 0, Blame::Endpoint);
    assert_eq!(condition(&store, 0), Condition::Stable);
    fail(&mut store, 1, Blame::Endpoint);
    assert_eq!(condition(&store, 1), Condition::Shaky);
    fail(&mut store, 2, Blame::Endpoint);
    assert_eq!(condition(&store, 2), Condition::Out { until: at(7) });
    assert_eq!(store.admit(&subject("k1"), at(3)), Admission::Later);

    // Half open: one probe, however many ask.
    assert_eq!(condition(&store, 8), Condition::Shaky);
    assert_eq!(store.admit(&subject("k1"), at(8)), Admission::Probe);
    assert_eq!(store.admit(&subject("k1"), at(8)), Admission::Later);
    assert_eq!(condition(&store, 8), Condition::Out { until: at(68) });
    // It fails: open for twice as long.
    store.take(at(9), &news(8, true, Event::Failed(Blame::Endpoint)));
    assert_eq!(condition(&store, 9), Condition::Out { until: at(19) });
    // The next one is answered.
    assert_eq!(store.admit(&subject("k1"), at(20)), Admission::Probe);
    store.take(at(21), &news(20, true, Event::Began { latency_ms: Some(900) }));
    assert_eq!(condition(&store, 21), Condition::Stable);
    assert_eq!(store.admit(&subject("k1"), at(21)), Admission::Free);
}

#[test]
fn a_probe_that_says_nothing_makes_way_for_another() {
    for event in
        [Event::Failed(Blame::Nobody { bad_call: false }), Event::Failed(Blame::Limited { until: None })]
    {
        let mut store = open();
        assert_eq!(store.admit(&subject("k1"), at(10)), Admission::Probe);
        store.take(at(11), &news(10, true, event));
        assert_eq!(store.admit(&subject("k1"), at(20)), Admission::Probe, "{event:?}");
    }
    // One that never comes back counts for a minute.
    let mut store = open();
    assert_eq!(store.admit(&subject("k1"), at(10)), Admission::Probe);
    assert_eq!(store.admit(&subject("k1"), at(69)), Admission::Later);
    assert_eq!(store.admit(&subject("k1"), at(70)), Admission::Probe);
}

#[test]
fn an_answer_to_what_was_sent_before_the_outage_mends_nothing() {
    let mut store = open();
    store.take(at(4), &news(0, false, Event::Began { latency_ms: Some(4000) }));
    assert_eq!(condition(&store, 4), Condition::Out { until: at(7) });
    store.take(at(5), &news(4, false, Event::Began { latency_ms: Some(900) }));
    assert_eq!(condition(&store, 5), Condition::Stable);
}

#[test]
fn failures_among_many_successes_are_no_outage() {
    let mut store = store(&["k1"]);
    for second in 0..20 {
        for _ in 0..5 {
            store.take(at(second), &news(second, false, OK));
        }
        if second % 2 == 0 {
            fail(&mut store, second, Blame::Endpoint);
        }
    }
    assert_eq!(condition(&store, 20), Condition::Stable);
}

#[test]
fn what_clients_do_never_counts() {
    let mut store = store(&["k1"]);
    store.take(at(0), &news(0, false, OK));
    for _ in 0..100 {
        fail(&mut store, 1, Blame::Nobody { bad_call: false });
    }
    assert_eq!(condition(&store, 1), Condition::Stable);
    assert_eq!(public(&store, 1).uptime_1d_ppm, Some(1_000_000));
}

#[test]
fn who_is_to_blame_decides_what_is_passed_over() {
    let until = Some(at(20));
    // blame, the key itself, another key, another endpoint with the key
    let cases = [
        (Blame::Limited { until }, Admission::Not { until: at(20) }, Admission::Free, Admission::Free),
        (Blame::Limited { until: None }, Admission::Later, Admission::Free, Admission::Free),
        (Blame::Denied, Admission::Later, Admission::Free, Admission::Free),
        (Blame::Key, Admission::Later, Admission::Free, Admission::Later),
        (Blame::Busy { until }, Admission::Later, Admission::Later, Admission::Free),
        (Blame::Busy { until: None }, Admission::Free, Admission::Free, Admission::Free),
        (Blame::Endpoint, Admission::Free, Admission::Free, Admission::Free),
        (Blame::Nobody { bad_call: true }, Admission::Free, Admission::Free, Admission::Free),
    ];
    for (blame, same, other_key, other_endpoint) in cases {
        let mut store = store(&["k1", "k2"]);
        fail(&mut store, 1, blame);
        let elsewhere = Subject { model: "openai/gpt-oss-20b".to_owned(), ..subject("k1") };
        let admitted = [subject("k1"), subject("k2"), elsewhere].map(|subject| store.admit(&subject, at(2)));
        assert_eq!(admitted, [same, other_key, other_endpoint], "{blame:?}");
    }
}

#[test]
fn an_endpoint_is_out_when_all_of_its_keys_are() {
    let mut store = store(&["k1", "k2"]);
    fail(&mut store, 0, Blame::Limited { until: Some(at(30)) });
    assert_eq!(condition(&store, 1), Condition::Stable);
    let second = News { subject: subject("k2"), ..news(1, false, Event::Failed(Blame::Key)) };
    store.take(at(1), &second);
    assert_eq!(condition(&store, 2), Condition::Out { until: at(30) });
    assert_eq!(store.refused_keys(at(2)), [("groq".to_owned(), "k2".to_owned(), at(31))]);
}

#[test]
fn a_refused_key_is_tried_again_by_one_request_and_comes_back() {
    let mut store = store(&["k1"]);
    fail(&mut store, 0, Blame::Key);
    assert_eq!(store.admit(&subject("k1"), at(29)), Admission::Later);
    assert_eq!(store.admit(&subject("k1"), at(30)), Admission::Probe);
    assert_eq!(store.admit(&subject("k1"), at(30)), Admission::Later);
    store.take(at(31), &news(30, true, Event::Failed(Blame::Key)));
    assert_eq!(store.admit(&subject("k1"), at(90)), Admission::Later);
    assert_eq!(store.admit(&subject("k1"), at(91)), Admission::Probe);
    store.take(at(92), &news(91, true, Event::Began { latency_ms: None }));
    assert_eq!(store.admit(&subject("k1"), at(92)), Admission::Free);
}

#[test]
fn a_wait_is_never_shortened() {
    let mut patient = store(&["k1"]);
    fail(&mut patient, 0, Blame::Limited { until: Some(at(60)) });
    fail(&mut patient, 1, Blame::Limited { until: Some(at(6)) });
    assert_eq!(patient.admit(&subject("k1"), at(7)), Admission::Not { until: at(60) });
    // What asks for days is believed for a minute, and put last for an hour.
    let mut store = store(&["k1"]);
    fail(&mut store, 0, Blame::Limited { until: Some(at(86_400)) });
    assert_eq!(store.admit(&subject("k1"), at(59)), Admission::Not { until: at(60) });
    assert_eq!(store.admit(&subject("k1"), at(61)), Admission::Later);
    assert_eq!(store.admit(&subject("k1"), at(3600)), Admission::Free);
}

#[test]
fn a_key_whose_allowance_has_run_out_comes_last() {
    let mut store = store(&["k1", "k2"]);
    store.take(at(0), &news(0, false, Event::Exhausted { until: at(10) }));
    assert_eq!(store.admit(&subject("k1"), at(9)), Admission::Later);
    assert_eq!(store.admit(&subject("k2"), at(9)), Admission::Free);
    assert_eq!(store.admit(&subject("k1"), at(10)), Admission::Free);
}

#[test]
fn speeds_are_those_of_the_last_five_minutes() {
    let mut store = store(&["k1"]);
    for ms in 1..=100 {
        store.take(at(0), &news(0, false, Event::Began { latency_ms: Some(ms * 10) }));
    }
    store.take(at(1), &news(0, false, Event::Complete { throughput: Some(64), tools: Tools::default() }));
    let standing = store.standing(MODEL, "groq", at(60));
    let latency = standing.latency_ms.expect("samples");
    for (found, truth) in [(latency.p50, 500), (latency.p75, 750), (latency.p90, 900), (latency.p99, 990)] {
        assert!(found.abs_diff(truth) * 100 <= truth * 7, "{found} for {truth}");
    }
    assert_eq!(standing.throughput.map(|throughput| throughput.p50), Some(68));
    assert_eq!(store.standing(MODEL, "groq", at(300)).latency_ms, None);
    assert!(public(&store, 300).latency_30m.is_some());
    assert_eq!(public(&store, 1800).latency_30m, None);
}

#[test]
fn uptime_leaves_rate_limits_out() {
    let mut store = store(&["k1"]);
    assert_eq!(store.public(MODEL, "groq", at(0)), None);
    for second in 0..3 {
        store.take(at(second), &news(second, false, OK));
    }
    fail(&mut store, 3, Blame::Limited { until: None });
    fail(&mut store, 3, Blame::Endpoint);
    let uptimes = |second| {
        let public = public(&store, second);
        [public.uptime_5m_ppm, public.uptime_30m_ppm, public.uptime_1d_ppm]
    };
    assert_eq!(uptimes(4), [Some(750_000); 3]);
    assert_eq!(uptimes(400), [None, Some(750_000), Some(750_000)]);
    assert_eq!(uptimes(4000), [None, None, Some(750_000)]);
    assert_eq!(uptimes(100_000), [None; 3]);
}

#[test]
fn tool_errors_need_enough_calls() {
    let mut store = store(&["k1"]);
    let called = |malformed: u32| Event::Complete {
        throughput: None,
        tools: Tools { called: 1 - malformed, malformed, refused: 0 },
    };
    let errors = |store: &Store| store.standing(MODEL, "groq", at(1)).tool_errors_ppm;
    for _ in 0..8 {
        store.take(at(0), &news(0, false, called(0)));
    }
    store.take(at(0), &news(0, false, called(1)));
    assert_eq!(errors(&store), None);
    fail(&mut store, 0, Blame::Nobody { bad_call: true });
    assert_eq!(errors(&store), Some(200_000));
}

proptest! {
    #[test]
    fn of_many_that_ask_one_probes(asked in proptest::collection::vec((7u64..60, 0u8..3), 1..60)) {
        let mut store = open();
        let mut second = 7;
        let mut under_way = false;
        for (step, what) in asked {
            second += step % 3;
            match store.admit(&subject("k1"), at(second)) {
                Admission::Probe => {
                    prop_assert!(!under_way);
                    under_way = true;
                }
                Admission::Later => {}
                other => prop_assert!(false, "{:?}", other),
            }
            if under_way && what == 0 && second < 60 {
                store.take(at(second), &news(second, true, Event::Failed(Blame::Nobody { bad_call: false })));
                under_way = false;
            }
            prop_assume!(second < 60);
        }
    }

    #[test]
    fn no_news_shortens_a_wait(all in proptest::collection::vec((0u64..100, any_event()), 1..60)) {
        let mut store = store(&["k1"]);
        let mut second = 0;
        let mut last = at(0);
        for (step, event) in all {
            second += step / 20;
            store.take(at(second), &news(second, false, event));
            let until = match store.admit(&subject("k1"), at(second)) {
                Admission::Not { until } => until,
                _ => at(0),
            };
            prop_assert!(last <= at(second) || until >= last, "{:?} after {:?}", until, last);
            last = until;
        }
    }
}

const OK: Event = Event::Complete { throughput: None, tools: Tools { called: 0, malformed: 0, refused: 0 } };

fn any_event() -> impl Strategy<Value = Event> {
    let moment = || proptest::option::of((0u64..200).prop_map(at));
    prop_oneof![
        Just(OK),
        (1u32..5000).prop_map(|ms| Event::Began { latency_ms: Some(ms) }),
        (0u64..200).prop_map(|second| Event::Exhausted { until: at(second) }),
        Just(Event::Failed(Blame::Endpoint)),
        Just(Event::Failed(Blame::Key)),
        Just(Event::Failed(Blame::Denied)),
        any::<bool>().prop_map(|bad_call| Event::Failed(Blame::Nobody { bad_call })),
        moment().prop_map(|until| Event::Failed(Blame::Busy { until })),
        moment().prop_map(|until| Event::Failed(Blame::Limited { until })),
    ]
}

fn at(second: u64) -> Time {
    Time::from_ms(START).plus(Duration::from_secs(second))
}

fn store(keys: &[&str]) -> Store {
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    Store::new("edge".to_owned(), LiteMap::from_iter([("groq".to_owned(), keys)]))
}

/// One whose breaker is open until the seventh second.
fn open() -> Store {
    let mut store = store(&["k1"]);
    (0..3).for_each(|second| fail(&mut store, second, Blame::Endpoint));
    assert_eq!(condition(&store, 2), Condition::Out { until: at(7) });
    store
}

fn subject(key: &str) -> Subject {
    Subject { model: MODEL.to_owned(), tag: "groq".to_owned(), key: Some(key.to_owned()) }
}

fn news(sent: u64, probe: bool, event: Event) -> News {
    News { subject: subject("k1"), sent: at(sent), probe, event }
}

fn fail(store: &mut Store, second: u64, blame: Blame) {
    store.take(at(second), &news(second, false, Event::Failed(blame)));
}

fn condition(store: &Store, second: u64) -> Condition {
    store.standing(MODEL, "groq", at(second)).condition
}

fn public(store: &Store, second: u64) -> Public {
    store.public(MODEL, "groq", at(second)).expect("it is known")
}
