//! The catalog in OpenRouter's shapes: `/models` and its kin, `/model/…`, `/providers`,
//! `/models/…/endpoints` and `/endpoints/zdr`. What is not known is null, never left out where a
//! client demands it.

mod endpoint;
mod entry;
mod filter;
mod pages;
mod rss;

pub use endpoint::{Figures, Spread};
pub use filter::{Filter, Order};
pub use pages::{Page, Pages};

use super::{Catalog, Model, Offer, Provider};
use crate::query;
use crate::time::Time;
use serde_json::{Value, json};

/// What is to be listed, and for whom.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub catalog: Catalog,
    /// Whether an offer is shown: its provider is live, and who asks may use it.
    pub shows: &'a dyn Fn(&Model, &Offer) -> bool,
    /// How an endpoint fares.
    pub measured: &'a dyn Fn(&Model, &Offer) -> Figures,
    pub now: Time,
}

/// A row of a list: a model or another name for it, with the offers that are shown.
struct Listed {
    id: &'static str,
    model: &'static Model,
    /// Cheapest first; never empty.
    offers: Vec<&'static Offer>,
}

/// Writes the body of `GET /models` as the filter wants it. `path` and `query` are those of the
/// request, for the link to the next page.
pub fn write_models(scope: &Scope, filter: &Filter, path: &str, query: &str) -> String {
    list(scope, filter, path, query).to_string()
}

/// Writes the body of `GET /models?client_version=…`, by which Codex asks for its own catalog. It
/// demands `models`, and keeps what it knows by itself where that is empty: an entry would have
/// to bring along the instructions that Codex gives to a model.
pub fn write_models_for_codex(scope: &Scope, filter: &Filter, query: &str) -> String {
    let mut list = list(scope, filter, "/api/v1/models", query);
    list["models"] = json!([]);
    list.to_string()
}

/// Writes the body of `GET /models?use_rss=true`; `origin` is that of the gateway, without a slash.
pub fn write_rss(scope: &Scope, filter: &Filter, origin: &str) -> String {
    rss::write(&filter.select(scope), filter.links_to_chat, origin)
}

/// Writes the body of `GET /models/count`: how many `GET /models` lists.
pub fn write_count(scope: &Scope, filter: &Filter) -> String {
    json!({ "data": { "count": filter.select(scope).len() } }).to_string()
}

/// Writes the body of `GET /model/{author}/{slug}`; `None` if nobody live offers it.
pub fn write_model(scope: &Scope, slug: &str) -> Option<String> {
    let row = listed(scope, slug)?;
    Some(json!({ "data": entry::write(&row, scope.catalog) }).to_string())
}

/// Writes the body of `GET /models/{author}/{slug}/endpoints`: the live offers, perhaps none.
/// `None` if there is no such model.
pub fn write_endpoints(scope: &Scope, slug: &str) -> Option<String> {
    let model = scope.catalog.named(slug)?;
    let offers = shown(scope, model);
    let endpoints: Vec<Value> = offers
        .into_iter()
        .map(|offer| endpoint::write(model, offer, &(scope.measured)(model, offer)))
        .collect();
    let body = json!({
        "data": {
            "id": model.slug,
            "name": model.name,
            "created": model.created,
            "description": model.description,
            "architecture": entry::architecture(model),
            "endpoints": endpoints,
        }
    });
    Some(body.to_string())
}

/// Writes the body of `GET /endpoints/zdr`: every live offer that is known to retain nothing.
pub fn write_zdr(scope: &Scope) -> String {
    let offers = |model: &'static Model| {
        let kept = move |offer: &&Offer| endpoint::retains_nothing(offer) && (scope.shows)(model, offer);
        model.offers.iter().filter(kept).map(move |offer| (model, offer))
    };
    let rows = scope.catalog.models().flat_map(offers);
    let data: Vec<Value> =
        rows.map(|(model, offer)| endpoint::write(model, offer, &(scope.measured)(model, offer))).collect();
    json!({ "data": data }).to_string()
}

/// Writes the body of `GET /providers`: all that the gateway knows, live or not.
pub fn write_providers(catalog: Catalog) -> String {
    let data: Vec<Value> = catalog.providers().map(provider_entry).collect();
    json!({ "data": data }).to_string()
}

fn list(scope: &Scope, filter: &Filter, path: &str, query: &str) -> Value {
    let rows = filter.select(scope);
    let page = filter.page(rows.len());
    let data: Vec<Value> = rows[page.clone()].iter().map(|row| entry::write(row, scope.catalog)).collect();
    let more = (page.end < rows.len()).then(|| next_link(path, query, page.end));
    // `object` makes it OpenAI's list too.
    json!({ "object": "list", "total_count": rows.len(), "links": { "next": more }, "data": data })
}

/// Where the next page is: this page's query with another offset.
fn next_link(path: &str, query: &str, offset: usize) -> String {
    let others = query::pairs(query).filter(|(name, _)| name != "offset");
    let kept: String =
        others.map(|(name, value)| format!("{}={}&", query::encode(&name), query::encode(&value))).collect();
    format!("{path}?{kept}offset={offset}")
}

/// Every model that somebody offers, by slug, then what else they are called.
fn all(scope: &Scope) -> Vec<Listed> {
    let models = scope.catalog.models().map(|model| (model.slug, model));
    let aliases = scope.catalog.listed_aliases();
    models.chain(aliases).filter_map(|(id, model)| row(scope, id, model)).collect()
}

fn listed(scope: &Scope, slug: &str) -> Option<Listed> {
    let model = scope.catalog.named(slug)?;
    row(scope, model.slug, model)
}

/// The offers of a model that are shown, cheapest first.
fn shown(scope: &Scope, model: &'static Model) -> Vec<&'static Offer> {
    let mut offers: Vec<&Offer> = model.offers.iter().filter(|offer| (scope.shows)(model, offer)).collect();
    offers.sort_by_key(|offer| offer.prices.blend());
    offers
}

fn row(scope: &Scope, id: &'static str, model: &'static Model) -> Option<Listed> {
    let offers = shown(scope, model);
    (!offers.is_empty()).then_some(Listed { id, model, offers })
}

impl Listed {
    /// The offer whose price stands for all.
    fn top(&self) -> &'static Offer {
        self.offers[0]
    }

    fn context_length(&self) -> u64 {
        self.offers.iter().map(|offer| offer.context_length).max().unwrap_or(0)
    }

    fn parameters(&self) -> Vec<&'static str> {
        let mut names: Vec<&str> =
            self.offers.iter().flat_map(|offer| endpoint::listed_parameters(offer)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn provider_entry(provider: &Provider) -> Value {
    json!({
        "name": provider.name,
        "slug": provider.slug,
        "privacy_policy_url": provider.privacy_policy_url,
        "terms_of_service_url": provider.terms_of_service_url,
        "status_page_url": provider.status_page_url,
        "headquarters": provider.headquarters,
        "datacenters": (!provider.datacenters.is_empty()).then_some(provider.datacenters),
    })
}
