//! A client's request for embeddings: what routing, pricing and the reply have to know of it. The
//! body itself stays as it came, for the writers of the upstreams.

use crate::chat::{ChatRequest, Needs, RequestSize};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::fields::{self, must_be, read_elements, read_limit, read_object, read_string};

/// What a request for embeddings asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingsRequest {
    pub model: String,
    pub input: InputKind,
    /// How many embeddings the reply must hold; at least 1.
    pub count: u32,
    /// How many tokens the input is, where it was sent as tokens.
    pub tokens: Option<u64>,
    /// Floats where the client named none. OpenAI's own clients ask for base64 by default.
    pub encoding: Encoding,
    pub dimensions: Option<u64>,
    /// `search_query`, `search_document` or what else the client sent.
    pub input_type: Option<String>,
    pub user: Option<String>,
    /// The JSON text of the `provider` object, for routing.
    pub provider: Option<String>,
    pub needs: Needs,
    pub size: RequestSize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputKind {
    Text,
    Texts,
    Tokens,
    TokenLists,
    /// `[{"content":[parts]}]`: text, pictures, sound, films and files.
    Multimodal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Float,
    Base64,
}

impl EmbeddingsRequest {
    /// What routing has to know of it, in the words that it knows.
    pub fn routed(&self) -> ChatRequest {
        ChatRequest {
            model: Some(self.model.clone()),
            provider: self.provider.clone(),
            needs: self.needs.clone(),
            size: self.size,
            user: self.user.clone(),
            ..ChatRequest::default()
        }
    }
}

/// Members that are read here or replaced on the way. Of two, the gateway and the provider might
/// each go by another.
const READ: &[&str] = &[
    "model",
    "models",
    "input",
    "encoding_format",
    "dimensions",
    "input_type",
    "user",
    "provider",
    "stream",
    "plugins",
    "preset",
];

const INPUT: &str = "a string, an array of strings or of token ids, or an array of objects with `content`";

/// Reads a request, or says what is wrong with it in words that name the field and never quote
/// the input.
pub fn read_request(body: &[u8]) -> Result<EmbeddingsRequest, Failure> {
    let text = fields::read_text(body)?;
    let members = fields::read_text_members(text, READ)?;
    refuse_unsupported(&members)?;
    let model = read_string(&members, "model")?.filter(|model| !model.is_empty());
    let mut request = EmbeddingsRequest {
        model: model.ok_or_else(|| Failure::invalid("`model` is missing: it must be a string."))?,
        input: InputKind::Text,
        count: 1,
        tokens: None,
        encoding: read_encoding(&members)?,
        dimensions: read_limit(&members, "dimensions")?,
        input_type: read_string(&members, "input_type")?,
        user: read_string(&members, "user")?,
        provider: read_object(&members, "provider")?.map(str::to_owned),
        needs: Needs::default(),
        size: RequestSize { choices: 1, ..RequestSize::default() },
    };
    let parameters = ["encoding_format", "dimensions", "input_type"];
    let sent = parameters.into_iter().filter(|name| members.value(name).is_some());
    request.needs.parameters = sent.map(str::to_owned).collect();
    let input = members.value("input");
    read_input(
        input.ok_or_else(|| Failure::invalid(format!("`input` is missing: it must be {INPUT}.")))?,
        &mut request,
    )?;
    request.size.text_bytes = (text.len() as u64).saturating_sub(request.size.inline_bytes);
    request.size.inputs = request.count;
    Ok(request)
}

fn refuse_unsupported(body: &Members<'_>) -> Result<(), Failure> {
    let hollow = |value: &str| matches!(value, "[]" | "\"\"" | "false");
    for name in ["models", "plugins", "preset", "stream"] {
        if body.value(name).is_some_and(|value| !hollow(value)) {
            return Err(Failure::invalid(format!("`{name}` is not supported on embeddings.")));
        }
    }
    Ok(())
}

fn read_encoding(body: &Members<'_>) -> Result<Encoding, Failure> {
    match read_string(body, "encoding_format")?.as_deref() {
        None | Some("float") => Ok(Encoding::Float),
        Some("base64") => Ok(Encoding::Base64),
        Some(_) => Err(must_be("encoding_format", "\"float\" or \"base64\"")),
    }
}

