//! The quick way through JSON: whatever it takes is valid, and what it does not take is left to
//! serde, which knows the words for what is wrong. Looks at up to 64 bytes at a time and allocates nothing.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::{
    i8x16_bitmask, u8x16_eq, u8x16_le, u8x16_splat, v128, v128_any_true, v128_or, v128_xor,
};

use crate::bytes;

/// Walks through the members of one object, or the elements of one array.
pub struct Walk<'a> {
    text: &'a str,
    at: usize,
    close: u8,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Opened,
    Going,
    Closed,
    Broken,
}

/// The key of a member whose value is still to be read.
pub struct Key<'a> {
    /// As it was written, without its quotes.
    pub name: &'a str,
    escaped: bool,
    start: usize,
    /// Where the value begins.
    pub value: usize,
}

/// One member of an object.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The key as it was written, without its quotes.
    pub key: &'a str,
    /// There are escapes in it.
    pub escaped: bool,
    /// The value's text, without whitespace around it.
    pub value: &'a str,
    /// The whole member as it was written.
    pub text: &'a str,
}

impl<'a> Walk<'a> {
    pub fn object(text: &'a str) -> Walk<'a> {
        Walk::new(text, b'{', b'}')
    }

    pub fn array(text: &'a str) -> Walk<'a> {
        Walk::new(text, b'[', b']')
    }

    fn new(text: &'a str, open: u8, close: u8) -> Walk<'a> {
        let at = skip_blanks(text.as_bytes(), 0);
        let state = if matches!(text.as_bytes().get(at), Some(byte) if *byte == open) {
            State::Opened
        } else {
            State::Broken
        };
        Walk { text, at: at + 1, close, state }
    }

    /// The text was read to its end, and all of it was valid.
    pub fn is_whole(&self) -> bool {
        self.state == State::Closed && skip_blanks(self.text.as_bytes(), self.at) == self.text.len()
    }

    /// The next element's members, to be walked through before [`Walk::leave`] goes on behind it.
    pub fn enter(&mut self) -> Option<Walk<'a>> {
        let start = self.advance()?;
        self.at = start;
        Some(Walk::object(&self.text[start..]))
    }

    /// Goes on behind an element that was entered: its text, if it was valid.
    pub fn leave(&mut self, element: &Walk<'a>) -> Option<&'a str> {
        if element.state != State::Closed {
            self.state = State::Broken;
            return None;
        }
        self.at += element.at;
        Some(&element.text[..element.at])
    }

    #[inline]
    pub fn next_member(&mut self) -> Option<Piece<'a>> {
        let key = self.next_key()?;
        let end = skip_value(self.text.as_bytes(), key.value);
        self.end_member(key, end)
    }

    /// The next member's key, to be followed by [`Walk::end_member`].
    #[inline]
    pub fn next_key(&mut self) -> Option<Key<'a>> {
        let start = self.advance()?;
        let key = self.read_key(start);
        if key.is_none() {
            self.state = State::Broken;
        }
        key
    }

    /// The member whose value ends there, if it was valid.
    #[inline(always)]
    pub fn end_member(&mut self, key: Key<'a>, end: Option<usize>) -> Option<Piece<'a>> {
        let Some(end) = end else {
            self.state = State::Broken;
            return None;
        };
        self.at = end;
        let Key { name, escaped, start, value } = key;
        Some(Piece { key: name, escaped, value: &self.text[value..end], text: &self.text[start..end] })
    }

    /// Behind the brace or bracket that closed what was read to its end.
    pub fn end(&self) -> Option<usize> {
        (self.state == State::Closed).then_some(self.at)
    }

    pub fn next_element(&mut self) -> Option<&'a str> {
        let start = self.advance()?;
        let Some(end) = skip_value(self.text.as_bytes(), start) else {
            self.state = State::Broken;
            return None;
        };
        self.at = end;
        Some(&self.text[start..end])
    }

    #[inline(always)]
    fn read_key(&self, start: usize) -> Option<Key<'a>> {
        let bytes = self.text.as_bytes();
        let (end, escaped) = skip_string(bytes, start)?;
        let colon = skip_blanks(bytes, end);
        if !matches!(bytes.get(colon), Some(b':')) {
            return None;
        }
        let value = skip_blanks(bytes, colon + 1);
        Some(Key { name: &self.text[start + 1..end - 1], escaped, start, value })
    }

