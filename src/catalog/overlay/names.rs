//! Text and lists that live as long as the isolate, each kept once: rows of the catalog borrow
//! theirs for good, and those of an overlay come from a document.

use crate::catalog::{Modality, Protocol, Provider, Tier};
use std::collections::BTreeSet;

use litemap::LiteMap;

/// What was kept so far. To work the same document out again keeps nothing more.
#[derive(Debug, Default)]
pub struct Names {
    strings: BTreeSet<&'static str>,
    lists: BTreeSet<&'static [&'static str]>,
    tiers: Vec<&'static [Tier]>,
    modalities: Vec<&'static [Modality]>,
    protocols: Vec<&'static [Protocol]>,
    /// By all that they say: providers themselves are compared by slug.
    providers: LiteMap<String, &'static Provider>,
}

impl Names {
    pub(super) fn string(&mut self, text: &str) -> &'static str {
        if let Some(known) = self.strings.get(text) {
            return known;
        }
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        self.strings.insert(kept);
        kept
    }

    pub(super) fn list(&mut self, texts: &[String]) -> &'static [&'static str] {
        let list: Vec<&'static str> = texts.iter().map(|text| self.string(text)).collect();
        if let Some(known) = self.lists.get(list.as_slice()) {
            return known;
        }
        let kept: &'static [&'static str] = Box::leak(list.into_boxed_slice());
        self.lists.insert(kept);
        kept
    }

    pub(super) fn tiers(&mut self, tiers: Vec<Tier>) -> &'static [Tier] {
        keep(&mut self.tiers, tiers)
    }

    pub(super) fn modalities(&mut self, modalities: Vec<Modality>) -> &'static [Modality] {
        keep(&mut self.modalities, modalities)
    }

    pub(super) fn protocols(&mut self, protocols: Vec<Protocol>) -> &'static [Protocol] {
        keep(&mut self.protocols, protocols)
    }

    pub(super) fn provider(&mut self, provider: Provider) -> &'static Provider {
        let says = format!("{provider:?}");
        self.providers.entry(says).or_insert_with(|| Box::leak(Box::new(provider)))
    }

    /// How many strings, lists and rows are kept.
    pub fn len(&self) -> usize {
        let lists = self.lists.len() + self.tiers.len() + self.modalities.len() + self.protocols.len();
        self.strings.len() + lists + self.providers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn keep<T: PartialEq>(known: &mut Vec<&'static [T]>, list: Vec<T>) -> &'static [T] {
    if let Some(found) = known.iter().find(|found| **found == list.as_slice()) {
        return found;
    }
    let kept: &'static [T] = Box::leak(list.into_boxed_slice());
    known.push(kept);
    kept
}
