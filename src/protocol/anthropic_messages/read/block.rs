//! The blocks of a message, each as a part of a turn.

use std::collections::BTreeMap;

use super::{note_unspoken, only_anthropic, read_mark};
use crate::chat::conversation::{Part, ReasoningKind, Seal, Source, ToolCall, ToolResult};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::anthropic_messages::seal;
use crate::protocol::fields::{must_be, read_objects};

/// Reads blocks. Empty text is no part, and neither is what says nothing outside of Anthropic.
pub(super) fn read_blocks(value: &str, path: &str, unspoken: &mut Vec<String>) -> Result<Vec<Part>, Failure> {
    let mut blocks = Blocks { parts: Vec::new(), seals: Vec::new(), call_seals: BTreeMap::new(), unspoken };
    for (i, block) in read_objects(value, path, "an array of blocks")?.into_iter().enumerate() {
        blocks.read(&block?, &format!("{path}[{i}]"))?;
    }
    Ok(blocks.parts)
}

struct Blocks<'a> {
    parts: Vec<Part>,
    /// Seals of calls that are yet to come, as the writer of replies put them, by the places that calls have for them.
    seals: Vec<Option<Seal>>,
    call_seals: BTreeMap<String, usize>,
    unspoken: &'a mut Vec<String>,
}

