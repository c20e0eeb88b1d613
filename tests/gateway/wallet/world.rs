//! A few isolates, their account and the network between them, moved by one event at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use millrace::account::budget::command::BudgetCommand;
use millrace::account::rate::command::RateCommand;
use millrace::account::rate::{RateLimit, Take, minute_of};
use millrace::account::wallet::{Admission, Draw, Next, Sending, Ticket, Wallet};
use millrace::account::{
    Answer, Command, Held, KeyChange, KeyKind, LimitReset, NewKeyPolicy, Part, Report, Reported, Settled,
};
use millrace::id::{AccountId, GenerationId, KeyHash, LeaseId};
use millrace::money::Money;
use millrace::time::Time;

use crate::account::script::{Database, START, generation};

pub const ISOLATES: usize = 3;
/// How long a request may take, and its charge to come.
const OUTLIVES: Duration = Duration::from_secs(60);
/// How long an isolate may go on after its key was switched off.
const NOTICED: Duration = Duration::from_secs(10);

/// One thing that happens, in numbers small enough that everything meets everything.
#[derive(Clone)]
pub struct Event {
    pub verb: u32,
    pub isolate: usize,
    pub which: usize,
    /// Picodollars, below 300.
    pub amount: i64,
    /// How much of what is held a reply costs.
    pub percent: i64,
    pub pause_ms: u64,
    pub flag: bool,
}

impl fmt::Debug for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Event { verb, isolate, which, amount, percent, pause_ms, flag } = self;
        write!(out, "{verb} of {isolate} +{pause_ms}ms amount {amount} {percent}% {which} {flag}")
    }
}

#[derive(Default)]
struct Isolate {
    /// How often it was killed: what was sent before is not answered after.
    life: u32,
    wallet: Wallet,
    under_way: Vec<(Draw, Ticket)>,
    /// Ids under which the account may hold money for it.
    ids: BTreeSet<String>,
    delivered: BTreeSet<GenerationId>,
    /// Replies whose end waits for their charge.
    waiting: Vec<GenerationId>,
    /// Which lease each request drew on.
    drawn: BTreeMap<GenerationId, LeaseId>,
}

/// A report on its way, or its answer on the way back.
#[derive(Clone)]
struct Message {
    isolate: usize,
    life: u32,
    sending: (u64, Report),
    draw: Option<Draw>,
    answer: Option<Reported>,
}

pub struct World {
    database: Database,
    now: Time,
    isolates: Vec<Isolate>,
    network: Vec<Message>,
    /// Reports of which their senders have heard: by isolate, life and number.
    heard: BTreeSet<(usize, u32, u64)>,
    /// What KV keeps.
    kept: Vec<Report>,
    draws: BTreeMap<GenerationId, Draw>,
    /// What each reply cost that was delivered.
    costs: BTreeMap<GenerationId, Money>,
    charged: BTreeMap<GenerationId, Money>,
    /// Of each life that ended early: replies not known to be charged, what was held for it, and when.
    killed: Vec<(BTreeSet<GenerationId>, Money, Time)>,
    /// Charges that came after what was held for them had ended, and by how much.
    late: Money,
    disabled_since: Option<Time>,
    limit: Option<i64>,
    wrong: Option<String>,
    rates: Option<RateLimit>,
    /// What was admitted in each minute: requests, and tokens less what is known not to be used.
    admitted: BTreeMap<u64, (u64, i64)>,
    holds: BTreeSet<GenerationId>,
}

impl World {
    /// A world whose account has a limit of rate.
    pub fn rated(credit: i64, rates: RateLimit) -> World {
        let mut world = World::new(credit, None);
        let command = BudgetCommand::Rate(RateCommand::Set(rates.clone()));
        let command = Command::Budget { command: serde_json::to_string(&command).unwrap() };
        assert!(matches!(world.database.tell(world.now, &command), Answer::Budgets { .. }));
        world.rates = Some(rates);
        world
    }

