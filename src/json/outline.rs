//! An object's text that stays as it is, with the places of its members: found as it is taken in, so that
//! whoever asks for them later does not walk through the text again.

use std::borrow::Cow;

use super::scan::{self, Piece, Walk};
use super::{MOST_PIECES, Member, Members, escape, offset};
use crate::bytes;

/// Bytes that are meant to be an object, and where its members are. Nothing changes them, and places are never
/// known of other bytes than those they were found in.
#[derive(Clone, Debug)]
pub struct Outlined(Content);

#[derive(Clone, Debug)]
enum Content {
    Object(String, Outline),
    /// What the quick way does not take: deeper than most, in more pieces, or wrong.
    Other(Vec<u8>),
}

#[derive(Clone, Debug, Default)]
struct Outline {
    members: Vec<Place>,
    list: Option<List>,
}

/// Where a member is: its opening quote, the closing one of its key, its value, and the end of that.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    quote: usize,
    value: usize,
    end: usize,
    escaped: bool,
}

/// An array of objects that some member is.
#[derive(Clone, Debug)]
struct List {
    /// Which member.
    member: usize,
    /// Where each begins and ends, and how many of the places are of it and those before it.
    objects: Vec<(usize, usize, usize)>,
    places: Vec<Place>,
}

/// What a request has its conversation under. The first of them that is an array of objects is looked into.
const LISTS: [&str; 2] = ["messages", "input"];

impl Outlined {
    /// Takes in what may be an object, each byte once.
    pub fn new(bytes: Vec<u8>) -> Outlined {
        Outlined(match bytes::string(bytes) {
            Ok(text) => match Outline::of(&text) {
                Some(outline) => Content::Object(text, outline),
                None => Content::Other(text.into_bytes()),
            },
            Err(bytes) => Content::Other(bytes),
        })
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Content::Object(text, _) => text.as_bytes(),
            Content::Other(bytes) => bytes,
        }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        match self.0 {
            Content::Object(text, _) => text.into_bytes(),
            Content::Other(bytes) => bytes,
        }
    }

    /// The object's members, without a look at its text; `None` where only [`super::members`] finds them, or
    /// has the words for what is wrong.
    pub fn members(&self) -> Option<Members<'_>> {
        match &self.0 {
            Content::Object(text, outline) => read(text, text, &outline.members),
            Content::Other(_) => None,
        }
    }

    /// The object's members, also where only [`super::members`] finds them; `None` where it is no object.
    pub fn object(&self) -> Option<Members<'_>> {
        self.members().or_else(|| super::members(bytes::utf8(self.bytes())?).ok())
    }

    /// The objects of the array under `name`, if it was looked into and has nothing else.
    pub fn objects(&self, name: &str) -> Option<Vec<Members<'_>>> {
        let Content::Object(text, Outline { members, list: Some(list) }) = &self.0 else { return None };
        // Of a key that is there twice the last counts, which may be spelled with escapes.
        let may_be = |place: &Place| place.escaped || &text[place.start + 1..place.quote] == name;
        let last = members.iter().rposition(may_be)?;
        (last == list.member).then(|| list.read(text)).flatten()
    }
}

impl Outline {
    fn of(text: &str) -> Option<Outline> {
        let mut walk = Walk::object(text);
        let mut outline = Outline { members: Vec::with_capacity(8), list: None };
        while let Some(key) = walk.next_key() {
            let start = key.value;
            let is_list =
                outline.list.is_none() && LISTS.contains(&key.name) && text[start..].starts_with('[');
            let list = if is_list { List::of(text, start, outline.members.len()) } else { None };
            let end = match list {
                Some((list, end)) => {
                    outline.list = Some(list);
                    Some(end)
                }
                None => scan::skip_value(text.as_bytes(), start),
            };
            add(text, walk.end_member(key, end)?, &mut outline.members)?;
        }
        walk.is_whole().then_some(outline)
    }
}

impl List {
    /// The objects of the array at `start`, and where it ends.
    fn of(text: &str, start: usize, member: usize) -> Option<(List, usize)> {
        let mut walk = Walk::array(&text[start..]);
        let mut list = List { member, objects: Vec::with_capacity(8), places: Vec::with_capacity(16) };
        while let Some(mut element) = walk.enter() {
            while let Some(piece) = element.next_member() {
                add(text, piece, &mut list.places)?;
            }
            let object = walk.leave(&element)?;
            let start = offset(text, object);
            list.objects.push((start, start + object.len(), list.places.len()));
            if list.objects.len() > MOST_PIECES {
                return None;
            }
        }
        walk.end().map(|end| (list, start + end))
    }

    fn read<'a>(&self, text: &'a str) -> Option<Vec<Members<'a>>> {
        let mut first = 0;
        let read = |(start, end, last): &(usize, usize, usize)| {
            let places = &self.places[first..*last];
            first = *last;
            read(text, &text[*start..*end], places)
        };
        self.objects.iter().map(read).collect()
    }
}

/// `None` where there are too many, or where a key is nothing that can be said.
fn add(text: &str, piece: Piece<'_>, places: &mut Vec<Place>) -> Option<()> {
    let Piece { key, escaped, value, text: whole } = piece;
    if escaped {
        escape::unescape(key)?;
    }
    let (start, value) = (offset(text, whole), offset(text, value));
    places.push(Place { start, quote: start + 1 + key.len(), value, end: start + whole.len(), escaped });
    (places.len() <= MOST_PIECES).then_some(())
}

/// The members at `places` of `text`, of the object that `source` is.
fn read<'a>(text: &'a str, source: &'a str, places: &[Place]) -> Option<Members<'a>> {
    let mut members = Vec::with_capacity(places.len());
    for Place { start, quote, value, end, escaped } in places {
        let key = &text[start + 1..*quote];
        let key = if *escaped { Cow::Owned(escape::unescape(key)?) } else { Cow::Borrowed(key) };
        members.push(Member { key, value: &text[*value..*end], text: &text[*start..*end] });
    }
    Some(Members { source, members })
}
