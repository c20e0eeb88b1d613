//! A statement for each month in UTC: what the account had, what it was given, what it was charged and
//! for what, and what it has left. Once its month is over, a statement never changes.

use super::super::command::AccountRow;
use super::super::receipt::endpoint_id;
use super::super::store::{Column, Fault, Row as SqlRow, Store};
use super::super::{difference, ledger};
use super::activity::{self, By, Question, Row};
use super::csv::Csv;
use super::money;
use crate::json;
use crate::money::Money;
use crate::time::{Day, Time};

/// The most credits that a statement lists one by one.
const CREDITS: u64 = 10_000;

const COLUMNS: [&str; 17] = [
    "line",
    "id",
    "at",
    "model",
    "model_permaslug",
    "provider",
    "endpoint",
    "api_key_hash",
    "workspace_id",
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "amount_usd",
    "amount_pico",
    "note",
];

/// A month and what its account looks like at both ends.
struct Statement {
    account: AccountRow,
    /// Its first day.
    month: Day,
    now: Time,
    opening: Money,
    credits: Vec<Credit>,
    /// What all credits add up to, by kind.
    sums: [Money; KINDS.len()],
    usage: Vec<Row>,
    charged: Money,
    closing: Money,
}

/// A row of the ledger that is no charge.
struct Credit {
    id: String,
    kind: Kind,
    amount: Money,
    reason: String,
    at: Time,
    /// What was paid for it, with the fee.
    paid: Option<Money>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By the operator; below zero if it was taken back.
    Grant,
    Purchase,
    /// A refund or dispute, or the end of one.
    Refund,
    Code,
    /// What is not listed one by one.
    Others,
}

const KINDS: [Kind; 4] = [Kind::Grant, Kind::Purchase, Kind::Refund, Kind::Code];

impl Kind {
    /// `stripe:pi_…` is a payment, `stripe:pi_…:1` what became of it.
    fn of(id: &str) -> Kind {
        match id.split_once(':') {
            Some(("stripe", payment)) if payment.contains(':') => Kind::Refund,
            Some(("stripe", _)) => Kind::Purchase,
            Some(("code", _)) => Kind::Code,
            Some(_) | None => Kind::Grant,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Grant => "grant",
            Kind::Purchase => "purchase",
            Kind::Refund => "refund",
            Kind::Code => "code",
            Kind::Others => "others",
        }
    }
}

