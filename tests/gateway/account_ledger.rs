//! The account's money under random interleavings: what is answered is what a model in plain Rust
//! says, and after every command the totals are what the ledger and the leases add up to. Steps come by
//! chance here, and from the fuzzer's input in fuzz/src/ledger.rs.

use crate::account::script::{Database, START, generation, lease};
use millrace::account::budget::command::BudgetCommand;
use millrace::account::budget::{Budget, Per, Scope};
use millrace::account::command::{Answer, Command, KeyChange, NewKeyPolicy, Refusal};
use millrace::account::{
    GenerationRecord, Held, Hold, KeyKind, KeyRefusal, LeaseReport, LimitReset, Part, Report, Reported,
    Settle, Settled,
};
use millrace::catalog::pattern::matches;
use millrace::id::{AccountId, KeyHash};
use millrace::money::Money;
use millrace::time::Time;
#[cfg(test)]
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(steps in prop::collection::vec(step(), 1..250)) {
        prop_assert_eq!(agrees(&steps), Ok(()));
    }
}

/// Whether an account and the model answer alike at each step, and the totals add up after it.
pub fn agrees(steps: &[Step]) -> Result<(), String> {
    let mut database = Database::new();
    let account = AccountId::parse("Account00000").unwrap();
    database.tell(Time::from_ms(START), &Command::Create { account, name: String::new() });
    let mut model = Model::default();
    let mut now = Time::from_ms(START);
    let mut told: Vec<Command> = Vec::new();
    for step in steps {
        now = Time::from_ms(now.ms() + step.pause_ms);
        let command = match step.replay {
            Some(at) if !told.is_empty() => told[at % told.len()].clone(),
            Some(_) | None => step.command(now),
        };
        let (answer, expected) = (say(&database.tell(now, &command)), model.apply(now, &command));
        if answer != expected {
            return Err(format!("{answer:?} where the model says {expected:?}, at {command:?}"));
        }
        check_sums(&database)?;
        told.push(command);
    }
    Ok(())
}

/// The account in the plainest terms: amounts are picodollars, ids are texts.
#[derive(Default)]
struct Model {
    grants: BTreeMap<String, i64>,
    /// By hash: policy, whether disabled, whether deleted.
    keys: BTreeMap<String, (NewKeyPolicy, bool, bool)>,
    /// By generation or lease: key, amount, expiry, number of its last report, what it may go to.
    leases: BTreeMap<String, (String, i64, Time, u64, Tag)>,
    /// By generation: key, amount, time, whether it was more than what was held, what it went to, and
    /// how many charges there were before.
    charges: BTreeMap<String, (String, i64, Time, bool, Tag, usize)>,
    expired: BTreeSet<String>,
    /// By id, with the number of charges made before it was set.
    budgets: BTreeMap<String, (Budget, usize)>,
}

/// Models, of which none is any, and a user.
type Tag = (Vec<String>, String);

impl Model {
    fn apply(&mut self, now: Time, command: &Command) -> String {
        match command {
            Command::Grant { id, amount, .. } => self.grant(id, amount.pico()),
            Command::CreateKey(policy) => {
                let key = self.keys.entry(policy.hash.to_string()).or_insert((policy.clone(), false, false));
                if key.2 { "key Deleted".into() } else { "key created".into() }
            }
            Command::UpdateKey(change) => match self.keys.get_mut(change.hash.as_str()) {
                Some((policy, disabled, false)) => {
                    *disabled = change.disabled.unwrap_or(*disabled);
                    policy.limit = change.limit.unwrap_or(policy.limit);
                    "key updated".into()
                }
                Some(_) | None => "not found".into(),
            },
            Command::DeleteKey { hash, .. } => {
                let key = self.keys.get_mut(hash.as_str()).map(|key| key.2 = true);
                key.map_or("not found".into(), |()| "key deleted".into())
            }
            Command::Report(report) => {
                let mut words: Vec<String> =
                    report.charges.iter().map(|settle| self.settle(now, settle)).collect();
                self.expire(now);
                let (back, rest): (Vec<_>, Vec<_>) =
                    report.leases.iter().partition(|lease| lease.want == lease.open);
                let back: Vec<_> = back.into_iter().map(|lease| self.renew(now, lease)).collect();
                words.extend(report.hold.iter().map(|hold| self.hold(now, hold)));
                words.extend(back);
                words.extend(rest.into_iter().map(|lease| self.renew(now, lease)));
                words.join(", ")
            }
            Command::Budget { command } => self.set_budget(command),
            Command::ExpireHolds => format!("expired {}", self.expire(now)),
            other => panic!("{other:?} is not in the model"),
        }
    }

