//! Pictures and documents behind links, for providers that take bytes alone: which of a conversation
//! have to be fetched, how far a fetch may go, and what its bytes are. Fetches nothing itself.

mod address;
mod kind;
mod visit;

use litemap::LiteMap;

use crate::catalog::Protocol;
use crate::chat::Conversation;
use crate::chat::conversation::{Part, Source};

pub use address::{Address, Hosts};
pub use kind::{Kind, identify};
pub use visit::{Next, Visit};

/// The largest picture or document, in bytes.
pub const MAX_BYTES: u64 = 20 * 1024 * 1024;
/// All of them together.
pub const MAX_TOTAL: u64 = 32 * 1024 * 1024;
/// The most links of a request that are fetched.
pub const MAX_LINKS: usize = 20;
/// How long all fetches of a request may take together.
pub const TIME_LIMIT_MS: u32 = 10_000;

/// Something to fetch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub url: String,
    pub kind: Kind,
}

/// What came of a request's links, by their URLs: bytes, or words for the client about why not.
#[derive(Clone, Debug, Default)]
pub struct Fetched(LiteMap<String, Result<Source, String>>);

impl Fetched {
    pub fn insert(&mut self, link: &Link, outcome: Result<Source, String>) {
        self.0.insert(link.url.clone(), outcome);
    }

    /// Adds what was fetched later of `links`. One that nothing came of has failed.
    pub fn add(&mut self, later: Fetched, links: &[Link]) {
        self.0.extend(later.0);
        for link in links {
            let failed = || Err(format!("The {} cannot be fetched.", link.kind.name()));
            self.0.entry(link.url.clone()).or_insert_with(failed);
        }
    }

    pub fn has(&self, link: &Link) -> bool {
        self.0.contains_key(&link.url)
    }

    /// Why one of the links has no bytes, if so.
    pub fn failure(&self, links: &[Link]) -> Option<&str> {
        let outcomes = links.iter().filter_map(|link| self.0.get(&link.url));
        outcomes.filter_map(|outcome| outcome.as_ref().err()).map(String::as_str).next()
    }

    /// Puts bytes where `wire` cannot take the links.
    pub fn fill(&self, conversation: &mut Conversation, wire: Protocol) {
        if self.0.is_empty() {
            return;
        }
        for part in conversation.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            each_source(part, &mut |source, _| {
                let found = link_of(source, wire).and_then(|url| self.0.get(url));
                if let Some(Ok(bytes)) = found {
                    *source = bytes.clone();
                }
            });
        }
    }
}

/// What has to be fetched before the conversation can be written for `wire`, each link once.
pub fn links(conversation: &mut Conversation, wire: Protocol) -> Vec<Link> {
    let mut links = Vec::new();
    for part in conversation.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        each_source(part, &mut |source, kind| {
            links.extend(link_of(source, wire).map(|url| Link { url: url.to_owned(), kind }));
        });
    }
    links.sort();
    links.dedup_by(|one, other| one.url == other.url);
    links
}

/// Whether there are links at all that `wire` cannot take.
pub fn has_unfollowed(wire: Protocol) -> bool {
    link_of(&Source::Url("http://".to_owned()), wire).is_some()
}

/// The URL of a source that `wire` takes as bytes alone. Bedrock, Ollama and Cohere fetch nothing,
/// Google only `https`; the others take links as they are.
fn link_of(source: &Source, wire: Protocol) -> Option<&str> {
    let Source::Url(url) = source else { return None };
    let scheme = |name: &str| url.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let (http, https) = (scheme("http://"), scheme("https://"));
    let needed = match wire {
        Protocol::Bedrock | Protocol::Ollama | Protocol::Cohere => http || https,
        Protocol::Gemini => http,
        Protocol::OpenAiChat | Protocol::OpenAiResponses => false,
        Protocol::AnthropicMessages | Protocol::Millrace => false,
    };
    needed.then_some(url)
}

fn each_source(part: &mut Part, visit: &mut impl FnMut(&mut Source, Kind)) {
    match part {
        Part::Image { source, .. } => visit(source, Kind::Image),
        Part::File { source, .. } => visit(source, Kind::File),
        Part::ToolResult(result) => {
            for part in &mut result.parts {
                match part {
                    Part::Image { source, .. } => visit(source, Kind::Image),
                    Part::File { source, .. } => visit(source, Kind::File),
                    _ => {}
                }
            }
        }
        Part::Text { .. } | Part::Audio { .. } | Part::Refusal { .. } | Part::ToolCall(_) => {}
        Part::Reasoning { .. } | Part::SealedReasoning { .. } => {}
    }
}
