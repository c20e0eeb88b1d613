//! The catalog that requests see: the tables of the crate, under what an operator laid over them.

use super::{Model, Overlay, Provider};

/// Models, providers and aliases as they are at the moment. Cheap to copy: what it points to lives
/// as long as the isolate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catalog {
    pub(super) overlay: Option<&'static Overlay>,
}

/// What a slug may end in without naming another model.
const ROUTING_SUFFIXES: [&str; 4] = [":nitro", ":floor", ":exacto", ":online"];

/// What stands before the last suffix that only says how to choose among offers, if there is one.
fn without_routing_suffix(slug: &str) -> Option<&str> {
    ROUTING_SUFFIXES.iter().find_map(|suffix| slug.strip_suffix(suffix))
}

impl Catalog {
    /// What the crate brings along, with nothing laid over it.
    pub const BUILT_IN: Catalog = Catalog { overlay: None };

    pub fn with(overlay: &'static Overlay) -> Catalog {
        Catalog { overlay: Some(overlay) }
    }

    /// The version of what an operator laid over it; 0 for nothing.
    pub fn version(self) -> u64 {
        self.overlay.map_or(0, |overlay| overlay.version)
    }

    /// The model of that exact slug.
    pub fn find(self, slug: &str) -> Option<&'static Model> {
        match self.overlay {
            Some(overlay) => overlay.find(slug),
            None => super::find(slug),
        }
    }

    /// Every model, by slug.
    pub fn models(self) -> impl Iterator<Item = &'static Model> {
        let models = match self.overlay {
            Some(overlay) => overlay.models.as_slice(),
            None => super::models(),
        };
        models.iter().copied()
    }

    /// Every provider, by slug.
    pub fn providers(self) -> impl Iterator<Item = &'static Provider> {
        let (built_in, laid) = match self.overlay {
            Some(overlay) => (&[][..], overlay.providers.as_slice()),
            None => (super::providers(), &[][..]),
        };
        built_in.iter().chain(laid.iter().copied())
    }

    /// The provider of that exact slug.
    pub fn provider(self, slug: &str) -> Option<&'static Provider> {
        match self.overlay {
            Some(overlay) => overlay.provider(slug),
            None => super::provider(slug),
        }
    }

    /// Reads `<local provider>/<any name>`: the server and its own name for the model, which may
    /// itself hold slashes and colons.
    pub fn local(self, slug: &str) -> Option<(&'static Provider, &str)> {
        let (author, name) = slug.split_once('/')?;
        let provider = self.provider(author).filter(|provider| provider.local)?;
        (!name.is_empty()).then_some((provider, name))
    }

    /// The slug that another name stands for. The operator's names come before the crate's.
    pub fn alias(self, name: &str) -> Option<&'static str> {
        self.overlay.and_then(|overlay| overlay.alias(name)).or_else(|| super::alias(name))
    }

    /// The names that are listed beside the models they stand for: the operator's, and
    /// `~author/family-latest`.
    pub fn listed_aliases(self) -> impl Iterator<Item = (&'static str, &'static Model)> {
        let own = self.overlay.map_or(&[][..], |overlay| overlay.aliases.as_slice());
        let latest = super::aliases().iter().filter(|(alias, _)| alias.starts_with('~'));
        let latest = latest.filter(move |(alias, _)| own.iter().all(|(other, _)| other != alias));
        own.iter().chain(latest).filter_map(move |(alias, slug)| Some((*alias, self.named(slug)?)))
    }

    /// The model that a name stands for: a slug or an alias, with or without suffixes that only
    /// say how to choose among its offers.
    pub fn named(self, name: &str) -> Option<&'static Model> {
        let mut rest = name;
        loop {
            if let Some(model) = self.find(rest).or_else(|| self.find(self.alias(rest)?)) {
                return Some(model);
            }
            rest = without_routing_suffix(rest)?;
        }
    }
}
