//! JSON read into types that derive `Deserialize`, with little code for each: an object is one where a
//! struct is expected, never an array, an enum is read in one way, and errors say where, not what.
//! For texts that the crate itself wrote, and for those whose errors nobody is told.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};

use super::{Raw, escape, scan};

/// Reads all of `text`.
pub fn read<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Unreadable> {
    let mut reader = Reader { text, at: 0, depth: 0, at_key: false };
    let value = T::deserialize(&mut reader);
    match value {
        Ok(value) if reader.peek() == 0 && reader.at == text.len() => Ok(value),
        Ok(_) | Err(Stop) => Err(Unreadable { at: reader.at }),
    }
}

/// As [`read`], of bytes that may not be UTF-8.
pub fn read_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Option<T> {
    read(std::str::from_utf8(bytes).ok()?).ok()
}

/// Where a text is not what it should be, in bytes. Never quotes the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    pub at: usize,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "unexpected at byte {}", self.at)
    }
}

/// Reading ends here: the reader knows where that is.
#[derive(Debug)]
struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("unexpected")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Stop {
        Stop
    }
    // What serde would make texts of by default.
    fn invalid_type(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Stop {
        Stop
    }
    fn invalid_value(_: de::Unexpected<'_>, _: &dyn de::Expected) -> Stop {
        Stop
    }
    fn invalid_length(_: usize, _: &dyn de::Expected) -> Stop {
        Stop
    }
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Stop {
        Stop
    }
    fn unknown_field(_: &str, _: &'static [&'static str]) -> Stop {
        Stop
    }
    fn missing_field(_: &'static str) -> Stop {
        Stop
    }
    fn duplicate_field(_: &'static str) -> Stop {
        Stop
    }
}

/// As deep as anything is read: what is deeper could exhaust the stack.
const DEPTH: u32 = 128;

struct Reader<'de> {
    text: &'de str,
    at: usize,
    depth: u32,
    /// A key is read: numbers are in quotes there.
    at_key: bool,
}

enum Number {
    Natural(u64),
    Negative(i64),
    Fraction(f64),
}

impl<'de> Reader<'de> {
    /// The byte that is next after blanks; 0 at the end.
    #[inline(never)]
    fn peek(&mut self) -> u8 {
        self.at = scan::skip_blanks(self.text.as_bytes(), self.at);
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline(never)]
    fn take(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek() != byte {
            return Err(Stop);
        }
        self.at += 1;
        Ok(())
    }

    #[inline(never)]
    fn word(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if found { word.len() } else { 0 };
        found
    }

    #[inline(never)]
    fn null(&mut self) -> bool {
        self.peek() == b'n' && self.word("null")
    }

    #[inline(never)]
    fn boolean(&mut self) -> Result<bool, Stop> {
        self.peek();
        match self.word("true") {
            true => Ok(true),
            false if self.word("false") => Ok(false),
            false => Err(Stop),
        }
    }

    #[inline(never)]
    fn string(&mut self) -> Result<Cow<'de, str>, Stop> {
        self.peek();
        let (end, escaped) = scan::skip_string(self.text.as_bytes(), self.at).ok_or(Stop)?;
        let inner = &self.text[self.at + 1..end - 1];
        let string =
            if escaped { Cow::Owned(escape::unescape(inner).ok_or(Stop)?) } else { Cow::Borrowed(inner) };
        self.at = end;
        Ok(string)
    }

    #[inline(never)]
    fn number(&mut self) -> Result<Number, Stop> {
        self.peek();
        if self.at_key {
            let key = self.string()?;
            // Neither a sign nor zeros in front, which `parse` would take.
            let whole = scan::skip_number(key.as_bytes(), 0) == Some(key.len());
            return key.parse().ok().filter(|_| whole).map(Number::Natural).ok_or(Stop);
        }
        let end = scan::skip_number(self.text.as_bytes(), self.at).ok_or(Stop)?;
        let number = read_number(&self.text[self.at..end]).ok_or(Stop)?;
        self.at = end;
        Ok(number)
    }

    #[inline(never)]
    fn piece(&mut self) -> Result<&'de str, Stop> {
        self.peek();
        let start = self.at;
        self.at = scan::skip_value(self.text.as_bytes(), start).ok_or(Stop)?;
        Ok(&self.text[start..self.at])
    }

    #[inline(never)]
    fn open(&mut self, byte: u8) -> Result<(), Stop> {
        self.take(byte)?;
        self.depth += 1;
        if self.depth > DEPTH { Err(Stop) } else { Ok(()) }
    }

    /// Goes to the next piece of what is open, if there is one, else behind its end.
    #[inline(never)]
    fn advance(&mut self, list: &mut List) -> Result<bool, Stop> {
        let first = std::mem::replace(&mut list.first, false);
        match self.peek() {
            _ if list.done => return Ok(false),
            byte if byte == list.close => {
                self.at += 1;
                self.depth -= 1;
                list.done = true;
                return Ok(false);
            }
            b',' if !first => self.at += 1,
            _ if first => {}
            _ => return Err(Stop),
        }
        // A comma is not the last.
        if self.peek() == list.close { Err(Stop) } else { Ok(true) }
    }
}

