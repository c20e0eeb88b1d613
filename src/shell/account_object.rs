//! The body of an account: its mind is `crate::account`. One command is one turn, without an
//! `await` between its first read and its last write; the entry module wraps it in a transaction.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use js_sys::Array;
use wasm_bindgen::prelude::*;

use crate::account::alert::{AlertAnswer, AlertCommand};
use crate::account::billing::{BillingAnswer, BillingCommand};
use crate::account::key::entry_name;
use crate::account::{self, Answer, Cell as SqlCell, Command, KeySnapshot, Reported, Sql, SqlError};
use crate::id::KeyHash;
use crate::shell::clock::now;
use crate::shell::{bindings, failpoint};

/// How long after an expiry KV is looked at again: it shows what was written within a minute.
const COLLECT_AGAIN: Duration = Duration::from_secs(120);

/// How many policies are read for KV in one turn, and when those are told that could not be.
const PUBLISHED_AT_ONCE: usize = 20;
const PUBLISH_AGAIN: Duration = Duration::from_secs(5);

#[wasm_bindgen]
extern "C" {
    pub type ObjectState;
    #[wasm_bindgen(method, getter)]
    pub fn storage(this: &ObjectState) -> ObjectStorage;

    pub type ObjectStorage;
    #[wasm_bindgen(method, catch, js_name = setAlarm)]
    pub fn set_alarm(this: &ObjectStorage, at_ms: f64) -> Result<js_sys::Promise, JsValue>;
}

#[wasm_bindgen]
pub struct AccountBody {
    database: Database,
    storage: ObjectStorage,
    /// When the alarm is due, as far as this instance knows: milliseconds since 1970.
    alarm_at: AssertUnwindSafe<Cell<Option<u64>>>,
    /// What the last command changed of keys, on its way to KV: names and values.
    changed: AssertUnwindSafe<RefCell<Vec<[String; 2]>>>,
}

#[wasm_bindgen]
impl AccountBody {
    #[wasm_bindgen(constructor)]
    pub fn new(state: JsValue, _env: JsValue) -> AccountBody {
        let state: ObjectState = state.unchecked_into();
        let storage = state.storage();
        let database = Database::new(storage.clone());
        AccountBody {
            database,
            storage,
            alarm_at: AssertUnwindSafe(Cell::new(None)),
            changed: AssertUnwindSafe(RefCell::default()),
        }
    }

    /// Runs one command. Fails, so that all it wrote is rolled back, where the database does.
    pub fn call(&self, command: &str) -> Result<String, JsValue> {
        let command: Command = crate::json::read(command).map_err(|_| js_error("not a command"))?;
        let answer = account::execute(&self.database, now(), &command)
            .map_err(|fault| js_error(&fault.to_string()))?;
        match &answer {
            Answer::KeyCreated { snapshot, .. }
            | Answer::KeyUpdated { snapshot, .. }
            | Answer::KeyDeleted { snapshot, .. }
            | Answer::Authenticated { snapshot } => self.note_key(snapshot),
            Answer::Byok { answer } => self.note_own_keys(answer)?,
            Answer::Access { snapshots, .. } => snapshots.iter().for_each(|snapshot| self.note_key(snapshot)),
            // What KV could not be told at once is told later.
            Answer::Team { .. } => self.wake_at(now().plus(PUBLISH_AGAIN).ms())?,
            Answer::Reported(Reported { next_alarm: Some(at), .. })
            | Answer::Alert { next_alarm: Some(at), .. } => self.wake_at(at.ms())?,
            Answer::Billing { answer } => {
                if let Some(at) = answer.next_alarm() {
                    self.wake_at(at.ms())?;
                }
            }
            Answer::Expired { holds, next_alarm, .. } => {
                self.alarm_at.set(None);
                // What KV keeps may be seen there only later.
                let again = (*holds > 0).then(|| now().plus(COLLECT_AGAIN));
                if let Some(at) = [*next_alarm, again].into_iter().flatten().min() {
                    self.wake_at(at.ms())?;
                }
            }
            _ => {}
        }
        serde_json::to_string(&answer).map_err(|error| js_error(&error.to_string()))
    }

    /// What the last command wants written to KV: names, each followed by its value.
    pub fn entries(&self) -> Vec<String> {
        let is_made = |_: &[String; 2]| failpoint::keys_write().is_ok_and(|made| made);
        self.changed.take().into_iter().filter(is_made).flatten().collect()
    }

    /// The policies that KV has not been told of since they changed, some of them: for each a name, a
    /// value, and what `published` is to be told once it is written.
    pub fn due_policies(&self) -> Result<Vec<String>, JsValue> {
        if !failpoint::keys_write().is_ok_and(|made| made) {
            return Err(js_error("nothing is written to KV"));
        }
        let due = account::due_policies(&self.database, PUBLISHED_AT_ONCE);
        let due = due.map_err(|fault| js_error(&fault.to_string()))?;
        let entry = |snapshot: &KeySnapshot| {
            let mark = format!("{}@{}", snapshot.hash, snapshot.version);
            [entry_name(&snapshot.hash), snapshot.to_json(), mark]
        };
        Ok(due.iter().flat_map(entry).collect())
    }

