//! The messages of a client's chat request as turns: instructions, parts of every kind, calls of
//! tools and their results.

use super::conversation::{read_cache, untranslatable};
use super::details;
use crate::chat::conversation::{Part, Role, Source, ToolCall, ToolResult, Turn};
use crate::error::Failure;
use crate::json::{self, Members, Outlined};
use crate::protocol::fields::{self, must_be, not_supported};

/// Reads `messages`. Results of tools that follow one another are one turn.
pub(super) fn read_turns<'a>(
    outlined: &'a Outlined,
    body: &Members<'a>,
    unspoken: &mut Vec<String>,
) -> Result<Vec<Turn>, Failure> {
    let messages = fields::read_messages(outlined, body)?;
    let mut turns: Vec<Turn> = Vec::with_capacity(messages.len());
    let mut after_result = false;
    for (position, message) in messages.into_iter().enumerate() {
        let (message, path) = (message?, format!("messages[{position}]"));
        let is_result = message.string("role").as_deref() == Some("tool");
        let turn = read_turn(&message, &path, &turns, unspoken)?;
        match turns.last_mut() {
            Some(last) if is_result && after_result => last.parts.extend(turn.parts),
            Some(_) | None => turns.push(turn),
        }
        after_result = is_result;
    }
    Ok(turns)
}

fn read_turn(
    message: &Members<'_>,
    path: &str,
    before: &[Turn],
    unspoken: &mut Vec<String>,
) -> Result<Turn, Failure> {
    let role = message.string("role").unwrap_or_default();
    let parts = Content { path, unspoken };
    let turn = match role.as_ref() {
        "system" => Turn { role: Role::System, parts: parts.read_plain(message, &[])? },
        "developer" => {
            parts.unspoken.push(format!("{path}.role (developer)"));
            Turn { role: Role::System, parts: parts.read_plain(message, &[])? }
        }
        "user" => Turn { role: Role::User, parts: parts.read_user(message)? },
        "assistant" => Turn { role: Role::Assistant, parts: parts.read_assistant(message)? },
        "tool" => Turn { role: Role::User, parts: vec![parts.read_result(message, before)?] },
        "function" => return Err(not_supported(&format!("{path}.role"), " as `function`; use `tool`.")),
        _ => {
            let what = "one of system, developer, user, assistant, tool";
            return Err(must_be(&format!("{path}.role"), what));
        }
    };
    Ok(turn)
}

/// Reads what one message says.
struct Content<'a> {
    path: &'a str,
    unspoken: &'a mut Vec<String>,
}

impl Content<'_> {
    /// The content alone; members beyond it and `known` are unspoken.
    fn read_plain(self, message: &Members<'_>, known: &[&str]) -> Result<Vec<Part>, Failure> {
        let parts = read_parts(message, &format!("{}.content", self.path), self.unspoken)?;
        for member in message.iter().filter(|member| !json::is_null(member.value)) {
            let key = member.key.as_ref();
            if key != "role" && key != "content" && !known.contains(&key) {
                self.unspoken.push(format!("{}.{key}", self.path));
            }
        }
        Ok(parts)
    }

    /// A user's name goes before their words, as OpenRouter puts it for those who know no names.
    fn read_user(self, message: &Members<'_>) -> Result<Vec<Part>, Failure> {
        let name = message.string("name").filter(|name| !name.is_empty());
        let mut parts = self.read_plain(message, &["name"])?;
        if let Some(name) = name {
            let words = parts.iter_mut().find_map(|part| match part {
                Part::Text { text, .. } => Some(text),
                _ => None,
            });
            match words {
                Some(text) => text.insert_str(0, &format!("{name}: ")),
                None => parts.insert(0, Part::Text { text: format!("{name}:"), cache: None }),
            }
        }
        Ok(parts)
    }

    fn read_assistant(self, message: &Members<'_>) -> Result<Vec<Part>, Failure> {
        const KNOWN: &[&str] =
            &["reasoning", "reasoning_content", "reasoning_details", "refusal", "tool_calls", "images"];
        for name in ["audio", "function_call"] {
            if message.value(name).is_some() {
                return Err(untranslatable(&format!("{}.{name}", self.path), "none of that"));
            }
        }
        let Content { path, unspoken } = self;
        let (mut parts, seals) = details::read_message(message, path, unspoken)?;
        parts.extend(Content { path, unspoken }.read_plain(message, KNOWN)?);
        if let Some(refusal) = message.string("refusal").filter(|refusal| !refusal.is_empty()) {
            parts.push(Part::Refusal { text: refusal.into_owned() });
        }
        for (position, image) in message.array("images").unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.images[{position}]");
            let image = json::members(image).map_err(|_| must_be(&path, "an object"))?;
            parts.push(read_image(&image, &path, unspoken)?);
        }
        for (position, call) in message.array("tool_calls").unwrap_or_default().iter().enumerate() {
            let mut call = read_call(call, &format!("{path}.tool_calls[{position}]"), unspoken)?;
            let seal = seals.iter().find(|seal| seal.id.as_deref() == Some(&call.id));
            call.seal = call.seal.or(seal.cloned());
            parts.push(Part::ToolCall(call));
        }
        Ok(parts)
    }

    fn read_result(self, message: &Members<'_>, before: &[Turn]) -> Result<Part, Failure> {
        let path = format!("{}.tool_call_id", self.path);
        let call = message.string("tool_call_id").filter(|id| !id.is_empty());
        let call = call.ok_or_else(|| must_be(&path, "a string"))?.into_owned();
        let custom = before.iter().flat_map(|turn| &turn.parts).any(|part| match part {
            Part::ToolCall(made) => made.id == call && made.custom,
            _ => false,
        });
        // Some clients repeat the name of the function, which the call has.
        let mut parts = self.read_plain(message, &["tool_call_id", "name", "cache_control"])?;
        let cache = read_cache(message).or_else(|| take_mark(parts.last_mut()));
        Ok(Part::ToolResult(ToolResult { call, parts, is_error: false, custom, cache }))
    }
}

