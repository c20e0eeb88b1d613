//! JSON that is read without being rebuilt: objects and arrays as borrowed pieces of their own
//! text, so that what nobody has to change keeps its bytes, its order and its digits.
//! Everything is validated; nothing is interpreted until it is asked for.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::bytes;

mod escape;
mod form;
mod number;
mod object;
mod outline;
mod read;
mod scan;

pub use form::{Form, Hole, Words};
pub use number::number;
pub use object::{List, Object, Raw, Value, put};
pub use outline::Outlined;
pub use read::{Unreadable, read, read_bytes};
pub use scan::{Piece, Walk, once};

/// The members of one object, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a> {
    /// The object's text, from its brace or the whitespace before it to the end of the source.
    source: &'a str,
    members: Vec<Member<'a>>,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    pub key: Cow<'a, str>,
    /// The value's JSON text, without whitespace around it.
    pub value: &'a str,
    /// The whole member as it was written: `"key" : value`.
    pub text: &'a str,
}

/// Where and why a text is not the JSON it should be. Never quotes the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub line: usize,
    /// In bytes, from one.
    pub column: usize,
    pub message: String,
}

/// What to do with one member in [`Members::edit`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Keep,
    Drop,
    /// The JSON text of another value under the same key.
    Value(String),
    /// The text of another member in its place: `"key":value`.
    Member(String),
}

/// Reads the members of the object that `text` is.
pub fn members(text: &str) -> Result<Members<'_>, JsonError> {
    match scan_members(text) {
        Some(members) => Ok(Members { source: text, members }),
        None => parse_members(text),
    }
}

fn scan_members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut walk = Walk::object(text);
    let members = walk_members(&mut walk)?;
    walk.is_whole().then_some(members)
}

fn walk_members<'a>(walk: &mut Walk<'a>) -> Option<Vec<Member<'a>>> {
    let mut members = Vec::with_capacity(8);
    while let Some(piece) = walk.next_member() {
        add_member(piece, &mut members)?;
    }
    Some(members)
}

fn add_member<'a>(piece: Piece<'a>, members: &mut Vec<Member<'a>>) -> Option<()> {
    let Piece { key, escaped, value, text } = piece;
    let key = if escaped { Cow::Owned(escape::unescape(key)?) } else { Cow::Borrowed(key) };
    members.push(Member { key, value, text });
    (members.len() <= MOST_PIECES).then_some(())
}

/// Reads the objects of the array that `text` is, each byte once. `None` for whatever else it is, and for what only
/// [`elements`] and [`members`] take or have the words for.
pub fn objects(text: &str) -> Option<Vec<Members<'_>>> {
    let mut walk = Walk::array(text);
    let objects = walk_objects(&mut walk)?;
    walk.is_whole().then_some(objects)
}

fn walk_objects<'a>(walk: &mut Walk<'a>) -> Option<Vec<Members<'a>>> {
    let mut objects = Vec::new();
    while let Some(mut element) = walk.enter() {
        let members = walk_members(&mut element)?;
        objects.push(Members { source: walk.leave(&element)?, members });
        if objects.len() > MOST_PIECES {
            return None;
        }
    }
    Some(objects)
}

/// What the quick way does not take: text that is deeper than most, or wrong.
fn parse_members(text: &str) -> Result<Members<'_>, JsonError> {
    refuse_string(text, "an object")?;
    let pairs: Pairs = serde_json::from_str(text).map_err(|error| JsonError::new(&error, "an object"))?;
    let mut end = 0;
    let members = pairs
        .0
        .into_iter()
        .map(|(key, value)| {
            let value = value.get();
            let start = offset(text, value);
            // Only blanks, a brace or a comma stand between the last value and this key's quote.
            let quote = text[end..start].find('"').expect("a key opens with a quote") + end;
            end = start + value.len();
            Member { key, value, text: &text[quote..end] }
        })
        .collect();
    Ok(Members { source: text, members })
}

/// The most members or elements that one object or array may have to be taken apart: each costs
/// memory beyond its own text.
pub const MOST_PIECES: usize = 65_536;

/// Reads the JSON texts of the elements of the array that `text` is.
pub fn elements(text: &str) -> Result<Vec<&str>, JsonError> {
    scan_elements(text).map_or_else(|| parse_elements(text), Ok)
}

