//! Scripts for the account object: lines of `<time> <command> => <answer>` against SQLite in memory.

use millrace::account::budget::command::BudgetCommand;
use millrace::account::budget::{Budget, Per, Scope, Standing};
use millrace::account::rate::command::RateCommand;
use millrace::account::rate::{RateLimit, Slice, SliceReport, Take, Used, minute_of};
use millrace::account::{
    self, Answer, Cell, Command, Held, Hold, KeyChange, KeyKind, LeaseReport, LimitReset, NewKeyPolicy, Part,
    Refusal, Report, Reported, Settle, Sql, SqlError,
};
use millrace::id::{AccountId, GenerationId, KeyHash, LeaseId};
use millrace::money::Money;
use millrace::routing::rate::FreeLimits;
use millrace::time::Time;
use rusqlite::types::{ToSql, Value, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeMap;

/// Runs a script against an empty database: on each line a time, a command and what is answered.
pub fn check(script: &str) {
    let mut database = Database::new();
    for line in script.lines() {
        check_line(&mut database, line);
    }
}

pub fn check_line(database: &mut Database, line: &str) {
    let (told, expected) = line.split_once("=>").unwrap();
    let (now, command) = told.trim().split_once(' ').unwrap();
    let answer = database.tell(time(now), &read_command(command.trim()));
    assert_eq!(database.say(&answer), expected.trim(), "at {line}\n{answer:?}");
}

/// A database in memory, with the transaction that the object's body puts around a command.
pub struct Database {
    pub connection: Connection,
    /// After this many statements every further one fails.
    pub statements_left: std::cell::Cell<u32>,
    /// The tables were looked at, as the object remembers it.
    pub current: std::cell::Cell<bool>,
    /// The names behind the hashes of keys.
    names: BTreeMap<String, String>,
}

impl Database {
    pub fn new() -> Database {
        let connection = Connection::open_in_memory().unwrap();
        connection.set_prepared_statement_cache_capacity(64);
        Database {
            connection,
            statements_left: std::cell::Cell::new(u32::MAX),
            current: std::cell::Cell::new(false),
            names: BTreeMap::new(),
        }
    }

    /// Carries out a command by way of its JSON.
    pub fn tell(&mut self, now: Time, command: &Command) -> Answer {
        if let Command::CreateKey(policy) = command {
            self.names.entry(policy.hash.to_string()).or_insert(policy.name.clone());
        }
        self.connection.execute_batch("BEGIN").unwrap();
        let answer = account::run(self, now, &command.to_json());
        let end = if account::is_fault(&answer) { "ROLLBACK" } else { "COMMIT" };
        self.current.set(self.current.get() && end == "COMMIT");
        self.connection.execute_batch(end).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// The first column of the first row, as text.
    pub fn text(&self, statement: &str) -> String {
        let value = self.connection.query_row(statement, [], |row| row.get(0)).unwrap();
        match value {
            Value::Text(text) => text,
            Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }

    /// Every row of every table.
    pub fn dump(&self) -> Vec<String> {
        let tables = [
            "schema_version",
            "account",
            "api_key",
            "ledger",
            "lease",
            "key_day",
            "generation",
            "purchase",
            "reversal",
            "top_up",
            "code",
            "redemption",
            "activity_day",
            "budget",
            "budget_count",
            "byok_key",
        ];
        let mut rows = Vec::new();
        for table in tables {
            let mut statement = self.connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let found = statement.query_map([], |row| {
                Ok((0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect::<String>())
            });
            rows.extend(found.unwrap().map(Result::unwrap));
        }
        rows
    }

    /// An answer in the words of a script.
    fn say(&self, answer: &Answer) -> String {
        let already = |already: &bool| if *already { " already" } else { "" };
        let alarm = say_alarm;
        match answer {
            Answer::Missing => "missing".into(),
            Answer::Created { already: again, .. } => format!("created{}", already(again)),
            Answer::Account { account } => format!(
                "granted {} charged {} held {} available {}",
                account.granted.to_usd(),
                account.charged.to_usd(),
                account.held.to_usd(),
                account.available.to_usd()
            ),
            Answer::Granted { already: again, amount, account } => {
                format!("granted {} total {}{}", amount.to_usd(), account.granted.to_usd(), already(again))
            }
            Answer::Credits { granted, used } => {
                format!("granted {} used {}", granted.to_usd(), used.to_usd())
            }
            Answer::KeyCreated { already: again, key, snapshot } => {
                format!("key {} version {}{}", key.name, snapshot.version, already(again))
            }
            Answer::Key { key } => format!("key {}", key.name),
            Answer::KeyUpdated { key, snapshot } => {
                format!("updated {} version {}", key.name, snapshot.version)
            }
            Answer::KeyDeleted { already: again, snapshot } => {
                assert!(snapshot.deleted);
                format!("deleted version {}{}", snapshot.version, already(again))
            }
            Answer::Keys { keys } => keys
                .iter()
                .fold("keys".into(), |words: String, key| words + " " + &self.names[key.hash.as_str()]),
            Answer::Authenticated { snapshot } => format!("authenticated version {}", snapshot.version),
            Answer::Reported(reported) => say_reported(reported),
            Answer::Expired { holds, records, next_alarm } => {
                format!("expired {holds} records {records}{}", alarm(next_alarm))
            }
            Answer::Found { cost, .. } => format!("found {}", cost.to_usd()),
            Answer::Billing { answer } => serde_json::to_string(answer).unwrap(),
            Answer::Pending => "pending".into(),
            Answer::NotFound => "not found".into(),
            Answer::Refused { refusal } => format!("refused {}", say_refusal(refusal)),
            Answer::Invalid { .. } => "invalid".into(),
            Answer::Budgets { standings } => say_budgets(standings),
            Answer::Document { .. } => "document".into(),
            Answer::Books { answer } | Answer::Byok { answer } => answer.clone(),
            Answer::Access { answer, .. } | Answer::Alert { answer, .. } => answer.clone(),
            Answer::Team { .. } => "team".into(),
            Answer::Forbidden { role, needed } => format!("forbidden to {role}, needs {needed}"),
            Answer::Fault { .. } => "fault".into(),
        }
    }
}

impl Sql for Database {
    fn run(&self, statement: &str, arguments: &[Cell]) -> Result<Vec<Vec<Cell>>, SqlError> {
        let left = self.statements_left.get();
        if left == 0 {
            return Err(SqlError("the disk is gone".into()));
        }
        self.statements_left.set(left - 1);
        let failed = |error: rusqlite::Error| SqlError(error.to_string());
        let mut prepared = self.connection.prepare_cached(statement).map_err(failed)?;
        let columns = prepared.column_count();
        let mut rows = prepared
            .query(params_from_iter(arguments.iter().map(|cell| cell as &dyn ToSql)))
            .map_err(failed)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            found.push((0..columns).map(|at| cell(statement, row.get_ref(at).unwrap())).collect());
        }
        Ok(found)
    }

    fn is_current(&self) -> bool {
        self.current.get()
    }

    fn note_current(&self) {
        self.current.set(true);
    }
}

/// A number here would have lost digits on its way through JavaScript.
fn cell(statement: &str, value: ValueRef) -> Cell {
    match value {
        ValueRef::Null => None,
        ValueRef::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
        other => panic!("{other:?} crosses as a number in {statement}"),
    }
}

fn say_alarm(time: &Option<Time>) -> String {
    time.map_or(String::new(), |at| format!(" alarm {}", when(at)))
}

fn say_reported(Reported { charges, hold, leases, next_alarm, .. }: &Reported) -> String {
    let charges = charges.iter().map(|settled| {
        let exceeded = if settled.exceeded_hold { " exceeded" } else { "" };
        let already = if settled.already { " already" } else { "" };
        format!("settled {}{exceeded}{already}", settled.amount.to_usd())
    });
    let hold = hold.iter().map(|held| match held {
        Held::Held { amount, expires_at, .. } => {
            format!("held {} until {}{}", amount.to_usd(), when(*expires_at), say_alarm(next_alarm))
        }
        Held::Refused { refusal } => format!("refused {}", say_refusal(refusal)),
    });
    let leases = leases.iter().map(|lease| match (lease.ended, lease.admits_ms) {
        (true, _) => "no lease".to_owned(),
        (false, 0) => format!("lease {}{}", lease.amount.to_usd(), say_slice(&lease.slice)),
        (false, ms) => {
            format!("lease {} admits {}s{}", lease.amount.to_usd(), ms / 1000, say_slice(&lease.slice))
        }
    });
    charges.chain(hold).chain(leases).collect::<Vec<_>>().join(", ")
}

fn say_slice(slice: &Option<Slice>) -> String {
    let say = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    slice.map_or(String::new(), |slice| {
        format!(" slice {}/{}/{}", say(slice.requests), say(slice.tokens), say(slice.slots))
    })
}

/// `a 2+50 of 3/100/-`, with `[who]` where it is counted by each, and `*2` for what is under way.
fn say_rates(limits: &[serde_json::Value]) -> String {
    let say = |limit: &serde_json::Value| {
        let most = ["requests_per_minute", "tokens_per_minute", "concurrent_requests"];
        let most = most.map(|name| limit[name].as_u64().map_or("-".to_owned(), |most| most.to_string()));
        let running = limit["running"].as_u64().map_or(String::new(), |count| format!("*{count}"));
        let counts: Vec<String> = limit["counts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|count| {
                let who = count["subject"]
                    .as_str()
                    .map_or(String::new(), |who| format!("[{}]", &who[..who.len().min(4)]));
                let number = |name: &str| count[name].as_u64().unwrap_or(0);
                format!("{who}{}+{}", number("requests"), number("tokens"))
            })
            .collect();
        let counts = if counts.is_empty() { "0+0".to_owned() } else { counts.join(" ") };
        format!("{} {counts}{running} of {}", limit["id"].as_str().unwrap(), most.join("/"))
    };
    limits.iter().map(say).collect::<Vec<_>>().join(", ")
}

fn say_budgets(standings: &str) -> String {
    if let Ok(limits) = serde_json::from_str::<Vec<serde_json::Value>>(standings)
        && limits.iter().any(|limit| limit.get("requests_per_minute").is_some())
    {
        return say_rates(&limits);
    }
    let standings: Vec<Standing> = serde_json::from_str(standings).unwrap();
    let say = |standing: &Standing| {
        let Standing { budget, who, spent, held, .. } = standing;
        let who = if who.is_empty() { String::new() } else { format!("[{}]", &who[..who.len().min(4)]) };
        format!("{}{who} {}+{} of {}", budget.id, spent.to_usd(), held.to_usd(), budget.amount.to_usd())
    };
    standings.iter().map(say).collect::<Vec<_>>().join(", ")
}

fn tell_budget(command: &BudgetCommand) -> Command {
    Command::Budget { command: serde_json::to_string(command).unwrap() }
}

fn say_refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Key { reason } => {
            let name = serde_json::to_value(reason).unwrap();
            format!("key {} {}", name.as_str().unwrap(), reason.cause().status())
        }
        Refusal::Credit { available, missing } => {
            format!("credit available {} missing {}", available.to_usd(), missing.to_usd())
        }
        Refusal::KeyLimit { available, missing, resets_at } => {
            let resets = resets_at.map_or(String::new(), |at| format!(" resets {}", when(at)));
            format!("key limit available {} missing {}{resets}", available.to_usd(), missing.to_usd())
        }
        Refusal::Budget { standing, available, missing } => {
            let resets = standing.resets_at.map_or(String::new(), |at| format!(" resets {}", when(at)));
            let (id, spent) = (&standing.budget.id, standing.spent.to_usd());
            let (available, missing) = (available.to_usd(), missing.to_usd());
            format!("budget {id} spent {spent} available {available} missing {missing}{resets}")
        }
        Refusal::Rate(limited) => {
            let id = limited.limit.as_ref().map_or(String::new(), |limit| format!("{} ", limit.id));
            let (remaining, most) = (limited.remaining, limited.most);
            format!(
                "rate {id}{} {remaining} of {most} until {}",
                limited.measure.as_str(),
                when(limited.resets_at)
            )
        }
        Refusal::Ended => "ended".into(),
    }
}

