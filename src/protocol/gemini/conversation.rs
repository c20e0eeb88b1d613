//! A client's `generateContent` request in the words that all protocols share. What only Gemini
//! can do is refused by name; what merely has no word is noted.

use super::face::check_role;
use super::fields::{Fields, only_gemini, own_object};
use super::{MINTED, schema, seal};
use crate::chat::Conversation;
use crate::chat::conversation::{
    Effort, Format, Part, Reasoning, ReasoningKind, Role, Sampling, Source, Tool, ToolCall, ToolChoice,
    ToolKind, ToolResult, Turn,
};
use crate::error::Failure;
use crate::json;
use crate::protocol::fields::{must_be, read_text};

const BODY: &[&str] = &[
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "serviceTier",
    "cachedContent",
    "model",
    "provider",
];
const CONFIG: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
];
const PART: &[&str] =
    &["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse"];
/// Parts in which Gemini's own tools speak.
const SERVER_PARTS: &[&str] = &["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

pub fn read_conversation(body: &[u8]) -> Result<Conversation, Failure> {
    let body = Fields::read(read_text(body)?, "")?;
    if body.has("cachedContent") {
        return Err(only_gemini("cachedContent", "a prompt that Google keeps"));
    }
    let mut conversation = Conversation::default();
    body.note_others(BODY, &mut conversation.unspoken);
    conversation.service_tier = body.string("serviceTier")?;
    if let Some(instruction) = body.get("systemInstruction") {
        let turn = read_instruction(instruction, &body, &mut conversation.unspoken)?;
        conversation.turns.extend(turn);
    }
    let mut calls = Vec::new();
    for content in body.list("contents")? {
        let mut reader = TurnReader { conversation: &mut conversation, calls: &mut calls, parts: Vec::new() };
        reader.read(&content)?;
    }
    for tool in body.list("tools")? {
        read_tool(&tool, &mut conversation)?;
    }
    if let Some(config) = body.object("toolConfig")? {
        read_tool_config(&config, &mut conversation)?;
    }
    if let Some(config) = body.object("generationConfig")? {
        read_config(&config, &mut conversation)?;
    }
    Ok(conversation)
}

/// Instructions are a content, or mere text.
fn read_instruction(
    text: &str,
    body: &Fields<'_>,
    unspoken: &mut Vec<String>,
) -> Result<Option<Turn>, Failure> {
    let mut parts = Vec::new();
    if let Some(text) = json::string(text) {
        parts.push(Part::Text { text: text.into_owned(), cache: None });
    } else if let Some(content) = body.object("systemInstruction")? {
        content.note_others(&["role", "parts"], unspoken);
        for part in content.list("parts")? {
            part.note_others(&["text"], unspoken);
            let Some(text) = part.string("text")? else {
                return Err(must_be(&part.path, "text"));
            };
            parts.push(Part::Text { text, cache: None });
        }
    }
    parts.retain(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
    Ok((!parts.is_empty()).then_some(Turn { role: Role::System, parts }))
}

/// A call that was made, for the result that answers it.
struct Call {
    id: String,
    name: String,
    answered: bool,
}

struct TurnReader<'a> {
    conversation: &'a mut Conversation,
    calls: &'a mut Vec<Call>,
    parts: Vec<Part>,
}

impl TurnReader<'_> {
    fn read(&mut self, content: &Fields<'_>) -> Result<(), Failure> {
        let role = if check_role(content)? { Role::Assistant } else { Role::User };
        content.note_others(&["role", "parts"], &mut self.conversation.unspoken);
        for part in content.list("parts")? {
            self.read_part(&part, role)?;
        }
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() {
            self.conversation.turns.push(Turn { role, parts });
        }
        Ok(())
    }

    fn read_part(&mut self, part: &Fields<'_>, role: Role) -> Result<(), Failure> {
        if let Some(name) = SERVER_PARTS.iter().find(|name| part.has(name)) {
            return Err(only_gemini(&part.path_of(name), "what Gemini's own tools said"));
        }
        part.note_others(PART, &mut self.conversation.unspoken);
        let seal = part.string("thoughtSignature")?.and_then(|signature| seal::read(&signature));
        if let Some(call) = part.object("functionCall")? {
            let mut call = self.read_call(&call)?;
            call.seal = seal;
            self.parts.push(Part::ToolCall(call));
            return Ok(());
        }
        let thought = part.boolean("thought")? == Some(true);
        let text = part.string("text")?;
        if thought && role == Role::Assistant {
            self.push_thought(text.unwrap_or_default(), seal);
            return Ok(());
        }
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.parts.push(Part::Text { text, cache: None });
        }
        if let Some(media) = read_media(part, &mut self.conversation.unspoken)? {
            self.parts.push(media);
        }
        if let Some(response) = part.object("functionResponse")? {
            let result = self.read_result(&response)?;
            self.parts.push(Part::ToolResult(result));
        }
        if let Some(seal) = seal {
            self.parts.push(Part::SealedReasoning { seal });
        }
        Ok(())
    }

    /// Thoughts come in pieces, the seal on the last.
    fn push_thought(&mut self, more: String, mark: Option<crate::chat::conversation::Seal>) {
        if let Some(Part::Reasoning { text, seal: seal @ None, .. }) = self.parts.last_mut() {
            text.push_str(&more);
            *seal = mark;
        } else if let (true, Some(seal)) = (more.is_empty(), mark.clone()) {
            self.parts.push(Part::SealedReasoning { seal });
        } else if !more.is_empty() {
            self.parts.push(Part::Reasoning { text: more, kind: ReasoningKind::Summary, seal: mark });
        }
    }

    fn read_call(&mut self, call: &Fields<'_>) -> Result<ToolCall, Failure> {
        let Some(name) = call.string("name")?.filter(|name| !name.is_empty()) else {
            return Err(must_be(&call.path_of("name"), "a string that is not empty"));
        };
        call.note_others(&["id", "name", "args"], &mut self.conversation.unspoken);
        let arguments = own_object(call, "args")?.unwrap_or("{}").to_owned();
        let id = call.string("id")?.filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("{MINTED}{}", self.calls.len()));
        self.calls.push(Call { id: id.clone(), name: name.clone(), answered: false });
        Ok(ToolCall { id, name, arguments, custom: false, seal: None })
    }

    /// A result without an id answers the first call of its name that has no answer.
    fn read_result(&mut self, response: &Fields<'_>) -> Result<ToolResult, Failure> {
        response.note_others(&["id", "name", "response", "parts"], &mut self.conversation.unspoken);
        let (id, name) = (response.string("id")?.filter(|id| !id.is_empty()), response.string("name")?);
        let answers = |call: &&mut Call| match &id {
            Some(id) => call.id == *id,
            None => name.as_ref() == Some(&call.name),
        };
        let call = self.calls.iter_mut().filter(answers).find(|call| !call.answered);
        let Some(call) = call else {
            let message = format!("`{}` answers no call that stands before it.", response.path);
            return Err(Failure::invalid(message));
        };
        call.answered = true;
        let (text, is_error) = read_response(response)?;
        let mut parts = vec![Part::Text { text, cache: None }];
        for part in response.list("parts")? {
            match read_media(&part, &mut self.conversation.unspoken)? {
                Some(media) => parts.push(media),
                None => return Err(must_be(&part.path, "`inlineData` or `fileData`")),
            }
        }
        Ok(ToolResult { call: call.id.clone(), parts, is_error, custom: false, cache: None })
    }
}

