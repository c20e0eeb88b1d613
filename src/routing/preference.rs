//! The client's `provider` object: which offers it wants, and in which order. Reads the JSON and
//! refuses what it does not know. Facts: OpenRouter's provider routing.

use super::cutoff::Cutoffs;
use crate::catalog::{Prices, Provider};
use crate::error::Failure;
use crate::money::{Money, MoneyError};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// What `provider` asks for; the default is what its absence means.
#[derive(Clone, Debug, PartialEq)]
pub struct Preference {
    /// To be tried first, in this order.
    pub order: Vec<ProviderName>,
    /// Nobody else may be tried. Unlike an absent list, an empty one leaves nobody.
    pub only: Option<Vec<ProviderName>>,
    pub ignore: Vec<ProviderName>,
    /// Whether others may be tried after the first, or after those in `order`.
    pub allow_fallbacks: bool,
    /// Only offers that honour every parameter sent.
    pub require_parameters: bool,
    /// Only providers known not to train on what they see.
    pub data_collection_deny: bool,
    /// Only providers known to keep nothing.
    pub zdr: bool,
    pub enforce_distillable_text: bool,
    /// Empty: any.
    pub quantizations: Vec<String>,
    /// Only offers known to compute in one of these. Empty: anywhere.
    pub regions: Vec<String>,
    pub sort: Option<Sort>,
    pub partition: Partition,
    pub max_price: MaxPrice,
    /// Tokens of output per second; slower endpoints come last.
    pub min_throughput: Cutoffs,
    /// Seconds to the first token; slower endpoints come last.
    pub max_latency: Cutoffs,
    /// Whether a second attempt may be made beside a slow one; `None` as the gateway has it.
    pub hedge: Option<bool>,
}

/// Endpoints as a client names them, in any case: all of a provider by its slug or display name, or
/// one kind by its tag (`deepinfra/turbo`, `google-vertex/us-east5`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderName(String);

/// A fixed order in place of the price-weighted draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Price,
    /// Most tokens per second first, by the median.
    Throughput,
    /// Shortest time to the first token first, by the median.
    Latency,
    /// Fewest invalid calls of tools first, then by throughput.
    Exacto,
}

/// What a sort spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// The offers of one model; models keep their order.
    #[default]
    Model,
    /// All offers of all models together.
    None,
}

/// The most that each price may be. Token prices are for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    pub prompt: Option<Money>,
    pub completion: Option<Money>,
    pub request: Option<Money>,
    /// For one input image, which is as many tokens of prompt as an image can become.
    pub image: Option<Money>,
    pub audio: Option<Money>,
}

const QUANTIZATIONS: [&str; 12] =
    ["int4", "int8", "fp4", "mxfp4", "nvfp4", "fp6", "fp8", "mxfp8", "fp16", "bf16", "fp32", "unknown"];

impl Default for Preference {
    fn default() -> Preference {
        Preference {
            order: Vec::new(),
            only: None,
            ignore: Vec::new(),
            allow_fallbacks: true,
            require_parameters: false,
            data_collection_deny: false,
            zdr: false,
            enforce_distillable_text: false,
            quantizations: Vec::new(),
            regions: Vec::new(),
            sort: None,
            partition: Partition::Model,
            max_price: MaxPrice::default(),
            min_throughput: Cutoffs::default(),
            max_latency: Cutoffs::default(),
            hedge: None,
        }
    }
}

impl Preference {
    /// Reads the JSON text of the request's `provider` member; `None` if it was not sent.
    pub fn read(text: Option<&str>) -> Result<Preference, Failure> {
        let mut preference = Preference::default();
        let Some(text) = text else { return Ok(preference) };
        let members: Option<Members> = value("provider", text, "an object")?;
        for (name, member) in members.unwrap_or_default() {
            if member.get() != "null" {
                preference.read_member(&name, member.get())?;
            }
        }
        Ok(preference)
    }