    fn grant(&mut self, id: &str, amount: i64) -> String {
        if let Some(first) = self.grants.get(id) {
            return format!("granted {first} again");
        }
        if amount < 0 && self.available() + amount < 0 {
            return format!("credit {} missing {}", self.available(), -(self.available() + amount));
        }
        self.grants.insert(id.to_owned(), amount);
        format!("granted {amount}")
    }

    fn hold(&mut self, now: Time, hold: &Hold) -> String {
        let (generation, key, until) = (hold.generation.to_string(), hold.key.to_string(), hold.expires_at);
        let least = hold.minimum.unwrap_or(hold.amount).pico();
        let open = self.leases.get(&generation).cloned();
        if let Some((_, amount, until, ..)) = open.as_ref() {
            if hold.part != Part::More || *amount >= least {
                return format!("held {amount} until {}", until.ms());
            }
        } else if hold.part == Part::More
            || until <= now
            || self.charges.contains_key(&generation)
            || self.expired.contains(&generation)
        {
            return "ended".into();
        }
        let asked = (hold.models.clone(), hold.end_user.clone().unwrap_or_default());
        // What an open hold has is added to: nobody else's key or time matters.
        let (key, before, until, number, tag) = open.unwrap_or((key, 0, until, 0, asked));
        let room = match self.room(&key, now) {
            Ok(room) => self.levels(&key, &tag, now, room),
            Err(words) => return words,
        };
        let needed = least - before;
        for (level, left) in &room {
            if *left < needed {
                return format!("{level} {left} missing {}", needed - left);
            }
        }
        let most = room.iter().map(|level| level.1).fold(hold.amount.pico() - before, i64::min) + before;
        let all = most == hold.amount.pico();
        let amount = if all || hold.part == Part::Most { most } else { least };
        self.leases.insert(generation, (key, amount, until, number, tag));
        format!("held {amount} until {}", until.ms())
    }

    /// An isolate's lease: never more than a sixteenth of what there is with it, never less than the
    /// isolate wants to keep of what it has.
    fn renew(&mut self, now: Time, report: &LeaseReport) -> String {
        let (id, key) = (report.id.to_string(), report.key.to_string());
        let known = self.leases.get(&id).cloned();
        match &known {
            Some((owner, ..)) if *owner != key => return "no lease".into(),
            Some((_, amount, _, last, _)) if *last >= report.number => {
                return format!("lease {amount} for 0");
            }
            None if report.number > 1 || self.expired.contains(&id) => return "no lease".into(),
            Some(_) | None => {}
        }
        let is_new = known.is_none();
        let (before, until) = known.as_ref().map_or((0, now), |lease| (lease.1, lease.2));
        let (open, want, unit) = (report.open.pico(), report.want.pico(), report.unit.pico());
        let tag = known.map_or((Vec::new(), String::new()), |lease| lease.4);
        let shared = !self.about(&key, &tag).any(|budget| budget.0.is_tagged());
        let least = |levels: Vec<(String, i64)>| levels.into_iter().map(|level| level.1).min().unwrap();
        let room = self.room(&key, now).map(|limit| least(self.levels(&key, &tag, now, limit)));
        let slice = room.as_ref().map_or(0, |room| if shared { (room + before) / 16 } else { 0 });
        let most = want.min(slice);
        let grows = want > before && most > before && most >= open + 2 * unit;
        let amount = if want <= before {
            want
        } else if grows {
            most
        } else {
            before
        };
        let admits = shared && room.is_ok_and(|room| room >= 0) && (amount > open || unit == 0);
        if is_new && !admits {
            return "no lease".into();
        }
        let until =
            if admits { until.max(Time::from_ms(now.ms() + 10_000 + report.outlives_ms)) } else { until };
        self.leases.insert(id, (key, amount, until, report.number, tag));
        format!("lease {amount} for {}", if admits { 10_000 } else { 0 })
    }

