//! What an account did on each day, by model, endpoint, key and workspace: counted in the turn of the
//! charge itself, so that it never differs from the ledger.

use super::super::receipt::endpoint_id;
use super::super::report::Settle;
use super::super::store::{Column, Fault, Row as SqlRow, Store};
use super::super::view::usd;
use super::super::{ledger, team, text};
use super::Counted;
use crate::json;
use crate::money::Money;
use crate::time::{Day, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What tells rows apart beside the day.
const NAMES: [&str; 6] = ["model", "permaslug", "provider", "endpoint", "key_hash", "workspace"];
/// What is counted, by the names of lines of receipts.
const COUNTS: [&str; 9] = [
    "requests",
    "input",
    "cache_read",
    "cache_write",
    "input_audio",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
];
const AMOUNTS: [&str; 3] = ["usage", "fees", "byok_usage"];
/// The most tokens of a class that one charge counts: nine million of them fit into a sum.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// Which days, and by what the rows are told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Question {
    /// Days since 1970, both included.
    pub from: i64,
    pub to: i64,
    /// The hash of the only key that counts.
    pub key: Option<String>,
    /// The only workspace that counts, by id or slug.
    pub workspace: Option<String>,
    /// Only keys of this user's count: those that name it as their creator.
    pub user: Option<String>,
    pub by: By,
}

/// What rows are told apart by, beside model and endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct By {
    pub day: bool,
    pub key: bool,
    pub workspace: bool,
}

/// What was done, added up. What rows are not told apart by is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Days since 1970; 0 where rows are not told apart by it.
    pub day: i64,
    pub model: String,
    pub permaslug: String,
    /// The provider's display name.
    pub provider: String,
    /// The endpoint's name among those of its model.
    pub endpoint: String,
    pub key: String,
    pub workspace: String,
    pub counts: Counts,
    /// What was charged.
    #[serde(with = "text")]
    pub usage: Money,
    /// Of which fees for requests that the account's own keys at providers paid.
    #[serde(with = "text")]
    pub fees: Money,
    /// What those requests would have cost otherwise.
    #[serde(with = "text")]
    pub byok_usage: Money,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub input_audio: u64,
    pub output: u64,
    pub reasoning: u64,
    pub output_audio: u64,
    pub output_image: u64,
}

impl Counts {
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write + self.input_audio
    }

    pub fn completion(&self) -> u64 {
        self.output + self.reasoning + self.output_audio + self.output_image
    }

    fn fields(&mut self) -> [&mut u64; 9] {
        [
            &mut self.requests,
            &mut self.input,
            &mut self.cache_read,
            &mut self.cache_write,
            &mut self.input_audio,
            &mut self.output,
            &mut self.reasoning,
            &mut self.output_audio,
            &mut self.output_image,
        ]
    }

    /// What the receipt of one request counts, which has these lines: classes, and how many of each.
    pub(super) fn of(lines: &[(&str, u64)]) -> Counts {
        let of_class = |class| lines.iter().find(|(name, _)| *name == class).map_or(0, |(_, count)| *count);
        let count = |class| of_class(class).min(MOST_TOKENS);
        Counts {
            requests: 1,
            input: count("input"),
            cache_read: count("cache_read"),
            cache_write: count("cache_write").saturating_add(count("cache_write_1h")),
            input_audio: count("input_audio"),
            output: count("output"),
            reasoning: count("reasoning"),
            output_audio: count("output_audio"),
            output_image: count("output_image"),
        }
    }

    fn add(&mut self, mut other: Counts) {
        for (total, one) in self.fields().into_iter().zip(other.fields()) {
            *total = total.saturating_add(*one);
        }
    }
}

/// What one set of names adds up to.
#[derive(Default)]
struct Sums {
    counts: Counts,
    amounts: [Money; 3],
}

/// Counts charges that were made just now. A request that no provider served, and that cost nothing, did
/// nothing.
pub(in super::super) fn add(
    store: &Store,
    now: Time,
    charges: &[(&Settle, Counted<'_>)],
) -> Result<(), Fault> {
    let mut by_names: BTreeMap<[&str; 5], Sums> = BTreeMap::new();
    for (settle, counted) in charges {
        if counted.provider.is_none() && settle.amount == Money::ZERO {
            continue;
        }
        let sums = by_names.entry(names(settle, counted)).or_default();
        sums.counts.add(counted.counts);
        let fee = if counted.is_byok { settle.amount } else { Money::ZERO };
        for (total, one) in sums.amounts.iter_mut().zip([settle.amount, fee, counted.listed]) {
            *total = total.checked_add(one).unwrap_or(Money::MAX);
        }
    }
    by_names.into_iter().try_for_each(|(names, sums)| write(store, now.day(), names, sums))
}

fn names<'c>(settle: &'c Settle, counted: &'c Counted<'_>) -> [&'c str; 5] {
    let provider = counted.provider.as_deref().unwrap_or_default();
    [&counted.model, &counted.permaslug, provider, &counted.endpoint, settle.key.as_str()]
}

fn write(store: &Store, day: Day, names: [&str; 5], mut sums: Sums) -> Result<(), Fault> {
    let columns = [NAMES.as_slice(), &COUNTS, &AMOUNTS].concat();
    let values: Vec<String> =
        (NAMES.len()..columns.len()).map(|at| format!("CAST(?{} AS INTEGER)", at + 1)).collect();
    // A sum that would not fit stays at the most that does: a charge never fails for its statistics.
    let more: Vec<String> = columns[NAMES.len()..]
        .iter()
        .map(|column| format!("{column} = {column} + MIN(excluded.{column}, {} - {column})", i64::MAX))
        .collect();
    let statement = format!(
        "INSERT INTO activity_day (day, {}) VALUES (CAST(?1 AS INTEGER), ?2, ?3, ?4, ?5, ?6,
         COALESCE((SELECT workspace_id FROM api_key WHERE hash = ?6), ''), {})
         ON CONFLICT DO UPDATE SET {}",
        columns.join(", "),
        values.join(", "),
        more.join(", ")
    );
    let mut cells = vec![day.cell()];
    cells.extend(names.map(|name| Some(name.to_owned())));
    cells.extend(sums.counts.fields().into_iter().map(|count| (*count).min(i64::MAX as u64).cell()));
    cells.extend(sums.amounts.iter().map(Column::cell));
    store.write(&statement, &cells)
}

