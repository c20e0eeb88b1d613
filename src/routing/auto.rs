//! Routers: slugs that stand for whichever model suits a request. `openrouter/auto` takes the best
//! for its task within a band of cost, `openrouter/free` any that costs nothing.
//! Facts: OpenRouter's "Auto Router" and "Free Models Router".

use super::order::hash;
use super::plan::Search;
use super::preference::Sort;
use super::slug::Router;
use super::task::{self, Classified, Task};
use super::tasks;
use crate::catalog::pattern::Pattern;
use crate::catalog::{Modality, Model, Protocol};
use crate::chat::Output;
use crate::error::Failure;
use crate::json::{self, Members};
use std::cmp::Reverse;

/// What the plugin `auto-router` sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AutoRules {
    /// Empty: any.
    pub allowed: Vec<Pattern>,
    pub excluded: Vec<Pattern>,
    pub tier: CostTier,
    /// `pin_model: false`: each turn is classified anew.
    pub unpinned: bool,
}

/// A fifth of the models that may be chosen, by price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CostTier {
    #[default]
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

/// What a router chose.
#[derive(Clone, Debug)]
pub struct Choice {
    pub router: Router,
    /// The first is the choice, the others are tried after it. Empty where nothing suits.
    pub models: Vec<&'static Model>,
    /// What the request seems to be about; `None` where that does not count.
    pub classified: Option<Classified>,
    pub tier: CostTier,
    /// Models that could have served.
    pub capable: usize,
}

/// The models of a choice: the first and what is tried after it.
const CHOSEN: usize = 3;
const MAX_PATTERNS: usize = 1024;
const MAX_PATTERN: usize = 1024;
const MAX_PATTERN_BYTES: usize = 65_536;

impl CostTier {
    const ALL: [CostTier; 5] =
        [CostTier::Low, CostTier::Medium, CostTier::High, CostTier::Xhigh, CostTier::Max];

    pub fn name(self) -> &'static str {
        match self {
            CostTier::Low => "low",
            CostTier::Medium => "medium",
            CostTier::High => "high",
            CostTier::Xhigh => "xhigh",
            CostTier::Max => "max",
        }
    }

    /// The tier that a trade-off from 0 (quality) to 10 (cost) means.
    fn of_tradeoff(tradeoff: u64) -> CostTier {
        CostTier::ALL[CostTier::ALL.len() - 1 - (tradeoff.min(9) / 2) as usize]
    }

    fn place(self) -> usize {
        CostTier::ALL.iter().position(|tier| *tier == self).unwrap_or(0)
    }
}

impl AutoRules {
    /// Reads the router's own among the request's `plugins`; what the others ask for is not decided
    /// here. Fails for a member that is not known.
    pub fn read(plugins: Option<&str>) -> Result<AutoRules, Failure> {
        let mut rules = AutoRules::default();
        let Some(plugins) = plugins else { return Ok(rules) };
        let plugins = json::elements(plugins).map_err(|_| must_be("plugins", "an array of objects"))?;
        for plugin in plugins {
            let plugin = json::members(plugin).map_err(|_| must_be("plugins", "an array of objects"))?;
            let is_ours = matches!(plugin.string("id").as_deref(), Some("auto-router" | "auto-beta-router"));
            if is_ours && plugin.get("enabled") != Some("false") {
                rules.read_plugin(&plugin)?;
            }
        }
        Ok(rules)
    }

