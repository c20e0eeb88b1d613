//! The attempts a request may make, in order: each endpoint of the plan with each of its
//! provider's keys.

use std::borrow::Cow;

use super::{Exchange, Stage, Step};
use crate::byok::{Access, Own};
use crate::chat::Usage;
use crate::config::{Config, ProviderKey};
use crate::json::{self, Edit, Member, Outlined};
use crate::money::Money;
use crate::pricing::{self, ByokTerms};
use crate::routing::sticky::Pin;
use crate::routing::{Candidate, Plan};

/// One attempt that may be made.
#[derive(Clone, Debug)]
pub struct Route {
    /// Which endpoint of the plan this is; routes that differ only in the key share it.
    pub offer: usize,
    pub candidate: Candidate,
    pub base_url: String,
    /// Where the provider's signatures hold; empty where it has no regions.
    pub region: String,
    pub key: Option<ProviderKey>,
    /// The id of the account's own key that this is, if it is none of the gateway's.
    pub byok: Option<String>,
}

/// The keys tried at one endpoint, at most.
const KEYS_PER_OFFER: usize = 3;

/// Every attempt that `plan` allows, best first. Endpoints whose provider is not live have no
/// place in a plan and are left out.
pub fn routes(plan: &Plan, config: &Config, seed: u64) -> Vec<Route> {
    let all: Vec<(usize, &Candidate)> = plan.candidates().iter().enumerate().collect();
    shared(&all, config, seed)
}

/// As [`routes`], with the account's own keys: for each model those that come first, then the gateway's,
/// then those that are for when nothing else is left; behind them all, keys that were refused. May be empty, where keys that nobody can open
/// keep the gateway's own away.
pub fn routes_with(plan: &Plan, config: &Config, own: &Own, seed: u64) -> Vec<Route> {
    let all: Vec<(usize, &Candidate)> = plan.candidates().iter().enumerate().collect();
    // What fails by one's own key says nothing of the endpoint by another: it is one of its own.
    let mut next = all.len();
    let mut routes = Vec::new();
    for model in all.chunk_by(|(_, one), (_, other)| one.model == other.model) {
        routes.extend(own_routes(model, config, own, false, &mut next));
        let open: Vec<(usize, &Candidate)> = model
            .iter()
            .filter(|(_, candidate)| !own.excludes_shared(candidate, config.catalog))
            .copied()
            .collect();
        routes.extend(shared(&open, config, seed).into_iter().map(|route| (false, route)));
        routes.extend(own_routes(model, config, own, true, &mut next));
    }
    let (mut routes, last): (Vec<_>, Vec<_>) = routes.into_iter().partition(|(spurned, _)| !spurned);
    routes.extend(last);
    routes.into_iter().map(|(_, route)| route).collect()
}

/// Each with whether its key was refused a moment ago.
fn own_routes(
    model: &[(usize, &Candidate)],
    config: &Config,
    own: &Own,
    fallback: bool,
    next: &mut usize,
) -> Vec<(bool, Route)> {
    let mut routes = Vec::new();
    for (_, candidate) in model {
        for (key, access) in own.routes(candidate, config, fallback).take(KEYS_PER_OFFER) {
            let Access { key: secret, base_url, region, model } = access;
            let mut candidate = (*candidate).clone();
            if let Some(name) = model {
                candidate.upstream_model = Cow::Owned(name);
            }
            let byok = Some(key.id.clone());
            let route = Route { offer: *next, candidate, base_url, region, key: Some(secret), byok };
            routes.push((key.spurned, route));
        }
        *next += 1;
    }
    routes
}

/// The attempts with the gateway's own keys.
fn shared(candidates: &[(usize, &Candidate)], config: &Config, seed: u64) -> Vec<Route> {
    let mut routes = Vec::new();
    for (offer, candidate) in candidates.iter().copied() {
        let Some(connection) = config.connection(candidate.provider) else {
            continue;
        };
        let route = |key: Option<ProviderKey>| Route {
            offer,
            candidate: candidate.clone(),
            base_url: connection.base_url.clone(),
            region: connection.region.clone(),
            key,
            byok: None,
        };
        if connection.keys.is_empty() {
            routes.push(route(None));
        }
        let order = weighted_order(&connection.keys, seed.wrapping_add(offer as u64));
        routes.extend(order.into_iter().take(KEYS_PER_OFFER).map(|key| route(Some(key))));
    }
    routes
}

