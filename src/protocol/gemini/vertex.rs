//! Vertex AI: where its models are, and how a service account gets a token for them. The shell
//! signs and sends; here is what it signs, what it sends, and how long the answer holds.

use std::fmt;
use std::time::Duration;

use super::{error, wire};
use crate::base64;
use crate::chat::ProviderError;
use crate::error::Failure;
use crate::json::{self, Members};
use crate::time::Time;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The longest that Google grants.
const LIFE: Duration = Duration::from_secs(3600);
/// How far Google's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(30);
/// A token is renewed this long before it ends, so that none ends on the way.
const MARGIN: Duration = Duration::from_secs(300);

/// A service account, as its key file describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    pub project: String,
    pub email: String,
    pub key_id: Option<String>,
    /// PKCS #8 in DER, for WebCrypto's `importKey`.
    pub key: Vec<u8>,
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ServiceAccount").field("email", &self.email).finish_non_exhaustive()
    }
}

/// An access token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub value: String,
    pub expires: Time,
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A `POST` that asks for a token.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenRequest {
    pub url: &'static str,
    pub content_type: &'static str,
    pub body: String,
}

impl ServiceAccount {
    /// Reads the key file that Google's console gives. Failures name the member, never its value.
    pub fn read(text: &str) -> Result<ServiceAccount, Failure> {
        let file = json::members(text.trim())
            .map_err(|_| Failure::invalid("The service account's key file is not a JSON object."))?;
        if file.string("type").is_some_and(|kind| kind != "service_account") {
            return Err(Failure::invalid("`type` of the key file must be `service_account`."));
        }
        // The assertion buys a token: it goes to Google and nowhere else.
        if file.string("token_uri").is_some_and(|url| url != TOKEN_URL) {
            return Err(Failure::invalid(format!("`token_uri` of the key file must be `{TOKEN_URL}`.")));
        }
        let key = read_pem(&member(&file, "private_key")?).ok_or_else(|| {
            Failure::invalid("`private_key` of the key file must be a PEM block `PRIVATE KEY` (PKCS #8).")
        })?;
        Ok(ServiceAccount {
            project: member(&file, "project_id")?,
            email: member(&file, "client_email")?,
            key_id: file.string("private_key_id").map(|id| id.into_owned()),
            key,
        })
    }

    /// What is to be signed with RSASSA-PKCS1-v1_5 and SHA-256.
    pub fn signing_input(&self, now: Time) -> String {
        let key_id = self.key_id.as_ref().map(|id| format!(",\"kid\":{}", json::quote(id)));
        let header = format!("{{\"alg\":\"RS256\",\"typ\":\"JWT\"{}}}", key_id.unwrap_or_default());
        let issued = now.seconds().saturating_sub(SKEW.as_secs());
        let claims = format!(
            r#"{{"iss":{},"scope":"{SCOPE}","aud":"{TOKEN_URL}","iat":{issued},"exp":{}}}"#,
            json::quote(&self.email),
            issued + LIFE.as_secs(),
        );
        format!("{}.{}", base64::encode_url(header.as_bytes()), base64::encode_url(claims.as_bytes()))
    }
}

/// The request for a token, with the signature over `signing_input`.
pub fn token_request(signing_input: &str, signature: &[u8]) -> TokenRequest {
    let signature = base64::encode_url(signature);
    // Base64 for URLs, and dots, need no escape; the colons of the grant do.
    let grant = GRANT.replace(':', "%3A");
    TokenRequest {
        url: TOKEN_URL,
        content_type: "application/x-www-form-urlencoded",
        body: format!("grant_type={grant}&assertion={signing_input}.{signature}"),
    }
}

/// Reads the answer to a [`TokenRequest`] that was sent at `sent`.
pub fn read_token(body: &[u8], sent: Time) -> Result<Token, ProviderError> {
    let text = crate::bytes::text(body);
    let answer = json::members(text.trim()).ok();
    let value = answer.as_ref().and_then(|answer| answer.string("access_token"));
    let (Some(answer), Some(value)) = (&answer, value.filter(|value| !value.is_empty())) else {
        return Err(refusal(body, &text));
    };
    let life = answer.get("expires_in").and_then(json::whole).unwrap_or(LIFE.as_secs());
    let life = Duration::from_secs(life.min(LIFE.as_secs()));
    Ok(Token { value: value.into_owned(), expires: sent.plus(life) })
}

/// Whatever the endpoint says of a grant, it is our credential that it refuses. Its answer is not
/// kept: it might quote the assertion.
fn refusal(body: &[u8], text: &str) -> ProviderError {
    let fault = error::read_error(body);
    let refused = matches!(
        fault.code.as_deref(),
        Some("invalid_grant" | "invalid_client" | "unauthorized_client" | "invalid_scope" | "access_denied")
    );
    let message = match fault.message.is_empty() || text.contains("access_token") {
        true => "Google's token endpoint gave no token.".to_owned(),
        false => fault.message,
    };
    let status = if refused { Some(401) } else { fault.status };
    ProviderError { status, code: fault.code, message, raw: String::new() }
}

impl Token {
    /// Whether the token may still be used, with time to spare.
    pub fn is_fresh(&self, now: Time) -> bool {
        self.expires.since(now) > MARGIN
    }
}

/// The address of Google's models in a project and a location: a region, `global`, `us` or `eu`.
pub fn base_url(project: &str, location: &str) -> Result<String, Failure> {
    let host = host(location)?;
    if !is_made_of(project, "-.:") {
        return Err(Failure::invalid("The Vertex project must be a project id."));
    }
    Ok(format!("https://{host}/v1/projects/{project}/locations/{location}/publishers/google"))
}

/// The URL of one of those models.
pub fn model_url(project: &str, location: &str, model: &str, stream: bool) -> Result<String, Failure> {
    let base = base_url(project, location)?;
    let model = model.rsplit('/').next().unwrap_or(model);
    if !is_made_of(model, "-._@") {
        return Err(Failure::invalid("The Vertex model must be the name of a model."));
    }
    Ok(format!("{base}/models/{model}:{}", wire::method(stream)))
}

fn host(location: &str) -> Result<String, Failure> {
    if !is_made_of(location, "-") {
        return Err(Failure::invalid("The Vertex location must be a region, `global`, `us` or `eu`."));
    }
    Ok(match location {
        "global" => "aiplatform.googleapis.com".to_owned(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        region => format!("{region}-aiplatform.googleapis.com"),
    })
}

/// Letters, digits and `others` alone, so that nothing else gets into a URL.
fn is_made_of(text: &str, others: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    !text.is_empty() && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal)
}

fn member(file: &Members<'_>, name: &str) -> Result<String, Failure> {
    let value = file.string(name).filter(|value| !value.is_empty());
    value
        .map(|value| value.into_owned())
        .ok_or_else(|| Failure::invalid(format!("`{name}` of the key file must be a string.")))
}

fn read_pem(text: &str) -> Option<Vec<u8>> {
    // Where the file went through a shell, its line breaks may have stayed escaped.
    let text = text.replace("\\n", "\n");
    let (_, rest) = text.split_once("-----BEGIN PRIVATE KEY-----")?;
    let (base64, _) = rest.split_once("-----END PRIVATE KEY-----")?;
    base64::decode(base64.trim()).filter(|key| !key.is_empty())
}