    fn read_plugin(&mut self, plugin: &Members<'_>) -> Result<(), Failure> {
        for member in plugin.iter().filter(|member| !json::is_null(member.value)) {
            match member.key.as_ref() {
                "id" | "enabled" => {}
                "allowed_models" => self.allowed = patterns("allowed_models", member.value)?,
                "excluded_models" => self.excluded = patterns("excluded_models", member.value)?,
                "cost_tier" => {
                    let name = json::string(member.value).unwrap_or_default();
                    let tier = CostTier::ALL.into_iter().find(|tier| tier.name() == name);
                    let expected = "\"low\", \"medium\", \"high\", \"xhigh\" or \"max\"";
                    self.tier = tier.ok_or_else(|| must_be("plugins[].cost_tier", expected))?;
                }
                "cost_quality_tradeoff" => {
                    let tradeoff = json::whole(member.value).filter(|tradeoff| *tradeoff <= 10);
                    let read = tradeoff.map(CostTier::of_tradeoff);
                    let expected = "a whole number from 0 to 10";
                    let tier = read.ok_or_else(|| must_be("plugins[].cost_quality_tradeoff", expected))?;
                    if plugin.value("cost_tier").is_none() {
                        self.tier = tier;
                    }
                }
                "pin_model" => {
                    let pins = json::boolean(member.value);
                    self.unpinned = !pins.ok_or_else(|| must_be("plugins[].pin_model", "true or false"))?;
                }
                name => return Err(Failure::invalid(format!("`plugins[].{name}` is not a known field"))),
            }
        }
        Ok(())
    }

    /// Whether a model may be chosen by its name. What is excluded stays so.
    fn allow(&self, slug: &str) -> bool {
        (self.allowed.is_empty() || self.allowed.iter().any(|pattern| pattern.matches(slug)))
            && !self.excluded.iter().any(|pattern| pattern.matches(slug))
    }
}

fn must_be(path: &str, what: &str) -> Failure {
    Failure::invalid(format!("`{path}` must be {what}."))
}

fn patterns(name: &str, value: &str) -> Result<Vec<Pattern>, Failure> {
    let path = format!("plugins[].{name}");
    let list = || must_be(&path, "a list of patterns of slugs");
    let texts = json::elements(value).map_err(|_| list())?;
    let texts: Option<Vec<_>> = texts.into_iter().map(json::string).collect();
    let texts = texts.ok_or_else(list)?;
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    if texts.len() > MAX_PATTERNS
        || bytes > MAX_PATTERN_BYTES
        || texts.iter().any(|one| one.len() > MAX_PATTERN)
    {
        return Err(must_be(&path, "at most 1024 patterns of at most 1024 characters, 65536 in all"));
    }
    Ok(texts.iter().map(|text| Pattern::new(text)).collect())
}

/// Chooses models for the request of `search`. A session keeps its model as long as that may serve.
pub(super) fn choose(router: Router, sort: Option<Sort>, search: &Search<'_>, seed: u64) -> Choice {
    let rules = search.query.auto;
    let mut choice = match router {
        Router::Auto => best(sort, search),
        Router::Free => free(search, seed),
    };
    let pin = search.query.session.and_then(|session| session.pin.as_ref()).filter(|_| !rules.unpinned);
    if let Some(pin) = pin
        && let Some(at) = choice.models.iter().position(|model| model.slug == pin.model)
    {
        choice.models[..=at].rotate_right(1);
    }
    choice.models.truncate(CHOSEN);
    choice
}

/// A model that may be chosen by a rule of its name and because somebody sells it.
struct Eligible {
    model: &'static Model,
    /// The blend of its cheapest offer, whether that suits the request or not: the bands are to be
    /// the same for all turns of a conversation.
    price: i128,
    tier: CostTier,
}

/// The models that suit, best first.
fn best(sort: Option<Sort>, search: &Search<'_>) -> Choice {
    let query = search.query;
    let rules = query.auto;
    let classified = query
        .conversation
        .map(|conversation| task::classify(conversation, query.needs, query.size, rules.unpinned));
    let task = classified.as_ref().map_or(Task::Chat, |classified| classified.task);
    let mut options = eligible(search);
    options.retain(|option| search.may_serve(option.model));
    let capable = options.len();
    let wanted = rules.tier.place();
    // The band that was asked for, then the dearer ones, then the cheaper.
    let distance = |option: &Eligible| match option.tier.place() {
        place if place >= wanted => place - wanted,
        place => CostTier::ALL.len() + wanted - place,
    };
    if sort != Some(Sort::Price) {
        // What is farther than the band of the last that is taken need not be compared.
        options.sort_by_key(distance);
        let farthest = options.get(CHOSEN - 1).map(distance);
        options.retain(|option| farthest.is_none_or(|farthest| distance(option) <= farthest));
    }
    let measured = |option: &Eligible| fastest(option.model, search);
    match sort {
        Some(Sort::Price) => options.sort_by_key(|option| (option.price, option.model.slug)),
        Some(Sort::Throughput) => {
            options.sort_by_cached_key(|option| (distance(option), Reverse(measured(option).0), option.price))
        }
        Some(Sort::Latency) => {
            options.sort_by_cached_key(|option| (distance(option), measured(option).1, option.price))
        }
        None | Some(Sort::Exacto) => options.sort_by_cached_key(|option| {
            let rank = tasks::rank(task, option.model.slug);
            (distance(option), rank, Reverse(option.model.created), Reverse(option.price), option.model.slug)
        }),
    }
    let models = options.into_iter().map(|option| option.model).collect();
    Choice { router: Router::Auto, models, classified, tier: rules.tier, capable }
}