fn scan_elements(text: &str) -> Option<Vec<&str>> {
    let mut walk = Walk::array(text);
    let mut elements = Vec::new();
    while let Some(element) = walk.next_element() {
        elements.push(element);
        if elements.len() > MOST_PIECES {
            return None;
        }
    }
    walk.is_whole().then_some(elements)
}

fn parse_elements(text: &str) -> Result<Vec<&str>, JsonError> {
    refuse_string(text, "an array")?;
    let pieces: Elements = serde_json::from_str(text).map_err(|error| JsonError::new(&error, "an array"))?;
    Ok(pieces.0)
}

/// What serde would say of a string, without its words for it: those quote all of it, which may be long.
fn refuse_string(text: &str, expected: &str) -> Result<(), JsonError> {
    let quote = scan::skip_blanks(text.as_bytes(), 0);
    let Some((end, _)) = scan::skip_string(text.as_bytes(), quote) else {
        return Ok(());
    };
    // In a string itself no line ends.
    let blanks = &text[..quote];
    let line = 1 + blanks.matches('\n').count();
    let column = end - blanks.rfind('\n').map_or(0, |at| at + 1);
    Err(JsonError { line, column, message: format!("expected {expected}") })
}

/// The string that a value is; `None` if it is no string.
pub fn string(value: &str) -> Option<Cow<'_, str>> {
    let (inner, escaped) = inner(value)?;
    if escaped { escape::unescape(inner).map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// How many bytes of UTF-8 the string that a value is has; `None` if it is no string.
pub fn string_len(value: &str) -> Option<usize> {
    let (inner, escaped) = inner(value)?;
    escape::said_len(inner, escaped)
}

/// The inside of the string that a value is, and whether there are escapes in it.
fn inner(value: &str) -> Option<(&str, bool)> {
    let (end, escaped) = scan::skip_string(value.as_bytes(), 0)?;
    let is_whole = scan::skip_blanks(value.as_bytes(), end) == value.len();
    is_whole.then(|| (&value[1..end - 1], escaped))
}

pub fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The number that a value is, if it was written as a whole one that fits.
pub fn whole(value: &str) -> Option<u64> {
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten()
}

pub fn is_null(value: &str) -> bool {
    value == "null"
}

/// Appends `text` as a JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape::escape(text, out);
    out.push(b'"');
}

/// `text` as a JSON string.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    escape::escape_to(text, &mut out);
    out.push('"');
    out
}

/// Where `part`, a piece of `text`, begins in it.
pub fn offset(text: &str, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    assert!(offset <= text.len(), "the part is a piece of the text");
    offset
}

/// Whether a JSON text that comes in pieces has closed all that it opened. Costs a look at each byte
/// and keeps none; whether the text is valid is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    depth: u32,
    in_string: bool,
    escaped: bool,
}

