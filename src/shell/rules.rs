//! The rules of keys, read from their snapshots once for each version that this isolate sees. A key
//! that has none costs nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::json;

use crate::account::key::KeySnapshot;
use crate::error::{Cause, Failure};
use crate::guard::{Finding, Rules, screen};
use crate::id::KeyHash;
use crate::json::Outlined;
use crate::shell::bindings::console_log;

/// Keys whose rules an isolate remembers, at most.
const REMEMBERED: usize = 1_000;

/// Which version of a key, and its rules.
type Known = (u64, Rc<Rules>);

thread_local! {
    static KNOWN: RefCell<HashMap<KeyHash, Known>> = RefCell::default();
    static NONE: Rc<Rules> = Rc::default();
}

/// What applies to a key. Fails where that cannot be read: nothing may be sent then.
pub fn of(key: &KeySnapshot) -> Result<Rc<Rules>, Failure> {
    let Some(text) = key.policy.as_deref() else { return Ok(NONE.with(Rc::clone)) };
    let known = KNOWN.with_borrow(|known| {
        known.get(&key.hash).filter(|(version, _)| *version == key.version).map(|(_, rules)| rules.clone())
    });
    if let Some(rules) = known {
        return Ok(rules);
    }
    let rules = Rc::new(Rules::read(text).ok_or_else(unreadable)?);
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key.hash.clone(), (key.version, rules.clone()));
    });
    Ok(rules)
}

/// The request as it may be sent, and what was found in it, never its text. The log is told the same.
pub fn screened(
    key: &KeySnapshot,
    rules: &Rules,
    body: Outlined,
) -> Result<(Outlined, Vec<String>), Failure> {
    if rules.filters.is_empty() {
        return Ok((body, Vec::new()));
    }
    let screened = screen(body.into_bytes(), &rules.filters)?;
    let words = |one: &Finding| format!("{}: {}", one.action.name(), one.name);
    let found: Vec<String> = screened.found.iter().map(words).collect();
    if !found.is_empty() {
        tell(key, &found);
    }
    Ok((Outlined::new(screened.body), found))
}

fn tell(key: &KeySnapshot, found: &[String]) {
    let line = json!({
        "event": "guardrail",
        "account": key.account.as_str(),
        "key_hash": &key.hash.as_str()[..12],
        "found": found,
    });
    console_log(&line.to_string());
}

fn unreadable() -> Failure {
    Failure::new(Cause::Internal, "The rules of this key cannot be read")
}
