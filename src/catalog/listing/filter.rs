//! The query of `GET /models`: which models are wanted, in which order, and which page of them.
//! A name that is unknown is left alone, as other gateways do; a value that is, is refused.

use super::endpoint::retains_nothing;
use super::{Listed, Scope, all};
use crate::bytes;
use crate::catalog::vocabulary::CATEGORIES;
use crate::catalog::{Catalog, Modality, Offer};
use crate::error::Failure;
use crate::money::{Money, Price};
use crate::query;
use crate::time::Time;
use std::ops::Range;

/// The most rows of a page, and those of one for which only an offset was given.
const PAGE_MOST: usize = 1000;
const PAGE_DEFAULT: usize = 500;
const MS_PER_DAY: u64 = 86_400_000;
/// Prices are asked for by the million tokens and kept by the token.
const TOKENS_OF_A_PRICE: i128 = 1_000_000;

const MODALITIES: [&str; 10] = [
    "text",
    "image",
    "file",
    "audio",
    "video",
    "embeddings",
    "rerank",
    "speech",
    "transcription",
    "decisions",
];
/// What the catalog has no figures of.
const UNMEASURED: [&str; 8] = [
    "min_intelligence_index",
    "max_intelligence_index",
    "min_coding_index",
    "max_coding_index",
    "min_agentic_index",
    "max_agentic_index",
    "min_tool_success_rate",
    "max_tool_success_rate",
];

/// Which models are wanted. The default wants every one that writes text.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Words that the slug and the name hold, in lower case.
    words: Vec<String>,
    parameters: Vec<String>,
    /// All of these are taken.
    inputs: Vec<String>,
    /// One of these is made; `None` for whatever.
    outputs: Option<Vec<String>>,
    context: u64,
    prompt: Bounds,
    completion: Bounds,
    /// Days since the model came out.
    age: (Option<u64>, Option<u64>),
    arch: Option<String>,
    authors: Vec<String>,
    providers: Vec<String>,
    distillable: Option<bool>,
    zdr: bool,
    region: Option<String>,
    category: Option<String>,
    order: Option<Order>,
    offset: Option<usize>,
    limit: Option<usize>,
    /// Whether the feed leads to a chat with each model.
    pub links_to_chat: bool,
}

/// Dollars for a million tokens, from and to.
type Bounds = (Option<Money>, Option<Money>);

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Newest,
    CheapestFirst,
    DearestFirst,
    LongestContext,
    Fastest,
    QuickestStart,
    /// By figures that the catalog does not have: every model is last, in the order of slugs.
    Unmeasured,
}

impl Filter {
    /// Reads the query of `GET /models`.
    pub fn read(query: &str) -> Result<Filter, Failure> {
        let text = |name: &str| query::value(query, name).filter(|value| !value.is_empty());
        let list = |name: &str| split(text(name));
        let outputs = match text("output_modalities") {
            None => Some(vec!["text".to_owned()]),
            Some(all) if all == "all" => None,
            Some(names) => Some(known("output_modalities", split(Some(names)), &MODALITIES)?),
        };
        // No model would lie within such a range, which would look as if none were good enough.
        for name in UNMEASURED {
            if money(name, text(name))?.is_some() {
                return Err(Failure::invalid(format!(
                    "{name}: this gateway has no such figures; leave it out"
                )));
            }
        }
        Ok(Filter {
            words: text("q")
                .map(|q| bytes::lowercase(&q).split_whitespace().map(str::to_owned).collect())
                .unwrap_or_default(),
            parameters: list("supported_parameters"),
            inputs: known("input_modalities", list("input_modalities"), &MODALITIES)?,
            outputs,
            context: number("context", text("context"))?.unwrap_or(0),
            prompt: bounds("min_price", "max_price", &text)?,
            completion: bounds("min_output_price", "max_output_price", &text)?,
            age: (
                number("min_age_days", text("min_age_days"))?,
                number("max_age_days", text("max_age_days"))?,
            ),
            arch: text("arch"),
            authors: list("model_authors"),
            providers: list("providers"),
            distillable: choice("distillable", text("distillable"), &["true", "false"])?
                .map(|value| value == "true"),
            zdr: choice("zdr", text("zdr"), &["true", "false"])?.is_some_and(|value| value == "true"),
            region: choice("region", text("region"), &["eu", "us"])?,
            category: choice("category", text("category"), &CATEGORIES)?,
            order: text("sort").map(|name| Order::read(&name)).transpose()?,
            offset: number("offset", text("offset"))?.map(|offset| offset as usize),
            limit: number("limit", text("limit"))?.map(page_size).transpose()?,
            links_to_chat: query::flag(query, "use_rss_chat_links"),
        })
    }