    /// Where the next piece begins; `None` at the end.
    fn advance(&mut self) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let first = match self.state {
            State::Opened => true,
            State::Going => false,
            State::Closed | State::Broken => return None,
        };
        self.state = State::Going;
        let at = skip_blanks(bytes, self.at);
        match bytes.get(at) {
            Some(byte) if *byte == self.close => {
                self.at = at + 1;
                self.state = State::Closed;
                None
            }
            Some(b',') if !first => Some(skip_blanks(bytes, at + 1)),
            Some(_) if first => Some(at),
            Some(_) | None => {
                self.state = State::Broken;
                None
            }
        }
    }
}

pub fn skip_blanks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The end of the string that opens at `at`, and whether there are escapes in it.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
pub fn skip_string(bytes: &[u8], at: usize) -> Option<(usize, bool)> {
    if !matches!(bytes.get(at), Some(b'"')) {
        return None;
    }
    let mut at = at + 1;
    let mut escaped = false;
    // Most strings are short.
    if let Some(near) = bytes.get(at..)?.first_chunk() {
        let stops = stops_in(near);
        if stops == 0 {
            at += near.len();
        } else if near[stops.trailing_zeros() as usize] == b'"' {
            return Some((at + stops.trailing_zeros() as usize + 1, false));
        }
    }
    while let Some(block) = bytes.get(at..)?.first_chunk() {
        let (start, mut stops) = (at, stops_of(block));
        at += block.len();
        while stops != 0 {
            let place = stops.trailing_zeros() as usize % block.len();
            match block[place] {
                b'"' => return Some((start + place + 1, escaped)),
                b'\\' => escaped = true,
                _ => return None,
            }
            if block.get(place + 1).is_some_and(|byte| ESCAPES[usize::from(*byte)]) {
                // What is escaped may look like a stop itself.
                stops &= !(3 << place);
                continue;
            }
            let next = skip_escape(bytes, start + place)?;
            if next >= start + block.len() {
                at = next;
                break;
            }
            stops &= u64::MAX << (next - start);
        }
    }
    skip_rest(bytes, at, escaped)
}

/// The same, from within a string and for what is less than a block.
fn skip_rest(bytes: &[u8], mut at: usize, mut escaped: bool) -> Option<(usize, bool)> {
    loop {
        at += bytes::find_string_stop(bytes.get(at..)?)?;
        match bytes[at] {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => at = skip_escape(bytes, at)?,
            _ => return None,
        }
        escaped = true;
    }
}

/// A bit for each byte at which a string may end, has an escape or is wrong.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
fn stops_of(block: &[u8; 64]) -> u64 {
    let [one, two, three, four] = bytes::wides(block);
    let (one, two, three, four) = (marks_of(one), marks_of(two), marks_of(three), marks_of(four));
    // Most blocks of text that is only text have none.
    if !v128_any_true(v128_or(v128_or(one, two), v128_or(three, four))) {
        return 0;
    }
    let bits = |marks| u64::from(i8x16_bitmask(marks));
    bits(one) | bits(two) << 16 | bits(three) << 32 | bits(four) << 48
}

#[cfg(not(target_arch = "wasm32"))]
#[inline]
fn stops_of(block: &[u8; 64]) -> u64 {
    let (sixteens, _) = block.as_chunks::<16>();
    sixteens.iter().rev().fold(0, |stops, sixteen| stops << 16 | u64::from(stops_in(sixteen)))
}

/// The same of sixteen bytes, in one of WebAssembly's wide registers where there are any.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
pub fn stops_in(sixteen: &[u8; 16]) -> u16 {
    i8x16_bitmask(marks_of(bytes::wide(sixteen)))
}

