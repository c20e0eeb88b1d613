//! Rows of the catalog as a document changes or makes them. What a patch leaves out stays as the
//! crate has it, every class of price included; a row that is new has no price to fall back on.

use super::document::{ModelPatch, Patch};
use super::names::Names;
use super::{Draft, check};
use crate::catalog::{
    self, DataPolicy, Modality, Model, Offer, Prices, Protocol, Provider, Reasoning, SearchPrice, Tier,
};
use crate::chat::{MaxTokensName, PastReasoning, Quirks, StreamUsage};
use crate::money::Price;

/// Most input tokens that one image becomes, where a new offer does not say.
const IMAGE_TOKENS: u64 = 16_384;

/// Takes in what is wrong.
pub(super) type Say<'a> = &'a mut dyn FnMut(String);

/// A model with its offers apart; the model's own list is empty until [`Row::leak`].
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub model: Model,
    pub offers: Vec<Offer>,
}

impl Row {
    pub fn leak(self) -> &'static Model {
        Box::leak(Box::new(Model { offers: Box::leak(self.offers.into_boxed_slice()), ..self.model }))
    }
}

/// The provider that a patch makes; `Some(None)` hides it, `None` changes nothing.
pub(super) fn provider(
    slug: &str,
    patch: &Patch,
    names: &mut Names,
    say: Say,
) -> Option<Option<&'static Provider>> {
    let built_in = catalog::provider(slug);
    if patch.hidden() {
        if built_in.is_none() {
            say("there is no such provider to hide".into());
        }
        return Some(None);
    }
    let mut mistakes = Vec::new();
    let row = match built_in {
        Some(row) => changed_provider(row, patch, &mut mistakes),
        None => new_provider(slug, patch, names, &mut mistakes),
    };
    check::provider(&row, built_in.is_none(), &mut |what| mistakes.push(what));
    if mistakes.is_empty() {
        return Some(Some(names.provider(row)));
    }
    mistakes.into_iter().for_each(say);
    None
}

/// Of the crate's providers only what their terms say can be changed. Their addresses and keys have
/// variables of their own, and no document may send a key elsewhere.
fn changed_provider(row: &Provider, patch: &Patch, mistakes: &mut Vec<String>) -> Provider {
    if !patch.is_empty_but_for(&["hidden", "trains", "retains", "retention_days", "zdr"]) {
        mistakes.push(
            "of a built-in provider only hidden, trains, retains, retention_days and zdr can be set".into(),
        );
    }
    Provider { data_policy: policy(row.data_policy, patch), ..row.clone() }
}

fn new_provider(slug: &str, patch: &Patch, names: &mut Names, mistakes: &mut Vec<String>) -> Provider {
    let protocol = patch.text("protocol").and_then(read_protocol);
    let mut also = Vec::new();
    for name in patch.texts("also").unwrap_or_default() {
        match read_protocol(&name) {
            Some(protocol) => also.push(protocol),
            None => mistakes.push(format!("unknown protocol {name:?}")),
        }
    }
    if protocol.is_none() {
        mistakes.push(format!("protocol must be one of {}", protocol_names()));
    }
    let quirks = quirks(patch, mistakes);
    let mut text = |name: &str| names.string(patch.text(name).unwrap_or_default());
    let (name, key_variable, base_url) = (text("name"), text("key_variable"), text("base_url"));
    let mut optional = |name: &str| patch.text(name).map(|text| names.string(text));
    let headquarters = optional("headquarters");
    let privacy_policy_url = optional("privacy_policy_url");
    let terms_of_service_url = optional("terms_of_service_url");
    let status_page_url = optional("status_page_url");
    Provider {
        slug: names.string(slug),
        name,
        key_variable,
        base_url_variable: "",
        base_url,
        protocol: protocol.unwrap_or(Protocol::OpenAiChat),
        also: names.protocols(also),
        local: patch.flag("local").unwrap_or(false),
        quirks,
        data_policy: policy(UNKNOWN_POLICY, patch),
        headquarters,
        datacenters: names.list(&patch.texts("datacenters").unwrap_or_default()),
        regions: names.list(&patch.texts("regions").unwrap_or_default()),
        privacy_policy_url,
        terms_of_service_url,
        status_page_url,
    }
}

const UNKNOWN_POLICY: DataPolicy =
    DataPolicy { trains: None, retains: None, retention_days: None, zdr: None };