    /// What is left of the key's limit, or why it may not spend.
    fn room(&self, key: &str, now: Time) -> Result<i64, String> {
        let policy = match self.keys.get(key) {
            None => return Err("key Unknown".into()),
            Some((_, _, true)) => return Err("key Deleted".into()),
            Some((_, true, _)) => return Err("key Disabled".into()),
            Some((policy, ..)) if policy.expires_at.is_some_and(|end| end <= now) => {
                return Err("key Expired".into());
            }
            Some((policy, ..)) if policy.kind == KeyKind::Management => return Err("key Management".into()),
            Some((policy, ..)) => policy,
        };
        Ok(policy.limit.map_or(i64::MAX, |limit| limit.pico() - self.used(key, policy.limit_reset, now)))
    }

    fn set_budget(&mut self, command: &str) -> String {
        match serde_json::from_str(command).unwrap() {
            BudgetCommand::Set(budget)
                if budget.scope == Scope::Key
                    && self.keys.get(&budget.subject).is_none_or(|(_, _, deleted)| *deleted) =>
            {
                return "key Unknown".into();
            }
            BudgetCommand::Set(budget) => {
                let order = match self.budgets.get(&budget.id) {
                    Some((before, order)) if Budget { amount: budget.amount, ..before.clone() } == budget => {
                        *order
                    }
                    Some(_) | None => self.charges.len(),
                };
                self.budgets.insert(budget.id.clone(), (budget, order));
            }
            BudgetCommand::Remove { id } => {
                self.budgets.remove(&id);
            }
            BudgetCommand::List | BudgetCommand::Rate(_) => {}
        }
        "budgets".into()
    }

    /// The budgets that money of a key with a tag would come out of.
    fn about(&self, key: &str, tag: &Tag) -> impl Iterator<Item = &(Budget, usize)> {
        self.budgets.values().filter(move |(budget, _)| counts(budget, key, tag))
    }

    /// What is left at every level, the narrowest first.
    fn levels(&self, key: &str, tag: &Tag, now: Time, limit: i64) -> Vec<(String, i64)> {
        let rank = |budget: &Budget| match (budget.is_tagged(), budget.scope, budget.per) {
            (true, ..) => 0,
            (_, Scope::Key, _) | (_, _, Per::Key) => 1,
            (_, Scope::Workspace, _) => 3,
            _ => 4,
        };
        let window = |budget: &Budget| match budget.window {
            None => 0,
            Some(reset) => 3 - reset as u32,
        };
        let left = |(budget, order): &(Budget, usize)| {
            let same = |other: &str, tags: &Tag| {
                let who = match budget.per {
                    Per::Key => other == key,
                    Per::EndUser => tags.1 == tag.1,
                    Per::All | Per::User => true,
                };
                who && counts(budget, other, tags)
            };
            let open = |at: Time| budget.window.is_none_or(|reset| at.day() >= reset.window_start(now.day()));
            let since = if budget.is_tagged() { *order } else { 0 };
            let spent = self
                .charges
                .values()
                .filter(|charge| same(&charge.0, &charge.4) && open(charge.2) && charge.5 >= since);
            let held = self.leases.values().filter(|lease| same(&lease.0, &lease.4));
            let used = spent.map(|charge| charge.1).sum::<i64>() + held.map(|lease| lease.1).sum::<i64>();
            ((rank(budget), window(budget)), budget.id.clone(), budget.amount.pico() - used)
        };
        let mut levels: Vec<_> = self.about(key, tag).map(left).collect();
        levels.push(((2, 0), "limit".into(), limit));
        levels.push(((5, 0), "credit".into(), self.available()));
        levels.sort();
        levels.into_iter().map(|(_, id, left)| (id, left)).collect()
    }