/// What a function answered: a lone text under one of the names that Google gives it, or the JSON.
fn read_response(response: &Fields<'_>) -> Result<(String, bool), Failure> {
    let Some(raw) = own_object(response, "response")? else { return Ok((String::new(), false)) };
    let Ok(object) = json::members(raw) else {
        return Err(must_be(&response.path_of("response"), "an object"));
    };
    let mut members = object.iter();
    let (Some(first), None) = (members.next(), members.next()) else { return Ok((raw.to_owned(), false)) };
    let is_error = first.key == "error";
    match (first.key.as_ref(), json::string(first.value)) {
        ("result" | "output" | "error", Some(text)) => Ok((text.into_owned(), is_error)),
        _ => Ok((raw.to_owned(), is_error)),
    }
}

fn read_media(part: &Fields<'_>, unspoken: &mut Vec<String>) -> Result<Option<Part>, Failure> {
    if let Some(data) = part.object("inlineData")? {
        let (Some(media_type), Some(base64)) = (data.string("mimeType")?, data.string("data")?) else {
            return Err(must_be(&data.path, "an object with `mimeType` and `data`"));
        };
        data.note_others(&["mimeType", "data", "displayName"], unspoken);
        let name = data.string("displayName")?;
        let read = media(media_type, base64, name, &data.path)?;
        if data.has("displayName") && !matches!(read, Part::File { .. }) {
            unspoken.push(data.path_of("displayName"));
        }
        return Ok(Some(read));
    }
    let Some(file) = part.object("fileData")? else { return Ok(None) };
    let Some(uri) = file.string("fileUri")? else {
        return Err(must_be(&file.path_of("fileUri"), "a string"));
    };
    let media_type = file.string("mimeType")?.unwrap_or_default();
    if media_type.starts_with("video/") || media_type.starts_with("audio/") || is_youtube(&uri) {
        return Err(only_gemini(&file.path, "sound and video behind a link"));
    }
    let theirs = uri.starts_with("gs://") || uri.contains("generativelanguage.googleapis.com");
    let source = if theirs { Source::FileId(uri) } else { Source::Url(uri) };
    file.note_others(&["mimeType", "fileUri", "displayName"], unspoken);
    // Other protocols let who fetches the link find out what it is.
    if !media_type.is_empty() {
        unspoken.push(file.path_of("mimeType"));
    }
    let is_image = media_type.starts_with("image/");
    if is_image && file.has("displayName") {
        unspoken.push(file.path_of("displayName"));
    }
    Ok(Some(match is_image {
        true => Part::Image { source, detail: None, cache: None },
        false => Part::File { name: file.string("displayName")?, source, cache: None },
    }))
}