/// The body of `GET /statements`: every month of the account's, the latest first.
pub(super) fn list(store: &Store, now: Time) -> Result<String, Fault> {
    let account = ledger::describe(store)?;
    let (first, mut month) = (account.created_at.day().month_start(), now.day().month_start());
    let mut months = Vec::new();
    let mut closing = difference(account.granted, account.charged)?;
    while month >= first {
        let (credited, charged) = turnover(store, month)?;
        let opening = difference(closing, difference(credited, charged)?)?;
        let amounts = [
            money("opening_balance", opening),
            money("credits", credited),
            money("charges", charged),
            money("closing_balance", closing),
        ];
        months.push(format!(
            r#"{{"month":"{}","complete":{},{}}}"#,
            name(month),
            month.next_month_start() <= now.day(),
            amounts.join(",")
        ));
        closing = opening;
        month = Day::from_number(month.number() - 1).month_start();
    }
    Ok(format!(r#"{{"data":[{}]}}"#, months.join(",")))
}

/// What came in and what was charged within a month.
fn turnover(store: &Store, month: Day) -> Result<(Money, Money), Fault> {
    let end = month.next_month_start();
    let credited = difference(credited_since(store, month)?, credited_since(store, end)?)?;
    let charged = difference(activity::charged_since(store, month)?, activity::charged_since(store, end)?)?;
    Ok((credited, charged))
}

fn credited_since(store: &Store, day: Day) -> Result<Money, Fault> {
    let statement = "SELECT CAST(COALESCE(SUM(amount), 0) AS TEXT) FROM ledger
         WHERE kind = 'grant' AND at >= CAST(?1 AS INTEGER)";
    store.row(statement, &[day.start().cell()])?.ok_or(Fault::Corrupt("amount"))?.next()
}

/// The document of one month; `None` for a month that the account has not seen.
pub(super) fn answer(store: &Store, now: Time, month: &str, csv: bool) -> Result<Option<String>, Fault> {
    let month = Day::parse_iso8601(&format!("{month}-01"));
    let Some(statement) = month.map(|month| read(store, now, month)).transpose()?.flatten() else {
        return Ok(None);
    };
    Ok(Some(if csv { write_csv(&statement) } else { write_json(&statement) }))
}

fn read(store: &Store, now: Time, month: Day) -> Result<Option<Statement>, Fault> {
    let account = ledger::describe(store)?;
    if month < account.created_at.day().month_start() || month > now.day() {
        return Ok(None);
    }
    let end = month.next_month_start();
    let last = Day::from_number(end.number() - 1);
    let since = difference(credited_since(store, end)?, activity::charged_since(store, end)?)?;
    let closing = difference(difference(account.granted, account.charged)?, since)?;
    let (credited, charged) = turnover(store, month)?;
    let opening = difference(closing, difference(credited, charged)?)?;
    let by = By { key: true, workspace: true, ..By::default() };
    let question = Question { from: month.number(), to: last.number(), by, ..Question::default() };
    let usage = activity::rows(store, &question)?;
    let mut credits = credits(store, month, end)?;
    let add = |total: Money, credit: &Credit| total.checked_add(credit.amount);
    let listed = credits.iter().try_fold(Money::ZERO, add).ok_or(Fault::Corrupt("total"))?;
    if listed != credited {
        let (kind, amount, at) = (Kind::Others, difference(credited, listed)?, last.start());
        let reason = format!("credits beyond the first {CREDITS}");
        credits.push(Credit { id: String::new(), kind, amount, reason, at, paid: None });
    }
    let sums = sums(store, month, end)?;
    Ok(Some(Statement { account, month, now, opening, credits, sums, usage, charged, closing }))
}

fn credits(store: &Store, month: Day, end: Day) -> Result<Vec<Credit>, Fault> {
    let rows = store.rows(
        "SELECT ledger.id, CAST(ledger.amount AS TEXT), COALESCE(ledger.reason, ''), CAST(ledger.at AS TEXT),
         CAST(purchase.paid AS TEXT) FROM ledger
         LEFT JOIN purchase ON ledger.id LIKE 'stripe:%' AND purchase.payment = SUBSTR(ledger.id, 8)
         WHERE ledger.kind = 'grant' AND ledger.at >= CAST(?1 AS INTEGER)
         AND ledger.at < CAST(?2 AS INTEGER) ORDER BY ledger.number LIMIT CAST(?3 AS INTEGER)",
        &[month.start().cell(), end.start().cell(), CREDITS.cell()],
    )?;
    let read = |mut row: SqlRow| {
        let (id, amount, reason): (String, _, _) = (row.next()?, row.next()?, row.next()?);
        Ok(Credit { kind: Kind::of(&id), id, amount, reason, at: row.next()?, paid: row.next()? })
    };
    rows.into_iter().map(read).collect()
}

/// What the credits of each kind add up to, in the order of [`KINDS`].
fn sums(store: &Store, month: Day, end: Day) -> Result<[Money; KINDS.len()], Fault> {
    let rows = store.rows(
        "SELECT id, CAST(SUM(amount) AS TEXT) FROM (SELECT amount, CASE WHEN id LIKE 'stripe:%:%'
         THEN 'stripe::' WHEN id LIKE 'stripe:%' THEN 'stripe:' WHEN id LIKE 'code:%' THEN 'code:' ELSE ''
         END AS id FROM ledger WHERE kind = 'grant' AND at >= CAST(?1 AS INTEGER)
         AND at < CAST(?2 AS INTEGER)) GROUP BY id",
        &[month.start().cell(), end.start().cell()],
    )?;
    let mut sums = [Money::ZERO; KINDS.len()];
    for mut row in rows {
        let (id, amount): (String, Money) = (row.next()?, row.next()?);
        let kind = Kind::of(&id);
        for (_, sum) in KINDS.iter().zip(&mut sums).filter(|(one, _)| **one == kind) {
            *sum = amount;
        }
    }
    Ok(sums)
}

fn write_json(statement: &Statement) -> String {
    let Statement { account, month, now, .. } = statement;
    let end = month.next_month_start();
    let [grants, purchases, refunds, codes] = statement.sums;
    let add = |total: Money, amount: Money| total.checked_add(amount).unwrap_or(Money::MAX);
    let fees = statement.usage.iter().map(|row| row.fees).fold(Money::ZERO, add);
    let byok_usage = statement.usage.iter().map(|row| row.byok_usage).fold(Money::ZERO, add);
    let purchase_fees = statement.credits.iter().filter_map(Credit::fee).fold(Money::ZERO, add);
    let amounts = [
        money("opening_balance", statement.opening),
        money("grants", grants),
        money("purchases", purchases),
        money("refunds", refunds),
        money("codes", codes),
        money("charges", statement.charged),
        money("closing_balance", statement.closing),
        // The first is part of the charges, the last was paid beside the purchases.
        money("byok_fees", fees),
        money("byok_usage_inference", byok_usage),
        money("purchase_fees", purchase_fees),
    ];
    let credits: Vec<String> = statement.credits.iter().map(Credit::write).collect();
    let first = account.id.as_str();
    let usage: Vec<String> = statement.usage.iter().map(|row| write_usage(row, first)).collect();
    format!(
        r#"{{"data":{{"account":"{first}","month":"{}","from":"{}","to":"{}","as_of":"{}","complete":{},"currency":"USD",{},"credits":[{}],"usage":[{}]}}}}"#,
        name(*month),
        month.start().to_iso8601(),
        end.start().to_iso8601(),
        now.to_iso8601(),
        end <= now.day(),
        amounts.join(","),
        credits.join(","),
        usage.join(",")
    )
}

impl Credit {
    /// What was paid beyond the credit.
    fn fee(&self) -> Option<Money> {
        self.paid?.checked_sub(self.amount)
    }

    fn write(&self) -> String {
        let paid = match (self.paid, self.fee()) {
            (Some(paid), Some(fee)) => format!(",{},{}", money("paid", paid), money("fee", fee)),
            (Some(_), None) | (None, _) => String::new(),
        };
        format!(
            r#"{{"kind":"{}","id":{},"at":"{}",{},"reason":{}{paid}}}"#,
            self.kind.name(),
            json::quote(&self.id),
            self.at.to_iso8601(),
            money("amount", self.amount),
            json::quote(&self.reason),
        )
    }
}

fn write_usage(row: &Row, first: &str) -> String {
    let amounts = [
        money("amount", row.usage),
        money("byok_fees", row.fees),
        money("byok_usage_inference", row.byok_usage),
    ];
    format!(
        r#"{{"model":{},"model_permaslug":{},"provider_name":{},"endpoint":{},"endpoint_id":"{}","api_key_hash":{},"workspace_id":{},"requests":{},"prompt_tokens":{},"cached_tokens":{},"completion_tokens":{},"reasoning_tokens":{},{}}}"#,
        json::quote(&row.model),
        json::quote(&row.permaslug),
        json::quote(&row.provider),
        json::quote(&row.endpoint),
        endpoint_id(&row.permaslug, &row.endpoint),
        json::quote(&row.key),
        json::quote(workspace(row, first)),
        row.counts.requests,
        row.counts.prompt(),
        row.counts.cache_read,
        row.counts.completion(),
        row.counts.reasoning,
        amounts.join(",")
    )
}

fn workspace<'a>(row: &'a Row, first: &'a str) -> &'a str {
    if row.workspace.is_empty() { first } else { &row.workspace }
}

/// One table: every line's amount counts, charges below zero; the last line is what the others add up to.
fn write_csv(statement: &Statement) -> String {
    let Statement { account, month, .. } = statement;
    let mut csv = Csv::new(&COLUMNS);
    let balance = |csv: &mut Csv, line: &str, day: Day, amount: Money| {
        csv.plain(line).plain("").plain(day.start().to_iso8601());
        (0..11).for_each(|_| {
            csv.plain("");
        });
        csv.plain(amount.to_usd()).plain(amount.to_text()).plain("").end_line();
    };
    balance(&mut csv, "opening_balance", *month, statement.opening);
    for credit in &statement.credits {
        csv.plain(credit.kind.name()).text(&credit.id).plain(credit.at.to_iso8601());
        (0..11).for_each(|_| {
            csv.plain("");
        });
        csv.plain(credit.amount.to_usd()).plain(credit.amount.to_text()).text(&credit.reason).end_line();
    }
    for row in &statement.usage {
        let counts = row.counts;
        csv.plain("charge").plain("").plain("");
        for text in [&row.model, &row.permaslug, &row.provider, &row.endpoint, &row.key] {
            csv.text(text);
        }
        csv.text(workspace(row, account.id.as_str()));
        for count in
            [counts.requests, counts.prompt(), counts.cache_read, counts.completion(), counts.reasoning]
        {
            csv.plain(count);
        }
        let amount = Money::ZERO.checked_sub(row.usage).unwrap_or_default();
        csv.plain(amount.to_usd()).plain(amount.to_text());
        csv.plain(if row.fees > Money::ZERO { "with fees for own keys" } else { "" }).end_line();
    }
    balance(&mut csv, "closing_balance", month.next_month_start(), statement.closing);
    csv.finish()
}

/// `2026-11`
fn name(month: Day) -> String {
    month.to_iso8601()[..7].to_owned()
}
