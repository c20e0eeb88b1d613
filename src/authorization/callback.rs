//! Where a code may be sent: to a site over an encrypted connection, or to a program on the owner's
//! own machine.

use crate::query;

const MAX_URL: usize = 2048;
const LOCAL: [&str; 2] = ["localhost", "127.0.0.1"];

/// An address that may be called back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    url: String,
    /// The length of `https://host:port`, with which the address begins.
    origin: usize,
    /// Of `https://`, or what stands in its place.
    scheme: usize,
}

impl Callback {
    /// Reads `https://…`, or `http://` with `localhost` or `127.0.0.1` and any port. Fails in words for
    /// the app's maker.
    pub fn read(url: &str) -> Result<Callback, &'static str> {
        if url.len() > MAX_URL || !url.bytes().all(|byte| byte.is_ascii_graphic()) || url.contains('\\') {
            return Err("callback_url: must be an address of at most 2048 visible characters");
        }
        let (scheme, rest) = url.split_once("://").ok_or("callback_url: must begin with https://")?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        if url.contains('#') {
            return Err("callback_url: must have no fragment");
        }
        if authority.contains('@') {
            return Err("callback_url: must hold no credentials");
        }
        let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
        if host.is_empty() || !host.bytes().all(is_host) || !is_port {
            return Err("callback_url: its host is malformed");
        }
        match scheme {
            "https" => {}
            "http" if LOCAL.contains(&host) => {}
            _ => {
                return Err("callback_url: must begin with https://, or http:// with localhost or 127.0.0.1");
            }
        }
        let scheme = scheme.len() + 3;
        Ok(Callback { url: url.to_owned(), origin: scheme + authority.len(), scheme })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// `https://host:port`
    pub fn origin(&self) -> &str {
        &self.url[..self.origin]
    }

    /// `host:port`, as the owner may know the app.
    pub fn host(&self) -> &str {
        &self.url[self.scheme..self.origin]
    }

    /// Whether a program on the owner's own machine is called.
    pub fn is_local(&self) -> bool {
        self.url.starts_with("http://")
    }

    /// The address with members added to its query.
    pub fn with(&self, members: &[(&str, &str)]) -> String {
        let mut url = self.url.clone();
        let mut join = if url.contains('?') { '&' } else { '?' };
        for (name, value) in members {
            url.push(join);
            url.push_str(&format!("{name}={}", query::encode(value)));
            join = '&';
        }
        url
    }
}
