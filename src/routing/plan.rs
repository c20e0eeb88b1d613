//! The plan of a request: which offers to try, best first. A pure function of the request, the
//! catalog, what is configured and a seed. Facts: OpenRouter's provider routing.

use super::candidate::{Candidate, Filter, offer_filter, provider_filter};
use super::preference::{Partition, Preference, Sort};
use crate::catalog::{Catalog, Model, Provider};
use crate::chat::{Needs, RequestSize};
use crate::error::{Cause, Failure};
use crate::health::Health;
use crate::pricing::estimate_tokens;
use crate::time::Time;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The candidates to try, best first. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan(Vec<Candidate>);

/// What a plan is made for.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pub catalog: Catalog,
    pub health: &'a dyn Health,
    pub now: Time,
    /// The slugs that may answer, in order of preference.
    pub models: &'a [String],
    pub preference: &'a Preference,
    pub needs: &'a Needs,
    pub size: &'a RequestSize,
}

/// A candidate that a filter removed.
struct Removed {
    model: String,
    provider: &'static Provider,
    filter: Filter,
    context_length: u64,
}

/// What a slug means.
enum Named {
    Catalog(&'static Model, Option<Sort>),
    Local(&'static Provider, String),
}

/// Returns the offers to try, best first. The same seed gives the same plan.
///
/// Models keep the order in which they were asked for. Within one, `provider.order` comes first;
/// without it the first is drawn with weight 1/price² and the rest follow by price. Any sort
/// takes the place of the draw; nothing is measured yet, so every sort is by price.
pub fn plan(query: &Query, live: &dyn Fn(&Provider) -> bool, seed: u64) -> Result<Plan, Failure> {
    if query.models.is_empty() {
        return Err(Failure::invalid("`model` must not be empty"));
    }
    let mut removed = Vec::new();
    let mut groups = Vec::new();
    for (row, slug) in query.models.iter().enumerate() {
        let named = resolve(query.catalog, slug).ok_or_else(|| unknown(slug))?;
        let sort = query.preference.sort.or(named.sort());
        let mut group = collect(slug, &named, query, live, &mut removed);
        arrange(&mut group, query.preference, sort, scramble(seed ^ row as u64));
        groups.push(group);
    }
    let mut candidates = groups.concat();
    if query.preference.partition == Partition::None && query.preference.sort.is_some() {
        candidates.sort_by_key(|candidate| candidate.prices.blend());
    }
    let mut seen = BTreeSet::new();
    candidates.retain(|candidate| {
        seen.insert((candidate.model.clone(), candidate.provider.slug, candidate.upstream_model.clone()))
    });
    if candidates.is_empty() { Err(nobody(query, &removed)) } else { Ok(Plan(candidates)) }
}

impl Plan {
    pub fn first(&self) -> &Candidate {
        &self.0[0]
    }

    pub fn get(&self, index: usize) -> Option<&Candidate> {
        self.0.get(index)
    }

    /// At least one.
    #[allow(clippy::len_without_is_empty, reason = "a plan is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn candidates(&self) -> &[Candidate] {
        &self.0
    }
}

impl Named {
    fn sort(&self) -> Option<Sort> {
        match self {
            Named::Catalog(_, sort) => *sort,
            Named::Local(..) => None,
        }
    }
}

/// Reads a slug. A suffix that only sorts is taken off; of several the last counts.
fn resolve(catalog: Catalog, slug: &str) -> Option<Named> {
    if let Some((provider, name)) = catalog.local(slug) {
        return Some(Named::Local(provider, name.to_owned()));
    }
    let mut rest = slug;
    let mut sort = None;
    loop {
        if let Some(model) = catalog.find(rest) {
            return Some(Named::Catalog(model, sort));
        }
        let (before, suffix) = rest.rsplit_once(':')?;
        let found = match suffix {
            "floor" => Sort::Price,
            "nitro" => Sort::Throughput,
            "exacto" => Sort::Exacto,
            _ => return None,
        };
        sort = sort.or(Some(found));
        rest = before;
    }
}

/// The candidates of one model that pass every filter; the others go to `removed`.
fn collect(
    slug: &str,
    named: &Named,
    query: &Query,
    live: &dyn Fn(&Provider) -> bool,
    removed: &mut Vec<Removed>,
) -> Vec<Candidate> {
    let by_provider = |provider| provider_filter(provider, query.preference, live);
    let checked: Vec<(Candidate, Option<Filter>)> = match named {
        Named::Local(provider, name) => {
            vec![(Candidate::local(slug, provider, name), by_provider(provider))]
        }
        Named::Catalog(model, _) => model
            .offers
            .iter()
            // Another service than the ordinary has to be asked for, and is priced for who does.
            .filter(|offer| offer.service_tier.is_none())
            .map(|offer| {
                let filter = by_provider(offer.provider)
                    .or_else(|| offer_filter(model, offer, query.preference, query.needs, query.size));
                (Candidate::of(model, offer), filter)
            })
            .collect(),
    };
    let mut kept = Vec::new();
    for (candidate, filter) in checked {
        match filter {
            None => kept.push(candidate),
            Some(filter) => {
                let Candidate { model, provider, context_length, .. } = candidate;
                removed.push(Removed { model, provider, filter, context_length });
            }
        }
    }
    kept
}

/// Puts the candidates of one model in order.
fn arrange(group: &mut Vec<Candidate>, preference: &Preference, sort: Option<Sort>, random: u64) {
    group.sort_by_key(|candidate| candidate.prices.blend());
    if !preference.order.is_empty() {
        let place = |candidate: &Candidate| {
            let named = preference.order.iter().position(|name| name.means(candidate.provider));
            named.unwrap_or(usize::MAX)
        };
        group.sort_by_key(place);
    } else if sort.is_none() && !group.is_empty() {
        let first = draw(group, random);
        group[..=first].rotate_right(1);
    }
    if preference.order.is_empty() && !preference.allow_fallbacks {
        group.truncate(1);
    }
}

/// Draws an index with weight 1/price² from candidates sorted by price, in whole numbers. Where
/// something is free, the draw is among what is free.
fn draw(sorted: &[Candidate], random: u64) -> usize {
    // Relative to the cheapest a weight is at most 2^60, so that sums and products fit.
    const SCALE: i128 = 1 << 30;
    let cheapest = sorted[0].prices.blend();
    let weight = |candidate: &Candidate| -> u128 {
        match (cheapest, candidate.prices.blend()) {
            (0, 0) => 1,
            (0, _) => 0,
            (cheapest, price) => (SCALE * cheapest / price).unsigned_abs().pow(2),
        }
    };
    let total: u128 = sorted.iter().map(weight).sum();
    let mut left = (u128::from(random >> 8) * total) >> 56;
    for (index, candidate) in sorted.iter().enumerate() {
        match left.checked_sub(weight(candidate)) {
            Some(rest) => left = rest,
            None => return index,
        }
    }
    0
}

/// SplitMix64's finaliser: neighbouring seeds give unrelated numbers.
fn scramble(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn unknown(slug: &str) -> Failure {
    Failure::new(Cause::UnknownModel, format!("{slug} is not a valid model ID"))
}

/// Nobody is left: says of each candidate why.
fn nobody(query: &Query, removed: &[Removed]) -> Failure {
    let too_long = !removed.is_empty() && removed.iter().all(|one| one.filter == Filter::ContextLength);
    let failure = if too_long { context_length(query, removed) } else { no_endpoint(query, removed) };
    let mut excluded_by: Vec<&str> = removed.iter().map(|one| one.filter.name()).collect();
    excluded_by.sort_unstable();
    excluded_by.dedup();
    failure
        .with("requested_models", query.models.to_vec())
        .with("excluded_by", excluded_by)
        .with("candidates", removed.iter().map(Removed::describe).collect::<Vec<Value>>())
}

fn context_length(query: &Query, removed: &[Removed]) -> Failure {
    let most = removed.iter().map(|one| one.context_length).max().unwrap_or(0);
    let about = estimate_tokens(query.size.text_bytes);
    Failure::new(
        Cause::ContextLength,
        format!(
            "This endpoint's maximum context length is {most} tokens. However, you requested about {about} \
             tokens. Please reduce the length of the messages."
        ),
    )
}

fn no_endpoint(query: &Query, removed: &[Removed]) -> Failure {
    let reasons: Vec<String> =
        removed.iter().map(|one| format!("{} {}", one.provider.name, one.filter.reason())).collect();
    let models = query.models.join(", ");
    Failure::new(Cause::NoEndpoint, format!("No endpoints found for {models}. {}.", reasons.join("; ")))
}

impl Removed {
    fn describe(&self) -> Value {
        json!({
            "model": self.model,
            "provider": self.provider.slug,
            "removed_by": self.filter.name(),
            "reason": format!("{} {}", self.provider.name, self.filter.reason()),
        })
    }
}
