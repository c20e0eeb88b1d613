//! Answers everything that is not inference: keys, credits, records, accounts, lists, health.

use std::cell::RefCell;

use js_sys::{Object, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Response;

use crate::account::command::{Answer, Command};
use crate::account::key::{KeyKind, KeySnapshot, NewKey, SECRET_LENGTH};
use crate::account::request::{GrantRequest, NewKeyRequest, read_account_name, read_key_change};
use crate::account::team::mandate::forbidden;
use crate::account::team::request::read_workspace_of_key;
use crate::account::{AccountRow, GenerationRecord, Refusal, receipt, view};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::error::{Cause, Failure};
use crate::exchange::{account_down, key_refusal};
use crate::id::{AccountId, GenerationId, KeyHash, hex};
use crate::json::Outlined;
use crate::protocol::{anthropic_messages, gemini};
use crate::query;
use crate::shell::accounts::AccountClient;
use crate::shell::auth::{
    authenticate, authenticate_admin, authenticate_inference, authenticate_manager, forget,
};
use crate::shell::billing::Till;
use crate::shell::bindings::{KvNamespace, binding, random};
use crate::shell::edge::Incoming;
use crate::shell::wait::{Delay, Wait};
use crate::shell::{
    access, admin_catalog, alerts, body, books, budgets, byok, catalog, clock, health, overlay, presets,
    reply, team, wallets,
};

/// Accounts are listed by their entries in KV.
const ACCOUNT_PREFIX: &str = "account:";
/// The object that proves that objects work; it holds no account.
const HEALTH_OBJECT: [u8; AccountId::LENGTH] = [0; AccountId::LENGTH];
/// How long a record may follow its reply: the settlement is under way.
const RECORD_WAIT_MS: u64 = 5_000;
const RECORD_POLL_MS: u64 = 20;

/// One request to the management API.
pub struct Call<'a> {
    pub request: &'a Incoming,
    pub env: &'a JsValue,
    pub config: &'a Config,
    pub query: &'a str,
    /// The management key that commands are given by, once it is known: the account says what it may.
    pub acting: RefCell<Option<KeyHash>>,
}

