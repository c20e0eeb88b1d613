//! Amazon's Signature Version 4, from plain values to the header that proves who sends a request.
//! Clock, key and payload are arguments. Spec: docs.aws.amazon.com, "Signing AWS API requests".

use std::fmt;

use sha2::{Digest, Sha256};

use crate::time::Time;

/// What a key is made of. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Of temporary credentials.
    pub session_token: Option<String>,
}

/// The request as it goes over the wire.
#[derive(Clone, Copy, Debug)]
pub struct Signable<'a> {
    pub method: &'a str,
    /// The path as it is sent, percent-encoded once.
    pub path: &'a str,
    /// Names and values as they mean, not encoded.
    pub query: &'a [(&'a str, &'a str)],
    /// All headers that are to be signed, `host` and `x-amz-date` among them.
    pub headers: &'a [(&'a str, &'a str)],
    /// From [`payload_hash`].
    pub payload_hash: &'a str,
}

/// For what a signature holds.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub time: Time,
    pub region: &'a str,
    /// `bedrock`.
    pub service: &'a str,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The block of SHA-256 in bytes.
const BLOCK: usize = 64;

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials(…)")
    }
}

/// The headers to add to a request with a body in JSON, `authorization` among them: all of them
/// and `content-type` are signed.
pub fn signed_headers(
    host: &str,
    path: &str,
    body: &[u8],
    credentials: &Credentials,
    scope: &Scope<'_>,
) -> Vec<(&'static str, String)> {
    let date = timestamp(scope.time);
    let hash = payload_hash(body);
    let mut headers = vec![
        ("content-type", "application/json"),
        ("host", host),
        ("x-amz-content-sha256", hash.as_str()),
        ("x-amz-date", date.as_str()),
    ];
    headers.extend(credentials.session_token.as_deref().map(|token| ("x-amz-security-token", token)));
    let request = Signable { method: "POST", path, query: &[], headers: &headers, payload_hash: &hash };
    let authorization = authorization(&request, credentials, scope);
    let sent = headers.iter().filter(|(name, _)| *name != "host");
    let mut sent: Vec<_> = sent.map(|(name, value)| (*name, (*value).to_owned())).collect();
    sent.push(("authorization", authorization));
    sent
}

/// The value of the `authorization` header.
pub fn authorization(request: &Signable<'_>, credentials: &Credentials, scope: &Scope<'_>) -> String {
    let text = string_to_sign(&canonical_request(request), scope);
    let signature = hex(&hmac(&signing_key(credentials, scope), text.as_bytes()));
    format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        scope_of(scope),
        signed_names(request),
    )
}

/// The request in the one form that both sides hash.
pub fn canonical_request(request: &Signable<'_>) -> String {
    let headers = sorted_headers(request);
    let headers: String = headers.iter().map(|(name, values)| format!("{name}:{values}\n")).collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        signed_names(request),
        request.payload_hash,
    )
}

pub fn string_to_sign(canonical_request: &str, scope: &Scope<'_>) -> String {
    let hash = payload_hash(canonical_request.as_bytes());
    format!("{ALGORITHM}\n{}\n{}\n{hash}", timestamp(scope.time), scope_of(scope))
}

/// `20150830T123600Z`.
pub fn timestamp(time: Time) -> String {
    let text = time.to_iso8601();
    let digits: String = text.split('.').next().unwrap_or_default().replace(['-', ':'], "");
    digits + "Z"
}

/// The SHA-256 of a body, in hexadecimal digits.
pub fn payload_hash(body: &[u8]) -> String {
    hex(&Sha256::digest(body))
}

/// HMAC-SHA256 (RFC 2104).
pub fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

/// Percent-encodes all but letters, digits and `-._~`.
pub fn percent_encode(text: &str, keep: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if keep.contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn signing_key(credentials: &Credentials, scope: &Scope<'_>) -> [u8; 32] {
    let secret = format!("AWS4{}", credentials.secret_access_key);
    let day = hmac(secret.as_bytes(), date(scope.time).as_bytes());
    let region = hmac(&day, scope.region.as_bytes());
    let service = hmac(&region, scope.service.as_bytes());
    hmac(&service, b"aws4_request")
}

fn scope_of(scope: &Scope<'_>) -> String {
    format!("{}/{}/{}/aws4_request", date(scope.time), scope.region, scope.service)
}

fn date(time: Time) -> String {
    timestamp(time).split('T').next().unwrap_or_default().to_owned()
}

/// Every service but S3 wants the path encoded once more than it was sent.
fn canonical_path(path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    percent_encode(path, b"/")
}

fn canonical_query(query: &[(&str, &str)]) -> String {
    let encode = |(name, value): &(&str, &str)| (percent_encode(name, b""), percent_encode(value, b""));
    let mut pairs: Vec<(String, String)> = query.iter().map(encode).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// Names in lower case with their values, blanks folded, values of one name joined by commas.
fn sorted_headers(request: &Signable<'_>) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in request.headers {
        let name = name.to_ascii_lowercase();
        let value = value.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        match headers.iter_mut().find(|(own, _)| *own == name) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => headers.push((name, value)),
        }
    }
    headers.sort();
    headers
}

fn signed_names(request: &Signable<'_>) -> String {
    let names: Vec<String> = sorted_headers(request).into_iter().map(|(name, _)| name).collect();
    names.join(";")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
