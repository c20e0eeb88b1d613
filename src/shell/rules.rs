//! The rules of keys, read from their snapshots once for each version that this isolate sees. A key
//! that has none costs nothing.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::json;

use crate::account::key::KeySnapshot;
use crate::error::{Cause, Failure};
use crate::guard::{Finding, Rules, screen};
use crate::id::KeyHash;
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

/// The request as it may be sent. What was found in it is told to the log, not what it was.
pub fn screened(key: &KeySnapshot, rules: &Rules, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if rules.filters.is_empty() {
        return Ok(body);
    }
    let screened = screen(body, &rules.filters)?;
    if !screened.found.is_empty() {
        tell(key, &screened.found);
    }
    Ok(screened.body)
}

fn tell(key: &KeySnapshot, found: &BTreeSet<Finding>) {
    let found: Vec<String> = found.iter().map(|one| format!("{}: {}", one.action.name(), one.name)).collect();
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
