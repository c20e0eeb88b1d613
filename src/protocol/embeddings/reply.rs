//! The reply to a request for embeddings: read from any upstream into one form, and written once
//! in OpenRouter's shape. Vectors are copied as they came unless their encoding has to change.

use super::face::EmbeddingsRequest;
use super::upstream::Dialect;
use super::vector::{self, Packing};
use super::wire;
use crate::chat::{Bill, Facts, Identity, Quirks, ReplyFault, Usage};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::usage::{cost_members, count, reported_cost, safe};

/// A reply that can be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingsReply {
    /// `usage` is `None` where the provider counted nothing.
    pub facts: Facts,
    /// How many embeddings there are; as many as were asked for.
    pub count: u32,
    /// How many numbers each has.
    pub dimensions: usize,
    /// The elements of `data`, as the client wants them.
    data: Vec<u8>,
    /// The JSON text of `prompt_tokens_details`.
    details: Option<String>,
}

/// Reads a body that came with status 200 from a provider of OpenAI's kind.
pub fn read_reply(
    body: &[u8],
    request: &EmbeddingsRequest,
    dialect: Dialect,
    quirks: &Quirks,
) -> Result<EmbeddingsReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = open(&text)?;
    let packing = match dialect {
        Dialect::OpenAi | Dialect::Compatible | Dialect::Mistral | Dialect::Voyage => Packing::Floats,
        Dialect::Perplexity => Packing::Bytes,
    };
    let items = reply.array("data").unwrap_or_default();
    let mut vectors = vec![""; items.len()];
    for (position, item) in items.iter().enumerate() {
        let Ok(item) = json::members(item) else { continue };
        let index = item.get("index").and_then(json::whole).map_or(position, |index| index as usize);
        if let Some(place) = vectors.get_mut(index) {
            *place = item.value("embedding").unwrap_or_default();
        }
    }
    let mut read = EmbeddingsReply::default();
    read.take_vectors(&vectors, packing, request)?;
    read.facts.upstream_id = reply.string("id").map(|id| id.into_owned());
    if let Some(usage) = reply.object("usage") {
        read.read_usage(&usage, quirks);
    }
    Ok(read)
}

/// The members of a body, unless it reports an error.
pub(super) fn open(text: &str) -> Result<Members<'_>, ReplyFault> {
    let reply = json::members(fault::first_object(text)).map_err(|e| ReplyFault::NotJson(e.to_string()))?;
    match wire::fault_in(&reply, text.trim()) {
        Some(fault) => Err(ReplyFault::Error(fault)),
        None => Ok(reply),
    }
}

impl EmbeddingsReply {
    /// Takes the vectors over, one for each input, in the encoding that the client wants.
    pub(super) fn take_vectors(
        &mut self,
        vectors: &[&str],
        packing: Packing,
        request: &EmbeddingsRequest,
    ) -> Result<(), ReplyFault> {
        if vectors.is_empty() {
            return Err(ReplyFault::Empty);
        }
        if vectors.len() != request.count as usize {
            let (got, wanted) = (vectors.len(), request.count);
            let message = format!("The provider sent {got} embeddings for {wanted} inputs.");
            return Err(ReplyFault::Error(fault::worded(message)));
        }
        for (index, vector) in vectors.iter().enumerate() {
            let open = if index > 0 { "," } else { "" };
            self.data
                .extend_from_slice(format!("{open}{{\"object\":\"embedding\",\"embedding\":").as_bytes());
            let written = vector::write(vector, packing, request.encoding, &mut self.data);
            self.dimensions = written
                .map_err(|what| ReplyFault::Error(fault::worded(format!("The provider sent {what}."))))?;
            self.data.extend_from_slice(format!(",\"index\":{index}}}").as_bytes());
        }
        self.count = request.count;
        self.facts.began = true;
        self.facts.done = true;
        Ok(())
    }

    /// Sets the tokens by modality, where there is more than one.
    pub(super) fn set_details(&mut self, details: &[(&str, u64)]) {
        let some: Vec<String> = details
            .iter()
            .filter(|(_, tokens)| *tokens > 0)
            .map(|(name, tokens)| format!("\"{name}\":{}", safe(*tokens)))
            .collect();
        self.details = (some.len() > 1).then(|| format!("{{{}}}", some.join(",")));
    }

    fn read_usage(&mut self, usage: &Members<'_>, quirks: &Quirks) {
        // Voyage gives the total alone.
        let total = count(usage, "prompt_tokens").or_else(|| count(usage, "total_tokens"));
        let names = ["text_tokens", "image_tokens", "audio_tokens", "video_tokens", "file_tokens"];
        let details = usage
            .object("prompt_tokens_details")
            .map(|details| names.map(|name| (name, count(&details, name).unwrap_or(0))));
        let details = details.unwrap_or(names.map(|name| (name, 0)));
        self.set_details(&details);
        self.facts.usage = total.map(|total| {
            let audio = details[2].1.min(total);
            Usage { input: total - audio, input_audio: audio, ..Usage::default() }
        });
        self.facts.cost = reported_cost(usage, quirks);
    }
}

/// Writes the reply for the client.
pub fn write_reply(reply: &EmbeddingsReply, identity: &Identity, bill: &Bill) -> Vec<u8> {
    let mut out = Vec::with_capacity(reply.data.len() + 512);
    out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    out.extend_from_slice(&reply.data);
    out.extend_from_slice(b"],\"model\":");
    json::write_string(&identity.model, &mut out);
    out.extend_from_slice(b",\"usage\":");
    write_usage(reply, bill, &mut out);
    out.extend_from_slice(b",\"provider\":");
    json::write_string(&identity.provider, &mut out);
    out.extend_from_slice(b",\"id\":");
    json::write_string(&identity.generation, &mut out);
    if let Some(metadata) = &bill.metadata {
        out.extend_from_slice(format!(",\"openrouter_metadata\":{metadata}").as_bytes());
    }
    out.push(b'}');
    out
}

fn write_usage(reply: &EmbeddingsReply, bill: &Bill, out: &mut Vec<u8>) {
    let tokens = safe(bill.usage.total_input());
    let details = reply.details.as_ref();
    let details = details.map(|it| format!(",\"prompt_tokens_details\":{it}")).unwrap_or_default();
    let text =
        format!(r#"{{"prompt_tokens":{tokens},"total_tokens":{tokens}{details},{}}}"#, cost_members(bill),);
    out.extend_from_slice(text.as_bytes());
}