/// A policy with some of it changed. Who retains nothing has no days of retention.
fn policy(old: DataPolicy, patch: &Patch) -> DataPolicy {
    let retains = patch.flag("retains");
    let kept_days = old.retention_days.filter(|_| retains != Some(false));
    let days = patch.number("retention_days").and_then(|days| u32::try_from(days).ok());
    DataPolicy {
        trains: patch.flag("trains").or(old.trains),
        retains: retains.or(old.retains),
        retention_days: days.or(kept_days),
        zdr: patch.flag("zdr").or(retains.map(|retains| !retains)).or(old.zdr),
    }
}

const PROTOCOLS: [(&str, Protocol); 6] = [
    ("openai_chat", Protocol::OpenAiChat),
    ("openai_responses", Protocol::OpenAiResponses),
    ("anthropic_messages", Protocol::AnthropicMessages),
    ("gemini", Protocol::Gemini),
    ("cohere", Protocol::Cohere),
    ("ollama", Protocol::Ollama),
];

fn read_protocol(name: &str) -> Option<Protocol> {
    PROTOCOLS.iter().find(|(known, _)| *known == name).map(|(_, protocol)| *protocol)
}

fn protocol_names() -> String {
    PROTOCOLS.map(|(name, _)| name).join(", ")
}

fn quirks(patch: &Patch, mistakes: &mut Vec<String>) -> Quirks {
    let none = Quirks::NONE;
    let max_tokens = match patch.text("max_tokens") {
        None | Some("as_sent") => MaxTokensName::AsSent,
        Some("max_tokens") => MaxTokensName::MaxTokens,
        Some("max_completion_tokens") => MaxTokensName::MaxCompletionTokens,
        Some(_) => {
            mistakes.push("max_tokens must be as_sent, max_tokens or max_completion_tokens".into());
            none.max_tokens
        }
    };
    let stream_usage = match patch.text("stream_usage") {
        None | Some("ask") => StreamUsage::Ask,
        Some("always") => StreamUsage::Always,
        Some(_) => {
            mistakes.push("stream_usage must be ask or always".into());
            none.stream_usage
        }
    };
    let past_reasoning = match patch.text("past_reasoning") {
        None | Some("unwanted") => PastReasoning::Unwanted,
        Some("content") => PastReasoning::Content,
        Some("details") => PastReasoning::Details,
        Some(_) => {
            mistakes.push("past_reasoning must be unwanted, content or details".into());
            none.past_reasoning
        }
    };
    Quirks {
        max_tokens,
        stream_usage,
        past_reasoning,
        more_sampling: patch.flag("more_sampling").unwrap_or(none.more_sampling),
        cache_marks: patch.flag("cache_marks").unwrap_or(none.cache_marks),
        reports_cost: patch.flag("reports_cost").unwrap_or(none.reports_cost),
        ..none
    }
}

/// The model that a patch makes, with the draft's providers; `Some(None)` hides it, `None` leaves
/// a new one out. Where the patch is wrong, only what it hides counts.
pub(super) fn model(
    slug: &'static str,
    patch: &ModelPatch,
    draft: &Draft,
    names: &mut Names,
    say: Say,
) -> Option<Option<Row>> {
    let built_in = catalog::find(slug);
    if patch.members.hidden() {
        if built_in.is_none() {
            say("there is no such model to hide".into());
        }
        return Some(None);
    }
    let base = built_in.map(|model| built_in_row(model, patch, draft));
    let mut mistakes = Vec::new();
    let mut row = base.clone().unwrap_or_else(|| blank(slug));
    change_model(&mut row.model, &patch.members, built_in.is_none(), names, &mut mistakes);
    for (tag, offer) in patch.offers.iter() {
        let mut say = |what: String| mistakes.push(format!("offer of {tag}: {what}"));
        change_offer(&mut row, tag, offer, patch, draft, names, &mut say);
    }
    check::model(&row, draft, built_in.is_none(), &mut |what| mistakes.push(what));
    if mistakes.is_empty() {
        return Some(Some(row));
    }
    mistakes.into_iter().for_each(say);
    base.map(Some)
}

/// The crate's own row without what is hidden, its offers by the draft's providers.
fn built_in_row(model: &Model, patch: &ModelPatch, draft: &Draft) -> Row {
    let hidden = |offer: &Offer| patch.offers.get(offer.tag).is_some_and(Patch::hidden);
    let offers = model.offers.iter().filter(|offer| !hidden(offer)).filter_map(|offer| {
        let provider = draft.provider(offer.provider.slug)?;
        let own_policy = offer.data_policy != offer.provider.data_policy;
        let data_policy = if own_policy { offer.data_policy } else { provider.data_policy };
        Some(Offer { provider, data_policy, ..offer.clone() })
    });
    Row { offers: offers.collect(), model: Model { offers: &[], ..model.clone() } }
}

