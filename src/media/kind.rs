//! What fetched bytes are, told by themselves: a header alone is no proof.

use crate::chat::conversation::Source;

/// What a link was given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Image,
    File,
}

impl Kind {
    /// A word for what the client is told.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Image => "image",
            Kind::File => "document",
        }
    }
}

/// Text that says itself by its header what kind of text it is.
const TEXTS: &[&str] = &["text/plain", "text/markdown", "text/csv", "text/html"];

/// The bytes as a source, or why they are none: an image is a PNG, JPEG, GIF or WebP, a document a
/// PDF or text. `content_type` is the header, which only decides between kinds of text.
pub fn identify(kind: Kind, content_type: Option<&str>, bytes: &[u8]) -> Result<Source, &'static str> {
    let inline =
        |media_type: &str| Source::Inline { media_type: media_type.to_owned(), base64: encode(bytes) };
    match kind {
        Kind::Image => image_type(bytes).map(inline).ok_or("it is no PNG, JPEG, GIF or WebP"),
        Kind::File if bytes.starts_with(b"%PDF-") => Ok(inline("application/pdf")),
        Kind::File => {
            let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
            let text = text.filter(|text| !text.trim().is_empty()).ok_or("it is neither a PDF nor text")?;
            let told = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
            match TEXTS.iter().find(|known| told.eq_ignore_ascii_case(known)) {
                Some(known) if *known != "text/plain" => Ok(inline(known)),
                _ => Ok(Source::Text(text.to_owned())),
            }
        }
    }
}

fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// Base64 with padding (RFC 4648, section 4).
fn encode(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
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
