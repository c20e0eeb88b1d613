//! The small readers everything stands on: event streams, JSON, money and time.

use millrace::json::{self, Edit};
use millrace::money::{Money, Price};
use millrace::sse::{Reader, TooLong};
use millrace::time::Time;

use crate::check::{bounded, pieces};

type Frames = Vec<(Vec<u8>, Vec<u8>)>;

/// The same frames however the bytes are cut; never more than came; a limit that holds.
pub fn check_sse(data: &[u8]) {
    let mut whole = (Vec::new(), Ok(()));
    bounded(data.len(), || whole = read_sse(vec![data], usize::MAX));
    assert_eq!(whole, read_sse(pieces(data), usize::MAX));
    assert_eq!(whole.1, Ok(()));
    let bytes: usize = whole.0.iter().map(|(event, data)| event.len() + data.len()).sum();
    assert!(bytes <= data.len());
    let (frames, _) = read_sse(pieces(data), 64);
    assert!(frames.iter().all(|(event, data)| event.len() + data.len() <= 64));
    assert!(whole.0.starts_with(&frames));
}

fn read_sse(pieces: Vec<&[u8]>, limit: usize) -> (Frames, Result<(), TooLong>) {
    let mut reader = Reader::new(limit);
    let mut frames = Frames::new();
    let mut result = Ok(());
    for piece in pieces {
        result = reader.read(piece, |frame| frames.push((frame.event.to_vec(), frame.data.to_vec())));
    }
    let end = reader.end(|frame| frames.push((frame.event.to_vec(), frame.data.to_vec())));
    (frames, result.and(end))
}

/// Agrees with serde_json on what is JSON, and an edit that keeps everything changes nothing.
pub fn check_json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    bounded(data.len(), || check_text(text));
}

fn check_text(text: &str) {
    let mut quoted = Vec::new();
    json::write_string(text, &mut quoted);
    let quoted = String::from_utf8(quoted).expect("a JSON string is text");
    assert_eq!(quoted, json::quote(text));
    assert_eq!(json::string(&quoted).as_deref(), Some(text));
    let value = serde_json::from_str::<serde_json::Value>(text);
    if let Ok(elements) = json::elements(text) {
        assert!(elements.iter().all(|element| element.trim() == *element));
        let again = serde_json::from_str(&format!("[{}]", elements.join(","))).ok();
        assert!(value.is_err() || again == value.as_ref().ok().cloned());
    }
    match json::members(text) {
        Ok(members) => check_members(text, &members, value.ok().as_ref()),
        Err(_) => assert!(!value.is_ok_and(|value| value.is_object())),
    }
}

fn check_members(text: &str, members: &json::Members<'_>, value: Option<&serde_json::Value>) {
    assert_eq!(members.edit(|_| Edit::Keep, &[]), text);
    let more = [r#""new":[1]"#.to_owned()];
    let kept = members.edit(|_| Edit::Keep, &more);
    assert_eq!(json::members(&kept).expect("still an object").get("new"), Some("[1]"));
    let dropped = members.edit(|_| Edit::Drop, &more);
    assert_eq!(json::members(&dropped).expect("still an object").iter().count(), 1);
    let replaced = members.edit(|_| Edit::Value("0".into()), &[]);
    assert!(json::members(&replaced).expect("still an object").iter().all(|member| member.value == "0"));
    for member in members.iter() {
        assert!(member.text.ends_with(member.value));
        let last = members.get(&member.key).expect("it is there");
        let known = value.map(|value| value[&*member.key].clone());
        let same = known.is_none_or(|known| serde_json::from_str(last).ok() == Some(known));
        assert!(same, "{} is {last}", member.key);
    }
}

/// What is written can be read again as the same.
pub fn check_numbers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(money) = Money::parse_usd(text) {
        assert_eq!(Money::parse_usd(&money.to_usd()), Ok(money));
        assert_eq!(Money::from_text(&money.to_text()), Ok(money));
        assert_eq!(Price::parse_usd(text).is_ok(), !money.is_negative());
        let near = text.parse::<f64>().map(|usd| (usd * 1e12 - money.pico() as f64).abs());
        assert!(near.is_ok_and(|off| off <= 1.0 + money.pico().unsigned_abs() as f64 / 1e12), "{text}");
    }
    if let Ok(price) = Price::parse_usd(text) {
        let count = price.units_for(Money::MAX);
        assert!(price.times(count).is_some() || price == Price::ZERO);
    }
    if let Some(time) = Time::parse_iso8601(text) {
        assert_eq!(Time::parse_iso8601(&time.to_iso8601()), Some(time));
        assert_eq!(time.day().week_start().week_start(), time.day().week_start());
        assert!(time.day().month_start() <= time.day());
    }
    if let Some(whole) = json::whole(text) {
        assert_eq!(text.parse(), Ok(whole));
    }
    if let Some(eight) = data.first_chunk() {
        let time = Time::from_ms(u64::from_be_bytes(*eight) >> 16);
        let year = time.day().civil().0;
        assert!(year > 9999 || Time::parse_iso8601(&time.to_iso8601()) == Some(time));
    }
}
