//! The catalog's file format: reads it, checks it, writes it as Rust. Used by `build.rs` only.
//! What each member means stands in `catalog/README.md`. The tests compile it too.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

use super::index;
use super::money::Price;
use super::vocabulary;

mod alias;
mod check;
mod pack;
mod write;

/// Most input tokens that one image becomes, where the offer does not say.
const IMAGE_TOKENS: u64 = 16_384;

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
    silent_finish: bool,
    #[serde(default)]
    reports_cost: bool,
    #[serde(default)]
    sealer: Issuer,
    #[serde(default)]
    past_reasoning: PastReasoning,
    #[serde(default = "yes")]
    more_sampling: bool,
    #[serde(default)]
    call_ids: CallIdForm,
    #[serde(default)]
    turn_order: TurnOrder,
    #[serde(default)]
    cache_marks: bool,
    trains: Option<bool>,
    retains: Option<bool>,
    retention_days: Option<u32>,
    zdr: Option<bool>,
    #[serde(default)]
    parameters: Vec<String>,
    headquarters: Option<String>,
    #[serde(default)]
    datacenters: Vec<String>,
    #[serde(default)]
    regions: Vec<String>,
    /// What sources call it; used by the tool that updates the catalog.
    #[serde(default, rename = "known_as")]
    _known_as: Vec<String>,
    /// The protocols in which sources know its models, where they are sold in ours under the same names.
    #[serde(default, rename = "source_protocols")]
    _source_protocols: Vec<Protocol>,
    /// Where its row comes from, for people.
    #[serde(default, rename = "source")]
    _source: String,
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

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "snake_case")]
enum CallIdForm {
    #[default]
    AsSent,
    Nine,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "snake_case")]
enum TurnOrder {
    #[default]
    Free,
    Alternating,
    AnswersTools,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    slug: String,
    canonical_slug: Option<String>,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    created: u64,
    expires: Option<String>,
    successor: Option<String>,
    distillable: Option<bool>,
    #[serde(default)]
    default_parameters: BTreeMap<String, serde_json::Number>,
    /// Other names that stand for it.
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default, rename = "source")]
    _source: String,
    context_length: u64,
    input: Vec<Modality>,
    output: Vec<Modality>,
    tokenizer: String,
    hugging_face_id: Option<String>,
    knowledge_cutoff: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
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
    /// What tells it from the provider's other offers of the model: `turbo`.
    variant: Option<String>,
    region: Option<String>,
    service_tier: Option<String>,
    trains: Option<bool>,
    retains: Option<bool>,
    retention_days: Option<u32>,
    zdr: Option<bool>,
    #[serde(default, rename = "source")]
    _source: String,
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
    web_search: Option<String>,
    /// However many searches a reply takes, one is paid.
    #[serde(default)]
    web_search_once: bool,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    without: Vec<String>,
}

struct DataPolicy {
    trains: Option<bool>,
    retains: Option<bool>,
    retention_days: Option<u32>,
    zdr: Option<bool>,
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

    let mistakes = check::check(&providers, &models);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let aliases = alias::aliases(&models)?;
    let rows: BTreeMap<&str, usize> =
        providers.iter().enumerate().map(|(row, provider)| (provider.slug.as_str(), row)).collect();
    let mut out = String::new();
    let _ = writeln!(out, "pub static PROVIDERS: [Provider; {}] = [", providers.len());
    providers.iter().for_each(|provider| write::provider(provider, &mut out));
    out.push_str("];\n");
    let mut rows_of_models = pack::Pack::default();
    models.iter().for_each(|model| write::model(model, &providers, &rows, &mut rows_of_models));
    rows_of_models.write(&mut out);
    write::aliases(&aliases, &mut out);
    write::index("MODEL_INDEX", models.iter().map(|model| model.slug.as_str()), &mut out);
    write::index("ALIAS_INDEX", aliases.keys().map(String::as_str), &mut out);
    Ok(out)
}

impl Provider {
    fn data_policy(&self) -> DataPolicy {
        let Provider { trains, retains, retention_days, zdr, .. } = *self;
        DataPolicy { trains, retains, retention_days, zdr: zdr.or(retains.map(|retains| !retains)) }
    }
}

impl Model {
    /// Its description, or what its other members say in a sentence.
    fn described(&self) -> String {
        if !self.description.is_empty() {
            return self.description.clone();
        }
        if self.output.contains(&Modality::Embeddings) {
            return "Makes embeddings of text.".to_owned();
        }
        if self.output.contains(&Modality::Rerank) {
            return "Ranks documents by what they have to do with a query.".to_owned();
        }
        let inputs = [(Modality::Image, "images"), (Modality::File, "files"), (Modality::Audio, "sound")];
        let taken = inputs.iter().filter(|(one, _)| self.input.contains(one)).map(|(_, name)| *name);
        let mut done =
            vec![format!("takes {}", enumeration(&[&["text"], &taken.collect::<Vec<_>>()[..]].concat()))];
        done.extend(self.reasoning.as_ref().map(|_| "reasons".to_owned()));
        done.extend(self.parameters.iter().find(|name| *name == "tools").map(|_| "calls tools".to_owned()));
        let sentence = enumeration(&done.iter().map(String::as_str).collect::<Vec<_>>());
        format!("T{}.", &sentence[1..])
    }
}

/// `a`, `a and b`, `a, b and c`.
fn enumeration(parts: &[&str]) -> String {
    match parts {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

impl Offer {
    fn tag(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{}/{variant}", self.provider),
            None => self.provider.clone(),
        }
    }

    /// Whether it costs nothing at all. A price that cannot be read is none of nothing.
    fn is_free(&self) -> bool {
        let priced =
            |(name, text): &(&str, &str)| *name != "web_search" && Price::parse_usd(text) != Ok(Price::ZERO);
        !self.amounts().iter().any(priced)
    }

    /// Its own region, or the only one that its provider has.
    fn region<'a>(&'a self, provider: &'a Provider) -> Option<&'a str> {
        match (&self.region, provider.regions.as_slice()) {
            (Some(region), _) => Some(region),
            (None, [region]) => Some(region),
            (None, _) => None,
        }
    }

    fn data_policy(&self, provider: &Provider) -> DataPolicy {
        let of_provider = provider.data_policy();
        let retains = self.retains.or(of_provider.retains);
        let zdr = self.zdr.or(self.retains.map(|retains| !retains)).or(of_provider.zdr);
        DataPolicy {
            trains: self.trains.or(of_provider.trains),
            retains,
            retention_days: self
                .retention_days
                .or(of_provider.retention_days.filter(|_| retains != Some(false))),
            zdr,
        }
    }

    /// Whether the gateway can ask for searches in some protocol in which it is sold.
    fn can_search(&self, provider: &Provider) -> bool {
        let knows = |protocol: &Protocol| {
            let without = [Protocol::Cohere, Protocol::Bedrock, Protocol::Ollama, Protocol::Millrace];
            !without.contains(protocol)
        };
        self.protocol.as_ref().map_or(knows(&provider.protocol), knows)
    }

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
            ("web_search", &self.web_search),
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

fn prefix(key_variable: &str) -> Option<&str> {
    key_variable.strip_suffix("_API_KEY").filter(|prefix| !prefix.is_empty())
}
