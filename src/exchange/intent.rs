//! Where a request wants to go: everything it says for routing, read and ready to be planned by.

use crate::account::key::KeySnapshot;
use crate::catalog::Catalog;
use crate::chat::{ChatRequest, Conversation};
use crate::config::{Hedge, Hedging};
use crate::error::Failure;
use crate::health::Health;
use crate::json::Outlined;
use crate::protocol::bridge::Face;
use crate::routing::sticky::{Names, Session};
use crate::routing::{About, AutoRules, Policy, Preference, Query, names_router};
use crate::time::Time;

/// What a request says of the endpoints that it may be sent to.
#[derive(Clone, Debug)]
pub struct Intent {
    models: Vec<String>,
    preference: Preference,
    policy: Policy,
    auto: AutoRules,
    /// Its pin is for the shell to fill in.
    pub session: Option<Session>,
    /// Where it has to be computed, by the host that it was sent to.
    pub region: Option<&'static str>,
    conversation: Option<Conversation>,
}

/// What an exchange keeps of its plan.
#[derive(Clone, Debug, Default)]
pub struct Routed {
    pub about: About,
    pub session: Option<Session>,
    /// Where it had to be computed.
    pub region: Option<&'static str>,
    /// When a second attempt may be made.
    pub hedge: Option<Hedge>,
}

impl Intent {
    /// Reads a request. `session` is the header `x-session-id`. Fails for a `provider` or
    /// `plugins` that are not understood.
    pub fn read(
        face: Face,
        body: &Outlined,
        request: &ChatRequest,
        key: &KeySnapshot,
        session: Option<&str>,
    ) -> Result<Intent, Failure> {
        let models = request.candidates();
        let asks = &request.asks;
        let names = Names {
            body: request.session_id.as_deref(),
            header: session,
            cache_key: asks.prompt_cache_key.as_deref(),
            opening: asks.opening,
        };
        let conversation = match names_router(&models) {
            // What cannot be read as a conversation has no task; it fails later, where it matters.
            true => face.read_conversation(body).ok(),
            false => None,
        };
        Ok(Intent {
            preference: Preference::read(request.provider.as_deref())?,
            policy: Policy::default(),
            auto: AutoRules::read(asks.plugins.as_deref())?,
            session: models.first().and_then(|model| Session::of(key.account.as_str(), model, &names)),
            region: None,
            conversation,
            models,
        })
    }

    /// The same, within what the key's rules allow.
    pub fn within(mut self, policy: &Policy) -> Intent {
        let kept_in = std::mem::take(&mut self.policy.regions);
        self.policy = policy.clone();
        self.policy.regions.extend(kept_in);
        self
    }

    /// Lets only those serve that compute in `region`, whatever else is allowed.
    pub fn keep_in(&mut self, region: Option<&'static str>) {
        self.region = region;
        self.policy.regions.extend(region.map(|region| vec![region.to_owned()]));
    }

    /// The second attempt that the request may have. Fails where it asks for one that is not allowed.
    pub fn hedge(&self, hedging: &Hedging) -> Result<Option<Hedge>, Failure> {
        hedging.wanted(self.preference.hedge)
    }

    pub fn query<'a>(
        &'a self,
        request: &'a ChatRequest,
        catalog: Catalog,
        health: &'a dyn Health,
        now: Time,
    ) -> Query<'a> {
        Query {
            catalog,
            health,
            now,
            models: &self.models,
            preference: &self.preference,
            policy: &self.policy,
            needs: &request.needs,
            size: &request.size,
            service_tier: request.asks.service_tier.as_deref(),
            session: self.session.as_ref(),
            auto: &self.auto,
            conversation: self.conversation.as_ref(),
        }
    }
}
