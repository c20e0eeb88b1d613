//! The request as a provider of OpenAI's kind gets it: the client's bytes with the few members
//! changed that the gateway owns or that the provider spells in another way. Beside it, what the
//! translations to other wires have in common.

use crate::error::Failure;
use crate::json::{self, Edit, Member, Members};
use crate::protocol::fields::{accepted_bytes, must_be, read_elements, unheeded};
use crate::protocol::lane::{Target, Written};

/// How a provider's embeddings depart from OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI and Azure: no `input_type`.
    OpenAi,
    /// Takes everything as OpenRouter's clients send it: OpenRouter itself, vLLM and the like.
    Compatible,
    /// `output_dimension`; refuses what it does not know. Always sends floats.
    Mistral,
    /// `output_dimension`; `input_type` is `query` or `document`; knows base64, but not `float`.
    Voyage,
    /// Packs one signed byte to a number, whatever was asked for.
    Perplexity,
}

impl Dialect {
    /// The dialect of the provider that goes by the slug.
    pub fn of(provider: &str) -> Dialect {
        match provider {
            "openai" | "azure" => Dialect::OpenAi,
            "mistral" => Dialect::Mistral,
            "voyage" => Dialect::Voyage,
            "perplexity" => Dialect::Perplexity,
            _ => Dialect::Compatible,
        }
    }
}

/// Members that speak to the gateway. No provider gets them.
const OWN: &[&str] = &["models", "provider", "preset", "plugins", "stream", "session_id", "trace", "usage"];

/// Of them those that the gateway does not heed.
const UNHEEDED: &[&str] = &["trace"];

/// Writes the request for a provider. `body` is one that `read_request` accepted.
pub fn write_request(body: &[u8], target: &Target<'_>, dialect: Dialect) -> Written {
    let request = accepted_bytes(body);
    let edit = |member: &Member<'_>| edit(member, target.model, dialect);
    let lost = request.iter().filter_map(|member| {
        let reason = edit(member).err()?;
        Some(format!("{}: {reason}", member.key))
    });
    let body = request.edit(|member| edit(member).unwrap_or(Edit::Drop), &[]).into_bytes();
    let losses = lost.chain(unheeded(&request, UNHEEDED)).collect();
    Written { body, losses, ..Written::default() }
}

/// What becomes of one member, or why it is lost.
fn edit(member: &Member<'_>, model: &str, dialect: Dialect) -> Result<Edit, &'static str> {
    match member.key.as_ref() {
        "model" => Ok(Edit::Value(json::quote(model))),
        key if OWN.contains(&key) => Ok(Edit::Drop),
        key => match spell(key, member.value, dialect) {
            Ok(Edit::Keep) => Ok(Edit::Keep),
            // A null under a name that is not the provider's says nothing.
            Ok(_) | Err(_) if json::is_null(member.value) => Ok(Edit::Drop),
            other => other,
        },
    }
}

/// How a dialect spells a member, or why it cannot.
fn spell(key: &str, value: &str, dialect: Dialect) -> Result<Edit, &'static str> {
    const UNKNOWN: &str = "the provider knows no such member";
    match (dialect, key) {
        (Dialect::OpenAi, "input_type") => Err(UNKNOWN),
        (Dialect::Mistral | Dialect::Voyage, "dimensions") => {
            Ok(Edit::Member(format!("\"output_dimension\":{value}")))
        }
        // The gateway converts what comes.
        (Dialect::Mistral | Dialect::Perplexity, "encoding_format") => Ok(Edit::Drop),
        (Dialect::Voyage, "encoding_format") if value == "\"float\"" => Ok(Edit::Drop),
        (Dialect::Voyage, "input_type") => match json::string(value).as_deref() {
            Some("query" | "search_query") => Ok(Edit::Value("\"query\"".to_owned())),
            Some("document" | "search_document") => Ok(Edit::Value("\"document\"".to_owned())),
            Some(_) | None => Err("the provider knows only queries and documents"),
        },
        (Dialect::Mistral | Dialect::Perplexity, "input_type") => Err(UNKNOWN),
        (Dialect::Mistral | Dialect::Voyage | Dialect::Perplexity, "user") => Err(UNKNOWN),
        (
            Dialect::OpenAi | Dialect::Compatible | Dialect::Mistral | Dialect::Voyage | Dialect::Perplexity,
            _,
        ) => Ok(Edit::Keep),
    }
}

