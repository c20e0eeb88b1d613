//! Looks through what a request says to a model: refuses it, or takes out what may not leave.

use super::filter::{Action, Filter, Finding};
use super::walk::Walk;
use crate::error::{Cause, Failure};
use crate::json;

/// A request that may be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Screened {
    /// As it came, but for what was taken out.
    pub body: Vec<u8>,
    /// In order, each once.
    pub found: Vec<Finding>,
}

/// The members of a request, in any protocol, that hold what is said to a model, and whether that is
/// the user's where it names no role.
const ROOTS: [(&str, bool); 12] = [
    ("messages", true),
    ("contents", true),
    ("input", true),
    ("prompt", true),
    ("suffix", true),
    ("query", true),
    ("documents", true),
    ("prediction", true),
    ("system", false),
    ("instructions", false),
    ("systemInstruction", false),
    ("system_instruction", false),
];

/// Looks for everything that `filters` name. What is no JSON object comes back as it is: its protocol's
/// reader refuses it. Fails with 403 where something is found that is to be blocked.
pub fn screen(body: Vec<u8>, filters: &[Filter]) -> Result<Screened, Failure> {
    let text = std::str::from_utf8(&body).ok().filter(|_| !filters.is_empty());
    let Some(members) = text.and_then(|text| json::members(text).ok()) else {
        return Ok(Screened { body, found: Vec::new() });
    };
    let mut walk = Walk::new(text.unwrap_or_default(), filters);
    for member in members.iter() {
        if let Some((_, from_user)) = ROOTS.iter().find(|(name, _)| *name == member.key) {
            walk.value(member.value, *from_user, 0);
        }
    }
    if let Some(failure) = blocked(&walk.found) {
        return Err(failure);
    }
    let changed = walk.changed();
    let found = walk.found;
    Ok(Screened { body: changed.map_or(body, String::into_bytes), found })
}

fn blocked(found: &[Finding]) -> Option<Failure> {
    let names: Vec<&str> =
        found.iter().filter(|one| one.action == Action::Block).map(|one| one.name.as_str()).collect();
    if names.is_empty() {
        return None;
    }
    let injection = found.iter().any(|one| one.action == Action::Block && one.injection);
    let words = match injection {
        true => "Request blocked: prompt injection patterns detected".to_owned(),
        false => format!("Request blocked by content filter: {}", names.join(", ")),
    };
    Some(Failure::new(Cause::PermissionDenied, words).with("patterns", names))
}
