//! The catalog's file format: reads it, checks it, writes it as Rust. Used by `build.rs` only.
//! What each member means stands in `catalog/README.md`. The tests compile it too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::Deserialize;

use super::money::Price;

mod write;

/// Most input tokens that one image becomes, where the offer does not say.
const IMAGE_TOKENS: u64 = 16_384;

/// Every name that OpenRouter knows for a parameter of an endpoint, and the optional members of a
/// request for embeddings.
const PARAMETERS: [&str; 29] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "max_tokens",
    "max_completion_tokens",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prediction",
    "seed",
    "response_format",
    "structured_outputs",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include_reasoning",
    "reasoning",
    "reasoning_effort",
    "web_search_options",
    "verbosity",
    "dimensions",
    "encoding_format",
    "input_type",
];
const QUANTIZATIONS: [&str; 11] =
    ["int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32"];
const TOKENIZERS: [&str; 20] = [
    "Router", "Media", "Other", "GPT", "Claude", "Gemini", "Gemma", "Grok", "Cohere", "Nova", "Qwen", "Yi",
    "DeepSeek", "Mistral", "Llama2", "Llama3", "Llama4", "PaLM", "RWKV", "Qwen3",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Provider {
    slug: String,
    name: String,
    protocol: Protocol,
    #[serde(default)]
    also: Vec<Protocol>,
    #[serde(default)]
    key_variable: String,
    #[serde(default)]
    base_url_variable: String,
    #[serde(default)]
    base_url: String,
    #[serde(default)]
    local: bool,
    #[serde(default)]
    max_tokens: LimitName,
    #[serde(default)]
    stream_usage: StreamUsage,
    #[serde(default)]
    usage_excludes_reasoning: bool,
    #[serde(default)]
    reports_cost: bool,
    #[serde(default)]
    sealer: Issuer,
    #[serde(default)]
    past_reasoning: PastReasoning,
    #[serde(default = "yes")]
    more_sampling: bool,
    #[serde(default)]
    cache_marks: bool,
    trains: Option<bool>,
    retains: Option<bool>,
    #[serde(default)]
    parameters: Vec<String>,
    headquarters: Option<String>,
    privacy_policy_url: Option<String>,
    terms_of_service_url: Option<String>,
    status_page_url: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Protocol {
    OpenaiChat,
    OpenaiResponses,
    AnthropicMessages,
    Gemini,
    Cohere,
    Bedrock,
    Ollama,
    Millrace,
}

impl Protocol {
    /// The variant of the crate's own enumeration.
    fn variant(&self) -> &'static str {
        match self {
            Protocol::OpenaiChat => "OpenAiChat",
            Protocol::OpenaiResponses => "OpenAiResponses",
            Protocol::AnthropicMessages => "AnthropicMessages",
            Protocol::Gemini => "Gemini",
            Protocol::Cohere => "Cohere",
            Protocol::Bedrock => "Bedrock",
            Protocol::Ollama => "Ollama",
            Protocol::Millrace => "Millrace",
        }
    }

    /// Whether the gateway knows how to ask for that in it.
    fn can_make(&self, output: &Modality) -> bool {
        match output {
            Modality::Text | Modality::Image | Modality::File | Modality::Audio => true,
            Modality::Embeddings => {
                matches!(self, Protocol::OpenaiChat | Protocol::Gemini | Protocol::Cohere)
            }
            Modality::Rerank => matches!(self, Protocol::OpenaiChat | Protocol::Cohere),
        }
    }
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "snake_case")]
enum LimitName {
    #[default]
    AsSent,
    MaxTokens,
    MaxCompletionTokens,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "snake_case")]
enum StreamUsage {
    #[default]
    Ask,
    Always,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "snake_case")]
enum Issuer {
    Anthropic,
    #[serde(rename = "openai")]
    OpenAi,
    Gemini,
    Xai,
    #[default]
    Unknown,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "snake_case")]
