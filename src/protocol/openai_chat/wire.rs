//! The JSON of Chat Completions that requests, streams and whole replies have in common: usage,
//! errors, reasons to finish, and the members that the gateway puts on every reply.

use serde_json::{Map, Value};

use crate::chat::{Bill, Identity, ProviderError as Fault, Quirks, Usage};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::money::{Money, MoneyError};

/// The counts that a provider reported, under OpenAI's names. In a stream each is overwritten
/// by the last that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    prompt: Option<u64>,
    completion: Option<u64>,
    total: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    prompt_audio: Option<u64>,
    reasoning: Option<u64>,
    completion_audio: Option<u64>,
    completion_image: Option<u64>,
    cost: Option<Money>,
}

const RAW_LIMIT: usize = 4 * 1024;
/// The greatest whole number that every JSON reader takes exactly: 2^53 - 1.
const SAFE_INTEGER: u64 = 9_007_199_254_740_991;

/// Reads a `usage` object; `None` if it holds no count.
pub fn usage_from(raw: &str, quirks: &Quirks) -> Option<Usage> {
    let mut counts = Counts::default();
    counts.read(raw);
    counts.usage(quirks)
}

impl Counts {
    /// Takes over every number of a `usage` object that is there.
    pub(super) fn read(&mut self, raw: &str) {
        let Ok(usage) = json::members(raw) else { return };
        let prompt = usage.object("prompt_tokens_details");
        let completion = usage.object("completion_tokens_details");
        let detail = |details: &Option<Members<'_>>, name| details.as_ref().and_then(|it| count(it, name));
        update(&mut self.prompt, count(&usage, "prompt_tokens"));
        update(&mut self.completion, count(&usage, "completion_tokens"));
        update(&mut self.total, count(&usage, "total_tokens"));
        // OpenAI; DeepSeek; Together; Mistral of old.
        let cached = detail(&prompt, "cached_tokens")
            .or_else(|| count(&usage, "prompt_cache_hit_tokens"))
            .or_else(|| count(&usage, "cached_tokens"))
            .or_else(|| count(&usage, "num_cached_tokens"));
        update(&mut self.cached, cached);
        update(&mut self.cache_write, detail(&prompt, "cache_write_tokens"));
        update(&mut self.prompt_audio, detail(&prompt, "audio_tokens"));
        let reasoning = detail(&completion, "reasoning_tokens").or_else(|| count(&usage, "reasoning_tokens"));
        update(&mut self.reasoning, reasoning);
        update(&mut self.completion_audio, detail(&completion, "audio_tokens"));
        update(&mut self.completion_image, detail(&completion, "image_tokens"));
        update(&mut self.cost, usage.value("cost").and_then(dollars));
    }

    /// The counts in disjoint classes; `None` if neither side was counted.
    pub(super) fn usage(&self, quirks: &Quirks) -> Option<Usage> {
        if self.prompt.is_none() && self.completion.is_none() {
            return None;
        }
        let mut usage = Usage::default();
        self.split_input(&mut usage);
        self.split_output(quirks, &mut usage);
        Some(usage)
    }

    /// What the provider says the reply cost, if its word counts.
    pub(super) fn cost(&self, quirks: &Quirks) -> Option<Money> {
        self.cost.filter(|cost| quirks.reports_cost && !cost.is_negative())
    }

    /// A detail never exceeds what it is a part of: providers have reported such.
    fn split_input(&self, usage: &mut Usage) {
        let prompt = self.prompt.unwrap_or(0);
        let audio = self.prompt_audio.unwrap_or(0);
        let sum = prompt.saturating_add(self.completion.unwrap_or(0));
        // Mistral counts audio beside `prompt_tokens`; the total gives it away.
        let beside = audio > 0 && self.total == Some(sum.saturating_add(audio));
        let mut left = prompt;
        usage.cache_read = part(&mut left, self.cached);
        usage.cache_write = part(&mut left, self.cache_write);
        usage.input_audio = if beside { audio } else { part(&mut left, self.prompt_audio) };
        usage.input = left;
    }