/// The mark behind the last part of a result is one behind the result.
fn take_mark(part: Option<&mut Part>) -> Option<crate::chat::conversation::CacheMark> {
    match part {
        Some(Part::Text { cache, .. } | Part::Image { cache, .. } | Part::File { cache, .. }) => cache.take(),
        Some(
            Part::Audio { .. }
            | Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_)
            | Part::Refusal { .. },
        )
        | None => None,
    }
}

fn read_call(raw: &str, path: &str, unspoken: &mut Vec<String>) -> Result<ToolCall, Failure> {
    let call = json::members(raw).map_err(|_| must_be(path, "an object"))?;
    let known = ["id", "type", "index", "function", "custom", "extra_content"];
    fields::note_others(&call, path, &known, unspoken);
    let custom = call.string("type").as_deref() == Some("custom");
    let (kind, input) = if custom { ("custom", "input") } else { ("function", "arguments") };
    let inner = call.object(kind).ok_or_else(|| must_be(&format!("{path}.{kind}"), "an object"))?;
    fields::note_others(&inner, &format!("{path}.{kind}"), &["name", input], unspoken);
    let text = |object: &Members<'_>, key: &str, path: String| {
        object.string(key).map(|text| text.into_owned()).ok_or_else(|| must_be(&path, "a string"))
    };
    let arguments = match inner.value(input) {
        None => String::new(),
        // Some clients leave the object unquoted.
        Some(value) => json::string(value).map_or_else(|| value.to_owned(), |text| text.into_owned()),
    };
    Ok(ToolCall {
        id: text(&call, "id", format!("{path}.id"))?,
        name: text(&inner, "name", format!("{path}.{kind}.name"))?,
        arguments,
        custom,
        seal: details::google_seal(&call),
    })
}

fn read_parts(message: &Members<'_>, path: &str, unspoken: &mut Vec<String>) -> Result<Vec<Part>, Failure> {
    let Some(content) = message.value("content") else { return Ok(Vec::new()) };
    if let Some(text) = message.string("content") {
        return Ok(vec![Part::Text { text: text.into_owned(), cache: None }]);
    }
    let parts = fields::read_objects(content, path, "a string, an array of parts or null")?;
    let read = |(position, part): (usize, Result<Members<'_>, Failure>)| {
        read_part(&part?, &format!("{path}[{position}]"), unspoken)
    };
    parts.into_iter().enumerate().map(read).collect()
}