    /// The same of the models that make only `output`.
    pub fn of_output(self, output: Modality) -> Filter {
        Filter { outputs: Some(vec![output.name().to_owned()]), ..self }
    }

    /// The same, unless it asks for a category of a catalog that knows none.
    pub fn known_to(self, catalog: Catalog) -> Result<Filter, Failure> {
        let blank = || catalog.models().all(|model| model.categories.is_empty());
        match self.category.is_some() && blank() {
            true => {
                Err(Failure::invalid("category: no model of this gateway's catalog has one; leave it out"))
            }
            false => Ok(self),
        }
    }

    /// Whether what it selects depends on how endpoints fare at the moment.
    pub fn is_measured(&self) -> bool {
        matches!(self.order, Some(Order::Fastest | Order::QuickestStart))
    }

    /// The models wanted, in the order wanted.
    pub(super) fn select(&self, scope: &Scope) -> Vec<Listed> {
        let mut rows = all(scope);
        rows.retain(|row| self.wants(row, scope.now));
        if let Some(order) = self.order {
            order.sort(&mut rows, scope);
        }
        rows
    }

    /// Which of `count` rows are on the page; all of them where none was asked for.
    pub(super) fn page(&self, count: usize) -> Range<usize> {
        if self.offset.is_none() && self.limit.is_none() {
            return 0..count;
        }
        let start = self.offset.unwrap_or(0).min(count);
        start..start.saturating_add(self.limit.unwrap_or(PAGE_DEFAULT)).min(count)
    }

    fn wants(&self, row: &Listed, now: Time) -> bool {
        let model = row.model;
        let any = |names: &[String], matches: &dyn Fn(&str) -> bool| {
            names.is_empty() || names.iter().any(|name| matches(name))
        };
        let makes = |name: &str| model.output_modalities.iter().any(|one| one.name() == name);
        let takes = |name: &str| model.input_modalities.iter().any(|one| one.name() == name);
        let sells = |name: &str| {
            row.offers.iter().any(|offer| {
                name.eq_ignore_ascii_case(offer.provider.slug)
                    || name.eq_ignore_ascii_case(offer.provider.name)
            })
        };
        let category = self.category.as_deref();
        category.is_none_or(|category| model.categories.contains(&category))
            && self.outputs.as_deref().is_none_or(|outputs| any(outputs, &makes))
            && self.inputs.iter().all(|name| takes(name))
            && self.names(row)
            && self.offers_parameters(row)
            && row.context_length() >= self.context
            && within(self.prompt, row.top().prices.prompt)
            && within(self.completion, row.top().prices.completion)
            && self.is_of_age(model.created, now)
            && self.arch.as_ref().is_none_or(|arch| arch.eq_ignore_ascii_case(model.tokenizer))
            && any(&self.authors, &|name| name.eq_ignore_ascii_case(model.author()))
            && any(&self.providers, &sells)
            && self.distillable.is_none_or(|wanted| wanted == (model.distillable == Some(true)))
            && (!self.zdr || row.offers.iter().any(|offer| retains_nothing(offer)))
            && self
                .region
                .as_ref()
                .is_none_or(|region| row.offers.iter().any(|offer| offer.region == Some(region.as_str())))
    }

    fn names(&self, row: &Listed) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let text = bytes::lowercase(&format!("{} {} {}", row.id, row.model.slug, row.model.name));
        self.words.iter().all(|word| text.contains(word.as_str()))
    }

    fn offers_parameters(&self, row: &Listed) -> bool {
        if self.parameters.is_empty() {
            return true;
        }
        let offered = row.parameters();
        self.parameters.iter().all(|name| offered.contains(&name.as_str()))
    }

    fn is_of_age(&self, created: u64, now: Time) -> bool {
        let days = now.ms().saturating_sub(created.saturating_mul(1000)) / MS_PER_DAY;
        let (least, most) = self.age;
        let unknown = created == 0 && (least.is_some() || most.is_some());
        !unknown && least.is_none_or(|least| days >= least) && most.is_none_or(|most| days <= most)
    }
}

