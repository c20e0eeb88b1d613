//! Presets: kept by the account's object, copied to KV where every edge finds them, remembered by
//! the isolate for a while. A request that names none costs nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;

use crate::account::KeySnapshot;
use crate::account::command::Answer;
use crate::account::document::{Change, Document, DocumentAnswer, DocumentCommand, Kind, MOST, Save, Status};
use crate::endpoint::Endpoint;
use crate::error::{Cause, Failure};
use crate::exchange::account_down;
use crate::id::{AccountId, uuid};
use crate::json::{self, Outlined};
use crate::preset::{self, Preset, view};
use crate::protocol::bridge::Face;
use crate::query;
use crate::shell::accounts::AccountClient;
use crate::shell::auth::authenticate;
use crate::shell::bindings::{KvNamespace, binding, console_log, random};
use crate::shell::inference::Asked;
use crate::shell::manage::{Call, unexpected};
use crate::shell::wait::Wait;
use crate::shell::{clock, reply};
use crate::time::Time;

/// How long an isolate believes what it read of a preset.
const BELIEVED: Duration = Duration::from_secs(15);
/// Presets that an isolate remembers, at most.
const REMEMBERED: usize = 1_000;
const PAGE: u64 = 50;
const PAGE_MOST: u64 = 100;

/// What was found under a name, with its id where that is known; `None` for no preset that may be used.
type Found = Option<(Preset, Option<String>)>;

thread_local! {
    static KNOWN: RefCell<HashMap<(AccountId, String), (Time, Found)>> = RefCell::default();
}

/// The request with the preset that it names laid under it, and the preset's id; as it came if it
/// names none. A path's model may become another.
pub async fn apply(
    env: &JsValue,
    account: &AccountId,
    asked: &mut Asked,
    body: Outlined,
) -> Result<(Outlined, Option<String>), Failure> {
    let wanted = match asked.face {
        Face::Gemini(_) => preset::wanted_of_path(&asked.model, &body)?,
        _ => preset::wanted(&body)?,
    };
    let Some(slug) = wanted else {
        return Ok((body, None));
    };
    let found = match remembered(account, &slug) {
        Some(found) => found,
        None => {
            let found = find(env, account, &slug).await?;
            remember(account, &slug, found.clone());
            found
        }
    };
    let (preset, id) = found.ok_or_else(|| preset::not_found(&slug))?;
    let body = match asked.face {
        Face::Gemini(_) => {
            let (model, body) = preset::apply_by_path(&asked.model, body.bytes(), &preset)?;
            asked.model = model;
            body
        }
        face => preset::apply(face, body.bytes(), &preset)?,
    };
    Ok((Outlined::new(body), id))
}

/// Answers every endpoint of presets.
pub async fn answer(call: &Call<'_>, endpoint: Endpoint) -> Result<Response, Failure> {
    let key = authenticate(call.request, call.env).await?;
    let kind = Kind::Preset;
    let body = match endpoint {
        Endpoint::ListPresets => {
            let (offset, limit) = page(call.query)?;
            match ask(call, &key, DocumentCommand::List { kind, offset, limit }).await? {
                DocumentAnswer::Many { many, total } => view::write_presets(&many, total),
                _ => return Err(unexpected()),
            }
        }
        Endpoint::ListPresetVersions(slug) => {
            let (offset, limit) = page(call.query)?;
            match ask(call, &key, DocumentCommand::Versions { kind, slug, offset, limit }).await? {
                DocumentAnswer::Versions { versions, document_id, total } => {
                    view::write_versions(&versions, &document_id, total)
                }
                _ => return Err(unexpected()),
            }
        }
        Endpoint::GetPresetVersion(slug, version) => {
            let version = version.parse().map_err(|_| Failure::invalid("version: must be a whole number"))?;
            view::write_version(&one(ask(
                call,
                &key,
                DocumentCommand::Get { kind, slug, version: Some(version) },
            )
            .await?)?)
        }
        Endpoint::GetPreset(slug) => {
            view::write_preset(&one(
                ask(call, &key, DocumentCommand::Get { kind, slug, version: None }).await?
            )?)
        }
        Endpoint::SavePreset(slug, face) => {
            let saved = save(call, &key, slug, face).await?;
            view::write_preset(&saved)
        }
        Endpoint::UpdatePreset(slug) => {
            let change = preset::read_change(&slug, &call.body().await?)?;
            view::write_preset(&changed(call, &key, change).await?)
        }
        Endpoint::DeletePreset(slug) => {
            let status = Some(Status::Archived);
            changed(call, &key, Change { kind, slug, status, name: None, description: None, version: None })
                .await?;
            json!({ "deleted": true }).to_string()
        }
        _ => return Err(unexpected()),
    };
    Ok(reply::json(200, &body))
}

