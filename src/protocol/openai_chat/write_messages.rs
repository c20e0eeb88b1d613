//! Turns as the messages of a provider's request. Results of tools are messages of their own and
//! come first; what a result cannot hold follows in the user's words.

use super::details;
use super::write_conversation::{Draft, write_mark};
use crate::chat::PastReasoning;
use crate::chat::conversation::{
    CacheMark, Conversation, Part, ReasoningKind, Role, Source, ToolCall, ToolResult, Turn,
};
use crate::error::Failure;
use crate::json;
use crate::protocol::lane::sent_name;
use crate::protocol::writing::document_text;

/// Writes the JSON of `messages`.
pub(super) fn write_messages(conversation: &Conversation, draft: &mut Draft<'_>) -> Result<String, Failure> {
    let mut messages = Vec::with_capacity(conversation.turns.len());
    for turn in &conversation.turns {
        match turn.role {
            Role::System => messages.extend(write_plain("system", &turn.parts, draft)?),
            Role::User => write_user(turn, &mut messages, draft)?,
            Role::Assistant => messages.extend(write_assistant(turn, draft)?),
        }
    }
    if messages.is_empty() {
        return Err(Failure::invalid("The conversation has nothing in it that can be sent."));
    }
    Ok(format!("[{}]", messages.join(",")))
}

fn write_user(turn: &Turn, messages: &mut Vec<String>, draft: &mut Draft<'_>) -> Result<(), Failure> {
    let (mut rest, mut moved) = (Vec::new(), Vec::new());
    for part in &turn.parts {
        match part {
            Part::ToolResult(result) => messages.push(write_result(result, &mut moved, draft)?),
            Part::Text { .. }
            | Part::Image { .. }
            | Part::File { .. }
            | Part::Audio { .. }
            | Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::Refusal { .. } => rest.push(part.clone()),
        }
    }
    moved.extend(rest);
    messages.extend(write_plain("user", &moved, draft)?);
    Ok(())
}

/// A message of content alone; `None` if there is none.
fn write_plain(role: &str, parts: &[Part], draft: &mut Draft<'_>) -> Result<Option<String>, Failure> {
    let content = write_content(parts, draft)?;
    Ok(content.map(|content| format!("{{\"role\":\"{role}\",\"content\":{content}}}")))
}

/// A result holds text alone: pictures and files are shown in a user's message behind it.
fn write_result(
    result: &ToolResult,
    moved: &mut Vec<Part>,
    draft: &mut Draft<'_>,
) -> Result<String, Failure> {
    let mut texts = Vec::new();
    let mut others = Vec::new();
    for part in &result.parts {
        match part {
            Part::Text { .. } | Part::Refusal { .. } => texts.push(part.clone()),
            Part::Image { .. } | Part::File { .. } | Part::Audio { .. } => others.push(part.clone()),
            Part::Reasoning { .. }
            | Part::SealedReasoning { .. }
            | Part::ToolCall(_)
            | Part::ToolResult(_) => draft.lose("tool result", "holds what is no result"),
        }
    }
    if result.is_error {
        texts.insert(0, text("Error:"));
    }
    let id = draft.ids.sent(&result.call).to_owned();
    if !others.is_empty() {
        texts.push(text("What this call gave is shown in the next message."));
        moved.push(text(&format!("The result of the call `{id}`:")));
        moved.extend(others);
    }
    if let (Some(Part::Text { cache, .. }), Some(mark)) = (texts.last_mut(), result.cache) {
        *cache = Some(mark);
    }
    let content = write_content(&texts, draft)?.unwrap_or_else(|| "\"\"".to_owned());
    Ok(format!("{{\"role\":\"tool\",\"tool_call_id\":{},\"content\":{content}}}", json::quote(&id)))
}

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned(), cache: None }
}

