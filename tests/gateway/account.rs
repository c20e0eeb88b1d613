//! The account object's mind against real SQLite: scripts of commands and what is answered.

pub mod script;

use millrace::account::record::{Attempt, Basis, GenerationRecord, Line, Receipt};
use millrace::account::{self, Answer, Command, KeyRefusal, KeyRow, Report, Settle, receipt, store, view};
use millrace::error::Cause;
use millrace::id::KeyHash;
use millrace::money::Money;
use millrace::routing::rate::FreeLimits;
use script::{Database, check, check_line, generation, read_command, time, usd};

#[test]
fn holds_settle_once() {
    check(
        "0s  create                          => created
         0s  create                          => created already
         0s  grant g1 10                     => granted 10 total 10
         0s  grant g1 99                     => granted 10 total 10 already
         0s  key k                           => key k version 1
         0s  hold a k 4 until 60s            => held 4 until 60s alarm 60s
         1s  hold a k 4 until 60s            => held 4 until 60s alarm 60s
         1s  hold a k 9 until 99s            => held 4 until 60s alarm 60s
         1s  generation a                    => pending
         1s  hold b k 7 until 60s            => refused credit available 6 missing 1
         2s  settle a k 3                    => settled 3
         2s  settle a k 5                    => settled 3 already
         2s  generation a                    => found 3
         2s  hold a k 1 until 60s            => refused ended
         2s  describe                        => granted 10 charged 3 held 0 available 7
         2s  credits                         => granted 10 used 3
         2s  hold b k 7 until 60s            => held 7 until 60s alarm 60s
         3s  settle b k 0                    => settled 0
         3s  describe                        => granted 10 charged 3 held 0 available 7
         3s  generation c                    => not found",
    );
}

#[test]
fn a_hold_takes_less_where_a_minimum_is_given() {
    check(
        "0s  create                          => created
         0s  grant g1 10                     => granted 10 total 10
         0s  key k limit 6                   => key k version 1
         0s  hold a k 8 min 2 until 60s      => held 6 until 60s alarm 60s
         0s  hold b k 8 min 2 until 60s      => refused key limit available 0 missing 2
         0s  key free                        => key free version 1
         0s  hold c free 8 min 4 until 50s   => held 4 until 50s alarm 50s
         0s  hold d free 8 min 9 until 60s   => invalid
         0s  hold d free -1 until 60s        => invalid",
    );
}

#[test]
fn charges_beyond_and_after_the_hold_are_made_in_full() {
    check(
        "0s  create                          => created
         0s  grant g1 10                     => granted 10 total 10
         0s  key k                           => key k version 1
         0s  hold a k 4 until 60s            => held 4 until 60s alarm 60s
         1s  settle a k 5                    => settled 5 exceeded
         1s  hold b k 5 until 60s            => held 5 until 60s alarm 60s
         60s expire                          => expired 1 records 0 alarm 2592001s
         60s expire                          => expired 0 records 0 alarm 2592001s
         61s describe                        => granted 10 charged 5 held 0 available 5
         61s hold b k 5 until 99s            => refused ended
         61s generation b                    => not found
         62s settle b k 2                    => settled 2 exceeded
         62s settle b k 2                    => settled 2 exceeded already
         63s settle c k 9                    => settled 9 exceeded
         64s settle c k -1                   => invalid
         64s describe                        => granted 10 charged 16 held 0 available -6
         64s hold d k 0 until 99s            => refused credit available -6 missing 6
         64s grant g2 -1                     => refused credit available -6 missing 7
         65s grant g3 6                      => granted 6 total 16
         65s hold d k 0 until 99s            => held 0 until 99s alarm 99s",
    );
}

#[test]
fn holds_expire_lazily() {
    check(
        "0s  create                          => created
         0s  grant g1 10                     => granted 10 total 10
         0s  key k                           => key k version 1
         0s  hold a k 4 until 60s            => held 4 until 60s alarm 60s
         0s  hold b k 6 until 50s            => held 6 until 50s alarm 50s
         49s hold c k 1 until 90s            => refused credit available 0 missing 1
         50s hold c k 6 until 90s            => held 6 until 90s alarm 60s
         59s describe                        => granted 10 charged 0 held 10 available 0
         60s describe                        => granted 10 charged 0 held 6 available 4
         60s hold d k 1 until 60s            => refused ended
         60s settle a k 4                    => settled 4 exceeded
         60s describe                        => granted 10 charged 4 held 6 available 0",
    );
}