/// Reads a command of a script: a verb, its subjects, then options by name.
pub fn read_command(line: &str) -> Command {
    let words: Vec<&str> = line.split_whitespace().collect();
    let hash = || KeyHash::of(words[1]);
    let has = |name: &str| words.contains(&name);
    let option = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
    let only = option("only").map(|kind| KeyKind::parse(kind).unwrap());
    match words[0] {
        "create" => {
            Command::Create { account: AccountId::parse("Account00000").unwrap(), name: "test".into() }
        }
        "describe" => Command::Describe,
        "grant" => Command::Grant { id: words[1].into(), amount: usd(words[2]), reason: "test".into() },
        "credits" => Command::Credits,
        "key" => Command::CreateKey(NewKeyPolicy {
            hash: hash(),
            label: "sk-mr-v1-...".into(),
            name: words[1].into(),
            kind: option("kind").map_or(KeyKind::Inference, |kind| KeyKind::parse(kind).unwrap()),
            limit: option("limit").map(usd),
            limit_reset: option("reset").and_then(LimitReset::parse),
            include_byok_in_limit: false,
            expires_at: option("expires").map(time),
            holder: Default::default(),
            workspace: String::new(),
        }),
        "keys" => Command::ListKeys {
            workspace: None,
            creator: None,
            offset: option("offset").map_or(0, |offset| offset.parse().unwrap()),
            include_disabled: has("disabled"),
            include_expired: has("expired"),
            include_apps: has("apps"),
        },
        "get" => Command::GetKey { hash: hash(), only },
        "update" => Command::UpdateKey(KeyChange {
            hash: hash(),
            only,
            name: option("name").map(str::to_owned),
            disabled: option("disabled").map(|flag| flag == "true"),
            limit: option("limit").map(|limit| Money::parse_usd(limit).ok()),
            limit_reset: option("reset").map(LimitReset::parse),
            include_byok_in_limit: None,
        }),
        "budget" => {
            let scope = words[2].split_once(':').unwrap_or((words[2], ""));
            let subject = if scope.0 == "key" { KeyHash::of(scope.1).to_string() } else { scope.1.into() };
            tell_budget(&BudgetCommand::Set(Budget {
                id: words[1].into(),
                scope: Scope::parse(scope.0).unwrap(),
                subject,
                per: option("per").map_or(Per::All, |per| Per::parse(per).unwrap()),
                model: option("model").map(str::to_owned),
                window: option("reset").and_then(LimitReset::parse),
                amount: usd(option("amount").unwrap()),
                include_byok: false,
                source: None,
            }))
        }
        "rate" => {
            let scope = words[2].split_once(':').unwrap_or((words[2], ""));
            let subject = if scope.0 == "key" { KeyHash::of(scope.1).to_string() } else { scope.1.into() };
            let most = |name: &str| option(name).map(|most| most.parse().unwrap());
            tell_budget(&BudgetCommand::Rate(RateCommand::Set(RateLimit {
                id: words[1].into(),
                scope: Scope::parse(scope.0).unwrap(),
                subject,
                per: option("per").map_or(Per::All, |per| Per::parse(per).unwrap()),
                model: option("model").map(str::to_owned),
                requests_per_minute: most("requests"),
                tokens_per_minute: most("tokens"),
                concurrent_requests: most("concurrent"),
            })))
        }
        "unrate" => tell_budget(&BudgetCommand::Rate(RateCommand::Remove { id: words[1].into() })),
        "rates" => tell_budget(&BudgetCommand::Rate(RateCommand::List)),
        "unbudget" => tell_budget(&BudgetCommand::Remove { id: words[1].into() }),
        "budgets" => tell_budget(&BudgetCommand::List),
        "delete" => Command::DeleteKey { hash: hash(), only },
        "authenticate" => Command::Authenticate { hash: hash() },
        "hold" | "settle" | "lease" => Command::Report(read_report(line)),
        "expire" => Command::ExpireHolds,
        "generation" => Command::Generation { id: generation(words[1]) },
        other => panic!("no such command: {other}"),
    }
}