    fn split_output(&self, quirks: &Quirks, usage: &mut Usage) {
        let mut left = self.completion.unwrap_or(0);
        let sum = left.saturating_add(self.prompt.unwrap_or(0));
        let reasoning = self.reasoning.unwrap_or(0);
        // Some models of such a provider count reasoning within: then the total is the plain sum.
        let beside = quirks.usage_excludes_reasoning && self.total != Some(sum);
        usage.reasoning = if beside {
            reasoning.max(self.total.unwrap_or(0).saturating_sub(sum))
        } else {
            part(&mut left, self.reasoning)
        };
        usage.output_audio = part(&mut left, self.completion_audio);
        usage.output_image = part(&mut left, self.completion_image);
        usage.output = left;
    }
}

fn update<T>(slot: &mut Option<T>, value: Option<T>) {
    if value.is_some() {
        *slot = value;
    }
}

/// Takes a part away from the rest, at most all of it.
fn part(left: &mut u64, part: Option<u64>) -> u64 {
    let part = part.unwrap_or(0).min(*left);
    *left -= part;
    part
}

/// A count under `key`, however absurd: beyond the range it is the nearest end of it.
fn count(members: &Members<'_>, key: &str) -> Option<u64> {
    let text = members.value(key)?;
    if !text.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return None;
    }
    // A cast from a float saturates, and makes 0 of what is below it.
    json::whole(text).or_else(|| text.parse::<f64>().ok().map(|number| number as u64))
}

/// Reads an amount of dollars. A provider's own float noise below a picodollar is rounded up.
fn dollars(text: &str) -> Option<Money> {
    match Money::parse_usd(text) {
        Ok(money) => Some(money),
        Err(MoneyError::TooFine) => {
            let (whole, part) = text.split_once('.')?;
            let cut = Money::parse_usd(&format!("{whole}.{}", part.get(..12)?)).ok()?;
            cut.checked_add(Money::from_pico(1))
        }
        Err(MoneyError::NotANumber | MoneyError::TooLarge | MoneyError::Negative) => None,
    }
}

/// Appends the `usage` object in OpenRouter's shape.
pub fn write_usage(bill: &Bill, out: &mut Vec<u8>) {
    let usage = &bill.usage;
    let text = format!(
        concat!(
            r#"{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"cost":{},"is_byok":{},"#,
            r#""prompt_tokens_details":{{"cached_tokens":{},"cache_write_tokens":{},"audio_tokens":{},"#,
            r#""video_tokens":0}},"cost_details":{{"upstream_inference_cost":{},"#,
            r#""upstream_inference_prompt_cost":{},"upstream_inference_completions_cost":{}}},"#,
            r#""completion_tokens_details":{{"reasoning_tokens":{},"image_tokens":{},"audio_tokens":{}}}}}"#,
        ),
        safe(usage.total_input()),
        safe(usage.total_output()),
        safe(usage.total()),
        bill.cost.to_usd(),
        bill.is_byok,
        safe(usage.cache_read),
        safe(usage.cache_write.saturating_add(usage.cache_write_1h)),
        safe(usage.input_audio),
        upstream_cost(bill).to_usd(),
        bill.prompt_cost.to_usd(),
        bill.completion_cost.to_usd(),
        safe(usage.reasoning),
        safe(usage.output_image),
        safe(usage.output_audio),
    );
    out.extend_from_slice(text.as_bytes());
}

fn safe(count: u64) -> u64 {
    count.min(SAFE_INTEGER)
}

/// What the provider is owed: its two parts, or the whole where they are not known.
fn upstream_cost(bill: &Bill) -> Money {
    match bill.prompt_cost.checked_add(bill.completion_cost) {
        Some(sum) if sum > Money::ZERO || bill.is_byok => sum,
        Some(_) | None => bill.cost,
    }
}

/// Appends `,"openrouter_metadata":…` where there is any.
pub(super) fn write_metadata(bill: &Bill, out: &mut Vec<u8>) {
    if let Some(metadata) = &bill.metadata {
        out.extend_from_slice(b",\"openrouter_metadata\":");
        out.extend_from_slice(metadata.as_bytes());
    }
}

