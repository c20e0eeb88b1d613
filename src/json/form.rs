//! The form that JSON texts have in common which differ in a few values. A stream's events are alike but
//! for their words: the first of them is read, and those after it are held against its form.

use super::{escape, scan};
use crate::bytes;

/// A text with holes, each of which takes a JSON value. Without any it takes no text at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// What stands before, between and behind the holes, end to end.
    fixed: Vec<u8>,
    /// What the holes take, in their order, and where in `fixed` they are.
    holes: Vec<(Hole, usize)>,
}

/// What a hole takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    /// A string that is wanted. There is one.
    Words,
    /// Any string.
    String,
    /// Any whole number.
    Number,
}

/// A string as it was written, and how many bytes of text it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words<'a> {
    pub json: &'a str,
    pub said: usize,
    /// The last number of the text, 0 if it has none.
    pub number: u64,
}

impl Form {
    /// Takes on the form of `text`, which is JSON, with a hole for each of `values`, which are parts of it.
    /// Without words among them, or where one is no value of its kind, no text has the form.
    pub fn learn(&mut self, text: &str, values: &[(Hole, &str)]) {
        self.forget();
        if self.take_on(text, values).is_none() || self.words(text.as_bytes()).is_none() {
            self.forget();
        }
    }

    /// Whether no text has it.
    pub fn is_empty(&self) -> bool {
        self.holes.is_empty()
    }

    pub fn forget(&mut self) {
        self.fixed.clear();
        self.holes.clear();
    }

    fn take_on(&mut self, text: &str, values: &[(Hole, &str)]) -> Option<()> {
        let mut from = 0;
        let place = |value: &str| (value.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        // There are three at most: whoever is next is found by looking.
        while let Some((at, (hole, value))) = values
            .iter()
            .filter_map(|hole| Some((place(hole.1)?, hole)))
            .filter(|(at, _)| *at >= from)
            .min_by_key(|(at, _)| *at)
        {
            self.fixed.extend_from_slice(text.get(from..at)?.as_bytes());
            self.holes.push((*hole, self.fixed.len()));
            from = at + value.len();
        }
        self.fixed.extend_from_slice(text.get(from..)?.as_bytes());
        (self.holes.len() == values.len()).then_some(())
    }

    /// The words of a text of this form, which is JSON then; `None` for any other text.
    pub fn words<'a>(&self, text: &'a [u8]) -> Option<Words<'a>> {
        self.open(text).filter(|(_, rest)| rest.is_empty()).map(|(words, _)| words)
    }

    /// The words of a text of this form that `text` opens with, and what is behind it.
    pub fn open<'a>(&self, text: &'a [u8]) -> Option<(Words<'a>, &'a [u8])> {
        let (mut rest, mut from, mut words, mut last) = (text, 0, None, 0);
        for (hole, at) in &self.holes {
            rest = bytes::strip_prefix(rest, self.fixed.get(from..*at)?)?;
            from = *at;
            rest = match hole {
                Hole::Number => {
                    let (number, behind) = take_number(rest)?;
                    last = number;
                    behind
                }
                Hole::String => take_string(rest)?.1,
                Hole::Words => {
                    let (taken, behind) = take_string(rest)?;
                    if words.replace(taken).is_some() {
                        return None;
                    }
                    behind
                }
            };
        }
        let rest = bytes::strip_prefix(rest, self.fixed.get(from..)?)?;
        words.map(|words| (Words { number: last, ..words }, rest))
    }
}

fn take_string(bytes: &[u8]) -> Option<(Words<'_>, &[u8])> {
    let (end, escaped) = scan::skip_string(bytes, 0)?;
    let (value, rest) = bytes.split_at_checked(end)?;
    let json = std::str::from_utf8(value).ok()?;
    let said = escape::said_len(json.get(1..end - 1)?, escaped)?;
    Some((Words { json, said, number: 0 }, rest))
}

/// A number and what is behind it. One of several digits opens with another than zero.
fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at_checked(digits)?;
    let sound = digits == 1 || digits > 1 && number[0] != b'0';
    let add = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    sound.then(|| (number.iter().fold(0, add), rest))
}
