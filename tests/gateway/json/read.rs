//! Texts read into types: what serde_json takes is taken alike, what it refuses is refused.

use std::collections::BTreeMap;

use millrace::json;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::any_value;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    count: u32,
    #[serde(default)]
    change: i64,
    ratio: Option<f64>,
    by_number: BTreeMap<u64, bool>,
    kinds: Vec<Kind>,
    pair: (u8, String),
    #[serde(default)]
    more: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Plain,
    One(u8),
    Named { size: u64 },
}

fn any_row() -> impl Strategy<Value = Row> {
    let kind = prop_oneof![
        Just(Kind::Plain),
        any::<u8>().prop_map(Kind::One),
        any::<u64>().prop_map(|size| Kind::Named { size })
    ];
    let numbers = prop::collection::btree_map(any::<u64>(), any::<bool>(), 0..3);
    let texts = ("[a\"\\\\é\n🦀]{0,9}", any::<u8>(), any_value());
    (texts, any::<u32>(), any::<i64>(), any::<Option<i32>>(), numbers, prop::collection::vec(kind, 0..3))
        .prop_map(|((name, small, more), count, change, ratio, by_number, kinds)| Row {
            pair: (small, name.clone()),
            ratio: ratio.map(|ratio| f64::from(ratio) / 8.0),
            name,
            count,
            change,
            by_number,
            kinds,
            more,
        })
}

proptest! {
    #[test]
    fn rows_are_read_as_they_were_written(row in any_row(), pretty: bool) {
        let write = if pretty { serde_json::to_string_pretty } else { serde_json::to_string };
        let text = write(&row).unwrap();
        prop_assert_eq!(json::read::<Row>(&text).unwrap(), serde_json::from_str::<Row>(&text).unwrap());
    }

    #[test]
    fn values_are_read_as_they_were_written(value in any_value()) {
        let text = value.to_string();
        prop_assert_eq!(json::read::<Value>(&text).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
    }

    #[test]
    fn what_is_broken_is_refused_as_by_serde(row in any_row(), at: prop::sample::Index, with in "[\\[\\]{}\",:x0 ]?") {
        let text = serde_json::to_string(&row).unwrap();
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        let place = places[at.index(places.len())];
        let next = text[place..].chars().next().map_or(place, |letter| place + letter.len_utf8());
        let broken = format!("{}{with}{}", &text[..place], &text[next..]);
        let (read, serde) = (json::read::<Row>(&broken), serde_json::from_str::<Row>(&broken));
        prop_assert_eq!(read.ok(), serde.ok(), "{}", broken);
    }
}

#[test]
fn only_what_is_whole_and_not_too_deep_is_read() {
    for key in ["00", "+1", "-0", " 1", ""] {
        let text = format!(r#"{{"{key}":true}}"#);
        assert!(json::read::<BTreeMap<u64, bool>>(&text).is_err(), "{text}");
    }
    let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json::read::<Value>(&deep(100)).is_ok());
    let wrong = [
        "",
        " ",
        "{",
        "[1,]",
        "[,1]",
        "[1 2]",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        "01",
        "1.",
        "nul",
        "1 2",
        r#""\ud800""#,
    ];
    for text in wrong.into_iter().map(str::to_owned).chain([deep(200)]) {
        assert!(json::read::<Value>(&text).is_err(), "{text}");
    }
    for (text, kind) in
        [("\"plain\"", Some(Kind::Plain)), ("{\"plain\":null}", Some(Kind::Plain)), ("\"one\"", None)]
    {
        assert_eq!(json::read::<Kind>(text).ok(), kind, "{text}");
    }
    assert_eq!(json::read::<Vec<u8>>("[1,2,x]").unwrap_err(), json::Unreadable { at: 5 });
    assert_eq!(json::read_bytes::<bool>(b"true"), Some(true));
    assert_eq!(json::read_bytes::<String>(b"\"\xff\""), None);
}

#[test]
fn a_value_is_read_as_its_text() {
    let text = r#" [ 1.50, {"a" : [ "\u00e9" ]} ,"x\n", null]"#;
    let read = json::read::<Vec<json::Raw<String>>>(text).unwrap();
    let texts: Vec<&str> = read.iter().map(|json::Raw(text)| text.as_str()).collect();
    assert_eq!(texts, ["1.50", r#"{"a" : [ "\u00e9" ]}"#, r#""x\n""#, "null"]);
    for broken in [r#"[{"a":}]"#, r#"[{]"#, r#"["x]"#, "[01]", "[,]"] {
        assert!(json::read::<Vec<json::Raw<String>>>(broken).is_err(), "{broken}");
    }
}
