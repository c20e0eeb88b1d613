//! Finding bytes, eight or sixteen at a time in one register, and what bytes say as text.

use std::borrow::Cow;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// What bytes say, as [`String::from_utf8_lossy`] has it; where nothing is wrong with them, which it would find
/// byte by byte, four times as fast.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    utf8(bytes).map_or_else(|| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// What bytes say, if it is UTF-8: [`std::str::from_utf8`], sixteen bytes at a time.
pub fn utf8(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Where `byte` is first.
pub fn find(bytes: &[u8], byte: u8) -> Option<usize> {
    search(bytes, |eight| equal(eight, byte), |other| other == byte)
}

/// Where a line ends: the first line feed or carriage return.
pub fn find_line_end(bytes: &[u8]) -> Option<usize> {
    search(bytes, |eight| equal(eight, b'\n') | equal(eight, b'\r'), |byte| matches!(byte, b'\n' | b'\r'))
}

/// Where the plain text of a JSON string stops: the first quote, backslash or control character.
pub fn find_string_stop(bytes: &[u8]) -> Option<usize> {
    search(bytes, string_stops, |byte| matches!(byte, b'"' | b'\\' | 0..0x20))
}

/// Whether `needle` is somewhere in `bytes`.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let (Some(first), Some(last)) = (needle.first(), needle.last()) else { return true };
    let Some(ends) = bytes.get(needle.len() - 1..) else { return false };
    let is_at = |at: usize| bytes[at..].starts_with(needle);
    let ((starts, _), (stops, _)) = (bytes[..ends.len()].as_chunks::<16>(), ends.as_chunks::<16>());
    let mut sixteens = starts.iter().zip(stops).enumerate();
    sixteens.any(|(place, (start, stop))| {
        both(start, *first, stop, *last) && (place * 16..place * 16 + 16).any(is_at)
    }) || (starts.len() * 16..ends.len()).any(is_at)
}

/// Sixteen bytes in one of WebAssembly's wide registers.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
#[inline]
pub fn wide(sixteen: &[u8; 16]) -> core::arch::wasm32::v128 {
    let bits = u128::from_le_bytes(*sixteen);
    core::arch::wasm32::u64x2(bits as u64, (bits >> 64) as u64)
}

/// Whether at some place `one` has the byte `first`, and `other` the byte `last`.
#[cfg(target_arch = "wasm32")]
#[target_feature(enable = "simd128")]
fn both(one: &[u8; 16], first: u8, other: &[u8; 16], last: u8) -> bool {
    use core::arch::wasm32::{u8x16_eq, u8x16_splat, v128_and, v128_any_true};
    v128_any_true(v128_and(u8x16_eq(wide(one), u8x16_splat(first)), u8x16_eq(wide(other), u8x16_splat(last))))
}

#[cfg(not(target_arch = "wasm32"))]
fn both(one: &[u8; 16], first: u8, other: &[u8; 16], last: u8) -> bool {
    one.iter().zip(other).fold(false, |both, (one, other)| both | ((*one == first) & (*other == last)))
}

/// What is behind `prefix`.
pub fn strip_prefix<'a>(bytes: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(prefix.len())?;
    let ((heads, head), (eights, prefix)) = (head.as_chunks::<8>(), prefix.as_chunks::<8>());
    let same = heads.iter().zip(eights).all(|(head, eight)| head == eight);
    (same && head.iter().zip(prefix).all(|(head, byte)| head == byte)).then_some(rest)
}

/// `marks` sets the high bit of each byte that is wanted, and may set others above the first.
#[inline(always)]
fn search(bytes: &[u8], marks: impl Fn(u64) -> u64, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let (eights, rest) = bytes.as_chunks::<8>();
    for (place, eight) in eights.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(*eight));
        if marked != 0 {
            return Some(place * 8 + (marked.trailing_zeros() / 8) as usize);
        }
    }
    rest.iter().position(|byte| wanted(*byte)).map(|place| eights.len() * 8 + place)
}

#[inline(always)]
fn string_stops(eight: u64) -> u64 {
    equal(eight, b'"') | equal(eight, b'\\') | below_blank(eight)
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

/// A borrow reaches only into bytes above one that is marked itself.
#[inline(always)]
fn equal(eight: u64, byte: u8) -> u64 {
    let difference = eight ^ (ONES * byte as u64);
    difference.wrapping_sub(ONES) & !difference & HIGHS
}

#[inline(always)]
fn below_blank(eight: u64) -> u64 {
    eight.wrapping_sub(ONES * 0x20) & !eight & HIGHS
}
