//! Base64 with padding (RFC 4648, section 4), for the few bytes that Converse wraps in it.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..4 {
            let index = (bits >> (18 - 6 * letter)) as usize & 63;
            out.push(if letter <= three.len() { char::from(LETTERS[index]) } else { '=' });
        }
    }
    out
}

/// `None` for what is not base64.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.chunks(4) {
        if four.len() == 1 {
            return None;
        }
        let mut bits = 0;
        for index in 0..4 {
            bits = bits << 6 | four.get(index).map_or(Some(0), |letter| value(*letter))?;
        }
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        out.extend_from_slice(&bytes[..four.len() - 1]);
    }
    Some(out)
}

fn value(letter: u8) -> Option<u32> {
    LETTERS.iter().position(|own| *own == letter).map(|value| value as u32)
}