    pub fn new(credit: i64, limit: Option<i64>) -> World {
        let mut database = Database::new();
        let now = Time::from_ms(START);
        let account = AccountId::parse("Account00000").unwrap();
        database.tell(now, &Command::Create { account, name: String::new() });
        let amount = Money::from_pico(credit);
        database.tell(now, &Command::Grant { id: "g".into(), amount, reason: String::new() });
        let policy = NewKeyPolicy {
            hash: key(),
            label: String::new(),
            name: "k".into(),
            kind: KeyKind::Inference,
            limit: limit.map(Money::from_pico),
            limit_reset: Some(LimitReset::Daily),
            include_byok_in_limit: false,
            expires_at: None,
            holder: Default::default(),
            workspace: String::new(),
        };
        database.tell(now, &Command::CreateKey(policy));
        World {
            database,
            now,
            isolates: (0..ISOLATES).map(|_| Isolate::default()).collect(),
            network: Vec::new(),
            heard: BTreeSet::new(),
            kept: Vec::new(),
            draws: BTreeMap::new(),
            costs: BTreeMap::new(),
            charged: BTreeMap::new(),
            killed: Vec::new(),
            late: Money::ZERO,
            disabled_since: None,
            limit,
            wrong: None,
            rates: None,
            admitted: BTreeMap::new(),
            holds: BTreeSet::new(),
        }
    }

    pub fn happen(&mut self, event: &Event) {
        self.now = self.now.plus(Duration::from_millis(event.pause_ms));
        match event.verb {
            0..25 => self.arrive(event.isolate, event.amount, event.which as u64 % 50),
            25..57 => self.pass(event, false),
            57..62 => self.pass(event, true),
            62..66 => self.lose(event),
            66..80 => self.finish(event.isolate, event.which, event.percent),
            80..89 if event.flag && event.amount < 50 => self.wait(event.isolate, event.which),
            80..89 => self.carry(event.isolate),
            89..96 => self.flush(event.isolate, event.flag),
            96 => self.kill(event.isolate),
            97 => self.switch(event.flag && event.which.is_multiple_of(3)),
            _ => self.collect(),
        }
    }

    fn arrive(&mut self, at: usize, amount: i64, tokens: u64) {
        let generation = generation(&self.draws.len().to_string());
        let (amount, expires_at) = (Money::from_pico(amount), self.now.plus(OUTLIVES));
        let draw = Draw {
            generation: generation.clone(),
            key: key(),
            amount,
            expires_at,
            minimum: None,
            part: Part::Most,
            models: vec![],
            end_user: None,
            take: Take { tokens, free: None },
        };
        self.draws.insert(generation, draw.clone());
        let admission = self.isolates[at].wallet.admit(self.now, &draw);
        let unnoticed = self.disabled_since.is_some_and(|since| self.now.since(since) >= NOTICED);
        if unnoticed && matches!(admission, Admission::Admitted(_)) {
            self.wrong = Some("a key that was switched off goes on".into());
        }
        if matches!(admission, Admission::Admitted(_)) {
            self.note_admission(tokens);
        }
        self.admission(at, draw, admission);
    }

    fn note_admission(&mut self, tokens: u64) {
        let count = self.admitted.entry(minute_of(self.now)).or_default();
        *count = (count.0 + 1, count.1 + tokens as i64);
    }

    fn admission(&mut self, at: usize, draw: Draw, admission: Admission) {
        match admission {
            Admission::Admitted(ticket) => {
                let isolate = &mut self.isolates[at];
                isolate.drawn.extend(ticket.lease().map(|lease| (draw.generation.clone(), lease.clone())));
                isolate.under_way.push((draw, ticket));
            }
            Admission::Ask(sending) => self.send(at, sending, Some(draw)),
            Admission::Refused(_) | Admission::Down => {}
        }
    }

    fn send(&mut self, at: usize, Sending { number, report }: Sending, draw: Option<Draw>) {
        let isolate = &mut self.isolates[at];
        isolate.ids.extend(report.leases.iter().map(|lease| lease.id.to_string()));
        isolate.ids.extend(report.hold.iter().map(|hold| hold.generation.to_string()));
        let life = isolate.life;
        self.network.push(Message { isolate: at, life, sending: (number, report), draw, answer: None });
    }

