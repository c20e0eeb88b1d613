//! What a reasoning item carries that only its issuer can read, and how a seal of another issuer
//! gets through clients that know of `encrypted_content` alone: in an envelope of the gateway's.
//! An envelope is no secret and proves nothing; it only says whose the seal within is.

use crate::chat::conversation::{Issuer, Seal};
use crate::json::Members;

/// Opens an envelope: `millrace-1:<format>:<what it seals>:<data>`.
const ENVELOPE: &str = "millrace-1:";
/// Begins the ids of items that the gateway made up. No provider has ever heard of them.
pub(super) const OWN_ID: &str = "_mr_";

/// What a seal is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// The text of its own item.
    Text,
    /// Reasoning that cannot be read.
    Hidden,
    /// The call with this id (Gemini).
    Call(String),
}

/// `encrypted_content` for a seal. OpenAI's own goes bare, as OpenAI's clients know it.
pub(super) fn encrypted_content(seal: &Seal, sealed: &Sealed) -> String {
    let plain = match sealed {
        Sealed::Text | Sealed::Hidden => seal.issuer == Issuer::OpenAi,
        Sealed::Call(_) => false,
    };
    if plain {
        return seal.data.clone();
    }
    let about = match sealed {
        Sealed::Text => "text".to_owned(),
        Sealed::Hidden => "hidden".to_owned(),
        // The length tells where an id ends that holds a colon.
        Sealed::Call(id) => format!("call{}:{id}", id.len()),
    };
    format!("{ENVELOPE}{}:{about}:{}", seal.issuer.format(), seal.data)
}

/// The seal of a reasoning item: of the envelope, or under OpenRouter's names `signature` and
/// `format`, or OpenAI's.
pub(super) fn read(item: &Members<'_>) -> Option<(Seal, Sealed)> {
    let id = item.string("id").filter(|id| !id.contains(OWN_ID)).map(|id| id.into_owned());
    let encrypted = item.string("encrypted_content").filter(|text| !text.is_empty());
    if let Some((issuer, sealed, data)) = encrypted.as_deref().and_then(open) {
        return Some((Seal { issuer, data: data.to_owned(), id }, sealed));
    }
    let format = item.string("format");
    if let Some(signature) = item.string("signature").filter(|text| !text.is_empty()) {
        let issuer = format.map_or(Issuer::Anthropic, |format| Issuer::of_format(&format));
        return Some((Seal { issuer, data: signature.into_owned(), id }, Sealed::Text));
    }
    let data = encrypted?.into_owned();
    let issuer = match format {
        Some(format) => Issuer::of_format(&format),
        None => guess(&data),
    };
    // Anthropic's ciphertexts stand for thoughts; its proofs of a text are signatures.
    let sealed = if issuer == Issuer::Anthropic { Sealed::Hidden } else { Sealed::Text };
    Some((Seal { issuer, data, id }, sealed))
}

/// Takes an envelope apart.
pub(super) fn open(text: &str) -> Option<(Issuer, Sealed, &str)> {
    let (format, rest) = text.strip_prefix(ENVELOPE)?.split_once(':')?;
    let issuer = Issuer::of_format(format);
    let (about, rest) = rest.split_once(':')?;
    match about {
        "text" => Some((issuer, Sealed::Text, rest)),
        "hidden" => Some((issuer, Sealed::Hidden, rest)),
        _ => {
            let length: usize = about.strip_prefix("call")?.parse().ok()?;
            let id = rest.get(..length)?.to_owned();
            Some((issuer, Sealed::Call(id), rest.get(length..)?.strip_prefix(':')?))
        }
    }
}

/// Whose `encrypted_content` is that nobody labelled: OpenAI's are Fernet tokens of version 0x80.
pub(super) fn guess(data: &str) -> Issuer {
    if data.starts_with("gAAAA") { Issuer::OpenAi } else { Issuer::Unknown }
}
