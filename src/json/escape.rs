//! What a string stands for, and how it is written. Long ones are taken sixteen bytes at a time and by way of a small
//! place: to add a run of bytes to what has room for any costs more than most runs are long.

use super::scan::stops_in;
use crate::bytes;

/// How long a string is that is worth a place, in bytes.
const LONG: usize = 64;
const BLOCK: usize = 16;
const PLACE: usize = 512;

/// Where the next bytes of `out` are put before they go there together.
struct Place<'a> {
    bytes: [u8; PLACE],
    end: usize,
    out: &'a mut Vec<u8>,
}

impl<'a> Place<'a> {
    fn new(out: &'a mut Vec<u8>) -> Place<'a> {
        Place { bytes: [0; PLACE], end: 0, out }
    }

    /// Puts the first `length` of at most a block's bytes.
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N], length: usize) {
        const { assert!(N <= BLOCK) };
        // There is room for a block: what follows sees to that.
        if let Some(room) = self.bytes.get_mut(self.end..).and_then(|rest| rest.first_chunk_mut()) {
            *room = bytes;
            self.end += length;
        }
        if self.end > PLACE - BLOCK {
            self.empty();
        }
    }

    fn empty(&mut self) {
        self.out.extend_from_slice(self.bytes.get(..self.end).unwrap_or_default());
        self.end = 0;
    }
}

/// What the inside of a valid JSON string stands for; `None` for half of a pair of surrogates.
pub fn unescape(inner: &str) -> Option<String> {
    if inner.len() >= LONG {
        return bytes::string(unescape_blocks(inner.as_bytes())?).ok();
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = bytes::find(rest.as_bytes(), b'\\') {
        out.push_str(&rest[..at]);
        let (letter, taken) = read_escape(&rest.as_bytes()[at..])?;
        out.push(letter);
        rest = &rest[at + taken..];
    }
    out.push_str(rest);
    Some(out)
}

/// The same of a long one, as bytes.
#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn unescape_blocks(inner: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inner.len());
    let mut place = Place::new(&mut out);
    let mut at = 0;
    while let Some(block) = inner.get(at..)?.first_chunk::<BLOCK>() {
        // Sixteen where nothing stops it.
        let run = stops_in(block).trailing_zeros() as usize;
        place.put(*block, run);
        at += run;
        if run < BLOCK {
            at += unescape_one(inner.get(at..)?, &mut place)?;
        }
    }
    while at < inner.len() {
        at += unescape_one(inner.get(at..)?, &mut place)?;
    }
    place.empty();
    Some(out)
}

/// Takes a byte or an escape, and says how long it was.
fn unescape_one(rest: &[u8], place: &mut Place<'_>) -> Option<usize> {
    let byte = *rest.first()?;
    if byte != b'\\' {
        place.put([byte], 1);
        return Some(1);
    }
    let short = SHORT[usize::from(*rest.get(1)?)];
    if short != 0 {
        place.put([short], 1);
        return Some(2);
    }
    let (letter, taken) = read_escape(rest)?;
    let mut letters = [0; 4];
    let length = letter.encode_utf8(&mut letters).len();
    place.put(letters, length);
    Some(taken)
}

/// What stands for which byte behind a backslash; zero for what has four digits, or is no escape.
static SHORT: [u8; 256] = {
    let mut short = [0; 256];
    let mut rest: &[(u8, u8)] = &[
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
        (b'b', 8),
        (b'f', 12),
        (b'n', b'\n'),
        (b'r', b'\r'),
        (b't', b'\t'),
    ];
    while let [(mark, byte), others @ ..] = rest {
        short[*mark as usize] = *byte;
        rest = others;
    }
    short
};

/// The letter that the escape at the start stands for, and how long the escape is.
fn read_escape(escape: &[u8]) -> Option<(char, usize)> {
    let mark = *escape.get(1)?;
    match (mark, SHORT[usize::from(mark)]) {
        (b'u', _) => read_unicode(escape),
        (_, 0) => None,
        (_, short) => Some((char::from(short), 2)),
    }
}

