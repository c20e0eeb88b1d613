//! A client's `generateContent` request: what routing and pricing have to know of it. The model
//! and whether to stream stand in the path.

use super::conversation::read_conversation;
use super::fields::Fields;
use crate::chat::{ChatRequest, Needs, RequestSize, WebSearch};
use crate::error::Failure;
use crate::json;
use crate::protocol::asks::{self, Turn};
use crate::protocol::fields::{must_be, read_text};
use crate::protocol::search;
use crate::tokens;

/// Members of `generationConfig` by their names in `supported_parameters`.
const PARAMETERS: &[(&str, &str)] = &[
    ("temperature", "temperature"),
    ("topP", "top_p"),
    ("topK", "top_k"),
    ("frequencyPenalty", "frequency_penalty"),
    ("presencePenalty", "presence_penalty"),
    ("seed", "seed"),
    ("stopSequences", "stop"),
    ("maxOutputTokens", "max_tokens"),
    ("responseLogprobs", "logprobs"),
    ("logprobs", "top_logprobs"),
    ("thinkingConfig", "reasoning"),
];

/// What Google counts for a picture, or one page of a document.
const TOKENS_PER_IMAGE: u64 = 258;
/// Google's own bound.
const MAX_CANDIDATES: i64 = 8;

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the prompt.
pub fn read_request(body: &[u8], model: &str, stream: bool) -> Result<ChatRequest, Failure> {
    let text = read_text(body)?;
    let body = Fields::read(text, "")?;
    let mut request = ChatRequest {
        model: Some(model.strip_prefix("models/").unwrap_or(model).to_owned()),
        stream,
        provider: body.object("provider")?.and(body.get("provider")).map(str::to_owned),
        size: RequestSize { choices: 1, ..RequestSize::default() },
        ..ChatRequest::default()
    };
    if let Some(config) = body.object("generationConfig")? {
        read_config(&config, &mut request)?;
    }
    read_tools(&body, &mut request.needs)?;
    note_search(&body, &mut request)?;
    read_contents(&body, &mut request)?;
    request.size.text_bytes = (text.len() as u64).saturating_sub(request.size.inline_bytes);
    Ok(request)
}

/// Estimates the input tokens of a `countTokens` request to `model`, whose prompt stands either at
/// the top or under `generateContentRequest`.
pub fn count_tokens_estimate(body: &[u8], model: &str) -> Result<u64, Failure> {
    let text = read_text(body)?;
    let body = Fields::read(text, "")?;
    let inner = body.object("generateContentRequest")?;
    let prompt = inner.as_ref().and(body.get("generateContentRequest")).unwrap_or(text);
    let body = inner.as_ref().unwrap_or(&body);
    let mut request = ChatRequest::default();
    read_contents(body, &mut request)?;
    let estimate = read_conversation(prompt.as_bytes()).map(|prompt| tokens::estimate(&prompt, model));
    Ok(estimate.unwrap_or_else(|_| by_size(body, &request.size)))
}

/// For a prompt with parts that only Google can read.
fn by_size(body: &Fields<'_>, size: &RequestSize) -> u64 {
    let said = |name: &&str| body.get(name).map_or(0, |text| said_bytes(text, DEPTH));
    let bytes: u64 = ["contents", "systemInstruction", "tools"].iter().map(said).sum();
    let media = u64::from(size.images) + u64::from(size.files) + u64::from(size.audio);
    bytes.div_ceil(4) + media * TOKENS_PER_IMAGE
}

/// The answer to `countTokens`.
pub fn write_count(tokens: u64) -> Vec<u8> {
    format!(
        r#"{{"totalTokens":{tokens},"promptTokensDetails":[{{"modality":"TEXT","tokenCount":{tokens}}}]}}"#
    )
    .into_bytes()
}

/// How deep values are followed for an estimate; below, their JSON is counted as it is.
const DEPTH: usize = 32;

/// The bytes of all strings, names and numbers in a value, but for inline data.
fn said_bytes(text: &str, depth: usize) -> u64 {
    if depth == 0 {
        return text.len() as u64;
    }
    if let Ok(members) = json::members(text) {
        let data = |key: &str| matches!(key, "inlineData" | "inline_data" | "thoughtSignature");
        let each = members.iter().filter(|member| !data(&member.key));
        return each.map(|member| member.key.len() as u64 / 2 + said_bytes(member.value, depth - 1)).sum();
    }
    match json::elements(text) {
        Ok(elements) => elements.into_iter().map(|element| said_bytes(element, depth - 1)).sum(),
        Err(_) => json::string(text).map_or(text.len(), |text| text.len()) as u64,
    }
}