impl Call<'_> {
    /// Answers any endpoint but chat.
    pub async fn answer(&self, endpoint: Endpoint) -> Result<Response, Failure> {
        match endpoint {
            Endpoint::Welcome => Ok(reply::json(200, &welcome())),
            Endpoint::Health => Ok(self.health().await),
            Endpoint::Preflight => Ok(reply::preflight()),
            Endpoint::Models
            | Endpoint::ModelsUser
            | Endpoint::EmbeddingsModels
            | Endpoint::ModelsCount
            | Endpoint::Model(_)
            | Endpoint::ModelEndpoints(_)
            | Endpoint::EndpointsZdr
            | Endpoint::Providers => catalog::list(self, &endpoint).await,
            Endpoint::AdminCatalog
            | Endpoint::AdminReplaceCatalog
            | Endpoint::AdminPatchCatalog
            | Endpoint::AdminCheckCatalog => admin_catalog::answer(self, &endpoint).await,
            Endpoint::ListPresets
            | Endpoint::GetPreset(_)
            | Endpoint::UpdatePreset(_)
            | Endpoint::DeletePreset(_)
            | Endpoint::SavePreset(..)
            | Endpoint::ListPresetVersions(_)
            | Endpoint::GetPresetVersion(..) => presets::answer(self, endpoint).await,
            Endpoint::Key => self.current_key().await,
            Endpoint::Credits => self.credits().await,
            Endpoint::ListKeys => {
                let key = self.manager().await?;
                self.list_keys(&key.account, Some(String::new())).await
            }
            Endpoint::CreateKey => {
                let key = self.manager().await?;
                self.create_key(&key.account, false).await
            }
            Endpoint::GetKey(hash) => self.get_key(hash).await,
            Endpoint::UpdateKey(hash) => {
                let key = self.manager().await?;
                self.update_key(&key.account, hash, Some(KeyKind::Inference)).await
            }
            Endpoint::DeleteKey(hash) => {
                let key = self.manager().await?;
                self.delete_key(&key.account, hash, Some(KeyKind::Inference)).await
            }
            Endpoint::Generation => self.generation().await,
            Endpoint::Access(endpoint) => access::answer(self, endpoint).await,
            Endpoint::Alert(endpoint) => alerts::answer(self, endpoint).await,
            Endpoint::Billing(endpoint) => {
                Till { request: self.request, env: self.env, config: self.config }.answer(endpoint).await
            }
            Endpoint::Books(what, admin) => books::answer(self, what, admin).await,
            Endpoint::Team(endpoint) => team::answer(self, endpoint).await,
            Endpoint::Budgets(endpoint) => budgets::answer(self, endpoint).await,
            Endpoint::Byok(endpoint) => byok::answer(self, endpoint).await,
            Endpoint::AdminListAccounts => self.admin_list().await,
            Endpoint::AdminCreateAccount => self.admin_create().await,
            Endpoint::AdminAccount(account) => {
                authenticate_admin(self.request, self.config)?;
                self.describe(&account).await.map(|row| reply::json(200, &account_body(&row)))
            }
            Endpoint::AdminGrant(account) => self.admin_grant(&account).await,
            Endpoint::AdminListKeys(account) => {
                authenticate_admin(self.request, self.config)?;
                self.list_keys(&account, None).await
            }
            Endpoint::AdminCreateKey(account) => {
                authenticate_admin(self.request, self.config)?;
                self.create_key(&account, true).await
            }
            Endpoint::AdminUpdateKey(account, hash) => {
                authenticate_admin(self.request, self.config)?;
                self.update_key(&account, hash, None).await
            }
            Endpoint::AdminDeleteKey(account, hash) => {
                authenticate_admin(self.request, self.config)?;
                self.delete_key(&account, hash, None).await
            }
            Endpoint::CountTokens => {
                authenticate_inference(self.request, self.env).await?;
                let tokens = anthropic_messages::count_tokens_estimate(&Outlined::new(self.body().await?))?;
                Ok(reply::json(200, &json!({ "input_tokens": tokens }).to_string()))
            }
            Endpoint::GeminiCountTokens(model) => {
                authenticate_inference(self.request, self.env).await?;
                let tokens = gemini::count_tokens_estimate(&self.body().await?, &model)?;
                Ok(reply::json(200, &String::from_utf8_lossy(&gemini::write_count(tokens))))
            }
            Endpoint::Inference(_) | Endpoint::GenerateContent(..) | Endpoint::Route(_) => {
                Err(not_found("No such path"))
            }
            Endpoint::Failpoint(_) => Err(not_found("No such path")),
        }
    }

    pub async fn ask(&self, account: &AccountId, command: Command) -> Result<Answer, Failure> {
        let client = AccountClient::new(self.env, account);
        // So that the account knows what this isolate does.
        wallets::flush(&client).await;
        let by = self.acting.borrow().clone();
        let command = match by {
            Some(by) => command.acting(by).map_err(|_| unexpected())?,
            None => command,
        };
        match client.call(&command).await.map_err(|_| account_down())? {
            Answer::Missing => Err(not_found("No such account")),
            Answer::Forbidden { role, needed } => Err(forbidden(&role, &needed)),
            Answer::NotFound => Err(not_found("No such key, generation or document")),
            Answer::Refused { refusal: Refusal::Key { reason } } => Err(key_refusal(reason)),
            Answer::Refused { refusal: Refusal::Credit { available, .. } } => {
                let words = format!("The account has only ${} that can be taken back", available.to_usd());
                Err(Failure::new(Cause::Conflict, words).with("available", available.to_usd()))
            }
            Answer::Refused {
                refusal: Refusal::KeyLimit { .. } | Refusal::Budget { .. } | Refusal::Rate(_) | Refusal::Ended,
            } => Err(unexpected()),
            Answer::Invalid { message } => Err(Failure::invalid(message)),
            answer => Ok(answer),
        }
    }

    pub async fn body(&self) -> Result<Vec<u8>, Failure> {
        body::read(self.request, self.config.limits.body_bytes).await
    }

    async fn current_key(&self) -> Result<Response, Failure> {
        let key = authenticate(self.request, self.env).await?;
        match self.ask(&key.account, Command::GetKey { hash: key.hash, only: None }).await? {
            Answer::Key { key } => Ok(reply::json(200, &view::write_current_key(&key, self.config.free))),
            _ => Err(unexpected()),
        }
    }

    async fn credits(&self) -> Result<Response, Failure> {
        let key = self.manager().await?;
        match self.ask(&key.account, Command::Credits).await? {
            Answer::Credits { granted, used } => Ok(reply::json(200, &view::write_credits(granted, used))),
            _ => Err(unexpected()),
        }
    }

    /// Those in `workspace` where the query names no other.
    async fn list_keys(&self, account: &AccountId, workspace: Option<String>) -> Result<Response, Failure> {
        let workspace = query::value(self.query, "workspace_id").or(workspace);
        let offset = match query::value(self.query, "offset") {
            None => 0,
            Some(text) => text.parse().map_err(|_| Failure::invalid("offset: must be a whole number"))?,
        };
        let flag = |name: &str| query::flag(self.query, name);
        let command = Command::ListKeys {
            offset,
            include_disabled: flag("include_disabled"),
            include_expired: flag("include_expired"),
            include_apps: flag("include_apps"),
            workspace,
            creator: None,
        };
        match self.ask(account, command).await? {
            Answer::Keys { keys } => Ok(reply::json(200, &view::write_keys(&keys))),
            _ => Err(unexpected()),
        }
    }

    async fn create_key(&self, account: &AccountId, management: bool) -> Result<Response, Failure> {
        let body = self.body().await?;
        let wanted = NewKeyRequest::read(&body, management)?;
        let new = NewKey::new(account, &random::<SECRET_LENGTH>());
        match self.ask(account, Command::CreateKey(wanted.policy(&new))).await? {
            Answer::KeyCreated { key, .. } => {
                forget(&key.hash);
                Ok(reply::json(201, &view::write_created_key(&key, &new.text)))
            }
            _ => Err(unexpected()),
        }
    }

    /// The management key of the request. What is asked from here on, it asks.
    pub async fn manager(&self) -> Result<KeySnapshot, Failure> {
        authenticate_manager(self.request, self.env).await.inspect(|key| self.act_as(key))
    }

    pub fn act_as(&self, manager: &KeySnapshot) {
        self.acting.replace(Some(manager.hash.clone()));
    }

    async fn get_key(&self, hash: KeyHash) -> Result<Response, Failure> {
        let manager = self.manager().await?;
        match self.ask(&manager.account, Command::GetKey { hash, only: Some(KeyKind::Inference) }).await? {
            Answer::Key { key } => Ok(reply::json(200, &view::write_key(&key))),
            _ => Err(unexpected()),
        }
    }

    async fn update_key(
        &self,
        account: &AccountId,
        hash: KeyHash,
        only: Option<KeyKind>,
    ) -> Result<Response, Failure> {
        let body = self.body().await?;
        let change = read_key_change(hash, only, &body)?;
        if let Some(workspace) = read_workspace_of_key(&body)? {
            team::move_key(self, account, &change.hash, workspace).await?;
        }
        match self.ask(account, Command::UpdateKey(change)).await? {
            Answer::KeyUpdated { key, snapshot } => {
                wallets::forget(account, &snapshot.hash);
                forget(&snapshot.hash);
                Ok(reply::json(200, &view::write_key(&key)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn delete_key(
        &self,
        account: &AccountId,
        hash: KeyHash,
        only: Option<KeyKind>,
    ) -> Result<Response, Failure> {
        match self.ask(account, Command::DeleteKey { hash, only }).await? {
            Answer::KeyDeleted { snapshot, .. } => {
                wallets::forget(account, &snapshot.hash);
                forget(&snapshot.hash);
                Ok(reply::json(200, &view::write_deleted_key()))
            }
            _ => Err(unexpected()),
        }
    }

    /// A reply's record, as soon as the reply has ended: where the charge is still on its way, it
    /// is waited for.
    async fn generation(&self) -> Result<Response, Failure> {
        let key = authenticate(self.request, self.env).await?;
        let id = query::value(self.query, "id")
            .ok_or_else(|| Failure::invalid("id: this parameter is required"))?;
        let id = GenerationId::parse(&id).ok_or_else(|| not_found("No such generation"))?;
        let started = clock::now();
        loop {
            match self.ask(&key.account, Command::Generation { id: id.clone() }).await? {
                Answer::Found { id, cost, record } => {
                    let record: GenerationRecord = crate::json::read(&record).unwrap_or_default();
                    return Ok(reply::json(200, &receipt::write_generation(&id, cost, &record)));
                }
                Answer::Pending if clock::now().since(started).as_millis() < u128::from(RECORD_WAIT_MS) => {
                    Delay::from(std::time::Duration::from_millis(RECORD_POLL_MS)).await;
                }
                Answer::Pending => return Err(not_found("This generation has not ended")),
                _ => return Err(unexpected()),
            }
        }
    }

    async fn describe(&self, account: &AccountId) -> Result<AccountRow, Failure> {
        match self.ask(account, Command::Describe).await? {
            Answer::Account { account } => Ok(account),
            _ => Err(unexpected()),
        }
    }

    async fn admin_create(&self) -> Result<Response, Failure> {
        authenticate_admin(self.request, self.config)?;
        let name = read_account_name(&self.body().await?)?;
        let account = AccountId::new(&random::<{ AccountId::LENGTH }>());
        match self.ask(&account, Command::Create { account: account.clone(), name: name.clone() }).await? {
            Answer::Created { account, .. } => {
                let entry = json!({ "id": account.id.as_str(), "name": name }).to_string();
                self.put(&format!("{ACCOUNT_PREFIX}{}", account.id), &entry).await;
                Ok(reply::json(201, &account_body(&account)))
            }
            _ => Err(unexpected()),
        }
    }

    async fn admin_grant(&self, account: &AccountId) -> Result<Response, Failure> {
        authenticate_admin(self.request, self.config)?;
        let grant = GrantRequest::read(&self.body().await?)?;
        let id = grant.id.unwrap_or_else(|| hex(&random::<16>()));
        match self
            .ask(account, Command::Grant { id: id.clone(), amount: grant.amount, reason: grant.reason })
            .await?
        {
            Answer::Granted { already, amount, account } => {
                let body = json!({ "data": {
                    "id": id, "already": already, "amount": amount.to_usd(), "account": account_view(&account),
                } });
                Ok(reply::json(201, &body.to_string()))
            }
            _ => Err(unexpected()),
        }
    }

    /// The accounts, 1000 at a time: `cursor` continues a list that is longer.
    async fn admin_list(&self) -> Result<Response, Failure> {
        authenticate_admin(self.request, self.config)?;
        let listed = self.list_entries(query::value(self.query, "cursor")).await.ok_or_else(account_down)?;
        let field = |object: &JsValue, name: &str| Reflect::get(object, &JsValue::from_str(name)).ok();
        let keys = field(&listed, "keys").map(|keys| js_sys::Array::from(&keys)).unwrap_or_default();
        let ids: Vec<Value> = keys
            .iter()
            .filter_map(|key| field(&key, "name")?.as_string())
            .filter_map(|name| name.strip_prefix(ACCOUNT_PREFIX).map(|id| json!({ "id": id })))
            .collect();
        let cursor = field(&listed, "cursor").and_then(|cursor| cursor.as_string());
        Ok(reply::json(200, &json!({ "data": ids, "cursor": cursor }).to_string()))
    }

    async fn list_entries(&self, cursor: Option<String>) -> Option<JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"prefix".into(), &ACCOUNT_PREFIX.into()).ok()?;
        if let Some(cursor) = cursor {
            Reflect::set(&options, &"cursor".into(), &cursor.into()).ok()?;
        }
        Wait::from(self.kv()?.kv_list(&options).ok()?).await.ok()
    }

    fn kv(&self) -> Option<KvNamespace> {
        binding(self.env, "KEYS").map(JsCast::unchecked_into)
    }

    async fn put(&self, name: &str, value: &str) {
        if let Some(promise) = self.kv().and_then(|kv| kv.kv_put(name, value).ok()) {
            // The list of accounts is a convenience; the account itself exists.
            let _ = Wait::from(promise).await;
        }
    }

    /// Reads through every part that a request needs: KV, an object, the catalog, the configuration.
    async fn health(&self) -> Response {
        let kv = match self.kv().map(|kv| kv.kv_get("health", "text")) {
            Some(Ok(promise)) => Wait::from(promise).await.is_ok(),
            Some(Err(_)) | None => false,
        };
        let object = AccountClient::new(self.env, &AccountId::new(&HEALTH_OBJECT));
        let object = matches!(object.call(&Command::Describe).await, Ok(Answer::Missing));
        let models = self.config.catalog.models().count();
        let live: Vec<&str> =
            self.config.connections.iter().map(|connection| connection.provider.slug).collect();
        let healthy = kv && object && models > 0 && self.config.problems.is_empty();
        let mut body = json!({
            "status": if healthy { "ok" } else { "failing" },
            "version": env!("CARGO_PKG_VERSION"),
            "kv": kv,
            "durable_object": object,
            "catalog": {
                "models": models,
                "providers": self.config.catalog.providers().count(),
                "overlay": { "version": self.config.catalog.version(), "left_out": overlay::problems() },
            },
            "live_providers": live,
            "problems": self.config.problems,
        });
        if authenticate_admin(self.request, self.config).is_ok() {
            body["health"] = health::summary();
        }
        reply::json(if healthy { 200 } else { 503 }, &body.to_string())
    }
}

fn account_view(row: &AccountRow) -> Value {
    json!({
        "id": row.id.as_str(),
        "name": row.name,
        "created_at": row.created_at.to_iso8601(),
        "credits": {
            "granted": row.granted.to_usd(),
            "used": row.charged.to_usd(),
            "held": row.held.to_usd(),
            "available": row.available.to_usd(),
        },
    })
}

fn account_body(row: &AccountRow) -> String {
    json!({ "data": account_view(row) }).to_string()
}

fn welcome() -> String {
    json!({ "name": "millrace", "version": env!("CARGO_PKG_VERSION"), "api": "/api/v1" }).to_string()
}

pub fn not_found(words: &str) -> Failure {
    Failure::new(Cause::NotFound, words)
}

pub fn unexpected() -> Failure {
    Failure::new(Cause::Internal, "Internal Server Error")
}
