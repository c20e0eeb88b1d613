//! The chunk that almost every chunk is: one choice that says a piece of text or of a thought, and
//! nothing else. It is read without taking memory; any other is left to the thorough way.

use crate::chat::{Facts, Says};
use crate::json::{self, Form, Hole, Piece, Walk, Words, once};

/// A chunk that only says a little more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    /// Members of the chunk that stay as they are: the fingerprint and the tier.
    kept: [Option<&'a str>; 2],
    /// Whether the chunk tells the reply's id, its fingerprint and its tier.
    told: [bool; 3],
    pub index: u64,
    /// JSON strings, or null.
    pub content: Option<&'a str>,
    pub reasoning: Option<&'a str>,
    /// Nothing but null.
    refusal: Option<&'a str>,
    logprobs: Option<&'a str>,
    /// Values that differ from chunk to chunk and say nothing.
    created: Option<&'a str>,
    padding: Option<&'a str>,
}

/// Reads a frame's data; `None` if there is anything in it that needs a closer look.
pub(super) fn read(text: &str) -> Option<Plain<'_>> {
    let mut plain = Plain::default();
    let mut choices = None;
    let mut walk = Walk::object(text);
    while let Some(member) = walk.next_member() {
        match member.key {
            "id" => plain.told[0] |= is_text(member.value),
            "object" | "model" | "provider" => {}
            "created" => plain.created = Some(member.value),
            "obfuscation" | "p" => plain.padding = Some(member.value),
            "usage" if json::is_null(member.value) => {}
            "system_fingerprint" if json::is_null(member.value) => {}
            "system_fingerprint" if member.value.starts_with('"') => {
                plain.told[1] |= is_text(member.value);
                plain.keep(member.text)?;
            }
            "service_tier" => {
                plain.told[2] |= is_text(member.value);
                plain.keep(member.text)?;
            }
            "choices" => once(&mut choices, member.value)?,
            _ => return None,
        }
    }
    let mut elements = Walk::array(choices.filter(|_| walk.is_whole())?);
    let choice = elements.next_element()?;
    let alone = elements.next_element().is_none() && elements.is_whole();
    if alone { read_choice(choice, plain) } else { None }
}

fn read_choice<'a>(choice: &'a str, mut plain: Plain<'a>) -> Option<Plain<'a>> {
    let (mut index, mut delta) = (None, None);
    let mut walk = Walk::object(choice);
    while let Some(member) = walk.next_member() {
        match member.key {
            "index" => once(&mut index, json::whole(member.value)?)?,
            "delta" => once(&mut delta, member.value)?,
            "finish_reason" | "native_finish_reason" | "error" if json::is_null(member.value) => {}
            "logprobs" if json::is_null(member.value) => once(&mut plain.logprobs, member.value)?,
            _ => return None,
        }
    }
    plain.index = index.filter(|_| walk.is_whole())?;
    read_delta(delta?, plain)
}

fn read_delta<'a>(delta: &'a str, mut plain: Plain<'a>) -> Option<Plain<'a>> {
    let mut named = [None; 2];
    let mut walk = Walk::object(delta);
    while let Some(Piece { key, value, .. }) = walk.next_member() {
        let is_null = json::is_null(value);
        match key {
            "role" => {}
            "content" if is_null || value.starts_with('"') => once(&mut plain.content, value)?,
            "reasoning" if is_null || value.starts_with('"') => once(&mut named[0], value)?,
            "reasoning_content" if is_null || value.starts_with('"') => once(&mut named[1], value)?,
            "refusal" if is_null => once(&mut plain.refusal, value)?,
            "tool_calls" | "function_call" | "audio" | "annotations" | "images" if is_null => {}
            _ => return None,
        }
    }
    // vLLM and others send both names with the same text.
    plain.reasoning = named.into_iter().flatten().find(|value| !json::is_null(value));
    walk.is_whole().then_some(plain)
}

/// A string that is not empty.
fn is_text(value: &str) -> bool {
    value.starts_with('"') && value.len() > 2
}

impl<'a> Plain<'a> {
    fn keep(&mut self, member: &'a str) -> Option<()> {
        *self.kept.iter_mut().find(|place| place.is_none())? = Some(member);
        Some(())
    }

    /// A chunk that says `words`.
    pub(super) fn saying(says: Says, words: &Words<'a>) -> Plain<'a> {
        match says {
            Says::Text => Plain { content: Some(words.json), ..Plain::default() },
            Says::Thought => Plain { reasoning: Some(words.json), ..Plain::default() },
        }
    }

    /// What it says, if it says one thing.
    pub(super) fn words(&self) -> Option<(Says, &'a str)> {
        match (self.content.filter(|it| is_text(it)), self.reasoning.filter(|it| is_text(it))) {
            (Some(text), None) => Some((Says::Text, text)),
            (None, Some(thought)) => Some((Says::Thought, thought)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// Has `form` take on the form of the chunk, which was read from `text`.
    pub(super) fn teach(&self, text: &str, form: &mut Form) {
        let varying = [
            self.words().map(|(_, words)| (Hole::Words, words)),
            self.created.map(|number| (Hole::Number, number)),
            self.padding.map(|padding| (Hole::String, padding)),
        ];
        form.learn(text, &varying.into_iter().flatten().collect::<Vec<_>>());
    }

    /// Whether the chunk tells nothing of the reply as a whole that `facts` do not have.
    pub(super) fn is_known(&self, facts: &Facts) -> bool {
        let [id, fingerprint, tier] = self.told;
        let lacks = |told: bool, known: &Option<String>| told && known.is_none();
        !lacks(id, &facts.upstream_id)
            && !lacks(fingerprint, &facts.system_fingerprint)
            && !lacks(tier, &facts.service_tier)
    }

    /// Appends the chunk for a client, behind the members of `opening`, as the thorough way would. Where
    /// it says one thing, gives back where in `out` that begins.
    pub(super) fn write(&self, opening: &[u8], out: &mut Vec<u8>) -> Option<usize> {
        let (says, mut place) = (self.words(), None);
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(opening);
        for text in self.kept.into_iter().flatten() {
            out.push(b',');
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(b",\"choices\":[{\"index\":");
        write_number(self.index, out);
        out.extend_from_slice(b",\"delta\":{\"role\":\"assistant\"");
        let members: [(&[u8], Option<&str>); 3] = [
            (b",\"content\":", self.content),
            (b",\"reasoning\":", self.reasoning),
            (b",\"refusal\":", self.refusal),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                out.extend_from_slice(name);
                if says.is_some_and(|(_, words)| std::ptr::eq(words, value)) {
                    place = Some(out.len());
                }
                out.extend_from_slice(value.as_bytes());
            }
        }
        out.extend_from_slice(b"},\"finish_reason\":null,\"native_finish_reason\":null");
        if self.logprobs.is_some() {
            out.extend_from_slice(b",\"logprobs\":null");
        }
        out.extend_from_slice(b"}]}\n\n");
        place
    }

    /// How many bytes of text it says.
    pub(super) fn said(&self) -> usize {
        let length = |value: Option<&str>| value.and_then(json::string_len).unwrap_or(0);
        length(self.content) + length(self.reasoning)
    }
}

fn write_number(number: u64, out: &mut Vec<u8>) {
    match u8::try_from(number) {
        Ok(digit @ 0..10) => out.push(b'0' + digit),
        Ok(_) | Err(_) => out.extend_from_slice(number.to_string().as_bytes()),
    }
}