async fn save(call: &Call<'_>, key: &KeySnapshot, slug: String, face: Face) -> Result<Document, Failure> {
    if !preset::is_slug(&slug) {
        return Err(Failure::invalid("A preset's slug has letters, digits and any of - _ ."));
    }
    let preset = preset::read_request(face, &call.body().await?)?;
    let save = Save {
        kind: Kind::Preset,
        slug,
        id: uuid(&random()),
        document_id: uuid(&random()),
        body: preset.to_json(),
        creator: format!("key_{}", &key.hash.as_str()[..16]),
        replaces: None,
    };
    let saved = match ask(call, key, DocumentCommand::Save(save)).await? {
        DocumentAnswer::Full => {
            let words = format!("An account has at most {MOST} presets");
            return Err(Failure::new(Cause::Conflict, words));
        }
        answer => one(answer)?,
    };
    publish(call.env, &key.account, &saved).await;
    Ok(saved)
}

async fn changed(call: &Call<'_>, key: &KeySnapshot, change: Change) -> Result<Document, Failure> {
    let changed = one(ask(call, key, DocumentCommand::Change(change)).await?)?;
    publish(call.env, &key.account, &changed).await;
    Ok(changed)
}

async fn ask(
    call: &Call<'_>,
    key: &KeySnapshot,
    command: DocumentCommand,
) -> Result<DocumentAnswer, Failure> {
    let answer = call.ask(&key.account, command.told()).await?;
    DocumentAnswer::read(&answer).ok_or_else(unexpected)
}

fn one(answer: DocumentAnswer) -> Result<Document, Failure> {
    match answer {
        DocumentAnswer::One { one } => Ok(*one),
        _ => Err(unexpected()),
    }
}

/// `offset` and `limit` of a list.
pub fn page(query: &str) -> Result<(u64, u64), Failure> {
    let number = |name: &str, default: u64| match query::value(query, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| Failure::invalid(format!("{name}: must be a whole number"))),
    };
    let (offset, limit) = (number("offset", 0)?, number("limit", PAGE)?);
    if (1..=PAGE_MOST).contains(&limit) {
        Ok((offset, limit))
    } else {
        Err(Failure::invalid(format!("limit: must lie between 1 and {PAGE_MOST}")))
    }
}

fn entry_name(account: &AccountId, slug: &str) -> String {
    format!("preset:{account}:{slug}")
}

/// Puts a preset where every edge finds it. Where that fails, edges go by what they last read.
async fn publish(env: &JsValue, account: &AccountId, document: &Document) {
    KNOWN.with_borrow_mut(|known| known.remove(&(account.clone(), document.slug.clone())));
    let entry = entry(document);
    let written = match kv(env).map(|kv| kv.kv_put(&entry_name(account, &document.slug), &entry)) {
        Some(Ok(promise)) => Wait::from(promise).await.is_ok(),
        Some(Err(_)) | None => false,
    };
    if !written {
        console_log(r#"{"event":"kv_write_failed","what":"preset"}"#);
    }
}

fn entry(document: &Document) -> String {
    let status = document.status.as_str();
    let id = json::quote(&document.id);
    let (version, body) = (document.in_use, &document.version.body);
    format!(r#"{{"status":"{status}","version":{version},"id":{id},"preset":{body}}}"#)
}

/// In KV, else at the account: one that was just made may not be everywhere.
async fn find(env: &JsValue, account: &AccountId, slug: &str) -> Result<Found, Failure> {
    if let Some(entry) = read_entry(env, account, slug).await {
        return Ok(usable(&entry));
    }
    let client = AccountClient::new(env, account);
    let get = DocumentCommand::Get { kind: Kind::Preset, slug: slug.to_owned(), version: None };
    let answer = client.call(&get.told()).await.map_err(|_| account_down())?;
    match DocumentAnswer::read(&answer) {
        Some(DocumentAnswer::One { one }) => {
            publish(env, account, &one).await;
            Ok(usable(&entry(&one)))
        }
        None if matches!(answer, Answer::Missing | Answer::NotFound) => Ok(None),
        _ => Err(unexpected()),
    }
}

fn usable(entry: &str) -> Found {
    let members = json::members(entry).ok()?;
    members.string("status").filter(|status| status == Status::Active.as_str())?;
    let id = members.string("id").map(|id| id.into_owned());
    Some((Preset::from_json(members.get("preset")?)?, id))
}

async fn read_entry(env: &JsValue, account: &AccountId, slug: &str) -> Option<String> {
    let promise = kv(env)?.kv_get(&entry_name(account, slug), "text").ok()?;
    Wait::from(promise).await.ok()?.as_string()
}

fn kv(env: &JsValue) -> Option<KvNamespace> {
    binding(env, "KEYS").map(JsCast::unchecked_into)
}

fn remembered(account: &AccountId, slug: &str) -> Option<Found> {
    KNOWN.with_borrow(|known| {
        let (at, found) = known.get(&(account.clone(), slug.to_owned()))?;
        (clock::now().since(*at) < BELIEVED).then(|| found.clone())
    })
}

fn remember(account: &AccountId, slug: &str, found: Found) {
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert((account.clone(), slug.to_owned()), (clock::now(), found));
    });
}