#[test]
fn keys_that_may_not_spend_are_refused_by_name() {
    check(
        "0s  create                          => created
         0s  grant g1 10                     => granted 10 total 10
         0s  key k expires 100s              => key k version 1
         0s  key m kind management           => key m version 1
         0s  hold a x 1 until 60s            => refused key unknown 401
         0s  authenticate x                  => refused key unknown 401
         0s  hold a m 0 until 60s            => refused key management 403
         0s  authenticate m                  => authenticated version 1
         0s  update k disabled true          => updated k version 2
         1s  update k disabled true          => updated k version 2
         1s  hold a k 1 until 60s            => refused key disabled 401
         1s  authenticate k                  => refused key disabled 401
         1s  update k disabled false         => updated k version 3
         99s hold a k 1 until 110s           => held 1 until 110s alarm 110s
         100s hold b k 1 until 110s          => refused key expired 401
         100s authenticate k                 => refused key expired 401
         100s settle a k 1                   => settled 1
         101s delete k                       => deleted version 4
         101s delete k                       => deleted version 4 already
         101s delete x                       => not found
         101s hold c k 1 until 110s          => refused key deleted 401
         101s authenticate k                 => refused key deleted 401
         101s get k                          => not found
         101s update k disabled false        => not found
         101s key k                          => refused key deleted 401",
    );
}

#[test]
fn limits_start_again_with_their_window() {
    // Day 0 is Saturday, 21 November 2026, from midnight.
    check(
        "0d  create                          => created
         0d  grant g1 100                    => granted 100 total 100
         0d  key day limit 1 reset daily     => key day version 1
         0d  key week limit 1 reset weekly   => key week version 1
         0d  key month limit 1 reset monthly => key month version 1
         0d  key life limit 1                => key life version 1
         0d  key none limit 0                => key none version 1
         0d  settle a day 0.75               => settled 0.75 exceeded
         0d  settle b week 0.75              => settled 0.75 exceeded
         0d  settle c month 0.75             => settled 0.75 exceeded
         0d  settle d life 0.75              => settled 0.75 exceeded
         0d  hold e day 0.5 until 60s        => refused key limit available 0.25 missing 0.25 resets 1d
         0d  hold f week 0.5 until 60s       => refused key limit available 0.25 missing 0.25 resets 2d
         0d  hold g month 0.5 until 60s      => refused key limit available 0.25 missing 0.25 resets 10d
         0d  hold h life 0.5 until 60s       => refused key limit available 0.25 missing 0.25
         0d  hold i none 0.5 until 60s       => refused key limit available 0 missing 0.5
         1d  hold e day 0.5 until 2d         => held 0.5 until 2d alarm 2d
         1d  hold e2 day 0.75 until 2d       => refused key limit available 0.5 missing 0.25 resets 2d
         1d  hold f week 0.5 until 2d        => refused key limit available 0.25 missing 0.25 resets 2d
         2d  hold f week 0.5 until 3d        => held 0.5 until 3d alarm 3d
         9d  hold g month 0.5 until 10d      => refused key limit available 0.25 missing 0.25 resets 10d
         10d hold g month 0.5 until 11d      => held 0.5 until 11d alarm 11d
         10d hold h life 0.5 until 11d       => refused key limit available 0.25 missing 0.25
         10d update life limit 2             => updated life version 2
         10d hold h life 0.5 until 11d       => held 0.5 until 11d alarm 11d
         10d update none limit null          => updated none version 2
         10d hold i none 0.5 until 11d       => held 0.5 until 11d alarm 11d",
    );
}