    /// Some message on the way: any, or one of the last.
    fn pick(&self, event: &Event) -> usize {
        let count = self.network.len();
        if event.flag { count - 1 - event.which % count.min(3) } else { event.which % count }
    }

    /// Brings a message to where it goes; or brings it and keeps a copy that comes again.
    fn pass(&mut self, event: &Event, again: bool) {
        if self.network.is_empty() {
            return;
        }
        let at = self.pick(event);
        let mut message = match again {
            true => self.network[at].clone(),
            false => self.network.remove(at),
        };
        match message.answer.take() {
            None => {
                message.answer = Some(self.tell(self.now, &message.sending.1));
                self.network.push(message);
            }
            Some(answer) => self.answer(message, answer),
        }
    }

    fn answer(&mut self, message: Message, answer: Reported) {
        let Message { isolate: at, life, sending: (number, _), draw, .. } = message;
        if self.isolates[at].life != life || !self.heard.insert((at, life, number)) {
            return;
        }
        match draw {
            None => self.isolates[at].wallet.answered(self.now, number, answer),
            Some(draw) => {
                let admission = self.isolates[at].wallet.admitted(self.now, number, &draw, answer);
                self.admission(at, draw, admission);
            }
        }
    }

    /// The isolate hears that a message failed, whether it arrived or not; it may yet.
    fn lose(&mut self, event: &Event) {
        if self.network.is_empty() {
            return;
        }
        let at = self.pick(event);
        let message = self.network.remove(at);
        let (isolate, number) = (&mut self.isolates[message.isolate], message.sending.0);
        let news = self.heard.insert((message.isolate, message.life, number));
        if news && isolate.life == message.life {
            match &message.draw {
                None => isolate.wallet.failed(self.now, number),
                Some(draw) => {
                    isolate.wallet.not_admitted(self.now, number, draw);
                }
            }
        }
        if event.flag && message.answer.is_none() {
            self.network.push(message);
        }
    }

    fn finish(&mut self, at: usize, which: usize, percent: i64) {
        let isolate = &mut self.isolates[at];
        if isolate.under_way.is_empty() {
            return;
        }
        let (draw, ticket) = isolate.under_way.remove(which % isolate.under_way.len());
        let cost = Money::from_pico(draw.amount.pico() * percent / 100);
        let tokens = draw.take.tokens * percent as u64 / 100;
        isolate.wallet.settle_used(self.now, ticket, cost, Some("{}".into()), tokens);
        isolate.delivered.insert(draw.generation.clone());
        isolate.waiting.push(draw.generation.clone());
        self.costs.insert(draw.generation, cost);
    }

    fn carry(&mut self, at: usize) {
        if let Some(sending) = self.isolates[at].wallet.urgent(self.now) {
            self.send(at, sending, None);
        }
        let next = self.isolates[at].wallet.next(self.now);
        self.do_next(at, next);
    }

    /// One of those who wait for their charge does what it is told, or has its reply ended.
    fn wait(&mut self, at: usize, which: usize) {
        let isolate = &mut self.isolates[at];
        if isolate.waiting.is_empty() {
            return;
        }
        let generation = isolate.waiting.remove(which % isolate.waiting.len());
        let next = isolate.wallet.until_charged(self.now, &generation);
        if next != Next::Done {
            isolate.waiting.push(generation);
            return self.do_next(at, next);
        }
        let kept = self.kept.iter().flat_map(|report| &report.charges);
        let mut kept = kept.filter(|settle| settle.generation == generation);
        if !self.charged.contains_key(&generation) && kept.next().is_none() {
            self.wrong = Some(format!("{generation} ended and nobody has its charge"));
        }
    }

    fn do_next(&mut self, at: usize, next: Next) {
        match next {
            Next::Send(sending) => self.send(at, sending, None),
            Next::Keep(charges) => self.kept.push(Report { charges, ..Report::default() }),
            Next::Wait(_) | Next::Done => {}
        }
    }