fn read_config(config: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let limit = config.whole("maxOutputTokens")?;
    if limit.is_some_and(|limit| limit < 1) {
        return Err(must_be("generationConfig.maxOutputTokens", "at least 1"));
    }
    request.max_tokens = limit.and_then(|limit| u64::try_from(limit).ok());
    request.size.max_tokens = request.max_tokens;
    if let Some(count) = config.whole("candidateCount")? {
        if !(1..=MAX_CANDIDATES).contains(&count) {
            let what = format!("a whole number from 1 to {MAX_CANDIDATES}");
            return Err(must_be("generationConfig.candidateCount", &what));
        }
        request.size.choices = count as u32;
    }
    let needs = &mut request.needs;
    let named = PARAMETERS.iter().filter(|(name, _)| config.has(name));
    needs.parameters.extend(named.map(|(_, parameter)| (*parameter).to_owned()));
    let schema = config.has("responseSchema") || config.has("responseJsonSchema");
    let json = config.string("responseMimeType")?.as_deref() == Some("application/json");
    needs.structured_output = schema;
    needs.json_object = json && !schema;
    if schema || json {
        needs.parameters.push("response_format".to_owned());
    }
    if schema {
        needs.parameters.push("structured_outputs".to_owned());
    }
    needs.audio = config.strings("responseModalities")?.iter().any(|modality| modality == "AUDIO");
    Ok(())
}

fn read_tools(body: &Fields<'_>, needs: &mut Needs) -> Result<(), Failure> {
    let tools = body.list("tools")?;
    for tool in &tools {
        for function in tool.list("functionDeclarations")? {
            if function.string("name")?.is_none_or(|name| name.is_empty()) {
                return Err(must_be(&function.path_of("name"), "a string that is not empty"));
            }
        }
    }
    needs.tools = !tools.is_empty();
    if needs.tools {
        needs.parameters.push("tools".to_owned());
    }
    let choice = body.object("toolConfig")?;
    if choice.is_some_and(|config| config.has("functionCallingConfig")) {
        needs.parameters.push("tool_choice".to_owned());
    }
    Ok(())
}

/// Google's own tool, or a model's name that asks for it.
fn note_search(body: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let named = |tool: &Fields<'_>| tool.has("googleSearch") || tool.has("googleSearchRetrieval");
    let online = request.model.as_deref().is_some_and(search::is_online);
    if online || body.list("tools")?.iter().any(named) {
        let search = WebSearch::default();
        request.size.web_searches = search::bound(&search);
        request.needs.web_search = Some(search);
    }
    Ok(())
}

fn read_contents(body: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    let contents = body.list("contents")?;
    if contents.is_empty() {
        return Err(must_be("contents", "an array that is not empty"));
    }
    let texts = body.get("contents").and_then(|contents| json::elements(contents).ok());
    let turns = texts.unwrap_or_default().into_iter().map(Turn::of);
    request.asks.opening = asks::opening(body.get("systemInstruction"), turns);
    for content in &contents {
        check_role(content)?;
        for part in content.list("parts")? {
            read_part(&part, request)?;
        }
    }
    Ok(())
}

/// Whether a content is the model's; one without a role is the user's.
pub(super) fn check_role(content: &Fields<'_>) -> Result<bool, Failure> {
    match content.string("role")?.as_deref() {
        None | Some("user" | "function" | "") => Ok(false),
        Some("model") => Ok(true),
        Some(_) => Err(must_be(&content.path_of("role"), "`user` or `model`")),
    }
}

fn read_part(part: &Fields<'_>, request: &mut ChatRequest) -> Result<(), Failure> {
    part.string("text")?;
    part.string("thoughtSignature")?;
    if let Some(data) = part.object("inlineData")? {
        let bytes = data.get("data").map_or(0, |data| data.len().saturating_sub(2) as u64);
        request.size.inline_bytes += bytes;
        note_media(&data.string("mimeType")?.unwrap_or_default(), request);
    }
    if let Some(file) = part.object("fileData")? {
        note_media(&file.string("mimeType")?.unwrap_or_default(), request);
    }
    if let Some(response) = part.object("functionResponse")? {
        for part in response.list("parts")? {
            read_part(&part, request)?;
        }
    }
    Ok(())
}

fn note_media(media_type: &str, request: &mut ChatRequest) {
    let (needs, size) = (&mut request.needs, &mut request.size);
    let (need, count) = match media_type.split('/').next() {
        Some("image") => (&mut needs.images, &mut size.images),
        Some("audio") => (&mut needs.audio, &mut size.audio),
        _ => (&mut needs.files, &mut size.files),
    };
    *need = true;
    *count = count.saturating_add(1);
}