#[test]
fn lists_leave_out_what_was_not_asked_for() {
    check(
        "0s  create                          => created
         0s  key a                           => key a version 1
         0s  key a name other                => key a version 1 already
         0s  key b expires 10s               => key b version 1
         0s  key c                           => key c version 1
         0s  key d                           => key d version 1
         0s  key m kind management           => key m version 1
         0s  update c disabled true          => updated c version 2
         0s  delete d                        => deleted version 2
         0s  keys                            => keys a b
         10s keys                            => keys a
         10s keys disabled                   => keys a c
         10s keys expired                    => keys a b
         10s keys disabled expired           => keys a b c
         10s keys disabled expired offset 1  => keys b c
         10s keys offset 5                   => keys
         10s get m                           => key m
         10s get m only inference            => not found
         10s update m only inference name x  => not found
         10s delete m only inference         => not found
         10s delete m                        => deleted version 2",
    );
}

#[test]
fn a_page_has_a_hundred_keys() {
    let mut database = Database::new();
    check_line(&mut database, "0s create => created");
    for number in 0..101 {
        check_line(&mut database, &format!("0s key k{number:03} => key k{number:03} version 1"));
    }
    let list = |offset| Command::ListKeys {
        offset,
        include_disabled: false,
        include_expired: false,
        include_apps: false,
        workspace: None,
        creator: None,
    };
    for (offset, length) in [(0, 100), (100, 1), (u64::MAX, 0)] {
        match database.tell(time("0s"), &list(offset)) {
            Answer::Keys { keys } => assert_eq!(keys.len(), length),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn records_are_dropped_after_thirty_days_and_the_ledger_is_not() {
    check(
        "0d  create                          => created
         0d  grant g1 10                     => granted 10 total 10
         0d  key k                           => key k version 1
         0d  hold a k 1 until 60s            => held 1 until 60s alarm 60s
         0d  settle a k 1                    => settled 1
         1d  hold b k 1 until 2d             => held 1 until 2d alarm 2d
         1d  settle b k 1                    => settled 1
         2d  expire                          => expired 0 records 0 alarm 30d
         30d expire                          => expired 0 records 1 alarm 31d
         30d generation a                    => not found
         30d generation b                    => found 1
         30d settle a k 9                    => settled 1 already
         31d expire                          => expired 0 records 1
         31d describe                        => granted 10 charged 2 held 0 available 8",
    );
}

#[test]
fn an_object_without_an_account_stays_empty() {
    let lines = [
        "describe",
        "credits",
        "expire",
        "keys",
        "get k",
        "authenticate k",
        "key k",
        "delete k",
        "grant g 1",
        "hold a k 1 until 9s",
        "settle a k 1",
        "generation a",
        "update k name x",
    ];
    for line in lines {
        let mut database = Database::new();
        check_line(&mut database, &format!("0s {line} => missing"));
        assert_eq!(database.text("SELECT COUNT(*) FROM sqlite_master"), "0", "{line}");
    }
}

#[test]
fn amounts_at_the_end_of_the_scale_are_exact_or_refused() {
    check(
        "0s  create                          => created
         0s  grant g1 9223372.036854775807   => granted 9223372.036854775807 total 9223372.036854775807
         0s  grant g2 0.000000000001         => invalid
         0s  key k                           => key k version 1
         0s  hold a k 9007.199254740993 until 60s => held 9007.199254740993 until 60s alarm 60s
         0s  settle a k 9007.199254740993    => settled 9007.199254740993
         0s  settle b k 9223372              => invalid
         0s  grant g3 0                      => invalid
         0s  describe => granted 9223372.036854775807 charged 9007.199254740993 held 0 available 9214364.837600034814",
    );
}

#[test]
fn refuses_a_database_of_a_later_version_untouched() {
    let mut database = Database::new();
    check_line(&mut database, "0s create => created");
    database.connection.execute("UPDATE schema_version SET version = 99", []).unwrap();
    database.current.set(false);
    let before = database.dump();
    check_line(&mut database, "0s describe => fault");
    check_line(&mut database, "0s create => fault");
    assert_eq!(database.dump(), before);
}

#[test]
fn the_tables_are_looked_at_once_and_again_after_a_failure() {
    let mut database = Database::new();
    check_line(&mut database, "0s create => created");
    let mut describe = |left: u32, answer: &str| {
        database.statements_left.set(left);
        check_line(&mut database, &format!("0s describe => {answer}"));
        left - database.statements_left.get()
    };
    let account = "granted 0 charged 0 held 0 available 0";
    assert_eq!(describe(9, account), 2);
    assert_eq!(describe(1, "fault"), 1);
    assert_eq!(describe(9, account), 4);
}

#[test]
fn brings_an_older_database_forward_once() {
    let first =
        "-- head\n\n-- version 1\nCREATE TABLE schema_version (version INTEGER);\nCREATE TABLE a (x);\n";
    let second = format!(
        "{first}\n-- version 2\nALTER TABLE a ADD COLUMN y;\n-- note\nINSERT INTO a VALUES (1, 2);\n"
    );
    let database = Database::new();
    for (schema, version, rows) in
        [(first, "1", "0"), (first, "1", "0"), (&second, "2", "1"), (&second, "2", "1")]
    {
        store::migrate(&database, schema).unwrap();
        assert_eq!(database.text("SELECT CAST(version AS TEXT) FROM schema_version"), version);
        assert_eq!(database.text("SELECT COUNT(*) FROM a"), rows);
    }
    let newer = store::Fault::Newer { found: 2, known: 1 };
    assert_eq!(store::migrate(&database, first), Err(newer));
}

#[test]
fn a_database_that_fails_at_any_statement_leaves_nothing_behind() {
    let commands =
        ["hold n k 1 until 99s", "settle a k 3", "settle z k 3", "expire", "grant g9 1", "delete k", "key z"];
    for command in commands {
        let succeeds = (1..100).any(|failing| {
            let mut database = Database::new();
            for line in ["create", "grant g1 10", "key k", "hold a k 4 until 60s", "hold b k 4 until 50s"] {
                database.tell(time("0s"), &read_command(line));
            }
            let before = database.dump();
            database.statements_left = std::cell::Cell::new(failing);
            let failed = matches!(database.tell(time("55s"), &read_command(command)), Answer::Fault { .. });
            assert!(!failed || database.dump() == before, "{command} at {failing}");
            !failed
        });
        assert!(succeeds, "{command}");
    }
}

#[test]
fn what_is_no_command_is_invalid() {
    let database = Database::new();
    let hash = "ab".repeat(32);
    let unknown_members = [
        r#"{"generation":{"id":"gen-1-00000000000000000000","x":1}}"#.to_owned(),
        format!(r#"{{"delete_key":{{"hash":"{hash}","x":1}}}}"#),
        format!(
            r#"{{"create_key":{{"hash":"{hash}","label":"","name":"n","kind":"inference","limt":"5"}}}}"#
        ),
        format!(r#"{{"update_key":{{"hash":"{hash}","limt":"5"}}}}"#),
    ];
    let senseless = [
        "",
        "{}",
        r#""nothing""#,
        r#""grant""#,
        r#"{"grant":{"id":"g","amount":5,"reason":""}}"#,
        r#"{"grant":{"id":"g","amount":"5.5","reason":""}}"#,
        r#"{"grant":{"id":"","amount":"5","reason":""}}"#,
        r#"{"grant":{"id":"g","amount":"9223372036854775808","reason":""}}"#,
        r#"{"authenticate":{"hash":"AB"}}"#,
    ];
    for text in senseless.into_iter().chain(unknown_members.iter().map(String::as_str)) {
        let answer = account::run(&database, time("0s"), text);
        assert!(answer.starts_with(r#"{"invalid":"#), "{text}: {answer}");
        assert!(!account::is_fault(&answer));
    }
}

#[test]
fn commands_cross_as_json() {
    let hash = "ab".repeat(32);
    let generation = generation("a");
    let rows = [
        format!(
            r#"{{"report":{{"charges":[{{"generation":"{generation}","key":"{hash}","amount":"9007199254740993"}}]}}}}"#
        ),
        format!(
            r#"{{"update_key":{{"hash":"{hash}","only":"inference","limit":null,"limit_reset":"daily"}}}}"#
        ),
        format!(
            r#"{{"update_key":{{"hash":"{hash}","only":null,"name":"n","limit":"5","limit_reset":null}}}}"#
        ),
        r#""expire_holds""#.to_owned(),
    ];
    for row in rows {
        let command: Command = serde_json::from_str(&row).unwrap();
        assert_eq!(command.to_json(), row);
        assert_eq!(serde_json::to_string(&command).unwrap(), row);
    }
}

/// A statement costs the object some 70 µs whatever it does: how many there are is what a report costs.
#[test]
fn a_report_of_64_charges_is_a_dozen_statements() {
    let mut database = Database::new();
    for line in ["create", "grant g1 100", "key k", "lease l k 1 want 1 unit 0.01"] {
        database.tell(time("0s"), &read_command(line));
    }
    let mut statements = |at: &str, line: &str| {
        database.statements_left.set(100);
        let answer = database.tell(time(at), &read_command(line));
        assert!(matches!(answer, Answer::Reported(_)), "{answer:?}");
        100 - database.statements_left.get()
    };
    let charges = |first: u32| {
        let settle = |number| format!("settle {number} k 0.01 from l model a/b");
        (first..first + 64).map(settle).collect::<Vec<_>>().join(", ")
    };
    let renewed = |number: u32| format!("lease l k {number} want 1 unit 0.01");
    let counts = [
        ("1s", format!("{}, {}", charges(0), renewed(2))),
        // A replay makes none of them.
        ("2s", format!("{}, {}", charges(0), renewed(3))),
        ("3s", charges(100)),
        ("4s", "settle x k 0.01".to_owned()),
        ("5s", "hold h k 1 until 60s".to_owned()),
        ("6s", "settle h k 0.01".to_owned()),
        ("7s", renewed(4)),
    ]
    .map(|(at, line)| statements(at, &line));
    assert_eq!(counts, [14, 5, 10, 9, 6, 10, 6]);
}

/// Reports that KV keeps from before have records in strings.
#[test]
fn records_are_kept_byte_for_byte_in_whichever_form_they_came() {
    let records = [
        r#"{"model":"é\u00e9\n\"\\","n":12345678901234567890.10}"#,
        "{ \"a\" :\t[ 1 ,\r\n {} ] ,\"b\":\"\u{1f600}\" }",
        "not JSON",
        "{",
        "[1]",
        "{}",
    ];
    let charge = |number: usize, record: String| {
        let (generation, key) = (generation(&number.to_string()), KeyHash::of("k"));
        format!(r#"{{"generation":"{generation}","key":"{key}","amount":"1","record":{record}}}"#)
    };
    let in_strings = records.map(|record| serde_json::to_string(record).unwrap());
    let charges = in_strings.into_iter().enumerate().map(|(number, record)| charge(number, record));
    let in_strings = format!(r#"{{"report":{{"charges":[{}]}}}}"#, charges.collect::<Vec<_>>().join(","));
    let command: Command = millrace::json::read(&in_strings).unwrap();
    // An object is written as it is.
    let as_they_are = command.to_json();
    assert!(as_they_are.contains(&charge(0, records[0].to_owned())), "{as_they_are}");
    assert_eq!(millrace::json::read::<Command>(&as_they_are).unwrap(), command);
    for report in [in_strings, as_they_are] {
        let mut database = Database::new();
        check_line(&mut database, "0s create => created");
        let answer = account::run(&database, time("0s"), &report);
        assert!(answer.starts_with(r#"{"reported":"#), "{answer}");
        for (number, record) in records.into_iter().enumerate() {
            let id = generation(&number.to_string());
            match database.tell(time("1s"), &Command::Generation { id }) {
                Answer::Found { record: found, .. } => assert_eq!(found, record),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn more_records_than_one_value_holds_are_kept() {
    let mut database = Database::new();
    check_line(&mut database, "0s create => created");
    let record = |number: usize| format!(r#"{{"model":"{}"}}"#, number.to_string().repeat(30_000));
    let charge = |number: usize| Settle {
        generation: generation(&number.to_string()),
        key: KeyHash::of("k"),
        amount: Money::from_pico(1),
        lease: None,
        record: Some(record(number)),
        used: None,
    };
    let report = Report { charges: (10..60).map(charge).collect(), ..Report::default() };
    database.tell(time("0s"), &Command::Report(report));
    for number in 10..60 {
        let id = generation(&number.to_string());
        let answer = database.tell(time("1s"), &Command::Generation { id: id.clone() });
        let (cost, record) = (Money::from_pico(1), record(number));
        assert!(answer == Answer::Found { id, cost, record }, "{number}");
    }
}

#[test]
fn a_key_is_shown_as_openrouter_shows_it() {
    let mut database = Database::new();
    for line in [
        "0s create => created",
        "0s grant g1 100 => granted 100 total 100",
        "0s key k limit 0.3 reset monthly expires 99d => key k version 1",
        "0s hold h k 0.1 until 60s => held 0.1 until 60s alarm 60s",
        "1s settle a k 0.100000000001 => settled 0.100000000001 exceeded",
    ] {
        check_line(&mut database, line);
    }
    let row = match database.tell(time("2s"), &read_command("get k")) {
        Answer::Key { key } => key,
        other => panic!("{other:?}"),
    };
    let hash = &row.hash;
    let usage = r#""usage":0.100000000001,"usage_daily":0.100000000001,"usage_weekly":0.100000000001,"usage_monthly":0.100000000001,"byok_usage":0,"byok_usage_daily":0,"byok_usage_weekly":0,"byok_usage_monthly":0"#;
    let limit = r#""limit":0.3,"limit_remaining":0.099999999999,"limit_reset":"monthly","include_byok_in_limit":false"#;
    let key = format!(
        r#"{{"hash":"{hash}","label":"sk-mr-v1-...","name":"k","disabled":false,{limit},{usage},"created_at":"2026-11-21T00:00:00.000Z","updated_at":null,"expires_at":"2027-02-28T00:00:00.000Z","last_used_at":"2026-11-21T00:00:01.000Z","creator_user_id":null,"external_user":null,"workspace_id":"Account00000"}}"#
    );
    assert_eq!(view::write_key(&row), format!(r#"{{"data":{key}}}"#));
    assert_eq!(view::write_keys(std::slice::from_ref(&row)), format!(r#"{{"data":[{key}]}}"#));
    assert_eq!(view::write_keys(&[]), r#"{"data":[]}"#);
    assert_eq!(view::write_created_key(&row, "sk"), format!(r#"{{"data":{key},"key":"sk"}}"#));
    assert_eq!(view::write_deleted_key(), r#"{"deleted":true}"#);
    let limited = KeyRow { free_requests_today: 51, requests_per_minute: Some(5), ..row.clone() };
    for (free, expected) in [
        (
            FreeLimits { credits: 1_000_000, ..FreeLimits::default() },
            r#""free_model_daily_requests":{"used":51,"limit":50,"remaining":0}"#,
        ),
        (
            FreeLimits { per_day: 0, ..FreeLimits::default() },
            r#""free_model_daily_requests":{"used":51,"limit":-1,"remaining":-1}"#,
        ),
        (FreeLimits::default(), r#""rate_limit":{"requests":5,"interval":"60s","note":""#),
    ] {
        let told = view::write_current_key(&limited, free);
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(
        view::write_current_key(&row, FreeLimits::default()),
        format!(
            r#"{{"data":{{"label":"sk-mr-v1-...",{limit},{usage},"is_free_tier":false,"is_management_key":false,"is_provisioning_key":false,"creator_user_id":null,"organization_id":null,"workspace_id":"Account00000","expires_at":"2027-02-28T00:00:00.000Z","allowed_data_regions":["global"],"free_model_daily_requests":{{"used":0,"limit":1000,"remaining":1000}},"budgets":[],"effective_budget":null,"rate_limit":{{"requests":-1,"interval":"10s","note":"This field is deprecated and safe to ignore."}}}}}}"#
        )
    );
}

#[test]
fn a_key_sees_the_budgets_that_it_is_under_and_not_its_own_limit_among_them() {
    let mut database = Database::new();
    for line in ["create", "grant g1 100", "key k limit 0.3"] {
        database.tell(time("0s"), &read_command(line));
    }
    for budget in [
        "day key:k reset daily amount 2",
        "each account per key amount 1",
        "all account amount 50",
        "team workspace amount 9",
        "some key:k model x/* amount 1",
        "users key:k per end_user amount 1",
        "other key:l amount 1",
    ] {
        database.tell(time("0s"), &read_command(&format!("budget {budget}")));
    }
    database.tell(time("1s"), &read_command("settle a k 0.25"));
    let row = match database.tell(time("2s"), &read_command("get k")) {
        Answer::Key { key } => key,
        other => panic!("{other:?}"),
    };
    let shown: serde_json::Value =
        serde_json::from_str(&view::write_current_key(&row, FreeLimits::default())).unwrap();
    let said = |budget: &serde_json::Value| {
        let (scope, id) = (budget["scope"].as_str().unwrap(), budget["budget_id"].as_str().unwrap());
        format!("{scope} {id} {} of {}", budget["remaining_usd"], budget["limit_usd"])
    };
    let budgets: Vec<String> = shown["data"]["budgets"].as_array().unwrap().iter().map(said).collect();
    assert_eq!(budgets, ["api_key each 0.75 of 1", "api_key day 1.75 of 2", "workspace team 8.75 of 9"]);
    assert_eq!(said(&shown["data"]["effective_budget"]), budgets[0]);
    let listed = match database.tell(time("2s"), &read_command("keys")) {
        Answer::Keys { keys } => keys,
        other => panic!("{other:?}"),
    };
    assert!(listed[0].budgets.is_empty(), "a list does not look for them");
}

#[test]
fn credits_and_records_are_shown_as_openrouter_shows_them() {
    let credits = view::write_credits(usd("9223372.036854775807"), usd("0.1"));
    assert_eq!(credits, r#"{"data":{"total_credits":9223372.036854775807,"total_usage":0.1}}"#);
    let record = GenerationRecord {
        created_at: time("0s"),
        model: "openai/gpt-4o".into(),
        provider: Some("OpenAI".into()),
        tokens_prompt: 7,
        tokens_completion: 3,
        upstream_inference_cost: Some(usd("0.00002")),
        hedge_loser_cost: Some(usd("0.5")),
        receipt: Some(Receipt { lines: vec![Line("input".into(), 7, usd("0.1"))], ..Receipt::default() }),
        attempts: vec![Attempt { provider: "OpenAI".into(), status: Some(200), ..Attempt::default() }],
        ..GenerationRecord::default()
    };
    assert_eq!(serde_json::from_str::<GenerationRecord>(&record.to_json()).unwrap(), record);
    let shown = receipt::write_generation(&generation("a"), usd("0.0000205"), &record);
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["data"].as_object().unwrap().len(), 46);
    for part in [
        r#""usage":0.0000205,"total_cost":0.0000205,"upstream_inference_cost":0.00002,"cache_discount":null"#,
        r#""native_tokens_prompt":7,"native_tokens_completion":3"#,
        r#""provider_responses":[{"provider_name":"OpenAI","model_permaslug":"","status":200,"is_byok":false}]"#,
        r#""receipt":{"basis":"prices","model_permaslug":"","endpoint":"","prices_version":"","overlay_version":0,"estimated":false,"lines":[{"class":"input","count":7,"price_pico":"100000000000","cost_pico":"700000000000"}],"list_cost":0.7,"list_cost_pico":"700000000000","cost_pico":"20500000","hedge_loser_cost":0.5}"#,
    ] {
        assert!(shown.contains(part), "{part} not in {shown}");
    }
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let some = |text: &str| Some(text.to_owned());
    let attempt = Attempt {
        provider: "\"P\"\n".into(),
        model: "m\u{e9}".into(),
        status: None,
        latency_ms: Some(u64::MAX),
        is_byok: true,
        endpoint: "e".into(),
        service_tier: some("flex"),
    };
    let receipt = Receipt {
        permaslug: "a/b".into(),
        endpoint: "e".into(),
        basis: Basis::ByokFee,
        lines: vec![Line("in\\put".into(), 10, usd("-0.1")), Line("output".into(), 0, usd("0"))],
        prices: "00ff".into(),
        overlay: 9,
        estimated: true,
    };
    let full = GenerationRecord {
        created_at: time("1s"),
        model: "a/b".into(),
        provider: some("P"),
        upstream_id: some("u"),
        session_id: some("s\t"),
        request_id: some("r"),
        external_user: some("\u{1}"),
        http_referer: some("https://a"),
        user_agent: some("agent"),
        origin: "o".into(),
        streamed: true,
        cancelled: true,
        finish_reason: some("stop"),
        native_finish_reason: some("end"),
        service_tier: some("priority"),
        latency_ms: Some(0),
        generation_ms: Some(10),
        tokens_prompt: 1,
        tokens_completion: 2,
        tokens_completion_images: Some(3),
        tokens_reasoning: Some(4),
        tokens_cached: Some(5),
        media_prompt: Some(6),
        input_audio_prompt: Some(7),
        media_completion: Some(8),
        cache_discount: Some(usd("-0.5")),
        upstream_inference_cost: Some(usd("0.25")),
        is_byok: true,
        attempts: vec![attempt, Attempt::default()],
        api_type: "rerank".into(),
        router: some("openrouter/auto"),
        receipt: Some(receipt),
        reported_cost: Some(usd("1")),
        hedge_loser_cost: Some(usd("2")),
        preset_id: some("p"),
        region: some("eu"),
        workspace_id: some("w"),
        guardrails: vec!["flag: Email \"address\"".into(), "redact: x".into()],
    };
    let counts = [None, Some(0)].map(|none| GenerationRecord {
        tokens_completion_images: none,
        tokens_reasoning: none,
        tokens_cached: none,
        media_prompt: none,
        input_audio_prompt: none,
        attempts: vec![Attempt::default()],
        receipt: Some(Receipt::default()),
        ..GenerationRecord::default()
    });
    for record in [&full, &GenerationRecord::default(), &counts[0], &counts[1]] {
        assert_eq!(serde_json::from_str::<GenerationRecord>(&record.to_json()).unwrap(), *record);
    }
    let nothing = r#"{"created_at":0,"model":"","tokens_prompt":0,"tokens_completion":0,"attempts":[{"provider":"","model":""}],"receipt":{"permaslug":"","endpoint":"","basis":"prices","lines":[],"prices":""}}"#;
    assert_eq!(counts[1].to_json(), nothing);
}

/// An account's database has records of every version of the gateway.
#[test]
fn a_record_that_says_what_is_not_means_the_same() {
    let before = r#"{"created_at":0,"model":"m","provider":null,"session_id":null,"origin":"","streamed":false,"latency_ms":null,"tokens_prompt":1,"tokens_completion":2,"tokens_completion_images":0,"tokens_reasoning":0,"tokens_cached":null,"media_prompt":0,"input_audio_prompt":0,"cache_discount":null,"is_byok":false,"attempts":[{"provider":"P","model":"m","status":null,"latency_ms":null,"is_byok":false}],"receipt":{"permaslug":"m","endpoint":"e","basis":"prices","lines":[],"prices":"","overlay":0,"estimated":false}}"#;
    let record: GenerationRecord = serde_json::from_str(before).unwrap();
    let now = r#"{"created_at":0,"model":"m","tokens_prompt":1,"tokens_completion":2,"tokens_cached":null,"attempts":[{"provider":"P","model":"m"}],"receipt":{"permaslug":"m","endpoint":"e","basis":"prices","lines":[],"prices":""}}"#;
    assert_eq!(record.to_json(), now);
}

#[test]
fn only_a_management_key_is_forbidden_rather_than_unauthenticated() {
    let rows = [
        (KeyRefusal::Unknown, Cause::Authentication),
        (KeyRefusal::Disabled, Cause::Authentication),
        (KeyRefusal::Expired, Cause::Authentication),
        (KeyRefusal::Deleted, Cause::Authentication),
        (KeyRefusal::Management, Cause::PermissionDenied),
    ];
    for (reason, cause) in rows {
        assert_eq!(reason.cause(), cause);
    }
}
