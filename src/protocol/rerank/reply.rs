//! The reply to a request to rerank: read from any upstream into one form, and written once in
//! OpenRouter's shape. Scores keep the digits that the provider gave them.

use super::face::RerankRequest;
use super::wire;
use crate::chat::{Bill, Facts, Identity, ReplyFault, Usage};
use crate::json::{self, Members};
use crate::protocol::fault;
use crate::protocol::fields::accepted_bytes;
use crate::protocol::usage::{cost_members, count, safe};

/// A reply that can be delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RerankReply {
    pub facts: Facts,
    /// What Cohere bills by: one for each query with up to 100 documents.
    pub search_units: Option<u64>,
    /// In the provider's order, which is the best first.
    pub results: Vec<RerankResult>,
}

/// One document's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RerankResult {
    /// The document's position in the request.
    pub index: u32,
    /// JSON number as text.
    pub score: String,
}

/// Reads a body that came with status 200, in Cohere's, Jina's or Voyage's form.
pub fn read_reply(body: &[u8], request: &RerankRequest) -> Result<RerankReply, ReplyFault> {
    let text = crate::bytes::text(body);
    let reply = json::members(fault::first_object(&text)).map_err(|e| ReplyFault::NotJson(e.to_string()))?;
    if let Some(fault) = wire::fault_in(&reply, text.trim()) {
        return Err(ReplyFault::Error(fault));
    }
    // Voyage puts them under `data`.
    let items = reply.array("results").or_else(|| reply.array("data")).unwrap_or_default();
    if items.is_empty() {
        return Err(ReplyFault::Empty);
    }
    let broken = |what: &str| ReplyFault::Error(fault::worded(format!("The provider sent {what}.")));
    let mut results: Vec<RerankResult> = Vec::new();
    let mut seen = vec![false; request.count as usize];
    for item in items {
        let result = json::members(item).ok().and_then(|item| read_result(&item));
        let result = result.ok_or_else(|| broken("a result without an index or a score"))?;
        match seen.get_mut(result.index as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(broken("two results for one document")),
            None => return Err(broken("a result for a document that was not sent")),
        }
        results.push(result);
    }
    let search_units = billed(&reply).and_then(|billed| count(&billed, "search_units"));
    let facts = Facts {
        began: true,
        done: true,
        usage: read_usage(&reply, search_units),
        upstream_id: reply.string("id").map(|id| id.into_owned()),
        ..Facts::default()
    };
    Ok(RerankReply { facts, search_units, results })
}

fn read_result(item: &Members<'_>) -> Option<RerankResult> {
    let score = item.value("relevance_score").or_else(|| item.value("score"))?;
    let number = score.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    let index = item.get("index").and_then(json::whole).and_then(|index| u32::try_from(index).ok())?;
    number.then(|| RerankResult { index, score: score.to_owned() })
}

fn billed<'a>(reply: &Members<'a>) -> Option<Members<'a>> {
    reply.object("meta").and_then(|meta| meta.object("billed_units"))
}

/// Who bills by searches has used no tokens.
fn read_usage(reply: &Members<'_>, search_units: Option<u64>) -> Option<Usage> {
    let usage = reply.object("usage");
    let tokens =
        usage.as_ref().and_then(|it| count(it, "total_tokens").or_else(|| count(it, "prompt_tokens")));
    let tokens = tokens.or_else(|| billed(reply).and_then(|billed| count(&billed, "input_tokens")));
    let tokens = tokens.or_else(|| search_units.map(|_| 0));
    let searches = search_units.unwrap_or(0);
    tokens.map(|input| Usage { input, searches, ..Usage::default() })
}

/// Writes the reply for the client. `body` is the client's request, whose documents are repeated.
pub fn write_reply(
    reply: &RerankReply,
    request: &RerankRequest,
    body: &[u8],
    identity: &Identity,
    bill: &Bill,
) -> Vec<u8> {
    let members = accepted_bytes(body);
    let documents = members.array("documents").unwrap_or_default();
    let results: Vec<String> = reply
        .results
        .iter()
        .map(|result| {
            let document = documents.get(result.index as usize).filter(|_| request.return_documents);
            let (index, score) = (result.index, &result.score);
            let document = document.map_or_else(|| "{}".to_owned(), |raw| write_document(raw));
            format!("{{\"index\":{index},\"relevance_score\":{score},\"document\":{document}}}")
        })
        .collect();
    let mut usage = String::new();
    if let Some(units) = reply.search_units {
        usage.push_str(&format!("\"search_units\":{},", safe(units)));
    }
    if bill.usage.total() > 0 {
        usage.push_str(&format!("\"total_tokens\":{},", safe(bill.usage.total())));
    }
    let metadata = bill.metadata.as_ref().map(|it| format!(",\"openrouter_metadata\":{it}"));
    format!(
        "{{\"id\":{},\"model\":{},\"provider\":{},\"results\":[{}],\"usage\":{{{usage}{}}}{}}}",
        json::quote(&identity.generation),
        json::quote(&identity.model),
        json::quote(&identity.provider),
        results.join(","),
        cost_members(bill),
        metadata.unwrap_or_default(),
    )
    .into_bytes()
}

/// A document as results repeat it: an object, whatever it was sent as.
fn write_document(raw: &str) -> String {
    if raw.starts_with('"') { format!("{{\"text\":{raw}}}") } else { raw.to_owned() }
}
