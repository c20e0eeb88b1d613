//! The request as a provider gets it: the client's bytes with the few members changed that the
//! gateway owns or that the provider spells in another way.

use crate::catalog::Protocol;
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members};
use crate::protocol::fields::{accepted_bytes, must_be, read_elements, unheeded};
use crate::protocol::lane::{Target, Written};

/// Whose form of rerank a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `POST /v2/rerank`: documents are strings.
    Cohere,
    /// Jina, vLLM, Together: documents as the client sent them, `top_n`.
    Jina,
    /// Documents are strings, `top_k`.
    Voyage,
}

impl Dialect {
    /// What is spoken in `wire` with the provider that goes by the slug.
    pub fn of(wire: Protocol, provider: &str) -> Dialect {
        match (wire, provider) {
            (Protocol::Cohere, _) => Dialect::Cohere,
            (_, "voyage") => Dialect::Voyage,
            _ => Dialect::Jina,
        }
    }
}

/// Members that speak to the gateway. No provider gets them.
const OWN: &[&str] =
    &["models", "provider", "preset", "plugins", "stream", "session_id", "trace", "usage", "user"];

/// Writes the request for a provider. `body` is one that `read_request` accepted.
pub fn write_request(body: &[u8], target: &Target<'_>, dialect: Dialect) -> Result<Written, Failure> {
    let request = accepted_bytes(body);
    let plain = match dialect {
        Dialect::Cohere | Dialect::Voyage => Some(plain_documents(&request)?),
        Dialect::Jina => None,
    };
    let model = json::quote(target.model);
    let edit = |member: &Member<'_>| match (dialect, member.key.as_ref()) {
        (_, "model") => Edit::Value(model.clone()),
        // The gateway knows the documents: no provider has to send them back.
        (_, "return_documents") => Edit::Drop,
        (_, key) if OWN.contains(&key) => Edit::Drop,
        (_, "top_n") if json::is_null(member.value) => Edit::Drop,
        (_, "documents") => plain.clone().map_or(Edit::Keep, Edit::Value),
        (Dialect::Voyage, "top_n") => Edit::Member(format!("\"top_k\":{}", member.value)),
        (Dialect::Cohere | Dialect::Jina | Dialect::Voyage, _) => Edit::Keep,
    };
    let more = match dialect {
        // Unless told so Jina repeats every document.
        Dialect::Jina => vec!["\"return_documents\":false".to_owned()],
        Dialect::Cohere | Dialect::Voyage => Vec::new(),
    };
    let lost = request.value("user").map(|_| "user: not expressible in rerank".to_owned());
    let body = request.edit(edit, &more).into_bytes();
    let losses = lost.into_iter().chain(unheeded(&request, &["trace"])).collect();
    Ok(Written { body, losses, ..Written::default() })
}

/// The documents as strings alone, each spelt as it came.
fn plain_documents(request: &Members<'_>) -> Result<String, Failure> {
    let documents = request.value("documents").unwrap_or_default();
    let mut plain = Vec::new();
    for (position, document) in read_elements(documents, "documents", "an array")?.into_iter().enumerate() {
        let members = json::members(document).ok();
        let text = match &members {
            Some(members) if members.value("image").is_none() => members.value("text"),
            Some(_) => None,
            None => Some(document),
        };
        let path = format!("documents[{position}]");
        plain.push(text.ok_or_else(|| must_be(&path, "text: this provider ranks no pictures"))?);
    }
    Ok(format!("[{}]", plain.join(",")))
}
