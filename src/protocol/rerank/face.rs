//! A client's request to rerank documents: what routing, pricing and the reply have to know of it.

use crate::chat::{ChatRequest, Needs, RequestSize};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::fields::{
    self, must_be, read_boolean, read_elements, read_limit, read_object, read_string,
};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankRequest {
    pub model: String,
    /// How many documents there are to rank; at least 1.
    pub count: u32,
    /// How many results are wanted at most; all where the client names none.
    pub top_n: Option<u64>,
    /// Whether results repeat their documents: they do unless the client says no.
    pub return_documents: bool,
    /// The JSON text of the `provider` object, for routing.
    pub provider: Option<String>,
    pub user: Option<String>,
    pub needs: Needs,
    pub size: RequestSize,
}

impl RerankRequest {
    /// What routing has to know of it, in the words that it knows.
    pub fn routed(&self) -> ChatRequest {
        ChatRequest {
            model: Some(self.model.clone()),
            provider: self.provider.clone(),
            needs: self.needs.clone(),
            size: self.size,
            user: self.user.clone(),
            ..ChatRequest::default()
        }
    }
}

/// Members that are read here or replaced on the way. Of two, the gateway and the provider might
/// each go by another.
const READ: &[&str] = &[
    "model",
    "models",
    "query",
    "documents",
    "top_n",
    "top_k",
    "return_documents",
    "provider",
    "user",
    "stream",
    "plugins",
    "preset",
];

/// Cohere bills a search for each 100 documents, and takes one of more than 500 tokens, the query
/// included, for several. A token is at least a byte.
const TOKENS_PER_PIECE: u64 = 500;
const PIECES_PER_SEARCH: u64 = 100;

const DOCUMENTS: &str = "an array of strings or of objects with `text` or `image`";

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the query or a document.
pub fn read_request(body: &[u8]) -> Result<RerankRequest, Failure> {
    let text = fields::read_text(body)?;
    let members = fields::read_text_members(text, READ)?;
    refuse_unsupported(&members)?;
    let model = read_string(&members, "model")?.filter(|model| !model.is_empty());
    let query = read_string(&members, "query")?
        .ok_or_else(|| Failure::invalid("`query` is missing: it must be a string."))?;
    let mut request = RerankRequest {
        model: model.ok_or_else(|| Failure::invalid("`model` is missing: it must be a string."))?,
        count: 0,
        top_n: read_limit(&members, "top_n")?,
        return_documents: read_boolean(&members, "return_documents")?.unwrap_or(true),
        provider: read_object(&members, "provider")?.map(str::to_owned),
        user: read_string(&members, "user")?,
        needs: Needs::default(),
        size: RequestSize { choices: 1, ..RequestSize::default() },
    };
    read_documents(&members, &mut request)?;
    let size = &mut request.size;
    size.text_bytes = (text.len() as u64).saturating_sub(size.inline_bytes);
    size.inputs = request.count;
    size.repeated_bytes = (query.len() as u64).saturating_mul(u64::from(request.count) - 1);
    let pieces = (size.bytes_read() / TOKENS_PER_PIECE).saturating_add(u64::from(request.count));
    size.searches = pieces.div_ceil(PIECES_PER_SEARCH);
    Ok(request)
}

fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    let hollow = |value: &str| matches!(value, "[]" | "\"\"" | "false");
    for name in ["models", "plugins", "preset", "stream"] {
        if body.value(name).is_some_and(|value| !hollow(value)) {
            return Err(Failure::invalid(format!("`{name}` is not supported on rerank.")));
        }
    }
    // Voyage's name of it: passed on, it would stand beside ours.
    match body.value("top_k") {
        Some(_) => Err(Failure::invalid("`top_k` is not supported on rerank; use `top_n`.")),
        None => Ok(()),
    }
}

fn read_documents(body: &Members<'_>, request: &mut RerankRequest) -> Result<(), Failure> {
    let missing = || Failure::invalid(format!("`documents` is missing: it must be {DOCUMENTS}."));
    let documents = read_elements(body.value("documents").ok_or_else(missing)?, "documents", DOCUMENTS)?;
    if documents.is_empty() {
        return Err(must_be("documents", "not empty"));
    }
    request.count = documents.len() as u32;
    for (position, document) in documents.iter().enumerate() {
        if !document.starts_with('"') {
            read_document(document, &format!("documents[{position}]"), request)?;
        }
    }
    Ok(())
}

fn read_document(raw: &str, path: &str, request: &mut RerankRequest) -> Result<(), Failure> {
    let document =
        json::members(raw).map_err(|_| must_be(path, "a string or an object with `text` or `image`"))?;
    let is_string = |value: &&str| value.starts_with('"');
    for name in ["text", "image"] {
        if document.value(name).is_some_and(|value| !is_string(&value)) {
            return Err(must_be(&format!("{path}.{name}"), "a string"));
        }
    }
    if let Some(image) = document.value("image") {
        request.needs.images = true;
        request.size.images += 1;
        request.size.inline_bytes += if image.starts_with("\"http") { 0 } else { image.len() as u64 - 2 };
    } else if document.value("text").is_none() {
        return Err(must_be(path, "a string or an object with `text` or `image`"));
    }
    Ok(())
}
