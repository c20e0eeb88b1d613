//! A market made for tests: models whose offers are written as rows, requests as JSON, and health
//! as rows too. Nothing here depends on the catalog's data.

use std::collections::BTreeMap;

use millrace::account::{KeyKind, KeySnapshot};
use millrace::catalog::{self, Catalog, DataPolicy, Modality, Model, Offer, Prices, Provider};
use millrace::chat::{Needs, RequestSize};
use millrace::health::{Condition, Health, Percentiles, Standing};
use millrace::id::{AccountId, KeyHash};
use millrace::money::Price;
use millrace::routing::sticky::Session;
use millrace::routing::{
    Asked, AutoRules, Entry, Name, Policy, Preference, Query, Sort, Survey, Target, survey_of,
};
use millrace::time::Time;

/// The moment of every test.
pub const NOW: Time = Time::from_ms(1_795_270_407_000);

const PARAMETERS: &[&str] = &["max_tokens", "temperature"];
const WITH_TOOLS: &[&str] = &["max_tokens", "temperature", "tools", "reasoning"];

/// Whoever asks.
pub fn key() -> KeySnapshot {
    KeySnapshot {
        account: AccountId::parse("0123456789Ab").expect("an id"),
        hash: KeyHash::of("sk-mr-v1-test"),
        kind: KeyKind::Inference,
        version: 1,
        disabled: false,
        deleted: false,
        expires_at: None,
        policy: None,
        byok: false,
        workspace: None,
        member: None,
    }
}

/// A provider of that slug that promises nothing.
pub fn provider(slug: &str) -> &'static Provider {
    let base = catalog::provider("groq").expect("a provider like any other");
    let data_policy = DataPolicy { trains: None, retains: None, retention_days: None, zdr: None };
    let slug: &'static str = String::leak(slug.to_owned());
    Box::leak(Box::new(Provider {
        slug,
        name: slug,
        key_variable: base.key_variable,
        base_url_variable: base.base_url_variable,
        base_url: base.base_url,
        protocol: base.protocol,
        also: base.also,
        local: false,
        quirks: base.quirks,
        data_policy,
        headquarters: None,
        datacenters: &[],
        regions: &[],
        privacy_policy_url: None,
        terms_of_service_url: None,
        status_page_url: None,
    }))
}

/// An offer from a row: tag, dollars for a million tokens in and out, then `tools`, `cache`, `private`
/// or `name=value` for `tier`, `region`, `context`.
pub fn offer(row: &str) -> Offer {
    let words: Vec<&str> = row.split_whitespace().collect();
    let tag: &'static str = String::leak(words[0].to_owned());
    let dollars = |text: &str| {
        let per_million: f64 = text.parse().expect("a price");
        Price::from_pico((per_million * 1e6) as i64)
    };
    let has = |word: &str| words[3..].contains(&word);
    let value = |name: &str| -> Option<&'static str> {
        let word = words[3..].iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
        Some(String::leak(word.to_owned()))
    };
    let prompt = dollars(words[1]);
    let cache_read = has("cache").then(|| Price::from_pico(prompt.pico() / 10));
    let promise = has("private").then_some(false);
    let slug = tag.split('/').next().expect("a slug");
    Offer {
        provider: provider(slug),
        tag,
        region: value("region"),
        service_tier: value("tier"),
        data_policy: DataPolicy { trains: promise, retains: promise, retention_days: None, zdr: None },
        upstream_model: "upstream",
        protocol: None,
        context_length: value("context").map_or(100_000, |tokens| tokens.parse().expect("tokens")),
        max_output: None,
        quantization: None,
        prices: Prices { prompt, completion: dollars(words[2]), cache_read, ..Prices::FREE },
        parameters: if has("tools") { WITH_TOOLS } else { PARAMETERS },
    }
}

/// A model with one offer a line.
pub fn model(slug: &str, offers: &str) -> &'static Model {
    let rows = offers.lines().map(str::trim).filter(|row| !row.is_empty());
    let offers: Vec<Offer> = rows.map(offer).collect();
    Box::leak(Box::new(Model {
        slug: String::leak(slug.to_owned()),
        canonical_slug: "",
        name: "",
        description: "",
        created: 0,
        expires: None,
        successor: None,
        distillable: None,
        default_parameters: &[],
        context_length: 100_000,
        input_modalities: &[Modality::Text],
        output_modalities: &[Modality::Text],
        tokenizer: "Other",
        hugging_face_id: None,
        knowledge_cutoff: None,
        categories: &[],
        reasoning: None,
        offers: Vec::leak(offers),
    }))
}

