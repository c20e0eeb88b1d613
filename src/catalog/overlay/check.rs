//! What is wrong with a row that a document makes: the rules by which the build checks the crate's
//! own tables, and those that keep an operator from mistakes of their own.

use super::Draft;
use super::row::{Row, Say};
use crate::catalog::vocabulary::{CATEGORIES, PARAMETERS, QUANTIZATIONS, REGIONS, SERVICE_TIERS, TOKENIZERS};
use crate::catalog::{self, DataPolicy, Modality, Model, Offer, Prices, Protocol, Provider};
use crate::money::Price;

/// Variables that begin so are the gateway's own.
const OWN_VARIABLES: &str = "MILLRACE_";

pub(super) fn provider(row: &Provider, new: bool, say: Say) {
    check_policy(&row.data_policy, say);
    if !new {
        return;
    }
    if !is_name(row.slug) {
        say("slug must be lower-case letters, digits and dashes".into());
    }
    if row.name.trim().is_empty() {
        say("name is missing".into());
    }
    if !["https://", "http://"]
        .iter()
        .any(|scheme| row.base_url.len() > scheme.len() && row.base_url.starts_with(scheme))
    {
        say("base_url must be an http or https address".into());
    }
    if row.base_url.ends_with('/') {
        say("base_url must not end with a slash".into());
    }
    if row.base_url.bytes().any(|byte| !byte.is_ascii_graphic()) {
        say("base_url must be printable ASCII without blanks".into());
    }
    if row.also.contains(&row.protocol) {
        say("also holds the protocol itself".into());
    }
    check_key_variable(row.key_variable, say);
    check_known(row.regions, &REGIONS, "region", say);
    for country in row.datacenters.iter().chain(&row.headquarters) {
        if country.len() != 2 || !country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            say(format!("{country:?} is no country's two letters"));
        }
    }
    if catalog::models().iter().any(|model| row.local && model.author() == row.slug) {
        say("a local provider's slug must not be the author of models".into());
    }
}

/// A key that belongs to another provider, or is the gateway's own secret, must not be sent to an
/// address that a document names.
fn check_key_variable(name: &str, say: Say) {
    if name.is_empty() {
        return;
    }
    let plain = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !plain || name.strip_suffix("_API_KEY").is_none_or(str::is_empty) {
        say("key_variable must be <PREFIX>_API_KEY".into());
    }
    if name.starts_with(OWN_VARIABLES) || catalog::providers().iter().any(|other| other.key_variable == name)
    {
        say("key_variable belongs to another provider".into());
    }
}

fn check_policy(policy: &DataPolicy, say: Say) {
    if policy.zdr == Some(true) && policy.retains != Some(false) {
        say("zdr is claimed where it is not known to retain nothing".into());
    }
    if policy.retention_days.is_some() && policy.retains != Some(true) {
        say("retention_days without retains".into());
    }
}

pub(super) fn model(row: &Row, draft: &Draft, new: bool, say: Say) {
    let Row { model, offers } = row;
    let (author, name) = model.slug.split_once('/').unwrap_or(("", ""));
    if !is_name(author) || name.is_empty() || !name.bytes().all(is_slug_byte) {
        say("slug must be author/name in lower case".into());
    }
    if draft.provider(author).is_some_and(|provider| provider.local) {
        say(format!("{author}/… belongs to the local provider of that name"));
    }
    if new && catalog::alias(model.slug).is_some() {
        say("slug is an alias of a built-in model".into());
    }
    if model.name.trim().is_empty() {
        say("name is missing".into());
    }
    if model.context_length == 0 {
        say("context_length must not be zero".into());
    }
    if model.expires.is_some_and(|day| !is_day(day)) {
        say("expires must be a day: 2026-12-31".into());
    }
    if !model.input_modalities.contains(&Modality::Text) || model.output_modalities.is_empty() {
        say("input must hold text, output must not be empty".into());
    }
    let made = [Modality::Text, Modality::Embeddings, Modality::Rerank];
    if made.iter().filter(|modality| model.output_modalities.contains(modality)).count() != 1 {
        say("output must hold one of text, embeddings and rerank".into());
    }
    if new && offers.is_empty() {
        say("has no offers".into());
    }
    check_known(&[model.tokenizer], &TOKENIZERS, "tokenizer", say);
    check_known(model.categories, &CATEGORIES, "category", say);
    for row in offers {
        let mut say = |what: String| say(format!("offer of {}: {what}", row.tag));
        offer(row, model, &mut say);
    }
}