    fn read_member(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let field = format!("provider.{name}");
        match name {
            "order" => self.order = provider_names(&field, text)?,
            "only" => self.only = Some(provider_names(&field, text)?),
            "ignore" => self.ignore = provider_names(&field, text)?,
            "allow_fallbacks" => self.allow_fallbacks = value(&field, text, "true or false")?,
            "require_parameters" => self.require_parameters = value(&field, text, "true or false")?,
            "zdr" => self.zdr = value(&field, text, "true or false")?,
            "enforce_distillable_text" => {
                self.enforce_distillable_text = value(&field, text, "true or false")?;
            }
            "data_collection" => self.data_collection_deny = data_collection_deny(&field, text)?,
            "quantizations" => self.quantizations = quantizations(&field, text)?,
            "sort" => (self.sort, self.partition) = sort(&field, text)?,
            "max_price" => self.max_price = MaxPrice::read(&field, text)?,
            "hedge" => self.hedge = Some(value(&field, text, "true or false")?),
            "region" => self.regions = regions(&field, text)?,
            "preferred_min_throughput" => self.min_throughput = cutoffs(&field, text)?,
            "preferred_max_latency" => self.max_latency = cutoffs(&field, text)?,
            "options" if text.trim_matches(['{', '}', ' ']).is_empty() => {}
            "options" => return Err(Failure::invalid("`provider.options` is not supported by this gateway")),
            _ => return Err(Failure::invalid(format!("`{field}` is not a known field"))),
        }
        Ok(())
    }

    /// Nobody but those in `order` may be tried.
    pub fn is_closed(&self) -> bool {
        !self.order.is_empty() && !self.allow_fallbacks
    }
}

impl ProviderName {
    pub fn new(text: &str) -> ProviderName {
        ProviderName(text.trim().to_ascii_lowercase())
    }

    /// Whether it names the endpoints of `provider` that are tagged `tag`. The name of a provider
    /// is not that of its other tiers of service (`openai/priority`): they are named by their tags.
    pub fn means(&self, provider: &Provider, tag: &str, service_tier: Option<&str>) -> bool {
        if self.0 == tag {
            return true;
        }
        let is_kind = || tag.strip_prefix(self.0.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let is_provider = || self.0 == provider.slug || self.0.eq_ignore_ascii_case(provider.name);
        service_tier.is_none() && (is_provider() || is_kind())
    }
}

impl Sort {
    pub fn named(name: &str) -> Option<Sort> {
        [Sort::Price, Sort::Throughput, Sort::Latency, Sort::Exacto]
            .into_iter()
            .find(|sort| sort.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Sort::Price => "price",
            Sort::Throughput => "throughput",
            Sort::Latency => "latency",
            Sort::Exacto => "exacto",
        }
    }
}

impl MaxPrice {
    fn read(field: &str, text: &str) -> Result<MaxPrice, Failure> {
        let mut limits = MaxPrice::default();
        let members: Members = value(field, text, "an object")?;
        for (name, member) in members.iter().filter(|(_, member)| member.get() != "null") {
            let limit = Some(dollars(&format!("{field}.{name}"), member.get())?);
            match name.as_str() {
                "prompt" => limits.prompt = limit,
                "completion" => limits.completion = limit,
                "request" => limits.request = limit,
                "image" => limits.image = limit,
                "audio" => limits.audio = limit,
                _ => return Err(Failure::invalid(format!("`{field}.{name}` is not a known field"))),
            }
        }
        Ok(limits)
    }

