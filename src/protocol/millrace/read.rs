//! What the built-in provider reads of a request, and the words it makes of it.

use crate::json::{self, Members};

/// A request, read as far as an echo needs it.
#[derive(Clone, Debug)]
pub(super) struct EchoRequest {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    pub echo: Echo,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// The text was cut by `max_tokens`.
    pub cut: bool,
}

/// What is answered. The text of either is already cut.
#[derive(Clone, Debug)]
pub(super) enum Echo {
    Text(String),
    Call { name: String, arguments: String },
}

/// Why a request is refused: the field, and what is wrong with it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub param: Option<&'static str>,
    pub message: String,
}

const EMPTY: &str = "(empty)";

pub(super) fn read_request(body: &[u8]) -> Result<EchoRequest, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| refuse(None, "The body is not valid UTF-8."))?;
    let body = json::members(text)
        .map_err(|error| refuse(None, format!("The body is not a valid JSON object: {error}.")))?;
    let model = body.string("model").ok_or_else(|| refuse(Some("model"), "`model` must be a string."))?;
    if body.value("n").is_some_and(|n| n != "1") {
        return Err(refuse(Some("n"), "This model gives one choice: `n` must be 1."));
    }
    let conversation = read_messages(&body)?;
    let limit = read_limit(&body)?;
    let (echo, completion_tokens, cut) = echo(&body, &conversation.question)?.cut(limit);
    Ok(EchoRequest {
        model: model.into_owned(),
        stream: body.get("stream").and_then(json::boolean).unwrap_or(false),
        include_usage: body
            .object("stream_options")
            .and_then(|options| options.get("include_usage").and_then(json::boolean))
            .unwrap_or(false),
        echo,
        prompt_tokens: conversation.words,
        completion_tokens,
        cut,
    })
}

pub(super) fn refuse(param: Option<&'static str>, message: impl Into<String>) -> Refusal {
    Refusal { param, message: message.into() }
}

/// Where the first piece of `text` ends: a word with the whitespace before it, and the
/// whitespace behind it as well if no other word follows.
pub(super) fn piece(text: &str) -> usize {
    let word = text.find(|c: char| !c.is_whitespace()).unwrap_or(text.len());
    let end = text[word..].find(char::is_whitespace).map_or(text.len(), |length| word + length);
    if text[end..].trim().is_empty() { text.len() } else { end }
}

struct Conversation {
    /// The text of the last user message.
    question: String,
    /// Words in the texts of all messages.
    words: u64,
}

fn read_messages(body: &Members<'_>) -> Result<Conversation, Refusal> {
    let refusal = || refuse(Some("messages"), "`messages` must be an array that is not empty.");
    let messages = body.array("messages").filter(|all| !all.is_empty()).ok_or_else(refusal)?;
    let mut conversation = Conversation { question: String::new(), words: 0 };
    for message in messages {
        let message = json::members(message)
            .map_err(|_| refuse(Some("messages"), "Each of `messages` must be an object."))?;
        let text = message.value("content").map(content_text).unwrap_or_default();
        conversation.words += words(&text);
        if message.string("role").as_deref() == Some("user") {
            conversation.question = text;
        }
    }
    Ok(conversation)
}

/// The text of a message's content: a string, or the text parts joined with line feeds.
fn content_text(content: &str) -> String {
    if let Some(text) = json::string(content) {
        return text.into_owned();
    }
    let parts = json::elements(content).unwrap_or_default();
    let texts: Vec<String> = parts
        .into_iter()
        .filter_map(|part| Some(json::members(part).ok()?.string("text")?.into_owned()))
        .collect();
    texts.join("\n")
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

fn read_limit(body: &Members<'_>) -> Result<Option<u64>, Refusal> {
    let mut limit: Option<u64> = None;
    for key in ["max_tokens", "max_completion_tokens"] {
        let Some(value) = body.value(key) else { continue };
        match json::whole(value).filter(|value| *value > 0) {
            Some(value) => limit = Some(limit.map_or(value, |limit| limit.min(value))),
            None => return Err(refuse(Some(key), format!("`{key}` must be a whole number, at least 1."))),
        }
    }
    Ok(limit)
}

fn echo(body: &Members<'_>, question: &str) -> Result<Echo, Refusal> {
    let object = json::members(question).is_ok();
    if let Some(name) = required_tool(body)? {
        let arguments = if object { question.to_owned() } else { wrapped("input", question) };
        return Ok(Echo::Call { name, arguments });
    }
    let format = body.object("response_format").and_then(|format| format.string("type"));
    let wants_json = matches!(format.as_deref(), Some("json_object" | "json_schema"));
    Ok(Echo::Text(match question {
        _ if wants_json && !object => wrapped("echo", question),
        _ if question.trim().is_empty() => EMPTY.to_owned(),
        _ => question.to_owned(),
    }))
}

fn wrapped(key: &str, text: &str) -> String {
    format!("{{\"{key}\":{}}}", json::quote(text))
}

/// The tool that has to be called: the one `tool_choice` names, or the first if it is "required".
fn required_tool(body: &Members<'_>) -> Result<Option<String>, Refusal> {
    let name = |raw: &str| Some(json::members(raw).ok()?.object("function")?.string("name")?.into_owned());
    let names: Vec<String> = body.array("tools").unwrap_or_default().into_iter().filter_map(name).collect();
    let Some(choice) = body.value("tool_choice") else { return Ok(None) };
    let wanted = match json::string(choice).as_deref() {
        Some("required") => names.first().cloned(),
        Some(_) => return Ok(None),
        None => name(choice).filter(|wanted| names.contains(wanted)),
    };
    match wanted {
        Some(name) => Ok(Some(name)),
        None => Err(refuse(Some("tool_choice"), "`tool_choice` asks for a tool that `tools` does not have.")),
    }
}

impl Echo {
    pub fn text(&self) -> &str {
        match self {
            Echo::Text(text) => text,
            Echo::Call { arguments, .. } => arguments,
        }
    }

    /// Cuts the text after `limit` words; gives the words that are left and whether any went.
    fn cut(self, limit: Option<u64>) -> (Echo, u64, bool) {
        let text = self.text();
        let (mut end, mut count) = (0, 0);
        while end < text.len() && limit.is_none_or(|limit| count < limit) {
            end += piece(&text[end..]);
            count += 1;
        }
        let cut = end < text.len();
        let kept = text[..end].to_owned();
        let echo = match self {
            Echo::Text(_) => Echo::Text(kept),
            Echo::Call { name, .. } => Echo::Call { name, arguments: kept },
        };
        (echo, count, cut)
    }
}
