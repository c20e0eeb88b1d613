//! What the operator set: limits, the root secret, and which providers are live with which keys.
//! Read from named variables; knows nothing of where they come from.

mod billing;
mod byok;
mod hedging;

pub use billing::{BillingConfig, Stripe};
pub use byok::{ByokConfig, SealSecret};
pub use hedging::{Hedge, Hedged, Hedging};

use litemap::LiteMap;
use std::fmt;
use std::time::Duration;

use crate::catalog::{Catalog, Protocol, Provider};
use crate::id::KeyHash;
use crate::media::Hosts;
use crate::protocol::gemini::vertex::{self, ServiceAccount};
use crate::routing::rate::FreeLimits;

/// Providers whose keys and addresses follow from more than one variable.
const BEDROCK: &str = "amazon-bedrock";
const VERTEX: &str = "google-vertex";
/// Characters of a digest, enough to tell an operator's keys apart.
const DIGEST: usize = 12;

/// A text that must never be shown. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[secret]")
    }
}

/// How long and how large things may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From sending a streamed request to the head of the provider's answer.
    pub headers: Duration,
    /// From sending a streamed request to the first content.
    pub first_token: Duration,
    /// Between two pieces of content.
    pub idle: Duration,
    /// From the request's arrival to the end of its reply.
    pub total: Duration,
    /// How long a stream is silent at its start before comments keep it alive.
    pub comment_after: Duration,
    /// How far apart such comments are.
    pub comment_every: Duration,
    /// How long a hold outlives the total limit.
    pub hold_grace: Duration,
    /// The largest request body, in bytes.
    pub body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            headers: Duration::from_secs(60),
            first_token: Duration::from_secs(180),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(900),
            comment_after: Duration::from_secs(1),
            comment_every: Duration::from_secs(2),
            hold_grace: Duration::from_secs(60),
            body_bytes: 32 * 1024 * 1024,
        }
    }
}

/// One key of a provider and its share of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKey {
    pub secret: Secret,
    /// The beginning of the secret's SHA-256, by which its health is remembered.
    pub digest: String,
    pub weight: u32,
    /// Of a pair of access keys (Amazon), whose other half `secret` is.
    pub access_key_id: Option<String>,
    /// Of temporary access keys.
    pub session_token: Option<Secret>,
    /// `secret` is the key file of a service account (Google), which signs for tokens.
    pub is_service_account: bool,
    /// Where those tokens are asked for, if not at Google's own address.
    pub token_url: Option<String>,
}

/// Where a live provider is and what opens it.
#[derive(Clone, Debug)]
pub struct Connection {
    pub provider: &'static Provider,
    /// Without a trailing slash; empty for the embedded provider.
    pub base_url: String,
    /// Empty for providers that have no regions.
    pub region: String,
    /// Empty for providers that ask for none.
    pub keys: Vec<ProviderKey>,
}

/// Whether it matters how endpoints fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthPolicy {
    #[default]
    Obeyed,
    /// Nothing is measured, and nothing put off: every request tries its plan as if it were the first.
    Ignored,
}

/// When a reply may end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settling {
    /// When its provider has ended it: its charge is on its way to the account for a second.
    #[default]
    AfterEnd,
    /// When the account has its charge, which then survives whatever becomes of the isolate.
    BeforeEnd,
}

#[derive(Clone, Debug, Default)]
pub struct Config {
    pub admin_key: Option<KeyHash>,
    pub health: HealthPolicy,
    pub limits: Limits,
    /// How often an account may ask for free models.
    pub free: FreeLimits,
    /// Whose providers the connections are.
    pub catalog: Catalog,
    pub connections: Vec<Connection>,
    /// Where links in requests may lead besides the public internet: `MILLRACE_MEDIA_HOSTS`.
    pub media_hosts: Hosts,
    pub billing: BillingConfig,
    pub byok: ByokConfig,
    /// The addresses that variables gave providers, by their slugs, whether they are live or not.
    pub addresses: LiteMap<&'static str, String>,
    /// Variables that were set to something unusable, by name, for the operator.
    pub problems: Vec<String>,
    pub hedging: Hedging,
    pub settling: Settling,
}

