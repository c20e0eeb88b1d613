//! Base64 (RFC 4648): bytes as text in the standard alphabet, and in the one that is safe in URLs.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The standard alphabet, with padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = write(bytes, STANDARD);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The alphabet that is safe in URLs, without padding, as JSON Web Tokens have it.
pub fn encode_url(bytes: &[u8]) -> String {
    write(bytes, URL_SAFE)
}

fn write(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..=group.len() {
            let sextet = bits >> (18 - 6 * place) & 0x3f;
            text.push(char::from(alphabet[sextet as usize]));
        }
    }
    text
}

/// Reads either alphabet, with or without padding; blanks are passed over. Google's SDKs change the
/// alphabet on the way.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (bytes, left) = read(text, |symbol| !symbol.is_ascii_whitespace())?;
    (left < 6).then_some(bytes)
}

/// Reads the standard alphabet alone, with or without padding.
pub fn decode_standard(text: &str) -> Option<Vec<u8>> {
    let (bytes, left) = read(text, |_| true).filter(|_| !text.contains(['-', '_']))?;
    (left < 6).then_some(bytes)
}

/// Reads either alphabet, with or without padding, as far as it makes whole bytes: a symbol too many
/// at the end says nothing.
pub fn decode_whole_bytes(text: &str) -> Option<Vec<u8>> {
    read(text, |_| true).map(|(bytes, _)| bytes)
}

/// The bytes of the symbols that count, and how many bits are left over.
fn read(text: &str, counts: impl Fn(&u8) -> bool) -> Option<(Vec<u8>, u32)> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    let (mut bits, mut left) = (0u32, 0u32);
    for symbol in text.trim_end_matches('=').bytes().filter(counts) {
        bits = bits << 6 | sextet(symbol)?;
        left += 6;
        if left >= 8 {
            left -= 8;
            bytes.push((bits >> left) as u8);
            bits &= (1 << left) - 1;
        }
    }
    Some((bytes, left))
}

fn sextet(symbol: u8) -> Option<u32> {
    let value = match symbol {
        b'A'..=b'Z' => symbol - b'A',
        b'a'..=b'z' => symbol - b'a' + 26,
        b'0'..=b'9' => symbol - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