    fn settle(&mut self, now: Time, settle: &Settle) -> String {
        let (generation, amount) = (settle.generation.to_string(), settle.amount.pico());
        if let Some((_, amount, _, exceeded, ..)) = self.charges.get(&generation) {
            return format!("settled {amount} {exceeded} again");
        }
        let own = self.leases.remove(&generation).map_or(0, |lease| lease.1);
        let held = match &settle.lease {
            None => own,
            Some(lease) => self.leases.get_mut(lease.as_str()).map_or(0, |lease| {
                let drawn = amount.min(lease.1);
                lease.1 -= drawn;
                drawn
            }),
        };
        let exceeded = amount > held;
        let told: GenerationRecord =
            settle.record.as_deref().map_or(Default::default(), |json| serde_json::from_str(json).unwrap());
        let models = Some(told.model).filter(|model| !model.is_empty()).into_iter().collect();
        let tag = (models, told.external_user.unwrap_or_default());
        let order = self.charges.len();
        self.charges.insert(generation, (settle.key.to_string(), amount, now, exceeded, tag, order));
        format!("settled {amount} {exceeded}")
    }

    /// A lease that was given back leaves no trace.
    fn expire(&mut self, now: Time) -> usize {
        let over: Vec<_> = self.leases.extract_if(.., |_, lease| lease.2 <= now).collect();
        let traces = over.iter().filter(|(_, lease)| lease.3 == 0 || lease.1 > 0);
        self.expired.extend(traces.map(|(id, _)| id.clone()));
        over.len()
    }

    fn available(&self) -> i64 {
        let charged: i64 = self.charges.values().map(|charge| charge.1).sum();
        self.grants.values().sum::<i64>() - charged - self.leases.values().map(|lease| lease.1).sum::<i64>()
    }

    /// What counts against a key's limit: spent in the window, or held.
    fn used(&self, key: &str, reset: Option<LimitReset>, now: Time) -> i64 {
        let counts = |at: Time| reset.is_none_or(|reset| at.day() >= reset.window_start(now.day()));
        let spent = self.charges.values().filter(|charge| charge.0 == key && counts(charge.2));
        let held = self.leases.values().filter(|lease| lease.0 == key);
        spent.map(|charge| charge.1).sum::<i64>() + held.map(|lease| lease.1).sum::<i64>()
    }
}

/// Whether money of a key with a tag counts for a budget.
fn counts(budget: &Budget, key: &str, (models, _): &Tag) -> bool {
    let about = budget.scope != Scope::Key || budget.subject == key;
    let goes_to = |pattern: &String| models.is_empty() || models.iter().any(|one| matches(pattern, one));
    about && budget.model.as_ref().is_none_or(goes_to)
}

/// An answer in the words of the model.
fn say(answer: &Answer) -> String {
    let again = |already: &bool| if *already { " again" } else { "" };
    match answer {
        Answer::Granted { already, amount, .. } => format!("granted {}{}", amount.pico(), again(already)),
        Answer::KeyCreated { .. } => "key created".into(),
        Answer::KeyUpdated { .. } => "key updated".into(),
        Answer::KeyDeleted { .. } => "key deleted".into(),
        Answer::Reported(reported) => say_reported(reported),
        Answer::Expired { holds, .. } => format!("expired {holds}"),
        Answer::Budgets { .. } => "budgets".into(),
        Answer::NotFound => "not found".into(),
        Answer::Refused { refusal } => say_refusal(refusal),
        other => format!("{other:?}"),
    }
}

