//! Vertex AI's `:predict`: one instance of text for each input, and a count of tokens beside each
//! vector. <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>

use super::face::EmbeddingsRequest;
use super::gemini::{self, task_type};
use super::reply::{self, EmbeddingsReply};
use super::upstream::{Piece, read_inputs, unknown_losses};
use super::vector::Packing;
use crate::chat::{ReplyFault, Usage};
use crate::error::Failure;
use crate::json::{self, Edit, Member, Members};
use crate::protocol::fields::{accepted_bytes, must_be};
use crate::protocol::lane::{Target, Written};
use crate::protocol::usage::count;

const WIRE: &str = "Vertex AI's embeddings";
/// The most texts of one request. Models called `gemini-embedding-…` take one.
const MOST_TEXTS: usize = 250;

/// The method of a model: those since Gemini Embedding 2 are asked in Gemini's own words, but for
/// one embedding at a time.
pub fn method(model: &str) -> &'static str {
    if model.starts_with("gemini-embedding-2") { "embedContent" } else { "predict" }
}

/// Writes the body for the model's [`method`]. `body` is one that `read_request` accepted.
pub fn write_request(body: &[u8], target: &Target<'_>) -> Result<Written, Failure> {
    let request = accepted_bytes(body);
    if method(target.model) == "embedContent" {
        return write_content(&request, body, target);
    }
    let mut losses = unknown_losses(&request, WIRE);
    let mut task = String::new();
    if let Some(kind) = request.string("input_type") {
        match task_type(&kind) {
            Some(name) => task = format!(",\"task_type\":\"{name}\""),
            None => losses.push(format!("input_type: not expressible in {WIRE}")),
        }
    }
    let inputs = read_inputs(&request, WIRE)?;
    let most = if target.model.starts_with("gemini-embedding") { 1 } else { MOST_TEXTS };
    if inputs.len() > most {
        return Err(Failure::invalid(format!(
            "`input` holds more than the {most} that {WIRE} takes at once."
        )));
    }
    let instance = |(position, pieces): (usize, &Vec<Piece<'_>>)| match pieces.as_slice() {
        [Piece::Text(text)] => Ok(format!("{{\"content\":{text}{task}}}")),
        _ => Err(must_be(&format!("input[{position}]"), "one text")),
    };
    let instances: Result<Vec<String>, Failure> = inputs.iter().enumerate().map(instance).collect();
    let mut body = format!("{{\"instances\":[{}]", instances?.join(","));
    if let Some(dimensions) = request.value("dimensions") {
        body.push_str(&format!(",\"parameters\":{{\"outputDimensionality\":{dimensions}}}"));
    }
    body.push('}');
    Ok(Written { body: body.into_bytes(), losses, ..Written::default() })
}

/// The one request of Gemini's batch, without its model, which the address names.
fn write_content(request: &Members<'_>, body: &[u8], target: &Target<'_>) -> Result<Written, Failure> {
    if read_inputs(request, WIRE)?.len() > 1 {
        return Err(Failure::invalid(format!("`input` holds more than the 1 that {WIRE} takes at once.")));
    }
    let written = gemini::write_request(body, target)?;
    let batch = crate::bytes::text(&written.body);
    let requests = json::members(&batch).ok().and_then(|batch| batch.array("requests")).unwrap_or_default();
    let only = requests.first().and_then(|only| json::members(only).ok());
    let own = |member: &Member<'_>| if member.key == "model" { Edit::Drop } else { Edit::Keep };
    let body = only.map(|only| only.edit(own, &[]).into_bytes()).unwrap_or_default();
    Ok(Written { body, losses: written.losses, ..Written::default() })
}

/// Reads a body that came with status 200.
pub fn read_reply(body: &[u8], request: &EmbeddingsRequest) -> Result<EmbeddingsReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = reply::open(&text)?;
    if reply.value("embedding").is_some() {
        return gemini::read_reply(body, request);
    }
    let (mut vectors, mut tokens) = (Vec::new(), None::<u64>);
    for prediction in reply.array("predictions").unwrap_or_default() {
        let made = json::members(prediction).ok().and_then(|prediction| prediction.object("embeddings"));
        let Some(made) = made else { continue };
        vectors.extend(made.value("values"));
        let counted = made.object("statistics").and_then(|statistics| count(&statistics, "token_count"));
        if let Some(counted) = counted {
            tokens = Some(tokens.unwrap_or(0).saturating_add(counted));
        }
    }
    let mut read = EmbeddingsReply::default();
    read.take_vectors(&vectors, Packing::Floats, request)?;
    read.facts.usage = tokens.map(|input| Usage { input, ..Usage::default() });
    Ok(read)
}
