//! An estimate of a request's input tokens, for models whose provider does not count them in
//! this protocol's way. It is an estimate, and callers have to say so.

use super::face::read_request;
use super::read::read_conversation;
use crate::chat::RequestSize;
use crate::error::Failure;
use crate::json::Outlined;
use crate::tokens;

/// Bytes of JSON to a token, where a request has parts that only Anthropic can read.
const BYTES_PER_TOKEN: u64 = 4;
/// A picture of the usual greatest size (1568 pixels) in Anthropic's reckoning.
const TOKENS_PER_IMAGE: u64 = 1_600;
/// A page of a PDF is about this many bytes and tokens.
const BYTES_PER_PAGE: u64 = 50_000;
const TOKENS_PER_PAGE: u64 = 2_000;

/// Estimates the input tokens of a request in time linear in its size, by the ways of its model.
pub fn count_tokens_estimate(body: &Outlined) -> Result<u64, Failure> {
    let request = read_request(body)?;
    let model = request.model.unwrap_or_default();
    let estimate = read_conversation(body).map(|conversation| tokens::estimate(&conversation, &model));
    Ok(estimate.unwrap_or_else(|_| by_size(&request.size)))
}

fn by_size(size: &RequestSize) -> u64 {
    let text = size.text_bytes.div_ceil(BYTES_PER_TOKEN);
    let images = u64::from(size.images) * TOKENS_PER_IMAGE;
    let pages = match size.files {
        0 => 0,
        files => (size.inline_bytes / BYTES_PER_PAGE).max(u64::from(files)),
    };
    text.saturating_add(images).saturating_add(pages.saturating_mul(TOKENS_PER_PAGE)).max(1)
}
