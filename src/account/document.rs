//! Documents that an account keeps in versions: its presets, and in the operator's own object what
//! is laid over the catalog. A version never changes; one of them is in use.

use super::ledger::invalid;
use super::store::{Column, Fault, Row, Store};
use super::{Answer, Command, text};
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// The longest body, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;
/// The longest name or description, in bytes.
pub const TEXT_BYTES: usize = 1024;
/// How many documents of one kind there may be.
pub const MOST: u64 = 500;
/// How many versions of one are kept beside the one in use: the latest.
pub const VERSIONS: u64 = 100;

/// What a document is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Preset,
    Catalog,
}

/// Whether a document may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Disabled,
    Archived,
}

/// What can be done with documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentCommand {
    Save(Save),
    /// Asks for one with the version in use, or with `version`.
    Get {
        kind: Kind,
        slug: String,
        #[serde(default)]
        version: Option<u64>,
    },
    /// Asks for a page, the one changed last first. Archived ones are left out.
    List {
        kind: Kind,
        offset: u64,
        limit: u64,
    },
    /// Asks for a page of the versions of one, oldest first.
    Versions {
        kind: Kind,
        slug: String,
        offset: u64,
        limit: u64,
    },
    Change(Change),
}

/// Makes a document, or a new version of one, and puts it in use; an archived one comes back. The
/// same `id` again changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Save {
    pub kind: Kind,
    pub slug: String,
    /// Names the version.
    pub id: String,
    /// Names the document if it is new.
    pub document_id: String,
    /// JSON.
    pub body: String,
    /// Who made it.
    pub creator: String,
    /// The version that must be in use for this to be done; 0 for no document.
    #[serde(default)]
    pub replaces: Option<u64>,
}

/// Changes what is said of a document, or which version is in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub kind: Kind,
    pub slug: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub status: Option<Status>,
    #[serde(default)]
    pub version: Option<u64>,
}

/// A document with one of its versions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub id: String,
    pub slug: String,
    pub name: String,
    pub description: Option<String>,
    pub status: Status,
    #[serde(with = "text::optional_ms")]
    pub status_updated_at: Option<Time>,
    pub creator: String,
    #[serde(with = "text::ms")]
    pub created_at: Time,
    #[serde(with = "text::ms")]
    pub updated_at: Time,
    /// The number of the version in use.
    pub in_use: u64,
    /// The version asked for.
    pub version: Version,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    pub id: String,
    /// From 1.
    pub number: u64,
    /// JSON; empty in lists of documents.
    pub body: String,
    pub creator: String,
    #[serde(with = "text::ms")]
    pub created_at: Time,
}

/// What a [`DocumentCommand`] is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentAnswer {
    /// To `Save`, `Get` and `Change`.
    One { one: Box<Document> },
    /// To `List`.
    Many { many: Vec<Document>, total: u64 },
    /// To `Versions`.
    Versions { versions: Vec<Version>, document_id: String, total: u64 },
    /// To `Save`: another version is in use.
    Stale { in_use: u64 },
    /// To `Save`: there are as many documents as there may be.
    Full,
}

impl DocumentCommand {
    /// The command as an account is told it.
    pub fn told(&self) -> Command {
        let command = serde_json::to_string(self).expect("texts, numbers and nulls are always JSON");
        Command::Document { command }
    }

    /// What makes the command senseless in any account, if anything does.
    pub fn flaw(&self) -> Option<&'static str> {
        let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES);
        match self {
            DocumentCommand::Save(save) if save.body.len() > BODY_BYTES => Some("the document is too long"),
            DocumentCommand::Save(save) if save.slug.is_empty() || save.slug.len() > TEXT_BYTES => {
                Some("a document needs a slug of at most 1024 bytes")
            }
            DocumentCommand::Change(change) if long(&change.name) || long(&change.description) => {
                Some("name and description have at most 1024 bytes")
            }
            DocumentCommand::Change(change)
                if change.name.as_ref().is_some_and(|name| name.trim().is_empty()) =>
            {
                Some("the name must not be empty")
            }
            DocumentCommand::Save(_)
            | DocumentCommand::Change(_)
            | DocumentCommand::Get { .. }
            | DocumentCommand::List { .. }
            | DocumentCommand::Versions { .. } => None,
        }
    }
}

