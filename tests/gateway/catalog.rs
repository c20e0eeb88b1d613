//! The catalog as built.

use std::cell::Cell;
use std::collections::BTreeSet;

use millrace::catalog::{self, Modality, Protocol, index};
use millrace::chat::conversation::Issuer;
use millrace::chat::{PastReasoning, Quirks};
use millrace::money::Price;
use serde_json::Value;

#[test]
fn every_slug_is_found_and_no_other() {
    for model in catalog::models() {
        assert_eq!(catalog::find(model.slug).map(|found| found.slug), Some(model.slug));
    }
    for slug in ["", "openai", "openai/", "openai/gpt-4o ", "OpenAI/gpt-4o", "zzz/zzz", "millrace/echo:free"]
    {
        assert!(catalog::find(slug).is_none(), "{slug:?}");
    }
}

#[test]
fn every_offer_can_be_billed_and_routed() {
    for model in catalog::models() {
        assert!(model.input_modalities.contains(&Modality::Text), "{}", model.slug);
        for offer in model.offers {
            let name = format!("{} at {}", model.slug, offer.provider.slug);
            assert!(offer.prices.blend() + i128::from(offer.prices.request.pico()) > 0, "{name} is free");
            let writes = model.output_modalities.contains(&Modality::Text);
            assert_eq!(offer.honours("max_tokens"), writes, "{name} and max_tokens");
            assert!(writes || offer.prices.completion.pico() == 0, "{name} writes nothing");
            assert!(offer.max_output.is_none_or(|most| most <= offer.context_length), "{name}");
            assert!(catalog::provider(offer.provider.slug).is_some(), "{name}");
        }
    }
}

#[test]
fn the_catalog_is_of_full_size_and_in_order() {
    let (models, providers, aliases) = (catalog::models(), catalog::providers(), catalog::aliases());
    let sellers: BTreeSet<&str> =
        models.iter().flat_map(|model| model.offers).map(|offer| offer.provider.slug).collect();
    assert!(models.len() >= 500 && sellers.len() >= 60, "{} and {}", models.len(), sellers.len());
    assert!(models.is_sorted_by(|a, b| a.slug < b.slug));
    assert!(providers.is_sorted_by(|a, b| a.slug < b.slug));
    assert!(aliases.is_sorted_by(|a, b| a.0 < b.0));
}

/// However many models there are, a slug is compared with itself and perhaps with two others.
#[test]
fn a_name_is_looked_up_with_hardly_a_comparison() {
    let slugs: Vec<&str> = catalog::models().iter().map(|model| model.slug).collect();
    let mut table: Vec<index::Entry> =
        (0..).zip(&slugs).map(|(row, slug)| (index::hash(slug), row)).collect();
    table.sort_unstable();
    for slug in slugs.iter().copied().chain(["", "openai/gpt-0", "nobody/nothing"]) {
        let compared = Cell::new(0);
        let found = index::look_up(&table, slug, |row| {
            compared.set(compared.get() + 1);
            slugs[row] == slug
        });
        assert_eq!(found.map(|row| slugs[row]), slugs.iter().copied().find(|one| *one == slug));
        assert!(compared.get() <= 3, "{slug}: {} comparisons", compared.get());
    }
    // Names of one hash are told apart.
    let twins = [(index::hash("one"), 0), (index::hash("one"), 1)];
    assert_eq!(index::look_up(&twins, "one", |row| row == 1), Some(1));
    assert_eq!(index::look_up(&twins, "one", |_| false), None);
}

#[test]
fn an_alias_stands_for_a_model_and_before_none() {
    for (alias, slug) in catalog::aliases() {
        assert!(catalog::find(slug).is_some(), "{alias} is {slug}");
        assert!(catalog::find(alias).is_none(), "{alias} is a model");
        assert!(catalog::local(alias).is_none(), "{alias} belongs to a local server");
        assert_eq!(catalog::alias(alias), Some(*slug));
        assert!(catalog::alias(slug).is_none(), "{alias} is an alias of an alias");
    }
    for (alias, slug) in [
        ("anthropic/claude-4.5-sonnet-20250929", Some("anthropic/claude-sonnet-4.5")),
        ("anthropic/claude-sonnet-4-5", Some("anthropic/claude-sonnet-4.5")),
        ("openai/gpt-5-2025-08-07", Some("openai/gpt-5")),
        ("openai/gpt-5", None),
        ("~openai", None),
        ("", None),
    ] {
        assert_eq!(catalog::alias(alias), slug, "{alias}");
    }
    for family in ["~anthropic/claude-sonnet", "~openai/gpt", "~openai/gpt-mini", "~google/gemini-flash"] {
        assert!(catalog::alias(&format!("{family}-latest")).is_some(), "{family}");
    }
}

