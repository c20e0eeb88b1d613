//! Every charge with its receipt, for checking a bill. A charge stays for good; how it came about is
//! known as long as records are kept ([`super::super::ledger::RECORD_RETENTION`]).

use super::super::receipt::Generation;
use super::super::record::{Attempt, GenerationRecord, Receipt};
use super::super::store::{Column, Fault, Row as SqlRow, Store};
use super::super::text;
use super::super::view::json;
use super::csv::Csv;
use crate::id::{GenerationId, KeyHash};
use crate::money::Money;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most charges of one page.
pub const PAGE: u64 = 1000;
/// By how much an object's clock may have gone back when it moved.
const SKEW: Duration = Duration::from_secs(3600);

/// Classes of lines in the order of the columns.
const CLASSES: [&str; 10] = [
    "request",
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
];

/// Which charges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    #[serde(with = "text::ms")]
    pub from: Time,
    /// Not included.
    #[serde(with = "text::ms")]
    pub to: Time,
    /// The number of the last charge of the page before; 0 for the first page.
    pub after: u64,
    pub limit: u64,
}

/// A charge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its place in the ledger.
    pub number: u64,
    #[serde(with = "text")]
    pub id: GenerationId,
    #[serde(with = "text")]
    pub key: KeyHash,
    #[serde(with = "text")]
    pub amount: Money,
    #[serde(with = "text::ms")]
    pub at: Time,
    /// JSON of its [`GenerationRecord`], while that is kept.
    pub record: Option<String>,
}

/// The rows as JSON, in the order of the ledger. What was only held and given back is no charge.
pub(super) fn answer(store: &Store, question: &Question) -> Result<String, Fault> {
    let Question { from, to, after, limit } = question;
    let start = Time::from_ms(from.ms().saturating_sub(SKEW.as_millis() as u64));
    let first = first_since(store, start)?.max(after.saturating_add(1));
    let end = first_since(store, to.plus(SKEW))?;
    let rows = store.rows(
        "SELECT CAST(ledger.number AS TEXT), ledger.id, ledger.key_hash, CAST(ledger.amount AS TEXT),
         CAST(ledger.at AS TEXT), generation.record FROM ledger
         LEFT JOIN generation ON generation.number = ledger.number
         WHERE ledger.number >= CAST(?1 AS INTEGER) AND ledger.number < CAST(?2 AS INTEGER)
         AND ledger.kind = 'charge' AND (ledger.amount > 0 OR generation.record IS NOT NULL)
         AND ledger.at >= CAST(?3 AS INTEGER) AND ledger.at < CAST(?4 AS INTEGER)
         ORDER BY ledger.number LIMIT CAST(?5 AS INTEGER)",
        &[first.cell(), end.cell(), from.cell(), to.cell(), (*limit).min(PAGE).cell()],
    )?;
    let read = |mut row: SqlRow| {
        let (number, id, key) = (row.next()?, row.next()?, row.next()?);
        Ok(Row { number, id, key, amount: row.next()?, at: row.next()?, record: row.next()? })
    };
    let rows = rows.into_iter().map(read).collect::<Result<Vec<Row>, Fault>>()?;
    serde_json::to_string(&rows).map_err(|_| Fault::Corrupt("charge"))
}