/// One thing of which an input consists, for wires other than OpenAI's.
pub(super) enum Piece<'a> {
    /// The JSON string as it came.
    Text(&'a str),
    Image {
        url: String,
    },
    /// Sound, films and files: base64 with its media type.
    Data {
        media_type: String,
        base64: String,
    },
}

/// The inputs as pieces, in order; refuses token ids, which only their own tokenizer understands.
pub(super) fn read_inputs<'a>(request: &Members<'a>, wire: &str) -> Result<Vec<Vec<Piece<'a>>>, Failure> {
    let input = request.value("input").unwrap_or_default();
    if input.starts_with('"') {
        return Ok(vec![vec![Piece::Text(input)]]);
    }
    let items = read_elements(input, "input", "an array")?;
    let read = |(position, item): (usize, &&'a str)| match item.as_bytes().first() {
        Some(b'"') => Ok(vec![Piece::Text(item)]),
        Some(b'{') => read_item(item, position),
        Some(_) | None => {
            Err(Failure::invalid(format!("`input` holds token ids, which {wire} does not take: send text.")))
        }
    };
    items.iter().enumerate().map(read).collect()
}

fn read_item<'a>(item: &'a str, position: usize) -> Result<Vec<Piece<'a>>, Failure> {
    let path = format!("input[{position}].content");
    let item = json::members(item).map_err(|_| must_be(&path, "an array of parts"))?;
    let parts = read_elements(item.value("content").unwrap_or_default(), &path, "an array of parts")?;
    let read = |(at, part): (usize, &&'a str)| {
        if let Some(text) = text_of(part) {
            return Ok(Piece::Text(text));
        }
        let found = json::members(part).ok().and_then(|part| piece(&part));
        let path = format!("{path}[{at}]");
        let what = "text, a picture, or data in base64; links are not fetched here";
        found.ok_or_else(|| must_be(&path, what))
    };
    parts.iter().enumerate().map(read).collect()
}

fn text_of(part: &str) -> Option<&str> {
    let part = json::members(part).ok()?;
    (part.string("type").as_deref() == Some("text")).then(|| part.get("text")).flatten()
}

fn piece(part: &Members<'_>) -> Option<Piece<'static>> {
    let inner = |outer: &str, inner: &str| Some(part.object(outer)?.string(inner)?.into_owned());
    let data = |text: String, kind: &str, format: Option<String>| match data_url(&text) {
        Some((media_type, base64)) => {
            Some(Piece::Data { media_type: media_type.to_owned(), base64: base64.to_owned() })
        }
        None if text.starts_with("http") => None,
        None => format.map(|format| Piece::Data { media_type: format!("{kind}/{format}"), base64: text }),
    };
    match part.string("type")?.as_ref() {
        "image_url" => Some(Piece::Image { url: inner("image_url", "url")? }),
        "input_audio" => data(inner("input_audio", "data")?, "audio", inner("input_audio", "format")),
        "video_url" => data(inner("video_url", "url")?, "video", None),
        "input_video" => data(inner("input_video", "data")?, "video", inner("input_video", "format")),
        "file" => data(inner("file", "file_data")?, "application", None),
        _ => None,
    }
}

/// The media type and the base64 of a `data:` URL.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, base64) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?.split(';').next()?, base64))
}

/// Names what a translation leaves behind: members it does not know.
pub(super) fn unknown_losses(request: &Members<'_>, wire: &str) -> Vec<String> {
    const SPOKEN: &[&str] = &["model", "input", "encoding_format", "dimensions", "input_type"];
    let lost = |member: &&Member<'_>| {
        let key = member.key.as_ref();
        !SPOKEN.contains(&key) && !OWN.contains(&key) && !json::is_null(member.value)
    };
    let lost = request.iter().filter(lost);
    let lost = lost.map(|member| format!("{}: not expressible in {wire}", member.key));
    lost.chain(unheeded(request, UNHEEDED)).collect()
}