#[test]
fn offers_know_their_tag_region_and_data_policy() {
    for model in catalog::models() {
        let mut tags: Vec<&str> = model.offers.iter().map(|offer| offer.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), model.offers.len(), "{} has two offers of one tag", model.slug);
        for offer in model.offers {
            let base = offer.tag.split('/').next();
            assert_eq!(base, Some(offer.provider.slug), "{} of {}", offer.tag, model.slug);
            let policy = offer.data_policy;
            assert!(
                policy.zdr != Some(true) || policy.retains == Some(false),
                "{} at {}",
                model.slug,
                offer.tag
            );
            assert!(offer.region.is_none_or(|region| ["us", "eu", "ap", "cn"].contains(&region)));
        }
    }
    let offer = |slug: &str, tag: &str| {
        catalog::find(slug).unwrap().offers.iter().find(|offer| offer.tag == tag).unwrap()
    };
    assert_eq!(offer("meta-llama/llama-3.3-70b-instruct", "scaleway").region, Some("eu"));
    assert_eq!(offer("moonshotai/kimi-k3", "fireworks/us").region, Some("us"));
    assert_eq!(offer("anthropic/claude-sonnet-4.5", "amazon-bedrock").data_policy.zdr, Some(true));
    assert_eq!(offer("anthropic/claude-sonnet-4.5", "anthropic").data_policy.retention_days, Some(30));
    let fable = offer("anthropic/claude-fable-5", "amazon-bedrock").data_policy;
    assert_eq!((fable.retains, fable.retention_days, fable.zdr), (Some(true), Some(30), Some(false)));
    assert_eq!(offer("openai/gpt-oss-120b", "novita").data_policy.zdr, None, "unknown is no promise");
    let (ordinary, priority) = (offer("openai/gpt-5", "openai"), offer("openai/gpt-5", "openai/priority"));
    assert_eq!((ordinary.service_tier, priority.service_tier), (None, Some("priority")));
    assert!(priority.prices.blend() > ordinary.prices.blend());
}

#[test]
fn every_provider_has_an_address_or_a_variable_for_it() {
    for provider in catalog::providers() {
        let embedded = provider.protocol == Protocol::Millrace;
        assert!(embedded || !provider.base_url_variable.is_empty(), "{}", provider.slug);
        assert!(embedded || !provider.key_variable.is_empty(), "{}", provider.slug);
        assert!(
            provider.base_url.is_empty() || provider.base_url.starts_with("https://"),
            "{}",
            provider.slug
        );
    }
    let addressed = catalog::providers().iter().filter(|one| !one.base_url.is_empty()).count();
    assert!(addressed >= 60, "{addressed}");
}

#[test]
fn a_model_without_a_description_is_described_by_its_facts() {
    for (slug, expected) in [
        ("anthropic/claude-opus-5.5", "Takes text, images and files, reasons and calls tools."),
        ("voyageai/voyage-3", "Makes embeddings of text."),
    ] {
        assert_eq!(catalog::find(slug).unwrap().description, expected);
    }
}