impl Blocks<'_> {
    fn read(&mut self, block: &Members<'_>, path: &str) -> Result<(), Failure> {
        let kind = block.string("type").unwrap_or_default().into_owned();
        let known: &[&str] = match kind.as_str() {
            "text" => self.read_text(block, path)?,
            "image" => {
                let (source, cache) = (read_source(block, path, self.unspoken)?, read_mark(block));
                self.parts.push(Part::Image { source, detail: None, cache });
                &["source", "cache_control"]
            }
            "document" => self.read_document(block, path)?,
            "search_result" => self.read_search_result(block, path)?,
            "thinking" => self.read_thinking(block, path)?,
            "redacted_thinking" => self.read_redacted(block),
            "tool_use" => self.read_call(block, path)?,
            "tool_result" => self.read_result(block, path)?,
            "tool_reference" => {
                let name = required(block, "tool_name", path)?;
                self.parts.push(Part::Text { text: name, cache: read_mark(block) });
                &["tool_name", "cache_control"]
            }
            // A summary of what came before; all that is summed up still stands there as well.
            "compaction" => {
                self.unspoken.push(format!("{path}.type"));
                if let Some(text) = block.string("content").filter(|text| !text.is_empty()) {
                    self.parts.push(Part::Text { text: text.into_owned(), cache: read_mark(block) });
                }
                &["content", "cache_control"]
            }
            // Tells which of Anthropic's models spoke; nobody has to know.
            "fallback" => {
                self.unspoken.push(path.to_owned());
                return Ok(());
            }
            _ => return Err(only_anthropic(&format!("{path}.type"))),
        };
        note_unspoken(block, path, |key| key == "type" || known.contains(&key), self.unspoken);
        Ok(())
    }

    fn read_text(&mut self, block: &Members<'_>, path: &str) -> Result<&'static [&'static str], Failure> {
        let text = required(block, "text", path)?;
        if !text.is_empty() {
            self.parts.push(Part::Text { text, cache: read_mark(block) });
        }
        if block.array("citations").is_some_and(|citations| !citations.is_empty()) {
            self.unspoken.push(format!("{path}.citations"));
        }
        Ok(&["text", "cache_control", "citations"])
    }

    fn read_document(&mut self, block: &Members<'_>, path: &str) -> Result<&'static [&'static str], Failure> {
        let name = block.string("title").map(|title| title.into_owned());
        let source = read_source(block, path, self.unspoken)?;
        self.parts.push(Part::File { name, source, cache: read_mark(block) });
        let citations = block.object("citations");
        if citations.is_some_and(|it| it.get("enabled") == Some("true")) {
            self.unspoken.push(format!("{path}.citations"));
        }
        Ok(&["title", "source", "cache_control", "citations"])
    }

    fn read_search_result(
        &mut self,
        block: &Members<'_>,
        path: &str,
    ) -> Result<&'static [&'static str], Failure> {
        let source = block.string("source").unwrap_or_default();
        let text = block.get("content").map(joined_text).unwrap_or_default();
        let name = Some(required(block, "title", path)?);
        let source = Source::Text(format!("{source}\n\n{text}"));
        self.parts.push(Part::File { name, source, cache: read_mark(block) });
        Ok(&["source", "title", "content", "cache_control"])
    }

    fn read_thinking(&mut self, block: &Members<'_>, path: &str) -> Result<&'static [&'static str], Failure> {
        let text = required(block, "thinking", path)?;
        let seal = seal::read(&block.string("signature").unwrap_or_default()).seal;
        if !text.is_empty() || seal.is_some() {
            self.parts.push(Part::Reasoning { text, kind: ReasoningKind::Full, seal });
        }
        Ok(&["thinking", "signature"])
    }

    fn read_redacted(&mut self, block: &Members<'_>) -> &'static [&'static str] {
        let envelope = seal::read(&block.string("data").unwrap_or_default());
        match (envelope.seal, envelope.call) {
            (Some(seal), Some(call)) => {
                self.call_seals.insert(call, self.seals.len());
                self.seals.push(Some(seal));
            }
            (Some(seal), None) => self.parts.push(Part::SealedReasoning { seal }),
            (None, _) => {}
        }
        &["data"]
    }

    fn read_call(&mut self, block: &Members<'_>, path: &str) -> Result<&'static [&'static str], Failure> {
        let id = required(block, "id", path)?;
        let name = required(block, "name", path)?;
        let arguments = block.value("input").unwrap_or("{}").to_owned();
        let seal = self.call_seals.remove(&id).and_then(|place| self.seals[place].take());
        self.parts.push(Part::ToolCall(ToolCall { id, name, arguments, custom: false, seal }));
        if block.has("cache_control") {
            self.unspoken.push(format!("{path}.cache_control"));
        }
        // `caller` says `direct` unless a server tool made the call.
        let direct = block.object("caller").is_none_or(|it| it.string("type").as_deref() == Some("direct"));
        Ok(match direct {
            true => &["id", "name", "input", "cache_control", "caller"],
            false => &["id", "name", "input", "cache_control"],
        })
    }

    fn read_result(&mut self, block: &Members<'_>, path: &str) -> Result<&'static [&'static str], Failure> {
        let call = required(block, "tool_use_id", path)?;
        let parts = match block.value("content") {
            None => Vec::new(),
            Some(value) => match block.string("content") {
                Some(text) if text.is_empty() => Vec::new(),
                Some(text) => vec![Part::Text { text: text.into_owned(), cache: None }],
                None => read_blocks(value, &format!("{path}.content"), self.unspoken)?,
            },
        };
        let is_error = block.get("is_error").and_then(json::boolean).unwrap_or(false);
        let cache = read_mark(block);
        self.parts.push(Part::ToolResult(ToolResult { call, parts, is_error, custom: false, cache }));
        Ok(&["tool_use_id", "content", "is_error", "cache_control"])
    }
}

fn required(block: &Members<'_>, key: &str, path: &str) -> Result<String, Failure> {
    let text = block.string(key).map(|text| text.into_owned());
    text.ok_or_else(|| must_be(&format!("{path}.{key}"), "a string"))
}

fn read_source(block: &Members<'_>, path: &str, unspoken: &mut Vec<String>) -> Result<Source, Failure> {
    let path = format!("{path}.source");
    let Some(source) = block.object("source") else { return Err(must_be(&path, "an object")) };
    let own = |key: &str| required(&source, key, &path);
    let (read, known): (Source, &[&str]) = match source.string("type").unwrap_or_default().as_ref() {
        "base64" => {
            let inline = Source::Inline { media_type: own("media_type")?, base64: own("data")? };
            (inline, &["media_type", "data"])
        }
        "url" => (Source::Url(own("url")?), &["url"]),
        "text" => (Source::Text(own("data")?), &["media_type", "data"]),
        "file" => (Source::FileId(own("file_id")?), &["file_id"]),
        "content" if !source.get("content").is_some_and(has_picture) => {
            (Source::Text(source.get("content").map(joined_text).unwrap_or_default()), &["content"])
        }
        _ => return Err(only_anthropic(&format!("{path}.type"))),
    };
    note_unspoken(&source, &path, |key| key == "type" || known.contains(&key), unspoken);
    Ok(read)
}

fn has_picture(content: &str) -> bool {
    let blocks = json::elements(content).unwrap_or_default();
    let text =
        |block: &&str| json::members(block).is_ok_and(|it| it.string("type").as_deref() == Some("text"));
    !blocks.iter().all(text)
}

/// The text of a string, or of all blocks of an array that have one.
fn joined_text(value: &str) -> String {
    match json::string(value) {
        Some(text) => text.into_owned(),
        None => {
            let blocks = json::elements(value).unwrap_or_default();
            let texts = blocks.into_iter().filter_map(|block| json::members(block).ok()?.string("text"));
            texts.map(|text| text.into_owned()).collect::<Vec<_>>().join("\n")
        }
    }
}