fn media(media_type: String, base64: String, name: Option<String>, path: &str) -> Result<Part, Failure> {
    let (kind, format) = media_type.split_once('/').unwrap_or((&media_type, ""));
    match kind {
        "audio" => {
            let format = match format {
                "mpeg" | "mp3" => "mp3",
                "x-wav" | "wave" | "wav" => "wav",
                other => other,
            };
            Ok(Part::Audio { base64, format: format.to_owned() })
        }
        "video" => Err(only_gemini(path, "video")),
        "image" => {
            Ok(Part::Image { source: Source::Inline { media_type, base64 }, detail: None, cache: None })
        }
        _ => Ok(Part::File { name, source: Source::Inline { media_type, base64 }, cache: None }),
    }
}

pub(super) fn is_youtube(uri: &str) -> bool {
    let rest = uri.strip_prefix("https://").unwrap_or(uri);
    ["www.youtube.com/", "youtube.com/", "youtu.be/", "m.youtube.com/"].iter().any(|it| rest.starts_with(it))
}

fn read_tool(tool: &Fields<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    let mut server = Vec::new();
    // A search is asked for anew, in the words of whoever answers.
    tool.note_others(&["functionDeclarations", "googleSearch"], &mut server);
    if let Some(path) = server.first() {
        return Err(only_gemini(path, "Gemini's own tools"));
    }
    for function in tool.list("functionDeclarations")? {
        let known = ["name", "description", "parameters", "parametersJsonSchema"];
        function.note_others(&known, &mut conversation.unspoken);
        let Some(name) = function.string("name")? else {
            return Err(must_be(&function.path_of("name"), "a string"));
        };
        let json_schema = function.get("parametersJsonSchema").map(str::to_owned);
        let parameters = json_schema.or_else(|| function.get("parameters").map(schema::to_json_schema));
        let description = function.string("description")?.filter(|text| !text.is_empty());
        let kind = ToolKind::Function { parameters, strict: None };
        conversation.tools.push(Tool { name, description, kind, cache: None });
    }
    Ok(())
}