fn write_assistant(turn: &Turn, draft: &mut Draft<'_>) -> Result<Option<String>, Failure> {
    let (mut content, mut calls, mut images) = (Vec::new(), Vec::new(), Vec::new());
    let mut refusal = String::new();
    for part in &turn.parts {
        match part {
            Part::Text { .. } => content.push(part.clone()),
            Part::ToolCall(call) => calls.push(write_call(call, draft)),
            Part::Refusal { text } => refusal.push_str(text),
            Part::Image { source, detail: _, cache: _ } => {
                let url = url_of(source);
                if url.is_none() {
                    draft.lose("assistant images", "kept by another provider");
                }
                images.extend(url.map(|url| super::whole::write_image(&url)));
            }
            Part::Reasoning { .. } | Part::SealedReasoning { .. } => {}
            Part::File { .. } | Part::Audio { .. } | Part::ToolResult(_) => {
                draft.lose("assistant message", "holds what only a user can send");
            }
        }
    }
    let content = write_content(&content, draft)?;
    let mut message = "{\"role\":\"assistant\"".to_owned();
    let thoughts = write_thoughts(&turn.parts, draft);
    if content.is_none() && calls.is_empty() && images.is_empty() && refusal.is_empty() {
        return Ok(None);
    }
    message.push_str(&format!(",\"content\":{}", content.unwrap_or_else(|| "null".to_owned())));
    message.push_str(&thoughts);
    if !refusal.is_empty() {
        message.push_str(&format!(",\"refusal\":{}", json::quote(&refusal)));
    }
    if !images.is_empty() {
        match draft.target.quirks.past_reasoning {
            PastReasoning::Details => message.push_str(&format!(",\"images\":[{}]", images.join(","))),
            PastReasoning::Unwanted | PastReasoning::Content => {
                draft.lose("assistant images", "not taken by this provider");
            }
        }
    }
    if !calls.is_empty() {
        message.push_str(&format!(",\"tool_calls\":[{}]", calls.join(",")));
    }
    message.push('}');
    Ok(Some(message))
}

/// What the model thought in that turn, as this provider takes it back.
fn write_thoughts(parts: &[Part], draft: &mut Draft<'_>) -> String {
    let seals = |part: &Part| match part {
        Part::SealedReasoning { .. } => true,
        Part::Reasoning { seal, .. } => seal.is_some(),
        Part::ToolCall(call) => call.seal.is_some(),
        _ => false,
    };
    let mut text = String::new();
    for part in parts {
        if let Part::Reasoning { text: more, kind: ReasoningKind::Full | ReasoningKind::Summary, .. } = part {
            text.push_str(more);
        }
    }
    match draft.target.quirks.past_reasoning {
        PastReasoning::Details => {
            let details = details::write_parts(parts);
            return match details.is_empty() {
                true => String::new(),
                false => format!(",\"reasoning_details\":[{}]", details.join(",")),
            };
        }
        PastReasoning::Content if parts.iter().any(seals) => {
            draft.lose("reasoning signatures", "meant for another provider");
        }
        PastReasoning::Content => {}
        PastReasoning::Unwanted => {
            if !text.is_empty() || parts.iter().any(seals) {
                draft.lose("reasoning of earlier turns", "not taken back by this provider");
            }
            return String::new();
        }
    }
    if text.is_empty() { text } else { format!(",\"reasoning_content\":{}", json::quote(&text)) }
}

fn write_call(call: &ToolCall, draft: &Draft<'_>) -> String {
    let id = json::quote(draft.ids.sent(&call.id));
    let name = json::quote(sent_name(&draft.names, &call.name));
    let arguments = match call.custom {
        true => format!("{{\"input\":{}}}", json::quote(&call.arguments)),
        // No arguments at all are no JSON.
        false if call.arguments.trim().is_empty() => "{}".to_owned(),
        false => call.arguments.clone(),
    };
    let arguments = json::quote(&arguments);
    let function = format!("{{\"name\":{name},\"arguments\":{arguments}}}");
    format!("{{\"id\":{id},\"type\":\"function\",\"function\":{function}}}")
}

