//! The catalog's tables as Rust source. Everything was checked before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::index::{Entry, hash};
use super::pack::Pack;
use super::{DataPolicy, IMAGE_TOKENS, Modality, Model, Offer, Price, Provider, Reasoning, Tier, prefix};

pub(super) fn provider(provider: &Provider, out: &mut String) {
    let base_url_variable = match prefix(&provider.key_variable) {
        Some(prefix) => format!("{prefix}_BASE_URL"),
        None => provider.base_url_variable.clone(),
    };
    let Provider { slug, name, protocol, also, key_variable, base_url, local, .. } = provider;
    let Provider { max_tokens, stream_usage, usage_excludes_reasoning, reports_cost, .. } = provider;
    let Provider { sealer, past_reasoning, more_sampling, cache_marks, .. } = provider;
    let Provider { headquarters, datacenters, regions, .. } = provider;
    let Provider { silent_finish, call_ids, turn_order, .. } = provider;
    let Provider { privacy_policy_url, terms_of_service_url, status_page_url, .. } = provider;
    let _ = writeln!(
        out,
        "Provider {{ slug: {slug:?}, name: {name:?}, key_variable: {key_variable:?}, \
         base_url_variable: {base_url_variable:?}, base_url: {base_url:?}, \
         protocol: Protocol::{}, also: &[{}], local: {local}, \
         quirks: Quirks {{ max_tokens: MaxTokensName::{max_tokens:?}, stream_usage: StreamUsage::{stream_usage:?}, \
         usage_excludes_reasoning: {usage_excludes_reasoning}, reports_cost: {reports_cost}, sealer: Issuer::{sealer:?}, \
         past_reasoning: PastReasoning::{past_reasoning:?}, more_sampling: {more_sampling}, \
         cache_marks: {cache_marks}, silent_finish: {silent_finish}, call_ids: CallIdForm::{call_ids:?}, turn_order: TurnOrder::{turn_order:?} }}, \
         data_policy: {}, \
         headquarters: {headquarters:?}, datacenters: &{datacenters:?}, regions: &{regions:?}, privacy_policy_url: {privacy_policy_url:?}, \
         terms_of_service_url: {terms_of_service_url:?}, status_page_url: {status_page_url:?} }},",
        protocol.variant(),
        also.iter()
            .map(|protocol| format!("Protocol::{}", protocol.variant()))
            .collect::<Vec<_>>()
            .join(", "),
        data_policy(&provider.data_policy()),
    );
}

fn data_policy(policy: &DataPolicy) -> String {
    let DataPolicy { trains, retains, retention_days, zdr } = policy;
    format!(
        "DataPolicy {{ trains: {trains:?}, retains: {retains:?}, retention_days: {retention_days:?}, zdr: {zdr:?} }}"
    )
}

/// A row of the pack. What reads it takes the same in the same order.
pub(super) fn model(model: &Model, providers: &[Provider], rows: &BTreeMap<&str, usize>, out: &mut Pack) {
    let Model { slug, name, created, context_length, tokenizer, .. } = model;
    let Model { categories, hugging_face_id, knowledge_cutoff, expires, successor, distillable, .. } = model;
    let defaults = model.default_parameters.iter().map(|(name, number)| (name, number.to_string()));
    out.begin_row();
    out.string(slug);
    out.string(
        model.canonical_slug.as_ref().filter(|canonical| *canonical != slug).map_or("", String::as_str),
    );
    out.string(name);
    out.string(&model.described());
    out.number(*created);
    out.optional_string(expires.as_deref());
    out.optional_string(successor.as_deref());
    out.optional(distillable.map(u64::from));
    out.shared("DEFAULTS", "&[(&str, &str)]", format_args!("&{:?}", defaults.collect::<Vec<_>>()));
    out.number(*context_length);
    out.shared("MODALITIES", "&[Modality]", modalities(&model.input));
    out.shared("MODALITIES", "&[Modality]", modalities(&model.output));
    out.string(tokenizer);
    out.optional_string(hugging_face_id.as_deref());
    out.optional_string(knowledge_cutoff.as_deref());
    out.shared("CATEGORIES", "&[&str]", format_args!("&{categories:?}"));
    reasoning(model.reasoning.as_ref(), out);
    out.number(model.offers.len() as u64);
    for offer in &model.offers {
        let row = rows[offer.provider.as_str()];
        let allowed =
            |name: &&String| providers[row].parameters.contains(name) && !offer.without.contains(name);
        let mut parameters: BTreeSet<&str> =
            model.parameters.iter().filter(allowed).map(String::as_str).collect();
        // What has a price for searches makes them, and nothing else is asked for any.
        match offer.web_search {
            Some(_) => parameters.insert("web_search_options"),
            None => parameters.remove("web_search_options"),
        };
        write_offer(offer, slug, (row, &providers[row]), &parameters, out);
    }
}