fn say_reported(Reported { charges, hold, leases, .. }: &Reported) -> String {
    let charges = charges.iter().map(|Settled { already, amount, exceeded_hold }| {
        format!("settled {} {exceeded_hold}{}", amount.pico(), if *already { " again" } else { "" })
    });
    let hold = hold.iter().map(|held| match held {
        Held::Held { amount, expires_at, .. } => format!("held {} until {}", amount.pico(), expires_at.ms()),
        Held::Refused { refusal } => say_refusal(refusal),
    });
    let leases = leases.iter().map(|lease| match lease.ended {
        true => "no lease".into(),
        false => format!("lease {} for {}", lease.amount.pico(), lease.admits_ms),
    });
    charges.chain(hold).chain(leases).collect::<Vec<_>>().join(", ")
}

fn say_refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Key { reason } => format!("key {reason:?}"),
        Refusal::Credit { available, missing } => {
            format!("credit {} missing {}", available.pico(), missing.pico())
        }
        Refusal::KeyLimit { available, missing, .. } => {
            format!("limit {} missing {}", available.pico(), missing.pico())
        }
        Refusal::Budget { standing, available, missing } => {
            format!("{} {} missing {}", standing.budget.id, available.pico(), missing.pico())
        }
        Refusal::Rate(limited) => format!("rate {:?}", limited.measure),
        Refusal::Ended => "ended".into(),
    }
}

/// What must hold between the tables after every command: each query counts the exceptions.
const SUMS: [(&str, &str); 11] = [
    ("charged by day", "SELECT charged - (SELECT COALESCE(SUM(usage), 0) FROM activity_day) FROM account"),
    ("granted", "SELECT granted - (SELECT COALESCE(SUM(amount), 0) FROM ledger WHERE kind = 'grant') FROM account"),
    ("charged", "SELECT charged - (SELECT COALESCE(SUM(amount), 0) FROM ledger WHERE kind = 'charge') FROM account"),
    ("held", "SELECT held - (SELECT COALESCE(SUM(amount), 0) FROM lease) FROM account"),
    (
        "held by each key",
        "SELECT COUNT(*) FROM api_key WHERE held <>
         (SELECT COALESCE(SUM(amount), 0) FROM lease WHERE key_hash = hash)",
    ),
    (
        "spent by each key",
        "SELECT COUNT(*) FROM (SELECT key_hash, SUM(amount) AS sum FROM ledger WHERE kind = 'charge' GROUP BY key_hash)
         AS charged WHERE sum <> (SELECT COALESCE(SUM(usage), 0) FROM key_day WHERE key_hash = charged.key_hash)",
    ),
    (
        "held in all for the account's budget",
        "SELECT COUNT(*) FROM budget_count JOIN budget ON number = budget WHERE scope = 'account' AND per = 'all'
         AND model IS NULL AND budget_count.held <> (SELECT COALESCE(SUM(amount), 0) FROM lease)",
    ),
    (
        "spent in all for the account's budget",
        "SELECT COUNT(*) FROM budget_count JOIN budget ON number = budget WHERE scope = 'account' AND per = 'all'
         AND model IS NULL AND window IS NULL AND since >= 0 AND spent <> (SELECT charged FROM account)",
    ),
    ("charged twice", "SELECT COUNT(*) - COUNT(DISTINCT id) FROM ledger WHERE kind = 'charge'"),
    ("held after its end", "SELECT COUNT(*) FROM lease WHERE id IN (SELECT id FROM ledger WHERE kind <> 'grant')"),
    (
        "overspent beyond the charges that exceeded their holds",
        "SELECT granted - charged - held + (SELECT COALESCE(SUM(amount - COALESCE(held, 0)), 0) FROM ledger
         WHERE kind = 'charge' AND exceeded_hold = 1) < 0 FROM account",
    ),
];

fn check_sums(database: &Database) -> Result<(), String> {
    for (what, query) in SUMS {
        let exceptions = database.text(query);
        if exceptions != "0" {
            return Err(format!("{what}: {exceptions}"));
        }
    }
    Ok(())
}

