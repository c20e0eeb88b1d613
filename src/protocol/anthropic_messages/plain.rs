//! The event that almost every event is: a `content_block_delta` with a piece of text or of a thought.
//! It is read without taking memory; any other is left to the thorough way.

use crate::json::{self, Walk};

/// A piece of a block. `words` is a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain<'a> {
    Text { words: &'a str },
    Thinking { words: &'a str },
}

/// Reads an event; `None` if there is anything in it that needs a closer look.
pub(super) fn read(event: &str) -> Option<Plain<'_>> {
    let (mut kind, mut index, mut delta) = (None, None, None);
    let mut walk = Walk::object(event);
    while let Some(member) = walk.next_member() {
        match member.key {
            "type" if member.value == "\"content_block_delta\"" => once(&mut kind, member.value)?,
            "index" => once(&mut index, member.value)?,
            "delta" => once(&mut delta, member.value)?,
            _ => return None,
        }
    }
    kind.filter(|_| walk.is_whole())?;
    read_delta(delta?)
}

fn read_delta(delta: &str) -> Option<Plain<'_>> {
    let (mut kind, mut words) = (None, None);
    let mut walk = Walk::object(delta);
    while let Some(member) = walk.next_member() {
        match member.key {
            "type" => once(&mut kind, member.value)?,
            "text" | "thinking" if member.value.starts_with('"') => once(&mut words, member)?,
            _ => return None,
        }
    }
    let words = words.filter(|_| walk.is_whole())?;
    match (kind?, words.key) {
        ("\"text_delta\"", "text") => Some(Plain::Text { words: words.value }),
        ("\"thinking_delta\"", "thinking") => Some(Plain::Thinking { words: words.value }),
        _ => None,
    }
}

/// A member that comes twice needs a closer look.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

impl<'a> Plain<'a> {
    pub(super) fn words(self) -> &'a str {
        match self {
            Plain::Text { words } | Plain::Thinking { words } => words,
        }
    }

    /// How many bytes of text it says.
    pub(super) fn said(self) -> usize {
        json::string_len(self.words()).unwrap_or(0)
    }
}
