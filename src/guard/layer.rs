//! Lays one guardrail upon what applies already: lists of what is allowed intersect, all others unite,
//! and whatever is forbidden by one stays so. The order of the layers does not matter.

use super::filter::{Action, Filter, Scope};
use super::{Builtin, Rules};
use crate::catalog::pattern::Pattern;
use crate::json::{self, Members};
use crate::routing::{ProviderName, Zdr};

/// The groups of models for which zero data retention is demanded one by one.
pub const ZDR_GROUPS: [&str; 5] = ["anthropic", "openai", "google", "xai", "other"];

impl Rules {
    /// `None` for a layer that cannot be read.
    pub(super) fn add(&mut self, layer: &Members<'_>) -> Option<()> {
        let policy = &mut self.policy;
        policy.models.extend(names(layer, "allowed_models")?.map(|names| patterns(&names)));
        policy.ignored_models.extend(patterns(&names(layer, "ignored_models")?.unwrap_or_default()));
        policy.providers.extend(names(layer, "allowed_providers")?.map(|names| providers(&names)));
        policy.ignored_providers.extend(providers(&names(layer, "ignored_providers")?.unwrap_or_default()));
        policy.regions.extend(names(layer, "allowed_data_regions")?.and_then(|names| regions(&names)));
        for (group, demanded) in ZDR_GROUPS.into_iter().zip(policy.zdr.groups()) {
            *demanded |= is(layer, &format!("enforce_zdr_{group}"), "true");
        }
        let denied = |name| is(layer, name, "false");
        policy.training_denied.paid |= denied("enable_paid_model_training");
        policy.training_denied.free |=
            denied("enable_free_model_training") || denied("enable_free_model_publication");
        for entry in layer.array("content_filter_builtins").unwrap_or_default() {
            self.filter(read_builtin(&json::members(entry).ok()?)?);
        }
        for entry in layer.array("content_filters").unwrap_or_default() {
            self.filter(read_custom(&json::members(entry).ok()?)?);
        }
        Some(())
    }

    /// Of two filters for the same the stronger counts.
    fn filter(&mut self, new: Filter) {
        match self.filters.iter_mut().find(|old| old.is_for_same(&new)) {
            Some(old) if old.rank() < new.rank() => *old = new,
            Some(_) => {}
            None => self.filters.push(new),
        }
    }
}

impl Zdr {
    fn groups(&mut self) -> [&mut bool; 5] {
        [&mut self.anthropic, &mut self.openai, &mut self.google, &mut self.xai, &mut self.other]
    }
}

fn is(layer: &Members<'_>, name: &str, value: &str) -> bool {
    layer.get(name) == Some(value)
}

/// The outer `None` for what is no list of strings, the inner for no list.
fn names(layer: &Members<'_>, name: &str) -> Option<Option<Vec<String>>> {
    let Some(value) = layer.value(name) else { return Some(None) };
    serde_json::from_str(value).ok().map(Some)
}

fn patterns(names: &[String]) -> Vec<Pattern> {
    names.iter().map(|name| Pattern::new(name)).collect()
}

fn providers(names: &[String]) -> Vec<ProviderName> {
    names.iter().map(|name| ProviderName::new(name)).collect()
}

/// In the catalog's names. `global` is anywhere.
fn regions(names: &[String]) -> Option<Vec<String>> {
    let anywhere = names.iter().any(|name| name == "global");
    let short = |name: &String| if name == "europe" { "eu".to_owned() } else { name.clone() };
    (!anywhere).then(|| names.iter().map(short).collect())
}

fn read_builtin(entry: &Members<'_>) -> Option<Filter> {
    let builtin = Builtin::parse(&entry.string("slug")?)?;
    let scope = match entry.string("scan_scope").as_deref() {
        None | Some("all_messages") => Scope::All,
        Some("user_only") => Scope::User,
        Some(_) => return None,
    };
    Some(Filter::builtin(builtin, Action::parse(&entry.string("action")?)?, scope))
}

fn read_custom(entry: &Members<'_>) -> Option<Filter> {
    let label = entry.string("label").map(Into::into);
    Filter::custom(&entry.string("pattern")?, Action::parse(&entry.string("action")?)?, label).ok()
}