impl DocumentAnswer {
    /// Reads the answer to [`DocumentCommand::told`]; `None` for any other.
    pub fn read(answer: &Answer) -> Option<DocumentAnswer> {
        match answer {
            Answer::Document { answer } => crate::json::read(answer).ok(),
            _ => None,
        }
    }
}

pub(super) fn execute(store: &Store, now: Time, command: &str) -> Result<Answer, Fault> {
    let Ok(command) = crate::json::read::<DocumentCommand>(command) else {
        return Ok(invalid("not a command for documents"));
    };
    if let Some(flaw) = command.flaw() {
        return Ok(invalid(flaw));
    }
    let answer = match &command {
        DocumentCommand::Save(wanted) => Some(save(store, now, wanted)?),
        DocumentCommand::Get { kind, slug, version } => get(store, *kind, slug, *version)?,
        DocumentCommand::List { kind, offset, limit } => Some(list(store, *kind, *offset, *limit)?),
        DocumentCommand::Versions { kind, slug, offset, limit } => {
            versions(store, *kind, slug, *offset, *limit)?
        }
        DocumentCommand::Change(wanted) => change(store, now, wanted)?,
    };
    let write = |answer| serde_json::to_string(&answer).expect("texts, numbers and nulls are always JSON");
    Ok(answer.map_or(Answer::NotFound, |answer| Answer::Document { answer: write(answer) }))
}

fn save(store: &Store, now: Time, wanted: &Save) -> Result<DocumentAnswer, Fault> {
    let Save { kind, slug, id, document_id, body, creator, replaces } = wanted;
    let found = find(store, *kind, slug)?;
    if let Some((number, version)) = version_of(store, id)?
        && let Some(document) = read(store, number, Some(version))?
    {
        return Ok(one(document));
    }
    let in_use = found.map_or(0, |(_, in_use)| in_use);
    if replaces.is_some_and(|wanted| wanted != in_use) {
        return Ok(DocumentAnswer::Stale { in_use });
    }
    let number = match found {
        Some((number, _)) => number,
        None if count(store, *kind)? >= MOST => return Ok(DocumentAnswer::Full),
        None => make(store, now, *kind, slug, document_id, creator)?,
    };
    let last: u64 = number_of(
        store,
        "SELECT CAST(COALESCE(MAX(version), 0) AS TEXT) FROM document_version WHERE document = CAST(?1 AS INTEGER)",
        number,
    )?;
    let version = last + 1;
    store.write(
        "INSERT INTO document_version (document, version, id, body, creator, at)
         VALUES (CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), ?3, ?4, ?5, CAST(?6 AS INTEGER))",
        &[number.cell(), version.cell(), id.cell(), body.cell(), creator.cell(), now.cell()],
    )?;
    store.write(
        "UPDATE document SET version = CAST(?2 AS INTEGER), updated_at = CAST(?3 AS INTEGER),
         status = CASE status WHEN 'archived' THEN 'active' ELSE status END
         WHERE number = CAST(?1 AS INTEGER)",
        &[number.cell(), version.cell(), now.cell()],
    )?;
    store.write(
        "DELETE FROM document_version WHERE document = CAST(?1 AS INTEGER) AND version < CAST(?2 AS INTEGER)",
        &[number.cell(), version.saturating_sub(VERSIONS).cell()],
    )?;
    let document = read(store, number, None)?.ok_or(Fault::Corrupt("document"))?;
    Ok(one(document))
}