fn write_offer(
    offer: &Offer,
    slug: &str,
    (row, provider): (usize, &Provider),
    parameters: &BTreeSet<&str>,
    out: &mut Pack,
) {
    let Offer { model, context_length, max_output, quantization, service_tier, .. } = offer;
    out.number(row as u64);
    out.string(Some(offer.tag()).filter(|tag| *tag != provider.slug).as_deref().unwrap_or_default());
    word(offer.region(provider), out);
    word(service_tier.as_deref(), out);
    out.shared("POLICIES", "DataPolicy", data_policy(&offer.data_policy(provider)));
    out.string(if model == slug { "" } else { model });
    let protocol = offer.protocol.as_ref();
    out.shared(
        "PROTOCOLS",
        "Option<Protocol>",
        protocol
            .map_or_else(|| "None".to_owned(), |protocol| format!("Some(Protocol::{})", protocol.variant())),
    );
    out.number(*context_length);
    out.optional(*max_output);
    word(quantization.as_deref(), out);
    prices(offer, out);
    out.shared("PARAMETERS", "&[&str]", format_args!("&{:?}", parameters.iter().collect::<Vec<_>>()));
}

/// One of the few words that many rows have, or none.
fn word(word: Option<&str>, out: &mut Pack) {
    out.shared("WORDS", "Option<&str>", format_args!("{word:?}"));
}

fn prices(offer: &Offer, out: &mut Pack) {
    let pico = |text: &str| u64::try_from(Price::parse_usd(text).expect("checked above").pico());
    let pico = |text: &str| pico(text).expect("prices are not negative");
    out.number(pico(&offer.prompt));
    out.number(pico(&offer.completion));
    out.number(offer.image_tokens.unwrap_or(IMAGE_TOKENS));
    let rare = [
        &offer.request,
        &offer.cache_read,
        &offer.cache_write,
        &offer.cache_write_1h,
        &offer.reasoning,
        &offer.audio_input,
        &offer.audio_output,
        &offer.image_output,
    ];
    let bits = rare.iter().enumerate().map(|(bit, price)| u64::from(price.is_some()) << bit);
    out.number(bits.sum());
    rare.iter().filter_map(|price| price.as_deref()).for_each(|price| out.number(pico(price)));
    let tiers: Vec<String> = offer.tiers.iter().map(tier).collect();
    out.shared("SEARCHES", "Option<SearchPrice>", search_price(offer));
    out.shared("TIERS", "&[Tier]", format_args!("&[{}]", tiers.join(", ")));
}

fn search_price(offer: &Offer) -> String {
    let once = offer.web_search_once;
    offer.web_search.as_deref().map_or_else(
        || "None".to_owned(),
        |text| format!("Some(SearchPrice {{ price: {}, once: {once} }})", price(text)),
    )
}

fn tier(tier: &Tier) -> String {
    format!(
        "Tier {{ above_prompt_tokens: {}, prompt: {}, completion: {}, cache_read: {}, cache_write: {}, \
         cache_write_1h: {}, audio_input: {} }}",
        tier.above_prompt_tokens,
        optional_price(&tier.prompt),
        optional_price(&tier.completion),
        optional_price(&tier.cache_read),
        optional_price(&tier.cache_write),
        optional_price(&tier.cache_write_1h),
        optional_price(&tier.audio_input),
    )
}

fn price(text: &str) -> String {
    format!("Price::from_pico({})", Price::parse_usd(text).expect("checked above").pico())
}

fn optional_price(text: &Option<String>) -> String {
    text.as_deref().map_or_else(|| "None".to_owned(), |text| format!("Some({})", price(text)))
}

fn modalities(list: &[Modality]) -> String {
    let names: Vec<String> = list.iter().map(|modality| format!("Modality::{modality:?}")).collect();
    format!("&[{}]", names.join(", "))
}

fn reasoning(reasoning: Option<&Reasoning>, out: &mut Pack) {
    out.optional(reasoning.map(|reasoning| u64::from(reasoning.mandatory)));
    if let Some(Reasoning { default_enabled, default_effort, efforts, .. }) = reasoning {
        out.optional(default_enabled.map(u64::from));
        word(default_effort.as_deref(), out);
        out.shared("EFFORTS", "&[&str]", format_args!("&{efforts:?}"));
    }
}

/// The names that stand for models, each with the model's slug, by name.
pub(super) fn aliases(aliases: &BTreeMap<String, String>, out: &mut String) {
    let _ = writeln!(out, "pub static ALIASES: [(&str, &str); {}] = [", aliases.len());
    for (alias, slug) in aliases {
        let _ = writeln!(out, "({alias:?}, {slug:?}),");
    }
    out.push_str("];\n");
}

/// The rows of a table by the hashes of their names.
pub(super) fn index<'a>(name: &str, slugs: impl Iterator<Item = &'a str>, out: &mut String) {
    let rows = slugs.enumerate().map(|(row, slug)| (hash(slug), row));
    let mut entries: Vec<Entry> =
        rows.map(|(hash, row)| (hash, u16::try_from(row).expect("tables are short"))).collect();
    entries.sort_unstable();
    let _ = writeln!(out, "pub static {name}: [(u16, u16); {}] = {entries:?};", entries.len());
}