    fn flush(&mut self, at: usize, leave: bool) {
        let next = match leave {
            true => self.isolates[at].wallet.retire(self.now),
            false => self.isolates[at].wallet.flush(self.now).map_or(Next::Done, Next::Send),
        };
        self.do_next(at, next);
    }

    fn kill(&mut self, at: usize) {
        let held: i64 = self.isolates[at].ids.iter().map(|id| self.held_under(id)).sum();
        let isolate = std::mem::take(&mut self.isolates[at]);
        let unknown = isolate.delivered.into_iter().filter(|id| !self.charged.contains_key(id)).collect();
        self.killed.push((unknown, Money::from_pico(held), self.now));
        self.isolates[at].life = isolate.life + 1;
    }

    fn switch(&mut self, off: bool) {
        let change = KeyChange {
            hash: key(),
            only: None,
            name: None,
            disabled: Some(off),
            limit: None,
            limit_reset: None,
            include_byok_in_limit: None,
        };
        self.database.tell(self.now, &Command::UpdateKey(change));
        self.disabled_since = if off { self.disabled_since.or(Some(self.now)) } else { None };
    }

    /// The account's alarm.
    fn collect(&mut self) {
        for report in std::mem::take(&mut self.kept) {
            self.tell(self.now, &report);
        }
        self.database.tell(self.now, &Command::ExpireHolds);
    }

    pub fn tell(&mut self, now: Time, report: &Report) -> Reported {
        let answer = match self.database.tell(now, &Command::Report(report.clone())) {
            Answer::Reported(answer) => answer,
            other => panic!("{other:?} to {report:?}"),
        };
        for (settle, settled) in report.charges.iter().zip(&answer.charges) {
            self.note_charge(now, &settle.generation, settled);
            let used = settle.used.filter(|used| !settled.already && used.minute == minute_of(now));
            if let Some(used) = used {
                self.admitted.entry(used.minute).or_default().1 += used.beyond;
            }
        }
        if let (Some(hold), Some(Held::Held { .. })) = (&report.hold, &answer.hold)
            && self.holds.insert(hold.generation.clone())
        {
            self.note_admission(hold.take.tokens);
        }
        answer
    }

    fn note_charge(&mut self, now: Time, generation: &GenerationId, settled: &Settled) {
        if settled.already {
            return;
        }
        self.charged.insert(generation.clone(), settled.amount);
        if settled.exceeded_hold {
            self.late = self.late.checked_add(settled.amount).unwrap();
            let in_time = self.draws.get(generation).is_some_and(|draw| now < draw.expires_at);
            if in_time {
                self.wrong = Some(format!("{generation} was charged beyond what was held for it"));
            }
        }
    }

    pub fn held(&self) -> Money {
        Money::from_pico(self.number("SELECT held FROM account"))
    }

    fn held_under(&self, id: &str) -> i64 {
        self.number(&format!("SELECT COALESCE(SUM(amount), 0) FROM lease WHERE id = '{id}'"))
    }

    fn number(&self, query: &str) -> i64 {
        self.database.text(query).parse().unwrap()
    }