/// The JSON of `content`: a string where it is one plain text, else an array of parts. Texts
/// without a letter are left out.
fn write_content(parts: &[Part], draft: &mut Draft<'_>) -> Result<Option<String>, Failure> {
    if let [Part::Text { text, cache: None }] = parts {
        return Ok((!text.is_empty()).then(|| json::quote(text)));
    }
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        out.extend(write_part(part, draft)?);
    }
    Ok((!out.is_empty()).then(|| format!("[{}]", out.join(","))))
}

fn write_part(part: &Part, draft: &mut Draft<'_>) -> Result<Option<String>, Failure> {
    Ok(match part {
        Part::Text { text, cache: _ } if text.is_empty() => None,
        Part::Text { text, cache } => Some(write_typed("text", &json::quote(text), *cache, draft)),
        Part::Refusal { text } => Some(write_typed("text", &json::quote(text), None, draft)),
        Part::Image { source, detail, cache } => {
            let url = url_of(source).ok_or_else(|| refuse("a picture", source))?;
            let detail = detail.as_ref().map(|detail| format!(",\"detail\":{}", json::quote(detail)));
            let image = format!("{{\"url\":{}{}}}", json::quote(&url), detail.unwrap_or_default());
            Some(write_typed("image_url", &image, *cache, draft))
        }
        Part::File { name, source, cache } => Some(write_file(name.as_deref(), source, *cache, draft)),
        Part::Audio { base64, format } => {
            let audio = format!("{{\"data\":{},\"format\":{}}}", json::quote(base64), json::quote(format));
            Some(write_typed("input_audio", &audio, None, draft))
        }
        Part::Reasoning { .. } | Part::SealedReasoning { .. } | Part::ToolCall(_) | Part::ToolResult(_) => {
            draft.lose("message", "holds what only an assistant can say");
            None
        }
    })
}

/// A document that is text goes as text: providers take files as PDF at most.
fn write_file(
    name: Option<&str>,
    source: &Source,
    cache: Option<CacheMark>,
    draft: &mut Draft<'_>,
) -> String {
    let data = match source {
        Source::Text(text) => {
            return write_typed("text", &json::quote(&document_text(name, text)), cache, draft);
        }
        Source::FileId(id) => {
            if name.is_some() {
                draft.lose("file.filename", "a file that the provider keeps has its own name");
            }
            let file = format!("{{\"file_id\":{}}}", json::quote(id));
            return write_typed("file", &file, cache, draft);
        }
        Source::Url(url) => url.clone(),
        Source::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
    };
    let name = json::quote(name.unwrap_or("document.pdf"));
    let file = format!("{{\"filename\":{name},\"file_data\":{}}}", json::quote(&data));
    write_typed("file", &file, cache, draft)
}

fn write_typed(kind: &str, value: &str, cache: Option<CacheMark>, draft: &mut Draft<'_>) -> String {
    let mark = cache.and_then(|mark| write_mark(mark, draft));
    let mark = mark.map(|mark| format!(",\"cache_control\":{mark}")).unwrap_or_default();
    format!("{{\"type\":\"{kind}\",\"{kind}\":{value}{mark}}}")
}

fn url_of(source: &Source) -> Option<String> {
    match source {
        Source::Url(url) => Some(url.clone()),
        Source::Inline { media_type, base64 } => Some(format!("data:{media_type};base64,{base64}")),
        Source::Text(_) | Source::FileId(_) => None,
    }
}

fn refuse(what: &str, source: &Source) -> Failure {
    let how = match source {
        Source::FileId(_) => "by the id of a file",
        Source::Text(_) => "as text",
        Source::Url(_) | Source::Inline { .. } => "in this form",
    };
    Failure::invalid(format!("The endpoint does not take {what} given {how}."))
}