fn make(store: &Store, now: Time, kind: Kind, slug: &str, id: &str, creator: &str) -> Result<u64, Fault> {
    let cells =
        [kind.cell(), slug.to_owned().cell(), id.to_owned().cell(), creator.to_owned().cell(), now.cell()];
    store.write(
        "INSERT INTO document (kind, slug, id, name, status, creator, version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?2, 'active', ?4, 0, CAST(?5 AS INTEGER), CAST(?5 AS INTEGER))",
        &cells,
    )?;
    find(store, kind, slug)?.map(|(number, _)| number).ok_or(Fault::Corrupt("document"))
}

fn get(store: &Store, kind: Kind, slug: &str, version: Option<u64>) -> Result<Option<DocumentAnswer>, Fault> {
    let Some((number, _)) = find(store, kind, slug)? else {
        return Ok(None);
    };
    Ok(read(store, number, version)?.map(one))
}

fn list(store: &Store, kind: Kind, offset: u64, limit: u64) -> Result<DocumentAnswer, Fault> {
    let statement = format!(
        "SELECT {DOCUMENT}, {VERSION_WITHOUT_BODY} FROM document AS d JOIN document_version AS v
         ON v.document = d.number AND v.version = d.version WHERE kind = ?1 AND status <> 'archived'
         ORDER BY updated_at DESC, number DESC LIMIT CAST(?2 AS INTEGER) OFFSET CAST(?3 AS INTEGER)"
    );
    let rows = store.rows(&statement, &[kind.cell(), limit.cell(), offset.min(i64::MAX as u64).cell()])?;
    let many = rows.into_iter().map(read_document).collect::<Result<_, Fault>>()?;
    let total = store.row(
        "SELECT CAST(COUNT(*) AS TEXT) FROM document WHERE kind = ?1 AND status <> 'archived'",
        &[kind.cell()],
    )?;
    Ok(DocumentAnswer::Many { many, total: total.ok_or(Fault::Corrupt("count"))?.next()? })
}

fn versions(
    store: &Store,
    kind: Kind,
    slug: &str,
    offset: u64,
    limit: u64,
) -> Result<Option<DocumentAnswer>, Fault> {
    let Some((number, in_use)) = find(store, kind, slug)? else {
        return Ok(None);
    };
    let statement = format!(
        "SELECT {VERSION} FROM document_version AS v WHERE document = CAST(?1 AS INTEGER)
         ORDER BY v.version LIMIT CAST(?2 AS INTEGER) OFFSET CAST(?3 AS INTEGER)"
    );
    let cells = [number.cell(), limit.cell(), offset.min(i64::MAX as u64).cell()];
    let versions = store
        .rows(&statement, &cells)?
        .into_iter()
        .map(|mut row| read_version(&mut row))
        .collect::<Result<_, Fault>>()?;
    let total = number_of(
        store,
        "SELECT CAST(COUNT(*) AS TEXT) FROM document_version WHERE document = CAST(?1 AS INTEGER)",
        number,
    )?;
    let document = read(store, number, Some(in_use))?.ok_or(Fault::Corrupt("document"))?;
    Ok(Some(DocumentAnswer::Versions { versions, document_id: document.id, total }))
}

fn change(store: &Store, now: Time, wanted: &Change) -> Result<Option<DocumentAnswer>, Fault> {
    let Some((number, in_use)) = find(store, wanted.kind, &wanted.slug)? else {
        return Ok(None);
    };
    let version = wanted.version.unwrap_or(in_use);
    let Some(before) = read(store, number, Some(version))? else {
        return Ok(None);
    };
    let status = wanted.status.unwrap_or(before.status);
    let same = wanted.name.as_ref().is_none_or(|name| *name == before.name)
        && (wanted.description.is_none() || wanted.description == before.description)
        && status == before.status
        && version == in_use;
    if !same {
        let status_at = if status == before.status { before.status_updated_at } else { Some(now) };
        store.write(
            "UPDATE document SET name = COALESCE(?2, name), description = COALESCE(?3, description), status = ?4,
             status_at = CAST(?5 AS INTEGER), version = CAST(?6 AS INTEGER), updated_at = CAST(?7 AS INTEGER)
             WHERE number = CAST(?1 AS INTEGER)",
            &[
                number.cell(),
                wanted.name.cell(),
                wanted.description.cell(),
                status.cell(),
                status_at.cell(),
                version.cell(),
                now.cell(),
            ],
        )?;
    }
    Ok(read(store, number, None)?.map(one))
}