    /// What holds after every event.
    pub fn check(&self) -> Result<(), String> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        if let Some(rates) = &self.rates {
            self.check_rates(rates)?;
        }
        self.isolates.iter().try_for_each(|isolate| self.check_promises(isolate))?;
        let beyond = "SELECT COUNT(*) FROM ledger WHERE exceeded_hold = 1 AND held IS NOT NULL";
        must(self.number(beyond) == 0, || "a charge went beyond a lease that was open".into())?;
        let available = self.number("SELECT granted - charged - held FROM account");
        must(available >= -self.late.pico(), || format!("{available} available, {} late", self.late.pico()))?;
        if let Some(limit) = self.limit {
            let most = self.number("SELECT COALESCE(MAX(usage), 0) FROM key_day");
            must(most <= limit + self.late.pico(), || format!("{most} on a day, the limit is {limit}"))?;
        }
        Ok(())
    }

    /// No minute has more requests and tokens than its limit, and no more requests are under way.
    fn check_rates(&self, rates: &RateLimit) -> Result<(), String> {
        let most = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        for (minute, (requests, tokens)) in &self.admitted {
            must(*requests <= most(rates.requests_per_minute), || format!("{requests} in minute {minute}"))?;
            let tokens = u64::try_from(*tokens).unwrap_or(0);
            must(tokens <= most(rates.tokens_per_minute), || format!("{tokens} tokens in minute {minute}"))?;
        }
        let running = self.isolates.iter().flat_map(|isolate| &isolate.under_way);
        let running = running.filter(|(draw, _)| self.now < draw.expires_at).count() as u64;
        must(running <= most(rates.concurrent_requests), || format!("{running} at once"))
    }

    /// What an isolate promised from its leases is held for it at the account.
    fn check_promises(&self, isolate: &Isolate) -> Result<(), String> {
        let mut promised: BTreeMap<&LeaseId, i64> = BTreeMap::new();
        let under_way = isolate.under_way.iter().map(|(draw, _)| (&draw.generation, draw.amount));
        let unpaid = isolate.delivered.iter().filter(|id| !self.charged.contains_key(*id));
        for (id, amount) in under_way.chain(unpaid.map(|id| (id, self.costs[id]))) {
            let in_time = self.now < self.draws[id].expires_at;
            if let Some(lease) = isolate.drawn.get(id).filter(|_| in_time) {
                *promised.entry(lease).or_default() += amount.pico();
            }
        }
        promised.into_iter().try_for_each(|(lease, amount)| {
            let held = self.held_under(lease.as_str());
            must(amount <= held, || format!("{amount} promised from {lease}, {held} held"))
        })
    }

    /// Everything that is under way comes to its end; nothing fails any more.
    pub fn settle_down(&mut self) {
        for at in 0..ISOLATES {
            while !self.isolates[at].under_way.is_empty() {
                self.finish(at, 0, 50);
            }
        }
        for _ in 0..60 {
            self.now = self.now.plus(Duration::from_secs(1));
            while let Some(mut message) = self.network.pop() {
                match message.answer.take() {
                    None => {
                        message.answer = Some(self.tell(self.now, &message.sending.1));
                        self.network.push(message);
                    }
                    Some(answer) => self.answer(message, answer),
                }
            }
            for at in 0..ISOLATES {
                while !self.isolates[at].under_way.is_empty() {
                    self.finish(at, 0, 50);
                }
                self.carry(at);
                for _ in 0..self.isolates[at].waiting.len() {
                    self.wait(at, 0);
                }
            }
        }
    }

    /// What is left in the end.
    pub fn check_end(&mut self) -> Result<(), String> {
        self.check()?;
        for isolate in &self.isolates {
            must(isolate.wallet.is_empty(), || format!("left in a wallet: {:?}", isolate.wallet))?;
            must(isolate.waiting.is_empty(), || format!("replies without an end: {:?}", isolate.waiting))?;
        }
        self.collect();
        self.now = self.now.plus(OUTLIVES * 3);
        self.collect();
        self.check()?;
        must(self.held() == Money::ZERO, || "not everything was given back".into())?;
        let mut lost_before: BTreeSet<GenerationId> = BTreeSet::new();
        for (unknown, held, at) in &self.killed {
            let lost: Vec<_> = unknown.iter().filter(|id| !self.charged.contains_key(*id)).collect();
            // Of a request that should have ended long before, nothing is held any more.
            let in_time = lost.iter().filter(|id| *at < self.draws[**id].expires_at);
            let sum: i64 = in_time.map(|id| self.costs[*id].pico()).sum();
            must(sum <= held.pico(), || {
                format!("{sum} lost with an isolate for which {} was held", held.pico())
            })?;
            lost_before.extend(lost.into_iter().cloned());
        }
        for (generation, cost) in &self.costs {
            match self.charged.get(generation) {
                Some(charged) => must(charged == cost, || {
                    format!("{generation} cost {} and was charged {}", cost.pico(), charged.pico())
                })?,
                None => {
                    must(lost_before.contains(generation), || format!("{generation} was not charged"))?;
                }
            }
        }
        Ok(())
    }
}

fn key() -> KeyHash {
    KeyHash::of("k")
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
