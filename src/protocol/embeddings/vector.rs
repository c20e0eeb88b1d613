//! One embedding: numbers as JSON, or their bytes in base64, little-endian and four to a number.
//! Digits that nobody asked to convert are never read as floats.

use super::face::Encoding;
use crate::base64;
use crate::json;

/// What the base64 of a provider holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// 32-bit floats, as OpenAI packs them; from older vLLM 64-bit ones.
    Floats,
    /// One signed byte to a number (Perplexity).
    Bytes,
}

/// Appends a provider's embedding in the encoding that the client wants, or says why it is none.
/// Returns the count of its numbers.
pub(super) fn write(
    raw: &str,
    packing: Packing,
    wanted: Encoding,
    out: &mut Vec<u8>,
) -> Result<usize, String> {
    match json::string(raw) {
        Some(text) => write_packed(raw, &text, packing, wanted, out),
        None => write_numbers(raw, wanted, out),
    }
}

fn write_packed(
    raw: &str,
    text: &str,
    packing: Packing,
    wanted: Encoding,
    out: &mut Vec<u8>,
) -> Result<usize, String> {
    let bytes = base64::decode_standard(text).ok_or("an embedding that is not base64")?;
    let numbers = match packing {
        Packing::Bytes => Some(bytes.iter().map(|byte| f32::from(*byte as i8)).collect()),
        Packing::Floats if bytes.len() % 4 != 0 => {
            return Err("an embedding that ends within a number".to_owned());
        }
        Packing::Floats if is_wide(&bytes) => Some(wide(&bytes)),
        Packing::Floats if wanted == Encoding::Float => Some(narrow(&bytes)),
        Packing::Floats => None,
    };
    let count = numbers.as_ref().map_or(bytes.len() / 4, Vec::len);
    if count == 0 {
        return Err("an embedding without numbers".to_owned());
    }
    match (numbers, wanted) {
        (None, _) => out.extend_from_slice(raw.as_bytes()),
        (Some(numbers), Encoding::Base64) => write_base64(&numbers, out)?,
        (Some(numbers), Encoding::Float) => write_floats(&numbers, out)?,
    }
    Ok(count)
}

fn write_numbers(raw: &str, wanted: Encoding, out: &mut Vec<u8>) -> Result<usize, String> {
    let inner = raw.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let plain = |byte: u8| {
        byte.is_ascii_digit()
            || byte.is_ascii_whitespace()
            || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E' | b',')
    };
    let inner = inner.filter(|inner| !inner.trim().is_empty() && inner.bytes().all(plain));
    let inner = inner.ok_or("an embedding that is no list of numbers")?;
    let count = inner.bytes().filter(|byte| *byte == b',').count() + 1;
    match wanted {
        // Gemini gives each number a line of its own.
        Encoding::Float => out.extend(raw.bytes().filter(|byte| !byte.is_ascii_whitespace())),
        Encoding::Base64 => {
            let number = |text: &str| json::number(text.trim()).map(|number| number as f32);
            let numbers: Option<Vec<f32>> = inner.split(',').map(number).collect();
            write_base64(&numbers.ok_or("an embedding that is no list of numbers")?, out)?;
        }
    }
    Ok(count)
}

/// Whether the bytes are 64-bit floats that were widened from 32 or fewer: then the low 29 bits of
/// each are zero, which a list of real 32-bit floats never shows in every other place.
fn is_wide(bytes: &[u8]) -> bool {
    let (pairs, rest) = bytes.as_chunks::<8>();
    let low = |pair: &[u8; 8]| u64::from_le_bytes(*pair) & 0x1FFF_FFFF;
    rest.is_empty()
        && pairs.len() > 8
        && pairs.iter().all(|pair| low(pair) == 0)
        && pairs.iter().any(|pair| *pair != [0; 8])
        && pairs.iter().all(|pair| f64::from_le_bytes(*pair).abs() < 1e6)
}

fn wide(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<8>().0.iter().map(|number| f64::from_le_bytes(*number) as f32).collect()
}

fn narrow(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

fn write_floats(numbers: &[f32], out: &mut Vec<u8>) -> Result<(), String> {
    check_finite(numbers)?;
    serde_json::to_writer(out, numbers).map_err(|_| "numbers that are not JSON".to_owned())
}

fn write_base64(numbers: &[f32], out: &mut Vec<u8>) -> Result<(), String> {
    check_finite(numbers)?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    out.push(b'"');
    out.extend_from_slice(base64::encode(&bytes).as_bytes());
    out.push(b'"');
    Ok(())
}

fn check_finite(numbers: &[f32]) -> Result<(), String> {
    let finite = numbers.iter().all(|number| number.is_finite());
    finite.then_some(()).ok_or_else(|| "an embedding with a number that is none".to_owned())
}
