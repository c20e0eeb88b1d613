//! Gemini's `batchEmbedContents`: one request for each input, vectors without an index, and usage
//! only from the newer models.

use super::face::EmbeddingsRequest;
use super::reply::{self, EmbeddingsReply};
use super::upstream::{Piece, data_url, read_inputs, unknown_losses};
use super::vector::Packing;
use crate::chat::{ReplyFault, Usage};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::fields::{accepted_bytes, must_be};
use crate::protocol::lane::{Target, Written};
use crate::protocol::usage::count;

const WIRE: &str = "Gemini's embeddings";

/// Writes the body for `…:batchEmbedContents`. `body` is one that `read_request` accepted.
pub fn write_request(body: &[u8], target: &Target<'_>) -> Result<Written, Failure> {
    let request = accepted_bytes(body);
    let mut losses = unknown_losses(&request, WIRE);
    let name = target.model.strip_prefix("models/").unwrap_or(target.model);
    let mut options = String::new();
    if let Some(dimensions) = request.value("dimensions") {
        options.push_str(&format!(",\"outputDimensionality\":{dimensions}"));
    }
    if let Some(kind) = request.string("input_type") {
        match task_type(&kind) {
            Some(task) => options.push_str(&format!(",\"taskType\":\"{task}\"")),
            None => losses.push(format!("input_type: not expressible in {WIRE}")),
        }
    }
    let model = json::quote(&format!("models/{name}"));
    let mut requests = Vec::new();
    for (position, pieces) in read_inputs(&request, WIRE)?.iter().enumerate() {
        let parts: Result<Vec<String>, Failure> = pieces.iter().map(|piece| part(piece, position)).collect();
        requests
            .push(format!("{{\"model\":{model},\"content\":{{\"parts\":[{}]}}{options}}}", parts?.join(",")));
    }
    let body = format!("{{\"requests\":[{}]}}", requests.join(",")).into_bytes();
    Ok(Written { body, losses, ..Written::default() })
}

fn part(piece: &Piece<'_>, position: usize) -> Result<String, Failure> {
    let inline = |media_type: &str, base64: &str| {
        let (media_type, base64) = (json::quote(media_type), json::quote(base64));
        format!("{{\"inlineData\":{{\"mimeType\":{media_type},\"data\":{base64}}}}}")
    };
    match piece {
        Piece::Text(text) => Ok(format!("{{\"text\":{text}}}")),
        Piece::Data { media_type, base64 } => Ok(inline(media_type, base64)),
        Piece::Image { url } => match data_url(url) {
            Some((media_type, base64)) => Ok(inline(media_type, base64)),
            None => Err(must_be(
                &format!("input[{position}].content"),
                "free of links: send pictures as `data:` URLs",
            )),
        },
    }
}

/// Gemini's word for what an embedding is for.
pub(super) fn task_type(input_type: &str) -> Option<&'static str> {
    match input_type {
        "search_query" | "query" | "RETRIEVAL_QUERY" => Some("RETRIEVAL_QUERY"),
        "search_document" | "document" | "RETRIEVAL_DOCUMENT" => Some("RETRIEVAL_DOCUMENT"),
        "classification" | "CLASSIFICATION" => Some("CLASSIFICATION"),
        "clustering" | "CLUSTERING" => Some("CLUSTERING"),
        "semantic_similarity" | "SEMANTIC_SIMILARITY" => Some("SEMANTIC_SIMILARITY"),
        "question_answering" | "QUESTION_ANSWERING" => Some("QUESTION_ANSWERING"),
        "fact_verification" | "FACT_VERIFICATION" => Some("FACT_VERIFICATION"),
        "code_retrieval_query" | "CODE_RETRIEVAL_QUERY" => Some("CODE_RETRIEVAL_QUERY"),
        _ => None,
    }
}

/// Reads a body that came with status 200.
pub fn read_reply(body: &[u8], request: &EmbeddingsRequest) -> Result<EmbeddingsReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = reply::open(&text)?;
    let single = reply.object("embedding").map(|_| reply.get("embedding").into_iter().collect());
    let items: Vec<&str> = reply.array("embeddings").or(single).unwrap_or_default();
    let vectors: Vec<&str> =
        items.iter().filter_map(|item| json::members(item).ok()?.value("values")).collect();
    let mut read = EmbeddingsReply::default();
    read.take_vectors(&vectors, Packing::Floats, request)?;
    if let Some(usage) = reply.object("usageMetadata") {
        read_usage(&usage, &mut read);
    }
    Ok(read)
}

/// The count of the prompt, and by modality where there are several.
fn read_usage(usage: &Members<'_>, reply: &mut EmbeddingsReply) {
    let Some(total) = count(usage, "promptTokenCount") else { return };
    let mut audio = 0;
    let mut details = Vec::new();
    let all = usage.array("promptTokenDetails").or_else(|| usage.array("promptTokensDetails"));
    for detail in all.unwrap_or_default().iter().filter_map(|detail| json::members(detail).ok()) {
        let tokens = count(&detail, "tokenCount").unwrap_or(0);
        let name = match detail.string("modality").unwrap_or_default().as_ref() {
            "TEXT" => "text_tokens",
            "IMAGE" => "image_tokens",
            "VIDEO" => "video_tokens",
            "DOCUMENT" => "file_tokens",
            "AUDIO" => {
                audio = tokens.min(total);
                "audio_tokens"
            }
            _ => continue,
        };
        details.push((name, tokens));
    }
    reply.facts.usage = Some(Usage { input: total - audio, input_audio: audio, ..Usage::default() });
    reply.set_details(&details);
}