    /// Whether no price is above its limit.
    pub fn allows(&self, prices: &Prices) -> bool {
        let within = |limit: Option<Money>, pico: i64, units: i128| {
            limit.is_none_or(|limit| i128::from(pico) * units <= i128::from(limit.pico()))
        };
        let audio = prices.audio_input.unwrap_or(prices.prompt);
        within(self.prompt, prices.prompt.pico(), 1_000_000)
            && within(self.completion, prices.completion.pico(), 1_000_000)
            && within(self.request, prices.request.pico(), 1)
            && within(self.image, prices.prompt.pico(), i128::from(prices.image_tokens))
            && within(self.audio, audio.pico(), 1_000_000)
    }
}

// Reading one value each. `text` is JSON; a failure names the field.

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn value<'a, T: Deserialize<'a>>(field: &str, text: &'a str, expected: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|_| wrong(field, expected))
}

fn wrong(field: &str, expected: &str) -> Failure {
    Failure::invalid(format!("`{field}` must be {expected}"))
}

fn provider_names(field: &str, text: &str) -> Result<Vec<ProviderName>, Failure> {
    let names: Vec<String> = value(field, text, "a list of provider names")?;
    Ok(names.iter().map(|name| ProviderName::new(name)).collect())
}

fn data_collection_deny(field: &str, text: &str) -> Result<bool, Failure> {
    let expected = "\"allow\" or \"deny\"";
    match value::<String>(field, text, expected)?.as_str() {
        "allow" => Ok(false),
        "deny" => Ok(true),
        _ => Err(wrong(field, expected)),
    }
}

fn quantizations(field: &str, text: &str) -> Result<Vec<String>, Failure> {
    let names: Vec<String> = value(field, text, "a list of quantizations")?;
    match names.iter().find(|name| !QUANTIZATIONS.contains(&name.as_str())) {
        Some(name) => {
            let known = QUANTIZATIONS.join(", ");
            Err(Failure::invalid(format!("`{field}` holds {name:?}, which is none of {known}")))
        }
        None => Ok(names),
    }
}

fn sort(field: &str, text: &str) -> Result<(Option<Sort>, Partition), Failure> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Members {
        by: Option<String>,
        partition: Option<String>,
    }

    let expected = "a sort or an object of `by` and `partition`";
    let (by, partition) = match serde_json::from_str(text) {
        Ok(by) => (Some(by), None),
        Err(_) => value(field, text, expected).map(|Members { by, partition }| (by, partition))?,
    };
    let by = match by.as_deref() {
        None => None,
        Some("price") => Some(Sort::Price),
        Some("throughput") => Some(Sort::Throughput),
        Some("latency") => Some(Sort::Latency),
        Some("exacto") => Some(Sort::Exacto),
        Some(_) => return Err(wrong(field, "\"price\", \"throughput\", \"latency\" or \"exacto\"")),
    };
    match partition.as_deref() {
        None | Some("model") => Ok((by, Partition::Model)),
        Some("none") => Ok((by, Partition::None)),
        Some(_) => Err(wrong(&format!("{field}.partition"), "\"model\" or \"none\"")),
    }
}

fn cutoffs(field: &str, text: &str) -> Result<Cutoffs, Failure> {
    let expected = "a number or an object of p50, p75, p90 and p99, none below zero";
    Cutoffs::read(text).ok_or_else(|| wrong(field, expected))
}

/// One region or a list of them, as offers are marked with: `eu`, `us`.
fn regions(field: &str, text: &str) -> Result<Vec<String>, Failure> {
    let one: Result<String, _> = serde_json::from_str(text);
    match one {
        Ok(region) => Ok(vec![region.to_ascii_lowercase()]),
        Err(_) => {
            let regions: Vec<String> = value(field, text, "a region or a list of regions")?;
            Ok(regions.iter().map(|region| region.to_ascii_lowercase()).collect())
        }
    }
}

/// Dollars from a JSON number or string. A limit may be cut below a picodollar, which only ever
/// lowers it: JavaScript writes 0.1 + 0.2 as 0.30000000000000004.
fn dollars(field: &str, text: &str) -> Result<Money, Failure> {
    let expected = "a price in dollars";
    let unquoted: String =
        if text.starts_with('"') { value(field, text, expected)? } else { text.to_owned() };
    let cut = match unquoted.split_once('.') {
        Some((whole, part)) if part.bytes().all(|byte| byte.is_ascii_digit()) && part.len() > 12 => {
            format!("{whole}.{}", &part[..12])
        }
        Some(_) | None => unquoted,
    };
    match Money::parse_usd(&cut) {
        Ok(limit) if !limit.is_negative() => Ok(limit),
        Ok(_) | Err(MoneyError::Negative) => Err(wrong(field, "a price of zero or more")),
        // More than any price there is, so no limit at all.
        Err(MoneyError::TooLarge) => Ok(Money::MAX),
        Err(MoneyError::NotANumber | MoneyError::TooFine) => Err(wrong(field, expected)),
    }
}
