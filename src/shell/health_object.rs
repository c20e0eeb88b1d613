//! The body of a provider's health object: its mind is `crate::health::Shard`. What it knows is in
//! memory and now and then on disk, for when it wakes again.

use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use wasm_bindgen::prelude::*;

use crate::account::Sql;
use crate::health::{Filed, Report, Shard};
use crate::id::hex;
use crate::shell::account_object::{Database, ObjectState, ObjectStorage, js_error};
use crate::shell::bindings::random;
use crate::shell::clock::now;
use crate::time::Time;

/// Rows are written at most so often. A crash loses what came since.
const SAVE_EVERY: Duration = Duration::from_secs(10);
/// Rows that were not written for so long say nothing that anybody asks for.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 86_400);

/// The number is the schema's: rows of another are not looked at.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS health_1 (name TEXT PRIMARY KEY, saved_at INTEGER NOT NULL, body TEXT NOT NULL)";
const FORGET: &str = "DELETE FROM health_1 WHERE saved_at < CAST(?1 AS INTEGER)";
const LOAD: &str = "SELECT name, body FROM health_1";
const SAVE: &str = "INSERT OR REPLACE INTO health_1 VALUES (?1, CAST(?2 AS INTEGER), ?3)";

#[wasm_bindgen]
pub struct HealthBody {
    database: Database,
    storage: ObjectStorage,
    shard: AssertUnwindSafe<RefCell<Shard>>,
    saved: AssertUnwindSafe<Cell<Time>>,
    /// An alarm is set for what is not saved yet.
    waking: AssertUnwindSafe<Cell<bool>>,
}

#[wasm_bindgen]
impl HealthBody {
    #[wasm_bindgen(constructor)]
    pub fn new(state: JsValue, _env: JsValue) -> Result<HealthBody, JsValue> {
        let storage = state.unchecked_into::<ObjectState>().storage();
        let database = Database::new(storage.clone());
        let rows = load(&database, now()).map_err(|error| js_error(&error))?;
        Ok(HealthBody {
            database,
            storage,
            shard: AssertUnwindSafe(RefCell::new(Shard::new(hex(&random::<8>()), &rows))),
            saved: AssertUnwindSafe(Cell::new(Time::default())),
            waking: AssertUnwindSafe(Cell::new(false)),
        })
    }

    /// Takes a report and answers with what its edge does not know; `null` for one that another
    /// version of the gateway wrote.
    pub fn call(&self, report: &str) -> Result<String, JsValue> {
        let now = now();
        let report: Option<Report> = crate::json::read(report).ok();
        let reply = report.and_then(|report| self.shard.borrow_mut().file(now, report));
        let due = self.saved.get().plus(SAVE_EVERY);
        if now >= due {
            self.save(now)?;
        } else if !self.waking.replace(true) {
            // Nothing needs the promise.
            let _ = self.storage.set_alarm(due.ms() as f64)?;
        }
        serde_json::to_string(&reply).map_err(|error| js_error(&error.to_string()))
    }

    pub fn alarm(&self) -> Result<(), JsValue> {
        self.waking.set(false);
        self.save(now())
    }

    fn save(&self, now: Time) -> Result<(), JsValue> {
        let rows = self.shard.borrow_mut().take_unsaved();
        if !rows.is_empty() {
            self.saved.set(now);
        }
        for row in rows {
            let cells = [Some(row.name), Some(now.ms().to_string()), Some(row.body)];
            self.database.run(SAVE, &cells).map_err(|error| js_error(&error.0))?;
        }
        Ok(())
    }
}

fn load(database: &Database, now: Time) -> Result<Vec<Filed>, String> {
    let oldest = now.ms().saturating_sub(FORGET_AFTER.as_millis() as u64);
    let run =
        |statement: &str, cells: &[Option<String>]| database.run(statement, cells).map_err(|error| error.0);
    run(CREATE, &[])?;
    run(FORGET, &[Some(oldest.to_string())])?;
    let rows = run(LOAD, &[])?.into_iter().map(|row| <[Option<String>; 2]>::try_from(row).ok());
    let filed = |[name, body]: [Option<String>; 2]| Some(Filed { name: name?, body: body? });
    Ok(rows.flatten().filter_map(filed).collect())
}
