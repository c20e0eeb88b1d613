//! The account's books: activity, statements and exports of charges, and that all of them add up to
//! the ledger whatever happened.

use crate::account::script::{Database, generation, read_command, time};
use millrace::account::billing::{BillingCommand, Payment, Reversal, ReversalState};
use millrace::account::books::activity::{self, By};
use millrace::account::books::analytics::{self, Query};
use millrace::account::books::csv::Csv;
use millrace::account::books::{BooksCommand, export, missed};
use millrace::account::ledger::RECORD_BYTES;
use millrace::account::record::{Attempt, GenerationRecord, Line, Receipt};
use millrace::account::team::{Deed, TeamCommand};
use millrace::account::{Answer, Command, Report, Settle};
use millrace::id::{AccountId, KeyHash};
use millrace::money::Money;
use millrace::time::{Day, Time};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn activity_is_told_as_openrouter_tells_it() {
    let mut books = Books::new();
    books.charge("0d", "a", "k", "openai/gpt-4o OpenAI 20 input 1000, cache_read 24, output 7, reasoning 3");
    books.charge("0d", "b", "l", "openai/gpt-4o OpenAI 30 input 10, output 1");
    books.charge("1d", "c", "k", "x-ai/grok-4 xAI 5 input 1");
    books.charge("1d", "d", "k", "x-ai/grok-4 - 0");
    books.charge("1d", "c", "k", "x-ai/grok-4 xAI 5 input 1");
    let both = By { day: true, ..By::default() };
    let body = books.activity(None, None, both, false);
    let first = r#"{"date":"2026-11-22","model":"x-ai/grok-4","model_permaslug":"x-ai/grok-4-dated","endpoint_id":"ID","provider_name":"xAI","usage":0.000000000005,"byok_usage_inference":0,"requests":1,"prompt_tokens":1,"completion_tokens":0,"reasoning_tokens":0,"cached_tokens":0}"#;
    let second = r#"{"date":"2026-11-21","model":"openai/gpt-4o","model_permaslug":"openai/gpt-4o-dated","endpoint_id":"ID","provider_name":"OpenAI","usage":0.00000000005,"byok_usage_inference":0,"requests":2,"prompt_tokens":1034,"completion_tokens":11,"reasoning_tokens":3,"cached_tokens":24}"#;
    assert_eq!(without_ids(&body), format!(r#"{{"data":[{first},{second}]}}"#));
    let of_key = books.activity(Some(KeyHash::of("l").to_string()), None, both, true);
    assert!(of_key.contains(r#""requests":1,"prompt_tokens":10"#), "{of_key}");
    assert!(of_key.ends_with(r#""workspace_id":"Account00000"}]}"#), "{of_key}");
    assert_eq!(books.activity(None, Some("elsewhere".into()), both, true), r#"{"data":[]}"#);
}

#[test]
fn activity_of_a_user_is_that_of_the_keys_they_made() {
    let mut books = Books::new();
    for (key, creator) in [("k", Some("user_1")), ("l", None)] {
        let Command::CreateKey(mut policy) = read_command(&format!("key {key}")) else { unreachable!() };
        policy.holder.creator_user_id = creator.map(str::to_owned);
        books.tell("0d", &Command::CreateKey(policy));
        books.charge("0d", key, key, "x X 7 input 1");
    }
    for (user, charges) in [(None, 2), (Some("user_1"), 1), (Some("user_2"), 0)] {
        let by = By { key: true, ..By::default() };
        let user = user.map(str::to_owned);
        let question = activity::Question { to: 99_999, user, by, ..Default::default() };
        let answer = books.ask("0d", &BooksCommand::Activity(question)).unwrap();
        assert_eq!(activity::read_rows(&answer).unwrap().len(), charges);
    }
}

#[test]
fn a_charge_is_counted_in_the_workspace_that_its_key_was_in() {
    let mut books = Books::new();
    let team = TeamCommand {
        id: "11111111-2222-4333-8444-555555555555".into(),
        body: r#"{"name":"Team","slug":"team"}"#.into(),
        ..TeamCommand::new(Deed::CreateWorkspace)
    };
    books.tell("0d", &team.told());
    for (key, workspace) in [("k", "team"), ("l", "")] {
        let Command::CreateKey(mut policy) = read_command(&format!("key {key}")) else { unreachable!() };
        policy.workspace = workspace.to_owned();
        books.tell("0d", &Command::CreateKey(policy));
        books.charge("0d", key, key, "x X 7 input 1");
    }
    let names = vec![KeyHash::of("k").to_string()];
    let moved = TeamCommand { at: "default".into(), names, ..TeamCommand::new(Deed::MoveKeys) };
    books.tell("0d", &moved.told());
    books.charge("0d", "later", "k", "x X 5 input 1");
    let mut spent = |workspace: Option<&str>| {
        let rows = books.rows_of(None, workspace.map(str::to_owned), By::default());
        rows.iter().map(|row| row.usage.pico()).sum::<i64>()
    };
    for (workspace, pico) in [
        (None, 19),
        (Some("team"), 7),
        (Some(team.id.as_str()), 7),
        (Some("default"), 12),
        (Some("Account00000"), 12),
        (Some("none"), 0),
    ] {
        assert_eq!(spent(workspace), pico, "{workspace:?}");
    }
    let body = books.activity(None, None, By { day: true, workspace: true, ..By::default() }, true);
    assert!(body.contains(&team.id) && body.contains("Account00000"), "{body}");
    let statement = books.statement("0d", "2026-11");
    let places: Vec<&Value> =
        statement["usage"].as_array().unwrap().iter().map(|row| &row["workspace_id"]).collect();
    assert_eq!(places.len(), 3, "{statement}");
}

#[test]
fn fees_for_own_keys_are_counted_apart() {
    let mut books = Books::new();
    let mut settle = settle("a", "k", "openai/gpt-4o OpenAI 5 input 100");
    let mut record: GenerationRecord = serde_json::from_str(settle.record.as_deref().unwrap()).unwrap();
    (record.is_byok, record.upstream_inference_cost) = (true, Some(Money::from_pico(100)));
    settle.record = Some(record.to_json());
    books.report("0d", settle);
    let row = &books.rows(By::default())[0];
    assert_eq!([row.usage, row.fees, row.byok_usage].map(Money::pico), [5, 5, 100]);
    let statement = books.statement("0d", "2026-11");
    assert_eq!(statement["byok_fees_pico"], "5");
    assert_eq!(statement["byok_usage_inference_pico"], "100");
}

/// A provider may claim any number of tokens of a model that costs nothing.
#[test]
fn absurd_counts_do_not_stop_charges() {
    let mut books = Books::new();
    for id in ["a", "b", "c"] {
        let mut settle = settle(id, "k", &format!("x/free X 0 input {0}, output {0}", u64::MAX));
        let mut record: GenerationRecord = serde_json::from_str(settle.record.as_deref().unwrap()).unwrap();
        (record.is_byok, record.upstream_inference_cost) = (true, Some(Money::MAX));
        settle.record = Some(record.to_json());
        books.report("0d", settle);
    }
    let row = &books.rows(By::default())[0];
    assert_eq!((row.counts.requests, row.counts.input, row.byok_usage), (3, 3_000_000_000_000, Money::MAX));
}

#[test]
fn a_charge_without_a_record_is_in_the_books() {
    let mut books = Books::new();
    for (id, amount, record) in
        [("a", 7, None), ("b", 8, Some("{}".to_owned())), ("c", 9, Some("[".to_owned()))]
    {
        let amount = Money::from_pico(amount);
        books.report("0d", Settle { amount, record, ..settle(id, "k", "x X 1") });
    }
    books.report("0d", Settle { amount: Money::ZERO, record: None, ..settle("d", "k", "x X 1") });
    let row = &books.rows(By::default())[0];
    assert_eq!((row.usage.pico(), row.counts.requests, row.model.as_str()), (24, 3, ""));
    let rows = books.charges("0d", "1d", 0, 100);
    assert_eq!(rows.iter().map(|row| row.amount.pico()).collect::<Vec<_>>(), [7, 8, 9]);
    let lines = export::write_jsonl(&rows);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["amount_pico"], &first["receipt"]), (&Value::from("7"), &Value::Null));
}

/// What the books count is read from where it stands in a record, and is what the record says as a whole.
#[test]
fn what_is_counted_of_a_record_is_what_the_record_says() {
    let classes = [
        ("input", 1),
        ("cache_read", 20),
        ("cache_write", 300),
        ("cache_write_1h", 4000),
        ("input_audio", 50_000),
        ("output", 600_000),
        ("reasoning", 7_000_000),
        ("output_audio", 80_000_000),
        ("output_image", 900_000_000),
        ("request", 1),
        ("input", 7),
    ];
    let lines = classes.map(|(class, count)| Line(class.into(), count, Money::from_pico(3))).to_vec();
    let receipt =
        Receipt { permaslug: "x/y-\"1\"".into(), endpoint: "é | a\\b".into(), ..Receipt::default() };
    let own = Some(Money::from_pico(123));
    let (model, provider) = ("x/y".to_owned(), Some("Ünïversal \u{1}".to_owned()));
    let plain = GenerationRecord { model, provider, ..GenerationRecord::default() };
    let records = [
        GenerationRecord::default(),
        GenerationRecord { provider: Some(String::new()), ..GenerationRecord::default() },
        GenerationRecord { upstream_inference_cost: own, ..plain.clone() },
        GenerationRecord { upstream_inference_cost: own, is_byok: true, ..plain.clone() },
        GenerationRecord { is_byok: true, ..plain.clone() },
        GenerationRecord { receipt: Some(receipt.clone()), ..plain.clone() },
        GenerationRecord { receipt: Some(Receipt { lines, ..receipt }), is_byok: true, ..plain.clone() },
        plain,
    ];
    for record in records {
        let count = |class| record.receipt.as_ref().map_or(0, |receipt: &Receipt| receipt.count(class));
        let counts = activity::Counts {
            requests: 1,
            input: count("input"),
            cache_read: count("cache_read"),
            cache_write: count("cache_write") + count("cache_write_1h"),
            input_audio: count("input_audio"),
            output: count("output"),
            reasoning: count("reasoning"),
            output_audio: count("output_audio"),
            output_image: count("output_image"),
        };
        let fee = |amount: Option<Money>| amount.filter(|_| record.is_byok).unwrap_or_default();
        let expected = activity::Row {
            model: record.model.clone(),
            permaslug: record
                .receipt
                .as_ref()
                .map_or(record.model.clone(), |receipt| receipt.permaslug.clone()),
            provider: record.provider.clone().unwrap_or_default(),
            endpoint: record.receipt.as_ref().map_or(String::new(), |receipt| receipt.endpoint.clone()),
            counts,
            usage: Money::from_pico(5),
            fees: fee(Some(Money::from_pico(5))),
            byok_usage: fee(record.upstream_inference_cost),
            ..activity::Row::default()
        };
        let pretty = serde_json::from_str::<Value>(&record.to_json()).unwrap();
        for text in [record.to_json(), serde_json::to_string_pretty(&pretty).unwrap()] {
            let mut books = Books::new();
            books.report("0d", Settle { record: Some(text), ..settle("a", "k", "- - 5 ") });
            assert_eq!(books.rows(By::default()), std::slice::from_ref(&expected), "{record:?}");
        }
    }
}

#[test]
fn a_record_that_is_too_long_to_keep_is_counted_all_the_same() {
    let mut books = Books::new();
    let mut long = settle("a", "k", "x/y X 7 input 7");
    long.record = long.record.map(|record| record + &" ".repeat(RECORD_BYTES));
    books.report("0d", long);
    let rows = books.charges("0d", "1d", 0, 10);
    assert_eq!((rows[0].amount.pico(), &rows[0].record), (7, &None));
    let statement = books.statement("0d", "2026-11");
    assert_eq!(statement["usage"][0]["model"], "x/y");
    assert_eq!(adds_up(&statement), 0);
}

#[test]
fn a_statement_says_where_the_money_went() {
    let mut books = Books::new();
    books.tell("0d", &grant("g", 1000));
    let payment = Payment {
        id: "pi_1".into(),
        credit: Money::from_pico(500),
        paid: Money::from_pico(580),
        attempt: None,
        card: None,
    };
    books.tell("0d", &Command::Billing { command: BillingCommand::Paid(payment) });
    let refund = Reversal {
        id: "re_1".into(),
        payment: "pi_1".into(),
        amount: Money::from_pico(200),
        state: ReversalState::RefundMade,
    };
    books.tell("1d", &Command::Billing { command: BillingCommand::Reversed(refund) });
    books.tell("2d", &grant("code:abc", 30));
    books.charge("3d", "a", "k", "openai/gpt-4o OpenAI 20 input 20");
    books.tell("10d", &grant("=HYPERLINK(1)", 5));
    let november = books.statement("10d", "2026-11");
    let sums = ["opening_balance", "grants", "purchases", "refunds", "codes", "charges", "closing_balance"];
    let told = sums.map(|name| november[format!("{name}_pico")].as_str().unwrap().to_owned());
    assert_eq!(told, ["0", "1000", "500", "-200", "30", "20", "1310"]);
    assert_eq!((&november["complete"], &november["purchase_fees_pico"]), (&true.into(), &"80".into()));
    assert_eq!(november["usage"][0]["api_key_hash"], KeyHash::of("k").to_string());
    let december = books.csv("10d", "2026-12");
    let lines: Vec<&str> = december.lines().collect();
    assert_eq!(lines[1], "opening_balance,,2026-12-01T00:00:00.000Z,,,,,,,,,,,,0.00000000131,1310,");
    assert_eq!(lines[2], "grant,'=HYPERLINK(1),2026-12-01T00:00:00.000Z,,,,,,,,,,,,0.000000000005,5,test");
    assert_eq!(lines[3], "closing_balance,,2027-01-01T00:00:00.000Z,,,,,,,,,,,,0.000000001315,1315,");
    let list = books.ask("10d", &BooksCommand::Statements).unwrap();
    let months = r#"{"data":[{"month":"2026-12","complete":false,"opening_balance":0.00000000131,"opening_balance_pico":"1310","credits":0.000000000005,"#;
    assert!(list.starts_with(months), "{list}");
    for month in ["2026-10", "2027-01", "2026-13", "2026-1", "november", "", "2026-11-01"] {
        let question = BooksCommand::Statement { month: month.into(), csv: false };
        assert_eq!(books.ask("10d", &question), None, "{month}");
    }
}

#[test]
fn pages_of_charges_are_all_charges_of_their_time() {
    let mut books = Books::new();
    for number in 0..25u64 {
        let at = format!("{}s", number * 3600);
        books.tell(&at, &grant(&format!("g{number}"), 1));
        books.charge(&at, &format!("a{number}"), "k", "x/y X 10 input 10");
    }
    let ids = |rows: &[export::Row]| rows.iter().map(|row| row.id.to_string()).collect::<Vec<_>>();
    let expected: Vec<String> = (5..20).map(|number| generation(&format!("a{number}")).to_string()).collect();
    let (mut after, mut found) = (0, Vec::new());
    loop {
        let page = books.charges("18000s", "72000s", after, 4);
        let Some(last) = page.last() else { break };
        after = last.number;
        found.extend(ids(&page));
    }
    assert_eq!(found, expected);
    assert!(books.charges("30d", "31d", 0, 10).is_empty());
    assert_eq!(books.charges("0d", "31d", 0, u64::MAX).len(), 25);
}

#[test]
fn exports_hold_what_recomputes_them() {
    let mut books = Books::new();
    books.charge("0d", "a", "k", "openai/gpt-4o OpenAI 70 input 10, output 6");
    let rows = books.charges("0d", "1d", 0, 1);
    let line: Value = serde_json::from_str(&export::write_jsonl(&rows)).unwrap();
    assert_eq!(line["id"], generation("a").to_string());
    assert_eq!((&line["amount_pico"], &line["receipt"]["cost_pico"]), (&"70".into(), &"70".into()));
    assert_eq!(line["receipt"]["lines"][1]["class"], "output");
    assert_eq!(line["receipt"]["lines"][1]["price_pico"], "1");
    assert_eq!(line["provider_responses"][0]["status"], 200);
    let csv = export::write_csv(&rows);
    let table: Vec<Vec<String>> = read_csv(&csv);
    let cell = |name: &str| table[1][table[0].iter().position(|column| column == name).unwrap()].as_str();
    assert_eq!([cell("input_count"), cell("input_price_pico"), cell("output_count")], ["10", "1", "6"]);
    assert_eq!([cell("amount_pico"), cell("amount_usd"), cell("basis")], ["70", "0.00000000007", "prices"]);
    assert_eq!((cell("attempts"), cell("finish_reason")), ("OpenAI 200 12 ms", "'=1+1"));
    assert_eq!(table[0].len(), table[1].len());
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let mut books = Books::new();
    for command in ["", "{}", r#"{"statement":{}}"#, r#"{"charges":{"from":0,"to":1,"after":-1,"limit":1}}"#]
    {
        let answer = books.database.tell(time("0d"), &Command::Books { command: command.into() });
        assert!(matches!(answer, Answer::Invalid { .. }), "{command}: {answer:?}");
    }
}

#[test]
fn analytics_add_up_what_is_asked_for() {
    let mut books = Books::new();
    books.charge("0d", "a", "k", "openai/gpt-4o OpenAI 20 input 60, cache_read 20, output 7, reasoning 3");
    books.charge("0d", "b", "l", "openai/gpt-4o OpenAI 30 input 10, output 1");
    books.charge("1d", "c", "k", "x-ai/grok-4 xAI 5 input 1");
    books.charge("12d", "d", "k", "x-ai/grok-4 xAI 6 input 1");
    let range = r#""time_range":{"start":"2026-11-21T00:00:00Z","end":"2026-12-31T00:00:00Z"}"#;
    for (asked, expected) in [
        (r#""metrics":["request_count"]"#, r#"{"request_count":4}"#),
        (
            r#""metrics":["total_usage","tokens_total"],"granularity":"month""#,
            r#"{"date__month":"2026-11-01T00:00:00.000Z","total_usage":0.000000000055,"tokens_total":102},{"date__month":"2026-12-01T00:00:00.000Z","total_usage":0.000000000006,"tokens_total":1}"#,
        ),
        (
            r#""metrics":["cache_hit_rate","cached_tokens","reasoning_tokens"],"dimensions":["model"],"order_by":{"field":"model","direction":"desc"}"#,
            r#"{"model":"x-ai/grok-4-dated","cache_hit_rate":0.000000,"cached_tokens":0,"reasoning_tokens":0},{"model":"openai/gpt-4o-dated","cache_hit_rate":0.222222,"cached_tokens":20,"reasoning_tokens":3}"#,
        ),
        (
            r#""metrics":["tokens_prompt"],"dimensions":["provider"],"granularity":"week","limit":2,"order_by":{"field":"date","direction":"desc"}"#,
            r#"{"date__week":"2026-11-30T00:00:00.000Z","provider":"xAI","tokens_prompt":1},{"date__week":"2026-11-16T00:00:00.000Z","provider":"OpenAI","tokens_prompt":90}"#,
        ),
        (
            r#""metrics":["request_count"],"filters":[{"field":"model","operator":"in","value":["x-ai/grok-4"]}],"granularity":"day""#,
            r#"{"date__day":"2026-11-22T00:00:00.000Z","request_count":1},{"date__day":"2026-12-03T00:00:00.000Z","request_count":1}"#,
        ),
        (
            r#""metrics":["request_count"],"dimensions":["workspace"],"filters":[{"field":"provider","operator":"neq","value":"xAI"}]"#,
            r#"{"workspace":"Account00000","request_count":2}"#,
        ),
        (r#""metrics":["request_count"],"filters":[{"field":"provider","operator":"lt","value":"A"}]"#, ""),
    ] {
        let body = format!("{{{asked},{range}}}");
        let told = books.analytics(&body);
        assert!(
            told.starts_with(&format!(r#"{{"data":{{"data":[{expected}],"metadata""#)),
            "{asked}\n{told}"
        );
    }
    let cut = books.analytics(&format!(r#"{{"metrics":["request_count"],"dimensions":["model"],"granularity":"day","group_limit":1,{range}}}"#));
    assert!(cut.ends_with(r#""metadata":{"query_time_ms":3,"row_count":2,"truncated":true}}}"#), "{cut}");
}

#[test]
fn what_analytics_cannot_say_is_refused_by_name() {
    for (body, words) in [
        ("[]", "not a JSON object"),
        ("{}", "metrics: at least one"),
        (r#"{"metrics":["latency"]}"#, "metrics: known are request_count"),
        (r#"{"metrics":"request_count"}"#, "metrics: must be an array"),
        (
            r#"{"metrics":["request_count"],"dimensions":["model","provider","workspace"]}"#,
            "Too big: expected array",
        ),
        (r#"{"metrics":["request_count"],"granularity":"hour"}"#, "granularity: known are day, week, month"),
        (r#"{"metrics":["request_count"],"time_range":{"start":"2026-11-21"}}"#, "time_range.start"),
        (
            r#"{"metrics":["request_count"],"time_range":{"start":"2026-11-21T00:00:00Z","end":"2026-11-21T00:00:00Z"}}"#,
            "must end after",
        ),
        (
            r#"{"metrics":["request_count"],"time_range":{"start":"2020-11-21T00:00:00Z","end":"2026-11-21T00:00:00Z"}}"#,
            "at most 366 days",
        ),
        (
            r#"{"metrics":["request_count"],"filters":[{"field":"app","operator":"eq","value":1}]}"#,
            "filters.field: known",
        ),
        (
            r#"{"metrics":["request_count"],"order_by":{"field":"tokens_total","direction":"asc"}}"#,
            "order_by.field: known",
        ),
        (
            r#"{"metrics":["request_count"],"order_by":{"field":"date","direction":"up"}}"#,
            "order_by.direction",
        ),
        (r#"{"metrics":["request_count"],"limit":0}"#, "limit: must be"),
        (
            r#"{"metrics":["request_count"],"classifier_dimensions":{}}"#,
            "classifier_dimensions: there are no",
        ),
    ] {
        let failure = Query::read(body, time("0d")).expect_err(body);
        assert!(failure.message.contains(words), "{body}: {}", failure.message);
    }
    assert!(analytics::write_meta().starts_with(r#"{"data":{"metrics":[{"name":"request_count","#));
}

/// What only a log has is charged from it, and what the ledger has is not charged again.
#[test]
fn charges_of_a_log_are_made_once() {
    let mut books = Books::new();
    for key in ["k", "l"] {
        books.tell("0d", &read_command(&format!("key {key}")));
    }
    books.charge("0d", "a", "k", "openai/gpt-4o OpenAI 70 input 1");
    let line = |id: &str, key: &str, pico: i64| {
        let (id, key) = (generation(id), KeyHash::of(key));
        let usd = Money::from_pico(pico).to_usd();
        format!(
            r#"{{"event":"exchange","generation":"{id}","key_hash":"{}","outcome":"complete","cost_usd":"{usd}",
            "model":"openai/gpt-4o","provider":"openai","streamed":true,"input_tokens":7,"attempts":[]}}"#,
            &key.as_str()[..12]
        )
    };
    let mut make = |lines: &[String]| {
        let body = format!(r#"{{"charges":[{}]}}"#, lines.join(","));
        let command = BooksCommand::Missed(missed::read(&body).unwrap());
        books.ask("2d", &command).unwrap()
    };
    let lines =
        [line("a", "k", 70), line("b", "l", 30), line("c", "k", 5), line("b", "l", 30), line("d", "x", 9)];
    let told = r#"{"already":2,"amount_usd":"0.000000000035","made":2,"unknown_keys":1}"#;
    assert_eq!(make(&lines), told);
    let told = r#"{"already":4,"amount_usd":"0","made":0,"unknown_keys":1}"#;
    assert_eq!(make(&lines), told);
    let rows = books.charges("0d", "9d", 0, 100);
    assert_eq!(rows.iter().map(|row| row.amount.pico()).collect::<Vec<_>>(), [70, 30, 5]);
    let shown = export::write_jsonl(&rows[1..2]);
    for part in [r#""provider_name":"OpenAI""#, r#""tokens_prompt":7"#, r#""receipt":null"#] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    for (from, to, words) in [
        (r#""generation":"gen-"#, r#""generation":""#, "charges[0].generation"),
        (r#""key_hash":""#, r#""key_hash":"g"#, "charges[0].key_hash"),
        (r#""cost_usd":""#, r#""cost_usd":"-"#, "charges[0].cost_usd"),
    ] {
        let body = format!(r#"{{"charges":[{}]}}"#, line("e", "k", 1).replacen(from, to, 1));
        let failure = missed::read(&body).expect_err(&body);
        assert!(failure.message.contains(words), "{}", failure.message);
    }
    for body in ["", "{}", r#"{"charges":[]}"#, r#"{"charges":[3]}"#] {
        assert!(missed::read(body).is_err(), "{body}");
    }
}

/// Tables of before the books are brought forward with what their ledger knows.
#[test]
fn earlier_charges_are_in_the_books() {
    let mut books = Books::new();
    books.charge("0d", "a", "k", "x X 7 input 1");
    books.charge("1d", "b", "k", "x X 8 input 1");
    let schema = include_str!("../../schema/account.sql");
    let backfill = schema.split(";\n").find(|part| part.contains("INSERT INTO activity_day")).unwrap();
    books.database.connection.execute_batch(&format!("DELETE FROM activity_day;{backfill}")).unwrap();
    let rows = books.rows(By { day: true, key: true, ..By::default() });
    let told: Vec<_> = rows.iter().map(|row| (row.usage.pico(), row.counts.requests)).collect();
    assert_eq!(told, [(8, 1), (7, 1)]);
    assert_eq!(rows[0].key, KeyHash::of("k").to_string());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Over months of charges, grants, purchases and refunds in any order, repeated at will: each
    /// statement adds up, follows the one before, and the last ends at the account's balance.
    #[test]
    fn statements_add_up_to_the_ledger(steps in prop::collection::vec(step(), 1..80)) {
        let mut books = Books::new();
        let mut day = 0;
        for (pause, what, which, amount) in steps {
            day += pause;
            let at = format!("{day}d");
            match what {
                // Never nothing, which is no grant.
                0 => books.tell(&at, &grant(&format!("g{which}"), 2 * amount - 601)),
                1 => books.tell(&at, &grant(&format!("code:{which}"), amount)),
                2 => {
                    let (id, credit) = (format!("pi_{which}"), Money::from_pico(amount));
                    let payment = Payment { id, credit, paid: credit, attempt: None, card: None };
                    books.tell(&at, &Command::Billing { command: BillingCommand::Paid(payment) })
                }
                3 => {
                    let (payment, total) = (format!("pi_{which}"), Money::from_pico(amount));
                    books.tell(&at, &Command::Billing { command: BillingCommand::Refunded { payment, total } })
                }
                _ => {
                    let key = ["k", "l"][which as usize % 2];
                    let model = ["a/b A", "a/c A", "a/b B"][which as usize % 3];
                    let charge = settle(&format!("c{which}"), key, &format!("{model} {amount} input {amount}"));
                    books.report(&at, charge)
                }
            };
        }
        let now = format!("{day}d");
        let credits = books.database.tell(time(&now), &Command::Credits);
        let Answer::Credits { granted, used } = credits else { panic!("{credits:?}") };
        let list: Value = serde_json::from_str(&books.ask(&now, &BooksCommand::Statements).unwrap()).unwrap();
        let mut balance = granted.pico() - used.pico();
        for month in list["data"].as_array().unwrap() {
            let name = month["month"].as_str().unwrap();
            let statement = books.statement(&now, name);
            prop_assert_eq!(amount(&statement, "closing_balance"), balance, "{}", name);
            balance = adds_up(&statement);
            prop_assert_eq!(amount(month, "opening_balance"), balance);
            let table = read_csv(&books.csv(&now, name));
            let amounts: Vec<i64> = table[1..].iter().map(|line| line[15].parse().unwrap()).collect();
            let (closing, others) = amounts.split_last().unwrap();
            prop_assert_eq!(others.iter().sum::<i64>(), *closing);
        }
        prop_assert_eq!(balance, 0, "the account began with nothing");
        let charges = books.charges("0d", "9999d", 0, 1000);
        prop_assert_eq!(charges.iter().map(|row| row.amount.pico()).sum::<i64>(), used.pico());
    }

    /// Whatever a cell says, a reader of RFC 4180 reads it again, and no spreadsheet takes it for a formula.
    #[test]
    fn tables_keep_every_text(rows in prop::collection::vec(prop::collection::vec(cell(), 3), 1..5)) {
        let mut csv = Csv::new(&["a", "b", "c"]);
        for row in &rows {
            row.iter().for_each(|text| { csv.text(text); });
            csv.end_line();
        }
        let read = read_csv(&csv.finish());
        for (written, read) in rows.iter().zip(&read[1..]) {
            for (text, cell) in written.iter().zip(read) {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
                prop_assert!(cell == text || cell.strip_prefix('\'') == Some(text));
            }
        }
    }
}

fn step() -> impl Strategy<Value = (u64, u8, u8, i64)> {
    (0..12u64, 0..12u8, 0..16u8, 1..1000i64)
}

fn cell() -> impl Strategy<Value = String> {
    prop_oneof!["[=+@\"',;\\-\r\n\t a-z]{0,6}", Just("=HYPERLINK(\"http://x\")".to_owned())]
}

/// Checks a statement by its own figures, and returns its opening balance.
fn adds_up(statement: &Value) -> i64 {
    let of = |name: &str| amount(statement, name);
    let list = |name: &str| statement[name].as_array().unwrap();
    let mut by_kind: BTreeMap<&str, i64> = BTreeMap::new();
    for credit in list("credits") {
        *by_kind.entry(credit["kind"].as_str().unwrap()).or_default() += amount(credit, "amount");
    }
    for (kind, name) in
        [("grant", "grants"), ("purchase", "purchases"), ("refund", "refunds"), ("code", "codes")]
    {
        assert_eq!(by_kind.get(kind).copied().unwrap_or_default(), of(name), "{name} in {statement}");
    }
    let used: i64 = list("usage").iter().map(|row| amount(row, "amount")).sum();
    assert_eq!(used, of("charges"));
    let credits = of("grants") + of("purchases") + of("refunds") + of("codes");
    assert_eq!(of("opening_balance") + credits - used, of("closing_balance"), "{statement}");
    of("opening_balance")
}

fn amount(object: &Value, name: &str) -> i64 {
    object[format!("{name}_pico")].as_str().unwrap().parse().unwrap()
}

fn grant(id: &str, pico: i64) -> Command {
    Command::Grant { id: id.into(), amount: Money::from_pico(pico), reason: "test".into() }
}

/// Reads `<model> <provider or -> <picodollars> <class> <count>, …`; each unit costs a picodollar.
fn settle(id: &str, key: &str, told: &str) -> Settle {
    let mut parts = told.splitn(4, ' ');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (model, provider, amount, lines) = (next(), next(), next(), next());
    let line = |line: &str| {
        let (class, count) = line.trim().split_once(' ').unwrap();
        Line(class.into(), count.parse().unwrap(), Money::from_pico(1))
    };
    let lines = lines.split(',').filter(|line| !line.is_empty()).map(line).collect();
    let permaslug = format!("{model}-dated");
    let record = GenerationRecord {
        created_at: Time::from_ms(1),
        model,
        provider: Some(provider.clone()).filter(|name| name != "-"),
        finish_reason: Some("=1+1".into()),
        attempts: vec![Attempt { provider, status: Some(200), latency_ms: Some(12), ..Attempt::default() }],
        receipt: Some(Receipt { permaslug, endpoint: "e".into(), lines, ..Receipt::default() }),
        ..GenerationRecord::default()
    };
    Settle {
        generation: generation(id),
        key: KeyHash::of(key),
        amount: Money::from_pico(amount.parse().unwrap()),
        lease: None,
        record: Some(record.to_json()),
        used: None,
    }
}

/// An account whose books are asked.
struct Books {
    database: Database,
}

impl Books {
    fn new() -> Books {
        let mut books = Books { database: Database::new() };
        let account = AccountId::parse("Account00000").unwrap();
        books.tell("0d", &Command::Create { account, name: String::new() });
        books
    }

    fn tell(&mut self, at: &str, command: &Command) {
        let answer = self.database.tell(time(at), command);
        assert!(!matches!(answer, Answer::Fault { .. } | Answer::Invalid { .. }), "{command:?}: {answer:?}");
    }

    fn report(&mut self, at: &str, settle: Settle) {
        self.tell(at, &Command::Report(Report { charges: vec![settle], ..Report::default() }));
    }

    fn charge(&mut self, at: &str, id: &str, key: &str, told: &str) {
        self.report(at, settle(id, key, told));
    }

    fn ask(&mut self, at: &str, command: &BooksCommand) -> Option<String> {
        match self.database.tell(time(at), &command.command()) {
            Answer::Books { answer } => Some(answer),
            Answer::NotFound => None,
            other => panic!("{other:?}"),
        }
    }

    fn statement(&mut self, at: &str, month: &str) -> Value {
        let body = self.ask(at, &BooksCommand::Statement { month: month.into(), csv: false }).unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["data"].take()
    }

    fn csv(&mut self, at: &str, month: &str) -> String {
        self.ask(at, &BooksCommand::Statement { month: month.into(), csv: true }).unwrap()
    }

    fn rows_of(&mut self, key: Option<String>, workspace: Option<String>, by: By) -> Vec<activity::Row> {
        let from = time("0d").day().number();
        let question = activity::Question { from, to: from + 30, key, workspace, by, ..Default::default() };
        activity::read_rows(&self.ask("30d", &BooksCommand::Activity(question)).unwrap()).unwrap()
    }

    fn rows(&mut self, by: By) -> Vec<activity::Row> {
        self.rows_of(None, None, by)
    }

    fn activity(&mut self, key: Option<String>, workspace: Option<String>, by: By, named: bool) -> String {
        activity::write_body(&self.rows_of(key, workspace, by), named, "Account00000")
    }

    fn analytics(&mut self, body: &str) -> String {
        let query = Query::read(body, time("30d")).unwrap();
        let answer = self.ask("30d", &BooksCommand::Activity(query.question())).unwrap();
        query.answer(&activity::read_rows(&answer).unwrap(), "Account00000", 3)
    }

    fn charges(&mut self, from: &str, to: &str, after: u64, limit: u64) -> Vec<export::Row> {
        let question = export::Question { from: time(from), to: time(to), after, limit };
        export::read_rows(&self.ask("30d", &BooksCommand::Charges(question)).unwrap()).unwrap()
    }
}

/// The text with endpoints' ids, which are 36 characters long, taken out.
fn without_ids(body: &str) -> String {
    let name = r#""endpoint_id":""#;
    let mut parts = body.split(name);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| format!("{text}{name}ID{}", &part[36..]))
}

/// Reads a table as RFC 4180 says, with nothing of the writer's.
fn read_csv(text: &str) -> Vec<Vec<String>> {
    let (mut table, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quoted) {
            ('"', true) if characters.peek() == Some(&'"') => cell.extend(characters.next()),
            ('"', _) => quoted = !quoted,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) if characters.peek() == Some(&'\n') => {
                characters.next();
                row.push(std::mem::take(&mut cell));
                table.push(std::mem::take(&mut row));
            }
            (other, _) => cell.push(other),
        }
    }
    assert!(cell.is_empty() && row.is_empty(), "the last line has an end");
    table
}

/// A day is what everybody takes it for.
#[test]
fn the_first_day_of_these_tests() {
    assert_eq!(time("0d").day(), Day::from_civil(2026, 11, 21).unwrap());
}
