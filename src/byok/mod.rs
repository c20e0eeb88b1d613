//! An account's own keys at providers, opened: what each is good for and how it is sent. Knows
//! nothing of how they are kept ([`crate::account::byok`]) or opened, which is the shell's to do.

mod credential;
pub mod request;
pub mod view;

pub use credential::{Access, Credential};

use crate::account::KeySnapshot;
use crate::account::byok::{Mirror, MirrorKey, Policy};
use crate::catalog::{Catalog, Provider};
use crate::config::Config;
use crate::id::AccountId;
use crate::routing::Candidate;

/// The keys that a request may use.
#[derive(Clone, Debug, Default)]
pub struct Own {
    keys: Vec<OwnKey>,
}

/// One of an account's own keys.
#[derive(Clone, Debug)]
pub struct OwnKey {
    pub id: String,
    pub provider: String,
    pub policy: Policy,
    /// `None` where it cannot be opened: its rules hold all the same.
    credential: Option<Credential>,
    /// Its provider refused it a moment ago: it is tried when nothing else is left.
    pub spurned: bool,
}

/// What a sealed text is bound to, so that none can be put in the place of another.
pub fn bound_to(account: &AccountId, provider: &str, id: &str) -> String {
    format!("millrace:byok:1:{account}:{provider}:{id}")
}

impl Own {
    /// `opened` has a text for each key of the mirror that could be opened.
    pub fn new(mirror: Mirror, opened: Vec<Option<String>>, catalog: Catalog) -> Own {
        let own = |(key, text): (MirrorKey, Option<String>)| {
            let provider = catalog.provider(&key.provider);
            let credential =
                provider.zip(text).and_then(|(provider, text)| Credential::read(provider, &text).ok());
            let MirrorKey { id, provider, policy, .. } = key;
            OwnKey { id, provider, policy, credential, spurned: false }
        };
        Own { keys: mirror.keys.into_iter().zip(opened).map(own).collect() }
    }

    /// Those that requests with this key may use: in its workspace, by itself and by the member who made it.
    pub fn allowed(&self, key: &KeySnapshot, spurned: impl Fn(&str) -> bool) -> Own {
        let workspace = key.workspace.as_deref().unwrap_or(key.account.as_str());
        let listed = |list: &Option<Vec<String>>, one: Option<&str>| match list {
            None => true,
            Some(list) => one.is_some_and(|one| list.iter().any(|each| each == one)),
        };
        let allowed = |own: &&OwnKey| {
            own.policy.workspace_id.as_deref().is_none_or(|one| one == workspace)
                && listed(&own.policy.allowed_api_key_hashes, Some(key.hash.as_str()))
                && listed(&own.policy.allowed_user_ids, key.member.as_deref())
        };
        let told = |own: &OwnKey| OwnKey { spurned: spurned(&own.id), ..own.clone() };
        Own { keys: self.keys.iter().filter(allowed).map(told).collect() }
    }

    /// The providers that they open, as one text.
    pub fn providers(&self) -> String {
        let usable = self.keys.iter().filter(|own| own.credential.is_some());
        usable.map(|own| own.provider.as_str()).collect::<Vec<_>>().join(",")
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether there is a key for it, so that it can be asked though the operator has none.
    pub fn opens(&self, provider: &Provider) -> bool {
        self.keys.iter().any(|own| own.provider == provider.slug && own.credential.is_some())
    }

    /// The keys for a candidate, in their order: those before the gateway's own, or those after.
    pub fn routes<'a>(
        &'a self,
        candidate: &'a Candidate,
        config: &'a Config,
        fallback: bool,
    ) -> impl Iterator<Item = (&'a OwnKey, Access)> {
        let fits =
            move |own: &&OwnKey| own.policy.is_fallback == fallback && own.is_for(candidate, config.catalog);
        self.keys.iter().filter(fits).filter_map(move |own| {
            let access = own.credential.as_ref()?.access(candidate, config)?;
            Some((own, access))
        })
    }

    /// Whether the gateway's own keys are not to be tried for the candidate.
    pub fn excludes_shared(&self, candidate: &Candidate, catalog: Catalog) -> bool {
        self.keys
            .iter()
            .filter(|own| own.provider == candidate.provider.slug)
            .any(|own| own.policy.is_byok_only || own.policy.is_required && own.is_for(candidate, catalog))
    }
}

impl OwnKey {
    fn is_for(&self, candidate: &Candidate, catalog: Catalog) -> bool {
        let named = |slug: &String| {
            *slug == *candidate.model
                || catalog.named(slug).is_some_and(|model| model.slug == candidate.model)
        };
        self.provider == candidate.provider.slug
            && self.policy.allowed_models.as_ref().is_none_or(|slugs| slugs.iter().any(named))
    }
}
