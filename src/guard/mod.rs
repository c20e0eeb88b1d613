//! What the rules of an account, a workspace and its guardrails come to for one key: which endpoints
//! may serve it, what stands in for what a request leaves out, and which text may not reach a provider.
//! Facts: OpenRouter's workspaces and guardrails.

mod builtin;
mod digits;
mod filter;
mod injection;
mod layer;
mod screen;
mod walk;

pub use builtin::Builtin;
pub use filter::{Action, Filter, Finding, PATTERN_BYTES, Scope, check_pattern};
pub use layer::ZDR_GROUPS;
pub use screen::{Screened, screen};

use crate::json;
use crate::routing::{Policy, Sort};

/// Everything that applies to one key, ready to be used.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub policy: Policy,
    /// Asked for where a request names no model.
    pub model: Option<String>,
    pub filters: Vec<Filter>,
}

impl Rules {
    /// Reads what a key's snapshot has of them: `{"model", "sort", "layers": [guardrail, …]}`, where a
    /// layer has the members of a guardrail. `None` for what cannot be read: nothing may then be sent.
    pub fn read(text: &str) -> Option<Rules> {
        let members = json::members(text).ok()?;
        let mut rules = Rules { model: members.string("model").map(Into::into), ..Rules::default() };
        rules.policy.sort = match members.string("sort") {
            None => None,
            Some(name) => Some(Sort::named(&name)?),
        };
        for layer in members.array("layers").unwrap_or_default() {
            rules.add(&json::members(layer).ok()?)?;
        }
        Some(rules)
    }
}