    pub fn published(&self, mark: &str) -> Result<(), JsValue> {
        let (hash, version) = mark.split_once('@').unwrap_or_default();
        match (KeyHash::parse(hash), version.parse()) {
            (Some(hash), Ok(version)) => account::policy_published(&self.database, &hash, version)
                .map_err(|fault| js_error(&fault.to_string())),
            _ => Err(js_error("not what a key's policy is marked with")),
        }
    }

    /// Under which names KV keeps reports for this account; nothing where there is no account.
    pub fn kept_prefix(&self) -> Result<Option<String>, JsValue> {
        match account::execute(&self.database, now(), &Command::Describe) {
            Ok(Answer::Account { account }) => Ok(Some(account::kept_prefix(&account.id))),
            Ok(_) => Ok(None),
            Err(fault) => Err(js_error(&fault.to_string())),
        }
    }

    /// Begins the top-up that is due: what `charge_card` is to make of it.
    pub fn due_top_up(&self) -> Result<Option<String>, JsValue> {
        let command = Command::Billing { command: BillingCommand::TopUpDue };
        match account::execute(&self.database, now(), &command) {
            Ok(Answer::Billing { answer: BillingAnswer::Due(attempt) }) => {
                serde_json::to_string(&attempt).map(Some).map_err(|error| js_error(&error.to_string()))
            }
            Ok(_) => Ok(None),
            Err(fault) => Err(js_error(&fault.to_string())),
        }
    }

    /// Begins the deliveries of alerts that are due: what `deliver_alerts` is to make of them.
    pub fn due_alerts(&self) -> Result<Option<String>, JsValue> {
        match account::execute(&self.database, now(), &AlertCommand::Due.told()) {
            Ok(answer) => match AlertAnswer::read(&answer) {
                Some(AlertAnswer::Due(due)) if !due.is_empty() => {
                    serde_json::to_string(&due).map(Some).map_err(|error| js_error(&error.to_string()))
                }
                Some(_) | None => Ok(None),
            },
            Err(fault) => Err(js_error(&fault.to_string())),
        }
    }

    /// Gives back what was abandoned. `collected` says whether all that KV keeps for this account
    /// has been made, `told` whether it has been told of every policy.
    pub fn alarm(&self, collected: bool, told: bool) -> Result<(), JsValue> {
        self.call(r#""expire_holds""#)?;
        if !told {
            self.wake_at(now().plus(PUBLISH_AGAIN).ms())?;
        }
        if collected { Ok(()) } else { self.wake_at(now().plus(COLLECT_AGAIN).ms()) }
    }

    fn note_key(&self, snapshot: &KeySnapshot) {
        self.changed.borrow_mut().push([entry_name(&snapshot.hash), snapshot.to_json()]);
    }

    /// The account's own keys at providers go to KV, and with the first and the last of them what is said
    /// there of each key of the account.
    fn note_own_keys(&self, answer: &str) -> Result<(), JsValue> {
        let Some((name, mirror, keys)) =
            account::byok::to_mirror(&self.database, answer).map_err(|fault| js_error(&fault.to_string()))?
        else {
            return Ok(());
        };
        self.changed.borrow_mut().push([name, mirror]);
        keys.iter().for_each(|snapshot| self.note_key(snapshot));
        Ok(())
    }

    fn wake_at(&self, at_ms: u64) -> Result<(), JsValue> {
        if self.alarm_at.get().is_some_and(|known| known <= at_ms) {
            return Ok(());
        }
        // The output gate waits for the write; nothing needs the promise.
        let _ = self.storage.set_alarm(at_ms.saturating_sub(failpoint::ahead_ms()) as f64)?;
        self.alarm_at.set(Some(at_ms));
        Ok(())
    }
}

pub fn js_error(words: &str) -> JsValue {
    js_sys::Error::new(words).into()
}

/// The object's SQLite. Every cell crosses as text: JavaScript's numbers would round money.
pub struct Database {
    storage: JsValue,
    /// The tables were looked at. What fails is rolled back, and this goes with the body.
    current: AssertUnwindSafe<Cell<bool>>,
}

impl Database {
    pub fn new(storage: JsValue) -> Database {
        Database { storage, current: AssertUnwindSafe(Cell::new(false)) }
    }
}

impl Sql for Database {
    fn run(&self, statement: &str, arguments: &[SqlCell]) -> Result<Vec<Vec<SqlCell>>, SqlError> {
        let cells: Array =
            arguments.iter().map(|cell| cell.as_deref().map_or(JsValue::NULL, JsValue::from_str)).collect();
        let rows = bindings::query(&self.storage, statement, &cells).map_err(|error| {
            let words = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.message()));
            SqlError(words.unwrap_or_else(|| "unknown database error".to_owned()))
        })?;
        rows.iter().map(|row| Array::from(&row).iter().map(|cell| text_of(&cell)).collect()).collect()
    }

    fn is_current(&self) -> bool {
        self.current.get()
    }

    fn note_current(&self) {
        self.current.set(true);
    }
}

/// A cell as text. A number is a statement that forgot its CAST: it may already have been rounded.
fn text_of(cell: &JsValue) -> Result<SqlCell, SqlError> {
    if cell.is_null() {
        return Ok(None);
    }
    cell.as_string().map(Some).ok_or_else(|| SqlError("a column is not text".to_owned()))
}
