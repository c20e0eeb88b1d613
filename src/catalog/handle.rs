//! The catalog that requests see: the tables of the crate, under what an operator laid over them.

use super::{Model, Provider};

/// Models, providers and aliases as they are at the moment. Cheap to copy: what it points to lives
/// as long as the isolate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catalog {}

impl Catalog {
    /// What the crate brings along, with nothing laid over it.
    pub const BUILT_IN: Catalog = Catalog {};

    /// The model of that exact slug.
    pub fn find(self, slug: &str) -> Option<&'static Model> {
        super::find(slug)
    }

    /// The slug of the model that another name stands for.
    pub fn alias(self, slug: &str) -> Option<&'static str> {
        super::alias(slug)
    }

    /// Every model, by slug.
    pub fn models(self) -> impl Iterator<Item = &'static Model> {
        super::models().iter()
    }

    /// Every provider, by slug.
    pub fn providers(self) -> impl Iterator<Item = &'static Provider> {
        super::providers().iter()
    }

    /// The provider of that exact slug.
    pub fn provider(self, slug: &str) -> Option<&'static Provider> {
        super::provider(slug)
    }

    /// Reads `<local provider>/<any name>`: the server and its own name for the model, which may
    /// itself hold slashes and colons.
    pub fn local(self, slug: &str) -> Option<(&'static Provider, &str)> {
        super::local(slug)
    }
}
