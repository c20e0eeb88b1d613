//! Alerts at the account: what is told, once, armed again by a margin, and delivered or given up.

use crate::account::script::{Database, check_line, generation, time, usd};
use millrace::account::alert::message::{self, Delivery};
use millrace::account::alert::outbox::{MOST, PAUSES_S};
use millrace::account::alert::{
    AlertAnswer, AlertCommand, Ended, FallbackSpike, Outcome, Settings, Standing, UnusualSpend, view,
};
use millrace::account::budget::command::BudgetCommand;
use millrace::account::budget::{Budget, Per, Scope};
use millrace::account::record::{Attempt, GenerationRecord};
use millrace::account::{Answer, Command, LimitReset, Report, Settle};
use millrace::id::KeyHash;
use millrace::media::Hosts;
use millrace::time::Time;
use serde_json::Value;

struct Account {
    database: Database,
    charges: u32,
}

impl Account {
    fn new(settings: Settings, lines: &[&str]) -> Account {
        let mut database = Database::new();
        check_line(&mut database, "0s create => created");
        check_line(&mut database, "0s grant g 1000 => granted 1000 total 1000");
        let mut account = Account { database, charges: 0 };
        let secret = message::secret(&[1; 32]);
        account.tell("0s", AlertCommand::Set { settings, secret, renew: false });
        lines.iter().for_each(|line| account.line(line));
        account
    }

    fn line(&mut self, line: &str) {
        check_line(&mut self.database, line);
    }

    fn tell(&mut self, at: &str, command: AlertCommand) -> AlertAnswer {
        AlertAnswer::read(&self.database.tell(time(at), &command.told())).expect("an answer")
    }

    fn spend(&mut self, at: &str, key: &str, amount: &str) {
        self.settle(at, key, amount, &[Some(200)]);
    }

    /// A request whose attempts ended with these statuses.
    fn settle(&mut self, at: &str, key: &str, amount: &str, statuses: &[Option<u16>]) {
        self.charges += 1;
        let attempts =
            statuses.iter().map(|status| Attempt { status: *status, ..Attempt::default() }).collect();
        let record = GenerationRecord { provider: Some("P".into()), attempts, ..GenerationRecord::default() };
        let settle = Settle {
            generation: generation(&self.charges.to_string()),
            key: KeyHash::of(key),
            amount: usd(amount),
            lease: None,
            record: Some(record.to_json()),
            used: None,
        };
        let report = Report { charges: vec![settle], ..Report::default() };
        for _ in 0..2 {
            // A replay is not told twice.
            let answer = self.database.tell(time(at), &Command::Report(report.clone()));
            assert!(matches!(answer, Answer::Reported(_)), "{answer:?}");
        }
    }

    fn due(&mut self, at: &str) -> Vec<Delivery> {
        match self.tell(at, AlertCommand::Due) {
            AlertAnswer::Due(due) => due,
            other => panic!("{other:?}"),
        }
    }