impl Balance {
    /// Reads on.
    pub fn read(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.take(byte));
    }

    /// Reads on in the text that the JSON string `quoted` is, without taking it out.
    pub fn read_quoted(&mut self, quoted: &str) {
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let mut bytes = inner.bytes();
        while let Some(byte) = bytes.next() {
            self.take(if byte == b'\\' { unescaped(&mut bytes) } else { byte });
        }
    }

    /// Something is open.
    pub fn is_half(&self) -> bool {
        self.depth > 0 || self.in_string
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.in_string = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// What an escape stands for, where it is a mark of JSON's own; else some byte that is none.
fn unescaped(bytes: &mut std::str::Bytes<'_>) -> u8 {
    match bytes.next() {
        Some(b'u') => {
            let digits = bytes.by_ref().take(4).map(|digit| char::from(digit).to_digit(16));
            let code = digits.fold(0, |code, digit| code * 16 + digit.unwrap_or(0));
            u8::try_from(code).ok().filter(u8::is_ascii).unwrap_or(b' ')
        }
        Some(mark @ (b'"' | b'\\' | b'/')) => mark,
        Some(_) | None => b' ',
    }
}

impl<'a> Members<'a> {
    /// The object's text.
    pub fn source(&self) -> &'a str {
        self.source
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Member<'a>> {
        self.members.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn has(&self, key: &str) -> bool {
        self.members.iter().any(|member| member.key == key)
    }

    /// The JSON text under `key`. Of a key that is there twice the last counts, as in JavaScript.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.members.iter().rev().find(|member| bytes::same(&member.key, key)).map(|member| member.value)
    }

    /// As [`Members::get`], but `None` for a null as well.
    pub fn value(&self, key: &str) -> Option<&'a str> {
        self.get(key).filter(|value| !is_null(value))
    }

    pub fn string(&self, key: &str) -> Option<Cow<'a, str>> {
        // What is a member was found to be valid.
        let inner = self.get(key)?.strip_prefix('"')?.strip_suffix('"')?;
        match bytes::find(inner.as_bytes(), b'\\') {
            Some(_) => escape::unescape(inner).map(Cow::Owned),
            None => Some(Cow::Borrowed(inner)),
        }
    }

    /// The members of the object under `key`, if there is one.
    pub fn object(&self, key: &str) -> Option<Members<'a>> {
        self.get(key).filter(|value| value.starts_with('{')).and_then(|value| members(value).ok())
    }

    /// The elements of the array under `key`, if there is one.
    pub fn array(&self, key: &str) -> Option<Vec<&'a str>> {
        self.get(key).filter(|value| value.starts_with('[')).and_then(|value| elements(value).ok())
    }

    /// Some key of `keys` that is there more than once.
    pub fn duplicate(&self, keys: &[&'static str]) -> Option<&'static str> {
        let count = |key: &str| self.members.iter().filter(|member| member.key == key).count();
        keys.iter().copied().find(|key| count(key) > 1)
    }

    /// The object's text with some members changed and `more` (texts like `"key":value`) behind
    /// the last. Every byte that no edit touches is kept, whitespace included.
    pub fn edit(&self, edit: impl Fn(&Member<'a>) -> Edit, more: &[String]) -> String {
        let mut out = String::with_capacity(self.source.len() + 128);
        let first = self.members.first();
        let open = first.map_or_else(|| self.brace() + 1, |member| offset(self.source, member.text));
        out.push_str(&self.source[..open]);
        let mut end = open;
        let mut empty = true;
        for member in &self.members {
            let start = offset(self.source, member.text);
            let gap = &self.source[end..start];
            end = start + member.text.len();
            let name = &member.text[..member.text.len() - member.value.len()];
            let (name, value) = match edit(member) {
                Edit::Keep => (name, Cow::Borrowed(member.value)),
                Edit::Drop => continue,
                Edit::Value(value) => (name, Cow::Owned(value)),
                Edit::Member(text) => ("", Cow::Owned(text)),
            };
            if !empty {
                out.push_str(gap);
            }
            empty = false;
            out.push_str(name);
            out.push_str(&value);
        }
        for member in more {
            if !empty {
                out.push(',');
            }
            empty = false;
            out.push_str(member);
        }
        out.push_str(&self.source[end..]);
        out
    }

    fn brace(&self) -> usize {
        self.source.find('{').expect("an object opens with a brace")
    }
}

impl JsonError {
    fn new(error: &serde_json::Error, expected: &str) -> JsonError {
        let text = position_free(error);
        // A data error quotes the value that was found, which may be somebody's prompt.
        let message = match error.is_data() && text != TOO_MANY {
            true => format!("expected {expected}"),
            false => text,
        };
        JsonError { line: error.line(), column: error.column(), message }
    }
}

/// What serde_json says of a syntax error, without the position it appends.
fn position_free(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} at line {} column {}", self.message, self.line, self.column)
    }
}

/// The members of an object as serde hands them over.
struct Pairs<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
        let mut pairs = Vec::with_capacity(8);
        while let Some((key, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            check_room(pairs.len())?;
            pairs.push((key.0, value));
        }
        Ok(Pairs(pairs))
    }
}

/// The elements of an array as serde hands them over.
struct Elements<'a>(Vec<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Elements<'de>, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<&'de RawValue>()? {
            check_room(elements.len())?;
            elements.push(element.get());
        }
        Ok(Elements(elements))
    }
}

const TOO_MANY: &str = "more than 65536 members or elements";

fn check_room<E: serde::de::Error>(taken: usize) -> Result<(), E> {
    if taken < MOST_PIECES { Ok(()) } else { Err(E::custom(TOO_MANY)) }
}

/// A string that is borrowed where it holds no escape; serde's own `Cow` always copies.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