fn read_part(part: &Members<'_>, path: &str, unspoken: &mut Vec<String>) -> Result<Part, Failure> {
    let kind = part.string("type").ok_or_else(|| must_be(&format!("{path}.type"), "a string"))?;
    for member in part.iter() {
        let known = ["type", "cache_control", "prompt_cache_breakpoint", "text", kind.as_ref()];
        if !known.contains(&member.key.as_ref()) && !json::is_null(member.value) {
            unspoken.push(format!("{path}.{}", member.key));
        }
    }
    match kind.as_ref() {
        "text" | "input_text" | "output_text" => {
            let text = part.string("text").ok_or_else(|| must_be(&format!("{path}.text"), "a string"))?;
            Ok(Part::Text { text: text.into_owned(), cache: read_cache(part) })
        }
        "refusal" => Ok(Part::Refusal { text: part.string("refusal").unwrap_or_default().into_owned() }),
        // Mistral's reasoning comes back among the parts.
        "thinking" => Ok(details::mistral_thinking(part)),
        "image_url" => read_image(part, path, unspoken),
        "input_audio" => read_audio(part, path, unspoken),
        "file" => read_file(part, path, unspoken),
        "document_url" => Ok(Part::File {
            name: part.string("document_name").map(|name| name.into_owned()),
            source: linked(&link(part, "document_url", path)?),
            cache: read_cache(part),
        }),
        _ => Err(untranslatable(&format!("{path}.type"), "text, pictures, sound and files")),
    }
}

fn read_image(part: &Members<'_>, path: &str, unspoken: &mut Vec<String>) -> Result<Part, Failure> {
    let image = part.object("image_url");
    if let Some(image) = &image {
        fields::note_others(image, &format!("{path}.image_url"), &["url", "detail"], unspoken);
    }
    let detail = image.and_then(|image| image.string("detail"));
    Ok(Part::Image {
        source: linked(&link(part, "image_url", path)?),
        detail: detail.map(|detail| detail.into_owned()),
        cache: read_cache(part),
    })
}

/// The address under `key`: `{"url":…}`, or the bare string of Mistral's clients.
fn link(part: &Members<'_>, key: &str, path: &str) -> Result<String, Failure> {
    let inner = part.object(key).and_then(|object| object.string("url"));
    let url = inner.or_else(|| part.string(key)).filter(|url| !url.is_empty());
    url.map(|url| url.into_owned()).ok_or_else(|| must_be(&format!("{path}.{key}.url"), "a string"))
}

fn read_audio(part: &Members<'_>, path: &str, unspoken: &mut Vec<String>) -> Result<Part, Failure> {
    let audio = part.object("input_audio");
    if let Some(audio) = &audio {
        fields::note_others(audio, &format!("{path}.input_audio"), &["data", "format"], unspoken);
    }
    let data = audio.as_ref().and_then(|audio| audio.string("data")).or_else(|| part.string("input_audio"));
    let data = data.ok_or_else(|| must_be(&format!("{path}.input_audio.data"), "a string"))?;
    let format = audio.and_then(|audio| audio.string("format").map(|format| format.into_owned()));
    let (media, base64) = match split_data_url(&data) {
        Some((media, base64)) => (Some(media), base64),
        None => (None, data.as_ref()),
    };
    let named = media.and_then(|media| media.strip_prefix("audio/").map(str::to_owned));
    let format = format.or(named).unwrap_or_else(|| "wav".to_owned());
    Ok(Part::Audio { base64: base64.to_owned(), format })
}

fn read_file(part: &Members<'_>, path: &str, unspoken: &mut Vec<String>) -> Result<Part, Failure> {
    let file = part.object("file").ok_or_else(|| must_be(&format!("{path}.file"), "an object"))?;
    // The data says more than the id of a copy of it.
    let id = if file.value("file_data").is_some() { "filename" } else { "file_id" };
    fields::note_others(&file, &format!("{path}.file"), &["filename", "file_data", id], unspoken);
    let source = match (file.string("file_data"), file.string("file_id")) {
        (Some(data), _) => given(&data),
        (None, Some(id)) => Source::FileId(id.into_owned()),
        (None, None) => return Err(must_be(&format!("{path}.file.file_data"), "a string")),
    };
    let name = file.string("filename").map(|name| name.into_owned());
    Ok(Part::File { name, source, cache: read_cache(part) })
}

/// An address, which may hold the data itself.
fn linked(url: &str) -> Source {
    match split_data_url(url) {
        Some((media, base64)) => Source::Inline { media_type: media.to_owned(), base64: base64.to_owned() },
        None => Source::Url(url.to_owned()),
    }
}

/// An address, or the bare data of a document.
fn given(data: &str) -> Source {
    if data.contains(':') {
        return linked(data);
    }
    Source::Inline { media_type: "application/pdf".to_owned(), base64: data.to_owned() }
}

/// The media type and the data of a `data:` URL in base64.
fn split_data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media = head.strip_suffix(";base64")?;
    // Parameters such as `;charset=utf-8` are no part of the type.
    let media = media.split(';').next().unwrap_or(media);
    Some((if media.is_empty() { "application/octet-stream" } else { media }, data))
}
