//! One thing to look for in what is sent to models, and what to do where it is found.

use super::builtin::Builtin;
use regex_lite::{Regex, RegexBuilder};
use std::ops::Range;

/// The longest pattern of an account's own, in bytes.
pub const PATTERN_BYTES: usize = 1000;
/// How much memory a pattern may take when it is ready, in bytes.
const PATTERN_MEMORY: usize = 64 * 1024;
const PATTERN_NESTING: u32 = 32;
/// What stands where a pattern without a label was found, and what is told of it.
const REDACTED: &str = "[REDACTED]";
const BLOCKED: &str = "[BLOCKED]";

/// What to do, from the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Only say so.
    Flag,
    /// Put a label in its place.
    Redact,
    /// Refuse the request.
    Block,
}

/// Whose text is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    User,
    All,
}

#[derive(Clone, Debug)]
pub struct Filter {
    what: What,
    pub action: Action,
    scope: Scope,
    label: Option<String>,
}

#[derive(Clone, Debug)]
enum What {
    Builtin(Builtin),
    Pattern(Regex),
}

/// That a filter found something. Never what it found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub action: Action,
    /// The filter in words: `Email address`, or the label that the account gave it.
    pub name: String,
    pub injection: bool,
}

impl Action {
    pub fn parse(text: &str) -> Option<Action> {
        [Action::Flag, Action::Redact, Action::Block].into_iter().find(|action| action.name() == text)
    }

    pub fn name(self) -> &'static str {
        match self {
            Action::Flag => "flag",
            Action::Redact => "redact",
            Action::Block => "block",
        }
    }
}

impl Filter {
    pub fn builtin(builtin: Builtin, action: Action, scope: Scope) -> Filter {
        // Only the search for injections can be held to the user's own text.
        let scope = if builtin == Builtin::Injection { scope } else { Scope::All };
        Filter { what: What::Builtin(builtin), action, scope, label: None }
    }

    pub fn custom(pattern: &str, action: Action, label: Option<String>) -> Result<Filter, String> {
        let label = label.filter(|label| !label.is_empty());
        compile(pattern).map(|regex| Filter { what: What::Pattern(regex), action, scope: Scope::All, label })
    }

    /// Where the filter finds something in a text, in order.
    pub fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        match &self.what {
            What::Builtin(builtin) => builtin.find(text, found),
            // What is empty cannot be replaced, and says nothing.
            What::Pattern(regex) => {
                found.extend(regex.find_iter(text).map(|one| one.range()).filter(|range| !range.is_empty()));
            }
        }
    }

    pub fn looks_at(&self, from_user: bool) -> bool {
        from_user || self.scope == Scope::All
    }

    /// What stands in place of what was found.
    pub fn label(&self) -> &str {
        match &self.what {
            What::Builtin(builtin) => builtin.label(),
            What::Pattern(_) => self.label.as_deref().unwrap_or(REDACTED),
        }
    }

    pub fn finding(&self) -> Finding {
        let name = match &self.what {
            What::Builtin(builtin) => builtin.name(),
            What::Pattern(_) => self.label.as_deref().unwrap_or(BLOCKED),
        };
        let injection = matches!(self.what, What::Builtin(Builtin::Injection));
        Finding { action: self.action, name: name.to_owned(), injection }
    }

    pub(super) fn is_for_same(&self, other: &Filter) -> bool {
        match (&self.what, &other.what) {
            (What::Builtin(one), What::Builtin(two)) => one == two && self.scope == other.scope,
            (What::Pattern(one), What::Pattern(two)) => one.as_str() == two.as_str(),
            (What::Builtin(_), What::Pattern(_)) | (What::Pattern(_), What::Builtin(_)) => false,
        }
    }

    /// The label only makes the order of equals certain.
    pub(super) fn rank(&self) -> (Action, Option<&str>) {
        (self.action, self.label.as_deref())
    }
}

/// Why a pattern cannot be used, if it cannot. The engine's time is linear in the text, so it knows
/// neither look-around nor back-references.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    match pattern.len() {
        0 => Err("the pattern is empty".to_owned()),
        length if length > PATTERN_BYTES => Err(format!("a pattern has at most {PATTERN_BYTES} bytes")),
        _ => compile(pattern).map(|_| ()),
    }
}

fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(PATTERN_MEMORY).nest_limit(PATTERN_NESTING);
    builder.build().map_err(|error| error.to_string())
}
