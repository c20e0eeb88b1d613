//! Cohere's `POST /v2/embed`: texts, pictures or both, an input type that it insists on, and
//! vectors by type.

use super::face::EmbeddingsRequest;
use super::reply::{self, EmbeddingsReply};
use super::upstream::{Piece, read_inputs, unknown_losses};
use super::vector::Packing;
use crate::chat::{ReplyFault, Usage};
use crate::error::Failure;
use crate::json;
use crate::protocol::fields::{accepted_bytes, must_be};
use crate::protocol::lane::{Target, Written};
use crate::protocol::usage::count;

const WIRE: &str = "Cohere's embeddings";

/// Writes the body for `/v2/embed`. `body` is one that `read_request` accepted.
pub fn write_request(body: &[u8], target: &Target<'_>) -> Result<Written, Failure> {
    let request = accepted_bytes(body);
    let mut losses = unknown_losses(&request, WIRE);
    let wanted = request.string("input_type");
    let inputs = read_inputs(&request, WIRE)?;
    let plain = wanted.as_deref().is_none_or(|wanted| wanted == "image");
    let (name, values, image) = match only_images(&inputs) {
        Some(urls) if plain => ("images", urls, true),
        Some(_) | None => {
            let (name, values) = texts_or_inputs(&inputs)?;
            (name, values, false)
        }
    };
    let kind = match wanted.as_deref() {
        _ if image => "image",
        Some("search_query" | "query") => "search_query",
        Some("search_document" | "document") => "search_document",
        Some("classification") => "classification",
        Some("clustering") => "clustering",
        Some(_) => {
            losses.push(format!("input_type: not expressible in {WIRE}, sent as `search_document`"));
            "search_document"
        }
        None => {
            losses.push("input_type: required by Cohere, sent as `search_document`".to_owned());
            "search_document"
        }
    };
    let dimensions = request.value("dimensions");
    let dimensions = dimensions.map(|it| format!(",\"output_dimension\":{it}")).unwrap_or_default();
    let body = format!(
        "{{\"model\":{},\"input_type\":\"{kind}\",\"embedding_types\":[\"float\"]{dimensions},\"{name}\":[{}]}}",
        json::quote(target.model),
        values.join(","),
    );
    Ok(Written { body: body.into_bytes(), losses, ..Written::default() })
}

/// The links of the pictures, if every input is one picture.
fn only_images(inputs: &[Vec<Piece<'_>>]) -> Option<Vec<String>> {
    let url = |pieces: &Vec<Piece<'_>>| match pieces.as_slice() {
        [Piece::Image { url }] => Some(json::quote(url)),
        _ => None,
    };
    inputs.iter().map(url).collect()
}

/// Plain texts go under `texts`, which every model knows; else all goes under `inputs`.
fn texts_or_inputs(inputs: &[Vec<Piece<'_>>]) -> Result<(&'static str, Vec<String>), Failure> {
    let text = |pieces: &Vec<Piece<'_>>| match pieces.as_slice() {
        [Piece::Text(text)] => Some((*text).to_owned()),
        _ => None,
    };
    if let Some(texts) = inputs.iter().map(text).collect() {
        return Ok(("texts", texts));
    }
    let mut values = Vec::new();
    for (position, pieces) in inputs.iter().enumerate() {
        let parts: Result<Vec<String>, Failure> = pieces.iter().map(|piece| part(piece, position)).collect();
        values.push(format!("{{\"content\":[{}]}}", parts?.join(",")));
    }
    Ok(("inputs", values))
}

fn part(piece: &Piece<'_>, position: usize) -> Result<String, Failure> {
    match piece {
        Piece::Text(text) => Ok(format!("{{\"type\":\"text\",\"text\":{text}}}")),
        Piece::Image { url } => {
            Ok(format!("{{\"type\":\"image_url\",\"image_url\":{{\"url\":{}}}}}", json::quote(url)))
        }
        Piece::Data { .. } => Err(must_be(
            &format!("input[{position}].content"),
            "text and pictures: Cohere embeds nothing else",
        )),
    }
}

/// Reads a body that came with status 200.
pub fn read_reply(body: &[u8], request: &EmbeddingsRequest) -> Result<EmbeddingsReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = reply::open(&text)?;
    let by_type = reply.object("embeddings").and_then(|types| types.array("float"));
    // Version 1 sends the list itself.
    let vectors = by_type.or_else(|| reply.array("embeddings")).unwrap_or_default();
    let mut read = EmbeddingsReply::default();
    read.take_vectors(&vectors, Packing::Floats, request)?;
    read.facts.upstream_id = reply.string("id").map(|id| id.into_owned());
    if let Some(billed) = reply.object("meta").and_then(|meta| meta.object("billed_units")) {
        let (texts, images) = (count(&billed, "input_tokens"), count(&billed, "image_tokens"));
        let total = texts.unwrap_or(0).saturating_add(images.unwrap_or(0));
        // Older models count pictures, not their tokens: then there is no usage.
        let counted = texts.is_some() || images.is_some();
        read.facts.usage = counted.then(|| Usage { input: total, ..Usage::default() });
        read.set_details(&[("text_tokens", texts.unwrap_or(0)), ("image_tokens", images.unwrap_or(0))]);
    }
    Ok(read)
}
