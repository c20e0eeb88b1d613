//! What a provider's key looks like when a customer brings it, in OpenRouter's forms: a plain key; for
//! Azure a list of resources or deployments; for Amazon an API key or a pair of access keys; for Vertex
//! AI the key file of a service account. Facts: OpenRouter's guide to BYOK.

use crate::catalog::{Protocol, Provider};
use crate::config::{Config, ProviderKey, is_header_safe};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::protocol::gemini::vertex::{self, ServiceAccount};
use crate::routing::Candidate;

const AZURE: &str = "azure";
const BEDROCK: &str = "amazon-bedrock";
const VERTEX: &str = "google-vertex";
/// Where Azure serves: an address of the customer's choice must not lead anywhere else, least of all to
/// a server of theirs, whose counts nobody could believe.
const AZURE_HOSTS: [&str; 3] =
    [".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com"];
/// Deployments in one credential, at most.
const MOST: usize = 100;
/// The longest that a credential may be, in bytes.
const LONGEST: usize = 16 * 1024;
/// Fewer characters than this are not shown in part.
const SHOWN_FROM: usize = 16;

/// A credential that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    Plain(ProviderKey),
    Azure(Vec<Deployment>),
    /// For Amazon, with the region it is for.
    Bedrock(ProviderKey, String),
    Vertex {
        key: ProviderKey,
        base_url: String,
        region: String,
    },
}

/// A place in Azure where models are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    key: ProviderKey,
    base_url: String,
    /// The only model that it serves, by our slug; `None` for any.
    model: Option<String>,
    /// What it calls that model; `None` for the name that all do.
    name: Option<String>,
}

/// How a candidate is reached with a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub key: ProviderKey,
    pub base_url: String,
    pub region: String,
    /// The name of the model there, if it has another.
    pub model: Option<String>,
}

impl Credential {
    /// Reads a credential for `provider`. Failures never quote it.
    pub fn read(provider: &Provider, text: &str) -> Result<Credential, Failure> {
        let text = text.trim();
        if provider.local || provider.protocol == Protocol::Millrace || provider.key_variable.is_empty() {
            return Err(Failure::invalid(format!("provider: {} takes no keys", provider.name)));
        }
        if text.len() > LONGEST {
            return Err(Failure::invalid("key: longer than a key can be"));
        }
        match provider.slug {
            AZURE => read_azure(text),
            BEDROCK => read_bedrock(text),
            VERTEX => read_vertex(text),
            _ => secret(text).map(Credential::Plain),
        }
    }

    /// What of it may be shown: `sk-...AbCd`.
    pub fn label(&self) -> String {
        let shown = match self {
            Credential::Plain(key) => key.secret.expose().to_owned(),
            Credential::Azure(all) => {
                all.first().map(|one| one.key.secret.expose().to_owned()).unwrap_or_default()
            }
            Credential::Bedrock(key, _) => {
                key.access_key_id.clone().unwrap_or_else(|| key.secret.expose().to_owned())
            }
            Credential::Vertex { key, .. } => ServiceAccount::read(key.secret.expose())
                .ok()
                .and_then(|account| account.key_id)
                .unwrap_or_default(),
        };
        let shown: Vec<char> = shown.chars().collect();
        if shown.len() < SHOWN_FROM {
            return "...".to_owned();
        }
        let (first, last) = (&shown[..3], &shown[shown.len() - 4..]);
        format!("{}...{}", first.iter().collect::<String>(), last.iter().collect::<String>())
    }

    /// How to reach a candidate with it; `None` where it is not for that model or has no address.
    pub fn access(&self, candidate: &Candidate, config: &Config) -> Option<Access> {
        let own_url = config.address(candidate.provider);
        match self {
            Credential::Plain(key) => {
                let base_url = own_url.unwrap_or(candidate.provider.base_url).to_owned();
                let access = Access { key: key.clone(), base_url, region: String::new(), model: None };
                (!access.base_url.is_empty()).then_some(access)
            }
            Credential::Bedrock(key, region) => {
                let base_url = own_url.unwrap_or(candidate.provider.base_url).replace("{region}", region);
                Some(Access { key: key.clone(), base_url, region: region.clone(), model: None })
            }
            Credential::Vertex { key, base_url, region } => {
                let base_url = own_url.unwrap_or(base_url).to_owned();
                Some(Access { key: key.clone(), base_url, region: region.clone(), model: None })
            }
            Credential::Azure(deployments) => {
                let own = |one: &&Deployment| one.model.as_deref() == Some(&*candidate.model);
                let found = deployments
                    .iter()
                    .find(own)
                    .or_else(|| deployments.iter().find(|one| one.model.is_none()))?;
                let base_url = own_url.unwrap_or(&found.base_url).to_owned();
                let (key, model) = (found.key.clone(), found.name.clone());
                Some(Access { key, base_url, region: String::new(), model })
            }
        }
    }
}

