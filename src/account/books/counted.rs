//! What the books count of a reply: a few members of its record, read where they stand. The record as a whole is
//! [`GenerationRecord`](crate::account::GenerationRecord).

use super::activity::Counts;
use crate::account::text::Text;
use crate::json::{self, Walk};
use crate::money::Money;
use std::borrow::Cow;

/// Empty where there is no record, or none that can be read.
#[derive(Default)]
pub(in crate::account) struct Counted<'r> {
    pub model: Cow<'r, str>,
    pub provider: Option<Cow<'r, str>>,
    pub external_user: Cow<'r, str>,
    pub permaslug: Cow<'r, str>,
    /// The endpoint's name among those of its model.
    pub endpoint: Cow<'r, str>,
    pub is_byok: bool,
    /// What a reply by a key of the account's own would have cost.
    pub listed: Money,
    pub counts: Counts,
}

impl<'r> Counted<'r> {
    pub fn read(record: Option<&'r str>) -> Counted<'r> {
        record.and_then(read).unwrap_or(Counted { counts: Counts::of(&[]), ..Counted::default() })
    }
}

fn read(record: &str) -> Option<Counted<'_>> {
    let mut counted = Counted::default();
    let mut receipt = None;
    let mut walk = Walk::object(record);
    while let Some(piece) = walk.next_member() {
        match piece.key {
            "model" => counted.model = text(piece.value),
            "provider" => counted.provider = json::string(piece.value),
            "external_user" => counted.external_user = text(piece.value),
            "is_byok" => counted.is_byok = json::boolean(piece.value) == Some(true),
            "upstream_inference_cost" => counted.listed = amount(piece.value),
            "receipt" => receipt = Some(piece.value).filter(|value| !json::is_null(value)),
            _ => {}
        }
    }
    if !walk.is_whole() {
        return None;
    }
    if !counted.is_byok {
        counted.listed = Money::ZERO;
    }
    counted.permaslug = counted.model.clone();
    let lines = receipt.map_or(Vec::new(), |receipt| counted.read_receipt(receipt));
    counted.counts = Counts::of(&lines);
    Some(counted)
}

impl<'r> Counted<'r> {
    /// Returns its lines: classes, and how many there were of each.
    fn read_receipt(&mut self, receipt: &'r str) -> Vec<(&'r str, u64)> {
        let mut lines = Vec::new();
        let mut walk = Walk::object(receipt);
        self.permaslug = Cow::default();
        while let Some(piece) = walk.next_member() {
            match piece.key {
                "permaslug" => self.permaslug = text(piece.value),
                "endpoint" => self.endpoint = text(piece.value),
                "lines" => lines = read_lines(piece.value),
                _ => {}
            }
        }
        lines
    }
}

fn read_lines(lines: &str) -> Vec<(&str, u64)> {
    let mut read = Vec::with_capacity(8);
    let mut walk = Walk::array(lines);
    while let Some(line) = walk.next_element() {
        let mut line = Walk::array(line);
        let class = line.next_element().map(|class| class.trim_matches('"'));
        let count = line.next_element().and_then(json::whole);
        read.extend(class.zip(count));
    }
    read
}

fn text(value: &str) -> Cow<'_, str> {
    json::string(value).unwrap_or_default()
}

fn amount(value: &str) -> Money {
    json::string(value).and_then(|text| Money::read(&text)).unwrap_or_default()
}
