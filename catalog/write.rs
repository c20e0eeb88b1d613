//! The catalog's tables as Rust source. Everything was checked before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::index::{Entry, hash};
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

pub(super) fn model(model: &Model, providers: &[Provider], rows: &BTreeMap<&str, usize>, out: &mut String) {
    let Model { slug, name, created, context_length, tokenizer, .. } = model;
    let Model { categories, hugging_face_id, knowledge_cutoff, expires, successor, distillable, .. } = model;
    let description = model.described();
    let canonical_slug = model.canonical_slug.as_ref().unwrap_or(slug);
    let _ = write!(
        out,
        "Model {{ slug: {slug:?}, canonical_slug: {canonical_slug:?}, name: {name:?}, \
         description: {description:?}, created: {created}, expires: {expires:?}, successor: {successor:?}, \
         distillable: {distillable:?}, default_parameters: &{:?}, context_length: {context_length}, \
         input_modalities: {}, output_modalities: {}, tokenizer: {tokenizer:?}, \
         hugging_face_id: {hugging_face_id:?}, knowledge_cutoff: {knowledge_cutoff:?}, categories: &{categories:?}, reasoning: {}, \
         offers: &[",
        model.default_parameters.iter().map(|(name, number)| (name, number.to_string())).collect::<Vec<_>>(),
        modalities(&model.input),
        modalities(&model.output),
        reasoning(model.reasoning.as_ref()),
    );
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
        write_offer(offer, (row, &providers[row]), &parameters, out);
    }
    out.push_str("] },\n");
}

fn write_offer(
    offer: &Offer,
    (row, provider): (usize, &Provider),
    parameters: &BTreeSet<&str>,
    out: &mut String,
) {
    let Offer { model, context_length, max_output, quantization, service_tier, .. } = offer;
    let (tag, region) = (offer.tag(), offer.region(provider));
    let protocol = match &offer.protocol {
        Some(protocol) => format!("Some(Protocol::{})", protocol.variant()),
        None => "None".to_owned(),
    };
    let _ = write!(
        out,
        "Offer {{ provider: &PROVIDERS[{row}], tag: {tag:?}, region: {region:?}, service_tier: {service_tier:?}, \
         data_policy: {}, upstream_model: {model:?}, protocol: {protocol}, \
         context_length: {context_length}, max_output: {max_output:?}, quantization: {quantization:?}, prices: {}, parameters: &{:?} }}, ",
        data_policy(&offer.data_policy(provider)),
        prices(offer),
        parameters.iter().collect::<Vec<_>>(),
    );
}

fn prices(offer: &Offer) -> String {
    let tiers: Vec<String> = offer.tiers.iter().map(tier).collect();
    format!(
        "Prices {{ prompt: {}, completion: {}, request: {}, image_tokens: {}, cache_read: {}, \
         cache_write: {}, cache_write_1h: {}, reasoning: {}, audio_input: {}, audio_output: {}, \
         image_output: {}, web_search: {}, tiers: &[{}] }}",
        price(&offer.prompt),
        price(&offer.completion),
        price(offer.request.as_deref().unwrap_or("0")),
        offer.image_tokens.unwrap_or(IMAGE_TOKENS),
        optional_price(&offer.cache_read),
        optional_price(&offer.cache_write),
        optional_price(&offer.cache_write_1h),
        optional_price(&offer.reasoning),
        optional_price(&offer.audio_input),
        optional_price(&offer.audio_output),
        optional_price(&offer.image_output),
        search_price(offer),
        tiers.join(", "),
    )
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

fn reasoning(reasoning: Option<&Reasoning>) -> String {
    let Some(Reasoning { mandatory, default_enabled, default_effort, efforts }) = reasoning else {
        return "None".to_owned();
    };
    format!(
        "Some(Reasoning {{ mandatory: {mandatory}, default_enabled: {default_enabled:?}, \
         default_effort: {default_effort:?}, efforts: &{efforts:?} }})"
    )
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
    let _ = writeln!(out, "pub static {name}: [(u32, u16); {}] = {entries:?};", entries.len());
}
