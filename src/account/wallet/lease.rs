//! The isolate's side of a lease: what is promised from it, and when its account must hear of it.

use std::time::Duration;

use super::super::lease::ADMITS;
use super::super::report::LeaseState;
use super::slice::Slice;
use super::{Draw, IDLE};
use crate::id::LeaseId;
use crate::money::Money;
use crate::time::Time;

/// A lease in use is renewed so long before it ends.
const AHEAD: Duration = Duration::from_secs(4);

/// The isolate's lease for one key, and what it learns from requests for the next one.
#[derive(Debug, Default)]
pub(super) struct Lease {
    /// `None` until one is asked for, and after the account has let it go.
    pub id: Option<LeaseId>,
    /// The last report of it that was sent.
    pub number: u64,
    /// What the account holds for it, or less, where a charge was taken off twice: below zero at worst.
    pub amount: Money,
    /// What was charged by other reports since the last one that told of the lease was sent: its answer may be of
    /// before that, or of after.
    pub beside: Money,
    pub open: Money,
    pub owed: Money,
    /// What requests with a hold of their own hold.
    pub own: Money,
    pub admits_until: Time,
    pub last_used: Time,
    /// The most that was needed at once since the last report, and before that.
    pub peaks: [Money; 2],
    /// What the last request needed.
    pub unit: Money,
    pub outlives: Duration,
    /// A report that asks for more is under way, or was refused: not again before that.
    pub ask_again: Time,
    pub slice: Slice,
}

impl Lease {
    pub fn is(&self, id: &Option<LeaseId>) -> bool {
        id.is_some() && self.id == *id
    }

    pub fn free(&self) -> Money {
        difference(difference(self.amount, self.open), self.owed)
    }

    pub fn has_spare(&self) -> bool {
        self.id.is_some() && (self.free() > Money::ZERO || self.slice.has_spare())
    }

    pub fn is_under_way(&self) -> bool {
        self.open > Money::ZERO || self.own > Money::ZERO
    }

    pub fn is_busy(&self) -> bool {
        self.is_under_way() || self.owed > Money::ZERO
    }

    pub fn is_forgotten(&self, now: Time) -> bool {
        !self.is_busy()
            && self.amount <= Money::ZERO
            && !self.slice.has_spare()
            && now.since(self.last_used) >= IDLE
    }

    /// What requests under way and charges on their way take.
    pub fn needed(&self) -> Money {
        sum(sum(self.open, self.owed), self.own)
    }

    pub fn note_demand(&mut self, now: Time, draw: &Draw) {
        self.unit = draw.amount;
        self.outlives = draw.expires_at.since(now).max(self.outlives);
        self.last_used = now;
        self.slice.note_demand(draw.take.tokens);
        self.peaks[0] = self.peaks[0].max(sum(self.needed(), draw.amount));
    }

    pub fn note_peak(&mut self) {
        self.peaks[0] = self.peaks[0].max(self.needed());
    }

    /// Twice what was needed at once of late.
    pub fn wanted(&self) -> Money {
        let peak = self.peaks[0].max(self.peaks[1]);
        sum(peak, peak)
    }

    /// When the account must hear of the lease: before it ends or runs out, or because it is idle.
    pub fn due_at(&self) -> Option<Time> {
        self.id.as_ref()?;
        let idle = self.has_spare().then(|| self.last_used.plus(IDLE).max(self.ask_again));
        let used_lately = self.admits_until.since(self.last_used) < ADMITS;
        let ending = Time::from_ms(self.admits_until.ms().saturating_sub(AHEAD.as_millis() as u64));
        let renewal = (used_lately && self.has_spare()).then_some(ending.max(self.ask_again));
        [idle, renewal, self.short_at()].into_iter().flatten().min()
    }

    /// When a lease is to be filled up of which little is left, where charges are the reason.
    pub fn short_at(&self) -> Option<Time> {
        let quarter = Money::from_pico(self.amount.pico() / 4);
        let short = self.id.is_some() && self.owed > Money::ZERO && self.free() < quarter;
        short.then_some(self.ask_again)
    }

    /// A lease of that name is asked for.
    pub fn begin(&mut self, id: LeaseId) {
        self.id = Some(id);
        self.number = 0;
    }

    /// Takes in what the account holds. `number` is that of the report it answers.
    pub fn take_in(&mut self, now: Time, sent_at: Time, number: u64, state: LeaseState) {
        if state.ended {
            return self.end();
        }
        self.slice.take_in(sent_at, state.slice, number == self.number && state.admits_ms > 0);
        if number != self.number {
            return;
        }
        let asked_for_more = self.ask_again > now;
        self.amount = difference(state.amount, self.beside);
        self.admits_until = sent_at.plus(Duration::from_millis(state.admits_ms));
        let granted = state.admits_ms > 0;
        if granted && asked_for_more && self.free() >= self.unit && self.slice.has_room(now) {
            self.ask_again = now;
        }
    }

    /// The account has no such lease, or no longer: what requests drew from it is charged beyond it.
    pub fn end(&mut self) {
        self.id = None;
        (self.amount, self.open, self.owed) = (Money::ZERO, Money::ZERO, Money::ZERO);
        self.beside = Money::ZERO;
        self.admits_until = Time::default();
        self.slice = Slice::default();
    }
}

/// Amounts here are bounded by what an account can hold: nothing saturates that was admitted.
pub(super) fn sum(left: Money, right: Money) -> Money {
    Money::from_pico(left.pico().saturating_add(right.pico()))
}

pub(super) fn difference(left: Money, right: Money) -> Money {
    Money::from_pico(left.pico().saturating_sub(right.pico()))
}
