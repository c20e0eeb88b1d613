//! Pieces of text, which are held against the one before, against the thorough way that all others go.

use millrace::chat::{Event, Facts};
use millrace::protocol::lane::{Lane, Reader};
use millrace::protocol::openai_responses::{Splice, StreamReader};
use proptest::prelude::*;

use super::{QUIRKS, identity};

const KINDS: &[&str] = &[
    "output_text.delta",
    "output_text.delta",
    "output_text.delta",
    "refusal.delta",
    "reasoning_summary_text.delta",
    "function_call_arguments.delta",
    "output_text.done",
    "content_part.done",
];
const WORDS: &[&str] = &[r#""a""#, r#""\"é\u00e9""#, r#""""#, r#""\ud800 b""#, r#""{\"c\":""#, "null"];
/// How the number of an event is to be off.
const NUMBERS: &[u64] = &[0, 0, 0, 0, 0, 1];

/// An event without its number: its type, its place, its words, and whether it has padding.
type Said = (&'static str, u8, &'static str, u64, Option<&'static str>);

fn said() -> impl Strategy<Value = Said> {
    let padding = prop::option::of(prop::sample::select(&["", "xyz", "\\\""][..]));
    (prop::sample::select(KINDS), 0u8..2, prop::sample::select(WORDS), prop::sample::select(NUMBERS), padding)
}

/// The stream, and the same with a member that makes every event unlike the one before.
fn streams(events: &[Said]) -> [Vec<u8>; 2] {
    let item = |place: usize, kind: &str| {
        format!(
            r#""output_index":{place},"item":{{"id":"i{place}","type":"{kind}","name":"f","call_id":"c"}}"#
        )
    };
    let opening = [item(0, "message"), item(1, "function_call")];
    let opening = opening.map(|item| ("output_item.added", item, 0));
    let events = events.iter().map(|(kind, place, words, off, padding)| {
        let padding = padding.map(|padding| format!(r#","obfuscation":"{padding}""#)).unwrap_or_default();
        let text =
            format!(r#""item_id":"i{place}","output_index":{place},"content_index":0,"delta":{words}"#);
        (*kind, text + &padding, *off)
    });
    let events: Vec<_> = opening.into_iter().chain(events).collect();
    let stream = |odd: &dyn Fn(usize) -> String| {
        let frame = |(at, (kind, text, off)): (usize, &(&str, String, u64))| {
            let (number, odd) = (at as u64 + off, odd(at));
            format!(
                "event: response.{kind}\ndata: {{\"type\":\"response.{kind}\",\"sequence_number\":{number},{text}{odd}}}\n\n"
            )
        };
        events.iter().enumerate().map(frame).collect::<String>().into_bytes()
    };
    [stream(&|_| String::new()), stream(&odd)]
}

fn odd(at: usize) -> String {
    format!(r#","odd":"{}""#, "x".repeat(at))
}

fn splice(stream: &[u8]) -> (String, Facts) {
    let (mut splice, mut out) = (Splice::new(identity(), QUIRKS), Vec::new());
    splice.read(stream, &mut out);
    (String::from_utf8(out).unwrap(), splice.facts().clone())
}

fn read(stream: &[u8]) -> (Vec<Event>, Facts) {
    let (mut reader, mut events) = (StreamReader::new(QUIRKS, Vec::new()), Vec::new());
    reader.read(stream, &mut events);
    (events, reader.facts().clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_alike_tells_what_the_thorough_way_tells(events in prop::collection::vec(said(), 1..9)) {
        let [quick, thorough] = streams(&events);
        let (one, mut other) = (splice(&quick), splice(&thorough));
        for at in (0..events.len() + 2).rev() {
            other.0 = other.0.replace(&odd(at), "");
        }
        prop_assert_eq!(one, other, "{:?}", events);
        prop_assert_eq!(read(&quick), read(&thorough), "{:?}", events);
    }
}