/// Health from rows: a tag, then `shaky`, `out=<ms from now>`, `ttft=<ms>`, `tps=<n>`, `tool_errors=<ppm>`.
#[derive(Default)]
pub struct Rows(BTreeMap<String, Standing>);

impl Rows {
    pub fn read(text: &str) -> Rows {
        let row = |row: &str| {
            let mut words = row.split_whitespace();
            let tag = words.next()?.to_owned();
            let mut standing = Standing::default();
            for word in words {
                let (name, value) = word.split_once('=').unwrap_or((word, "0"));
                let value: u32 = value.parse().expect("a number");
                let spread =
                    Percentiles { p50: value, p75: value * 5 / 4, p90: value * 3 / 2, p99: value * 2 };
                match name {
                    "shaky" => standing.condition = Condition::Shaky,
                    "out" => {
                        let until = Time::from_ms(NOW.ms() + u64::from(value));
                        standing.condition = Condition::Out { until };
                    }
                    "ttft" => standing.latency_ms = Some(spread),
                    "tps" => standing.throughput = Some(spread),
                    "tool_errors" => standing.tool_errors_ppm = Some(value),
                    _ => panic!("{name} is no fact of health"),
                }
            }
            Some((tag, standing))
        };
        Rows(text.split(';').filter_map(row).collect())
    }
}

impl Health for Rows {
    fn standing(&self, _model: &str, tag: &str, _now: Time) -> Standing {
        self.0.get(tag).copied().unwrap_or_default()
    }
}

/// A request as a test writes it.
#[derive(Clone)]
pub struct Wish<'a> {
    pub models: Vec<&'static Model>,
    /// The endings of the slugs.
    pub sort: Option<Sort>,
    pub admits: Option<&'static str>,
    /// The `provider` object.
    pub provider: &'a str,
    pub policy: Policy,
    pub needs: Needs,
    pub size: RequestSize,
    pub tier: Option<&'a str>,
    pub session: Option<Session>,
    /// See [`Rows::read`].
    pub health: &'a str,
}

impl<'a> Wish<'a> {
    pub fn of(models: &[&'static Model]) -> Wish<'a> {
        Wish {
            models: models.to_vec(),
            sort: None,
            admits: None,
            provider: "{}",
            policy: Policy::default(),
            needs: Needs::default(),
            size: RequestSize { choices: 1, ..RequestSize::default() },
            tier: None,
            session: None,
            health: "",
        }
    }

    pub fn survey(&self, seed: u64) -> Survey {
        self.survey_with(&Rows::read(self.health), seed)
    }

    pub fn survey_with(&self, health: &dyn Health, seed: u64) -> Survey {
        self.survey_at(health, NOW, seed)
    }

    pub fn survey_at(&self, health: &dyn Health, now: Time, seed: u64) -> Survey {
        let preference = Preference::read(Some(self.provider)).expect("a sound preference");
        let models: Vec<String> = self.models.iter().map(|model| model.slug.to_owned()).collect();
        let query = Query {
            catalog: Catalog::BUILT_IN,
            health,
            now,
            models: &models,
            preference: &preference,
            policy: &self.policy,
            needs: &self.needs,
            size: &self.size,
            service_tier: self.tier,
            session: self.session.as_ref(),
            auto: &AutoRules::default(),
            conversation: None,
        };
        let asked = |model: &&'static Model| Asked {
            target: Target::Model(model),
            sort: self.sort,
            admits: self.admits,
            online: false,
            name: Name::Own,
        };
        let asked: Vec<Asked> = self.models.iter().map(asked).collect();
        survey_of(&asked, &query, &|_| true, seed)
    }

    /// The tags in order, those of several models with the model before them.
    pub fn order(&self, seed: u64) -> String {
        let name = |entry: &Entry| match self.models.len() {
            1 => entry.candidate.tag.to_owned(),
            _ => format!("{}:{}", entry.candidate.model, entry.candidate.tag),
        };
        self.survey(seed).entries.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// Who was removed by which filter.
    pub fn removed(&self) -> String {
        let survey = self.survey(0);
        let removed = survey.removed.iter().map(|one| format!("{}:{}", one.tag, one.filter.name()));
        removed.collect::<Vec<_>>().join(" ")
    }

    /// How often each is first, in a thousandth of the requests, each with its own seed.
    pub fn firsts(&self) -> BTreeMap<String, u32> {
        const REQUESTS: u64 = 20_000;
        let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
        for seed in 0..REQUESTS {
            let survey = self.survey(seed);
            *firsts.entry(survey.entries[0].candidate.tag.to_owned()).or_default() += 1;
        }
        firsts.values_mut().for_each(|count| *count = *count * 1000 / REQUESTS as u32);
        firsts
    }
}
