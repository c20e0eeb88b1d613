//! What can be asked for: models, the offers of them and the providers behind the offers, with
//! prices. The tables are made from `catalog/*.json` when the crate is built; they never change
//! while it runs. What each member means for the wire is in [`listing`].

mod handle;
pub mod index;
pub mod listing;
pub mod overlay;
mod packed;
pub mod pattern;
pub mod vocabulary;

pub use handle::Catalog;
pub use overlay::Overlay;

use crate::chat::Quirks;
use crate::money::Price;

mod table {
    use super::{DataPolicy, Modality, Protocol, Provider, SearchPrice, Tier};
    use crate::chat::conversation::Issuer;
    use crate::chat::{CallIdForm, MaxTokensName, PastReasoning, Quirks, StreamUsage, TurnOrder};
    use crate::money::Price;

    include!(concat!(env!("OUT_DIR"), "/catalog.rs"));
}

/// The wire protocol that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenAI's Chat Completions at `<base URL>/chat/completions`.
    OpenAiChat,
    /// OpenAI's Responses at `<base URL>/responses`.
    OpenAiResponses,
    /// Anthropic's Messages at `<base URL>/messages`.
    AnthropicMessages,
    /// Google's `generateContent` at `<base URL>/models/<model>:…`.
    Gemini,
    /// Cohere's second chat API at `<base URL>/chat`.
    Cohere,
    /// Amazon Bedrock's Converse at `<base URL>/model/<model>/converse`.
    Bedrock,
    /// Ollama's own API at `<base URL>/api/chat`.
    Ollama,
    /// The provider inside the gateway, which needs no network.
    Millrace,
}

/// Whoever answers requests for models. Compared by slug.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in `provider.order` and its like: `openai`.
    pub slug: &'static str,
    /// Its name for people and in replies: `OpenAI`.
    pub name: &'static str,
    /// The variable with its key or keys; empty if it has none. A local server may go without.
    pub key_variable: &'static str,
    /// The variable with an address to use instead of `base_url`; empty if there is none.
    pub base_url_variable: &'static str,
    /// Without a slash at its end. Empty where only the variable gives it.
    pub base_url: &'static str,
    pub protocol: Protocol,
    /// Other protocols that it speaks at the same address: a client of one is served in it.
    pub also: &'static [Protocol],
    /// A server of the operator's own: live by its address alone, sells any model for nothing.
    pub local: bool,
    pub quirks: Quirks,
    pub data_policy: DataPolicy,
    /// ISO 3166-1, two letters.
    pub headquarters: Option<&'static str>,
    /// The countries in which it computes, as ISO 3166-1 has them; empty if unknown.
    pub datacenters: &'static [&'static str],
    /// The regions in which it computes, of those in [`Offer::region`]; empty if unknown.
    pub regions: &'static [&'static str],
    pub privacy_policy_url: Option<&'static str>,
    pub terms_of_service_url: Option<&'static str>,
    pub status_page_url: Option<&'static str>,
}

/// What a provider's terms say about prompts and replies. `None` is unknown, which never counts
/// as a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPolicy {
    /// Whether it may train on them.
    pub trains: Option<bool>,
    /// Whether it keeps them after the reply, for whatever reason.
    pub retains: Option<bool>,
    /// The longest that it keeps them where its terms give a number.
    pub retention_days: Option<u32>,
    /// Whether what is sent falls under zero data retention. Never `Some(true)` where it retains.
    pub zdr: Option<bool>,
}

/// What an offer costs. Token prices are for one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    pub prompt: Price,
    pub completion: Price,
    /// For each request, whatever its size.
    pub request: Price,
    /// The most input tokens that one image becomes.
    pub image_tokens: u64,
    /// Unknown is not free: it costs what the prompt costs.
    pub cache_read: Option<Price>,
    pub cache_write: Option<Price>,
    pub cache_write_1h: Option<Price>,
    pub reasoning: Option<Price>,
    pub audio_input: Option<Price>,
    pub audio_output: Option<Price>,
    pub image_output: Option<Price>,
    /// Unknown is not free: what has no price for searches is asked for none.
    pub web_search: Option<SearchPrice>,
    /// By rising threshold. The last that applies counts; what it leaves out stays as above.
    pub tiers: &'static [Tier],
}

