//! Talks to accounts: one Durable Object each, told commands as text.

use std::time::Duration;

use wasm_bindgen::{JsCast, JsValue};

use crate::account::command::{Answer, Command};
use crate::id::AccountId;
use crate::shell::bindings::{ObjectNamespace, ObjectStub, binding, console_log};
use crate::shell::clock::within;
use crate::shell::failpoint;
use crate::shell::wait::{Delay, Wait};

/// How long an account may take to answer; an object that hangs must not hang its callers.
const LIMIT: Duration = Duration::from_secs(10);

/// The account could not be asked, or failed: nothing is known of what it did.
#[derive(Debug)]
pub struct AccountDown;

#[derive(Clone)]
pub struct AccountClient {
    env: JsValue,
    account: AccountId,
}

impl AccountClient {
    pub fn new(env: &JsValue, account: &AccountId) -> AccountClient {
        AccountClient { env: env.clone(), account: account.clone() }
    }

    pub fn account(&self) -> &AccountId {
        &self.account
    }

    pub fn env(&self) -> &JsValue {
        &self.env
    }

    pub async fn call(&self, command: &Command) -> Result<Answer, AccountDown> {
        let late = failpoint::account_call().map_err(|_| AccountDown)?;
        let answer = within(LIMIT, Box::pin(self.ask(&command.to_json()))).await.ok_or(AccountDown)?;
        if !late.is_zero() {
            Delay::from(late).await;
        }
        let answer = answer.map_err(|error| {
            console_log(&format!(r#"{{"event":"account_down","error":{:?}}}"#, describe(&error)));
            AccountDown
        })?;
        crate::json::read(&answer.as_string().ok_or(AccountDown)?).map_err(|_| AccountDown)
    }

    async fn ask(&self, command: &str) -> Result<JsValue, JsValue> {
        let namespace: ObjectNamespace =
            binding(&self.env, "ACCOUNTS").ok_or(JsValue::UNDEFINED)?.unchecked_into();
        let id = namespace.id_from_name(self.account.as_str())?;
        let stub: ObjectStub = namespace.object(&id)?;
        Wait::from(stub.call(command)?).await
    }
}

/// The words of a JavaScript error. They never hold what was sent.
fn describe(error: &JsValue) -> String {
    error
        .dyn_ref::<js_sys::Error>()
        .map_or_else(|| "unknown".to_owned(), |error| String::from(error.message()))
}
