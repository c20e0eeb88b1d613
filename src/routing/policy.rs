//! What the holder of a key may ask for, whatever a request says: set for an account, a key or a
//! workspace. A request can only narrow it.

use super::preference::{ProviderName, Sort};
use crate::catalog::pattern::Pattern;

/// The default allows everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Each of these lists must name whoever is tried. None: anybody.
    pub providers: Vec<Vec<ProviderName>>,
    pub ignored_providers: Vec<ProviderName>,
    /// Each of these lists must have the model that is asked for. None: any.
    pub models: Vec<Vec<Pattern>>,
    pub ignored_models: Vec<Pattern>,
    /// Only endpoints known to retain nothing.
    pub zdr: Zdr,
    /// Only endpoints known not to train on what they see.
    pub training_denied: TrainingDenied,
    /// Only endpoints known to compute in one of each of these. None: anywhere.
    pub regions: Vec<Vec<String>>,
    /// The order where the request names none.
    pub sort: Option<Sort>,
}

/// Whose models' endpoints must retain nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zdr {
    pub anthropic: bool,
    pub openai: bool,
    pub google: bool,
    pub xai: bool,
    /// Everybody else's.
    pub other: bool,
}

/// Which endpoints may not train on what they see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrainingDenied {
    /// Those of models that cost nothing.
    pub free: bool,
    pub paid: bool,
}

impl Policy {
    pub(super) fn allows_provider(&self, is_named: impl Fn(&[ProviderName]) -> bool) -> bool {
        self.providers.iter().all(|names| is_named(names)) && !is_named(&self.ignored_providers)
    }

    /// Whether a model may be asked for that goes by these names.
    pub(super) fn allows_model(&self, names: &[&str]) -> bool {
        let has = |list: &[Pattern]| list.iter().any(|one| names.iter().any(|name| one.matches(name)));
        self.models.iter().all(|list| has(list)) && !has(&self.ignored_models)
    }
}

impl Zdr {
    pub const ALL: Zdr = Zdr { anthropic: true, openai: true, google: true, xai: true, other: true };

    /// Whether the endpoints of the model of that slug must retain nothing.
    pub(super) fn covers(self, slug: &str) -> bool {
        match slug.split('/').next().unwrap_or_default() {
            "anthropic" => self.anthropic,
            "openai" => self.openai,
            "google" => self.google,
            "x-ai" => self.xai,
            _ => self.other,
        }
    }
}

impl TrainingDenied {
    pub(super) fn covers(self, is_free: bool) -> bool {
        if is_free { self.free } else { self.paid }
    }
}