/// The rows as JSON.
pub(super) fn answer(store: &Store, question: &Question) -> Result<String, Fault> {
    let named = question.workspace.as_deref();
    let workspace =
        named.map(|at| team::find_workspace(store, &ledger::describe(store)?.id, at)).transpose()?;
    let workspace = workspace.flatten().or(question.workspace.clone());
    let rows = rows(store, &Question { workspace, ..question.clone() })?;
    serde_json::to_string(&rows).map_err(|_| Fault::Corrupt("activity"))
}

/// Reads what [`answer`] wrote; `None` for anything else.
pub fn read_rows(answer: &str) -> Option<Vec<Row>> {
    crate::json::read(answer).ok()
}

/// The body of `GET /activity`. Rows are told apart by day, and by workspace if each is to name its own:
/// an empty one is `first`.
pub fn write_body(rows: &[Row], by_workspace: bool, first: &str) -> String {
    let item = |row: &Row| {
        let workspace = if row.workspace.is_empty() { first } else { &row.workspace };
        let workspace = match by_workspace {
            true => format!(r#","workspace_id":{}"#, json::quote(workspace)),
            false => String::new(),
        };
        format!(
            r#"{{"date":"{}","model":{},"model_permaslug":{},"endpoint_id":"{}","provider_name":{},"usage":{},"byok_usage_inference":{},"requests":{},"prompt_tokens":{},"completion_tokens":{},"reasoning_tokens":{},"cached_tokens":{}{workspace}}}"#,
            Day::from_number(row.day).to_iso8601(),
            json::quote(&row.model),
            json::quote(&row.permaslug),
            endpoint_id(&row.permaslug, &row.endpoint),
            json::quote(&row.provider),
            usd(row.usage),
            usd(row.byok_usage),
            row.counts.requests,
            row.counts.prompt(),
            row.counts.completion(),
            row.counts.reasoning,
            row.counts.cache_read,
        )
    };
    format!(r#"{{"data":[{}]}}"#, rows.iter().map(item).collect::<Vec<_>>().join(","))
}

/// What was done, the latest day first, then by name.
pub(super) fn rows(store: &Store, question: &Question) -> Result<Vec<Row>, Fault> {
    let By { day, key, workspace } = question.by;
    let mut groups = vec!["model", "permaslug", "provider", "endpoint"];
    groups.extend(day.then_some("day").into_iter().chain(key.then_some("key_hash")));
    groups.extend(workspace.then_some("workspace"));
    let shown = |name: &&str| if groups.contains(name) { (*name).to_owned() } else { "''".to_owned() };
    let mut columns = vec![format!("CAST({} AS TEXT)", if day { "day" } else { "0" })];
    columns.extend(NAMES.iter().map(shown));
    columns.extend(COUNTS.iter().chain(&AMOUNTS).map(|name| format!("CAST(SUM({name}) AS TEXT)")));
    let statement = format!(
        "SELECT {} FROM activity_day WHERE day >= CAST(?1 AS INTEGER) AND day <= CAST(?2 AS INTEGER)
         AND (?3 IS NULL OR key_hash = ?3) AND (?4 IS NULL OR workspace = ?4)
         AND (?5 IS NULL OR key_hash IN (SELECT hash FROM api_key WHERE creator_user_id = ?5))
         GROUP BY {groups} ORDER BY {}{}",
        columns.join(", "),
        if day { "day DESC, " } else { "" },
        NAMES.iter().filter(|name| groups.contains(name)).copied().collect::<Vec<_>>().join(", "),
        groups = groups.join(", "),
    );
    let days = [question.from, question.to].map(|day| Day::from_number(day).cell());
    let [from, to] = days;
    let cells = [from, to, question.key.cell(), question.workspace.cell(), question.user.cell()];
    store.rows(&statement, &cells)?.into_iter().map(read_row).collect()
}

fn read_row(mut row: SqlRow) -> Result<Row, Fault> {
    let day: Day = row.next()?;
    let mut read = Row { day: day.number(), model: row.next()?, ..Row::default() };
    let names =
        [&mut read.permaslug, &mut read.provider, &mut read.endpoint, &mut read.key, &mut read.workspace];
    for name in names {
        *name = row.next()?;
    }
    for count in read.counts.fields() {
        *count = row.next()?;
    }
    for amount in [&mut read.usage, &mut read.fees, &mut read.byok_usage] {
        *amount = row.next()?;
    }
    Ok(read)
}

/// What was charged from that day on.
pub(super) fn charged_since(store: &Store, day: Day) -> Result<Money, Fault> {
    let statement =
        "SELECT CAST(COALESCE(SUM(usage), 0) AS TEXT) FROM activity_day WHERE day >= CAST(?1 AS INTEGER)";
    store.row(statement, &[day.cell()])?.ok_or(Fault::Corrupt("amount"))?.next()
}
