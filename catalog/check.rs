//! What is wrong with a catalog. Every mistake is collected, so that one build shows them all.

use std::collections::{BTreeMap, BTreeSet};

use super::vocabulary::{CATEGORIES, PARAMETERS, QUANTIZATIONS, REGIONS, SERVICE_TIERS, TOKENIZERS};
use super::{DataPolicy, Modality, Model, Offer, Price, Protocol, Provider, prefix};

pub(super) fn check(providers: &[Provider], models: &[Model]) -> Vec<String> {
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
    mistakes.extend(sold_twice(models));
    for model in models {
        let mut say = |what: String| mistakes.push(format!("model {}: {what}", model.slug));
        check_model(model, providers, &mut say);
        if model.successor.as_ref().is_some_and(|successor| !models.iter().any(|one| one.slug == *successor))
        {
            say("its successor is no model".into());
        }
    }
    mistakes
}

/// A provider's model that two slugs sell, perhaps at two prices; one of them may be free.
fn sold_twice(models: &[Model]) -> Vec<String> {
    let mut slugs = BTreeMap::new();
    let mut mistakes = Vec::new();
    for model in models.iter().filter(|model| !model.slug.ends_with(":free")) {
        for offer in &model.offers {
            let other = *slugs.entry((&offer.provider, &offer.model)).or_insert(&model.slug);
            if *other != model.slug {
                mistakes.push(format!(
                    "model {}: {}'s {} is sold as {other} already",
                    model.slug, offer.provider, offer.model
                ));
            }
        }
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
    check_known(&provider.regions, &REGIONS, "region", say);
    check_data_policy(&provider.data_policy(), say);
    for country in provider.datacenters.iter().chain(&provider.headquarters) {
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            say(format!("{country:?} is no country's two letters"));
        }
    }
}

fn check_data_policy(policy: &DataPolicy, say: &mut dyn FnMut(String)) {
    if policy.zdr == Some(true) && policy.retains != Some(false) {
        say("zdr is claimed where it is not known to retain nothing".into());
    }
    if policy.retention_days.is_some() && policy.retains != Some(true) {
        say("retention_days without retains".into());
    }
}

fn check_model(model: &Model, providers: &[Provider], say: &mut dyn FnMut(String)) {
    let (author, name) = model.slug.split_once('/').unwrap_or(("", ""));
    if !is_name(author) || name.is_empty() || !name.bytes().all(is_slug_byte) {
        say("slug must be author/name in lower case".into());
    }
    if providers.iter().any(|provider| provider.local && provider.slug == author) {
        say(format!("{author}/… belongs to the local provider of that name"));
    }
    if model.name.trim().is_empty() {
        say("name is empty".into());
    }
    if model.context_length == 0 {
        say("context_length must not be zero".into());
    }
    if model.expires.as_ref().is_some_and(|day| !is_day(day)) {
        say("expires must be a day: 2026-12-31".into());
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
    check_known(&model.categories, &CATEGORIES, "category", say);
    let mut seen = BTreeSet::new();
    for offer in &model.offers {
        let mut say = |what: String| say(format!("offer of {}: {what}", offer.provider));
        if !seen.insert(offer.tag()) {
            say("a second offer of one provider without a variant of its own".into());
        }
        check_offer(offer, model, providers, &mut say);
    }
}

fn check_offer(offer: &Offer, model: &Model, providers: &[Provider], say: &mut dyn FnMut(String)) {
    match providers.iter().find(|provider| provider.slug == offer.provider) {
        None => say("no such provider".into()),
        Some(provider) if provider.local => say("a local provider offers any model already".into()),
        Some(provider) => {
            check_data_policy(&offer.data_policy(provider), say);
            let spoken =
                |protocol: &Protocol| *protocol == provider.protocol || provider.also.contains(protocol);
            if offer.web_search.is_some() && !offer.can_search(provider) {
                say("web_search: the provider's protocol has no word for it".into());
            }
            if !offer.protocol.as_ref().is_none_or(spoken) {
                say("the provider does not speak that protocol".into());
            }
            if !model.output.iter().all(|modality| provider.protocol.can_make(modality)) {
                say("the provider's protocol makes no such output".into());
            }
        }
    }
    if offer.variant.as_ref().is_some_and(|variant| !is_name(variant)) {
        say("variant must be lower-case letters, digits and dashes".into());
    }
    if offer.service_tier.is_some() && offer.service_tier != offer.variant {
        say("variant must be as the service_tier".into());
    }
    if offer.model.is_empty() || offer.context_length == 0 || offer.max_output == Some(0) {
        say("model, context_length and max_output must not be empty or zero".into());
    }
    if offer.context_length > model.context_length {
        say("context_length is greater than the model's".into());
    }
    check_known(offer.quantization.as_slice(), &QUANTIZATIONS, "quantization", say);
    check_known(&offer.without, &PARAMETERS, "parameter", say);
    check_known(offer.region.as_slice(), &REGIONS, "region", say);
    check_known(offer.service_tier.as_slice(), &SERVICE_TIERS, "service tier", say);
    for (name, text) in offer.amounts() {
        if let Err(error) = Price::parse_usd(text) {
            say(format!("{name} {text:?}: {error}"));
        }
    }
    if offer.web_search_once && offer.web_search.is_none() {
        say("web_search_once without web_search".into());
    }
    let free = model.slug.ends_with(":free");
    if free != offer.is_free() {
        say("a price of nothing is for slugs with :free, and only for them".into());
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

fn is_day(text: &str) -> bool {
    let shape =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}
