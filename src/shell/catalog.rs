//! Answers what lists the catalog. What was listed is kept by the isolate and named by an ETag.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use web_sys::Response;

use crate::byok::Own;
use crate::catalog::listing::{self, Figures, Filter, Page, Pages, Scope};
use crate::catalog::{Modality, Model, Offer};
use crate::endpoint::Endpoint;
use crate::error::{Cause, Failure};
use crate::exchange::Head;
use crate::guard::Rules;
use crate::query;
use crate::routing::admits;
use crate::shell::auth::authenticate;
use crate::shell::manage::Call;
use crate::shell::{byok, clock, health, reply, rules};

const JSON: &str = "application/json";
const RSS: &str = "application/rss+xml; charset=utf-8";
/// How long a list that tells of measurements, or of ages in days, stays as it was written.
const MEASURED_FOR: Duration = Duration::from_secs(15);
const DATED_FOR: Duration = Duration::from_secs(3600);
/// How long a client may go without asking again.
const PUBLIC: &str = "public, max-age=15";
const PRIVATE: &str = "private, no-cache";

thread_local! {
    static PAGES: RefCell<Pages> = RefCell::default();
}

/// Who sees a list.
#[derive(Clone, Copy, PartialEq)]
enum Reader {
    Anybody,
    KeyHolder,
}

/// What holds for the key that asks: its rules, the own keys that it may use, and which they are.
struct Mine {
    rules: Rc<Rules>,
    keys: Own,
    version: String,
}

/// Answers `endpoint`, which lists something of the catalog.
pub async fn list(call: &Call<'_>, endpoint: &Endpoint) -> Result<Response, Failure> {
    let (reader, rules) = reader(call, endpoint).await?;
    let now = clock::now();
    let filter = match endpoint {
        Endpoint::Models | Endpoint::ModelsUser | Endpoint::ModelsCount => Filter::read(call.query)?,
        Endpoint::EmbeddingsModels => Filter::read(call.query)?.of_output(Modality::Embeddings),
        _ => Filter::read("")?,
    };
    let filter = filter.known_to(call.config.catalog)?;
    let shows = |model: &Model, offer: &Offer| {
        let admitted = rules.as_ref().is_none_or(|own| admits(&own.rules.policy, model, offer));
        let opened = || rules.as_ref().is_some_and(|own| own.keys.opens(offer.provider));
        admitted && (call.config.is_live(offer.provider) || opened())
    };
    let measured = |model: &Model, offer: &Offer| figures(model, offer, reader);
    let scope = Scope { catalog: call.config.catalog, shows: &shows, measured: &measured, now };
    let feed = *endpoint == Endpoint::Models && query::flag(call.query, "use_rss");
    let span = if is_measured(endpoint, &filter) { MEASURED_FOR } else { DATED_FOR };
    let slice = u128::from(now.ms()) / span.as_millis();
    let name = format!(
        "{} {} {endpoint:?} {} {slice} {} {}",
        call.config.catalog.version(),
        reader == Reader::KeyHolder,
        call.query,
        // A feed names its own address.
        if feed { origin(&call.request.url()) } else { String::new() },
        // So does what a key may ask for.
        rules.as_ref().map_or_else(String::new, |own| own.version.clone()),
    );
    let page = PAGES.with_borrow_mut(|pages| {
        pages.get_or_write(&name, || write(call, endpoint, &scope, &filter, feed))
    })?;
    Ok(respond(call, &page, if feed { RSS } else { JSON }, cache_control(endpoint)))
}

/// Only the list of a key's own models needs a key, and goes by its rules. Elsewhere a good one is shown
/// more.
async fn reader(call: &Call<'_>, endpoint: &Endpoint) -> Result<(Reader, Option<Mine>), Failure> {
    match endpoint {
        Endpoint::ModelsUser => {
            let key = authenticate(call.request, call.env).await?;
            let keys = byok::of(call.env, &key, call.config).await?;
            if key.policy.is_none() && keys.is_empty() {
                return Ok((Reader::KeyHolder, None));
            }
            let version = format!("{} {} {}", key.hash, key.version, keys.providers());
            Ok((Reader::KeyHolder, Some(Mine { rules: rules::of(&key)?, keys, version })))
        }
        Endpoint::ModelEndpoints(_) | Endpoint::EndpointsZdr => {
            let key = authenticate(call.request, call.env).await;
            Ok((if key.is_ok() { Reader::KeyHolder } else { Reader::Anybody }, None))
        }
        _ => Ok((Reader::Anybody, None)),
    }
}

fn figures(model: &Model, offer: &Offer, reader: Reader) -> Figures {
    let figures = health::figures(model.slug, offer.tag);
    match reader {
        Reader::KeyHolder => figures,
        Reader::Anybody => figures.public(),
    }
}

fn is_measured(endpoint: &Endpoint, filter: &Filter) -> bool {
    matches!(endpoint, Endpoint::ModelEndpoints(_) | Endpoint::EndpointsZdr) || filter.is_measured()
}

fn cache_control(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        // What these say differs by who asks.
        Endpoint::ModelsUser | Endpoint::ModelEndpoints(_) | Endpoint::EndpointsZdr => PRIVATE,
        _ => PUBLIC,
    }
}

fn write(
    call: &Call<'_>,
    endpoint: &Endpoint,
    scope: &Scope,
    filter: &Filter,
    feed: bool,
) -> Result<String, Failure> {
    let found = |slug: &str, body: Option<String>| {
        body.ok_or_else(|| Failure::new(Cause::NotFound, format!("{slug} is not a valid model ID")))
    };
    let models = |path: &str| listing::write_models(scope, filter, path, call.query);
    match endpoint {
        Endpoint::Models if feed => Ok(listing::write_rss(scope, filter, &origin(&call.request.url()))),
        Endpoint::Models if query::value(call.query, "client_version").is_some() => {
            Ok(listing::write_models_for_codex(scope, filter, call.query))
        }
        Endpoint::ModelsCount => Ok(listing::write_count(scope, filter)),
        Endpoint::Model(slug) => found(slug, listing::write_model(scope, slug)),
        Endpoint::ModelEndpoints(slug) => found(slug, listing::write_endpoints(scope, slug)),
        Endpoint::EndpointsZdr => Ok(listing::write_zdr(scope)),
        Endpoint::Providers => Ok(listing::write_providers(scope.catalog)),
        Endpoint::ModelsUser => Ok(models("/api/v1/models/user")),
        Endpoint::EmbeddingsModels => Ok(models("/api/v1/embeddings/models")),
        _ => Ok(models("/api/v1/models")),
    }
}

fn respond(call: &Call<'_>, page: &Page, kind: &'static str, cache_control: &'static str) -> Response {
    let headers = vec![
        ("content-type", kind.to_owned()),
        ("etag", page.etag.clone()),
        ("cache-control", cache_control.to_owned()),
        ("vary", "authorization".to_owned()),
    ];
    let known = call.request.headers().get("if-none-match").ok().flatten();
    if known.is_some_and(|known| page.matches(&known)) {
        return reply::empty(304, &headers[1..]);
    }
    reply::whole(&Head { status: 200, headers }, page.body.as_bytes())
}

/// `https://host` of an address.
fn origin(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    url[..end].to_owned()
}