impl Exchange {
    /// The exchange of an account that has keys of its own, of which `used` was used this month.
    pub fn with_own_keys(mut self, terms: ByokTerms, used: Money) -> Exchange {
        self.own_keys = (terms, used);
        self.outbox.clear();
        self.stage = Stage::Holding;
        self.hold();
        self
    }

    /// Whether any route is by a key of the account's own.
    pub fn has_own_keys(&self) -> bool {
        self.routes.iter().any(|route| route.byok.is_some())
    }

    /// What is known by now of how much the account's own keys were used this month.
    pub fn note_used(&mut self, used: Money) {
        self.own_keys.1 = used;
    }

    /// What the account pays for a reply of that cost: all of it, or the fee for a key of its own.
    pub(super) fn due(&self, route: &Route, cost: Money) -> Money {
        let (terms, used) = self.own_keys;
        if route.byok.is_some() { pricing::byok_fee(terms, used, cost) } else { cost }
    }

    /// The cost of a reply for which the account pays that.
    pub(super) fn worth(&self, route: &Route, due: Money) -> Money {
        let (terms, used) = self.own_keys;
        if route.byok.is_some() { pricing::byok_worth(terms, used, due) } else { due }
    }

    /// Has the session stay with the endpoint that answered, if it was named or its prompt is cached
    /// there. An order of the client's leaves nothing to stay with, but nothing to lose either.
    pub(super) fn remember(&mut self, usage: &Usage) {
        let Some(session) = &self.arrival.routed.session else { return };
        let cached = usage.cache_read + usage.cache_write + usage.cache_write_1h > 0;
        if cached || session.named {
            let candidate = &self.routes[self.current].candidate;
            let pin = Pin { model: candidate.model.to_string(), tag: candidate.tag.to_owned() };
            let long = usage.cache_write_1h > 0;
            self.outbox.push_back(Step::Remember { session: session.hash, pin, long });
        }
    }
}

/// The body for an endpoint of the tier `sold`: what it asks of tiers is what will be billed, whatever
/// the client `wanted`. Names of tiers that are the provider's own matter stay as they are.
pub(super) fn in_tier<'a>(body: &'a Outlined, sold: Option<&str>, wanted: Option<&str>) -> Cow<'a, Outlined> {
    let priced = matches!(wanted, Some("priority" | "fast" | "ultrafast" | "flex"));
    if wanted == sold || (sold.is_none() && !priced) {
        return Cow::Borrowed(body);
    }
    let Some(members) = body.object() else { return Cow::Borrowed(body) };
    let drop = |member: &Member<'_>| match member.key.as_ref() {
        "service_tier" | "speed" => Edit::Drop,
        _ => Edit::Keep,
    };
    let tier = sold.map(|tier| format!("\"service_tier\":{}", json::quote(tier)));
    Cow::Owned(Outlined::new(members.edit(drop, tier.as_slice()).into_bytes()))
}

/// The keys in an order drawn by their weights: the first is each key with the probability of
/// its share, the second likewise among the rest.
fn weighted_order(keys: &[ProviderKey], seed: u64) -> Vec<ProviderKey> {
    let mut left: Vec<&ProviderKey> = keys.iter().collect();
    let mut state = seed;
    let mut order = Vec::with_capacity(keys.len());
    while !left.is_empty() {
        let total: u64 = left.iter().map(|key| u64::from(key.weight)).sum();
        let mut draw = next_random(&mut state) % total;
        let drawn = left.iter().position(|key| {
            let hit = draw < u64::from(key.weight);
            draw = draw.wrapping_sub(u64::from(key.weight));
            hit
        });
        let drawn = drawn.expect("the draw is below the sum of the weights");
        order.push(left.remove(drawn).clone());
    }
    order
}

/// SplitMix64 (Steele, Lea, Flood 2014): spreads load, keeps no secrets.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
