//! Who is asking: from the key in the request to its policy. KV answers first; a key that KV
//! does not know yet is asked of its account before it is refused.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use wasm_bindgen::{JsCast, JsValue};

use crate::account::command::{Answer, Command, Refusal};
use crate::account::key::{KeyKind, KeyRefusal, KeySnapshot, entry_name, parse_key};
use crate::config::Config;
use crate::error::{Cause, Failure};
use crate::exchange::{account_down, key_refusal};
use crate::id::{AccountId, KeyHash};
use crate::shell::accounts::AccountClient;
use crate::shell::bindings::{KvNamespace, binding};
use crate::shell::clock::{now, within};
use crate::shell::edge::Incoming;
use crate::shell::failpoint;
use crate::shell::wait::Wait;
use crate::time::Time;

/// How long an isolate believes what it read of a key. What money depends on is asked of the
/// account anyway.
const BELIEVED: Duration = Duration::from_secs(10);
/// Keys that an isolate remembers, at most.
const REMEMBERED: usize = 10_000;
/// How long KV may take; then the account is asked.
const KV_LIMIT: Duration = Duration::from_secs(2);

/// What was found of a key, and when.
type Known = (Time, Result<KeySnapshot, KeyRefusal>);

thread_local! {
    static KNOWN: RefCell<HashMap<KeyHash, Known>> = RefCell::default();
}

/// The secret that a request carries, as its client spells it.
fn presented(request: &Incoming) -> Result<&str, Failure> {
    let header = |name: &str| request.header(name).filter(|text| !text.trim().is_empty());
    if let Some(value) = header("authorization") {
        let (scheme, secret) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        if scheme.eq_ignore_ascii_case("bearer") && !secret.trim().is_empty() {
            return Ok(secret.trim());
        }
        return Err(Failure::new(
            Cause::Authentication,
            "The Authorization header must be: Bearer <API key>",
        ));
    }
    // Anthropic's and Google's clients.
    header("x-api-key")
        .or_else(|| header("x-goog-api-key"))
        .map(str::trim)
        .ok_or_else(|| Failure::new(Cause::Authentication, "Missing Authentication header"))
}

/// The policy of the key in `request`: one that is known and good, of either kind.
pub async fn authenticate(request: &Incoming, env: &JsValue) -> Result<KeySnapshot, Failure> {
    let key = presented(request)?;
    let account = parse_key(key).ok_or_else(|| key_refusal(KeyRefusal::Unknown))?;
    let hash = KeyHash::of(key);
    let known = match remembered(&hash) {
        Some(known) => known,
        None => {
            let found = match read_entry(env, &hash).await {
                Some(snapshot) => Ok(snapshot),
                None => ask_account(env, &account, &hash).await?,
            };
            remember(&hash, found.clone());
            found
        }
    };
    let snapshot = known.map_err(key_refusal)?;
    snapshot.check(now()).map_err(key_refusal)?;
    Ok(snapshot)
}

/// The policy of a management key, asked of its account each time: what it may do does not pass
/// by a lease, which would notice that it was switched off.
pub async fn authenticate_manager(request: &Incoming, env: &JsValue) -> Result<KeySnapshot, Failure> {
    authenticate_manager_by(presented(request)?, env).await
}

/// The same, for a key that stands elsewhere in the request.
pub async fn authenticate_manager_by(key: &str, env: &JsValue) -> Result<KeySnapshot, Failure> {
    let account = parse_key(key).ok_or_else(|| key_refusal(KeyRefusal::Unknown))?;
    let snapshot = ask_account(env, &account, &KeyHash::of(key)).await?.map_err(key_refusal)?;
    match snapshot.kind {
        KeyKind::Management => Ok(snapshot),
        KeyKind::Inference => {
            Err(Failure::new(Cause::PermissionDenied, "Only management keys can perform this operation"))
        }
    }
}

/// Like [`authenticate`], for what only inference keys may do.
pub async fn authenticate_inference(request: &Incoming, env: &JsValue) -> Result<KeySnapshot, Failure> {
    let snapshot = authenticate(request, env).await?;
    match snapshot.kind {
        KeyKind::Inference => Ok(snapshot),
        KeyKind::Management => Err(key_refusal(KeyRefusal::Management)),
    }
}

/// Whether `request` carries the root secret. Digests are compared, so the time that takes says
/// nothing of the secret.
pub fn authenticate_admin(request: &Incoming, config: &Config) -> Result<(), Failure> {
    let Some(admin) = &config.admin_key else {
        return Err(Failure::new(
            Cause::PermissionDenied,
            "MILLRACE_ADMIN_KEY is not set: there is no admin",
        ));
    };
    if KeyHash::of(presented(request)?) == *admin {
        Ok(())
    } else {
        Err(Failure::new(Cause::Authentication, "This needs the admin key"))
    }
}

/// What KV knows of a key. One that was switched off is as good as unknown: it may be on again.
async fn read_entry(env: &JsValue, hash: &KeyHash) -> Option<KeySnapshot> {
    failpoint::keys_read().ok()?;
    let keys: KvNamespace = binding(env, "KEYS")?.unchecked_into();
    let reading = Wait::from(keys.kv_get(&entry_name(hash), "text").ok()?);
    let entry = within(KV_LIMIT, reading).await?.ok()?;
    KeySnapshot::from_json(&entry.as_string()?)
        .filter(|snapshot| snapshot.hash == *hash && (snapshot.deleted || !snapshot.disabled))
}

async fn ask_account(
    env: &JsValue,
    account: &AccountId,
    hash: &KeyHash,
) -> Result<Result<KeySnapshot, KeyRefusal>, Failure> {
    let client = AccountClient::new(env, account);
    match client.call(&Command::Authenticate { hash: hash.clone() }).await {
        Ok(Answer::Authenticated { snapshot }) => Ok(Ok(snapshot)),
        Ok(Answer::Refused { refusal: Refusal::Key { reason } }) => Ok(Err(reason)),
        Ok(Answer::Missing) => Ok(Err(KeyRefusal::Unknown)),
        Ok(_) | Err(_) => Err(account_down()),
    }
}

/// Forgets what this isolate believed of a key that was changed.
pub fn forget(hash: &KeyHash) {
    KNOWN.with_borrow_mut(|known| known.remove(hash));
}

/// The same for all keys of an account.
pub fn forget_account(account: &AccountId) {
    KNOWN.with_borrow_mut(|known| {
        known.retain(|_, (_, found)| found.as_ref().is_ok_and(|snapshot| snapshot.account != *account));
    });
}

fn remembered(hash: &KeyHash) -> Option<Result<KeySnapshot, KeyRefusal>> {
    KNOWN.with_borrow(|known| {
        let (at, snapshot) = known.get(hash)?;
        (now().since(*at) < BELIEVED).then(|| snapshot.clone())
    })
}

fn remember(hash: &KeyHash, found: Result<KeySnapshot, KeyRefusal>) {
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(hash.clone(), (now(), found));
    });
}