/// What a provider asks for the searches of the web that it makes for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchPrice {
    pub price: Price,
    /// However many it makes for one reply, one is paid, as by Gemini 2.5.
    pub once: bool,
}

/// Other prices for long prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Applies to more input tokens than this, cached ones included.
    pub above_prompt_tokens: u64,
    pub prompt: Option<Price>,
    pub completion: Option<Price>,
    pub cache_read: Option<Price>,
    pub cache_write: Option<Price>,
    pub cache_write_1h: Option<Price>,
    pub audio_input: Option<Price>,
}

/// A model as one provider sells it.
#[derive(Clone, Debug)]
pub struct Offer {
    pub provider: &'static Provider,
    /// Its name in `provider.order` and its like: the provider's slug, or `deepinfra/turbo` for
    /// one of several that a provider has of a model. Unique within a model.
    pub tag: &'static str,
    /// Where it computes: `us`, `eu`, `ap` or `cn`; `None` for several or unknown.
    pub region: Option<&'static str>,
    /// `flex` or `priority`; `None` for the ordinary service.
    pub service_tier: Option<&'static str>,
    /// The offer's own where it has one, else its provider's.
    pub data_policy: DataPolicy,
    /// The provider's own name for the model.
    pub upstream_model: &'static str,
    /// The only protocol in which the provider serves it, where that is not any that it speaks.
    pub protocol: Option<Protocol>,
    pub context_length: u64,
    pub max_output: Option<u64>,
    pub quantization: Option<&'static str>,
    pub prices: Prices,
    /// What it honours, in OpenRouter's `supported_parameters` names.
    pub parameters: &'static [&'static str],
}

/// A model, whoever sells it.
#[derive(Clone, Debug)]
pub struct Model {
    /// `author/name`.
    pub slug: &'static str,
    /// The permanent name of this version.
    pub canonical_slug: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    /// Seconds since 1970; 0 if unknown.
    pub created: u64,
    /// When it will go, or went: `2026-12-31`.
    pub expires: Option<&'static str>,
    /// The slug of the model to ask for in place of one that goes.
    pub successor: Option<&'static str>,
    /// Whether its author lets other models be trained on what it writes; `None` if unknown.
    pub distillable: Option<bool>,
    /// What its maker recommends where a request is silent: names of parameters with numbers as
    /// JSON text. Shown to clients, never sent.
    pub default_parameters: &'static [(&'static str, &'static str)],
    pub context_length: u64,
    pub input_modalities: &'static [Modality],
    pub output_modalities: &'static [Modality],
    /// The family of its tokenizer, one of OpenRouter's names.
    pub tokenizer: &'static str,
    pub hugging_face_id: Option<&'static str>,
    /// `2025-01-31`.
    pub knowledge_cutoff: Option<&'static str>,
    /// What it is known for, of the words in [`vocabulary`]; empty if nobody has said.
    pub categories: &'static [&'static str],
    /// `None` for models that do not reason.
    pub reasoning: Option<Reasoning>,
    pub offers: &'static [Offer],
}

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modality {
    Text,
    Image,
    File,
    Audio,
    Embeddings,
    Rerank,
}

/// How a model's reasoning can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reasoning {
    /// It cannot be switched off.
    pub mandatory: bool,
    pub default_enabled: Option<bool>,
    pub default_effort: Option<&'static str>,
    /// Greatest first; empty if unknown.
    pub efforts: &'static [&'static str],
}

/// The model of that exact slug.
pub fn find(slug: &str) -> Option<&'static Model> {
    let row = index::look_up(&table::MODEL_INDEX, slug, |row| packed::slug(row) == slug)?;
    Some(packed::model(row))
}

