//! Walks through the JSON of a conversation in any protocol to every text in it, and notes what is to
//! be changed. Passes by what is no text (names of things, addresses, files, sealed thinking) and goes
//! through all that calls of tools are given and give back.

use super::filter::{Action, Filter, Finding};
use crate::json::{self, Members};
use serde_json::value::RawValue;
use std::ops::Range;

/// Members that hold no text that a person or a tool wrote. What a model thought is sealed in some
/// protocols: changed, it would be refused.
const PASSED_BY: [&str; 31] = [
    "type",
    "role",
    "id",
    "tool_call_id",
    "call_id",
    "tool_use_id",
    "item_id",
    "url",
    "image_url",
    "video_url",
    "file",
    "file_id",
    "file_url",
    "file_data",
    "fileData",
    "inlineData",
    "inline_data",
    "input_audio",
    "audio",
    "signature",
    "thoughtSignature",
    "thought_signature",
    "encrypted_content",
    "thinking",
    "reasoning_details",
    "mimeType",
    "mime_type",
    "media_type",
    "cache_control",
    "detail",
    "status",
];
/// Members with what a tool is given or gives back, in whatever form.
const OF_TOOLS: [&str; 5] = ["input", "args", "response", "arguments", "structuredContent"];
/// Conversations nest eight deep; what is deeper is looked through as a tool's is.
const DEEPEST: usize = 16;

pub(super) struct Walk<'a> {
    source: &'a str,
    filters: &'a [Filter],
    /// What becomes of pieces of the source.
    edits: Vec<(Range<usize>, String)>,
    /// In order, each once: no more than there are filters.
    pub found: Vec<Finding>,
}

impl<'a> Walk<'a> {
    pub fn new(source: &'a str, filters: &'a [Filter]) -> Walk<'a> {
        Walk { source, filters, edits: Vec::new(), found: Vec::new() }
    }

    /// Looks through a piece of the source that is one JSON value.
    pub fn value(&mut self, value: &'a str, from_user: bool, depth: usize) {
        match value.as_bytes().first() {
            Some(b'"') => self.string(value, from_user),
            Some(b'[') if depth < DEEPEST => match json::elements(value) {
                Ok(elements) => elements.into_iter().for_each(|one| self.value(one, from_user, depth + 1)),
                Err(_) => self.everything(value, from_user),
            },
            Some(b'{') if depth < DEEPEST => match json::members(value) {
                Ok(members) => self.object(&members, from_user, depth),
                Err(_) => self.everything(value, from_user),
            },
            Some(b'[' | b'{') => self.everything(value, from_user),
            Some(_) | None => {}
        }
    }

    fn object(&mut self, members: &Members<'a>, from_user: bool, depth: usize) {
        let role = members.string("role");
        let from_user = role.as_deref().map_or(from_user, |role| role == "user");
        let is_text = members.get("type") == Some("\"text\"");
        for member in members.iter() {
            match &*member.key {
                // A message's author has a name of their own; everything else that has one needs it.
                "name" if role.is_none() => {}
                "data" if !is_text => {}
                name if PASSED_BY.contains(&name) => {}
                name if OF_TOOLS.contains(&name) => self.nested(member.value, from_user),
                _ => self.value(member.value, from_user, depth + 1),
            }
        }
    }

    /// What a tool is given: JSON, mostly as a string.
    fn nested(&mut self, value: &'a str, from_user: bool) {
        let inner = json::string(value);
        let json = inner.as_deref().filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
        let Some(text) = json.filter(|text| text.trim_start().starts_with(['{', '['])) else {
            return self.everything(value, from_user);
        };
        let mut walk = Walk::new(text, self.filters);
        walk.everything(text, from_user);
        if let Some(changed) = walk.changed() {
            self.edit(value, json::quote(&changed));
        }
        walk.found.into_iter().for_each(|finding| self.note(finding));
    }

    /// Every string and every number of a JSON value, names of members too.
    fn everything(&mut self, value: &'a str, from_user: bool) {
        let bytes = value.as_bytes();
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let length = match byte {
                b'"' => string_length(&bytes[at..]),
                b'-' | b'0'..=b'9' => {
                    bytes[at..].iter().take_while(|byte| !b",]} \t\r\n".contains(byte)).count()
                }
                _ => {
                    at += 1;
                    continue;
                }
            };
            let piece = &value[at..at + length];
            if *byte == b'"' {
                self.string(piece, from_user)
            } else {
                self.text(piece, piece, from_user)
            }
            at += length;
        }
    }

    fn string(&mut self, value: &'a str, from_user: bool) {
        if let Some(text) = json::string(value) {
            self.text(value, &text, from_user);
        }
    }

    /// Looks for what is in `text`, which `value` stands for.
    fn text(&mut self, value: &'a str, text: &str, from_user: bool) {
        let mut ranges = Vec::new();
        let mut cuts: Vec<(Range<usize>, &str)> = Vec::new();
        for filter in self.filters.iter().filter(|filter| filter.looks_at(from_user)) {
            filter.find(text, &mut ranges);
            if !ranges.is_empty() {
                self.note(filter.finding());
            }
            match filter.action {
                Action::Redact => cuts.extend(ranges.drain(..).map(|range| (range, filter.label()))),
                Action::Flag | Action::Block => ranges.clear(),
            }
        }
        if !cuts.is_empty() {
            self.edit(value, json::quote(&cut(text, cuts)));
        }
    }

    fn note(&mut self, finding: Finding) {
        if let Err(place) = self.found.binary_search(&finding) {
            self.found.insert(place, finding);
        }
    }

    fn edit(&mut self, value: &str, new: String) {
        let start = json::offset(self.source, value);
        self.edits.push((start..start + value.len(), new));
    }

    /// The source with every change made, if there is one.
    pub fn changed(&mut self) -> Option<String> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(self.source.len());
        let mut end = 0;
        for (range, new) in &self.edits {
            out.push_str(&self.source[end..range.start]);
            out.push_str(new);
            end = range.end;
        }
        out.push_str(&self.source[end..]);
        Some(out)
    }
}

/// The bytes of the string that a JSON text begins with, quotes included.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A text with labels in place of pieces of it. Pieces that overlap become one, under the label of the
/// first and longest.
fn cut(text: &str, mut cuts: Vec<(Range<usize>, &str)>) -> String {
    cuts.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (range, label) in cuts {
        if range.start >= end {
            out.push_str(&text[end..range.start]);
            out.push_str(label);
        }
        end = end.max(range.end);
    }
    out.push_str(&text[end..]);
    out
}