fn offer(offer: &Offer, model: &Model, say: Say) {
    let provider = offer.provider;
    if provider.local {
        say("a local provider offers any model already".into());
    }
    let spoken = |protocol: &Protocol| *protocol == provider.protocol || provider.also.contains(protocol);
    if !offer.protocol.as_ref().is_none_or(spoken) {
        say("the provider does not speak that protocol".into());
    }
    if !model.output_modalities.iter().all(|modality| can_make(provider.protocol, *modality)) {
        say("the provider's protocol makes no such output".into());
    }
    if let Some((_, variant)) = offer.tag.split_once('/')
        && !is_name(variant)
    {
        say("what follows the slash of a tag must be lower-case letters, digits and dashes".into());
    }
    if offer.upstream_model.is_empty() || offer.context_length == 0 || offer.max_output == Some(0) {
        say("model, context_length and max_output must not be empty or zero".into());
    }
    if offer.context_length > model.context_length {
        say("context_length is greater than the model's".into());
    }
    check_known(offer.quantization.as_slice(), &QUANTIZATIONS, "quantization", say);
    check_known(offer.parameters, &PARAMETERS, "parameter", say);
    check_known(offer.region.as_slice(), &REGIONS, "region", say);
    check_known(offer.service_tier.as_slice(), &SERVICE_TIERS, "service tier", say);
    check_policy(&offer.data_policy, say);
    check_prices(&offer.prices, say);
    // A private server may cost nothing; what a vendor sells does so only where its name says it.
    let sold = catalog::provider(provider.slug).is_some() && !model.slug.ends_with(":free");
    if sold && is_free(&offer.prices) {
        say("a price of nothing is for slugs with :free and for providers of your own".into());
    }
}

fn can_make(protocol: Protocol, output: Modality) -> bool {
    match output {
        Modality::Text | Modality::Image | Modality::File | Modality::Audio => true,
        Modality::Embeddings => {
            matches!(protocol, Protocol::OpenAiChat | Protocol::Gemini | Protocol::Cohere)
        }
        Modality::Rerank => matches!(protocol, Protocol::OpenAiChat | Protocol::Cohere),
    }
}

fn check_prices(prices: &Prices, say: Say) {
    for tier in prices.tiers.iter().filter(|tier| tier.prompt.is_some()) {
        let pairs = [
            ("cache_read", prices.cache_read, tier.cache_read),
            ("cache_write", prices.cache_write, tier.cache_write),
            ("cache_write_1h", prices.cache_write_1h, tier.cache_write_1h),
            ("audio_input", prices.audio_input, tier.audio_input),
        ];
        for (name, _, _) in pairs.iter().filter(|(_, own, of_tier)| own.is_some() && of_tier.is_none()) {
            say(format!("a tier with its own prompt price needs its own {name}"));
        }
    }
    if !prices.tiers.is_sorted_by(|a, b| a.above_prompt_tokens < b.above_prompt_tokens) {
        say("tiers must rise".into());
    }
}

fn is_free(prices: &Prices) -> bool {
    let plain = [prices.prompt, prices.completion, prices.request];
    plain.iter().all(|price| *price == Price::ZERO)
}

/// Whether an alias may stand for a slug: it must hide no model, and lead to one. What says how to
/// choose among offers, as `:nitro`, is for the request to add.
pub(super) fn alias(alias: &str, target: &str, draft: &Draft) -> Result<(), String> {
    let plain = |byte: u8| byte != b':' && is_slug_byte(byte) || byte == b'/' || byte == b'~';
    if alias.is_empty() || alias.len() > 100 || !alias.bytes().all(plain) {
        return Err("must be lower-case letters, digits and any of - . _ / ~".into());
    }
    if draft.has(alias) {
        return Err("there is a model of that name".into());
    }
    if draft.has(target) { Ok(()) } else { Err(format!("{target:?} is no model")) }
}

fn check_known(names: &[&str], known: &[&str], what: &str, say: Say) {
    for name in names.iter().filter(|name| !known.contains(name)) {
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

fn is_day(text: &str) -> bool {
    let shape =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(shape)
}
