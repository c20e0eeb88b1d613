//! Alerts on their way: each is tried at once, then after longer and longer pauses, then given up.
//! The pauses are those of standardwebhooks.com.

use super::message::{self, Delivery};
use super::{Ended, Outcome};
use crate::account::ledger;
use crate::account::store::{Column, Fault, Store};
use crate::time::Time;
use std::time::Duration;

/// The pause after each failed attempt, in seconds. There is none after the last.
pub const PAUSES_S: [u64; 7] = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];
/// The most alerts that wait; what comes beside them is lost.
pub const MOST: u64 = 200;
/// The most deliveries that one alarm makes.
const AT_ONCE: u64 = 10;
/// When a delivery is made again of which nothing was heard: the object may have died over it.
const UNHEARD: Duration = Duration::from_secs(60);
/// The longest that is kept of why a delivery failed, in characters.
const WHY: usize = 200;

/// Puts an alert among those to be delivered. `data` is JSON.
pub(super) fn add(store: &Store, now: Time, kind: &str, data: &str) -> Result<(), Fault> {
    let count = store.row("SELECT CAST(COUNT(*) AS TEXT) FROM alert", &[])?;
    if count.ok_or(Fault::Corrupt("number"))?.next::<u64>()? >= MOST {
        return store.write("UPDATE alert_settings SET lost = lost + 1", &[]);
    }
    // `last` rather than the row's number, which would come again once its row is gone.
    let row = store.row("UPDATE alert_settings SET last = last + 1 RETURNING CAST(last AS TEXT)", &[])?;
    let Some(number) = row.map(|mut row| row.next::<u64>()).transpose()? else {
        return Ok(());
    };
    let account = ledger::describe(store)?.id;
    let body = message::body(kind, now, &account, data);
    store.write(
        "INSERT INTO alert (number, id, body, next_at)
         VALUES (CAST(?1 AS INTEGER), ?2, ?3, CAST(?4 AS INTEGER))",
        &[number.cell(), message::id(&account, number).cell(), body.cell(), now.cell()],
    )
}

/// When the next delivery is due.
pub(in crate::account) fn next_at(store: &Store) -> Result<Option<Time>, Fault> {
    let row = store.row(&format!("SELECT CAST({NEXT_AT} AS TEXT)"), &[])?;
    row.ok_or(Fault::Corrupt("time"))?.next()
}

/// The same, for `next_alarm` of the account.
pub(in crate::account) const NEXT_AT: &str =
    "(SELECT MIN(next_at) FROM alert WHERE (SELECT enabled FROM alert_settings))";

/// The deliveries that are due, each from now on as if it had failed.
pub(super) fn begin(store: &Store, now: Time) -> Result<Vec<Delivery>, Fault> {
    let rows = store.rows(
        "SELECT CAST(alert.number AS TEXT), id, body, url, secret FROM alert, alert_settings
         WHERE enabled = 1 AND next_at <= CAST(?1 AS INTEGER) ORDER BY alert.number LIMIT CAST(?2 AS INTEGER)",
        &[now.cell(), AT_ONCE.cell()],
    )?;
    let read = |mut row: crate::account::store::Row| -> Result<Delivery, Fault> {
        let (number, id, body) = (row.next()?, row.next()?, row.next()?);
        Ok(Delivery { number, id, body, url: row.next()?, secret: row.next()? })
    };
    let due = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for delivery in &due {
        store.write(
            "UPDATE alert SET next_at = CAST(?2 AS INTEGER) WHERE number = CAST(?1 AS INTEGER)",
            &[delivery.number.cell(), now.plus(UNHEARD).cell()],
        )?;
    }
    Ok(due)
}

pub(super) fn end(store: &Store, now: Time, ended: &Ended) -> Result<(), Fault> {
    let number = ended.number.cell();
    match &ended.outcome {
        Outcome::Delivered => {
            store.write(
                "UPDATE alert_settings SET last_delivered_at = CAST(?1 AS INTEGER), last_error = NULL",
                &[now.cell()],
            )?;
            store.write("DELETE FROM alert WHERE number = CAST(?1 AS INTEGER)", &[number])
        }
        Outcome::Failed(why) => {
            let why: String = why.chars().take(WHY).collect();
            store.write("UPDATE alert_settings SET last_error = ?1", &[why.cell()])?;
            put_off(store, now, ended.number)
        }
        Outcome::Gone => {
            let why = "the endpoint answered with 410 Gone".to_owned();
            store.write("UPDATE alert_settings SET enabled = 0, last_error = ?1", &[why.cell()])
        }
    }
}

/// Sets the next attempt, or gives up.
fn put_off(store: &Store, now: Time, number: u64) -> Result<(), Fault> {
    let row = store.row(
        "UPDATE alert SET attempts = attempts + 1 WHERE number = CAST(?1 AS INTEGER)
         RETURNING CAST(attempts AS TEXT)",
        &[number.cell()],
    )?;
    let Some(attempts) = row.map(|mut row| row.next::<u64>()).transpose()? else {
        return Ok(());
    };
    match PAUSES_S.get(attempts as usize - 1) {
        Some(pause) => store.write(
            "UPDATE alert SET next_at = CAST(?2 AS INTEGER) WHERE number = CAST(?1 AS INTEGER)",
            &[number.cell(), now.plus(Duration::from_secs(*pause)).cell()],
        ),
        None => {
            store.write("UPDATE alert_settings SET lost = lost + 1", &[])?;
            store.write("DELETE FROM alert WHERE number = CAST(?1 AS INTEGER)", &[number.cell()])
        }
    }
}
