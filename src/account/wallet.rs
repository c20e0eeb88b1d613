//! What one isolate knows of one account's money: leases to admit requests from without asking, and
//! charges on their way to the account. Decides what to ask and when; the shell asks.
//!
//! For each lease, what the isolate may still promise is `amount` less `open` (what requests under
//! way may cost) less `owed` (charges the account has not confirmed). That is never more than what
//! the account holds for it, whatever was lost or came late on the way.

mod awaited;
mod draw;
mod lease;
mod slice;

pub use draw::{Draw, Ticket};

use std::collections::VecDeque;

use litemap::LiteMap;
use std::time::Duration;

use super::command::Refusal;
use super::rate::{Take, minute_of};
use super::report::{self, Held, Hold, LeaseReport, Part, Report, Reported, Settle};
use crate::id::{KeyHash, LeaseId};
use crate::money::Money;
use crate::time::Time;
use lease::{Lease, difference, sum};

/// How long a charge waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// So many charges do not wait.
const BATCH: usize = 64;
/// A lease that no request drew on for so long is given back.
const IDLE: Duration = Duration::from_secs(3);
/// An answer that has not come by then is not waited for.
const ANSWER: Duration = Duration::from_secs(15);
/// The pause after a report that failed; after the next, twice that.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// After so long without an answer, charges are kept elsewhere.
const PATIENCE: Duration = Duration::from_secs(12);
/// A lease that does not grow is not asked for again before that.
const REFUSED: Duration = Duration::from_secs(1);
/// What a first lease is for, in requests like the one that asks.
const FIRST: i64 = 8;
/// A carrier that was not heard of for so long is gone.
const CARRIER: Duration = Duration::from_secs(15);

/// Whether a request may be sent.
#[derive(Debug, PartialEq)]
pub enum Admission {
    /// It may, without asking.
    Admitted(Ticket),
    /// The account must be asked.
    Ask(Sending),
    /// The account has refused.
    Refused(Refusal),
    /// The account cannot be asked.
    Down,
}

/// A report on its way. Its outcome is told by [`Wallet::answered`] or [`Wallet::failed`].
#[derive(Debug, PartialEq)]
pub struct Sending {
    pub number: u64,
    pub report: Report,
}

/// What a carrier is to do next.
#[derive(Debug, PartialEq)]
pub enum Next {
    Send(Sending),
    Wait(Time),
    /// The account does not answer: these charges are to be kept where they outlive the isolate.
    Keep(Vec<Settle>),
    /// Nothing is left to do.
    Done,
}

#[derive(Debug, Default)]
pub struct Wallet {
    leases: LiteMap<KeyHash, Lease>,
    /// Charges to be reported, oldest first, with the moment from which each has waited.
    outbox: VecDeque<(Time, Settle)>,
    flights: LiteMap<u64, Flight>,
    /// Reports sent so far.
    sent: u64,
    failing: Option<Failing>,
    /// When a carrier was last heard of.
    carrier: Option<Time>,
    /// What the account's own keys were used for in the month of that moment, at list prices.
    byok_used: Option<(Time, Money)>,
}

/// The account does not answer.
#[derive(Clone, Copy, Debug)]
struct Failing {
    since: Time,
    tries: u32,
    /// It is not asked again before that.
    until: Time,
}

/// A report whose outcome is not known.
#[derive(Debug)]
struct Flight {
    sent_at: Time,
    charges: Vec<(Time, Settle)>,
    /// The leases told of, with their reports' numbers.
    leases: Vec<(KeyHash, LeaseId, u64)>,
}

impl Wallet {
    /// Admits a request from the lease of its key, or says what to ask.
    pub fn admit(&mut self, now: Time, draw: &Draw) -> Admission {
        self.lose_flights(now);
        let lease = self.leases.entry(draw.key.clone()).or_default();
        lease.note_demand(now, draw);
        // Free models have a limit of which so little is left that each request asks.
        let leased = now < lease.admits_until && lease.free() >= draw.amount && draw.take.free.is_none();
        if leased && lease.slice.take(now, draw.take.tokens) {
            lease.open = sum(lease.open, draw.amount);
            return Admission::Admitted(Ticket {
                generation: draw.generation.clone(),
                key: draw.key.clone(),
                held: draw.amount,
                lease: lease.id.clone(),
                counted: lease.slice.is_limited().then(|| (minute_of(now), draw.take.tokens)),
            });
        }
        Admission::Ask(self.ask(now, draw))
    }

