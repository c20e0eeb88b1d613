//! What Gemini grounds its words on, as citations, and back. Google counts places in bytes of
//! UTF-8, everyone else in characters.

use crate::chat::Citation;
use crate::json::{self, Members};

/// As many as are taken: each is looked up in the text.
pub(super) const MOST: usize = 1024;

/// Reads `groundingMetadata` for the `text` that was said.
pub(super) fn from_grounding(raw: &str, text: &str) -> Vec<Citation> {
    let Ok(grounding) = json::members(raw) else { return Vec::new() };
    let chunks = grounding.array("groundingChunks").unwrap_or_default();
    let sources: Vec<Option<Citation>> = chunks.into_iter().map(source).collect();
    let supports = grounding.array("groundingSupports").unwrap_or_default();
    let mut citations = Vec::new();
    let mut used = vec![false; sources.len()];
    for support in supports.iter().take(MOST).filter_map(|support| json::members(support).ok()) {
        let (start, end) = place(support.object("segment").as_ref(), text);
        for index in support.array("groundingChunkIndices").unwrap_or_default() {
            let index = json::whole(index).and_then(|index| usize::try_from(index).ok());
            let Some((index, Some(source))) = index.and_then(|index| Some((index, sources.get(index)?)))
            else {
                continue;
            };
            used[index] = true;
            citations.push(Citation { start, end, ..source.clone() });
        }
    }
    let unused = sources.into_iter().zip(used).filter(|(_, used)| !used);
    citations.extend(unused.filter_map(|(source, _)| source));
    citations.truncate(MOST);
    citations
}

/// Reads one element of `citationSources`, or of Vertex's `citations`.
pub(super) fn from_source(raw: &str, text: &str) -> Option<Citation> {
    let source = json::members(raw).ok()?;
    let url = source.string("uri").filter(|uri| !uri.is_empty())?.into_owned();
    let title = source.string("title").map(|title| title.into_owned());
    let (start, end) = place(Some(&source), text);
    Some(Citation { url, title, content: None, start, end })
}

fn source(raw: &str) -> Option<Citation> {
    let chunk = json::members(raw).ok()?;
    let web = chunk.object("web").or_else(|| chunk.object("retrievedContext"))?;
    let own = |key| web.string(key).map(|text| text.into_owned());
    let url = own("uri").or_else(|| own("fileSearchStore")).unwrap_or_default();
    Some(Citation { url, title: own("title"), content: own("text"), start: None, end: None })
}

/// Where a segment stands, in characters; a start of 0 is left out on the wire.
fn place(segment: Option<&Members<'_>>, text: &str) -> (Option<u64>, Option<u64>) {
    let Some(segment) = segment else { return (None, None) };
    let Some(end) = segment.value("endIndex").and_then(json::whole) else { return (None, None) };
    let start = segment.value("startIndex").and_then(json::whole).unwrap_or(0);
    (Some(characters(text, start)), Some(characters(text, end)))
}

fn characters(text: &str, bytes: u64) -> u64 {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(text.len());
    text[..text.floor_char_boundary(bytes)].chars().count() as u64
}

/// Writes `groundingMetadata` for the citations of the `text` that was said.
pub(super) fn write(citations: &[Citation], text: &str) -> String {
    let chunks: Vec<String> = citations.iter().map(chunk).collect();
    let supports: Vec<String> =
        citations.iter().enumerate().filter_map(|(place, citation)| support(place, citation, text)).collect();
    format!("{{\"groundingChunks\":[{}],\"groundingSupports\":[{}]}}", chunks.join(","), supports.join(","))
}

fn chunk(citation: &Citation) -> String {
    let title = citation.title.as_ref().map(|title| format!(",\"title\":{}", json::quote(title)));
    format!("{{\"web\":{{\"uri\":{}{}}}}}", json::quote(&citation.url), title.unwrap_or_default())
}

fn support(place: usize, citation: &Citation, text: &str) -> Option<String> {
    let (start, end) = (citation.start?, citation.end?);
    let (start, end) = (bytes(text, start), bytes(text, end));
    let words = text.get(start..end)?;
    Some(format!(
        "{{\"segment\":{{\"startIndex\":{start},\"endIndex\":{end},\"text\":{}}},\"groundingChunkIndices\":[{place}]}}",
        json::quote(words)
    ))
}

fn bytes(text: &str, characters: u64) -> usize {
    let place = usize::try_from(characters).unwrap_or(usize::MAX);
    text.char_indices().nth(place).map_or(text.len(), |(place, _)| place)
}
