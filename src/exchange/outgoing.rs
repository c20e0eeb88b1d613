//! The request that goes to a provider: its address, and the headers that open it.

use crate::catalog::Protocol;
use crate::config::{ProviderKey, Secret};
use crate::protocol::anthropic_messages::{BetaTarget, forward_betas};
use crate::protocol::bedrock::{Credentials, Scope, signed_headers};
use crate::protocol::bridge::{Face, path};
use crate::time::Time;

use super::{Arrival, Route};
use crate::routing::Candidate;

/// A request to a provider.
#[derive(Debug)]
pub struct Outgoing {
    /// The embedded provider answers this one itself.
    pub embedded: bool,
    pub url: String,
    /// Some of them prove who we are.
    pub headers: Vec<(&'static str, Secret)>,
    /// A login that has to be turned into a token first.
    pub login: Option<ServiceLogin>,
    pub stream: bool,
    pub body: Vec<u8>,
}

/// A service account of Google's, which signs for its tokens.
#[derive(Clone, Debug)]
pub struct ServiceLogin {
    /// The key file's text.
    pub account: Secret,
    /// Where tokens are asked for, if not at Google's own address.
    pub token_url: Option<String>,
}

/// The version of Anthropic's Messages that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Addresses `body` to the endpoint of `route`.
pub fn write(route: &Route, arrival: &Arrival, body: Vec<u8>, now: Time) -> Outgoing {
    let candidate = &route.candidate;
    let provider = candidate.provider;
    let (face, stream) = (arrival.face, arrival.request.stream);
    let wire = wire(candidate, arrival);
    let path = path(face, wire, provider, &candidate.upstream_model, stream);
    let mut headers = match &route.key {
        Some(key) if key.is_service_account => Vec::new(),
        Some(key) if wire == Protocol::Bedrock => bedrock_headers(route, key, &path, &body, now),
        Some(key) => vec![key_header(wire, key)],
        None => Vec::new(),
    };
    if wire == Protocol::AnthropicMessages {
        headers.push(("anthropic-version", Secret::new(ANTHROPIC_VERSION)));
        headers.extend(betas(arrival, provider.slug).map(|betas| ("anthropic-beta", Secret::new(betas))));
    }
    Outgoing {
        embedded: provider.protocol == Protocol::Millrace,
        url: [route.base_url.as_str(), path.as_str()].concat(),
        headers,
        login: route
            .key
            .as_ref()
            .filter(|key| key.is_service_account)
            .map(|key| ServiceLogin { account: key.secret.clone(), token_url: key.token_url.clone() }),
        stream,
        body,
    }
}

/// What is spoken with the candidate for this request.
pub fn wire(candidate: &Candidate, arrival: &Arrival) -> Protocol {
    let searches = arrival.request.needs.web_search.is_some() && candidate.prices.web_search.is_some();
    arrival.face.wire(candidate.provider, candidate.protocol, searches)
}

fn key_header(wire: Protocol, key: &ProviderKey) -> (&'static str, Secret) {
    match wire {
        Protocol::AnthropicMessages => ("x-api-key", key.secret.clone()),
        // In a header, never in the address: addresses are logged.
        Protocol::Gemini => ("x-goog-api-key", key.secret.clone()),
        Protocol::OpenAiChat
        | Protocol::OpenAiResponses
        | Protocol::Cohere
        | Protocol::Bedrock
        | Protocol::Ollama
        | Protocol::Millrace => ("authorization", Secret::new(format!("Bearer {}", key.secret.expose()))),
    }
}

/// A key of Bedrock's own is a bearer; a pair of access keys signs the request.
fn bedrock_headers(
    route: &Route,
    key: &ProviderKey,
    path: &str,
    body: &[u8],
    now: Time,
) -> Vec<(&'static str, Secret)> {
    let Some(access_key_id) = &key.access_key_id else {
        return vec![key_header(Protocol::Bedrock, key)];
    };
    let credentials = Credentials {
        access_key_id: access_key_id.clone(),
        secret_access_key: key.secret.expose().to_owned(),
        session_token: key.session_token.as_ref().map(|token| token.expose().to_owned()),
    };
    let after_scheme = route.base_url.split_once("://").map_or(route.base_url.as_str(), |(_, rest)| rest);
    let (host, base_path) = match after_scheme.split_once('/') {
        Some((host, rest)) => (host, format!("/{rest}")),
        None => (after_scheme, String::new()),
    };
    let scope = Scope { time: now, region: &route.region, service: "bedrock" };
    let headers = signed_headers(host, &format!("{base_path}{path}"), body, &credentials, &scope);
    headers.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
}

/// The betas that this provider is to hear of.
fn betas(arrival: &Arrival, provider: &str) -> Option<String> {
    let sent = arrival.caller.betas.as_deref().filter(|_| arrival.face == Face::Messages)?;
    let target = if provider == "anthropic" { BetaTarget::Anthropic } else { BetaTarget::Other };
    forward_betas(sent, target).header
}