fn secret(text: &str) -> Result<ProviderKey, Failure> {
    if !is_header_safe(text) {
        return Err(Failure::invalid("key: must be one line of plain characters without spaces"));
    }
    Ok(ProviderKey::new(text, 1))
}

fn read_azure(text: &str) -> Result<Credential, Failure> {
    let wrong = || Failure::invalid("key: must be a JSON array of Azure resources or deployments");
    let items = if text.starts_with('{') { vec![text] } else { json::elements(text).map_err(|_| wrong())? };
    if items.is_empty() || items.len() > MOST {
        return Err(wrong());
    }
    let read = |item: &&str| deployment(&json::members(item).map_err(|_| wrong())?);
    items.iter().map(read).collect::<Result<_, _>>().map(Credential::Azure)
}

fn deployment(item: &Members<'_>) -> Result<Deployment, Failure> {
    let key = secret(&required(item, "api_key")?)?;
    let Some(url) = item.string("endpoint_url") else {
        let resource = required(item, "resource_name")?;
        let is_name =
            !resource.is_empty() && resource.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_name {
            return Err(Failure::invalid("key: resource_name must be the name of an Azure resource"));
        }
        let kind = item.string("resource_type").unwrap_or_default();
        let domain = match &*kind {
            "openai" | "" => "openai.azure.com",
            "ai_foundry" => "services.ai.azure.com",
            _ => return Err(Failure::invalid("key: resource_type must be openai or ai_foundry")),
        };
        let base_url = format!("https://{resource}.{domain}/openai/v1");
        return Ok(Deployment { key, base_url, model: None, name: None });
    };
    let (host, path) = url
        .strip_prefix("https://")
        .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        .filter(|(host, _)| is_azure(host))
        .ok_or_else(|| Failure::invalid("key: endpoint_url must be an https address of Azure's"))?;
    let deployed =
        path.split_once("deployments/").map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest));
    let name = deployed.map(str::to_owned).or_else(|| item.string("model_id").map(|id| id.into_owned()));
    let model = Some(required(item, "model_slug")?);
    Ok(Deployment { key, base_url: format!("https://{host}/openai/v1"), model, name })
}

fn is_azure(host: &str) -> bool {
    let is_host = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    is_host && AZURE_HOSTS.iter().any(|domain| host.strip_suffix(domain).is_some_and(|name| !name.is_empty()))
}

/// `{"accessKeyId":…,"secretAccessKey":…,"region":…}`, or an API key.
fn read_bedrock(text: &str) -> Result<Credential, Failure> {
    const REGION: &str = "us-east-1";
    if !text.starts_with('{') {
        return Ok(Credential::Bedrock(secret(text)?, REGION.to_owned()));
    }
    let file = json::members(text).map_err(|_| Failure::invalid("key: not a JSON object"))?;
    let region = region(&file, REGION)?;
    let key = secret(&required(&file, "secretAccessKey")?)?;
    let access_key_id = required(&file, "accessKeyId")?;
    secret(&access_key_id)?;
    let access_key_id = Some(access_key_id);
    let session_token =
        file.string("sessionToken").map(|token| crate::config::Secret::new(token.into_owned()));
    Ok(Credential::Bedrock(ProviderKey { access_key_id, session_token, ..key }, region))
}

fn read_vertex(text: &str) -> Result<Credential, Failure> {
    let account = ServiceAccount::read(text)?;
    let file = json::members(text).map_err(|_| Failure::invalid("key: not a JSON object"))?;
    let region = region(&file, "global")?;
    let base_url = vertex::base_url(&account.project, &region)?;
    let key = ProviderKey { is_service_account: true, ..ProviderKey::new(text, 1) };
    Ok(Credential::Vertex { key, base_url, region })
}

/// A region becomes part of an address.
fn region(file: &Members<'_>, default: &str) -> Result<String, Failure> {
    let region = file.string("region").map_or_else(|| default.to_owned(), |region| region.into_owned());
    let plain = region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if region.is_empty() || region.len() > 32 || !plain {
        return Err(Failure::invalid("key: region must be the name of a region"));
    }
    Ok(region)
}

fn required(file: &Members<'_>, name: &str) -> Result<String, Failure> {
    let found = file.string(name).filter(|text| !text.trim().is_empty());
    found
        .map(|text| text.trim().to_owned())
        .ok_or_else(|| Failure::invalid(format!("key: `{name}` is missing")))
}
