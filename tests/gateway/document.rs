//! Documents that an account keeps in versions.

use crate::account::script::Database;
use millrace::account::document::{
    Change, Document, DocumentAnswer, DocumentCommand, Kind, MOST, Save, Status, VERSIONS,
};
use millrace::account::{Answer, Command};
use millrace::id::AccountId;
use millrace::time::Time;

#[test]
fn each_save_is_a_version_and_the_last_is_in_use() {
    let mut database = open();
    let first = one(save(&mut database, 1, "x", "a", "one", None));
    assert_eq!((first.in_use, first.version.number, first.version.body.as_str()), (1, 1, "one"));
    assert_eq!((first.slug.as_str(), first.name.as_str(), first.id.as_str()), ("x", "x", "document of a"));
    let second = one(save(&mut database, 2, "x", "b", "two", None));
    assert_eq!(
        (second.in_use, second.id == first.id, second.created_at, second.updated_at),
        (2, true, ms(1), ms(2))
    );
    let replayed = one(save(&mut database, 3, "x", "a", "other", None));
    assert_eq!((replayed.version.body.as_str(), replayed.in_use), ("one", 2), "the same id changes nothing");
    assert_eq!(one(get(&mut database, "x", None)).version.body, "two");
    assert_eq!(one(get(&mut database, "x", Some(1))).version.body, "one");
    assert_eq!(get(&mut database, "x", Some(3)), Answer::NotFound);
    assert_eq!(get(&mut database, "y", None), Answer::NotFound);
    match DocumentAnswer::read(&tell(
        &mut database,
        4,
        DocumentCommand::Versions { kind: Kind::Preset, slug: "x".into(), offset: 1, limit: 9 },
    )) {
        Some(DocumentAnswer::Versions { versions, document_id, total }) => {
            assert_eq!((versions.len(), versions[0].number, total), (1, 2, 2));
            assert_eq!(document_id, first.id);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_save_that_replaces_another_version_is_stale() {
    let mut database = open();
    assert!(is(save(&mut database, 1, "x", "a", "one", Some(1)), DocumentAnswer::Stale { in_use: 0 }));
    one(save(&mut database, 1, "x", "a", "one", Some(0)));
    assert!(is(save(&mut database, 2, "x", "b", "two", Some(0)), DocumentAnswer::Stale { in_use: 1 }));
    one(save(&mut database, 2, "x", "b", "two", Some(1)));
}

#[test]
fn another_version_can_be_put_in_use_and_a_document_away() {
    let mut database = open();
    save(&mut database, 1, "x", "a", "one", None);
    save(&mut database, 2, "x", "b", "two", None);
    let change = |version, status, name: Option<&str>| Change {
        kind: Kind::Preset,
        slug: "x".into(),
        name: name.map(str::to_owned),
        description: name.map(str::to_owned),
        status,
        version,
    };
    let changed = one(tell(&mut database, 3, DocumentCommand::Change(change(Some(1), None, Some("N")))));
    assert_eq!((changed.in_use, changed.version.body.as_str(), changed.name.as_str()), (1, "one", "N"));
    assert_eq!((changed.status_updated_at, changed.description.as_deref()), (None, Some("N")));
    let same = one(tell(&mut database, 4, DocumentCommand::Change(change(None, None, None))));
    assert_eq!(same.updated_at, ms(3), "nothing changed");
    assert_eq!(
        tell(&mut database, 5, DocumentCommand::Change(change(Some(9), None, None))),
        Answer::NotFound
    );
    let away =
        one(tell(&mut database, 6, DocumentCommand::Change(change(None, Some(Status::Archived), None))));
    assert_eq!((away.status, away.status_updated_at), (Status::Archived, Some(ms(6))));
    assert_eq!(listed(&mut database), (Vec::new(), 0));
    let back = one(save(&mut database, 7, "x", "c", "three", None));
    assert_eq!((back.status, back.in_use), (Status::Active, 3));
    assert_eq!(listed(&mut database), (vec!["x".to_owned()], 1));
}

#[test]
fn lists_begin_with_what_was_changed_last_and_hold_one_kind() {
    let mut database = open();
    for (at, slug) in [(1, "a"), (2, "b"), (3, "c"), (4, "a")] {
        save(&mut database, at, slug, &format!("{at}"), "{}", None);
    }
    let other = Save { kind: Kind::Catalog, ..wanted("overlay", "o", "{}", None) };
    one(tell(&mut database, 5, DocumentCommand::Save(other)));
    assert_eq!(listed(&mut database), (vec!["a".to_owned(), "c".to_owned(), "b".to_owned()], 3));
}

#[test]
fn versions_and_documents_are_bounded() {
    let mut database = open();
    for at in 1..=VERSIONS + 5 {
        save(&mut database, at, "x", &format!("{at}"), "{}", None);
    }
    assert_eq!(get(&mut database, "x", Some(4)), Answer::NotFound);
    assert_eq!(one(get(&mut database, "x", Some(5))).version.number, 5);
    for row in 1..MOST {
        save(&mut database, 1, &format!("s{row}"), &format!("s{row}"), "{}", None);
    }
    assert!(is(save(&mut database, 1, "more", "more", "{}", None), DocumentAnswer::Full));
    one(save(&mut database, 1, "x", "one more version", "{}", None));
    for save in [
        wanted("", "a", "{}", None),
        wanted("x", "a", &"x".repeat(millrace::account::document::BODY_BYTES + 1), None),
    ] {
        let answer = tell(&mut database, 1, DocumentCommand::Save(save));
        assert!(matches!(answer, Answer::Invalid { .. }), "{answer:?}");
    }
}

fn open() -> Database {
    let mut database = Database::new();
    let account = AccountId::parse("0123456789Ab").unwrap();
    database.tell(ms(0), &Command::Create { account, name: "documents".into() });
    database
}

fn wanted(slug: &str, id: &str, body: &str, replaces: Option<u64>) -> Save {
    Save {
        kind: Kind::Preset,
        slug: slug.into(),
        id: id.into(),
        document_id: format!("document of {id}"),
        body: body.into(),
        creator: "me".into(),
        replaces,
    }
}

fn save(database: &mut Database, at: u64, slug: &str, id: &str, body: &str, replaces: Option<u64>) -> Answer {
    tell(database, at, DocumentCommand::Save(wanted(slug, id, body, replaces)))
}

fn get(database: &mut Database, slug: &str, version: Option<u64>) -> Answer {
    tell(database, 9, DocumentCommand::Get { kind: Kind::Preset, slug: slug.into(), version })
}

fn listed(database: &mut Database) -> (Vec<String>, u64) {
    match DocumentAnswer::read(&tell(
        database,
        9,
        DocumentCommand::List { kind: Kind::Preset, offset: 0, limit: 50 },
    )) {
        Some(DocumentAnswer::Many { many, total }) => (many.into_iter().map(|one| one.slug).collect(), total),
        other => panic!("{other:?}"),
    }
}

fn tell(database: &mut Database, at: u64, command: DocumentCommand) -> Answer {
    database.tell(ms(at), &command.told())
}

fn one(answer: Answer) -> Document {
    match DocumentAnswer::read(&answer) {
        Some(DocumentAnswer::One { one }) => *one,
        _ => panic!("{answer:?}"),
    }
}

fn is(answer: Answer, expected: DocumentAnswer) -> bool {
    DocumentAnswer::read(&answer) == Some(expected)
}

fn ms(at: u64) -> Time {
    Time::from_ms(at)
}