const DOCUMENT: &str = "d.id, slug, name, description, status, CAST(status_at AS TEXT), d.creator,
    CAST(created_at AS TEXT), CAST(updated_at AS TEXT), CAST(d.version AS TEXT)";
const VERSION: &str = "v.id, CAST(v.version AS TEXT), v.body, v.creator, CAST(v.at AS TEXT)";
const VERSION_WITHOUT_BODY: &str = "v.id, CAST(v.version AS TEXT), '', v.creator, CAST(v.at AS TEXT)";

/// The document's number, and the version in use.
fn find(store: &Store, kind: Kind, slug: &str) -> Result<Option<(u64, u64)>, Fault> {
    let row = store.row(
        "SELECT CAST(number AS TEXT), CAST(version AS TEXT) FROM document WHERE kind = ?1 AND slug = ?2",
        &[kind.cell(), slug.to_owned().cell()],
    )?;
    row.map(|mut row| Ok((row.next()?, row.next()?))).transpose()
}

/// Where the version of that id is: its document's number and its own.
fn version_of(store: &Store, id: &String) -> Result<Option<(u64, u64)>, Fault> {
    let row = store.row(
        "SELECT CAST(document AS TEXT), CAST(version AS TEXT) FROM document_version WHERE id = ?1",
        &[id.cell()],
    )?;
    row.map(|mut row| Ok((row.next()?, row.next()?))).transpose()
}

/// A document with that version, or with the one in use.
fn read(store: &Store, number: u64, version: Option<u64>) -> Result<Option<Document>, Fault> {
    let statement = format!(
        "SELECT {DOCUMENT}, {VERSION} FROM document AS d JOIN document_version AS v
         ON v.document = d.number AND v.version = COALESCE(CAST(?2 AS INTEGER), d.version)
         WHERE number = CAST(?1 AS INTEGER)"
    );
    store.row(&statement, &[number.cell(), version.cell()])?.map(read_document).transpose()
}

fn read_document(mut row: Row) -> Result<Document, Fault> {
    Ok(Document {
        id: row.next()?,
        slug: row.next()?,
        name: row.next()?,
        description: row.next()?,
        status: row.next()?,
        status_updated_at: row.next()?,
        creator: row.next()?,
        created_at: row.next()?,
        updated_at: row.next()?,
        in_use: row.next()?,
        version: read_version(&mut row)?,
    })
}

fn read_version(row: &mut Row) -> Result<Version, Fault> {
    Ok(Version {
        id: row.next()?,
        number: row.next()?,
        body: row.next()?,
        creator: row.next()?,
        created_at: row.next()?,
    })
}

fn count(store: &Store, kind: Kind) -> Result<u64, Fault> {
    let row = store.row("SELECT CAST(COUNT(*) AS TEXT) FROM document WHERE kind = ?1", &[kind.cell()])?;
    row.ok_or(Fault::Corrupt("count"))?.next()
}

fn number_of(store: &Store, statement: &str, document: u64) -> Result<u64, Fault> {
    store.row(statement, &[document.cell()])?.ok_or(Fault::Corrupt("number"))?.next()
}

fn one(document: Document) -> DocumentAnswer {
    DocumentAnswer::One { one: Box::new(document) }
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Preset => "preset",
            Kind::Catalog => "catalog",
        }
    }
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Disabled => "disabled",
            Status::Archived => "archived",
        }
    }

    pub fn parse(text: &str) -> Option<Status> {
        [Status::Active, Status::Disabled, Status::Archived].into_iter().find(|one| one.as_str() == text)
    }
}
