//! What budgets see of money: whose it is, and what it may go to. Leases keep it beside their amount.

use crate::account::keyring::Owner;
use crate::account::store::{Cell, Column, Fault, Row};
use crate::catalog::pattern;
use crate::id::KeyHash;

/// What budgets see of money that is spent or held.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::account) struct Tags {
    pub key: KeyHash,
    pub owner: Owner,
    pub end_user: Option<String>,
    /// The models that the money may go to. Empty: any.
    pub models: Vec<String>,
}

impl Tags {
    /// Reads what follows the key in the columns of a lease.
    pub(in crate::account) fn read(key: KeyHash, row: &mut Row) -> Result<Tags, Fault> {
        let owner = Owner { workspace: row.next()?, user: row.next()?, line: row.next()? };
        let (end_user, models): (Option<String>, String) = (row.next()?, row.next()?);
        let models = models.split_whitespace().map(str::to_owned).collect();
        Ok(Tags { key, owner, end_user, models })
    }

    /// What [`Tags::read`] reads.
    pub(in crate::account) fn written(&self) -> [Cell; 5] {
        let Owner { workspace, user, line } = &self.owner;
        let models = self.models.join(" ");
        [workspace.cell(), user.cell(), line.cell(), self.end_user.cell(), models.cell()]
    }

    /// The key that it counts for: the first of those that came one after the other.
    pub(super) fn line(&self) -> &KeyHash {
        self.owner.line.as_ref().unwrap_or(&self.key)
    }

    /// Whether the money may go to a model of a pattern.
    pub(super) fn may_go_to(&self, model: Option<&str>) -> bool {
        Tags::may_go(&self.models, model)
    }

    /// Whether what may go to `models`, or to any, may go to a model of a pattern.
    pub(in crate::account) fn may_go(models: &[String], model: Option<&str>) -> bool {
        let Some(model) = model else { return true };
        let plain = |slug: &str| slug.split(':').next().map(str::to_owned).unwrap_or_default();
        let matches = |slug: &String| pattern::matches(model, slug) || pattern::matches(model, &plain(slug));
        models.is_empty() || models.iter().any(matches)
    }

    /// The arguments of [`ABOUT`], and the end user.
    pub(in crate::account) fn cells(&self) -> [Cell; 4] {
        let end_user = self.end_user.clone().unwrap_or_default();
        [self.line().cell(), self.owner.workspace.cell(), self.owner.user.cell(), end_user.cell()]
    }
}