/// The number of the first row of the ledger that is not before `at`, found by halving: rows are only
/// added, and an index of their times would be written with every charge.
fn first_since(store: &Store, at: Time) -> Result<u64, Fault> {
    let row = store.row("SELECT CAST(COALESCE(MAX(number), 0) AS TEXT) FROM ledger", &[])?;
    let last: u64 = row.ok_or(Fault::Corrupt("number"))?.next()?;
    let (mut low, mut high) = (1, last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let row = store.row(
            "SELECT CAST(at AS TEXT) FROM ledger WHERE number >= CAST(?1 AS INTEGER) ORDER BY number LIMIT 1",
            &[middle.cell()],
        )?;
        let found: Time = row.ok_or(Fault::Corrupt("number"))?.next()?;
        if found < at {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Reads what [`answer`] wrote; `None` for anything else.
pub fn read_rows(answer: &str) -> Option<Vec<Row>> {
    crate::json::read(answer).ok()
}

/// One JSON object for each charge: what `GET /generation` shows, with whose it is and when it was charged.
/// Where the record is no longer kept, `receipt` and most other members are missing.
pub fn write_jsonl(rows: &[Row]) -> String {
    rows.iter().map(|row| write_object(row) + "\n").collect()
}

fn write_object(row: &Row) -> String {
    let own = format!(
        r#""id":"{}","charged_at":"{}","api_key_hash":"{}",{}"#,
        row.id,
        row.at.to_iso8601(),
        row.key,
        super::money("amount", row.amount)
    );
    match read_record(row) {
        Some(record) => {
            let shown = json(&Generation::new(&row.id, row.amount, &record));
            let id = format!(r#""id":"{}","#, row.id);
            format!("{{{own},{}", shown.trim_start_matches('{').trim_start_matches(&id))
        }
        None => format!(r#"{{{own},"receipt":null}}"#),
    }
}

fn read_record(row: &Row) -> Option<GenerationRecord> {
    crate::json::read(row.record.as_deref()?).ok()
}

/// The columns of [`write_csv`].
fn columns() -> Vec<String> {
    let own = [
        "id",
        "charged_at",
        "created_at",
        "api_key_hash",
        "model",
        "model_permaslug",
        "provider",
        "endpoint",
    ];
    let about = ["api_type", "streamed", "cancelled", "finish_reason", "is_byok", "session_id", "user"];
    let tokens = ["tokens_prompt", "tokens_completion"];
    let classes = CLASSES.iter().flat_map(|class| [format!("{class}_count"), format!("{class}_price_pico")]);
    let sums = ["basis", "list_cost_pico", "upstream_inference_cost_pico", "amount_usd", "amount_pico"];
    let versions = ["estimated", "prices_version", "overlay_version", "attempts"];
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let head = [named(&own), named(&about), named(&tokens)].concat();
    head.into_iter().chain(classes).chain(named(&sums)).chain(named(&versions)).collect()
}

/// A table with a line for each charge. Where the record is no longer kept, most cells are empty.
pub fn write_csv(rows: &[Row]) -> String {
    let columns = columns();
    let mut csv = Csv::new(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        let record = read_record(row);
        let receipt = record.as_ref().and_then(|record| record.receipt.clone());
        write_line(&mut csv, row, record.as_ref(), receipt.as_ref());
    }
    csv.finish()
}

fn write_line(csv: &mut Csv, row: &Row, record: Option<&GenerationRecord>, receipt: Option<&Receipt>) {
    let text = |read: fn(&GenerationRecord) -> Option<&str>| record.and_then(read).unwrap_or_default();
    let known = |value: Option<String>| value.unwrap_or_default();
    let of = |write: fn(&GenerationRecord) -> String| known(record.map(write));
    let receipt_of = |write: fn(&Receipt) -> String| known(receipt.map(write));
    csv.plain(&row.id).plain(row.at.to_iso8601()).plain(of(|record| record.created_at.to_iso8601()));
    csv.plain(&row.key).text(text(|record| Some(&record.model)));
    csv.text(&receipt_of(|receipt| receipt.permaslug.clone()))
        .text(text(|record| record.provider.as_deref()));
    csv.text(&receipt_of(|receipt| receipt.endpoint.clone()));
    csv.plain(of(|record| match record.api_type.as_str() {
        "" => "completions".to_owned(),
        other => other.to_owned(),
    }));
    csv.plain(of(|record| record.streamed.to_string())).plain(of(|record| record.cancelled.to_string()));
    csv.text(text(|record| record.finish_reason.as_deref())).plain(of(|record| record.is_byok.to_string()));
    csv.text(text(|record| record.session_id.as_deref()))
        .text(text(|record| record.external_user.as_deref()));
    csv.plain(of(|record| record.tokens_prompt.to_string()));
    csv.plain(of(|record| record.tokens_completion.to_string()));
    for class in CLASSES {
        let line = receipt.and_then(|receipt| receipt.lines.iter().find(|line| line.0 == class));
        csv.plain(known(line.map(|line| line.1.to_string()))).plain(known(line.map(|line| line.2.to_text())));
    }
    csv.plain(receipt_of(|receipt| receipt.basis.as_str().to_owned()));
    csv.plain(receipt_of(|receipt| receipt.list_cost().map(Money::to_text).unwrap_or_default()));
    csv.plain(of(|record| record.upstream_inference_cost.map(Money::to_text).unwrap_or_default()));
    csv.plain(row.amount.to_usd()).plain(row.amount.to_text());
    csv.plain(receipt_of(|receipt| receipt.estimated.to_string()));
    csv.plain(receipt_of(|receipt| receipt.prices.clone()));
    csv.plain(receipt_of(|receipt| receipt.overlay.to_string()));
    csv.text(&of(|record| record.attempts.iter().map(attempt).collect::<Vec<_>>().join("; "))).end_line();
}

/// `OpenAI 503 210 ms`
fn attempt(attempt: &Attempt) -> String {
    let status = attempt.status.map_or("unreachable".to_owned(), |status| status.to_string());
    format!("{} {status} {} ms", attempt.provider, attempt.latency_ms.unwrap_or_default())
}
