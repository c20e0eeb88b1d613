//! The operator's changes to the catalog: read, tried out, made. A change is refused as a whole,
//! with every reason, or made as a whole.

use serde_json::{Value, json};
use web_sys::Response;

use crate::account::command::{Answer, Command};
use crate::account::document::{Document as Kept, DocumentAnswer, DocumentCommand, Kind, Save};
use crate::catalog::overlay::{Document, changes, draft, merge};
use crate::endpoint::Endpoint;
use crate::error::{Cause, Failure};
use crate::exchange::Head;
use crate::id::uuid;
use crate::query;
use crate::shell::accounts::AccountClient;
use crate::shell::auth::authenticate_admin;
use crate::shell::bindings::random;
use crate::shell::manage::{Call, not_found, unexpected};
use crate::shell::{overlay, reply};

/// As many reasons as one answer gives.
const MOST_REASONS: usize = 50;
const OPERATOR: &str = "operator";

/// What laying a document would do.
struct Tried {
    text: String,
    problems: Vec<String>,
    changes: Vec<Value>,
}

pub async fn answer(call: &Call<'_>, endpoint: &Endpoint) -> Result<Response, Failure> {
    authenticate_admin(call.request, call.config)?;
    match endpoint {
        Endpoint::AdminCatalog => read(call).await,
        Endpoint::AdminCheckCatalog => check(call).await,
        Endpoint::AdminPatchCatalog => write(call, true).await,
        _ => write(call, false).await,
    }
}

/// The document in use, or the version that the query names.
async fn read(call: &Call<'_>) -> Result<Response, Failure> {
    let version = match query::value(call.query, "version") {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Failure::invalid("version: must be a whole number"))?),
    };
    match stored(call, version).await? {
        Some(kept) => Ok(shown(&kept, &json!(null), true)),
        None if version.is_some() => Err(not_found("No such version")),
        None => {
            let data = json!({ "version": 0, "updated_at": null, "document": {} });
            Ok(reply::json(200, &json!({ "data": data }).to_string()))
        }
    }
}

/// What a change would do, without making it. The body is a whole document, or with `?patch=true`
/// a change to the one in use.
async fn check(call: &Call<'_>) -> Result<Response, Failure> {
    let kept = stored(call, None).await?;
    let tried = try_out(call, kept.as_deref(), query::flag(call.query, "patch")).await?;
    let data = json!({
        "version": kept.map_or(0, |kept| kept.in_use),
        "valid": tried.problems.is_empty(),
        "problems": tried.problems,
        "changes": tried.changes,
    });
    Ok(reply::json(200, &json!({ "data": data }).to_string()))
}

async fn write(call: &Call<'_>, patch: bool) -> Result<Response, Failure> {
    let kept = stored(call, None).await?;
    let in_use = kept.as_ref().map_or(0, |kept| kept.in_use);
    let tried = try_out(call, kept.as_deref(), patch).await?;
    if let Some(first) = tried.problems.first() {
        let more = tried.problems.len() - 1;
        let words = format!(
            "The catalog is not changed: {first}{}",
            if more > 0 { format!(" (and {more} more)") } else { String::new() }
        );
        let reasons: Vec<String> = tried.problems.into_iter().take(MOST_REASONS).collect();
        return Err(Failure::invalid(words).with("problems", reasons));
    }
    let wanted = if_match(call)?.unwrap_or(in_use);
    let saved = save(call, tried.text, wanted).await?;
    overlay::lay(call.env, saved.in_use, &saved.version.body);
    let published = overlay::publish(call.env, saved.in_use, &saved.version.body).await;
    Ok(shown(&saved, &json!(tried.changes), published))
}

/// The version that must be in use, where the caller names one.
fn if_match(call: &Call<'_>) -> Result<Option<u64>, Failure> {
    let Some(text) = call.request.headers().get("if-match").ok().flatten() else {
        return Ok(None);
    };
    let number = text.trim().trim_matches('"').parse();
    number.map(Some).map_err(|_| Failure::invalid("If-Match: must be the number of a version"))
}

async fn stored(call: &Call<'_>, version: Option<u64>) -> Result<Option<Box<Kept>>, Failure> {
    let command = DocumentCommand::Get { kind: Kind::Catalog, slug: overlay::SLUG.to_owned(), version };
    let client = AccountClient::new(call.env, &overlay::operator());
    let answer = client.call(&command.told()).await.map_err(|_| crate::exchange::account_down())?;
    match DocumentAnswer::read(&answer) {
        Some(DocumentAnswer::One { one }) => Ok(Some(one)),
        None if matches!(answer, Answer::Missing | Answer::NotFound) => Ok(None),
        _ => Err(unexpected()),
    }
}

/// Works out what the body asks for, against what is in use.
async fn try_out(call: &Call<'_>, kept: Option<&Kept>, patch: bool) -> Result<Tried, Failure> {
    let body =
        String::from_utf8(call.body().await?).map_err(|_| Failure::invalid("The body is not UTF-8"))?;
    if let Some(kept) = kept {
        overlay::lay(call.env, kept.in_use, &kept.version.body);
    }
    let text = if patch { patched(kept, &body)? } else { body };
    let before = overlay::current(call.env).catalog;
    Ok(match Document::read(&text) {
        Err(words) => Tried { text, problems: vec![words], changes: Vec::new() },
        Ok(document) => {
            let (draft, problems) = overlay::with_names(|names| draft(&document, names));
            Tried { text, problems, changes: changes(before, &draft) }
        }
    })
}

fn patched(kept: Option<&Kept>, patch: &str) -> Result<String, Failure> {
    let read = |text: &str| {
        serde_json::from_str::<Value>(text)
            .map_err(|error| Failure::invalid(format!("The body is not JSON: {error}")))
    };
    let mut document = read(kept.map_or("{}", |kept| &kept.version.body))?;
    merge(&mut document, &read(patch)?);
    Ok(document.to_string())
}

/// Keeps a new version, in the operator's object; the first makes the object.
async fn save(call: &Call<'_>, body: String, replaces: u64) -> Result<Box<Kept>, Failure> {
    let account = overlay::operator();
    let save = Save {
        kind: Kind::Catalog,
        slug: overlay::SLUG.to_owned(),
        id: uuid(&random()),
        document_id: uuid(&random()),
        body,
        creator: OPERATOR.to_owned(),
        replaces: Some(replaces),
    };
    call.ask(&account, Command::Create { account: account.clone(), name: OPERATOR.to_owned() }).await?;
    let answer = call.ask(&account, DocumentCommand::Save(save).told()).await?;
    match DocumentAnswer::read(&answer) {
        Some(DocumentAnswer::One { one }) => Ok(one),
        Some(DocumentAnswer::Stale { in_use }) => {
            let words = format!("Version {in_use} of the catalog is in use, not {replaces}: read it again");
            Err(Failure::new(Cause::Conflict, words).with("version", in_use))
        }
        _ => Err(unexpected()),
    }
}

fn shown(kept: &Kept, changes: &Value, published: bool) -> Response {
    let document: Value = serde_json::from_str(&kept.version.body).unwrap_or_default();
    let mut body = json!({ "data": {
        "version": kept.version.number,
        "updated_at": kept.version.created_at.to_iso8601(),
        "document": document,
    } });
    if !changes.is_null() {
        body["changes"] = changes.clone();
        // Otherwise only this isolate has it, until the same document is sent again.
        body["published"] = json!(published);
    }
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("etag", format!("\"{}\"", kept.version.number)),
        ("cache-control", "no-store".to_owned()),
    ];
    reply::whole(&Head { status: 200, headers }, body.to_string().as_bytes())
}
