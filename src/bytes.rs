//! Finding bytes, eight to 64 at a time in registers, and what bytes say as text.

#[cfg(target_arch = "wasm32")]
use core::arch::wasm32::{i8x16_bitmask, u8x16_eq, u8x16_lt, u8x16_splat, u64x2, v128, v128_and, v128_or};
use std::borrow::Cow;

#[cfg(not(target_arch = "wasm32"))]
const ONES: u64 = 0x0101_0101_0101_0101;
#[cfg(not(target_arch = "wasm32"))]
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// What bytes say, as [`String::from_utf8_lossy`] has it; where nothing is wrong with them, which it would find
/// byte by byte, four times as fast.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    utf8(bytes).map_or_else(|| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// What bytes say, if it is UTF-8: [`std::str::from_utf8`], sixteen bytes at a time, and 64 up to where they are not
/// ASCII.
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(&bytes[ascii(bytes)..]).ok()?;
    // SAFETY: what is before that is ASCII, which is UTF-8.
    Some(unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// How many of the bytes, in blocks of 64 from the first on, are ASCII.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
fn ascii(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<64>();
    let mut at = 0;
    for block in blocks {
        let [one, two, three, four] = wides(block);
        if i8x16_bitmask(v128_or(v128_or(one, two), v128_or(three, four))) != 0 {
            break;
        }
        at += block.len();
    }
    at
}

#[cfg(not(target_arch = "wasm32"))]
fn ascii(bytes: &[u8]) -> usize {
    let (blocks, _) = bytes.as_chunks::<64>();
    blocks.iter().take_while(|block| block.is_ascii()).count() * 64
}

/// The same of bytes that become a text themselves, which the standard library would look through again; else as
/// they were.
pub fn string(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    match utf8(&bytes) {
        // SAFETY: they were found to be UTF-8.
        Some(_) => Ok(unsafe { String::from_utf8_unchecked(bytes) }),
        None => Err(bytes),
    }
}

/// A text in small letters, to look for words in it, as far as [`small`] goes.
pub fn lowercase(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if lower.is_ascii() { lower } else { lower.chars().map(small).collect() }
}

/// The small letter of a Latin (but for rare ones), Greek or Cyrillic capital; all else stays. The standard library
/// knows every script, for 24 kB of tables.
pub fn small(letter: char) -> char {
    let code = u32::from(letter);
    let distance = match code {
        0x41..=0x5a | 0xc0..=0xd6 | 0xd8..=0xde | 0x391..=0x3a1 | 0x3a3..=0x3ab | 0x410..=0x42f => 32,
        0x400..=0x40f => 80,
        // Pairs, the capital first.
        0x100..=0x12f | 0x132..=0x137 | 0x14a..=0x177 => 1 - code % 2,
        0x139..=0x148 | 0x179..=0x17e => code % 2,
        _ => 0,
    };
    char::from_u32(code + distance).unwrap_or(letter)
}

/// Where `byte` is first.
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    search(bytes, |block| equal(block, byte), |other| other == byte)
}

/// Where a line ends: the first line feed or carriage return.
pub fn find_line_end(bytes: &[u8]) -> Option<usize> {
    search(bytes, |block| equal(block, b'\n') | equal(block, b'\r'), |byte| matches!(byte, b'\n' | b'\r'))
}

/// Where the plain text of a JSON string stops: the first quote, backslash or control character.
pub fn find_string_stop(bytes: &[u8]) -> Option<usize> {
    search(bytes, string_stops, |byte| matches!(byte, b'"' | b'\\' | 0..0x20))
}

/// `text == other`, for where one is looked for among many: those of another length are told apart without a call.
#[inline(always)]
pub fn same(text: &str, other: &str) -> bool {
    text.len() == other.len() && text == other
}

/// Whether `needle` is somewhere in `bytes`.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let (Some(first), Some(last)) = (needle.first(), needle.last()) else { return true };
    let Some(ends) = bytes.get(needle.len() - 1..) else { return false };
    let is_at = |at: usize| bytes[at..].starts_with(needle);
    let ((starts, _), (stops, _)) = (bytes[..ends.len()].as_chunks::<64>(), ends.as_chunks::<64>());
    for (place, (start, stop)) in starts.iter().zip(stops).enumerate() {
        let mut places = pairs(start, *first, stop, *last);
        while places != 0 {
            if is_at(place * 64 + places.trailing_zeros() as usize) {
                return true;
            }
            places &= places - 1;
        }
    }
    (starts.len() * 64..ends.len()).any(is_at)
}

/// Sixteen bytes in one of WebAssembly's wide registers.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
pub fn wide(sixteen: &[u8; 16]) -> v128 {
    let bits = u128::from_le_bytes(*sixteen);
    u64x2(bits as u64, (bits >> 64) as u64)
}

