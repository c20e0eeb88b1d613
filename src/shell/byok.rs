//! The accounts' own keys at providers: sealed and opened by WebCrypto, kept by the account's object,
//! copied to KV, remembered opened by the isolate for a while. An account without any costs nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use js_sys::Uint8Array;
use serde_json::json;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;

use crate::account::byok::{ByokAnswer, ByokCommand, ByokRow, Mirror, MirrorKey, entry_name};
use crate::account::{Answer, Command, KeySnapshot};
use crate::byok::request::{Change, NewKey, page};
use crate::byok::{Credential, Own, bound_to, view};
use crate::config::{Config, SealSecret};
use crate::endpoint::Byok;
use crate::error::{Cause, Failure};
use crate::exchange::account_down;
use crate::id::{AccountId, hex, uuid};
use crate::shell::accounts::AccountClient;
use crate::shell::auth::forget_account;
use crate::shell::bindings::{self, KvNamespace, binding, console_log, random};
use crate::shell::clock::{now, within};
use crate::shell::manage::{Call, not_found, unexpected};
use crate::shell::reply;
use crate::shell::wait::Wait;
use crate::time::Time;

/// How long an isolate believes what it read of an account's keys.
const BELIEVED: Duration = Duration::from_secs(15);
/// Accounts whose keys an isolate remembers, at most.
const REMEMBERED: usize = 1_000;
/// How long KV may take; then the account is asked.
const KV_LIMIT: Duration = Duration::from_secs(2);
/// How long a key is not tried, where anything else is, that its provider has refused.
const SPURNED_FOR: Duration = Duration::from_secs(60);
/// The form of what is sealed: `1.<id of the secret>.<bytes in hexadecimal>`.
const FORM: &str = "1";

thread_local! {
    static KNOWN: RefCell<HashMap<AccountId, (Time, Rc<Own>)>> = RefCell::default();
    /// What was opened, by what was sealed: a list that is read again is not opened again.
    static OPENED: RefCell<HashMap<String, String>> = RefCell::default();
    /// The keys that their providers refused, by their ids, and when.
    static SPURNED: RefCell<HashMap<String, Time>> = RefCell::default();
}

/// The keys of its own that a request may use.
pub async fn of(env: &JsValue, key: &KeySnapshot, config: &Config) -> Result<Own, Failure> {
    if !key.byok {
        return Ok(Own::default());
    }
    let own = match remembered(&key.account) {
        Some(own) => own,
        None => {
            let mirror = match read_entry(env, &key.account).await {
                Some(mirror) => mirror,
                None => ask_mirror(env, &key.account).await?,
            };
            let own = Rc::new(open_all(&key.account, mirror, config).await);
            remember(&key.account, Rc::clone(&own));
            own
        }
    };
    Ok(own.allowed(key, is_spurned))
}

/// Notes that a provider refused a key.
pub fn spurn(id: String) {
    SPURNED.with_borrow_mut(|spurned| {
        if spurned.len() >= REMEMBERED {
            spurned.clear();
        }
        spurned.insert(id, now());
    });
}

fn is_spurned(id: &str) -> bool {
    SPURNED.with_borrow(|spurned| spurned.get(id).is_some_and(|at| now().since(*at) < SPURNED_FOR))
}

/// Answers every endpoint about them.
pub async fn answer(call: &Call<'_>, endpoint: Byok) -> Result<Response, Failure> {
    let account = call.manager().await?.account;
    let (status, body) = match endpoint {
        Byok::List => {
            let (provider, workspace, offset, limit) = page(call.query)?;
            match tell(call, &account, &ByokCommand::List { provider, workspace, offset, limit }).await? {
                ByokAnswer::Many { rows, total } => (200, view::write_keys(&rows, total)),
                _ => return Err(unexpected()),
            }
        }
        Byok::Get(id) => (200, view::write_key(&get(call, &account, id).await?)),
        Byok::Create => (201, create(call, &account).await?),
        Byok::Update(id) => (200, update(call, &account, id).await?),
        Byok::Delete(id) => {
            change(call, &account, &ByokCommand::Delete { id }).await?;
            (200, json!({ "deleted": true }).to_string())
        }
    };
    Ok(reply::json(status, &body))
}

async fn create(call: &Call<'_>, account: &AccountId) -> Result<String, Failure> {
    let NewKey { provider, secret, label, policy } = NewKey::read(&call.body().await?, call.config.catalog)?;
    let (id, provider) = (uuid(&random()), provider.slug.to_owned());
    let sealed = seal(call.config, &bound_to(account, &provider, &id), &secret).await?;
    let command = ByokCommand::Create { id, provider, sealed, label, policy };
    change(call, account, &command).await?.map(|row| view::write_key(&row)).ok_or_else(unexpected)
}

async fn update(call: &Call<'_>, account: &AccountId, id: String) -> Result<String, Failure> {
    let Change { policy, secret } = Change::read(&call.body().await?)?;
    let secret = match secret {
        None => None,
        Some(text) => {
            let row = get(call, account, id.clone()).await?;
            let provider = call.config.catalog.provider(&row.provider).ok_or_else(unexpected)?;
            let label = Credential::read(provider, &text)?.label();
            Some((seal(call.config, &bound_to(account, &row.provider, &id), &text).await?, label))
        }
    };
    let row = change(call, account, &ByokCommand::Change { id, policy, secret }).await?;
    row.map(|row| view::write_key(&row)).ok_or_else(unexpected)
}

