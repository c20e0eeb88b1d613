//! What budgets and limits of rate are about: whose requests, for whom they are counted, which models.

use super::{Per, Scope, TEXT_BYTES, Tags};
use crate::account::keyring;
use crate::account::store::{Fault, Store};
use crate::id::KeyHash;

/// Whose requests, which of them, and who has a count of its own.
pub(in crate::account) struct Aim<'a> {
    pub scope: Scope,
    /// A key's hash, a member's or a workspace's id; empty for the account.
    pub subject: &'a str,
    pub per: Per,
    /// A slug, in which stars stand for anything; `None` for all models.
    pub model: Option<&'a str>,
}

/// How narrow a level is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::account) enum Breadth {
    Tagged,
    Key,
    User,
    Workspace,
    Account,
}

impl Aim<'_> {
    /// What makes it senseless in any account, if anything does.
    pub fn flaw(&self, id: &str) -> Option<&'static str> {
        let long = |text: &str| text.len() > TEXT_BYTES;
        let flaws = [
            (
                id.is_empty() || long(id) || long(self.subject) || self.model.is_some_and(long),
                "a text of 1 to 256 bytes is expected",
            ),
            (self.scope == Scope::Account && !self.subject.is_empty(), "an account has no subject"),
            (
                matches!(self.scope, Scope::Key | Scope::User) && self.subject.is_empty(),
                "a subject is missing",
            ),
        ];
        flaws.into_iter().find(|(is, _)| *is).map(|(_, words)| words)
    }

    /// Whether it tells models or end users apart. A lease of an isolate serves any, so what counts
    /// here is set aside request by request.
    pub fn is_tagged(&self) -> bool {
        self.model.is_some() || self.per == Per::EndUser
    }

    pub fn breadth(&self) -> Breadth {
        match (self.is_tagged(), self.scope, self.per) {
            (true, ..) => Breadth::Tagged,
            (false, Scope::Key, _) | (false, _, Per::Key) => Breadth::Key,
            (false, Scope::User, _) | (false, _, Per::User) => Breadth::User,
            (false, Scope::Workspace, Per::All | Per::EndUser) => Breadth::Workspace,
            (false, Scope::Account, Per::All | Per::EndUser) => Breadth::Account,
        }
    }

    /// For whom what has these tags is counted, if it is.
    pub fn whose(&self, tags: &Tags) -> Option<String> {
        let about = match self.scope {
            Scope::Account => true,
            Scope::Workspace => tags.owner.workspace == self.subject,
            Scope::User => tags.owner.user.as_deref() == Some(self.subject),
            Scope::Key => tags.line().as_str() == self.subject,
        };
        let who = match self.per {
            Per::All => Some(String::new()),
            Per::Key => Some(tags.line().to_string()),
            Per::User => tags.owner.user.clone(),
            Per::EndUser => Some(tags.end_user.clone().unwrap_or_default()),
        };
        who.filter(|_| about && tags.may_go_to(self.model))
    }

    /// The subject: of a key that was rotated, all that it was and will be.
    pub fn subject_in_line(&self, store: &Store) -> Result<String, Fault> {
        let key = KeyHash::parse(self.subject).filter(|_| self.scope == Scope::Key);
        let owner = key.map(|key| keyring::owner(store, &key)).transpose()?;
        let line = owner.and_then(|owner| owner.line).map(|line| line.to_string());
        Ok(line.unwrap_or_else(|| self.subject.to_owned()))
    }
}