/// Sixty-four bytes in four of them.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
pub fn wides(block: &[u8; 64]) -> [v128; 4] {
    let (sixteens, _) = block.as_chunks::<16>();
    [wide(&sixteens[0]), wide(&sixteens[1]), wide(&sixteens[2]), wide(&sixteens[3])]
}

/// A bit for each place at which `one` has the byte `first`, and `other` the byte `last`.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
fn pairs(one: &[u8; 64], first: u8, other: &[u8; 64], last: u8) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (wides(one), wides(other));
    let (first, last) = (u8x16_splat(first), u8x16_splat(last));
    let pair = |one, other| v128_and(u8x16_eq(one, first), u8x16_eq(other, last));
    let bits = |one, other| u64::from(i8x16_bitmask(pair(one, other)));
    bits(a, e) | bits(b, f) << 16 | bits(c, g) << 32 | bits(d, h) << 48
}

#[cfg(not(target_arch = "wasm32"))]
fn pairs(one: &[u8; 64], first: u8, other: &[u8; 64], last: u8) -> u64 {
    let both = |at: usize| u64::from((one[at] == first) & (other[at] == last)) << at;
    (0..64).fold(0, |places, at| places | both(at))
}

/// What is behind `prefix`.
pub fn strip_prefix<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(prefix.len())?;
    let ((heads, head), (sixteens, prefix)) = (head.as_chunks::<16>(), prefix.as_chunks::<16>());
    let same = heads.iter().zip(sixteens).all(|(head, sixteen)| alike(head, sixteen));
    (same && head.iter().zip(prefix).all(|(head, byte)| head == byte)).then_some(rest)
}

#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
fn alike(one: &[u8; 16], other: &[u8; 16]) -> bool {
    use core::arch::wasm32::{u8x16_all_true, u8x16_eq};
    u8x16_all_true(u8x16_eq(wide(one), wide(other)))
}

#[cfg(not(target_arch = "wasm32"))]
fn alike(one: &[u8; 16], other: &[u8; 16]) -> bool {
    one == other
}

/// What is looked at together, and how many bits say of each of its bytes whether it is wanted.
#[cfg(target_arch = "wasm32")]
type Block = [u8; 16];
#[cfg(target_arch = "wasm32")]
const BITS: u32 = 1;
#[cfg(not(target_arch = "wasm32"))]
type Block = [u8; 8];
#[cfg(not(target_arch = "wasm32"))]
const BITS: u32 = 8;

/// `marks` sets a bit for each byte that is wanted, and may set others above the first.
#[inline(always)]
fn search(bytes: &[u8], marks: impl Fn(&Block) -> u64, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<{ size_of::<Block>() }>();
    for (place, block) in blocks.iter().enumerate() {
        let marked = marks(block);
        if marked != 0 {
            return Some(place * block.len() + (marked.trailing_zeros() / BITS) as usize);
        }
    }
    rest.iter().position(|byte| wanted(*byte)).map(|place| bytes.len() - rest.len() + place)
}

#[inline(always)]
fn string_stops(block: &Block) -> u64 {
    equal(block, b'"') | equal(block, b'\\') | below_blank(block)
}

/// A bit for each byte that [`find_string_stop`] stops at, the first byte's lowest.
#[cfg(not(target_arch = "wasm32"))]
#[inline(always)]
pub fn string_stop_bits(eight: [u8; 8]) -> u8 {
    let eight = u64::from_le_bytes(eight);
    // The high bit of each byte that is zero and of no other: nothing is carried from one to the next.
    let zero = |eight: u64| !(((eight & !HIGHS) + !HIGHS) | eight | !HIGHS);
    let stops = zero(eight ^ (ONES * 0x22)) | zero(eight ^ (ONES * 0x5c)) | zero(eight & (ONES * 0xe0));
    // Each bit is brought from its byte into the highest one.
    ((stops >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
fn equal(block: &Block, byte: u8) -> u64 {
    u64::from(i8x16_bitmask(u8x16_eq(wide(block), u8x16_splat(byte))))
}

#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
fn below_blank(block: &Block) -> u64 {
    u64::from(i8x16_bitmask(u8x16_lt(wide(block), u8x16_splat(0x20))))
}

/// A borrow reaches only into bytes above one that is marked itself.
#[cfg(not(target_arch = "wasm32"))]
#[inline(always)]
fn equal(block: &Block, byte: u8) -> u64 {
    let difference = u64::from_le_bytes(*block) ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

#[cfg(not(target_arch = "wasm32"))]
#[inline(always)]
fn below_blank(block: &Block) -> u64 {
    let eight = u64::from_le_bytes(*block);
    eight.wrapping_sub(ONES * 0x20) & !eight & HIGHS
}