enum PastReasoning {
    #[default]
    Unwanted,
    Content,
    Details,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    slug: String,
    canonical_slug: Option<String>,
    name: String,
    description: String,
    created: u64,
    context_length: u64,
    input: Vec<Modality>,
    output: Vec<Modality>,
    tokenizer: String,
    hugging_face_id: Option<String>,
    knowledge_cutoff: Option<String>,
    reasoning: Option<Reasoning>,
    parameters: Vec<String>,
    offers: Vec<Offer>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Modality {
    Text,
    Image,
    File,
    Audio,
    Embeddings,
    Rerank,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasoning {
    mandatory: bool,
    default_enabled: Option<bool>,
    default_effort: Option<String>,
    #[serde(default)]
    efforts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    provider: String,
    model: String,
    protocol: Option<Protocol>,
    context_length: u64,
    max_output: Option<u64>,
    quantization: Option<String>,
    prompt: String,
    completion: String,
    request: Option<String>,
    image_tokens: Option<u64>,
    cache_read: Option<String>,
    cache_write: Option<String>,
    cache_write_1h: Option<String>,
    reasoning: Option<String>,
    audio_input: Option<String>,
    audio_output: Option<String>,
    image_output: Option<String>,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    without: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tier {
    above_prompt_tokens: u64,
    prompt: Option<String>,
    completion: Option<String>,
    cache_read: Option<String>,
    cache_write: Option<String>,
    cache_write_1h: Option<String>,
    audio_input: Option<String>,
}

/// The tables as Rust source, or every mistake found.
pub fn tables(providers: &str, models: &str) -> Result<String, Vec<String>> {
    let mut providers: Vec<Provider> =
        serde_json::from_str(providers).map_err(|error| vec![format!("providers.json: {error}")])?;
    let mut models: Vec<Model> =
        serde_json::from_str(models).map_err(|error| vec![format!("models.json: {error}")])?;
    providers.sort_by(|a, b| a.slug.cmp(&b.slug));
    models.sort_by(|a, b| a.slug.cmp(&b.slug));

    let mistakes = check(&providers, &models);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let rows: BTreeMap<&str, usize> =
        providers.iter().enumerate().map(|(row, provider)| (provider.slug.as_str(), row)).collect();
    let mut out = String::new();
    let _ = writeln!(out, "pub static PROVIDERS: [Provider; {}] = [", providers.len());
    providers.iter().for_each(|provider| write::provider(provider, &mut out));
    let _ = writeln!(out, "];\npub static MODELS: [Model; {}] = [", models.len());
    models.iter().for_each(|model| write::model(model, &providers, &rows, &mut out));
    out.push_str("];\n");
    Ok(out)
}

// Checking. Every mistake is collected, so that one build shows them all.

fn check(providers: &[Provider], models: &[Model]) -> Vec<String> {
    let mut mistakes = Vec::new();
    for pair in providers.windows(2).filter(|pair| pair[0].slug == pair[1].slug) {
        mistakes.push(format!("provider {}: twice", pair[0].slug));
    }
    for pair in models.windows(2).filter(|pair| pair[0].slug == pair[1].slug) {
        mistakes.push(format!("model {}: twice", pair[0].slug));
    }
    for provider in providers {
        let mut say = |what: String| mistakes.push(format!("provider {}: {what}", provider.slug));
        check_provider(provider, &mut say);
    }
    for model in models {
        let mut say = |what: String| mistakes.push(format!("model {}: {what}", model.slug));
        check_model(model, providers, &mut say);
    }
    mistakes
}

fn check_provider(provider: &Provider, say: &mut dyn FnMut(String)) {
    if !is_name(&provider.slug) {
        say("slug must be lower-case letters, digits and dashes".into());
    }
    if provider.name.trim().is_empty() {
        say("name is empty".into());
    }
    let keyed = !matches!(provider.protocol, Protocol::Millrace);
    if keyed && !is_variable(&provider.key_variable) {
        say("key_variable must be a variable's name".into());
    }
    match prefix(&provider.key_variable) {
        Some(_) if !provider.base_url_variable.is_empty() => {
            say("base_url_variable follows from key_variable already".into());
        }
        None if keyed && !is_variable(&provider.base_url_variable) => {
            say("key_variable must be <PREFIX>_API_KEY, or base_url_variable be given".into());
        }
        Some(_) | None => {}
    }
    if !provider.base_url.is_empty() && !provider.base_url.starts_with("https://") {
        say("base_url must begin with https://".into());
    }
    if provider.also.contains(&provider.protocol) {
        say("also holds the protocol itself".into());
    }
    if provider.local && !provider.base_url.is_empty() {
        say("a local provider has no base_url: its variable gives it".into());
    }
    if provider.base_url.ends_with('/') {
        say("base_url must not end with a slash".into());
    }
    check_known(&provider.parameters, &PARAMETERS, "parameter", say);
}

fn check_model(model: &Model, providers: &[Provider], say: &mut dyn FnMut(String)) {
    let (author, name) = model.slug.split_once('/').unwrap_or(("", ""));
    if !is_name(author) || name.is_empty() || !name.bytes().all(is_slug_byte) {
        say("slug must be author/name in lower case".into());
    }
    if providers.iter().any(|provider| provider.local && provider.slug == author) {
        say(format!("{author}/… belongs to the local provider of that name"));
    }
    if model.name.trim().is_empty() || model.description.trim().is_empty() {
        say("name and description must not be empty".into());
    }
    if model.created == 0 || model.context_length == 0 {
        say("created and context_length must not be zero".into());
    }
    if !model.input.contains(&Modality::Text) || model.output.is_empty() {
        say("input must hold text, output must not be empty".into());
    }
    let made = [Modality::Text, Modality::Embeddings, Modality::Rerank];
    if made.iter().filter(|modality| model.output.contains(modality)).count() != 1 {
        say("output must hold one of text, embeddings and rerank".into());
    }
    if model.offers.is_empty() {
        say("has no offers".into());
    }
    check_known(std::slice::from_ref(&model.tokenizer), &TOKENIZERS, "tokenizer", say);
    check_known(&model.parameters, &PARAMETERS, "parameter", say);
    let mut seen = BTreeSet::new();
    for offer in &model.offers {
        let mut say = |what: String| say(format!("offer of {}: {what}", offer.provider));
        if !seen.insert(&offer.provider) {
            say("a second offer of one provider".into());
        }
        check_offer(offer, model, providers, &mut say);
    }
}

fn check_offer(offer: &Offer, model: &Model, providers: &[Provider], say: &mut dyn FnMut(String)) {
    match providers.iter().find(|provider| provider.slug == offer.provider) {
        None => say("no such provider".into()),
        Some(provider) if provider.local => say("a local provider offers any model already".into()),
        Some(provider) => {
            let spoken =
                |protocol: &Protocol| *protocol == provider.protocol || provider.also.contains(protocol);
            if !offer.protocol.as_ref().is_none_or(spoken) {
                say("the provider does not speak that protocol".into());
            }
            if !model.output.iter().all(|modality| provider.protocol.can_make(modality)) {
                say("the provider's protocol makes no such output".into());
            }
        }
    }
    if offer.model.is_empty() || offer.context_length == 0 || offer.max_output == Some(0) {
        say("model, context_length and max_output must not be empty or zero".into());
    }
    if offer.context_length > model.context_length {
        say("context_length is greater than the model's".into());
    }
    let quantization: Vec<String> = offer.quantization.iter().cloned().collect();
    check_known(&quantization, &QUANTIZATIONS, "quantization", say);
    check_known(&offer.without, &PARAMETERS, "parameter", say);
    for (name, text) in offer.amounts() {
        if let Err(error) = Price::parse_usd(text) {
            say(format!("{name} {text:?}: {error}"));
        }
    }
    for tier in offer.tiers.iter().filter(|tier| tier.prompt.is_some()) {
        let prices = [
            ("cache_read", &offer.cache_read, &tier.cache_read),
            ("cache_write", &offer.cache_write, &tier.cache_write),
            ("cache_write_1h", &offer.cache_write_1h, &tier.cache_write_1h),
            ("audio_input", &offer.audio_input, &tier.audio_input),
        ];
        for (name, _, _) in prices.iter().filter(|(_, own, of_tier)| own.is_some() && of_tier.is_none()) {
            say(format!("a tier with its own prompt price needs its own {name}"));
        }
    }
    if !offer.tiers.is_sorted_by(|a, b| a.above_prompt_tokens < b.above_prompt_tokens) {
        say("tiers must rise".into());
    }
}

fn check_known(names: &[String], known: &[&str], what: &str, say: &mut dyn FnMut(String)) {
    for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
        say(format!("unknown {what} {name:?}"));
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_slug_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._:".contains(&byte)
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn prefix(key_variable: &str) -> Option<&str> {
    key_variable.strip_suffix("_API_KEY").filter(|prefix| !prefix.is_empty())
}

impl Offer {
    /// Every price of the offer with its name, those of its tiers too.
    fn amounts(&self) -> Vec<(&'static str, &str)> {
        let mut all = vec![("prompt", self.prompt.as_str()), ("completion", self.completion.as_str())];
        let options = [
            ("request", &self.request),
            ("cache_read", &self.cache_read),
            ("cache_write", &self.cache_write),
            ("cache_write_1h", &self.cache_write_1h),
            ("reasoning", &self.reasoning),
            ("audio_input", &self.audio_input),
            ("audio_output", &self.audio_output),
            ("image_output", &self.image_output),
        ];
        let tiers = self.tiers.iter().flat_map(|tier| {
            [
                ("tier prompt", &tier.prompt),
                ("tier completion", &tier.completion),
                ("tier cache_read", &tier.cache_read),
                ("tier cache_write", &tier.cache_write),
                ("tier cache_write_1h", &tier.cache_write_1h),
                ("tier audio_input", &tier.audio_input),
            ]
        });
        let present = options.into_iter().chain(tiers);
        all.extend(present.filter_map(|(name, text)| text.as_deref().map(|text| (name, text))));
        all
    }
}
