//! Rows that are JSON with a few columns beside it: pages of them, and one merged with what changes.

use super::TeamAnswer;
use crate::account::store::{Cell, Column, Fault, Row, Store};
use crate::json::{self, Edit};

/// The members of `old` with those of `new` in their place. Both are JSON that [`super::request`] wrote.
pub fn merged(old: &str, new: &str) -> Result<String, Fault> {
    let corrupt = |_| Fault::Corrupt("JSON");
    let (old, new) = (json::members(old).map_err(corrupt)?, json::members(new).map_err(corrupt)?);
    let more: Vec<String> =
        new.iter().filter(|member| !old.has(&member.key)).map(|member| member.text.to_owned()).collect();
    let edit = |member: &json::Member<'_>| match new.get(&member.key) {
        Some(value) => Edit::Value(value.to_owned()),
        None => Edit::Keep,
    };
    Ok(old.edit(edit, &more))
}

/// `body` with members behind its own.
pub fn with(body: &str, more: &[(&str, String)]) -> Result<String, Fault> {
    let members = json::members(body).map_err(|_| Fault::Corrupt("JSON"))?;
    let more: Vec<String> = more.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    Ok(members.edit(|_| Edit::Keep, &more))
}

/// A time as a JSON string, or null.
pub fn time(at: Option<crate::time::Time>) -> String {
    at.map_or_else(|| "null".to_owned(), |at| format!("\"{}\"", at.to_iso8601()))
}

/// A page of a list with how many there are in all. `from` is what stands behind FROM, with its
/// conditions; `arguments` are for it.
pub fn page(
    store: &Store,
    columns: &str,
    from: &str,
    arguments: &[Cell],
    (offset, limit): (u64, u64),
    show: impl Fn(Row) -> Result<String, Fault>,
) -> Result<TeamAnswer, Fault> {
    let total = count(store, from, arguments)?;
    let offset = offset.min(i64::MAX as u64);
    let statement = format!("SELECT {columns} FROM {from} LIMIT {limit} OFFSET {offset}");
    let rows = store.rows(&statement, arguments)?.into_iter().map(show);
    let rows: Vec<String> = rows.collect::<Result<_, Fault>>()?;
    Ok(TeamAnswer::Done(format!("{{\"data\":[{}],\"total_count\":{total}}}", rows.join(","))))
}

pub fn count(store: &Store, from: &str, arguments: &[Cell]) -> Result<u64, Fault> {
    let from = from.split(" ORDER BY ").next().unwrap_or(from);
    let row = store.row(&format!("SELECT CAST(COUNT(*) AS TEXT) FROM {from}"), arguments)?;
    row.ok_or(Fault::Corrupt("count"))?.next()
}

/// `{"data": …}`
pub fn data(body: &str) -> TeamAnswer {
    TeamAnswer::Done(format!("{{\"data\":{body}}}"))
}

pub fn cell(text: &str) -> Cell {
    text.to_owned().cell()
}
