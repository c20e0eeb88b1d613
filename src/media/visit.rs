//! The way to one link's bytes: each hop is an address that may be asked, and there are few.

use super::address::{Address, Hosts};
use super::{Kind, Link, MAX_BYTES, identify};
use crate::chat::conversation::Source;

/// The most redirects that are followed.
const MAX_REDIRECTS: u32 = 3;

/// One link on its way.
#[derive(Clone, Debug)]
pub struct Visit {
    kind: Kind,
    /// The host that the client named, which is all of the address that is ever repeated.
    host: String,
    at: Address,
    redirects: u32,
}

/// What an answer's head leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this address.
    Follow(String),
    /// Read the body, never more than [`MAX_BYTES`].
    Read,
}

impl Visit {
    /// The first hop, or why the link may not be followed.
    pub fn begin(link: &Link, hosts: &Hosts) -> Result<Visit, String> {
        let at = Address::read(&link.url, hosts).map_err(|why| {
            let at = Address::host_of(&link.url).map(|host| format!(" at {host}")).unwrap_or_default();
            format!("The {}{at} cannot be fetched: {why}.", link.kind.name())
        })?;
        Ok(Visit { kind: link.kind, host: at.host().to_owned(), at, redirects: 0 })
    }

    /// The address to ask, in the one spelling that was checked.
    pub fn url(&self) -> &str {
        self.at.url()
    }

    /// Takes the head of an answer: its status, where it redirects to, how long it says it is.
    pub fn take_head(
        &mut self,
        status: u16,
        location: Option<&str>,
        length: Option<u64>,
        hosts: &Hosts,
    ) -> Result<Next, String> {
        match (status, location) {
            (200, _) if length.is_some_and(|length| length > MAX_BYTES) => Err(self.fails(&too_large())),
            (200, _) => Ok(Next::Read),
            (301 | 302 | 303 | 307 | 308, Some(location)) => {
                self.redirects += 1;
                if self.redirects > MAX_REDIRECTS {
                    return Err(self.fails("it redirects too often"));
                }
                let next = self
                    .at
                    .join(location, hosts)
                    .map_err(|why| self.fails(&format!("it redirects to where {why}")));
                self.at = next?;
                Ok(Next::Follow(self.at.url().to_owned()))
            }
            _ => Err(self.fails(&format!("its server answered with status {status}"))),
        }
    }

    /// Takes the whole body.
    pub fn take_body(&self, content_type: Option<&str>, bytes: &[u8]) -> Result<Source, String> {
        identify(self.kind, content_type, bytes).map_err(|why| self.fails(why))
    }

    pub fn too_large(&self) -> String {
        self.fails(&too_large())
    }

    pub fn too_much(&self) -> String {
        self.fails("all links together are larger than 32 MB")
    }

    pub fn too_slow(&self) -> String {
        self.fails("it took longer than 10 seconds")
    }

    pub fn unreachable(&self) -> String {
        self.fails("its server could not be reached")
    }

    fn fails(&self, why: &str) -> String {
        format!("The {} at {} cannot be fetched: {why}.", self.kind.name(), self.host)
    }
}

fn too_large() -> String {
    format!("it is larger than {} MB", MAX_BYTES / 1024 / 1024)
}
