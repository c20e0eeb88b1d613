//! Seals of other issuers on their way through Anthropic's clients, which return signatures and
//! redacted thinking exactly as they got them. An envelope tells what a signature really is; it
//! is never sent to a provider.

use crate::chat::conversation::{Issuer, Seal};

/// No signature of Anthropic's can begin so: they are base64.
pub(super) const MARK: &str = "millrace-seal-v1|";

/// What an envelope holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    /// `None` where the reasoning came without a seal.
    pub seal: Option<Seal>,
    /// The tool call that the seal belongs to (Gemini's).
    pub call: Option<String>,
}

/// The signature of a block: Anthropic's own as it is, another's in an envelope. A signature is
/// never empty: clients drop such a block, or stumble over it.
pub(super) fn write(seal: Option<&Seal>, call: Option<&str>) -> String {
    match seal {
        Some(seal) if seal.issuer == Issuer::Anthropic && call.is_none() && !seal.data.is_empty() => {
            seal.data.clone()
        }
        Some(seal) => {
            let id = seal.id.as_deref().unwrap_or_default();
            let issuer = seal.issuer.format();
            let fields = [issuer, &escape(id), &escape(call.unwrap_or_default())];
            format!("{MARK}{}|{}", fields.join("|"), seal.data)
        }
        None => format!("{MARK}unknown|||"),
    }
}

/// Reads a signature as a client sends it back.
pub(super) fn read(signature: &str) -> Envelope {
    let none = Envelope { seal: None, call: None };
    if signature.is_empty() {
        return none;
    }
    let own = |data: &str, issuer, id| Some(Seal { issuer, data: data.to_owned(), id });
    let Some(fields) = signature.strip_prefix(MARK) else {
        return Envelope { seal: own(signature, Issuer::Anthropic, None), call: None };
    };
    let mut fields = fields.splitn(4, '|');
    let (Some(issuer), Some(id), Some(call), Some(data)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return none;
    };
    let text = |field: &str| Some(unescape(field)).filter(|text| !text.is_empty());
    let id = text(id);
    let seal = (!data.is_empty() || id.is_some()).then(|| own(data, Issuer::of_format(issuer), id)).flatten();
    Envelope { seal, call: text(call) }
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('|', "%7C")
}

fn unescape(text: &str) -> String {
    text.replace("%7C", "|").replace("%25", "%")
}