impl Config {
    /// Reads every variable through `variable`, which gives `None` for those not set.
    pub fn read(variable: &dyn Fn(&str) -> Option<String>, catalog: Catalog) -> Config {
        let set =
            |name: &str| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let mut problems = Vec::new();
        let limits = read_limits(&set, &mut problems);
        let connections =
            catalog.providers().filter_map(|provider| connect(provider, &set, &mut problems)).collect();
        let free = read_free_limits(&set, &mut problems);
        let admin_key = set("MILLRACE_ADMIN_KEY").map(|key| KeyHash::of(&key));
        let media_hosts = Hosts::read(&set("MILLRACE_MEDIA_HOSTS").unwrap_or_default());
        let words = [("on", HealthPolicy::Obeyed), ("off", HealthPolicy::Ignored)];
        let health = read_either("MILLRACE_HEALTH", words, &set, &mut problems);
        let billing = BillingConfig::read(&set, &mut problems);
        let hedging = Hedging::read(&set, &mut problems);
        let words = [("after", Settling::AfterEnd), ("before", Settling::BeforeEnd)];
        let settling = read_either("MILLRACE_SETTLE", words, &set, &mut problems);
        let byok = ByokConfig::read(&set, &mut problems);
        let addresses = catalog.providers().filter_map(|provider| address(provider, &set)).collect();
        Config {
            admin_key,
            health,
            limits,
            free,
            catalog,
            connections,
            media_hosts,
            billing,
            byok,
            addresses,
            problems,
            hedging,
            settling,
        }
    }

    pub fn connection(&self, provider: &Provider) -> Option<&Connection> {
        self.connections.iter().find(|connection| connection.provider.slug == provider.slug)
    }

    /// The address that a variable gave a provider in place of its own.
    pub fn address(&self, provider: &Provider) -> Option<&str> {
        self.addresses.get(provider.slug).map(String::as_str)
    }

    /// The digests of the keys of each live provider, by its slug.
    pub fn key_digests(&self) -> LiteMap<String, Vec<String>> {
        let digests =
            |connection: &Connection| connection.keys.iter().map(|key| key.digest.clone()).collect();
        let all = self.connections.iter();
        all.map(|connection| (connection.provider.slug.to_owned(), digests(connection))).collect()
    }

    pub fn is_live(&self, provider: &Provider) -> bool {
        self.connection(provider).is_some()
    }
}

fn address(provider: &Provider, set: &dyn Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    let name = Some(provider.base_url_variable).filter(|name| !name.is_empty())?;
    let url = set(name).filter(|url| is_web_address(url))?;
    Some((provider.slug, url.trim_end_matches('/').to_owned()))
}