/// The slug of the model that another name stands for: a dated or former name, or
/// `~author/family-latest`. `None` for the slugs of models themselves.
pub fn alias(slug: &str) -> Option<&'static str> {
    let row = index::look_up(&table::ALIAS_INDEX, slug, |row| table::ALIASES[row].0 == slug)?;
    Some(table::ALIASES[row].1)
}

/// Every alias with the slug that it stands for, by alias.
pub fn aliases() -> &'static [(&'static str, &'static str)] {
    &table::ALIASES
}

/// Every model, by slug.
pub fn models() -> &'static [&'static Model] {
    packed::models()
}

/// Every provider, by slug.
pub fn providers() -> &'static [Provider] {
    &table::PROVIDERS
}

/// The provider of that exact slug.
pub fn provider(slug: &str) -> Option<&'static Provider> {
    let row = table::PROVIDERS.binary_search_by(|provider| provider.slug.cmp(slug)).ok()?;
    Some(&table::PROVIDERS[row])
}

/// Reads `<local provider>/<any name>`: the server and its own name for the model, which may
/// itself hold slashes and colons.
pub fn local(slug: &str) -> Option<(&'static Provider, &str)> {
    let (author, name) = slug.split_once('/')?;
    let provider = provider(author).filter(|provider| provider.local)?;
    (!name.is_empty()).then_some((provider, name))
}

impl PartialEq for Provider {
    fn eq(&self, other: &Provider) -> bool {
        self.slug == other.slug
    }
}

impl Eq for Provider {}

impl Model {
    /// The part of the slug before the slash.
    pub fn author(&self) -> &'static str {
        self.slug.split_once('/').map_or(self.slug, |(author, _)| author)
    }
}

impl Offer {
    pub fn honours(&self, parameter: &str) -> bool {
        self.parameters.contains(&parameter)
    }
}

impl Prices {
    /// For what costs nothing.
    pub const FREE: Prices = Prices {
        prompt: Price::ZERO,
        completion: Price::ZERO,
        request: Price::ZERO,
        image_tokens: 0,
        cache_read: None,
        cache_write: None,
        cache_write_1h: None,
        reasoning: None,
        audio_input: None,
        audio_output: None,
        image_output: None,
        web_search: None,
        tiers: &[],
    };

    /// A number that stands for these prices: other prices have another, but for a chance in 2^64.
    /// FNV-1a over all of them, in the order of the fields.
    pub fn fingerprint(&self) -> u64 {
        let known = |price: Option<Price>| price.map_or(-1, Price::pico);
        let tiers = self.tiers.iter().flat_map(|tier| {
            let prices = [tier.prompt, tier.completion, tier.cache_read, tier.cache_write];
            let rest = [tier.cache_write_1h, tier.audio_input];
            let from = i64::try_from(tier.above_prompt_tokens).unwrap_or(i64::MAX);
            std::iter::once(from).chain(prices.into_iter().chain(rest).map(known))
        });
        let optional = [self.cache_read, self.cache_write, self.cache_write_1h, self.reasoning];
        let media = [self.audio_input, self.audio_output, self.image_output];
        let fixed = [self.prompt.pico(), self.completion.pico(), self.request.pico()];
        let search = self.web_search.into_iter().flat_map(|it| [it.price.pico(), i64::from(it.once)]);
        let classes = optional.into_iter().chain(media).map(known);
        let all = fixed.into_iter().chain(classes).chain(tiers).chain(search);
        all.flat_map(i64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// One number to compare offers by, in picodollars: four tokens, three of them input, which
    /// is about the mix of an ordinary conversation.
    pub fn blend(&self) -> i128 {
        3 * i128::from(self.prompt.pico()) + i128::from(self.completion.pico())
    }
}

impl SearchPrice {
    /// How many of that many searches are paid.
    pub fn paid(self, searches: u64) -> u64 {
        if self.once { searches.min(1) } else { searches }
    }
}

impl Modality {
    pub fn name(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Image => "image",
            Modality::File => "file",
            Modality::Audio => "audio",
            Modality::Embeddings => "embeddings",
            Modality::Rerank => "rerank",
        }
    }
}