    /// Takes in the answer to a report that asked for `draw`.
    pub fn admitted(&mut self, now: Time, number: u64, draw: &Draw, answer: Reported) -> Admission {
        let hold = answer.hold.clone();
        self.answered(now, number, answer);
        match hold {
            Some(Held::Held { amount, rated, .. }) => {
                let lease = self.leases.entry(draw.key.clone()).or_default();
                lease.own = sum(lease.own, amount);
                lease.note_peak();
                let (generation, key) = (draw.generation.clone(), draw.key.clone());
                let counted = rated.then(|| (minute_of(now), draw.take.tokens));
                Admission::Admitted(Ticket { generation, key, held: amount, lease: None, counted })
            }
            // What this isolate holds back from itself is given back before the client is refused.
            Some(Held::Refused { refusal }) if self.keeps_back(&refusal) => {
                let mut sending = self.give_back(now);
                sending.report.hold = Some(draw.hold());
                Admission::Ask(sending)
            }
            Some(Held::Refused { refusal }) => Admission::Refused(refusal),
            None => Admission::Down,
        }
    }

    /// The account did not answer: whatever it set aside for `draw` is given back.
    pub fn not_admitted(&mut self, now: Time, number: u64, draw: &Draw) -> Admission {
        self.failed(now, number);
        let (generation, key) = (draw.generation.clone(), draw.key.clone());
        let release = Settle { generation, key, amount: Money::ZERO, lease: None, record: None, used: None };
        if self.outbox.len() < report::CHARGES {
            self.outbox.push_back((now, release));
        }
        Admission::Down
    }

    /// Asks that a request's own hold hold `amount` in all, or at least `minimum`. Its outcome is told
    /// by [`Wallet::grown`], or [`Wallet::failed`].
    pub fn grow(&mut self, now: Time, ticket: &Ticket, amount: Money, minimum: Money) -> Sending {
        let charges = self.take_charges();
        let mut sending = self.sending(now, charges);
        sending.report.hold = Some(Hold {
            generation: ticket.generation.clone(),
            key: ticket.key.clone(),
            amount,
            minimum: Some(minimum),
            part: Part::More,
            expires_at: now,
            models: Vec::new(),
            end_user: None,
            take: Take::default(),
        });
        sending
    }

