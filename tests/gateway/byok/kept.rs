//! How an account keeps keys of its own, what it counts of their use, and what KV is told.

use serde_json::{Map, Value, json};

use crate::account::script::Database;
use millrace::account::byok::{ByokAnswer, ByokCommand, ByokRow, MOST, to_mirror};
use millrace::account::{Answer, Command, Held, Hold, KeyKind, LimitReset, NewKeyPolicy, Report, Settle};
use millrace::byok::view;
use millrace::id::{AccountId, GenerationId, KeyHash};
use millrace::money::Money;
use millrace::time::Time;

const NOW: Time = Time::from_ms(1_795_270_407_000);

fn open() -> Database {
    let mut database = Database::new();
    let account = AccountId::parse("0123456789Ab").unwrap();
    database.tell(NOW, &Command::Create { account, name: "x".into() });
    database
}

fn tell(database: &mut Database, command: &ByokCommand) -> ByokAnswer {
    let command = serde_json::to_string(command).unwrap();
    match database.tell(NOW, &Command::Byok { command }) {
        Answer::Byok { answer } => serde_json::from_str(&answer).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn rules(rules: Value) -> Map<String, Value> {
    rules.as_object().cloned().unwrap()
}

fn create(database: &mut Database, id: &str, provider: &str, policy: Value) -> ByokAnswer {
    let (sealed, label) = (format!("1.sealed-{id}"), "sk-...AbCd".to_owned());
    let (id, provider) = (id.to_owned(), provider.to_owned());
    tell(database, &ByokCommand::Create { id, provider, sealed, label, policy: rules(policy) })
}

fn row(answer: ByokAnswer) -> ByokRow {
    match answer {
        ByokAnswer::Changed { row: Some(row), .. } | ByokAnswer::One { row } => row,
        other => panic!("{other:?}"),
    }
}

fn make_key(database: &mut Database, name: &str, limit: Option<&str>, include_byok: bool) -> KeyHash {
    let hash = KeyHash::of(name);
    let policy = NewKeyPolicy {
        hash: hash.clone(),
        label: "l".into(),
        name: name.into(),
        kind: KeyKind::Inference,
        limit: limit.map(|text| Money::parse_usd(text).unwrap()),
        limit_reset: limit.map(|_| LimitReset::Daily),
        include_byok_in_limit: include_byok,
        expires_at: None,
        holder: Default::default(),
        workspace: String::new(),
    };
    database.tell(NOW, &Command::CreateKey(policy));
    hash
}

#[test]
fn keys_are_kept_changed_listed_and_deleted() {
    let mut database = open();
    let first = row(create(&mut database, "a", "openai", json!({ "name": "mine" })));
    assert_eq!((first.sort_order, first.policy.name.as_deref()), (0, Some("mine")));
    assert_eq!(
        row(create(&mut database, "a", "openai", json!({ "name": "other" }))),
        first,
        "the same id changes nothing"
    );
    assert_eq!(row(create(&mut database, "b", "openai", json!({}))).sort_order, 1);
    assert_eq!(row(create(&mut database, "c", "groq", json!({}))).sort_order, 0);
    let list = |database: &mut Database, provider: Option<&str>, offset| {
        let (provider, workspace) = (provider.map(str::to_owned), None);
        match tell(database, &ByokCommand::List { provider, workspace, offset, limit: 2 }) {
            ByokAnswer::Many { rows, total } => {
                (rows.into_iter().map(|row| row.id).collect::<Vec<_>>().join(" "), total)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(&mut database, None, 0), ("c a".into(), 3));
    assert_eq!(list(&mut database, None, 2), ("b".into(), 3));
    assert_eq!(list(&mut database, Some("openai"), 0), ("a b".into(), 2));
    let secret = Some(("2.sealed".to_owned(), "sk-...new".to_owned()));
    let policy = rules(json!({ "disabled": true, "name": null }));
    let changed = row(tell(&mut database, &ByokCommand::Change { id: "a".into(), policy, secret }));
    assert_eq!(
        (changed.label.as_str(), changed.policy.disabled, changed.policy.name.clone()),
        ("sk-...new", true, None)
    );
    assert_eq!(row(tell(&mut database, &ByokCommand::Get { id: "a".into() })), changed);
    assert!(!view::write_key(&changed).contains("sealed"));
    // Both SDKs of OpenRouter's refuse an object that lacks one of these.
    let shown: Value = serde_json::from_str(&view::write_key(&changed)).unwrap();
    for member in [
        "allowed_models",
        "allowed_user_ids",
        "declared_region",
        "declared_zdr",
        "is_byok_only",
        "is_required",
    ] {
        assert!(shown["data"].get(member).is_some(), "{member}");
    }
    assert!(matches!(
        tell(&mut database, &ByokCommand::Delete { id: "a".into() }),
        ByokAnswer::Changed { .. }
    ));
    assert_eq!(tell(&mut database, &ByokCommand::Delete { id: "a".into() }), ByokAnswer::NotFound);
    assert_eq!(database.text("SELECT COUNT(*) FROM byok_key WHERE sealed LIKE '%2.sealed%'"), "0");
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    let mut database = open();
    let hash = make_key(&mut database, "k", None, false).to_string();
    let rows = [
        (json!({ "is_fallback": true, "is_byok_only": true }), false),
        (json!({ "is_fallback": true, "is_required": true }), false),
        (json!({ "allowed_api_key_hashes": ["0".repeat(64)] }), false),
        (json!({ "allowed_api_key_hashes": [hash] }), true),
    ];
    for (policy, good) in rows {
        let answer = create(&mut database, "a", "openai", policy.clone());
        assert_eq!(matches!(answer, ByokAnswer::Changed { .. }), good, "{policy}: {answer:?}");
    }
    let policy = rules(json!({ "is_byok_only": true }));
    row(tell(&mut database, &ByokCommand::Change { id: "a".into(), policy, secret: None }));
    let policy = rules(json!({ "is_fallback": true }));
    let answer = tell(&mut database, &ByokCommand::Change { id: "a".into(), policy, secret: None });
    assert!(matches!(answer, ByokAnswer::Refused { .. }), "{answer:?}");
    for number in 1..MOST {
        create(&mut database, &format!("n{number}"), "openai", json!({}));
    }
    assert!(matches!(create(&mut database, "more", "openai", json!({})), ByokAnswer::Refused { .. }));
}

/// KV has what may be used, and with the first and the last of them each key of the account is said to
/// have some or none.
#[test]
fn kv_is_told_of_every_change() {
    let mut database = open();
    make_key(&mut database, "k", None, false);
    let mut told = |command: &ByokCommand| {
        let answer = serde_json::to_string(&tell(&mut database, command)).unwrap();
        let (name, mirror, keys) = to_mirror(&database, &answer).unwrap()?;
        let ids = serde_json::from_str::<Value>(&mirror).unwrap()["keys"].as_array().unwrap().len();
        assert_eq!(name, "byok:0123456789Ab");
        Some((ids, keys.iter().map(|key| key.byok).collect::<Vec<_>>()))
    };
    let new = |id: &str| ByokCommand::Create {
        id: id.into(),
        provider: "openai".into(),
        sealed: "s".into(),
        label: "l".into(),
        policy: Map::new(),
    };
    assert_eq!(told(&new("a")), Some((1, vec![true])));
    assert_eq!(told(&new("b")), Some((2, vec![])));
    assert_eq!(told(&ByokCommand::Get { id: "a".into() }), None);
    let policy = rules(json!({ "disabled": true }));
    assert_eq!(told(&ByokCommand::Change { id: "b".into(), policy, secret: None }), Some((1, vec![])));
    assert_eq!(told(&ByokCommand::Delete { id: "b".into() }), Some((1, vec![true])));
    assert_eq!(told(&ByokCommand::Delete { id: "a".into() }), Some((0, vec![false])));
    let hash = KeyHash::of("k");
    let has_own =
        |database: &mut Database| match database.tell(NOW, &Command::Authenticate { hash: hash.clone() }) {
            Answer::Authenticated { snapshot } => snapshot.byok,
            other => panic!("{other:?}"),
        };
    assert!(!has_own(&mut database));
    create(&mut database, "c", "openai", json!({}));
    assert!(has_own(&mut database));
}

#[test]
fn use_is_counted_by_key_and_month_and_within_limits_that_say_so() {
    let mut database = open();
    let grant = Money::parse_usd("10").unwrap();
    database.tell(NOW, &Command::Grant { id: "g".into(), amount: grant, reason: String::new() });
    let plain = make_key(&mut database, "plain", Some("1"), false);
    let strict = make_key(&mut database, "strict", Some("1"), true);
    let mut number = 0u8;
    let mut spend = |database: &mut Database, key: &KeyHash, listed: &str, is_byok: bool| {
        number += 1;
        let generation = GenerationId::new(NOW, &[number; 20]);
        let listed = Money::parse_usd(listed).unwrap().to_text();
        let record = json!({ "is_byok": is_byok, "upstream_inference_cost": listed }).to_string();
        let amount = Money::from_pico(1);
        let settle =
            Settle { generation, key: key.clone(), amount, lease: None, record: Some(record), used: None };
        let report =
            |settle: &Settle| Command::Report(Report { charges: vec![settle.clone()], ..Report::default() });
        database.tell(NOW, &report(&settle));
        // Told again, it counts once.
        match database.tell(NOW, &report(&settle)) {
            Answer::Reported(reported) => reported.byok_used.map(Money::to_usd),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(spend(&mut database, &plain, "0.25", true), None, "an account that has none is asked nothing");
    create(&mut database, "a", "openai", json!({}));
    assert_eq!(spend(&mut database, &plain, "0.5", true).as_deref(), Some("0.75"));
    assert_eq!(spend(&mut database, &plain, "7", false).as_deref(), Some("0.75"));
    assert_eq!(spend(&mut database, &strict, "0.9", true).as_deref(), Some("1.65"));
    for (key, used, remaining) in [(&plain, "0.75", "0.999999999997"), (&strict, "0.9", "0.099999999999")] {
        match database.tell(NOW, &Command::GetKey { hash: key.clone(), only: None }) {
            Answer::Key { key } => {
                assert_eq!(key.byok_usage.total.to_usd(), used);
                assert_eq!(key.byok_usage.monthly, key.byok_usage.total);
                assert_eq!(key.limit_remaining.unwrap().to_usd(), remaining);
            }
            other => panic!("{other:?}"),
        }
    }
    let hold = |key: &KeyHash| {
        let (generation, amount) = (GenerationId::new(NOW, &[99; 20]), Money::parse_usd("0.1").unwrap());
        let expires_at = Time::from_ms(NOW.ms() + 1000);
        let hold = Hold {
            generation,
            key: key.clone(),
            amount,
            minimum: None,
            part: Default::default(),
            expires_at,
            models: Vec::new(),
            end_user: None,
            take: Default::default(),
        };
        Command::Report(Report { hold: Some(hold), ..Report::default() })
    };
    for (key, held) in [(&strict, false), (&plain, true)] {
        match database.tell(NOW, &hold(key)) {
            Answer::Reported(reported) => assert_eq!(matches!(reported.hold, Some(Held::Held { .. })), held),
            other => panic!("{other:?}"),
        }
    }
    let next_month = Time::from_ms(NOW.ms() + 31 * 86_400_000);
    match database.tell(next_month, &Command::Report(Report::default())) {
        Answer::Reported(reported) => assert_eq!(reported.byok_used, Some(Money::ZERO)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn commands_and_answers_are_read_as_they_are_written() {
    let id = || "a".to_owned();
    let commands = [
        ByokCommand::Change { id: id(), policy: rules(json!({"disabled": true})), secret: None },
        ByokCommand::Change { id: id(), policy: Map::new(), secret: Some(("s".into(), "l".into())) },
        ByokCommand::Delete { id: id() },
        ByokCommand::Get { id: id() },
        ByokCommand::List { provider: Some("openai".into()), workspace: None, offset: 1, limit: 2 },
        ByokCommand::Mirror,
    ];
    for command in commands {
        let text = serde_json::to_string(&command).unwrap();
        assert_eq!(serde_json::from_str::<ByokCommand>(&text).unwrap(), command, "{text}");
    }
    let mirror = || "{}".to_owned();
    let answers = [
        ByokAnswer::Many { rows: vec![], total: 7 },
        ByokAnswer::Changed { row: None, mirror: mirror() },
        ByokAnswer::Mirror { mirror: mirror() },
        ByokAnswer::NotFound,
        ByokAnswer::Refused { message: "no".into() },
    ];
    for answer in answers {
        let text = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<ByokAnswer>(&text).unwrap(), answer, "{text}");
    }
    assert_eq!(serde_json::to_string(&ByokCommand::Get { id: id() }).unwrap(), r#"{"type":"get","id":"a"}"#);
    let refused = [
        r#"{"type":"get"}"#,
        r#"{"id":"a"}"#,
        r#"{"type":"got","id":"a"}"#,
        r#"{"type":"get","id":"a","x":1}"#,
    ];
    for text in refused {
        assert!(serde_json::from_str::<ByokCommand>(text).is_err(), "{text}");
    }
}