fn read_unicode(escape: &[u8]) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = std::str::from_utf8(escape.get(from..from + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let first = unit(2)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map(|letter| (letter, 6));
    }
    let second = unit(8).filter(|unit| (0xdc00..0xe000).contains(unit) && escape[6..8] == *b"\\u")?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).map(|letter| (letter, 12))
}

/// How many bytes the inside of a JSON string stands for, given whether there are escapes in it.
pub fn said_len(inner: &str, escaped: bool) -> Option<usize> {
    if escaped { unescaped_len(inner) } else { Some(inner.len()) }
}

/// How many bytes of UTF-8 the inside of a valid JSON string stands for.
fn unescaped_len(inner: &str) -> Option<usize> {
    let (mut rest, mut length) = (inner.as_bytes(), 0);
    while let Some(at) = bytes::find(rest, b'\\') {
        let (letter, taken) = read_escape(&rest[at..])?;
        length += at + letter.len_utf8();
        rest = &rest[at + taken..];
    }
    Some(length + rest.len())
}

/// Appends the inside of a JSON string that stands for `text`.
pub fn escape(text: &str, out: &mut Vec<u8>) {
    match text.len() >= LONG {
        true => escape_blocks(text.as_bytes(), out),
        false => escape_pieces(text, |piece| out.extend_from_slice(piece.as_bytes())),
    }
}

/// As [`escape`], to a text.
pub fn escape_to(text: &str, out: &mut String) {
    if text.len() < LONG {
        return escape_pieces(text, |piece| out.push_str(piece));
    }
    let mut escaped = std::mem::take(out).into_bytes();
    escape_blocks(text.as_bytes(), &mut escaped);
    *out = bytes::string(escaped).expect("text is escaped by text");
}

#[cfg_attr(target_arch = "wasm32", target_feature(enable = "simd128"))]
fn escape_blocks(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + text.len() / 16);
    let mut place = Place::new(out);
    let mut rest = text;
    while let Some((block, behind)) = rest.split_first_chunk::<BLOCK>() {
        // Sixteen where nothing stops it.
        let run = stops_in(block).trailing_zeros() as usize;
        place.put(*block, run);
        rest = match block.get(run) {
            Some(stop) => {
                escape_one(*stop, &mut place);
                rest.get(run + 1..).unwrap_or_default()
            }
            None => behind,
        };
    }
    rest.iter().for_each(|byte| escape_one(*byte, &mut place));
    place.empty();
}

fn escape_one(byte: u8, place: &mut Place<'_>) {
    match byte {
        b'"' => place.put(*b"\\\"", 2),
        b'\\' => place.put(*b"\\\\", 2),
        0..0x20 => {
            let (escape, length) = WIDE_CONTROLS[usize::from(byte)];
            place.put(escape, length);
        }
        _ => place.put([byte], 1),
    }
}

/// Gives the pieces of what [`escape`] appends.
fn escape_pieces<'a>(text: &'a str, mut piece: impl FnMut(&'a str)) {
    let mut rest = text;
    while let Some(at) = bytes::find_string_stop(rest.as_bytes()) {
        piece(&rest[..at]);
        piece(match rest.as_bytes()[at] {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            control => CONTROLS[usize::from(control)],
        });
        rest = &rest[at + 1..];
    }
    piece(rest);
}

/// How the control characters are written.
#[rustfmt::skip]
const CONTROLS: [&str; 32] = [
    "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
    "\\b", "\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f",
    "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
    "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
];

/// The same, each with room for the longest, and how long it is.
static WIDE_CONTROLS: [([u8; 6], usize); 32] = {
    let mut wide = [([0; 6], 0); 32];
    let mut control = 0;
    while control < CONTROLS.len() {
        let mut rest = CONTROLS[control].as_bytes();
        while let [byte, others @ ..] = rest {
            wide[control].0[wide[control].1] = *byte;
            wide[control].1 += 1;
            rest = others;
        }
        control += 1;
    }
    wide
};