/// All bits of each byte that is a stop. With its second bit turned over, a quote is the one byte that comes next
/// to the control characters.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
fn marks_of(bytes: v128) -> v128 {
    let quoted = u8x16_le(v128_xor(bytes, u8x16_splat(b'"' ^ b' ')), u8x16_splat(b' '));
    v128_or(quoted, u8x16_eq(bytes, u8x16_splat(b'\\')))
}

#[cfg(not(target_arch = "wasm32"))]
#[inline]
pub fn stops_in(sixteen: &[u8; 16]) -> u16 {
    let (eights, _) = sixteen.as_chunks();
    eights.iter().rev().fold(0, |stops, eight| stops << 8 | u16::from(bytes::string_stop_bits(*eight)))
}

/// What stands behind a backslash, but for the `u` that has four digits.
static ESCAPES: [bool; 256] = {
    let mut escapes = [false; 256];
    let mut rest: &[u8] = b"\"\\/bfnrt";
    while let [escape, others @ ..] = rest {
        escapes[*escape as usize] = true;
        rest = others;
    }
    escapes
};

fn skip_escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        byte if ESCAPES[usize::from(*byte)] => Some(at + 2),
        b'u' => bytes.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(at + 6),
        _ => None,
    }
}

/// As deep as the quick way goes.
const DEPTH: u32 = 64;

/// The end of the value that begins at `at`.
pub fn skip_value(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'{' | b'[' => skip_nested(bytes, at),
        _ => skip_plain(bytes, at),
    }
}

/// The end of a value that is neither object nor array.
fn skip_plain(bytes: &[u8], at: usize) -> Option<usize> {
    let word = |word: &[u8]| bytes[at..].starts_with(word).then_some(at + word.len());
    match bytes.get(at)? {
        b'"' => skip_string(bytes, at).map(|(end, _)| end),
        b'n' => word(b"null"),
        b't' => word(b"true"),
        b'f' => word(b"false"),
        _ => skip_number(bytes, at),
    }
}

fn skip_nested(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0;
    // A bit for each level, the lowest for the innermost: whether it is an object.
    let mut objects = 0_u64;
    loop {
        // At a value.
        let open = *bytes.get(at)?;
        let done = match open {
            b'{' | b'[' if depth == DEPTH => return None,
            b'{' | b'[' => {
                depth += 1;
                objects = objects << 1 | u64::from(open == b'{');
                at = skip_blanks(bytes, at + 1);
                matches!((open, bytes.get(at)?), (b'{', b'}') | (b'[', b']'))
            }
            _ => {
                at = skip_plain(bytes, at)?;
                true
            }
        };
        if done {
            // Behind a value, or at the end of what has none.
            loop {
                at = skip_blanks(bytes, at);
                match (bytes.get(at)?, objects & 1) {
                    (b'}', 1) | (b']', 0) => {}
                    (b',', _) => break,
                    _ => return None,
                }
                at += 1;
                depth -= 1;
                objects >>= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            at = skip_blanks(bytes, at + 1);
        }
        if objects & 1 == 1 {
            at = skip_blanks(bytes, skip_string(bytes, at)?.0);
            if !matches!(bytes.get(at), Some(b':')) {
                return None;
            }
            at = skip_blanks(bytes, at + 1);
        }
    }
}

pub fn skip_number(bytes: &[u8], mut at: usize) -> Option<usize> {
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    at += usize::from(matches!(bytes.get(at), Some(b'-')));
    let whole = digits(at);
    if whole == at || bytes[at] == b'0' && whole > at + 1 {
        return None;
    }
    at = whole;
    if matches!(bytes.get(at), Some(b'.')) {
        let fraction = digits(at + 1);
        if fraction == at + 1 {
            return None;
        }
        at = fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == at + 1 + sign {
            return None;
        }
        at = exponent;
    }
    Some(at)
}

/// Notes a member's value; `None` where one of its name came before, which needs a closer look.
pub fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}
