//! What an operator lays over the catalog: models, offers and providers of their own, other prices,
//! hidden rows, other names. A document is read, checked as the build checks the crate's own
//! tables, and becomes a whole view of the catalog. The form: `docs/catalog.md`.

mod change;
mod check;
mod document;
mod names;
mod row;

pub use change::changes;
pub use document::{Document, merge};
pub use names::Names;

use super::{Model, Offer, Provider};
use litemap::LiteMap;
use row::Row;

/// The catalog as an operator wants it: every row that is left, changed or added. It lives as long
/// as the isolate, so one is made for each version of the document that is laid, never twice.
#[derive(Debug)]
pub struct Overlay {
    /// Counts the operator's changes, from 1.
    pub version: u64,
    /// By slug.
    pub(super) models: Vec<&'static Model>,
    /// By slug.
    pub(super) providers: Vec<&'static Provider>,
    /// By alias; the operator's own.
    pub(super) aliases: Vec<(&'static str, &'static str)>,
    /// The slugs of models that are not as the crate has them.
    touched: Vec<&'static str>,
}

/// A document that was worked out and not yet laid: what differs from the crate's tables. `None` is
/// hidden.
#[derive(Debug, Default)]
pub struct Draft {
    providers: LiteMap<&'static str, Option<&'static Provider>>,
    models: LiteMap<&'static str, Option<Row>>,
    aliases: LiteMap<&'static str, &'static str>,
}

/// Works a document out, and tells of every mistake in it. A row with a mistake is left out of the
/// draft, but what it hides stays hidden: so a document that was sound under an older catalog of
/// the crate still means as much as it can.
pub fn draft(document: &Document, names: &mut Names) -> (Draft, Vec<String>) {
    let mut draft = Draft::default();
    let mut mistakes = Vec::new();
    for (slug, patch) in &document.providers {
        let mut say = |what: String| mistakes.push(format!("provider {slug}: {what}"));
        if let Some(laid) = row::provider(slug, patch, names, &mut say) {
            draft.providers.insert(names.string(slug), laid);
        }
    }
    let mut slugs: Vec<&'static str> = document.models.keys().map(|slug| names.string(slug)).collect();
    slugs.extend(super::models().iter().filter(|model| draft.moves(model)).map(|model| model.slug));
    slugs.sort_unstable();
    slugs.dedup();
    for slug in slugs {
        let patch = document.models.get(slug).cloned().unwrap_or_default();
        let mut say = |what: String| mistakes.push(format!("model {slug}: {what}"));
        if let Some(laid) = row::model(slug, &patch, &draft, names, &mut say) {
            draft.models.insert(slug, laid);
        }
    }
    for (alias, target) in &document.aliases {
        match check::alias(alias, target, &draft) {
            Ok(()) => {
                draft.aliases.insert(names.string(alias), names.string(target));
            }
            Err(mistake) => mistakes.push(format!("alias {alias}: {mistake}")),
        }
    }
    (draft, mistakes)
}

impl Draft {
    /// Makes a view of it that lasts. It is never given back: lay each version once.
    pub fn lay(self, version: u64) -> &'static Overlay {
        let mut touched = Vec::new();
        let mut models: Vec<&'static Model> = super::models().to_vec();
        for (slug, row) in self.models {
            touched.push(slug);
            put(&mut models, slug, row.map(Row::leak), |model| model.slug);
        }
        let mut providers: Vec<&'static Provider> = super::providers().iter().collect();
        for (slug, provider) in self.providers {
            put(&mut providers, slug, provider, |provider| provider.slug);
        }
        let aliases = self.aliases.into_iter().collect();
        Box::leak(Box::new(Overlay { version, models, providers, aliases, touched }))
    }

    /// The provider as it will be.
    fn provider(&self, slug: &str) -> Option<&'static Provider> {
        match self.providers.get(slug) {
            Some(laid) => *laid,
            None => super::provider(slug),
        }
    }

    /// Whether a model is there when this is laid.
    fn has(&self, slug: &str) -> bool {
        match self.models.get(slug) {
            Some(laid) => laid.is_some(),
            None => super::find(slug).is_some(),
        }
    }

    /// Whether an offer of the crate's model is by a provider that is changed.
    fn moves(&self, model: &Model) -> bool {
        !self.providers.is_empty()
            && model.offers.iter().any(|offer: &Offer| self.providers.contains_key(offer.provider.slug))
    }
}

/// Puts a row in its place among those sorted by slug, or takes the one of that slug away.
fn put<T>(rows: &mut Vec<&'static T>, slug: &str, new: Option<&'static T>, slug_of: fn(&T) -> &str) {
    match (rows.binary_search_by(|row| slug_of(row).cmp(slug)), new) {
        (Ok(at), Some(row)) => rows[at] = row,
        (Ok(at), None) => {
            rows.remove(at);
        }
        (Err(at), Some(row)) => rows.insert(at, row),
        (Err(_), None) => {}
    }
}

impl Overlay {
    pub(super) fn find(&self, slug: &str) -> Option<&'static Model> {
        let row = self.models.binary_search_by(|model| model.slug.cmp(slug)).ok()?;
        Some(self.models[row])
    }

    pub(super) fn provider(&self, slug: &str) -> Option<&'static Provider> {
        let row = self.providers.binary_search_by(|provider| provider.slug.cmp(slug)).ok()?;
        Some(self.providers[row])
    }

    pub(super) fn alias(&self, name: &str) -> Option<&'static str> {
        let row = self.aliases.binary_search_by(|(alias, _)| (*alias).cmp(name)).ok()?;
        Some(self.aliases[row].1)
    }
}
