//! The event that almost every event is: a `content_block_delta` with a piece of text or of a thought.
//! It is read without taking memory; any other is left to the thorough way.

use crate::chat::Says;
use crate::json::{Form, Hole, Walk, Words, once, string_len};

/// A piece of a block. `words` is a JSON string that stands for so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    pub says: Says,
    pub words: &'a str,
    pub said: usize,
}

/// Reads events: those that are as the one before but for their words, without looking at the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Plains {
    form: Form,
    /// What events of that form say.
    says: Says,
}

impl Plains {
    /// `None` if the event needs a closer look.
    pub(super) fn read<'a>(&mut self, event: &'a [u8]) -> Option<Plain<'a>> {
        if let Some(Words { json, said, .. }) = self.form.words(event) {
            return Some(Plain { says: self.says, words: json, said });
        }
        let text = std::str::from_utf8(event).ok()?;
        let plain = read(text)?;
        self.form.learn(text, &[(Hole::Words, plain.words)]);
        self.says = plain.says;
        Some(plain)
    }
}

/// Reads an event; `None` if there is anything in it that needs a closer look.
fn read(event: &str) -> Option<Plain<'_>> {
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
    let says = match (kind?, words.key) {
        ("\"text_delta\"", "text") => Says::Text,
        ("\"thinking_delta\"", "thinking") => Says::Thought,
        _ => return None,
    };
    Some(Plain { says, words: words.value, said: string_len(words.value).unwrap_or(0) })
}
