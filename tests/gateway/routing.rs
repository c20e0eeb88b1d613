//! Which offers may be tried, and what is said where none is left.

mod auto;
mod explain;
mod filters;
pub mod market;
mod order;
mod rate;
mod slugs;
mod sticky;

use std::collections::BTreeMap;

use millrace::catalog::{self, Catalog, Modality, Model, Offer, Protocol, Provider};
use millrace::chat::{Needs, Output, RequestSize};
use millrace::error::{Cause, Failure};
use millrace::health::Unknown;
use millrace::protocol::bridge::Face;
use millrace::protocol::gemini::Framing;
use millrace::routing::{AutoRules, Plan, Policy, Preference, Query, plan};
use millrace::time::Time;
use proptest::prelude::*;

/// Sold by eight providers.
const OSS: &str = "openai/gpt-oss-120b";
const CLAUDE: &str = "anthropic/claude-sonnet-4.5";
const EMBEDDINGS: &str = "openai/text-embedding-3-small";
/// Knows no response format.
const VISION: &str = "cohere/command-a-vision-07-2025";

#[test]
fn each_filter_names_what_it_removed() {
    // Each row: a model, what is asked, the provider that must go and by which filter.
    let mut filters = Vec::new();
    for (model, request, provider, filter) in [
        (OSS, r#"{"live": ["groq"]}"#, "cerebras", "not_configured"),
        (OSS, r#"{"only": ["groq"]}"#, "cerebras", "allowed_providers"),
        (OSS, r#"{"only": []}"#, "groq", "allowed_providers"),
        (OSS, r#"{"ignore": ["Groq"]}"#, "groq", "ignored_providers"),
        (OSS, r#"{"order": ["groq"], "allow_fallbacks": false}"#, "cerebras", "order"),
        (OSS, r#"{"data_collection": "deny"}"#, "novita", "data_policy:training"),
        ("openai/gpt-4o", r#"{"zdr": true}"#, "openai", "data_policy:zdr"),
        ("z-ai/glm-5.3", r#"{"zdr": true}"#, "z-ai", "data_policy:zdr"),
        ("millrace/echo", r#"{"enforce_distillable_text": true}"#, "millrace", "enforce_distillable_text"),
        ("qwen/qwen3-32b", r#"{"quantizations": ["bf16"]}"#, "novita", "quantization"),
        ("qwen/qwen3-32b", r#"{"quantizations": ["unknown"]}"#, "novita", "quantization"),
        ("millrace/echo", r#"{"max_price": {"prompt": 0.999999}}"#, "millrace", "max_price"),
        ("millrace/echo", r#"{"max_price": {"completion": "1.99"}}"#, "millrace", "max_price"),
        ("perplexity/sonar", r#"{"max_price": {"request": 0.011}}"#, "perplexity", "max_price"),
        (OSS, r#"{"require_parameters": true, "parameters": ["top_k"]}"#, "groq", "require_parameters"),
        ("millrace/echo", r#"{"bytes": 1024008}"#, "millrace", "context_length"),
        ("millrace/echo", r#"{"max_tokens": 16385}"#, "millrace", "max_tokens"),
        ("millrace/echo", r#"{"needs": "images"}"#, "millrace", "input_modality"),
        ("millrace/echo", r#"{"needs": "audio"}"#, "millrace", "input_modality"),
        ("millrace/echo", r#"{"needs": "files"}"#, "millrace", "input_modality"),
        ("perplexity/sonar", r#"{"needs": "tools"}"#, "perplexity", "tools"),
        (CLAUDE, r#"{"output": "embeddings"}"#, "anthropic", "output_modality"),
        (CLAUDE, r#"{"output": "rerank"}"#, "amazon-bedrock", "output_modality"),
        (EMBEDDINGS, "{}", "openai", "output_modality"),
        (EMBEDDINGS, r#"{"output": "rerank"}"#, "azure", "output_modality"),
        ("cohere/rerank-v3.5", "{}", "cohere", "output_modality"),
        (VISION, r#"{"needs": "structured_output"}"#, "cohere", "response_format"),
        (VISION, r#"{"needs": "json_object"}"#, "cohere", "response_format"),
    ] {
        let removed = Request::read(model, request).removed();
        assert_eq!(removed.get(provider).map(String::as_str), Some(filter), "{model} {request}: {removed:?}");
        filters.push(filter);
    }
    filters.dedup();
    assert_eq!(filters.len(), 16, "a row for every filter");
}

#[test]
fn what_is_within_the_limits_stays() {
    for (model, request, provider) in [
        ("millrace/echo", r#"{"max_price": {"prompt": 1, "completion": "2", "request": 0}}"#, "millrace"),
        ("millrace/echo", r#"{"max_price": {"prompt": 0.30000000000000004, "prompt": 1e2}}"#, "millrace"),
        ("millrace/echo", r#"{"max_tokens": 16384, "bytes": 1024007}"#, "millrace"),
        ("millrace/echo", r#"{"needs": "tools"}"#, "millrace"),
        ("openai/gpt-5.6-sol", r#"{"needs": "tools"}"#, "openai"),
        (CLAUDE, r#"{"needs": "structured_output"}"#, "anthropic"),
        (CLAUDE, r#"{"needs": "structured_output"}"#, "amazon-bedrock"),
        ("google/gemini-2.5-pro", r#"{"needs": "audio"}"#, "google-ai-studio"),
        (EMBEDDINGS, r#"{"output": "embeddings"}"#, "azure"),
        (
            EMBEDDINGS,
            r#"{"output": "embeddings", "require_parameters": true, "parameters": ["dimensions"]}"#,
            "openai",
        ),
        // Each of a hundred inputs may be as long as the context.
        (EMBEDDINGS, r#"{"output": "embeddings", "bytes": 1000000, "inputs": 100}"#, "openai"),
        ("cohere/rerank-v3.5", r#"{"output": "rerank"}"#, "cohere"),
        ("millrace/echo", r#"{"needs": "structured_output"}"#, "millrace"),
        ("millrace/echo", r#"{"zdr": true, "data_collection": "deny"}"#, "millrace"),
        ("openai/gpt-4o", r#"{"data_collection": "deny", "needs": "images"}"#, "openai"),
        ("qwen/qwen3-32b", r#"{"quantizations": ["fp8", "unknown"]}"#, "novita"),
        ("millrace/echo", r#"{"only": ["MILLRACE "], "preferred_max_latency": {"p90": 1}}"#, "millrace"),
        ("millrace/echo", r#"{"sort": null, "order": null, "options": {}}"#, "millrace"),
    ] {
        let plan = Request::read(model, request).plan(7).unwrap_or_else(|failure| panic!("{failure:?}"));
        assert!(providers(&plan).contains(&provider), "{model} {request}");
    }
}

#[test]
fn a_candidate_says_what_to_send_and_what_to_call_it() {
    for (model, request, slug, upstream) in [
        (
            "openai/gpt-oss-120b:floor",
            r#"{"only": ["fireworks"]}"#,
            OSS,
            "accounts/fireworks/models/gpt-oss-120b",
        ),
        ("ollama/llama3.2:latest", "{}", "ollama/llama3.2:latest", "llama3.2:latest"),
        ("vllm/Qwen/Qwen3-8B", "{}", "vllm/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
    ] {
        let plan = Request::read(model, request).plan(0).unwrap();
        assert_eq!((plan.first().model.as_ref(), plan.first().upstream_model.as_ref()), (slug, upstream));
    }
}

/// The face's own protocol where the provider knows it, else the provider's; an offer may leave no
/// choice.
#[test]
fn each_candidate_is_spoken_to_in_its_protocol() {
    use Protocol::{AnthropicMessages, Bedrock, Cohere, Gemini, OpenAiChat, OpenAiResponses};
    let sse = Face::Gemini(Framing::Sse);
    for (model, provider, face, wire) in [
        ("openai/gpt-5.6-sol", "openai", Face::Chat, OpenAiResponses),
        ("openai/gpt-5.6-sol", "azure", Face::Messages, OpenAiResponses),
        ("openai/gpt-5.2-pro", "openai", Face::Responses, OpenAiResponses),
        ("openai/gpt-5.1", "openai", Face::Chat, OpenAiChat),
        ("openai/gpt-5.1", "azure", Face::Responses, OpenAiResponses),
        ("openai/gpt-5.1", "openai", Face::Messages, OpenAiChat),
        ("x-ai/grok-4.3", "xai", Face::Responses, OpenAiResponses),
        (CLAUDE, "anthropic", Face::Chat, AnthropicMessages),
        (CLAUDE, "anthropic", Face::Messages, AnthropicMessages),
        (CLAUDE, "amazon-bedrock", Face::Messages, Bedrock),
        ("google/gemini-2.5-pro", "google-ai-studio", sse, Gemini),
        ("google/gemini-embedding-001", "google-ai-studio", Face::Embeddings, Gemini),
        ("cohere/rerank-v3.5", "cohere", Face::Rerank, Cohere),
        ("voyageai/rerank-2.5", "voyage", Face::Rerank, OpenAiChat),
        (EMBEDDINGS, "azure", Face::Embeddings, OpenAiChat),
        ("ollama-native/qwen3", "ollama-native", Face::Chat, Protocol::Ollama),
    ] {
        let output = match face {
            Face::Embeddings => r#"{"output": "embeddings"}"#,
            Face::Rerank => r#"{"output": "rerank"}"#,
            _ => "{}",
        };
        let plan = Request::read(model, output).plan(1).unwrap();
        let candidate = plan.candidates().iter().find(|one| one.provider.slug == provider).unwrap();
        assert_eq!(
            face.wire(candidate.provider, candidate.protocol, false),
            wire,
            "{model} {provider} {face:?}"
        );
    }
}

#[test]
fn who_cannot_be_served_learns_why() {
    use Cause::{ContextLength, NoEndpoint, UnknownModel};
    for (models, request, cause, message) in [
        ("nobody/nothing", "{}", UnknownModel, "nobody/nothing is not a valid model ID"),
        ("gpt-4o", "{}", UnknownModel, "gpt-4o is not a valid model ID"),
        (
            "millrace/echo:free",
            "{}",
            NoEndpoint,
            "No endpoints found for millrace/echo:free. millrace/echo is there without `:free`.",
        ),
        ("millrace/echo nobody/nothing", "{}", UnknownModel, "nobody/nothing is not a valid model ID"),
        (
            "millrace/echo",
            r#"{"live": []}"#,
            NoEndpoint,
            "No endpoints found for millrace/echo. Millrace is not configured on this gateway.",
        ),
        (
            "ollama/llama3.2",
            r#"{"live": []}"#,
            NoEndpoint,
            "No endpoints found for ollama/llama3.2. Ollama is not configured on this gateway.",
        ),
        (
            "perplexity/sonar millrace/echo",
            r#"{"needs": "tools", "ignore": ["millrace"]}"#,
            NoEndpoint,
            "No endpoints found for perplexity/sonar, millrace/echo. Perplexity does not support tools; Millrace is \
             in provider.ignore.",
        ),
        (
            "millrace/echo",
            r#"{"bytes": 1024008}"#,
            ContextLength,
            "This endpoint's maximum context length is 128000 tokens. However, you requested about 256002 tokens. \
             Please reduce the length of the messages.",
        ),
    ] {
        let failure = Request::read(models, request).plan(0).unwrap_err();
        assert_eq!((failure.cause, failure.message.as_str()), (cause, message), "{models} {request}");
    }
}

#[test]
fn a_failure_lists_each_candidate_with_its_filter() {
    let failure = Request::read("millrace/echo", r#"{"ignore": ["millrace"]}"#).plan(0).unwrap_err();
    assert_eq!(
        serde_json::Value::Object(failure.metadata),
        serde_json::json!({
            "requested_models": ["millrace/echo"],
            "excluded_by": ["ignored_providers"],
            "availability": {
                "code": "constraint_filtered",
                "retryable": false,
                "requested_models": ["millrace/echo"],
                "excluded_by": [],
                "affected_providers": ["Millrace"],
                "docs_url": "https://openrouter.ai/docs/errors#constraint_filtered",
            },
            "candidates": [{
                "model": "millrace/echo",
                "provider": "millrace",
                "tag": "millrace",
                "removed_by": "ignored_providers",
                "reason": "Millrace is in provider.ignore",
            }],
        })
    );
}

#[test]
fn a_preference_that_is_not_understood_is_refused_by_name() {
    for (text, message) in [
        ("[]", "`provider` must be an object"),
        ("{", "`provider` must be an object"),
        (r#"{"sorted": "price"}"#, "`provider.sorted` is not a known field"),
        (r#"{"order": "openai"}"#, "`provider.order` must be a list of provider names"),
        (r#"{"allow_fallbacks": "yes"}"#, "`provider.allow_fallbacks` must be true or false"),
        (r#"{"data_collection": true}"#, "`provider.data_collection` must be \"allow\" or \"deny\""),
        (r#"{"data_collection": "never"}"#, "`provider.data_collection` must be \"allow\" or \"deny\""),
        (
            r#"{"quantizations": ["fp9"]}"#,
            "`provider.quantizations` holds \"fp9\", which is none of int4, int8, fp4, mxfp4, nvfp4, fp6, fp8, \
             mxfp8, fp16, bf16, fp32, unknown",
        ),
        (
            r#"{"sort": "cost"}"#,
            "`provider.sort` must be \"price\", \"throughput\", \"latency\" or \"exacto\"",
        ),
        (r#"{"sort": 1}"#, "`provider.sort` must be a sort or an object of `by` and `partition`"),
        (r#"{"sort": {"partition": "all"}}"#, "`provider.sort.partition` must be \"model\" or \"none\""),
        (r#"{"max_price": {"prompt": "cheap"}}"#, "`provider.max_price.prompt` must be a price in dollars"),
        (r#"{"max_price": {"prompt": -1}}"#, "`provider.max_price.prompt` must be a price of zero or more"),
        (r#"{"max_price": {"token": 1}}"#, "`provider.max_price.token` is not a known field"),
        (
            r#"{"preferred_max_latency": "fast"}"#,
            "`provider.preferred_max_latency` must be a number or an object of p50, p75, p90 and p99, none below zero",
        ),
        (r#"{"options": {"groq": {}}}"#, "`provider.options` is not supported by this gateway"),
    ] {
        let failure = Preference::read(Some(text)).unwrap_err();
        assert_eq!((failure.cause, failure.message.as_str()), (Cause::InvalidRequest, message), "{text}");
    }
    assert_eq!(Preference::read(None), Ok(Preference::default()));
    assert_eq!(Preference::read(Some("null")), Ok(Preference::default()));
}

proptest! {
    #[test]
    fn a_plan_follows_from_its_seed_and_loses_nobody(seed: u64, model in 0..catalog::models().len()) {
        let model = &catalog::models()[model];
        let request = Request::read(model.slug, made_by(model));
        let plan = request.plan(seed).unwrap();
        prop_assert_eq!(&plan, &request.plan(seed).unwrap());
        prop_assert_eq!(plan.len(), ordinary(model).count());
        let rest: Vec<i128> = plan.candidates()[1..].iter().map(|one| one.prices.blend()).collect();
        prop_assert!(rest.is_sorted(), "the fallbacks are not by price");
        prop_assert!(plan.get(plan.len()).is_none());
    }

    #[test]
    fn only_the_live_are_planned(seed: u64, live: u128, model in 0..catalog::models().len()) {
        let model = &catalog::models()[model];
        let alive: Vec<&str> = catalog::providers().iter().enumerate()
            .filter(|(row, _)| live >> row & 1 == 1).map(|(_, provider)| provider.slug).collect();
        let request = Request { live: Some(alive.iter().map(ToString::to_string).collect()), ..Request::read(model.slug, made_by(model)) };
        let offered = ordinary(model).filter(|offer| alive.contains(&offer.provider.slug)).count();
        match request.plan(seed) {
            Ok(plan) => {
                prop_assert_eq!(plan.len(), offered);
                prop_assert!(providers(&plan).iter().all(|slug| alive.contains(slug)));
            }
            Err(failure) => {
                prop_assert_eq!(offered, 0);
                prop_assert_eq!(failure.metadata["candidates"].as_array().unwrap().len(), model.offers.len());
            }
        }
    }

    #[test]
    fn no_preference_text_panics(text in "[\\{\\}\\[\\]\":,a-z0-9. -]{0,40}") {
        let _ = Preference::read(Some(&text));
    }
}

/// A request for what the model makes.
/// The offers that nobody has to ask for by a service tier.
fn ordinary(model: &Model) -> impl Iterator<Item = &Offer> {
    model.offers.iter().filter(|offer| offer.service_tier.is_none())
}

fn made_by(model: &Model) -> &'static str {
    match model.output_modalities[0] {
        Modality::Embeddings => r#"{"output": "embeddings"}"#,
        Modality::Rerank => r#"{"output": "rerank"}"#,
        Modality::Text | Modality::Image | Modality::File | Modality::Audio => "{}",
    }
}

/// A request as a row writes it: the `provider` object, and beside it `live` (all, if absent),
/// `needs`, `output`, `parameters`, `bytes`, `inputs` and `max_tokens`.
struct Request {
    models: Vec<String>,
    preference: Preference,
    needs: Needs,
    size: RequestSize,
    live: Option<Vec<String>>,
}

impl Request {
    fn read(models: &str, text: &str) -> Request {
        let row: serde_json::Value = serde_json::from_str(text).unwrap();
        let needs = |name: &str| row["needs"] == name;
        let names = |name: &str| -> Option<Vec<String>> {
            row.get(name).map(|names| serde_json::from_value(names.clone()).unwrap())
        };
        Request {
            models: models.split(' ').map(str::to_owned).collect(),
            preference: Preference::read(Some(&provider_object(text))).unwrap(),
            needs: Needs {
                tools: needs("tools"),
                images: needs("images"),
                audio: needs("audio"),
                files: needs("files"),
                structured_output: needs("structured_output"),
                json_object: needs("json_object"),
                output: match row["output"].as_str() {
                    Some("embeddings") => Output::Embeddings,
                    Some("rerank") => Output::Rerank,
                    _ => Output::Text,
                },
                parameters: names("parameters").unwrap_or_default(),
                ..Needs::default()
            },
            size: RequestSize {
                text_bytes: row["bytes"].as_u64().unwrap_or(0),
                max_tokens: row["max_tokens"].as_u64(),
                choices: 1,
                inputs: row["inputs"].as_u64().unwrap_or(0) as u32,
                ..RequestSize::default()
            },
            live: names("live"),
        }
    }

    fn plan(&self, seed: u64) -> Result<Plan, Failure> {
        let Request { models, preference, needs, size, live } = self;
        let is_live = |provider: &Provider| match live {
            Some(live) => live.iter().any(|slug| slug == provider.slug),
            None => true,
        };
        let query = Query {
            catalog: Catalog::BUILT_IN,
            health: &Unknown,
            now: Time::from_ms(0),
            models,
            preference,
            policy: &Policy::default(),
            needs,
            size,
            service_tier: None,
            session: None,
            auto: &AutoRules::default(),
            conversation: None,
        };
        plan(&query, &is_live, seed)
    }

    /// Who is removed by which filter. Only a failure says so; so whoever is left in the plan is
    /// taken offline, and the same request is planned again.
    fn removed(&self) -> BTreeMap<String, String> {
        let alive = self.plan(0).map(|plan| plan.candidates().to_vec()).unwrap_or_default();
        let all = self
            .live
            .clone()
            .unwrap_or_else(|| catalog::providers().iter().map(|one| one.slug.into()).collect());
        let kept = |slug: &String| !alive.iter().any(|one| one.provider.slug == slug);
        let request = Request {
            live: Some(all.into_iter().filter(kept).collect()),
            models: self.models.clone(),
            preference: self.preference.clone(),
            needs: self.needs.clone(),
            size: self.size,
        };
        let failure = request.plan(0).unwrap_err();
        let candidates = failure.metadata["candidates"].as_array().unwrap();
        let text = |one: &serde_json::Value, name: &str| one[name].as_str().unwrap().to_owned();
        candidates.iter().map(|one| (text(one, "provider"), text(one, "removed_by"))).collect()
    }
}

/// The row without what is not part of `provider`; as text, so that numbers stay as written.
fn provider_object(text: &str) -> String {
    let members: BTreeMap<String, &serde_json::value::RawValue> = serde_json::from_str(text).unwrap();
    let beside = ["live", "needs", "output", "parameters", "bytes", "inputs", "max_tokens"];
    let kept = members.into_iter().filter(|(name, _)| !beside.contains(&name.as_str()));
    let written: Vec<String> = kept.map(|(name, value)| format!("{name:?}:{value}")).collect();
    format!("{{{}}}", written.join(","))
}

fn providers(plan: &Plan) -> Vec<&'static str> {
    plan.candidates().iter().map(|candidate| candidate.provider.slug).collect()
}