impl Order {
    fn read(name: &str) -> Result<Order, Failure> {
        match name {
            "newest" => Ok(Order::Newest),
            "pricing-low-to-high" => Ok(Order::CheapestFirst),
            "pricing-high-to-low" => Ok(Order::DearestFirst),
            "context-high-to-low" => Ok(Order::LongestContext),
            "throughput-high-to-low" => Ok(Order::Fastest),
            "latency-low-to-high" => Ok(Order::QuickestStart),
            "most-popular"
            | "top-weekly"
            | "intelligence-high-to-low"
            | "coding-high-to-low"
            | "agentic-high-to-low"
            | "design-arena-elo-high-to-low" => Ok(Order::Unmeasured),
            _ => Err(Failure::invalid("sort: no such order")),
        }
    }

    /// Sorts, and leaves in their order those that are equal.
    fn sort(self, rows: &mut [Listed], scope: &Scope) {
        let price = |row: &Listed| {
            let prices = &row.top().prices;
            i128::from(prices.prompt.pico()) + i128::from(prices.completion.pico())
        };
        let key = |row: &Listed| match self {
            Order::Newest => -i128::from(row.model.created),
            Order::CheapestFirst => price(row),
            Order::DearestFirst => -price(row),
            Order::LongestContext => -i128::from(row.context_length()),
            Order::Fastest => -fastest(row, scope),
            Order::QuickestStart => quickest(row, scope),
            Order::Unmeasured => 0,
        };
        rows.sort_by_cached_key(key);
    }
}

/// The median of the fastest endpoint; less than any where none was measured.
fn fastest(row: &Listed, scope: &Scope) -> i128 {
    let measured = |offer: &&Offer| Some((scope.measured)(row.model, offer).throughput?.p50);
    row.offers.iter().filter_map(measured).max().map_or(-1, i128::from)
}

/// The median of the endpoint that starts first; more than any where none was measured.
fn quickest(row: &Listed, scope: &Scope) -> i128 {
    let measured = |offer: &&Offer| Some((scope.measured)(row.model, offer).latency_ms?.p50);
    row.offers.iter().filter_map(measured).min().map_or(i128::MAX, i128::from)
}

fn within((least, most): Bounds, price: Price) -> bool {
    let price = i128::from(price.pico()) * TOKENS_OF_A_PRICE;
    least.is_none_or(|least| price >= i128::from(least.pico()))
        && most.is_none_or(|most| price <= i128::from(most.pico()))
}

fn split(list: Option<String>) -> Vec<String> {
    let list = list.unwrap_or_default();
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn known(name: &str, values: Vec<String>, all: &[&str]) -> Result<Vec<String>, Failure> {
    match values.iter().find(|value| !all.contains(&value.as_str())) {
        Some(_) => Err(Failure::invalid(format!("{name}: known are {}", all.join(", ")))),
        None => Ok(values),
    }
}

fn choice(name: &str, value: Option<String>, all: &[&str]) -> Result<Option<String>, Failure> {
    Ok(known(name, value.into_iter().collect(), all)?.pop())
}

fn bounds(least: &str, most: &str, text: &dyn Fn(&str) -> Option<String>) -> Result<Bounds, Failure> {
    Ok((money(least, text(least))?, money(most, text(most))?))
}

/// A number that is not negative, with all its digits.
fn money(name: &str, value: Option<String>) -> Result<Option<Money>, Failure> {
    let Some(value) = value else {
        return Ok(None);
    };
    match Money::parse_usd(&value) {
        Ok(money) if !money.is_negative() => Ok(Some(money)),
        Ok(_) | Err(_) => Err(Failure::invalid(format!("{name}: must be a number that is not negative"))),
    }
}

fn number(name: &str, value: Option<String>) -> Result<Option<u64>, Failure> {
    let Some(value) = value else {
        return Ok(None);
    };
    let number =
        value.parse::<u32>().map_err(|_| Failure::invalid(format!("{name}: must be a whole number")))?;
    Ok(Some(u64::from(number)))
}

fn page_size(limit: u64) -> Result<usize, Failure> {
    match limit as usize {
        limit @ 1..=PAGE_MOST => Ok(limit),
        _ => Err(Failure::invalid(format!("limit: must lie between 1 and {PAGE_MOST}"))),
    }
}