/// Reads `settle <generation> <key> <amount> [from <lease>]`, `hold <generation> <key> <amount> [min
/// <amount>] until <time>` and `lease <lease> <key> <number> want <amount> [open <amount>] [unit <amount>]`,
/// several with commas between them.
pub fn read_report(line: &str) -> Report {
    let mut report = Report::default();
    for part in line.split(',') {
        let words: Vec<&str> = part.split_whitespace().collect();
        let option = |name: &str| words.iter().position(|word| *word == name).map(|at| words[at + 1]);
        let key = KeyHash::of(words[2]);
        match words[0] {
            "settle" => report.charges.push(Settle {
                generation: generation(words[1]),
                key,
                amount: usd(words[3]),
                lease: option("from").map(lease),
                record: Some(format!(
                    r#"{{"model":"{}","external_user":"{}"}}"#,
                    option("model").unwrap_or_default(),
                    option("user").unwrap_or_default()
                )),
                used: option("beyond").map(|beyond| Used {
                    minute: minute_of(time(option("at").unwrap_or("0s"))),
                    beyond: beyond.parse().unwrap(),
                }),
            }),
            "hold" => {
                report.hold = Some(Hold {
                    generation: generation(words[1]),
                    key,
                    amount: usd(words[3]),
                    minimum: option("min").map(usd),
                    part: match option("part") {
                        Some("least") => Part::Least,
                        Some("more") => Part::More,
                        _ => Part::Most,
                    },
                    expires_at: time(option("until").unwrap()),
                    models: option("models")
                        .into_iter()
                        .flat_map(|list| list.split('+'))
                        .map(str::to_owned)
                        .collect(),
                    end_user: option("user").map(str::to_owned),
                    take: Take {
                        tokens: option("tokens").map_or(0, |tokens| tokens.parse().unwrap()),
                        free: words.contains(&"free").then_some(FreeLimits {
                            per_minute: 2,
                            per_day: 5,
                            per_day_low: 3,
                            credits: 10,
                        }),
                    },
                });
            }
            "lease" => report.leases.push(LeaseReport {
                id: lease(words[1]),
                key,
                number: words[3].parse().unwrap(),
                open: option("open").map_or(Money::ZERO, usd),
                want: option("want").map(usd).unwrap(),
                unit: option("unit").map_or(Money::from_pico(1), usd),
                outlives_ms: 60_000,
                slice: option("slice").map(|slice| {
                    let parts: Vec<i64> = slice.split('/').map(|part| part.parse().unwrap()).collect();
                    SliceReport {
                        minute: minute_of(time(option("at").unwrap_or("0s"))),
                        requests: parts[0],
                        tokens: parts[1],
                        running: parts[2] as u64,
                        slots: parts[3] as u64,
                    }
                }),
            }),
            other => panic!("no part of a report: {other}"),
        }
    }
    report
}

pub fn lease(name: &str) -> LeaseId {
    LeaseId::of_isolate(&generation(name))
}

pub fn usd(text: &str) -> Money {
    Money::parse_usd(text).unwrap()
}

pub fn generation(name: &str) -> GenerationId {
    GenerationId::parse(&format!("gen-1-{name:0>20}")).unwrap()
}

/// Midnight of Saturday, 21 November 2026.
pub const START: u64 = 1_795_219_200_000;

/// Reads `5s` or `2d`: seconds or days after [`START`].
pub fn time(text: &str) -> Time {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit_ms = if unit == "d" { 86_400_000 } else { 1000 };
    Time::from_ms(START + number.parse::<u64>().unwrap() * unit_ms)
}

fn when(time: Time) -> String {
    match time.ms().saturating_sub(START) / 1000 {
        seconds if seconds > 0 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds => format!("{seconds}s"),
    }
}