fn read_input(value: &str, request: &mut EmbeddingsRequest) -> Result<(), Failure> {
    if value.starts_with('"') {
        return read_text(value, "input");
    }
    let items = read_elements(value, "input", INPUT)?;
    let Some(first) = items.first() else {
        return Err(must_be("input", "not empty"));
    };
    request.input = match first.as_bytes()[0] {
        b'"' => InputKind::Texts,
        b'[' => InputKind::TokenLists,
        b'{' => InputKind::Multimodal,
        _ => InputKind::Tokens,
    };
    request.count = match request.input {
        InputKind::Text | InputKind::Tokens => 1,
        InputKind::Texts | InputKind::TokenLists | InputKind::Multimodal => items.len() as u32,
    };
    let mut tokens = 0;
    for (position, item) in items.iter().enumerate() {
        let path = format!("input[{position}]");
        match request.input {
            InputKind::Text | InputKind::Texts => read_text(item, &path)?,
            InputKind::Tokens => tokens += read_token(item, &path)?,
            InputKind::TokenLists => tokens += read_tokens(item, &path)?,
            InputKind::Multimodal => read_item(item, &path, request)?,
        }
    }
    request.tokens = (tokens > 0).then_some(tokens);
    Ok(())
}

fn read_text(value: &str, path: &str) -> Result<(), Failure> {
    let text = json::string(value).filter(|text| !text.is_empty());
    text.map(|_| ()).ok_or_else(|| must_be(path, "a string that is not empty"))
}

fn read_token(value: &str, path: &str) -> Result<u64, Failure> {
    json::whole(value).map(|_| 1).ok_or_else(|| must_be(path, "a token id"))
}

fn read_tokens(value: &str, path: &str) -> Result<u64, Failure> {
    const WHAT: &str = "an array of token ids that is not empty";
    let tokens = read_elements(value, path, WHAT)?;
    let whole = !tokens.is_empty() && tokens.iter().all(|token| json::whole(token).is_some());
    if whole { Ok(tokens.len() as u64) } else { Err(must_be(path, WHAT)) }
}

fn read_item(value: &str, path: &str, request: &mut EmbeddingsRequest) -> Result<(), Failure> {
    let path = format!("{path}.content");
    let item = json::members(value).ok();
    let content = item.as_ref().and_then(|item| item.value("content"));
    let parts = read_elements(content.unwrap_or_default(), &path, "an array of parts")?;
    if parts.is_empty() {
        return Err(must_be(&path, "not empty"));
    }
    let read = |(position, part): (usize, &&str)| read_part(part, &format!("{path}[{position}]"), request);
    parts.iter().enumerate().try_for_each(read)
}

fn read_part(raw: &str, path: &str, request: &mut EmbeddingsRequest) -> Result<(), Failure> {
    let part = json::members(raw).map_err(|_| must_be(path, "an object"))?;
    let (needs, size) = (&mut request.needs, &mut request.size);
    let inline = |outer: &str, inner: &str| -> Result<u64, Failure> {
        let value = part.object(outer).and_then(|object| object.get(inner)).filter(|it| it.starts_with('"'));
        let value = value.ok_or_else(|| must_be(&format!("{path}.{outer}.{inner}"), "a string"))?;
        Ok(if value.starts_with("\"http") { 0 } else { value.len() as u64 - 2 })
    };
    match part.string("type").unwrap_or_default().as_ref() {
        "text" => read_text(part.get("text").unwrap_or_default(), &format!("{path}.text"))?,
        "image_url" => {
            needs.images = true;
            size.images += 1;
            size.inline_bytes += inline("image_url", "url")?;
        }
        "input_audio" => {
            needs.audio = true;
            size.audio += 1;
            size.inline_bytes += inline("input_audio", "data")?;
        }
        "video_url" => {
            needs.files = true;
            size.files += 1;
            size.inline_bytes += inline("video_url", "url")?;
        }
        "input_video" => {
            needs.files = true;
            size.files += 1;
            size.inline_bytes += inline("input_video", "data")?;
        }
        "file" => {
            needs.files = true;
            size.files += 1;
            size.inline_bytes += inline("file", "file_data")?;
        }
        _ => {
            return Err(must_be(
                &format!("{path}.type"),
                "one of text, image_url, input_audio, video_url, file",
            ));
        }
    }
    Ok(())
}