    /// Takes in the answer to a report that asked for more. Says whether the ticket has it.
    pub fn grown(&mut self, now: Time, number: u64, ticket: &mut Ticket, answer: Reported) -> bool {
        let hold = answer.hold.clone();
        self.answered(now, number, answer);
        match hold {
            Some(Held::Held { amount, .. }) if amount > ticket.held => {
                let lease = self.leases.entry(ticket.key.clone()).or_default();
                lease.own = sum(lease.own, difference(amount, ticket.held));
                lease.note_peak();
                ticket.held = amount;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Ends a request: what it cost is on its way to the account.
    pub fn settle(&mut self, now: Time, ticket: Ticket, amount: Money, record: Option<String>) {
        let tokens = ticket.counted.map_or(0, |(_, tokens)| tokens);
        self.settle_used(now, ticket, amount, record, tokens);
    }

    /// As [`Wallet::settle`], of a request that has used so many tokens.
    pub fn settle_used(
        &mut self,
        now: Time,
        ticket: Ticket,
        amount: Money,
        record: Option<String>,
        tokens: u64,
    ) {
        let Ticket { generation, key, held, lease: from, counted } = ticket;
        let used = draw::used(counted, tokens);
        let lease = self.leases.entry(key.clone()).or_default();
        lease.last_used = now;
        match &from {
            Some(id) if lease.id.as_ref() == Some(id) => {
                lease.open = difference(lease.open, held);
                lease.slice.end_one();
                lease.owed = sum(lease.owed, amount);
                lease.note_peak();
            }
            Some(_) => {}
            None => lease.own = difference(lease.own, held),
        }
        self.outbox.push_back((now, Settle { generation, key, amount, lease: from, record, used }));
    }

    /// Ends a request of which nothing is known.
    pub fn abandon(&mut self, now: Time, ticket: Ticket) {
        self.settle_used(now, ticket, Money::ZERO, None, 0);
    }

    /// Whether the caller is to carry what this wallet has to tell, because no one does.
    pub fn hire(&mut self, now: Time) -> bool {
        let free = self.carrier.is_none_or(|seen| now.since(seen) >= CARRIER);
        if free {
            self.carrier = Some(now);
        }
        free
    }

    /// What must not wait for the carrier, who may be asleep: a full batch, the rest of a hold, a lease
    /// that runs out.
    pub fn urgent(&mut self, now: Time) -> Option<Sending> {
        let waits = self.failing.is_some_and(|failing| now < failing.until);
        let short = || self.leases.values().filter_map(Lease::short_at).any(|at| at <= now);
        (!waits && (self.is_pressing() || short())).then(|| self.report(now))
    }

    /// What the carrier is to do. There is one carrier at a time.
    pub fn next(&mut self, now: Time) -> Next {
        self.carrier = Some(now);
        self.lose_flights(now);
        if let Some(failing) = self.failing.filter(|failing| now < failing.until) {
            let patient = now.since(failing.since) < PATIENCE || self.outbox.is_empty();
            return if patient { Next::Wait(failing.until) } else { Next::Keep(self.keep()) };
        }
        match self.due_at(now) {
            Some(at) if at <= now => Next::Send(self.report(now)),
            Some(at) => Next::Wait(at),
            None => {
                self.carrier = None;
                Next::Done
            }
        }
    }

    /// What a carrier is to do that must leave. Where no request is under way that would bring
    /// another carrier, everything is given back.
    pub fn retire(&mut self, now: Time) -> Next {
        self.carrier = None;
        if self.failing.is_some() && !self.outbox.is_empty() {
            return Next::Keep(self.keep());
        }
        let under_way = self.leases.values().any(Lease::is_under_way);
        match under_way {
            true if self.outbox.is_empty() => Next::Done,
            true => Next::Send(self.report(now)),
            false => self.flush(now).map_or(Next::Done, Next::Send),
        }
    }

    /// A report that leaves this wallet with nothing but what requests under way need; `None` where
    /// there is nothing to tell.
    pub fn flush(&mut self, now: Time) -> Option<Sending> {
        if self.outbox.is_empty() && !self.has_spare() {
            return None;
        }
        Some(self.give_back(now))
    }

    /// Stops admitting for a key that was changed here.
    pub fn forget(&mut self, key: &KeyHash) {
        if let Some(lease) = self.leases.get_mut(key) {
            lease.admits_until = Time::default();
        }
    }

    /// Takes in what the account answered to a report.
    pub fn answered(&mut self, now: Time, number: u64, answer: Reported) {
        self.failing = None;
        self.byok_used = answer.byok_used.map(|used| (now, used));
        let Some(flight) = self.flights.remove(&number) else {
            return;
        };
        for (_, settle) in &flight.charges {
            self.confirm(settle, &flight);
        }
        for state in answer.leases {
            let told = flight.leases.iter().find(|(_, id, _)| *id == state.id);
            let Some((key, id, number)) = told else { continue };
            if let Some(lease) = self.leases.get_mut(key).filter(|lease| lease.id.as_ref() == Some(id)) {
                lease.take_in(now, flight.sent_at, *number, state);
            }
        }
        self.leases.retain(|_, lease| !lease.is_forgotten(now));
    }

    /// What the account's own keys were used for this month, as far as is known here.
    pub fn byok_used(&self, now: Time) -> Money {
        let same = |at: Time| at.day().month_start() == now.day().month_start();
        self.byok_used.filter(|(at, _)| same(*at)).map_or(Money::ZERO, |(_, used)| used)
    }

    /// A report was not answered: what it told is told again.
    pub fn failed(&mut self, now: Time, number: u64) {
        let Some(flight) = self.flights.remove(&number) else {
            return;
        };
        for charge in flight.charges.into_iter().rev() {
            self.outbox.push_front(charge);
        }
        let (since, tries) = self.failing.map_or((now, 0), |failing| (failing.since, failing.tries + 1));
        let pause = (PAUSE * 2u32.pow(tries.min(10))).min(LONGEST_PAUSE);
        self.failing = Some(Failing { since, tries, until: now.plus(pause) });
    }

    /// Whether nothing would be lost with it.
    pub fn is_empty(&self) -> bool {
        let idle = |lease: &Lease| !lease.is_busy() && lease.amount <= Money::ZERO;
        self.outbox.is_empty() && self.flights.is_empty() && self.leases.values().all(idle)
    }

    fn lose_flights(&mut self, now: Time) {
        let lost = |flight: &Flight| now.since(flight.sent_at) >= ANSWER;
        let late: Vec<u64> =
            self.flights.iter().filter(|(_, flight)| lost(flight)).map(|(number, _)| *number).collect();
        for number in late {
            self.failed(now, number);
        }
    }

    /// Takes charges out, for a place where they outlive this isolate. They will be made. A hold
    /// without a charge ends by itself.
    fn keep(&mut self) -> Vec<Settle> {
        let taken = self.take_charges().into_iter().map(|(_, settle)| settle);
        let kept: Vec<Settle> = taken.filter(|settle| settle.record.is_some()).collect();
        for settle in &kept {
            if let Some(lease) = self.leases.get_mut(&settle.key).filter(|lease| lease.is(&settle.lease)) {
                // When they will be drawn is not known here: what the account says it holds is no
                // longer what this isolate may promise. The lease is let go, and expires.
                lease.end();
            }
        }
        kept
    }

    /// A charge has reached the account. Where the answer tells what its lease holds, that is taken
    /// in afterwards; else the lease holds less by the charge.
    fn confirm(&mut self, settle: &Settle, flight: &Flight) {
        let Some(lease) = self.leases.get_mut(&settle.key).filter(|lease| lease.is(&settle.lease)) else {
            return;
        };
        lease.owed = difference(lease.owed, settle.amount);
        let told = |(key, _, number): &(KeyHash, LeaseId, u64)| *key == settle.key && *number == lease.number;
        if !flight.leases.iter().any(told) {
            lease.amount = difference(lease.amount, settle.amount);
            lease.beside = sum(lease.beside, settle.amount);
        }
    }

    /// When there is something to report, if there will be.
    fn due_at(&self, now: Time) -> Option<Time> {
        if self.is_pressing() {
            return Some(now);
        }
        let gathered = self.outbox.front().map(|(since, _)| since.plus(GATHER));
        let leases = self.leases.values().filter_map(Lease::due_at);
        gathered.into_iter().chain(leases).min()
    }

    fn is_pressing(&self) -> bool {
        self.outbox.len() >= BATCH || self.outbox.iter().any(|(_, settle)| settle.lease.is_none())
    }

    /// Tells what there is to tell, and asks for what the leases in use will need.
    fn report(&mut self, now: Time) -> Sending {
        let charges = self.take_charges();
        let mut sending = self.sending(now, charges);
        let keys: Vec<KeyHash> = self.leases.keys().cloned().collect();
        for key in keys {
            let Some(lease) = self.leases.get(&key).filter(|lease| lease.id.is_some()) else {
                continue;
            };
            let told = sending.report.leases.len() < report::LEASES;
            let due = lease.due_at().is_some_and(|at| at <= now);
            let used = sending.report.charges.iter().any(|settle| settle.key == key);
            if told && (due || used) {
                // While the account does not answer, what is at hand is all there is.
                let idle = now.since(lease.last_used) >= IDLE && self.failing.is_none();
                let want = if idle { None } else { Some(lease.wanted()) };
                self.tell(now, &mut sending, &key, want);
            }
        }
        sending
    }

    /// Tells everything and wants nothing.
    fn give_back(&mut self, now: Time) -> Sending {
        let charges = self.take_charges();
        let mut sending = self.sending(now, charges);
        let spare = |lease: &&KeyHash| self.leases[*lease].has_spare();
        let keys: Vec<KeyHash> = self.leases.keys().filter(spare).take(report::LEASES).cloned().collect();
        for key in keys {
            self.tell(now, &mut sending, &key, None);
        }
        sending
    }

    /// Asks for a hold of the request's own, and for a lease for those to come.
    fn ask(&mut self, now: Time, draw: &Draw) -> Sending {
        let charges = self.take_charges();
        let mut sending = self.sending(now, charges);
        let lease = self.leases.entry(draw.key.clone()).or_default();
        if now >= lease.ask_again {
            if lease.id.is_none() {
                lease.begin(LeaseId::of_isolate(&draw.generation));
            }
            let first = Money::from_pico(draw.amount.pico().saturating_mul(FIRST));
            let want = lease.wanted().max(first);
            self.tell(now, &mut sending, &draw.key, Some(want));
        }
        sending.report.hold = Some(draw.hold());
        sending
    }

    fn take_charges(&mut self) -> Vec<(Time, Settle)> {
        let count = self.outbox.len().min(BATCH);
        self.outbox.drain(..count).collect()
    }

    fn sending(&mut self, now: Time, charges: Vec<(Time, Settle)>) -> Sending {
        self.sent += 1;
        let report = Report {
            charges: charges.iter().map(|(_, settle)| settle.clone()).collect(),
            ..Report::default()
        };
        let flight = Flight { sent_at: now, charges, leases: Vec::new() };
        self.flights.insert(self.sent, flight);
        Sending { number: self.sent, report }
    }

    /// Adds a lease to a report. From here on the isolate promises no more than it still wants.
    fn tell(&mut self, now: Time, sending: &mut Sending, key: &KeyHash, want: Option<Money>) {
        let (Some(lease), Some(flight)) = (self.leases.get_mut(key), self.flights.get_mut(&sending.number))
        else {
            return;
        };
        let Some(id) = lease.id.clone() else {
            return;
        };
        let reported = sending.report.charges.iter().filter(|settle| settle.lease.as_ref() == Some(&id));
        let reported = reported.fold(Money::ZERO, |total, settle| sum(total, settle.amount));
        let slice = lease.slice.tell(now, want.is_some());
        let open = sum(lease.open, difference(lease.owed, reported)).max(Money::ZERO);
        let want = want.unwrap_or(open).max(open);
        lease.number += 1;
        lease.amount = lease.amount.min(sum(want, reported));
        lease.beside = Money::ZERO;
        lease.ask_again = now.plus(REFUSED);
        lease.peaks = [lease.needed(), lease.peaks[0]];
        flight.leases.push((key.clone(), id.clone(), lease.number));
        sending.report.leases.push(LeaseReport {
            id,
            key: key.clone(),
            number: lease.number,
            open,
            want,
            unit: lease.unit,
            outlives_ms: lease.outlives.as_millis() as u64,
            slice,
        });
    }

    /// Whether a refusal may be due to what this isolate keeps. Limits of free models are never leased.
    fn keeps_back(&self, refusal: &Refusal) -> bool {
        match refusal {
            Refusal::Credit { .. } | Refusal::KeyLimit { .. } | Refusal::Budget { .. } => self.has_spare(),
            Refusal::Rate(limited) => {
                limited.limit.is_some() && self.leases.values().any(|lease| lease.slice.has_spare())
            }
            Refusal::Key { .. } | Refusal::Ended => false,
        }
    }

    fn has_spare(&self) -> bool {
        self.leases.values().any(Lease::has_spare)
    }
}
