//! Sessions that stay with one endpoint, so that their prompts are found in its cache: what a
//! session is, and what an isolate remembers of it. Facts: OpenRouter's "Prompt Caching", provider
//! sticky routing.
//!
//! A session needs no storage to stay: its hash takes the place of the seed in the draw, so every
//! isolate draws the same endpoint for it as long as it sees the same ones fit. What is remembered
//! beside that is where the last reply really came from, for a session whose own endpoint was down
//! for a while: it stays where its cache is by then.

use super::order::hash;
use crate::chat::RequestSize;
use crate::time::Time;
use std::collections::HashMap;
use std::time::Duration;

/// Fewer bytes of prompt than this are cached by no provider (1024 tokens).
const LEAST_CACHED_BYTES: u64 = 4096;
/// How long a session is remembered after its last reply: as long as caches are kept at least.
const REMEMBERED: Duration = Duration::from_secs(600);
/// The same where a cache of an hour was written.
const REMEMBERED_LONG: Duration = Duration::from_secs(3600);
/// As many sessions as one isolate remembers.
const MOST: usize = 4096;

/// A conversation of one account with one model or router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Unrelated for any two sessions.
    pub hash: u64,
    /// The client named the session, so that it holds from the first request on.
    pub named: bool,
    /// Where its last reply came from, if that is still remembered.
    pub pin: Option<Pin>,
}

/// An endpoint that a session stays with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub model: String,
    pub tag: String,
}

/// What names a conversation, the first that is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Names<'a> {
    /// `session_id` of the body.
    pub body: Option<&'a str>,
    /// `x-session-id`
    pub header: Option<&'a str>,
    /// `prompt_cache_key`
    pub cache_key: Option<&'a str>,
    /// A hash of the first instructions and the first turn.
    pub opening: Option<u64>,
}

impl Session {
    /// The session of a request for `model`; `None` if nothing names its conversation.
    pub fn of(account: &str, model: &str, names: &Names<'_>) -> Option<Session> {
        let named = names.body.or(names.header).or(names.cache_key).filter(|name| !name.is_empty());
        let seed = match (named, names.opening) {
            (Some(name), _) => hash(1, name.as_bytes(), b""),
            (None, Some(opening)) => hash(2, &opening.to_le_bytes(), b""),
            (None, None) => return None,
        };
        let hash = hash(seed, account.as_bytes(), model.as_bytes());
        Some(Session { hash, named: named.is_some(), pin: None })
    }

    /// Whether a request of that size stays: one too short for any cache only if the client named
    /// its session.
    pub fn binds(&self, size: &RequestSize) -> bool {
        self.named || size.text_bytes >= LEAST_CACHED_BYTES
    }
}

/// What one isolate remembers of sessions: bounded, and nothing that was not used for a while.
#[derive(Debug, Default)]
pub struct Pins {
    known: HashMap<u64, Known>,
}

#[derive(Debug)]
struct Known {
    pin: Pin,
    used: Time,
    until: Time,
}

impl Pins {
    pub fn get(&self, session: u64, now: Time) -> Option<&Pin> {
        self.known.get(&session).filter(|known| now < known.until).map(|known| &known.pin)
    }

    /// Notes that a reply of the session came from there. `long` where a cache of an hour was written.
    pub fn note(&mut self, session: u64, pin: Pin, long: bool, now: Time) {
        if self.known.len() >= MOST && !self.known.contains_key(&session) {
            self.make_room(now);
        }
        let kept = if long { REMEMBERED_LONG } else { REMEMBERED };
        let until = now.plus(kept);
        let before = self.known.get(&session).filter(|known| known.pin == pin).map(|known| known.until);
        let until = before.map_or(until, |before| before.max(until));
        self.known.insert(session, Known { pin, used: now, until });
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Drops what is over, and beyond that the eighth that was used the longest ago, so that this
    /// is rarely needed.
    fn make_room(&mut self, now: Time) {
        self.known.retain(|_, known| now < known.until);
        if self.known.len() < MOST {
            return;
        }
        let mut used: Vec<Time> = self.known.values().map(|known| known.used).collect();
        let (_, bound, _) = used.select_nth_unstable(MOST / 8);
        let bound = *bound;
        let mut left = MOST / 8;
        self.known.retain(|_, known| {
            let goes = known.used <= bound && left > 0;
            left -= usize::from(goes);
            !goes
        });
    }
}
