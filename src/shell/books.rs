//! Answers what is asked of an account's books.

use web_sys::Response;

use crate::account::Answer;
use crate::account::books::activity::{self, By};
use crate::account::books::analytics::{self, Query};
use crate::account::books::{BooksCommand, export, missed};
use crate::account::request::text;
use crate::endpoint::Books;
use crate::error::Failure;
use crate::exchange::Head;
use crate::id::AccountId;
use crate::query;
use crate::shell::auth::authenticate_admin;
use crate::shell::manage::{Call, unexpected};
use crate::shell::{clock, reply};
use crate::time::{Day, Time};

/// Of how many days `GET /activity` tells: completed ones.
const ACTIVITY_DAYS: i64 = 30;

/// `admin` is the account that the operator asks about; `None` for a management key's own.
pub async fn answer(call: &Call<'_>, books: Books, admin: Option<AccountId>) -> Result<Response, Failure> {
    let account = match admin {
        Some(account) => authenticate_admin(call.request, call.config).map(|()| account)?,
        None => call.manager().await?.account,
    };
    match books {
        Books::Activity => activity(call, &account).await,
        Books::AnalyticsMeta => Ok(reply::json(200, &analytics::write_meta())),
        Books::AnalyticsQuery => query_analytics(call, &account).await,
        Books::Statements => Ok(reply::json(200, &ask(call, &account, BooksCommand::Statements).await?)),
        Books::Statement(month) => statement(call, &account, month).await,
        Books::Export => charges(call, &account).await,
        Books::Missed => missed(call, &account).await,
    }
}

async fn ask(call: &Call<'_>, account: &AccountId, command: BooksCommand) -> Result<String, Failure> {
    match call.ask(account, command.command()).await? {
        Answer::Books { answer } => Ok(answer),
        _ => Err(unexpected()),
    }
}

async fn missed(call: &Call<'_>, account: &AccountId) -> Result<Response, Failure> {
    let body = call.body().await?;
    let charges = missed::read(text(&body)?)?;
    let made = ask(call, account, BooksCommand::Missed(charges)).await?;
    Ok(reply::json(200, &format!(r#"{{"data":{made}}}"#)))
}

async fn activity(call: &Call<'_>, account: &AccountId) -> Result<Response, Failure> {
    let today = clock::now().day().number();
    let value = |name| query::value(call.query, name).filter(|value| !value.is_empty());
    let (from, to) = match value("date") {
        None => (today - ACTIVITY_DAYS, today - 1),
        Some(date) => {
            let day = Day::parse_iso8601(&date).map(Day::number);
            let day = day.filter(|day| (today - ACTIVITY_DAYS..=today).contains(day));
            let day = day.ok_or_else(|| {
                Failure::invalid("date: must be a day in UTC of the last 30, as 2026-11-21")
            })?;
            (day, day)
        }
    };
    let by_workspace = match value("group_by").as_deref() {
        None => false,
        Some("workspace") => true,
        Some(_) => return Err(Failure::invalid("group_by: only workspace is known")),
    };
    let workspace = value("workspace_id");
    let by = By { day: true, workspace: by_workspace, ..By::default() };
    let question =
        activity::Question { from, to, key: value("api_key_hash"), workspace, user: value("user_id"), by };
    let answer = ask(call, account, BooksCommand::Activity(question)).await?;
    let rows = activity::read_rows(&answer).ok_or_else(unexpected)?;
    Ok(reply::json(200, &activity::write_body(&rows, by_workspace, account.as_str())))
}

async fn query_analytics(call: &Call<'_>, account: &AccountId) -> Result<Response, Failure> {
    let started = clock::now();
    let body = call.body().await?;
    let query = Query::read(text(&body)?, started)?;
    let answer = ask(call, account, BooksCommand::Activity(query.question())).await?;
    let rows = activity::read_rows(&answer).ok_or_else(unexpected)?;
    let ms = clock::now().since(started).as_millis() as u64;
    Ok(reply::json(200, &query.answer(&rows, account.as_str(), ms)))
}

async fn statement(call: &Call<'_>, account: &AccountId, month: String) -> Result<Response, Failure> {
    let csv = match query::value(call.query, "format").as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(Failure::invalid("format: known are json and csv")),
    };
    let name = format!("statement-{account}-{month}.csv");
    let body = ask(call, account, BooksCommand::Statement { month, csv }).await?;
    Ok(if csv {
        download("text/csv; charset=utf-8", &name, &body, Vec::new())
    } else {
        reply::json(200, &body)
    })
}

async fn charges(call: &Call<'_>, account: &AccountId) -> Result<Response, Failure> {
    let csv = match query::value(call.query, "format").as_deref() {
        None | Some("jsonl") => false,
        Some("csv") => true,
        Some(_) => return Err(Failure::invalid("format: known are jsonl and csv")),
    };
    let question = export::Question {
        from: moment(call, "from")?.ok_or_else(|| Failure::invalid("from: this parameter is required"))?,
        to: moment(call, "to")?.unwrap_or_else(|| clock::now().plus(std::time::Duration::from_secs(1))),
        after: count(call, "cursor")?.unwrap_or(0),
        limit: count(call, "limit")?.unwrap_or(export::PAGE).clamp(1, export::PAGE),
    };
    let limit = question.limit;
    let answer = ask(call, account, BooksCommand::Charges(question)).await?;
    let rows = export::read_rows(&answer).ok_or_else(unexpected)?;
    let next = rows.last().filter(|_| rows.len() as u64 == limit).map(|row| row.number);
    let more = next.map_or_else(Vec::new, |next| continuation(call, next));
    Ok(match csv {
        true => download("text/csv; charset=utf-8", "generations.csv", &export::write_csv(&rows), more),
        false => download("application/x-ndjson", "generations.jsonl", &export::write_jsonl(&rows), more),
    })
}

/// Where the list goes on: the cursor, and the same address with it (RFC 8288).
fn continuation(call: &Call<'_>, next: u64) -> Vec<(&'static str, String)> {
    let url = call.request.url();
    let path = url.split('?').next().unwrap_or_default();
    let kept = call.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<String> = kept.map(str::to_owned).chain([format!("cursor={next}")]).collect();
    let link = format!("<{path}?{}>; rel=\"next\"", query.join("&"));
    vec![("x-next-cursor", next.to_string()), ("link", link)]
}

fn download(kind: &str, name: &str, body: &str, more: Vec<(&'static str, String)>) -> Response {
    let mut headers = vec![
        ("content-type", kind.to_owned()),
        ("content-disposition", format!("attachment; filename=\"{name}\"")),
    ];
    headers.extend(more);
    reply::whole(&Head { status: 200, headers }, body.as_bytes())
}

/// A day in UTC, which stands for its beginning, or a moment.
fn moment(call: &Call<'_>, name: &str) -> Result<Option<Time>, Failure> {
    let Some(text) = query::value(call.query, name) else { return Ok(None) };
    let found = Day::parse_iso8601(&text).map(Day::start).or_else(|| Time::parse_iso8601(&text));
    let words =
        || Failure::invalid(format!("{name}: must be a day as 2026-11-21 or a time as 2026-11-21T14:00:00Z"));
    found.map(Some).ok_or_else(words)
}

fn count(call: &Call<'_>, name: &str) -> Result<Option<u64>, Failure> {
    let read = |text: String| {
        let number = text.parse().ok().filter(|number| *number <= i64::MAX as u64);
        number.ok_or_else(|| Failure::invalid(format!("{name}: must be a whole number")))
    };
    query::value(call.query, name).map(read).transpose()
}