/// One of two words, the first of which is what holds where none is said.
fn read_either<T>(
    name: &str,
    [(usual, by_default), (other, instead)]: [(&str, T); 2],
    set: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> T {
    match set(name) {
        Some(text) if text == other => instead,
        Some(text) if text != usual => {
            problems.push(format!("{name} is neither {usual} nor {other}"));
            by_default
        }
        Some(_) | None => by_default,
    }
}

/// Zero lifts a limit.
fn read_free_limits(set: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> FreeLimits {
    let mut number = |name: &str, default: u32| match set(name).map(|text| text.parse::<u32>()) {
        None => default,
        Some(Ok(number)) => number,
        Some(Err(_)) => {
            problems.push(format!("{name} is not a whole number"));
            default
        }
    };
    let default = FreeLimits::default();
    FreeLimits {
        per_minute: number("MILLRACE_FREE_PER_MINUTE", default.per_minute),
        per_day: number("MILLRACE_FREE_PER_DAY", default.per_day),
        per_day_low: number("MILLRACE_FREE_PER_DAY_LOW", default.per_day_low),
        credits: number("MILLRACE_FREE_CREDITS", default.credits),
    }
}

fn read_limits(set: &dyn Fn(&str) -> Option<String>, problems: &mut Vec<String>) -> Limits {
    let mut number = |name: &str, default: u64| match set(name).map(|text| text.parse::<u64>()) {
        None => default,
        Some(Ok(number)) if number > 0 => number,
        Some(_) => {
            problems.push(format!("{name} is not a positive whole number"));
            default
        }
    };
    let default = Limits::default();
    let mut ms =
        |name: &str, default: Duration| Duration::from_millis(number(name, default.as_millis() as u64));
    Limits {
        headers: ms("MILLRACE_HEADERS_TIMEOUT_MS", default.headers),
        first_token: ms("MILLRACE_FIRST_TOKEN_TIMEOUT_MS", default.first_token),
        idle: ms("MILLRACE_IDLE_TIMEOUT_MS", default.idle),
        total: ms("MILLRACE_TOTAL_TIMEOUT_MS", default.total),
        comment_after: ms("MILLRACE_COMMENT_AFTER_MS", default.comment_after),
        comment_every: ms("MILLRACE_COMMENT_EVERY_MS", default.comment_every),
        hold_grace: ms("MILLRACE_HOLD_GRACE_MS", default.hold_grace),
        body_bytes: number("MILLRACE_MAX_BODY_BYTES", default.body_bytes),
    }
}

/// A provider is live when its key is set, and its address where only a variable gives it; one
/// that runs locally, when its address is; the embedded one always.
fn connect(
    provider: &'static Provider,
    set: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<String>,
) -> Option<Connection> {
    let named = |name: &str| if name.is_empty() { None } else { set(name) };
    let keys = match named(provider.key_variable) {
        Some(text) if provider.slug == VERTEX => vec![service_account(&text, set)],
        Some(text) => read_keys(provider.key_variable, &text, problems),
        None if provider.slug == BEDROCK => read_access_keys(set).into_iter().collect(),
        None => Vec::new(),
    };
    let region = region(provider, set);
    let own_url = named(provider.base_url_variable);
    let embedded = provider.protocol == Protocol::Millrace;
    // A provider of the operator's own has its address in its row, and may go without a key.
    let has_url = own_url.is_some() || !provider.base_url.is_empty();
    let keyless = provider.key_variable.is_empty();
    let live = embedded || if provider.local || keyless { has_url } else { !keys.is_empty() };
    let vertex_url = || keys.first().and_then(|key| vertex_url(provider, key, &region, problems));
    let base_url = own_url.or_else(vertex_url).unwrap_or_else(|| provider.base_url.to_owned());
    let base_url = base_url.trim_end_matches('/').replace("{region}", &region);
    if !live {
        return None;
    }
    if base_url.is_empty() && !embedded {
        problems.push(format!("{} is not set, which {} needs", provider.base_url_variable, provider.name));
        return None;
    }
    if !is_web_address(&base_url) && !embedded {
        problems.push(format!("{} is not an http or https address", provider.base_url_variable));
        return None;
    }
    Some(Connection { provider, base_url, region, keys })
}

impl ProviderKey {
    pub fn new(secret: &str, weight: u32) -> ProviderKey {
        ProviderKey {
            secret: Secret::new(secret),
            digest: KeyHash::of(secret).as_str()[..DIGEST].to_owned(),
            weight,
            access_key_id: None,
            session_token: None,
            is_service_account: false,
            token_url: None,
        }
    }
}

/// The region of a provider that has any, by the names that its own tools know.
fn region(provider: &Provider, set: &dyn Fn(&str) -> Option<String>) -> String {
    let (names, default) = match provider.slug {
        BEDROCK => (["AWS_REGION", "AWS_DEFAULT_REGION"], "us-east-1"),
        VERTEX => (["GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"], "global"),
        _ => return String::new(),
    };
    names.into_iter().find_map(set).unwrap_or_else(|| default.to_owned())
}

/// The key file of a service account, as one key: it holds commas.
fn service_account(text: &str, set: &dyn Fn(&str) -> Option<String>) -> ProviderKey {
    let token_url = set("GOOGLE_VERTEX_TOKEN_URL");
    ProviderKey { is_service_account: true, token_url, ..ProviderKey::new(text, 1) }
}

/// Where the models of a service account's project are.
fn vertex_url(
    provider: &Provider,
    key: &ProviderKey,
    location: &str,
    problems: &mut Vec<String>,
) -> Option<String> {
    if provider.slug != VERTEX {
        return None;
    }
    let account = ServiceAccount::read(key.secret.expose());
    match account.and_then(|account| vertex::base_url(&account.project, location)) {
        Ok(url) => Some(url),
        Err(failure) => {
            problems.push(format!("{}: {}", provider.key_variable, failure.message));
            None
        }
    }
}

/// Amazon's access keys, by the names that its own tools know.
fn read_access_keys(set: &dyn Fn(&str) -> Option<String>) -> Option<ProviderKey> {
    let key = ProviderKey::new(&set("AWS_SECRET_ACCESS_KEY")?, 1);
    let access_key_id = Some(set("AWS_ACCESS_KEY_ID")?);
    Some(ProviderKey { access_key_id, session_token: set("AWS_SESSION_TOKEN").map(Secret::new), ..key })
}

fn is_web_address(text: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

/// Reads `key`, `key,key` or `key|3,key|1`: keys, each with an optional weight.
fn read_keys(variable: &str, text: &str, problems: &mut Vec<String>) -> Vec<ProviderKey> {
    let mut keys = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (secret, weight) = match part.rsplit_once('|') {
            Some((secret, weight)) => {
                (secret.trim(), weight.trim().parse().ok().filter(|weight| *weight > 0))
            }
            None => (part, Some(1)),
        };
        match weight {
            Some(weight) if is_header_safe(secret) => keys.push(ProviderKey::new(secret, weight)),
            _ => problems.push(format!("{variable} is not a list of keys with weights")),
        }
    }
    keys
}

/// Header values with other bytes make `fetch` throw, and its words would hold the key.
pub fn is_header_safe(secret: &str) -> bool {
    !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic())
}