/// One thing that happens, in numbers small enough that everything meets everything.
#[derive(Clone, Debug)]
pub struct Step {
    pub pause_ms: u64,
    /// The command of an earlier step, told again.
    pub replay: Option<usize>,
    /// Below 100.
    pub verb: u32,
    pub generation: u32,
    /// Below 4; the last is a management key.
    pub key: u32,
    /// Picodollars, below 1000.
    pub amount: i64,
    pub span_ms: u64,
    pub flag: bool,
    pub reset: Option<LimitReset>,
}

#[cfg(test)]
fn step() -> impl Strategy<Value = Step> {
    let pause = prop_oneof![6 => 0..20_000u64, 1 => 0..200_000_000u64];
    let replay = prop::option::weighted(0.15, any::<usize>());
    let reset = prop::option::of(prop::sample::select(vec![
        LimitReset::Daily,
        LimitReset::Weekly,
        LimitReset::Monthly,
    ]));
    let rest = (0..100u32, 0..40u32, 0..4u32, 0..1000i64, 0..90_000u64, any::<bool>(), reset);
    (pause, replay, rest).prop_map(|(pause_ms, replay, rest)| {
        let (verb, generation, key, amount, span_ms, flag, reset) = rest;
        Step { pause_ms, replay, verb, generation, key, amount, span_ms, flag, reset }
    })
}

impl Step {
    fn command(&self, now: Time) -> Command {
        let key = KeyHash::of(&self.key.to_string());
        let amount = Money::from_pico(self.amount);
        let until = Time::from_ms(now.ms() + self.span_ms);
        match self.verb {
            0..8 => {
                let amount = Money::from_pico(if self.flag { self.amount + 1 } else { -self.amount - 1 });
                Command::Grant { id: self.generation.to_string(), amount, reason: String::new() }
            }
            8..18 => Command::CreateKey(NewKeyPolicy {
                hash: key,
                label: String::new(),
                name: "k".into(),
                kind: if self.key == 3 { KeyKind::Management } else { KeyKind::Inference },
                limit: self.flag.then_some(amount),
                limit_reset: self.reset,
                include_byok_in_limit: false,
                expires_at: (self.amount % 3 == 0).then(|| Time::from_ms(until.ms() + 200_000_000)),
                holder: Default::default(),
                workspace: String::new(),
            }),
            18..22 => Command::UpdateKey(KeyChange {
                hash: key,
                only: None,
                name: None,
                disabled: (self.amount % 2 == 0).then_some(self.amount % 8 == 0),
                limit: self.flag.then(|| (self.amount % 5 != 0).then_some(amount)),
                limit_reset: None,
                include_byok_in_limit: None,
            }),
            22 => Command::DeleteKey { hash: key, only: None },
            23..92 => Command::Report(self.report(key, until)),
            92..97 => Command::Budget { command: serde_json::to_string(&self.budget(key)).unwrap() },
            _ => Command::ExpireHolds,
        }
    }

    /// Few budgets, so that they change and meet.
    fn budget(&self, key: KeyHash) -> BudgetCommand {
        let id = format!("b{}", self.generation % 3);
        if self.amount % 7 == 0 {
            return BudgetCommand::Remove { id };
        }
        let scope = [Scope::Account, Scope::Workspace, Scope::Key][self.span_ms as usize % 3];
        BudgetCommand::Set(Budget {
            id,
            scope,
            subject: if scope == Scope::Key { key.to_string() } else { String::new() },
            per: [Per::All, Per::All, Per::Key, Per::EndUser][self.amount as usize % 4],
            model: (self.amount % 3 == 0).then(|| ["a/*", "a/b", "*/c"][self.span_ms as usize % 3].into()),
            window: self.reset,
            amount: Money::from_pico(self.amount * 2),
            include_byok: false,
            source: None,
        })
    }