    /// The types of the alerts that are due, which are delivered.
    fn told(&mut self, at: &str) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let due = self.due(at);
            if due.is_empty() {
                return told;
            }
            for Delivery { number, body, .. } in due {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                told.push(body["type"].as_str().unwrap().to_owned());
                self.ended(at, number, Outcome::Delivered);
            }
        }
    }

    fn ended(&mut self, at: &str, number: u64, outcome: Outcome) {
        self.tell(at, AlertCommand::Ended(vec![Ended { number, outcome }]));
    }

    fn standing(&mut self, at: &str) -> Standing {
        match self.tell(at, AlertCommand::Get) {
            AlertAnswer::Standing { standing, .. } => standing.unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// Settings that tell of limits alone.
fn quiet() -> Settings {
    Settings {
        url: "https://hooks.example/x".into(),
        enabled: true,
        low_balance: None,
        unusual_spend: None,
        fallback_spike: None,
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_limit_is_told_at_four_fifths_and_at_its_end_once_in_a_window() {
    let mut account = Account::new(quiet(), &["1s key a limit 10 reset daily => key a version 1"]);
    account.spend("2s", "a", "7.99");
    assert_eq!(account.told("2s"), NOTHING);
    account.spend("3s", "a", "0.01");
    assert_eq!(account.told("3s"), ["key.limit.approached"]);
    account.spend("4s", "a", "1");
    assert_eq!(account.told("4s"), NOTHING);
    account.spend("5s", "a", "1");
    account.spend("6s", "a", "1");
    assert_eq!(account.told("6s"), ["key.limit.reached"]);
    // A higher limit arms both again, the next day as well.
    account.line("7s update a limit 20 => updated a version 2");
    account.spend("8s", "a", "1");
    assert_eq!(account.told("8s"), NOTHING);
    account.spend("9s", "a", "9");
    assert_eq!(account.told("9s"), ["key.limit.approached", "key.limit.reached"]);
    account.spend("1d", "a", "16");
    assert_eq!(account.told("1d"), ["key.limit.approached"]);
}

#[test]
fn a_limit_has_ended_where_a_request_no_longer_fits() {
    let mut account = Account::new(quiet(), &["1s key a limit 10 => key a version 1"]);
    account.spend("2s", "a", "5");
    account.line("3s hold 900 a 6 until 90s => refused key limit available 5 missing 1");
    assert_eq!(account.told("3s"), NOTHING, "half of it is left");
    account.spend("4s", "a", "4");
    account.line("5s hold 901 a 2 until 90s => refused key limit available 1 missing 1");
    assert_eq!(account.told("5s"), ["key.limit.approached", "key.limit.reached"]);
    account.spend("6s", "a", "0.5");
    account.line("7s hold 902 a 2 until 90s => refused key limit available 0.5 missing 1.5");
    assert_eq!(account.told("7s"), NOTHING);
}

#[test]
fn an_alert_says_whose_limit_it_is_and_holds_no_secret() {
    let mut account = Account::new(quiet(), &["1s key a limit 10 reset daily => key a version 1"]);
    account.spend("2s", "a", "8.5");
    let due = account.due("3s");
    let body: Value = serde_json::from_str(&due[0].body).expect("JSON");
    assert_eq!(body["timestamp"], "2026-11-21T00:00:02.000Z");
    assert_eq!(
        body["data"],
        serde_json::json!({
            "account_id": "Account00000",
            "key_hash": KeyHash::of("a").as_str(),
            "key_name": "a",
            "key_label": "sk-mr-v1-...",
            "percent": 80,
            "limit": "10",
            "spent": "8.5",
            "limit_reset": "daily",
            "resets_at": "2026-11-22T00:00:00.000Z",
        })
    );
    assert_eq!(due[0].id, "msg_Account000001");
}

#[test]
fn a_budget_is_told_like_a_limit_and_by_each_that_it_is_counted_for() {
    let mut account = Account::new(quiet(), &["1s key a => key a version 1", "1s key b => key b version 1"]);
    let budget = |id: &str, per, amount: &str| {
        BudgetCommand::Set(Budget {
            id: id.into(),
            scope: Scope::Account,
            subject: String::new(),
            per,
            model: None,
            window: Some(LimitReset::Daily),
            amount: usd(amount),
            include_byok: false,
            source: None,
        })
    };
    for command in
        [budget("all", Per::All, "20"), budget("each", Per::Key, "10"), budget("user", Per::EndUser, "1")]
    {
        let command = Command::Budget { command: serde_json::to_string(&command).unwrap() };
        assert!(matches!(account.database.tell(time("2s"), &command), Answer::Budgets { .. }));
    }
    account.spend("3s", "a", "8");
    let due = account.due("3s");
    let body: Value = serde_json::from_str(&due[0].body).expect("JSON");
    assert_eq!((due.len(), &body["type"]), (1, &"budget.approached".into()));
    assert_eq!((&body["data"]["budget_id"], &body["data"]["spent"]), (&"each".into(), &"8".into()));
    assert_eq!(body["data"]["counted_for"], KeyHash::of("a").as_str());
    account.ended("3s", due[0].number, Outcome::Delivered);
    account.spend("4s", "b", "9");
    assert_eq!(account.told("4s").len(), 2, "of the other key, and of both together");
    account.spend("5s", "b", "0.5");
    assert_eq!(account.told("5s"), NOTHING);
    account.spend("1d", "b", "9");
    assert_eq!(account.told("1d"), ["budget.approached"]);
}

#[test]
fn a_low_balance_is_told_again_only_after_it_was_well_above() {
    let settings = Settings { low_balance: Some(usd("100")), ..quiet() };
    let mut account = Account::new(settings, &["1s key a => key a version 1"]);
    account.spend("2s", "a", "900");
    assert_eq!(account.told("2s"), NOTHING);
    account.spend("3s", "a", "0.01");
    assert_eq!(account.told("3s"), ["balance.low"]);
    account.line("4s grant h 5 => granted 5 total 1005");
    account.spend("5s", "a", "1");
    account.spend("6s", "a", "9");
    assert_eq!(account.told("6s"), NOTHING);
    account.line("7s grant i 50 => granted 50 total 1055");
    account.spend("8s", "a", "1");
    account.spend("9s", "a", "60");
    assert_eq!(account.told("9s"), ["balance.low"]);
}

#[test]
fn an_hour_far_beyond_the_last_week_is_told_once() {
    let settings = Settings { unusual_spend: Some(UnusualSpend { factor: 3, floor: usd("5") }), ..quiet() };
    let mut account = Account::new(settings, &["1s key a => key a version 1"]);
    account.spend("100s", "a", "50");
    assert_eq!(account.told("100s"), NOTHING, "nothing is usual on the first day");
    for hour in 1..48 {
        account.spend(&format!("{}s", hour * 3600), "a", "2");
    }
    assert_eq!(account.told("47s"), NOTHING);
    // The mean is 144 in 48 hours, which is three.
    account.spend("172801s", "a", "9");
    assert_eq!(account.told("172801s"), NOTHING);
    account.spend("172802s", "a", "0.1");
    account.spend("172803s", "a", "30");
    assert_eq!(account.told("172803s"), ["spend.unusual"]);
    account.spend("176400s", "a", "90");
    assert_eq!(account.told("176400s"), NOTHING, "it goes on");
    account.spend("180000s", "a", "1");
    account.spend("183600s", "a", "90");
    assert_eq!(account.told("183600s"), ["spend.unusual"], "it was over for an hour");
    account.spend("30d", "a", "4");
    assert_eq!(account.told("30d"), NOTHING, "below the floor");
}

#[test]
fn many_fallbacks_are_told_and_again_only_after_a_calm() {
    let settings = Settings { fallback_spike: Some(FallbackSpike { percent: 50, requests: 10 }), ..quiet() };
    let mut account = Account::new(settings, &["1s key a => key a version 1"]);
    let (direct, fallback) = ([Some(200)], [Some(529), Some(200)]);
    for _ in 0..9 {
        account.settle("2s", "a", "0", &fallback);
    }
    assert_eq!(account.told("2s"), NOTHING, "too few");
    account.settle("3s", "a", "0", &[None, Some(200)]);
    account.settle("4s", "a", "0", &fallback);
    assert_eq!(account.told("4s"), ["fallback.spike"]);
    for _ in 0..20 {
        account.settle("5s", "a", "0", &direct);
    }
    account.settle("6s", "a", "0", &fallback);
    assert_eq!(account.told("6s"), NOTHING, "a third is no calm");
    for _ in 0..30 {
        account.settle("700s", "a", "0", &direct);
    }
    for _ in 0..30 {
        account.settle("701s", "a", "0", &fallback);
    }
    assert_eq!(account.told("701s"), ["fallback.spike"]);
}

#[test]
fn a_delivery_that_fails_is_made_again_later_and_given_up_in_the_end() {
    let mut account = Account::new(quiet(), &[]);
    account.tell("10s", AlertCommand::Test);
    let first = account.due("10s").remove(0);
    assert_eq!(account.due("11s"), vec![], "it is under way");
    assert_eq!(account.due("70s"), vec![first.clone()], "nothing was heard of it");
    let mut at = 100;
    for pause in PAUSES_S {
        account.ended(&format!("{at}s"), first.number, Outcome::Failed("it answered with 500".into()));
        assert_eq!(account.due(&format!("{}s", at + pause - 1)), []);
        at += pause;
        assert_eq!(account.due(&format!("{at}s")), vec![first.clone()]);
    }
    let standing = account.standing("2d");
    assert_eq!((standing.waiting, standing.lost), (1, 0));
    assert_eq!(standing.last_error.as_deref(), Some("it answered with 500"));
    account.ended("2d", first.number, Outcome::Failed("again".into()));
    let standing = account.standing("2d");
    assert_eq!((standing.waiting, standing.lost), (0, 1));
    // A late word changes nothing.
    account.ended("3d", first.number, Outcome::Failed("again".into()));
    assert_eq!(account.standing("3d").lost, 1);
}

#[test]
fn an_endpoint_that_is_gone_is_asked_no_more() {
    let mut account = Account::new(quiet(), &[]);
    account.tell("1s", AlertCommand::Test);
    let number = account.due("1s")[0].number;
    account.ended("2s", number, Outcome::Gone);
    assert!(!account.standing("2s").settings.enabled);
    assert_eq!(account.due("1d"), []);
    account.tell("1d", AlertCommand::Test);
    assert_eq!(account.standing("1d").waiting, 1, "and nothing more is put there");
}

#[test]
fn what_waits_is_bounded() {
    let mut account = Account::new(quiet(), &[]);
    for _ in 0..MOST + 3 {
        account.tell("1s", AlertCommand::Test);
    }
    let standing = account.standing("1s");
    assert_eq!((standing.waiting, standing.lost), (MOST, 3));
    assert_eq!(account.due("1s").len(), 10);
}

#[test]
fn the_alarm_comes_for_an_alert() {
    let mut account = Account::new(quiet(), &["1s key a limit 1 => key a version 1"]);
    account.spend("5s", "a", "1");
    account.line("6s hold 900 a 0 until 60s => held 0 until 60s alarm 5s");
    account.told("6s");
    account.line("7s settle 900 a 0 => settled 0");
    account.line("8s expire => expired 0 records 0 alarm 2592005s");
}

#[test]
fn without_settings_nothing_is_kept() {
    let mut database = Database::new();
    for line in [
        "0s create => created",
        "0s key a limit 1 => key a version 1",
        "1s settle 1 a 2 => settled 2 exceeded",
    ] {
        check_line(&mut database, line);
    }
    for table in ["alert", "alert_hour", "alert_minute", "alert_state"] {
        assert_eq!(database.text(&format!("SELECT COUNT(*) FROM {table}")), "0", "{table}");
    }
}

#[test]
fn a_charge_is_made_where_its_alert_cannot_be() {
    let mut account = Account::new(quiet(), &["1s key a limit 1 => key a version 1"]);
    account.database.connection.execute_batch("DROP TABLE alert_state").unwrap();
    account.spend("2s", "a", "1");
    account.line("3s credits => granted 1000 used 1");
}

#[test]
fn a_secret_is_shown_once_and_when_it_is_renewed() {
    let mut account = Account::new(quiet(), &[]);
    let set = |secret: &[u8; 32], renew| AlertCommand::Set {
        settings: quiet(),
        secret: message::secret(secret),
        renew,
    };
    let shown = |answer| match answer {
        AlertAnswer::Standing { new_secret, .. } => new_secret,
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(account.tell("1s", set(&[2; 32], false))), None);
    assert_eq!(shown(account.tell("1s", set(&[3; 32], true))), Some(message::secret(&[3; 32])));
    assert_eq!(shown(account.tell("1s", AlertCommand::Get)), None);
    account.tell("2s", AlertCommand::Test);
    assert_eq!(account.due("2s")[0].secret, message::secret(&[3; 32]));
}

/// The example of the Standard Webhooks specification's own libraries.
#[test]
fn a_delivery_is_signed_as_the_standard_has_it() {
    let delivery = Delivery {
        number: 1,
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek".into(),
        body: r#"{"test": 2432232314}"#.into(),
        url: String::new(),
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(),
    };
    let headers = delivery.headers(Time::from_ms(1_614_265_330_999));
    assert_eq!(
        headers.map(|(_, value)| value),
        ["msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="]
    );
}

#[test]
fn settings_are_read_with_their_defaults_and_refused_by_name() {
    let hosts = Hosts::read("127.0.0.1:9999");
    let read = |body: &str| view::read(body.as_bytes(), &hosts).map_err(|failure| failure.message);
    let (settings, renew) = read(r#"{"url":"https://hooks.example/x"}"#).unwrap();
    assert_eq!((settings.low_balance, renew, settings.enabled), (Some(usd("100")), false, true));
    assert_eq!(settings.unusual_spend, Some(UnusualSpend { factor: 5, floor: usd("10") }));
    assert_eq!(settings.fallback_spike, Some(FallbackSpike { percent: 50, requests: 20 }));
    let (settings, _) = read(
        r#"{"url":"http://127.0.0.1:9999/","low_balance":null,"unusual_spend":null,"fallback_spike":{"percent":9}}"#,
    )
    .unwrap();
    assert_eq!((settings.low_balance, settings.unusual_spend), (None, None));
    assert_eq!(settings.fallback_spike, Some(FallbackSpike { percent: 9, requests: 20 }));
    let cases = [
        ("{}", "url: "),
        (r#"{"url":"http://169.254.169.254/latest"}"#, "url: cannot be asked"),
        (r#"{"url":"https://localhost/"}"#, "url: cannot be asked"),
        (r#"{"url":"https://a.example/","low_balance":-1}"#, "low_balance: "),
        (r#"{"url":"https://a.example/","unusual_spend":{"factor":0}}"#, "unusual_spend.factor"),
        (r#"{"url":"https://a.example/","unusual_spend":{"k":2}}"#, "k: no such member"),
        (r#"{"url":"https://a.example/","unusual_spend":5}"#, "unusual_spend: "),
        (r#"{"url":"https://a.example/","fallback_spike":{"percent":101}}"#, "fallback_spike: "),
        (r#"{"url":"https://a.example/","secret":"x"}"#, "secret: no such member"),
    ];
    for (body, words) in cases {
        let flaw = read(body).expect_err(body);
        assert!(flaw.contains(words), "{body}: {flaw}");
    }
}