/// The models that could be chosen if they suit, with their bands.
fn eligible(search: &Search<'_>) -> Vec<Eligible> {
    let query = search.query;
    let by_name = |model: &&'static Model| {
        let ordinary = !model.slug.contains(':') && !tasks::is_never_chosen(model.slug);
        ordinary
            && query.auto.allow(model.slug)
            && query.policy.allows_model(&[model.slug, model.canonical_slug])
    };
    let writes_text = |model: &&'static Model| {
        query.needs.output == Output::Text && model.output_modalities.contains(&Modality::Text)
    };
    let price = |model: &'static Model| {
        let sellers = model.offers.iter().filter(|offer| {
            (search.live)(offer.provider)
                && offer.provider.protocol != Protocol::Millrace
                && offer.service_tier.is_none()
        });
        sellers.map(|offer| offer.prices.blend()).min()
    };
    let mut found: Vec<(i128, &'static Model)> = query
        .catalog
        .models()
        .filter(writes_text)
        .filter(by_name)
        .filter_map(|model| Some((price(model)?, model)))
        .filter(|(price, _)| *price > 0)
        .collect();
    found.sort_by_key(|(price, model)| (*price, model.slug));
    let count = found.len();
    let tier = |row: usize| CostTier::ALL[row * CostTier::ALL.len() / count];
    found
        .into_iter()
        .enumerate()
        .map(|(row, (price, model))| Eligible { model, price, tier: tier(row) })
        .collect()
}

/// The best medians among a model's endpoints: tokens per second, and milliseconds to the first.
fn fastest(model: &'static Model, search: &Search<'_>) -> (u32, u32) {
    let query = search.query;
    let measured = model.offers.iter().filter(|offer| (search.live)(offer.provider)).map(|offer| {
        let standing = query.health.standing(model.slug, offer.tag, query.now);
        let throughput = standing.throughput.map_or(0, |measured| measured.p50);
        (throughput, standing.latency_ms.map_or(u32::MAX, |measured| measured.p50))
    });
    measured.fold((0, u32::MAX), |best, one| (best.0.max(one.0), best.1.min(one.1)))
}

/// The models that cost nothing and suit, in an order that the seed or the session gives.
fn free(search: &Search<'_>, seed: u64) -> Choice {
    let query = search.query;
    let seed = match query.session {
        Some(session) if session.named => session.hash,
        Some(_) | None => seed,
    };
    let costs_nothing = |model: &&'static Model| {
        let cheapest = search.cheapest(model, &|seller| seller.service_tier.is_none());
        cheapest.is_some_and(|offer| {
            offer.prices.blend() == 0
                && offer.prices.request.pico() == 0
                && offer.provider.protocol != Protocol::Millrace
        })
    };
    let chosen = |model: &&'static Model| query.auto.allow(model.slug) && !tasks::is_never_chosen(model.slug);
    let mut models: Vec<&'static Model> =
        query.catalog.models().filter(chosen).filter(costs_nothing).collect();
    models.sort_by_key(|model| hash(seed, model.slug.as_bytes(), b""));
    let capable = models.len();
    Choice { router: Router::Free, models, classified: None, tier: CostTier::Low, capable }
}