fn read_number(text: &str) -> Option<Number> {
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return fraction(text);
    }
    let natural = text.parse().ok().map(Number::Natural);
    let whole = natural.or_else(|| text.parse().ok().filter(|_| text != "-0").map(Number::Negative));
    whole.or_else(|| fraction(text))
}

fn fraction(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok().map(Number::Fraction)
}

/// The name by which the reader knows [`Raw`].
const AS_IT_IS: &str = "AsItIs";

/// Any value, as its text. No other deserializer has it.
impl<'de> Deserialize<'de> for Raw<String> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Raw<String>, D::Error> {
        from.deserialize_newtype_struct(AS_IT_IS, RawVisitor)
    }
}

struct RawVisitor;

impl Visitor<'_> for RawVisitor {
    type Value = Raw<String>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw<String>, E> {
        Ok(Raw(text.to_owned()))
    }
}

/// What is open: an object or an array.
struct List {
    close: u8,
    first: bool,
    done: bool,
}

struct Open<'r, 'de> {
    reader: &'r mut Reader<'de>,
    list: List,
}

impl<'r, 'de> Open<'r, 'de> {
    #[inline(never)]
    fn new(reader: &'r mut Reader<'de>, open: u8, close: u8) -> Result<Open<'r, 'de>, Stop> {
        reader.open(open)?;
        Ok(Open { reader, list: List { close, first: true, done: false } })
    }

    #[inline(never)]
    fn advance(&mut self) -> Result<bool, Stop> {
        self.reader.advance(&mut self.list)
    }

    /// Nothing is left.
    #[inline(never)]
    fn end(mut self) -> Result<(), Stop> {
        if self.advance()? { Err(Stop) } else { Ok(()) }
    }
}

impl<'de> Reader<'de> {
    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Stop> {
        let mut open = Open::new(self, b'{', b'}')?;
        let value = visitor.visit_map(&mut open)?;
        open.end()?;
        Ok(value)
    }

    fn seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Stop> {
        let mut open = Open::new(self, b'[', b']')?;
        let value = visitor.visit_seq(&mut open)?;
        open.end()?;
        Ok(value)
    }
}

impl<'de> de::MapAccess<'de> for &mut Open<'_, 'de> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        if !self.advance()? {
            return Ok(None);
        }
        self.reader.at_key = true;
        let key = seed.deserialize(&mut *self.reader)?;
        self.reader.at_key = false;
        Ok(Some(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        self.reader.take(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'de> de::SeqAccess<'de> for &mut Open<'_, 'de> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        if !self.advance()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// A variant: `"name"` alone, or `"name": value`.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    alone: bool,
}

impl Variant<'_, '_> {
    #[inline(never)]
    fn value(&mut self) -> Result<(), Stop> {
        if self.alone { Err(Stop) } else { self.reader.take(b':') }
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        Ok((seed.deserialize(&mut *self.reader)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Stop;

    fn unit_variant(mut self) -> Result<(), Stop> {
        if self.alone {
            return Ok(());
        }
        self.value()?;
        if self.reader.null() { Ok(()) } else { Err(Stop) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Stop> {
        self.value()?;
        seed.deserialize(&mut *self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.value()?;
        self.reader.seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.value()?;
        self.reader.map(visitor)
    }
}

/// The methods that read numbers: all alike, visitors take what fits.
macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            match self.number()? {
                Number::Natural(number) => visitor.visit_u64(number),
                Number::Negative(number) => visitor.visit_i64(number),
                Number::Fraction(number) => visitor.visit_f64(number),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.peek() {
            b'{' => self.map(visitor),
            b'[' => self.seq(visitor),
            b'"' => self.deserialize_str(visitor),
            b't' | b'f' => visitor.visit_bool(self.boolean()?),
            b'n' => self.deserialize_unit(visitor),
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_bool(self.boolean()?)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
        deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.string()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_string(self.string()?.into_owned())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str(&self.string()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.null() { visitor.visit_unit() } else { Err(Stop) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match name {
            AS_IT_IS => visitor.visit_borrowed_str(self.piece()?),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.seq(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.map(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let alone = self.peek() == b'"';
        if !alone {
            self.open(b'{')?;
        }
        let value = visitor.visit_enum(Variant { reader: &mut *self, alone })?;
        if !alone {
            self.take(b'}')?;
            self.depth -= 1;
        }
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.piece()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { char bytes byte_buf }
}