/// The members that open every reply and every chunk of it, from the brace on.
pub(super) fn opening(identity: &Identity, object: &str) -> Vec<u8> {
    format!(
        r#"{{"id":{},"object":"{object}","created":{},"model":{},"provider":{}"#,
        json::quote(&identity.generation),
        safe(identity.created),
        json::quote(&identity.model),
        json::quote(&identity.provider),
    )
    .into_bytes()
}

/// OpenRouter's word for a provider's reason to finish.
pub fn finish_reason(native: &str) -> &'static str {
    match native {
        "tool_calls" | "function_call" | "tool_use" | "TOOL_CALL" => "tool_calls",
        "length"
        | "model_length"
        | "max_tokens"
        | "max_output_tokens"
        | "MAX_TOKENS"
        | "model_context_window_exceeded" => "length",
        "content_filter" | "refusal" | "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT"
        | "SPII" => "content_filter",
        "error" | "ERROR" | "insufficient_system_resource" | "abort" => "error",
        // `stop`, `eos`, `end_turn`, `STOP`, `COMPLETE` and whatever else is made up for it.
        _ => "stop",
    }
}

/// The `error` object of a failure: `{"code":404,"message":…,"metadata":{…}}`.
pub(super) fn error_object(failure: &Failure) -> Value {
    let mut metadata = Map::new();
    metadata.insert("error_type".to_owned(), failure.cause.error_type().into());
    for (name, value) in &failure.metadata {
        metadata.insert(name.clone(), value.clone());
    }
    let mut error = Map::new();
    error.insert("code".to_owned(), failure.cause.status().into());
    error.insert("message".to_owned(), failure.message.clone().into());
    error.insert("metadata".to_owned(), metadata.into());
    error.into()
}

/// Reads the body of a provider's answer that is an error, in whatever shape; what cannot be
/// read at all gives a fault without a word of its own.
pub fn read_error(body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let fault = json::members(first_object(text)).ok().and_then(|members| fault_in(&members, text));
    fault.unwrap_or_else(|| Fault { raw: cut(text).to_owned(), ..Fault::default() })
}

/// Gemini wraps the error object in an array at times.
pub(super) fn first_object(text: &str) -> &str {
    match json::elements(text) {
        Ok(elements) => elements.first().copied().unwrap_or(text),
        Err(_) => text,
    }
}

/// The error that an object reports, whether under `error` or flat; `None` if it reports none.
pub(super) fn fault_in(members: &Members<'_>, text: &str) -> Option<Fault> {
    let raw = cut(text).to_owned();
    if let Some(error) = members.value("error") {
        return Some(match json::members(error) {
            Ok(error) => Fault { raw, ..fault_of(&error) },
            // xAI and Ollama: `{"code":"…","error":"text"}`.
            Err(_) => Fault { message: words(error), raw, ..fault_of(members) },
        });
    }
    if members.value("choices").is_some() {
        return None;
    }
    let flat = members.string("object").as_deref() == Some("error")
        || members.string("type").as_deref() == Some("error")
        || members.value("message").is_some()
        || members.value("detail").is_some();
    flat.then(|| Fault { raw, ..fault_of(members) })
}

fn fault_of(error: &Members<'_>) -> Fault {
    let code = error.value("code").map(words);
    let kind = error.string("type").map(|kind| kind.into_owned());
    let status = ["status", "status_code", "http_status", "raw_status_code", "code"]
        .into_iter()
        .find_map(|name| error.value(name).and_then(http_status));
    let message = ["message", "detail"].into_iter().find_map(|name| error.value(name)).map(words);
    let code = code.filter(|code| http_status(code).is_none()).or(kind);
    Fault { status, code, message: message.unwrap_or_default(), raw: String::new() }
}

/// A string's text, or the JSON of what is no string.
fn words(value: &str) -> String {
    json::string(value).map_or_else(|| cut(value).to_owned(), |text| cut(&text).to_owned())
}

fn http_status(value: &str) -> Option<u16> {
    value.trim_matches('"').parse().ok().filter(|status| (400..600).contains(status))
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(RAW_LIMIT)]
}