    /// A charge, a hold, a lease, or some of them.
    fn report(&self, key: KeyHash, until: Time) -> Report {
        let pico = Money::from_pico;
        let generation = generation(&self.generation.to_string());
        let isolate = lease(&(self.generation % 4).to_string());
        let parts = [0b001, 0b010, 0b100, 0b001, 0b010, 0b111, 0b101][self.verb as usize % 7];
        let models = ["a/b", "a/c", "x/c", "a/b"].map(str::to_owned);
        let models = &models[self.span_ms as usize % 2..];
        let user = self.span_ms % 3;
        let settle = |generation| Settle {
            generation,
            key: key.clone(),
            amount: pico(self.amount / 4),
            lease: (self.amount % 3 == 0).then(|| isolate.clone()),
            record: self.flag.then(|| format!(r#"{{"model":"{}","external_user":"{user}"}}"#, models[0])),
            used: None,
        };
        let hold = || Hold {
            generation: generation.clone(),
            key: key.clone(),
            amount: pico(self.amount / 3),
            minimum: self.flag.then(|| pico(self.amount / 9)),
            part: [Part::Most, Part::Least, Part::More][self.verb as usize / 7 % 3],
            expires_at: until,
            models: models[..self.amount as usize % 3].to_vec(),
            end_user: Some(user.to_string()).filter(|user| user != "0"),
            take: Default::default(),
        };
        let renew = || LeaseReport {
            id: isolate.clone(),
            key: key.clone(),
            number: 1 + self.span_ms % 40,
            open: pico(self.amount % 10),
            want: pico(self.amount % 10 + self.amount / 8),
            unit: pico(self.amount % 4),
            outlives_ms: self.span_ms,
            slice: None,
        };
        Report {
            charges: if parts & 1 > 0 { vec![settle(generation.clone())] } else { Vec::new() },
            hold: (parts & 2 > 0).then(hold),
            leases: if parts & 4 > 0 { vec![renew()] } else { Vec::new() },
        }
    }
}

#[test]
fn a_dollar_admits_ten_of_five_hundred() {
    let mut database = Database::new();
    let now = Time::from_ms(START);
    let account = AccountId::parse("Account00000").unwrap();
    let key = KeyHash::of("k");
    let dime = Money::parse_usd("0.1").unwrap();
    database.tell(now, &Command::Create { account, name: String::new() });
    database.tell(
        now,
        &Command::Grant { id: "g".into(), amount: Money::parse_usd("1").unwrap(), reason: String::new() },
    );
    let policy = NewKeyPolicy {
        hash: key.clone(),
        label: String::new(),
        name: "k".into(),
        kind: KeyKind::Inference,
        limit: None,
        limit_reset: None,
        include_byok_in_limit: false,
        expires_at: None,
        holder: Default::default(),
        workspace: String::new(),
    };
    database.tell(now, &Command::CreateKey(policy));
    let mut admitted = 0;
    for number in 0..500 {
        let hold = Hold {
            generation: generation(&number.to_string()),
            key: key.clone(),
            amount: dime,
            minimum: None,
            part: Part::Most,
            expires_at: Time::from_ms(START + 60_000),
            models: vec![],
            end_user: None,
            take: Default::default(),
        };
        match database.tell(now, &Command::Report(Report { hold: Some(hold), ..Report::default() })) {
            Answer::Reported(Reported { hold: Some(Held::Held { .. }), .. }) => admitted += 1,
            Answer::Reported(Reported {
                hold: Some(Held::Refused { refusal: Refusal::Credit { available, .. } }),
                ..
            }) => {
                assert_eq!(available, Money::ZERO)
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(admitted, 10);
    database.tell(now, &Command::DeleteKey { hash: key.clone(), only: None });
    for number in 0..10 {
        let settle = Settle {
            generation: generation(&number.to_string()),
            key: key.clone(),
            amount: dime,
            lease: None,
            record: None,
            used: None,
        };
        database.tell(now, &Command::Report(Report { charges: vec![settle], ..Report::default() }));
    }
    match database.tell(now, &Command::Authenticate { hash: key }) {
        Answer::Refused { refusal: Refusal::Key { reason } } => assert_eq!(reason, KeyRefusal::Deleted),
        other => panic!("{other:?}"),
    }
    assert_eq!(database.text("SELECT CAST(granted - charged AS TEXT) FROM account"), "0");
}
