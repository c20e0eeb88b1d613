//! What is known of one provider: its endpoints and our keys there. The sum of what edges saw; a
//! part of it, seen since some moment, is news and is added to what others know.

use litemap::LiteMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::breaker::Breaker;
use super::{Blame, EndpointHealth, Event, News};
use crate::time::Time;

/// Endpoints that are remembered of a provider. The catalog has fewer; on a local server clients
/// may ask for any name.
const MAX_ENDPOINTS: usize = 512;
const MAX_KEYS: usize = 64;
/// How long a key is passed over that was refused, at first and at most.
const REFUSED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// How far ahead another edge's clock may be.
const FUTURE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// By [`super::news::endpoint_name`].
    #[serde(serialize_with = "super::write_map")]
    pub endpoints: LiteMap<String, EndpointHealth>,
    /// By digest: keys that were refused, at whichever endpoint.
    #[serde(serialize_with = "super::write_map")]
    pub keys: LiteMap<String, Breaker>,
}

impl Knowledge {
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.keys.is_empty()
    }

    /// Takes in what happened at `now`, and decides what follows from it.
    pub fn take(&mut self, now: Time, news: &News) {
        self.endpoint_mut(news.subject.endpoint()).take(now, news);
        if let Some(key) = &news.subject.key {
            match news.event {
                Event::Began { .. } => {
                    if let Some(known) = self.keys.get_mut(key) {
                        known.mend(now, news.sent);
                    }
                }
                Event::Failed(Blame::Key) => self.key_mut(key).trip(now, REFUSED.0, REFUSED.1),
                Event::Failed(_)
                | Event::Complete { .. }
                | Event::Exhausted { .. }
                | Event::Outrun { .. } => {}
            }
        }
        self.forget();
    }

    /// Adds what happened at `now`, with what `known` has decided: news that is to be told on.
    pub fn tally(&mut self, now: Time, news: &News, known: &Knowledge) {
        let name = news.subject.endpoint();
        let known_endpoint = known.endpoints.get(&name);
        let endpoint = self.endpoint_mut(name);
        endpoint.tally(now, news);
        if let Some(known) = known_endpoint {
            endpoint.breaker.merge(&known.breaker);
        }
        if let Some(key) = &news.subject.key
            && let Some(known) = known.keys.get(key)
        {
            self.key_mut(key).merge(known);
        }
        self.forget();
    }

    pub fn merge(&mut self, other: &Knowledge) {
        for (name, endpoint) in &other.endpoints {
            self.endpoint_mut(name.clone()).merge(endpoint);
        }
        for (key, breaker) in &other.keys {
            self.key_mut(key).merge(breaker);
        }
        self.forget();
    }

    /// Takes out what a wrong clock says of the future.
    pub fn drop_future(&mut self, now: Time) {
        self.endpoints.iter_mut().for_each(|(_, endpoint)| endpoint.drop_future(now, now.plus(FUTURE)));
        self.keys.iter_mut().for_each(|(_, key)| key.clamp(now.plus(FUTURE), REFUSED.1));
    }

    /// Keeps what was heard of last, as far as there is room.
    fn forget(&mut self) {
        while self.endpoints.len() > MAX_ENDPOINTS {
            let oldest = self.endpoints.iter().min_by_key(|(_, endpoint)| endpoint.heard);
            let Some(name) = oldest.map(|(name, _)| name.clone()) else { return };
            self.endpoints.remove(&name);
        }
        while self.keys.len() > MAX_KEYS {
            let oldest = self.keys.iter().min_by_key(|(_, key)| key.until).map(|(name, _)| name.clone());
            let Some(name) = oldest else { return };
            self.keys.remove(&name);
        }
    }

    fn endpoint_mut(&mut self, name: String) -> &mut EndpointHealth {
        self.endpoints.entry(name).or_default()
    }

    fn key_mut(&mut self, key: &str) -> &mut Breaker {
        self.keys.entry(key.to_owned()).or_default()
    }
}
