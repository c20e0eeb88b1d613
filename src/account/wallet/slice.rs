//! The isolate's side of limits of rate: what its lease may still take of this minute, and how many
//! requests may be under way on it. Knows of no limit until the account has told of one.

use super::super::rate::{Slice as Told, SliceReport};
use crate::time::Time;
use std::time::Duration;

/// Over how long it is seen at least how much is asked for. Reports may be closer to each other.
const SEEN_FOR: Duration = Duration::from_secs(1);

/// What a lease may take of limits, and what requests took of late.
#[derive(Debug, Default)]
pub(super) struct Slice {
    /// What the account has given; `None` where it told of no limits.
    given: Option<Given>,
    /// Requests under way on the lease.
    running: u64,
    /// What was asked for since then, and for as long before.
    since: Time,
    demand: [Demand; 2],
}

/// What was asked for in a while: requests, their tokens, requests at once.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    requests: u64,
    tokens: u64,
    peak: u64,
}

/// `None` is without limit.
#[derive(Debug)]
struct Given {
    minute: u64,
    until: Time,
    requests: Option<u64>,
    tokens: Option<u64>,
    slots: Option<u64>,
}

impl Slice {
    pub fn note_demand(&mut self, tokens: u64) {
        let [demand, _] = &mut self.demand;
        demand.requests += 1;
        demand.tokens = demand.tokens.saturating_add(tokens);
        demand.peak = demand.peak.max(self.running + 1);
    }

    /// Takes one request of so many tokens, if there is room for it.
    pub fn take(&mut self, now: Time, tokens: u64) -> bool {
        if let Some(given) = &mut self.given {
            let has = |left: Option<u64>, needed: u64| left.is_none_or(|left| left >= needed);
            let timed = given.requests.is_some() || given.tokens.is_some();
            let in_time = !timed || now < given.until;
            if !in_time
                || !has(given.requests, 1)
                || !has(given.tokens, tokens)
                || !has(given.slots, self.running + 1)
            {
                return false;
            }
            given.requests = given.requests.map(|left| left - 1);
            given.tokens = given.tokens.map(|left| left - tokens);
        }
        self.running += 1;
        true
    }

    /// A request that was taken has ended.
    pub fn end_one(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Whether there are limits.
    pub fn is_limited(&self) -> bool {
        self.given.is_some()
    }

    /// Whether something is kept from others.
    pub fn has_spare(&self) -> bool {
        let some = |left: Option<u64>, used: u64| left.is_some_and(|left| left > used);
        self.given.as_ref().is_some_and(|given| {
            some(given.requests, 0) || some(given.tokens, 0) || some(given.slots, self.running)
        })
    }

    /// Whether a request could be admitted now, as far as this goes.
    pub fn has_room(&self, now: Time) -> bool {
        self.given.as_ref().is_none_or(|given| {
            let none = |left: Option<u64>, used: u64| left.is_some_and(|left| left <= used);
            now < given.until
                && !none(given.requests, 0)
                && !none(given.tokens, 0)
                && !none(given.slots, self.running)
        })
    }

    /// What the account is told. From here on no more is taken than is still wanted: twice what was
    /// asked for of late, or nothing.
    pub fn tell(&mut self, now: Time, wanted: bool) -> Option<SliceReport> {
        let [late, before] = self.demand;
        let (requests, tokens) = (late.requests.max(before.requests), late.tokens.max(before.tokens));
        let peak = late.peak.max(before.peak).max(self.running);
        if now.since(self.since) >= SEEN_FOR {
            self.demand = [Demand { peak: self.running, ..Demand::default() }, late];
            self.since = now;
        }
        let given = self.given.as_mut()?;
        let over = now >= given.until;
        let more = |left: &mut Option<u64>, asked: u64| {
            let want = if wanted { asked.saturating_mul(2).min(i64::MAX as u64) } else { 0 };
            let Some(has) = left.as_mut() else { return 0 };
            if over {
                *has = 0;
            }
            let more = want as i64 - (*has).min(i64::MAX as u64) as i64;
            *has = (*has).min(want);
            more
        };
        let requests = more(&mut given.requests, requests);
        let tokens = more(&mut given.tokens, tokens);
        let slots = if wanted { peak.saturating_mul(2) } else { self.running };
        given.slots = given.slots.map(|has| has.min(slots));
        Some(SliceReport { minute: given.minute, requests, tokens, running: self.running, slots })
    }

    /// Takes in what the account has given, in its answer to a report that was sent at `sent_at`. Only the
    /// answer to the last report, `last`, says how many slots there are.
    pub fn take_in(&mut self, sent_at: Time, told: Option<Told>, last: bool) {
        match (told, &mut self.given) {
            (Some(told), Some(given)) if given.minute == told.minute => {
                let add = |left: Option<u64>, more: Option<u64>| match (left, more) {
                    (Some(left), Some(more)) => Some(left.saturating_add(more)),
                    (None, Some(more)) => Some(more),
                    (_, None) => None,
                };
                given.requests = add(given.requests, told.requests);
                given.tokens = add(given.tokens, told.tokens);
                given.slots = if last { told.slots } else { given.slots };
            }
            (Some(told), given) if last => {
                let until = sent_at.plus(Duration::from_millis(told.ends_ms));
                let Told { minute, requests, tokens, slots, .. } = told;
                *given = Some(Given { minute, until, requests, tokens, slots });
            }
            (None, given) if last => *given = None,
            (Some(_) | None, _) => {}
        }
    }
}