fn blank(slug: &'static str) -> Row {
    let model = Model {
        slug,
        canonical_slug: slug,
        name: "",
        description: "",
        created: 0,
        expires: None,
        successor: None,
        distillable: None,
        default_parameters: &[],
        context_length: 0,
        input_modalities: &[Modality::Text],
        output_modalities: &[Modality::Text],
        tokenizer: "Other",
        hugging_face_id: None,
        knowledge_cutoff: None,
        categories: &[],
        reasoning: None,
        offers: &[],
    };
    Row { model, offers: Vec::new() }
}

fn change_model(model: &mut Model, patch: &Patch, new: bool, names: &mut Names, mistakes: &mut Vec<String>) {
    let mut text = |name: &str, old: Option<&'static str>| match patch.text(name) {
        Some(text) => Some(names.string(text)),
        None => old,
    };
    model.name = text("name", Some(model.name)).unwrap_or_default();
    model.description = text("description", Some(model.description)).unwrap_or_default();
    model.tokenizer = text("tokenizer", Some(model.tokenizer)).unwrap_or_default();
    model.expires = text("expires", model.expires);
    model.successor = text("successor", model.successor);
    model.hugging_face_id = text("hugging_face_id", model.hugging_face_id);
    model.knowledge_cutoff = text("knowledge_cutoff", model.knowledge_cutoff);
    model.categories = patch.texts("categories").map_or(model.categories, |list| names.list(&list));
    model.created = patch.number("created").unwrap_or(model.created);
    model.distillable = patch.flag("distillable").or(model.distillable);
    model.context_length = patch.number("context_length").unwrap_or(model.context_length);
    if new && patch.number("context_length").is_none() {
        mistakes.push("context_length is missing".into());
    }
    for (member, into) in [("input", &mut model.input_modalities), ("output", &mut model.output_modalities)] {
        if let Some(list) = patch.texts(member) {
            let known: Vec<Modality> = list.iter().filter_map(|name| read_modality(name)).collect();
            if known.len() < list.len() {
                mistakes.push("input and output hold text, image, file, audio, embeddings or rerank".into());
            }
            *into = names.modalities(known);
        }
    }
    if let Some(reasoning) = patch.within("reasoning") {
        model.reasoning = Some(Reasoning {
            mandatory: reasoning.flag("mandatory").unwrap_or(false),
            default_enabled: reasoning.flag("default_enabled"),
            default_effort: reasoning.text("default_effort").map(|text| names.string(text)),
            efforts: names.list(&reasoning.texts("efforts").unwrap_or_default()),
        });
    }
}

fn read_modality(name: &str) -> Option<Modality> {
    use Modality::{Audio, Embeddings, File, Image, Rerank, Text};
    [Text, Image, File, Audio, Embeddings, Rerank].into_iter().find(|modality| modality.name() == name)
}

/// Changes the offer of that tag, or adds it.
fn change_offer(
    row: &mut Row,
    tag: &str,
    patch: &Patch,
    model: &ModelPatch,
    draft: &Draft,
    names: &mut Names,
    say: Say,
) {
    if patch.hidden() {
        let known = catalog::find(row.model.slug)
            .is_some_and(|model| model.offers.iter().any(|offer| offer.tag == tag));
        if !known {
            say("there is no such offer to hide".into());
        }
        return;
    }
    let at = row.offers.iter().position(|offer| offer.tag == tag);
    let base = match at {
        Some(at) => row.offers[at].clone(),
        None => match new_offer(row, tag, patch, model, draft, names, say) {
            Some(offer) => offer,
            None => return,
        },
    };
    let offer = changed_offer(base, patch, names, say);
    match at {
        Some(at) => row.offers[at] = offer,
        None => row.offers.push(offer),
    }
}

/// A new offer before its patch: all that has no default must be in the patch.
fn new_offer(
    row: &Row,
    tag: &str,
    patch: &Patch,
    model: &ModelPatch,
    draft: &Draft,
    names: &mut Names,
    say: Say,
) -> Option<Offer> {
    let slug = tag.split_once('/').map_or(tag, |(slug, _)| slug);
    let Some(provider) = draft.provider(slug) else {
        say("no such provider".into());
        return None;
    };
    for name in ["model", "prompt", "completion"] {
        if patch.text(name).is_none() {
            say(format!("{name} is missing: a new offer has no default for it"));
        }
    }
    let parameters = match model.members.texts("parameters") {
        Some(list) => names.list(&list),
        None => {
            let mut all: Vec<String> =
                row.offers.iter().flat_map(|offer| offer.parameters).map(|&name| name.to_owned()).collect();
            all.sort_unstable();
            all.dedup();
            names.list(&all)
        }
    };
    Some(Offer {
        provider,
        tag: names.string(tag),
        region: if let [region] = provider.regions { Some(region) } else { None },
        service_tier: None,
        data_policy: provider.data_policy,
        upstream_model: "",
        protocol: None,
        context_length: row.model.context_length,
        max_output: None,
        quantization: None,
        prices: Prices { image_tokens: IMAGE_TOKENS, ..Prices::FREE },
        parameters,
    })
}

