//! Keys that take another's place: one limit for both, an end for the old one, and no third.

use crate::account::script::{Database, check_line, time, usd};
use millrace::account::access::{AccessAnswer, AccessCommand, AccessRefusal, Rotate};
use millrace::account::{Answer, Command, KeyKind, KeySnapshot};
use millrace::id::KeyHash;

struct Account(Database);

impl Account {
    fn new(lines: &[&str]) -> Account {
        let mut database = Database::new();
        check_line(&mut database, "0s create => created");
        check_line(&mut database, "0s grant g 100 => granted 100 total 100");
        let mut account = Account(database);
        lines.iter().for_each(|line| account.line(line));
        account
    }

    fn line(&mut self, line: &str) {
        check_line(&mut self.0, line);
    }

    fn rotate(&mut self, at: &str, rotate: Rotate) -> Option<(AccessAnswer, Vec<KeySnapshot>)> {
        let answer = self.0.tell(time(at), &AccessCommand::Rotate(rotate).told());
        let read = AccessAnswer::read(&answer);
        match answer {
            Answer::Access { snapshots, .. } => Some((read.unwrap(), snapshots)),
            Answer::NotFound => None,
            other => panic!("{other:?}"),
        }
    }

    /// Whether it was done before, and when the old key ends, in seconds.
    fn rotated(&mut self, at: &str, rotate: Rotate) -> (bool, u64) {
        match self.rotate(at, rotate).unwrap().0 {
            AccessAnswer::Rotated { already, old_expires_at, .. } => {
                (already, old_expires_at.since(time("0s")).as_secs())
            }
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, at: &str, rotate: Rotate) -> AccessRefusal {
        match self.rotate(at, rotate).unwrap().0 {
            AccessAnswer::Refused { why } => why,
            other => panic!("{other:?}"),
        }
    }
}

fn rotate(old: &str, new: &str) -> Rotate {
    let (hash, new) = (KeyHash::of(old), KeyHash::of(new));
    let label = "sk-mr-v1-...".to_owned();
    Rotate { hash, only: None, new, label, id: None, overlap_ms: 100_000, expires_at: None }
}

fn with_id(id: &str, rotate: Rotate) -> Rotate {
    Rotate { id: Some(id.to_owned()), ..rotate }
}

#[test]
fn old_and_new_spend_one_limit() {
    let mut account = Account::new(&[
        "1s key a limit 10 reset daily => key a version 1",
        "2s settle 1 a 3 => settled 3 exceeded",
        "3s hold 2 a 2 until 90s => held 2 until 90s alarm 90s",
    ]);
    assert_eq!(account.rotated("10s", rotate("a", "b")), (false, 110));
    // Ten less three spent and two held.
    account.line("11s hold 3 b 6 until 90s => refused key limit available 5 missing 1 resets 1d");
    account.line("11s hold 3 b 4 until 90s => held 4 until 90s alarm 90s");
    account.line("12s hold 4 a 2 until 90s => refused key limit available 1 missing 1 resets 1d");
    account.line("13s settle 3 b 4 => settled 4");
    account.line("13s settle 2 a 1 => settled 1");
    account.line("14s hold 5 a 3 until 90s => refused key limit available 2 missing 1 resets 1d");
    // The next one in the line knows of all of it.
    assert_eq!(account.rotated("20s", rotate("b", "c")), (false, 120));
    account.line("21s hold 6 c 3 until 90s => refused key limit available 2 missing 1 resets 1d");
    account.line("1d hold 7 c 10 until 2d => held 10 until 2d alarm 2d");
}

#[test]
fn a_limit_that_is_changed_is_the_limit_of_the_whole_line() {
    let mut account = Account::new(&["1s key a limit 10 => key a version 1"]);
    account.rotated("2s", rotate("a", "b"));
    account.line("3s update b limit 1 => updated a version 2");
    account.line("4s hold 1 a 2 until 90s => refused key limit available 1 missing 1");
    account.line("5s delete b => deleted version 3");
    account.line("6s hold 1 a 2 until 90s => refused key limit available 1 missing 1");
}

#[test]
fn the_old_key_ends_after_the_overlap_or_when_it_was_to() {
    let mut account = Account::new(&[
        "1s key a => key a version 1",
        "1s key early expires 50s => key early version 1",
        "1s key now => key now version 1",
    ]);
    assert_eq!(account.rotated("10s", rotate("a", "b")), (false, 110));
    account.line("109s authenticate a => authenticated version 2");
    account.line("110s authenticate a => refused key expired 401");
    account.line("110s authenticate b => authenticated version 1");
    account.line("111s settle 1 a 1 => settled 1 exceeded");
    assert_eq!(account.rotated("10s", rotate("early", "late")), (false, 50));
    account.line("50s authenticate late => refused key expired 401");
    assert_eq!(
        account.refused("60s", rotate("early", "later")),
        AccessRefusal::Replaced(KeyHash::of("late"))
    );
    let at_once = Rotate { overlap_ms: 0, ..rotate("now", "then") };
    assert_eq!(account.rotated("10s", at_once), (false, 10));
    account.line("10s hold 2 now 1 until 90s => refused key expired 401");
}

#[test]
fn a_key_that_ends_soon_is_replaced_by_one_that_does_not() {
    let mut account = Account::new(&["1s key a expires 50s => key a version 1"]);
    assert_eq!(account.refused("60s", rotate("a", "b")), AccessRefusal::Expired);
    let longer = Rotate { expires_at: Some(Some(time("9d"))), ..rotate("a", "b") };
    assert_eq!(account.rotated("60s", longer), (false, 50));
    account.line("61s authenticate b => authenticated version 1");
    account.line("9d authenticate b => refused key expired 401");
    let forever = Rotate { expires_at: Some(None), ..rotate("b", "c") };
    account.rotated("8d", forever);
    account.line("99d authenticate c => authenticated version 1");
}

#[test]
fn the_same_again_changes_nothing_and_another_is_refused() {
    let mut account = Account::new(&["1s key a => key a version 1"]);
    account.rotated("10s", rotate("a", "b"));
    let before = account.0.dump();
    assert_eq!(account.rotated("20s", rotate("a", "b")), (true, 110));
    assert_eq!(account.refused("20s", rotate("a", "c")), AccessRefusal::Replaced(KeyHash::of("b")));
    assert_eq!(
        account.refused("20s", with_id("x", rotate("a", "c"))),
        AccessRefusal::Replaced(KeyHash::of("b"))
    );
    assert_eq!(account.0.dump(), before);
    // Who deletes the new key may make another; the old one ends when it was to.
    account.line("21s delete b => deleted version 2");
    assert_eq!(account.rotated("30s", rotate("a", "c")), (false, 110));
}

#[test]
fn who_lost_the_answer_asks_again_by_the_same_id() {
    let mut account = Account::new(&["1s key a => key a version 1"]);
    account.rotated("10s", with_id("jan", rotate("a", "b")));
    let (answer, snapshots) = account.rotate("20s", with_id("jan", rotate("a", "c"))).unwrap();
    assert!(matches!(answer, AccessAnswer::Rotated { already: false, .. }));
    // The one that nobody has seen is a tombstone, for KV too.
    let told: Vec<_> = snapshots.iter().map(|each| (each.hash.clone(), each.deleted, each.version)).collect();
    let hash = KeyHash::of;
    assert_eq!(told, [(hash("b"), true, 2), (hash("a"), false, 3), (hash("c"), false, 1)]);
    account.line("21s authenticate b => refused key deleted 401");
    // One that was used has been seen.
    account.line("22s settle 1 c 1 => settled 1 exceeded");
    let used = AccessRefusal::Replaced(hash("c"));
    assert_eq!(account.refused("23s", with_id("jan", rotate("a", "d"))), used);
}

#[test]
fn what_is_of_another_kind_gone_or_unknown_is_not_rotated() {
    let mut account = Account::new(&[
        "1s key a => key a version 1",
        "1s key m kind management => key m version 1",
        "1s delete a => deleted version 2",
    ]);
    let only = |kind, rotate| Rotate { only: Some(kind), ..rotate };
    assert!(account.rotate("2s", rotate("a", "b")).is_none());
    assert!(account.rotate("2s", rotate("x", "b")).is_none());
    assert!(account.rotate("2s", only(KeyKind::Inference, rotate("m", "n"))).is_none());
    account.rotated("2s", only(KeyKind::Management, rotate("m", "n")));
    account.line("3s hold 1 n 1 until 90s => refused key management 403");
    let endless = Rotate { overlap_ms: 31 * 86_400_000, ..rotate("n", "o") };
    let answer = account.0.tell(time("3s"), &AccessCommand::Rotate(endless).told());
    assert!(matches!(answer, Answer::Invalid { .. }));
    let nonsense = Command::Access { command: "{}".to_owned() };
    assert!(matches!(account.0.tell(time("3s"), &nonsense), Answer::Invalid { .. }));
}

#[test]
fn usage_of_a_line_is_shown_by_each_of_its_keys() {
    let mut account = Account::new(&["1s key a limit 10 => key a version 1"]);
    account.line("2s settle 1 a 3 => settled 3 exceeded");
    account.rotated("3s", rotate("a", "b"));
    account.line("4s settle 2 b 2 => settled 2 exceeded");
    for name in ["a", "b"] {
        match account.0.tell(time("5s"), &Command::GetKey { hash: KeyHash::of(name), only: None }) {
            Answer::Key { key } => {
                assert_eq!((key.usage.total, key.limit_remaining), (usd("5"), Some(usd("5"))), "{name}");
                assert_eq!(key.replaces, (name == "b").then(|| KeyHash::of("a")));
            }
            other => panic!("{other:?}"),
        }
    }
}
