//! Thought signatures. Gemini's own are base64 and go as they are. Those of other issuers reach a
//! client of this protocol in an envelope, itself base64, because the client sends back whatever
//! it got and Google's SDKs decode and encode it on the way.

use crate::base64;
use crate::chat::conversation::{Issuer, Seal};

/// Fifteen bytes: twenty letters of base64, the same in both alphabets.
const MARK: &str = "millrace seal 1";
const MARK_BASE64: &str = "bWlsbHJhY2Ugc2VhbCAx";

/// What Gemini 3 takes in place of the signature of a call that it did not make.
pub(super) const FOREIGN_CALL: &str = "skip_thought_signature_validator";
/// The placeholders that Google's documentation names. They seal nothing.
const PLACEHOLDERS: &[&str] = &[FOREIGN_CALL, "context_engineering_is_the_way_to_go"];

/// The `thoughtSignature` that stands for a seal.
pub(super) fn write(seal: &Seal) -> String {
    match seal.issuer {
        Issuer::Gemini => seal.data.clone(),
        Issuer::Anthropic | Issuer::OpenAi | Issuer::Xai | Issuer::Unknown => {
            let id = seal.id.as_deref().unwrap_or_default();
            let text = format!("{MARK}{}\n{id}\n{}", seal.issuer.format(), seal.data);
            base64::encode(text.as_bytes())
        }
    }
}

/// The seal that a `thoughtSignature` is; `None` for a placeholder.
pub(super) fn read(signature: &str) -> Option<Seal> {
    if signature.is_empty() || PLACEHOLDERS.contains(&signature) {
        return None;
    }
    Some(open(signature).unwrap_or_else(|| Seal {
        issuer: Issuer::Gemini,
        data: signature.to_owned(),
        id: None,
    }))
}

/// Whether a text may hold an envelope.
pub(super) fn may_hold_envelope(text: &str) -> bool {
    text.contains(MARK_BASE64)
}

pub(super) fn is_envelope(signature: &str) -> bool {
    signature.starts_with(MARK_BASE64)
}

fn open(signature: &str) -> Option<Seal> {
    if !is_envelope(signature) {
        return None;
    }
    let text = String::from_utf8(base64::decode(signature)?).ok()?;
    let (format, rest) = text.strip_prefix(MARK)?.split_once('\n')?;
    let (id, data) = rest.split_once('\n')?;
    let id = (!id.is_empty()).then(|| id.to_owned());
    Some(Seal { issuer: Issuer::of_format(format), data: data.to_owned(), id })
}