fn changed_offer(old: Offer, patch: &Patch, names: &mut Names, say: Say) -> Offer {
    let mut text = |name: &str, old: Option<&'static str>| match patch.text(name) {
        Some(text) => Some(names.string(text)),
        None => old,
    };
    let upstream_model = text("model", Some(old.upstream_model)).unwrap_or_default();
    let quantization = text("quantization", old.quantization);
    let region = text("region", old.region);
    let service_tier = text("service_tier", old.service_tier);
    let protocol = patch.text("protocol").map(read_protocol);
    if protocol == Some(None) {
        say(format!("protocol must be one of {}", protocol_names()));
    }
    let prices = prices(&old.prices, patch, names, say);
    Offer {
        upstream_model,
        quantization,
        region,
        service_tier,
        protocol: protocol.flatten().or(old.protocol),
        data_policy: policy(old.data_policy, patch),
        context_length: patch.number("context_length").unwrap_or(old.context_length),
        max_output: patch.number("max_output").or(old.max_output),
        parameters: parameters(patch.texts("parameters"), old.parameters, &prices, names),
        prices,
        ..old
    }
}

/// What an offer honours: what has a price for searches makes them.
fn parameters(
    given: Option<Vec<String>>,
    old: &'static [&'static str],
    prices: &Prices,
    names: &mut Names,
) -> &'static [&'static str] {
    const SEARCH: &str = "web_search_options";
    let searches = prices.web_search.is_some();
    if given.is_none() && old.contains(&SEARCH) == searches {
        return old;
    }
    let mut list = given.unwrap_or_else(|| old.iter().map(|&name| name.to_owned()).collect());
    list.retain(|name| name != SEARCH);
    list.extend(searches.then(|| SEARCH.to_owned()));
    names.list(&list)
}

/// Prices with those of the patch in their places. A class that the patch leaves out keeps its own.
fn prices(old: &Prices, patch: &Patch, names: &mut Names, say: Say) -> Prices {
    let mut read = |name: &str, old: Option<Price>| read_price(name, patch.text(name), say).or(old);
    let plain = |price: Option<Price>| price.unwrap_or(Price::ZERO);
    let prices = Prices {
        prompt: plain(read("prompt", Some(old.prompt))),
        completion: plain(read("completion", Some(old.completion))),
        request: plain(read("request", Some(old.request))),
        image_tokens: patch.number("image_tokens").unwrap_or(old.image_tokens),
        cache_read: read("cache_read", old.cache_read),
        cache_write: read("cache_write", old.cache_write),
        cache_write_1h: read("cache_write_1h", old.cache_write_1h),
        reasoning: read("reasoning", old.reasoning),
        audio_input: read("audio_input", old.audio_input),
        audio_output: read("audio_output", old.audio_output),
        image_output: read("image_output", old.image_output),
        web_search: read("web_search", old.web_search.map(|it| it.price)).map(|price| SearchPrice {
            price,
            once: patch.flag("web_search_once").unwrap_or(old.web_search.is_some_and(|it| it.once)),
        }),
        tiers: old.tiers,
    };
    match patch.each("tiers") {
        None => prices,
        Some(tiers) => {
            let tiers = tiers.iter().map(|patch| tier(patch, say)).collect();
            Prices { tiers: names.tiers(tiers), ..prices }
        }
    }
}

fn tier(patch: &Patch, say: Say) -> Tier {
    let mut read = |name: &str| read_price(&format!("tier {name}"), patch.text(name), say);
    Tier {
        above_prompt_tokens: patch.number("above_prompt_tokens").unwrap_or(0),
        prompt: read("prompt"),
        completion: read("completion"),
        cache_read: read("cache_read"),
        cache_write: read("cache_write"),
        cache_write_1h: read("cache_write_1h"),
        audio_input: read("audio_input"),
    }
}

fn read_price(name: &str, text: Option<&str>, say: Say) -> Option<Price> {
    match Price::parse_usd(text?) {
        Ok(price) => Some(price),
        Err(error) => {
            say(format!("{name} {:?}: {error}", text.unwrap_or_default()));
            None
        }
    }
}