fn read_tool_config(config: &Fields<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    config.note_others(&["functionCallingConfig"], &mut conversation.unspoken);
    let Some(calling) = config.object("functionCallingConfig")? else { return Ok(()) };
    calling.note_others(&["mode", "allowedFunctionNames"], &mut conversation.unspoken);
    let names = calling.strings("allowedFunctionNames")?;
    let mode = calling.string("mode")?.unwrap_or_default().to_ascii_uppercase();
    conversation.tool_choice = match (mode.as_str(), names.as_slice()) {
        ("" | "MODE_UNSPECIFIED", _) => None,
        ("AUTO", _) => Some(ToolChoice::Auto),
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", [one]) => Some(ToolChoice::Named(one.clone())),
        ("ANY", _) => Some(ToolChoice::Required),
        ("VALIDATED", _) => Some(ToolChoice::Auto),
        _ => return Err(must_be(&calling.path_of("mode"), "`AUTO`, `ANY`, `NONE` or `VALIDATED`")),
    };
    if mode == "VALIDATED" {
        conversation.unspoken.push(calling.path_of("mode"));
    }
    // Of the tools only those are left that may be called.
    if !names.is_empty() && mode != "NONE" {
        conversation.tools.retain(|tool| names.contains(&tool.name));
    }
    Ok(())
}

fn read_config(config: &Fields<'_>, conversation: &mut Conversation) -> Result<(), Failure> {
    config.note_others(CONFIG, &mut conversation.unspoken);
    if config.whole("candidateCount")?.is_some_and(|count| count > 1) {
        return Err(only_gemini(&config.path_of("candidateCount"), "more than one candidate"));
    }
    let modalities = config.strings("responseModalities")?;
    if modalities.iter().any(|modality| modality != "TEXT" && modality != "IMAGE") {
        return Err(only_gemini(&config.path_of("responseModalities"), "spoken answers"));
    }
    if modalities.iter().any(|modality| modality == "IMAGE") {
        conversation.unspoken.push(config.path_of("responseModalities"));
    }
    conversation.sampling = Sampling {
        temperature: config.number("temperature")?,
        top_p: config.number("topP")?,
        top_k: config.number("topK")?,
        frequency_penalty: config.number("frequencyPenalty")?,
        presence_penalty: config.number("presencePenalty")?,
        seed: config.number("seed")?,
        stop: config.strings("stopSequences")?,
        ..Sampling::default()
    };
    let limit = config.whole("maxOutputTokens")?;
    conversation.max_tokens = limit.and_then(|limit| u64::try_from(limit).ok());
    conversation.format = read_format(config)?;
    if let Some(thinking) = config.object("thinkingConfig")? {
        conversation.reasoning = Some(read_thinking(&thinking, &mut conversation.unspoken)?);
    }
    Ok(())
}

fn read_format(config: &Fields<'_>) -> Result<Format, Failure> {
    let json_schema = config.get("responseJsonSchema").map(str::to_owned);
    let schema = json_schema.or_else(|| config.get("responseSchema").map(schema::to_json_schema));
    match (config.string("responseMimeType")?.as_deref(), schema) {
        (None | Some("text/plain" | ""), None) => Ok(Format::Text),
        (Some("application/json"), None) => Ok(Format::JsonObject),
        (Some("application/json"), Some(schema)) => {
            Ok(Format::JsonSchema { name: None, description: None, schema, strict: None })
        }
        (Some(_), _) => Err(only_gemini(&config.path_of("responseMimeType"), "this format")),
        (None, Some(_)) => {
            let message = "needs `responseMimeType` to be `application/json`.";
            Err(Failure::invalid(format!("`{}` {message}", config.path_of("responseSchema"))))
        }
    }
}

fn read_thinking(thinking: &Fields<'_>, unspoken: &mut Vec<String>) -> Result<Reasoning, Failure> {
    thinking.note_others(&["includeThoughts", "thinkingBudget", "thinkingLevel"], unspoken);
    let level = thinking.string("thinkingLevel")?.unwrap_or_default().to_ascii_lowercase();
    let effort = Effort::parse(&level);
    if effort.is_none() && !matches!(level.as_str(), "" | "thinking_level_unspecified") {
        return Err(must_be(&thinking.path_of("thinkingLevel"), "`minimal`, `low`, `medium` or `high`"));
    }
    let budget = thinking.whole("thinkingBudget")?;
    let enabled = match budget {
        Some(0) => Some(false),
        Some(_) => Some(true),
        None => None,
    };
    Ok(Reasoning {
        effort,
        max_tokens: budget.filter(|budget| *budget > 0).and_then(|budget| u64::try_from(budget).ok()),
        enabled,
        exclude: thinking.boolean("includeThoughts")? != Some(true),
        summary: None,
    })
}