#[test]
fn providers_name_their_variables() {
    for (slug, key, base_url) in [
        ("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
        ("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        ("google-ai-studio", "GEMINI_API_KEY", "GEMINI_BASE_URL"),
        ("mistral", "MISTRAL_API_KEY", "MISTRAL_BASE_URL"),
        ("groq", "GROQ_API_KEY", "GROQ_BASE_URL"),
        ("ollama", "OLLAMA_API_KEY", "OLLAMA_BASE_URL"),
        ("ollama-native", "OLLAMA_NATIVE_API_KEY", "OLLAMA_NATIVE_BASE_URL"),
        ("amazon-bedrock", "AWS_BEARER_TOKEN_BEDROCK", "AWS_BEDROCK_BASE_URL"),
        ("azure", "AZURE_API_KEY", "AZURE_BASE_URL"),
        ("cloudflare", "CLOUDFLARE_AI_API_KEY", "CLOUDFLARE_AI_BASE_URL"),
        ("cohere", "COHERE_API_KEY", "COHERE_BASE_URL"),
        ("millrace", "", ""),
    ] {
        let provider = catalog::provider(slug).unwrap();
        assert_eq!((provider.key_variable, provider.base_url_variable), (key, base_url), "{slug}");
    }
    let mut variables: Vec<&str> = catalog::providers().iter().map(|one| one.base_url_variable).collect();
    variables.sort_unstable();
    variables.dedup();
    assert_eq!(variables.len(), catalog::providers().len(), "two providers share a variable");
    let embedded = catalog::providers().iter().filter(|one| one.protocol == Protocol::Millrace);
    assert_eq!(embedded.count(), 1);
}

#[test]
fn a_local_server_has_any_model() {
    for (slug, expected) in [
        ("ollama/llama3.2", Some(("ollama", "llama3.2"))),
        ("ollama/llama3.2:latest", Some(("ollama", "llama3.2:latest"))),
        ("vllm/Qwen/Qwen3-8B", Some(("vllm", "Qwen/Qwen3-8B"))),
        ("llamacpp/default", Some(("llamacpp", "default"))),
        ("lmstudio/x:floor", Some(("lmstudio", "x:floor"))),
        ("ollama-native/llama3.2:1b", Some(("ollama-native", "llama3.2:1b"))),
        ("ollama/", None),
        ("ollama", None),
        ("openai/gpt-4o", None),
    ] {
        assert_eq!(catalog::local(slug).map(|(provider, name)| (provider.slug, name)), expected, "{slug}");
    }
}

#[test]
fn quirks_are_those_of_the_rows() {
    let quirks = |slug: &str| catalog::provider(slug).unwrap().quirks;
    assert_eq!(quirks("deepseek").past_reasoning, PastReasoning::Content);
    assert_eq!(quirks("xai").sealer, Issuer::Xai);
    for (slug, more_sampling) in [("openai", false), ("azure", false), ("groq", false), ("together", true)] {
        assert_eq!(quirks(slug).more_sampling, more_sampling, "{slug}");
    }
    let plain = Quirks { max_tokens: quirks("together").max_tokens, ..Quirks::NONE };
    assert_eq!(quirks("together"), plain, "what a row leaves out is as in `NONE`");
}

/// Each member that the files give is what unpacking makes of it.
#[test]
fn every_row_is_unpacked_as_the_files_have_it() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../../catalog/models.json")).unwrap();
    assert_eq!(rows.len(), catalog::models().len());
    for row in &rows {
        let text = |member: &str| row[member].as_str();
        let model = catalog::find(text("slug").unwrap()).unwrap();
        assert!(std::ptr::eq(model, catalog::find(model.slug).unwrap()), "{} is unpacked once", model.slug);
        assert_eq!((Some(model.name), Some(model.tokenizer)), (text("name"), text("tokenizer")));
        assert_eq!(model.canonical_slug, text("canonical_slug").unwrap_or(model.slug));
        assert_eq!((model.expires, model.successor), (text("expires"), text("successor")));
        assert_eq!(model.knowledge_cutoff, text("knowledge_cutoff"));
        assert_eq!(model.hugging_face_id, text("hugging_face_id"));
        assert_eq!(
            (model.created, model.distillable),
            (row["created"].as_u64().unwrap_or(0), row["distillable"].as_bool())
        );
        assert_eq!(Some(model.context_length), row["context_length"].as_u64());
        assert_eq!(
            model.reasoning.map(|reasoning| reasoning.mandatory),
            row["reasoning"]["mandatory"].as_bool()
        );
        assert_eq!(model.input_modalities.len(), row["input"].as_array().unwrap().len());
        let offers = row["offers"].as_array().unwrap();
        assert_eq!(model.offers.len(), offers.len());
        for (offer, row) in model.offers.iter().zip(offers) {
            let price = |member: &str| row[member].as_str().map(|usd| Price::parse_usd(usd).unwrap());
            assert_eq!(Some(offer.provider.slug), row["provider"].as_str());
            assert_eq!(Some(offer.upstream_model), row["model"].as_str(), "{}", model.slug);
            assert_eq!(Some(offer.context_length), row["context_length"].as_u64());
            assert_eq!(
                (offer.max_output, offer.quantization),
                (row["max_output"].as_u64(), row["quantization"].as_str())
            );
            let prices = offer.prices;
            assert_eq!(
                (Some(prices.prompt), Some(prices.completion)),
                (price("prompt"), price("completion"))
            );
            assert_eq!((prices.cache_read, prices.cache_write), (price("cache_read"), price("cache_write")));
            assert_eq!(
                (prices.cache_write_1h, prices.reasoning),
                (price("cache_write_1h"), price("reasoning"))
            );
            assert_eq!(
                (prices.audio_input, prices.audio_output),
                (price("audio_input"), price("audio_output"))
            );
            assert_eq!(
                (Some(prices.request), prices.image_output),
                (price("request").or(Some(Price::ZERO)), price("image_output"))
            );
            assert_eq!(prices.tiers.len(), row["tiers"].as_array().map_or(0, Vec::len));
        }
    }
}