async fn get(call: &Call<'_>, account: &AccountId, id: String) -> Result<ByokRow, Failure> {
    match tell(call, account, &ByokCommand::Get { id }).await? {
        ByokAnswer::One { row } => Ok(row),
        _ => Err(unexpected()),
    }
}

/// Carries out a change, and has this isolate forget what it knew.
async fn change(
    call: &Call<'_>,
    account: &AccountId,
    command: &ByokCommand,
) -> Result<Option<ByokRow>, Failure> {
    let answer = tell(call, account, command).await;
    if let ByokCommand::Change { id, .. } = command {
        SPURNED.with_borrow_mut(|spurned| spurned.remove(id));
    }
    KNOWN.with_borrow_mut(|known| known.remove(account));
    forget_account(account);
    match answer? {
        ByokAnswer::Changed { row, .. } => Ok(row),
        _ => Err(unexpected()),
    }
}

async fn tell(call: &Call<'_>, account: &AccountId, command: &ByokCommand) -> Result<ByokAnswer, Failure> {
    let command = serde_json::to_string(command).map_err(|_| unexpected())?;
    match call.ask(account, Command::Byok { command }).await? {
        Answer::Byok { answer } => match crate::json::read(&answer).map_err(|_| unexpected())? {
            ByokAnswer::NotFound => Err(not_found("No such key of your own")),
            ByokAnswer::Refused { message } => Err(Failure::invalid(message)),
            answer => Ok(answer),
        },
        _ => Err(unexpected()),
    }
}

async fn read_entry(env: &JsValue, account: &AccountId) -> Option<Mirror> {
    let keys: KvNamespace = binding(env, "KEYS")?.unchecked_into();
    let reading = Wait::from(keys.kv_get(&entry_name(account), "text").ok()?);
    let entry = within(KV_LIMIT, reading).await?.ok()?;
    crate::json::read(&entry.as_string()?).ok()
}

async fn ask_mirror(env: &JsValue, account: &AccountId) -> Result<Mirror, Failure> {
    let client = AccountClient::new(env, account);
    let command = serde_json::to_string(&ByokCommand::Mirror).map_err(|_| unexpected())?;
    match client.call(&Command::Byok { command }).await {
        Ok(Answer::Byok { answer }) => match crate::json::read(&answer) {
            Ok(ByokAnswer::Mirror { mirror }) => crate::json::read(&mirror).map_err(|_| unexpected()),
            Ok(_) | Err(_) => Err(unexpected()),
        },
        Ok(_) | Err(_) => Err(account_down()),
    }
}

async fn open_all(account: &AccountId, mirror: Mirror, config: &Config) -> Own {
    let mut opened = Vec::with_capacity(mirror.keys.len());
    for key in &mirror.keys {
        let text = open(account, key, config).await;
        if text.is_none() {
            // For the operator: the secret that sealed it is not set any more.
            let line = json!({ "event": "byok_not_opened", "account": account.as_str(), "id": key.id });
            console_log(&line.to_string());
        }
        opened.push(text);
    }
    Own::new(mirror, opened, config.catalog)
}

async fn open(account: &AccountId, key: &MirrorKey, config: &Config) -> Option<String> {
    if let Some(text) = OPENED.with_borrow(|opened| opened.get(&key.sealed).cloned()) {
        return Some(text);
    }
    let (id, bytes) = key.sealed.strip_prefix(FORM)?.strip_prefix('.')?.split_once('.')?;
    let seal = config.byok.seals.iter().find(|seal| seal.id == id)?;
    let bytes = Uint8Array::from(unhex(bytes)?.as_slice());
    let bound = bound_to(account, &key.provider, &key.id);
    let text = Wait::from(bindings::unseal(seal.secret.expose(), &bound, &bytes)).await.ok()?.as_string()?;
    OPENED.with_borrow_mut(|opened| {
        if opened.len() >= REMEMBERED {
            opened.clear();
        }
        opened.insert(key.sealed.clone(), text.clone());
    });
    Some(text)
}

async fn seal(config: &Config, bound: &str, text: &str) -> Result<String, Failure> {
    let SealSecret { id, secret } = config.byok.seals.first().ok_or_else(|| {
        let words = "MILLRACE_SEAL_KEY is not set: keys of your own cannot be kept here";
        Failure::new(Cause::NotConfigured, words)
    })?;
    let sealed = Wait::from(bindings::seal(secret.expose(), bound, text)).await.map_err(|_| unexpected())?;
    Ok(format!("{FORM}.{id}.{}", hex(&Uint8Array::new(&sealed).to_vec())))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn remembered(account: &AccountId) -> Option<Rc<Own>> {
    KNOWN.with_borrow(|known| {
        let (at, own) = known.get(account)?;
        (now().since(*at) < BELIEVED).then(|| Rc::clone(own))
    })
}

fn remember(account: &AccountId, own: Rc<Own>) {
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(account.clone(), (now(), own));
    });
}
