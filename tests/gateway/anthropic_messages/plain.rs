//! Plain deltas, which are read in a quick way, against the thorough way that all others go.

use super::{identity, read_stream};

use millrace::chat::{Facts, Quirks};
use millrace::protocol::anthropic_messages::Splice;
use millrace::protocol::lane::Lane;
use proptest::prelude::*;

const EVENT: &[&str] = &[
    r#""type": "content_block_delta""#,
    r#""type":"ping""#,
    r#""index" :0"#,
    r#""index":null"#,
    r#""error":{"type":"x"}"#,
];
const DELTA: &[&str] = &[
    r#""type":"text_delta""#,
    r#""type":"thinking_delta""#,
    r#""type":"input_json_delta""#,
    r#""text":"a\"\u00e9\ud83d\ude00""#,
    r#""text":"""#,
    r#""text":"\ud800""#,
    r#""text":null"#,
    r#""thinking":"b\n""#,
    r#""partial_json":"{}""#,
];

/// A member that no reader knows, which none of the quick ways takes.
const ODD: &str = ",\"odd\":0";

fn some(members: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(members), 0..most).prop_map(|members| members.join(","))
}

/// Mostly what providers send, with something odd here and there.
fn event() -> impl Strategy<Value = String> {
    let kind =
        prop::sample::select(&["text_delta\",\"text\":\"a b\"", "thinking_delta\",\"thinking\":\"c\""][..]);
    let usual = kind
        .prop_map(|delta| format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"{delta}}}"#));
    let odd = (some(EVENT, 4), some(DELTA, 4)).prop_map(|(event, delta)| {
        let comma = if event.is_empty() { "" } else { "," };
        format!("{{{event}{comma}\"delta\":{{{delta}}}")
    });
    prop_oneof![usual, odd]
}

/// The event, and events that are as it is but for their words.
fn alike(event: String) -> Vec<String> {
    let other = |words: &str| event.replace(r#""a b""#, words).replace(r#""c""#, words);
    let [quoted, empty, half] = [r#""\"é\u00e9""#, r#""""#, r#""\ud800 d""#].map(other);
    vec![quoted, empty, half, event]
}

fn stream(events: &[String], odd: &str) -> Vec<u8> {
    let frame = |event: &String| format!("event: content_block_delta\ndata: {event}{odd}}}\n\n");
    events.iter().map(frame).collect::<String>().into_bytes()
}

fn splice(stream: &[u8]) -> (String, Facts) {
    let (mut splice, mut out) = (Splice::new(identity(), Quirks::NONE), Vec::new());
    splice.read(stream, &mut out);
    (String::from_utf8(out).unwrap(), splice.facts().clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_quick_way_tells_what_the_thorough_way_tells(events in prop::collection::vec(event(), 1..6)) {
        let events: Vec<String> = events.into_iter().flat_map(alike).collect();
        let (quick, thorough) = (stream(&events, ""), stream(&events, ODD));
        let unraw = |mut facts: Facts| {
            facts.fault.iter_mut().for_each(|fault| fault.raw.clear());
            facts
        };
        let (one, other) = (splice(&quick), splice(&thorough));
        prop_assert_eq!(one.0, other.0.replace(ODD, ""), "{:?}", events);
        prop_assert_eq!(unraw(one.1), unraw(other.1), "{:?}", events);
        let (one, other) = (read_stream([quick.as_slice()]), read_stream([thorough.as_slice()]));
        prop_assert_eq!(one.0, other.0, "{:?}", events);
        prop_assert_eq!(unraw(one.1), unraw(other.1), "{:?}", events);
    }
}
